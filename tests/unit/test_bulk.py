from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bulk import MOST_IN_A_ROW, after_unmoved, is_unmoved, may_be_unmoved
from shared.model import BulkStatus, Counts, StatusReport
from shared.progress import NoAnswer, Pace, after_no_answer, after_report
from shared.records import Outstanding
from tests.support.facts import NOW, POLLING, outstanding, surroundings

PACE = Pace(POLLING, surroundings())
SEEN = outstanding(polls=1, counts=Counts(succeeded=3, failed=1, in_progress=2), recorded_failures=1, named_blobs=6)
SAME = BulkStatus(is_in_progress=True, counts=SEEN.counts)
COUNTS = st.builds(Counts, *[st.integers(0, 3)] * 5)
STATUSES = st.builds(BulkStatus, st.booleans(), st.none() | st.builds(Counts, *[st.integers(0, 3)] * 4))


def test_an_operation_seen_in_progress_may_be_unmoved() -> None:
    assert may_be_unmoved(SEEN, NOW, POLLING)
    assert may_be_unmoved(replace(SEEN, named_blobs=0), NOW, POLLING)
    assert may_be_unmoved(replace(SEEN, counts=Counts(other=1), recorded_failures=0), NOW, POLLING)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(outstanding(), id="never polled"),
        pytest.param(outstanding(polls=3), id="nothing counted yet"),
        pytest.param(replace(SEEN, rest_only=True), id="not shown in bulk"),
        pytest.param(replace(SEEN, bulk_polls=MOST_IN_A_ROW), id="its turn to be asked by itself"),
        pytest.param(replace(SEEN, not_found_since=NOW), id="not found last"),
        pytest.param(replace(SEEN, errors_since=NOW), id="no answer last"),
        pytest.param(replace(SEEN, recorded_failures=0), id="a failure that is not written down"),
        pytest.param(replace(SEEN, registered_at=NOW - POLLING.tracking_timeout), id="its time is up"),
        pytest.param(
            replace(SEEN, counts=Counts(succeeded=6), named_blobs=6), id="finished, but for details that disagree"
        ),
    ],
)
def test_what_else_is_due_is_asked_for_by_itself(before: Outstanding) -> None:
    assert not may_be_unmoved(before, NOW, POLLING)


def test_a_row_that_says_what_is_known_is_no_movement() -> None:
    assert is_unmoved(SEEN, SAME)


def test_a_category_that_is_not_known_is_on_its_way() -> None:
    before = replace(SEEN, counts=Counts(succeeded=1, in_progress=2, other=3))
    assert is_unmoved(before, BulkStatus(is_in_progress=True, counts=Counts(succeeded=1, in_progress=5)))


@pytest.mark.parametrize(
    "row",
    [
        BulkStatus(counts=SEEN.counts),
        BulkStatus(is_in_progress=True),
        *(
            BulkStatus(is_in_progress=True, counts=replace(SEEN.counts, **{name: 9}))
            for name in ("succeeded", "failed", "in_progress", "canceled")
        ),
    ],
)
def test_any_other_row_is_one(row: BulkStatus) -> None:
    assert not is_unmoved(SEEN, row)


@given(COUNTS, STATUSES)
def test_a_row_that_shows_an_end_or_a_failure_is_never_taken_for_no_movement(counts: Counts, row: BulkStatus) -> None:
    if is_unmoved(replace(SEEN, counts=counts), row):
        assert row.is_in_progress
        assert row.counts is not None
        assert (row.counts.failed, row.counts.finished) == (counts.failed, counts.finished)


@given(COUNTS, st.floats(0, 1, exclude_max=True), st.timedeltas(timedelta(seconds=1), timedelta(hours=1)))
def test_unmoved_an_operation_is_put_off_as_by_its_own_status(
    counts: Counts, random: float, interval: timedelta
) -> None:
    before = replace(SEEN, counts=counts, recorded_failures=counts.failed, interval=interval)
    pace = Pace(POLLING, surroundings(random))
    asked = after_report(before, StatusReport(counts), counts.failed, NOW, pace)
    assert after_unmoved(before, NOW, pace) == replace(asked, bulk_polls=1)


def test_its_own_status_begins_the_count_anew() -> None:
    before = replace(SEEN, bulk_polls=2, rest_only=True)
    after = after_report(before, StatusReport(SEEN.counts), 1, NOW, PACE)
    assert (after.bulk_polls, after.rest_only) == (0, True)
    later = after_no_answer(before, NoAnswer("gone"), NOW, PACE)
    assert isinstance(later, Outstanding)
    assert later.rest_only


@given(st.lists(st.none() | STATUSES | st.just(SAME), max_size=60))
def test_whatever_bulk_says_every_fourth_poll_at_the_latest_asks_for_the_operation_itself(
    said: list[BulkStatus | None],
) -> None:
    at, in_a_row = SEEN, 0
    for row in said:
        if row is not None and may_be_unmoved(at, at.next_poll_at, POLLING) and is_unmoved(at, row):
            at, in_a_row = after_unmoved(at, at.next_poll_at, PACE), in_a_row + 1
        else:
            at, in_a_row = after_report(at, StatusReport(SEEN.counts), 1, at.next_poll_at, PACE), 0
        assert in_a_row <= MOST_IN_A_ROW
        assert at.counts == SEEN.counts
