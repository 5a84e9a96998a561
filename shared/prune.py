"""Retention: results of operations that were registered longer ago than ``RESULTS_RETENTION_DAYS`` are removed.

So are the rows of redrives that are as old.
"""

from concurrent.futures import Executor
from datetime import date, timedelta
from functools import partial
from itertools import batched

from shared.ambient import Ambient
from shared.model import Operation
from shared.records import Pointer
from shared.store.redrives import Redrives
from shared.store.results import Results
from shared.store.tables import Conflict
from shared.telemetry import event

_AT_ONCE = 64
"""Operations that are begun with before the time is looked at again."""


class Pruner:
    """Removes old results."""

    def __init__(
        self,
        results: Results,
        redrives: Redrives,
        retention: timedelta | None,
        budget: timedelta,
        ambient: Ambient,
        *,
        executor: Executor,
    ) -> None:
        self._results = results
        self._redrives = redrives
        self._retention = retention
        self._budget = budget
        self._ambient = ambient
        self._executor = executor

    def prune(self) -> None:
        """Remove what is past retention; what there is no time for is left to the next run."""
        if self._retention is None:
            return
        began = self._ambient.now()
        operations = blobs = 0
        is_complete = True
        day = (began - self._retention).date()
        for group in batched(self._results.settled_before(day), _AT_ONCE, strict=False):
            if self._ambient.now() - began >= self._budget:
                is_complete = False
                break
            for deleted in self._executor.map(partial(self._delete, day), group):
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

    def _delete(self, day: date, old: tuple[Pointer, Operation]) -> int | None:
        """Delete an operation's results; how many blobs they were of, None where they stay."""
        try:
            return self._results.delete(*old, unless_redriven_since=day)
        except Conflict:
            # Another run is at the same rows; whatever it leaves is found again.
            return None
