"""Asking ADX, with each call's answer and time written down as metrics and as a part of the operation's trace."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from shared import metrics, tracing
from shared.errors import KustoError, OperationNotFound
from shared.kusto.client import KustoClient
from shared.model import BlobSource, BulkStatus, IngestionLimits, Operation, Properties, StatusReport


class MeasuredAdx:
    """A client of ADX that is measured."""

    def __init__(self, client: KustoClient) -> None:
        self._client = client

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        """As ``KustoClient.status``."""
        with _measured("details" if details else "status", operation):
            return self._client.status(operation, details=details)

    def bulk_status(self, operations: Sequence[Operation]) -> Mapping[Operation, BulkStatus]:
        """As ``KustoClient.bulk_status``; of no table, as the operations may be of several."""
        with _measured("bulk", replace(operations[0], table="", operation_id="")):
            return self._client.bulk_status(operations)

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
    # Unless it is said otherwise: of a defect of ours nothing is known.
    answer = KustoError.answer
    try:
        # A 404 is what ADX says of an operation that it does not show yet.
        with tracing.call(f"adx.{call}", operation, expected=OperationNotFound):
            yield
        answer = "ok"
    except KustoError as error:
        answer = error.answer
        raise
    finally:
        metrics.record(metrics.ADX_LATENCY, time.monotonic() - began, about=operation, call=call)
        metrics.record(metrics.ADX_CALLS, about=operation, call=call, answer=answer)
