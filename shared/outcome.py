"""What became of an operation and its blobs: pure functions on what ADX reported and what was written down before."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import batched
from typing import Protocol

from shared.model import (
    BlobReport,
    BlobStatus,
    Counts,
    FailureStatus,
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

_AT_A_TIME = 500


def state_of(counts: Counts) -> OperationState:
    """The final state of an operation, a blob that was already ingested counted as succeeded.

    Raises:
        ValueError: there is no blob, so there is no end.
    """
    if not counts.total:
        raise ValueError("an operation without blobs has not ended")
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


def as_settled(rows: Iterable[BlobRow]) -> list[BlobRow]:
    """The rows with a blob that the service is trying again as the Transient failure that it was settled as.

    That is what it counts as in its operation until it is known to have succeeded.
    """
    return [
        row
        if row.report.is_final or row.retry_state is RetryState.NONE
        else replace(row, report=replace(row.report, status=BlobStatus.FAILED, failure_status=FailureStatus.TRANSIENT))
        for row in rows
    ]


def looks_finished(counts: Counts, named_blobs: int) -> bool:
    """Whether nothing is left to wait for. All counts zero is not finished: nothing has been seen yet.

    Fewer blobs than the message named is not finished either: one is unaccounted for.
    """
    return counts.total > 0 and counts.finished == counts.total and counts.total >= named_blobs


def is_finished(report: StatusReport, named_blobs: int) -> bool:
    """Whether a detailed report is the last word: finished, and its counts agree with its blobs."""
    return report.blobs is not None and looks_finished(report.tally, named_blobs) and report.shown == report.tally


def is_overtaken(keys: Iterable[str], rows: Mapping[str, BlobRow]) -> bool:
    """Whether a report that is the last word has become an old one: another poll has seen one of its blobs in progress.

    Args:
        keys: Those of the rows of the blobs of such a report.
        rows: The operation's blobs by key as they are in the table now, the report's news among them.
    """
    shown = (rows.get(key) for key in keys)
    # One that was enqueued counts as what it was enqueued as, until it turns out Recovered.
    return any(row and not row.report.is_final and row.retry_state is RetryState.NONE for row in shown)


def accounted_failures(report: StatusReport, before: int) -> int:
    """Of the failures that a detailed report counts, how many it also shows; ``before`` if it doesn't show them all.

    What is not shown yet is asked for again.
    """
    shown = report.shown.failed
    return report.tally.failed if shown >= report.tally.failed else min(before, report.tally.failed)


class Reported(Protocol):
    """The blobs of one detailed answer, each with its URL where it is known."""

    def keyed(self, stored: Mapping[str, BlobRow], /) -> Sequence[tuple[str, BlobReport]]:
        """Each blob, its URL bare, with the key of its row."""

    def urls(self, stored: Mapping[str, BlobRow], /) -> Mapping[str, str | None]:
        """The blobs' URLs as they came, by the keys of their rows."""


@dataclass(frozen=True, slots=True)
class FewBlobs:
    """Blobs that memory holds."""

    reports: Collection[BlobReport]

    def keyed(self, stored: Mapping[str, BlobRow]) -> list[tuple[str, BlobReport]]:
        """As ``keyed``."""
        return keyed(stored, self.reports)

    def urls(self, stored: Mapping[str, BlobRow]) -> dict[str, str | None]:
        """The blobs' URLs as they came, by the keys of their rows."""
        return {key: blob.url for (key, _), blob in zip(self.keyed(stored), self.reports, strict=True)}


def merge_keyed(
    stored: Mapping[str, BlobRow],
    reports: Iterable[tuple[str, BlobReport]],
    *,
    attempt: int,
    most: int,
    is_fresh: bool = False,
) -> list[BlobRow]:
    """The rows to write so that the table says what the reports say.

    Args:
        stored: The rows of the table by key.
        reports: Blobs of one detailed answer, their URLs bare, with the keys of their rows.
        attempt: That of the operation.
        most: Submissions in all, ``RETRY_MAX_ATTEMPTS``: from there on a Transient failure is exhausted.
        is_fresh: Whether the answer is known to be the latest: then a failure may give way to progress in any case.
    """
    changed = []
    for key, report in reports:
        row = stored.get(key)
        new = _merged(row or BlobRow(key, report, attempt), report, is_last=attempt >= most, is_fresh=is_fresh)
        if new != row:
            changed.append(new)
    return changed


def keyed(stored: Mapping[str, BlobRow], reports: Collection[BlobReport]) -> list[tuple[str, BlobReport]]:
    """Each report, its URL bare, with the key of its row.

    A blob keeps its row when ADX names it by its URL alone at first and gives its ``sourceId`` later, as in the sample
    of the documentation, when an answer has no URLs, as in the SDK's dialect, and when it spells a URL otherwise. Two
    reports never get the same key.
    """
    bare = [replace(each, url=each.url and bare_url(each.url)) for each in reports]
    own = _own_keys(bare)
    named = _by_names(stored.values())
    ids = Counter(each.source_id for each in (*bare, *(row.report for row in stored.values())))
    found = {place: key for place, key in enumerate(own) if key in stored}
    taken = set(found.values())
    # Those with a ``sourceId`` first: by its URL alone a blob must not take the row of one that is sure of it.
    for place in sorted(range(len(bare)), key=lambda place: bare[place].source_id is None):
        report = bare[place]
        if place not in found:
            # At the most one row and one report have it.
            is_unique = ids[report.source_id] <= 2  # noqa: PLR2004
            alike = (
                row.key
                for row in (*named["id", report.source_id], *named["url", report.url])
                if row.key not in taken and _may_be_same(row.report, report, is_unique=is_unique)
            )
            # The row that it has already, or a new one.
            found[place] = next(alike, own[place])
        taken.add(found[place])
    return [(found[place], report) for place, report in enumerate(bare)]


def _by_names(rows: Iterable[BlobRow]) -> dict[tuple[str, str | None], list[BlobRow]]:
    """The rows by their ``sourceId`` and by their URL; those without are under neither."""
    named: dict[tuple[str, str | None], list[BlobRow]] = defaultdict(list)
    for row in rows:
        for kind, name in (("id", row.report.source_id), ("url", row.report.url)):
            if name is not None:
                named[kind, name].append(row)
    return named


def _own_keys(reports: Iterable[BlobReport]) -> list[str]:
    """The key of each report by what it says, those that say the same told apart by their order."""
    occurrences: Counter[str] = Counter()
    keys = []
    for report in reports:
        plain = blob_key(report.source_id, report.url)
        keys.append(blob_key(report.source_id, report.url, occurrences[plain]))
        occurrences[plain] += 1
    return keys


def _may_be_same(old: BlobReport, new: BlobReport, *, is_unique: bool) -> bool:
    """Whether two reports name one blob: by the ``sourceId`` if both have one, else by the URL."""
    if old.source_id is not None and new.source_id is not None:
        return old.source_id == new.source_id and (is_unique or old.url == new.url)
    return old.url is not None and old.url == new.url


def _merged(row: BlobRow, report: BlobReport, *, is_last: bool, is_fresh: bool) -> BlobRow:
    if not _is_news(row.report, report, is_fresh=is_fresh):
        return row
    new = replace(report, source_id=report.source_id or row.report.source_id, url=report.url or row.report.url)
    return replace(row, report=new, retry_state=_retry_state(row, new, is_last=is_last))


def _is_news(old: BlobReport, new: BlobReport, *, is_fresh: bool) -> bool:
    """Whether a report may replace what is written down: a late answer must not undo what a later one said.

    Success is the last word. Between two endings ADX's own clock decides. A failure or a cancellation gives way to a
    blob in progress, which the service tries again, only if that is later by the same clock, or known to be.
    """
    if old.has_succeeded or new.has_succeeded:
        return new.has_succeeded
    is_later = old.last_updated and new.last_updated and new.last_updated > old.last_updated
    is_earlier = old.last_updated and new.last_updated and new.last_updated < old.last_updated
    if new.is_final or not old.is_final:
        return not (new.is_final and old.is_final and is_earlier)
    return is_fresh or bool(is_later)


def _retry_state(row: BlobRow, report: BlobReport, *, is_last: bool) -> RetryState:
    """What is intended for a blob after a report."""
    state = row.retry_state
    has_turned = state is RetryState.NOT_RESUBMITTABLE and not row.report.is_transient
    if report.is_transient and (state is RetryState.NONE or has_turned):
        return RetryState.ATTEMPTS_EXHAUSTED if is_last else RetryState.PENDING
    if report.has_succeeded and state not in {RetryState.NONE, RetryState.RESUBMITTED}:
        return RetryState.RECOVERED
    if state is RetryState.PENDING and not report.is_transient and row.redriven_at is None:
        return RetryState.NONE
    return state


@dataclass(frozen=True, slots=True)
class Standing:
    """What an operation's blobs amount to; two of parts of its blobs add up.

    ``counts`` has a blob that was already ingested as succeeded. ``first`` and ``last`` are the failures that came
    first and last. ``is_overtaken``: see ``is_overtaken``. ``has_retries`` says whether a retry was ever intended,
    ``has_recovered`` whether one turned out to be none.
    """

    counts: Counts = field(default_factory=Counts)
    transient: int = 0
    permanent: int = 0
    retried: int = 0
    first: BlobRow | None = None
    last: BlobRow | None = None
    has_retries: bool = False
    has_recovered: bool = False
    is_overtaken: bool = False

    @classmethod
    def of(cls, rows: Collection[BlobRow], *, is_overtaken: bool = False) -> "Standing":
        """What these blobs amount to."""
        failed = [row for row in rows if row.report.has_failed]
        transient = sum(row.report.is_transient for row in failed)
        return cls(
            counts=counts_of(rows),
            transient=transient,
            permanent=len(failed) - transient,
            retried=sum(row.retry_state in _REENQUEUED for row in rows),
            first=min(failed, key=_when, default=None),
            last=max(failed, key=_when, default=None),
            has_retries=any(row.retry_state is not RetryState.NONE for row in rows),
            has_recovered=any(row.retry_state is RetryState.RECOVERED for row in rows),
            is_overtaken=is_overtaken,
        )

    def __add__(self, other: "Standing") -> "Standing":
        return Standing(
            self.counts + other.counts,
            self.transient + other.transient,
            self.permanent + other.permanent,
            self.retried + other.retried,
            min(filter(None, (self.first, other.first)), key=_when, default=None),
            max(filter(None, (self.last, other.last)), key=_when, default=None),
            self.has_retries or other.has_retries,
            self.has_recovered or other.has_recovered,
            self.is_overtaken or other.is_overtaken,
        )


def standing_as_settled(rows: Iterable[BlobRow]) -> Standing:
    """What blobs amount to ``as_settled``, of which a few at a time are held."""
    parts = (Standing.of(as_settled(part)) for part in batched(rows, _AT_A_TIME, strict=False))
    return sum(parts, Standing())


def summarize(
    blobs: Standing | Collection[BlobRow], known: Outstanding | OperationRow, state: OperationState | None
) -> Summary:
    """What an operation's row is to say.

    Args:
        blobs: Its blobs, or what they amount to.
        known: What ADX said of it last: its counts stand where fewer blobs are known.
        state: Its state; None to make it of the blobs.
    """
    own = blobs if isinstance(blobs, Standing) else Standing.of(blobs)
    is_all = own.counts.total >= known.counts.total and own.counts.finished >= known.counts.finished
    counts = own.counts if is_all else known.counts
    return Summary(
        state=state or state_of(counts),
        counts=counts,
        start_time=known.start_time,
        last_updated=known.last_updated,
        polls=known.polls,
        transient_failures=own.transient,
        permanent_failures=own.permanent,
        retried_blobs=own.retried,
        first_error_code=own.first.report.error_code if own.first else None,
        last_error=_error_text(own.last.report) if own.last else known.last_error,
    )


def _when(row: BlobRow) -> tuple[float, str]:
    time = row.report.last_updated
    return time.timestamp() if time else 0.0, row.key


def _error_text(report: BlobReport) -> str | None:
    return ": ".join(filter(None, (report.error_code, report.details))) or None
