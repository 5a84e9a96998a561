"""List rows: by which operations are found newest first, by state, by table, by ID and by root.

They lie beside an operation's other rows in its partition of ``OutstandingOperations``, so that they are written in the
transactions that are there anyway, and they stay when the operation is outstanding no more
(docs/decisions/list-rows.md). An operation has one of each, its ``state|`` row being that of its present state:

- ``all|<place>``, with a copy of what its public row says at its end,
- ``state|<State>|<place>``,
- ``table|<table key>|<place>``,
- ``id|<operation ID>|<place>``,
- ``root|<root's ID>|<attempt>|<place>``, of a resubmission.

A place is the time of registration, inverted so that the newest sorts first, and the operation key. It is in all of
them, so that an operation that is registered again while it is pruned keeps its own.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched

from shared import keys
from shared.model import MOST_COUNT, Operation, OperationState, table_key
from shared.records import OperationRow, Outstanding, Pointer, Pruned, Summary
from shared.store.results import Contended
from shared.store.tables import (
    GROUP,
    Conflict,
    Row,
    Table,
    Write,
    clipped,
    deletion,
    etag_of,
    replacement,
    upsertion,
)

LONGEST_NAME = 440
"""UTF-16 code units of an ID in a row key, which has 512: the rest is for what stands around it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = 18
"""Of the microseconds until the year 9999."""
_LONGEST_ERROR_CODE = 200

MOST_ROWS = 5
"""List rows of one operation."""

_MOST_TRIES = 30
"""Each time somebody else is done: an instance handles 24 messages at once, and all may be of one operation."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the list rows of an operation are made of."""

    operation: Operation
    registered_at: datetime
    partition: str
    root_operation_id: str
    attempt: int

    @property
    def shard(self) -> str:
        """The partition that they lie in."""
        return keys.shard(self.operation.key)

    @property
    def place(self) -> str:
        """Where it stands in what is newest first."""
        return f"{inverted(self.registered_at)}|{self.operation.key}"

    @property
    def all_row(self) -> str:
        """The key of the row with the copy."""
        return f"{ALL}{self.place}"

    def state_row(self, state: OperationState) -> str:
        """The key of the row that lists it by a state."""
        return f"{state_scope(state)}{self.place}"

    def row_keys(self, state: OperationState) -> list[str]:
        """The keys of all its list rows while it has a state, that of the copy first."""
        operation, root = self.operation, self.root_operation_id
        return [
            self.all_row,
            self.state_row(state),
            f"{table_scope(operation.cluster, operation.database, operation.table)}{self.place}",
            f"{id_scope(operation.operation_id)}{self.place}",
            *([f"{root_scope(root)}{self.attempt:010}|{self.place}"] if root != operation.operation_id else []),
        ]


def inverted(time: datetime) -> str:
    """Digits that sort a later time before an earlier one."""
    microseconds = (time - _EPOCH) // timedelta(microseconds=1)
    return f"{10**_DIGITS - 1 - max(microseconds, 0):0{_DIGITS}}"


ALL = "all|"
"""What the row keys of all operations begin with."""


def state_scope(state: OperationState) -> str:
    """What the row keys of the operations of a state begin with."""
    return f"state|{state.value}|"


def table_scope(cluster: str, database: str, table: str) -> str:
    """What the row keys of the operations of a table begin with."""
    return f"table|{table_key(cluster, database, table)}|"


ID = "id|"
"""What the row keys that sort operations by their ID begin with."""


def id_scope(operation_id: str) -> str:
    """What the row keys of the operations of an ID begin with."""
    return f"{ID}{keys.fitted(operation_id, LONGEST_NAME)}|"


def root_scope(root_operation_id: str) -> str:
    """What the row keys of a root's resubmissions begin with."""
    return f"root|{keys.fitted(root_operation_id, LONGEST_NAME)}|"


def entry_of(outstanding: Outstanding) -> Entry:
    """What the list rows of an outstanding operation are made of."""
    return Entry(
        outstanding.operation,
        outstanding.registered_at,
        outstanding.partition,
        outstanding.root_operation_id,
        outstanding.attempt,
    )


def entry_of_row(pointer: Pointer, row: OperationRow) -> Entry:
    """What the list rows of an operation are made of whose public row this is."""
    return Entry(row.operation, row.registered_at, pointer.partition, row.root_operation_id, row.attempt)


def listing_writes(entry: Entry, summary: Summary, settled_at: datetime | None = None) -> list[Write]:
    """The writes that list an operation, whatever is there."""
    copy, *others = entry.row_keys(summary.state)
    return [upsertion(_copy(entry, copy, summary, settled_at)), *(upsertion(_row(entry, each)) for each in others)]


def ending_writes(entry: Entry, summary: Summary, settled_at: datetime) -> list[Write]:
    """The writes that list an operation that was InProgress by how it has ended. They fail if it was not."""
    return [
        deletion(entry.shard, entry.state_row(OperationState.IN_PROGRESS)),
        upsertion(_copy(entry, entry.all_row, summary, settled_at)),
        upsertion(_row(entry, entry.state_row(summary.state))),
    ]


class ListRows:
    """The list rows of operations that are outstanding no more, in the table of those that are."""

    def __init__(self, outstanding: Table, executor: Executor) -> None:
        self._table = outstanding
        self._executor = executor

    def follow(self, entry: Entry, read: Callable[[], OperationRow | None]) -> None:
        """Make an operation's list rows say what its public row says, unless it has none.

        Args:
            entry: The operation.
            read: Reads its public row. It is read after the rows that are changed, and these are changed only if
                they are as they were before it: so whoever comes last brings the last word.

        Raises:
            Contended: others were faster every time.
        """
        for _ in range(_MOST_TRIES):
            copy = self._table.get(entry.shard, entry.all_row)
            row = read() if copy is not None else None
            if copy is None or row is None:
                return
            before = OperationState(copy["State"])
            copied = replacement(_copy(entry, entry.all_row, row.summary, row.settled_at), etag_of(copy))
            listed = upsertion(_row(entry, entry.state_row(row.state)))
            gone = [] if row.state is before else [deletion(entry.shard, entry.state_row(before))]
            try:
                self._table.write([copied, listed, *gone])
            except Conflict as conflict:
                if conflict.index:
                    # Somebody has deleted that row, by hand: the copy is as it was.
                    with suppress(Conflict):
                        self._table.write([copied, listed])
            else:
                return
        raise Contended(f"the list rows of operation {entry.operation.operation_id} are being changed by others")

    def remove(self, pruned: Iterable[Pruned]) -> None:
        """Delete the list rows of operations, those of one partition together."""
        by_shard: dict[str, list[tuple[Entry, OperationState]]] = {}
        for each in pruned:
            where = each.pointer
            entry = Entry(each.operation, where.registered_at, where.partition, each.root_operation_id, each.attempt)
            by_shard.setdefault(entry.shard, []).append((entry, each.state))
        groups = [list(group) for own in by_shard.values() for group in batched(own, GROUP // MOST_ROWS, strict=False)]
        for _ in self._executor.map(self._remove_group, groups):
            pass

    def _remove_group(self, group: Sequence[tuple[Entry, OperationState]]) -> None:
        steps = [[deletion(entry.shard, key) for key in entry.row_keys(state)] for entry, state in group]
        done = self._table.write_steps(steps, lambda *_: None)
        for place, (entry, _) in enumerate(group):
            if place not in done:
                self._remove_one_by_one(entry)

    def _remove_one_by_one(self, entry: Entry) -> None:
        """Delete what there is of an operation's list rows. One that was never listed has none."""
        copy = self._table.get(entry.shard, entry.all_row)
        if copy is None:
            return
        _, *others = entry.row_keys(OperationState(copy["State"]))
        # That of the copy last: as long as it is there, this is done again.
        for key in [*others, entry.all_row]:
            with suppress(Conflict):
                self._table.write([deletion(entry.shard, key)])


def _copy(entry: Entry, key: str, summary: Summary, settled_at: datetime | None) -> Row:
    counts = summary.counts
    return {
        **_row(entry, key),
        "State": summary.state.value,
        "Succeeded": counts.succeeded,
        "Failed": counts.failed,
        "InProgress": min(counts.in_progress + counts.other, MOST_COUNT),
        "Canceled": counts.canceled,
        "RetriedBlobs": summary.retried_blobs,
        "FirstErrorCode": clipped(summary.first_error_code, _LONGEST_ERROR_CODE),
        "SettledAt": settled_at,
    }


def _row(entry: Entry, key: str) -> Row:
    operation = entry.operation
    return {
        "PartitionKey": entry.shard,
        "RowKey": key,
        "Cluster": operation.cluster,
        "Database": operation.database,
        "Table": operation.table,
        "OperationId": operation.operation_id,
        "Partition": entry.partition,
        "RegisteredAt": entry.registered_at,
    }
