from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.messages import RetryBlob, RetryMessage
from shared.model import ALREADY_INGESTED, BlobReport, BlobSource, Json, RetryState, blob_key
from shared.outcome import keyed
from shared.records import BlobRow
from shared.retry_decision import (
    LEAST_PUT_BACKS,
    Action,
    Circumstances,
    Decision,
    Rules,
    decide,
    deduplication_tag,
    resubmission_properties,
)
from tests.support.facts import NOW, OPERATION, POLLING, RETRYING, URL, blob, failed

RULES = Rules(RETRYING, POLLING)
GRACE, TIMEOUT = POLLING.not_found_grace, POLLING.tracking_timeout
SECOND = timedelta(seconds=1)
KEY = blob_key("s1", URL)
ROW = BlobRow(KEY, failed(), 1, RetryState.ENQUEUED)
BLOB = RetryBlob(URL, "s1", failure_status="Transient")
MESSAGE = RetryMessage(OPERATION, "root", 1, NOW, (BLOB,), {"format": "csv"})


def decision(
    report: BlobReport | None = None,
    *,
    row: BlobRow = ROW,
    item: RetryBlob = BLOB,
    message: RetryMessage = MESSAGE,
    waited: timedelta = timedelta(),
    is_running: bool = False,
) -> Decision:
    """What is decided when ADX answers with ``report``, or without the blob."""
    shown = {KEY: report} if report else {}
    around = Circumstances(message.enqueued_at + waited, shown, is_running=is_running, rules=RULES)
    return decide(row, item, message, around)


def test_a_blob_that_is_still_transient_is_submitted() -> None:
    assert decision(failed()) == Decision(Action.SUBMIT)


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (RetryState.NONE, Action.NOTHING),
        (RetryState.PENDING, Action.SUBMIT),
        (RetryState.ENQUEUED, Action.SUBMIT),
        (RetryState.RESUBMITTED, Action.NOTHING),
        (RetryState.RECOVERED, Action.NOTHING),
        (RetryState.ATTEMPTS_EXHAUSTED, Action.NOTHING),
        (RetryState.NOT_RESUBMITTABLE, Action.NOTHING),
    ],
)
def test_what_is_settled_for_a_blob_stays(state: RetryState, action: Action) -> None:
    assert decision(failed(), row=replace(ROW, retry_state=state)).action is action


@pytest.mark.parametrize("status", ["InProgress", "Queued", "Paused", ""])
def test_a_blob_that_the_service_tries_again_is_waited_for_without_counting(status: str) -> None:
    assert decision(blob(status)).action is Action.WAIT
    assert decision(blob(status), waited=TIMEOUT - SECOND).action is Action.WAIT


def test_the_waiting_for_the_service_has_an_end() -> None:
    often = replace(MESSAGE, put_backs=LEAST_PUT_BACKS)
    assert decision(blob("InProgress"), message=often, waited=TIMEOUT - SECOND).action is Action.WAIT
    refused = decision(blob("InProgress"), message=often, waited=TIMEOUT)
    assert refused.action is Action.REFUSE
    assert refused.reason is not None
    assert "2 days" in refused.reason


def test_a_message_that_slept_for_long_is_not_given_up_at_its_first_hold_up() -> None:
    seldom = replace(MESSAGE, put_backs=LEAST_PUT_BACKS - 1)
    assert decision(blob("InProgress"), message=seldom, waited=10 * TIMEOUT).action is Action.WAIT


@pytest.mark.parametrize(
    ("report", "named"),
    [
        (failed("Permanent"), "Permanent"),
        (failed("Exhausted"), "Exhausted"),
        (failed("Sporadic"), "Unknown"),
        (failed(None), "Unknown"),
        (blob("Canceled"), "Canceled"),
        (blob("Succeeded"), "Succeeded"),
        (failed("Transient", error_code=ALREADY_INGESTED), "Failed"),
    ],
)
def test_what_is_not_transient_any_more_is_never_submitted(report: BlobReport, named: str) -> None:
    assert decision(report) == Decision(Action.REFUSE, f"it is {named} by now")


@pytest.mark.parametrize(
    ("missing", "action"),
    [(timedelta(), Action.MISSING), (GRACE - SECOND, Action.MISSING), (GRACE, Action.SUBMIT), (TIMEOUT, Action.SUBMIT)],
)
def test_a_blob_that_adx_does_not_show_is_waited_for_and_then_taken_as_it_was(
    missing: timedelta, action: Action
) -> None:
    message = replace(MESSAGE, enqueued_at=NOW - TIMEOUT, missing_since=NOW - missing)
    assert decision(None, message=message, waited=TIMEOUT).action is action


@pytest.mark.parametrize("waited", [timedelta(), GRACE, TIMEOUT])
def test_the_grace_begins_when_the_blob_is_first_missing_and_not_with_the_message(waited: timedelta) -> None:
    assert decision(None, waited=waited).action is Action.MISSING


def test_a_blob_that_was_missing_and_has_failed_for_good_is_refused() -> None:
    permanent = replace(ROW, report=failed("Permanent"))
    message = replace(MESSAGE, missing_since=NOW)
    assert decision(None, row=permanent, message=message, waited=GRACE - SECOND).action is Action.MISSING
    assert decision(None, row=permanent, message=message, waited=GRACE).action is Action.REFUSE


def test_a_blob_that_was_missing_and_was_in_progress_last_is_waited_for() -> None:
    in_progress = replace(ROW, report=blob("InProgress"))
    message = replace(MESSAGE, missing_since=NOW, put_backs=LEAST_PUT_BACKS)
    assert decision(None, row=in_progress, message=message, waited=GRACE).action is Action.WAIT
    assert decision(None, row=in_progress, message=message, waited=TIMEOUT).action is Action.REFUSE


@pytest.mark.parametrize("missing_since", [None, NOW])
def test_while_something_is_in_progress_a_missing_blob_is_waited_for_until_time_is_up(
    missing_since: datetime | None,
) -> None:
    message = replace(MESSAGE, missing_since=missing_since, put_backs=LEAST_PUT_BACKS)
    for waited in (timedelta(), GRACE, TIMEOUT - SECOND):
        assert decision(None, message=message, waited=waited, is_running=True).action is Action.MISSING
    refused = decision(None, message=message, waited=TIMEOUT, is_running=True)
    assert refused.action is Action.REFUSE
    assert "2 days" in (refused.reason or "")


def test_a_blob_that_adx_shows_is_submitted_although_others_are_in_progress() -> None:
    assert decision(failed(), is_running=True).action is Action.SUBMIT


@pytest.mark.parametrize(
    ("attempt", "action"), [(1, Action.SUBMIT), (4, Action.SUBMIT), (5, Action.EXHAUST), (6, Action.EXHAUST)]
)
def test_attempts_are_submissions_in_all(attempt: int, action: Action) -> None:
    assert decision(failed(), message=replace(MESSAGE, attempt=attempt)).action is action


@pytest.mark.parametrize("properties", [None, {}, {"format": ""}, {"format": None}, {"Format": "csv"}])
def test_without_a_format_nothing_is_submitted(properties: Mapping[str, Json] | None) -> None:
    refused = decision(failed(), message=replace(MESSAGE, properties=properties))
    assert refused.action is Action.REFUSE
    assert "'format'" in (refused.reason or "")


@pytest.mark.parametrize("url", [None, ""])
def test_without_a_url_nothing_is_submitted(url: str | None) -> None:
    refused = decision(failed(), item=replace(BLOB, url=url))
    assert refused.action is Action.REFUSE
    assert "URL" in (refused.reason or "")


@pytest.mark.parametrize(
    ("until", "action"),
    [(None, Action.SUBMIT), (NOW - SECOND, Action.SUBMIT), (NOW, Action.SUBMIT), (NOW + SECOND, Action.WAIT)],
)
def test_a_blob_that_another_delivery_has_claimed_is_left_to_it(until: datetime | None, action: Action) -> None:
    claimed = replace(ROW, claimed_by="another", claimed_until=until)
    assert decision(failed(), row=claimed).action is action


@pytest.mark.parametrize("status", ["Succeeded", "InProgress"])
def test_in_the_dialect_without_urls_a_blob_that_mended_is_not_submitted(status: str) -> None:
    answer = dict(keyed({KEY: ROW}, [blob(status, url=None)]))
    message = replace(MESSAGE, missing_since=NOW)
    around = Circumstances(NOW + GRACE, answer, is_running=False, rules=RULES)
    assert decide(ROW, BLOB, message, around).action is not Action.SUBMIT


# Properties and tags


def tag_of(message: RetryMessage, item: RetryBlob) -> str:
    return deduplication_tag(message, item.as_source(item.url or "", item.source_id or "made-up"), item)


@pytest.mark.parametrize("name", ["ingestIfNotExists", "IngestIfNotExists", "ingestifnotexists"])
def test_a_tag_of_the_first_submission_does_not_skip_the_rest(name: str) -> None:
    properties: dict[str, Json] = {"format": "csv", name: ["x"], "tags": ["ingest-by:x"], "unknown": {"a": 1}}
    kept = resubmission_properties(properties, None)
    assert kept == {"format": "csv", "tags": ["ingest-by:x"], "unknown": {"a": 1}}
    assert name in properties


@pytest.mark.parametrize(
    ("given", "tags"),
    [
        ({}, ["ingest-by:t1"]),
        ({"tags": None}, ["ingest-by:t1"]),
        ({"tags": []}, ["ingest-by:t1"]),
        ({"tags": "a"}, ["a", "ingest-by:t1"]),
        ({"tags": ["a", "drop-by:b"]}, ["a", "drop-by:b", "ingest-by:t1"]),
    ],
)
def test_a_deduplicating_tag_comes_to_those_that_are_there(given: dict[str, Json], tags: list[str]) -> None:
    properties = resubmission_properties({"format": "csv", **given, "ingestIfNotExists": ["old"]}, "t1")
    assert properties == {"format": "csv", "tags": tags, "ingestIfNotExists": ["t1"]}


@pytest.mark.parametrize("name", ["tags", "Tags", "TAGS"])
def test_tags_are_found_in_any_casing(name: str) -> None:
    properties = resubmission_properties({"format": "csv", name: ["a"], "IngestIfNotExists": ["old"]}, "t1")
    assert properties == {"format": "csv", name: ["a", "ingest-by:t1"], "ingestIfNotExists": ["t1"]}


def test_the_tag_of_a_blob_is_the_same_in_every_attempt() -> None:
    later = replace(
        MESSAGE, operation=replace(OPERATION, operation_id="ingest_op_2"), attempt=2, enqueued_at=NOW + GRACE
    )
    again = RetryBlob(f"{URL}?sig=fresh", "s1", 5)
    assert tag_of(MESSAGE, BLOB) == tag_of(later, again)


def test_the_tag_of_a_blob_without_a_source_id_is_that_of_the_one_it_is_submitted_with() -> None:
    given = BlobSource(f"{URL}?sig=fresh", "s1")
    assert deduplication_tag(MESSAGE, given, RetryBlob(URL)) == tag_of(MESSAGE, BLOB)


@pytest.mark.parametrize(
    ("message", "item"),
    [
        (MESSAGE, replace(BLOB, url=f"{URL}2")),
        (MESSAGE, replace(BLOB, source_id="s2")),
        (replace(MESSAGE, root_operation_id="other"), BLOB),
        (replace(MESSAGE, operation=replace(OPERATION, table="Returns")), BLOB),
        (replace(MESSAGE, operation=replace(OPERATION, database="Stock")), BLOB),
    ],
)
def test_tags_tell_blobs_roots_and_tables_apart(message: RetryMessage, item: RetryBlob) -> None:
    assert tag_of(message, item) != tag_of(MESSAGE, BLOB)


def test_a_tag_shows_neither_url_nor_id() -> None:
    tag = tag_of(MESSAGE, replace(BLOB, url=f"{URL}?sig=secret"))
    assert len(tag) == 65
    assert set(tag) <= set("0123456789abcdef-")


REDRIVEN = replace(ROW, redriven_by="ada", redriven_at=NOW)
BY_ADA = replace(MESSAGE, redriven_by="ada")


@pytest.mark.parametrize("kind", ["Permanent", "Exhausted", "Unknown", "Transient", "new to us"])
@pytest.mark.parametrize("attempt", [1, RETRYING.max_attempts, RETRYING.max_attempts + 3])
def test_what_a_person_wants_tried_again_is_submitted_whatever_its_failure_and_attempt(kind: str, attempt: int) -> None:
    assert decision(failed(kind), row=REDRIVEN, message=replace(BY_ADA, attempt=attempt)).action is Action.SUBMIT


@pytest.mark.parametrize(
    "report", [blob("Succeeded"), blob("Canceled"), failed("Permanent", error_code=ALREADY_INGESTED)]
)
def test_what_a_person_wants_tried_again_is_not_submitted_if_it_has_not_failed(report: BlobReport) -> None:
    assert decision(report, row=REDRIVEN, message=BY_ADA).action is Action.REFUSE


def test_what_a_person_wants_tried_again_waits_for_the_service_and_for_other_deliveries() -> None:
    assert decision(blob("InProgress"), row=REDRIVEN, message=BY_ADA).action is Action.WAIT
    assert (
        decision(failed("Permanent"), row=replace(REDRIVEN, claimed_until=NOW + SECOND), message=BY_ADA).action
        is Action.WAIT
    )


@pytest.mark.parametrize("state", [RetryState.RESUBMITTED, RetryState.RECOVERED, RetryState.ATTEMPTS_EXHAUSTED])
def test_a_redrive_of_the_past_gives_no_right_to_another_submission(state: RetryState) -> None:
    assert (
        decision(failed("Permanent"), row=replace(REDRIVEN, retry_state=state), message=BY_ADA).action is Action.NOTHING
    )


def test_a_tag_is_the_same_however_the_url_of_the_blob_is_spelled() -> None:
    tags = {
        deduplication_tag(MESSAGE, BlobSource(url, "s1"), RetryBlob(url, "s1"))
        for url in (
            "https://account.blob.core.windows.net/c/a%20b.csv?sig=x",
            "https://account.blob.core.windows.net/c/a b.csv",
        )
    }
    assert len(tags) == 1


def test_a_message_from_before_a_redrive_has_no_say_in_it() -> None:
    assert decision(failed("Permanent"), row=REDRIVEN, message=MESSAGE).action is Action.NOTHING
