"""Writes an operation's status in the documentation's dialect or in the SDK's.

They are told apart by the casing of the counts, the names of a blob's times, the SDK's `Queued`, and by the SDK's habit
of writing null where the documentation leaves a field out. The SDK's model has no `url`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from local.adx_simulator.operations import Blob, BlobStatus, Operation, counts_of
from local.adx_simulator.submissions import plain_url

COUNTED = (BlobStatus.SUCCEEDED, BlobStatus.FAILED, BlobStatus.IN_PROGRESS, BlobStatus.CANCELED)


def status_body(operation: Operation, counted: Sequence[Blob], dialect: str) -> dict[str, Any]:
    """Returns what the status endpoint says without details.

    Args:
        operation: The operation.
        counted: Those of its blobs that show up by now.
        dialect: One of `settings.DIALECTS`.
    """
    counts = counts_of(counted)
    documented = dialect == "documented"
    body: dict[str, Any] = {"startTime": timestamp(operation.started_at)}
    changed = [blob.updated_at for blob in counted if blob.status is not BlobStatus.QUEUED]
    if changed:
        body["lastUpdated"] = timestamp(max(changed))
    body["status"] = {name if documented else name[0].lower() + name[1:]: counts[name] for name in COUNTED}
    return body


def blob_body(blob: Blob, dialect: str, *, show_query: bool) -> dict[str, Any]:
    """Returns what the details say of a blob.

    Args:
        blob: The blob.
        dialect: One of `settings.DIALECTS`.
        show_query: Shows its URL with credentials.
    """
    url = blob.url if show_query else plain_url(blob.url)
    if dialect == "documented":
        return _documented(blob, url)
    body = _sdk(blob)
    return {**body, "url": url} if dialect == "sdk-with-url" else body


def timestamp(moment: datetime) -> str:
    """Returns a time as the service writes it, in UTC with seven decimals.

    Args:
        moment: The time.
    """
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z"


def _documented(blob: Blob, url: str) -> dict[str, Any]:
    queued = blob.status is BlobStatus.QUEUED
    body = {
        "url": url,
        "status": BlobStatus.IN_PROGRESS if queued else blob.status,
        "startTime": timestamp(blob.started_at),
        "lastUpdated": timestamp(blob.updated_at),
    }
    if blob.source_id is not None:
        body = {"sourceId": blob.source_id, **body}
    if blob.failure is not None:
        failure = blob.failure
        body |= {"errorCode": failure.code, "failureStatus": failure.status, "details": failure.details}
    return body


def _sdk(blob: Blob) -> dict[str, Any]:
    failure = blob.failure
    return {
        "sourceId": blob.source_id or blob.own_id,
        "status": blob.status,
        "startedAt": timestamp(blob.started_at),
        "lastUpdateTime": timestamp(blob.updated_at),
        "errorCode": failure.code if failure else None,
        "failureStatus": failure.status if failure else None,
        "details": failure.details if failure else None,
    }
