"""What is said of a blob that the app leaves to a person."""

import logging

from shared import metrics
from shared.model import Operation, RetryState
from shared.records import BlobRow
from shared.telemetry import event

_EVENTS = {
    RetryState.ATTEMPTS_EXHAUSTED: ("blob.attempts_exhausted", "every attempt failed"),
    RetryState.NOT_RESUBMITTABLE: ("blob.not_resubmittable", "it can't be submitted again"),
}
_NEVER_RETRIED = ("blob.failed", "it will not be tried again")


def tell(operation: Operation, row: BlobRow) -> None:
    """One log line, and where a retry has come to its end, the metric."""
    name, text = _EVENTS.get(row.retry_state, _NEVER_RETRIED)
    # What was never retried is counted where blobs that end are.
    if row.retry_state in _EVENTS:
        metrics.record(metrics.RETRIES, about=operation, outcome=row.retry_state.value)
    event(
        name,
        row.retry_reason or text,
        level=logging.WARNING,
        about=operation,
        blob=row.report.url,
        source_id=row.report.source_id,
        error_code=row.report.error_code,
        failure_status=row.report.failure_status,
        details=row.report.details,
        attempt=row.attempt,
    )
