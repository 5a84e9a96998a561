"""Operations and the blobs in them, as the service knows them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from local.adx_simulator.answers import Answer
from local.adx_simulator.failures import Failure
from local.adx_simulator.faults import BlobFault


class BlobStatus(StrEnum):
    """Where a blob stands."""

    QUEUED = "Queued"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


@dataclass(slots=True)
class Blob:
    """A blob of an operation.

    Attributes:
        url: Its URL as it was submitted, with credentials.
        source_id: The `sourceId` that it came with.
        own_id: The service's own ID of it, for a blob that came without one.
        fault: What befalls it, if anything.
        counted_at: When it begins to appear in counts and details.
        started_at: When it was submitted.
        updated_at: When its status changed last.
        status: Where it stands.
        failure: Why it failed, when it has.
    """

    url: str
    source_id: str | None
    own_id: str
    fault: BlobFault | None
    counted_at: datetime
    started_at: datetime
    updated_at: datetime
    status: BlobStatus = BlobStatus.QUEUED
    failure: Failure | None = None

    def move(self, status: BlobStatus, at: datetime, failure: Failure | None = None) -> None:
        """Changes where it stands.

        Args:
            status: The new status.
            at: When.
            failure: Why, when it failed.
        """
        self.status, self.updated_at, self.failure = status, at, failure


@dataclass(slots=True)
class Operation:
    """A submission that was taken.

    Attributes:
        operation_id: Its ID.
        database: Where it goes.
        table: Where it goes.
        started_at: When it was submitted.
        visible_at: When its status can first be asked for.
        blobs: Its blobs.
    """

    operation_id: str
    database: str
    table: str
    started_at: datetime
    visible_at: datetime
    blobs: list[Blob] = field(default_factory=list)

    def counted(self, now: datetime) -> list[Blob]:
        """Returns the blobs that show up by now.

        Args:
            now: The time.
        """
        return [blob for blob in self.blobs if blob.counted_at <= now]


def counts_of(blobs: Sequence[Blob]) -> Counter[BlobStatus]:
    """Returns how many blobs are in each status; what is queued counts as in progress.

    Args:
        blobs: The blobs.
    """
    return Counter(BlobStatus.IN_PROGRESS if blob.status is BlobStatus.QUEUED else blob.status for blob in blobs)


class Planted:
    """An operation whose answers were written by hand, with and without details apart."""

    def __init__(self, plain: Sequence[Answer], detailed: Sequence[Answer]) -> None:
        self._answers = {False: list(plain), True: list(detailed)}

    def next(self, *, details: bool) -> Answer | None:
        """Returns the next answer: the last one from then on, and None if there is none of that kind.

        Args:
            details: Whether details are asked for.
        """
        answers = self._answers[details]
        if len(answers) > 1:
            return answers.pop(0)
        return answers[0] if answers else None


type Rule = Callable[[str], Planted | None]
"""What an operation answers by its ID, None if the rule knows none of this ID."""


class Operations:
    """All operations whose status can be asked for."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str, str], Operation | Planted] = {}
        self._rules: dict[tuple[str, str], Rule] = {}
        self._by_id: dict[str, Operation] = {}

    def add(self, operation: Operation) -> None:
        """Stores an operation.

        Args:
            operation: The operation.
        """
        self._stored[operation.database, operation.table, operation.operation_id] = operation
        self._by_id[operation.operation_id] = operation

    def plant(self, database: str, table: str, operation_id: str, planted: Planted) -> None:
        """Stores answers written by hand, in place of what was there.

        Args:
            database: The database in the path.
            table: The table in the path.
            operation_id: The operation ID in the path.
            planted: The answers.
        """
        self._stored[database, table, operation_id] = planted

    def plant_many(self, database: str, table: str, rule: Rule) -> None:
        """Lets the operations of a table that are not stored answer by a rule, in place of the one before.

        Args:
            database: The database in the path.
            table: The table in the path.
            rule: What they answer.
        """
        self._rules[database, table] = rule

    def find(self, database: str, table: str, operation_id: str, now: datetime) -> Operation | Planted | None:
        """Returns an operation, unless it is not yet visible.

        Args:
            database: The database in the path.
            table: The table in the path.
            operation_id: The operation ID in the path.
            now: The time.
        """
        found = self._stored.get((database, table, operation_id))
        if found is None and (rule := self._rules.get((database, table))):
            return rule(operation_id)
        if isinstance(found, Operation) and found.visible_at > now:
            return None
        return found

    def with_ids(self, operation_ids: Iterable[str], now: datetime) -> list[Operation]:
        """Returns those of some operations that are visible, wherever they go to; none that was planted.

        Args:
            operation_ids: Their IDs.
            now: The time.
        """
        found = (self._by_id.get(operation_id) for operation_id in dict.fromkeys(operation_ids))
        return [operation for operation in found if operation is not None and operation.visible_at <= now]
