"""``OutstandingOperations``: what is still to be watched, in the order in which it is due.

An operation has two rows in one of 16 partitions. ``op|<key>`` holds the message as it was registered and is never
changed. ``due|<time>|<key>`` holds what changes with every poll; a poll deletes it and inserts the next one, in one
transaction, so an operation has exactly one due row while it is outstanding. A tick reads ``due|`` up to now and
touches nothing that isn't due (docs/decisions/outstanding-layout.md). Beside them lie its list rows, which stay when it
is outstanding no more (``shared.store.list_rows``).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched, chain, groupby, islice

from shared import keys, metrics
from shared.messages import Defaults, OperationMessage, PollBatch, read_operation, write_operation
from shared.model import Counts, Operation, OperationState
from shared.records import Census, Outstanding, Settled, Summary
from shared.store import notes
from shared.store.handed_out import LEASE, HandedOut, Range, read_handed_out, write_handed_out
from shared.store.list_rows import ListRows, ending_writes, entry_of, listing_writes
from shared.store.tables import (
    GROUP,
    Conflict,
    NotStorable,
    Row,
    Table,
    Write,
    deletion,
    etag_of,
    insertion,
    moment,
    required_moment,
)
from shared.telemetry import event

MOST_MOVES = GROUP // 2
"""Operations in one transaction that are put to their next poll: each takes two writes."""

BATCH = 100
"""Operations in one message of the poll queue: some seconds of work, and a range of one shard."""

# A message is at most 64 KiB; a property holds 32 thousand characters, and some characters count as two.
_CHUNK = 15_000
_LAYOUT = {"PartitionKey": "!layout", "RowKey": "!layout"}


class LayoutMismatch(Exception):
    """The table was made by a version that spreads operations over another number of partitions."""


class OutstandingOperations:
    """The table of that name. ``lease``: how long what is handed out is left to whoever takes it."""

    def __init__(self, table: Table, defaults: Defaults, executor: Executor, *, lease: timedelta = LEASE) -> None:
        self._table = table
        self._defaults = defaults
        self._executor = executor
        self.list_rows = ListRows(table, executor)
        self.lease = lease

    def check_layout(self) -> None:
        """Write down the number of partitions, which is for good, or compare it with what was written.

        Raises:
            LayoutMismatch: the table was laid out otherwise.
        """
        try:
            self._table.insert({**_LAYOUT, "Shards": len(keys.SHARDS)})
        except Conflict:
            row = self._table.get(_LAYOUT["PartitionKey"], _LAYOUT["RowKey"]) or {}
            if row.get("Shards") != len(keys.SHARDS):
                raise LayoutMismatch(
                    f"OutstandingOperations is laid out in {row.get('Shards')} partitions and this version uses "
                    f"{len(keys.SHARDS)}: let the version that made it settle what is outstanding, then empty the table"
                ) from None

    def add(self, outstanding: Outstanding, message: OperationMessage) -> bool:
        """Begin to watch an operation, and list it. False if it is watched already."""
        # What is listed may be left over of an operation that was pruned, so that these rows alone tell.
        watch = [insertion(_message_row(outstanding, message)), insertion(_due_entity(outstanding))]
        summary = Summary(OperationState.IN_PROGRESS, Counts(), None, None, 0)
        try:
            self._table.write([*watch, *listing_writes(entry_of(outstanding), summary)])
        except Conflict:
            return False
        return True

    def message(self, operation: Operation) -> OperationMessage | None:
        """What was registered, or None if the operation is not outstanding any more."""
        row = self._table.get(keys.shard(operation.key), keys.operation_row(operation.key))
        if row is None:
            return None
        text = "".join(str(row[f"Message{index}"]) for index in range(int(row["Chunks"])))
        return read_operation(text.encode(), self._defaults, is_ours=True)

    def due(self, now: datetime, most: int) -> "Due":
        """What is due at ``now`` and not handed out; of each partition ``most`` rows at the most are read."""
        return Due(now, list(self._executor.map(lambda shard: self._due_in(shard, now, most), keys.SHARDS)))

    def census(self, now: datetime, shards: Sequence[str] = keys.SHARDS) -> list[Census]:
        """Count what each of these partitions has outstanding: reads all of it, a page of a thousand at a time."""
        return list(self._executor.map(lambda shard: self._census_in(shard, now), shards))

    def untold(self) -> frozenset[str]:
        """The keys of the operations that have ended and stay until that is told: reads what a census reads."""
        return frozenset(chain.from_iterable(self._executor.map(self._untold_in, keys.SHARDS)))

    def _untold_in(self, shard: str) -> list[str]:
        rows = self._range(shard, *keys.ALL_DUE, ["RowKey", "Untold"])
        return [keys.due_key(row["RowKey"]) for row in rows if row.get("Untold") is not None]

    def first_due(self, now: datetime, shards: Sequence[str]) -> list[datetime | None]:
        """Since when the first due row of each of these partitions has been due, None where nothing is due."""
        return list(self._executor.map(lambda shard: self._first_due_in(shard, now), shards))

    def _first_due_in(self, shard: str, now: datetime) -> datetime | None:
        row = next(self._range(shard, *keys.due_range(now), ["RowKey"], page=1), None)
        return keys.due_time(row["RowKey"]) if row else None

    def _census_in(self, shard: str, now: datetime) -> Census:
        first, beyond = keys.ALL_DUE
        _, not_due = keys.due_range(now)
        rows = self._range(shard, first, beyond, ["RowKey", "RegisteredAt"])
        outstanding = overdue = 0
        oldest = first_due = None
        for row in rows:
            registered_at = required_moment(row, "RegisteredAt")
            oldest = min(oldest or registered_at, registered_at)
            outstanding += 1
            if row["RowKey"] < not_due:
                first_due = first_due or keys.due_time(row["RowKey"])
                overdue += 1
        return Census(outstanding, overdue, oldest, first_due)

    def dispatch(self, due: "Due", send: Callable[[PollBatch], None], is_over: Callable[[], bool]) -> int:
        """Hand out what is due as batches of one shard, and note which rows that were.

        Args:
            due: What was found, of which the rest is read now.
            send: Sends a batch.
            is_over: Whether to stop early; what is left stays due.

        Returns:
            How many operations were handed out.
        """
        return sum(self._executor.map(lambda part: self._dispatch_shard(part, due.at, send, is_over), due.parts))

    def _dispatch_shard(
        self, due: "DueIn", now: datetime, send: Callable[[PollBatch], None], is_over: Callable[[], bool]
    ) -> int:
        sent, ranges = 0, []
        # A batch is a range, so none may have rows in it that are handed out already.
        for _, between in groupby(self._due_keys(due, now), key=due.handed_out.place):
            if is_over():
                break
            first = last = ""
            for group in batched(between, BATCH, strict=False):
                if is_over():
                    break
                send(PollBatch(shard=due.shard, first=group[0], last=group[-1], since=now))
                sent, first, last = sent + len(group), first or group[0], group[-1]
            if last:
                ranges.append(Range(first, last, now))
        if ranges:
            # After the sending: a crash between the two sends a batch twice, and loses none.
            note = write_handed_out(due.handed_out.and_also(ranges))
            self._table.upsert({"PartitionKey": due.shard, "RowKey": keys.DISPATCHED_ROW, "Ranges": note})
        return sent

    def _due_keys(self, due: "DueIn", now: datetime) -> Iterator[str]:
        """The keys of what is due in a partition: of the rows that were read, and of those behind them."""
        for row in due.rows:
            yield row["RowKey"]
        if not due.is_all:
            _, beyond = keys.due_range(now)
            for row in self._range(due.shard, keys.behind(due.rows[-1]["RowKey"]), beyond, ["RowKey"]):
                if not due.handed_out.holds(row["RowKey"]):
                    yield row["RowKey"]

    def _due_in(self, shard: str, now: datetime, most: int) -> "DueIn":
        _, beyond = keys.due_range(now)
        rows = self._range(shard, keys.DISPATCHED_ROW, beyond, None)
        # The dispatch's note sorts before what is due, so that it comes with the same query.
        first = next(rows, None)
        note = first if first and first["RowKey"] == keys.DISPATCHED_ROW else None
        handed_out = read_handed_out(str(note.get("Ranges") or "[]"), now, self.lease) if note else HandedOut()
        due = rows if note or first is None else chain([first], rows)
        found = list(islice((row for row in due if not handed_out.holds(row["RowKey"])), most))
        return DueIn(shard, handed_out, found, is_all=len(found) < most)

    def _range(
        self, shard: str, first: str, beyond: str, select: Sequence[str] | None, page: int | None = None
    ) -> Iterator[Row]:
        condition = "PartitionKey eq @shard and RowKey ge @first and RowKey lt @beyond"
        parameters = {"shard": shard, "first": first, "beyond": beyond}
        return self._table.query(condition, parameters, select=select, page=page)

    def batch(self, batch: PollBatch) -> list[Outstanding]:
        """The operations of a batch that are still where its dispatcher put them."""
        condition = "PartitionKey eq @shard and RowKey ge @first and RowKey le @last"
        return list(
            map(
                _outstanding,
                self._table.query(condition, {"shard": batch.shard, "first": batch.first, "last": batch.last}),
            )
        )

    def write_back(
        self,
        moves: Iterable[tuple[Outstanding, Outstanding]],
        ends: Iterable[Settled],
        removed: Callable[[Outstanding], None],
        untold: Iterable[tuple[Settled, Outstanding]] = (),
    ) -> None:
        """Put each operation's next poll in the place of the last one, and stop watching those that have ended.

        These are listed as what they have ended as. One whose due row is gone was moved or removed by somebody else,
        and is left alone.

        Args:
            moves: Operations as they were and as they are to be.
            ends: Operations that have ended, and what their rows say.
            removed: Told of each of ``ends`` that this has removed, although others can't be written.
            untold: Operations that have ended and stay outstanding until that is told, and as they are to be; they are
                listed as what they have ended as.

        Raises:
            AzureError: some can't be written now.
        """
        steps = [_move(*pair) for pair in moves] + [_end(each) for each in ends] + [_stay(*pair) for pair in untold]
        by_shard: dict[str, list[_Step]] = {}
        for step in steps:
            by_shard.setdefault(step.before.shard, []).append(step)
        groups = [group for each in by_shard.values() for group in _groups(each)]
        written: list[_Step] = []
        tasks = [self._executor.submit(self._write_group, group, written) for group in groups]
        wait(tasks)
        for step in written:
            if step.is_removed:
                removed(step.before)
        for task in tasks:
            task.result()

    def _write_group(self, group: Sequence["_Step"], written: list["_Step"]) -> None:
        """Write one transaction, without those that somebody else was faster with; the others go into ``written``."""

        def tell(place: int, error: NotStorable) -> None:
            metrics.record(metrics.POLLS_ERRORS, kind="not_storable")
            event("poll.not_storable", str(error), level=logging.ERROR, about=group[place].before.operation)

        listed_otherwise: list[_Step] = []

        def met(place: int, write: int) -> None:
            if write >= len(group[place].watch):
                listed_otherwise.append(group[place])

        done = self._table.write_steps([step.writes for step in group], tell, met)
        # At once: what follows may fail, and these are done.
        written += [group[place] for place in done]
        for step in listed_otherwise:
            if self._end_again(step):
                written.append(step)

    def _end_again(self, step: "_Step") -> bool:
        """End an operation that is not listed as InProgress, or let it stay. False if somebody else is faster."""
        before, ending, entry = step.before, step.ending, entry_of(step.before)
        if ending is None:
            return False
        copy = self._table.get(before.shard, entry.all_row)
        # A correction may have come before this: then its last word is there already. What a version before list rows
        # has registered has none, and gets them now.
        is_up_to_date = copy is not None and copy["State"] != OperationState.IN_PROGRESS.value
        writes = [] if is_up_to_date else listing_writes(entry, ending.summary, ending.at)
        try:
            self._table.write([*step.watch, *writes])
        except Conflict:
            return False
        return True

    def note_tick(self, at: datetime) -> None:
        """Note that a tick of the poller was finished."""
        notes.write_tick(self._table, at)

    def note_backlog(self, census: Census, at: datetime) -> None:
        """Note what is outstanding."""
        notes.write_backlog(self._table, census, at)


@dataclass(frozen=True, slots=True)
class DueIn:
    """What is due in a partition and not handed out: its first rows, whether these are all, and what is handed out."""

    shard: str
    handed_out: HandedOut
    rows: Sequence[Row]
    is_all: bool


@dataclass(frozen=True, slots=True)
class Due:
    """What was found due at a moment, partition by partition."""

    at: datetime
    parts: Sequence[DueIn]

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self.parts)

    @property
    def operations(self) -> list[Outstanding]:
        """What was read of it, the longest overdue first."""
        rows = sorted((row for part in self.parts for row in part.rows), key=lambda row: str(row["RowKey"]))
        return [_outstanding(row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Step:
    """The writes that put an operation to its next poll, or to its end: those of the watch, and of the list rows."""

    before: Outstanding
    watch: tuple[Write, Write]
    listing: tuple[Write, ...] = ()
    ending: Settled | None = None
    is_removed: bool = False

    @property
    def writes(self) -> tuple[Write, ...]:
        """All of them."""
        return (*self.watch, *self.listing)


def _move(old: Outstanding, new: Outstanding) -> _Step:
    due_row, later = old.due_row, _due_entity(new)
    if due_row == later["RowKey"]:
        raise ValueError("an operation moves to a later time")
    return _Step(old, (deletion(old.shard, due_row, old.etag), insertion(later)))


def _end(ending: Settled) -> _Step:
    return _Step(ending.before, _watch_ends(ending.before), _listing(ending), ending, is_removed=True)


def _stay(ending: Settled, later: Outstanding) -> _Step:
    return _Step(ending.before, _move(ending.before, later).watch, _listing(ending), ending)


def _listing(ending: Settled) -> tuple[Write, ...]:
    """The writes that list an operation by its end, which is done when that can't be told for the first time."""
    before = ending.before
    return () if before.untold is not None else tuple(ending_writes(entry_of(before), ending.summary, ending.at))


def _watch_ends(before: Outstanding) -> tuple[Write, Write]:
    """The writes by which an operation is outstanding no more."""
    message = deletion(before.shard, keys.operation_row(before.operation.key))
    return deletion(before.shard, before.due_row, before.etag), message


def _groups(steps: Iterable[_Step]) -> Iterator[list[_Step]]:
    """The steps, in groups that each go into one transaction."""
    group: list[_Step] = []
    writes = 0
    for step in steps:
        if writes + len(step.writes) > GROUP:
            yield group
            group, writes = [], 0
        group.append(step)
        writes += len(step.writes)
    if group:
        yield group


def _message_row(outstanding: Outstanding, message: OperationMessage) -> Row:
    text = write_operation(message)
    chunks = [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)]
    return {
        "PartitionKey": outstanding.shard,
        "RowKey": keys.operation_row(outstanding.operation.key),
        "OperationId": outstanding.operation.operation_id,
        "Chunks": len(chunks),
        **{f"Message{index}": chunk for index, chunk in enumerate(chunks)},
    }


def _due_entity(outstanding: Outstanding) -> Row:
    """The due row. What is zero is left out: each column is written and read with every poll."""
    operation, counts = outstanding.operation, outstanding.counts
    return {
        "PartitionKey": outstanding.shard,
        "RowKey": outstanding.due_row,
        "Cluster": operation.cluster,
        "Database": operation.database,
        "Table": operation.table,
        "OperationId": operation.operation_id,
        "RegisteredAt": outstanding.registered_at,
        "Partition": outstanding.partition,
        "Attempt": outstanding.attempt,
        "RootOperationId": outstanding.root_operation_id,
        "ParentOperationId": outstanding.parent_operation_id,
        "CorrelationId": outstanding.correlation_id,
        "NamedBlobs": outstanding.named_blobs,
        "IntervalSeconds": outstanding.interval.total_seconds(),
        "Polls": outstanding.polls,
        "Succeeded": counts.succeeded or None,
        "Failed": counts.failed or None,
        "InProgress": counts.in_progress or None,
        "Canceled": counts.canceled or None,
        "Other": counts.other or None,
        "RecordedFailures": outstanding.recorded_failures or None,
        "StartTime": outstanding.start_time,
        "LastUpdated": outstanding.last_updated,
        "NotFoundSince": outstanding.not_found_since,
        "ErrorsSince": outstanding.errors_since,
        "LastError": outstanding.last_error,
        "PointerETag": outstanding.pointer_etag or None,
        "OperationETag": outstanding.operation_etag or None,
        "BulkPolls": outstanding.bulk_polls or None,
        "RestOnly": outstanding.rest_only or None,
        "Untold": outstanding.untold,
    }


def _outstanding(row: Row) -> Outstanding:
    return Outstanding(
        operation=Operation(row["Cluster"], row["Database"], row["Table"], row["OperationId"]),
        registered_at=required_moment(row, "RegisteredAt"),
        partition=row["Partition"],
        attempt=row["Attempt"],
        root_operation_id=row["RootOperationId"],
        parent_operation_id=row.get("ParentOperationId"),
        correlation_id=row.get("CorrelationId"),
        named_blobs=row["NamedBlobs"],
        next_poll_at=keys.due_time(row["RowKey"]),
        interval=timedelta(seconds=row["IntervalSeconds"]),
        polls=row["Polls"],
        counts=Counts(*(row.get(name, 0) for name in ("Succeeded", "Failed", "InProgress", "Canceled", "Other"))),
        recorded_failures=row.get("RecordedFailures", 0),
        start_time=moment(row.get("StartTime")),
        last_updated=moment(row.get("LastUpdated")),
        not_found_since=moment(row.get("NotFoundSince")),
        errors_since=moment(row.get("ErrorsSince")),
        last_error=row.get("LastError"),
        pointer_etag=row.get("PointerETag", ""),
        operation_etag=row.get("OperationETag", ""),
        bulk_polls=row.get("BulkPolls", 0),
        rest_only=row.get("RestOnly", False),
        untold=row.get("Untold"),
        etag=etag_of(row),
    )
