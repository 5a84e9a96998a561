"""What became of an operation and its blobs: pure functions on what ADX reported and what was written down before."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from shared.model import (
    BlobReport,
    BlobStatus,
    Counts,
    OperationState,
    RetryState,
    StatusReport,
    bare_url,
    blob_key,
)
from shared.records import BlobRow, OperationRow, Outstanding, Summary

_REENQUEUED = frozenset(
    {RetryState.ENQUEUED, RetryState.RESUBMITTED, RetryState.RECOVERED, RetryState.NOT_RESUBMITTABLE}
)


def state_of(counts: Counts) -> OperationState:
    """The final state of an operation, a blob that was already ingested counted as succeeded."""
    if counts.succeeded == counts.total:
        return OperationState.SUCCEEDED
    if counts.succeeded:
        return OperationState.PARTIALLY_SUCCEEDED
    return OperationState.FAILED if counts.failed else OperationState.CANCELED


def counts_of(rows: Iterable[BlobRow]) -> Counts:
    """The blobs by what became of them, a blob that was already ingested counted as succeeded."""
    return Counts.of(
        replace(row.report, status=BlobStatus.SUCCEEDED) if row.report.has_succeeded else row.report for row in rows
    )


def looks_finished(counts: Counts, named_blobs: int) -> bool:
    """Whether nothing is left to wait for. All counts zero is not finished: nothing has been seen yet.

    Fewer blobs than the message named is not finished either: one is unaccounted for.
    """
    return counts.total > 0 and counts.finished == counts.total and counts.total >= named_blobs


def is_finished(report: StatusReport, named_blobs: int) -> bool:
    """Whether a detailed report is the last word: finished, and its counts agree with its blobs."""
    return (
        report.blobs is not None
        and looks_finished(report.tally, named_blobs)
        and Counts.of(report.blobs) == report.tally
    )


def accounted_failures(report: StatusReport, before: int) -> int:
    """Of the failures that a detailed report counts, how many it also shows; ``before`` if it doesn't show them all.

    What is not shown yet is asked for again.
    """
    shown = Counts.of(report.blobs or ()).failed
    return report.tally.failed if shown >= report.tally.failed else min(before, report.tally.failed)


def merge(stored: Mapping[str, BlobRow], reports: Sequence[BlobReport], *, attempt: int, most: int) -> list[BlobRow]:
    """The rows to write so that the table says what the reports say.

    Args:
        stored: The rows of the table by key.
        reports: The blobs of one detailed answer, each with its URL where it is known.
        attempt: That of the operation.
        most: Submissions in all, ``RETRY_MAX_ATTEMPTS``: from there on a Transient failure is exhausted.
    """
    changed = []
    for key, report in keyed(stored, reports):
        row = stored.get(key)
        new = _merged(row, report, BlobRow(key, report, attempt), is_last=attempt >= most)
        if new != row:
            changed.append(new)
    return changed


def keyed(stored: Mapping[str, BlobRow], reports: Sequence[BlobReport]) -> list[tuple[str, BlobReport]]:
    """Each report, its URL bare, with the key of its row.

    A blob keeps its row when ADX names it by its URL alone at first and gives its ``sourceId`` later, as in the sample
    of the documentation, and when an answer has no URLs, as in the SDK's dialect.
    """
    occurrences: Counter[str] = Counter()
    taken: set[str] = set()
    pairs = []
    for report in (replace(each, url=each.url and bare_url(each.url)) for each in reports):
        plain = blob_key(report.source_id, report.url)
        key = blob_key(report.source_id, report.url, occurrences[plain])
        occurrences[plain] += 1
        if key not in stored:
            alike = (row.key for row in stored.values() if row.key not in taken and _may_be_same(row.report, report))
            key = next(alike, key)
        taken.add(key)
        pairs.append((key, report))
    return pairs


def _may_be_same(old: BlobReport, new: BlobReport) -> bool:
    """Whether two reports name one blob, each by what it has: what both have must be the same."""
    pairs = ((old.url, new.url), (old.source_id, new.source_id))
    both = [one == other for one, other in pairs if one is not None and other is not None]
    return len(both) == 1 and both[0]


def _merged(row: BlobRow | None, report: BlobReport, fresh: BlobRow, *, is_last: bool) -> BlobRow:
    row = row or fresh
    if not _is_news(row.report, report):
        return row
    report = replace(report, source_id=report.source_id or row.report.source_id, url=report.url or row.report.url)
    return replace(row, report=report, retry_state=_retry_state(row.retry_state, report, is_last=is_last))


def _is_news(old: BlobReport, new: BlobReport) -> bool:
    """Whether a report may replace what is written down: a late answer must not undo what a later one said.

    Success is the last word. A failure or a cancellation gives way to a blob in progress, which the service tries
    again, only if that is later by ADX's own clock.
    """
    if old.has_succeeded:
        return new.has_succeeded
    if new.is_final or not old.is_final:
        return True
    return bool(old.last_updated and new.last_updated and new.last_updated > old.last_updated)


def _retry_state(state: RetryState, report: BlobReport, *, is_last: bool) -> RetryState:
    """What is intended for a blob after a report."""
    if report.is_transient and state is RetryState.NONE:
        return RetryState.ATTEMPTS_EXHAUSTED if is_last else RetryState.PENDING
    if report.has_succeeded and state not in {RetryState.NONE, RetryState.RESUBMITTED}:
        return RetryState.RECOVERED
    if state is RetryState.PENDING and not report.is_transient:
        return RetryState.NONE
    return state


def summarize(rows: Sequence[BlobRow], known: Outstanding | OperationRow, state: OperationState | None) -> Summary:
    """What an operation's row is to say.

    Args:
        rows: Its blobs.
        known: What ADX said of it last: its counts stand where fewer blobs are known.
        state: Its state; None to make it of the blobs.
    """
    counts = counts_of(rows) if len(rows) >= known.counts.total else known.counts
    failed = sorted((row for row in rows if row.report.has_failed), key=_when)
    transient = sum(row.report.is_transient for row in failed)
    return Summary(
        state=state or state_of(counts),
        counts=counts,
        start_time=known.start_time,
        last_updated=known.last_updated,
        polls=known.polls,
        transient_failures=transient,
        permanent_failures=len(failed) - transient,
        retried_blobs=sum(row.retry_state in _REENQUEUED for row in rows),
        first_error_code=failed[0].report.error_code if failed else None,
        last_error=_error_text(failed[-1].report) if failed else known.last_error,
    )


def _when(row: BlobRow) -> tuple[float, str]:
    time = row.report.last_updated
    return time.timestamp() if time else 0.0, row.key


def _error_text(report: BlobReport) -> str | None:
    return ": ".join(filter(None, (report.error_code, report.details))) or None
