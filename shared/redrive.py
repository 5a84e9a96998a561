"""Redriving: what the app has given up is taken up again, because a person says so; who, when and how many is kept.

Blobs, in this order, so that a crash loses nothing and the same act again completes it:

1. a row of ``IngestionRedrives``,
2. the blobs' rows, ``RetryState`` Pending again, with who and when,
3. the retry messages,
4. ``RetryState`` Enqueued,
5. the operation's row counts them, and the row of ``IngestionRedrives`` is done.

Messages of a poison queue: each is sent to its queue, and then removed. A crash between the two delivers it twice,
which every queue's function bears.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial

from shared.ambient import Ambient
from shared.many_blobs import MOST_AT_ONCE, prefixes
from shared.messages import NamedBlob, OperationMessage, RetryBlob, RetryMessage
from shared.model import GIVEN_UP_AS, Operation, OperationState, Properties, RetryState, bare_url
from shared.outcome import standing_as_settled, summarize
from shared.queues import Queue
from shared.records import BlobRow, OperationRow, Pointer, Redrive, RedriveKind, Summary
from shared.reenqueue import NamedBlobs, Reenqueuer, names_another, retry_blob
from shared.store.list_rows import ListRows, entry_of_row
from shared.store.redrives import Redrives
from shared.store.results import Results
from shared.store.tables import LONGEST_TEXT
from shared.telemetry import event
from shared.tracing import step

_BUDGET = timedelta(seconds=60)


class RedriveRefused(Exception):
    """The act can't be done; the text says why, and what to do."""


class UnknownOperation(RedriveRefused):
    """There is no such operation."""


class StillWatched(RedriveRefused):
    """The operation has not ended."""


@dataclass(frozen=True)
class BlobsRequest:
    """What a person asks for.

    Attributes:
        message: The operation, as a message names it. Its ``blobs``, if there are any, are those to be redriven, with
            URLs that may bring credentials; its ``properties`` go before those that were kept.
        by: Who asks.
        only: Which of ``GIVEN_UP_AS``; empty for all.
    """

    message: OperationMessage
    by: str
    only: frozenset[str] = frozenset()

    @cached_property
    def named(self) -> NamedBlobs:
        """The blobs of the message, to be found."""
        return NamedBlobs(self.message.blobs)


@dataclass(frozen=True, slots=True)
class Redriven:
    """What was done: ``count`` blobs, or messages. ``left`` is what the act was not about."""

    redrive_id: str
    count: int
    left: int


class Redriver:
    """Takes blobs and messages up again."""

    def __init__(
        self,
        results: Results,
        list_rows: ListRows,
        redrives: Redrives,
        reenqueuer: Reenqueuer,
        ambient: Ambient,
        *,
        needs_format: bool,
    ) -> None:
        self._results = results
        self._list_rows = list_rows
        self._redrives = redrives
        self._reenqueuer = reenqueuer
        self._ambient = ambient
        self._needs_format = needs_format

    def redrive_blobs(self, request: BlobsRequest) -> Redriven:
        """Put an operation's given-up blobs on the retry queue.

        Raises:
            RedriveRefused: the operation is not known, has not ended, or lacks what a resubmission needs.
        """
        operation = request.message.operation
        pointer, row = self._ended(operation)
        with step("redrive", operation, row.root_operation_id, row.attempt, expected=RedriveRefused):
            return self._redrive(request, pointer, row)

    def _redrive(self, request: BlobsRequest, pointer: Pointer, row: OperationRow) -> Redriven:
        operation = request.message.operation
        properties = self._checked(request.message.properties or row.properties)
        # As many as memory holds are read once.
        stored = self._results.blobs(operation) if row.counts.total <= MOST_AT_ONCE else None
        _check_urls(request, self._results.each_blob(operation) if stored is None else stored.values())
        redrive = self._new(request.by, RedriveKind.BLOBS, operation=operation)
        self._redrives.begin(redrive)
        count = left = 0
        for part in [""] if stored is not None else prefixes(row.counts.total):
            taken_up, others = self._redrive_part(request, row, properties, redrive, stored, part)
            count, left = count + taken_up, left + others
        # In any case: an earlier act may have been cut short right before it.
        self._count(operation, pointer)
        self._redrives.end(redrive, count)
        event(
            "blobs.redriven",
            "a person has them tried again",
            about=operation,
            blobs=count,
            left=left,
            by=request.by,
            redrive_id=redrive.redrive_id,
        )
        return Redriven(redrive.redrive_id, count, left)

    def _redrive_part(
        self,
        request: BlobsRequest,
        row: OperationRow,
        properties: Properties | None,
        redrive: Redrive,
        stored: Mapping[str, BlobRow] | None,
        within: str,
    ) -> tuple[int, int]:
        """Redrive the blobs whose keys begin so; returns how many, and how many of them are left given up."""
        operation = request.message.operation
        rows = self._results.revise(operation, lambda rows: _taken_up(rows, request, redrive.at), stored, within)
        keys = [key for key, each in rows.items() if _is_taken_up(each) and _is_asked_for(each, request)]
        if keys:
            whole = _retry_message(request, row, properties, redrive, [rows[key] for key in keys])
            rows = self._reenqueuer.enqueue(whole, keys, rows, timedelta, within)
        return len(keys), sum(given_up_as(each) is not None or _is_taken_up(each) for each in rows.values())

    def redrive_messages(self, queue_name: str, poison: Queue, queue: Queue, by: str, most: int | None) -> Redriven:
        """Put the messages of a poison queue back on their queue, as many as there are now or ``most``.

        It ends early when its time is up; what it leaves is there for the next one.
        """
        redrive = self._new(by, RedriveKind.MESSAGES, queue=queue_name)
        self._redrives.begin(redrive)
        count = 0
        # What can't be handled is soon back in the poison queue: it must not be taken again and again.
        length = poison.length()
        for message in poison.take(length if most is None else min(most, length)):
            queue.send(message.text)
            poison.remove(message)
            count += 1
            if self._ambient.now() - redrive.at >= _BUDGET:
                break
        self._redrives.end(redrive, count)
        event(
            "message.redriven",
            "messages of the poison queue are back on their queue",
            queue=queue_name,
            messages=count,
            by=by,
            redrive_id=redrive.redrive_id,
        )
        return Redriven(redrive.redrive_id, count, length - count)

    def _new(
        self, by: str, kind: RedriveKind, *, operation: Operation | None = None, queue: str | None = None
    ) -> Redrive:
        return Redrive(self._ambient.new_id(), by, self._ambient.now(), kind, operation, queue)

    def _ended(self, operation: Operation) -> tuple[Pointer, OperationRow]:
        pointer = self._results.pointer(operation)
        row = self._results.operation(pointer) if pointer else None
        if pointer is None or row is None:
            raise UnknownOperation(
                f"no operation {operation.operation_id} of {operation.database}.{operation.table} at "
                f"{operation.cluster} is known: check all four"
            )
        if row.state is OperationState.IN_PROGRESS:
            raise StillWatched("the operation has not ended, and what is Transient is tried again by itself: wait")
        return pointer, row

    def _checked(self, properties: Properties | None) -> Properties | None:
        if self._needs_format and not (properties or {}).get("format"):
            raise RedriveRefused(
                "the properties that these blobs are to be submitted with are not known: the operation's message had "
                "none, or some that are not kept. Give them, at least 'format'"
            )
        if len(json.dumps(properties)) > LONGEST_TEXT:
            raise RedriveRefused(f"'properties' are longer than {LONGEST_TEXT} characters of JSON")
        return properties

    def _count(self, operation: Operation, pointer: Pointer) -> None:
        """Let the operation's rows say how many of its blobs were put on the retry queue."""

        def decide(row: OperationRow) -> tuple[Summary, datetime | None]:
            # Read now: the first of them may have been tried, and found mended, already.
            standing = standing_as_settled(self._results.each_blob(operation))
            return summarize(standing, row, row.state), row.settled_at

        row = self._results.revise_operation(pointer, decide)
        if row is not None:
            self._list_rows.follow(entry_of_row(pointer, row), partial(self._results.operation, pointer))


def given_up_as(row: BlobRow) -> str | None:
    """Why the app leaves a failed blob alone, one of ``GIVEN_UP_AS``; None if it doesn't."""
    if not row.report.has_failed:
        return None
    if row.retry_state in (RetryState.ATTEMPTS_EXHAUSTED, RetryState.NOT_RESUBMITTABLE):
        return row.retry_state.value
    if row.retry_state is RetryState.NONE and row.report.failure in GIVEN_UP_AS:
        return row.report.failure
    return None


def _is_asked_for(row: BlobRow, request: BlobsRequest) -> bool:
    return not request.message.blobs or _named(row, request) is not None


def _named(row: BlobRow, request: BlobsRequest) -> NamedBlob | None:
    """The blob of the request that a row is of; one with another ``sourceId`` is another submission of the same URL."""
    named = request.named.find(row.report)
    ids = {each.lower() for each in (row.report.source_id, named and named.source_id) if each}
    return named if len(ids) <= 1 else None


def _check_urls(request: BlobsRequest, rows: Iterable[BlobRow]) -> None:
    """Refuse a URL of another blob: nothing but the blobs that failed is redriven.

    Raises:
        RedriveRefused: there is one.
    """
    found = []
    for row in rows:
        named = _named(row, request)
        if named:
            found.append(named)
        if named and names_another(named, row.report.url):
            raise RedriveRefused(
                f"the URL that is given for a blob leads elsewhere than {row.report.url}, which failed: submit what is "
                "there as a new operation"
            )
    missing = [blob for blob in request.message.blobs if blob not in found]
    if missing:
        raise RedriveRefused(
            f"{len(missing)} of the blobs that are given, by sourceId and URL, are none of this operation: first "
            f"{missing[0].source_id or ''} {bare_url(missing[0].url or '')}"
        )


def _is_taken_up(row: BlobRow) -> bool:
    """Whether a redrive has begun with it, this one or an earlier one that was cut short."""
    return row.retry_state is RetryState.PENDING and row.redriven_at is not None


def _taken_up(stored: Mapping[str, BlobRow], request: BlobsRequest, now: datetime) -> list[BlobRow]:
    return [
        replace(
            row,
            retry_state=RetryState.PENDING,
            retry_reason=None,
            claimed_by=None,
            claimed_until=None,
            redriven_by=request.by,
            redriven_at=now,
        )
        for row in stored.values()
        if (reason := given_up_as(row)) and (not request.only or reason in request.only) and _is_asked_for(row, request)
    ]


def _retry_message(
    request: BlobsRequest,
    row: OperationRow,
    properties: Properties | None,
    redrive: Redrive,
    rows: Sequence[BlobRow],
) -> RetryMessage:
    return RetryMessage(
        operation=request.message.operation,
        root_operation_id=row.root_operation_id,
        attempt=row.attempt,
        enqueued_at=redrive.at,
        blobs=tuple(_retry_blob(each, _named(each, request)) for each in rows),
        properties=properties,
        correlation_id=row.correlation_id,
        redriven_by=redrive.by,
        extra=request.message.extra,
    )


def _retry_blob(row: BlobRow, named: NamedBlob | None) -> RetryBlob:
    """The blob; a URL without credentials says which one it is, and ADX reads it as ``RETRY_BLOB_ACCESS`` says."""
    url = named.url if named else None
    if named and url == bare_url(url or ""):
        named = replace(named, url_brought=False)
    return retry_blob(row, named, row.report.url or url)
