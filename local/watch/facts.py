"""What the tables, the queues and the simulator say at one moment: no I/O."""

from dataclasses import dataclass
from datetime import datetime

from local.adx_simulator import Books, RequestCounts
from shared.model import OperationState, RetryState


@dataclass(frozen=True, slots=True)
class OperationFact:
    """A row of `IngestionOperations`.

    Attributes:
        operation_id: `OperationId`.
        state: `State`.
        attempt: `Attempt`; above 1 it is a resubmission.
        polls: `Polls`.
        root_operation_id: `RootOperationId`.
        parent_operation_id: `ParentOperationId`.
        registered_at: `RegisteredAt`.
    """

    operation_id: str
    state: str
    attempt: int
    polls: int
    root_operation_id: str = ""
    parent_operation_id: str = ""
    registered_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its state is final."""
        return self.state != OperationState.IN_PROGRESS


@dataclass(frozen=True, slots=True)
class BlobFact:
    """A row of `IngestionBlobs`.

    Attributes:
        operation_id: The operation that it belongs to.
        path: Container and name, the end of `Url`.
        status: `Status`.
        attempt: `Attempt`.
        error_code: `ErrorCode`.
        details: `Details`.
        retry_state: `RetryState`.
        failure_status: `FailureStatus`.
        retry_operation_id: `RetryOperationId`.
        claimed_until: `ClaimedUntil`.
    """

    operation_id: str
    path: str
    status: str
    attempt: int = 1
    error_code: str = ""
    details: str = ""
    retry_state: str = RetryState.NONE
    failure_status: str = ""
    retry_operation_id: str = ""
    claimed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tables, the queues and the simulator say at one moment.

    Attributes:
        operations: All rows of `IngestionOperations`.
        blobs: All rows of `IngestionBlobs`.
        due: How many operations `OutstandingOperations` holds.
        retries_waiting: Messages in the retry queue, those still hidden too.
        messages_waiting: Messages in the other queues of the app.
        set_aside: Messages in the poison queues.
        books: The simulator's own count of rows.
        requests: The simulator's own count of requests.
        watched: How many operations `OutstandingOperations` knows of; as many as are due in the end or later.
    """

    operations: tuple[OperationFact, ...]
    blobs: tuple[BlobFact, ...]
    due: int
    retries_waiting: int
    messages_waiting: int
    set_aside: int
    books: Books
    requests: RequestCounts
    watched: int = 0

    @property
    def submissions(self) -> frozenset[tuple[str, str]]:
        """Operation and path of each blob of each submission that the simulator accepted."""
        return frozenset((each, path_of(blob.url)) for blob in self.books.blobs for each in blob.operations)

    @property
    def accepted(self) -> frozenset[str]:
        """The operations that the simulator accepted."""
        return frozenset(operation for operation, _ in self.submissions)

    @property
    def ended(self) -> frozenset[str]:
        """The operations that the app has brought to an end."""
        return frozenset(row.operation_id for row in self.operations if row.has_ended)

    @property
    def waiting(self) -> int:
        """Whatever the app has still to do something about."""
        queued = self.due + self.retries_waiting + self.messages_waiting
        return queued + sum(row.retry_state in (RetryState.PENDING, RetryState.ENQUEUED) for row in self.blobs)

    @property
    def is_settled(self) -> bool:
        """Whether nothing will change any more.

        It holds on what was read one after the other if the books were read last: whatever was on its way between two
        readings is then either still waiting, or in the books and not yet among the ended.
        """
        return bool(self.accepted) and not self.waiting and not self.books.unfinished and self.accepted <= self.ended


def path_of(url: str) -> str:
    """Returns container and name of a blob.

    Args:
        url: Its URL without a query.
    """
    return "/".join(url.split("/")[-2:])
