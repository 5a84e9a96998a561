from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from typing import Any, cast

import pytest

from shared.model import Operation, OperationState
from shared.prune import Pruner
from shared.records import Pointer, Pruned
from shared.store.tables import Conflict
from tests.support.facts import CLUSTER, NOW, surroundings

SIDE_BY_SIDE = 4


class OldResults:
    """So many old operations, each of whose deletions waits for others; the second meets somebody else's."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.deleted: list[str] = []
        self.unlisted: set[str] = set()
        self._together = Barrier(SIDE_BY_SIDE)

    def settled_before(self, day: date) -> Iterator[Pruned]:
        assert day == (NOW - timedelta(days=90)).date()
        for number in range(self.count):
            operation, pointer = Operation(CLUSTER, "db", "t", str(number)), Pointer("p", str(number), NOW)
            yield Pruned(operation, pointer, OperationState.SUCCEEDED, operation.operation_id, 1)

    def delete_blobs(self, operation: Operation, unless_redriven_since: date) -> int:
        assert unless_redriven_since
        self._together.wait(timeout=30)
        if operation.operation_id == "1":
            raise Conflict(0)
        return 2

    def delete_operations(self, pointers: Sequence[Pointer]) -> int:
        assert {pointer.row for pointer in pointers} <= self.unlisted, "an operation's own row is the last"
        self.deleted += [pointer.row for pointer in pointers]
        return len(pointers)

    def remove(self, pruned: Sequence[Pruned]) -> None:
        self.unlisted |= {each.operation.operation_id for each in pruned}


class NoRedrives:
    def prune(self, _: date) -> int:
        return 0


def test_operations_are_pruned_side_by_side(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tracker")
    results = OldResults(3 * SIDE_BY_SIDE)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        Pruner(
            cast("Any", results),
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
