from datetime import timedelta

import pytest

from benchmarks.scale import Paper, Setup, Simulation

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("outstanding", [1_000, 5_000])
def test_the_simulation_polls_as_often_as_the_formula_says(outstanding: int) -> None:
    setup = Setup(outstanding, HOUR)
    figures = Simulation(setup).run()
    assert figures.polls_a_second == pytest.approx(Paper(setup).polls_a_second, rel=0.1)
    assert 0 < figures.lag(0.5) <= figures.lag(0.99) < 2 * setup.tick
    assert (figures.throttled, figures.stale) == (0, 0)


def test_too_few_instances_are_late_and_a_cluster_that_throttles_is_asked_in_vain() -> None:
    few = Simulation(Setup(5_000, HOUR, cpu=0.2, most_instances=1)).run()
    assert few.lag(0.5) > 60
    assert few.stale > 0
    throttling = Simulation(Setup(5_000, HOUR, adx_limit=10)).run()
    assert 0 < throttling.throttled < throttling.polls
    assert throttling.polls - throttling.throttled <= 10 * 8 * 60 + 10
