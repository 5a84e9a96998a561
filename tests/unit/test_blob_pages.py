"""Pages of an operation's blobs, whose service may end an answer anywhere."""

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model import BlobReport, RetryState
from shared.records import BlobRow
from shared.store.results import POINTER, Results
from shared.store.tables import BadPosition, Table
from tests.support.facts import OPERATION
from tests.support.memory_table import MemoryTable
from tests.support.restless import Restless

"""Conditions on the keys."""
STATUSES = ("Succeeded", "Failed", "InProgress")
RETRY_STATES = (RetryState.NONE, RetryState.ENQUEUED, RetryState.RECOVERED)


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
    table = Restless(looks_at, keys_alone=2)
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
