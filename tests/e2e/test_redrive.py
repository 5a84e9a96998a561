"""A person has things taken up again by the functions, in the app in the local host; by the command: tests/cli."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from local.adx_simulator import AdxSimulator, BlobFault
from local.functions_host import FunctionsHost
from tests.support.world import World, eventually

ROOT = Path(__file__).parent.parent.parent
KEY = "a-function-key-of-this-test"
CONTENT = b"1,2\n3,4\n"


def failed_for_good(world: World, adx: AdxSimulator, **message: object) -> str:
    """An operation whose only blob failed Permanently, for a reason that is gone by now."""
    adx.set_faults([BlobFault(kind="permanent", url_contains="/bad", submissions=1)])
    operation_id = world.submit_and_post([world.upload("bad.csv", CONTENT)], **message)
    assert world.settled(operation_id)["State"] == "Failed"
    return operation_id


def redrives(world: World, **named: str) -> list[Mapping[str, Any]]:
    """The acts that were written down of something of this world."""
    (column, value), *_ = named.items()
    with world.tables.get_table_client("IngestionRedrives") as client:
        return list(client.query_entities(f"{column} eq @value", parameters={"value": value}))


def call(host: FunctionsHost, path: str, content: Mapping[str, object], key: str = KEY) -> requests.Response:
    """Call a function as a person with a key does."""
    return requests.post(f"{host.uri}/api/{path}", json=content, headers={"x-functions-key": key}, timeout=90)


def start(world: World) -> FunctionsHost:
    return world.start_host(function_keys={"ada": KEY})


def retried(world: World, operation_id: str) -> str:
    """The operation that the only blob was submitted again with, once it has ended well."""
    again = str(eventually(lambda: world.blob(operation_id).get("RetryOperationId"), "the resubmission"))
    assert world.settled(again)["State"] == "Succeeded"
    return again


def test_a_blob_that_failed_for_good_is_loaded_once_a_person_says_so(world: World, adx: AdxSimulator) -> None:
    host = start(world)
    operation_id = failed_for_good(world, adx)
    answer = call(host, f"operations/{operation_id}/redrive", {"as": "Ada", "blobs": [{"url": world.url("bad.csv")}]})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert (answer.json()["blobs"], answer.json()["left"]) == (1, 0)
    again = world.known(retried(world, operation_id))
    assert (again["Attempt"], again["ParentOperationId"]) == (2, operation_id)
    assert (adx.books().rows, adx.books().duplicates) == (2, ())
    (act,) = redrives(world, OperationId=operation_id)
    assert (act["RedriveId"], act["Count"], act["Done"]) == (answer.json()["redriveId"], 1, True)
    assert act["RedrivenBy"].startswith("Ada (key ")
    assert KEY not in host.output() + str(act)


def test_poison_messages_are_handled_again(world: World) -> None:
    host = start(world)
    junk = '{"operationId": 17}'
    world.post(junk)
    eventually(lambda: world.waiting("OPERATIONS_QUEUE", "-poison"))
    operation_id, _ = world.submit([world.upload("good.csv", CONTENT)])
    with world.queues.get_queue_client(f"{world.names['OPERATIONS_QUEUE']}-poison") as poison:
        poison.send_message(operation_id)
    queue = world.names["OPERATIONS_QUEUE"]
    answer = call(host, f"queues/{queue}/redrive", {"as": "ada"})
    assert (answer.status_code, answer.json()["messages"]) == (200, 2)
    assert world.settled(operation_id)["State"] == "Succeeded"
    assert eventually(lambda: world.waiting("OPERATIONS_QUEUE", "-poison")) == [junk]
    again = call(host, f"queues/{queue}/redrive", {"as": "ada", "most": 1})
    assert again.json()["messages"] == 1
    assert eventually(lambda: world.waiting("OPERATIONS_QUEUE", "-poison")) == [junk]
    assert [act["Count"] for act in redrives(world, Queue=queue)] == [2, 1]


def test_what_can_not_be_redriven_is_told_why(world: World, adx: AdxSimulator) -> None:
    host = start(world)
    operation_id = failed_for_good(world, adx, properties=None)
    path = f"operations/{operation_id}/redrive"
    refusals = [
        call(host, path, {"as": "ada"}, key="a-wrong-key"),
        call(host, path, {"as": "ada", "only": ["Transient"]}),
        call(host, "operations/never-seen/redrive", {"as": "ada"}),
        call(host, "queues/no-queue/redrive", {"as": "ada"}),
        call(host, path, {"as": "ada"}),
    ]
    assert [answer.status_code for answer in refusals] == [401, 400, 404, 404, 422]
    unauthorized, *problems = refusals
    assert unauthorized.content == b""
    assert {answer.headers["Content-Type"] for answer in problems} == {"application/problem+json"}
    assert "at least 'format'" in problems[-1].json()["detail"]
    assert world.names["RETRY_QUEUE"] in problems[2].json()["detail"]
    assert redrives(world, OperationId=operation_id) == []
    assert world.blob(operation_id)["RetryState"] == ""
