"""Retention: results of operations that were registered longer ago than ``RESULTS_RETENTION_DAYS`` are removed.

So are the rows of redrives that are as old.
"""

from datetime import timedelta

from shared.ambient import Ambient
from shared.store.redrives import Redrives
from shared.store.results import Results
from shared.store.tables import Conflict
from shared.telemetry import event


class Pruner:
    """Removes old results."""

    def __init__(
        self,
        results: Results,
        redrives: Redrives,
        retention: timedelta | None,
        budget: timedelta,
        ambient: Ambient,
    ) -> None:
        self._results = results
        self._redrives = redrives
        self._retention = retention
        self._budget = budget
        self._ambient = ambient

    def prune(self) -> None:
        """Remove what is past retention; what there is no time for is left to the next run."""
        if self._retention is None:
            return
        began = self._ambient.now()
        operations = blobs = 0
        is_complete = True
        day = (began - self._retention).date()
        for pointer, operation in self._results.settled_before(day):
            if self._ambient.now() - began >= self._budget:
                is_complete = False
                break
            try:
                deleted = self._results.delete(pointer, operation, unless_redriven_since=day)
            except Conflict:
                # Another run is at the same rows; whatever it leaves is found again.
                continue
            operations += deleted is not None
            blobs += deleted or 0
        redrives = self._redrives.prune(day) if is_complete else 0
        event(
            "results.pruned",
            "removed results past retention" if is_complete else "removed some results, more are past retention",
            operations=operations,
            blobs=blobs,
            redrives=redrives,
            retention_days=self._retention.days,
        )
