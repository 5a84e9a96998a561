"""Which rows ``OutstandingOperations`` should have: three layouts, read and written as a tick does.

Azurite scans a whole table for every query and finds a single row by its partition, so its times say little about the
service. What the client counts (requests, rows) and how many rows the keys of a query name hold for both.
"""

import hashlib
import json
import secrets
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched, groupby
from threading import Lock
from typing import Any

from azure.core import MatchConditions
from azure.core.pipeline import PipelineRequest
from azure.data.tables import TableClient, TableEntity, TableServiceClient, UpdateMode

from local.azurite import Azurite
from shared import keys

SIZES = (1_000, 20_000)
DUE = (50, 500)
ROUNDS = 3
"""Measured ones: each is a read and the write that follows it. One more before them warms up."""
THREADS = 4
_SEEDED_AT_ONCE = 2_000
"""Operations. Azurite closes a connection that is idle for 5 s, as it would be while many more are put together."""
GROUP = 100
"""Rows in one entity group transaction."""

_START = datetime(2027, 1, 1, tzinfo=UTC)
_STEP = timedelta(minutes=1)
_LATER = timedelta(days=30)
_MESSAGE = json.dumps({"blobs": [f"https://account.blob.core.windows.net/c/{n:040}.parquet" for n in range(40)]})

type Entity = dict[str, Any]
type Write = tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One outstanding operation. ``is_read`` is False where its message may be left out: nobody will look."""

    key: str
    next_poll_at: datetime
    is_read: bool = True

    @property
    def shard(self) -> str:
        """Its partition."""
        return keys.shard(self.key)


@dataclass(frozen=True, slots=True)
class Due:
    """An operation that a tick has read: its state, and the ETag of the row that holds the state."""

    key: str
    next_poll_at: datetime
    state: Entity
    etag: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A way to lay operations out.

    Attributes:
        name: what the tables call it.
        family: layouts of one family have the same rows, so they share a table of what is not due.
        rows: the rows of an operation.
        read: what is due in a shard.
        write: the writes after one poll, given the next one's time.
        named: rows that the keys in the tick's queries name, given how many are outstanding and how many due.
    """

    name: str
    family: str
    rows: Callable[[Operation], list[Entity]]
    read: Callable[[TableClient, str, datetime], list[Due]]
    write: Callable[[Due, datetime], list[Write]]
    named: Callable[[int, int], int]


@dataclass(slots=True)
class Meter:
    """Counts, as a hook in the client's pipeline, each request that is sent, repetitions included.

    ``rows`` is what transactions write, ``points`` how many of the requests read a single row.
    """

    requests: int = 0
    rows: int = 0
    points: int = 0
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, request: PipelineRequest[Any]) -> None:
        """Count a request."""
        parts = getattr(request.http_request, "multipart_mixed_info", None)
        rows = len(parts[0][0].multipart_mixed_info[0]) if parts else 0
        point = request.http_request.method == "GET" and "(PartitionKey=" in request.http_request.url
        with self._lock:
            self.requests += 1
            self.rows += rows
            self.points += point

    def take(self) -> tuple[int, int, int]:
        """Requests, rows and points since the last time."""
        with self._lock:
            taken = self.requests, self.rows, self.points
            self.requests = self.rows = self.points = 0
        return taken


@dataclass(frozen=True, slots=True)
class Sample:
    """One round: seconds, and what the client counted."""

    read: float
    read_floor: float
    read_requests: int
    read_rows: int
    write: float
    write_floor: float
    write_floor_minimal: float
    write_requests: int
    write_rows: int


@dataclass(frozen=True, slots=True)
class Result:
    """The rounds of one layout at one size."""

    layout: Layout
    size: int
    due: int
    samples: tuple[Sample, ...]

    def median(self, name: str) -> float:
        """The median of a sample's figure over the rounds."""
        return float(statistics.median(getattr(sample, name) for sample in self.samples))

    def ratio(self, name: str, floor: str) -> float:
        """The median of one figure over that of another."""
        return self.median(name) / self.median(floor)


# What an operation is made of


def _state(key: str) -> Entity:
    moment = _START - timedelta(minutes=7)
    return {
        "OperationId": f"{key};{key[:8]}",
        "Cluster": "https://ingest-telemetry.westeurope.kusto.windows.net",
        "Database": "Telemetry",
        "Table": "VehicleSignals",
        "OperationsPartition": "2027-01-01|telemetry.westeurope|Telemetry|VehicleSignals",
        "RootOperationId": f"{key};{key[:8]}",
        "RegisteredAt": moment,
        "StartTime": moment,
        "NamedBlobs": 40,
        "Attempt": 1,
        **_changed(moment),
    }


def _changed(moment: datetime) -> Entity:
    """The columns that a poll changes."""
    return {
        "Polls": 3,
        "IntervalSeconds": 60.0,
        "Succeeded": 12,
        "Failed": 0,
        "InProgress": 28,
        "Canceled": 0,
        "RecordedFailures": 0,
        "LastUpdated": moment,
    }


_COLUMNS = tuple(_state("0" * 32))


def _message(operation: Operation) -> Entity:
    return {"Message0": _MESSAGE if operation.is_read else "{}"}


def _ids(key: str, row: str) -> Entity:
    return {"PartitionKey": keys.shard(key), "RowKey": row}


def _etag(row: TableEntity) -> str:
    return row.metadata["etag"] or ""


def _state_of(row: TableEntity) -> Entity:
    return {name: row[name] for name in _COLUMNS}


# The layouts


def _due_rows(table: TableClient, shard: str, now: datetime) -> list[TableEntity]:
    first, beyond = keys.due_range(now)
    return list(
        table.query_entities(
            "PartitionKey eq @shard and RowKey ge @first and RowKey lt @beyond",
            parameters={"shard": shard, "first": first, "beyond": beyond},
        )
    )


def _three_rows(operation: Operation) -> list[Entity]:
    key = operation.key
    return [
        _ids(key, keys.operation_row(key)) | _state(key) | _message(operation),
        _ids(key, keys.due_row(operation.next_poll_at, key)),
    ]


def _three_read(table: TableClient, shard: str, now: datetime) -> list[Due]:
    found = []
    for row in _due_rows(table, shard, now):
        key = row["RowKey"].rsplit("|", 1)[1]
        operation = table.get_entity(shard, keys.operation_row(key), select=list(_COLUMNS))
        found.append(Due(key, keys.due_time(row["RowKey"]), _state_of(operation), _etag(operation)))
    return found


def _three_write(due: Due, next_poll_at: datetime) -> list[Write]:
    return [
        _merge(_ids(due.key, keys.operation_row(due.key)) | _changed(next_poll_at), due.etag),
        ("delete", _ids(due.key, keys.due_row(due.next_poll_at, due.key))),
        ("create", _ids(due.key, keys.due_row(next_poll_at, due.key))),
    ]


def _one_row(operation: Operation) -> list[Entity]:
    key, moment = operation.key, {"NextPollAt": operation.next_poll_at}
    return [_ids(key, keys.operation_row(key)) | _state(key) | moment | _message(operation)]


def _one_read(table: TableClient, shard: str, now: datetime) -> list[Due]:
    rows = table.query_entities(
        "PartitionKey eq @shard and NextPollAt le @now",
        parameters={"shard": shard, "now": now},
        select=["PartitionKey", "RowKey", "NextPollAt", *_COLUMNS],
    )
    return [Due(row["RowKey"].rsplit("|", 1)[1], row["NextPollAt"], _state_of(row), _etag(row)) for row in rows]


def _one_write(due: Due, next_poll_at: datetime) -> list[Write]:
    row = _ids(due.key, keys.operation_row(due.key))
    return [_merge(row | _changed(next_poll_at) | {"NextPollAt": next_poll_at}, due.etag)]


def _two_rows(operation: Operation) -> list[Entity]:
    key = operation.key
    return [
        _ids(key, keys.operation_row(key)) | _message(operation),
        _ids(key, keys.due_row(operation.next_poll_at, key)) | _state(key),
    ]


def _two_read(table: TableClient, shard: str, now: datetime) -> list[Due]:
    return [
        Due(row["RowKey"].rsplit("|", 1)[1], keys.due_time(row["RowKey"]), _state_of(row), _etag(row))
        for row in _due_rows(table, shard, now)
    ]


def _two_write(due: Due, next_poll_at: datetime) -> list[Write]:
    gone = _ids(due.key, keys.due_row(due.next_poll_at, due.key))
    row = _ids(due.key, keys.due_row(next_poll_at, due.key)) | due.state | _changed(next_poll_at)
    return [("delete", gone, _if_still(due.etag)), ("create", row)]


def _merge(row: Entity, etag: str) -> Write:
    return ("update", row, {"mode": UpdateMode.MERGE, **_if_still(etag)})


def _if_still(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


LAYOUTS = (
    Layout("a: three rows", "TwoRows", _three_rows, _three_read, _three_write, lambda _, due: 2 * due),
    Layout("b: one row", "OneRow", _one_row, _one_read, _one_write, lambda size, _: size),
    Layout("c: two rows", "TwoRows", _two_rows, _two_read, _two_write, lambda _, due: due),
)


# Measuring


@dataclass(frozen=True, slots=True)
class Bench:
    """What measures: the emulator's client, its meter and the threads."""

    service: TableServiceClient
    meter: Meter
    threads: ThreadPoolExecutor

    @contextmanager
    def table(self, name: str) -> Iterator[TableClient]:
        """A new table, gone afterwards."""
        name += secrets.token_hex(4)
        table = self.service.create_table(name)
        try:
            yield table
        finally:
            self.service.delete_table(name)

    def write(self, table: TableClient, steps: Iterable[Sequence[Write]]) -> None:
        """Send steps in transactions of one partition. A step is never split."""
        list(self.threads.map(table.submit_transaction, _transactions(steps)))

    def read(self, layout: Layout, table: TableClient, now: datetime) -> list[Due]:
        """What is due in all shards."""
        shards = self.threads.map(lambda shard: layout.read(table, shard, now), keys.SHARDS)
        return [due for each in shards for due in each]


def _transactions(steps: Iterable[Sequence[Write]]) -> Iterator[list[Write]]:
    ordered = sorted(steps, key=lambda step: str(step[0][1]["PartitionKey"]))
    for _, shard in groupby(ordered, key=lambda step: step[0][1]["PartitionKey"]):
        of_shard = list(shard)
        for group in batched(of_shard, GROUP // len(of_shard[0]), strict=False):
            yield [write for step in group for write in step]


def _operations(name: str, count: int, next_poll_at: datetime, *, is_read: bool) -> list[Operation]:
    digests = (hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:32] for number in range(count))
    return [Operation(digest, next_poll_at, is_read) for digest in digests]


def _seed(bench: Bench, table: TableClient, layout: Layout, size: int) -> None:
    """Fill a table with what is not due: everything but the operations that a case adds."""
    began = time.perf_counter()
    operations = _operations("idle", size - max(DUE), _START + _LATER, is_read=False)
    for some in batched(operations, _SEEDED_AT_ONCE, strict=False):
        bench.write(table, [[("create", row) for row in layout.rows(operation)] for operation in some])
    _progress(f"{layout.family}: {len(operations):,} seeded, {time.perf_counter() - began:.0f} s")


def _floor_rows(count: int) -> list[Entity]:
    """Rows as large as a due row with its state, in one partition."""
    row_keys = (hashlib.sha256(f"floor {number}".encode()).hexdigest()[:32] for number in range(count))
    return [{"PartitionKey": "0", "RowKey": keys.due_row(_START, key)} | _state(key) for key in row_keys]


def _timed[T](work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _upserts(bench: Bench, table: TableClient, count: int) -> float:
    """Seconds for so many rows as bare upserts."""
    steps: list[list[Write]] = [[("upsert", row)] for row in _floor_rows(count)]
    return _timed(lambda: bench.write(table, steps))[0]


def _round(bench: Bench, layout: Layout, table: TableClient, due: int, now: datetime) -> Sample:
    """One tick, and its floors."""
    bench.meter.take()
    read, found = _timed(lambda: bench.read(layout, table, now))
    read_requests, _, points = bench.meter.take()
    if len(found) != due:
        raise RuntimeError(f"{layout.name}: {len(found)} found due, not {due}")
    steps = [layout.write(each, now + _STEP) for each in found]
    write, _ = _timed(lambda: bench.write(table, steps))
    write_requests, write_rows, _ = bench.meter.take()
    with bench.table("Floor") as floor:
        minimal = _upserts(bench, floor, due)
        read_floor, rows = _timed(lambda: _due_rows(floor, "0", _START))
    with bench.table("Floor") as floor:
        same = _upserts(bench, floor, write_rows)
    if len(rows) != due:
        raise RuntimeError(f"the floor: {len(rows)} found, not {due}")
    read_rows = len(found) + points
    return Sample(read, read_floor, read_requests, read_rows, write, same, minimal, write_requests, write_rows)


def _case(bench: Bench, layout: Layout, table: TableClient, size: int, due: int) -> Result:
    """Add the operations that are due, run some ticks, take the operations out again."""
    polled = _operations("busy", due, _START, is_read=True)
    idle = _operations("lazy", max(DUE) - due, _START + _LATER, is_read=True)
    bench.write(table, [[("create", row) for row in layout.rows(each)] for each in (*polled, *idle)])
    samples = [_round(bench, layout, table, due, _START + number * _STEP) for number in range(ROUNDS + 1)]
    last = _START + (ROUNDS + 1) * _STEP
    left = (*(Operation(each.key, last) for each in polled), *idle)
    bench.write(table, [[("delete", row) for row in layout.rows(each)] for each in left])
    result = Result(layout, size, due, tuple(samples[1:]))
    _progress(f"{layout.name}, {size:,} outstanding, {due} due: read {result.median('read'):.2f} s")
    return result


def _measure(bench: Bench) -> Iterator[Result]:
    for size in SIZES:
        for family in dict.fromkeys(layout.family for layout in LAYOUTS):
            layouts = [layout for layout in LAYOUTS if layout.family == family]
            with bench.table(family) as table:
                # Which of a family's layouts seeds makes no difference: these rows are never read.
                _seed(bench, table, layouts[-1], size)
                for layout in layouts:
                    yield from (_case(bench, layout, table, size, due) for due in DUE)


# Reporting


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _reading(result: Result) -> list[str]:
    named = result.layout.named(result.size, result.due)
    rows, requests = result.median("read_rows"), result.median("read_requests")
    ratio, seconds = result.ratio("read", "read_floor"), (result.median("read"), result.median("read_floor"))
    return [
        *_case_cells(result),
        f"{named:,}",
        f"{rows:,.0f}",
        f"{requests:,.0f}",
        f"{ratio:,.1f}",
        *map(_milliseconds, seconds),
    ]


def _writing(result: Result) -> list[str]:
    counts = [f"{result.median(name):,.0f}" for name in ("write_rows", "write_requests")]
    floors = ("write_floor", "write_floor_minimal")
    ratios = [f"{result.ratio('write', floor):.1f}" for floor in floors]
    return [
        *_case_cells(result),
        *counts,
        *ratios,
        *(_milliseconds(result.median(each)) for each in ("write", *floors)),
    ]


def _case_cells(result: Result) -> list[str]:
    return [result.layout.name, f"{result.size:,}", str(result.due)]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f}"


def _report(results: Iterable[Result]) -> str:
    ordered = sorted(results, key=lambda result: (result.size, result.due, result.layout.name))
    case = ["Layout", "Outstanding", "Due"]
    reading = [*case, "Rows the keys name", "Rows read", "Requests", "÷ floor", "ms", "floor, ms"]
    writing = [
        *case,
        "Rows",
        "Requests",
        "÷ same rows",
        "÷ one row a poll",
        "ms",
        "same rows, ms",
        "one row a poll, ms",
    ]
    return f"""\
Azurite; medians of {ROUNDS} ticks, {THREADS} threads. Trust counts, then ratios, times last.
Azurite evaluates every query on every row of the table, whatever keys the query names: reading takes longer with
{max(SIZES):,} in each layout, and "a" and "c" have twice the rows of "b". So reading times are no figure of the service
(docs/decisions/outstanding-layout.md).

Reading what is due, in {len(keys.SHARDS)} partitions. "Rows the keys name" is not measured, it follows from the layout:
what an index on PartitionKey and RowKey leaves to look at. Floor: one range query for as many rows, in a table with
no others.

{_table(reading, map(_reading, ordered))}

Writing back after the polls. Floors: bare upserts in transactions of {GROUP}, as many rows as the layout writes,
and one row a poll.

{_table(writing, map(_writing, ordered))}
"""


def _progress(text: str) -> None:
    print(f"outstanding_layout: {text}", flush=True)


def measure() -> str:
    """The figures, as Markdown."""
    meter = Meter()
    with (
        Azurite.start() as azurite,
        TableServiceClient.from_connection_string(azurite.connection_string, raw_request_hook=meter) as service,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        return _report(list(_measure(Bench(service, meter, threads))))


if __name__ == "__main__":
    print(measure())
