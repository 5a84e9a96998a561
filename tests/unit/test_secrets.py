"""Secrets planted wherever input comes from, and what the app says, keeps and raises searched for them."""

import base64
import dataclasses
import inspect
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError
from hypothesis import given
from hypothesis import strategies as st

from shared import library_logs, messages, model, records
from shared.app import Tracker, tracker
from shared.blob_access import AccessFailed, ByUserDelegation, NoBlob
from shared.endpoints import Endpoints
from shared.errors import KustoError
from shared.fields import MessageRefused
from shared.invocation import StorageFailed
from shared.kusto.answers import read_status
from shared.kusto.client import Answer, KustoClient, Timeouts
from shared.kusto.tokens import IdentityTokens
from shared.messages import Defaults, read_operation, read_poll_batch, read_retry
from shared.model import BlobSource, Operation, bare_url
from shared.redaction import redact, redacted_id
from shared.settings import SettingsError, StorageAccess, load
from tests.support.facts import CLUSTER, NOW, OPERATION, URL, surroundings
from tests.support.http_server import Reply, ScriptedServer
from tests.support.planted import BLOB, Leak, Planted, everything_logged, show_all

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

DEFAULTS = Defaults(Endpoints(CLUSTER), "db", "events")
SHAPES = sorted(Planted().shapes("any"))
HELD = "holds what looks like a secret"


def told(error: BaseException) -> str:
    """All that a host can log of an exception."""
    return "".join([*traceback.format_exception(error), repr(error), str(error)])


def encoded(**fields: object) -> bytes:
    return json.dumps(fields).encode()


# The search itself


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "hide",
    [
        str,
        str.upper,
        lambda text: quote(text, safe=""),
        lambda text: quote(quote(text, safe=""), safe=""),
        json.dumps,
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.b64encode(b"a" + text.encode()).decode(),
        lambda text: base64.b64encode(b"ab" + text.encode()).decode(),
        lambda text: text[: len(text) - 6],
    ],
    ids=["as it is", "upper", "quoted", "quoted twice", "JSON", "base64", "base64 + 1", "base64 + 2", "cut"],
)
def test_the_search_finds_a_secret_in_any_form_and_where_it_is_from(hide: Callable[[str], str], shape: str) -> None:
    planted = Planted()
    planted.text("elsewhere")
    text = planted.shapes("here")[shape]
    assert planted.leaks([("there", f"it says {hide(text)}."), ("afar", "nothing")]) == [
        Leak(f"here, {shape}", "there")
    ]


def test_the_search_finds_each_half_of_a_signature() -> None:
    planted = Planted()
    signature = planted.signature("here")
    for half in (signature[:21], signature[21:]):
        assert planted.leaks_in(half) == ["here"]


# Redaction

WORDS = st.text(max_size=20)
SEPARATORS = st.sampled_from([" ", "\n", '"', "'", "(", "<", ">", ", ", ": ", "; ", "\t", "[", "="])
ENDS = st.sampled_from([" ", "\n", '"', "'", "<", ">", " failed", ", and ", '"}'])


@given(WORDS, SEPARATORS, st.sampled_from(SHAPES), st.integers(0, 10**9), ENDS, WORDS)
def test_no_secret_of_a_known_shape_survives_in_any_text(
    before: str, separator: str, shape: str, number: int, end: str, after: str
) -> None:
    planted = Planted()
    secret = planted.shapes(f"secret {number}")[shape]
    for text in (secret, json.dumps(secret)):
        assert planted.leaks_in(redact(f"{before}{separator}{text}{end}{after}")) == []


@pytest.mark.parametrize("end", ["", "=", "==", "%3D%3D", " failed"])
def test_a_long_base64_goes_whatever_is_left_of_its_end(end: str) -> None:
    key = "aB3+" * 22
    assert key[:12] not in redact(f"the key {key}{end}")


@given(st.lists(st.sampled_from(SHAPES) | st.text(max_size=9), max_size=6), st.integers(0, 10**9))
def test_what_is_redacted_stays_as_it_is(words: list[str], number: int) -> None:
    shapes = Planted().shapes(f"secret {number}")
    once = redact(" ".join(shapes.get(word, word) for word in words))
    assert redact(once) == once


@pytest.mark.parametrize(
    "hide",
    [
        lambda text: quote(text, safe=""),
        lambda text: text.replace("/", "\\/"),
        lambda text: json.dumps(json.dumps({"url": text})),
        lambda text: text.replace("&", "\\u0026"),
        lambda text: text.replace("&", "&amp;"),
    ],
    ids=["quoted", "slashes escaped", "JSON in JSON", "unicode", "HTML"],
)
@pytest.mark.parametrize("shape", ["sas url", "key url", "user url"])
def test_a_url_that_is_escaped_loses_its_secrets_too(shape: str, hide: Callable[[str], str]) -> None:
    planted = Planted()
    url = planted.shapes("here")[shape]
    assert planted.leaks_in(redact(f"requested URL {hide(url)} failed")) == []


@pytest.mark.parametrize(
    "text",
    [
        "Download_SourceNotFound",
        "BadRequest_MissingMappingFailure: Mapping reference 'csv_mapping' of type 'csv' could not be found",
        "Stream with id 'in/2026/11/24/a.csv' has a malformed Csv format; field count: 5, expected: 6",
        "Semantic error: SEM0100: 'where' operator: Failed to resolve column or scalar expression named 'x'",
        "Principal 'aadapp=7c0e9a70-0b1c-4f5e-9d55-0d7c1c6f7f10;contoso.com' is not authorized to read table 'Orders'.",
        "ingest_op_12345",
        "00001111;11112222;00001111-aaaa-2222-bbbb-3333cccc4444",
        "7c0e9a70-0b1c-4f5e-9d55-0d7c1c6f7f10",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "d41d8cd98f00b204e9800998ecf8427e",
        "the file's SHA-512 is " + "0123456789abcdef" * 8,
        "the file's SHA-512 is " + "0123456789ABCDEF" * 8,
        f"{BLOB} was not found",
        "https://acc.blob.core.windows.net/" + "Container/Year2026/Month11/Day24/" * 4 + "part00000.csv",
        "raw/Region=Europe/Year=2026/Month=11/Day=24/Hour=12/Source=Orders/Tenant=0042/Batch=000017/part.parquet",
        "raw/part-00000-tid-1234567890123456789-5b2c8a3e-0b1c-4f5e-9d55-0d7c1c6f7f10-1-1-c000.snappy.parquet",
        "abfss://box@acc.dfs.core.windows.net/in/a.csv",
        "the token has expired; unexpected token: '}' at 5; a bearer token is missing; the signature is wrong",
        "ask alice@contoso.com at 12:00:05, see https://aka.ms/kusto.ingest",
        "o" * 512,
    ],
)
def test_what_a_person_needs_is_left(text: str) -> None:
    assert redact(text) == text
    assert redacted_id(text) == text


def test_an_id_that_holds_a_secret_still_names_one_thing() -> None:
    planted = Planted()
    one, other = (redacted_id(planted.sas_url(place)) for place in ("one", "other"))
    assert one == redacted_id(Planted().sas_url("one"))
    assert one != other
    assert planted.leaks_in(one + other) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://us%40er:PW@acc.blob.core.windows.net/in/a.csv",
        "https://user:PW@more@acc.blob.core.windows.net/in/a.csv",
        "https://user:PW;more@acc.blob.core.windows.net/in/a.csv",
        f"{BLOB}%3Fsv%3D1%26sig%3DPW",
        f"{BLOB}%3fsig=PW",
        f"{BLOB}&sv=1&sig=PW",
        f"{BLOB};PW?sv=1",
    ],
)
def test_a_bare_url_has_no_credentials_wherever_they_stand(url: str) -> None:
    assert bare_url(url) == BLOB


@pytest.mark.parametrize(
    "url", [f"{BLOB}%3F1&2%26.csv", "https://h/design&signal=1/a.csv", "https://h/a%26b/sig=1.csv"]
)
def test_a_bare_url_keeps_a_path_that_only_looks_strange(url: str) -> None:
    assert bare_url(url) == url


def test_redaction_takes_its_time_by_the_length_of_a_text() -> None:
    # Whatever a service answers: where each character begins a search to the end, each of these takes seconds.
    words = (
        "a" * 10**5,
        "https://a/" + "&x" * 50_000,
        "eyJ-" * 25_000,
        "aB3" * 32_000,
        "aB3/" * 25_000,
        "sig" * 32_000,
    )
    began = time.thread_time()
    assert all(redact(text) for text in words)
    assert time.thread_time() - began < 5


# Messages


def whole_message(planted: Planted) -> dict[str, Any]:
    """A message that is accepted, with secrets wherever they can be."""
    return {
        "operationId": "op",
        "properties": {"format": "csv", "note": planted.text("properties")},
        "blobs": [
            {
                "url": planted.sas_url("url"),
                "sourceId": planted.sas_url("sourceId"),
                "note": planted.text("field of a blob"),
            },
            {"url": planted.key_url("second url"), "sourceId": planted.token("second sourceId")},
        ],
        "correlationId": planted.text("correlationId")[:1024],
        "note": planted.text("unknown field"),
    }


@pytest.mark.parametrize("wrap", [bytes, base64.b64encode], ids=["plain", "base64"])
def test_a_message_shows_no_secret_and_keeps_what_a_resubmission_needs(wrap: Callable[[bytes], bytes]) -> None:
    planted = Planted()
    message = read_operation(wrap(encoded(**whole_message(planted))), DEFAULTS)
    assert planted.leaks_in(repr(message)) == []
    assert planted.leaks_in(f"{message.correlation_id}") == []
    assert planted.leaks_in(f"{[blob.source_id for blob in message.blobs]}") == []
    assert len({blob.source_id for blob in message.blobs}) == 2
    assert [blob.url for blob in message.blobs] == [planted.sas_url("url"), planted.key_url("second url")]
    assert message.properties == whole_message(planted)["properties"]


@pytest.mark.parametrize(
    "fields",
    [
        {"operationId": 5},
        {"operationId": None},
        {"operationId": "\x01"},
        {"database": ["x"]},
        {"database": ".."},
        {"table": "t" * 600},
        {"cluster": "https://ingest-other.westeurope.kusto.windows.net"},
        {"cluster": "http://ingest-help.westeurope.kusto.windows.net"},
        {"properties": "no object"},
        {"blobs": "no list"},
        {"blobs": [1]},
        {"blobs": [{"url": 1}]},
        {"blobs": [{"rawSize": "1"}]},
        {"correlationId": "c" * 1025},
        {"correlationId": 1},
        {"attempt": "1"},
        {"rootOperationId": "\x01"},
        {"parentOperationId": "p" * 600},
    ],
    ids=str,
)
def test_a_refusal_quotes_nothing_of_the_message(fields: dict[str, Any]) -> None:
    planted = Planted()
    # Beside what is wrong everything holds a secret, and so does what is wrong where it can.
    wrong = {
        name: f"{value}{planted.text(name)}" if name == "correlationId" else value for name, value in fields.items()
    }
    with pytest.raises(MessageRefused) as refusal:
        read_operation(encoded(**(whole_message(planted) | wrong)), DEFAULTS)
    assert planted.leaks_in(told(refusal.value)) == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "name", ["operationId", "database", "table", "rootOperationId", "parentOperationId", "cluster"]
)
def test_a_name_that_holds_a_secret_is_refused(name: str, shape: str) -> None:
    planted = Planted()
    fields = {"operationId": "op", name: planted.shapes(name)[shape]}
    with pytest.raises(MessageRefused, match=f"'{name}' {HELD}") as refusal:
        read_operation(encoded(**fields), DEFAULTS)
    assert planted.leaks_in(told(refusal.value)) == []


@pytest.mark.parametrize(
    "operation_id", ["Ab3" * 40, "Ab3+" * 40, "00001111;11112222;00001111-aaaa-2222-bbbb-3333cccc4444"]
)
def test_an_operation_id_may_be_long_and_mixed(operation_id: str) -> None:
    assert read_operation(encoded(operationId=operation_id), DEFAULTS).operation.operation_id == operation_id


@pytest.mark.parametrize("shape", ["sas url", "key url", "user url", "connection string", "bearer", "token"])
@pytest.mark.parametrize("wrap", [str, json.dumps])
def test_a_secret_that_is_posted_in_the_place_of_an_operation_id_is_refused(
    wrap: Callable[[str], str], shape: str
) -> None:
    planted = Planted()
    with pytest.raises(MessageRefused, match=HELD) as refusal:
        read_operation(wrap(planted.shapes("message")[shape]).encode(), DEFAULTS)
    assert planted.leaks_in(told(refusal.value)) == []


def test_an_operation_that_was_accepted_before_is_read_whatever_its_names_are() -> None:
    # What ADX gives as an ID is an ID: refusing it now would lose the operation.
    name = Planted().account_key("operation ID")
    fields = {"operationId": name, "cluster": CLUSTER, "database": "db", "table": "events"}
    assert read_operation(encoded(**fields), DEFAULTS, is_ours=True).operation.operation_id == name


@pytest.mark.parametrize("host", ["https://user:{}@ingest-help.westeurope.kusto.windows.net", CLUSTER + "/?token={}"])
def test_a_cluster_with_a_password_is_not_quoted(host: str) -> None:
    planted = Planted()
    with pytest.raises(MessageRefused) as refusal:
        read_operation(encoded(operationId="op", cluster=host.format(planted.password("cluster"))), DEFAULTS)
    assert planted.leaks_in(told(refusal.value)) == []


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b'{"operationId": "op", "note": "%s"', lambda body: read_operation(body, DEFAULTS)),
        (b'["%s"]', lambda body: read_operation(body, DEFAULTS)),
        (b'{"operationId": "op", "number": 1e999, "note": "%s"}', lambda body: read_operation(body, DEFAULTS)),
        (b"\xff\xfe%s", lambda body: read_operation(body, DEFAULTS)),
        (b'"%s"', lambda body: read_retry(body, DEFAULTS)),
        (b'{"version": 2, "note": "%s"}', lambda body: read_retry(body, DEFAULTS)),
        (b'{"version": 1, "operationId": "op", "cluster": "%s"}', lambda body: read_retry(body, DEFAULTS)),
        (
            encoded(version=1, operationId="o", database="d", table="t", rootOperationId="o", enqueuedAt="%s"),
            lambda body: read_retry(body, DEFAULTS),
        ),
        (b'"%s"', read_poll_batch),
        (b'{"shard": "%s"}', read_poll_batch),
        (b'{"shard": "a", "first": "f", "last": "l", "since": "%s"}', read_poll_batch),
    ],
)
def test_what_is_no_message_is_refused_without_a_quotation(body: bytes, read: Callable[[bytes], object]) -> None:
    planted = Planted()
    with pytest.raises(MessageRefused) as refusal:
        read(body.replace(b"%s", planted.text("message").encode()))
    assert planted.leaks_in(told(refusal.value)) == []


def test_a_retry_message_brings_no_secret_but_its_urls_and_what_is_passed_on() -> None:
    planted = Planted()
    texts = ("errorCode", "failureStatus", "details", "correlationId")
    blob = {name: planted.text(name) for name in texts[:3]} | {
        "url": planted.sas_url("url"),
        "sourceId": planted.sas_url("sourceId"),
        "note": planted.text("field of a blob"),
    }
    message = read_retry(
        encoded(
            version=1,
            operationId="op",
            rootOperationId="op",
            database="db",
            table="events",
            enqueuedAt=NOW.isoformat(),
            correlationId=planted.text("correlationId"),
            properties={"note": planted.text("properties")},
            note=planted.text("unknown field"),
            blobs=[blob],
        ),
        DEFAULTS,
    )
    assert planted.leaks_in(repr(message)) == []
    (read,) = message.blobs
    said = (message.correlation_id, read.source_id, read.error_code, read.failure_status, read.details)
    assert planted.leaks_in(said) == []
    assert "cannot use" in f"{read.details}"
    assert read.url == planted.sas_url("url")


# Answers of ADX


def planted_status(planted: Planted, **changes: object) -> bytes:
    fields = ("status", "errorCode", "failureStatus", "details", "note")
    blob = {name: planted.text(name) for name in fields}
    whole = blob | {"sourceId": planted.sas_url("sourceId"), "url": planted.sas_url("url"), **changes}
    unknown = planted.text("unknown field")
    return encoded(status={"Failed": 1, unknown: 1, "note": unknown}, details=[whole], note=unknown)


def test_a_status_answer_brings_no_secret_but_its_urls() -> None:
    planted = Planted()
    report = read_status(planted_status(planted))
    assert planted.leaks_in(repr(report)) == []
    (blob,) = report.blobs or ()
    assert planted.leaks_in(replace(blob, url=None).__repr__()) == []
    assert planted.leaks_in([blob.status, blob.error_code, blob.failure_status, blob.details, blob.source_id]) == []
    assert all("cannot use" in f"{text}" for text in (blob.status, blob.error_code, blob.failure_status, blob.details))
    assert blob.url == planted.sas_url("url")


def test_a_status_answer_keeps_what_holds_no_secret() -> None:
    fields = {
        "status": "Levitating",
        "errorCode": "Download_X",
        "failureStatus": "Odd",
        "details": "d",
        "sourceId": "s",
    }
    (blob,) = read_status(encoded(status={}, details=[fields])).blobs or ()
    assert (blob.status, blob.error_code, blob.failure_status, blob.details, blob.source_id) == tuple(fields.values())


class AnyToken:
    """Gives the planted token, which a service may quote."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self, cluster: str) -> str:
        assert cluster
        return self._token

    def discard(self, cluster: str, token: str) -> None:
        assert (bool(cluster), token) == (True, self._token)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


CALLS: dict[str, Callable[[KustoClient, Operation], object]] = {
    "status": lambda client, operation: client.status(operation, details=True),
    "submit": lambda client, operation: client.submit(
        operation, [BlobSource(Planted().sas_url("submitted url"))], {"note": Planted().text("submitted properties")}
    ),
    "limits": lambda client, operation: client.limits(operation.cluster),
}
BODIES: dict[str, Callable[[str], bytes]] = {
    "kusto": lambda text: encoded(error={"code": text, "message": text, "@message": text, "@type": text}),
    "transient": lambda text: encoded(error={"code": text, "message": text, "@permanent": False}),
    "other JSON": lambda text: encoded(error=text, access_token=text),
    "HTML": lambda text: f"<html><body><p>{text}</p></body></html>".encode(),
    "text": str.encode,
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [200, 307, 400, 401, 403, 404, 413, 429, 503, 520])
def test_no_error_of_adx_quotes_a_secret(server: ScriptedServer, status: int, body: str) -> None:
    planted = Planted()
    for place in ("submitted url", "submitted properties"):
        planted.sas_url(place), planted.text(place)
    token = planted.token("the app's own token")
    heard = f"{planted.text('body')} | Authorization: Bearer {token} | {planted.sas_url('submitted url')}"
    reply = Reply(
        status,
        BODIES[body](heard),
        {
            "x-ms-activity-id": planted.text("activity ID"),
            "Retry-After": planted.token("Retry-After"),
            "Location": planted.sas_url("Location"),
            "WWW-Authenticate": f"Bearer error_description={planted.token('WWW-Authenticate')}",
        },
    )
    client = KustoClient(AnyToken(token), Endpoints(server.origin), concurrency=1, ambient=surroundings())
    operation = replace(OPERATION, cluster=server.origin)
    for name, call in CALLS.items():
        server.answer(reply, reply)
        if name == "status" and status < 300 and body in {"kusto", "transient", "other JSON"}:
            continue
        if status < 300 and body in {"kusto", "transient", "other JSON"}:
            # JSON without an operation ID or limits is no error.
            assert planted.leaks_in(repr(call(client, operation))) == []
            continue
        with everything_logged() as lines, pytest.raises(KustoError) as error:
            call(client, operation)
        assert planted.leaks_in(told(error.value)) == []
        assert planted.leaks(lines) == []
        assert f"HTTP {status}" in str(error.value)
    client.close()


@pytest.mark.parametrize("before", range(440, 520, 7))
def test_a_secret_at_the_place_where_an_error_page_is_cut_goes(server: ScriptedServer, before: int) -> None:
    planted = Planted()
    # What is taken out early makes room for what stands at the cut.
    page = planted.sas_url("early", BLOB).ljust(before, "&")
    page += f" {planted.user_url('cut')} {planted.token('cut')} {planted.account_key('cut')}"
    server.answer(Reply(502, page.encode()))
    client = KustoClient(AnyToken("t"), Endpoints(server.origin), concurrency=1, ambient=surroundings())
    with pytest.raises(KustoError) as error:
        client.limits(server.origin)
    assert planted.leaks_in(told(error.value)) == []
    client.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n%s\r\n\r\n{}",
        b"%s\r\n\r\n",
        b"HTTP/1.1 307 %s\r\nLocation: http://[%s\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_no_error_of_http_quotes_a_secret(server: ScriptedServer, raw: bytes) -> None:
    planted = Planted()
    token = planted.token("the app's own token")
    raw = raw.replace(b"%s", planted.text("a header that is none").encode())
    quick = Timeouts(connect=2, read=0.3, whole=0.3)
    client = KustoClient(
        AnyToken(token), Endpoints(server.origin), concurrency=1, ambient=surroundings(), timeouts=quick
    )
    with everything_logged() as lines:
        library_logs.tame()
        show_all()
        for call in CALLS.values():
            server.answer(Reply(raw=raw), Reply(raw=raw))
            with pytest.raises(KustoError) as error:
                call(client, replace(OPERATION, cluster=server.origin))
            assert planted.leaks_in(told(error.value)) == []
    assert planted.leaks(lines) == []
    client.close()


# Errors of the SDKs


class Refusing:
    """A credential, and an account, that answer with an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_token(self, *_: str, **__: object) -> AccessToken:
        raise self._error

    def get_user_delegation_key(self, *_: object) -> None:
        raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""


SDK_ERRORS = [AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError]


@pytest.mark.parametrize("kind", SDK_ERRORS)
def test_no_error_of_an_identity_quotes_a_secret(kind: type[AzureError]) -> None:
    planted = Planted()
    error = kind(f"{planted.text('first line')}\n{planted.text('second line')}", error=OSError(planted.text("cause")))
    with pytest.raises(KustoError) as failure:
        IdentityTokens(lambda: Refusing(error)).token(CLUSTER)
    assert planted.leaks_in(told(failure.value)) == []
    assert "cannot use" in str(failure.value)


@pytest.mark.parametrize("kind", SDK_ERRORS)
def test_no_error_of_a_user_delegation_key_quotes_a_secret(kind: type[AzureError]) -> None:
    planted = Planted()
    error = kind(f"{planted.text('first line')}\n{planted.text('second line')}")
    access = ByUserDelegation(lambda _: cast("BlobServiceClient", Refusing(error)), lambda: NOW)
    with pytest.raises(AccessFailed) as failure:
        access.readable(planted.sas_url("url"))
    assert planted.leaks_in(told(failure.value)) == []


@pytest.mark.parametrize("url", ["http://[{}", "https://example.com/in/a.csv?{}", "{}"])
def test_a_url_that_is_none_of_a_blob_is_not_quoted(url: str) -> None:
    planted = Planted()
    access = ByUserDelegation(lambda _: cast("BlobServiceClient", Refusing(AzureError("no"))), lambda: NOW)
    with pytest.raises(NoBlob) as failure:
        access.readable(url.format(planted.sas("url")))
    assert planted.leaks_in(told(failure.value)) == []


def refused_storage(sas: str) -> dict[str, str]:
    """Settings whose storage is at a port where nothing listens."""
    ends = "".join(f"{part.title()}Endpoint=http://127.0.0.1:9/acc;" for part in ("blob", "queue", "table"))
    connection = f"{ends}SharedAccessSignature={sas}"
    return {"IngestionStorage": connection, "KUSTO_INGEST_URI": "http://127.0.0.1:9", "KUSTO_AUTH": "none"}


def test_a_storage_that_does_not_answer_at_the_start_is_not_quoted_with_its_sas() -> None:
    planted = Planted()
    settings = load(refused_storage(planted.sas("connection string")))
    assert planted.leaks_in(repr(settings)) == []
    with everything_logged() as lines, pytest.raises(StorageFailed) as failure:
        tracker(settings)
    assert "/Tables" in str(failure.value)
    assert planted.leaks_in(told(failure.value)) == []
    assert planted.leaks(lines) == []


def test_an_error_of_storage_goes_out_of_a_function_without_what_it_quotes() -> None:
    planted = Planted()
    error = HttpResponseError(f"{planted.text('first line')}\n{planted.text('second line')}")
    app = object.__new__(Tracker)
    app._poller = app._pruner = cast("Any", Failing(error))
    for function in (app.poll_operations, app.prune_results):
        with pytest.raises(StorageFailed) as failure:
            function()
        assert planted.leaks_in(told(failure.value)) == []
        assert "HttpResponseError: cannot use" in str(failure.value)


class Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def tick(self) -> None:
        raise self._error

    def prune(self) -> None:
        raise self._error


# Log lines of the libraries


@pytest.fixture
def lines() -> Iterator[list[tuple[str, str]]]:
    with everything_logged() as kept:
        library_logs.tame()
        yield kept


@pytest.mark.parametrize(
    "name", ["azure", "azure.identity._internal.decorators", "urllib3.connectionpool", "msal.token"]
)
def test_a_line_of_a_library_loses_its_secrets_at_any_level(lines: list[tuple[str, str]], name: str) -> None:
    planted = Planted()
    show_all()
    log = logging.getLogger(name)
    for level in (logging.DEBUG, logging.WARNING):
        text = planted.text("format").replace("%", "%%")
        log.log(level, f"{text} and %s", planted.text("argument"))  # noqa: G004, as a library may
        log.log(level, "%(key)s", {"key": planted.text("named argument")})
        log.log(level, "the bytes %r and the error %s", planted.text("bytes").encode(), OSError(planted.text("error")))
        error = AzureError(planted.text("exception"))
        error.__cause__ = OSError(planted.text("cause"))
        log.log(level, "with its traceback", exc_info=error)
    assert planted.leaks(lines) == []
    said = "\n".join(text for where, text in lines if where == f"log of {name}")
    assert said.count("cannot use") == 2 * 7 * len(SHAPES)
    assert said.count("The above exception was the direct cause") == 2


def test_the_libraries_warn_and_do_not_tell_of_every_request(lines: list[tuple[str, str]]) -> None:
    for name in ("azure.core.pipeline", "urllib3.connectionpool", "msal.application"):
        log = logging.getLogger(name)
        log.info("every request")
        log.warning("a warning of %s", name)
    said = [text for where, text in lines if where.startswith("log of") and "," not in where]
    assert [text.partition("a warning of ")[2] for text in said] == [
        "azure.core.pipeline",
        "urllib3.connectionpool",
        "msal.application",
    ]


def test_a_line_that_cannot_be_formatted_does_not_disturb_the_library(lines: list[tuple[str, str]]) -> None:
    planted = Planted()
    logging.getLogger("azure.x").warning("%d", planted.text("argument"))
    assert planted.leaks(lines) == []
    assert any("can't be formatted (TypeError)" in text for _, text in lines)


def test_other_loggers_are_left_alone(lines: list[tuple[str, str]]) -> None:
    library_logs.tame()
    for name in ("tracker", "azure_functions_worker", "root"):
        logging.getLogger(name).info("%s at https://h/a?b", name)
        assert any(text == f"{name} INFO {name} at https://h/a?b" for _, text in lines)


@pytest.mark.usefixtures("lines")
def test_a_record_can_be_made_of_a_dictionary_as_ever() -> None:
    library_logs.tame()
    assert logging.makeLogRecord({"name": "anything", "msg": "text"}).getMessage() == "text"


def test_taming_twice_is_taming_once(lines: list[tuple[str, str]]) -> None:
    assert lines == []
    make = logging.getLogRecordFactory()
    library_logs.tame()
    assert logging.getLogRecordFactory() is make


# Settings

SETTINGS = {
    "IngestionStorage": "AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.windows.net",
    "KUSTO_INGEST_URI": CLUSTER,
}
CHECKED = [
    "IngestionStorage",
    "KUSTO_INGEST_URI",
    "KUSTO_ALLOWED_INGEST_URIS",
    "KUSTO_AUTH",
    "OPERATIONS_QUEUE",
    "RETRY_QUEUE",
    "POLL_QUEUE",
    "POLL_SCHEDULE",
    "POLL_FIRST_DELAY_SECONDS",
    "POLL_CONCURRENCY",
    "POLL_INLINE_LIMIT",
    "TRACKING_TIMEOUT_HOURS",
    "NOT_FOUND_GRACE_MINUTES",
    "RETRY_MODE",
    "RETRY_MAX_ATTEMPTS",
    "RETRY_BLOB_ACCESS",
    "RETRY_DEDUPLICATE",
    "RESULTS_RETENTION_DAYS",
]


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "token"])
def test_a_wrong_setting_is_named_and_its_secret_is_not(name: str, shape: str) -> None:
    planted = Planted()
    text = planted.shapes(name)[shape]
    # A connection string is right in its own place.
    wrong = text.removeprefix("DefaultEndpointsProtocol=https;AccountName=acc;") if name == "IngestionStorage" else text
    with pytest.raises(SettingsError) as error:
        load(SETTINGS | {name: wrong})
    assert f"- {name}: found" in str(error.value)
    assert planted.leaks_in(told(error.value)) == []


@pytest.mark.parametrize("part", ["queue", "table"])
@pytest.mark.parametrize(
    "uri", ["https://acc.{}.core.windows.net?{sas}", "https://user:{word}@acc.{}.core.windows.net", "https://h;{word}"]
)
def test_a_service_uri_with_a_secret_is_refused_without_it(part: str, uri: str) -> None:
    planted = Planted()
    uri = uri.format(part, sas=planted.sas("URI"), word=planted.password("URI"))
    uris = {f"IngestionStorage__{each}ServiceUri": "https://acc.x.core.windows.net" for each in ("queue", "table")}
    environment = uris | {f"IngestionStorage__{part}ServiceUri": uri, "KUSTO_INGEST_URI": CLUSTER}
    with pytest.raises(SettingsError) as error:
        load(environment)
    assert planted.leaks_in(told(error.value)) == []


@pytest.mark.parametrize(
    "text",
    [
        "user:{}@ingest-help.westeurope.kusto.windows.net",
        "ingest-help.westeurope.kusto.windows.net;{}",
        "ingest-help.westeurope.kusto.windows.net?code={}",
        "https://ingest-help.westeurope.kusto.windows.net;{}",
        "https://ingest-help.westeurope.kusto.windows.net/#{}",
    ],
)
@pytest.mark.parametrize("name", ["KUSTO_INGEST_URI", "KUSTO_ALLOWED_INGEST_URIS"])
def test_an_endpoint_is_quoted_without_what_stands_around_it(name: str, text: str) -> None:
    planted = Planted()
    with pytest.raises(SettingsError, match="ingest-help") as error:
        load(SETTINGS | {name: text.format(planted.password("endpoint"))})
    assert planted.leaks_in(told(error.value)) == []


def test_settings_do_not_show_a_connection_string() -> None:
    planted = Planted()
    settings = load(SETTINGS | {"IngestionStorage": planted.connection_string("storage")})
    assert planted.leaks_in(repr(settings) + str(settings.storage)) == []
    assert planted.leaks_in(settings.storage.connection_string) == ["storage"]


# What dataclasses show

SECRETIVE = {"url", "properties", "extra", "body", "connection_string"}


def dataclasses_of(module: ModuleType) -> list[type]:
    return [each for _, each in inspect.getmembers(module, dataclasses.is_dataclass) if isinstance(each, type)]


@pytest.mark.parametrize("kind", [*dataclasses_of(messages), *dataclasses_of(model), *dataclasses_of(records)])
def test_no_dataclass_shows_a_field_that_may_hold_a_credential(kind: type) -> None:
    shown = {each.name for each in dataclasses.fields(kind) if each.repr}
    assert not shown & SECRETIVE


def test_answers_and_access_show_no_credential() -> None:
    planted = Planted()
    answer = Answer(200, planted.text("body").encode(), timedelta(), "request", planted.text("activity"))
    access = StorageAccess(connection_string=planted.connection_string("storage"))
    source = BlobSource(planted.sas_url("source"))
    assert planted.leaks_in(f"{answer!r} {answer} {access!r} {access} {source!r} {source}") == []


def test_bare_rows_have_no_credential_to_show() -> None:
    assert bare_url(Planted().sas_url("url", URL)) == URL
