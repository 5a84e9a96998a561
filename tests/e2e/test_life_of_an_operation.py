"""The app in the local host, on Azurite, against the ADX simulator: from a message to every blob's fate."""

import base64
import json
import uuid
from pathlib import Path

import pytest
import requests

from local.adx_simulator import AdxSimulator, Answer, BlobFault
from local.functions_host import HostFailed
from tests.support.world import DATABASE, World, eventually

GOOD = b"1,2\n3,4\n"
SAMPLES = Path(__file__).parent.parent / "support" / "samples"


@pytest.mark.parametrize("dialect", ["documented", "sdk", "sdk-with-url"])
def test_every_blobs_fate_is_written_down_in_either_dialect(world: World, adx: AdxSimulator, dialect: str) -> None:
    adx.configure(dialect=dialect)
    world.start_host()
    operation_id = world.submit_and_post(
        [world.upload("good.csv", GOOD), world.upload("bad.csv", b"a,b\n1,2,3\n"), world.url("missing.csv")],
        correlationId="load-7",
    )
    row = world.settled(operation_id)
    assert (row["State"], row["Succeeded"], row["Failed"], row["InProgress"]) == ("PartiallySucceeded", 1, 2, 0)
    assert (row["PermanentFailures"], row["TransientFailures"], row["RetriedBlobs"]) == (2, 0, 0)
    assert (row["Attempt"], row["RootOperationId"], row["CorrelationId"]) == (1, operation_id, "load-7")
    assert row["SettledAt"] >= row["RegisteredAt"]
    blobs = {blob["Url"].rpartition("/")[2]: blob for blob in world.blobs(operation_id)}
    assert {name: (blob["Status"], blob.get("ErrorCode")) for name, blob in blobs.items()} == {
        "good.csv": ("Succeeded", None),
        "bad.csv": ("Failed", "Stream_WrongNumberOfFields"),
        "missing.csv": ("Failed", "Download_SourceNotFound"),
    }
    assert not any("sig=" in str(value) for blob in blobs.values() for value in blob.values())
    assert {blob["RetryState"] for blob in blobs.values()} == {""}
    eventually(lambda: not world.outstanding(), "the end of the watch")


def test_the_documentations_own_answers_are_read(world: World, adx: AdxSimulator) -> None:
    adx.plant(
        operation_id="ingest_op_12345",
        database=DATABASE,
        table=world.table,
        plain=[Answer(body=(SAMPLES / "status-summary.json").read_text())],
        detailed=[Answer(body=(SAMPLES / "status-details.json").read_text())],
    )
    world.start_host()
    world.post("ingest_op_12345")
    blobs = eventually(lambda: world.blobs("ingest_op_12345"))
    found = {blob["Url"]: (blob["Status"], blob.get("ErrorCode"), blob.get("FailureStatus")) for blob in blobs}
    assert found == {
        "https://example.com/blob1.csv.gz": ("Failed", "BadRequest_MissingMappingFailure", "Permanent"),
        "https://example.com/blob2.csv.gz": ("InProgress", None, None),
        "https://example.com/blob3.csv.gz": ("Succeeded", None, None),
    }
    eventually(lambda: world.known("ingest_op_12345")["Failed"])
    row = world.known("ingest_op_12345")
    assert row["State"] == "InProgress"
    assert row["FirstErrorCode"] == "BadRequest_MissingMappingFailure"


def test_an_operation_id_may_hold_any_character(world: World, adx: AdxSimulator) -> None:
    adx.configure(operation_id_pattern="a;b/c%d e#?f\\g='{guid}")
    world.start_host()
    operation_id = world.submit_and_post([world.upload("good.csv", GOOD)])
    assert world.settled(operation_id)["State"] == "Succeeded"
    assert world.blob(operation_id)["Status"] == "Succeeded"


@pytest.mark.parametrize("dialect", ["documented", "sdk"])
def test_a_transient_failure_succeeds_at_its_third_attempt(world: World, adx: AdxSimulator, dialect: str) -> None:
    adx.configure(dialect=dialect)
    adx.set_faults([BlobFault(kind="transient", url_contains="flaky", submissions=2)])
    world.start_host()
    first = world.submit_and_post([world.upload("good.csv", GOOD), world.upload("flaky.csv", b"x,y\n5,6\n")])
    eventually(lambda: [row for row in world.operations() if row["Attempt"] == 3 and row["State"] == "Succeeded"])
    rows = {row["Attempt"]: row for row in world.operations()}
    assert [rows[attempt]["State"] for attempt in (1, 2, 3)] == ["PartiallySucceeded", "Failed", "Succeeded"]
    assert [rows[attempt].get("ParentOperationId") for attempt in (1, 2, 3)] == [
        None,
        first,
        rows[2]["OperationId"],
    ]
    assert {row["RootOperationId"] for row in rows.values()} == {first}
    flaky = next(blob for blob in world.blobs(first) if "flaky" in blob["Url"])
    assert (flaky["RetryState"], flaky["RetryOperationId"]) == ("Resubmitted", rows[2]["OperationId"])
    third = world.blob(str(rows[3]["OperationId"]))
    assert (third["Status"], third["Attempt"], third["Url"]) == ("Succeeded", 3, flaky["Url"])
    books = adx.books()
    assert (books.rows, books.duplicates, books.blob("flaky").submissions) == (4, (), 3)


def test_a_transient_failure_that_the_service_mends_is_not_submitted_again(world: World, adx: AdxSimulator) -> None:
    adx.set_faults([BlobFault(kind="mending", url_contains="mending", seconds=600)])
    with world.start_host(disabled="resubmit_blobs"):
        urls = [world.upload("good.csv", GOOD), world.upload("mending.csv", b"x,y\n5,6\n")]
        operation_id = world.submit_and_post(urls)
        assert world.settled(operation_id)["State"] == "PartiallySucceeded"
        assert {blob["RetryState"] for blob in world.blobs(operation_id)} == {"", "Enqueued"}
    for _ in range(2):
        adx.mend()
    eventually(lambda: adx.books().rows == 4, "the service's own retry")
    world.start_host()
    eventually(lambda: world.known(operation_id)["State"] == "Succeeded")
    assert {blob["RetryState"] for blob in world.blobs(operation_id)} == {"", "Recovered"}
    row = world.known(operation_id)
    assert (row["Succeeded"], row["Failed"], row["TransientFailures"]) == (2, 0, 0)
    assert not row["LastError"]
    books = adx.books()
    assert (books.rows, books.duplicates, books.blob("mending").submissions) == (4, (), 1)
    eventually(lambda: world.length("RETRY_QUEUE") == 0)


def test_a_blob_that_never_succeeds_exhausts_its_attempts(world: World, adx: AdxSimulator) -> None:
    adx.set_faults([BlobFault(kind="transient", url_contains="hopeless")])
    world.start_host(RETRY_MAX_ATTEMPTS="3")
    world.submit_and_post([world.upload("hopeless.csv", GOOD)])
    last = eventually(lambda: [row for row in world.operations() if row["Attempt"] == 3 and row["State"] == "Failed"])
    assert world.blob(last[0]["OperationId"])["RetryState"] == "AttemptsExhausted"
    eventually(lambda: world.length("RETRY_QUEUE") == 0)
    assert adx.books().blob("hopeless").submissions == 3


@pytest.mark.parametrize("kind", ["permanent", "exhausted", "unknown", "already-ingested", "canceled"])
def test_nothing_but_a_transient_failure_is_tried_again(world: World, adx: AdxSimulator, kind: str) -> None:
    adx.set_faults([BlobFault(kind=kind, url_contains="failing")])  # type: ignore[arg-type]  # one of its literals
    world.start_host()
    operation_id = world.submit_and_post([world.upload("failing.csv", GOOD)])
    states = {"already-ingested": "Succeeded", "canceled": "Canceled"}
    assert world.settled(operation_id)["State"] == states.get(kind, "Failed")
    assert world.blob(operation_id)["RetryState"] == ""
    assert world.length("RETRY_QUEUE") == 0
    assert adx.books().blob("failing").submissions == 1


def test_a_message_delivered_twice_changes_nothing(world: World, adx: AdxSimulator) -> None:
    host = world.start_host()
    operation_id, blobs = world.submit([world.upload("good.csv", GOOD)])
    message = {"operationId": operation_id, "properties": {"format": "csv"}, "blobs": blobs}
    for _ in range(2):
        world.post(message)
    before = world.settled(operation_id)
    world.post(message)
    eventually(lambda: "a message for a settled operation changes nothing" in host.output())
    assert world.operations() == [before]
    eventually(lambda: not world.outstanding(), "the end of the watch")
    assert adx.books().rows == 2


def test_a_bare_operation_id_and_base64_are_read(world: World) -> None:
    world.start_host()
    bare, _ = world.submit([world.upload("bare.csv", GOOD)])
    encoded, _ = world.submit([world.upload("encoded.csv", b"x,y\n5,6\n")])
    world.post(bare)
    world.post(base64.b64encode(json.dumps({"operationId": encoded}).encode()).decode())
    assert world.settled(bare)["State"] == "Succeeded"
    assert world.settled(encoded)["State"] == "Succeeded"


def test_without_properties_a_transient_failure_is_left_to_a_person(world: World, adx: AdxSimulator) -> None:
    adx.set_faults([BlobFault(kind="transient", url_contains="flaky")])
    world.start_host()
    operation_id = world.submit_and_post([world.upload("flaky.csv", GOOD)], properties=None)
    blob = eventually(lambda: [each for each in world.blobs(operation_id) if each["RetryState"] == "NotResubmittable"])[
        0
    ]
    assert "properties" in blob["RetryReason"]
    assert adx.books().blob("flaky").submissions == 1


def test_what_cant_be_understood_goes_to_the_poison_queue_as_it_came(world: World) -> None:
    host = world.start_host()
    refused = ['{"operationId": ', '{"database": "d"}', "[1, 2]", json.dumps({"operationId": "x", "blobs": "none"})]
    for text in refused:
        world.post(text)
    eventually(lambda: len(world.waiting("OPERATIONS_QUEUE", "-poison")) == len(refused))
    assert sorted(world.waiting("OPERATIONS_QUEUE", "-poison")) == sorted(refused)
    # It is told, and the host deletes the message, once it is kept.
    eventually(lambda: "'operationId' is missing" in host.output())
    eventually(lambda: world.length("OPERATIONS_QUEUE") == 0)
    assert not world.operations()


def test_an_endpoint_that_is_not_allowed_gets_no_byte(world: World) -> None:
    with AdxSimulator.start() as other:
        host = world.start_host()
        message = {"operationId": "stolen", "cluster": other.uri}
        world.post(message)
        assert eventually(lambda: world.waiting("OPERATIONS_QUEUE", "-poison")) == [json.dumps(message)]
        eventually(lambda: "KUSTO_ALLOWED_INGEST_URIS" in host.output())
        assert other.requests().counts == ()


def test_a_further_endpoint_is_polled_once_it_is_allowed(world: World) -> None:
    with AdxSimulator.start(batching_seconds=0.2) as other:
        world.start_host(KUSTO_ALLOWED_INGEST_URIS=other.uri)
        answer = requests.post(
            f"{other.uri}/v1/rest/ingestion/queued/{DATABASE}/{world.table}",
            json={
                "blobs": [{"url": world.upload("good.csv", GOOD)}],
                "properties": {"format": "csv", "enableTracking": True},
            },
            headers={"Authorization": "Bearer upstream"},
            timeout=90,
        )
        operation_id = answer.json()["ingestionOperationId"]
        world.post({"operationId": operation_id, "cluster": other.uri + "/"})
        row = world.settled(operation_id)
        assert (row["State"], row["Cluster"]) == ("Succeeded", other.uri)


def test_a_message_of_the_largest_size_is_tracked(world: World) -> None:
    world.start_host()
    operation_id, _ = world.submit([world.upload("good.csv", GOOD)])
    message = {"operationId": operation_id, "note": ""}
    message["note"] = "n" * (64 * 1024 - len(json.dumps(message)))
    world.post(message)
    assert world.settled(operation_id)["State"] == "Succeeded"


def test_handoff_leaves_the_retry_queue_to_its_consumer(world: World, adx: AdxSimulator) -> None:
    adx.set_faults([BlobFault(kind="transient", url_contains="flaky")])
    host = world.start_host(RETRY_MODE="handoff")
    assert "resubmit_blobs" not in host.functions
    url = world.upload("flaky.csv", GOOD)
    operation_id = world.submit_and_post([url], team="ingest")
    world.settled(operation_id)
    (text,) = eventually(lambda: world.waiting("RETRY_QUEUE"))
    message = json.loads(text)
    assert {name: message[name] for name in ("version", "operationId", "rootOperationId", "attempt", "team")} == {
        "version": 1,
        "operationId": operation_id,
        "rootOperationId": operation_id,
        "attempt": 1,
        "team": "ingest",
    }
    (blob,) = message["blobs"]
    assert (blob["url"], blob["failureStatus"]) == (url, "Transient")
    assert world.blob(operation_id)["RetryState"] == "Enqueued"


@pytest.mark.parametrize(
    ("access", "state", "error_code"),
    [("as-is", "Failed", "Download_Forbidden"), ("managed-identity", "Succeeded", None)],
)
def test_a_blob_whose_url_nobody_brought_is_read_in_the_way_of_the_setting(
    world: World, adx: AdxSimulator, access: str, state: str, error_code: str | None
) -> None:
    adx.set_faults([BlobFault(kind="transient", url_contains="flaky", submissions=1)])
    world.start_host(RETRY_BLOB_ACCESS=access)
    # ADX reports the URL without the SAS that it was submitted with.
    operation_id = world.submit_and_post([world.upload("flaky.csv", GOOD)], blobs=None)
    assert world.settled(operation_id)["State"] == "Failed"
    again = str(eventually(lambda: world.blob(operation_id).get("RetryOperationId")))
    assert world.settled(again)["State"] == state
    blob = world.blob(again)
    assert (blob.get("ErrorCode"), blob["Url"]) == (error_code, world.blob(operation_id)["Url"])


def test_a_consumer_of_the_retry_queue_can_keep_the_lineage_and_the_limit(world: World, adx: AdxSimulator) -> None:
    adx.set_faults([BlobFault(kind="transient", url_contains="flaky")])
    world.start_host(RETRY_MODE="handoff", RETRY_MAX_ATTEMPTS="2")
    url = world.upload("flaky.csv", GOOD)
    first = world.submit_and_post([url])
    (text,) = eventually(lambda: world.waiting("RETRY_QUEUE"))
    message = json.loads(text)
    second = world.submit_and_post(
        [url],
        attempt=message["attempt"] + 1,
        rootOperationId=message["rootOperationId"],
        parentOperationId=message["operationId"],
    )
    row = world.settled(second)
    assert (row["Attempt"], row["RootOperationId"], row["ParentOperationId"]) == (2, first, first)
    assert world.blob(second)["RetryState"] == "AttemptsExhausted"


def test_the_app_makes_its_queues_where_the_host_waits_for_them(world: World) -> None:
    for name in world.names.values():
        world.queues.delete_queue(name)
    world.start_host(create_queues=False)
    eventually(lambda: set(world.names.values()) <= {queue.name for queue in world.queues.list_queues()})
    operation_id = world.submit_and_post([world.upload("good.csv", GOOD)])
    assert world.settled(operation_id)["State"] == "Succeeded"


def test_an_operation_that_adx_does_not_know_ends_not_found(world: World) -> None:
    world.start_host(NOT_FOUND_GRACE_MINUTES="0")
    operation_id = str(uuid.uuid4())
    world.post(operation_id)
    row = world.settled(operation_id)
    assert row["State"] == "NotFound"
    assert "does not know the operation" in row["LastError"]


def test_wrong_settings_stop_the_start_with_one_message_that_lists_them(world: World) -> None:
    with pytest.raises(HostFailed) as failed:
        world.start_host(POLL_CONCURRENCY="many", RETRY_MODE="sometimes", KUSTO_INGEST_URI="http://example.com")
    for name in ("POLL_CONCURRENCY", "RETRY_MODE", "KUSTO_INGEST_URI"):
        assert f"- {name}: found " in str(failed.value)
