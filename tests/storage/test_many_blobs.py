"""An operation of very many blobs is settled in parts: each step is safe to repeat, and what is done stays done."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from shared import many_blobs, redrive, resubmit
from shared.many_blobs import ManyBlobs
from shared.messages import OperationMessage
from shared.model import BlobReport, Counts, Operation, OperationState, RetryState, StatusReport
from shared.records import BlobRow
from shared.redrive import BlobsRequest
from tests.support.parts import Parts, blob

COUNT = 300
PARTS = 16
SUCCEEDED, RUNNING = "Succeeded", "InProgress"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_blobs, "_BLOBS_OF_PART", 20)


def url(number: int) -> str:
    return f"https://account.blob.core.windows.net/c/{number}.csv"


def blobs(is_transient: Callable[[int], bool], otherwise: str = SUCCEEDED) -> list[BlobReport]:
    return [
        blob(url(number), "Failed", "Transient") if is_transient(number) else blob(url(number), otherwise)
        for number in range(COUNT)
    ]


def say(parts: Parts, reports: Sequence[BlobReport]) -> None:
    """From now on ADX says this of the operation, in an answer that is read from disk."""
    parts.adx.reports["op"] = StatusReport(Counts.of(reports), ManyBlobs(reports))


def retried(parts: Parts) -> Counter[str | None]:
    """The URLs that all retry messages carry."""
    found: Counter[str | None] = Counter()
    while messages := parts.retries():
        found.update(each.url for message in messages for each in message.blobs)
    return found


def rows(parts: Parts, operation: Operation) -> dict[str | None, BlobRow]:
    return {row.report.url: row for row in parts.blobs(operation)}


def test_each_blob_is_written_down_and_the_transient_ones_are_tried_again(parts: Parts) -> None:
    operation = parts.register("op")
    say(parts, blobs(lambda number: number % 10 == 0))
    parts.tick()
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.PARTIALLY_SUCCEEDED, Counts(succeeded=270, failed=30))
    assert not parts.is_outstanding(operation)
    assert retried(parts) == Counter(url(number) for number in range(0, COUNT, 10))
    states = Counter((each.report.status, each.retry_state) for each in parts.blobs(operation))
    assert states == {("Succeeded", RetryState.NONE): 270, ("Failed", RetryState.ENQUEUED): 30}


def test_a_second_poll_adds_what_is_new(parts: Parts) -> None:
    operation = parts.register("op")
    say(parts, blobs(lambda number: number < 5, RUNNING))
    parts.tick()
    assert parts.row(operation).counts == Counts(failed=5, in_progress=295)
    assert retried(parts) == Counter(map(url, range(5)))
    say(parts, blobs(lambda number: number < 8))
    parts.tick()
    assert parts.row(operation).counts == Counts(succeeded=292, failed=8)
    assert retried(parts) == Counter(map(url, range(5, 8)))
    assert len(parts.blobs(operation)) == COUNT


def test_blobs_that_an_answer_leaves_out_count_all_the_same(parts: Parts) -> None:
    operation = parts.register("op")
    say(parts, blobs(lambda number: number < 5, RUNNING))
    parts.tick()
    reports = blobs(lambda number: number < 8)
    parts.adx.reports["op"] = StatusReport(Counts.of(reports), ManyBlobs(reports[5:8]))
    parts.tick()
    assert parts.is_outstanding(operation)
    assert parts.row(operation).counts == Counts(failed=8, succeeded=292)
    assert Counter(each.report.status for each in parts.blobs(operation)) == {"Failed": 8, "InProgress": 292}


def test_a_blob_keeps_its_row_when_it_is_named_otherwise_later(parts: Parts) -> None:
    operation = parts.register("op")
    running = blobs(lambda number: number < 5, RUNNING)
    say(parts, running)
    parts.tick()
    keys = {each: row.key for each, row in rows(parts, operation).items()}
    ended = blobs(lambda number: number < 5)
    say(parts, [replace(each, source_id=f"source-{place}") for place, each in enumerate(ended)])
    parts.tick()
    assert {each: row.key for each, row in rows(parts, operation).items()} == keys
    assert {row.report.source_id for row in parts.blobs(operation)} == {f"source-{place}" for place in range(COUNT)}
    assert retried(parts) == Counter(map(url, range(5)))


@pytest.mark.parametrize("calls", [0, 1, 7, PARTS, PARTS + 3])
def test_what_was_written_before_a_crash_stays_and_the_next_poll_goes_on(
    parts: Parts, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = parts.register("op")
    say(parts, blobs(lambda number: number % 10 == 0))
    with monkeypatch.context() as broken:
        broken.setattr(parts.results, "write_blobs", _failing_after(parts, calls))
        parts.tick()
    assert parts.is_outstanding(operation)
    before = {row.key: row.etag for row in parts.blobs(operation)}
    written = _written(parts, monkeypatch)
    parts.tick()
    assert parts.row(operation).counts == Counts(succeeded=270, failed=30)
    # A message that was sent right before the crash is sent again.
    assert retried(parts).keys() == {url(number) for number in range(0, COUNT, 10)}
    assert len(parts.blobs(operation)) == COUNT
    # But for those that are tried again, each is written once.
    plain = {row.key for row in parts.blobs(operation) if row.report.status == SUCCEEDED}
    assert before.keys() & plain & written == set()
    assert bool(before) is (calls > 0)


def _failing_after(parts: Parts, calls: int) -> Callable[[Operation, Sequence[BlobRow]], list[BlobRow]]:
    """Writes that many groups of rows of the operation, and then none."""
    left, write = iter(range(calls)), parts.results.write_blobs

    def write_or_fail(operation: Operation, some: Sequence[BlobRow]) -> list[BlobRow]:
        if some and next(left, None) is None:
            raise HttpResponseError("storage is away")
        return write(operation, some)

    return write_or_fail


def _written(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The keys of the rows that are written from now on."""
    written: set[str] = set()
    write = parts.results.write_blobs

    def write_noted(operation: Operation, some: Sequence[BlobRow]) -> list[BlobRow]:
        written.update(row.key for row in some)
        return write(operation, some)

    monkeypatch.setattr(parts.results, "write_blobs", write_noted)
    return written


def test_a_crash_before_the_retry_messages_is_made_good(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = parts.register("op")
    say(parts, blobs(lambda number: number % 10 == 0))
    with monkeypatch.context() as broken:
        broken.setattr(parts.settler, "_reenqueue", _fail)
        parts.tick()
    assert retried(parts) == Counter()
    assert len(parts.blobs(operation)) == COUNT
    parts.tick()
    assert retried(parts) == Counter(url(number) for number in range(0, COUNT, 10))
    assert parts.row(operation).counts == Counts(succeeded=270, failed=30)


def _fail(*_: object) -> None:
    raise HttpResponseError("storage is away")


def test_what_can_not_be_enqueued_in_time_is_given_up_in_parts(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.most_at_once = 100
    parts.configure()
    operation = parts.register("op")
    say(parts, blobs(lambda number: number % 10 == 0))
    monkeypatch.setattr(parts.settler, "_reenqueue", _fail)
    parts.tick()
    parts.later(days=3)
    parts.tick()
    parts.tick()
    assert parts.row(operation).state is OperationState.TIMED_OUT
    assert not parts.is_outstanding(operation)
    states = Counter(each.retry_state for each in parts.blobs(operation))
    assert states == {RetryState.NONE: 270, RetryState.NOT_RESUBMITTABLE: 30}


def test_a_redrive_takes_the_parts_one_by_one(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrive, "MOST_AT_ONCE", 100)
    operation = parts.register("op")
    reports = [blob(url(number), "Failed", "Permanent" if number % 10 else None) for number in range(COUNT)]
    say(parts, reports)
    parts.tick()
    assert retried(parts) == Counter()
    request = BlobsRequest(OperationMessage(operation, properties={"format": "csv"}), "ada", frozenset({"Unknown"}))
    assert parts.redriver.redrive_blobs(request).count == 30
    assert retried(parts) == Counter(url(number) for number in range(0, COUNT, 10))
    pointer = parts.results.pointer(operation)
    assert pointer is not None
    row = parts.tables["Operations"].get(pointer.partition, pointer.row)
    assert row is not None
    assert row["RetriedBlobs"] == 30
    again = parts.redriver.redrive_blobs(request)
    assert (again.count, again.left) == (0, 270)


def test_a_retry_message_reads_the_rows_of_its_part_alone(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resubmit, "MOST_AT_ONCE", 100)
    operation = parts.register("op")
    say(parts, blobs(lambda number: number % 10 == 0))
    parts.tick()
    read: list[int] = []
    query = parts.tables["Blobs"].query

    def query_noted(*args: Any, **more: Any) -> Iterator[Any]:  # noqa: ANN401, passed on
        found = list(query(*args, **more))
        read.append(len(found))
        return iter(found)

    monkeypatch.setattr(parts.tables["Blobs"], "query", query_noted)
    while messages := parts.retries():
        for message in messages:
            parts.resubmitter.handle(message)
    assert read
    assert max(read) < COUNT / 4
    states = Counter(each.retry_state for each in parts.blobs(operation))
    assert states == {RetryState.NONE: 270, RetryState.RESUBMITTED: 30}
