"""How many requests ADX gets for an operation, with bulk status and without.

The app's own decisions on a clock of their own, and an ADX in the process that counts what it is asked. Operations come
evenly, are due, and are handed out as the app hands them out: by the timer, or in batches of one shard where more is
due than one instance takes on. What bulk status shows is the truth.
"""

import heapq
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched, count
from zlib import crc32

from benchmarks import plots
from shared.ambient import Ambient
from shared.bulk_poll import BulkAsker
from shared.errors import KustoError
from shared.model import BlobReport, BulkStatus, Counts, Operation, StatusReport
from shared.outcome import is_finished
from shared.progress import Pace, after_report, needs_details
from shared.records import Outstanding
from shared.settings import Polling, load
from shared.store.outstanding import BATCH

_LEGEND = """\
Requests that ADX gets for one operation, from its registration to its end, by the app's own decisions on a simulated
clock: `POLL_*` as by default, a status a poll, one with details at the end, and with `KUSTO_BULK_STATUS` the commands,
each counted as one request and shared among the operations that it asked for. "Not shown" are operations that the
command leaves out; they are asked for one by one from then on."""

BLOBS = 20
MINUTES = (1, 5, 60)
RATES = (10, 1_000)
"""Operations that come in a minute."""
ARRIVALS = timedelta(minutes=2)
TICK = timedelta(seconds=15)
HIDDEN = {"with": 0.0, "with, half not shown": 0.5, "with, none shown": 1.0}

_START = datetime(2027, 1, 1, tzinfo=UTC)
_CLUSTER = "https://ingest-cluster.westeurope.kusto.windows.net"
_SETTINGS = {"IngestionStorage": "UseDevelopmentStorage=true", "KUSTO_INGEST_URI": _CLUSTER}


@dataclass(frozen=True, slots=True)
class Case:
    """Operations that take so many minutes; their blobs end together, or evenly over the last half of the time."""

    rate: int
    minutes: int
    is_gradual: bool

    @property
    def operations(self) -> int:
        """How many come."""
        return round(self.rate * (ARRIVALS / timedelta(minutes=1)))


@dataclass
class Adx:
    """Says the truth of operations whose ID is when they began, in seconds, and counts what it is asked."""

    case: Case
    hidden: float
    now: datetime = _START
    asked: Counter[str] = field(default_factory=Counter)

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        """The true status, as the REST API gives it."""
        self.asked["details" if details else "status"] += 1
        counts = self._counts(operation)
        ended = [BlobReport("Succeeded")] * counts.succeeded + [BlobReport("InProgress")] * counts.in_progress
        return StatusReport(counts, tuple(ended) if details else None)

    def bulk_status(self, operations: Sequence[Operation]) -> Mapping[Operation, BulkStatus]:
        """The true status of those that are shown."""
        self.asked["bulk"] += 1
        shown = (each for each in operations if crc32(each.operation_id.encode()) / 2**32 >= self.hidden)
        counted = {each: self._counts(each) for each in shown}
        return {each: BulkStatus(counts.in_progress > 0, counts) for each, counts in counted.items()}

    def _counts(self, operation: Operation) -> Counts:
        began = _START + timedelta(seconds=float(operation.operation_id))
        share = (self.now - began) / timedelta(minutes=self.case.minutes)
        ended = min(max(2 * share - 1, 0), 1) if self.case.is_gradual else float(share >= 1)
        succeeded = int(BLOBS * ended)
        return Counts(succeeded=succeeded, in_progress=BLOBS - succeeded)


class Watch:
    """Operations watched from their registration to their end."""

    def __init__(self, adx: Adx, polling: Polling, asker: BulkAsker | None, pace: Pace) -> None:
        self._adx = adx
        self._polling = polling
        self._asker = asker
        self._pace = pace
        self._order = count()
        self._waiting: list[tuple[datetime, int, Outstanding]] = []

    def run(self, operations: Sequence[Outstanding]) -> None:
        """Let the time pass until all have ended."""
        self._wait_for(operations)
        while self._waiting:
            self._adx.now += TICK
            for group in self._handed_out(list(self._due())):
                self._poll(group)

    def _wait_for(self, operations: Sequence[Outstanding]) -> None:
        for each in operations:
            heapq.heappush(self._waiting, (each.next_poll_at, next(self._order), each))

    def _due(self) -> Iterator[Outstanding]:
        while self._waiting and self._waiting[0][0] <= self._adx.now:
            yield heapq.heappop(self._waiting)[2]

    def _handed_out(self, due: Sequence[Outstanding]) -> Iterator[Sequence[Outstanding]]:
        if len(due) <= self._polling.inline_limit:
            yield due
            return
        by_shard: dict[str, list[Outstanding]] = {}
        for each in due:
            by_shard.setdefault(each.shard, []).append(each)
        for shard in by_shard.values():
            yield from batched(shard, BATCH, strict=False)

    def _poll(self, due: Sequence[Outstanding]) -> None:
        left = due
        if self._asker is not None:
            answered = self._asker.ask(due, lambda: False, _fail)
            self._wait_for([after for _, after in answered.moves])
            left = answered.left
        self._wait_for([after for before in left if (after := self._asked(before)) is not None])

    def _asked(self, before: Outstanding) -> Outstanding | None:
        now = self._adx.now
        report = self._adx.status(before.operation, details=False)
        if needs_details(before, report, now, self._polling):
            report = self._adx.status(before.operation, details=True)
            if is_finished(report, before.named_blobs):
                return None
        return after_report(before, report, before.recorded_failures, now, self._pace)


def _fail(_: Operation, error: KustoError) -> None:
    raise error


def requests(case: Case, hidden: float | None) -> dict[str, float]:
    """Requests of each kind for an operation, without bulk status if ``hidden`` is None."""
    adx = Adx(case, hidden or 0.0)
    polling = load(_SETTINGS).polling
    pace = Pace(polling, Ambient(now=lambda: adx.now, random=random.Random(0).random))
    with ThreadPoolExecutor(1) as executor:
        asker = None if hidden is None else BulkAsker(adx, pace, executor)
        Watch(adx, polling, asker, pace).run(_registered(case, polling))
    return {kind: asked / case.operations for kind, asked in adx.asked.items()}


def _registered(case: Case, polling: Polling) -> list[Outstanding]:
    began = [ARRIVALS.total_seconds() * place / case.operations for place in range(case.operations)]
    return [_outstanding(seconds, polling) for seconds in began]


def _outstanding(seconds: float, polling: Polling) -> Outstanding:
    operation = Operation(_CLUSTER, "db", "events", repr(seconds))
    began = _START + timedelta(seconds=seconds)
    return Outstanding(
        operation=operation,
        registered_at=began,
        partition="",
        attempt=1,
        root_operation_id=operation.operation_id,
        named_blobs=BLOBS,
        next_poll_at=began + polling.first_delay,
        interval=polling.min_interval,
    )


def _row(case: Case) -> tuple[str, dict[str, float]]:
    """One row of the table, and the totals by how they came about."""
    without = sum(requests(case, None).values())
    totals = {"without": without} | {name: sum(requests(case, hidden).values()) for name, hidden in HIDDEN.items()}
    ended = "one by one" if case.is_gradual else "together"
    figures = " | ".join(f"{total:.2f}" for total in totals.values())
    saved = 1 - totals["with"] / without
    return f"| {case.rate:,} | {case.minutes} | {ended} | {figures} | {saved:.0%} |", totals


def measure() -> str:
    """Count requests for operations that take 1, 5 and 60 minutes, few and many of them, and write them as a table."""
    lines = [
        f"| operations a minute | minutes each | {BLOBS} blobs end | without | {' | '.join(HIDDEN)} | saved |",
        "|--:|--:|---|" + "--:|" * (len(HIDDEN) + 2),
    ]
    series: dict[str, list[tuple[float, float]]] = {}
    for rate in RATES:
        for is_gradual in (False, True):
            for minutes in MINUTES:
                print(f"bulk: {rate} a minute, {minutes} minutes each", flush=True)
                line, totals = _row(Case(rate, minutes, is_gradual))
                lines.append(line)
                if rate == max(RATES) and not is_gradual:
                    for name, total in totals.items():
                        series.setdefault(name, []).append((minutes, total))
    plot = plots.lines(
        "bulk",
        "Requests that ADX gets for an operation",
        series,
        x_label="minutes that an operation takes",
        y_label="requests",
        log_x=True,
    )
    return f"{_LEGEND}\n\n" + "\n".join(lines) + f"\n\n{plot}"
