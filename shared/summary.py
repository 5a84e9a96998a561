"""What happened in a span of time, at a glance: operations by state over time, blobs by outcome, failures by code."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

from shared.model import Counts, OperationState
from shared.store.listing import Copy, CutShort

MOST_COUNTED = 20_000
"""Operations; the newest ones of a span that has more."""

MOST_FAILURES = 100
"""Kinds of failures, those of most operations first."""

_BUCKETS = 48
_SECONDS = (60, 300, 600, 900, 1800, 3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600)
_DAY = 24 * 3600
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since``, included, to ``until``, not included."""

    since: datetime
    until: datetime

    @property
    def bucket(self) -> timedelta:
        """The length of a bucket, so that there are about 48: a round one, and whole days for a long span."""
        wanted = max((self.until - self.since).total_seconds(), 0) / _BUCKETS
        fitting = next((each for each in _SECONDS if each >= wanted), None)
        return timedelta(seconds=fitting or -int(-wanted // _DAY) * _DAY)

    @property
    def buckets(self) -> list[datetime]:
        """When each bucket begins; they are in step with the clock (UTC), so the first may begin before the span."""
        if self.since >= self.until:
            return []
        first, length = self.bucket_of(self.since), self.bucket
        count = -((first - self.until) // length)
        return [first + place * length for place in range(count)]

    def bucket_of(self, time: datetime) -> datetime:
        """When the bucket of a time begins."""
        return time - (time - _EPOCH) % self.bucket


@dataclass(frozen=True, slots=True)
class FailureKind:
    """What failures of operations are told apart by."""

    error_code: str | None
    cluster: str
    database: str
    table: str


@dataclass(slots=True)
class Summed:
    """What the operations of a span come to. ``is_complete`` is False where there may be more than were counted."""

    span: Span
    counted: int = 0
    is_complete: bool = True
    by_bucket: dict[datetime, Counter[OperationState]] = field(default_factory=dict)
    states: Counter[OperationState] = field(default_factory=Counter)
    blobs: Counts = field(default_factory=Counts)
    failed_operations: Counter[FailureKind] = field(default_factory=Counter)
    failed_blobs: Counter[FailureKind] = field(default_factory=Counter)

    @property
    def failures(self) -> Sequence[tuple[FailureKind, int, int]]:
        """The kinds of failures with their operations and failed blobs, most operations first, 100 at the most."""
        kinds = self.failed_operations.most_common(MOST_FAILURES)
        return [(kind, operations, self.failed_blobs[kind]) for kind, operations in kinds]


def sum_up(copies: Iterable[Copy], span: Span, most: int = MOST_COUNTED) -> Summed:
    """Sum up the operations of a span, ``most`` of them at the most."""
    summed = Summed(span, by_bucket={each: Counter() for each in span.buckets})
    remaining = iter(copies)
    try:
        for copy in islice(remaining, most):
            _add(summed, copy)
        summed.is_complete = next(remaining, None) is None
    except CutShort:
        summed.is_complete = False
    return summed


def _add(summed: Summed, copy: Copy) -> None:
    summed.counted += 1
    summed.states[copy.state] += 1
    summed.by_bucket.setdefault(summed.span.bucket_of(copy.registered_at), Counter())[copy.state] += 1
    summed.blobs += copy.counts
    if copy.first_error_code or copy.counts.failed:
        operation = copy.operation
        kind = FailureKind(copy.first_error_code, operation.cluster, operation.database, operation.table)
        summed.failed_operations[kind] += 1
        summed.failed_blobs[kind] += copy.counts.failed
