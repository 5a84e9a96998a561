"""What is known when a soak is over: no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from local.soak.fates import FATES
from local.watch.facts import Facts
from shared.model import RetryState

BY_NAME = {fate.name: fate for fate in FATES}


@dataclass(frozen=True, slots=True)
class SubmittedBlob:
    """A blob that upstream submitted.

    Attributes:
        path: Container and name.
        rows: How many records it holds.
        fate: The name of its fate.
    """

    path: str
    rows: int
    fate: str


@dataclass(frozen=True, slots=True)
class SubmittedOperation:
    """An operation of upstream's.

    Attributes:
        operation_id: Its ID.
        table: Where it went.
        is_bare: Its message was the bare ID, so that nothing of it can be submitted again.
        blobs: Its blobs.
    """

    operation_id: str
    table: str
    is_bare: bool
    blobs: tuple[SubmittedBlob, ...]

    def expected_rows(self, blob: SubmittedBlob) -> int:
        """Returns how many rows one of its blobs is bound to bring.

        Args:
            blob: The blob.
        """
        fate = BY_NAME[blob.fate]
        return blob.rows if (fate.loads_untried if self.is_bare else fate.loads) else 0


class HostEnd(StrEnum):
    """How a host has ended."""

    KILLED = "killed"
    STOPPED = "stopped in order"
    BY_ITSELF = "ended by itself"


@dataclass(frozen=True, slots=True)
class HostLog:
    """A host that has ended.

    Attributes:
        name: Its name.
        end: How it ended.
        text: Its whole log.
    """

    name: str
    end: HostEnd
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known in the end.

    Attributes:
        submitted: What upstream submitted and posted.
        junk: What upstream posted that is no message, by queue.
        set_aside: What the poison queues hold, by the queue that it came from.
        facts: The tables, the queues and the simulator's books.
        hosts: The hosts.
        deduplicate: `RETRY_DEDUPLICATE`.
        max_attempts: `RETRY_MAX_ATTEMPTS`.
    """

    submitted: tuple[SubmittedOperation, ...]
    junk: Mapping[str, tuple[str, ...]]
    set_aside: Mapping[str, tuple[str, ...]]
    facts: Facts
    hosts: tuple[HostLog, ...]
    deduplicate: bool
    max_attempts: int

    @property
    def known(self) -> frozenset[str]:
        """The operations that have a row."""
        return frozenset(row.operation_id for row in self.facts.operations)

    @property
    def bare(self) -> frozenset[str]:
        """The operations whose message was the bare ID."""
        return frozenset(each.operation_id for each in self.submitted if each.is_bare)

    @property
    def kills(self) -> int:
        """How many hosts were killed."""
        return sum(host.end is HostEnd.KILLED for host in self.hosts)

    @property
    def unknown(self) -> frozenset[str]:
        """The operations that ADX accepted and the app doesn't know of: their answers were lost, or the host killed."""
        return self.facts.accepted - self.known


def operations_in(submitted: frozenset[str], facts: Facts) -> frozenset[str]:
    """Returns the operations that the app was given, and those that it made of them by submitting again.

    Args:
        submitted: Upstream's.
        facts: What is known.
    """
    again = {row.retry_operation_id for row in facts.blobs if row.retry_state == RetryState.RESUBMITTED}
    return submitted | again


def has_drained(submitted: frozenset[str], facts: Facts) -> bool:
    """Returns whether nothing will change any more, as far as can be told from things read one after the other.

    Args:
        submitted: Upstream's operations.
        facts: What is known.
    """
    open_ends = facts.waiting + facts.watched + facts.books.unfinished
    return not open_ends and operations_in(submitted, facts) <= facts.ended
