"""With bulk status an operation ends as it does without, whatever bulk status says."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import bulk
from shared.bulk_poll import LEAST_OPERATIONS
from shared.errors import RequestRejected, RoleMissing, Throttled, Unavailable
from shared.model import BlobReport, BulkStatus, Counts, Operation, OperationState, StatusReport
from shared.settings import Polling
from tests.support.facts import POLLING
from tests.support.memory_queue import MemoryQueue
from tests.support.memory_table import MemoryTable
from tests.support.parts import START, Parts, ScriptedAdx, blob

TIMEOUT = timedelta(hours=1)
BULK = replace(POLLING, tracking_timeout=TIMEOUT, bulk_status=True)
WITHOUT = replace(BULK, bulk_status=False)
STEP = timedelta(minutes=3)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Fate:
    """What becomes of a blob, and after how many minutes."""

    minutes: int
    status: str
    failure_status: str | None = None

    def at(self, url: str, minutes: float) -> BlobReport:
        if minutes < self.minutes:
            return blob(url, "InProgress")
        return blob(url, self.status, self.failure_status)


# In time, or never: what ends just before the app gives up ends one way or the other by the second of the last poll.
MINUTES = st.integers(0, 35) | st.just(100_000)
FATES = st.one_of(
    st.builds(Fate, MINUTES, st.sampled_from(["Succeeded", "Canceled"])),
    st.builds(Fate, MINUTES, st.just("Failed"), st.sampled_from(["Transient", "Permanent", "Unknown"])),
)
OPERATIONS = st.lists(st.lists(FATES, min_size=1, max_size=3), min_size=2, max_size=4)
COUNTS = st.builds(Counts, *[st.integers(0, 2)] * 4)
LIES = st.one_of(
    st.sampled_from(["truth", "as at first", "missing"]),
    st.builds(BulkStatus, st.booleans(), st.none() | COUNTS),
    st.sampled_from([RequestRejected("x"), RoleMissing("x"), Throttled("x"), Unavailable("x"), ZeroDivisionError("x")]),
)


class Unreliable(ScriptedAdx):
    """ADX whose status is true, and whose bulk status says what was drawn."""

    def __init__(self, fates: Sequence[Sequence[Fate]], minutes: Callable[[], float], lies: Sequence[object]) -> None:
        super().__init__()
        self.fates = fates
        self.minutes = minutes
        self.lies = iter(lies)

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        blobs = self._blobs(operation, self.minutes())
        self.says(operation.operation_id, *blobs)
        return super().status(operation, details=details)

    def bulk_status(self, operations: Sequence[Operation]) -> Mapping[Operation, BulkStatus]:
        self.asked_in_bulk.append([each.operation_id for each in operations])
        said = {each: self._said(each, next(self.lies, "truth")) for each in operations}
        return {each: status for each, status in said.items() if status is not None}

    def _said(self, operation: Operation, lie: object) -> BulkStatus | None:
        if isinstance(lie, Exception):
            raise lie
        if isinstance(lie, BulkStatus):
            return lie
        counts = Counts.of(self._blobs(operation, self.minutes() if lie == "truth" else 0))
        return None if lie == "missing" else BulkStatus(counts.in_progress > 0, counts)

    def _blobs(self, operation: Operation, minutes: float) -> list[BlobReport]:
        fates = self.fates[int(operation.operation_id)]
        return [fate.at(f"https://a/{place}", minutes) for place, fate in enumerate(fates)]


class Memory(Parts):
    """The app's parts on storage in memory."""

    def __init__(self, polling: Polling, fates: Sequence[Sequence[Fate]], lies: Sequence[object]) -> None:
        tables = SimpleNamespace(get_table_client=lambda _: MemoryTable())
        queues = SimpleNamespace(get_queue_client=lambda _: MemoryQueue(lambda: self.now))
        self._fates, self._lies = fates, lies
        super().__init__(cast("Any", tables), cast("Any", queues), "", polling)

    def configure(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, as those of the parts
        self.adx = Unreliable(self._fates, lambda: (self.now - START) / timedelta(minutes=1), self._lies)
        super().configure(*args, **kwargs)


def endings(polling: Polling, fates: Sequence[Sequence[Fate]], lies: Sequence[object] = ()) -> tuple[Any, Memory]:
    """How every operation and every blob ended, watched until all have."""
    with closing(Memory(polling, fates, lies)) as parts:
        operations = [parts.register(str(place)) for place in range(len(fates))]
        while any(map(parts.is_outstanding, operations)):
            assert parts.now < START + 3 * TIMEOUT, "it never ends"
            parts.now += STEP
            parts.poller.tick()
        rows = [parts.row(operation) for operation in operations]
        blobs = [[(row.report, row.retry_state) for row in parts.blobs(operation)] for operation in operations]
        return [(row.state, row.counts, row.last_error) for row in rows] + blobs, parts


@FEW
@given(OPERATIONS, st.lists(LIES, max_size=60))
def test_whatever_bulk_status_says_operations_end_as_without_it(fates: list[list[Fate]], lies: list[object]) -> None:
    without, _ = endings(WITHOUT, fates)
    with_bulk, parts = endings(BULK, fates, lies)
    assert with_bulk == without
    assert len(parts.adx.asked) <= 100


def test_what_bulk_status_never_shows_to_move_ends_soon_all_the_same() -> None:
    fates = [[Fate(10, "Succeeded")], [Fate(20, "Failed", "Transient"), Fate(5, "Succeeded")]]
    ended, parts = endings(BULK, fates, ["as at first"] * 1000)
    assert [each[0] for each in ended[:2]] == [OperationState.SUCCEEDED, OperationState.PARTIALLY_SUCCEEDED]
    assert parts.adx.asked_in_bulk
    assert parts.now - START <= timedelta(minutes=40)


def test_bulk_status_that_tells_the_truth_saves_most_of_what_is_asked() -> None:
    fates = [[Fate(50, "Succeeded")]] * 4
    _, without = endings(WITHOUT, fates)
    _, with_bulk = endings(BULK, fates)
    assert len(with_bulk.adx.asked) + len(with_bulk.adx.asked_in_bulk) < 0.6 * len(without.adx.asked)


def test_bulk_status_that_shows_nothing_is_asked_once_and_costs_nothing_more() -> None:
    fates = [[Fate(50, "Succeeded")]] * 4
    ended, without = endings(WITHOUT, fates)
    same, with_bulk = endings(BULK, fates, ["missing"] * 1000)
    assert same == ended
    assert sorted(with_bulk.adx.asked) == sorted(without.adx.asked)
    assert len(with_bulk.adx.asked_in_bulk) == 1


def test_what_the_benchmark_counts_is_less_with_bulk_status_and_hardly_more_where_it_shows_nothing() -> None:
    case = bulk.Case(rate=20, minutes=60, is_gradual=False)
    without, shown, hidden = (sum(bulk.requests(case, share).values()) for share in (None, 0.0, 1.0))
    assert shown < 0.8 * without
    assert without <= hidden <= without + 1 / LEAST_OPERATIONS
