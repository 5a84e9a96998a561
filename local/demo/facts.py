"""What is known at one moment, and what follows from it: no I/O."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from local.adx_simulator import Books, RequestCounts
from shared.model import ALREADY_INGESTED, BlobStatus, OperationState, RetryState


@dataclass(frozen=True, slots=True)
class OperationFact:
    """A row of `IngestionOperations`.

    Attributes:
        operation_id: `OperationId`.
        state: `State`.
        attempt: `Attempt`; above 1 it is a resubmission.
        polls: `Polls`.
    """

    operation_id: str
    state: str
    attempt: int
    polls: int

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
    """

    operation_id: str
    path: str
    status: str
    attempt: int = 1
    error_code: str = ""
    details: str = ""
    retry_state: str = RetryState.NONE


class Outcome(StrEnum):
    """What has become of a file so far, in the words of the screen."""

    LOADED = "loaded at once"
    RETRIED = "tried again and loaded"
    RECOVERED = "mended by ADX itself"
    PERSON = "need a person"
    WAITING = "waiting for their next try"
    WITH_ADX = "with ADX"
    UPSTREAM = "not submitted yet"


LOADED = frozenset({Outcome.LOADED, Outcome.RETRIED, Outcome.RECOVERED})


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
    """

    operations: tuple[OperationFact, ...]
    blobs: tuple[BlobFact, ...]
    due: int
    retries_waiting: int
    messages_waiting: int
    set_aside: int
    books: Books
    requests: RequestCounts

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


def latest_rows(blobs: Iterable[BlobFact]) -> dict[str, BlobFact]:
    """Returns each file's row of its last attempt, by its path.

    Args:
        blobs: The rows.
    """
    return {row.path: row for row in sorted(blobs, key=lambda row: row.attempt)}


def outcome_of(row: BlobFact | None) -> Outcome:
    """Returns what has become of a file that was submitted.

    Args:
        row: Its row of the last attempt; None if the app has not written one yet.
    """
    if row is None:
        return Outcome.WITH_ADX
    if row.status == BlobStatus.SUCCEEDED or row.error_code == ALREADY_INGESTED:
        if row.retry_state == RetryState.RECOVERED:
            return Outcome.RECOVERED
        return Outcome.LOADED if row.attempt == 1 else Outcome.RETRIED
    if row.retry_state in (RetryState.PENDING, RetryState.ENQUEUED):
        return Outcome.WAITING
    if row.status in (BlobStatus.FAILED, BlobStatus.CANCELED) and row.retry_state != RetryState.RESUBMITTED:
        return Outcome.PERSON
    return Outcome.WITH_ADX


def outcomes(facts: Facts) -> dict[str, Outcome]:
    """Returns what has become of each file that was submitted, by its path.

    Args:
        facts: What is known.
    """
    rows = latest_rows(facts.blobs)
    return {path: outcome_of(rows.get(path)) for path in sorted({path_of(blob.url) for blob in facts.books.blobs})}


def count_outcomes(facts: Facts, total: int) -> Counter[Outcome]:
    """Returns how many files there are of each outcome.

    Args:
        facts: What is known.
        total: How many there are in all, those not submitted yet too.
    """
    counts = Counter(outcomes(facts).values())
    counts[Outcome.UPSTREAM] = total - counts.total()
    return counts


def count_states(facts: Facts) -> Counter[str]:
    """Returns how many operations there are of each state.

    Args:
        facts: What is known.
    """
    return Counter(row.state for row in facts.operations)
