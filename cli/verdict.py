"""Whether an operation has come to its end with all its resubmissions, and how: decided on facts, without asking."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cli.facts import BlobFacts, OperationFacts
from shared.model import OperationState, RetryState

_WITHOUT_A_WORD = frozenset({OperationState.NOT_FOUND, OperationState.TIMED_OUT, OperationState.CANCELED})
"""How an operation ends of which not every blob's fate is known, or wanted."""


@dataclass(frozen=True, slots=True)
class Part:
    """One operation of a lineage, and its blobs that failed, also those that ADX tries again by itself."""

    operation: OperationFacts
    failed: tuple[BlobFacts, ...] = ()

    @property
    def resubmissions(self) -> frozenset[str]:
        """The IDs of the operations that its blobs were submitted again with."""
        gone = (blob for blob in self.failed if blob.retry_state == RetryState.RESUBMITTED)
        return frozenset(blob.retry_operation_id for blob in gone if blob.retry_operation_id)

    @property
    def is_lost(self) -> bool:
        """Whether it ended, and blobs of it were not loaded, or may not have been, without having failed."""
        return self.operation.has_ended and (
            self.operation.state in _WITHOUT_A_WORD
            or self.operation.blobs.canceled > 0
            or any(blob.is_out_of_sight for blob in self.failed)
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an operation and its resubmissions are.

    Attributes:
        operation: The operation itself, None while the tracker doesn't know it.
        blobs: How many blobs it has.
        unfinished: How many of them are still loaded, wait to be tried again, or are about to be watched again.
        given_up: Operation and blob of each that failed and is not tried again.
        lost: Operations of the lineage that ended without a word on all their blobs, or with some canceled.
    """

    operation: OperationFacts | None = None
    blobs: int = 0
    unfinished: int = 0
    given_up: tuple[tuple[OperationFacts, BlobFacts], ...] = ()
    lost: tuple[OperationFacts, ...] = ()
    has_settled: bool = False

    @property
    def has_succeeded(self) -> bool:
        """Whether all its data is loaded."""
        return self.has_settled and not self.given_up and not self.lost

    @property
    def finished(self) -> int:
        """Blobs that have come to their end."""
        return max(self.blobs - self.unfinished, 0)


UNKNOWN = Standing()


def standing_of(parts: Iterable[Part], *, follows: bool = True) -> Standing:
    """How far the first of these operations is; the others are its resubmissions, as far as they are known.

    Without ``follows`` the first is all that counts: what is tried again is its own operation's business.
    """
    known = {part.operation.operation_id: part for part in parts}
    if not known:
        return UNKNOWN
    first = next(iter(known.values()))
    unfinished = sum(_unfinished(part, known, follows=follows) for part in known.values())
    return Standing(
        operation=first.operation,
        blobs=first.operation.blobs.total,
        unfinished=unfinished,
        given_up=tuple(
            (part.operation, blob) for part in known.values() for blob in part.failed if blob.is_given_up or not follows
        ),
        lost=tuple(part.operation for part in known.values() if part.is_lost),
        has_settled=unfinished == 0 and all(part.operation.has_ended for part in known.values()),
    )


def _unfinished(part: Part, known: Mapping[str, Part], *, follows: bool) -> int:
    """Blobs of an operation that have not ended, and whose resubmission is none of the known operations."""
    running = 0 if part.operation.has_ended else part.operation.blobs.in_progress
    if not follows:
        return running
    return running + sum(
        blob.is_waiting or (blob.retry_state == RetryState.RESUBMITTED and blob.retry_operation_id not in known)
        for blob in part.failed
        # One that ADX accepted without an ID can't be watched.
        if blob.is_waiting or blob.retry_operation_id
    )
