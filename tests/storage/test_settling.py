"""Registering, polling and settling on real tables and queues, with time moved by hand."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count, islice
from typing import Any

import pytest
from azure.core.exceptions import AzureError, HttpResponseError

from shared import keys, many_blobs, poll
from shared.ending import Ending
from shared.endpoints import Endpoints
from shared.errors import AccessRefused, EndpointNotAllowed, OperationNotFound, RoleMissing, Throttled, Unavailable
from shared.messages import Defaults, NamedBlob, OperationMessage, read_poll_batch
from shared.model import BlobReport, Counts, Operation, OperationState, RetryState, StatusReport
from shared.store.outstanding import LayoutMismatch
from shared.store.tables import Write, deletion, merger
from tests.support.facts import POLLING
from tests.support.parts import CLUSTER, RETRYING, START, EagerQueue, Parts, blob

A, B, C = (f"https://account.blob.core.windows.net/c/{name}.csv" for name in "abc")


@pytest.fixture(params=["at once", "in parts"], autouse=True)
def how(request: pytest.FixtureRequest, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the blobs of an operation are settled: as those of a small one, or as those of one of very many blobs."""
    if request.param == "in parts":
        monkeypatch.setattr(many_blobs, "_BLOBS_OF_PART", 0.1)
        parts.most_at_once = 0
        parts.configure()
    return str(request.param)


def test_an_operation_is_polled_without_details_until_there_is_news(parts: Parts) -> None:
    operation = parts.register("op", A, B)
    parts.adx.says("op", blob(A, "InProgress"), blob(B, "Queued"))
    for _ in range(3):
        parts.tick()
    assert parts.adx.asked == [("op", False)] * 3
    assert parts.row(operation).state is OperationState.IN_PROGRESS
    assert parts.is_outstanding(operation)


def test_settling_writes_each_blob_and_ends_the_watch(parts: Parts) -> None:
    operation = parts.register("op", A, B)
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Failed", "Permanent", code="Download_SourceNotFound"))
    parts.tick()
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.PARTIALLY_SUCCEEDED, Counts(succeeded=1, failed=1))
    assert [each.report.status for each in parts.blobs(operation)] == ["Succeeded", "Failed"]
    assert not parts.is_outstanding(operation)
    assert parts.retries() == []
    parts.tick()
    assert parts.adx.asked == [("op", False), ("op", True)]


def test_a_transient_failure_is_enqueued_while_the_operation_still_runs(parts: Parts) -> None:
    operation = parts.register("op", A + "?sig=secret", B)
    parts.adx.says("op", blob(A, "Failed", "Transient"), blob(B, "InProgress"))
    parts.tick()
    (message,) = parts.retries()
    assert (message.operation, message.attempt, message.root_operation_id) == (operation, 1, "op")
    assert [(each.url, each.url_brought) for each in message.blobs] == [(A + "?sig=secret", True)]
    assert [each.retry_state for each in parts.blobs(operation)] == [RetryState.ENQUEUED, RetryState.NONE]
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.IN_PROGRESS, Counts(failed=1, in_progress=1))
    parts.tick()
    assert parts.retries() == []
    assert parts.adx.asked[-1] == ("op", False)


def test_failures_that_are_counted_but_not_shown_are_asked_for_again(parts: Parts) -> None:
    operation = parts.register("op", A, B)
    parts.adx.says("op", blob(B, "InProgress"), counts=Counts(failed=1, in_progress=1))
    parts.tick()
    parts.adx.says("op", blob(A, "Failed", "Transient"), blob(B, "InProgress"))
    parts.tick()
    assert [details for _, details in parts.adx.asked] == [False, True, False, True]
    assert len(parts.retries()) == 1
    assert parts.is_outstanding(operation)


@pytest.mark.parametrize(
    "report",
    [
        StatusReport(Counts(), ()),
        StatusReport(Counts(succeeded=2), ()),
        StatusReport(Counts(succeeded=2), None),
        StatusReport(Counts(succeeded=2), (blob(A, "Succeeded"),)),
        StatusReport(Counts(succeeded=1), (blob(A, "Succeeded"),)),
        StatusReport(Counts(succeeded=1, other=1), (blob(A, "Succeeded"), blob(B, "Levitating"))),
        StatusReport(Counts(succeeded=2), (blob(A, "Succeeded"), blob(B, "Failed", "Transient"))),
    ],
    ids=[
        "nothing seen",
        "no details",
        "none at all",
        "one hidden",
        "one unaccounted for",
        "unknown status",
        "disagree",
    ],
)
def test_what_is_not_the_whole_story_does_not_end_an_operation(parts: Parts, report: StatusReport) -> None:
    operation = parts.register("op", A, B)
    parts.adx.reports["op"] = report
    parts.tick()
    assert parts.is_outstanding(operation)
    assert parts.row(operation).state is OperationState.IN_PROGRESS


def test_the_sdks_dialect_finds_its_urls_in_the_message(parts: Parts) -> None:
    operation = parts.register("op", A + "?sig=secret")
    parts.adx.says("op", BlobReport("Failed", source_id="SOURCE-0", failure_status="Transient"))
    parts.tick()
    (row,) = parts.blobs(operation)
    assert row.report.url == A
    (message,) = parts.retries()
    assert message.blobs[0].url == A + "?sig=secret"


def test_a_message_can_not_put_another_blob_in_the_place_of_one(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    evil = "https://evil.example/c/a.csv?sig=theirs"
    parts.register("op", blobs=(NamedBlob(evil, "s1"), NamedBlob(B.upper() + "?sig=other case", "s2")))
    parts.adx.says("op", blob(A, "Failed", "Transient", source_id="s1"), blob(B, "Failed", "Transient", source_id="s2"))
    parts.tick()
    retried = {(each.url, each.url_brought) for message in parts.retries() for each in message.blobs}
    assert retried == {(A, False), (B, False)}
    differing = [record for record in caplog.records if getattr(record, "event", "") == "blob.url_differs"]
    assert len(differing) == 2
    assert "evil" not in caplog.text


@pytest.mark.parametrize(
    ("named", "reported"),
    [
        ("https://acc.blob.core.windows.net/c/a%20b.csv?sig=x", "https://acc.blob.core.windows.net/c/a b.csv"),
        ("https://ACC.blob.core.windows.net:443/c/a.csv?sig=x", "https://acc.blob.core.windows.net/c/a.csv"),
        ("https://acc.blob.core.windows.net/c/a.csv;key", "https://acc.blob.core.windows.net/c/a.csv?sv=1"),
        ("abfss://c@acc.dfs.core.windows.net/a.csv;key", "abfss://c@acc.dfs.core.windows.net/a.csv"),
    ],
)
def test_two_spellings_of_a_url_are_one_blob(parts: Parts, named: str, reported: str) -> None:
    parts.register("op", blobs=(NamedBlob(named, "s1"),))
    parts.adx.says("op", blob(reported, "Failed", "Transient", source_id="s1"))
    parts.tick()
    (message,) = parts.retries()
    assert [(each.url, each.url_brought) for each in message.blobs] == [(named, True)]


def test_the_last_attempt_is_not_enqueued(parts: Parts) -> None:
    parts.configure(retrying=replace(RETRYING, max_attempts=1))
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    assert parts.retries() == []
    assert parts.blobs(operation)[0].retry_state is RetryState.ATTEMPTS_EXHAUSTED


def test_not_found_ends_an_operation_only_after_the_grace(parts: Parts) -> None:
    operation = parts.register("op")
    parts.later(minutes=1)
    parts.poller.tick()
    assert parts.is_outstanding(operation)
    parts.later(minutes=14)
    parts.poller.tick()
    assert parts.is_outstanding(operation)
    parts.later(minutes=5)
    parts.poller.tick()
    assert parts.row(operation).state is OperationState.NOT_FOUND
    assert not parts.is_outstanding(operation)


def test_an_operation_that_is_lost_after_it_was_seen_keeps_its_last_counts(parts: Parts) -> None:
    operation = parts.register("op", A, B)
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "InProgress"))
    parts.tick()
    del parts.adx.reports["op"]
    for _ in range(3):
        parts.tick()
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.NOT_FOUND, Counts(succeeded=1, in_progress=1))


def test_an_operation_times_out_with_what_is_known_of_its_blobs(parts: Parts) -> None:
    operation = parts.register("op", A, B)
    parts.adx.says("op", blob(A, "Failed", "Transient"), blob(B, "InProgress"))
    parts.later(hours=48)
    parts.poller.tick()
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.TIMED_OUT, Counts(failed=1, in_progress=1))
    assert len(parts.retries()) == 1
    assert not parts.is_outstanding(operation)


def test_an_outage_at_the_wrong_moment_does_not_time_an_operation_out(parts: Parts) -> None:
    operation = parts.register("op", A)
    parts.adx.fails("op", Unavailable("down"))
    parts.later(hours=48)
    parts.poller.tick()
    assert parts.is_outstanding(operation)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    assert parts.row(operation).state is OperationState.SUCCEEDED


def test_an_outage_that_lasts_ends_an_operation_all_the_same(parts: Parts) -> None:
    operation = parts.register("op", A)
    parts.adx.fails("op", Unavailable("down"))
    parts.later(hours=48)
    for _ in range(3):
        parts.tick()
    row = parts.row(operation)
    assert (row.state, row.last_error) == (OperationState.TIMED_OUT, "down")


@pytest.mark.parametrize("error", [Throttled("slow down", retry_after=timedelta(minutes=20)), AccessRefused("no role")])
def test_a_cluster_that_throttles_or_refuses_is_left_alone(parts: Parts, error: Exception) -> None:
    parts.configure(polling=replace(POLLING, concurrency=1))
    operations = [parts.register(f"op{number}", A) for number in range(40)]
    for operation in operations:
        parts.adx.fails(operation.operation_id, error)  # type: ignore[arg-type]  # both are KustoErrors
    parts.later(minutes=1)
    parts.poller.tick()
    # As many as were in flight when the first answer came, of four threads.
    assert 1 <= len(parts.adx.asked) <= 8
    assert all(parts.is_outstanding(operation) for operation in operations)
    if isinstance(error, Throttled):
        parts.adx.asked.clear()
        parts.later(minutes=15)
        parts.poller.tick()
        assert parts.adx.asked == []


def test_an_error_of_one_operation_does_not_stop_the_others(parts: Parts) -> None:
    bad, good = parts.register("bad", A), parts.register("good", B)
    parts.adx.reports["bad"] = RuntimeError("a defect")  # type: ignore[assignment]  # on purpose
    parts.adx.says("good", blob(B, "Succeeded"))
    parts.tick()
    assert parts.row(good).state is OperationState.SUCCEEDED
    assert parts.is_outstanding(bad)


def test_a_crash_after_the_intent_was_written_is_made_good_by_the_next_poll(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    with monkeypatch.context() as broken:
        broken.setattr(parts.settler, "_reenqueue", _raise)
        parts.tick()
    assert parts.blobs(operation)[0].retry_state is RetryState.PENDING
    assert parts.retries() == []
    parts.tick()
    assert len(parts.retries()) == 1
    assert parts.blobs(operation)[0].retry_state is RetryState.ENQUEUED
    assert parts.row(operation).state is OperationState.FAILED


def test_a_crash_before_the_watch_ends_is_made_good_by_the_next_poll(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    with monkeypatch.context() as broken:
        broken.setattr(parts.outstanding, "write_back", _raise)
        with pytest.raises(HttpResponseError):
            parts.tick()
    settled = parts.row(operation)
    assert parts.is_outstanding(operation)
    parts.tick()
    assert not parts.is_outstanding(operation)
    assert parts.row(operation) == settled
    assert caplog.text.count("operation.settled") == 1


def test_an_end_is_told_although_what_is_written_with_it_fails(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    operations = [parts.register(f"op{number}", A) for number in range(40)]
    for operation in operations:
        parts.adx.says(operation.operation_id, blob(A, "Succeeded"))
    broken = keys.shard(operations[0].key)
    write = parts.tables["Outstanding"].write

    def write_unless_broken(group: Sequence[Write]) -> list[str]:
        if group[0][1]["PartitionKey"] == broken:
            raise HttpResponseError("the partition is busy")
        return write(group)

    with monkeypatch.context() as busy:
        busy.setattr(parts.tables["Outstanding"], "write", write_unless_broken)
        with pytest.raises(HttpResponseError, match="busy"):
            parts.tick()
    gone = [operation for operation in operations if not parts.is_outstanding(operation)]
    assert {keys.shard(operation.key) for operation in operations} - {broken} == {keys.shard(o.key) for o in gone}
    assert caplog.text.count("operation.settled") == len(gone)
    parts.tick()
    assert not any(map(parts.is_outstanding, operations))
    assert caplog.text.count("operation.settled") == len(operations)


def test_registering_that_was_cut_short_is_completed_by_the_next_delivery(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("add", "add_operation"):
        target = parts.outstanding if name == "add" else parts.results
        with monkeypatch.context() as broken:
            broken.setattr(target, name, _raise)
            with pytest.raises(HttpResponseError):
                parts.register(f"cut-at-{name}", A)
        operation = parts.register(f"cut-at-{name}", A)
        assert parts.is_outstanding(operation)
        assert parts.row(operation).state is OperationState.IN_PROGRESS


def test_an_operation_whose_row_somebody_has_deleted_gets_it_back_when_it_settles(parts: Parts) -> None:
    operation = parts.register("op", A, correlation_id="mine")
    pointer = parts.results.pointer(operation)
    assert pointer is not None
    parts.tables["Operations"].write([deletion(pointer.partition, pointer.row)])
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    row = parts.row(operation)
    assert (row.state, row.correlation_id) == (OperationState.SUCCEEDED, "mine")
    assert not parts.is_outstanding(operation)


def test_what_a_poll_has_written_down_before_it_was_cut_short_is_not_written_twice(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = parts.register("op", A, B)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    with monkeypatch.context() as broken:
        broken.setattr(parts.settler, "_reenqueue", _raise)
        parts.tick()
    # The blob that is written down is not shown any more; nothing tells of it but the table.
    parts.adx.says("op", blob(B, "Succeeded"), counts=Counts(succeeded=2))
    parts.tick()
    assert [row.retry_state for row in parts.blobs(operation)] == [RetryState.ENQUEUED, RetryState.NONE]
    assert len(parts.retries()) == 1


@pytest.mark.parametrize("then", ["unknown to ADX", "without blobs"])
def test_what_was_written_down_before_a_crash_is_tried_again_though_adx_shows_nothing_more(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    with monkeypatch.context() as broken:
        broken.setattr(parts.settler, "_reenqueue", _raise)
        broken.setattr(parts.outstanding, "write_back", _raise)
        with pytest.raises(HttpResponseError):
            parts.tick()
    if then == "unknown to ADX":
        parts.adx.fails("op", OperationNotFound("gone"))
    else:
        parts.adx.says("op", counts=Counts(failed=1))
    for _ in range(3):
        parts.tick()
    assert parts.blobs(operation)[0].retry_state is RetryState.ENQUEUED
    assert len(parts.retries()) == 1


def test_a_pointer_stands_for_no_blobs_until_it_is_marked(parts: Parts) -> None:
    operation = parts.register("op", A)
    # Details without a blob: nothing is written down, and what comes next still has to mark the pointer.
    parts.adx.reports["op"] = StatusReport(Counts(succeeded=1), ())
    parts.tick()
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    pointer = parts.results.pointer(operation)
    assert pointer is not None
    assert pointer.etag == ""


def test_rows_that_somebody_else_has_changed_are_settled_with_a_look_at_them(parts: Parts) -> None:
    operations = [parts.register(f"op{number}", A) for number in range(4)]
    for operation in operations:
        parts.adx.says(operation.operation_id, blob(A, "Succeeded"))
    pointer = parts.results.pointer(operations[0])
    assert pointer is not None
    parts.tables["Operations"].write([merger({"PartitionKey": pointer.partition, "RowKey": pointer.row, "Mine": 1})])
    parts.tick()
    assert {parts.row(operation).state for operation in operations} == {OperationState.SUCCEEDED}
    assert not any(map(parts.is_outstanding, operations))


def test_an_end_is_written_although_polls_keep_all_threads_busy(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "_WRITE_BACK_SECONDS", 0.05)
    ended, waits = threading.Event(), []
    end, status = parts.settler.end, parts.adx.status

    def end_and_tell(ending: Ending) -> None:
        end(ending)
        ended.set()

    def status_in_the_end(operation: Operation, *, details: bool) -> StatusReport:
        if operation.operation_id != "quick":
            waits.append(ended.wait(60))
        return status(operation, details=details)

    monkeypatch.setattr(parts.settler, "end", end_and_tell)
    monkeypatch.setattr(parts.adx, "status", status_in_the_end)
    # Its end needs a look at its row, as it has a retry.
    parts.register("quick", A)
    parts.adx.says("quick", blob(A, "Failed", "Transient"))
    parts.later(seconds=1)
    for number in range(8):
        parts.register(f"slow{number}", A)
        parts.adx.says(f"slow{number}", blob(A, "InProgress"))
    parts.tick()
    assert waits == [True] * 8


def test_two_ticks_at_once_poll_and_settle_as_one(parts: Parts) -> None:
    operations = [parts.register(f"op{number}", A) for number in range(6)]
    for operation in operations:
        parts.adx.says(operation.operation_id, blob(A, "Failed", "Transient"))
    parts.later(minutes=1)
    ticks = [parts.storage_threads.submit(parts.poller.tick) for _ in range(2)]
    for tick in ticks:
        tick.result()
    assert {parts.row(operation).state for operation in operations} == {OperationState.FAILED}
    assert {row.retry_state for each in operations for row in parts.blobs(each)} == {RetryState.ENQUEUED}
    assert not any(map(parts.is_outstanding, operations))


def test_more_than_one_instance_takes_on_is_handed_out_once(parts: Parts) -> None:
    parts.configure(polling=replace(POLLING, inline_limit=10))
    operations = [parts.register(f"op{number}", A) for number in range(40)]
    for operation in operations:
        parts.adx.says(operation.operation_id, blob(A, "Succeeded"))
    parts.later(minutes=1)
    parts.poller.tick()
    assert parts.adx.asked == []
    sent = len(parts.batch_client.peek_messages(32))
    parts.later(seconds=15)
    parts.poller.tick()
    assert len(parts.batch_client.peek_messages(32)) == sent
    _handle_batches(parts)
    assert {parts.row(operation).state for operation in operations} == {OperationState.SUCCEEDED}


def test_what_was_handed_out_and_lost_is_handed_out_again(parts: Parts) -> None:
    parts.configure(polling=replace(POLLING, inline_limit=0))
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.later(minutes=1)
    parts.poller.tick()
    parts.batch_client.clear_messages()
    parts.later(minutes=5)
    parts.poller.tick()
    _handle_batches(parts)
    assert parts.row(operation).state is OperationState.SUCCEEDED


def test_what_was_lost_is_handed_out_again_however_much_is_due_meanwhile(parts: Parts) -> None:
    parts.configure(polling=replace(POLLING, inline_limit=0))
    lost = parts.register("lost", A)
    parts.adx.says("lost", blob(A, "Succeeded"))
    parts.later(minutes=1)
    parts.poller.tick()
    parts.batch_client.clear_messages()
    for number in range(40):
        # More becomes due in every shard, tick after tick.
        parts.adx.says(parts.register(f"load-{number}", B).operation_id, blob(B, "Succeeded"))
        parts.later(seconds=15)
        parts.poller.tick()
        _handle_batches(parts)
    assert parts.row(lost).state is OperationState.SUCCEEDED


def test_a_batch_under_way_when_its_lease_ends_is_not_polled_by_another_too(parts: Parts) -> None:
    parts.configure(polling=replace(POLLING, inline_limit=0))
    parts.register("op", A)
    parts.adx.says("op", blob(A, "InProgress"))
    parts.later(minutes=1)
    parts.poller.tick()
    parts.later(minutes=4, seconds=59)

    def lease_ends() -> None:
        """While ADX is asked, time goes by, and another instance takes what a tick hands out."""
        parts.adx.on_status = lambda: None
        parts.later(seconds=1)
        parts.poller.tick()
        _handle_batches(parts)

    parts.adx.on_status = lease_ends
    _handle_batches(parts)
    lease_ends()
    assert parts.adx.asked == [("op", False)]


def test_what_was_handed_out_later_has_a_lease_of_its_own(parts: Parts) -> None:
    parts.configure(polling=replace(POLLING, inline_limit=0))
    first = parts.register("op", A)
    parts.later(minutes=1)
    parts.poller.tick()
    parts.register(next(_others_of_its_shard(first)), A)
    parts.later(minutes=4)
    parts.poller.tick()
    parts.later(minutes=1)
    parts.poller.tick()
    # The first again, and not the second, whose batch is a minute old.
    batches = [read_poll_batch(str(each.content).encode()) for each in parts.batch_client.peek_messages(32)]
    assert len(batches) == 3
    assert batches[2] == replace(batches[0], since=parts.now)


def test_a_batch_has_no_rows_of_another_in_it(parts: Parts) -> None:
    parts.configure(polling=replace(POLLING, inline_limit=0))
    middle = parts.register("op", A)
    parts.later(minutes=1)
    parts.poller.tick()
    before, after = islice(_others_of_its_shard(middle), 2)
    parts.now -= timedelta(minutes=1, seconds=10)
    parts.register(before, A)
    parts.later(seconds=20)
    parts.register(after, A)
    parts.later(minutes=2)
    parts.poller.tick()
    batches = [read_poll_batch(str(each.content).encode()) for each in parts.batch_client.peek_messages(32)]
    assert [[row.operation.operation_id for row in parts.outstanding.batch(batch)] for batch in batches] == [
        ["op"],
        [before],
        [after],
    ]


def test_what_a_batch_leaves_is_handed_out_at_once(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.configure(polling=replace(POLLING, inline_limit=0))
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.later(minutes=1)
    parts.poller.tick()
    with monkeypatch.context() as slow:
        slow.setattr(parts.poller, "_budget", timedelta())
        _handle_batches(parts)
    assert parts.adx.asked == []
    _handle_batches(parts)
    assert parts.row(operation).state is OperationState.SUCCEEDED


def test_batches_do_not_multiply_while_nothing_gets_done(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.configure(polling=replace(POLLING, inline_limit=0))
    for number in range(20):
        parts.register(f"op{number}", A)
    parts.later(minutes=1)
    monkeypatch.setattr(parts.poller, "_budget", timedelta())
    waiting = []
    for _ in range(4):
        parts.poller.tick()
        waiting.append(parts.batch_client.get_queue_properties().approximate_message_count)
        for _ in range(3):
            _handle_batches(parts)
        parts.later(minutes=5)
        _handle_batches(parts)
    assert waiting[1:] == waiting[:-1]


def test_what_fails_every_time_ends_all_the_same(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    monkeypatch.setattr(parts.settler, "_reenqueue", _raise)
    parts.later(hours=48)
    for _ in range(3):
        parts.tick()
    row = parts.row(operation)
    assert (row.state, row.last_error) == (OperationState.TIMED_OUT, "General_ThrottledIngestion")
    (only,) = parts.blobs(operation)
    assert only.retry_state is RetryState.NOT_RESUBMITTABLE
    assert "retry queue" in (only.retry_reason or "")
    assert not parts.is_outstanding(operation)


def test_details_of_any_size_are_written_down(parts: Parts) -> None:
    urls = [f"https://account.blob.core.windows.net/c/{number}.csv" for number in range(100)]
    operation = parts.register("op", *urls)
    parts.adx.says("op", *(replace(blob(url, "Failed", "Permanent"), details="\u00fc" * 31_000) for url in urls))
    parts.tick()
    assert parts.row(operation).state is OperationState.FAILED
    assert len(parts.blobs(operation)) == 100


def test_a_url_too_long_for_a_message_is_left_to_a_person(parts: Parts) -> None:
    operation = parts.register("op")
    parts.adx.says("op", blob(A + "/" + "x" * 31_000 + "?sig=" + "y" * 40_000, "Failed", "Transient"))
    parts.tick()
    (message,) = parts.retries()
    parts.resubmitter.handle(message)
    assert parts.blobs(operation)[0].retry_state is RetryState.NOT_RESUBMITTABLE


def test_a_blob_listed_with_and_without_its_source_id_ends_an_operation(parts: Parts) -> None:
    operation = parts.register("op")
    parts.adx.says("op", blob(A, "Succeeded", source_id="s"), blob(A, "Succeeded"))
    parts.tick()
    assert parts.row(operation).counts == Counts(succeeded=2)
    parts.tick()
    assert len(parts.blobs(operation)) == 2


def test_counts_without_bounds_do_not_stop_the_others(parts: Parts) -> None:
    strange, good = parts.register("strange", A), parts.register("good", B)
    parts.adx.says("strange", counts=Counts(other=2**31 + 5))
    parts.adx.says("good", blob(B, "InProgress"))
    parts.tick()
    due = {each.operation: each.polls for each in parts.outstanding.due(parts.now + timedelta(hours=1), 10).operations}
    assert due == {strange: 0, good: 1}


def test_an_answer_without_counts_is_asked_for_with_details(parts: Parts) -> None:
    operation = parts.register("op", A)
    parts.adx.reports["op"] = StatusReport(None, (blob(A, "Succeeded"),))
    parts.tick()
    assert parts.row(operation).state is OperationState.SUCCEEDED


def test_the_last_counts_stand_where_the_blobs_are_known_from_before(parts: Parts) -> None:
    operation = parts.register("op", A, B)
    parts.adx.says("op", blob(A, "Failed", "Permanent"), blob(B, "InProgress"))
    parts.tick()
    parts.adx.reports["op"] = StatusReport(Counts(failed=1, succeeded=1, in_progress=1))
    parts.tick()
    del parts.adx.reports["op"]
    for _ in range(3):
        parts.tick()
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.NOT_FOUND, Counts(failed=1, succeeded=1, in_progress=1))


def test_a_blob_that_recovers_while_its_operation_is_settled_is_counted(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    end = parts.settler.end

    def end_late(ending: Ending) -> None:
        (message,) = parts.retries()
        parts.adx.says("op", blob(A, "Succeeded"))
        parts.resubmitter.handle(message)
        end(ending)

    monkeypatch.setattr(parts.settler, "end", end_late)
    parts.tick()
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.SUCCEEDED, Counts(succeeded=1))


def test_an_operation_whose_blob_another_poll_has_seen_in_progress_again_is_not_ended_by_what_was_known_before(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = parts.register("op", A, B)
    lost = replace(blob(A, "Failed", "Transient"), last_updated=START)
    parts.adx.says("op", lost, replace(blob(B, "Failed", "Transient"), last_updated=START))
    send = EagerQueue.send

    def send_after_another_poll(queue: EagerQueue, *args: Any) -> None:  # noqa: ANN401, whatever is sent
        monkeypatch.setattr(EagerQueue, "send", send)
        parts.adx.says("op", lost, replace(blob(B, "InProgress"), last_updated=START + timedelta(seconds=1)))
        parts.poller.tick()
        send(queue, *args)

    monkeypatch.setattr(EagerQueue, "send", send_after_another_poll)
    parts.tick()
    assert parts.row(operation).state is OperationState.IN_PROGRESS
    parts.adx.says("op", lost, replace(blob(B, "Succeeded"), last_updated=START + timedelta(seconds=2)))
    parts.tick()
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.PARTIALLY_SUCCEEDED, Counts(succeeded=1, failed=1))
    assert not parts.is_outstanding(operation)


def test_a_missing_role_on_one_table_does_not_stop_another(parts: Parts) -> None:
    parts.configure(polling=replace(POLLING, concurrency=1))
    for number in range(30):
        parts.adx.fails(parts.register(f"refused-{number}", A).operation_id, RoleMissing("no role"))
    other = Operation(CLUSTER, "db", "other", "op")
    parts.registrar.register(OperationMessage(other))
    parts.adx.says("op", blob(B, "Succeeded"))
    parts.tick()
    assert parts.row(other).state is OperationState.SUCCEEDED


def test_an_endpoint_that_is_not_allowed_any_more_does_not_lose_its_operations(parts: Parts) -> None:
    operation = parts.register("op", A + "?sig=secret")
    parts.defaults = Defaults(Endpoints("https://ingest-other.westeurope.kusto.windows.net"))
    parts.configure()
    parts.adx.fails("op", EndpointNotAllowed("not any more"))
    parts.later(hours=48)
    for _ in range(3):
        parts.tick()
    assert parts.row(operation).state is OperationState.TIMED_OUT


def test_an_error_of_storage_does_not_show_a_signature(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    parts.register("op", A)
    error = AzureError("GET https://a.queue.core.windows.net/q?sv=1&sig=c2VjcmV0 failed")
    parts.adx.status = _raiser(error)  # type: ignore[method-assign]  # whatever is asked
    parts.tick()
    assert "poll.failed" in caplog.text
    assert "c2VjcmV0" not in caplog.text


def test_old_results_are_pruned_and_what_is_new_or_still_runs_stays(parts: Parts) -> None:
    old, running = parts.register("old", A), parts.register("running", A)
    parts.adx.says("old", blob(A, "Succeeded"))
    parts.adx.says("running", blob(A, "InProgress"))
    parts.tick()
    parts.now = START + timedelta(days=60)
    new = parts.register("new", A)
    parts.adx.says("new", blob(A, "Succeeded"))
    parts.now = START + timedelta(days=91)
    parts.pruner.prune()
    assert parts.results.pointer(old) is None
    assert parts.blobs(old) == []
    assert parts.results.pointer(new) is not None
    assert parts.row(running).state is OperationState.IN_PROGRESS


def test_another_number_of_shards_is_refused(parts: Parts) -> None:
    parts.outstanding.check_layout()
    parts.outstanding.check_layout()
    table = parts.tables["Outstanding"]
    table.upsert({"PartitionKey": "!layout", "RowKey": "!layout", "Shards": 8})
    with pytest.raises(LayoutMismatch, match="8 partitions"):
        parts.outstanding.check_layout()


def _others_of_its_shard(operation: Operation) -> Iterator[str]:
    """IDs of operations whose rows are in the same partition."""
    ids = (f"{operation.operation_id}-{number}" for number in count())
    return (each for each in ids if keys.shard(replace(operation, operation_id=each).key) == keys.shard(operation.key))


def _handle_batches(parts: Parts) -> None:
    # All of them before the first is handled, which may send further ones.
    for message in list(parts.batch_client.receive_messages()):
        parts.poller.batch(read_poll_batch(str(message.content).encode()))
        parts.batch_client.delete_message(message)


def _raiser(error: Exception) -> Callable[..., StatusReport]:
    def raise_it(*_: object, **__: object) -> StatusReport:
        raise error

    return raise_it


def _raise(*_: object, **__: object) -> None:
    raise HttpResponseError("storage is down")
