from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import Counts, OperationState, StatusReport
from shared.progress import (
    NoAnswer,
    Pace,
    after_no_answer,
    after_not_found,
    after_report,
    is_overdue,
    needs_details,
)
from shared.records import Outstanding
from tests.support.facts import NOW, POLLING, failed, outstanding, surroundings

PACE = Pace(POLLING, surroundings())
GRACE = POLLING.not_found_grace
OLD = NOW - POLLING.tracking_timeout
SECOND = timedelta(seconds=1)
RANDOM = st.floats(0, 1, exclude_max=True)
WAITS = st.timedeltas(timedelta(), timedelta(hours=1))


def pace(random: float) -> Pace:
    return Pace(POLLING, surroundings(random))


def still(outcome: Outstanding | OperationState) -> Outstanding:
    assert isinstance(outcome, Outstanding)
    return outcome


def counting(**counts: int) -> StatusReport:
    return StatusReport(Counts(**counts))


# Answers


def test_the_interval_grows_while_the_counts_stand_still_and_falls_back_when_they_move() -> None:
    at, now = outstanding(counts=Counts(in_progress=2)), NOW
    waits = []
    for report in [counting(in_progress=2)] * 13 + [counting(in_progress=1, succeeded=1)]:
        at = after_report(at, report, 0, now, PACE)
        waits.append((at.next_poll_at - now).total_seconds())
        now = at.next_poll_at
    assert waits[:3] == [19.5, 25.35, 32.955]
    assert waits[11:] == [300, 300, 15]


def test_the_first_counts_are_a_movement() -> None:
    at = after_report(outstanding(interval=timedelta(seconds=60)), counting(in_progress=1), 0, NOW, PACE)
    assert at.interval == POLLING.min_interval


@given(RANDOM, WAITS)
def test_the_next_poll_is_spread_by_a_tenth_around_the_interval(random: float, interval: timedelta) -> None:
    at = after_report(outstanding(interval=interval), StatusReport(), 0, NOW, pace(random))
    assert POLLING.min_interval <= at.interval <= POLLING.max_interval
    assert abs(at.next_poll_at - NOW - at.interval) <= at.interval * 0.1 + timedelta.resolution


def test_an_answer_is_written_down_and_ends_a_run_of_errors() -> None:
    before = outstanding(
        polls=3, not_found_since=OLD, errors_since=OLD, last_error="HTTP 503", recorded_failures=1, etag="e1"
    )
    report = StatusReport(Counts(failed=2), (failed(),), NOW - SECOND, NOW)
    after = after_report(before, report, 2, NOW, PACE)
    assert after == replace(
        before,
        next_poll_at=NOW + timedelta(seconds=15),
        polls=4,
        counts=Counts(failed=2),
        recorded_failures=2,
        start_time=NOW - SECOND,
        last_updated=NOW,
        not_found_since=None,
        errors_since=None,
        last_error=None,
    )


def test_times_that_an_answer_leaves_out_stay() -> None:
    after = after_report(outstanding(start_time=OLD, last_updated=OLD), StatusReport(), 0, NOW, PACE)
    assert (after.start_time, after.last_updated) == (OLD, OLD)


def test_failures_that_have_mended_are_not_held_for_recorded() -> None:
    assert after_report(outstanding(), counting(failed=1, succeeded=2), 3, NOW, PACE).recorded_failures == 1


@pytest.mark.parametrize(
    ("counts", "before", "expected"),
    [
        (Counts(), outstanding(), False),
        (Counts(in_progress=2), outstanding(), False),
        (Counts(in_progress=1, succeeded=1), outstanding(), False),
        (Counts(succeeded=2), outstanding(), True),
        (Counts(succeeded=2), outstanding(named_blobs=2), True),
        (Counts(succeeded=2), outstanding(named_blobs=3), False),
        (Counts(failed=1, in_progress=1), outstanding(), True),
        (Counts(failed=1, in_progress=1), outstanding(recorded_failures=1), False),
        (Counts(failed=2, in_progress=1), outstanding(recorded_failures=1), True),
        (Counts(succeeded=1, other=1), outstanding(), False),
        (Counts(in_progress=1), outstanding(registered_at=OLD), True),
        (Counts(), outstanding(registered_at=OLD), True),
        (None, outstanding(), True),
        (None, outstanding(named_blobs=3, recorded_failures=1), True),
    ],
)
def test_details_are_asked_for_at_the_end_for_news_of_failures_and_when_time_is_up(
    counts: Counts | None, before: Outstanding, *, expected: bool
) -> None:
    assert needs_details(before, StatusReport(counts), NOW, POLLING) is expected


@pytest.mark.parametrize(("now", "expected"), [(NOW - SECOND, False), (NOW, True), (NOW + SECOND, True)])
def test_time_is_up_after_the_tracking_timeout(now: datetime, *, expected: bool) -> None:
    assert is_overdue(outstanding(registered_at=OLD), now, POLLING) is expected


# 404


def test_an_operation_not_found_at_first_is_asked_for_again() -> None:
    before = outstanding(polls=2, errors_since=OLD)
    after = still(after_not_found(before, "HTTP 404", NOW, PACE))
    assert after == replace(
        before,
        next_poll_at=NOW + timedelta(seconds=19.5),
        interval=timedelta(seconds=19.5),
        polls=3,
        not_found_since=NOW,
        errors_since=None,
        last_error="HTTP 404",
    )


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (NOW - GRACE + SECOND, None),
        (NOW - GRACE, OperationState.NOT_FOUND),
        (OLD, OperationState.NOT_FOUND),
    ],
)
def test_an_operation_is_not_found_once_the_grace_is_over(since: datetime, expected: OperationState | None) -> None:
    after = after_not_found(outstanding(not_found_since=since), "HTTP 404", NOW, PACE)
    if expected is None:
        assert still(after).not_found_since == since
    else:
        assert after is expected


def test_the_grace_counts_from_the_first_404_not_from_the_registration() -> None:
    assert still(after_not_found(outstanding(registered_at=OLD), "HTTP 404", NOW, PACE)).not_found_since == NOW


def test_an_answer_in_between_begins_the_grace_anew() -> None:
    seen = after_report(outstanding(not_found_since=NOW - GRACE), counting(in_progress=1), 0, NOW, PACE)
    assert still(after_not_found(seen, "HTTP 404", NOW, PACE)).not_found_since == NOW


def test_an_outage_does_not_end_a_run_of_404s() -> None:
    away = still(after_no_answer(outstanding(not_found_since=NOW - GRACE), NoAnswer("HTTP 503"), NOW, PACE))
    assert after_not_found(away, "HTTP 404", NOW, PACE) is OperationState.NOT_FOUND


# No answer


@pytest.mark.parametrize(("was_asked", "polls"), [(True, 3), (False, 2)])
def test_only_what_was_asked_counts_as_a_poll(polls: int, *, was_asked: bool) -> None:
    before = outstanding(polls=2, counts=Counts(failed=1), recorded_failures=1)
    after = still(after_no_answer(before, NoAnswer("HTTP 503", was_asked=was_asked), NOW, PACE))
    assert after == replace(
        before,
        next_poll_at=NOW + timedelta(seconds=19.5),
        interval=timedelta(seconds=19.5),
        polls=polls,
        errors_since=NOW,
        last_error="HTTP 503",
    )


def test_a_run_of_errors_keeps_its_beginning() -> None:
    assert still(after_no_answer(outstanding(errors_since=OLD), NoAnswer("x"), NOW, PACE)).errors_since == OLD


@given(RANDOM, WAITS, WAITS)
def test_an_operation_is_left_alone_for_as_long_as_the_service_asks(
    random: float, interval: timedelta, retry_after: timedelta
) -> None:
    after = still(after_no_answer(outstanding(interval=interval), NoAnswer("x", retry_after), NOW, pace(random)))
    wait = after.next_poll_at - NOW
    assert retry_after <= wait
    assert wait <= max(retry_after * 1.5, POLLING.max_interval * 1.1) + timedelta.resolution
    assert wait >= after.interval * 0.9 - timedelta.resolution


def test_operations_that_are_put_off_together_do_not_come_back_together() -> None:
    waits = {
        still(after_no_answer(outstanding(), NoAnswer("x", timedelta(hours=1)), NOW, pace(random))).next_poll_at
        for random in (0.0, 0.3, 0.6, 0.9)
    }
    assert len(waits) == 4


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (outstanding(registered_at=OLD, errors_since=NOW - GRACE), OperationState.TIMED_OUT),
        (outstanding(registered_at=OLD, errors_since=NOW - GRACE + SECOND), None),
        (outstanding(registered_at=OLD), None),
        (outstanding(registered_at=OLD + SECOND, errors_since=NOW - GRACE), None),
        (outstanding(errors_since=OLD), None),
    ],
)
def test_without_an_answer_an_operation_times_out_when_its_time_and_the_grace_are_over(
    before: Outstanding, expected: OperationState | None
) -> None:
    after = after_no_answer(before, NoAnswer("HTTP 503"), NOW, PACE)
    if expected is None:
        assert still(after).errors_since == (before.errors_since or NOW)
    else:
        assert after is expected


@pytest.mark.parametrize("ask", ["not found", "no answer"])
def test_without_an_answer_the_interval_grows_to_its_most(ask: str) -> None:
    at = outstanding()
    for _ in range(12):
        at = still(
            after_not_found(at, "HTTP 404", NOW, PACE)
            if ask == "not found"
            else after_no_answer(at, NoAnswer("HTTP 503"), NOW, PACE)
        )
    assert at.interval == POLLING.max_interval
    assert at.polls == 12
