"""The message about an end: what it says, how much, and what it is told by."""

import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import keys
from shared.messages import LONGEST_CORRELATION_ID, MOST_BYTES
from shared.model import Counts, Operation, OperationState, RetryState
from shared.news import Kind, cloud_event, news_of, write_news
from tests.support.ends import CLUSTER, NOW, an_end, rows

QUEUE_TAKES = 64 * 1024


@given(details=st.text(max_size=3000), url=st.text(max_size=2000), count=st.integers(0, 400))
def test_as_many_blobs_are_named_as_have_room_each_of_them_whole(details: str, url: str, count: int) -> None:
    news = news_of(Kind.SETTLED, an_end(counts=Counts(failed=count)), rows(count, details, url))
    text = write_news(news)
    assert text.isascii()
    assert len(text) <= MOST_BYTES
    content = json.loads(text)
    named = content["failedBlobs"]
    assert [each["url"] for each in named] == [f"{url}/{place}" for place in range(len(named))]
    assert len(named) + content["failedBlobsLeftOut"] == count
    if named:
        largest = max(len(json.dumps(each, separators=(",", ":"))) for each in named)
        assert len(named) == count or len(text) > MOST_BYTES - largest - 16


@given(details=st.text("<>&x", max_size=3000), count=st.integers(0, 400))
def test_a_message_is_no_longer_in_the_xml_that_it_travels_in(details: str, count: int) -> None:
    text = write_news(news_of(Kind.SETTLED, an_end(counts=Counts(failed=count)), rows(count, details)))
    assert len(escape(text)) == len(text) <= MOST_BYTES
    assert all(each["details"][:100] == details[:100] for each in json.loads(text)["failedBlobs"])


def test_no_more_rows_are_read_than_have_room() -> None:
    read = iter(rows(10_000, "x" * 500))
    news = news_of(Kind.SETTLED, an_end(counts=Counts(failed=10_000)), read)
    named = json.loads(write_news(news))["failedBlobs"]
    assert sum(1 for _ in read) == 10_000 - len(named) - 1


def test_a_blob_that_no_message_has_room_for_is_passed_over() -> None:
    giant, *others = rows(3)
    giant = replace(giant, report=replace(giant.report, url="x" * MOST_BYTES))
    content = json.loads(write_news(news_of(Kind.SETTLED, an_end(counts=Counts(failed=3)), [giant, *others])))
    assert [each["sourceId"] for each in content["failedBlobs"]] == ["s1", "s2"]
    assert content["failedBlobsLeftOut"] == 1


def test_the_longest_names_and_texts_fit_a_queue() -> None:
    long = "\u6f22" * (keys.LONGEST_KEY - 1)
    odd = "/" + long[1:]
    summary = replace(an_end().summary, last_error="\U0001f4a5" * 32_000, first_error_code="\U0001f4a5" * 32_000)
    ended = an_end(summary=summary, correlation_id="\U0001f4a5" * LONGEST_CORRELATION_ID, root_operation_id=long)
    ended = replace(ended, operation=Operation(CLUSTER, long, long, odd), parent_operation_id=long)
    news = news_of(Kind.SETTLED, ended, rows(3))
    assert len(write_news(news)) < QUEUE_TAKES
    assert news.content["failedBlobsLeftOut"] == 1


def test_an_end_has_one_id_whatever_its_row_says_later_and_another_end_another() -> None:
    settled = news_of(Kind.SETTLED, an_end())
    corrected = an_end(OperationState.SUCCEEDED, Counts(succeeded=1))
    same = [an_end(), corrected, an_end(attempt=2)]
    assert {news_of(Kind.SETTLED, each).event_id for each in same} == {settled.event_id}
    others = [
        news_of(Kind.SETTLED, an_end(operation_id="other")),
        news_of(Kind.SETTLED, an_end(settled_at=NOW + timedelta(microseconds=1))),
        news_of(Kind.CORRECTED, an_end()),
        news_of(Kind.CORRECTED, corrected),
        news_of(Kind.CORRECTED, an_end(counts=Counts(succeeded=1, failed=1))),
    ]
    assert len({settled.event_id, *(each.event_id for each in others)}) == 6
    assert news_of(Kind.CORRECTED, corrected).event_id == others[3].event_id


def test_times_are_in_utc_and_counts_have_all_blobs() -> None:
    content = news_of(Kind.SETTLED, an_end(counts=Counts(1, 2, 3, 4, 5))).content
    assert content["settledAt"] == content["registeredAt"] == "2026-11-24T12:00:00.123457Z"
    assert content["blobs"] == {"succeeded": 1, "failed": 2, "inProgress": 8, "canceled": 4}


def test_a_blob_says_what_becomes_of_its_retry() -> None:
    (row,) = rows(1)
    enqueued = replace(row, retry_state=RetryState.ENQUEUED)
    (named,) = json.loads(write_news(news_of(Kind.SETTLED, an_end(), [enqueued])))["failedBlobs"]
    assert named["retryState"] == "Enqueued"


@pytest.mark.parametrize("operation_id", ["op", "a b;c", "a/b", "50%", "\u6f22"])
def test_the_way_to_the_rest_names_the_operation_and_nothing_else(operation_id: str) -> None:
    link = urlsplit(str(news_of(Kind.SETTLED, an_end(operation_id=operation_id)).content["more"]))
    *_, name, last = link.path.split("/")
    query = dict(parse_qsl(link.query))
    assert (unquote(name), last, query["status"]) == (operation_id, "blobs", "Failed")
    assert query.get("operationId", operation_id) == operation_id
    assert (query["cluster"], query["database"], query["table"]) == (CLUSTER, "db", "events")


def test_a_name_of_any_characters_can_be_told() -> None:
    odd = "\x7f \"'<&\U0001f4a5"
    ended = replace(an_end(), operation=Operation(CLUSTER, odd, odd, odd), correlation_id=odd)
    news = news_of(Kind.SETTLED, ended)
    assert json.loads(write_news(news))["operationId"] == odd
    assert str(cloud_event(news)["source"]).isascii()


def test_an_event_is_of_its_table_and_says_the_message() -> None:
    ended = replace(an_end(), operation=Operation(CLUSTER, "My DB", "a/b", "op 1"))
    settled, corrected = (news_of(kind, ended) for kind in Kind)
    event = cloud_event(settled)
    assert (event["id"], event["data"]) == (settled.event_id, settled.content)
    assert event["source"] == f"{CLUSTER}/databases/My%20DB/tables/a%2Fb"
    assert event["subject"] == "operations/op%201"
    assert [cloud_event(each)["type"] for each in (settled, corrected)] == [
        "AdxIngestionTracker.OperationSettled",
        "AdxIngestionTracker.OperationCorrected",
    ]
    assert ["time" in cloud_event(each) for each in (settled, corrected)] == [True, False]
