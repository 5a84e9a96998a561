"""How much is waiting: outstanding operations, how far the polls are behind, and messages on the queues.

It is measured by a timer of its own and not by each poll, as it reads all that is outstanding.
"""

from collections.abc import Mapping
from datetime import datetime

from shared import metrics
from shared.ambient import Ambient
from shared.queues import Queue
from shared.store.outstanding import OutstandingOperations


class Backlog:
    """Measures what is waiting."""

    def __init__(self, outstanding: OutstandingOperations, queues: Mapping[str, Queue], ambient: Ambient) -> None:
        self._outstanding = outstanding
        self._queues = queues
        self._now = ambient.now

    def measure(self) -> None:
        """Record it all, the queues last: counting operations may take some seconds."""
        now = self._now()
        census = self._outstanding.census(now)
        metrics.record(metrics.OPERATIONS_OUTSTANDING, census.outstanding)
        metrics.record(metrics.OPERATIONS_OLDEST_AGE, _seconds(census.oldest_registered_at, now))
        metrics.record(metrics.POLLS_OVERDUE, census.overdue)
        metrics.record(metrics.POLLS_LAG, _seconds(census.first_due_at, now))
        for name, queue in self._queues.items():
            metrics.record(metrics.QUEUE_LENGTH, queue.length(), queue=name)


def _seconds(since: datetime | None, now: datetime) -> float:
    """0 without a time, and for one that another instance's clock puts after now."""
    return max((now - since).total_seconds(), 0.0) if since else 0.0
