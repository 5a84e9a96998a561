"""What the tracker says of operations and blobs, in the shapes of its HTTP API: the JSON of `--json` too.

Names are in camelCase in JSON; what is absent is null; times are aware, and RFC 3339 in UTC with a Z in JSON.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from shared.model import ALREADY_INGESTED, BlobStatus, OperationState, RetryState


class Facts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Facts that are read from JSON and written to it under the same names."""


class BlobCounts(Facts, frozen=True, kw_only=True):
    """An operation's blobs by category."""

    succeeded: int = 0
    failed: int = 0
    in_progress: int = 0
    canceled: int = 0

    @property
    def finished(self) -> int:
        """Blobs that ADX has ended with."""
        return self.succeeded + self.failed + self.canceled

    @property
    def total(self) -> int:
        """All blobs counted."""
        return self.finished + self.in_progress


class OperationFacts(Facts, frozen=True, kw_only=True):
    """An operation, as `GET /api/operations` lists it."""

    operation_id: str
    cluster: str
    database: str
    table: str
    state: str
    attempt: int
    root_operation_id: str
    parent_operation_id: str | None = None
    correlation_id: str | None = None
    registered_at: datetime
    start_time: datetime | None = None
    last_updated: datetime | None = None
    settled_at: datetime | None = None
    blobs: BlobCounts
    polls: int = 0
    transient_failures: int = 0
    permanent_failures: int = 0
    retried_blobs: int = 0
    first_error_code: str | None = None
    last_error: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it is in a final state."""
        return self.state != OperationState.IN_PROGRESS

    @property
    def name(self) -> "Named":
        """What tells it from all others."""
        return Named(self.operation_id, self.cluster, self.database, self.table)


class LineageEntry(Facts, frozen=True, kw_only=True):
    """One of the operations that a root and its resubmissions are."""

    operation_id: str
    attempt: int
    state: str
    parent_operation_id: str | None = None
    registered_at: datetime
    settled_at: datetime | None = None
    blobs: BlobCounts


class Lineage(Facts, frozen=True, kw_only=True):
    """The root and its resubmissions, by attempt; ``left_out`` more are not shown."""

    root_operation_id: str
    operations: tuple[LineageEntry, ...]
    left_out: int = 0


class OperationInFull(OperationFacts, frozen=True, kw_only=True):
    """An operation, as `GET /api/operations/{id}` shows it."""

    lineage: Lineage


class OperationsPage(Facts, frozen=True, kw_only=True):
    """Some operations, newest first; ``continuation_token`` asks for what follows."""

    operations: tuple[OperationFacts, ...]
    continuation_token: str | None = None


class BlobFacts(Facts, frozen=True, kw_only=True):
    """A blob of an operation. ``url`` is without its query: no secret."""

    blob_key: str
    url: str | None = None
    source_id: str | None = None
    status: str
    start_time: datetime | None = None
    last_updated: datetime | None = None
    error_code: str | None = None
    failure_status: str | None = None
    details: str | None = None
    retry_state: str | None = None
    retry_reason: str | None = None
    retry_operation_id: str | None = None
    attempt: int = 1
    redriven_by: str | None = None
    redriven_at: datetime | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it failed, and its data is not known to be there: also where ADX is at it again by itself since."""
        if self.status == BlobStatus.SUCCEEDED or self.error_code == ALREADY_INGESTED:
            return False
        return self.retry_state != RetryState.RECOVERED and (
            self.status == BlobStatus.FAILED or self.retry_state is not None
        )

    @property
    def is_waiting(self) -> bool:
        """Whether it is about to be tried again."""
        return self.has_failed and self.retry_state in (RetryState.PENDING, RetryState.ENQUEUED)

    @property
    def is_out_of_sight(self) -> bool:
        """Whether ADX took it again and gave no ID to watch that by."""
        return self.retry_state == RetryState.RESUBMITTED and not self.retry_operation_id

    @property
    def is_given_up(self) -> bool:
        """Whether it failed and nobody is at it any more."""
        return self.has_failed and not self.is_waiting and self.retry_state != RetryState.RESUBMITTED


class BlobsPage(Facts, frozen=True, kw_only=True):
    """Some blobs of an operation."""

    blobs: tuple[BlobFacts, ...]
    continuation_token: str | None = None


class Named(Facts, frozen=True):
    """An operation as a person names it: the ID, and as much else as tells it from others of that ID."""

    operation_id: str
    cluster: str | None = None
    database: str | None = None
    table: str | None = None


class Wanted(Facts, frozen=True, kw_only=True):
    """Which operations a person wants to see.

    ``since`` is included, ``until`` is not: of the registration. ``operation_id`` is how the ID begins, ``error_code``
    the first code that a blob failed with.
    """

    states: tuple[str, ...] = ()
    cluster: str | None = None
    database: str | None = None
    table: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    operation_id: str | None = None
    error_code: str | None = None


class Redriven(Facts, frozen=True, kw_only=True):
    """What a redrive did: so many blobs or messages, and how many it was not about."""

    redrive_id: str
    blobs: int | None = None
    messages: int | None = None
    left: int


def to_json(content: object) -> str:
    """The content as JSON on one line."""
    return msgspec.json.encode(content).decode()


def fields_of(facts: Facts) -> dict[str, Any]:
    """The facts by the names that they have in JSON."""
    fields: dict[str, Any] = msgspec.to_builtins(facts)
    return fields


def read[F: Facts](content: bytes | Mapping[str, Any], kind: type[F]) -> F:
    """The facts that JSON holds; fields that are not known are left out.

    Raises:
        msgspec.ValidationError: it holds others.
        msgspec.DecodeError: it is no JSON.
    """
    if isinstance(content, bytes):
        return msgspec.json.decode(content, type=kind)
    return msgspec.convert(content, kind)
