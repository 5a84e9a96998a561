"""How an operation ends: what is written of it, and how that is told."""

from dataclasses import dataclass
from datetime import datetime

from shared import metrics
from shared.records import Ended, Outstanding, Settled, Summary
from shared.store.results import OperationChange
from shared.telemetry import event
from shared.tracing import within


@dataclass(frozen=True, slots=True)
class Ending:
    """How an operation ends: as it stood and as it is known now, what its row is to say, and from when on.

    ``error`` is why it ended without an answer. ``has_retries`` says whether a blob of it was ever to be tried again,
    ``is_corrected`` whether it has an end of an earlier poll that was corrected since: who was told of that has to be
    told again.
    """

    before: Outstanding
    last: Outstanding
    summary: Summary
    at: datetime
    error: str | None
    has_retries: bool
    is_corrected: bool = False

    @property
    def change(self) -> OperationChange:
        """What is written of it."""
        return OperationChange(self.last.pointer, self.last.operation_etag, self.summary, self.at)

    @property
    def settled(self) -> Settled:
        """What it has ended as."""
        return Settled(self.before, self.summary, self.at)

    @property
    def ended(self) -> Ended:
        """The same as what its row says."""
        before = self.before
        return Ended(
            operation=before.operation,
            registered_at=before.registered_at,
            settled_at=self.at,
            attempt=before.attempt,
            root_operation_id=before.root_operation_id,
            parent_operation_id=before.parent_operation_id,
            correlation_id=before.correlation_id,
            summary=self.summary,
        )


def tell(ending: Ending) -> None:
    """Say how an operation has ended, once it is outstanding no more."""
    before, last, summary = ending.before, ending.last, ending.summary
    latency = ending.at - min(last.start_time or before.registered_at, ending.at)
    metrics.record(metrics.OPERATIONS_SETTLED, about=before.operation, state=summary.state.value)
    metrics.record(metrics.OPERATIONS_LATENCY, latency.total_seconds(), about=before.operation)
    with within(before.operation, before.root_operation_id):
        event(
            "operation.settled",
            f"ended {summary.state}",
            about=before.operation,
            state=summary.state.value,
            attempt=before.attempt,
            succeeded=summary.counts.succeeded,
            failed=summary.counts.failed,
            canceled=summary.counts.canceled,
            retried=summary.retried_blobs,
            polls=last.polls,
            seconds=round((ending.at - before.registered_at).total_seconds()),
            latency_seconds=round(latency.total_seconds()),
            error=ending.error,
        )
