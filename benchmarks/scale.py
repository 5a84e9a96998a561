"""A million outstanding operations: a discrete simulation of ticks, queue, instances and ADX, beside closed formulas.

Intervals are those of the app's own functions. Operations are simulated in cohorts that were submitted together; a
batch of the poll queue is one cohort or some. What Azure does is as documented (docs/scale.md), what an instance does
as measured by other benchmarks.
"""

import heapq
import itertools
import math
import random
from collections import Counter, deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import simpy

from benchmarks import costs, plots
from benchmarks.costs import Load
from shared import keys
from shared.ambient import Ambient
from shared.model import Counts, Operation, StatusReport
from shared.progress import NoAnswer, Pace, after_no_answer, after_report
from shared.records import Outstanding
from shared.store.handed_out import LEASE, poll_time_left
from shared.store.outstanding import BATCH

OUTSTANDING = (10_000, 100_000, 1_000_000)
"""Operations at a time."""
LASTS = (timedelta(minutes=5), timedelta(hours=1))
"""From an operation's registration to its end."""
ADX_LIMITS = (2_000, 4_000, 6_000, 8_000)
"""Requests a second of one cluster, to be tried: none is documented."""

WARM_UP = timedelta(minutes=3)
MEASURED = timedelta(minutes=8)
"""Simulated time."""

PARTITION_ENTITIES = 2_000
ACCOUNT_REQUESTS = 20_000
QUEUE_MESSAGES = 2_000
"""Documented targets of Table and Queue Storage, a second."""

ENTITIES_A_POLL = 4
"""Rows of a poll: read when it is handed out and when it is polled, deleted, inserted."""

_START = datetime(2027, 1, 1, tzinfo=UTC)
_MOVING = StatusReport(Counts(in_progress=1))
_PAUSE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Setup:
    """What is simulated.

    Attributes:
        outstanding: Operations at a time; one that ends makes room for a new one.
        lasts: From an operation's registration to its end.
        adx_limit: Requests a second that ADX answers before it throttles.
        latency: Of an answer of ADX, in seconds.
        cpu: Seconds of processor time of a poll, with all that belongs to it.
        cores: Of an instance.
        tick: Between two runs of the timer, in seconds.
        a_target: Messages an instance, by which the platform scales: ``batchSize`` and ``newBatchThreshold``.
        more_at_once: Instances that are added at a time.
        decides: Seconds between two decisions to scale.
        cold_start: Seconds until a new instance takes messages.
        most_instances: ``maximumInstanceCount``.
        send: Seconds of the dispatcher for one batch: its share of the sending, and of the reading before.
    """

    outstanding: int
    lasts: timedelta
    adx_limit: float = math.inf
    latency: float = 0.05
    cpu: float = 0.0005
    cores: float = 1.0
    tick: float = 15.0
    a_target: int = 24
    more_at_once: int = 4
    decides: float = 30.0
    cold_start: float = 10.0
    most_instances: int = 100
    send: float = 0.003

    @property
    def concurrency(self) -> int:
        """Requests that an instance has under way: ``POLL_CONCURRENCY``."""
        return costs.POLLING.concurrency

    @property
    def instance_rate(self) -> float:
        """Polls a second that an instance can do: what its threads wait for, or its processor."""
        return min(self.concurrency / (self.latency + self.cpu), self.cores / self.cpu)

    @property
    def weight(self) -> int:
        """Operations of a cohort."""
        return min(BATCH, max(1, self.outstanding // 10_000))


@dataclass(slots=True)
class Figures:
    """What came of a simulation. ``lags``: seconds from when a poll was due to its answer, and how many had it."""

    setup: Setup
    polls: int = 0
    throttled: int = 0
    settled: int = 0
    batches: int = 0
    stale: int = 0
    instances: list[int] = field(default_factory=list)
    lags: Counter[float] = field(default_factory=Counter)

    @property
    def polls_a_second(self) -> float:
        """Requests that ADX got."""
        return self.polls / MEASURED.total_seconds()

    def lag(self, share: float) -> float:
        """The lag that this share of the polls did not exceed, in seconds."""
        sought = share * self.lags.total()
        seen = 0
        for lag, count in sorted(self.lags.items()):
            seen += count
            if seen >= sought:
                return lag
        return math.nan


type Process = Generator[simpy.Event, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Cohorts on the poll queue, and when they were handed out."""

    cohorts: Sequence[tuple[Outstanding, datetime]]
    since: datetime


class Simulation:
    """Cohorts, a dispatcher, a queue, instances, and a cluster that throttles."""

    def __init__(self, setup: Setup, seed: int = 1) -> None:
        self.setup = setup
        self.figures = Figures(setup)
        self._environment = simpy.Environment()
        self._random = random.Random(seed)
        self._pace = Pace(costs.POLLING, Ambient(random=self._random.random))
        self._numbers = itertools.count()
        # By due time; the number keeps cohorts from being compared.
        self._due: list[tuple[datetime, int, Outstanding, datetime]] = []
        self._queue = simpy.Store(self._environment)
        self._under_way = 0
        self._instances = 0
        self._wanted = 1
        # Those whose batch was dropped wait for the end of its lease.
        self._dropped: deque[tuple[datetime, Outstanding, datetime]] = deque()
        self._tokens, self._refilled = 0.0, 0.0
        for _ in range(setup.outstanding // setup.weight):
            self._add(*self._grown(self._random.random()))

    def run(self) -> Figures:
        """Simulate, and return what was measured after the warm-up."""
        self._start_instance()
        self._environment.process(self._tick())
        self._environment.process(self._scale())
        self._environment.run(until=WARM_UP.total_seconds())
        self.figures = Figures(self.setup)
        self._environment.run(until=(WARM_UP + MEASURED).total_seconds())
        return self.figures

    def _now(self) -> datetime:
        return _START + timedelta(seconds=self._environment.now)

    def _add(self, cohort: Outstanding, ends: datetime) -> None:
        heapq.heappush(self._due, (cohort.next_poll_at, next(self._numbers), cohort, ends))

    def _grown(self, share: float) -> tuple[Outstanding, datetime]:
        """A cohort that has lived for this share of its time, polled as often as it would have been."""
        registered_at = _START - share * self.setup.lasts
        cohort = self._new(registered_at)
        while cohort.next_poll_at < _START:
            # On average a poll comes half a tick late.
            polled_at = cohort.next_poll_at + timedelta(seconds=self.setup.tick / 2)
            cohort = after_report(cohort, _MOVING, 0, polled_at, self._pace)
        return cohort, registered_at + self.setup.lasts

    def _new(self, registered_at: datetime) -> Outstanding:
        return Outstanding(
            operation=Operation("https://ingest-c.kusto.windows.net", "d", "t", "id"),
            registered_at=registered_at,
            partition="",
            attempt=1,
            root_operation_id="id",
            named_blobs=1,
            next_poll_at=registered_at + costs.POLLING.first_delay,
            interval=costs.POLLING.min_interval,
        )

    def _tick(self) -> Process:
        while True:
            yield self._environment.timeout(self.setup.tick - self._environment.now % self.setup.tick)
            now = self._now()
            while self._dropped and now - self._dropped[0][0] >= LEASE:
                _, cohort, ends = self._dropped.popleft()
                self._add(cohort, ends)
            due = []
            while self._due and self._due[0][0] <= now:
                _, _, cohort, ends = heapq.heappop(self._due)
                due.append((cohort, ends))
            if len(due) * self.setup.weight <= costs.POLLING.inline_limit:
                yield from self._poll(Batch(due, now))
                continue
            for batch in itertools.batched(due, BATCH // self.setup.weight, strict=False):
                yield self._environment.timeout(self.setup.send)
                self.figures.batches += 1
                yield self._queue.put(Batch(batch, now))

    def _scale(self) -> Process:
        """As the platform does: so many instances as the queue's length asks for, some more at a time."""
        while True:
            yield self._environment.timeout(self.setup.decides)
            length = len(self._queue.items) + self._under_way
            target = min(max(math.ceil(length / self.setup.a_target), 1), self.setup.most_instances)
            self._wanted = min(target, self._instances + self.setup.more_at_once)
            for _ in range(self._wanted - self._instances):
                self._start_instance()

    def _start_instance(self) -> None:
        self._instances += 1
        self._environment.process(self._instance())

    def _instance(self) -> Process:
        """Takes batches one after the other: what it does side by side takes as long in all."""
        yield self._environment.timeout(self.setup.cold_start)
        idle_since = self._environment.now
        while True:
            if self._instances > self._wanted and self._environment.now - idle_since > self.setup.decides:
                self._instances -= 1
                return
            if not self._queue.items:
                yield self._environment.timeout(0.25)
                continue
            batch = yield self._queue.get()
            self._under_way += 1
            if poll_time_left(batch.since, self._now()) <= timedelta():
                self.figures.stale += 1
                self._dropped.extend((batch.since, cohort, ends) for cohort, ends in batch.cohorts)
            else:
                yield from self._poll(batch)
            self._under_way -= 1
            idle_since = self._environment.now

    def _poll(self, batch: Batch) -> Process:
        """Ask for each cohort of a batch; once ADX throttles, the rest is put off unasked in half of the time."""
        is_refused = False
        self.figures.instances.append(self._instances)
        for cohort, ends in batch.cohorts:
            if is_refused:
                self._put_off(cohort, ends, was_asked=False)
                continue
            if not self._is_answered():
                is_refused = True
                # What is under way when the first refusal comes.
                asked = min(self.setup.concurrency, self.setup.weight)
                self.figures.polls += asked
                self.figures.throttled += asked
                self._put_off(cohort, ends, was_asked=True)
                yield self._environment.timeout(self.setup.latency + BATCH * self.setup.cpu / 2)
                continue
            yield self._environment.timeout(self.setup.weight / self.setup.instance_rate)
            self.figures.polls += self.setup.weight
            now = self._now()
            lag = now - (cohort.errors_since or cohort.next_poll_at)
            self.figures.lags[round(lag.total_seconds(), 1)] += self.setup.weight
            if now >= ends:
                self.figures.settled += self.setup.weight
                self._add(self._new(now), now + self.setup.lasts)
            else:
                self._add(after_report(cohort, _MOVING, 0, now, self._pace), ends)

    def _is_answered(self) -> bool:
        """Whether the cluster has room for a cohort: a bucket of a second's requests that fills steadily."""
        limit, now = self.setup.adx_limit, self._environment.now
        if math.isinf(limit):
            return True
        self._tokens = min(limit, self._tokens + limit * (now - self._refilled))
        self._refilled = now
        if self._tokens < self.setup.weight:
            return False
        self._tokens -= self.setup.weight
        return True

    def _put_off(self, cohort: Outstanding, ends: datetime, *, was_asked: bool) -> None:
        later = after_no_answer(cohort, NoAnswer("throttled", _PAUSE, was_asked), self._now(), self._pace)
        if isinstance(later, Outstanding):
            self._add(later, ends)


@dataclass(frozen=True, slots=True)
class Paper:
    """The same by formulas."""

    setup: Setup

    @property
    def polls_a_second(self) -> float:
        """Outstanding operations over their mean interval."""
        watch = costs.watch(self.setup.lasts)
        return self.setup.outstanding * watch.polls / watch.seconds

    @property
    def instances(self) -> float:
        """Polls a second over what an instance does."""
        return self.polls_a_second / self.setup.instance_rate

    @property
    def messages_a_second(self) -> float:
        """Batches."""
        return self.polls_a_second / BATCH

    @property
    def entities_a_partition(self) -> float:
        """Rows read and written a second in each of the 16 partitions."""
        return self.polls_a_second * ENTITIES_A_POLL / len(keys.SHARDS)

    @property
    def table_requests_a_second(self) -> float:
        """Of polling alone: a batch's query and its transactions, a page for each thousand rows handed out."""
        return self.messages_a_second * (1 + BATCH * 2 / 100) + self.polls_a_second / 1_000

    @property
    def operations_a_day(self) -> float:
        """How many are registered to have so many outstanding."""
        return self.setup.outstanding / costs.watch(self.setup.lasts).seconds * 86_400


def measure() -> str:
    """Simulate, and return a Markdown section."""
    figures = [_simulated(Setup(size, lasts)) for lasts in LASTS for size in OUTSTANDING]
    limited = [_simulated(Setup(OUTSTANDING[-1], LASTS[-1], adx_limit=limit)) for limit in ADX_LIMITS]
    series = {
        f"{_minutes(lasts)} min, p{share:.0%}".replace("%", ""): [
            (each.setup.outstanding, each.lag(share)) for each in figures if each.setup.lasts == lasts
        ]
        for lasts in LASTS
        for share in (0.5, 0.99)
    }
    plot = plots.lines(
        "scale_lag",
        "How late a due operation is polled (simulated)",
        series,
        x_label="outstanding operations",
        y_label="seconds after the due time",
        log_x=True,
    )
    return "\n\n".join(
        (
            _premises(figures[0].setup),
            _table(
                "| Outstanding | lasting, min | polls/s | on paper | instances, mean | most | busy, on paper "
                "| lag p50, s | p95 | p99 | stale batches |",
                map(_row, figures),
            ),
            plot,
            "What that is for storage, on paper, and a month's money by benchmarks/costs.py:",
            _table(
                "| Outstanding | lasting, min | operations a day | rows/s a partition, of 2,000 "
                "| rows/s, of 20,000 | table requests/s | batches/s, of 2,000 | USD a month |",
                map(_storage_row, figures),
            ),
            f"{OUTSTANDING[-1]:,} outstanding, lasting {_minutes(LASTS[-1])} minutes, with a cluster that throttles:",
            _table(
                "| ADX answers, a second | asked/s | of them throttled | lag p50, s | p95 | p99 |",
                map(_limited_row, limited),
            ),
        )
    )


def _simulated(setup: Setup) -> Figures:
    limit = "" if math.isinf(setup.adx_limit) else f", ADX answers {setup.adx_limit:,.0f} a second"
    print(f"scale: {setup.outstanding:,} outstanding, {_minutes(setup.lasts)} minutes each{limit}", flush=True)
    return Simulation(setup).run()


def _premises(setup: Setup) -> str:
    return (
        f"Simulated with ADX answering in {setup.latency * 1000:.0f} ms, {setup.cpu * 1000:.1f} ms of processor time "
        f"a poll, one core an instance: it can do {setup.instance_rate:.0f} polls/s. The timer runs each "
        f"{setup.tick:.0f} s, so a poll is late by half of that when nothing waits. Storage has no limits here: "
        "where rows a second are more than 20,000, an account would refuse some. Paper: by the formulas of "
        "docs/scale.md."
    )


def _row(figures: Figures) -> str:
    setup, paper = figures.setup, Paper(figures.setup)
    mean = sum(figures.instances) / len(figures.instances)
    cells = (
        f"{setup.outstanding:,}",
        _minutes(setup.lasts),
        f"{figures.polls_a_second:,.0f}",
        f"{paper.polls_a_second:,.0f}",
        f"{mean:.1f}",
        max(figures.instances),
        f"{paper.instances:.1f}",
        *(f"{figures.lag(share):.1f}" for share in (0.5, 0.95, 0.99)),
        f"{figures.stale / max(figures.batches, 1):.1%}",
    )
    return _line(cells)


def _storage_row(figures: Figures) -> str:
    setup, paper = figures.setup, Paper(figures.setup)
    load = Load(round(paper.operations_a_day), tables=50, lasts=setup.lasts, sampling=1, lines=False, host_lines=False)
    cells = (
        f"{setup.outstanding:,}",
        _minutes(setup.lasts),
        f"{paper.operations_a_day:,.0f}",
        f"{paper.entities_a_partition:,.0f}",
        f"{paper.polls_a_second * ENTITIES_A_POLL:,.0f}",
        f"{paper.table_requests_a_second:,.0f}",
        f"{paper.messages_a_second:,.0f}",
        f"{costs.cost(load).total:,.0f}",
    )
    return _line(cells)


def _limited_row(figures: Figures) -> str:
    cells = (
        f"{figures.setup.adx_limit:,.0f}",
        f"{figures.polls_a_second:,.0f}",
        f"{figures.throttled / figures.polls:.1%}",
        *(f"{figures.lag(share):.1f}" for share in (0.5, 0.95, 0.99)),
    )
    return _line(cells)


def _minutes(time: timedelta) -> str:
    return f"{time.total_seconds() / 60:.0f}"


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _table(head: str, rows: Iterable[str]) -> str:
    return "\n".join((head, "|" + " ---: |" * (head.count("|") - 1), *rows))
