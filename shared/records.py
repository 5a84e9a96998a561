"""What the tables hold, as facts; how they are stored is the business of ``shared.store``."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared import keys
from shared.model import BlobReport, Counts, Operation, OperationState, Properties, RetryState


@dataclass(frozen=True, slots=True)
class Outstanding:
    """An operation that has not ended: what is known of it, and when it is asked for next.

    ``recorded_failures`` is the failed count when its details were last written down. ``not_found_since`` and
    ``errors_since`` are the beginning of the present run of 404s, or of other answers that were no status.
    ``etag`` is that of the due row that this was read from, "" if it was not read. ``pointer_etag`` and
    ``operation_etag`` are those of the pointer and of the row of ``IngestionOperations`` as this app left them last,
    "" where that is not known: as long as the pointer has its ETag, nothing is written down of the operation's blobs.
    ``bulk_polls`` are its polls since its own status came last, ``rest_only`` is whether bulk status does not show it.
    ``untold`` is None as long as it has not ended; then, by which channels the news of that has still to go out.
    """

    operation: Operation
    registered_at: datetime
    partition: str
    attempt: int
    root_operation_id: str
    named_blobs: int
    next_poll_at: datetime
    interval: timedelta
    parent_operation_id: str | None = None
    correlation_id: str | None = None
    polls: int = 0
    counts: Counts = field(default_factory=Counts)
    recorded_failures: int = 0
    start_time: datetime | None = None
    last_updated: datetime | None = None
    not_found_since: datetime | None = None
    errors_since: datetime | None = None
    last_error: str | None = None
    pointer_etag: str = ""
    operation_etag: str = ""
    bulk_polls: int = 0
    rest_only: bool = False
    untold: str | None = None
    etag: str = ""

    @property
    def shard(self) -> str:
        """The partition that holds the operation's rows."""
        return keys.shard(self.operation.key)

    @property
    def pointer(self) -> "Pointer":
        """Where its row of ``IngestionOperations`` is."""
        return Pointer(self.partition, keys.escape(self.operation.operation_id), self.registered_at)

    @property
    def due_row(self) -> str:
        """The row that holds this."""
        return keys.due_row(self.next_poll_at, self.operation.key)


@dataclass(frozen=True, slots=True)
class Census:
    """What is outstanding at one moment: how much, since when the oldest, how much of it is due, and since when.

    A time is None where there is nothing that has it.
    """

    outstanding: int = 0
    overdue: int = 0
    oldest_registered_at: datetime | None = None
    first_due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where an operation's row is.

    ``etag`` is that of the pointer itself while nothing is written down of the operation's blobs, else "".
    """

    partition: str
    row: str
    registered_at: datetime
    etag: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Pruned:
    """A settled operation that is past retention: what is to be known of it to delete its rows."""

    operation: Operation
    pointer: Pointer
    state: OperationState
    root_operation_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class BlobRow:
    """One row of ``IngestionBlobs``.

    ``report`` is what ADX said last, its URL bare. ``claimed_by`` and ``claimed_until`` keep two deliveries of a retry
    message from submitting the blob at once. ``retry_reason`` says why a blob is not resubmittable. ``redriven_by`` and
    ``redriven_at``: who has had it tried again last although the app had given it up, and when. ``etag`` is "" for a
    row that is not in the table yet.
    """

    key: str
    report: BlobReport
    attempt: int
    retry_state: RetryState = RetryState.NONE
    retry_operation_id: str | None = None
    retry_reason: str | None = None
    claimed_by: str | None = None
    claimed_until: datetime | None = None
    redriven_by: str | None = None
    redriven_at: datetime | None = None
    etag: str = ""


@dataclass(frozen=True, slots=True)
class OperationRow:
    """What is read back of a row of ``IngestionOperations``. ``settled_at`` is None while it is InProgress.

    ``properties`` is None where the message had none, or some that are not kept.
    """

    operation: Operation
    registered_at: datetime
    state: OperationState
    counts: Counts
    polls: int
    start_time: datetime | None
    last_updated: datetime | None
    settled_at: datetime | None
    last_error: str | None
    attempt: int
    root_operation_id: str
    correlation_id: str | None
    properties: Properties | None = field(repr=False)
    etag: str
    parent_operation_id: str | None = None
    transient_failures: int = 0
    permanent_failures: int = 0
    retried_blobs: int = 0
    first_error_code: str | None = None

    @property
    def summary(self) -> "Summary":
        """What it says of the operation's blobs."""
        return Summary(
            state=self.state,
            counts=self.counts,
            start_time=self.start_time,
            last_updated=self.last_updated,
            polls=self.polls,
            transient_failures=self.transient_failures,
            permanent_failures=self.permanent_failures,
            retried_blobs=self.retried_blobs,
            first_error_code=self.first_error_code,
            last_error=self.last_error,
        )


class RedriveKind(StrEnum):
    """What a person had taken up again."""

    BLOBS = "Blobs"
    MESSAGES = "Messages"


@dataclass(frozen=True, slots=True)
class Redrive:
    """One act of a person: who, when, and of what.

    ``queue`` is the queue whose poison queue the messages came from; ``operation`` the one whose blobs they were.
    """

    redrive_id: str
    by: str
    at: datetime
    kind: RedriveKind
    operation: Operation | None = None
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a row of ``IngestionOperations`` says once its blobs are known.

    ``counts`` has a blob that was already ingested as succeeded. ``permanent_failures`` are all failures that are not
    Transient: a person is needed for them.
    """

    state: OperationState
    counts: Counts
    start_time: datetime | None
    last_updated: datetime | None
    polls: int
    transient_failures: int = 0
    permanent_failures: int = 0
    retried_blobs: int = 0
    first_error_code: str | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """An operation that has ended: as it stood while it was outstanding, and what its row says since when."""

    before: Outstanding
    summary: Summary
    at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """An operation that has ended, as its row says it to whoever is told of that."""

    operation: Operation
    registered_at: datetime
    settled_at: datetime
    attempt: int
    root_operation_id: str
    parent_operation_id: str | None
    correlation_id: str | None
    summary: Summary


@dataclass(frozen=True, slots=True)
class BacklogNote:
    """What was outstanding when it was measured last."""

    census: Census
    measured_at: datetime


@dataclass(frozen=True, slots=True)
class Notes:
    """What the app has noted of its own work: when a tick was finished last, and the backlog. None: not yet."""

    poller_finished_at: datetime | None = None
    backlog: BacklogNote | None = None
