import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared import keys
from shared.model import Operation
from tests.support.facts import NOW, OPERATION

TIMES = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001, hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
FORBIDDEN = re.compile(r"[/\\#?%\x00-\x1f\x7f-\x9f]")


@given(st.text())
def test_an_escaped_text_comes_back(text: str) -> None:
    assert keys.unescape(keys.escape(text)) == text


@given(st.text(alphabet=st.sampled_from("/\\#?%=|\x00\n\x7f\x85\x9f2FaéAC€😀")))
def test_an_escaped_text_holds_nothing_that_table_storage_forbids(text: str) -> None:
    assert not FORBIDDEN.search(keys.escape(text))
    assert keys.unescape(keys.escape(text)) == text


@given(st.text(), st.text())
def test_different_texts_have_different_keys(one: str, other: str) -> None:
    assert (keys.escape(one) == keys.escape(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("ingest_op_12345", "ingest_op_12345"),
        (
            "00001111;11112222;00001111-aaaa-2222-bbbb-3333cccc4444",
            "00001111;11112222;00001111-aaaa-2222-bbbb-3333cccc4444",
        ),
        ("a/b c%d", "a=2Fb c=25d"),
        ("a=2Fb", "a=3D2Fb"),
        ("\x85", "=C2=85"),
    ],
)
def test_only_what_a_key_cannot_hold_is_escaped(text: str, escaped: str) -> None:
    assert keys.escape(text) == escaped


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("\uffff\U00010000")
def test_characters_are_counted_as_utf16_counts_them(text: str) -> None:
    assert keys.utf16_length(text) == len(text.encode("utf-16-le")) // 2


def test_a_partition_names_day_cluster_database_and_table() -> None:
    assert keys.operations_partition(OPERATION, "help.westeurope", NOW) == "2026-11-24|help.westeurope|Sales|Orders"


def test_a_bar_in_a_name_does_not_make_two_partitions_one() -> None:
    one = Operation(OPERATION.cluster, "a|b", "c", "op")
    other = Operation(OPERATION.cluster, "a", "b|c", "op")
    assert keys.operations_partition(one, "help", NOW) != keys.operations_partition(other, "help", NOW)


def test_a_key_lies_in_one_of_sixteen_shards() -> None:
    shards = {
        keys.shard(Operation(OPERATION.cluster, OPERATION.database, OPERATION.table, f"op{number}").key)
        for number in range(500)
    }
    assert shards == set(keys.SHARDS)
    assert len(keys.SHARDS) == 16
    assert keys.shard(f"a{'0' * 31}") == "a"


@given(TIMES, TIMES)
def test_due_rows_sort_by_time(one: datetime, other: datetime) -> None:
    rows = keys.due_row(one, OPERATION.key), keys.due_row(other, OPERATION.key)
    assert (rows[0] < rows[1]) == (one < other)


@given(TIMES, st.integers(-14, 14))
def test_a_due_row_keeps_its_time_to_the_microsecond(time: datetime, offset: int) -> None:
    elsewhere = time.astimezone(timezone(timedelta(hours=offset)))
    assert keys.due_time(keys.due_row(elsewhere, OPERATION.key)) == time


@given(TIMES, TIMES)
def test_the_range_of_what_is_due_holds_exactly_what_is_due(time: datetime, until: datetime) -> None:
    first, beyond = keys.due_range(until)
    assert (first <= keys.due_row(time, "f" * 32) < beyond) == (time <= until)


def test_the_note_of_a_dispatch_comes_before_the_due_rows_and_the_messages_after() -> None:
    first, beyond = keys.due_range(NOW)
    assert keys.DISPATCHED_ROW < first < beyond < keys.operation_row(OPERATION.key)
