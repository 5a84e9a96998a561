"""News of ends, on real tables and a real queue, and over HTTP to what stands in for Event Grid."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueClient, QueueSasPermissions, generate_queue_sas

from local.azurite import ACCOUNT, KEY, Azurite
from samples.results import wait_for
from shared import announce, event_grid, metrics
from shared.announce import Failure
from shared.errors import OperationNotFound, Unavailable
from shared.messages import MOST_BYTES
from shared.model import BlobReport, Operation, OperationState, RetryState
from shared.news import News
from shared.queues import Queue
from shared.store.listing import Filter
from tests.support.event_grid import EventGrid, Failing
from tests.support.parts import CLUSTER, RETRYING, START, Parts, blob
from tests.support.recorded import Recorded

A, B, C = (f"https://account.blob.core.windows.net/c/{name}.csv" for name in "abc")


@pytest.fixture(autouse=True)
def _told(parts: Parts) -> None:
    parts.tell()


@pytest.fixture
def grid() -> Iterator[EventGrid]:
    with EventGrid() as running:
        yield running


def settle(parts: Parts, operation_id: str, *blobs: BlobReport, tick: bool = True) -> None:
    """An operation that ends with these blobs."""
    parts.register(operation_id, *(str(each.url) for each in blobs), correlation_id=f"load of {operation_id}")
    parts.adx.says(operation_id, *blobs)
    if tick:
        parts.tick()


def close_the_queue(parts: Parts, storage: Azurite) -> QueueClient:
    """Let nobody put news on their queue; returns what may again."""
    client = parts.news_client
    Queue(client).create()
    sas = generate_queue_sas(
        ACCOUNT,
        client.queue_name,
        account_key=KEY,
        permission=QueueSasPermissions(read=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    parts.news_client = QueueClient(storage.queue_endpoint, client.queue_name, credential=sas)
    parts.configure()
    return client


def open_the_queue(parts: Parts, client: QueueClient) -> None:
    parts.news_client.close()
    parts.news_client = client
    parts.configure()


def test_an_operation_that_succeeded_is_told_of_once(parts: Parts) -> None:
    settle(parts, "op", blob(A, "Succeeded"), blob(B, "Succeeded"))
    (news,) = parts.news()
    assert news | {"eventId": ""} == {
        "version": 1,
        "eventId": "",
        "event": "settled",
        "operationId": "op",
        "rootOperationId": "op",
        "parentOperationId": None,
        "attempt": 1,
        "correlationId": "load of op",
        "cluster": CLUSTER,
        "database": "db",
        "table": "events",
        "state": "Succeeded",
        "registeredAt": "2026-11-24T12:00:00Z",
        "settledAt": "2026-11-24T12:10:00Z",
        "blobs": {"succeeded": 2, "failed": 0, "inProgress": 0, "canceled": 0},
        "retriedBlobs": 0,
        "transientFailures": 0,
        "permanentFailures": 0,
        "firstErrorCode": None,
        "lastError": None,
        "failedBlobs": [],
        "failedBlobsLeftOut": 0,
        "more": (
            "/api/operations/op/blobs?cluster=https%3A%2F%2Fingest-test.westeurope.kusto.windows.net"
            "&database=db&table=events&status=Failed"
        ),
    }
    assert len(news["eventId"]) == 32
    parts.tick()
    assert parts.news() == []


def test_failed_blobs_are_named_without_what_opens_them_and_with_what_becomes_of_them(parts: Parts) -> None:
    broken = blob(B + "?sig=secret", "Failed", "Permanent", source_id="b", code="Download_SourceNotFound")
    settle(parts, "op", blob(A + "?sig=secret", "Failed", "Transient", source_id="a"), broken, blob(C, "Succeeded"))
    (news,) = parts.news()
    assert (news["state"], news["retriedBlobs"]) == ("PartiallySucceeded", 1)
    assert (news["transientFailures"], news["permanentFailures"], news["failedBlobsLeftOut"]) == (1, 1, 0)
    assert sorted((each["url"], each["sourceId"], each["retryState"]) for each in news["failedBlobs"]) == [
        (A, "a", "Enqueued"),
        (B, "b", None),
    ]
    assert {each["errorCode"] for each in news["failedBlobs"]} == {
        "General_ThrottledIngestion",
        "Download_SourceNotFound",
    }
    assert "secret" not in json.dumps(news)


def test_what_counts_as_success_is_no_failed_blob(parts: Parts) -> None:
    skipped = blob(A, "Failed", "Permanent", code="Skipped_IngestByTagAlreadyExists")
    settle(parts, "op", skipped, blob(B, "Failed", "Unknown"))
    (news,) = parts.news()
    assert (news["blobs"]["succeeded"], news["blobs"]["failed"]) == (1, 1)
    assert ([each["url"] for each in news["failedBlobs"]], news["failedBlobsLeftOut"]) == ([B], 0)


def test_of_five_hundred_failed_blobs_as_many_are_named_as_there_is_room_for(parts: Parts) -> None:
    details = "x" * 3000
    blobs = [
        BlobReport("Failed", f"source-{place}", f"{A}/{place}", None, None, "BadRequest", "Permanent", details)
        for place in range(500)
    ]
    settle(parts, "op", *blobs)
    (message,) = parts.news_client.receive_messages()
    assert 0.9 * MOST_BYTES < len(str(message.content)) <= MOST_BYTES
    news = json.loads(str(message.content))
    assert news["blobs"]["failed"] == 500
    assert 30 < len(news["failedBlobs"]) == 500 - news["failedBlobsLeftOut"]
    assert all(each["details"] == "x" * 1023 + "…" for each in news["failedBlobs"])


@pytest.mark.parametrize(
    ("error", "state"),
    [(OperationNotFound("HTTP 404"), "NotFound"), (Unavailable("HTTP 503"), "TimedOut")],
)
def test_an_operation_that_ends_without_an_answer_is_told_of_too(
    error: OperationNotFound | Unavailable, state: str, parts: Parts
) -> None:
    parts.register("op")
    parts.adx.fails("op", error)
    parts.poller.tick()
    parts.later(days=3)
    parts.poller.tick()
    parts.tick()
    parts.tick()
    (news,) = parts.news()
    assert (news["state"], news["lastError"]) == (state, str(error))
    assert news["blobs"] == {"succeeded": 0, "failed": 0, "inProgress": 0, "canceled": 0}


def test_an_operation_that_could_not_be_settled_for_too_long_is_told_of(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(parts, "op", blob(A, "Failed", "Transient"), tick=False)

    def fail(*_: object) -> None:
        raise HttpResponseError("the retry queue is away")

    monkeypatch.setattr("tests.support.parts.EagerQueue.send", fail)
    parts.tick()
    parts.later(days=3)
    for _ in range(4):
        parts.tick()
    (news,) = parts.news()
    assert (news["state"], news["lastError"]) == ("TimedOut", "General_ThrottledIngestion")
    assert [each["retryState"] for each in news["failedBlobs"]] == ["NotResubmittable"]


def test_a_crash_before_the_operation_is_let_go_tells_it_again_with_the_same_id(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.later(microseconds=123_457)
    settle(parts, "op", blob(A, "Failed", "Permanent"), tick=False)
    with monkeypatch.context() as patch:
        patch.setattr(parts.outstanding, "write_back", lambda *_: None)
        parts.tick()
    # ADX may say something else by now: the end stays as it was.
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    first, again = parts.news()
    same = ("eventId", "event", "state", "settledAt", "blobs")
    assert {name: first[name] for name in same} == {name: again[name] for name in same}
    assert first["state"] == "Failed"
    assert first["settledAt"] == "2026-11-24T12:10:00.123457Z"


def test_a_blob_that_recovers_after_the_end_is_told_of_under_another_id(parts: Parts) -> None:
    settle(parts, "op", blob(A, "Failed", "Transient"), blob(B, "Succeeded"))
    (settled,) = parts.news()
    (retry,) = parts.retries()
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Succeeded"))
    parts.resubmitter.handle(retry)
    (corrected,) = parts.news()
    assert (settled["event"], settled["state"], settled["blobs"]["failed"]) == ("settled", "PartiallySucceeded", 1)
    assert (corrected["event"], corrected["state"], corrected["blobs"]["failed"]) == ("corrected", "Succeeded", 0)
    assert corrected["eventId"] != settled["eventId"]
    assert corrected["settledAt"] == settled["settledAt"]
    # The message comes again, as after a crash.
    parts.resubmitter.handle(retry)
    assert parts.news() == [corrected]


def test_of_an_end_that_was_corrected_before_it_was_told_all_says_the_same(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(parts, "op", blob(A, "Failed", "Transient"), tick=False)
    with monkeypatch.context() as patch:
        patch.setattr(parts.settler, "announce", _die)
        with pytest.raises(SystemExit):
            parts.tick()
    (retry,) = parts.retries()
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.resubmitter.handle(retry)
    parts.tick()
    news = parts.news()
    assert {each["event"] for each in news} == {"corrected", "settled"}
    assert len({each["eventId"] for each in news}) == 2
    assert {each["state"] for each in news} == {"Succeeded"}


@pytest.mark.parametrize("is_away", [False, True])
def test_an_end_that_was_told_and_is_corrected_by_the_next_poll_is_told_anew(
    is_away: bool,  # noqa: FBT001, pytest passes it by name
    parts: Parts,
    storage: Azurite,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts.configure(retrying=replace(RETRYING, max_attempts=1))
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    with monkeypatch.context() as patch:
        patch.setattr(parts.outstanding, "write_back", lambda *_: None)
        parts.tick()
    (told,) = parts.news()
    client = close_the_queue(parts, storage) if is_away else None
    # No message on the retry queue will find that it has recovered.
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    if client:
        open_the_queue(parts, client)
        parts.tick()
    assert parts.row(operation).state is OperationState.SUCCEEDED
    corrected, again = sorted(parts.news(), key=lambda each: each["event"])
    assert (told["eventId"], told["state"]) == (again["eventId"], "Failed")
    assert (corrected["event"], corrected["state"]) == ("corrected", "Succeeded")
    assert not parts.is_outstanding(operation)


def _die(*_: object) -> None:
    raise SystemExit


def test_a_recovery_that_can_not_be_told_is_told_when_the_queue_is_there_again(parts: Parts, storage: Azurite) -> None:
    settle(parts, "op", blob(A, "Failed", "Transient"), blob(B, "Failed", "Transient"))
    parts.news()
    (retry,) = parts.retries()
    client = close_the_queue(parts, storage)
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Failed", "Transient"))
    parts.resubmitter.handle(retry)
    # What is to be submitted is, whatever becomes of the news.
    assert [source.url for sources, _ in parts.adx.submitted for source in sources] == [B]
    (put_back,) = parts.retries()
    assert ([each.url for each in put_back.blobs], put_back.untold) == ([A], "queue")
    parts.resubmitter.handle(put_back)
    (put_back,) = parts.retries()
    open_the_queue(parts, client)
    parts.resubmitter.handle(put_back)
    (news,) = parts.news()
    assert (news["event"], news["state"]) == ("corrected", "PartiallySucceeded")
    assert parts.retries() == []


def test_while_the_queue_is_away_operations_wait_and_nothing_else_does(
    parts: Parts, storage: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    client = close_the_queue(parts, storage)
    recorded = Recorded()
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Permanent"))
    running = parts.register("running", B)
    parts.adx.says("running", blob(B, "InProgress"))
    with caplog.at_level(logging.INFO, "tracker"):
        for _ in range(4):
            parts.tick()
    assert parts.row(operation).state is OperationState.FAILED
    assert parts.is_outstanding(operation)
    # It has ended: ADX is not asked for it any more, and goes on being asked for others.
    assert parts.adx.asked.count(("op", False)) == 1
    assert parts.adx.asked.count(("running", False)) == 4
    assert parts.is_outstanding(running)
    assert recorded.of(metrics.NEWS) == {("queue", "Failed"): 4}
    assert recorded.of(metrics.OPERATIONS_SETTLED) == {}
    told = [record for record in caplog.records if getattr(record, "event", "") == "news.failed"]
    assert {getattr(record, "operation_id", "") for record in told} == {"op"}
    assert "AuthorizationPermissionMismatch" in told[0].getMessage() or "HttpResponseError" in told[0].getMessage()
    open_the_queue(parts, client)
    parts.tick()
    (news,) = parts.news()
    assert (news["state"], news["settledAt"]) == ("Failed", "2026-11-24T12:10:00Z")
    assert not parts.is_outstanding(operation)
    assert recorded.of(metrics.NEWS, "outcome")["Sent",] == 1
    assert recorded.of(metrics.OPERATIONS_SETTLED, "state") == {("Failed",): 1}


def test_a_queue_that_somebody_deleted_is_made_anew(parts: Parts) -> None:
    parts.news_client.create_queue()
    parts.news_client.delete_queue()
    settle(parts, "op", blob(A, "Succeeded"))
    assert [each["operationId"] for each in parts.news()] == ["op"]


def test_an_operation_that_waits_for_its_news_is_let_go_when_nobody_wants_it_any_more(
    parts: Parts, storage: Azurite
) -> None:
    client = close_the_queue(parts, storage)
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    assert parts.is_outstanding(operation)
    parts.has_news_queue = False
    open_the_queue(parts, client)
    parts.tick()
    assert not parts.is_outstanding(operation)
    assert parts.news() == []


def test_an_operation_whose_row_is_deleted_while_its_news_waits_is_asked_for_as_any_other(
    parts: Parts, storage: Azurite
) -> None:
    client = close_the_queue(parts, storage)
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    pointer = parts.results.pointer(operation)
    assert pointer
    parts.tables["Operations"].write([("delete", {"PartitionKey": pointer.partition, "RowKey": pointer.row})])
    open_the_queue(parts, client)
    parts.tick()
    assert parts.row(operation).state is OperationState.SUCCEEDED
    assert [each["state"] for each in parts.news()] == ["Succeeded"]
    assert not parts.is_outstanding(operation)


def test_storage_that_fails_while_news_is_made_puts_it_off(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded()
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Permanent"))
    settle(parts, "other", blob(B, "Succeeded"), tick=False)

    def fail(*_: object) -> Sequence[object]:
        raise HttpResponseError("busy")

    with monkeypatch.context() as patch:
        patch.setattr(parts.results, "failed_blobs", fail)
        parts.tick()
    assert [each["operationId"] for each in parts.news()] == ["other"]
    assert parts.is_outstanding(operation)
    assert recorded.of(metrics.NEWS) == {("storage", "Failed"): 1, ("queue", "Sent"): 1}
    parts.tick()
    assert [each["operationId"] for each in parts.news()] == ["op"]


def test_nothing_is_begun_when_the_time_for_news_is_over(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    with monkeypatch.context() as patch:
        patch.setattr(announce, "_MOST_SECONDS", -1.0)
        parts.tick()
    assert parts.news() == []
    assert parts.is_outstanding(operation)
    parts.tick()
    assert len(parts.news()) == 1


def test_events_go_to_the_topic_many_in_a_request(parts: Parts, grid: EventGrid) -> None:
    parts.tell(topic=grid.origin)
    for place in range(60):
        settle(parts, f"op-{place}", blob(A, "Failed" if place % 2 else "Succeeded", "Permanent"), tick=False)
    parts.tick()
    assert grid.refusals == []
    assert sum(grid.batches) == 60
    # Ends are written together, so that a write-back or two have them all.
    assert len(grid.batches) <= 3
    assert set(grid.tokens) == {"Bearer local"}
    news: list[dict[str, Any]] = []
    while some := parts.news():
        news += some
    by_id = {each["eventId"]: each for each in news}
    assert len(by_id) == 60
    assert {each["id"]: each["data"] for each in grid.events} == by_id
    event = next(each for each in grid.events if each["data"]["operationId"] == "op-1")
    assert event["type"] == "AdxIngestionTracker.OperationSettled"
    assert event["source"] == f"{CLUSTER}/databases/db/tables/events"
    assert event["subject"] == "operations/op-1"
    assert datetime.fromisoformat(event["time"]) == START + timedelta(minutes=10)


def test_a_correction_is_an_event_too(parts: Parts, grid: EventGrid) -> None:
    parts.tell(topic=grid.origin)
    settle(parts, "op", blob(A, "Failed", "Transient"))
    (retry,) = parts.retries()
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.resubmitter.handle(retry)
    kinds = [each["type"].rpartition(".")[2] for each in grid.events]
    assert kinds == ["OperationSettled", "OperationCorrected"]
    assert grid.refusals == []


def test_a_topic_that_fails_for_long_does_not_repeat_what_the_queue_has(parts: Parts, grid: EventGrid) -> None:
    parts.tell(topic=grid.origin)
    recorded = Recorded()
    grid.is_away = True
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    for _ in range(5):
        parts.tick()
    assert [each["operationId"] for each in parts.news()] == ["op"]
    assert recorded.of(metrics.NEWS) == {("queue", "Sent"): 1, ("topic", "Failed"): 5}
    assert parts.is_outstanding(operation)
    (retry,) = parts.retries()
    parts.adx.says("op", blob(A, "Succeeded"))
    for _ in range(3):
        parts.resubmitter.handle(retry)
        (retry,) = parts.retries()
    assert retry.untold == "topic"
    assert [each["event"] for each in parts.news()] == ["corrected"]
    grid.is_away = False
    parts.tick()
    parts.resubmitter.handle(retry)
    assert [each["data"]["event"] for each in grid.events] == ["settled", "corrected"]
    assert parts.news() == []
    assert parts.retries() == []
    assert not parts.is_outstanding(operation)


def test_an_event_that_the_topic_refuses_holds_up_no_other(parts: Parts, grid: EventGrid) -> None:
    parts.tell(topic=grid.origin)
    grid.refuses = lambda event: event["data"]["operationId"] == "op-3"
    operations = [parts.register(f"op-{place}", A) for place in range(6)]
    for place in range(6):
        parts.adx.says(f"op-{place}", blob(A, "Succeeded"))
    parts.tick()
    assert {each["data"]["operationId"] for each in grid.events} == {"op-0", "op-1", "op-2", "op-4", "op-5"}
    assert [parts.is_outstanding(each) for each in operations] == [place == 3 for place in range(6)]
    grid.refuses = lambda _: False
    parts.tick()
    assert grid.events[-1]["data"]["operationId"] == "op-3"


def test_an_answer_that_got_lost_repeats_the_event_under_its_id(parts: Parts, grid: EventGrid) -> None:
    parts.tell(topic=grid.origin)
    grid.fail(Failing(503, takes=True))
    settle(parts, "op", blob(A, "Succeeded"))
    parts.tick()
    first, again = grid.events
    assert first == again


def test_a_token_that_is_refused_is_replaced_once_and_no_redirect_is_followed(parts: Parts, grid: EventGrid) -> None:
    with EventGrid() as elsewhere:
        parts.tell(topic=grid.origin)
        grid.fail(Failing(401), Failing(307, location=elsewhere.endpoint))
        settle(parts, "op", blob(A, "Succeeded"))
        assert (len(grid.tokens), grid.events) == (2, [])
        parts.tick()
        assert [each["data"]["operationId"] for each in grid.events] == ["op"]
        assert elsewhere.tokens == []


def test_batches_keep_to_what_a_topic_takes(parts: Parts, grid: EventGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.tell(topic=grid.origin)
    monkeypatch.setattr(announce, "MOST_BYTES", 2_500)
    for place in range(7):
        settle(parts, f"op-{place}", blob(A, "Succeeded"), tick=False)
    parts.tick()
    assert sum(grid.batches) == 7
    assert set(grid.batches) == {1, 2}
    assert event_grid.MOST_BYTES < 1_000_000


def test_texts_of_the_news_of_failing_hold_no_token(
    parts: Parts, grid: EventGrid, caplog: pytest.LogCaptureFixture
) -> None:
    parts.tell(topic=grid.origin)
    grid.fail(Failing(403))
    with caplog.at_level(logging.INFO, "tracker"):
        settle(parts, "op", blob(A, "Succeeded"))
    text = next(record.getMessage() for record in caplog.records if getattr(record, "event", "") == "news.failed")
    assert "EventGrid Data Sender" in text
    assert "Bearer" not in text


def test_a_job_that_waits_for_its_load_goes_on_when_all_of_it_is_in(
    parts: Parts, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(parts, "load", blob(A, "Failed", "Transient", source_id="a"), blob(B, "Succeeded", source_id="b"))
    settle(parts, "other load", blob(C, "Succeeded"))
    (retry,) = parts.retries()
    parts.resubmitter.handle(retry)
    parts.adx.says("resubmission-1", blob(A, "Succeeded", source_id="a"))
    parts.tick()
    assert wait_for({"load"}, parts.news_client)
    assert capsys.readouterr().out == "load: in\n"
    settle(parts, "broken load", blob(A, "Failed", "Permanent"))
    assert not wait_for({"broken load"}, parts.news_client)
    assert capsys.readouterr().out == "broken load: failed\n"
    assert parts.news_client.get_queue_properties().approximate_message_count == 1


class Clock:
    """The time that a sending sees: it goes on when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 0.0
        monkeypatch.setattr(announce, "time", self)
        monkeypatch.setattr(announce, "_MOST_SECONDS", 10.0)

    def monotonic(self) -> float:
        return self._now

    def later(self, seconds: float) -> None:
        self._now += seconds


def test_a_channel_that_hangs_takes_no_time_from_another(
    parts: Parts, grid: EventGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.tell(topic=grid.origin)
    clock = Clock(monkeypatch)

    def hang(_: object, group: Sequence[News], *_more: object) -> list[Failure]:
        clock.later(90)
        return [Failure(each, "no answer") for each in group]

    monkeypatch.setattr(announce.QueueChannel, "send", hang)
    settle(parts, "op", blob(A, "Succeeded"))
    assert [each["data"]["operationId"] for each in grid.events] == ["op"]


def test_events_that_a_topic_refuses_one_by_one_keep_to_the_time_for_news(
    parts: Parts, grid: EventGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.tell(topic=grid.origin)
    clock = Clock(monkeypatch)

    def refuse(_: object) -> bool:
        clock.later(4)
        return True

    grid.refuses = refuse
    operations = [parts.register(f"op-{place}", A) for place in range(8)]
    for place in range(8):
        parts.adx.says(f"op-{place}", blob(A, "Succeeded"))
    parts.tick()
    # All of them together, and then one by one as long as there is time.
    assert len(grid.refusals) == 3
    grid.refuses = lambda _: False
    parts.tick()
    assert {each["data"]["operationId"] for each in grid.events} == {f"op-{place}" for place in range(8)}
    assert not any(map(parts.is_outstanding, operations))


def listed(parts: Parts, state: OperationState) -> list[str]:
    """The operations that are listed by a state."""
    return [each.operation.operation_id for each in parts.listing.page(Filter(states=(state,)), 10).items]


def test_an_operation_whose_news_waits_is_listed_as_what_it_has_ended_as(parts: Parts, storage: Azurite) -> None:
    client = close_the_queue(parts, storage)
    settle(parts, "op", blob(A, "Failed", "Transient"), blob(B, "Failed", "Transient"))
    assert (listed(parts, OperationState.FAILED), listed(parts, OperationState.IN_PROGRESS)) == (["op"], [])
    (copy,) = parts.listing.summary(Filter(), 10)
    assert (copy.state, copy.counts.failed, copy.retried) == (OperationState.FAILED, 2, 2)
    parts.tick()
    assert listed(parts, OperationState.FAILED) == ["op"]
    # A correction is the last word, whatever the operation is let go with.
    (retry,) = parts.retries()
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Succeeded"))
    parts.resubmitter.handle(retry)
    assert listed(parts, OperationState.SUCCEEDED) == ["op"]
    open_the_queue(parts, client)
    parts.tick()
    assert listed(parts, OperationState.SUCCEEDED) == ["op"]
    assert (listed(parts, OperationState.FAILED), listed(parts, OperationState.IN_PROGRESS)) == ([], [])
    assert not parts.is_outstanding(operation_of("op"))


def operation_of(operation_id: str) -> Operation:
    return Operation(CLUSTER, "db", "events", operation_id)


def test_what_waits_for_its_news_is_not_pruned(parts: Parts, storage: Azurite) -> None:
    client = close_the_queue(parts, storage)
    settle(parts, "op", blob(A, "Failed", "Transient"))
    operation = operation_of("op")
    parts.retries()
    parts.later(days=120)
    parts.pruner.prune()
    assert [row.retry_state for row in parts.blobs(operation)] == [RetryState.ENQUEUED]
    parts.tick()
    # Pruned, it would be taken for one that has not ended: its blobs would be submitted once more.
    assert parts.retries() == []
    open_the_queue(parts, client)
    parts.tick()
    (news,) = parts.news()
    assert (news["state"], news["settledAt"]) == ("Failed", "2026-11-24T12:10:00Z")
    parts.pruner.prune()
    assert parts.results.pointer(operation) is None


def test_a_recovery_that_could_not_be_told_until_its_operation_was_pruned_is_not_taken_for_a_failure(
    parts: Parts, storage: Azurite
) -> None:
    settle(parts, "op", blob(A, "Failed", "Transient"))
    (retry,) = parts.retries()
    close_the_queue(parts, storage)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.resubmitter.handle(retry)
    (retry,) = parts.retries()
    assert retry.untold == "queue"
    parts.later(days=120)
    parts.pruner.prune()
    parts.adx.fails("op", OperationNotFound("HTTP 404"))
    for _ in range(3):
        parts.resubmitter.handle(retry)
        (retry,) = parts.retries() or (retry,)
        parts.later(days=1)
    assert parts.adx.submitted == []
    assert parts.blobs(operation_of("op")) == []
