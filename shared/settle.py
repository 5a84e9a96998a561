"""Settling: writing down what became of an operation's blobs, trying again what is worth it, and ending the watch.

The order is the guarantee; each step is safe to repeat, and the next poll makes good what a crash cut short:

1. the blobs' rows, with the intent to retry (``RetryState`` Pending),
2. the retry messages,
3. ``RetryState`` Enqueued,
4. the operation's row with its final ``State``,
5. the news of that, where somebody waits for it,
6. the operation leaves ``OutstandingOperations``.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import batched

from shared import given_up, metrics
from shared.ambient import Ambient
from shared.announce import Announcer
from shared.backoff import retry_delay
from shared.ending import Ending
from shared.many_blobs import MOST_AT_ONCE, ManyBlobs, prefixes
from shared.messages import NamedBlob, OperationMessage, RetryBlob, RetryMessage
from shared.model import BlobReport, BlobStatus, Operation, OperationState, RetryState, StatusReport
from shared.news import Kind
from shared.outcome import (
    FewBlobs,
    Reported,
    Standing,
    is_finished,
    is_overtaken,
    merge_keyed,
    standing_as_settled,
    summarize,
)
from shared.queues import Queue
from shared.records import BlobRow, OperationRow, Outstanding, Pointer, Summary
from shared.reenqueue import NamedBlobs, Reenqueuer, names_another, retry_blob, with_url
from shared.settings import Retrying
from shared.store.list_rows import entry_of_row
from shared.store.outstanding import OutstandingOperations
from shared.store.results import Contended, OperationChange, Results
from shared.store.tables import GROUP, Conflict
from shared.telemetry import event

type _WriteFirst = Callable[[list[BlobRow]], list[BlobRow]]
"""Writes rows of an operation that has none yet, and returns them with their ETags."""

_GIVEN_UP = frozenset({OperationState.NOT_FOUND, OperationState.TIMED_OUT})


class OperationGone(Exception):
    """The operation is not outstanding any more: somebody else has settled it meanwhile."""


class Settler:
    """Writes results down and puts retries on their queue."""

    def __init__(
        self,
        outstanding: OutstandingOperations,
        results: Results,
        retries: Queue,
        retrying: Retrying,
        ambient: Ambient,
        *,
        announcer: Announcer | None = None,
        most_at_once: int = MOST_AT_ONCE,
    ) -> None:
        self._outstanding = outstanding
        self._announcer = announcer
        self._results = results
        self._most_at_once = most_at_once
        self._reenqueuer = Reenqueuer(results, retries, retrying)
        self._retrying = retrying
        self._ambient = ambient

    def record(self, before: Outstanding, report: StatusReport | None) -> Standing:
        """Write the blobs of a detailed report down, and put the new Transient failures on the retry queue.

        Args:
            before: The operation.
            report: What ADX said; None to do only what was intended before.

        Returns:
            What the operation's blobs amount to.

        Raises:
            OperationGone: somebody else has settled the operation.
        """
        blobs = (report.blobs if report else None) or ()
        recording = _Recording(
            before,
            message=cache(lambda: self._message(before)),
            is_last=report is not None and is_finished(report, before.named_blobs),
        )
        known = max(before.counts.total, report.tally.total if report else 0, len(blobs))
        if isinstance(blobs, ManyBlobs) or known > self._most_at_once:
            many = blobs if isinstance(blobs, ManyBlobs) else ManyBlobs(blobs)
            return self._record_in_parts(recording, many, many.prefixes(known))
        if any(blob.is_transient or (blob.url is None and before.named_blobs) for blob in blobs):
            named = NamedBlobs(recording.message().blobs)
            blobs = tuple(with_url(blob, named) for blob in blobs)
        write_first = partial(self._begin, before) if before.pointer_etag and blobs else None
        reported = FewBlobs(blobs)
        rows, is_alone = self._write_part(recording, reported, write_first)
        return self._finish_part(recording, reported, rows, is_alone=is_alone)

    def _record_in_parts(self, recording: "_Recording", blobs: ManyBlobs, prefixes: Iterable[str]) -> Standing:
        """The same of blobs that memory does not hold at once: by what the keys of their rows begin with."""
        before = recording.before
        if blobs.has_transient or (blobs.lacks_url and before.named_blobs):
            named = NamedBlobs(recording.message().blobs)
            blobs.find_urls(lambda blob: with_url(blob, named).url)
        is_first = bool(before.pointer_etag and blobs) and self._is_first(before)
        blobs.pair(() if is_first else self._results.names(before.operation))
        write_first = partial(self._results.write_blobs, before.operation) if is_first else None
        standing, waiting = Standing(), []
        for prefix in prefixes:
            part = blobs.part(prefix)
            rows, is_alone = self._write_part(recording, part, write_first, prefix)
            if any(map(_is_to_be_enqueued, rows.values())):
                # First all of them are written down: a queue that is away must not hide any from people.
                waiting.append(prefix)
            else:
                standing += self._finish_part(recording, part, rows, prefix, is_alone=is_alone)
        for prefix in waiting:
            rows = self._results.blobs(before.operation, prefix)
            standing += self._finish_part(recording, blobs.part(prefix), rows, prefix, is_alone=False)
        return standing

    def _write_part(
        self, recording: "_Recording", reported: Reported, write_first: _WriteFirst | None, within: str = ""
    ) -> tuple[Mapping[str, BlobRow], bool]:
        """Write blobs down, and say what is new of them; returns their rows, and whether no others were among them."""
        stored, rows = self._write_down(recording.before, reported, write_first, within)
        _tell_news(recording.before, stored, rows)
        # As long as nothing but these reports is in the rows, nobody has got ahead of them.
        return rows, not stored

    def _finish_part(
        self,
        recording: "_Recording",
        reported: Reported,
        rows: Mapping[str, BlobRow],
        within: str = "",
        *,
        is_alone: bool,
    ) -> Standing:
        """Put what is Pending on the retry queue; returns what the blobs amount to."""
        if any(map(_is_to_be_enqueued, rows.values())):
            urls = reported.urls(rows)
            rows = self._reenqueue(recording.before, recording.message(), rows, urls, within)
            is_alone = False
        if not recording.is_last or is_alone:
            return Standing.of(rows.values())
        keys = (key for key, _ in reported.keyed(rows))
        return Standing.of(rows.values(), is_overtaken=is_overtaken(keys, rows))

    def _write_down(
        self,
        before: Outstanding,
        reported: Reported,
        write_first: _WriteFirst | None,
        within: str,
    ) -> tuple[Mapping[str, BlobRow], Mapping[str, BlobRow]]:
        """Write the blobs' rows; returns all rows that their keys are among, as they were and as they are."""

        def decide(rows: Mapping[str, BlobRow]) -> list[BlobRow]:
            return merge_keyed(rows, reported.keyed(rows), attempt=before.attempt, most=self._retrying.max_attempts)

        # A due row that a crash has left knows an old ETag: the condition of a write tells so, or else reading does.
        if write_first:
            with suppress(Conflict):
                return {}, {row.key: row for row in write_first(decide({}))}
        stored = self._results.blobs(before.operation, within)
        return stored, self._results.revise(before.operation, decide, stored, within)

    def _begin(self, before: Outstanding, rows: Sequence[BlobRow] = ()) -> list[BlobRow]:
        return self._results.begin(before.operation, before.pointer_etag, rows, self._ambient.now())

    def _is_first(self, before: Outstanding) -> bool:
        """Whether nothing was written down of an operation's blobs before; from now on something is."""
        try:
            self._begin(before)
        except Conflict:
            return False
        return True

    def show_progress(self, last: Outstanding, standing: Standing) -> Outstanding:
        """Let the row of an operation still running say what is known of it.

        Returns:
            The operation, with its row's ETag.
        """
        summary = summarize(standing, last, OperationState.IN_PROGRESS)
        change = OperationChange(last.pointer, last.operation_etag, summary, None)
        if last.operation_etag and (etags := self._results.change_operations([change])):
            return replace(last, operation_etag=etags[0])
        self._results.revise_operation(last.pointer, lambda row: None if row.settled_at else (summary, None))
        return replace(last, operation_etag="")

    def ending(
        self, before: Outstanding, last: Outstanding, standing: Standing, state: OperationState | None = None
    ) -> Ending:
        """How an operation ends.

        Args:
            before: The operation as it stands in ``OutstandingOperations``.
            last: The operation as it is known now.
            standing: What its blobs, recorded, amount to.
            state: Its final state; None to make it of the blobs.
        """
        summary = summarize(standing, last, state)
        error = summary.last_error if state else None
        return Ending(before, last, summary, self._ambient.now(), error, has_retries=standing.has_retries)

    def end_together(self, endings: Iterable[Ending]) -> tuple[list[Ending], list[Ending]]:
        """Give operations their final state whose rows are as this app left them, a hundred of a partition at a time.

        Returns:
            Those that have it, and those that are to be ended one by one.
        """
        ended: list[Ending] = []
        left: list[Ending] = []
        by_partition: dict[str, list[Ending]] = {}
        for each in endings:
            if each.before.untold is not None:
                ended.append(each)
                continue
            # A retry may have found a blob mended already: such an end is written with a look at the row.
            is_plain = each.last.operation_etag and not each.has_retries
            (by_partition.setdefault(each.last.partition, []) if is_plain else left).append(each)
        for partition in by_partition.values():
            for group in batched(partition, GROUP, strict=False):
                try:
                    written = self._results.change_operations([each.change for each in group])
                except Exception:  # noqa: BLE001, whatever it is: alone, each meets it again if it is its own
                    written = {}
                for place, each in enumerate(group):
                    (ended if place in written else left).append(each)
        return ended, left

    def announce(self, ended: Iterable[Ending]) -> dict[str, str]:
        """Tell who waits for it how operations have ended.

        Returns:
            By the operation's key, for those whose news has not gone out, the channels that are left.
        """
        return self._announcer.settled(ended) if self._announcer else {}

    def untold(self, before: Outstanding) -> Ending | None:
        """How an operation has ended of which only the news has still to go out; None if its row has been deleted."""
        row = self._results.operation(before.pointer)
        if row is None or row.settled_at is None:
            return None
        is_corrected = Kind.CORRECTED in (before.untold or "").split(",")
        return Ending(before, before, row.summary, row.settled_at, None, has_retries=False, is_corrected=is_corrected)

    def end(self, ending: Ending) -> Ending:
        """Give an operation its final state, unless it has one; returns the ending that its row tells of."""
        last = ending.last

        def decide(row: OperationRow) -> tuple[Summary, datetime] | None:
            return None if row.settled_at else (ending.summary, ending.at)

        row = self._results.revise_operation(last.pointer, decide)
        if row is None:
            # Somebody has deleted the row.
            message = self._outstanding.message(last.operation)
            self._results.add_operation(last, message.properties if message else None)
            self._results.revise_operation(last.pointer, decide)
        was_settled = row is not None and row.settled_at is not None
        # A retry may have found a blob mended since the rows were read, when there was no end to correct yet.
        is_corrected = ending.has_retries and self._correct(last.operation) is not None
        if is_corrected:
            row = self._results.operation(last.pointer)
        ending = replace(ending, is_corrected=was_settled and is_corrected)
        # Or it may have ended at an earlier poll that died before the operation was removed.
        return replace(ending, summary=row.summary, at=row.settled_at) if row and row.settled_at else ending

    def give_up(self, before: Outstanding, error: str) -> Ending:
        """The end of an operation that could not be settled for too long, with what is stored of it; nothing is sent.

        Args:
            before: The operation as it stands in ``OutstandingOperations``.
            error: What stood in the way.
        """
        reason = f"it could not be put on the retry queue: {error}"
        known = before.counts.total
        parts = prefixes(known) if known > self._most_at_once else [""]
        standing = sum((self._give_up_part(before.operation, reason, part) for part in parts), Standing())
        return self.ending(before, replace(before, last_error=error), standing, OperationState.TIMED_OUT)

    def _give_up_part(self, operation: Operation, reason: str, within: str) -> Standing:
        stored = self._results.blobs(operation, within)
        rows = self._results.revise(
            operation,
            lambda rows: [
                replace(row, retry_state=RetryState.NOT_RESUBMITTABLE, retry_reason=reason)
                for row in rows.values()
                if row.retry_state is RetryState.PENDING
            ],
            stored,
            within,
        )
        for key, row in rows.items():
            # What an earlier try at ending it has given up was told of then.
            is_told = key in stored and stored[key].retry_reason == reason
            if row.retry_reason == reason and not is_told:
                given_up.tell(operation, row)
        return Standing.of(rows.values())

    def correct(self, operation: Operation, untold: str | None = None) -> str | None:
        """Make the rows of a settled operation agree with its blobs again, some of which have recovered; tell of it.

        Args:
            operation: Which one.
            untold: The channels that are left of an earlier time, None for all.

        Returns:
            The channels by which the news of it has not gone out; None if it has, or there is none.
        """
        pointer = self._correct(operation)
        return self._announcer.corrected(operation, pointer, untold) if pointer and self._announcer else None

    def _correct(self, operation: Operation) -> Pointer | None:
        """The same without telling of it; returns where the row is, if a blob has recovered."""
        pointer = self._results.pointer(operation)
        if pointer is None:
            return None
        corrected: list[OperationRow] = []

        def decide(row: OperationRow) -> tuple[Summary, datetime] | None:
            standing = standing_as_settled(self._results.each_blob(operation))
            if row.settled_at is None or not standing.has_recovered:
                return None
            corrected.append(row)
            if row.state in _GIVEN_UP:
                return summarize(standing, row, row.state), row.settled_at
            return summarize(standing, replace(row, last_error=None), None), row.settled_at

        # Whoever wins twice has read the row after this began, and so the blobs that are Recovered.
        with suppress(Contended):
            self._results.revise_operation(pointer, decide, tries=2)
        if not corrected:
            return None
        # In any case: an earlier correction may have been cut short right before it.
        entry, read = entry_of_row(pointer, corrected[-1]), partial(self._results.operation, pointer)
        self._outstanding.list_rows.follow(entry, read)
        return pointer

    def _message(self, before: Outstanding) -> OperationMessage:
        message = self._outstanding.message(before.operation)
        if message is None:
            raise OperationGone
        return message

    def _reenqueue(
        self,
        before: Outstanding,
        message: OperationMessage,
        rows: Mapping[str, BlobRow],
        urls: Mapping[str, str | None],
        within: str = "",
    ) -> dict[str, BlobRow]:
        """Send the retry messages for what is Pending, and mark it, a request's worth of blobs at a time."""
        pending = [row for row in rows.values() if _is_to_be_enqueued(row)]
        named = NamedBlobs(message.blobs)
        whole = RetryMessage(
            operation=before.operation,
            root_operation_id=before.root_operation_id,
            attempt=before.attempt,
            enqueued_at=self._ambient.now(),
            blobs=tuple(
                _retry_blob(row, urls.get(row.key) or row.report.url, named.find(row.report), before) for row in pending
            ),
            properties=message.properties,
            correlation_id=message.correlation_id,
            extra=message.extra,
        )
        return self._reenqueuer.enqueue(whole, [row.key for row in pending], rows, lambda: self._delay(before), within)

    def _delay(self, before: Outstanding) -> timedelta:
        return retry_delay(
            before.attempt,
            base=self._retrying.base_delay,
            most=self._retrying.max_delay,
            random=self._ambient.random,
        )


@dataclass(frozen=True, slots=True)
class _Recording:
    """What is written down: of which operation, its message, and whether its report is the last word."""

    before: Outstanding
    message: Callable[[], OperationMessage]
    is_last: bool


def _is_to_be_enqueued(row: BlobRow) -> bool:
    """Whether a blob waits for its retry message; what a person redrives goes with a message of theirs."""
    return row.retry_state is RetryState.PENDING and row.redriven_at is None


def _retry_blob(row: BlobRow, reported: str | None, named: NamedBlob | None, before: Outstanding) -> RetryBlob:
    if named and names_another(named, reported):
        event(
            "blob.url_differs",
            "the message gives it another URL than ADX, which is not used",
            level=logging.WARNING,
            about=before.operation,
            blob=row.report.url,
            source_id=row.report.source_id,
        )
    return retry_blob(row, named, reported)


def _tell_news(before: Outstanding, stored: Mapping[str, BlobRow], rows: Mapping[str, BlobRow]) -> None:
    """Count the blobs that have ended or recovered since they were stored; tell of each failure that needs a person."""
    for row in rows.values():
        old, report = stored.get(row.key), row.report
        # A failure that was Transient and is so no more is another one.
        is_news = old is None or (old.report.status, old.report.failure) != (report.status, report.failure)
        if is_news and report.is_final:
            _count_end(before.operation, report)
        is_recovered = row.retry_state is RetryState.RECOVERED
        if is_recovered and old and old.retry_state is not RetryState.RECOVERED:
            metrics.record(metrics.RETRIES, about=before.operation, outcome=RetryState.RECOVERED)
        is_exhausted = row.retry_state is RetryState.ATTEMPTS_EXHAUSTED
        needs_person = report.has_failed and (is_exhausted or not report.is_transient)
        if needs_person and (is_news or (old and old.retry_state != row.retry_state)):
            given_up.tell(before.operation, row)


def _count_end(operation: Operation, report: BlobReport) -> None:
    has_failed = report.has_failed
    metrics.record(
        metrics.BLOBS_ENDED,
        about=operation,
        outcome=BlobStatus.SUCCEEDED if report.has_succeeded else report.status,
        failure_status=(report.failure or "") if has_failed else "",
        error_code=(report.error_code or "") if has_failed else "",
    )
