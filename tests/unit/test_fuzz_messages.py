"""Whatever comes over a queue is a message that can be used, or is refused: no other error, and in no long time."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from shared import keys
from shared.endpoints import Endpoints, cluster_name
from shared.fields import MessageRefused, content_of, text_of
from shared.messages import (
    MOST_BLOBS,
    MOST_BYTES,
    Defaults,
    OperationMessage,
    RetryMessage,
    read_operation,
    read_poll_batch,
    read_retry,
    split_retry,
    write_operation,
    write_poll_batch,
    write_retry,
)
from shared.model import BlobReport, bare_url, blob_key
from shared.records import BlobRow
from shared.reenqueue import NamedBlobs
from shared.retry_decision import Circumstances, Rules, decide, deduplication_tag, resubmission_properties
from shared.store import outstanding as outstanding_store
from shared.store.results import pointer_to
from tests.support.damage import WRAPPINGS, damaged, one_odd_value
from tests.support.facts import CLUSTER, NOW, POLLING, RETRYING, outstanding
from tests.support.good import GOOD_BATCH, GOOD_OPERATION, GOOD_RETRY
from tests.support.storable import assert_storable

DEFAULTS = Defaults(Endpoints(CLUSTER), "Sales", "Orders")
# A case takes milliseconds; with this one that hangs is told from a machine that is at work on other things.
PACE = settings(max_examples=400, deadline=timedelta(minutes=1))


def given_blobs(body: bytes) -> int:
    content = content_of(text_of(body))
    return len(content.get("blobs") or []) if isinstance(content, dict) else 0  # type: ignore[arg-type]  # it was read


def use_operation(message: OperationMessage) -> None:
    """Do with a message all that registering and settling do before they write."""
    assert read_operation(write_operation(message).encode(), DEFAULTS) == message
    assert read_operation(write_operation(message).encode(), Defaults(Endpoints("")), is_ours=True) == message
    operation = message.operation
    pointer = pointer_to(operation, cluster_name(operation.cluster), NOW)
    first = outstanding(
        operation=operation,
        partition=pointer.partition,
        attempt=message.lineage.attempt,
        root_operation_id=message.lineage.root_operation_id or operation.operation_id,
        parent_operation_id=message.lineage.parent_operation_id,
        correlation_id=message.correlation_id,
        named_blobs=len(message.blobs),
    )
    assert keys.unescape(pointer.row) == operation.operation_id
    assert_storable({"PartitionKey": pointer.partition, "RowKey": pointer.row})
    assert_storable(outstanding_store._due_entity(first))  # noqa: SLF001, what is written
    row = assert_storable(outstanding_store._message_row(first, message))  # noqa: SLF001, the same
    assert "".join(row[f"Message{index}"] for index in range(row["Chunks"])) == write_operation(message)
    named = NamedBlobs(message.blobs)
    for blob in message.blobs:
        found = named.find(BlobReport("Failed", blob.source_id, blob.url and bare_url(blob.url)))
        assert bool(found) is bool(blob.source_id or (blob.url and bare_url(blob.url)))


@PACE
@given(damaged(GOOD_OPERATION))
@example(b"9" * 5_000)
@example(b"{" + b" " * 65_000)
@example(b'{"operationId": "a", "blobs": [' + b",".join([b'{"url": "https://a.example/b.csv"}'] * 1_800) + b"]}")
@example(json.dumps({"operationId": "a", "x": "\ud800", "blobs": [{"\ud800": "\0"}]}).encode())
def test_whatever_comes_is_an_operation_or_refused(body: bytes) -> None:
    event("accepted" if is_operation(body) else "refused")


def test_any_value_anywhere_is_an_operation_or_refused() -> None:
    outcomes = Counter(is_operation(body) for body in one_odd_value(GOOD_OPERATION))
    assert min(outcomes[True], outcomes[False]) > 300


def is_operation(body: bytes) -> bool:
    """Whether a body is accepted; then it can be used, and has all its blobs."""
    try:
        message = read_operation(body, DEFAULTS)
    except MessageRefused as refusal:
        assert 0 < len(str(refusal)) < 300  # noqa: PT017, it may also be accepted
        return False
    assert len(message.blobs) == given_blobs(body)
    use_operation(message)
    return True


def use_retry(message: RetryMessage) -> None:
    """Do with a message all that resubmitting does before it writes."""
    assert read_retry(write_retry(message).encode(), DEFAULTS) == message
    parts = split_retry(message)
    assert [blob.key for part in parts for blob in part.blobs] == [blob.key for blob in message.blobs]
    least = len(write_retry(replace(message, blobs=(), properties=None, extra={})))
    for part in parts:
        text = write_retry(part)
        assert read_retry(text.encode(), DEFAULTS) == part
        assert len(part.blobs) <= MOST_BLOBS
        # The app's own are Transient, and their keys short.
        fixed = max(len(json.dumps([blob.key, blob.failure_status])) for blob in part.blobs)
        assert len(text) <= max(MOST_BYTES, least + fixed + 1_000)
    rules = Rules(RETRYING, POLLING)
    for blob in message.blobs:
        report = BlobReport("Failed", blob.source_id, blob.url, failure_status=blob.failure_status)
        row = BlobRow(blob_key(blob.source_id, blob.url), report, message.attempt)
        for shown in ({}, {row.key: report}):
            decide(row, blob, message, Circumstances(NOW, shown, is_running=False, rules=rules))
        source = blob.as_source(blob.url or "", blob.source_id or "")
        tag = deduplication_tag(message, source, blob)
        assert resubmission_properties(message.properties or {}, tag)["ingestIfNotExists"] == [tag]
        json.dumps(resubmission_properties(message.properties or {}, None), allow_nan=False)


@PACE
@given(damaged(GOOD_RETRY))
@example(json.dumps(GOOD_RETRY | {"blobs": [{"details": "\u20ac" * 3_000, "blobKey": "k"}] * 60}).encode())
def test_whatever_comes_is_a_retry_or_refused(body: bytes) -> None:
    event("accepted" if is_retry(body) else "refused")


def test_any_value_anywhere_is_a_retry_or_refused() -> None:
    outcomes = Counter(is_retry(body) for body in one_odd_value(GOOD_RETRY))
    assert min(outcomes[True], outcomes[False]) > 300


def is_retry(body: bytes) -> bool:
    """Whether a body is accepted; then it can be used, and has all its blobs."""
    try:
        message = read_retry(body, DEFAULTS)
    except MessageRefused:
        return False
    assert len(message.blobs) == given_blobs(body)
    use_retry(message)
    return True


@PACE
@given(damaged(GOOD_BATCH))
def test_whatever_comes_is_a_poll_batch_or_refused(body: bytes) -> None:
    event("accepted" if is_batch(body) else "refused")


def test_any_value_anywhere_is_a_poll_batch_or_refused() -> None:
    outcomes = Counter(is_batch(body) for body in one_odd_value(GOOD_BATCH))
    assert min(outcomes[True], outcomes[False]) > 50


def is_batch(body: bytes) -> bool:
    """Whether a body is accepted; then it can be written and read again."""
    try:
        batch = read_poll_batch(body)
    except MessageRefused:
        return False
    assert batch.shard in keys.SHARDS
    assert read_poll_batch(write_poll_batch(batch).encode()) == batch
    assert isinstance(datetime.now(UTC) - batch.since, timedelta)
    return True


def test_a_message_nested_as_deep_as_can_be_read_is_refused_or_can_be_written() -> None:
    outcomes = set()
    for depth in range(9_500, 10_010, 10):
        try:
            message = read_operation(b'{"operationId": "a", "x": ' + b"[" * depth + b"]" * depth + b"}", DEFAULTS)
        except MessageRefused:
            outcomes.add("refused")
        else:
            outcomes.add("accepted")
            assert write_operation(message)
    assert outcomes == {"refused", "accepted"}


@pytest.mark.parametrize(
    ("good", "read"),
    [
        (GOOD_OPERATION, lambda body: read_operation(body, DEFAULTS)),
        (GOOD_RETRY, lambda body: read_retry(body, DEFAULTS)),
        (GOOD_BATCH, read_poll_batch),
    ],
    ids=["operation", "retry", "batch"],
)
def test_a_message_cut_short_anywhere_is_refused(good: dict[str, Any], read: Any) -> None:  # noqa: ANN401, any reader
    body = json.dumps(good).encode()
    read(body)
    for end in range(len(body)):
        with pytest.raises(MessageRefused):
            read(body[:end])


@PACE
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode), st.sampled_from(sorted(WRAPPINGS)))
def test_bytes_of_no_kind_are_an_id_or_refused(body: bytes, wrapping: str) -> None:
    for each in (body, WRAPPINGS[wrapping](body.decode("latin-1"))):
        try:
            message = read_operation(each, DEFAULTS)
        except MessageRefused:
            event("refused")
            continue
        event("accepted")
        use_operation(message)
