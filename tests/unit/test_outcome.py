from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.model import (
    ALREADY_INGESTED,
    BlobReport,
    Counts,
    OperationState,
    RetryState,
    StatusReport,
    blob_key,
)
from shared.outcome import (
    accounted_failures,
    counts_of,
    is_finished,
    keyed,
    looks_finished,
    state_of,
    summarize,
)
from shared.records import BlobRow, OperationRow
from tests.support.facts import NOW, URL, blob, failed, merge, outstanding

MOST = 5
INGESTED_BEFORE = failed("Permanent", error_code=ALREADY_INGESTED)
OTHER_URL = "https://acc.blob.core.windows.net/in/b.csv"
EARLY, LATE = NOW - timedelta(minutes=5), NOW

type Rows = dict[str, BlobRow]


def row_of(report: BlobReport, state: RetryState = RetryState.NONE, *, attempt: int = 1) -> BlobRow:
    return BlobRow(blob_key(report.source_id, report.url), report, attempt, state, etag="e1")


def rows_of(*rows: BlobRow) -> Rows:
    return {row.key: row for row in rows}


def after(stored: Rows, reports: Sequence[BlobReport], *, attempt: int = 1) -> Rows:
    """The table once what ``merge`` says is written."""
    return stored | rows_of(*merge(stored, reports, attempt=attempt, most=MOST))


# Counts and states


@pytest.mark.parametrize(
    ("counts", "state"),
    [
        (Counts(succeeded=3), OperationState.SUCCEEDED),
        (Counts(succeeded=2, failed=1), OperationState.PARTIALLY_SUCCEEDED),
        (Counts(succeeded=2, canceled=1), OperationState.PARTIALLY_SUCCEEDED),
        (Counts(succeeded=1, failed=1, canceled=1), OperationState.PARTIALLY_SUCCEEDED),
        (Counts(failed=3), OperationState.FAILED),
        (Counts(failed=1, canceled=2), OperationState.FAILED),
        (Counts(canceled=3), OperationState.CANCELED),
    ],
)
def test_the_state_of_a_finished_operation(counts: Counts, state: OperationState) -> None:
    assert state_of(counts) is state


def test_an_operation_of_which_nothing_is_known_has_not_succeeded() -> None:
    for counts in (Counts(), counts_of([])):
        with pytest.raises(ValueError, match="has not ended"):
            state_of(counts)


def test_blobs_are_counted_by_what_became_of_them() -> None:
    rows = [
        row_of(report)
        for report in (blob("Succeeded"), INGESTED_BEFORE, failed(), blob("Queued"), blob("Canceled"), blob("Paused"))
    ]
    assert counts_of(rows) == Counts(succeeded=2, failed=1, in_progress=1, canceled=1, other=1)
    assert counts_of([]) == Counts()


@pytest.mark.parametrize("kind", ["Permanent", "Transient", "Exhausted", None])
def test_a_blob_that_was_already_ingested_is_a_success_everywhere(kind: str | None) -> None:
    report = failed(kind, error_code=ALREADY_INGESTED)
    (row,) = after({}, [report]).values()
    assert row.retry_state is RetryState.NONE
    assert state_of(counts_of([row])) is OperationState.SUCCEEDED
    summary = summarize([row], outstanding(counts=Counts(failed=1)), None)
    assert summary.state is OperationState.SUCCEEDED
    assert (summary.counts, summary.transient_failures, summary.permanent_failures) == (Counts(succeeded=1), 0, 0)
    assert summary.first_error_code is None
    assert summary.last_error is None


@pytest.mark.parametrize(
    ("counts", "named", "expected"),
    [
        (Counts(), 0, False),
        (Counts(succeeded=1), 0, True),
        (Counts(failed=1), 0, True),
        (Counts(canceled=1), 0, True),
        (Counts(succeeded=1, failed=1, canceled=1), 3, True),
        (Counts(succeeded=4), 3, True),
        (Counts(succeeded=2), 3, False),
        (Counts(), 3, False),
        (Counts(succeeded=2, in_progress=1), 3, False),
        (Counts(in_progress=1), 0, False),
        (Counts(succeeded=3, other=1), 3, False),
        (Counts(other=1), 0, False),
    ],
)
def test_an_operation_looks_finished_when_nothing_is_left_to_wait_for(
    counts: Counts, named: int, *, expected: bool
) -> None:
    assert looks_finished(counts, named) is expected


@pytest.mark.parametrize(
    ("report", "named", "expected"),
    [
        (StatusReport(Counts(succeeded=1), (blob("Succeeded"),)), 1, True),
        (StatusReport(None, (blob("Succeeded"),)), 0, True),
        (StatusReport(Counts(failed=2), (failed(), INGESTED_BEFORE)), 2, True),
        (StatusReport(Counts(succeeded=1), None), 1, False),
        (StatusReport(Counts(succeeded=1), ()), 1, False),
        (StatusReport(None, ()), 0, False),
        (StatusReport(None, None), 0, False),
        (StatusReport(Counts(), ()), 0, False),
        (StatusReport(Counts(failed=1), (blob("Succeeded"),)), 1, False),
        (StatusReport(Counts(failed=1), (blob("InProgress"),)), 1, False),
        (StatusReport(Counts(succeeded=2), (blob("Succeeded"),)), 2, False),
        (StatusReport(Counts(succeeded=1), (blob("Succeeded"), blob("Succeeded"))), 1, False),
        (StatusReport(Counts(succeeded=1), (blob("Succeeded"),)), 2, False),
        (StatusReport(None, (blob("Succeeded"), blob("Paused"))), 0, False),
    ],
)
def test_an_operation_is_finished_when_its_details_agree(report: StatusReport, named: int, *, expected: bool) -> None:
    assert is_finished(report, named) is expected


@pytest.mark.parametrize(
    ("report", "before", "expected"),
    [
        (StatusReport(Counts(failed=2), (failed(), failed())), 0, 2),
        (StatusReport(Counts(failed=2), (failed(), failed(), failed())), 0, 2),
        (StatusReport(Counts(failed=2), (failed(), blob("InProgress"))), 0, 0),
        (StatusReport(Counts(failed=2), (failed(),)), 1, 1),
        (StatusReport(Counts(failed=1), ()), 3, 1),
        (StatusReport(Counts(failed=1), None), 0, 0),
        (StatusReport(Counts(), None), 2, 0),
        (StatusReport(None, (failed(),)), 0, 1),
        (StatusReport(Counts(failed=1), (INGESTED_BEFORE,)), 0, 1),
    ],
)
def test_a_failure_counts_as_written_down_once_the_details_show_it(
    report: StatusReport, before: int, expected: int
) -> None:
    assert accounted_failures(report, before) == expected


# What is intended for a blob


@pytest.mark.parametrize(
    ("report", "attempt", "state"),
    [
        (blob("InProgress"), 1, RetryState.NONE),
        (blob("Queued"), 1, RetryState.NONE),
        (blob("Paused"), 1, RetryState.NONE),
        (blob("Succeeded"), 1, RetryState.NONE),
        (blob("Canceled"), 1, RetryState.NONE),
        (blob("InProgress", failure_status="Transient"), 1, RetryState.NONE),
        (failed("Permanent"), 1, RetryState.NONE),
        (failed("Exhausted"), 1, RetryState.NONE),
        (failed("Unknown"), 1, RetryState.NONE),
        (failed("Sporadic"), 1, RetryState.NONE),
        (failed(None), 1, RetryState.NONE),
        (failed("Transient"), 1, RetryState.PENDING),
        (failed("Transient"), MOST - 1, RetryState.PENDING),
        (failed("Transient"), MOST, RetryState.ATTEMPTS_EXHAUSTED),
        (failed("Transient"), MOST + 1, RetryState.ATTEMPTS_EXHAUSTED),
        (failed("Permanent"), MOST, RetryState.NONE),
    ],
)
def test_only_a_transient_failure_under_the_limit_is_to_be_tried_again(
    report: BlobReport, attempt: int, state: RetryState
) -> None:
    assert merge({}, [report], attempt=attempt, most=MOST) == [
        BlobRow(blob_key("s1", URL), report, attempt, retry_state=state)
    ]


IN_PROGRESS_LATER = blob("InProgress", last_updated=LATE)
TRANSIENT = failed(last_updated=EARLY)


@pytest.mark.parametrize(
    ("state", "report", "expected"),
    [
        (RetryState.PENDING, TRANSIENT, RetryState.PENDING),
        (RetryState.PENDING, IN_PROGRESS_LATER, RetryState.NONE),
        (RetryState.PENDING, failed("Permanent", last_updated=LATE), RetryState.NONE),
        (RetryState.PENDING, failed("Exhausted", last_updated=LATE), RetryState.NONE),
        (RetryState.PENDING, blob("Canceled", last_updated=LATE), RetryState.NONE),
        (RetryState.PENDING, blob("Succeeded"), RetryState.RECOVERED),
        (RetryState.ENQUEUED, TRANSIENT, RetryState.ENQUEUED),
        (RetryState.ENQUEUED, IN_PROGRESS_LATER, RetryState.ENQUEUED),
        (RetryState.ENQUEUED, failed("Permanent", last_updated=LATE), RetryState.ENQUEUED),
        (RetryState.ENQUEUED, blob("Succeeded"), RetryState.RECOVERED),
        (RetryState.ENQUEUED, INGESTED_BEFORE, RetryState.RECOVERED),
        (RetryState.RESUBMITTED, TRANSIENT, RetryState.RESUBMITTED),
        (RetryState.RESUBMITTED, IN_PROGRESS_LATER, RetryState.RESUBMITTED),
        (RetryState.RESUBMITTED, blob("Succeeded"), RetryState.RESUBMITTED),
        (RetryState.ATTEMPTS_EXHAUSTED, TRANSIENT, RetryState.ATTEMPTS_EXHAUSTED),
        (RetryState.ATTEMPTS_EXHAUSTED, IN_PROGRESS_LATER, RetryState.ATTEMPTS_EXHAUSTED),
        (RetryState.ATTEMPTS_EXHAUSTED, blob("Succeeded"), RetryState.RECOVERED),
        (RetryState.NOT_RESUBMITTABLE, TRANSIENT, RetryState.NOT_RESUBMITTABLE),
        (RetryState.NOT_RESUBMITTABLE, blob("Succeeded"), RetryState.RECOVERED),
    ],
)
def test_what_a_report_changes_about_the_intention(state: RetryState, report: BlobReport, expected: RetryState) -> None:
    stored = rows_of(row_of(TRANSIENT, state))
    (row,) = after(stored, [report]).values()
    assert row == replace(row_of(TRANSIENT), report=report, retry_state=expected)


def test_what_says_nothing_new_is_not_written() -> None:
    stored = rows_of(row_of(TRANSIENT, RetryState.ENQUEUED))
    assert merge(stored, [TRANSIENT], attempt=1, most=MOST) == []


def test_a_blob_that_fails_after_it_was_in_progress_is_tried_again() -> None:
    stored = rows_of(row_of(blob("InProgress")), row_of(blob("Succeeded", source_id="s2")))
    (row,) = merge(stored, [failed()], attempt=1, most=MOST)
    assert row.retry_state is RetryState.PENDING
    assert row.etag == "e1"


# Late answers


@pytest.mark.parametrize(
    ("written", "late"),
    [
        (blob("Succeeded", last_updated=EARLY), failed(last_updated=LATE)),
        (blob("Succeeded"), blob("InProgress")),
        (blob("Succeeded"), blob("Canceled")),
        (INGESTED_BEFORE, failed("Permanent", error_code="Other")),
        (failed(last_updated=LATE), blob("InProgress", last_updated=EARLY)),
        (failed(last_updated=LATE), blob("InProgress", last_updated=LATE)),
        (failed(last_updated=LATE), blob("InProgress")),
        (failed(), blob("InProgress", last_updated=LATE)),
        (failed("Permanent"), blob("Queued")),
        (blob("Canceled"), blob("InProgress")),
        (failed(last_updated=LATE), blob("", last_updated=EARLY)),
        (failed("Permanent", last_updated=LATE), failed("Transient", last_updated=EARLY)),
        (failed("Exhausted", last_updated=LATE), failed("Transient", last_updated=EARLY)),
        (blob("Canceled", last_updated=LATE), failed("Transient", last_updated=EARLY)),
    ],
)
def test_a_late_answer_does_not_undo_a_later_one(written: BlobReport, late: BlobReport) -> None:
    assert merge(rows_of(row_of(written)), [late], attempt=1, most=MOST) == []


@pytest.mark.parametrize(
    ("written", "news"),
    [
        (failed(last_updated=EARLY), blob("InProgress", last_updated=LATE)),
        (blob("InProgress"), blob("Queued")),
        (blob("InProgress"), failed()),
        (failed("Transient"), failed("Exhausted")),
        (failed(last_updated=LATE), blob("Succeeded", last_updated=EARLY)),
        (failed("Permanent"), INGESTED_BEFORE),
        (blob("Canceled"), blob("Succeeded")),
    ],
)
def test_news_are_written(written: BlobReport, news: BlobReport) -> None:
    (row,) = merge(rows_of(row_of(written)), [news], attempt=1, most=MOST)
    assert row.report == news


@pytest.mark.parametrize(
    ("written", "news"),
    [
        (failed(last_updated=LATE), blob("InProgress", last_updated=EARLY)),
        (failed(), blob("Queued")),
        (blob("Canceled"), blob("InProgress")),
    ],
)
def test_an_answer_known_to_be_the_latest_may_bring_a_failure_back_to_progress(
    written: BlobReport, news: BlobReport
) -> None:
    stored = rows_of(row_of(written))
    assert merge(stored, [news], attempt=1, most=MOST) == []
    (row,) = merge(stored, [news], attempt=1, most=MOST, is_fresh=True)
    assert row.report == news


@pytest.mark.parametrize("news", [blob("InProgress"), failed(last_updated=LATE), blob("Canceled", last_updated=LATE)])
def test_not_even_the_latest_answer_undoes_a_success(news: BlobReport) -> None:
    assert merge(rows_of(row_of(blob("Succeeded"))), [news], attempt=1, most=MOST, is_fresh=True) == []


def test_not_even_the_latest_answer_undoes_a_later_ending() -> None:
    written, late = failed("Permanent", last_updated=LATE), failed("Transient", last_updated=EARLY)
    assert merge(rows_of(row_of(written)), [late], attempt=1, most=MOST, is_fresh=True) == []


@pytest.mark.parametrize(
    ("turned", "attempt", "expected"),
    [
        (failed("Permanent", last_updated=EARLY), 1, RetryState.PENDING),
        (blob("InProgress"), 1, RetryState.PENDING),
        (blob("Canceled", last_updated=EARLY), 1, RetryState.PENDING),
        (failed("Permanent", last_updated=EARLY), MOST, RetryState.ATTEMPTS_EXHAUSTED),
    ],
)
def test_a_blob_refused_for_what_it_had_turned_into_is_tried_again_when_it_is_transient_again(
    turned: BlobReport, attempt: int, expected: RetryState
) -> None:
    stored = rows_of(row_of(turned, RetryState.NOT_RESUBMITTABLE))
    (row,) = merge(stored, [failed(last_updated=LATE)], attempt=attempt, most=MOST)
    assert row.retry_state is expected


# Which row is whose


def test_a_row_keeps_the_bare_url() -> None:
    (row,) = merge({}, [failed(url=f"{URL}?sig=secret")], attempt=1, most=MOST)
    assert row.report.url == URL


def test_a_blob_named_by_its_url_alone_keeps_its_row_when_it_gets_a_source_id() -> None:
    first = after({}, [blob("InProgress", source_id=None)])
    then = after(first, [blob("Succeeded", source_id="s1")])
    assert first.keys() == then.keys()
    (row,) = then.values()
    assert (row.report.source_id, row.report.status) == ("s1", "Succeeded")


def test_a_blob_that_loses_its_source_id_keeps_it_in_its_row() -> None:
    then = after(after({}, [blob("InProgress")]), [blob("Succeeded", source_id=None)])
    (row,) = then.values()
    assert (row.report.source_id, row.report.status) == ("s1", "Succeeded")


def test_a_blob_that_got_its_source_id_late_keeps_its_row_ever_after() -> None:
    rows = after({}, [blob("InProgress", source_id=None)])
    for report in (blob("InProgress"), failed(), failed()):
        rows = after(rows, [report])
    assert [row.retry_state for row in rows.values()] == [RetryState.PENDING]


def test_a_report_without_a_url_belongs_to_the_row_of_its_source_id() -> None:
    stored = rows_of(row_of(failed(), RetryState.ENQUEUED))
    (row,) = after(stored, [blob("Succeeded", url=None)]).values()
    assert row.retry_state is RetryState.RECOVERED
    assert row.report.url == URL


def test_a_blob_named_by_its_source_id_alone_keeps_its_row_when_it_gets_a_url() -> None:
    first = after({}, [blob("InProgress", url=None)])
    then = after(first, [blob("Succeeded", url=f"{URL}?sig=x")])
    assert first.keys() == then.keys()
    (row,) = then.values()
    assert (row.report.url, row.report.status) == (URL, "Succeeded")


def test_a_source_id_that_one_row_and_one_report_have_is_enough_whatever_the_url() -> None:
    first = after({}, [failed()])
    then = after(first, [blob("Succeeded", url=f"{URL}%20")])
    assert first.keys() == then.keys()
    assert [row.report.status for row in then.values()] == ["Succeeded"]


def test_a_source_id_that_two_blobs_share_is_not_enough() -> None:
    first = after({}, [failed(), failed(url=OTHER_URL)])
    then = after(first, [blob("Succeeded", url=f"{URL}2")])
    assert len(then) == 3
    assert sorted(row.report.status for row in then.values()) == ["Failed", "Failed", "Succeeded"]


def test_blobs_that_got_a_shared_source_id_late_keep_their_rows() -> None:
    rows = after({}, [blob("InProgress", source_id=None), blob("InProgress", source_id=None, url=OTHER_URL)])
    for _ in range(2):
        rows = after(rows, [failed(), failed(url=OTHER_URL)])
    assert [row.report.url for row in rows.values()] == [URL, OTHER_URL]


def test_two_blobs_named_alike_keep_two_rows() -> None:
    first = after({}, [blob("InProgress"), failed()])
    assert len(first) == 2
    then = after(first, [blob("Succeeded"), failed()])
    assert first.keys() == then.keys()
    assert sorted(row.report.status for row in then.values()) == ["Failed", "Succeeded"]


def test_two_blobs_named_by_one_url_alone_keep_two_rows() -> None:
    reports = [blob("Succeeded", source_id=None), failed(source_id=None)]
    rows = after(after({}, reports), reports)
    assert sorted(row.report.status for row in rows.values()) == ["Failed", "Succeeded"]


def test_two_blobs_of_one_url_with_source_ids_of_their_own_do_not_meet() -> None:
    rows = after({}, [failed(source_id="s1"), blob("Succeeded", source_id="s2")])
    rows = after(rows, [failed(source_id="s1"), blob("Succeeded", source_id="s2")])
    assert {row.report.source_id: row.report.status for row in rows.values()} == {"s1": "Failed", "s2": "Succeeded"}


def test_one_row_is_not_given_to_two_blobs_that_got_their_source_ids() -> None:
    stored = rows_of(row_of(blob("InProgress", source_id=None)))
    rows = after(stored, [failed(source_id="s1"), blob("Succeeded", source_id="s2")])
    assert {row.report.source_id: row.report.status for row in rows.values()} == {"s1": "Failed", "s2": "Succeeded"}


def test_two_urls_do_not_meet() -> None:
    rows = after(rows_of(row_of(failed(source_id=None))), [blob("Succeeded", source_id=None, url=OTHER_URL)])
    assert {row.report.url: row.report.status for row in rows.values()} == {URL: "Failed", OTHER_URL: "Succeeded"}


TIMES = st.sampled_from([None, EARLY, LATE])


def reports(source_ids: list[str | None], urls: list[str | None]) -> st.SearchStrategy[list[BlobReport]]:
    return st.lists(
        st.builds(
            BlobReport,
            status=st.sampled_from(["Queued", "InProgress", "Failed", "Failed", "Succeeded", "Canceled", "Paused", ""]),
            source_id=st.sampled_from(source_ids),
            url=st.sampled_from(urls),
            last_updated=TIMES,
            failure_status=st.sampled_from([None, "Transient", "Permanent"]),
            error_code=st.sampled_from([None, ALREADY_INGESTED]),
        ),
        max_size=5,
    )


PLAIN = reports(["s1", "s2"], [URL, OTHER_URL])
# No two of one answer have a sourceId in common, and no two a URL: a request names each blob once.
ANY = reports([None, "s1", "s2"], [None, URL, OTHER_URL]).filter(
    lambda answer: all(
        count == 1
        for names in ([each.source_id for each in answer], [each.url for each in answer])
        for name, count in Counter(names).items()
        if name is not None
    )
)
BY_URL, BY_BOTH = blob("InProgress", source_id=None), blob("InProgress")


@given(st.lists(PLAIN, max_size=4), PLAIN, st.integers(1, MOST))
def test_merging_is_idempotent(earlier: list[list[BlobReport]], answer: list[BlobReport], attempt: int) -> None:
    stored: Rows = {}
    for each in earlier:
        stored = after(stored, each, attempt=attempt)
    once = after(stored, answer, attempt=attempt)
    assert len(once) >= len(answer)
    assert merge(once, answer, attempt=attempt, most=MOST) == []


@example([[BY_URL]], [BY_BOTH])
@example([[BY_URL, blob("InProgress", url=None)]], [BY_BOTH])
@given(st.lists(ANY, max_size=3), ANY)
def test_merging_is_idempotent_however_blobs_are_named(
    earlier: list[list[BlobReport]], answer: list[BlobReport]
) -> None:
    stored: Rows = {}
    for each in earlier:
        stored = after(stored, each)
    once = after(stored, answer)
    assert merge(once, answer, attempt=1, most=MOST) == []


@given(st.lists(PLAIN, max_size=2), PLAIN)
def test_each_report_has_a_row_of_its_own(earlier: list[list[BlobReport]], answer: list[BlobReport]) -> None:
    stored: Rows = {}
    for each in earlier:
        stored = after(stored, each)
    pairs = keyed(stored, answer)
    assert len({key for key, _ in pairs}) == len(answer)


@example([[BY_BOTH]], [BY_URL, BY_BOTH])
@given(st.lists(ANY, max_size=2), ANY)
def test_each_report_has_a_row_of_its_own_however_blobs_are_named(
    earlier: list[list[BlobReport]], answer: list[BlobReport]
) -> None:
    stored: Rows = {}
    for each in earlier:
        stored = after(stored, each)
    pairs = keyed(stored, answer)
    assert len({key for key, _ in pairs}) == len(answer)


@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_success_is_the_last_word(answers: list[list[BlobReport]]) -> None:
    rows: Rows = {}
    for answer in answers:
        before, rows = rows, after(rows, answer)
        for key, row in before.items():
            if row.report.has_succeeded:
                assert rows[key].report.has_succeeded


@given(st.lists(PLAIN, min_size=1, max_size=4), st.integers(1, MOST + 1))
def test_what_is_pending_is_transient_and_under_the_limit(answers: list[list[BlobReport]], attempt: int) -> None:
    rows: Rows = {}
    for answer in answers:
        rows = after(rows, answer, attempt=attempt)
    for row in rows.values():
        wanted = row.report.is_transient and attempt < MOST
        assert (row.retry_state is RetryState.PENDING) == wanted


# What an operation's row says


def test_the_summary_of_an_operation() -> None:
    rows = [
        row_of(blob("Succeeded", source_id="a")),
        row_of(failed("Permanent", source_id="b", error_code="First", details="bad", last_updated=EARLY)),
        row_of(
            failed("Transient", source_id="c", error_code="Last", details="busy", last_updated=LATE),
            RetryState.RESUBMITTED,
        ),
        row_of(failed("Unknown", source_id="d", error_code="Middle", last_updated=EARLY + timedelta(seconds=1))),
        row_of(blob("Succeeded", source_id="e"), RetryState.RECOVERED),
    ]
    known = outstanding(counts=Counts(succeeded=1, failed=4), polls=7, start_time=EARLY, last_updated=LATE)
    summary = summarize(rows, known, None)
    assert summary.state is OperationState.PARTIALLY_SUCCEEDED
    assert summary.counts == Counts(succeeded=2, failed=3)
    assert (summary.transient_failures, summary.permanent_failures, summary.retried_blobs) == (1, 2, 2)
    assert (summary.first_error_code, summary.last_error) == ("First", "Last: busy")
    assert (summary.polls, summary.start_time, summary.last_updated) == (7, EARLY, LATE)


def test_counts_of_adx_stand_where_fewer_blobs_are_known() -> None:
    known = outstanding(counts=Counts(succeeded=2, failed=1))
    assert summarize([row_of(failed())], known, OperationState.IN_PROGRESS).counts == Counts(succeeded=2, failed=1)
    assert summarize([], known, OperationState.NOT_FOUND).counts == Counts(succeeded=2, failed=1)


@pytest.mark.parametrize(
    ("rows", "known", "expected"),
    [
        ([failed(), blob("InProgress", source_id="s2")], Counts(failed=2), Counts(failed=2)),
        ([failed(), blob("InProgress", source_id="s2")], Counts(failed=1), Counts(failed=1, in_progress=1)),
        ([failed(), blob("Succeeded", source_id="s2")], Counts(failed=2), Counts(failed=1, succeeded=1)),
        ([failed()], Counts(in_progress=1), Counts(failed=1)),
    ],
)
def test_the_rows_are_counted_where_they_are_as_many_and_finish_at_least_as_many(
    rows: list[BlobReport], known: Counts, expected: Counts
) -> None:
    summary = summarize([row_of(each) for each in rows], outstanding(counts=known), OperationState.TIMED_OUT)
    assert summary.counts == expected


def test_an_operation_that_ends_without_an_answer_keeps_its_state_and_error() -> None:
    summary = summarize([], outstanding(last_error="HTTP 404"), OperationState.NOT_FOUND)
    assert (summary.state, summary.last_error) == (OperationState.NOT_FOUND, "HTTP 404")


@pytest.mark.parametrize(
    ("code", "details", "text"),
    [("E1", "busy", "E1: busy"), ("E1", None, "E1"), (None, "busy", "busy"), (None, None, None)],
)
def test_the_last_error_is_code_and_text_as_far_as_they_are_known(
    code: str | None, details: str | None, text: str | None
) -> None:
    row = row_of(failed(error_code=code, details=details))
    assert summarize([row], outstanding(last_error="HTTP 503"), None).last_error == text


def test_a_settled_row_is_summed_up_again_when_a_blob_has_recovered() -> None:
    settled = OperationRow(
        operation=outstanding().operation,
        registered_at=EARLY,
        state=OperationState.FAILED,
        counts=Counts(failed=1),
        polls=3,
        start_time=EARLY,
        last_updated=LATE,
        settled_at=LATE,
        last_error="Last: busy",
        attempt=1,
        root_operation_id="op",
        correlation_id=None,
        properties=None,
        etag="e1",
    )
    summary = summarize([row_of(blob("Succeeded"), RetryState.RECOVERED)], replace(settled, last_error=None), None)
    assert (summary.state, summary.counts) == (OperationState.SUCCEEDED, Counts(succeeded=1))
    assert (summary.first_error_code, summary.last_error, summary.retried_blobs) == (None, None, 1)


@pytest.mark.parametrize(
    ("state", "retried"),
    [
        (RetryState.NONE, 0),
        (RetryState.PENDING, 0),
        (RetryState.ENQUEUED, 1),
        (RetryState.RESUBMITTED, 1),
        (RetryState.RECOVERED, 1),
        (RetryState.ATTEMPTS_EXHAUSTED, 0),
        (RetryState.NOT_RESUBMITTABLE, 1),
    ],
)
def test_a_blob_counts_as_retried_once_it_was_enqueued(state: RetryState, retried: int) -> None:
    assert summarize([row_of(failed(), state)], outstanding(), None).retried_blobs == retried


@pytest.mark.parametrize(("redriven_at", "state"), [(None, RetryState.NONE), (NOW, RetryState.PENDING)])
def test_what_is_not_transient_stays_pending_only_where_a_person_wants_it(
    redriven_at: datetime | None, state: RetryState
) -> None:
    row = replace(row_of(failed("Permanent"), RetryState.PENDING), redriven_at=redriven_at)
    report = failed("Permanent", details="said otherwise")
    (merged,) = merge({row.key: row}, [report], attempt=1, most=MOST)
    assert merged.retry_state is state
