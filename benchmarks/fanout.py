"""Several hosts on the same storage: is any operation polled twice, and how long does the dispatcher's tick take?

Each host is a process that runs ``function_app.py`` through Azure's worker library. As in Azure, the timer runs on one
of them. Operations are due once in the measured time, so that a second poll of one is a poll too many.
"""

import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from benchmarks import aims, plots
from benchmarks.aims import Aim
from benchmarks.instance import Population, Surroundings, surroundings
from benchmarks.table_service.client import REQUESTS
from local.adx_simulator import AdxSimulator
from local.functions_host import FunctionsHost
from local.processes import REPOSITORY
from shared.ambient import Ambient
from shared.app import Tracker
from shared.endpoints import Endpoints
from shared.messages import Defaults, PollBatch, write_poll_batch
from shared.queues import Queue
from shared.store.outstanding import OutstandingOperations
from shared.store.tables import Table

HOSTS = (1, 2, 4)
OPERATIONS = 2_000
LATENCY = 0.02
"""Seconds of an answer of ADX."""
SHORT_LEASE = 5
"""Seconds, in the place of 5 minutes, where batches are to wait for longer than that."""
SLOW_CONCURRENCY = 3
"""POLL_CONCURRENCY there."""
AIM = 1_000
"""Polls, of which one may be a poll too many."""
DUE = 100_000
MOST_SECONDS = 15
"""Of the timer's run with so many due: it runs again after that."""
QUEUE_LATENCY = 0.01
"""Seconds of an answer of the queue, beside what Azurite takes."""

_THREADS = 16
_MOST_SECONDS = 120.0
_TIMERS = ("poll_operations", "measure_backlog", "prune_results")
_SHORT_LEASE_APP = f'''"""The app with a lease of {SHORT_LEASE} seconds."""

import importlib.util
from datetime import timedelta

from shared.store import handed_out

handed_out.LEASE = timedelta(seconds={SHORT_LEASE})
spec = importlib.util.spec_from_file_location("the_app", {str(REPOSITORY / "function_app.py")!r})
the_app = importlib.util.module_from_spec(spec)
spec.loader.exec_module(the_app)
app = the_app.app
'''


@dataclass(frozen=True, slots=True)
class Watched:
    """What the simulator saw of one run.

    Attributes:
        hosts: How many polled.
        is_slow: Whether batches waited for longer than the lease.
        seconds: Until each operation was polled.
        asked: Operations by how often they were asked for.
        stale: Batches that were dropped, as they had waited for too long.
        shares: Polls of each host.
    """

    hosts: int
    is_slow: bool
    seconds: float
    asked: Counter[int]
    stale: int
    shares: tuple[int, ...]

    @property
    def too_many(self) -> int:
        """Polls of operations that had been polled."""
        return sum((times - 1) * count for times, count in self.asked.items())

    @property
    def polls(self) -> int:
        """All."""
        return sum(times * count for times, count in self.asked.items())


@dataclass(frozen=True, slots=True)
class Tick:
    """A dispatcher's run: seconds, seconds of processor time, requests of tables, and messages."""

    what: str
    seconds: float
    cpu: float
    requests: int
    messages: int


def measure() -> str:
    """Run it all, and return a Markdown section."""
    with surroundings() as around:
        around.adx.configure(latency_seconds=LATENCY)
        population = Population(around)
        runs = [_watch(around, population, hosts, is_slow=is_slow) for is_slow in (False, True) for hosts in HOSTS]
        ticks = _ticks(around, population)
    plot = plots.lines(
        "fanout",
        f"{OPERATIONS:,} due operations, until all were polled",
        {
            name: [(run.hosts, run.seconds) for run in runs if run.is_slow == is_slow]
            for name, is_slow in (("batches wait little", False), ("batches wait longer than their lease", True))
        },
        x_label="hosts",
        y_label="seconds",
    )
    return "\n\n".join(
        (
            _premises(),
            aims.table(_aims(runs, ticks[0])),
            _table(
                "| hosts | batches wait | polls | polls too many | aim | batches dropped as stale | seconds "
                "| polls of each host |",
                map(_watched_row, runs),
            ),
            plot,
            f"One run of the timer with {DUE:,} operations due, in one process:",
            _table(
                "| what | seconds | processor seconds | table requests | messages |",
                (
                    f"| {tick.what} | {tick.seconds:.1f} | {tick.cpu:.1f} | {tick.requests:,} | {tick.messages:,} |"
                    for tick in ticks
                ),
            ),
        )
    )


def _aims(runs: Sequence[Watched], tick: Tick) -> list[Aim]:
    worst = max(runs, key=lambda run: run.too_many / run.polls)
    hosts = ", ".join(map(str, HOSTS))
    return [
        Aim(
            f"Polls too many with {hosts} hosts, batches waiting or not: at most 1 in {AIM:,}",
            f"{worst.too_many} of {worst.polls:,} at the most",
            worst.too_many * AIM <= worst.polls,
        ),
        Aim(
            f"The timer's run with {DUE:,} due: at most {MOST_SECONDS} s",
            f"{tick.seconds:.1f} s",
            tick.seconds <= MOST_SECONDS,
        ),
    ]


def _premises() -> str:
    return (
        f"{OPERATIONS:,} due operations, polled by 1, 2 and 4 hosts on this machine's processors; ADX answers in "
        f"{LATENCY * 1000:.0f} ms. In the lower half a host asks for {SLOW_CONCURRENCY} at a time, and the lease of "
        f"what is handed out is {SHORT_LEASE} s."
    )


def _watch(around: Surroundings, population: Population, hosts: int, *, is_slow: bool) -> Watched:
    print(f"fanout: {hosts} hosts, {'slow' if is_slow else 'as usual'}", flush=True)
    around.adx.reset()
    around.adx.configure(latency_seconds=LATENCY)
    _clear_batches(around)
    population.plant(OPERATIONS)
    with ExitStack() as stack:
        app = stack.enter_context(_app_with_short_lease()) if is_slow else None
        # The one with the timer comes last: its first tick finds the others waiting for batches.
        started = [
            stack.enter_context(FunctionsHost.start(_environment(around, is_slow=is_slow, ticks=place == 0), app))
            for place in reversed(range(hosts))
        ]
        began = time.monotonic()
        seconds = _until_all_are_asked(around.adx, began)
        # What was handed out again meanwhile is to be polled too, if it is.
        time.sleep(SHORT_LEASE + 2 if is_slow else 2)
        for host in started:
            host.stop()
        logs = [host.output() for host in started]
    return Watched(
        hosts,
        is_slow,
        seconds,
        around.adx.polls(),
        sum(log.count(" polls.stale: ") for log in logs),
        tuple(_asked_by(log) for log in logs),
    )


def _environment(around: Surroundings, *, is_slow: bool, ticks: bool) -> Mapping[str, str]:
    """Each operation is due once: its next poll is a day later."""
    slow = {"POLL_CONCURRENCY": str(SLOW_CONCURRENCY)} if is_slow else {}
    disabled = {f"AzureWebJobs.{name}.Disabled": "true" for name in (_TIMERS[1:] if ticks else _TIMERS)}
    return {
        **around.environment(),
        "AzureWebJobsStorage": around.azurite.connection_string,
        "POLL_SCHEDULE": "* * * * * *",
        "POLL_MIN_INTERVAL_SECONDS": "86400",
        "POLL_MAX_INTERVAL_SECONDS": "86400",
        **slow,
        **disabled,
    }


@contextmanager
def _app_with_short_lease() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fanout-") as folder:
        app = Path(folder)
        (app / "function_app.py").write_text(_SHORT_LEASE_APP, encoding="utf-8")
        for name in ("host.json", "local.settings.sample.json"):
            shutil.copy(REPOSITORY / name, app / name)
        yield app


def _until_all_are_asked(adx: AdxSimulator, began: float) -> float:
    while time.monotonic() - began < _MOST_SECONDS:
        if adx.polls().total() >= OPERATIONS:
            return time.monotonic() - began
        time.sleep(0.2)
    raise TimeoutError(f"after {_MOST_SECONDS:.0f} s {adx.polls().total()} of {OPERATIONS} operations were polled")


def _asked_by(log: str) -> int:
    """Polls of a host, by what it says at the end of each invocation."""
    return sum(int(asked) for asked in re.findall(r" polls\.finished: .*[( ]asked=(\d+)", log))


def _clear_batches(around: Surroundings) -> None:
    with QueueServiceClient.from_connection_string(around.environment()["IngestionStorage"]) as service:
        for queue in service.list_queues():
            service.get_queue_client(queue.name).clear_messages()


def _ticks(around: Surroundings, population: Population) -> list[Tick]:
    """The timer's run as a whole, and the handing out alone."""
    print(f"fanout: {DUE} due", flush=True)
    population.plant(DUE)
    tracker = Tracker(around.settings(), Ambient())
    before = around.tables.counts()
    took = _timed(tracker.poll_operations)
    whole = Tick("the timer's run", *took, _requests(around.tables.counts() - before), _batches(around))
    print("fanout: a slower queue", flush=True)
    population.plant(DUE)
    _clear_batches(around)
    return [whole, _dispatch(around)]


def _dispatch(around: Surroundings) -> Tick:
    settings = around.settings()
    connection = around.environment()["IngestionStorage"]
    with (
        TableServiceClient.from_connection_string(connection) as tables,
        QueueServiceClient.from_connection_string(connection) as queues,
        ThreadPoolExecutor(_THREADS) as threads,
    ):
        queue = Queue(queues.get_queue_client(settings.poll_queue))
        outstanding = OutstandingOperations(
            Table(tables.get_table_client("OutstandingOperations")), Defaults(Endpoints(settings.ingest_uri)), threads
        )

        def send(batch: PollBatch) -> None:
            time.sleep(QUEUE_LATENCY)
            queue.send(write_poll_batch(batch))

        before = around.tables.counts()
        most = settings.polling.inline_limit + 1
        took = _timed(lambda: outstanding.dispatch(outstanding.due(datetime.now(UTC), most), send, lambda: False))
        what = f"handing out alone, with a queue that answers {QUEUE_LATENCY * 1000:.0f} ms later"
        return Tick(what, *took, _requests(around.tables.counts() - before), _batches(around))


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - began, time.process_time() - cpu


def _requests(counts: Counter[str]) -> int:
    return sum(count for what, count in counts.items() if what in REQUESTS)


def _batches(around: Surroundings) -> int:
    connection = around.environment()["IngestionStorage"]
    with QueueServiceClient.from_connection_string(connection) as service:
        return Queue(service.get_queue_client(around.settings().poll_queue)).length()


def _watched_row(run: Watched) -> str:
    cells = (
        run.hosts,
        f"longer than {SHORT_LEASE} s" if run.is_slow else "little",
        f"{run.polls:,}",
        f"**{run.too_many}**",
        f"at most {run.polls / AIM:.0f}",
        run.stale,
        f"{run.seconds:.1f}",
        ", ".join(f"{share:,}" for share in run.shares),
    )
    return f"| {' | '.join(map(str, cells))} |"


def _table(head: str, rows: Iterable[str]) -> str:
    return "\n".join((head, "|" + " ---: |" * (head.count("|") - 1), *rows))
