"""News of an end: the message that says how an operation has ended, and what it is told by.

Pure functions of what is stored. docs/results.md explains the message to whoever reads it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import quote, urlencode

from shared.fields import Object
from shared.messages import LONGEST_DETAILS, MOST_BYTES
from shared.model import BlobStatus, Json
from shared.records import BlobRow, Ended

_LONGEST_CODE = 256
"""Characters of an error code in the news: what ADX gives as one may be any text."""

_PREFIX = "AdxIngestionTracker"


class Kind(StrEnum):
    """What happened: an operation ended, or its end is another one since a blob turned out Recovered."""

    SETTLED = "settled"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class News:
    """One message: of which operation, its ID, which is the same whenever it is sent again, and what it says."""

    kind: Kind
    ended: Ended
    event_id: str
    content: Object = field(repr=False)


def news_of(kind: Kind, ended: Ended, failed: Iterable[BlobRow] = ()) -> News:
    """The news of an end.

    Args:
        kind: What happened.
        ended: What the operation's row says.
        failed: Its failed blobs, of which no more are taken than the message has room for, each of them whole.
    """
    event_id = _event_id(kind, ended)
    content = _content(kind, ended, event_id)
    room = MOST_BYTES - len(_dump(content))
    blobs = _fitting(failed, room)
    left_out = max(ended.summary.counts.failed - len(blobs), 0)
    return News(kind, ended, event_id, content | {"failedBlobs": blobs, "failedBlobsLeftOut": left_out})


def write_news(news: News) -> str:
    """The message as JSON, all ASCII, of less than the 64 KiB that a queue takes."""
    return _dump(news.content)


def cloud_event(news: News) -> Object:
    """The same as an event of CloudEvents 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md)."""
    operation = news.ended.operation
    source = f"{operation.cluster}/databases/{_quoted(operation.database)}/tables/{_quoted(operation.table)}"
    event: Object = {
        "specversion": "1.0",
        "id": news.event_id,
        "type": f"{_PREFIX}.Operation{news.kind.capitalize()}",
        "source": source,
        "subject": f"operations/{_quoted(operation.operation_id)}",
        "datacontenttype": "application/json",
        "data": dict(news.content),
    }
    # When a correction happened is not written down, and an event that is sent again says the same.
    return event | ({"time": _time(news.ended.settled_at)} if news.kind is Kind.SETTLED else {})


def write_batch(events: Sequence[Object]) -> str:
    """Events as one batch, as JSON."""
    return _dump(list(events))


def _event_id(kind: Kind, ended: Ended) -> str:
    """32 hex digits that name an end, or a correction by what it led to: each has one, however often it is told."""
    summary, counts = ended.summary, ended.summary.counts
    outcome = (summary.state, counts.succeeded, counts.failed, counts.canceled) if kind is Kind.CORRECTED else ()
    lines = (ended.operation.key, kind, ended.settled_at.astimezone(UTC).isoformat(), *outcome)
    return hashlib.sha256("\n".join(map(str, lines)).encode()).hexdigest()[:32]


def _content(kind: Kind, ended: Ended, event_id: str) -> Object:
    operation, summary, counts = ended.operation, ended.summary, ended.summary.counts
    return {
        "version": 1,
        "eventId": event_id,
        "event": kind.value,
        "operationId": operation.operation_id,
        "rootOperationId": ended.root_operation_id,
        "parentOperationId": ended.parent_operation_id,
        "attempt": ended.attempt,
        "correlationId": ended.correlation_id,
        "cluster": operation.cluster,
        "database": operation.database,
        "table": operation.table,
        "state": summary.state.value,
        "registeredAt": _time(ended.registered_at),
        "settledAt": _time(ended.settled_at),
        "blobs": {
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "inProgress": counts.in_progress + counts.other,
            "canceled": counts.canceled,
        },
        "retriedBlobs": summary.retried_blobs,
        "transientFailures": summary.transient_failures,
        "permanentFailures": summary.permanent_failures,
        "firstErrorCode": _clipped(summary.first_error_code, _LONGEST_CODE),
        "lastError": _clipped(summary.last_error, LONGEST_DETAILS),
        "failedBlobs": [],
        "failedBlobsLeftOut": counts.failed,
        "more": _more(ended),
    }


def _fitting(failed: Iterable[BlobRow], room: int) -> list[Json]:
    """As many blobs, from the first on, as there are bytes for; one that no message has room for is passed over."""
    blobs: list[Json] = []
    used = 0
    for row in failed:
        blob = _blob(row)
        size = len(_dump(blob)) + 1
        if size > room:
            continue
        if used + size > room:
            break
        blobs.append(blob)
        used += size
    return blobs


def _blob(row: BlobRow) -> dict[str, Json]:
    report = row.report
    return {
        "url": report.url,
        "sourceId": report.source_id,
        "status": report.status,
        "errorCode": _clipped(report.error_code, _LONGEST_CODE),
        "failureStatus": report.failure_status,
        "details": _clipped(report.details, LONGEST_DETAILS),
        "retryState": row.retry_state.value or None,
    }


def _more(ended: Ended) -> str:
    """Where the app's HTTP API lists all of the failed blobs."""
    operation = ended.operation
    query = {"cluster": operation.cluster, "database": operation.database, "table": operation.table}
    # Not every server hands on what is escaped in a path as it came.
    is_doubtful = "/" in operation.operation_id or "%" in operation.operation_id
    named = {"operationId": operation.operation_id} if is_doubtful else {}
    asked = urlencode({**named, **query, "status": BlobStatus.FAILED.value}, quote_via=quote)
    return f"/api/operations/{_quoted(operation.operation_id)}/blobs?{asked}"


def _quoted(text: str) -> str:
    """A name as a part of a URL's path."""
    return quote(text, safe="")


def _clipped(text: str | None, longest: int) -> str | None:
    return text if text is None or len(text) <= longest else f"{text[: longest - 1]}…"


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _dump(content: Json | Object) -> str:
    # What XML, in which a queue's messages travel, would write longer is written so that its length is known here.
    text = json.dumps(content, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
