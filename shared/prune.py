"""Retention: results of operations that were registered longer ago than ``RESULTS_RETENTION_DAYS`` are removed.

So are the rows of redrives that are as old.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from datetime import date, timedelta
from functools import partial
from itertools import batched

from shared.ambient import Ambient
from shared.records import Pointer, Pruned
from shared.store.list_rows import ListRows
from shared.store.redrives import Redrives
from shared.store.results import Results
from shared.store.tables import Conflict
from shared.telemetry import event

_AT_ONCE = 96
"""Operations that are begun with before the time is looked at again: half a dozen of each partition of list rows."""


class Pruner:
    """Removes old results."""

    def __init__(
        self,
        results: Results,
        list_rows: ListRows,
        redrives: Redrives,
        retention: timedelta | None,
        budget: timedelta,
        ambient: Ambient,
        *,
        executor: Executor,
        untold: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        """``untold`` reads the keys of operations whose news waits: they are still to be told of, and are kept."""
        self._results = results
        self._list_rows = list_rows
        self._redrives = redrives
        self._retention = retention
        self._budget = budget
        self._ambient = ambient
        self._executor = executor
        self._untold = untold

    def prune(self) -> None:
        """Remove what is past retention; what there is no time for is left to the next run."""
        if self._retention is None:
            return
        began = self._ambient.now()
        operations = blobs = 0
        is_complete = True
        day = (began - self._retention).date()
        for group in batched(self._past(day), _AT_ONCE, strict=False):
            if self._ambient.now() - began >= self._budget:
                is_complete = False
                break
            deleted = list(self._executor.map(partial(self._delete_blobs, day), group))
            gone = [old for old, count in zip(group, deleted, strict=True) if count is not None]
            blobs += sum(filter(None, deleted))
            # An operation's own row is the last, so that a deletion cut short is found again.
            self._list_rows.remove(gone)
            operations += self._delete_rows(gone)
        redrives = self._redrives.prune(day) if is_complete else 0
        event(
            "results.pruned",
            "removed results past retention" if is_complete else "removed some results, more are past retention",
            operations=operations,
            blobs=blobs,
            redrives=redrives,
            retention_days=self._retention.days,
        )

    def _past(self, day: date) -> Iterator[Pruned]:
        """What is past retention, and has been told."""
        untold: Collection[str] | None = None
        for old in self._results.settled_before(day):
            if untold is None:
                # Most runs find nothing, and have no need of it.
                untold = self._untold()
            if old.operation.key not in untold:
                yield old

    def _delete_blobs(self, day: date, old: Pruned) -> int | None:
        """Delete what is stored of an operation's blobs; how many they were, None where they stay."""
        try:
            return self._results.delete_blobs(old.operation, unless_redriven_since=day)
        except Conflict:
            # Another run is at the same rows; whatever it leaves is found again.
            return None

    def _delete_rows(self, gone: Sequence[Pruned]) -> int:
        """Delete operations' own rows, those of one partition together; how many there were."""
        by_partition: dict[str, list[Pointer]] = {}
        for each in gone:
            by_partition.setdefault(each.pointer.partition, []).append(each.pointer)
        return sum(self._executor.map(self._results.delete_operations, by_partition.values()))
