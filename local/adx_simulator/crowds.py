"""Many operations that answer by a rule, for benchmarks: none of them is stored, and each answer is written once."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from local.adx_simulator.answers import Answer
from local.adx_simulator.dialects import blob_body, status_body
from local.adx_simulator.operations import Blob, BlobStatus, Operation, Planted, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Operations of one table, numbered from 0.

    Attributes:
        database: Their database.
        table: Their table, of which no other crowd is known then.
        count: How many there are.
        prefix: What their IDs begin with; their number follows.
        blobs: How many blobs each has.
        finished_share: The share whose blobs have all succeeded, evenly spread; the blobs of the others are in
            progress, and stay so.
        ends_over_seconds: They succeed one after the other in the order of their numbers, over so many seconds from
            when they are planted; all have when it is 0.
    """

    database: str
    table: str
    count: int
    prefix: str = "planted-"
    blobs: int = 1
    finished_share: float = 0.05
    ends_over_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 0 or self.blobs < 1 or not 0 <= self.finished_share <= 1:
            raise ValueError("count may not be negative, blobs not be none, and finished_share is between 0 and 1")

    def operation_id(self, number: int) -> str:
        """Returns the ID of an operation.

        Args:
            number: From 0 to below `count`.
        """
        return f"{self.prefix}{number}"

    def number(self, operation_id: str) -> int | None:
        """Returns the number of an operation; None if there is none of this ID.

        Args:
            operation_id: The ID.
        """
        digits = operation_id.removeprefix(self.prefix)
        number = int(digits) if digits.isascii() and digits.isdecimal() else self.count
        return number if number < self.count and self.operation_id(number) == operation_id else None

    def is_finished(self, number: int) -> bool:
        """Returns whether an operation has ended.

        Args:
            number: Its number.
        """
        return int((number + 1) * self.finished_share) > int(number * self.finished_share)

    def ends_after(self, number: int) -> timedelta:
        """Returns how long after its planting a finished operation's blobs have succeeded.

        Args:
            number: Its number.
        """
        return timedelta(seconds=self.ends_over_seconds * (number + 1) / self.count)


def crowd_rule(crowd: Crowd, dialect: str, now: Callable[[], datetime]) -> Rule:
    """Returns what a crowd's operations answer, by their ID.

    Args:
        crowd: The crowd.
        dialect: One of `settings.DIALECTS`.
        now: The clock. They all began, and were changed last, at this moment.
    """
    planted_at = now()
    finished = _planted(crowd, BlobStatus.SUCCEEDED, dialect, planted_at)
    in_progress = _planted(crowd, BlobStatus.IN_PROGRESS, dialect, planted_at)

    def rule(operation_id: str) -> Planted | None:
        number = crowd.number(operation_id)
        if number is None:
            return None
        has_ended = crowd.ends_over_seconds == 0 or now() >= planted_at + crowd.ends_after(number)
        return finished if crowd.is_finished(number) and has_ended else in_progress

    return rule


def _planted(crowd: Crowd, status: BlobStatus, dialect: str, now: datetime) -> Planted:
    blobs = [_blob(number, status, now) for number in range(crowd.blobs)]
    operation = Operation("", crowd.database, crowd.table, started_at=now, visible_at=now, blobs=blobs)
    plain = status_body(operation, blobs, dialect)
    detailed = plain | {"details": [blob_body(blob, dialect, show_query=False) for blob in blobs]}
    return Planted([Answer(body=json.dumps(plain))], [Answer(body=json.dumps(detailed))])


def _blob(number: int, status: BlobStatus, now: datetime) -> Blob:
    name = f"{number:06d}"
    return Blob(
        url=f"https://planted.blob.core.windows.net/in/{name}.csv",
        source_id=name,
        own_id=name,
        fault=None,
        counted_at=now,
        started_at=now,
        updated_at=now,
        status=status,
    )
