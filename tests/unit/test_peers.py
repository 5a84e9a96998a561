"""What the comparison with peers reckons: the orchestration by hand, and one operation's share of a crowd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import peers
from benchmarks.orchestration_peer import Transactions, transactions, transactions_alone
from benchmarks.wire import Asked, Tally

LOOK = Asked("table", "GET", "query", "OutstandingOperations")
READ = Asked("table", "GET", "query", "IngestionBlobs")
MOVE = Asked("table", "POST", "transaction", "OutstandingOperations")
PLAIN = Asked("adx", "GET", "status")
DETAILED = Asked("adx", "GET", "status with details")
PUT = Asked("queue", "POST", "put", "ingestion-retries")


def test_an_orchestration_that_polls_once() -> None:
    start_in_tables = 3
    read_append_merge = 3
    assert transactions(1, 20) == Transactions(
        table=start_in_tables + 2 * read_append_merge + 1,
        # The start's put, its get and delete, the activity's four, the result's get and delete.
        queue=1 + 1 / 32 + 1 + 4 + 1 / 32 + 1,
    )


def test_each_further_poll_is_two_runs_an_activity_and_a_timer() -> None:
    two, three = transactions(2, 20), transactions(3, 20)
    assert three.table - two.table == 6
    assert three.queue - two.queue == 4 + 1 + 2 * (1 + 1 / 32)


def test_a_long_history_is_read_page_by_page() -> None:
    # The 251st run finds 1,000 events and the sentinel.
    assert transactions(125, 1).table - transactions(124, 1).table == 6
    assert transactions(126, 1).table - transactions(125, 1).table == 8


def test_alone_it_has_each_look_at_the_queue_to_itself() -> None:
    assert transactions_alone(10, 20).queue == round(transactions_alone(10, 20).queue)
    assert transactions_alone(10, 20).table == transactions(10, 20).table


@given(st.integers(1, 300), st.integers(1, 2_000))
def test_polls_and_blobs_only_add(polls: int, blobs: int) -> None:
    assert transactions(polls, blobs).storage < transactions(polls + 1, blobs).storage
    assert transactions(polls, blobs).storage <= transactions(polls, blobs + 1).storage
    assert transactions(polls, blobs).storage < transactions_alone(polls, blobs).storage


def test_one_operations_share() -> None:
    tally = Tally({LOOK: 16, READ: 10, MOVE: 5, PLAIN: 10, DETAILED: 20, PUT: 5})
    share = peers.share(tally, operations=10, crowd=500)
    assert share.table == pytest.approx(16 / 500 + 1 + 0.5)
    assert (share.queue, share.plain, share.detailed) == (0.5, 1, 2)
    assert share.storage == pytest.approx(share.table + 0.5)
    assert share.adx == 3


def test_tallies_add_up_by_what_was_asked() -> None:
    both = Tally({LOOK: 16}, {LOOK: 3}) + Tally({LOOK: 16, PUT: 1}, {LOOK: 4})
    assert both == Tally({LOOK: 32, PUT: 1}, {LOOK: 7})
    assert both.about("queue") == Tally({PUT: 1}, {})


@pytest.mark.parametrize(("minutes", "theirs", "ours"), [(1, 2, 3), (5, 6, 7), (60, 61, 20)])
def test_how_often_each_polls(minutes: int, theirs: int, ours: int) -> None:
    assert (peers.peers_polls(minutes), peers.our_polls(minutes)) == (theirs, ours)
