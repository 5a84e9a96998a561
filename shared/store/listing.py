"""Reading the list rows: newest first, by state, by table, by ID and by root, from 16 partitions side by side.

A query costs what it returns: each partition is asked for its share of a page and a little more, by a range of keys.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice

from shared import keys
from shared.model import Counts, Operation, OperationState
from shared.records import Notes, Pointer
from shared.store import notes
from shared.store.list_rows import ALL, ID, LONGEST_NAME, id_scope, inverted, root_scope, state_scope, table_scope
from shared.store.tables import BadPosition, Row, Table, moment, required_moment

MOST_ROUNDS = 4
"""Requests of one partition and scope for one page, at the most."""

MOST_SUMMARY_ROUNDS = 20
"""The same for one summary: some hundred thousand rows, and a minute or two where the service takes its time."""

_PAGE = 1_000
"""Rows in an answer, at the most."""
_POSITION = re.compile(r"[0-9]{18}\|[0-9a-f]{32}")
_BEYOND = "~"
"""Sorts after what places are made of."""
_BEYOND_TEXT = "\uffff"
_COLUMNS = ("RowKey", "Cluster", "Database", "Table", "OperationId", "Partition", "RegisteredAt")


class CutShort(Exception):
    """There may be more of what is wanted, behind more of other rows than one call looks at."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which operations are wanted.

    ``cluster`` is that of ``Operation``. ``since`` and ``until`` are of the registration: from the one on, before the
    other.
    """

    states: tuple[OperationState, ...] = ()
    cluster: str | None = None
    database: str | None = None
    table: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """An operation that was found, and where its row is. That may say another state by now, or be gone."""

    operation: Operation
    pointer: Pointer


@dataclass(frozen=True, slots=True)
class Page:
    """Some operations, and the position after which the next page begins; None at the end."""

    items: tuple[Listed, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Copy:
    """What an operation's row said when it ended, or was corrected since. Of one InProgress nothing is counted."""

    operation: Operation
    registered_at: datetime
    state: OperationState
    counts: Counts
    first_error_code: str | None
    settled_at: datetime | None
    retried: int


class Listing:
    """Finds operations by their list rows.

    Args:
        outstanding: The table of outstanding operations, in which these rows lie.
        executor: Whose threads ask the partitions side by side.
    """

    def __init__(self, outstanding: Table, executor: Executor) -> None:
        self._table = outstanding
        self._executor = executor

    def page(self, wanted: Filter, most: int, after: str | None = None) -> Page:
        """The operations that are wanted, newest first.

        Args:
            wanted: Which.
            most: How many at the most.
            after: The position that the page before gave.

        Returns:
            Up to ``most`` of them. It may be fewer, even none, and not the end: the work of one call is bounded.

        Raises:
            BadPosition: ``after`` is no position.
        """
        if after is not None and not _POSITION.fullmatch(after):
            raise BadPosition("this is no position of a listing")
        scopes, conditions = _scopes(wanted)
        streams = _streams(scopes, wanted, conditions, after)
        found: dict[str, Row] = {}
        reached = after
        for rows, known in islice(self._rounds(streams, _share(most)), MOST_ROUNDS):
            reached = known
            # Of an operation that changes its state meanwhile two rows may be seen.
            found |= {place: row for place, row in rows if place not in found}
            if len(found) >= most:
                break
        places = list(found)[:most]
        last = places[-1] if len(found) > most else reached
        return Page(tuple(_listed(found[place]) for place in places), last)

    def with_id(self, operation_id: str) -> list[Listed]:
        """The operations of an ID, more than one where tables share it."""
        return [each for each in self._all_of(id_scope(operation_id)) if each.operation.operation_id == operation_id]

    def beginning_with(self, prefix: str, most: int) -> list[Listed]:
        """Operations whose ID begins so, by ID, ``most`` at the most."""
        # Of a longer ID the row key has a digest behind as much as this.
        first = ID + keys.beginning(keys.escape(prefix), LONGEST_NAME - keys.DIGEST_LENGTH)
        streams = [_Stream(shard, ID, first.removeprefix(ID), first + _BEYOND_TEXT) for shard in keys.SHARDS]
        found: dict[Operation, Listed] = {}
        for rows, _ in self._rounds(streams, _share(most)):
            _add_newest(found, rows, prefix)
            if len(found) >= most:
                break
        return list(found.values())[:most]

    def of_root(self, root_operation_id: str) -> list[Listed]:
        """The resubmissions that go back to an operation, by attempt."""
        return self._all_of(root_scope(root_operation_id))

    def summary(self, wanted: Filter, most: int) -> Iterable[Copy]:
        """What the operations that are wanted have come to, newest first, ``most`` at the most.

        It is read page by page while it is gone through, each partition a thousand rows at a time.

        Raises:
            CutShort: while it is gone through, after those that were found.
        """
        return islice((copy for copy in self._copies(wanted, most) if _has_state(copy, wanted)), most)

    def _copies(self, wanted: Filter, most: int) -> Iterator[Copy]:
        streams = _streams([ALL], wanted, _table_conditions(wanted), None, select=None)
        reached = None
        for rows, known in islice(self._rounds(streams, min(_share(most), _PAGE)), MOST_SUMMARY_ROUNDS):
            reached = known
            yield from (_copy(row) for _, row in rows)
        if reached is not None:
            raise CutShort("there are too many other operations among those that are wanted")

    def notes(self) -> Notes:
        """What the app has noted of its own work."""
        return notes.read(self._table)

    def _all_of(self, scope: str) -> list[Listed]:
        """All operations of a scope, in the order of their row keys."""
        streams = [_Stream(shard, scope, "", scope + _BEYOND) for shard in keys.SHARDS]
        found: dict[Operation, Listed] = {}
        for rows, _ in self._rounds(streams, _PAGE):
            _add_newest(found, rows)
        return list(found.values())

    def _rounds(self, streams: Sequence["_Stream"], size: int) -> Iterator[tuple[list[tuple[str, Row]], str | None]]:
        """Read on in all streams side by side.

        Yields:
            The rows that are certain to come next, by their place, and up to which place all is known; None at the end.
        """
        while True:
            low = [stream for stream in streams if stream.has_more and 2 * len(stream.rows) <= size]
            for _ in self._executor.map(lambda stream: stream.read_on(self._table, size), low):
                pass
            reached = min((stream.reached for stream in streams if stream.has_more), key=_order, default=None)
            rows = chain.from_iterable(stream.take(reached) for stream in streams)
            yield sorted(rows, key=lambda pair: _order(pair[0])), reached
            if reached is None:
                return


@dataclass
class _Stream:
    """The rows of one partition and scope, read from ``reached`` on and not yet taken.

    A place is a row's key without its scope. ``conditions``: what columns have to be, beside the keys.
    """

    shard: str
    scope: str
    reached: str
    beyond: str
    conditions: Mapping[str, str] = field(default_factory=dict)
    select: Sequence[str] | None = _COLUMNS
    rows: list[tuple[str, Row]] = field(default_factory=list)
    has_more: bool = True

    def read_on(self, table: Table, size: int) -> None:
        """Read further rows, ``size`` at the most: one request, two where the service gives up on the conditions."""
        rows, self.has_more = self._page(table, self.conditions, size)
        if not rows and self.has_more and self.conditions:
            # It has looked at many rows, and does not say up to which: what it looks at next it is to show.
            rows, self.has_more = self._page(table, {}, _PAGE)
        places = [str(row["RowKey"]).removeprefix(self.scope) for row in rows]
        self.rows += [pair for pair in zip(places, rows, strict=True) if self._is_met(pair[1])]
        self.reached = places[-1] if places else self.reached

    def take(self, until: str | None) -> list[tuple[str, Row]]:
        """The rows up to a place, or all of them, which are then gone from here."""
        count = sum(until is None or _order(place) <= _order(until) for place, _ in self.rows)
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken

    def _page(self, table: Table, conditions: Mapping[str, str], size: int) -> tuple[list[Row], bool]:
        tests = ["PartitionKey eq @shard", "RowKey gt @reached", "RowKey lt @beyond"]
        tests += [f"{column} eq @{column}" for column in conditions]
        parameters = {"shard": self.shard, "reached": self.scope + self.reached, "beyond": self.beyond, **conditions}
        return table.page(" and ".join(tests), parameters, size, self.select, until_found=not conditions)

    def _is_met(self, row: Row) -> bool:
        return all(row[column] == value for column, value in self.conditions.items())


def _scopes(wanted: Filter) -> tuple[list[str], Mapping[str, str]]:
    """What the row keys of what is wanted begin with, and what else has to be tested."""
    conditions = _table_conditions(wanted)
    states = set(wanted.states)
    if states and states != set(OperationState):
        return [state_scope(state) for state in sorted(states)], conditions
    if wanted.cluster is not None and wanted.database is not None and wanted.table is not None:
        return [table_scope(wanted.cluster, wanted.database, wanted.table)], {}
    return [ALL], conditions


def _table_conditions(wanted: Filter) -> Mapping[str, str]:
    named = {"Cluster": wanted.cluster, "Database": wanted.database, "Table": wanted.table}
    return {column: value for column, value in named.items() if value is not None}


def _streams(
    scopes: Sequence[str],
    wanted: Filter,
    conditions: Mapping[str, str],
    after: str | None,
    select: Sequence[str] | None = _COLUMNS,
) -> list[_Stream]:
    newest = f"{inverted(wanted.until)}|{'f' * 32}" if wanted.until else f"{'0' * 18}|{'0' * 32}"
    begin = max(newest, after or newest)
    end = (inverted(wanted.since) if wanted.since else "") + _BEYOND
    return [_Stream(shard, each, begin, each + end, conditions, select) for shard in keys.SHARDS for each in scopes]


def _share(most: int) -> int:
    """Rows to read of a partition so that together they are ``most`` of the next ones, as a rule in one request.

    Operations are spread by a hash, so a partition's part of the next ones is about a sixteenth, give or take thrice
    its root.
    """
    part = most / len(keys.SHARDS)
    return min(math.ceil(part + 3 * math.sqrt(part)) + 2, _PAGE)


def _order(text: str) -> bytes:
    """As the service sorts keys: by UTF-16 code units."""
    return text.encode("utf-16-be", "surrogatepass")


def _listed(row: Row) -> Listed:
    operation = _operation(row)
    where = Pointer(row["Partition"], keys.escape(operation.operation_id), required_moment(row, "RegisteredAt"))
    return Listed(operation, where)


def _has_state(copy: Copy, wanted: Filter) -> bool:
    return not wanted.states or copy.state in wanted.states


def _add_newest(found: dict[Operation, Listed], rows: Iterable[tuple[str, Row]], prefix: str = "") -> None:
    """Add the operations that rows are of, and whose IDs begin so.

    Of one that was registered again before its old rows were pruned, the newest row comes first.
    """
    for _, row in rows:
        listed = _listed(row)
        if listed.operation.operation_id.startswith(prefix):
            found.setdefault(listed.operation, listed)


def _operation(row: Row) -> Operation:
    return Operation(row["Cluster"], row["Database"], row["Table"], row["OperationId"])


def _copy(row: Row) -> Copy:
    return Copy(
        operation=_operation(row),
        registered_at=required_moment(row, "RegisteredAt"),
        state=OperationState(row["State"]),
        counts=Counts(row["Succeeded"], row["Failed"], row["InProgress"], row["Canceled"]),
        first_error_code=row.get("FirstErrorCode"),
        settled_at=moment(row.get("SettledAt")),
        retried=row["RetriedBlobs"],
    )
