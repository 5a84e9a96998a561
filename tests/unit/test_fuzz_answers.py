"""Whatever ADX answers is a status that can be used, or none: no other error, no blob less, and in no long time."""

import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import event, example, given, settings, target

from shared.endpoints import Endpoints
from shared.keys import LONGEST_KEY, escape, utf16_length
from shared.kusto.answers import NoStatus, read_error, read_most_blobs, read_operation_id, read_status
from shared.messages import (
    MOST_BYTES,
    Defaults,
    NamedBlob,
    OperationMessage,
    RetryMessage,
    read_operation,
    read_retry,
    split_retry,
    write_operation,
    write_retry,
)
from shared.model import MOST_COUNT, Counts, OperationState, RetryState, StatusReport
from shared.outcome import accounted_failures, as_settled, is_finished, keyed, summarize
from shared.progress import Pace, after_report, needs_details
from shared.records import BlobRow
from shared.reenqueue import NamedBlobs, retry_blob, with_url
from shared.settle import _tell_news
from shared.store.outstanding import _due_entity
from shared.store.results import _blob_entity, _summary_columns
from tests.support.damage import TIMES, damaged, one_odd_value
from tests.support.facts import CLUSTER, NOW, OPERATION, POLLING, URL, merge, outstanding, surroundings
from tests.support.good import FINISHED, GOOD_ERROR, GOOD_STATUS
from tests.support.storable import assert_storable

DEFAULTS = Defaults(Endpoints(CLUSTER))
PACE = settings(max_examples=400, deadline=timedelta(minutes=1))
NAMED = (NamedBlob(f"{URL}?sig=abc", "s1", 5), NamedBlob(f"{URL}2", None, None, extra={"partner": 1}), NamedBlob())

STATUSES = damaged(GOOD_STATUS) | damaged(FINISHED)


def use(report: StatusReport) -> list[BlobRow]:
    """Do with a report all that a poll does before it writes; returns the rows."""
    pace = Pace(POLLING, surroundings())
    was = outstanding(named_blobs=2)
    assert needs_details(was, replace(report, blobs=None), NOW, POLLING) in {True, False}
    recorded = accounted_failures(report, was.recorded_failures)
    last = after_report(was, report, recorded, NOW, pace)
    assert last.next_poll_at > NOW
    assert 0 <= last.recorded_failures <= last.counts.failed <= MOST_COUNT
    assert_storable(_due_entity(last))
    blobs = tuple(with_url(blob, NamedBlobs(NAMED)) for blob in report.blobs or ())
    pairs = keyed({}, blobs)
    assert len({key for key, _ in pairs}) == len(pairs) == len(blobs)
    rows = {row.key: row for row in merge({}, blobs, attempt=1, most=5)}
    assert len(rows) == len(blobs)
    # The same once more is no news.
    assert merge(rows, blobs, attempt=1, most=5) == []
    for row in rows.values():
        assert_storable(_blob_entity(OPERATION, row))
        assert (row.retry_state is RetryState.PENDING) is row.report.is_transient
    finished = is_finished(report, was.named_blobs)
    own = list(rows.values())
    for known in (was, last):
        for state in (OperationState.IN_PROGRESS, OperationState.TIMED_OUT, *([None] if finished else [])):
            assert_storable(_summary_columns(was.pointer, summarize(as_settled(own), known, state), NOW))
    _tell_news(was, {}, rows)
    return own


def retried(rows: list[BlobRow]) -> int:
    """How many of the rows the retry messages carry, each of which can be read and is small enough."""
    pending = [row for row in rows if row.retry_state is RetryState.PENDING]
    whole = RetryMessage(
        OPERATION, "root", 1, NOW, tuple(retry_blob(row, NamedBlobs(NAMED).find(row.report), None) for row in pending)
    )
    parts = split_retry(whole)
    for part in parts:
        text = write_retry(part)
        assert len(text) <= MOST_BYTES
        assert read_retry(text.encode(), DEFAULTS) == part
    assert [blob.key for part in parts for blob in part.blobs] == [row.key for row in pending]
    return len(pending)


@PACE
@given(STATUSES)
@example(json.dumps({"details": [{}] * 3}).encode())
@example(
    json.dumps({"status": dict.fromkeys(["a", "b", "c", "Succeeded", "failed"], MOST_COUNT), "details": []}).encode()
)
def test_whatever_comes_is_a_status_that_can_be_used_or_none(body: bytes) -> None:
    transient = transient_of(body)
    event("no status" if transient is None else f"transient: {transient}")
    target(transient or 0)


def test_any_value_anywhere_is_a_status_that_can_be_used_or_none() -> None:
    transient = Counter(transient_of(body) for body in one_odd_value(FINISHED))
    assert min(transient[None], transient[1], transient[2]) > 50


def transient_of(body: bytes) -> int | None:
    """How many blobs of an answer are tried again; it can be used, and has all its blobs. None: no status."""
    try:
        report = read_status(body)
    except NoStatus:
        return None
    details = {name.lower(): each for name, each in json.loads(body).items()}.get("details")
    assert len(report.blobs or ()) == (len(details) if isinstance(details, list) else 0)
    return retried(use(report))


@settings(max_examples=200, deadline=timedelta(minutes=1))
@given(STATUSES, STATUSES)
def test_one_answer_after_another_leaves_no_blob_out(first: bytes, second: bytes) -> None:
    try:
        before, report = read_status(first), read_status(second)
    except NoStatus:
        return
    use_pair(before, report)


def use_pair(before: StatusReport, report: StatusReport) -> None:
    """What a second answer does to the rows of a first: none goes, and none is taken for two."""
    rows = {row.key: row for row in merge({}, before.blobs or (), attempt=1, most=5)}
    after = rows | {row.key: row for row in merge(rows, report.blobs or (), attempt=1, most=5)}
    assert rows.keys() <= after.keys()
    assert len(after) >= max(len(before.blobs or ()), len(report.blobs or ()))
    succeeded = {key for key, row in rows.items() if row.report.has_succeeded}
    assert all(after[key].report.has_succeeded for key in succeeded)
    for row in after.values():
        assert_storable(_blob_entity(OPERATION, row))
    Counts.of(row.report for row in after.values())
    retried(list(after.values()))


def test_any_value_anywhere_in_another_answer_does_no_harm() -> None:
    for body in one_odd_value(GOOD_ERROR):
        said, _ = read_error(body)
        assert len(said) <= 500
    for good in ({"ingestionOperationId": "x"}, {"ingestionSettings": {"maxBlobsPerBatch": 70}}):
        for body in one_odd_value(good):
            with suppress(NoStatus):
                assert read_operation_id(body) != ""
                assert read_most_blobs(body) != 0


@settings(max_examples=300, deadline=timedelta(minutes=1))
@given(damaged({"ingestionOperationId": "ingest_op_2"}))
def test_whatever_comes_is_the_id_of_an_operation_that_can_be_watched_or_none(body: bytes) -> None:
    try:
        operation_id = read_operation_id(body)
    except NoStatus:
        return
    event(f"given: {operation_id is not None}")
    if operation_id is None:
        return
    message = OperationMessage(replace(OPERATION, operation_id=operation_id))
    assert utf16_length(escape(operation_id)) <= LONGEST_KEY
    assert read_operation(write_operation(message).encode(), DEFAULTS, is_ours=True) == message


@settings(max_examples=300, deadline=timedelta(minutes=1))
@given(damaged(GOOD_ERROR))
def test_whatever_comes_is_said_in_few_words_and_without_a_secret(body: bytes) -> None:
    said, permanent = read_error(body)
    assert len(said) <= 500
    assert permanent in {True, False, None}
    said.encode()
    if b"?sig=abc" in body:
        assert "sig=abc" not in said


@settings(max_examples=200, deadline=timedelta(minutes=1))
@given(damaged({"ingestionSettings": {"maxBlobsPerBatch": 70, "maxDataSize": 1}, "containerSettings": None}))
def test_whatever_comes_is_a_number_of_blobs_above_zero_or_none(body: bytes) -> None:
    try:
        most = read_most_blobs(body)
    except NoStatus:
        return
    event(f"given: {most is not None}")
    assert most is None or most > 0


@pytest.mark.parametrize(
    "good",
    [GOOD_STATUS, {"ingestionOperationId": "x"}, {"ingestionSettings": {"maxBlobsPerBatch": 70}}],
    ids=["status", "submission", "configuration"],
)
def test_an_answer_cut_short_anywhere_is_none(good: dict[str, Any]) -> None:
    body = json.dumps(good).encode()
    for end in range(len(body)):
        for read in (read_status, read_operation_id, read_most_blobs):
            with pytest.raises(NoStatus):
                read(body[:end])


@pytest.mark.parametrize("text", TIMES)
def test_any_time_is_one_that_a_table_keeps_or_none(text: str) -> None:
    body = json.dumps(
        {"startTime": text, "lastUpdated": text, "details": [{"startTime": text, "lastUpdateTime": text}]}
    )
    use(read_status(body.encode()))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "blob",
    [
        lambda number: {"url": f"{URL}{number}", "status": "Failed", "failureStatus": "Transient", "details": "busy"},
        lambda _: {"url": URL, "status": "InProgress"},
    ],
    ids=["all different", "all alike"],
)
def test_ten_thousand_blobs_are_ten_thousand_rows(blob: Any) -> None:  # noqa: ANN401, any maker
    report = read_status(json.dumps({"details": [blob(number) for number in range(10_000)]}).encode())
    rows = {row.key: row for row in merge({}, report.blobs or (), attempt=1, most=5)}
    assert len(rows) == 10_000
    assert merge(rows, report.blobs or (), attempt=1, most=5) == []
    by_status = Counter(row.report.status for row in rows.values())
    assert by_status.total() == report.tally.total
    retried(list(rows.values()))
