"""What happened in a span of time, at a glance."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import Counts, Operation, OperationState
from shared.store.listing import Copy
from shared.summary import FailureKind, Span, sum_up

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SPAN = Span(NOON - timedelta(hours=24), NOON)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2499, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001, made aware there


def copy(
    at: datetime = NOON - timedelta(minutes=1),
    state: OperationState = OperationState.SUCCEEDED,
    counts: Counts | None = None,
    code: str | None = None,
    table: str = "Orders",
) -> Copy:
    return Copy(Operation("c", "d", table, "x"), at, state, counts or Counts(), code, None, 0)


@pytest.mark.parametrize(
    ("length", "seconds"),
    [
        (timedelta(), 60),
        (timedelta(hours=1), 300),
        (timedelta(hours=24), 1800),
        (timedelta(days=7), 6 * 3600),
        (timedelta(days=30), 24 * 3600),
        (timedelta(days=365), 8 * 24 * 3600),
    ],
)
def test_a_bucket_has_a_round_length(length: timedelta, seconds: int) -> None:
    assert Span(NOON - length, NOON).bucket == timedelta(seconds=seconds)


@given(TIMES, TIMES)
def test_the_buckets_cover_the_span_and_are_about_48(one: datetime, other: datetime) -> None:
    span = Span(min(one, other), max(one, other))
    buckets = span.buckets
    if one == other:
        assert buckets == []
        return
    assert buckets[0] <= span.since < buckets[0] + span.bucket
    assert buckets[-1] < span.until <= buckets[-1] + span.bucket
    assert len(buckets) <= 49
    assert all(later - earlier == span.bucket for earlier, later in pairwise(buckets))


def test_operations_are_counted_by_state_and_in_their_bucket() -> None:
    summed = sum_up(
        [
            copy(NOON - timedelta(minutes=1), OperationState.FAILED),
            copy(NOON - timedelta(minutes=29)),
            copy(NOON - timedelta(minutes=31)),
        ],
        SPAN,
    )
    last, before = NOON - timedelta(minutes=30), NOON - timedelta(minutes=60)
    assert summed.by_bucket[last] == {OperationState.FAILED: 1, OperationState.SUCCEEDED: 1}
    assert summed.by_bucket[before] == {OperationState.SUCCEEDED: 1}
    assert sum(map(bool, summed.by_bucket.values())) == 2
    assert (summed.counted, summed.states[OperationState.SUCCEEDED], summed.is_complete) == (3, 2, True)


def test_failures_are_told_by_code_and_table_most_operations_first() -> None:
    one, two = Counts(succeeded=1, failed=2), Counts(failed=1)
    summed = sum_up(
        [
            copy(counts=one, code="A"),
            copy(counts=two, code="B", table="Other"),
            copy(counts=two, code="A"),
            copy(counts=two),
            copy(counts=Counts(succeeded=5)),
        ],
        SPAN,
    )
    assert summed.failures == [
        (FailureKind("A", "c", "d", "Orders"), 2, 3),
        (FailureKind("B", "c", "d", "Other"), 1, 1),
        (FailureKind(None, "c", "d", "Orders"), 1, 1),
    ]
    assert summed.blobs == Counts(succeeded=6, failed=5)


def test_of_more_than_are_counted_the_newest_count() -> None:
    summed = sum_up((copy() for _ in range(4)), SPAN, most=3)
    assert (summed.counted, summed.is_complete) == (3, False)
    summed = sum_up((copy() for _ in range(3)), SPAN, most=3)
    assert (summed.counted, summed.is_complete) == (3, True)


def test_kinds_of_failures_have_a_most() -> None:
    summed = sum_up((copy(counts=Counts(failed=1), code=str(number)) for number in range(150)), SPAN)
    assert len(summed.failures) == 100
