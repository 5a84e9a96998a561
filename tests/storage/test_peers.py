"""The app and the naive peer through the counting proxy: what the comparison counts is what they do."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from benchmarks import costs
from benchmarks.watched import Stage, staged, ticks_until
from shared.keys import SHARDS

TIMES = costs.poll_times(timedelta(minutes=1))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as running:
        yield running


def test_the_naive_peer_writes_rows_one_by_one(stage: Stage) -> None:
    life = stage.watch_naively(2, 20, 3)
    assert life.registration.storage == 2
    look, updates = 1, 2
    assert [tally.storage for tally in life.polls] == [look + updates] * 2
    assert life.end.storage == look + updates + 2 * 20
    assert [tally.adx for tally in (*life.polls, life.end)] == [2, 2, 2]
    assert life.end.of("adx", kind="status with details") == 2


def test_an_operation_alone_has_every_tick_to_itself(stage: Stage) -> None:
    life = stage.watch(1, 20, TIMES, every_tick=True)
    assert (life.message.storage, life.registration.storage) == (2, costs.REGISTRATION)
    assert [tally.storage for tally in life.polls] == [len(SHARDS) + 1 + costs.NOTE] * 2
    assert life.end.of("adx", kind="status with details") == 1
    assert [tally.storage for tally in life.idle] == [len(SHARDS) + costs.NOTE] * (ticks_until(TIMES[-1]) - len(TIMES))


def test_a_crowd_shares_the_looks_and_the_messages_gets(stage: Stage) -> None:
    life = stage.watch(20, 1, TIMES)
    assert life.message.of("queue", kind="get") == 2
    assert life.registration.storage == 20 * costs.REGISTRATION
    assert all(len(SHARDS) < tally.storage <= 2 * len(SHARDS) for tally in life.polls)
    assert [tally.adx for tally in (*life.polls, life.end)] == [20, 20, 40]


def test_who_is_not_polled_when_reckoned_is_told(stage: Stage) -> None:
    with pytest.raises(RuntimeError, match=r"67\.5 s after registration ADX was asked 0 times, not 2"):
        stage.watch(1, 1, [22.5, 52.5, 67.5])
