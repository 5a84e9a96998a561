"""Registering: a message becomes an operation that is watched, once, however often it is delivered.

Three writes, in this order, each insert-only: the pointer among the blobs, the row of ``IngestionOperations``, the rows
of ``OutstandingOperations``. A crash between two of them is made good by the message's next delivery. The last of them
knows the ETags of the others, so that settling need not read what nobody has changed.
"""

from dataclasses import replace

from shared import metrics
from shared.ambient import Ambient
from shared.backoff import spread
from shared.endpoints import cluster_name
from shared.messages import OperationMessage
from shared.model import OperationState
from shared.records import Outstanding, Pointer
from shared.settings import Polling
from shared.store.outstanding import OutstandingOperations
from shared.store.results import Results, pointer_to
from shared.telemetry import event
from shared.tracing import step


class Registrar:
    """Registers operations."""

    def __init__(
        self,
        outstanding: OutstandingOperations,
        results: Results,
        polling: Polling,
        ambient: Ambient,
    ) -> None:
        self._outstanding = outstanding
        self._results = results
        self._polling = polling
        self._ambient = ambient

    def register(self, message: OperationMessage) -> bool:
        """Begin to watch the message's operation. False if it is known already, watched or settled."""
        lineage, operation = message.lineage, message.operation
        with step("register", operation, lineage.root_operation_id or operation.operation_id, lineage.attempt):
            return self._register(message)

    def _register(self, message: OperationMessage) -> bool:
        operation = message.operation
        pointer, is_new = self._results.point(
            operation, pointer_to(operation, cluster_name(operation.cluster), self._ambient.now())
        )
        stored = None if is_new else self._results.operation(pointer)
        if stored and stored.state is not OperationState.IN_PROGRESS:
            event("operation.known", "a message for a settled operation changes nothing", about=operation)
            return False
        first = self._first(message, pointer)
        etag = stored.etag if stored else self._results.add_operation(first, message.properties)
        added = self._outstanding.add(replace(first, operation_etag=etag), message)
        if added:
            origin = "Resubmission" if message.lineage.parent_operation_id else "Upstream"
            metrics.record(metrics.OPERATIONS_REGISTERED, about=operation, origin=origin)
        event(
            "operation.registered" if added else "operation.known",
            "watching it from now on" if added else "it is watched already",
            about=operation,
            attempt=message.lineage.attempt,
            blobs=len(message.blobs),
            correlation_id=message.correlation_id,
        )
        return added

    def _first(self, message: OperationMessage, pointer: Pointer) -> Outstanding:
        lineage = message.lineage
        return Outstanding(
            operation=message.operation,
            registered_at=pointer.registered_at,
            partition=pointer.partition,
            attempt=lineage.attempt,
            root_operation_id=lineage.root_operation_id or message.operation.operation_id,
            parent_operation_id=lineage.parent_operation_id,
            correlation_id=message.correlation_id,
            named_blobs=len(message.blobs),
            next_poll_at=self._ambient.now() + spread(self._polling.first_delay, self._ambient.random),
            interval=self._polling.min_interval,
            pointer_etag=pointer.etag,
        )
