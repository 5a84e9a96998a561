"""The ADX simulator: over real sockets, with real blobs in Azurite."""

import asyncio
import gzip
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import pytest
import requests
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

from local.adx_simulator import AdxSimulator, Answer, BlobFault, ControlRefused, Crowd, RequestFault
from local.adx_simulator.crowds import crowd_rule
from local.adx_simulator.faults import Faults
from local.adx_simulator.ingestion import Ingestion
from local.adx_simulator.settings import Settings
from local.adx_simulator.submissions import read_submission
from local.azurite import ACCOUNT, KEY, Azurite
from local.processes import REPOSITORY, ProcessFailed
from tests.support.inline_executor import InlineExecutor
from tests.support.ports import quiet_port
from tests.support.world import eventually

# What can only be reached where something is wrong.
PATIENCE = 60.0
BATCHING_SECONDS = 0.2
CONTAINER = "box"
DATABASE, TABLE = "shop", "sales"
ROWS = b"1,one\n2,two\n3,three\n"
# The two samples of the documentation, with its sourceId that is no GUID.
PLAIN_SAMPLE = """{
  "startTime": "2025-10-01T12:00:00Z",
  "lastUpdated": "2025-10-01T12:30:00Z",
  "status": {
    "Succeeded": 8,
    "Failed": 1,
    "InProgress": 2,
    "Canceled": 0
  }
}"""
DETAILED_SAMPLE = """{
  "startTime": "2025-10-01T12:00:00Z",
  "status": {"Succeeded": 0, "Failed": 1, "InProgress": 0, "Canceled": 0},
  "details": [
    {
      "sourceId": "123a6999-411e-4226-a333-w79992dd9b95",
      "url": "https://example.com/blob1.csv.gz",
      "status": "Failed"
    }
  ]
}"""


class Adx:
    """A client of the simulator, and a container whose blobs it can submit."""

    def __init__(self, simulator: AdxSimulator, blobs: BlobServiceClient) -> None:
        self.simulator = simulator
        self.blobs = blobs
        self.session = requests.Session()
        self.session.headers["Authorization"] = "Bearer local"

    def path(self, *parts: str) -> str:
        return "/".join([f"{self.simulator.uri}/v1/rest/ingestion/queued", *(quote(part, safe="") for part in parts)])

    def put(self, name: str, data: bytes = ROWS) -> str:
        """Stores a blob under a name of its own, and returns its URL with a SAS."""
        name = f"{uuid.uuid4()}/{name}"
        with self.blobs.get_blob_client(CONTAINER, name) as blob:
            blob.upload_blob(data)
            return signed(blob.url, name)

    def post(self, body: object, *, database: str = DATABASE, table: str = TABLE) -> requests.Response:
        return self.session.post(self.path(database, table), json=body, timeout=PATIENCE)

    def submit(self, *urls: str, database: str = DATABASE, table: str = TABLE, **properties: object) -> str:
        """Submits blobs, and returns the operation ID."""
        given = {"format": "csv", "enableTracking": True, **properties}
        answer = self.post(
            {"blobs": [{"url": url} for url in urls], "properties": given}, database=database, table=table
        )
        assert answer.status_code == 200, answer.text
        operation_id: str = answer.json()["ingestionOperationId"]
        return operation_id

    def ask(
        self, operation_id: str, details: str | None = "true", *, timeout: float = PATIENCE, table: str = TABLE
    ) -> requests.Response:
        query = {} if details is None else {"details": details}
        return self.session.get(self.path(DATABASE, table, operation_id), params=query, timeout=timeout)

    def details(self, operation_id: str, *, table: str = TABLE) -> list[dict[str, Any]]:
        answer = self.ask(operation_id, table=table)
        found: list[dict[str, Any]] = answer.json()["details"] if answer.status_code == 200 else []
        return found

    def finished(self, operation_id: str, *, table: str = TABLE) -> list[dict[str, Any]]:
        """Waits until no blob is on its way, and returns the details."""

        def look() -> list[dict[str, Any]]:
            details = self.details(operation_id, table=table)
            return [] if any(blob["status"] in ("InProgress", "Queued") for blob in details) else details

        return eventually(look)

    def settled(self) -> None:
        eventually(lambda: self.simulator.books().unfinished == 0)


def signed(url: str, name: str, *, key: str = KEY, valid: timedelta = timedelta(hours=1)) -> str:
    permission = BlobSasPermissions(read=True, delete=True)
    expiry = datetime.now(UTC) + valid
    return f"{url}?{generate_blob_sas(ACCOUNT, CONTAINER, name, account_key=key, permission=permission, expiry=expiry)}"


@pytest.fixture(scope="module")
def blobs() -> Iterator[BlobServiceClient]:
    with (
        Azurite.start() as azurite,
        BlobServiceClient.from_connection_string(azurite.connection_string) as client,
    ):
        client.create_container(CONTAINER)
        yield client


@pytest.fixture(scope="module")
def simulator() -> Iterator[AdxSimulator]:
    with AdxSimulator.start(batching_seconds=BATCHING_SECONDS, visible_after_seconds=0) as running:
        yield running


@pytest.fixture
def adx(simulator: AdxSimulator, blobs: BlobServiceClient) -> Iterator[Adx]:
    simulator.reset()
    client = Adx(simulator, blobs)
    with client.session:
        yield client


# Submitting


def test_blobs_are_downloaded_parsed_and_booked(adx: Adx) -> None:
    plain, packed = adx.put("a b.csv"), adx.put("b.csv.gz", gzip.compress(b"id,name\n1,one\n4,four\n"))
    first = adx.submit(plain)
    second = adx.submit(packed, ignoreFirstRecord=True)
    assert [blob["status"] for blob in adx.finished(first) + adx.finished(second)] == ["Succeeded", "Succeeded"]
    books = adx.simulator.books()
    table = books.table(DATABASE, TABLE)
    assert (table.rows, table.distinct_rows, table.repeated_rows) == (5, 4, 1)
    blob = books.blob("a%20b.csv")
    assert (blob.submissions, blob.times_ingested, blob.rows, blob.operations) == (1, 1, 3, (first,))
    assert blob.url == plain.split("?")[0]
    assert books.duplicates == ()
    assert books.unfinished == 0


@pytest.mark.parametrize(
    ("name", "form", "data", "rows"),
    [
        ("a.json", "json", b'{"a": 1}\n{"a": 2}\n', 2),
        ("a.json", "multijson", b'[{"a": 1}, {"a": 2}, {"a": 3}]', 3),
    ],
)
def test_other_formats_are_parsed(adx: Adx, name: str, form: str, data: bytes, rows: int) -> None:
    adx.finished(adx.submit(adx.put(name, data), format=form))
    assert adx.simulator.books().table(DATABASE, TABLE).rows == rows


def test_what_is_ingested_twice_shows_in_the_books(adx: Adx) -> None:
    url = adx.put("a.csv")
    adx.finished(adx.submit(url))
    once = adx.simulator.books()
    adx.finished(adx.submit(url))
    twice = adx.simulator.books()
    assert once.duplicates == ()
    assert [(blob.times_ingested, blob.submissions, blob.rows) for blob in twice.duplicates] == [(2, 2, 6)]
    assert (twice.rows, twice.table(DATABASE, TABLE).repeated_rows) == (6, 3)
    assert once.table(DATABASE, TABLE).digest != twice.table(DATABASE, TABLE).digest


def test_the_digest_of_a_table_does_not_depend_on_the_order(adx: Adx) -> None:
    adx.finished(adx.submit(adx.put("all.csv"), table="one"), table="one")
    parts = [adx.put("a.csv", b"3,three\n"), adx.put("b.csv", b"2,two\n1,one\n")]
    adx.finished(adx.submit(*parts, table="two"), table="two")
    books = adx.simulator.books()
    assert books.table(DATABASE, "one").digest == books.table(DATABASE, "two").digest


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (["no object"], "the body has to be"),
        ({"blobs": [{"url": "http://x"}]}, "properties has to be"),
        ({"blobs": [{"url": "http://x"}], "properties": {}}, "format is missing"),
        ({"blobs": [{"url": "http://x"}], "properties": {"format": "xls"}}, "'xls' is not supported"),
        ({"blobs": [], "properties": {"format": "csv"}}, "at least one"),
        ({"blobs": [{"sourceId": "x"}], "properties": {"format": "csv"}}, "no url"),
        ({"blobs": [{"url": f"http://x/{n}"} for n in range(21)], "properties": {"format": "csv"}}, "than the 20"),
        ({"blobs": [{"url": "http://x?a"}, {"url": "http://x?b"}], "properties": {"format": "csv"}}, "named twice"),
        ({"blobs": [{"url": "http://x", "format": "json"}], "properties": {"format": "csv"}}, "of one format"),
        ({"blobs": [{"url": "http://x"}], "properties": {"format": "csv", "tags": "x"}}, "list of strings"),
        ({"blobs": [{"url": "http://x"}], "properties": {"format": "csv", "skipBatching": "x"}}, "true or false"),
    ],
)
def test_a_wrong_submission_is_refused_with_a_kusto_error(adx: Adx, body: object, message: str) -> None:
    answer = adx.post(body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert message in error["@message"]
    assert error["@permanent"] is True
    assert error.keys() == {"code", "message", "@type", "@message", "@context", "@permanent"}
    assert adx.simulator.books().blobs == ()


def test_a_body_that_is_no_json_is_refused(adx: Adx) -> None:
    answer = adx.session.post(adx.path(DATABASE, TABLE), data="<x>", timeout=PATIENCE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest_SyntaxError")


def test_the_limit_of_blobs_is_adjustable_and_told(adx: Adx) -> None:
    adx.simulator.configure(max_blobs_per_batch=1, containers=["http://x/box?sas"])
    answer = adx.post({"blobs": [{"url": "http://x"}, {"url": "http://y"}], "properties": {"format": "csv"}})
    assert answer.status_code == 400
    told = adx.session.get(f"{adx.simulator.uri}/v1/rest/ingestion/configuration", timeout=PATIENCE).json()
    assert told["ingestionSettings"]["maxBlobsPerBatch"] == 1
    assert told["containerSettings"]["containers"] == [{"path": "http://x/box?sas"}]


def test_an_untracked_submission_has_no_operation_id_and_is_ingested(adx: Adx) -> None:
    body = {"blobs": [{"url": adx.put("a.csv")}], "properties": {"format": "csv"}}
    assert adx.post(body).json() == {}
    eventually(lambda: adx.simulator.books().rows == 3)
    (operation_id,) = adx.simulator.books().blob("a.csv").operations
    assert adx.ask(operation_id).status_code == 404


@pytest.mark.parametrize("suffix", [";managed_identity=system", ";managed_identity=0f3c"])
def test_a_managed_identity_reads_blobs_of_the_emulator(adx: Adx, suffix: str) -> None:
    with_sas, without = adx.put("a.csv"), adx.put("b c.csv").split("?")[0]
    details = adx.finished(adx.submit(with_sas + suffix, without + suffix))
    assert [blob["status"] for blob in details] == ["Succeeded", "Succeeded"]
    assert [blob["url"] for blob in details] == [with_sas.split("?")[0], without]


def test_a_blob_is_deleted_after_its_download_if_so_asked(adx: Adx) -> None:
    url = adx.put("a.csv")
    assert adx.finished(adx.submit(url, deleteAfterDownload=True))[0]["status"] == "Succeeded"
    assert adx.finished(adx.submit(url))[0]["errorCode"] == "Download_SourceNotFound"


# Tags


def test_a_tag_that_the_table_holds_skips_the_whole_repeated_request(adx: Adx) -> None:
    properties: dict[str, Any] = {"tags": ["ingest-by:x", "other"], "ingestIfNotExists": ["x"]}
    given = adx.put("a.csv"), adx.put("b.csv"), adx.put("bad.csv", b"1,2\n3\n")
    first = adx.finished(adx.submit(*given, **properties))
    assert [blob["status"] for blob in first] == ["Succeeded", "Succeeded", "Failed"]
    repeated = adx.finished(adx.submit(adx.put("never.csv"), **properties))
    assert [(blob["status"], blob["errorCode"], blob["failureStatus"]) for blob in repeated] == [
        ("Failed", "Skipped_IngestByTagAlreadyExists", "Permanent")
    ]
    assert adx.finished(adx.submit(adx.put("c.csv"), table="other", **properties), table="other")
    books = adx.simulator.books()
    assert books.table(DATABASE, TABLE).rows == 6
    assert books.table(DATABASE, TABLE).tags == ("x",)
    assert books.table(DATABASE, "other").rows == 3


def test_a_failed_blob_leaves_no_tag(adx: Adx) -> None:
    properties: dict[str, Any] = {"tags": ["ingest-by:x"], "ingestIfNotExists": ["x"]}
    assert adx.finished(adx.submit(adx.put("bad.csv", b"1,2\n3\n"), **properties))[0]["status"] == "Failed"
    assert adx.finished(adx.submit(adx.put("good.csv"), **properties))[0]["status"] == "Succeeded"


def test_of_many_operations_with_one_tag_at_once_one_is_ingested(adx: Adx) -> None:
    url = adx.put("a.csv")
    properties: dict[str, Any] = {"tags": ["ingest-by:x"], "ingestIfNotExists": ["x"]}
    with ThreadPoolExecutor(8) as pool:
        operations = list(pool.map(lambda _: adx.submit(url, **properties), range(8)))
    statuses = [adx.finished(operation)[0]["status"] for operation in operations]
    assert sorted(statuses) == ["Failed"] * 7 + ["Succeeded"]
    assert adx.simulator.books().rows == 3


# Status


def test_the_documented_dialect(adx: Adx) -> None:
    url, bad = adx.put("a.csv"), adx.put("bad.csv", b"1,2\n3\n")
    blobs = [{"url": url, "sourceId": "no GUID"}, {"url": bad}]
    operation_id = adx.post({"blobs": blobs, "properties": {"format": "csv", "enableTracking": True}}).json()[
        "ingestionOperationId"
    ]
    good, failed = adx.finished(operation_id)
    assert good.keys() == {"sourceId", "url", "status", "startTime", "lastUpdated"}
    assert (good["sourceId"], good["url"], good["status"]) == ("no GUID", url.split("?")[0], "Succeeded")
    assert failed.keys() == {"url", "status", "startTime", "lastUpdated", "errorCode", "failureStatus", "details"}
    for details in (None, "false"):
        body = adx.ask(operation_id, details).json()
        assert body.keys() == {"startTime", "lastUpdated", "status"}
        assert body["status"] == {"Succeeded": 1, "Failed": 1, "InProgress": 0, "Canceled": 0}
    assert datetime.fromisoformat(body["startTime"]) <= datetime.fromisoformat(body["lastUpdated"])


@pytest.mark.parametrize("dialect", ["sdk", "sdk-with-url"])
def test_the_dialect_of_the_sdk(adx: Adx, dialect: str) -> None:
    adx.simulator.configure(dialect=dialect)
    url = adx.put("a.csv")
    operation_id = adx.submit(url, adx.put("bad.csv", b"1,2\n3\n"))
    good, failed = adx.finished(operation_id)
    names = {"sourceId", "status", "startedAt", "lastUpdateTime", "errorCode", "failureStatus", "details"}
    assert good.keys() - {"url"} == failed.keys() - {"url"} == names
    assert good.get("url") == (None if dialect == "sdk" else url.split("?")[0])
    assert (good["errorCode"], good["failureStatus"], good["details"]) == (None, None, None)
    assert (failed["errorCode"], failed["failureStatus"]) == ("Stream_WrongNumberOfFields", "Permanent")
    assert uuid.UUID(good["sourceId"]) != uuid.UUID(failed["sourceId"])
    counts = adx.ask(operation_id, None).json()["status"]
    assert counts == {"succeeded": 1, "failed": 1, "inProgress": 0, "canceled": 0}


def test_a_waiting_blob_is_queued_to_the_sdk_and_in_progress_to_the_documentation(adx: Adx) -> None:
    adx.simulator.configure(batching_seconds=600)
    adx.simulator.configure(dialect="sdk", database=DATABASE, table="other")
    url = adx.put("a.csv")
    first, second = adx.submit(url), adx.submit(url, table="other")
    assert [blob["status"] for blob in adx.details(first)] == ["InProgress"]
    assert [blob["status"] for blob in adx.details(second, table="other")] == ["Queued"]
    body = adx.ask(second, table="other").json()
    assert body["status"]["inProgress"] == 1
    assert "lastUpdated" not in body
    assert adx.simulator.books().unfinished == 2


def test_the_details_show_credentials_only_if_told_to(adx: Adx) -> None:
    url = adx.put("a.csv")
    operation_id = adx.submit(url)
    assert adx.details(operation_id)[0]["url"] == url.split("?")[0]
    adx.simulator.configure(show_url_query=True)
    assert adx.details(operation_id)[0]["url"] == url


def test_an_operation_is_unknown_until_it_is_visible(adx: Adx) -> None:
    adx.simulator.configure(visible_after_seconds=600)
    hidden = adx.submit(adx.put("a.csv"))
    answer = adx.ask(hidden)
    assert answer.status_code == 404
    assert answer.json()["error"]["@permanent"] is False
    adx.simulator.configure(visible_after_seconds=0.5)
    url = adx.put("b.csv")
    before = time.monotonic()
    late = adx.submit(url)
    eventually(lambda: adx.ask(late).status_code == 200)
    assert time.monotonic() - before >= 0.5


def test_counts_may_be_all_zero_at_first(adx: Adx) -> None:
    adx.simulator.configure(counted_after_seconds=100_000)
    body = adx.ask(adx.submit(adx.put("a.csv"))).json()
    assert (set(body["status"].values()), body["details"]) == ({0}, [])


def test_ids_and_names_with_any_character_come_back_decoded(adx: Adx) -> None:
    adx.simulator.configure(operation_id_pattern="a/b;50% of {n}?#ü")
    database, table = "d/b;1 %2F", "t/b;2 %"
    url = adx.put("a.csv")
    operation_id = adx.submit(url, database=database, table=table)
    assert re.fullmatch(r"a/b;50% of \d+\?#ü", operation_id)
    path = adx.path(database, table, operation_id)
    eventually(lambda: adx.session.get(path, timeout=PATIENCE).json()["status"]["Succeeded"] == 1)
    assert adx.simulator.books().table(database, table).rows == 3
    assert adx.ask(operation_id).status_code == 404, "it is another table's operation"


def test_operation_ids_are_of_the_documented_kind_and_repeat_with_the_seed() -> None:
    def ids(seed: int) -> list[str]:
        with AdxSimulator.start(seed=seed) as running, requests.Session() as session:
            body = {
                "blobs": [{"url": "http://127.0.0.1:1/a"}],
                "properties": {"format": "csv", "enableTracking": True},
            }
            headers = {"Authorization": "Bearer x"}
            path = f"{running.uri}/v1/rest/ingestion/queued/d/t"
            answers = [session.post(path, json=body, headers=headers, timeout=PATIENCE).json() for _ in range(2)]
            return [answer["ingestionOperationId"] for answer in answers]

    first = ids(1)
    assert all(each.startswith("00001111;11112222;") for each in first)
    assert first == ids(1) != ids(2)


@pytest.mark.parametrize("properties", [{"skipBatching": True}, {"tags": ["ingest-by:x"]}])
def test_what_does_not_wait_for_a_batch_is_sooner(adx: Adx, properties: dict[str, Any]) -> None:
    # What waits does so for 18 s at least, and what does not for 6 s at the most.
    adx.simulator.configure(batching_seconds=60)
    waiting = adx.submit(*(adx.put(f"{n}.csv") for n in range(10)))
    assert adx.finished(adx.submit(adx.put("sooner.csv"), **properties))[0]["status"] == "Succeeded"
    assert {blob["status"] for blob in adx.details(waiting)} == {"InProgress"}


def test_blobs_of_an_operation_end_at_moments_of_their_own() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def ingest() -> None:
        faults = Faults([BlobFault(kind="permanent")], seed=0, rng=Random(0))
        async with aiohttp.ClientSession() as session:
            ingestion = Ingestion(
                Settings(batching_seconds=2),
                faults,
                session=session,
                pool=InlineExecutor(),
                rng=Random(0),
                now=lambda: datetime.now(UTC),
                sleep=sleep,
            )
            blobs = [{"url": f"http://x/{number}"} for number in range(5)]
            body = json.dumps({"blobs": blobs, "properties": {"format": "csv"}}).encode()
            ingestion.accept(DATABASE, TABLE, read_submission(body, max_blobs=5))
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(ingest())
    # Each waits in two halves.
    delays = sorted(2 * seconds for seconds in set(waited))
    assert len(delays) == 5
    assert 0.6 <= delays[0] < delays[-1] - 0.1 < delays[-1] <= 2


@pytest.mark.parametrize("details", ["1", "yes", "nonsense"])
def test_details_are_true_or_false(adx: Adx, details: str) -> None:
    assert adx.ask(adx.submit(adx.put("a.csv")), details).status_code == 400


# Access


def test_a_bearer_token_is_needed(adx: Adx) -> None:
    path = adx.path(DATABASE, TABLE, "x")
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Basic x"}):
        answer = requests.get(path, headers=headers, timeout=PATIENCE)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")
    assert requests.get(path, headers={"Authorization": "bearer x"}, timeout=PATIENCE).status_code == 404


def test_the_one_token_may_be_chosen(adx: Adx) -> None:
    adx.simulator.configure(token="mine")
    path = adx.path(DATABASE, TABLE, "x")
    assert requests.get(path, headers={"Authorization": "Bearer other"}, timeout=PATIENCE).status_code == 401
    assert requests.get(path, headers={"Authorization": "Bearer mine"}, timeout=PATIENCE).status_code == 404


def test_every_answer_names_its_activity_and_the_request(adx: Adx) -> None:
    answers = [
        adx.session.get(f"{adx.simulator.uri}/{path}", headers={"x-ms-client-request-id": "my;1"}, timeout=PATIENCE)
        for path in ("", "v1/rest/ingestion/configuration", "simulator/books", "v1/rest/ingestion/queued/d/t/x")
    ]
    assert len({answer.headers["x-ms-activity-id"] for answer in answers}) == 4
    assert {answer.headers["x-ms-client-request-id"] for answer in answers} == {"my;1"}


# Real failures


@pytest.mark.parametrize(
    ("data", "form", "code"),
    [
        (b"", "csv", "BadRequest_EmptyBlob"),
        (b"1,2\n3\n", "csv", "Stream_WrongNumberOfFields"),
        (b'1,"2\n3,4\n', "csv", "Stream_ClosingQuoteMissing"),
        (b'{"a":', "json", "BadRequest_UnexpectedCharacterInInputStream"),
        (b"\x1f\x8bnonsense", "csv", "BadRequest_InvalidBlob"),
        (b"nonsense", "parquet", "BadRequest_InvalidBlob"),
    ],
)
def test_a_broken_blob_fails_for_good_and_brings_no_row(adx: Adx, data: bytes, form: str, code: str) -> None:
    (blob,) = adx.finished(adx.submit(adx.put("bad", data), format=form))
    assert (blob["status"], blob["errorCode"], blob["failureStatus"]) == ("Failed", code, "Permanent")
    assert blob["details"]
    assert adx.simulator.books().rows == 0


def test_a_blob_that_is_not_there_or_not_readable_fails_for_good(adx: Adx) -> None:
    url = adx.put("a.csv").split("?")[0]
    name = url.split(f"/{CONTAINER}/")[1]
    gone = signed(f"{url}.gone", f"{name}.gone")
    expired = signed(url, name, valid=timedelta(hours=-1))
    for given, code in (
        (gone, "Download_SourceNotFound"),
        (expired, "Download_Forbidden"),
        (url, "Download_Forbidden"),
        ("ftp://x/y.csv", "BadRequest_InvalidBlobUri"),
    ):
        (blob,) = adx.finished(adx.submit(given))
        assert (blob["errorCode"], blob["failureStatus"]) == (code, "Permanent")


def test_an_account_that_cannot_be_connected_fails_for_now(adx: Adx) -> None:
    (blob,) = adx.finished(adx.submit(f"http://127.0.0.1:{quiet_port()}/account/box/a.csv"))
    assert (blob["errorCode"], blob["failureStatus"]) == ("Download_UnknownError", "Transient")


# Faults of blobs


def test_a_transient_fault_goes_away_after_some_submissions(adx: Adx) -> None:
    adx.simulator.set_faults([BlobFault(kind="transient", url_contains="late", submissions=2)])
    late, other = adx.put("late.csv"), adx.put("other.csv")
    for _ in range(2):
        struck, spared = adx.finished(adx.submit(late, other))
        assert (struck["errorCode"], struck["failureStatus"]) == ("General_ThrottledIngestion", "Transient")
        assert spared["status"] == "Succeeded"
    assert adx.finished(adx.submit(late))[0]["status"] == "Succeeded"
    assert adx.simulator.struck() == [2]
    blob = adx.simulator.books().blob("late")
    assert (blob.submissions, blob.times_ingested, len(blob.operations)) == (3, 1, 3)


def test_a_mending_fault_is_shown_as_failed_then_in_progress_then_succeeded(adx: Adx) -> None:
    adx.simulator.set_faults([BlobFault(kind="mending", seconds=600)])
    operation_id = adx.submit(adx.put("a.csv"))

    def states() -> list[str]:
        return [blob["status"] for blob in adx.details(operation_id)]

    eventually(lambda: states() == ["Failed"])
    assert adx.details(operation_id)[0]["failureStatus"] == "Transient"
    assert adx.simulator.books().unfinished == 1
    adx.simulator.mend()
    eventually(lambda: states() == ["InProgress"])
    assert "errorCode" not in adx.details(operation_id)[0]
    assert adx.simulator.books().rows == 0
    adx.simulator.mend()
    eventually(lambda: states() == ["Succeeded"])
    assert adx.simulator.books().blob("a.csv").times_ingested == 1


def test_a_mending_fault_mends_by_itself_after_some_time(adx: Adx) -> None:
    adx.simulator.set_faults([BlobFault(kind="mending", seconds=0.2)])
    url = adx.put("a.csv")
    before = time.monotonic()
    operation_id = adx.submit(url)
    eventually(lambda: [blob["status"] for blob in adx.details(operation_id)] == ["Succeeded"])
    assert time.monotonic() - before >= 0.4


@pytest.mark.parametrize(
    ("fault", "code", "failure_status"),
    [
        (BlobFault(kind="already-ingested"), "Skipped_IngestByTagAlreadyExists", "Permanent"),
        (BlobFault(kind="exhausted"), "General_RetryAttemptsExceeded", "Exhausted"),
        (BlobFault(kind="unknown"), "Unknown", "Unknown"),
        (BlobFault(kind="permanent"), "BadRequest_MissingMappingFailure", "Permanent"),
        (BlobFault(kind="permanent", code="BadRequest_TableNotExist"), "BadRequest_TableNotExist", "Permanent"),
        (BlobFault(kind="transient", code="Timeout", failure_status="Baffling"), "Timeout", "Baffling"),
    ],
)
def test_faults_have_the_codes_of_adx(adx: Adx, fault: BlobFault, code: str, failure_status: str) -> None:
    adx.simulator.set_faults([fault])
    (blob,) = adx.finished(adx.submit(adx.put("a.csv")))
    assert (blob["status"], blob["errorCode"], blob["failureStatus"]) == ("Failed", code, failure_status)
    assert adx.simulator.books().rows == 0


def test_a_fault_may_be_for_one_table(adx: Adx) -> None:
    adx.simulator.set_faults([BlobFault(kind="permanent", table="other")])
    url = adx.put("a.csv")
    assert adx.finished(adx.submit(url))[0]["status"] == "Succeeded"
    assert adx.finished(adx.submit(url, table="other"), table="other")[0]["status"] == "Failed"


def test_blobs_may_be_canceled_or_stuck(adx: Adx) -> None:
    adx.simulator.set_faults(
        [BlobFault(kind="canceled", url_contains="canceled"), BlobFault(kind="stuck", url_contains="stuck")]
    )
    operation_id = adx.submit(adx.put("canceled.csv"), adx.put("stuck.csv"))
    adx.settled()
    assert [blob["status"] for blob in adx.details(operation_id)] == ["Canceled", "InProgress"]
    assert adx.simulator.books().rows == 0


# Faults of requests


def test_a_throttled_request_says_when_to_come_again(adx: Adx) -> None:
    operation_id = adx.submit(adx.put("a.csv"))
    fault = RequestFault(effect="error", request="status", status=429, retry_after="7", times=2)
    adx.simulator.set_faults([fault])
    for _ in range(2):
        answer = adx.ask(operation_id)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
        assert answer.json()["error"]["@permanent"] is False
    assert adx.ask(operation_id).status_code == 200
    assert adx.simulator.struck() == [2]


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "body_starts"),
    [
        (RequestFault(effect="error", code="Odd", permanent=True), 503, "application/json", '{"error": {"code": "Odd"'),
        (RequestFault(effect="error", status=401), 401, "application/json", '{"error": {"code": "Unauthorized"'),
        (RequestFault(effect="error", status=403), 403, "application/json", '{"error": {"code": "Forbidden"'),
        (RequestFault(effect="html"), 502, "text/html", "<html>"),
        (RequestFault(effect="html", status=200), 200, "text/html", "<html>"),
        (RequestFault(effect="empty"), 200, "application/json", ""),
        (RequestFault(effect="empty", status=504), 504, "application/json", ""),
    ],
)
def test_wrong_answers(adx: Adx, fault: RequestFault, status: int, content_type: str, body_starts: str) -> None:
    adx.simulator.set_faults([fault])
    answer = adx.ask("x")
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (status, content_type)
    assert answer.text.startswith(body_starts)
    assert bool(answer.text) == bool(body_starts)


def test_a_request_may_hang_for_a_while_or_for_ever(adx: Adx) -> None:
    operation_id = adx.submit(adx.put("a.csv"))
    adx.simulator.set_faults([RequestFault(effect="hang", times=1), RequestFault(effect="hang", seconds=0.3, times=1)])
    with hanging_up("GET", adx.path(DATABASE, TABLE, operation_id)):
        eventually(lambda: adx.simulator.struck() == [1, 0])
    before = time.monotonic()
    assert adx.ask(operation_id).status_code == 200
    assert time.monotonic() - before >= 0.3
    eventually(lambda: adx.simulator.requests().count("status", status=0) == 1)


def test_a_trickling_body_comes_whole_but_late(adx: Adx) -> None:
    operation_id = adx.submit(adx.put("a.csv"))
    adx.simulator.set_faults([RequestFault(effect="trickle", seconds=0.005)])
    before = time.monotonic()
    answer = adx.ask(operation_id, None)
    assert answer.json()["status"]
    assert time.monotonic() - before >= 0.005 * len(answer.content)


def test_a_connection_may_be_closed(adx: Adx) -> None:
    adx.simulator.set_faults([RequestFault(effect="close", request="configuration")])
    with pytest.raises(requests.ConnectionError):
        adx.session.get(f"{adx.simulator.uri}/v1/rest/ingestion/configuration", timeout=PATIENCE)
    assert adx.simulator.requests().count("configuration", status=0) == 1


@pytest.mark.parametrize(
    "fault",
    [
        RequestFault(effect="close", request="submit", accepted=True),
        RequestFault(effect="hang", request="submit", accepted=True),
        RequestFault(effect="error", request="submit", accepted=True, status=504),
    ],
)
@pytest.mark.parametrize("accepted", [True, False])
def test_a_submission_may_be_taken_and_its_answer_lost(adx: Adx, fault: RequestFault, accepted: bool) -> None:  # noqa: FBT001, a parameter of the test
    adx.simulator.set_faults([fault if accepted else RequestFault(effect=fault.effect, request="submit")])
    body = {"blobs": [{"url": adx.put("a.csv")}], "properties": {"format": "csv", "enableTracking": True}}
    if fault.effect == "hang":
        with hanging_up("POST", adx.path(DATABASE, TABLE), json.dumps(body)):
            eventually(lambda: adx.simulator.struck() == [1] and len(adx.simulator.books().blobs) == accepted)
    elif fault.effect == "close":
        with pytest.raises(requests.ConnectionError):
            adx.post(body)
    else:
        assert adx.post(body).json()["error"]
    adx.settled()
    assert adx.simulator.struck() == [1]
    assert adx.simulator.books().rows == (3 if accepted else 0)


@contextmanager
def hanging_up(method: str, url: str, body: str | None = None) -> Iterator[None]:
    """A request under way, whose client hangs up at the end without an answer."""
    address = urlsplit(url)
    with closing(http.client.HTTPConnection(address.netloc, timeout=PATIENCE)) as connection:
        connection.request(method, address.path, body, {"Authorization": "Bearer local"})
        yield
        assert not select.select([connection.sock], [], [], 0)[0]


def test_a_fault_may_be_for_the_requests_of_one_app_alone(adx: Adx) -> None:
    operation_id = adx.submit(adx.put("a.csv"))
    adx.simulator.set_faults([RequestFault(effect="error", app="Watcher")])
    statuses = []
    for app in ("Watcher", "Other", "Watchers"):
        adx.session.headers["x-ms-app"] = app
        statuses.append(adx.ask(operation_id).status_code == 503)
    assert statuses == [True, False, False]


def test_a_fault_may_be_for_requests_with_details_of_some_operations_alone(adx: Adx) -> None:
    first, second = adx.submit(adx.put("a.csv")), adx.submit(adx.put("b.csv"))
    adx.simulator.set_faults([RequestFault(effect="error", details=True, operation_contains=first)])
    assert [adx.ask(each, details).status_code for each in (first, second) for details in ("true", "false")] == [
        503,
        200,
        200,
        200,
    ]


def test_details_may_lack_a_failed_blob_or_all_for_a_while(adx: Adx) -> None:
    operation_id = adx.submit(adx.put("a.csv"), adx.put("bad.csv", b"1,2\n3\n"))
    adx.finished(operation_id)
    adx.simulator.set_faults(
        [RequestFault(effect="hide-failed", times=2), RequestFault(effect="hide-details", times=1)]
    )
    seen = [adx.ask(operation_id).json() for _ in range(4)]
    assert [len(body["details"]) for body in seen] == [1, 1, 0, 2]
    assert all(body["status"]["Failed"] == 1 for body in seen)


# Control


def test_planted_answers_come_byte_for_byte(adx: Adx) -> None:
    operation_id = "ingest_op_12345/;%"
    plain = [Answer(status=503, body="no", headers={"Retry-After": "1", "Content-Type": "text/plain"})]
    adx.simulator.plant(
        operation_id=operation_id,
        database=DATABASE,
        table=TABLE,
        plain=[*plain, Answer(body=PLAIN_SAMPLE)],
        detailed=[Answer(body=DETAILED_SAMPLE)],
    )
    first = adx.ask(operation_id, "false")
    assert (first.status_code, first.text, first.headers["Retry-After"]) == (503, "no", "1")
    assert first.headers["Content-Type"] == "text/plain"
    for _ in range(2):
        assert adx.ask(operation_id, None).content == PLAIN_SAMPLE.encode()
        assert adx.ask(operation_id).content == DETAILED_SAMPLE.encode()


@pytest.mark.parametrize(("dialect", "succeeded"), [("documented", "Succeeded"), ("sdk", "succeeded")])
def test_many_operations_are_planted_by_a_rule(adx: Adx, dialect: str, succeeded: str) -> None:
    adx.simulator.configure(dialect=dialect)
    crowd = Crowd(database=DATABASE, table=TABLE, count=200, blobs=3, finished_share=0.05)
    adx.simulator.plant_many(crowd)
    finished = [number for number in range(200) if crowd.is_finished(number)]
    assert len(finished) == 10
    for number in (0, *finished):
        answer = adx.ask(crowd.operation_id(number), "false").json()
        assert answer["status"][succeeded] == (3 if number in finished else 0)
        assert sum(answer["status"].values()) == 3
    statuses = {each["status"] for each in adx.details(crowd.operation_id(finished[0]))}
    assert statuses == {"Succeeded"}
    assert len(adx.details(crowd.operation_id(0))) == 3
    for unknown in ("planted-200", "planted-007", "planted--1", "planted-", "7", "x"):
        assert adx.ask(unknown).status_code == 404


def test_operations_planted_by_a_rule_may_end_one_after_the_other(adx: Adx) -> None:
    crowd = Crowd(database=DATABASE, table=TABLE, count=2, finished_share=1.0, ends_over_seconds=0.2)
    adx.simulator.plant_many(crowd)
    for number in range(2):
        path = crowd.operation_id(number)
        eventually(lambda path=path: adx.ask(path, "false").json()["status"]["Succeeded"])  # type: ignore[misc]  # kept


def test_each_of_a_crowd_ends_at_its_time() -> None:
    planted_at = datetime(2026, 11, 26, 12, tzinfo=UTC)
    clock = [planted_at]
    crowd = Crowd(database=DATABASE, table=TABLE, count=2, finished_share=1.0, ends_over_seconds=2.0)
    rule = crowd_rule(crowd, "documented", lambda: clock[0])

    def ended(seconds: float) -> list[bool]:
        clock[0] = planted_at + timedelta(seconds=seconds)
        answers = [planted.next(details=False) for number in range(2) if (planted := rule(f"planted-{number}"))]
        return [json.loads(answer.body)["status"]["Succeeded"] == 1 for answer in answers if answer]

    assert [ended(seconds) for seconds in (0, 0.99, 1, 1.99, 2)] == [
        [False, False],
        [False, False],
        [True, False],
        [True, False],
        [True, True],
    ]


def test_what_is_planted_by_hand_stands_before_a_rule_and_another_rule_in_its_place(adx: Adx) -> None:
    adx.simulator.plant(operation_id="planted-0", database=DATABASE, table=TABLE, plain=[Answer(body="{}")])
    adx.simulator.plant_many(Crowd(database=DATABASE, table=TABLE, count=2, finished_share=0.0))
    assert adx.ask("planted-0", "false").json() == {}
    adx.simulator.plant_many(Crowd(database=DATABASE, table=TABLE, count=2, finished_share=1.0))
    assert adx.ask("planted-1", "false").json()["status"]["Succeeded"] == 1
    adx.simulator.reset()
    assert adx.ask("planted-1").status_code == 404


def test_answers_come_later_by_the_latency_and_hold_no_other_up(adx: Adx) -> None:
    adx.simulator.plant_many(Crowd(database=DATABASE, table=TABLE, count=20))
    # One after the other they would take 20 s.
    adx.simulator.configure(latency_seconds=1)
    began = time.monotonic()
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(adx.ask, (f"planted-{number}" for number in range(20))))
    assert {answer.status_code for answer in answers} == {200}
    assert 1 <= time.monotonic() - began < 15
    with pytest.raises(ControlRefused, match="latency_seconds"):
        adx.simulator.configure(latency_seconds=-1)


def test_an_operation_planted_without_details_has_none(adx: Adx) -> None:
    adx.simulator.plant(operation_id="x", database=DATABASE, table=TABLE, plain=[Answer(body="{}")])
    assert adx.ask("x", "false").status_code == 200
    assert adx.ask("x").status_code == 404


def show(adx: Adx, *operation_ids: str) -> list[dict[str, Any]]:
    """Asks for many operations at once, and returns the rows by the names of their columns."""
    ids = ", ".join(map(json.dumps, operation_ids))
    body = {"db": DATABASE, "csl": f".show queued ingestion operations ({ids})"}
    answer = adx.session.post(f"{adx.simulator.uri}/v1/rest/mgmt", json=body, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    [table] = answer.json()["Tables"]
    return [dict(zip([column["ColumnName"] for column in table["Columns"]], row, strict=True)) for row in table["Rows"]]


def test_one_command_shows_many_operations_wherever_they_go_to(adx: Adx) -> None:
    adx.simulator.configure(operation_id_pattern='"{n}\\')
    adx.simulator.set_faults(
        [BlobFault(kind="stuck", url_contains="stuck"), BlobFault(kind="transient", table="other")]
    )
    done, failed = adx.submit(adx.put("a.csv")), adx.submit(adx.put("b.csv"), table="other")
    stuck = adx.submit(adx.put("stuck.csv"), adx.put("c.csv"))
    adx.settled()
    rows = {row["IngestionOperationId"]: row for row in show(adx, stuck, done, failed, done, "unknown")}
    named = ("State", "Discovered", "Pending", "Canceled", "Ingested", "Failed", "Database", "Table")
    assert {each: tuple(rows[each][name] for name in named) for each in rows} == {
        done: ("Completed", 1, 0, 0, 1, 0, DATABASE, TABLE),
        failed: ("Failed", 1, 0, 0, 0, 1, DATABASE, "other"),
        stuck: ("InProgress", 2, 1, 0, 1, 0, DATABASE, TABLE),
    }
    assert "switched on" in rows[failed]["SampleFailedReasons"]
    assert adx.simulator.requests().count("bulk", status=200) == 1


def test_the_command_shows_one_operation_without_brackets(adx: Adx) -> None:
    body = {"db": DATABASE, "csl": f'.show queued ingestion operations "{adx.submit(adx.put("a.csv"))}"'}
    answer = adx.session.post(f"{adx.simulator.uri}/v1/rest/mgmt", json=body, timeout=PATIENCE)
    assert len(answer.json()["Tables"][0]["Rows"]) == 1


def test_the_command_may_hide_a_share_of_the_operations(adx: Adx) -> None:
    adx.simulator.configure(bulk_hides=0.5, batching_seconds=600)
    url = adx.put("a.csv")
    operations = [adx.submit(url) for _ in range(40)]
    shown = [row["IngestionOperationId"] for row in show(adx, *operations)]
    assert 5 < len(shown) < 35
    assert [row["IngestionOperationId"] for row in show(adx, *operations)] == shown
    adx.simulator.configure(bulk_hides=1)
    assert show(adx, *operations) == []


@pytest.mark.parametrize(
    "body",
    [
        {"db": DATABASE, "csl": ".show tables"},
        {"db": DATABASE, "csl": ".show queued ingestion operations ()"},
        {"db": DATABASE, "csl": '.show queued ingestion operations ("a" "b")'},
        {"db": DATABASE, "csl": '.show queued ingestion operations "\\q"'},
        {"db": DATABASE, "csl": 1},
        {"db": DATABASE},
        [],
    ],
)
def test_another_command_is_refused(adx: Adx, body: object) -> None:
    answer = adx.session.post(f"{adx.simulator.uri}/v1/rest/mgmt", json=body, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["error"]["@permanent"]) == (400, True)


def test_polls_are_counted_by_operation(adx: Adx) -> None:
    for operation_id in ("one", "other", "one"):
        adx.ask(operation_id, "false")
        adx.ask(operation_id)
    assert adx.simulator.polls() == {1: 1, 2: 1}


def test_requests_are_counted_and_the_last_remembered(adx: Adx) -> None:
    operation_id = adx.submit(adx.put("a.csv"))
    adx.ask(operation_id, "false")
    adx.ask("unknown; id")
    requests.get(f"{adx.simulator.uri}/v1/rest/ingestion/configuration", timeout=PATIENCE)
    counts = adx.simulator.requests()
    assert counts.count() == 4
    assert counts.count("submit", status=200) == counts.count("status", details=False, status=200) == 1
    assert counts.count("status", details=True, status=404) == counts.count(status=401) == 1
    last = adx.simulator.last_requests(2)
    assert [(record.kind, record.status, record.authorized) for record in last] == [
        ("status", 404, True),
        ("configuration", 401, False),
    ]
    assert last[0].path.endswith("/unknown%3B%20id?details=true")
    assert "Authorization" in last[0].headers
    assert "local" not in json.dumps(last[0].headers)


def test_a_reset_forgets_everything(adx: Adx) -> None:
    operation_id = adx.submit(adx.put("a.csv"))
    adx.simulator.configure(dialect="sdk", batching_seconds=600)
    waiting = adx.submit(adx.put("b.csv"))
    adx.simulator.set_faults([RequestFault(effect="error", times=0)])
    adx.simulator.reset()
    assert [adx.ask(each).status_code for each in (operation_id, waiting)] == [404, 404]
    adx.settled()
    books = adx.simulator.books()
    assert (books.tables, books.blobs) == ((), ())
    assert adx.simulator.struck() == []
    assert adx.simulator.requests().count() == 2
    assert "Succeeded" in adx.ask(adx.submit(adx.put("c.csv"))).json()["status"]


def test_what_the_control_endpoints_do_not_understand_is_an_error_that_says_why(adx: Adx) -> None:
    with pytest.raises(ControlRefused, match="nonsense"):
        adx.simulator.configure(nonsense=1)
    for method, path, status in (("POST", "faults", 400), ("POST", "nonsense", 404), ("GET", "nonsense", 404)):
        answer = adx.session.request(method, f"{adx.simulator.uri}/simulator/{path}", data=b"[]", timeout=PATIENCE)
        assert answer.status_code == status


def test_its_books_are_also_plain_json(adx: Adx) -> None:
    url = adx.put("a.csv")
    for _ in range(2):
        adx.finished(adx.submit(url))
    books = adx.session.get(f"{adx.simulator.uri}/simulator/books", timeout=PATIENCE).json()
    assert books["tables"][0]["rows"] == 6
    assert [blob["times_ingested"] for blob in books["duplicates"]] == [2]


# The process


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_takes_the_port_it_is_told_and_ends_in_order_though_requests_hang() -> None:
    port = quiet_port()
    with AdxSimulator.start(port=port, batching_seconds=600) as running, ThreadPoolExecutor(1) as pool:
        assert running.uri == f"http://127.0.0.1:{port}"
        running.set_faults([RequestFault(effect="hang", request="status")])
        path = f"{running.uri}/v1/rest/ingestion/queued/d/t"
        headers = {"Authorization": "Bearer x"}
        body = {"blobs": [{"url": "http://127.0.0.1:1/a"}], "properties": {"format": "csv"}}
        assert requests.post(path, json=body, headers=headers, timeout=PATIENCE).status_code == 200
        hanging = pool.submit(requests.get, f"{path}/x", headers=headers, timeout=PATIENCE)
        eventually(lambda: running.struck() == [1])
        assert running.stop() == 0
        with pytest.raises(requests.ConnectionError):
            hanging.result(PATIENCE)
    assert not listens(port)


def test_a_killed_one_is_gone_at_once() -> None:
    running = AdxSimulator.start()
    assert running.kill() == -signal.SIGKILL
    with pytest.raises(ConnectionRefusedError):
        running.books()


def test_a_taken_port_is_an_error_that_says_so(simulator: AdxSimulator) -> None:
    with pytest.raises(ProcessFailed, match="address already in use"):
        AdxSimulator.start(port=int(simulator.uri.rsplit(":", 1)[1]))


def test_a_pattern_that_would_repeat_ids_is_an_error_that_says_so() -> None:
    with pytest.raises(ProcessFailed, match="no two operations may share an ID"):
        AdxSimulator.start(operation_id_pattern="same")


def test_it_is_gone_after_its_parent_was_killed() -> None:
    program = (
        "import time; from local.adx_simulator import AdxSimulator;"
        "print(AdxSimulator.start().uri, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline().rsplit(":", 1)[1])
        assert listens(port)
        os.kill(parent.pid, signal.SIGKILL)
    eventually(lambda: not listens(port))


def test_the_command_line_announces_its_address_first_and_stops_on_sigterm() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "local.adx_simulator", "--dialect", "sdk"],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        uri = json.loads(process.stdout.readline())["uri"]
        assert requests.get(f"{uri}/simulator/books", timeout=PATIENCE).json()["tables"] == []
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
