"""What the deployed app costs a month, from prices, counts and estimates, each named and with its source.

``python -m benchmarks.costs`` prints the tables of docs/deploy.md. It measures nothing, so ``./dev bench`` leaves it
out: what was measured for it is a constant here. Tests count the storage requests and weigh the telemetry again.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shared import keys, settings
from shared.ambient import Ambient
from shared.app import PRUNE_BUDGET
from shared.backlog import MOST_COUNTED
from shared.model import Counts, Operation, StatusReport
from shared.progress import Pace, after_report
from shared.records import Outstanding
from shared.settings import Polling
from shared.store.outstanding import BATCH, MOST_MOVES

MONTH = timedelta(days=30)
_SECONDS = MONTH.total_seconds()
_MINUTES = _SECONDS / 60
_SETTINGS = settings.load(
    {"IngestionStorage": "UseDevelopmentStorage=true", "KUSTO_INGEST_URI": "https://ingest-c.kusto.windows.net"}
)
POLLING = _SETTINGS.polling
"""As the defaults have it."""

_SHARDS = len(keys.SHARDS)
_QUEUES = 3
_PAGE = 1_000
"""Rows in an answer of Table Storage."""
_GIGA = 1e9


@dataclass(frozen=True, slots=True)
class Price:
    """A list price.

    Attributes:
        of: What is bought.
        dollars: For ``units`` of it.
        units: How many that buys.
        unit: What they are called.
        free: How many a month are free.
        page: Where to look it up.
    """

    of: str
    dollars: float
    units: int
    unit: str
    page: str
    free: int = 0

    def cost(self, quantity: float) -> float:
        """Dollars for a quantity."""
        return max(0.0, quantity - self.free) * self.dollars / self.units


_FUNCTIONS_PAGE = "https://azure.microsoft.com/pricing/details/functions/"
_TABLES_PAGE = "https://azure.microsoft.com/pricing/details/storage/tables/"
_QUEUES_PAGE = "https://azure.microsoft.com/pricing/details/storage/queues/"
_BLOBS_PAGE = "https://azure.microsoft.com/pricing/details/storage/blobs/"
_MONITOR_PAGE = "https://azure.microsoft.com/pricing/details/monitor/"
_LINK_PAGE = "https://azure.microsoft.com/pricing/details/private-link/"
_DNS_PAGE = "https://azure.microsoft.com/pricing/details/dns/"

EXECUTIONS = Price("Flex Consumption, on demand: executions", 0.40, 1_000_000, "executions", _FUNCTIONS_PAGE, 250_000)
EXECUTION_TIME = Price("Flex Consumption, on demand: time", 0.000026, 1, "GB-s", _FUNCTIONS_PAGE, 100_000)
TABLE_TRANSACTIONS = Price("Table Storage, LRS: transactions", 0.00036, 10_000, "transactions", _TABLES_PAGE)
TABLE_CAPACITY = Price("Table Storage, LRS: capacity", 0.045, 1, "GB-month", _TABLES_PAGE)
QUEUE_TRANSACTIONS = Price("Queue Storage, LRS: operations, either class", 0.004, 10_000, "operations", _QUEUES_PAGE)
BLOB_WRITES = Price("Blob Storage, hot, LRS: writes", 0.055, 10_000, "operations", _BLOBS_PAGE)
BLOB_OTHERS = Price("Blob Storage, hot, LRS: leases and other operations", 0.0044, 10_000, "operations", _BLOBS_PAGE)
LOG_DATA = Price("Log Analytics: Analytics logs, 90 days kept", 2.30, 1, "GB", _MONITOR_PAGE, 5)
LOG_RETENTION = Price("Log Analytics: kept longer than 90 days (not in the sums)", 0.10, 1, "GB-month", _MONITOR_PAGE)
LOG_ALERTS = Price("Log alert, every 5 minutes", 1.50, 1, "rule-month", _MONITOR_PAGE)
LOG_ALERTS_SELDOM = Price("Log alert, every 15 minutes", 0.50, 1, "rule-month", _MONITOR_PAGE)
LOG_ALERT_SERIES = Price("Log alert, every 5 minutes: each further time series", 0.15, 1, "series-month", _MONITOR_PAGE)
METRIC_ALERTS = Price("Metric alert", 0.10, 1, "series-month", _MONITOR_PAGE)
PRIVATE_ENDPOINTS = Price("Private endpoint", 0.01, 1, "hour", _LINK_PAGE)
DNS_ZONES = Price("Private DNS zone", 0.50, 1, "zone-month", _DNS_PAGE)
PRICES = (
    EXECUTIONS,
    EXECUTION_TIME,
    TABLE_TRANSACTIONS,
    TABLE_CAPACITY,
    QUEUE_TRANSACTIONS,
    BLOB_WRITES,
    BLOB_OTHERS,
    LOG_DATA,
    LOG_RETENTION,
    LOG_ALERTS,
    LOG_ALERTS_SELDOM,
    LOG_ALERT_SERIES,
    METRIC_ALERTS,
    PRIVATE_ENDPOINTS,
    DNS_ZONES,
)

REGISTRATION = 3
"""Table requests: the pointer, the operation's row, its rows of ``OutstandingOperations``. Counted."""
SETTLING = 3
"""Table requests of one that settles alone: write the blobs, the operation's row, and remove what is outstanding. Of
those that settle together, up to a hundred share each of the last two. Counted."""
RETRYING = 12
"""Table requests beside those: to put a blob on the retry queue, and to resubmit it. Counted."""
PRUNING = 4
"""Table requests: read the operation's blobs, delete them, delete its list rows, delete its row. Of those that are
pruned together, some share each of the last two. Counted."""
NOTE = 1
"""Table requests of a tick, and of ``measure_backlog``, to note what was done. Counted."""
MESSAGE = 3
"""Queue operations of one message: put, get, delete. A get can take 16 messages; here each has its own."""
_LOOKS = _QUEUES * 6
"""Queue operations a minute on quiet queues: ``maxPollingInterval`` is 10 s."""
_LENGTHS = _QUEUES * 2
"""Queue operations of ``measure_backlog``: the three queues and their poison queues."""
_LEASES = 12
"""Blob operations a minute by which the host keeps its locks. Assumed."""

STORED = 5_500
"""Bytes of an operation's rows that stay, its list rows among them, with one blob, by the documented formula. Measured
on rows of usual names."""
RETENTION = 90
"""Days, as ``RESULTS_RETENTION_DAYS`` has it."""

_STATUS_CPU = 0.0003
_REGISTER_CPU = 0.003
_MOVE_CPU = 0.0001
_SETTLE_CPU = 0.0017
_RESUBMIT_CPU = 0.018
_IDLE_CPU = 0.015
_SEND_CPU = 0.002
"""Seconds of processor time of each step in the app's process, on one core of a developer's machine. Measured. A status
comes with the reading of its due row, a sending with that of the batch's; 8 ms of a resubmission are what an operation
with a retry takes longer to settle."""
_HOST = 2
"""By how much the host, TLS and telemetry raise them. Assumed."""
_WAIT = 0.05
"""Seconds an invocation waits for its requests beside that. Assumed."""
_LEAST_SECONDS = 1.0
"""The shortest time that is billed. Documented."""
_SIDE_BY_SIDE = 5
"""Messages at once in an instance: the host hands it up to 24, and the worker has four threads more than cores."""
_PRUNE_CPU = 0.003
"""To prune one operation. Measured like the others."""
_PRUNES = _SECONDS / 600
"""A month."""
_PRUNE_SECONDS = PRUNE_BUDGET.total_seconds()
"""Of one run, at the most."""
_CORES_PER_GB = 0.5
"""Documented: 0.25 cores with 512 MB, 1 with 2,048 MB, 2 with 4,096 MB."""

POINT = 650
LINE = 1_320
TICK_LINE = 990
SPAN = 1_070
RESOURCE = 810
"""Bytes of JSON that the exporter sends of each: a metric point, a log line, that of a tick, a span, and what it adds
to each sending of spans. Measured with names as are usual."""
HOST_REQUEST = 1_000
HOST_LINE = 700
"""Of what the host sends of an invocation: one request, and two lines. Assumed."""
_EXPORTS = _SECONDS / 20
_SPAN_EXPORTS = _SECONDS / 5
"""A month, of an instance that has news all the time: every 20 s of metrics, every 5 s of spans."""
_SERIES = 6
"""Of a table with traffic: registered, settled, latency, blobs ended, and calls for a status and for details."""
_GAUGES = 10
"""``measure_backlog`` sends these each minute."""

LOG_RULES = {"PT5M": 16, "PT15M": 2}
METRIC_RULES = 1
"""Alert rules by how often they run; a test compares them with infra/bicep/alerts.yaml."""
LOG_SERIES = 10
"""How many time series the rules with dimensions have beyond the first. Assumed."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the app, and how it is set up.

    Attributes:
        operations: A day.
        tables: Of ADX, that they load.
        memory: Of an instance, in GB.
        lasts: From an operation's registration to its end in ADX.
        retried: Share of operations with a Transient failure, each resubmitted once in one message.
        sampling: ``TRACE_SAMPLING_PERCENT``.
        lines: False with ``LOG_LEVEL`` warning.
        host_lines: False with the host's own lines off.
    """

    operations: int
    tables: int
    memory: float = 2
    lasts: timedelta = timedelta(minutes=5)
    retried: float = 0.01
    sampling: float = 10
    lines: bool = True
    host_lines: bool = True

    @property
    def resubmitted(self) -> float:
        """Operations a month that the app submits itself."""
        return self.registered * self.retried

    @property
    def registered(self) -> float:
        """Messages of upstream jobs a month."""
        return self.operations * MONTH.days

    @property
    def tracked(self) -> float:
        """Operations a month that are watched to their end."""
        return self.registered + self.resubmitted


@dataclass(frozen=True, slots=True)
class Watch:
    """How one operation is watched: polls in all, and seconds until the last."""

    polls: int
    seconds: float


def watch(lasts: timedelta, polling: Polling = POLLING, tick: timedelta = timedelta(seconds=15)) -> Watch:
    """Watch an operation by the app's own rules."""
    times = poll_times(lasts, polling, tick)
    return Watch(len(times), times[-1])


def poll_times(
    lasts: timedelta, polling: Polling = POLLING, tick: timedelta = timedelta(seconds=15)
) -> tuple[float, ...]:
    """When an operation is polled, in seconds after its registration, until the first poll that finds it ended.

    Its counts move once, when its blobs are seen for the first time. It is registered half-way between two ticks, and
    jitter is left out.
    """
    start = datetime(2027, 1, 1, tzinfo=UTC)
    registered = start + tick / 2
    pace = Pace(polling, Ambient(random=lambda: 0.5))
    now = start
    state = Outstanding(
        operation=Operation("https://ingest-c.kusto.windows.net", "d", "t", "id"),
        registered_at=registered,
        partition="",
        attempt=1,
        root_operation_id="id",
        named_blobs=1,
        next_poll_at=registered + polling.first_delay,
        interval=polling.min_interval,
    )
    times: list[float] = []
    while now - registered < lasts:
        now = start + tick * math.ceil((state.next_poll_at - start) / tick)
        state = after_report(state, StatusReport(Counts(in_progress=1)), 0, now, pace)
        times.append((now - registered).total_seconds())
    return tuple(times)


@dataclass(frozen=True, slots=True)
class Polls:
    """The month's polling.

    Attributes:
        ticks: Runs of ``poll_operations``.
        due: Operations at each.
        settled: Of them, those that end.
        messages: Batches that a tick hands out; 0 where it polls them itself.
    """

    ticks: float
    due: float
    settled: float
    messages: int

    @property
    def moved(self) -> float:
        """Operations a tick that go on."""
        return self.due - self.settled

    @property
    def batches(self) -> float:
        """Messages a month."""
        return self.ticks * self.messages

    @property
    def table_requests(self) -> float:
        """A month: 16 queries a tick and a note, and what reads and writes the operations that are due."""
        if not self.messages:
            return self.ticks * (_SHARDS + _touched(self.moved) + NOTE)
        # The first rows of each partition come with the look that tells whether they are too many for the timer.
        read_behind = _SHARDS * math.ceil(max(0.0, self.due / _SHARDS - POLLING.inline_limit - 1) / _PAGE)
        writes = math.ceil(self.moved / self.messages / MOST_MOVES)
        return self.ticks * (_SHARDS + read_behind + _SHARDS + NOTE + self.messages * (1 + writes))


def _touched(moved: float) -> float:
    """In how many of the partitions so many operations lie on average, a transaction each."""
    return -_SHARDS * math.expm1(-moved / _SHARDS)


def polls(load: Load) -> Polls:
    """What the polling amounts to."""
    ticks = _SECONDS / 15
    due = load.tracked * watch(load.lasts).polls / ticks
    messages = _SHARDS * math.ceil(due / _SHARDS / BATCH) if due > POLLING.inline_limit else 0
    return Polls(ticks, due, load.tracked / ticks, messages)


@dataclass(frozen=True, slots=True)
class Invocations:
    """A function's month.

    Attributes:
        count: How often it runs.
        cpu: Seconds of processor time of one run, in the app's process.
        wait: Seconds that one run waits beside that.
        at_once: Runs in one instance at the same time.
    """

    count: float
    cpu: float
    wait: float = _WAIT
    at_once: int = 1

    def busy(self, memory: float) -> float:
        """Seconds that instances must be at work, well filled."""
        work = self.cpu * _HOST / (memory * _CORES_PER_GB)
        return self.count * max(work, (work + self.wait) / self.at_once)

    def billed(self, memory: float) -> float:
        """Seconds of an instance that are billed, at the most: each run alone, or one instance all month, or more."""
        alone = self.count * max(_LEAST_SECONDS, self.wait + self.cpu * _HOST / (memory * _CORES_PER_GB))
        return max(self.busy(memory), min(alone, _SECONDS))


def functions(load: Load) -> tuple[Invocations, ...]:
    """The month of each: register, poll_operations, poll_batch, resubmit, measure_backlog, prune_results."""
    polling = polls(load)
    per_tick = polling.due * _STATUS_CPU + polling.moved * _MOVE_CPU + polling.settled * (_SETTLE_CPU + _STATUS_CPU)
    by_itself = polling.messages * _SEND_CPU if polling.messages else per_tick
    return (
        Invocations(load.registered, _REGISTER_CPU, at_once=_SIDE_BY_SIDE),
        Invocations(polling.ticks, _IDLE_CPU + by_itself),
        Invocations(polling.batches, per_tick / max(polling.messages, 1), at_once=_SIDE_BY_SIDE),
        Invocations(load.resubmitted, _RESUBMIT_CPU + 2 * _STATUS_CPU, at_once=_SIDE_BY_SIDE),
        Invocations(_MINUTES, _IDLE_CPU * (1 + _counted(load) / _SHARDS / _PAGE)),
        Invocations(_PRUNES, _IDLE_CPU + min(load.tracked / _PRUNES * _PRUNE_CPU, _PRUNE_SECONDS)),
    )


def outstanding(load: Load) -> float:
    """How many operations are watched at a time."""
    return load.tracked / _SECONDS * watch(load.lasts).seconds


def _counted(load: Load) -> float:
    """How many of them ``measure_backlog`` reads; a partition at the least."""
    return min(outstanding(load), max(MOST_COUNTED, outstanding(load) / _SHARDS))


@dataclass(frozen=True, slots=True)
class Usage:
    """What a month uses, in the units of the prices."""

    executions: float
    gb_seconds: float
    table_requests: float
    table_gb: float
    queue_operations: float
    blob_writes: float
    blob_others: float
    log_gb: float


def usage(load: Load) -> Usage:
    """What a month of a load uses."""
    runs = functions(load)
    polling = polls(load)
    return Usage(
        executions=sum(each.count for each in runs),
        gb_seconds=load.memory * sum(each.billed(load.memory) for each in runs),
        table_requests=polling.table_requests
        + load.tracked * (REGISTRATION + SETTLING + PRUNING)
        + load.resubmitted * RETRYING
        + _MINUTES * (_SHARDS + _counted(load) / _PAGE + NOTE),
        table_gb=load.tracked / MONTH.days * RETENTION * STORED / _GIGA,
        queue_operations=MESSAGE * (load.registered + load.resubmitted + polling.batches)
        + _MINUTES * (_LOOKS + _LENGTHS),
        # A timer that runs each minute notes its last run; those that run more often do not.
        blob_writes=_MINUTES,
        blob_others=_MINUTES * _LEASES,
        log_gb=sum(log_bytes(load)) / _GIGA,
    )


def log_bytes(load: Load) -> tuple[float, float, float, float]:
    """What is sent to Application Insights: the app's lines, spans and metrics, and what the host says."""
    runs, polling = functions(load), polls(load)
    told = min(polling.ticks, polling.ticks * polling.due) + polling.batches
    lines = (2 * load.tracked + 2 * load.resubmitted) * LINE + told * TICK_LINE
    spans = load.sampling / 100 * (load.tracked * (1 + watch(load.lasts).polls) + load.resubmitted)
    resources = min(spans, instances(load) * _SPAN_EXPORTS)
    host = sum(each.count for each in runs) * (HOST_REQUEST + 2 * HOST_LINE * load.host_lines)
    return lines * load.lines, spans * SPAN + resources * RESOURCE, metric_bytes(load), host


def metric_bytes(load: Load) -> float:
    """Of metrics. A series is sent at most each 20 s by each instance, and only with news."""
    recorded = load.tracked * (4 + 2 * (watch(load.lasts).polls + 1))
    sending = instances(load) * _EXPORTS
    of_tables = min(recorded, sending * _SERIES * load.tables)
    # How long calls took, in two series, and a tick.
    of_pollers = min(recorded, sending * 2) + _EXPORTS
    return (of_tables + of_pollers + _MINUTES * _GAUGES) * POINT


def instances(load: Load) -> int:
    """How many are at work at a time on registering and polling, where work is even."""
    return max(1, math.ceil(sum(each.busy(load.memory) for each in functions(load)) / _SECONDS))


def status_requests(load: Load) -> float:
    """How many ADX gets a second: the polls, one with details at the end, and one before a resubmission."""
    return (load.tracked * (watch(load.lasts).polls + 1) + load.resubmitted) / _SECONDS


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars a month."""

    functions: float
    storage: float
    logs: float
    alerts: float

    @property
    def total(self) -> float:
        """Of all four."""
        return self.functions + self.storage + self.logs + self.alerts


def cost(load: Load) -> Cost:
    """What a month of a load costs."""
    used = usage(load)
    return Cost(
        functions=EXECUTIONS.cost(used.executions) + EXECUTION_TIME.cost(used.gb_seconds),
        storage=TABLE_TRANSACTIONS.cost(used.table_requests)
        + TABLE_CAPACITY.cost(used.table_gb)
        + QUEUE_TRANSACTIONS.cost(used.queue_operations)
        + BLOB_WRITES.cost(used.blob_writes)
        + BLOB_OTHERS.cost(used.blob_others),
        logs=LOG_DATA.cost(used.log_gb),
        alerts=LOG_ALERTS.cost(LOG_RULES["PT5M"])
        + LOG_ALERTS_SELDOM.cost(LOG_RULES["PT15M"])
        + LOG_ALERT_SERIES.cost(LOG_SERIES)
        + METRIC_ALERTS.cost(METRIC_RULES),
    )


def private_endpoints() -> float:
    """Dollars a month for those of blobs, queues and tables, and their zones."""
    return 3 * (PRIVATE_ENDPOINTS.cost(730) + DNS_ZONES.cost(1))


LOADS = (
    Load(1_000, tables=5, memory=0.5),
    Load(1_000, tables=5),
    Load(100_000, tables=20, memory=0.5),
    Load(100_000, tables=20),
    Load(10_000_000, tables=50),
    Load(10_000_000, tables=50, sampling=1, lines=False, host_lines=False),
)


def tables() -> str:
    """The tables of docs/deploy.md, as Markdown."""
    return "\n\n".join(
        (
            "Prices:",
            _price_table(),
            "What a month of 30 days uses:",
            _usage_table(LOADS),
            "What it costs:",
            _cost_table(LOADS),
        )
    )


def _price_table() -> str:
    rows = [
        (
            each.of,
            f"${_plain(each.dollars)}",
            f"{each.units:,} {each.unit}",
            f"{each.free:,}" if each.free else "",
            f"[page]({each.page})",
        )
        for each in PRICES
    ]
    return _table(("Price", "USD", "for", "free a month", "check"), "l r l r l", rows)


def _usage_table(loads: Iterable[Load]) -> str:
    rows = []
    for load in loads:
        used = usage(load)
        quantities = (
            used.executions,
            used.gb_seconds,
            used.table_requests,
            used.table_gb,
            used.queue_operations,
            *(size / _GIGA for size in log_bytes(load)),
            status_requests(load),
        )
        rows.append((_named(load), *map(_rounded, quantities)))
    head = (
        "Operations a day",
        "executions",
        "GB-s",
        "table requests",
        "table GB",
        "queue operations",
        "log lines, GB",
        "spans, GB",
        "metrics, GB",
        "host, GB",
        "status requests/s",
    )
    return _table(head, "l" + " r" * (len(head) - 1), rows)


def _cost_table(loads: Iterable[Load]) -> str:
    rows = []
    for load in loads:
        dollars = cost(load)
        each = (dollars.functions, dollars.storage, dollars.logs, dollars.alerts)
        per_million = dollars.total / load.registered * 1e6
        rows.append(
            (_named(load), *(f"${part:,.2f}" for part in each), f"**${dollars.total:,.0f}**", f"${per_million:,.2f}")
        )
    head = ("Operations a day", "Functions", "Storage", "Logs", "Alerts", "Total a month", "a million operations")
    return _table(head, "l r r r r r r", rows)


def _named(load: Load) -> str:
    usual = replace(Load(load.operations, load.tables), memory=load.memory)
    return f"{load.operations:,}, {load.memory * 1024:,.0f} MB" + ("" if load == usual else ", told less")


def _rounded(quantity: float) -> str:
    """Three figures are more than the estimates bear."""
    digits = 3
    if quantity >= 10**digits:
        scale = 10 ** (math.floor(math.log10(quantity)) - digits + 1)
        return f"{round(quantity / scale) * scale:,.0f}"
    return f"{quantity:.{digits}g}"


def _plain(dollars: float) -> str:
    return f"{dollars:.6f}".rstrip("0") if round(dollars, 2) != dollars else f"{dollars:.2f}"


def _table(head: Sequence[str], alignment: str, rows: Iterable[Sequence[str]]) -> str:
    line = ["---:" if each == "r" else "---" for each in alignment.split()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, line, *rows))


if __name__ == "__main__":
    print(tables())
