"""Reads what is known: the app's tables and queues as anyone may read them, and the simulator's own books."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from local.adx_simulator import AdxSimulator
from local.watch.facts import BlobFact, Facts, OperationFact, path_of

OPERATIONS_QUEUE = "ingestion-operations"
RETRY_QUEUE = "ingestion-retries"
POLL_QUEUE = "ingestion-polls"
QUEUES = (OPERATIONS_QUEUE, RETRY_QUEUE, POLL_QUEUE)
POINTER = "!operation"

type Row = Mapping[str, Any]


class Watcher:
    """Looks at everything, one thing after the other. A context manager."""

    def __init__(self, connection_string: str, adx: AdxSimulator) -> None:
        self._adx = adx
        self._stack = ExitStack()
        self._tables = self._stack.enter_context(TableServiceClient.from_connection_string(connection_string))
        self._queues = self._stack.enter_context(QueueServiceClient.from_connection_string(connection_string))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def look(self) -> Facts:
        """Returns what is known now. The order matters, see `Facts.is_settled`."""
        lengths = {name: self._length(name) for name in QUEUES}
        outstanding = Counter(row["RowKey"].partition("|")[0] for row in self._rows("OutstandingOperations"))
        blobs = self._blobs()
        operations = tuple(map(_operation, self._rows("IngestionOperations")))
        requests = self._adx.requests()
        return Facts(
            operations=operations,
            blobs=blobs,
            due=outstanding["due"],
            watched=outstanding["op"],
            retries_waiting=lengths[RETRY_QUEUE],
            messages_waiting=lengths[OPERATIONS_QUEUE] + lengths[POLL_QUEUE],
            set_aside=sum(self._length(f"{name}-poison") for name in QUEUES),
            books=self._adx.books(),
            requests=requests,
        )

    def set_aside(self) -> dict[str, list[str]]:
        """Returns the texts of each poison queue by the queue's own name. They stay, and are hidden for an hour."""
        texts = {}
        for name in QUEUES:
            with self._queues.get_queue_client(f"{name}-poison") as client:
                try:
                    messages = client.receive_messages(messages_per_page=32, visibility_timeout=3600)
                    texts[name] = [str(message.content) for message in messages]
                except ResourceNotFoundError:
                    texts[name] = []
        return texts

    def _blobs(self) -> tuple[BlobFact, ...]:
        rows = self._rows("IngestionBlobs")
        operations = {row["PartitionKey"]: row["OperationId"] for row in rows if row["RowKey"] == POINTER}
        return tuple(_blob(row, operations) for row in rows if row["RowKey"] != POINTER)

    def _rows(self, table: str, condition: str = "") -> list[Row]:
        with self._tables.get_table_client(table) as client:
            try:
                return list(client.query_entities(condition))
            except ResourceNotFoundError:
                return []

    def _length(self, queue: str) -> int:
        with self._queues.get_queue_client(queue) as client:
            try:
                return client.get_queue_properties().approximate_message_count or 0
            except ResourceNotFoundError:
                return 0


def _operation(row: Row) -> OperationFact:
    return OperationFact(
        operation_id=row["OperationId"],
        state=row["State"],
        attempt=row["Attempt"],
        polls=row["Polls"],
        root_operation_id=row.get("RootOperationId", ""),
        parent_operation_id=row.get("ParentOperationId", ""),
        registered_at=row.get("RegisteredAt"),
    )


def _blob(row: Row, operations: Mapping[str, str]) -> BlobFact:
    return BlobFact(
        # A blob's row without that of its operation would be a defect, which the checks then show.
        operation_id=operations.get(row["PartitionKey"], ""),
        path=path_of(row.get("Url", "")),
        status=row["Status"],
        attempt=row["Attempt"],
        error_code=row.get("ErrorCode", ""),
        details=row.get("Details", ""),
        retry_state=row.get("RetryState", ""),
        failure_status=row.get("FailureStatus", ""),
        retry_operation_id=row.get("RetryOperationId", ""),
        claimed_until=row.get("ClaimedUntil"),
    )
