"""Pages of a listing out of 16 partitions, whose service may end an answer anywhere; and the names of list rows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import keys
from shared.model import Counts, Operation, OperationState
from shared.records import Summary
from shared.store.list_rows import LONGEST_NAME, MOST_ROWS, Entry, ending_writes, inverted, listing_writes
from shared.store.listing import MOST_SUMMARY_ROUNDS, Filter, Listing
from shared.store.tables import Table
from shared.summary import Span, sum_up
from tests.support.facts import CLUSTER, NOW
from tests.support.inline_executor import InlineExecutor
from tests.support.restless import Restless

"""Conditions on the keys."""
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001, made aware by the strategy
RUNNING = Summary(OperationState.IN_PROGRESS, Counts(), None, None, 0)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(code) for code in range(32)]), min_size=1
)


def entry(operation_id: str, registered_at: datetime = NOW, database: str = "db", root: str | None = None) -> Entry:
    operation = Operation(CLUSTER, database, "events", operation_id)
    return Entry(operation, registered_at, "2026-11-24|c|db|events", root or operation_id, 2 if root else 1)


def table_of(entries: Sequence[Entry], looks_at: int = 1_000) -> Restless:
    table = Restless(looks_at, keys_alone=3)
    for each in entries:
        table.write(listing_writes(each, RUNNING))
    return table


def listing(table: Table) -> Listing:
    return Listing(table, InlineExecutor())


def read_all(listing: Listing, wanted: Filter, most: int) -> list[str]:
    found: list[str] = []
    after = None
    for _ in range(500):
        page = listing.page(wanted, most, after)
        found += [each.operation.operation_id for each in page.items]
        after = page.after
        if after is None:
            return found
    raise AssertionError("the listing has no end")


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 60), most=st.integers(1, 25), looks_at=st.integers(1, 8), every=st.integers(1, 7))
def test_wherever_the_service_ends_its_answers_nothing_is_lost_or_doubled(
    count: int, most: int, looks_at: int, every: int
) -> None:
    entries = [
        entry(f"op-{number}", NOW + timedelta(seconds=number // 3), "wanted" if number % every == 0 else "other")
        for number in range(count)
    ]
    newest_first = [each.operation for each in sorted(entries, key=lambda each: each.place)]
    found = listing(table_of(entries, looks_at))
    assert read_all(found, Filter(), most) == [each.operation_id for each in newest_first]
    wanted = [each.operation_id for each in newest_first if each.database == "wanted"]
    assert read_all(found, Filter(database="wanted"), most) == wanted
    since, until = NOW + timedelta(seconds=3), NOW + timedelta(seconds=9)
    between = [
        each.operation.operation_id
        for each in sorted(entries, key=lambda each: each.place)
        if since <= each.registered_at < until
    ]
    assert read_all(found, Filter(since=since, until=until), most) == between


def test_a_page_that_finds_nothing_for_long_is_given_up_and_goes_on() -> None:
    entries = [entry(f"op-{number}", NOW + timedelta(seconds=number)) for number in range(400)]
    oldest = entry("wanted", NOW - timedelta(seconds=1), "wanted")
    table = table_of([*entries, oldest], looks_at=2)
    first = listing(table).page(Filter(database="wanted"), 5)
    assert first.items == ()
    assert first.after is not None
    assert table.requests <= 16 * 4 * 2
    assert read_all(listing(table), Filter(database="wanted"), 5) == ["wanted"]


def test_a_summary_that_looks_at_too_many_others_ends_and_is_not_complete() -> None:
    entries = [entry(f"op-{number}", NOW + timedelta(seconds=number)) for number in range(500)]
    newest, oldest = (
        entry("newest", NOW + timedelta(hours=1), "wanted"),
        entry("oldest", NOW - timedelta(seconds=1), "wanted"),
    )
    table = table_of([newest, *entries, oldest], looks_at=1)
    span = Span(NOW - timedelta(hours=1), NOW + timedelta(hours=2))
    wanted = Filter(database="wanted", since=span.since, until=span.until)
    summed = sum_up(listing(table).summary(wanted, 100), span)
    assert (summed.counted, summed.is_complete) == (1, False)
    assert table.requests <= 16 * 2 * MOST_SUMMARY_ROUNDS
    assert sum_up(listing(table_of([newest, oldest])).summary(wanted, 100), span).is_complete


@given(TIMES, TIMES)
def test_a_later_time_sorts_before_an_earlier_one(one: datetime, other: datetime) -> None:
    assert (inverted(one) < inverted(other)) == (one > other)
    assert len(inverted(one)) == 18


@given(TEXTS, TEXTS, st.sampled_from(OperationState))
def test_list_rows_have_keys_that_are_allowed_and_none_twice(
    operation_id: str, root: str, state: OperationState
) -> None:
    row_keys = entry(operation_id, root=root).row_keys(state)
    assert len(set(row_keys)) == len(row_keys) <= MOST_ROWS
    for key in row_keys:
        assert keys.utf16_length(key) <= keys.LONGEST_KEY
        assert not set(key) & set("/\\#?%\t\n\r\x7f\x80")


@pytest.mark.parametrize("name", ["x" * 512, "\U0001f600" * 256, "#" * 512, "ä" * 440 + "/"])
def test_the_longest_names_fit(name: str) -> None:
    fitted = keys.fitted(name, LONGEST_NAME)
    assert keys.utf16_length(fitted) <= LONGEST_NAME
    assert fitted.encode().decode() == fitted
    assert keys.fitted(f"{name}x", LONGEST_NAME) != fitted
    longest = max(map(keys.utf16_length, entry(name, root=f"{name}y").row_keys(OperationState.PARTIALLY_SUCCEEDED)))
    assert longest <= keys.LONGEST_KEY


def test_what_fits_is_kept_as_it_is() -> None:
    assert keys.fitted("a/b", 5) == "a=2Fb"
    assert keys.fitted("x" * LONGEST_NAME, LONGEST_NAME) == "x" * LONGEST_NAME


def test_an_end_writes_the_row_of_its_state_and_takes_that_of_the_other() -> None:
    ended = Summary(OperationState.FAILED, Counts(failed=1), None, None, 1, first_error_code="e" * 1_000)
    operation = entry("op")
    writes = ending_writes(operation, ended, NOW)
    assert [(kind, row["RowKey"]) for kind, row, *_ in writes] == [
        ("delete", operation.state_row(OperationState.IN_PROGRESS)),
        ("upsert", operation.all_row),
        ("upsert", operation.state_row(OperationState.FAILED)),
    ]
    copy = writes[1][1]
    assert (copy["State"], copy["Failed"], copy["SettledAt"], len(copy["FirstErrorCode"])) == ("Failed", 1, NOW, 200)
