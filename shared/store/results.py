"""``IngestionOperations`` and ``IngestionBlobs``: what people read.

An operation's row is found from its key alone through the pointer, the row ``!operation`` among its blobs: it is
written first at registration, so it also tells that an operation is known, whatever day it was registered on.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import batched, islice, takewhile
from string import hexdigits

from shared import keys
from shared.many_blobs import Named
from shared.model import (
    MOST_COUNT,
    BlobReport,
    BlobStatus,
    Counts,
    Operation,
    OperationState,
    Properties,
    RetryState,
)
from shared.records import BlobRow, OperationRow, Outstanding, Pointer, Pruned, Summary
from shared.redaction import redact
from shared.store.tables import (
    GROUP,
    LONGEST_TEXT,
    BadPosition,
    Conflict,
    Row,
    Table,
    deletion,
    etag_of,
    group_sizes,
    insertion,
    merger,
    moment,
    replacement,
    required_moment,
)

POINTER = "!operation"

_POSITION = re.compile(rf"{POINTER}|[0-9a-f]{{32}}")

_MOST_TRIES = 10
"""Of a change that meets others: each try means that somebody else has got ahead, and they are few."""

_PAGE = 1_000
"""Rows in an answer, at the most."""

_FAILED_PAGE = 100
"""Rows of failed blobs that are held at once: the text of an error may have 32 thousand characters."""

type Within = str | frozenset[str]
"""Which of an operation's blobs: those whose keys begin with these hex digits, or have one of these keys."""


class Contended(Exception):
    """Others changed the same rows again and again; nothing is lost, the step is to be done again."""


@dataclass(frozen=True, slots=True)
class OperationChange:
    """What an operation's row is to say from now on, if it still has this ETag."""

    pointer: Pointer
    etag: str
    summary: Summary
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class BlobPage:
    """Some of an operation's blobs, and the key after which the next page begins; None at the end."""

    rows: tuple[BlobRow, ...]
    after: str | None


class Results:
    """The two public tables."""

    def __init__(self, operations: Table, blobs: Table) -> None:
        self._operations = operations
        self._blobs = blobs

    def point(self, operation: Operation, pointer: Pointer) -> tuple[Pointer, bool]:
        """Write the operation's pointer unless there is one.

        Returns:
            The pointer that is in the table, and whether it is new.
        """
        try:
            etag = self._blobs.insert(
                {
                    "PartitionKey": operation.key,
                    "RowKey": POINTER,
                    "OperationPartition": pointer.partition,
                    "OperationRow": pointer.row,
                    "OperationId": operation.operation_id,
                    "RegisteredAt": pointer.registered_at,
                }
            )
        except Conflict:
            return self.pointer(operation) or pointer, False
        return replace(pointer, etag=etag), True

    def pointer(self, operation: Operation) -> Pointer | None:
        """Where the operation's row is, if it was ever registered."""
        row = self._blobs.get(operation.key, POINTER)
        if row is None:
            return None
        etag = "" if "RecordedAt" in row else etag_of(row)
        return Pointer(row["OperationPartition"], row["OperationRow"], required_moment(row, "RegisteredAt"), etag)

    def operation(self, pointer: Pointer) -> OperationRow | None:
        """The operation's row, or None if it has none yet."""
        row = self._operations.get(pointer.partition, pointer.row)
        return _operation_row(row) if row else None

    def add_operation(self, outstanding: Outstanding, properties: Properties | None = None) -> str:
        """Write the operation's row, InProgress, unless there is one.

        Args:
            outstanding: The operation.
            properties: Those of its message, kept for a redrive where they fit a column and hold no secret.

        Returns:
            The row's ETag, "" if there was one already.
        """
        operation, pointer = outstanding.operation, outstanding.pointer
        row = {
            "PartitionKey": pointer.partition,
            "RowKey": pointer.row,
            "OperationId": operation.operation_id,
            "Cluster": operation.cluster,
            "Database": operation.database,
            "Table": operation.table,
            "State": OperationState.IN_PROGRESS.value,
            "RegisteredAt": outstanding.registered_at,
            **_count_columns(Counts()),
            "Polls": 0,
            "TransientFailures": 0,
            "PermanentFailures": 0,
            "RetriedBlobs": 0,
            "Attempt": outstanding.attempt,
            "RootOperationId": outstanding.root_operation_id,
            "ParentOperationId": outstanding.parent_operation_id,
            "CorrelationId": outstanding.correlation_id,
            "Properties": _kept(properties),
        }
        try:
            return self._operations.insert(row)
        except Conflict:
            return ""

    def blobs(self, operation: Operation, within: Within = "") -> dict[str, BlobRow]:
        """The operation's blobs by their key, all or some."""
        return {row.key: row for row in self.each_blob(operation, within)}

    def each_blob(self, operation: Operation, within: Within = "") -> Iterator[BlobRow]:
        """The same one by one, a page of them at a time in memory."""
        if isinstance(within, str):
            yield from map(_blob_row, self._query_blobs(operation, within))
            return
        for row in self._query_blobs(operation, _beginning(within)):
            if row["RowKey"] in within:
                yield _blob_row(row)

    def blob_page(
        self,
        operation: Operation,
        most: int,
        after: str | None = None,
        statuses: Sequence[str] = (),
        retry_states: Sequence[RetryState] = (),
    ) -> "BlobPage":
        """A page of the operation's blobs by their keys: one request, two where the service gives up on the filter.

        Args:
            operation: Whose blobs.
            most: How many at the most; it may be fewer, even none, and not the end.
            after: The key after which it begins.
            statuses: Only those with one of these statuses, if there are any.
            retry_states: Only those with one of these retry states, if there are any.

        Raises:
            BadPosition: ``after`` is no position of a page.
        """
        after = after or POINTER
        if not _POSITION.fullmatch(after):
            raise BadPosition("this is no position of a listing")
        tests = [
            ("Status", "status", [*statuses]),
            ("RetryState", "retry", [state.value for state in retry_states]),
        ]
        rows, has_more = self._blob_rows(operation, most, after, tests)
        if not rows and has_more:
            # It has looked at many rows, and does not say up to which: what it looks at next it is to show.
            rows, has_more = self._blob_rows(operation, _PAGE, after, [])
        reached = str(rows[-1]["RowKey"]) if rows else after
        wanted = [row for row in rows if all(not words or row.get(column, "") in words for column, _, words in tests)]
        if len(wanted) > most:
            reached, has_more = str(wanted[most - 1]["RowKey"]), True
        return BlobPage(tuple(map(_blob_row, wanted[:most])), reached if has_more else None)

    def _blob_rows(
        self, operation: Operation, most: int, after: str, tests: Sequence[tuple[str, str, Sequence[str]]]
    ) -> tuple[Sequence[Row], bool]:
        condition, parameters = "PartitionKey eq @key and RowKey gt @after", {"key": operation.key, "after": after}
        for column, name, words in tests:
            if words:
                condition += f" and ({' or '.join(f'{column} eq @{name}{place}' for place in range(len(words)))})"
                parameters |= {f"{name}{place}": word for place, word in enumerate(words)}
        return self._blobs.page(condition, parameters, most, until_found=not any(words for _, _, words in tests))

    def failed_blobs(self, operation: Operation, most: int) -> Iterator[BlobRow]:
        """Blobs of the operation that failed, one by one, of the first ``most`` rows that ADX called so."""
        rows = self._blobs.query(
            "PartitionKey eq @key and RowKey gt @pointer and Status eq @failed",
            {"key": operation.key, "pointer": POINTER, "failed": BlobStatus.FAILED},
            page=min(most, _FAILED_PAGE),
        )
        return (row for row in map(_blob_row, islice(rows, most)) if row.report.has_failed)

    def names(self, operation: Operation) -> Iterator[Named]:
        """Which blobs the operation's rows are of, one by one."""
        for row in self._query_blobs(operation, select=["RowKey", "SourceId", "Url"]):
            yield Named(row["RowKey"], row.get("SourceId"), row.get("Url"))

    def _query_blobs(
        self, operation: Operation, within: str = "", select: Sequence[str] | None = None
    ) -> Iterator[Row]:
        if within:
            # A hex digit is followed by no "g".
            condition, bounds = "RowKey ge @first and RowKey lt @end", {"first": within, "end": f"{within}g"}
        else:
            condition, bounds = "RowKey gt @pointer", {"pointer": POINTER}
        return self._blobs.query(
            f"PartitionKey eq @key and {condition}", {"key": operation.key, **bounds}, select=select
        )

    def begin(self, operation: Operation, pointer_etag: str, rows: Sequence[BlobRow], now: datetime) -> list[BlobRow]:
        """Write down the first that is known of an operation's blobs, without a look at what is written down before.

        The pointer is marked in the transaction of the first of them. As long as it has the ETag of its insertion,
        there are none: so that whoever comes second, or again after a crash, is told.

        Args:
            operation: Whose blobs.
            pointer_etag: The pointer's.
            rows: All that is known, or none to mark the pointer for those that are then added.
            now: When.

        Returns:
            The rows with their ETags.

        Raises:
            Conflict: something is written down already.
        """
        mark = {"PartitionKey": operation.key, "RowKey": POINTER, "RecordedAt": now}
        entities = [_blob_entity(operation, row) for row in rows]
        size = next(group_sizes([mark, *entities])) - 1
        etags = self._blobs.write([merger(mark, pointer_etag), *map(insertion, entities[:size])])
        first = [replace(row, etag=etag) for row, etag in zip(rows[:size], etags[1:], strict=True)]
        return first + self.write_blobs(operation, rows[size:])

    def revise(
        self,
        operation: Operation,
        decide: Callable[[Mapping[str, BlobRow]], Sequence[BlobRow]],
        stored: Mapping[str, BlobRow] | None = None,
        within: Within = "",
    ) -> dict[str, BlobRow]:
        """Change an operation's blobs, deciding again on fresh rows whenever somebody else was faster.

        Args:
            operation: Whose blobs.
            decide: Of the stored rows by key, those to write, changed or new.
            stored: The rows as they were read before, to save the first reading.
            within: Which rows this is about.

        Returns:
            All these rows as they are in the table now.

        Raises:
            Contended: others were faster every time.
        """
        rows = self.blobs(operation, within) if stored is None else stored
        for _ in range(_MOST_TRIES):
            try:
                written = self.write_blobs(operation, decide(rows))
            except Conflict:
                rows = self.blobs(operation, within)
            else:
                return {**rows, **{row.key: row for row in written}}
        raise Contended(f"the blobs of operation {operation.operation_id} are being changed by others")

    def revise_operation(
        self,
        pointer: Pointer,
        decide: Callable[[OperationRow], tuple[Summary, datetime | None] | None],
        tries: int = _MOST_TRIES,
    ) -> OperationRow | None:
        """Change an operation's row, deciding again on the fresh row whenever somebody else was faster.

        Args:
            pointer: Where the row is.
            decide: Of the row, what it is to say and since when it is settled; None to leave it.
            tries: How often others may be faster.

        Returns:
            The row as ``decide`` saw it last, or None if there is none.

        Raises:
            Contended: others were faster every time.
        """
        for _ in range(tries):
            row = self.operation(pointer)
            decided = decide(row) if row else None
            if row is None or decided is None:
                return row
            try:
                self._operations.write([merger(_summary_columns(pointer, *decided), row.etag)])
            except Conflict:
                continue
            return row
        raise Contended(f"the row of operation {pointer.row} is being changed by others")

    def change_operations(self, changes: Sequence["OperationChange"]) -> dict[int, str]:
        """Change rows of one partition, 100 at the most, that are as they were left.

        Returns:
            The new ETags by the place of the change; without those whose row has changed, or that can't be stored.
        """
        steps = [[merger(_summary_columns(each.pointer, each.summary, each.settled_at), each.etag)] for each in changes]
        written = self._operations.write_steps(steps, lambda *_: None)
        return {place: etags[0] for place, etags in written.items()}

    def write_blobs(self, operation: Operation, rows: Sequence[BlobRow]) -> list[BlobRow]:
        """Write blobs' rows: those with an ETag if they haven't changed since, the others if they are new.

        Returns:
            The rows with their new ETags.

        Raises:
            Conflict: at the first group in which a row has changed; groups before it are written.
        """
        written: list[BlobRow] = []
        entities = [_blob_entity(operation, row) for row in rows]
        left = zip(rows, entities, strict=True)
        for size in group_sizes(entities):
            group = list(islice(left, size))
            writes = [replacement(entity, row.etag) if row.etag else insertion(entity) for row, entity in group]
            etags = self._blobs.write(writes)
            written += [replace(row, etag=etag) for (row, _), etag in zip(group, etags, strict=True)]
        return written

    def settled_before(self, day: date) -> Iterator[Pruned]:
        """The operations that were registered before ``day`` and are settled."""
        rows = self._operations.query(
            "PartitionKey lt @day and State ne @open",
            {"day": f"{day:%Y-%m-%d}", "open": OperationState.IN_PROGRESS.value},
            select=[
                *("PartitionKey", "RowKey", "Cluster", "Database", "Table", "OperationId", "RegisteredAt"),
                *("State", "RootOperationId", "Attempt"),
            ],
        )
        for row in rows:
            yield Pruned(
                Operation(row["Cluster"], row["Database"], row["Table"], row["OperationId"]),
                Pointer(row["PartitionKey"], row["RowKey"], required_moment(row, "RegisteredAt")),
                OperationState(row["State"]),
                row["RootOperationId"],
                row["Attempt"],
            )

    def delete_blobs(self, operation: Operation, unless_redriven_since: date | None = None) -> int | None:
        """Delete what is stored of an operation's blobs.

        Returns:
            How many blobs' rows were deleted; None if all are kept, as one was redriven on that day or later.

        Raises:
            Conflict: somebody else is deleting the same rows.
        """
        row_keys: list[str] = []
        # The keys alone are held: there may be very many.
        for row in self._blobs.query("PartitionKey eq @key", {"key": operation.key}, select=["RowKey", "RedrivenAt"]):
            redriven_at = moment(row.get("RedrivenAt"))
            if unless_redriven_since and redriven_at and redriven_at.date() >= unless_redriven_since:
                return None
            row_keys.append(row["RowKey"])
        deleted = 0
        for group in batched(row_keys, GROUP, strict=False):
            self._blobs.write([deletion(operation.key, key) for key in group])
            deleted += sum(key != POINTER for key in group)
        return deleted

    def delete_operations(self, pointers: Sequence[Pointer]) -> int:
        """Delete operations' rows, 100 at the most, all of one partition. Returns how many of them were there."""
        steps = [[deletion(each.partition, each.row)] for each in pointers]
        return len(self._operations.write_steps(steps, lambda *_: None))


def _beginning(keys: Collection[str]) -> str:
    """The hex digits that all these keys begin with: those of one retry message have some in a large operation."""
    first, last = min(keys, default=""), max(keys, default="")
    alike = takewhile(lambda pair: pair[0] == pair[1] and pair[0] in hexdigits, zip(first, last, strict=False))
    return "".join(digit for digit, _ in alike)


def _summary_columns(pointer: Pointer, summary: Summary, settled_at: datetime | None) -> Row:
    return {
        "PartitionKey": pointer.partition,
        "RowKey": pointer.row,
        "State": summary.state.value,
        **_count_columns(summary.counts),
        "StartTime": summary.start_time,
        "LastUpdated": summary.last_updated,
        "SettledAt": settled_at,
        "Polls": summary.polls,
        "TransientFailures": summary.transient_failures,
        "PermanentFailures": summary.permanent_failures,
        "RetriedBlobs": summary.retried_blobs,
        # A merge leaves what isn't named, so what is no longer true is written over.
        "FirstErrorCode": summary.first_error_code or "",
        "LastError": summary.last_error or "",
    }


def _operation_row(row: Row) -> OperationRow:
    return OperationRow(
        operation=Operation(row["Cluster"], row["Database"], row["Table"], row["OperationId"]),
        registered_at=required_moment(row, "RegisteredAt"),
        state=OperationState(row["State"]),
        counts=Counts(row["Succeeded"], row["Failed"], row["InProgress"], row["Canceled"]),
        polls=row["Polls"],
        start_time=moment(row.get("StartTime")),
        last_updated=moment(row.get("LastUpdated")),
        settled_at=moment(row.get("SettledAt")),
        last_error=row.get("LastError") or None,
        attempt=row["Attempt"],
        root_operation_id=row["RootOperationId"],
        correlation_id=row.get("CorrelationId"),
        properties=json.loads(row["Properties"]) if "Properties" in row else None,
        etag=etag_of(row),
        parent_operation_id=row.get("ParentOperationId"),
        transient_failures=row["TransientFailures"],
        permanent_failures=row["PermanentFailures"],
        retried_blobs=row["RetriedBlobs"],
        first_error_code=row.get("FirstErrorCode") or None,
    )


def _count_columns(counts: Counts) -> Row:
    return {
        "Succeeded": counts.succeeded,
        "Failed": counts.failed,
        "InProgress": min(counts.in_progress + counts.other, MOST_COUNT),
        "Canceled": counts.canceled,
    }


def _kept(properties: Properties | None) -> str | None:
    """The properties as a column takes them; None where they are too long, or something in them may be a secret."""
    text = json.dumps(properties) if properties else ""
    return text if text and len(text) <= LONGEST_TEXT and redact(text) == text else None


def pointer_to(operation: Operation, cluster_name: str, registered_at: datetime) -> Pointer:
    """Where the row of an operation that is registered now goes."""
    return Pointer(
        partition=keys.operations_partition(operation, cluster_name, registered_at),
        row=keys.escape(operation.operation_id),
        registered_at=registered_at,
    )


def _blob_entity(operation: Operation, row: BlobRow) -> Row:
    report = row.report
    return {
        "PartitionKey": operation.key,
        "RowKey": row.key,
        "Url": report.url,
        "SourceId": report.source_id,
        "Status": report.status,
        "StartTime": report.start_time,
        "LastUpdated": report.last_updated,
        "ErrorCode": report.error_code,
        "FailureStatus": report.failure_status,
        "Details": report.details,
        "RetryState": row.retry_state.value,
        "RetryOperationId": row.retry_operation_id,
        "RetryReason": row.retry_reason,
        "Attempt": row.attempt,
        "ClaimedBy": row.claimed_by,
        "ClaimedUntil": row.claimed_until,
        "RedrivenBy": row.redriven_by,
        "RedrivenAt": row.redriven_at,
    }


def _blob_row(row: Row) -> BlobRow:
    return BlobRow(
        key=row["RowKey"],
        report=BlobReport(
            status=row["Status"],
            source_id=row.get("SourceId"),
            url=row.get("Url"),
            start_time=moment(row.get("StartTime")),
            last_updated=moment(row.get("LastUpdated")),
            error_code=row.get("ErrorCode"),
            failure_status=row.get("FailureStatus"),
            details=row.get("Details"),
        ),
        attempt=row["Attempt"],
        retry_state=RetryState(row.get("RetryState", "")),
        retry_operation_id=row.get("RetryOperationId"),
        retry_reason=row.get("RetryReason"),
        claimed_by=row.get("ClaimedBy"),
        claimed_until=moment(row.get("ClaimedUntil")),
        redriven_by=row.get("RedrivenBy"),
        redriven_at=moment(row.get("RedrivenAt")),
        etag=etag_of(row),
    )
