import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import keys
from shared.endpoints import Endpoints
from shared.fields import MessageRefused
from shared.messages import (
    LONGEST_CORRELATION_ID,
    MOST_BLOBS,
    MOST_BYTES,
    Defaults,
    NamedBlob,
    OperationMessage,
    PollBatch,
    RetryBlob,
    RetryMessage,
    read_operation,
    read_poll_batch,
    read_retry,
    split_retry,
    write_operation,
    write_poll_batch,
    write_retry,
)
from shared.model import Operation
from tests.support.facts import CLUSTER, NOW, OPERATION, URL

OTHER = "https://ingest-other.kusto.windows.net"
STRICT = Defaults(Endpoints(CLUSTER, frozenset({OTHER})))
DEFAULTS = Defaults(Endpoints(CLUSTER, frozenset({OTHER})), "Sales", "Orders")
LEAST = {"operationId": "ingest_op_12345", "database": "Sales", "table": "Orders"}
LEAST_RETRY = LEAST | {"version": 1, "rootOperationId": "root", "attempt": 2, "enqueuedAt": "2026-11-24T12:00:00Z"}
STRANGE_ID = "00001111;11112222;a/b c%2Fd\\e#f?g=h|é😀"
BATCH = PollBatch("a", "due|20261124T120000.000000Z|a1", "due|20261124T120001.000000Z|a2", NOW)

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NAME = st.text(
    st.characters(codec="utf-8", exclude_characters=[chr(code) for code in (*range(32), 127)]), min_size=1, max_size=20
).filter(lambda name: name not in {".", ".."})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
SIZE = st.integers(0, 2**63 - 1)


def unknown_fields(*known: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(TEXT.filter(lambda name: name not in known), JSON, max_size=3)


OPERATIONS = st.builds(Operation, st.sampled_from([CLUSTER, OTHER]), NAME, NAME, NAME)
PROPERTIES = st.none() | st.dictionaries(TEXT, JSON, max_size=4)
NAMED_BLOBS = st.builds(
    NamedBlob,
    url=st.none() | TEXT,
    source_id=st.none() | TEXT,
    raw_size=st.none() | SIZE,
    url_brought=st.booleans(),
    extra=unknown_fields("url", "sourceId", "rawSize", "urlBrought"),
)
OPERATION_MESSAGES = st.builds(
    OperationMessage,
    operation=OPERATIONS,
    properties=PROPERTIES,
    blobs=st.lists(NAMED_BLOBS, max_size=3).map(tuple),
    correlation_id=st.none() | TEXT,
    extra=unknown_fields(
        *("operationId", "database", "table", "cluster", "properties", "blobs", "correlationId"),
        *("attempt", "rootOperationId", "parentOperationId"),
    ),
)
RETRY_BLOBS = st.builds(
    RetryBlob,
    url=st.none() | TEXT,
    source_id=st.none() | TEXT,
    raw_size=st.none() | SIZE,
    error_code=st.none() | TEXT,
    failure_status=st.none() | TEXT,
    details=st.none() | TEXT,
    url_brought=st.booleans(),
    key=st.none() | TEXT,
    extra=unknown_fields(
        *("url", "sourceId", "rawSize", "errorCode", "failureStatus", "details", "urlBrought", "blobKey"),
    ),
)
RETRY_MESSAGES = st.builds(
    RetryMessage,
    operation=OPERATIONS,
    root_operation_id=NAME,
    attempt=st.integers(1, 2**31 - 1),
    enqueued_at=st.datetimes(timezones=st.just(UTC)),
    blobs=st.lists(RETRY_BLOBS, max_size=3).map(tuple),
    properties=PROPERTIES,
    correlation_id=st.none() | TEXT,
    missing_since=st.none() | st.datetimes(timezones=st.just(UTC)),
    extra=unknown_fields(
        *("version", "operationId", "rootOperationId", "attempt", "cluster", "database", "table"),
        *("properties", "correlationId", "enqueuedAt", "missingSince", "blobs"),
    ),
)


def encoded(fields: object) -> bytes:
    return json.dumps(fields).encode()


def in_base64(body: bytes) -> bytes:
    return base64.b64encode(body)


# Reading operations


def test_the_least_that_a_message_says() -> None:
    assert read_operation(encoded(LEAST), STRICT) == OperationMessage(OPERATION)


def test_a_whole_number_may_be_written_as_any_json_writes_it() -> None:
    message = read_operation(encoded(LEAST | {"attempt": 2.0, "blobs": [{"rawSize": 1e6}]}), STRICT)
    assert (message.lineage.attempt, message.blobs) == (2, (NamedBlob(raw_size=1_000_000),))


def test_all_that_a_message_may_say() -> None:
    body = encoded(
        LEAST
        | {
            "cluster": f"{OTHER.upper()}/",
            "properties": {"format": "csv", "ingestionMappingReference": "m"},
            "blobs": [{"url": f"{URL}?sig=x", "sourceId": "s1", "rawSize": 123, "rows": 7}, {}],
            "correlationId": "c1",
            "team": {"name": "sales"},
        }
    )
    assert read_operation(body, STRICT) == OperationMessage(
        operation=Operation(OTHER, "Sales", "Orders", "ingest_op_12345"),
        properties={"format": "csv", "ingestionMappingReference": "m"},
        blobs=(NamedBlob(f"{URL}?sig=x", "s1", 123, extra={"rows": 7}), NamedBlob()),
        correlation_id="c1",
        extra={"team": {"name": "sales"}},
    )


@pytest.mark.parametrize(
    "wrap",
    [
        bytes,
        in_base64,
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: in_base64(b"\xef\xbb\xbf" + body),
        lambda body: b"\r\n  " + body + b"\n",
        base64.encodebytes,
        lambda body: in_base64(json.dumps(json.loads(body), indent=2).encode()),
    ],
    ids=["plain", "base64", "BOM", "base64 of BOM", "spaces", "base64 in lines", "base64 of lines"],
)
def test_a_message_is_read_however_its_sender_wraps_it(wrap: Callable[[bytes], bytes]) -> None:
    assert read_operation(wrap(encoded(LEAST)), STRICT) == OperationMessage(OPERATION)


@pytest.mark.parametrize("character", ["\u00a0", "\u3000", "\u200b", "\u00ad"])
def test_a_base64_message_may_hold_any_character(character: str) -> None:
    body = json.dumps(LEAST | {"table": f"a{character}b"}, ensure_ascii=False).encode()
    assert read_operation(in_base64(body), DEFAULTS).operation.table == f"a{character}b"


@pytest.mark.parametrize(
    "operation_id",
    [
        "ingest_op_12345",
        "00001111;11112222;00001111-aaaa-2222-bbbb-3333cccc4444",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "6f9619ff8b86d011b42d00c04fc964ff",
        "12345",
        "12345678",
        "abcd",
        STRANGE_ID,
    ],
)
@pytest.mark.parametrize("wrap", [str.encode, lambda text: in_base64(text.encode()), encoded])
def test_a_bare_operation_id_is_a_message_where_the_defaults_are_set(
    operation_id: str, wrap: Callable[[str], bytes]
) -> None:
    message = read_operation(wrap(operation_id), DEFAULTS)
    assert message == OperationMessage(Operation(CLUSTER, "Sales", "Orders", operation_id))


def test_a_bare_operation_id_needs_the_defaults() -> None:
    with pytest.raises(MessageRefused, match=r"'database' is missing and KUSTO_DATABASE is not set"):
        read_operation(b"ingest_op_12345", STRICT)


def test_an_operation_id_is_opaque() -> None:
    assert read_operation(encoded(LEAST | {"operationId": STRANGE_ID}), STRICT).operation.operation_id == STRANGE_ID


@pytest.mark.parametrize("operation_id", ["x" * 512, "/" * 170, "😀" * 256])
def test_an_operation_id_may_be_as_long_as_a_key(operation_id: str) -> None:
    assert read_operation(encoded(LEAST | {"operationId": operation_id}), STRICT).operation.operation_id == operation_id


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_name_means_the_default(empty: str | None) -> None:
    message = read_operation(encoded({"operationId": "op", "database": empty, "table": empty}), DEFAULTS)
    assert message.operation == Operation(CLUSTER, "Sales", "Orders", "op")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b"{", "looks like JSON"),
        (encoded(LEAST)[:-1], "looks like JSON"),
        (b"{} {}", "looks like JSON"),
        (b'{"a":' + b"[" * 60_000, "looks like JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "looks like JSON"),
        (encoded([LEAST]), "JSON array"),
        (b'""', "'database' is missing"),
        (encoded({**LEAST, "operationId": None}), "'operationId' is missing"),
        (encoded({**LEAST, "operationId": ""}), "'operationId' is missing"),
        (encoded({**LEAST, "operationId": 12345}), "'operationId' is not a string"),
        (encoded({**LEAST, "operationId": "a\nb"}), "'operationId' has a control character"),
        (encoded({**LEAST, "operationId": "a\x7fb"}), "'operationId' has a control character"),
        (encoded({**LEAST, "operationId": ".."}), "'operationId' is only dots"),
        (encoded({**LEAST, "operationId": "\ud800"}), "'operationId' is not valid Unicode"),
        (encoded({**LEAST, "operationId": "x" * 513}), "longer than 512"),
        (encoded({**LEAST, "operationId": "/" * 171}), "longer than 512"),
        (encoded({**LEAST, "operationId": "😀" * 257}), "longer than 512"),
        (encoded({**LEAST, "database": "x" * 300, "table": "y" * 300}), "longer than 512"),
        (encoded({**LEAST, "database": None}), "'database' is missing and KUSTO_DATABASE"),
        (encoded({**LEAST, "table": ""}), "'table' is missing and KUSTO_TABLE"),
        (encoded({**LEAST, "table": ["Orders"]}), "'table' is not a string"),
        (encoded({**LEAST, "cluster": "https://ingest-evil.kusto.windows.net"}), "KUSTO_ALLOWED_INGEST_URIS"),
        (encoded({**LEAST, "cluster": "ingest-help"}), "https://HOST"),
        (encoded({**LEAST, "cluster": 5}), "'cluster' is not a string"),
        (encoded({**LEAST, "properties": "csv"}), "'properties' is not an object"),
        (encoded({**LEAST, "blobs": {"url": URL}}), "'blobs' is not a list of objects"),
        (encoded({**LEAST, "blobs": [None]}), "'blobs' is not a list of objects"),
        (encoded({**LEAST, "blobs": [URL]}), "'blobs' is not a list of objects"),
        (encoded({**LEAST, "blobs": [{"url": 5}]}), "'url' is not a string"),
        (encoded({**LEAST, "blobs": [{"rawSize": "5"}]}), "'rawSize' is not a whole number"),
        (encoded({**LEAST, "blobs": [{"rawSize": -1}]}), "'rawSize' is not a whole number"),
        (encoded({**LEAST, "blobs": [{"rawSize": True}]}), "'rawSize' is not a whole number"),
        (encoded({**LEAST, "blobs": [{"rawSize": 1.5}]}), "'rawSize' is not a whole number"),
        (encoded({**LEAST, "blobs": [{"rawSize": 2**63}]}), "'rawSize' is not a whole number"),
        (encoded({**LEAST, "correlationId": {}}), "'correlationId' is not a string"),
        (encoded({**LEAST, "correlationId": "c" * 1025}), "'correlationId' is longer than 1024"),
    ],
)
def test_a_message_that_cannot_be_accepted_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(MessageRefused, match=reason):
        read_operation(body, STRICT)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_have_is_refused(number: str) -> None:
    body = json.dumps(LEAST).encode()[:-1] + b', "properties": {"format": "csv", "x": ' + number.encode() + b"}}"
    with pytest.raises(MessageRefused):
        read_operation(body, STRICT)


def test_a_correlation_id_may_have_1024_characters() -> None:
    assert read_operation(encoded(LEAST | {"correlationId": "😀" * 1024}), STRICT).correlation_id == "😀" * 1024


@pytest.mark.parametrize("cluster", ["https://ingest-gone.kusto.windows.net", f"{CLUSTER.upper()}/"])
def test_the_cluster_of_a_message_that_was_accepted_before_stands(cluster: str) -> None:
    message = read_operation(encoded(LEAST | {"cluster": cluster}), STRICT, is_ours=True)
    assert message.operation.cluster == cluster


@pytest.mark.parametrize("cluster", [None, ""])
def test_a_message_that_was_accepted_before_may_mean_the_default_cluster(cluster: str | None) -> None:
    message = read_operation(encoded(LEAST | {"cluster": cluster}), STRICT, is_ours=True)
    assert message.operation == OPERATION


def test_a_cluster_that_only_folds_to_a_url_is_refused() -> None:
    body = encoded(LEAST | {"cluster": "http\u017f://evil.example"})
    with pytest.raises(MessageRefused):
        read_operation(body, STRICT)


def test_a_cluster_with_a_port_that_only_folds_to_a_url_is_refused() -> None:
    body = encoded(LEAST | {"cluster": "http\u017f://evil.example:8443"})
    with pytest.raises(MessageRefused):
        read_operation(body, STRICT)


def test_a_refusal_does_not_quote_the_message() -> None:
    with pytest.raises(MessageRefused) as refusal:
        read_operation(encoded(LEAST | {"cluster": f"https://user:hunter2@{CLUSTER[8:]}"}), STRICT)
    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    "shown",
    [NamedBlob(f"{URL}?sig=x"), RetryBlob(f"{URL}?sig=x"), OperationMessage(OPERATION, blobs=(NamedBlob("?sig=x"),))],
)
def test_messages_do_not_show_their_urls(shown: object) -> None:
    assert "sig=" not in repr(shown)


def test_a_message_of_64_kib_is_read_and_written() -> None:
    fields = LEAST | {"blobs": [{"url": f"{URL}?n={number}&sig=x", "sourceId": str(number)} for number in range(400)]}
    filler = 64 * 1024 - len(encoded(fields | {"note": ""}))
    body = encoded(fields | {"note": "x" * filler})
    assert len(body) == 64 * 1024
    message = read_operation(body, STRICT)
    assert len(message.blobs) == 400
    assert read_operation(write_operation(message).encode(), STRICT) == message
    assert read_operation(in_base64(body), STRICT) == message


def test_a_message_of_64_kib_that_is_not_ascii_is_read_and_written() -> None:
    body = json.dumps(LEAST | {"note": "é" * 32_000, "x": "y" * 1000}, ensure_ascii=False).encode()
    message = read_operation(body, STRICT)
    assert read_operation(write_operation(message).encode(), STRICT) == message


@given(message=OPERATION_MESSAGES, wrapped=st.booleans())
def test_an_operation_message_comes_back_as_it_was_written(message: OperationMessage, *, wrapped: bool) -> None:
    body = write_operation(message).encode()
    assert body.isascii()
    assert read_operation(in_base64(body) if wrapped else body, STRICT) == message


# Reading retries


def test_a_retry_message_as_documented() -> None:
    body = encoded(
        {
            "version": 1,
            "operationId": "ingest_op_12345",
            "rootOperationId": "ingest_op_1",
            "attempt": 1,
            "cluster": CLUSTER,
            "database": "Sales",
            "table": "Orders",
            "properties": {"format": "csv"},
            "correlationId": "c1",
            "enqueuedAt": "2026-11-24T13:00:00+01:00",
            "blobs": [
                {
                    "url": URL,
                    "sourceId": "s1",
                    "rawSize": 1,
                    "errorCode": "General_ThrottledIngestion",
                    "failureStatus": "Transient",
                    "details": "busy",
                }
            ],
        }
    )
    assert read_retry(body, STRICT) == RetryMessage(
        operation=OPERATION,
        root_operation_id="ingest_op_1",
        attempt=1,
        enqueued_at=NOW,
        blobs=(RetryBlob(URL, "s1", 1, "General_ThrottledIngestion", "Transient", "busy"),),
        properties={"format": "csv"},
        correlation_id="c1",
    )


def test_a_retry_message_is_written_with_the_documented_names() -> None:
    elsewhere = timezone(timedelta(hours=1))
    message = RetryMessage(
        OPERATION,
        "root",
        2,
        NOW.astimezone(elsewhere),
        (RetryBlob(URL, "s1", 1, "E", "Transient", "busy", key="k1", extra={"rows": 7}),),
        properties={"format": "csv"},
        correlation_id="c1",
        missing_since=(NOW + timedelta(minutes=1)).astimezone(elsewhere),
        extra={"team": "sales", "version": 9},
    )
    assert json.loads(write_retry(message)) == {
        "team": "sales",
        "version": 1,
        "operationId": "ingest_op_12345",
        "rootOperationId": "root",
        "attempt": 2,
        "cluster": CLUSTER,
        "database": "Sales",
        "table": "Orders",
        "properties": {"format": "csv"},
        "correlationId": "c1",
        "enqueuedAt": "2026-11-24T12:00:00+00:00",
        "missingSince": "2026-11-24T12:01:00+00:00",
        "putBacks": 0,
        "blobs": [
            {
                "rows": 7,
                "url": URL,
                "sourceId": "s1",
                "rawSize": 1,
                "errorCode": "E",
                "failureStatus": "Transient",
                "details": "busy",
                "urlBrought": False,
                "blobKey": "k1",
            }
        ],
    }


def test_what_is_not_known_of_a_retry_is_not_written() -> None:
    written = json.loads(write_retry(retry_of([RetryBlob(URL)])))
    assert (written["missingSince"], written["putBacks"]) == (None, 0)
    assert {"rawSize", "blobKey"}.isdisjoint(written["blobs"][0])


@pytest.mark.parametrize(("value", "attempt"), [(2**31 - 1, 2**31 - 1), (1, 1), (0, 1), (None, 1)])
def test_an_attempt_is_a_count_from_one_on(value: int | None, attempt: int) -> None:
    assert read_retry(encoded(LEAST_RETRY | {"attempt": value}), STRICT).attempt == attempt


@pytest.mark.parametrize("value", [None, ""])
def test_what_is_not_missing_is_missing_since_never(value: str | None) -> None:
    assert read_retry(encoded(LEAST_RETRY | {"missingSince": value}), STRICT).missing_since is None


def test_a_time_without_a_zone_is_utc() -> None:
    assert read_retry(encoded(LEAST_RETRY | {"enqueuedAt": "2026-11-24T12:00:00"}), STRICT).enqueued_at == NOW


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version 2 is not known"),
        ({"version": None}, "version None is not known"),
        ({"version": True}, "'version' is not a whole number"),
        ({"rootOperationId": None}, "'rootOperationId' is missing"),
        ({"database": None}, "'database' is missing"),
        ({"attempt": "2"}, "'attempt' is not a whole number"),
        ({"attempt": 2**31}, "'attempt' is not a whole number from 0 to 2147483647"),
        ({"missingSince": "soon"}, "'missingSince' is not a time"),
        ({"missingSince": 5}, "'missingSince' is not a string"),
        ({"blobs": [{"blobKey": 5}]}, "'blobKey' is not a string"),
        ({"enqueuedAt": None}, "'enqueuedAt' is not a time"),
        ({"enqueuedAt": "soon"}, "'enqueuedAt' is not a time"),
        ({"enqueuedAt": 5}, "'enqueuedAt' is not a string"),
        ({"cluster": "https://ingest-evil.kusto.windows.net"}, "KUSTO_ALLOWED_INGEST_URIS"),
        ({"blobs": "x"}, "'blobs' is not a list"),
    ],
)
def test_a_retry_message_that_cannot_be_accepted_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(MessageRefused, match=reason):
        read_retry(encoded(LEAST_RETRY | change), STRICT)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("name", ["enqueuedAt", "missingSince"])
def test_a_time_outside_the_calendar_is_refused(name: str, time: str) -> None:
    with pytest.raises(MessageRefused, match=f"'{name}' is not a time"):
        read_retry(encoded(LEAST_RETRY | {name: time}), STRICT)


def test_a_retry_message_is_no_bare_operation_id() -> None:
    with pytest.raises(MessageRefused, match="JSON object"):
        read_retry(b"ingest_op_12345", DEFAULTS)


@given(message=RETRY_MESSAGES, wrapped=st.booleans())
def test_a_retry_message_comes_back_as_it_was_written(message: RetryMessage, *, wrapped: bool) -> None:
    body = write_retry(message).encode()
    assert body.isascii()
    assert read_retry(in_base64(body) if wrapped else body, STRICT) == message


# Poll batches


@pytest.mark.parametrize("wrap", [bytes, in_base64])
def test_a_poll_batch_comes_back_as_it_was_written(wrap: Callable[[bytes], bytes]) -> None:
    assert read_poll_batch(wrap(write_poll_batch(BATCH).encode())) == BATCH


@pytest.mark.parametrize(
    "body",
    [
        b"a",
        b'"a"',
        b"{}",
        encoded({"shard": "g", "first": "a", "last": "b"}),
        encoded({"shard": "ab", "first": "a", "last": "b"}),
        encoded({"shard": "a", "first": "a"}),
        encoded({"shard": "a", "first": 1, "last": 2}),
    ],
)
def test_what_is_no_poll_batch_is_refused(body: bytes) -> None:
    with pytest.raises(MessageRefused):
        read_poll_batch(body)


# Whatever comes


def outcome_of(read: Callable[[], object]) -> object:
    try:
        return read()
    except MessageRefused as refusal:
        return refusal


JUNK = st.sampled_from([*LEAST_RETRY, "cluster", "properties", "blobs", "correlationId", "shard", "first", "last"])
OBJECTS = st.dictionaries(JUNK | TEXT, JSON | st.just([{"url": "x"}]), max_size=8)
BODIES = (
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode(errors="surrogatepass"))
    | (JSON | OBJECTS | OBJECTS.map(lambda fields: LEAST_RETRY | fields)).map(encoded)
)


@given(body=BODIES, wrapped=st.booleans())
def test_whatever_comes_is_a_message_or_refused(body: bytes, *, wrapped: bool) -> None:
    body = in_base64(body) if wrapped else body
    operation = outcome_of(lambda: read_operation(body, DEFAULTS))
    retry = outcome_of(lambda: read_retry(body, DEFAULTS))
    batch = outcome_of(lambda: read_poll_batch(body))
    assert isinstance(operation, OperationMessage | MessageRefused)
    assert isinstance(retry, RetryMessage | MessageRefused)
    assert isinstance(batch, PollBatch | MessageRefused)
    if isinstance(operation, OperationMessage):
        assert keys.utf16_length(keys.escape(operation.operation.operation_id)) <= keys.LONGEST_KEY


# Splitting


def retry_of(blobs: list[RetryBlob], **fields: Any) -> RetryMessage:  # noqa: ANN401, whatever the fields are
    return RetryMessage(OPERATION, "root", 1, NOW, tuple(blobs), **fields)


def addresses(blobs: tuple[RetryBlob, ...] | list[RetryBlob]) -> list[tuple[str | None, str | None]]:
    return [(blob.url, blob.source_id) for blob in blobs]


LONG = st.integers(0, 9000).map(lambda length: "é" * (length // 6) + "x" * (length % 6))
LARGE_BLOBS = st.builds(
    RetryBlob,
    url=LONG.map(lambda text: f"{URL}?{text}"),
    source_id=st.none() | TEXT,
    details=st.none() | LONG.map(lambda text: text + "\x00😀" * (len(text) // 2)),
    extra=st.just({}) | LONG.map(lambda text: {"note": text * 8}),
)


@given(
    st.lists(LARGE_BLOBS, max_size=60),
    st.sampled_from([0, 100, 20_000, 47_000, 60_000]),
    st.sampled_from([1, 7, MOST_BLOBS]),
)
def test_splitting_loses_no_blob_and_respects_both_limits(
    blobs: list[RetryBlob], properties: int, most_blobs: int
) -> None:
    whole = retry_of(blobs, properties={"format": "csv", "note": "x" * properties})
    parts = split_retry(whole, most_blobs=most_blobs)
    assert [address for part in parts for address in addresses(part.blobs)] == addresses(blobs)
    for part in parts:
        assert 1 <= len(part.blobs) <= most_blobs
        assert len(write_retry(part)) <= MOST_BYTES
        assert read_retry(write_retry(part).encode(), STRICT) == part


def test_few_small_blobs_stay_together_as_they_are() -> None:
    whole = retry_of(
        [RetryBlob(URL, str(number), 1, "E", "Transient", "busy", extra={"n": number}) for number in range(MOST_BLOBS)],
        properties={"format": "csv"},
        correlation_id="c1",
        extra={"team": "sales"},
    )
    assert split_retry(whole) == [whole]


@pytest.mark.parametrize(
    ("blobs", "most", "sizes"), [(0, 20, []), (20, 20, [20]), (21, 20, [20, 1]), (45, 20, [20, 20, 5]), (3, 1, [1] * 3)]
)
def test_blobs_are_split_by_their_number(blobs: int, most: int, sizes: list[int]) -> None:
    whole = retry_of([RetryBlob(URL, str(number)) for number in range(blobs)])
    assert [len(part.blobs) for part in split_retry(whole, most_blobs=most)] == sizes


def test_a_message_is_filled_to_the_last_byte() -> None:
    one = retry_of([RetryBlob(URL)])
    room = MOST_BYTES - len(write_retry(one))
    (fits,) = split_retry(retry_of([RetryBlob(URL + "x" * (room - 1))], properties=None))
    assert len(write_retry(fits)) == MOST_BYTES - 1


def test_a_blob_too_large_goes_alone_without_what_makes_it_so() -> None:
    large = RetryBlob(URL, "large", details="busy", extra={"note": "x" * MOST_BYTES})
    small = [RetryBlob(URL, str(number)) for number in range(3)]
    whole = retry_of([small[0], large, *small[1:]], properties={"format": "csv"}, extra={"team": "sales"})
    assert split_retry(whole) == [
        retry_of(small[:1], properties={"format": "csv"}, extra={"team": "sales"}),
        retry_of([RetryBlob(URL, "large")], properties={"format": "csv"}, extra={"team": "sales"}),
        retry_of(small[1:], properties={"format": "csv"}, extra={"team": "sales"}),
    ]


def test_long_details_are_shortened() -> None:
    (part,) = split_retry(retry_of([RetryBlob(URL, details="x" * 5000)]))
    assert part.blobs[0].details == "x" * 1024


LARGE = "x" * MOST_BYTES
FULL = RetryBlob(URL, "s1", 7, "E", "Transient", "busy", url_brought=True, key="k1", extra={"rows": 7})
PROPERTIES_AND_TEAM: dict[str, Any] = {"properties": {"format": "csv"}, "extra": {"team": "sales"}}
LEAN = replace(FULL, details=None, extra={})
LEANER = replace(LEAN, error_code=None)
LEANEST = replace(LEANER, url=None, url_brought=False)


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        (
            retry_of([replace(FULL, extra={"note": LARGE})], **PROPERTIES_AND_TEAM),
            retry_of([LEAN], **PROPERTIES_AND_TEAM),
        ),
        (retry_of([replace(FULL, error_code=LARGE)], **PROPERTIES_AND_TEAM), retry_of([LEANER])),
        (retry_of([FULL], properties={"format": "csv", "note": LARGE}), retry_of([LEANER])),
        (retry_of([FULL], extra={"note": LARGE}), retry_of([LEANER])),
        (retry_of([replace(FULL, url=f"{URL}?{LARGE}")], **PROPERTIES_AND_TEAM), retry_of([LEANEST])),
        (
            retry_of([replace(FULL, source_id=LARGE)], **PROPERTIES_AND_TEAM),
            retry_of([replace(LEANEST, source_id=None)]),
        ),
    ],
    ids=["the blob's extra", "errorCode", "properties", "the message's extra", "url", "sourceId"],
)
def test_as_little_as_it_takes_is_left_out_in_order(whole: RetryMessage, part: RetryMessage) -> None:
    assert split_retry(whole) == [part]


@pytest.mark.parametrize(
    "whole",
    [
        retry_of([RetryBlob(URL)], correlation_id="😀" * LONGEST_CORRELATION_ID),
        retry_of([RetryBlob(URL, error_code="e" * 70_000)]),
        retry_of([RetryBlob(f"{URL}?{'é' * 15_000}")]),
        retry_of([RetryBlob(URL, "é" * 15_000)]),
        RetryMessage(
            Operation(CLUSTER, "😀" * 120, "😀" * 120, "😀" * 256),
            "😀" * 256,
            2**31 - 1,
            NOW,
            tuple([replace(FULL, source_id="é" * 15_000, url="é" * 15_000, error_code="é" * 15_000)] * 3),
            properties={"format": "é" * 60_000},
            correlation_id="😀" * LONGEST_CORRELATION_ID,
            missing_since=NOW,
            extra={"note": "é" * 60_000},
        ),
    ],
    ids=["correlationId", "errorCode", "url", "sourceId", "everything"],
)
def test_no_part_is_larger_than_a_queue_takes_whatever_is_in_it(whole: RetryMessage) -> None:
    parts = split_retry(whole)
    assert sum(len(part.blobs) for part in parts) == len(whole.blobs)
    assert all(len(write_retry(part)) <= MOST_BYTES for part in parts)


def test_enqueued_at_is_written_in_utc() -> None:
    local = datetime(2026, 11, 24, 13, tzinfo=timezone(timedelta(hours=1)))
    message = RetryMessage(OPERATION, "root", 1, local, ())
    assert '"enqueuedAt":"2026-11-24T12:00:00+00:00"' in write_retry(message)
