"""The whole of it on real parts: the page from the app in the local host, on Azurite and the simulated ADX."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from azure.storage.blob import ContainerClient, PublicAccess
from playwright.sync_api import expect

from local.adx_simulator import AdxSimulator, BlobFault
from local.azurite import Azurite
from local.functions_host import FunctionsHost
from shared.dashboard_files import CONTENT_SECURITY_POLICY
from tests.page import axe
from tests.page.conftest import Opener, open_operation, pass_time
from tests.support.world import World, eventually, make_world

KEY = "a-function-key-of-this-test"
KEYS = {"x-functions-key": KEY}
CONTENT = b"1,2\n3,4\n"


@pytest.fixture(scope="module")
def parts() -> Iterator[tuple[World, AdxSimulator, FunctionsHost]]:
    with (
        Azurite.start() as storage,
        AdxSimulator.start(batching_seconds=0.3, visible_after_seconds=0.2) as adx,
        make_world(storage, adx) as world,
    ):
        host = world.start_host(function_keys={"ada": KEY})
        eventually(lambda: requests.get(f"{host.uri}/api/health", headers=KEYS, timeout=60).ok, "the app's health")
        yield world, adx, host


def test_a_load_is_seen_its_failure_explained_and_tried_again(
    parts: tuple[World, AdxSimulator, FunctionsHost], visit: Opener
) -> None:
    world, adx, host = parts
    visit.are_failures_expected = True
    page = visit("#period=hour", uri=host.uri, is_live=True)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("az functionapp keys list")
    dialog.get_by_label("Function key").fill(KEY)
    dialog.get_by_role("button", name="Go on").click()
    expect(page.locator("#nothing")).to_contain_text("Nothing was tracked in the last hour.")
    visit.are_failures_expected = False

    adx.set_faults([BlobFault(kind="permanent", url_contains="/bad", submissions=1)])
    message: dict[str, Any] = {"correlationId": "nightly <b>load</b>"}
    blobs = [world.upload("bad.csv", CONTENT), world.upload("good.csv", CONTENT)]
    open_to_all(world)
    operation_id = world.submit_and_post(blobs, **message)
    assert world.settled(operation_id)["State"] == "PartiallySucceeded"
    pass_time(page, 11)
    row = page.locator("#operations-table tr", has_text=operation_id)
    expect(row).to_contain_text("Partially succeeded")
    expect(row).to_contain_text("1 of 2")
    expect(page.locator("#failures-table tbody tr")).to_have_count(1)
    detail = open_operation(page, operation_id)
    expect(detail.locator("#facts")).to_contain_text("nightly <b>load</b>")
    expect(detail.locator("#errors")).to_contain_text("What to do:")
    expect(detail.locator("#redrive-text")).to_contain_text("1 blob of this operation was given up.")
    assert axe.barriers(page) == []

    detail.get_by_role("button", name="Redrive").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your name").fill("Ada")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("1 blob is on the retry queue. None is left.")
    dialog.get_by_role("button", name="Close").click()
    again = str(eventually(lambda: retried(world, operation_id), "the resubmission"))
    assert world.settled(again)["State"] == "Succeeded"
    pass_time(page, 11)
    expect(detail.locator("#lineage li")).to_have_count(2)
    expect(detail.locator("#lineage li").last).to_contain_text("Succeeded")
    expect(detail.locator("#blobs-table")).to_contain_text(re.compile(r"Redriven by Ada \(key [0-9a-f]{8}\)"))
    assert KEY not in host.output()


def retried(world: World, operation_id: str) -> object:
    """The operation that a blob of this one was submitted again with, once there is one."""
    return next((row["RetryOperationId"] for row in world.blobs(operation_id) if row.get("RetryOperationId")), None)


def open_to_all(world: World) -> None:
    """Let whoever comes read the blobs: the app keeps no SAS for what a person has tried again."""
    container = f"c{world.table.lower()}"
    with ContainerClient.from_connection_string(world.azurite.connection_string, container) as client:
        client.set_container_access_policy({}, public_access=PublicAccess.BLOB)


def test_the_files_come_with_their_headers_and_without_a_key(
    parts: tuple[World, AdxSimulator, FunctionsHost],
) -> None:
    uri = f"{parts[2].uri}/api/dashboard"
    page, script = requests.get(uri, timeout=30), requests.get(f"{uri}/page.js", timeout=30)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (script.status_code, script.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert script.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    known = requests.get(uri, headers={"If-None-Match": page.headers["ETag"]}, timeout=30)
    assert (known.status_code, known.content) == (304, b"")
    slash = requests.get(f"{uri}/", timeout=30)
    assert (slash.status_code, slash.url) == (200, uri)
    for path in ("/..%2fdashboard_files.py", "/nothing", "/page.js/more"):
        assert requests.get(uri + path, timeout=30).status_code == 404
    assert requests.post(uri, timeout=30).status_code == 404
