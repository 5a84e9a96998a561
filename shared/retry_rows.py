"""The rows of a retry message's blobs: what is learned of them, who has claimed them, how their retry ended."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from shared import given_up
from shared.messages import RetryBlob, RetryMessage
from shared.model import BlobReport, BlobStatus, RetryState, bare_url
from shared.outcome import Reported, keyed, merge_keyed
from shared.records import BlobRow
from shared.retry_decision import OPEN
from shared.store.results import Results, Within

CLAIM = timedelta(minutes=5)
"""How long a claimed blob is left to its claimant: longer than any submission takes."""

type Items = dict[str, RetryBlob]
"""A message's blobs by the key of their rows."""


class RetryRows:
    """Changes the rows of a retry message's blobs, and no others."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def learn(
        self, message: RetryMessage, items: Items, reported: Reported, most: int, within: Within = ""
    ) -> dict[str, BlobRow]:
        """Write down what ADX says of the message's blobs. That the message is here shows that it was enqueued.

        Args:
            message: The message.
            items: Those of its blobs that it is about.
            reported: What ADX has just said of the operation.
            most: Submissions in all.
            within: The rows that tell which report is of which of them; all where that is not known.

        Returns:
            These rows.
        """

        def merged(stored: Mapping[str, BlobRow]) -> list[BlobRow]:
            held = {key: _held(stored.get(key), key, blob, message) for key, blob in items.items()}
            news = [(key, each) for key, each in reported.keyed(stored) if key in items]
            merged_rows = merge_keyed(held, news, attempt=message.attempt, most=most, is_fresh=True)
            new = held | {row.key: row for row in merged_rows}
            return [row for key, row in new.items() if row != stored.get(key)]

        return self._results.revise(message.operation, merged, within=within)

    def claim(self, message: RetryMessage, keys: Iterable[str], claimant: str, now: datetime) -> frozenset[str]:
        """Claim blobs that are to be submitted. Returns the keys of those that ``claimant`` has got."""
        wanted = frozenset(keys)
        if not wanted:
            return wanted

        def claims(stored: Mapping[str, BlobRow]) -> list[BlobRow]:
            return [
                replace(row, claimed_by=claimant, claimed_until=now + CLAIM)
                for key in wanted
                if (row := stored[key]).retry_state in OPEN and (row.claimed_until is None or row.claimed_until <= now)
            ]

        rows = self._results.revise(message.operation, claims, within=wanted)
        return frozenset(key for key in wanted if rows[key].claimed_by == claimant)

    def end(
        self,
        message: RetryMessage,
        keys: Iterable[str],
        state: RetryState,
        reason: str | None = None,
        operation_id: str | None = None,
    ) -> None:
        """Write down how the retry of some blobs ended. A mark that ADX has them is never taken back."""
        wanted = frozenset(keys)
        if not wanted:
            return

        def ended(stored: Mapping[str, BlobRow]) -> list[BlobRow]:
            return [
                replace(
                    row,
                    retry_state=state,
                    retry_reason=reason,
                    retry_operation_id=operation_id,
                    claimed_by=None,
                    claimed_until=None,
                )
                for key, row in stored.items()
                if key in wanted and (state is RetryState.RESUBMITTED or row.retry_state in OPEN)
            ]

        rows = self._results.revise(message.operation, ended, within=wanted)
        if state is RetryState.RESUBMITTED:
            return
        for key in sorted(wanted & rows.keys()):
            if rows[key].retry_state is state:
                given_up.tell(message.operation, rows[key])

    def release(self, message: RetryMessage, keys: Iterable[str], claimant: str) -> None:
        """Give this delivery's claims up: nothing was accepted, or that can't be told."""
        wanted = frozenset(keys)
        if not wanted:
            return

        def released(stored: Mapping[str, BlobRow]) -> list[BlobRow]:
            return [
                replace(row, claimed_by=None, claimed_until=None)
                for row in stored.values()
                if row.claimed_by == claimant
            ]

        self._results.revise(message.operation, released, within=wanted)


def items_of(message: RetryMessage, stored: Mapping[str, BlobRow]) -> Items:
    """The message's blobs by the keys of their rows: the one that the message gives, else by what it says of them."""
    reports = [BlobReport(status="", source_id=blob.source_id, url=blob.url) for blob in message.blobs]
    found = zip(keyed(stored, reports), message.blobs, strict=True)
    return {blob.key if blob.key in stored and blob.key else key: blob for (key, _), blob in found}


def blob_of(row: BlobRow) -> RetryBlob:
    """What is known of a blob from its row alone: its bare URL."""
    return RetryBlob(url=row.report.url, source_id=row.report.source_id, key=row.key)


def _held(row: BlobRow | None, key: str, blob: RetryBlob, message: RetryMessage) -> BlobRow:
    """The row of a blob whose message is in hand."""
    if row is None:
        report = BlobReport(
            status=BlobStatus.FAILED,
            source_id=blob.source_id,
            url=blob.url and bare_url(blob.url),
            error_code=blob.error_code,
            failure_status=blob.failure_status,
            details=blob.details,
        )
        return BlobRow(key, report, message.attempt, RetryState.ENQUEUED)
    return replace(row, retry_state=RetryState.ENQUEUED) if row.retry_state is RetryState.PENDING else row
