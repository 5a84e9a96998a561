"""What is stored, as the API's JSON: camelCase, times of RFC 3339 in UTC, null for what is not known."""

from collections.abc import Mapping
from datetime import UTC, datetime

from shared.fields import Object
from shared.health import HealthReport
from shared.model import Counts, Json, OperationState
from shared.reading import Known, Lineage
from shared.records import BacklogNote, BlobRow
from shared.summary import Summed


def write_moment(time: datetime | None) -> str | None:
    """A time with its Z, or None."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z") if time else None


def operation_object(known: Known) -> Object:
    """An operation, as ``IngestionOperations`` has it."""
    operation, row = known.operation, known.row
    return {
        "operationId": operation.operation_id,
        "cluster": operation.cluster,
        "database": operation.database,
        "table": operation.table,
        "state": row.state.value,
        "attempt": row.attempt,
        "rootOperationId": row.root_operation_id,
        "parentOperationId": row.parent_operation_id,
        "correlationId": row.correlation_id,
        "registeredAt": write_moment(row.registered_at),
        "startTime": write_moment(row.start_time),
        "lastUpdated": write_moment(row.last_updated),
        "settledAt": write_moment(row.settled_at),
        "blobs": counts_object(row.counts),
        "polls": row.polls,
        "transientFailures": row.transient_failures,
        "permanentFailures": row.permanent_failures,
        "retriedBlobs": row.retried_blobs,
        "firstErrorCode": row.first_error_code,
        "lastError": row.last_error,
    }


def lineage_object(lineage: Lineage) -> Object:
    """The operations of one root."""
    return {
        "rootOperationId": lineage.root_operation_id,
        "operations": [_relative(each) for each in lineage.operations],
        "leftOut": lineage.left_out,
    }


def _relative(known: Known) -> Object:
    row = known.row
    return {
        "operationId": known.operation.operation_id,
        "attempt": row.attempt,
        "state": row.state.value,
        "parentOperationId": row.parent_operation_id,
        "registeredAt": write_moment(row.registered_at),
        "settledAt": write_moment(row.settled_at),
        "blobs": counts_object(row.counts),
    }


def counts_object(counts: Counts) -> Object:
    """Blobs by outcome; those of categories that this app does not know are not finished."""
    return {
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "inProgress": counts.in_progress + counts.other,
        "canceled": counts.canceled,
    }


def blob_object(row: BlobRow) -> Object:
    """A blob, as ``IngestionBlobs`` has it: its URL is bare there, and its texts are redacted."""
    report = row.report
    return {
        "blobKey": row.key,
        "url": report.url,
        "sourceId": report.source_id,
        "status": report.status,
        "startTime": write_moment(report.start_time),
        "lastUpdated": write_moment(report.last_updated),
        "errorCode": report.error_code,
        "failureStatus": report.failure_status,
        "details": report.details,
        "retryState": row.retry_state.value or None,
        "retryReason": row.retry_reason,
        "retryOperationId": row.retry_operation_id,
        "attempt": row.attempt,
        "redrivenBy": row.redriven_by,
        "redrivenAt": write_moment(row.redriven_at),
    }


def summary_object(summed: Summed, backlog: BacklogNote | None) -> Object:
    """What happened in a span of time; of a bucket's states those that there are."""
    span = summed.span
    return {
        "since": write_moment(span.since),
        "until": write_moment(span.until),
        "bucketSeconds": int(span.bucket.total_seconds()),
        "counted": summed.counted,
        "isComplete": summed.is_complete,
        "buckets": [
            {"at": write_moment(at), "states": _by_state(states)} for at, states in sorted(summed.by_bucket.items())
        ],
        "operations": {each.value: summed.states[each] for each in OperationState},
        "blobs": counts_object(summed.blobs),
        "failures": [
            {
                "errorCode": kind.error_code,
                "cluster": kind.cluster,
                "database": kind.database,
                "table": kind.table,
                "operations": operations,
                "failedBlobs": blobs,
            }
            for kind, operations, blobs in summed.failures
        ],
        "outstanding": _outstanding(backlog) if backlog else None,
    }


def _by_state(counts: Mapping[OperationState, int]) -> Object:
    return {state.value: counts[state] for state in OperationState if counts.get(state)}


def _outstanding(backlog: BacklogNote) -> Object:
    census = backlog.census
    return {
        "count": census.outstanding,
        "overdue": census.overdue,
        "oldestRegisteredAt": write_moment(census.oldest_registered_at),
        "measuredAt": write_moment(backlog.measured_at),
    }


def health_object(report: HealthReport) -> Object:
    """How the app is."""
    checks: dict[str, Json] = {
        name: {
            "isHealthy": check.is_healthy,
            "detail": check.detail,
            **{key: write_moment(each) if isinstance(each, datetime) else each for key, each in check.facts.items()},
        }
        for name, check in report.checks.items()
    }
    status = "healthy" if report.is_healthy else "unhealthy"
    return {"status": status, "checkedAt": write_moment(report.checked_at), "checks": checks}
