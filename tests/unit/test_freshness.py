import random

import pytest

from benchmarks import costs
from benchmarks.freshness import KINDS, TICK, all_kinds, as_many_requests, fixed, mixed, watch


def test_a_fixed_interval_sees_an_end_within_it_and_a_tick() -> None:
    rng = random.Random(1)
    for end in (7.0, 100.0, 1_000.0):
        seen = watch([end], fixed(60), rng)
        assert 0 <= seen.after_end <= 60 * 1.1 + TICK
        assert seen.requests == pytest.approx(2 + end / 67, abs=2)


def test_adaptive_intervals_are_about_as_fresh_as_a_fixed_one_and_ask_less_of_what_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.freshness.SAMPLES", 300)
    adaptive = all_kinds("adaptive", costs.POLLING)
    same = as_many_requests(mixed(adaptive, lambda one: one.requests))
    assert sum(kind.share for kind in KINDS) == pytest.approx(1)
    assert mixed(adaptive, lambda one: one.requests) == pytest.approx(mixed(same, lambda one: one.requests), rel=0.1)
    assert mixed(adaptive, lambda one: one.mean) < 1.3 * mixed(same, lambda one: one.mean)
    assert adaptive[-1].requests < same[-1].requests * 0.7
