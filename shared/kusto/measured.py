"""Asking ADX, with each call's answer and time written down as metrics and as a part of the operation's trace."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from shared import metrics, tracing
from shared.errors import (
    AccessRefused,
    EndpointNotAllowed,
    KustoError,
    OperationNotFound,
    RequestRejected,
    RoleMissing,
    Throttled,
    Unavailable,
)
from shared.kusto.client import KustoClient
from shared.model import BlobSource, IngestionLimits, Operation, Properties, StatusReport

ANSWERS: dict[type[KustoError], str] = {
    AccessRefused: "access_refused",
    EndpointNotAllowed: "endpoint_not_allowed",
    OperationNotFound: "not_found",
    RequestRejected: "rejected",
    RoleMissing: "role_missing",
    Throttled: "throttled",
    Unavailable: "unavailable",
}
"""What an error is called as the ``answer`` of a call; without one it is ``ok``, and ``failed`` is a defect of ours."""


class MeasuredAdx:
    """A client of ADX that is measured."""

    def __init__(self, client: KustoClient) -> None:
        self._client = client

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        """As ``KustoClient.status``."""
        with _measured("details" if details else "status", operation):
            return self._client.status(operation, details=details)

    def submit(self, parent: Operation, blobs: Sequence[BlobSource], properties: Properties) -> str | None:
        """As ``KustoClient.submit``."""
        with _measured("submit", parent):
            return self._client.submit(parent, blobs, properties)

    def limits(self, cluster: str) -> IngestionLimits:
        """As ``KustoClient.limits``; not measured, as it is asked once an hour and can be done without."""
        return self._client.limits(cluster)


@contextmanager
def _measured(call: str, operation: Operation) -> Iterator[None]:
    began = time.monotonic()
    answer = "failed"
    try:
        # A 404 is what ADX says of an operation that it does not show yet.
        with tracing.call(f"adx.{call}", operation, expected=OperationNotFound):
            yield
        answer = "ok"
    except KustoError as error:
        answer = ANSWERS[type(error)]
        raise
    finally:
        metrics.record(metrics.ADX_LATENCY, time.monotonic() - began, about=operation, call=call)
        metrics.record(metrics.ADX_CALLS, about=operation, call=call, answer=answer)
