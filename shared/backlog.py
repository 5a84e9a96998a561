"""How much is waiting: outstanding operations, how far the polls are behind, and messages on the queues.

It is measured by a timer of its own and not by each poll, as it reads all that is outstanding.
"""

from collections.abc import Mapping

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
        age = (now - census.oldest_registered_at).total_seconds() if census.oldest_registered_at else 0.0
        lag = (now - census.first_due_at).total_seconds() if census.first_due_at else 0.0
        metrics.record(metrics.OPERATIONS_OUTSTANDING, census.outstanding)
        metrics.record(metrics.OPERATIONS_OLDEST_AGE, age)
        metrics.record(metrics.POLLS_OVERDUE, census.overdue)
        metrics.record(metrics.POLLS_LAG, max(lag, 0.0))
        for name, queue in self._queues.items():
            metrics.record(metrics.QUEUE_LENGTH, queue.length(), queue=name)
