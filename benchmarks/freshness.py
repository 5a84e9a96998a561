"""How soon after its end in ADX an operation's rows are written: adaptive polling intervals beside a fixed one.

On a virtual clock, through the app's own functions, for operations as they are usual; the fixed interval is the one
that takes as many requests. Then really: the app in a host, the simulator of ADX, and short intervals.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from azure.data.tables import TableServiceClient

from benchmarks import costs, plots
from benchmarks.instance import Population, Surroundings, surroundings
from local.functions_host import FunctionsHost
from shared import backoff
from shared.ambient import Ambient
from shared.model import Counts, Operation, StatusReport
from shared.progress import Pace, after_report
from shared.records import Outstanding
from shared.settings import Polling

SAMPLES = 1_500
"""Operations of each kind."""
BLOBS = 20
SHORTEST, LONGEST = 15, 120
"""Fixed intervals that come into question, in seconds."""
TICK = 15.0
"""Seconds between two runs of the timer."""

_MOST_SECONDS = 60.0

_START = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Run:
    """Operations that are really polled.

    Attributes:
        outstanding: How many.
        over: Seconds over which they end, one after the other.
        least: Seconds of their first polling interval.
        most: Seconds of their longest.
    """

    outstanding: int
    over: float
    least: int
    most: int


RUNS = (Run(1_000, 20, 1, 15), Run(1_000, 20, 3, 3), Run(10_000, 60, 15, 60))
"""An adaptive interval and a fixed one; and one of so many that a host is busy with them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Operations that are alike.

    Attributes:
        name: What the tables call it.
        share: Of all operations.
        ends: When each blob of one ends, in seconds after its registration, in order.
    """

    name: str
    share: float
    ends: Callable[[random.Random], Sequence[float]]


def _together(sealed: Callable[[random.Random], float]) -> Callable[[random.Random], Sequence[float]]:
    """All blobs are in one batch: it is sealed, and takes some 10 seconds more."""
    return lambda rng: [sealed(rng) + rng.lognormvariate(math.log(10), 0.8)] * BLOBS


def _spread(rng: random.Random) -> Sequence[float]:
    """Blobs in several batches, over 1 to 5 minutes."""
    first, over = rng.uniform(0, 300), rng.uniform(60, 300)
    return sorted(first + rng.uniform(0, over) for _ in range(BLOBS))


KINDS = (
    Kind("a busy table: sealed within a minute", 0.25, _together(lambda rng: rng.uniform(0, 60))),
    Kind("sealed at any time within 5 minutes", 0.25, _together(lambda rng: rng.uniform(0, 300))),
    Kind("a quiet table: sealed after 5 minutes", 0.25, _together(lambda _: 300.0)),
    Kind("in several batches, over 1 to 5 minutes", 0.2, _spread),
    Kind(
        "ADX is behind by 10 minutes, or by hours",
        0.05,
        _together(lambda rng: 300 + rng.lognormvariate(math.log(600), 1)),
    ),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What polling an operation took: requests, seconds from its end to its rows, and its interval then."""

    requests: int
    after_end: float
    interval: float


@dataclass(frozen=True, slots=True)
class Fresh:
    """A policy with operations of one kind."""

    kind: Kind
    policy: str
    seen: tuple[Seen, ...]

    @property
    def requests(self) -> float:
        """Of an operation, on average."""
        return statistics.fmean(each.requests for each in self.seen)

    @property
    def mean(self) -> float:
        """Seconds from the end of an operation to its rows."""
        return statistics.fmean(each.after_end for each in self.seen)

    def after_end(self, share: float) -> float:
        """What this share of the operations did not exceed."""
        return _quantile([each.after_end for each in self.seen], share)

    def intervals(self, share: float) -> float:
        """The same as a multiple of the polling interval that the operation had."""
        return _quantile([each.after_end / each.interval for each in self.seen], share)


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def watch(ends: Sequence[float], polling: Polling, rng: random.Random) -> Seen:
    """Poll an operation until all its blobs have ended, at ticks that don't know of its registration."""
    pace = Pace(polling, Ambient(random=rng.random))
    first_tick = rng.uniform(0, TICK)
    state = Outstanding(
        operation=Operation("https://ingest-c.kusto.windows.net", "d", "t", "id"),
        registered_at=_START,
        partition="",
        attempt=1,
        root_operation_id="id",
        named_blobs=len(ends),
        next_poll_at=_START + polling.first_delay,
        interval=polling.min_interval,
    )
    while True:
        due = (state.next_poll_at - _START).total_seconds()
        at = first_tick + TICK * math.ceil((due - first_tick) / TICK)
        ended = sum(end <= at for end in ends)
        if ended == len(ends):
            # Once without details, once with them.
            return Seen(state.polls + 2, at - ends[-1], state.interval.total_seconds())
        report = StatusReport(Counts(succeeded=ended, in_progress=len(ends) - ended))
        state = after_report(state, report, 0, _START + timedelta(seconds=at), pace)


def fresh(kind: Kind, policy: str, polling: Polling) -> Fresh:
    """Watch operations of a kind; the same ones for each policy."""
    seen = tuple(
        watch(kind.ends(random.Random(f"ends {number}")), polling, random.Random(f"polls {number}"))
        for number in range(SAMPLES)
    )
    return Fresh(kind, policy, seen)


def mixed(each: Sequence[Fresh], figure: Callable[[Fresh], float]) -> float:
    """A mean over all kinds by their shares."""
    return sum(one.kind.share * figure(one) for one in each)


def fixed(seconds: float) -> Polling:
    """An interval that stays as it is."""
    interval = timedelta(seconds=seconds)
    return replace(costs.POLLING, min_interval=interval, max_interval=interval)


def all_kinds(policy: str, polling: Polling) -> list[Fresh]:
    """A policy with operations of all kinds."""
    return [fresh(kind, policy, polling) for kind in KINDS]


def as_many_requests(requests: float) -> list[Fresh]:
    """The fixed interval, to a second, that takes as many requests on average over all kinds."""
    least, most = SHORTEST, LONGEST
    while most - least > 1:
        middle = (least + most) // 2
        found = all_kinds(f"fixed, {middle} s", fixed(middle))
        if mixed(found, lambda one: one.requests) > requests:
            least = middle
        else:
            most = middle
    return all_kinds(f"fixed, {most} s", fixed(most))


def measure() -> str:
    """Simulate, and return a Markdown section."""
    print("freshness: simulated operations of each kind", flush=True)
    polling = costs.POLLING
    least, most = (round(each.total_seconds()) for each in (polling.min_interval, polling.max_interval))
    name = f"adaptive, {least} s to {most} s, growing by {backoff.GROWTH - 1:.0%}"
    adaptive = all_kinds(name, polling)
    same = as_many_requests(mixed(adaptive, lambda one: one.requests))
    plot = plots.bars(
        "freshness",
        "From the end of an operation to its rows, 95 of 100 operations (simulated)",
        {
            f"{one.kind.name.partition(':')[0].partition(',')[0]}\n{word}": one.after_end(0.95)
            for pair in zip(adaptive, same, strict=True)
            for one, word in zip(pair, ("adaptive", "fixed"), strict=True)
        },
        y_label="seconds",
    )
    rows = (_row(one) for pair in zip(adaptive, same, strict=True) for one in pair)
    head = (
        "| operations | share | intervals | requests | mean, s | p50, s | p95, s | p99, s "
        "| p50, intervals | p95 | p99 |"
    )
    with surroundings() as around:
        population = Population(around)
        real = [really(around, population, run) for run in RUNS]
    return "\n\n".join(
        (
            _premises(),
            _table(head, (*rows, _mixed_row(adaptive), _mixed_row(same))),
            plot,
            "Really: a host with operations that end one after the other, and a tick each second:",
            _table(
                "| outstanding | end over, s | intervals | requests | p50, s | p95, s | p99, s "
                "| p50, least intervals | p95 | p99 |",
                map(_real_row, real),
            ),
        )
    )


@dataclass(frozen=True, slots=True)
class Real:
    """What was really seen: seconds from each operation's end to its blob's row, and requests of an operation."""

    run: Run
    lags: tuple[float, ...]
    requests: float


def really(around: Surroundings, population: Population, run: Run) -> Real:
    """Have the app poll operations that end one after the other, and look when their rows were written."""
    print(f"freshness: {run.outstanding:,} operations, intervals of {run.least} s to {run.most} s", flush=True)
    around.adx.reset()
    crowd = replace(population.plant(run.outstanding), finished_share=1.0, ends_over_seconds=run.over)
    environment = {
        **around.environment(),
        "AzureWebJobsStorage": around.azurite.connection_string,
        "POLL_SCHEDULE": "* * * * * *",
        "POLL_MIN_INTERVAL_SECONDS": str(run.least),
        "POLL_MAX_INTERVAL_SECONDS": str(run.most),
    }
    with (
        FunctionsHost.start(environment),
        TableServiceClient.from_connection_string(environment["IngestionStorage"]) as service,
        service.get_table_client("IngestionBlobs") as blobs,
    ):
        around.adx.plant_many(crowd)
        planted_at = datetime.now(UTC)
        deadline = time.monotonic() + run.over + _MOST_SECONDS
        # Reading the rows takes from the processor what the app needs, so not before all of them can be there.
        time.sleep(run.over)
        while len(rows := list(blobs.query_entities("Status eq 'Succeeded'"))) < run.outstanding:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(rows):,} of {run.outstanding:,} operations have their rows")
            time.sleep(1)
    written = {row["PartitionKey"]: row.metadata["timestamp"] or _START for row in rows}
    lags = []
    for number in range(run.outstanding):
        operation = Operation(around.adx.uri, crowd.database, crowd.table, crowd.operation_id(number))
        ended_at = planted_at + crowd.ends_after(number)
        lags.append((written[operation.key] - ended_at).total_seconds())
    return Real(run, tuple(lags), around.adx.requests().count("status") / run.outstanding)


def _real_row(real: Real) -> str:
    shares = (0.5, 0.95, 0.99)
    run = real.run
    cells = (
        f"{run.outstanding:,}",
        f"{run.over:.0f}",
        f"{run.least} s to {run.most} s" if run.least < run.most else f"fixed, {run.least} s",
        f"{real.requests:.1f}",
        *(f"{_quantile(real.lags, share):.1f}" for share in shares),
        *(f"{_quantile(real.lags, share) / run.least:.1f}" for share in shares),
    )
    return f"| {' | '.join(cells)} |"


def _premises() -> str:
    return (
        f"Simulated, {SAMPLES:,} operations of {BLOBS} blobs of each kind, ticks of {TICK:.0f} s. Counted from the end "
        "of an operation's last blob to the writing of its rows; an operation without failures has its rows written "
        "when all its blobs have ended. The fixed interval is the one that takes as many requests over all kinds."
    )


def _row(one: Fresh) -> str:
    shares = (0.5, 0.95, 0.99)
    cells = (
        one.kind.name,
        f"{one.kind.share:.0%}",
        one.policy,
        f"{one.requests:.1f}",
        f"{one.mean:.0f}",
        *(f"{one.after_end(share):.0f}" for share in shares),
        *(f"{one.intervals(share):.1f}" for share in shares),
    )
    return f"| {' | '.join(cells)} |"


def _mixed_row(each: Sequence[Fresh]) -> str:
    requests, mean = mixed(each, lambda one: one.requests), mixed(each, lambda one: one.mean)
    return f"| **all** | 100% | {each[0].policy} | {requests:.1f} | {mean:.0f} | | | | | | |"


def _table(head: str, rows: Iterable[str]) -> str:
    return "\n".join((head, "|" + " --- |" * (head.count("|") - 1), *rows))
