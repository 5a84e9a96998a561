from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.store.handed_out import (
    LEASE,
    MOST_RANGES,
    HandedOut,
    Range,
    poll_time_left,
    read_handed_out,
    write_handed_out,
)
from tests.support.facts import NOW

MINUTE = timedelta(minutes=1)


def handed_out(*ranges: str, since: timedelta = timedelta()) -> HandedOut:
    """Ranges of single letters, as "bd"."""
    return HandedOut(tuple(Range(ends[0], ends[1], NOW + since) for ends in ranges))


def test_a_range_holds_its_ends_and_what_is_between() -> None:
    both = handed_out("bd", "gh")
    assert [row for row in "abcdefghi" if both.holds(row)] == ["b", "c", "d", "g", "h"]
    assert not HandedOut().holds("a")


def test_rows_with_a_range_between_them_are_told_apart() -> None:
    both = handed_out("bd", "gh")
    assert (both.place("a"), both.place("e"), both.place("f"), both.place("i")) == (0, 1, 1, 2)


def test_a_note_is_read_without_what_is_past_its_lease() -> None:
    note = write_handed_out(handed_out("bd", since=-LEASE).and_also(handed_out("gh", since=-MINUTE).ranges))
    assert read_handed_out(note, NOW) == handed_out("gh", since=-MINUTE)
    assert read_handed_out(note, NOW - timedelta(seconds=1)).holds("c")


def test_each_dispatch_has_a_lease_of_its_own() -> None:
    first = handed_out("bd", since=-4 * MINUTE)
    note = write_handed_out(first.and_also(handed_out("gh").ranges))
    assert read_handed_out(note, NOW + MINUTE) == handed_out("gh")


def test_polls_are_begun_until_shortly_before_the_end_of_the_lease() -> None:
    assert poll_time_left(NOW, NOW + 4 * MINUTE) == timedelta(seconds=30)
    assert poll_time_left(NOW, NOW + 5 * MINUTE) < timedelta()
    assert poll_time_left(NOW, NOW, timedelta(seconds=10)) == timedelta(seconds=9)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=200))
def test_too_many_ranges_are_joined_and_hold_what_they_held_for_no_shorter_time(ages: list[int]) -> None:
    ranges = [
        Range(f"{place:04}a", f"{place:04}c", NOW - timedelta(seconds=age) + MINUTE) for place, age in enumerate(ages)
    ]
    joined = HandedOut().and_also(ranges)
    assert len(joined.ranges) == min(len(ages), MOST_RANGES)
    assert len(write_handed_out(joined)) < 32_000
    assert list(joined.ranges) == sorted(joined.ranges, key=lambda each: each.first)
    for each in ranges:
        assert joined.holds(each.first)
        assert joined.holds(each.last)
        assert joined.ranges[joined.place(each.first) - 1].since >= each.since
