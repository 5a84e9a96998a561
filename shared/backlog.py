"""How much is waiting: outstanding operations, how far the polls are behind, and messages on the queues.

It is measured by a timer of its own and not by each poll, as it reads what is outstanding: all of it while that is
little; else some of the partitions, another one first each minute, which stand for the others. Operations are spread
over partitions by a hash, so the figure is within a percent.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared import keys, metrics
from shared.ambient import Ambient
from shared.queues import Queue
from shared.records import Census
from shared.store.outstanding import OutstandingOperations

MOST_COUNTED = 100_000
"""Operations that are counted one by one: 100 pages, some seconds."""


class Backlog:
    """Measures what is waiting."""

    def __init__(
        self,
        outstanding: OutstandingOperations,
        queues: Mapping[str, Queue],
        ambient: Ambient,
        most_counted: int = MOST_COUNTED,
    ) -> None:
        self._outstanding = outstanding
        self._queues = queues
        self._now = ambient.now
        self._most_counted = most_counted
        # By partition, when it was counted last: while some are counted at a time, for a quarter of an hour.
        self._oldest: dict[str, datetime | None] = {}

    def measure(self) -> None:
        """Record it all, the queues after the operations, whose counting may take some seconds; then note it."""
        now = self._now()
        census = self._census(now)
        metrics.record(metrics.OPERATIONS_OUTSTANDING, census.outstanding)
        metrics.record(metrics.OPERATIONS_OLDEST_AGE, _seconds(census.oldest_registered_at, now))
        metrics.record(metrics.POLLS_OVERDUE, census.overdue)
        metrics.record(metrics.POLLS_LAG, _seconds(census.first_due_at, now))
        for name, queue in self._queues.items():
            metrics.record(metrics.QUEUE_LENGTH, queue.length(), queue=name)
        self._outstanding.note_backlog(census, now)

    def _census(self, now: datetime) -> Census:
        first, *others = _in_turn(now)
        parts = self._outstanding.census(now, [first])
        further = max(self._most_counted // max(parts[0].outstanding, 1) - 1, 0)
        parts += self._outstanding.census(now, others[:further])
        self._oldest.update(zip([first, *others], (part.oldest_registered_at for part in parts), strict=False))
        firsts = [*(part.first_due_at for part in parts), *self._outstanding.first_due(now, others[further:])]
        return Census(
            outstanding=_of_all(sum(part.outstanding for part in parts), len(parts)),
            overdue=_of_all(sum(part.overdue for part in parts), len(parts)),
            oldest_registered_at=min(filter(None, self._oldest.values()), default=None),
            first_due_at=min(filter(None, firsts), default=None),
        )


def _in_turn(now: datetime) -> Sequence[str]:
    """The partitions, beginning with that of the minute: instances that take turns need not know of each other."""
    place = int(now.timestamp() // 60) % len(keys.SHARDS)
    return keys.SHARDS[place:] + keys.SHARDS[:place]


def _of_all(counted: int, partitions: int) -> int:
    return round(counted * len(keys.SHARDS) / partitions)


def _seconds(since: datetime | None, now: datetime) -> float:
    """0 without a time, and for one that another instance's clock puts after now."""
    return max((now - since).total_seconds(), 0.0) if since else 0.0
