"""Pages of an operation's blobs, whose service may end an answer anywhere."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model import BlobReport, RetryState
from shared.records import BlobRow
from shared.store.results import POINTER, Results
from shared.store.tables import BadPosition, Row, Table
from tests.support.facts import OPERATION
from tests.support.memory_table import MemoryTable

KEYS_ALONE = 2
"""Conditions on the keys."""
STATUSES = ("Succeeded", "Failed", "InProgress")
RETRY_STATES = (RetryState.NONE, RetryState.ENQUEUED, RetryState.RECOVERED)


class Restless(Table):
    """A table whose service looks at few rows for an answer: it may end with none found, and more to come."""

    def __init__(self, looks_at: int) -> None:
        super().__init__(cast("Any", MemoryTable()))
        self.create()
        self._looks_at = looks_at
        self.requests = 0

    def page(
        self,
        condition: str,
        parameters: Mapping[str, str],
        most: int,
        select: Sequence[str] | None = None,
        *,
        until_found: bool = False,
    ) -> tuple[list[Row], bool]:
        assert until_found == (len(condition.split(" and ")) == KEYS_ALONE)
        self.requests += 1
        keys_alone = " and ".join(condition.split(" and ")[:2])
        looked_at, has_more = super().page(keys_alone, parameters, min(self._looks_at, most), select)
        return [row for row in looked_at if _is_met(row, condition, parameters)], has_more


def _is_met(row: Row, condition: str, parameters: Mapping[str, str]) -> bool:
    """Whether a row has, of each list of alternatives in a condition, one."""
    lists = [part.strip("()").split(" or ") for part in condition.split(" and ")[2:]]
    pairs = [[each.split(" eq @") for each in alternatives] for alternatives in lists]
    return all(any(row[column] == parameters[name] for column, name in each) for each in pairs)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 40),
    most=st.integers(1, 12),
    looks_at=st.integers(1, 9),
    statuses=st.lists(st.sampled_from(STATUSES), unique=True),
    retry_states=st.lists(st.sampled_from(RETRY_STATES), unique=True),
)
def test_wherever_the_service_ends_its_answers_each_blob_comes_once(
    count: int, most: int, looks_at: int, statuses: list[str], retry_states: list[RetryState]
) -> None:
    table = Restless(looks_at)
    results = Results(Table(cast("Any", MemoryTable())), table)
    rows = [
        BlobRow(f"{number:032x}", BlobReport(STATUSES[number % 3]), 1, RETRY_STATES[number // 2 % 3])
        for number in range(count)
    ]
    table.insert({"PartitionKey": OPERATION.key, "RowKey": POINTER})
    results.write_blobs(OPERATION, rows)
    found: list[str] = []
    after, pages = None, 0
    while pages == 0 or after:
        before = table.requests
        page = results.blob_page(OPERATION, most, after, statuses, retry_states)
        assert len(page.rows) <= most
        assert table.requests - before <= 2
        found += [row.key for row in page.rows]
        after, pages = page.after, pages + 1
        assert pages < 200
    assert found == [
        row.key
        for row in rows
        if (not statuses or row.report.status in statuses) and (not retry_states or row.retry_state in retry_states)
    ]


@pytest.mark.parametrize(
    "after", [" ", "\x00", "!", "!operation ", "0" * 31, "A" * 32, "0" * 33, "0" * 32 + "\n", "\uffff"]
)
def test_a_made_up_position_is_refused(after: str) -> None:
    # Before the blobs lies the operation's own row, which is none of them.
    table = Table(cast("Any", MemoryTable()))
    table.create()
    table.insert({"PartitionKey": OPERATION.key, "RowKey": POINTER})
    with pytest.raises(BadPosition):
        Results(table, table).blob_page(OPERATION, 10, after)
