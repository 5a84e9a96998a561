import pytest

from benchmarks.floor import Rate
from benchmarks.polling import Round, Spent, expect

FLOOR = (Rate(1_000, 0.5, 0.4), Rate(1_000, 1.0, 0.5), Rate(1_000, 4.0, 0.9))


def test_a_round_is_told_beside_the_median_of_its_looks_at_the_floor() -> None:
    whole = Spent(polls=2_000, details=100, seconds=2.5, cpu=3.0)
    done = Round(2_000, 0.0, tick=Spent(), whole=whole, floor=FLOOR, storage=500)
    assert done.share == pytest.approx(800 / 1_000)
    assert done.cpu == pytest.approx(1.5 / 0.5)
    assert done.adx == 2_100


def test_what_was_spent_adds_up_and_a_part_of_it_is_of_its_time_alone() -> None:
    tick, batches = Spent(0, 0, 1.0, 0.5), Spent(300, 15, 2.0, 1.5)
    assert tick + batches == Spent(300, 15, 3.0, 2.0)
    assert Spent(300, 15, 2.0, 1.0).part(0.25) == Spent(300, 15, 0.5, 0.25)


@pytest.mark.parametrize(("polls", "details"), [(0, 0), (900, 45), (1_100, 55), (1_000, 0), (1_000, 100)])
def test_a_round_in_which_something_else_was_polled_than_was_due_is_none(polls: int, details: int) -> None:
    with pytest.raises(RuntimeError, match="of 1,000 operations"):
        expect(1_000, polls, details)


def test_a_round_in_which_all_was_polled_is_one() -> None:
    expect(1_000, 1_000, 50)
    expect(1_000, 990, 45, inexact=0.05)
