"""The pipelines of Data Factory: compared with Microsoft's model, and their requests really sent."""

import json
import time
from typing import Any

import pytest

from local.adx_simulator import AdxSimulator, BlobFault
from local.functions_host import FunctionsHost
from tests.recipes import pages
from tests.recipes.local_cloud import LocalCloud
from tests.recipes.tools import strange_to_data_factory
from tests.recipes.workflows import RunFailed, run_pipeline
from tests.support.world import DATABASE, World, eventually

PIPELINES = ["post-data-factory", "go-on-data-factory"]
KEY = "a-function-key-of-this-test"


def a_moment(_: float) -> None:
    """In place of half a minute: the app here is quick."""
    time.sleep(0.2)


def tracked(world: World, urls: list[str]) -> str:
    """An operation that the app knows: for that the pipeline's retries have five minutes, and here a moment."""
    operation_id = world.submit_and_post(urls)
    eventually(lambda: world.operation(operation_id), "the registration")
    return operation_id


def pipeline(page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pages.snippet(page, "json"))
    return found


@pytest.mark.parametrize("page", PIPELINES)
def test_a_pipeline_has_nothing_that_microsofts_model_has_not(page: str) -> None:
    assert strange_to_data_factory(pipeline(page)) == []


def test_what_is_misspelt_is_found() -> None:
    found = pipeline("post-data-factory")
    found["properties"]["activities"][0]["typeProperties"]["authentication"]["resourse"] = "x"
    found["properties"]["activities"][1]["type"] = "WebbActivity"
    assert len(strange_to_data_factory(found)) == 2


def test_the_pipeline_submits_blobs_and_has_them_watched_to_the_end(world: World) -> None:
    world.start_host()
    blobs = [{"url": world.upload("part 1.csv", b"1,2\n3,4\n").replace(" ", "%20"), "sourceId": "s-1"}]
    given = {"database": DATABASE, "table": world.table, "blobs": blobs}
    outputs = run_pipeline(pipeline("post-data-factory"), given, LocalCloud(world).send, a_moment)
    operation_id = outputs["Submit"]["ingestionOperationId"]
    row = world.settled(operation_id)
    assert (row["State"], row["Succeeded"], row["CorrelationId"]) == ("Succeeded", 1, "a-run")
    assert json.loads(row["Properties"]) == {"format": "csv"}
    assert world.adx.books().rows == 2
    assert eventually(lambda: world.length("OPERATIONS_QUEUE") == 0)


def test_the_pipeline_that_waits_goes_on_when_the_load_is_in(world: World) -> None:
    host, cloud = start(world)
    operation_id = tracked(world, [world.upload("part-1.csv", b"1,2\n")])
    run_pipeline(pipeline("go-on-data-factory"), {"operationId": operation_id}, cloud.send, a_moment)
    assert world.known(operation_id)["State"] == "Succeeded"
    assert KEY not in host.output()


def test_it_waits_for_what_is_tried_again(world: World, adx: AdxSimulator) -> None:
    _, cloud = start(world)
    adx.set_faults([BlobFault(kind="transient", url_contains="flaky", submissions=1)])
    urls = [world.upload("good.csv", b"1,2\n"), world.upload("flaky.csv", b"3,4\n")]
    operation_id = tracked(world, urls)
    outputs = run_pipeline(pipeline("go-on-data-factory"), {"operationId": operation_id}, cloud.send, a_moment)
    lineage = outputs["Look"]["lineage"]["operations"]
    assert [each["state"] for each in lineage] == ["PartiallySucceeded", "Succeeded"]
    assert adx.books().rows == 2


def test_it_says_so_when_a_load_has_failed_for_good(world: World, adx: AdxSimulator) -> None:
    _, cloud = start(world)
    adx.set_faults([BlobFault(kind="permanent", url_contains="/bad", submissions=9)])
    operation_id = tracked(world, [world.upload("good.csv", b"1,2\n"), world.upload("bad.csv", b"1,2\n")])
    with pytest.raises(RunFailed, match=f"{operation_id} is not in: .+"):
        run_pipeline(pipeline("go-on-data-factory"), {"operationId": operation_id}, cloud.send, a_moment)


def start(world: World) -> tuple[FunctionsHost, LocalCloud]:
    host = world.start_host(function_keys={"factory": KEY})
    return host, LocalCloud(world, str(host.uri), KEY)
