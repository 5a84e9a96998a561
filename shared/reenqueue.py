"""Putting blobs on the retry queue: what their messages say, and in what order they are sent and marked."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import islice

from shared import metrics
from shared.messages import MOST_BLOBS, NamedBlob, RetryBlob, RetryMessage, split_retry, write_retry
from shared.model import BlobReport, RetryState, place_of
from shared.queues import Queue
from shared.records import BlobRow
from shared.settings import Retrying, RetryMode
from shared.store.results import Results
from shared.telemetry import event


class Reenqueuer:
    """Sends retry messages for rows that are Pending, and marks those Enqueued."""

    def __init__(self, results: Results, retries: Queue, retrying: Retrying) -> None:
        self._results = results
        self._retries = retries
        self._retrying = retrying

    def enqueue(
        self,
        whole: RetryMessage,
        pending: Sequence[str],
        rows: Mapping[str, BlobRow],
        delay: Callable[[], timedelta],
        within: str = "",
    ) -> dict[str, BlobRow]:
        """Send what ``whole`` says in messages of a request's worth each, and mark the rows after each.

        Args:
            whole: All of it; its blobs are those of ``pending``, in the same order.
            pending: The keys of the rows.
            rows: All rows of the operation, or those whose keys begin with ``within``.
            delay: Until a message becomes visible.
            within: Hex digits.

        Returns:
            All these rows as they are in the table now.
        """
        alone = self._retrying.deduplicate and self._retrying.mode is RetryMode.RESUBMIT
        waiting, sent = iter(pending), set[str]()
        now = dict(rows)
        for part in split_retry(whole, most_blobs=1 if alone else MOST_BLOBS):
            self._send(part, delay())
            sent |= set(islice(waiting, len(part.blobs)))
            if len(sent) >= MOST_BLOBS:
                now = self._mark(whole, sent, now, within)
                sent.clear()
        return self._mark(whole, sent, now, within)

    def _mark(
        self, whole: RetryMessage, sent: Iterable[str], rows: Mapping[str, BlobRow], within: str
    ) -> dict[str, BlobRow]:
        return self._results.revise(whole.operation, partial(_enqueued, frozenset(sent)), rows, within)

    def _send(self, part: RetryMessage, delay: timedelta) -> None:
        self._retries.send(write_retry(part), delay)
        outcome = "Redriven" if part.redriven_by else "Enqueued"
        metrics.record(metrics.RETRIES, len(part.blobs), about=part.operation, outcome=outcome)
        event(
            "blobs.retry_enqueued",
            "a person has them tried again" if part.redriven_by else "Transient failures are tried again",
            level=logging.INFO,
            about=part.operation,
            blobs=len(part.blobs),
            attempt=part.attempt,
            delay_seconds=round(delay.total_seconds()),
        )


def _enqueued(carried: frozenset[str], rows: Mapping[str, BlobRow]) -> list[BlobRow]:
    return [
        replace(row, retry_state=RetryState.ENQUEUED)
        for row in rows.values()
        if row.key in carried and row.retry_state is RetryState.PENDING
    ]


class NamedBlobs:
    """The blobs that a message named, to be found by what a report says of one."""

    def __init__(self, named: Iterable[NamedBlob]) -> None:
        self._found: dict[tuple[str, tuple[str, str]], NamedBlob] = {}
        for blob in named:
            source_id, place = _names(blob.source_id, blob.url)
            for key in ((source_id, place), (source_id, _NO_PLACE), ("", place)):
                self._found.setdefault(key, blob)

    def find(self, report: BlobReport) -> NamedBlob | None:
        """The blob that a report is about: by ``sourceId`` and URL, else by ``sourceId``, else by URL."""
        source_id, place = _names(report.source_id, report.url)
        keys = ((source_id, place), (source_id, _NO_PLACE), ("", place))
        return next((self._found[key] for key in keys if key != _NOTHING and key in self._found), None)


_NO_PLACE = ("", "")
_NOTHING = ("", _NO_PLACE)


def _names(source_id: str | None, url: str | None) -> tuple[str, tuple[str, str]]:
    return (source_id or "").lower(), place_of(url) if url else _NO_PLACE


def names_another(named: NamedBlob, reported: str | None) -> bool:
    """Whether a message gives a blob another URL than ADX does.

    Whoever can post a message could have the app load data of theirs with its rights, under a blob's ``sourceId``.
    """
    return bool(named.url and reported) and place_of(named.url or "") != place_of(reported or "")


def with_url(report: BlobReport, named: NamedBlobs) -> BlobReport:
    """The report with its URL, which the SDK's dialect leaves out, from the message."""
    blob = named.find(report) if report.url is None else None
    return replace(report, url=blob.url) if blob else report


def retry_blob(row: BlobRow, named: NamedBlob | None, reported: str | None) -> RetryBlob:
    """A blob as its retry message says it.

    Args:
        row: Its row.
        named: The same blob as a message named it: a URL with credentials from there goes first.
        reported: Its URL by ADX, which the message's must agree with; None to take the message's as it is.
    """
    report = row.report
    blob = named or NamedBlob()
    brought = blob.url if blob.url_brought and not names_another(blob, reported) else None
    return RetryBlob(
        url=brought or reported or report.url,
        source_id=report.source_id or blob.source_id,
        raw_size=blob.raw_size,
        error_code=report.error_code,
        failure_status=report.failure_status,
        details=report.details,
        url_brought=brought is not None,
        key=row.key,
        extra=blob.extra,
    )
