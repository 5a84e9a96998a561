from datetime import timedelta
from itertools import accumulate, pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backoff import GROWTH, next_interval, put_back_delay, retry_delay, spread

LEAST, MOST = timedelta(seconds=20), timedelta(seconds=300)
FLOOR = timedelta(seconds=5)
ALMOST_ONE = 1 - 2**-53
RANDOM = st.floats(0, 1, exclude_max=True)
SECONDS = st.integers(0, 7 * 24 * 3600 - 1)


def test_an_interval_grows_to_its_most_in_eleven_polls_while_nothing_moves() -> None:
    grown = list(
        accumulate(
            repeat(None, 11), lambda now, _: next_interval(now, moved=False, least=LEAST, most=MOST), initial=LEAST
        )
    )
    assert all(before < after for before, after in pairwise(grown))
    assert grown[1] == timedelta(seconds=26)
    assert grown[11] == MOST
    assert next_interval(MOST, moved=False, least=LEAST, most=MOST) == MOST


def test_an_interval_falls_back_when_something_moved() -> None:
    assert next_interval(MOST, moved=True, least=LEAST, most=MOST) == LEAST


def test_an_interval_stored_under_other_settings_is_brought_within_the_present_ones() -> None:
    assert next_interval(timedelta(), moved=False, least=LEAST, most=MOST) == LEAST * GROWTH
    assert next_interval(timedelta(hours=9), moved=False, least=LEAST, most=MOST) == MOST


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 90), (0.5, 100), (0.75, 105)])
def test_a_spread_is_a_tenth_either_way(random: float, seconds: int) -> None:
    assert spread(timedelta(seconds=100), lambda: random) == timedelta(seconds=seconds)


@given(st.timedeltas(timedelta(), timedelta(days=7)), RANDOM)
def test_a_spread_stays_within_a_tenth(interval: timedelta, random: float) -> None:
    assert abs(spread(interval, lambda: random) - interval) <= interval * 0.1 + timedelta.resolution


@pytest.mark.parametrize(("attempt", "bound"), [(1, 60), (2, 120), (3, 240), (6, 1920), (7, 3600), (41, 3600)])
def test_a_retry_waits_from_half_a_bound_to_the_bound_which_doubles_to_the_cap(attempt: int, bound: int) -> None:
    base, most = timedelta(seconds=60), timedelta(hours=1)
    assert retry_delay(attempt, base=base, most=most, random=lambda: 0.0) == timedelta(seconds=bound) / 2
    assert retry_delay(attempt, base=base, most=most, random=lambda: 0.5) == timedelta(seconds=bound) * 0.75
    assert retry_delay(attempt, base=base, most=most, random=lambda: ALMOST_ONE) <= timedelta(seconds=bound)


@pytest.mark.parametrize(("attempt", "base"), [(41, 100), (29, 604_799), (100, 604_799), (2**31 - 1, 604_799)])
def test_a_late_attempt_with_a_long_base_still_has_a_delay(attempt: int, base: int) -> None:
    most = timedelta(seconds=604_799)
    delay = retry_delay(attempt, base=timedelta(seconds=base), most=most, random=lambda: ALMOST_ONE)
    assert most * 0.99 <= delay <= most


@given(st.integers(1, 2**31 - 1), SECONDS, SECONDS, RANDOM)
def test_a_retry_never_waits_longer_than_the_cap_nor_less_than_half_the_bound(
    attempt: int, base: int, most: int, random: float
) -> None:
    first, cap = timedelta(seconds=base), timedelta(seconds=most)
    delay = retry_delay(attempt, base=first, most=cap, random=lambda: random)
    assert min(first, cap) / 2 <= delay <= cap


def test_without_a_base_a_retry_is_visible_at_once() -> None:
    assert retry_delay(3, base=timedelta(), most=timedelta(hours=1), random=lambda: 0.9) == timedelta()


@pytest.mark.parametrize(
    ("waited", "base", "seconds"),
    [(0, 0, 5), (0, 60, 60), (60, 60, 60), (1200, 60, 600), (100_000, 60, 3600), (-30, 60, 60)],
)
def test_a_message_put_back_stays_away_half_as_long_as_it_has_waited(waited: int, base: int, seconds: int) -> None:
    delay = put_back_delay(
        timedelta(seconds=waited), base=timedelta(seconds=base), most=timedelta(hours=1), random=lambda: 0.5
    )
    assert delay == timedelta(seconds=seconds)


def test_a_message_put_back_never_stays_away_longer_than_the_cap() -> None:
    most = timedelta(hours=1)
    assert put_back_delay(timedelta(days=1), base=timedelta(), most=most, random=lambda: 0.9) == most


@pytest.mark.parametrize("most", [0, 4, 5])
def test_a_message_put_back_stays_away_for_a_moment_whatever_the_cap(most: int) -> None:
    cap = timedelta(seconds=most)
    assert put_back_delay(timedelta(hours=1), base=timedelta(), most=cap, random=lambda: 0.5) == FLOOR


@given(st.timedeltas(timedelta(days=-1), timedelta(days=60)), SECONDS, SECONDS, RANDOM)
def test_a_message_put_back_is_away_between_the_floor_and_the_cap(
    waited: timedelta, base: int, most: int, random: float
) -> None:
    cap = timedelta(seconds=most)
    delay = put_back_delay(waited, base=timedelta(seconds=base), most=cap, random=lambda: random)
    assert FLOOR <= delay <= max(cap, FLOOR)
