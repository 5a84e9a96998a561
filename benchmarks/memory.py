"""What an instance holds in memory, and what its first moment costs: importing the app."""

import json
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from azure.storage.queue import QueueClient

from benchmarks import aims
from benchmarks.aims import Aim
from benchmarks.instance import DATABASE, TABLE, TABLES, Population, Surroundings, surroundings
from local.adx_simulator import Crowd
from local.processes import REPOSITORY, Child
from shared.ambient import Ambient
from shared.app import Tracker
from shared.store.tables import GROUP, Table, connect, insertion
from tests.support.collector import Collector, plain_environment

SIZES = (100, 10_000, 100_000)
BLOBS = (1_000, 10_000, 100_000)
AIM = 200
"""MiB, whatever the size."""

_MOST_MESSAGES = 40
"""That are handled after a tick: more of them take longer and hold no more."""
_READY_SECONDS, _POLL_SECONDS = 60.0, 120.0
_SAMPLE_SECONDS = 0.01
_MIB = 1024 * 1024

_IMPORTS = 5
_SHOWN_IMPORTS = 5
# The app is deployed without it, and the SDK loads it where it finds it.
_AS_DEPLOYED = "import sys; sys.modules['aiohttp'] = None; "
_APP = "import function_app"
_LIBRARIES = "import azure.functions, requests, azure.identity, azure.data.tables, azure.storage.queue"
_NOTHING = "pass"
_IMPORT_LINE = re.compile(r"import time:\s+\d+ \|\s+(?P<microseconds>\d+) \| (?P<indent> *)(?P<name>\S+)")


# The working set


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """An instance's resident memory, in MiB.

    Attributes:
        outstanding: Operations, all due.
        is_telling: Whether it sends telemetry.
        started: Once the app is put together.
        most: While it polls.
    """

    outstanding: int
    is_telling: bool
    started: float
    most: float


class _Sampler:
    """The most that a process held since this was made."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._most = 0
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def now(self) -> float:
        """What it holds, in MiB."""
        return float(self._process.memory_info().rss) / _MIB

    def end(self) -> float:
        """Look no more. Returns the most, in MiB."""
        self._ended.set()
        self._thread.join()
        return self._most / _MIB

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._most = max(self._most, self._process.memory_info().rss)


def _working_set(
    around: Surroundings, population: Population, outstanding: int, collector: Collector | None
) -> WorkingSet:
    population.plant(outstanding)
    telling = {"APPLICATIONINSIGHTS_CONNECTION_STRING": collector.connection_string} if collector else {}
    environment = plain_environment() | around.environment() | telling
    command = [sys.executable, "-c", f"{_AS_DEPLOYED}from benchmarks.memory_instance import main; main()"]
    with Child(command, name="the instance", env=environment) as instance:
        instance.wait_until(lambda lines: len(lines) or None, seconds=_READY_SECONDS)
        sampler = _Sampler(instance.process.pid)
        started = sampler.now()
        _write(instance, f"{_MOST_MESSAGES}\n")
        instance.wait_until(lambda lines: len(lines) > 1 or None, seconds=_POLL_SECONDS)
        found = WorkingSet(outstanding, collector is not None, started, sampler.end())
    _empty_queue(around)
    print(f"memory: {outstanding:,} outstanding, {found.most:.0f} MiB", flush=True)
    return found


def _write(instance: Child, line: str) -> None:
    if instance.process.stdin is None:
        raise RuntimeError("the instance has no standard input")
    instance.process.stdin.write(line)
    instance.process.stdin.flush()


def _empty_queue(around: Surroundings) -> None:
    with QueueClient.from_connection_string(around.azurite.connection_string, around.settings().poll_queue) as queue:
        queue.clear_messages()


def _working_sets() -> Iterator[WorkingSet]:
    with surroundings() as around, Collector() as collector:
        population = Population(around)
        for outstanding in SIZES:
            for told in (None, collector):
                yield _working_set(around, population, outstanding, told)
        if not collector.take():
            raise RuntimeError("no telemetry came")


def _report_working_sets(found: Sequence[WorkingSet]) -> str:
    rows = "\n".join(
        f"| {each.outstanding:,} | {'sent' if each.is_telling else 'off'} | {each.started:.0f} | {each.most:.0f} "
        f"| {each.most / AIM:.2f} |"
        for each in found
    )
    most = max(each.most for each in found)
    aim = Aim(f"Working set at any size: under {AIM} MiB", f"{most:.0f} MiB at the most", most < AIM)
    return f"""\
The working set of an instance that polls what is due: the most that its process held resident, in MiB, without what
the worker itself takes. Above POLL_INLINE_LIMIT the tick hands out all of it, and {_MOST_MESSAGES} batches are polled.

{aims.table([aim])}

| Outstanding, all due | Application Insights | Once started, MiB | While it polls, MiB | ÷ {AIM} MiB |
| ---: | --- | ---: | ---: | ---: |
{rows}
"""


# An operation of very many blobs


@dataclass(frozen=True, slots=True)
class Settled:
    """What an instance took that settled one operation.

    Attributes:
        blobs: Of the operation.
        started: MiB that the instance held before.
        most: MiB that it held at the most.
        seconds: From its first question to the operation's final state.
        floor: Seconds that it takes to write as many rows and do nothing else.
        requests: To Table Storage.
    """

    blobs: int
    started: float
    most: float
    seconds: float
    floor: float
    requests: int


def _settled(around: Surroundings, blobs: int) -> Settled:
    """Let an instance settle an operation of so many blobs.

    Raises:
        RuntimeError: it did not.
    """
    crowd = Crowd(database=DATABASE, table=TABLE, count=1, prefix=f"large-{blobs}-", blobs=blobs, finished_share=1.0)
    around.adx.plant_many(crowd)
    registered_at = datetime.now(UTC) - timedelta(hours=1)
    message = json.dumps({"operationId": crowd.operation_id(0)}).encode()
    Tracker(around.settings(), Ambient(now=lambda: registered_at)).register_operation(message, "1")
    requests = around.tables.requests()
    command = [sys.executable, "-c", f"{_AS_DEPLOYED}from benchmarks.memory_instance import main; main()"]
    with Child(command, name="the instance", env=plain_environment() | around.environment()) as instance:
        instance.wait_until(lambda lines: len(lines) or None, seconds=_READY_SECONDS)
        sampler = _Sampler(instance.process.pid)
        started, began = sampler.now(), time.perf_counter()
        _write(instance, "0\n")
        instance.wait_until(lambda lines: len(lines) > 1 or None, seconds=_POLL_SECONDS)
        seconds, most = time.perf_counter() - began, sampler.end()
    (row,) = around.tables.rows("IngestionOperations")
    if (row["State"], row["Succeeded"]) != ("Succeeded", blobs):
        raise RuntimeError(f"the operation of {blobs} blobs is {row['State']} with {row['Succeeded']} of them")
    requests = around.tables.requests() - requests
    found = Settled(blobs, started, most, seconds, _seconds_to_write(around, blobs), requests)
    for table in TABLES:
        around.tables.clear(table)
    print(
        f"memory: {blobs:,} blobs, {found.most:.0f} MiB, {found.seconds:.1f} s, floor {found.floor:.1f} s", flush=True
    )
    return found


def _seconds_to_write(around: Surroundings, blobs: int) -> float:
    """How long it takes to insert such rows, a hundred in a transaction, one after the other."""
    rows = [row for row in around.tables.rows("IngestionBlobs") if not row["RowKey"].startswith("!")]
    own = ("Url", "SourceId", "Status", "RetryState")
    entities = [
        {"PartitionKey": "floor", "RowKey": row["RowKey"], **{name: row[name] for name in own if name in row}}
        for row in rows[:blobs]
    ]
    with connect(around.settings().storage, None) as service:
        table = Table(service.get_table_client("IngestionBlobs"))
        began = time.perf_counter()
        for group in batched(entities, GROUP, strict=False):
            table.write([insertion(entity) for entity in group])
        return time.perf_counter() - began


def _report_settled(found: Sequence[Settled]) -> str:
    rows = "\n".join(
        f"| {each.blobs:,} | {each.started:.0f} | {each.most:.0f} | {each.most / AIM:.2f} | {each.seconds:.1f} "
        f"| {each.floor:.1f} | {each.seconds / each.floor:.1f} | {each.requests:,} | {each.requests / each.blobs:.3f} |"
        for each in found
    )
    most = max(each.most for each in found)
    aim = Aim(f"Working set with an operation of {max(BLOBS):,} blobs: under {AIM} MiB", f"{most:.0f} MiB", most < AIM)
    return f"""\
One operation of very many blobs, all ended, that an instance finds due: its details are asked for, a row is written of
each blob, and the operation gets its final state. The floor writes such rows, a hundred in a transaction, and nothing
else.

{aims.table([aim])}

| Blobs | Once started, MiB | While it settles, MiB | ÷ {AIM} MiB | Seconds | The floor's | ÷ | Requests | A blob |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}
"""


def _all_settled() -> list[Settled]:
    with surroundings() as around:
        return [_settled(around, blobs) for blobs in BLOBS]


# Cold start


@dataclass(frozen=True, slots=True)
class Start:
    """What an interpreter took that imported something: seconds by the clock, and of the processor."""

    name: str
    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Import:
    """A module and all that it brings, in milliseconds."""

    name: str
    milliseconds: float


def _python(code: str, *options: str, environment: Mapping[str, str]) -> tuple[float, float, str]:
    """Seconds by the clock and of the processor that a fresh interpreter takes for it, and what it wrote to stderr."""
    before, began = psutil.Process().cpu_times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *options, "-c", _AS_DEPLOYED + code],
        cwd=REPOSITORY,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=True,
    )
    after, seconds = psutil.Process().cpu_times(), time.perf_counter() - began
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, cpu, done.stderr


@contextmanager
def _environments() -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Those of an app whose modules are compiled all, and of one whose own are compiled anew at each start."""
    settings = {
        "IngestionStorage": "UseDevelopmentStorage=true",
        "KUSTO_INGEST_URI": "https://ingest-c.westeurope.kusto.windows.net",
    }
    plain = {name: value for name, value in plain_environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
    with TemporaryDirectory() as folder:
        all_compiled, libraries_compiled = Path(folder, "all"), Path(folder, "libraries")
        compiled = plain | settings | {"PYTHONPYCACHEPREFIX": str(all_compiled)}
        _python(_APP, environment=compiled)
        shutil.copytree(all_compiled, libraries_compiled)
        own = libraries_compiled / REPOSITORY.relative_to("/")
        shutil.rmtree(own / "shared")
        for each in own.glob("function_app.*"):
            each.unlink()
        as_deployed = {"PYTHONPYCACHEPREFIX": str(libraries_compiled), "PYTHONDONTWRITEBYTECODE": "1"}
        yield compiled, compiled | as_deployed


def _starts(compiled: Mapping[str, str], as_deployed: Mapping[str, str]) -> list[Start]:
    """Each case, in turns with the others."""
    cases = {
        "`function_app`, its own modules not compiled": (_APP, as_deployed),
        "`function_app`, all modules compiled": (_APP, compiled),
        "The libraries that it can't do without": (_LIBRARIES, compiled),
        "An interpreter that does nothing": (_NOTHING, compiled),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    # The first round reads files that the next ones find in memory.
    for number in range(_IMPORTS + 1):
        print(f"memory: imports, round {number} of {_IMPORTS}", flush=True)
        for name, (code, environment) in cases.items():
            seconds, cpu, _ = _python(code, environment=environment)
            if number:
                taken[name].append((seconds, cpu))
    return [
        Start(name, statistics.median(one for one, _ in times), statistics.median(cpu for _, cpu in times))
        for name, times in taken.items()
    ]


def dearest_imports(lines: str, most: int) -> list[Import]:
    """The modules that cost most with all that they bring and nothing else brings first, none inside another.

    Args:
        lines: What ``-X importtime`` writes: a module after those that it imports, indented by two more for each level.
        most: How many.
    """
    found = [
        (len(line["indent"]), line["name"], int(line["microseconds"]) / 1000) for line in _IMPORT_LINE.finditer(lines)
    ]
    # A package of the app is no answer, but what it imports is.
    own = ("function_app", "shared")
    outside: list[Import] = []
    shown: list[int] = []
    for indent, name, milliseconds in reversed(found):
        del shown[next((place for place, level in enumerate(shown) if level >= indent), len(shown)) :]
        if not shown and not name.startswith(own):
            outside.append(Import(name, milliseconds))
            shown.append(indent)
    return sorted(outside, key=lambda each: each.milliseconds, reverse=True)[:most]


def _report_starts() -> str:
    with _environments() as (compiled, as_deployed):
        starts = _starts(compiled, as_deployed)
        _, _, lines = _python(_APP, "-X", "importtime", environment=compiled)
    *_, libraries, nothing = starts
    rows = "\n".join(
        f"| {each.name} | {each.seconds * 1000:,.0f} | {each.cpu * 1000:,.0f} | {each.seconds / nothing.seconds:.1f} "
        f"| {each.seconds / libraries.seconds:.2f} |"
        for each in starts
    )
    dearest = "\n".join(
        f"| `{each.name}` | {each.milliseconds:,.0f} |" for each in dearest_imports(lines, _SHOWN_IMPORTS)
    )
    return f"""\
Cold start: a fresh interpreter that imports the app; medians of {_IMPORTS}, in turns. An installation compiles the
libraries, and nothing compiles the app's own modules: an instance that can't write beside them does it at each start.
The libraries are `{_LIBRARIES.removeprefix("import ")}`.

| What is imported | ms | ms of processor time | ÷ nothing | ÷ the libraries |
| --- | ---: | ---: | ---: | ---: |
{rows}

The dearest imports of the app by `-X importtime`, each with what it brings that nothing before it brought:

| Module | ms |
| --- | ---: |
{dearest}
"""


def measure() -> str:
    """The figures, as Markdown."""
    working_sets, settled = _report_working_sets(list(_working_sets())), _report_settled(_all_settled())
    return f"{working_sets}\n{settled}\n{_report_starts()}"


if __name__ == "__main__":
    print(measure())
