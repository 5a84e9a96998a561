"""Bulk status on Azurite: what is written back, and what survives another instance."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from local.azurite import Azurite
from shared.bulk import MOST_IN_A_ROW
from shared.errors import RequestRejected, Throttled
from shared.model import BulkStatus, Counts, Operation, OperationState
from shared.records import Outstanding
from tests.support.facts import POLLING
from tests.support.parts import Parts, blob, make_parts

BULK = replace(POLLING, bulk_status=True)
URL = "https://acc.blob.core.windows.net/in/a.csv"
_count = iter(range(10_000))


@pytest.fixture
def parts(storage: Azurite) -> Iterator[Parts]:
    with make_parts(storage, f"bulk{next(_count)}", polling=BULK) as made:
        yield made


def watched(parts: Parts, *operation_ids: str) -> list[Operation]:
    """Operations that were seen in progress once."""
    operations = [parts.register(each, URL) for each in operation_ids]
    for each in operations:
        parts.adx.says(each.operation_id, blob(URL, "InProgress"))
    parts.tick()
    parts.adx.asked.clear()
    return operations


def due(parts: Parts) -> dict[str, Outstanding]:
    """What is outstanding, by operation ID."""
    parts.later(minutes=10)
    return {each.operation.operation_id: each for each in parts.outstanding.due(parts.now, 1000).operations}


def test_what_has_not_moved_is_asked_for_together_and_put_off(parts: Parts) -> None:
    watched(parts, "a", "b", "c")
    before = due(parts)
    parts.poller.tick()
    assert parts.adx.asked == []
    (asked,) = parts.adx.asked_in_bulk
    assert sorted(asked) == ["a", "b", "c"]
    after = due(parts)
    for name, each in after.items():
        assert each.polls == before[name].polls + 1 == 2
        assert each.interval > before[name].interval
        assert (each.bulk_polls, each.counts) == (1, Counts(in_progress=1))


def test_only_what_has_moved_is_asked_for_by_itself(parts: Parts) -> None:
    (moved, *_) = watched(parts, "a", "b", "c")
    parts.adx.says("a", blob(URL, "Succeeded"))
    parts.tick()
    assert parts.adx.asked == [("a", False), ("a", True)]
    assert parts.row(moved).state is OperationState.SUCCEEDED
    assert not parts.is_outstanding(moved)


def test_every_fourth_poll_at_the_latest_asks_for_an_operation_itself(parts: Parts) -> None:
    watched(parts, "a", "b")
    for _ in range(2 * (MOST_IN_A_ROW + 1)):
        parts.tick()
    assert len(parts.adx.asked_in_bulk) == 2 * MOST_IN_A_ROW
    assert sorted(parts.adx.asked) == [("a", False), ("a", False), ("b", False), ("b", False)]


def test_what_bulk_does_not_show_is_asked_for_by_itself_for_good_by_any_instance(parts: Parts) -> None:
    watched(parts, "a", "b", "c")
    parts.adx.bulk["a"] = None
    parts.tick()
    assert parts.adx.asked == [("a", False)]
    del parts.adx.bulk["a"]
    parts.configure(BULK)
    parts.tick()
    parts.tick()
    assert parts.adx.asked == [("a", False)] * 3
    assert [sorted(each) for each in parts.adx.asked_in_bulk] == [["a", "b", "c"], ["b", "c"], ["b", "c"]]
    assert {name: each.rest_only for name, each in due(parts).items()} == {"a": True, "b": False, "c": False}


def test_a_row_of_a_version_without_it_is_read_and_none_is_written_without_need(parts: Parts) -> None:
    parts.configure(POLLING)
    watched(parts, "a")
    (row,) = parts.tables["Outstanding"].query(
        "RowKey ge @first and RowKey lt @beyond", {"first": "due|", "beyond": "due~"}
    )
    assert not {"BulkPolls", "RestOnly"} & row.keys()
    assert (due(parts)["a"].bulk_polls, due(parts)["a"].rest_only) == (0, False)


def test_a_command_that_is_refused_leaves_everything_to_be_asked_one_by_one(parts: Parts) -> None:
    watched(parts, "a", "b")
    parts.adx.bulk_error = RequestRejected("no such command")
    for _ in range(3):
        parts.tick()
    assert len(parts.adx.asked_in_bulk) == 1, "it is left alone for an hour"
    assert len(parts.adx.asked) == 6
    assert not any(each.rest_only for each in due(parts).values())


def test_a_cluster_that_throttles_the_command_is_left_alone_for_the_rest_of_the_run(parts: Parts) -> None:
    watched(parts, "a", "b")
    parts.adx.bulk_error = Throttled("busy")
    parts.tick()
    assert parts.adx.asked == []
    assert {each.last_error for each in due(parts).values()} == {"busy"}
    assert {each.polls for each in due(parts).values()} == {1}


def test_an_end_that_bulk_shows_is_believed_of_the_operation_alone(parts: Parts) -> None:
    operations = watched(parts, "a", "b")
    for each in operations:
        parts.adx.bulk[each.operation_id] = BulkStatus(counts=Counts(succeeded=1))
    parts.tick()
    assert len(parts.adx.asked) == 2
    assert all(map(parts.is_outstanding, operations))
