"""What one answer about many operations is trusted in: pure functions of what is known of an operation and its row.

It is trusted in one thing, that nothing has moved. It ends no operation, no failure is read from it, and an operation
is asked for by itself at the latest at every fourth poll, so that an answer that is late or wrong delays its end and
does not keep it from it (docs/decisions/bulk-status.md).
"""

from dataclasses import replace
from datetime import datetime

from shared.model import BulkStatus, StatusReport
from shared.outcome import looks_finished
from shared.progress import Pace, after_report, is_overdue
from shared.records import Outstanding
from shared.settings import Polling

MOST_IN_A_ROW = 3
"""Polls in a row that may be answered by bulk alone."""


def may_be_unmoved(before: Outstanding, now: datetime, polling: Polling) -> bool:
    """Whether an operation is one to ask for in bulk: seen in progress, with nothing left that needs its own status.

    An operation that was not seen yet may be missing from the answer only because it is new.
    """
    counts = before.counts
    is_in_doubt = before.not_found_since or before.errors_since or counts.failed > before.recorded_failures
    return (
        not before.rest_only
        and before.bulk_polls < MOST_IN_A_ROW
        and counts.total > 0
        and not looks_finished(counts, before.named_blobs)
        and not is_in_doubt
        and not is_overdue(before, now, polling)
    )


def is_unmoved(before: Outstanding, status: BulkStatus) -> bool:
    """Whether a row says, count for count, what is known already; a category that is not known is on its way."""
    counts = before.counts
    known = replace(counts, in_progress=counts.in_progress + counts.other, other=0)
    return status.is_in_progress and status.counts == known


def after_unmoved(before: Outstanding, now: datetime, pace: Pace) -> Outstanding:
    """The operation as it stays outstanding, put off as by a status with the same counts."""
    report = StatusReport(before.counts)
    after = after_report(before, report, before.recorded_failures, now, pace)
    return replace(after, bulk_polls=before.bulk_polls + 1)
