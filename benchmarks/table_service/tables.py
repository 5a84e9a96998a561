"""Tables: rows in the order of their keys, and writes that are done together or not at all."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

from sortedcontainers import SortedDict

from benchmarks.table_service.filters import Filter
from benchmarks.table_service.refusal import Refused, TransactionRefused
from benchmarks.table_service.rows import Key, Properties, Row, merged, now_ticks, order, ticks_of

MOST_WRITES = 100
"""In a transaction."""

_LONGEST_TEXT = 32_768
_LONGEST_KEY = 512
"""Both in UTF-16 code units."""
_MOST_PROPERTIES = 252
_FORBIDDEN_IN_KEYS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")


class Kind(Enum):
    """What a write does."""

    INSERT = "insert"
    REPLACE = "replace"
    MERGE = "merge"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Write:
    """One write of one row.

    Attributes:
        kind: What it does.
        partition: Of the row.
        row: Its key.
        properties: What is set, the keys among them; empty to delete.
        etag: What the row's has to be, "*" for any; None for one that need not be there.
    """

    kind: Kind
    partition: str
    row: str
    properties: Properties = field(default_factory=dict)
    etag: str | None = None

    @property
    def key(self) -> Key:
        """Where the row is in the table's order."""
        return order(self.partition), order(self.row)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a query, how many rows were looked at for it, and where it goes on (None at its end)."""

    rows: Sequence[Row]
    looked_at: int
    next_key: Key | None


class Table:
    """One table.

    Args:
        name: What it is called.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows: SortedDict[Key, Row] = SortedDict()
        self._last_ticks = 0

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, partition: str, row: str) -> Row:
        """One row.

        Raises:
            Refused: there is none.
        """
        found: Row | None = self._rows.get((order(partition), order(row)))
        if found is None:
            raise _no_such_row()
        return found

    def query(self, condition: Filter, after: Key | None, most: int) -> Page:
        """The rows that meet a filter, in the order of their keys.

        Args:
            condition: The filter.
            after: Where the page before said that this one begins.
            most: Rows at the most.
        """
        looked_at = 0

        def looked() -> Iterator[tuple[Key, Row]]:
            nonlocal looked_at
            for key in self._rows.irange(after or condition.first, condition.beyond, inclusive=(True, False)):
                looked_at += 1
                yield key, self._rows[key]

        rest = condition.rest
        found = ((key, row) for key, row in looked() if all(each.is_met(row.properties) for each in rest))
        page = list(islice(found, most))
        # Whether there is another is seen by one look ahead, which the client is not to pay for.
        beyond = next(found, None) if len(page) == most else None
        return Page([row for _, row in page], looked_at, beyond and beyond[0])

    def write(self, write: Write) -> Row | None:
        """Do one write.

        Returns:
            The row as it is now, None if it was deleted.

        Raises:
            Refused: it can't be done; then nothing is.
        """
        _check(write)
        key = write.key
        old = self._rows.get(key)
        if write.kind is Kind.INSERT and old is not None:
            raise Refused(409, "EntityAlreadyExists", "The specified entity already exists.")
        if write.etag is not None and write.kind is not Kind.INSERT:
            _check_etag(write.etag, old)
        if write.kind is Kind.DELETE:
            del self._rows[key]
            return None
        is_merged = write.kind is Kind.MERGE and old is not None
        new = Row(
            merged(old.properties, write.properties) if is_merged and old else write.properties, self._next_ticks()
        )
        self._rows[key] = new
        return new

    def transact(self, writes: Sequence[Write]) -> list[Row | None]:
        """Do all writes or none.

        Returns:
            What ``write`` returns, for each.

        Raises:
            TransactionRefused: one can't be done.
        """
        undo: list[tuple[Key, Row | None]] = []
        done: list[Row | None] = []
        for index, write in enumerate(writes):
            try:
                _check_together(writes, index)
                old = self._rows.get(write.key)
                done.append(self.write(write))
            except Refused as refusal:
                self._undo(undo)
                raise TransactionRefused(index, refusal) from refusal
            undo.append((write.key, old))
        return done

    def plant(self, rows: Iterator[Properties]) -> int:
        """Write rows whatever is there, many at once. Returns how many they were.

        A row that has a ``Timestamp`` keeps it, and so the ETag that others may know of it.
        """
        planted = {}
        for row in rows:
            ticks = ticks_of(row.pop("Timestamp")) if "Timestamp" in row else self._next_ticks()
            planted[order(row["PartitionKey"]), order(row["RowKey"])] = Row(row, ticks)
        self._rows.update(planted)
        return len(planted)

    def rows(self) -> Iterator[Row]:
        """All rows, in the order of their keys."""
        return iter(self._rows.values())

    def clear(self) -> None:
        """Forget all rows."""
        self._rows.clear()

    def _undo(self, before: Sequence[tuple[Key, Row | None]]) -> None:
        for key, row in reversed(before):
            if row is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = row

    def _next_ticks(self) -> int:
        self._last_ticks = max(now_ticks(), self._last_ticks + 1)
        return self._last_ticks


def _no_such_row() -> Refused:
    return Refused(404, "ResourceNotFound", "The specified resource does not exist.")


def _check_etag(etag: str, old: Row | None) -> None:
    if old is None:
        raise _no_such_row()
    if etag not in ("*", old.etag):
        raise Refused(412, "UpdateConditionNotSatisfied", "The update condition was not satisfied.")


def _check_together(writes: Sequence[Write], index: int) -> None:
    """Whether a write may be in one transaction with those before it."""
    write = writes[index]
    if index >= MOST_WRITES:
        raise Refused(400, "InvalidInput", "A transaction has 100 writes at the most.")
    if write.partition != writes[0].partition:
        raise Refused(400, "CommandsInBatchActOnDifferentPartitions", "All writes must be of one partition.")
    if any(write.row == other.row for other in writes[:index]):
        raise Refused(400, "InvalidDuplicateRow", "A row can be written only once in a transaction.")


def _check(write: Write) -> None:
    for name, key in (("PartitionKey", write.partition), ("RowKey", write.row)):
        if _FORBIDDEN_IN_KEYS.search(key):
            raise Refused(400, "InvalidInput", f"{name} has a character that is not allowed.")
        if len(order(key)) > 2 * _LONGEST_KEY:
            raise Refused(400, "KeyValueTooLarge", f"{name} is longer than 1 KiB.")
    if len(write.properties) > 2 * _MOST_PROPERTIES:
        raise Refused(400, "TooManyProperties", "The row has more than 252 properties.")
    for value in write.properties.values():
        # Twice the characters is the most that UTF-16 takes.
        if isinstance(value, str) and 2 * len(value) > _LONGEST_TEXT and len(order(value)) > 2 * _LONGEST_TEXT:
            raise Refused(400, "PropertyValueTooLarge", "A text has more than 64 KiB.")
