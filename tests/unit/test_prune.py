from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from typing import Any, cast

import pytest

from shared.model import Operation
from shared.prune import Pruner
from shared.records import Pointer
from shared.store.tables import Conflict
from tests.support.facts import CLUSTER, NOW, surroundings

SIDE_BY_SIDE = 4


class OldResults:
    """So many old operations, each of whose deletions waits for others; the second meets somebody else's."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.deleted: list[str] = []
        self._together = Barrier(SIDE_BY_SIDE)

    def settled_before(self, day: date) -> Iterator[tuple[Pointer, Operation]]:
        assert day == (NOW - timedelta(days=90)).date()
        for number in range(self.count):
            yield Pointer("p", str(number), NOW), Operation(CLUSTER, "db", "t", str(number))

    def delete(self, _: Pointer, operation: Operation, unless_redriven_since: date) -> int:
        assert unless_redriven_since
        self._together.wait(timeout=30)
        if operation.operation_id == "1":
            raise Conflict(0)
        self.deleted.append(operation.operation_id)
        return 2


class NoRedrives:
    def prune(self, _: date) -> int:
        return 0


def test_operations_are_pruned_side_by_side(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tracker")
    results = OldResults(3 * SIDE_BY_SIDE)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        Pruner(
            cast("Any", results),
            cast("Any", NoRedrives()),
            timedelta(days=90),
            timedelta(seconds=60),
            surroundings(),
            executor=threads,
        ).prune()
    assert sorted(results.deleted, key=int) == [str(number) for number in range(12) if number != 1]
    facts = vars(caplog.records[-1])
    assert (facts["operations"], facts["blobs"]) == (11, 22)
