import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from shared.errors import (
    AccessRefused,
    EndpointNotAllowed,
    KustoError,
    OperationNotFound,
    RequestRejected,
    RoleMissing,
    Throttled,
    Unavailable,
)
from shared.kusto import client
from shared.kusto.answers import read_status
from shared.kusto.client import Timeouts
from shared.many_blobs import ManyBlobs
from shared.model import Counts, IngestionLimits, Operation, StatusReport
from tests.support.asking import ACCEPTED, CALLS, DROPPED, PROPERTIES, SOURCES, SUMMARY, TOKEN, Asker, error_of
from tests.support.call_clock import PATIENT, SOON, CallClock
from tests.support.facts import NOW, OPERATION, URL
from tests.support.http_server import Received, Reply, ScriptedServer
from tests.support.world import eventually

SAMPLES = Path(__file__).parents[1] / "support" / "samples"


class Connected(Asker):
    def __init__(self, server: ScriptedServer, timeouts: Timeouts | None = None, further: str = "") -> None:
        super().__init__(server.origin, timeouts, further)
        self.server = server


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(params=["a new connection", "a kept connection"])
def adx(server: ScriptedServer, request: pytest.FixtureRequest) -> Iterator[Connected]:
    connected = Connected(server)
    if request.param == "a kept connection":
        server.answer(SUMMARY)
        connected.get()
        server.received.clear()
        connected.tokens.asked = 0
    yield connected
    connected.client.close()


@pytest.fixture
def hurried(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connected]:
    """A client whose time is nearly over when its request has come."""
    clock, next_reply = CallClock(monkeypatch), server.next_reply

    def nearly_late(request: Received) -> Reply:
        clock.nearly_end()
        return next_reply(request)

    monkeypatch.setattr(server, "next_reply", nearly_late)
    connected = Connected(server, PATIENT)
    yield connected
    connected.client.close()


type Call = Callable[[Connected], object]


def kusto_error(message: str, *, permanent: bool) -> bytes:
    return json.dumps(
        {"error": {"code": "BadRequest_X", "message": "m", "@message": message, "@permanent": permanent}}
    ).encode()


# What is sent


@pytest.mark.parametrize(("details", "query"), [(False, "?details=false"), (True, "?details=true")])
def test_a_status_is_asked_for_with_one_get(adx: Connected, query: str, *, details: bool) -> None:
    adx.server.answer(SUMMARY)
    adx.client.status(adx.operation, details=details)
    (request,) = adx.server.received
    assert request.method == "GET"
    assert request.path == f"/v1/rest/ingestion/queued/Sales/Orders/ingest_op_12345{query}"
    assert request.body == b""


@pytest.mark.parametrize(
    ("raw", "encoded"),
    [
        ("00001111;11112222;x-y", "00001111%3B11112222%3Bx-y"),
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a?b#c&d=e", "a%3Fb%23c%26d%3De"),
        ("../../x", "..%2F..%2Fx"),
        ("a\\b", "a%5Cb"),
        ("é😀", "%C3%A9%F0%9F%98%80"),
        ("a;b/c%d e", "a%3Bb%2Fc%25d%20e"),
        ("a~b_c.d-e", "a~b_c.d-e"),
        ("@evil.example", "%40evil.example"),
    ],
)
def test_every_part_of_the_path_arrives_encoded(adx: Connected, raw: str, encoded: str) -> None:
    adx.server.answer(SUMMARY, ACCEPTED)
    strange = Operation(adx.server.origin, raw, raw, raw)
    adx.client.status(strange, details=False)
    adx.client.submit(strange, SOURCES, PROPERTIES)
    asked, submitted = adx.server.received
    assert asked.path == f"/v1/rest/ingestion/queued/{encoded}/{encoded}/{encoded}?details=false"
    assert submitted.path == f"/v1/rest/ingestion/queued/{encoded}/{encoded}"


@CALLS
def test_a_request_says_who_asks(adx: Connected, call: Call) -> None:
    adx.server.answer(ACCEPTED)
    call(adx)
    headers = adx.server.received[0].headers
    assert headers.get_all("Authorization") == [f"Bearer {TOKEN}-0"]
    assert headers["Accept"] == "application/json"
    assert headers["x-ms-app"] == headers["x-ms-user"] == "AdxIngestionTracker"
    assert headers["x-ms-client-version"].startswith("AdxIngestionTracker:")
    assert headers["x-ms-version"] == "2024-12-12"
    assert headers["x-ms-client-request-id"].startswith("AdxIngestionTracker;id-")


def test_each_request_has_an_id_of_its_own_even_when_it_is_repeated(adx: Connected) -> None:
    adx.server.answer(SUMMARY, Reply(401), SUMMARY, DROPPED, SUMMARY)
    for _ in range(3):
        adx.get()
    ids = [request.headers["x-ms-client-request-id"] for request in adx.server.received]
    assert len(set(ids)) == 5


def test_a_submission_is_the_documented_body_with_tracking_on(adx: Connected) -> None:
    adx.server.answer(ACCEPTED)
    assert adx.client.submit(adx.operation, SOURCES, PROPERTIES | {"enableTracking": False}) == "ingest_op_2"
    (request,) = adx.server.received
    assert request.method == "POST"
    assert request.path == "/v1/rest/ingestion/queued/Sales/Orders"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "timestamp": "2026-11-24T12:00:00Z",
        "blobs": [{"url": f"{URL}?sig=sas-s3cr3t", "sourceId": "s1", "rawSize": 123}, {"url": URL}],
        "properties": {"format": "csv", "tags": ["ingest-by:x"], "enableTracking": True},
    }


def test_one_connection_serves_one_request_after_another(adx: Connected) -> None:
    adx.server.answer(SUMMARY, replace(SUMMARY, chunked=True), ACCEPTED, Reply(404, b"{}"), SUMMARY)
    adx.get()
    adx.get()
    adx.post()
    error_of(Connected.get, adx)
    adx.get()
    assert len({request.connection for request in adx.server.received}) == 1


def test_a_cookie_is_not_sent_back(adx: Connected) -> None:
    adx.server.answer(replace(SUMMARY, headers={"Set-Cookie": "session=1; Path=/"}), SUMMARY)
    adx.get()
    adx.get()
    assert [request.headers["Cookie"] for request in adx.server.received] == [None, None]


@CALLS
def test_a_netrc_file_does_not_replace_the_token(
    adx: Connected, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password word\ndefault login user password word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    adx.server.answer(ACCEPTED)
    call(adx)
    assert adx.server.received[0].headers.get_all("Authorization") == [f"Bearer {TOKEN}-0"]


# What comes back


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": {"Succeeded": 8, "Failed": 1, "InProgress": 2, "Canceled": 3}}',
        b'{"status": {"succeeded": 8, "failed": 1, "inProgress": 2, "canceled": 3}}',
    ],
    ids=["documentation", "SDK"],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_status_is_read_in_both_dialects(adx: Connected, body: bytes, *, chunked: bool) -> None:
    adx.server.answer(Reply(body=body, chunked=chunked))
    assert adx.get().counts == Counts(succeeded=8, failed=1, in_progress=2, canceled=3)


def test_the_documented_sample_is_read_off_the_wire(adx: Connected) -> None:
    adx.server.answer(Reply(body=(SAMPLES / "status-details.json").read_bytes()))
    report = adx.client.status(adx.operation, details=True)
    assert [each.status for each in report.blobs or ()] == ["Failed", "InProgress", "Succeeded"]


def test_a_compressed_answer_is_read(adx: Connected) -> None:
    adx.server.answer(Reply(body=gzip.compress(SUMMARY.body), headers={"Content-Encoding": "gzip"}))
    assert adx.get().counts == Counts(succeeded=1)
    assert "gzip" in adx.server.received[0].headers["Accept-Encoding"]


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        (b'{"ingestionSettings": {"maxBlobsPerBatch": 7}}', IngestionLimits(7)),
        (b'{"ingestionSettings": {}}', IngestionLimits(20)),
        (b"{}", IngestionLimits(20)),
    ],
)
def test_the_limits_come_from_the_configuration(adx: Connected, body: bytes, limits: IngestionLimits) -> None:
    adx.server.answer(Reply(body=body))
    assert adx.client.limits(adx.server.origin) == limits
    assert adx.server.received[0].path == "/v1/rest/ingestion/configuration"


def test_a_submission_that_is_not_tracked_has_no_id(adx: Connected) -> None:
    adx.server.answer(Reply(body=b'{"ingestionOperationId": ""}'))
    assert adx.post() is None


# Errors that ADX answers


@CALLS
def test_a_refused_token_is_renewed_once(adx: Connected, call: Call) -> None:
    adx.server.answer(Reply(401), ACCEPTED)
    call(adx)
    sent = [request.headers["Authorization"] for request in adx.server.received]
    assert sent == [f"Bearer {TOKEN}-0", f"Bearer {TOKEN}-1"]
    assert adx.tokens.refused == [f"{TOKEN}-0"]


@CALLS
def test_a_second_refusal_of_the_token_is_the_answer(adx: Connected, call: Call) -> None:
    adx.server.answer(Reply(401), Reply(401), ACCEPTED)
    error = error_of(call, adx)
    assert type(error) is AccessRefused
    assert not error.is_of_table
    assert not error.maybe_accepted
    assert len(adx.server.received) == 2


@CALLS
def test_a_missing_role_is_named_with_the_commands_that_give_it(adx: Connected, call: Call) -> None:
    adx.server.answer(Reply(403, kusto_error("Principal is not authorized", permanent=True)))
    error = error_of(call, adx)
    assert isinstance(error, RoleMissing)
    assert isinstance(error, AccessRefused)
    assert error.is_of_table
    assert not error.maybe_accepted
    for part in ("HTTP 403", "Principal is not authorized", ".add table Orders ingestors", ".add database Sales users"):
        assert part in str(error)
    assert len(adx.server.received) == 1


def test_an_unknown_operation_is_not_found(adx: Connected) -> None:
    adx.server.answer(Reply(404, kusto_error("no such operation", permanent=True)))
    assert isinstance(error_of(Connected.get, adx), OperationNotFound)


def test_a_submission_to_an_unknown_table_is_rejected(adx: Connected) -> None:
    adx.server.answer(Reply(404))
    error = error_of(Connected.post, adx)
    assert isinstance(error, RequestRejected)
    assert not error.maybe_accepted


KINDS = [
    (400, b"", RequestRejected),
    (400, kusto_error("wrong", permanent=True), RequestRejected),
    (400, kusto_error("busy", permanent=False), Unavailable),
    (405, b"", RequestRejected),
    (408, b"", Unavailable),
    (409, b"", RequestRejected),
    (413, b"", RequestRejected),
    (429, b"", Throttled),
    (429, kusto_error("busy", permanent=True), Throttled),
    (500, b"", Unavailable),
    (500, kusto_error("broken", permanent=True), Unavailable),
    (502, b"<html>Bad Gateway</html>", Unavailable),
    (503, b"", Unavailable),
    (504, b"", Unavailable),
    (520, b"", Unavailable),
    (599, b"", Unavailable),
]


@CALLS
@pytest.mark.parametrize(("status", "body", "kind"), KINDS)
def test_each_status_is_an_error_of_its_kind(
    adx: Connected, call: Call, status: int, body: bytes, kind: type[KustoError]
) -> None:
    adx.server.answer(Reply(status, body))
    error = error_of(call, adx)
    assert type(error) is kind
    assert f"HTTP {status}" in str(error)
    assert error.retry_after is None
    assert len(adx.server.received) == 1


@pytest.mark.parametrize(
    ("status", "body", "maybe_accepted"),
    [
        (400, b"", False),
        (413, b"", False),
        (429, b"", False),
        (408, b"", False),
        (500, b"", True),
        (504, b"", True),
        (302, b"", True),
        (200, b"<html>Signed out</html>", True),
        (200, b"", True),
        (400, kusto_error("busy", permanent=False), False),
    ],
)
def test_a_submission_may_have_been_accepted_unless_an_answer_says_otherwise(
    adx: Connected, status: int, body: bytes, *, maybe_accepted: bool
) -> None:
    adx.server.answer(Reply(status, body))
    assert error_of(Connected.post, adx).maybe_accepted is maybe_accepted


@CALLS
@pytest.mark.parametrize("status", [408, 429, 500, 503, 520])
@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", timedelta(seconds=120)),
        ("0", timedelta()),
        (format_datetime(NOW + timedelta(minutes=2), usegmt=True), timedelta(minutes=2)),
        (format_datetime(NOW - timedelta(minutes=2), usegmt=True), timedelta()),
    ],
)
def test_the_service_says_how_long_to_wait(
    adx: Connected, call: Call, status: int, value: str, wait: timedelta
) -> None:
    adx.server.answer(Reply(status, headers={"Retry-After": value}))
    assert error_of(call, adx).retry_after == wait


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("86400", timedelta(hours=1)),
        ("9" * 5000, None),
        (format_datetime(NOW + timedelta(days=2), usegmt=True), timedelta(hours=1)),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Tue, 24 Nov 2026 12:02:00", None),
        ("Tue, 99 Nov 2026 12:02:00 GMT", None),
    ],
)
def test_a_wait_is_an_hour_at_the_most_and_nonsense_is_none(adx: Connected, value: str, wait: timedelta | None) -> None:
    adx.server.answer(Reply(429, headers={"Retry-After": value}))
    assert error_of(Connected.get, adx).retry_after == wait


@CALLS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(adx: Connected, call: Call, status: int) -> None:
    with ScriptedServer() as target:
        target.answer(ACCEPTED)
        adx.server.answer(Reply(status, headers={"Location": f"{target.origin}/v1/rest"}))
        assert isinstance(error_of(call, adx), Unavailable)
        assert target.received == []
    assert len(adx.server.received) == 1


@CALLS
@pytest.mark.parametrize("location", ["http://[", "http://:x/", "http://\u2100/", "//", "https://host:99999999/"])
def test_a_redirect_to_nowhere_is_an_answer_like_any_other(adx: Connected, call: Call, location: str) -> None:
    adx.server.answer(Reply(307, b"moved", {"Location": quote(location, safe="/:[")}))
    error = error_of(call, adx)
    assert isinstance(error, Unavailable)
    assert "HTTP 307, moved" in str(error)


def test_the_body_of_a_redirect_has_a_limit_too(adx: Connected) -> None:
    body = b" " * (16 * 1024 * 1024 + 1)
    adx.server.answer(Reply(301, body, {"Location": "/v1/rest"}), Reply(301, body, {"Location": "/v1/rest"}))
    with pytest.raises(Unavailable, match="more than 16777216 bytes"):
        adx.get()


@CALLS
@pytest.mark.parametrize("status", [200, 302, 307, 401])
@pytest.mark.parametrize(
    "location",
    [
        "{origin}/v1/rest",
        "//{host}/v1/rest",
        "http://user:word@{host}/",
        "http://{own}@{host}/",
        "http://{own}\\@{host}/",
        "/v1/rest/elsewhere",
        "?details=true",
        "",
    ],
)
def test_no_header_leads_the_client_elsewhere(adx: Connected, call: Call, status: int, location: str) -> None:
    with ScriptedServer() as other:
        host, own = other.origin.removeprefix("http://"), adx.server.origin.removeprefix("http://")
        target = location.format(origin=other.origin, host=host, own=own)
        headers = {"Location": target, "Content-Location": target, "Refresh": f"0; url={target}", "Link": f"<{target}>"}
        adx.server.answer(*[Reply(status, ACCEPTED.body, headers)] * 2)
        with suppress(KustoError):
            call(adx)
        assert other.received == []
    assert len(adx.server.received) == (2 if status == 401 else 1)
    assert all("elsewhere" not in request.path for request in adx.server.received)


# Answers that are none


@CALLS
@pytest.mark.parametrize(
    "body",
    [b"", b"<html><title>Sign in</title></html>", b"[]", b"null", b'{"ingestionOperationId": "x', b"\xff\xfe\xfd"],
)
def test_a_body_that_is_no_object_is_an_error_of_the_service(adx: Connected, call: Call, body: bytes) -> None:
    adx.server.answer(Reply(body=body))
    error = error_of(call, adx)
    assert isinstance(error, Unavailable)
    assert "can't be used" in str(error)
    assert len(adx.server.received) == 1


@CALLS
def test_an_answer_cut_short_is_an_error_of_the_service(adx: Connected, call: Call) -> None:
    adx.server.answer(Reply(body=ACCEPTED.body, length=len(ACCEPTED.body) + 5))
    assert isinstance(error_of(call, adx), Unavailable)


@CALLS
@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b" " * (16 * 1024 * 1024 + 1)),
        Reply(body=gzip.compress(b" " * (40 * 1024 * 1024)), headers={"Content-Encoding": "gzip"}),
    ],
    ids=["plain", "compressed"],
)
def test_an_answer_too_large_is_given_up(adx: Connected, call: Call, reply: Reply) -> None:
    adx.server.answer(reply)
    error = error_of(call, adx)
    assert isinstance(error, Unavailable)
    assert "more than 16777216 bytes" in str(error)
    assert len(adx.server.received) == 1


# Details of very many blobs


def long_details(blobs: int = 4_000) -> bytes:
    details = [
        {"sourceId": f"s{number}", "url": f"{URL}{number}", "status": "Failed", "details": "x" * 250}
        for number in range(blobs)
    ]
    return json.dumps({"status": {"Failed": blobs}, "details": details}).encode()


def details_of(adx: Connected) -> StatusReport:
    return adx.client.status(adx.operation, details=True)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_long_details_are_read_from_disk(adx: Connected, *, is_compressed: bool) -> None:
    body = long_details()
    sent = gzip.compress(body) if is_compressed else body
    adx.server.answer(Reply(body=sent, headers={"Content-Encoding": "gzip"} if is_compressed else {}))
    report = details_of(adx)
    assert isinstance(report.blobs, ManyBlobs)
    assert replace(report, blobs=tuple(report.blobs)) == read_status(body)


def test_long_details_are_asked_for_alone(adx: Connected) -> None:
    adx.server.answer(Reply(body=long_details()))
    assert not isinstance(adx.client.status(adx.operation, details=False).blobs, ManyBlobs)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(body=long_details()[:-1]), "can't be used"),
        (Reply(body=b"<html>" + b" " * 2**20), "can't be used"),
        (Reply(body=long_details(), length=2**21), "no answer"),
        (Reply(500, long_details()), "HTTP 500"),
        (Reply(body=long_details(8_000)), "more than 2097152 bytes"),
        (Reply(body=gzip.compress(long_details(8_000)), headers={"Content-Encoding": "gzip"}), "more than 2097152"),
    ],
    ids=["cut", "no JSON", "cut on the way", "error", "too long", "too long, compressed"],
)
def test_long_details_that_are_none_are_an_error_of_the_service(
    adx: Connected, reply: Reply, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_MOST_BYTES_OF_DETAILS", 2**21)
    adx.server.answer(reply)
    with pytest.raises(Unavailable, match=said):
        details_of(adx)


def test_a_broken_compression_is_an_error_of_the_service(adx: Connected) -> None:
    adx.server.answer(Reply(body=b"no gzip at all", headers={"Content-Encoding": "gzip"}))
    assert isinstance(error_of(Connected.get, adx), Unavailable)


@CALLS
@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=SUMMARY.body + b" " * 5_000, pause=0.02),
        Reply(body=SUMMARY.body + b" " * 5_000, pause=0.02, chunked=True),
        Reply(
            body=gzip.compress(bytes(range(256)) * 20, compresslevel=0),
            pause=0.02,
            headers={"Content-Encoding": "gzip"},
        ),
    ],
    ids=["length", "chunked", "compressed"],
)
def test_an_answer_that_trickles_is_given_up_when_its_time_is_over(
    hurried: Connected, call: Call, reply: Reply
) -> None:
    hurried.server.answer(reply)
    began = time.monotonic()
    error = error_of(call, hurried)
    assert time.monotonic() - began < SOON
    assert "the time for it is over" in str(error)
    assert len(hurried.server.received) == 1


@CALLS
def test_a_server_that_says_nothing_is_given_up(server: ScriptedServer, call: Call) -> None:
    silent = Connected(server, replace(PATIENT, read=0.1))
    server.answer(Reply(raw=b"H", pause=60.0))
    error = error_of(call, silent)
    silent.client.close()
    assert isinstance(error, Unavailable)
    assert "ReadTimeout" in str(error)
    assert error.maybe_accepted is (call is Connected.post)
    # It may have been given up before it has looked at the request.
    eventually(lambda: server.received, "the request")
    assert len(server.received) == 1


# Connections that fail


def test_a_get_whose_connection_broke_is_asked_once_more(adx: Connected) -> None:
    adx.server.answer(DROPPED, SUMMARY)
    assert adx.get().counts == Counts(succeeded=1)
    assert len(adx.server.received) == 2


def test_a_get_is_not_asked_a_third_time(adx: Connected) -> None:
    adx.server.answer(DROPPED, DROPPED, SUMMARY)
    assert isinstance(error_of(Connected.get, adx), Unavailable)
    assert len(adx.server.received) == 2


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-OpenSSH\r\n"])
def test_a_post_is_never_repeated_and_may_have_been_accepted(adx: Connected, raw: bytes) -> None:
    adx.server.answer(Reply(raw=raw), ACCEPTED)
    error = error_of(Connected.post, adx)
    assert isinstance(error, Unavailable)
    assert error.maybe_accepted
    assert len(adx.server.received) == 1


@CALLS
def test_where_nobody_listens_nothing_was_accepted(server: ScriptedServer, call: Call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        silent = f"http://127.0.0.1:{taken.getsockname()[1]}"
        connected = Connected(server, further=silent)
        connected.operation = replace(connected.operation, cluster=silent)
        error = error_of(call, connected)
        connected.client.close()
    assert isinstance(error, Unavailable)
    assert not error.maybe_accepted
    assert "NewConnectionError" in str(error)


def test_a_property_that_json_cannot_say_is_rejected_before_it_is_sent(adx: Connected) -> None:
    with pytest.raises(RequestRejected):
        adx.client.submit(adx.operation, SOURCES, {"format": "csv", "x": float("nan")})
    assert adx.server.received == []


@CALLS
def test_a_token_that_is_no_text_of_a_header_is_neither_sent_nor_quoted(
    adx: Connected, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.asking.TOKEN", f"{TOKEN}\r\nx-ms-app: other")
    error = error_of(call, adx)
    assert isinstance(error, Unavailable)
    assert TOKEN not in str(error)
    assert adx.server.received == []


def test_what_was_written_of_a_request_that_can_not_be_sent_is_no_part_of_the_next(
    adx: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("tests.support.asking.TOKEN", "no\r\ntoken")
        error_of(Connected.post, adx)
    adx.server.answer(SUMMARY)
    assert adx.get().counts == Counts(succeeded=1)
    (request,) = adx.server.received
    assert request.method == "GET"


@pytest.mark.parametrize(
    "call",
    [Connected.get, Connected.post, lambda connected: connected.client.limits(connected.operation.cluster)],
    ids=["status", "submit", "limits"],
)
def test_a_cluster_that_is_not_allowed_gets_no_token_and_no_byte(adx: Connected, call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)  # noqa: FBT003, of the standard library
        adx.operation = replace(adx.operation, cluster=f"http://127.0.0.1:{elsewhere.getsockname()[1]}")
        error = error_of(call, adx)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert isinstance(error, EndpointNotAllowed)
    assert "KUSTO_ALLOWED_INGEST_URIS" in str(error)
    assert not error.maybe_accepted
    assert adx.tokens.asked == 0


def test_a_further_cluster_is_asked_like_the_default_one(server: ScriptedServer) -> None:
    with ScriptedServer() as other:
        other.answer(SUMMARY)
        connected = Connected(server, further=other.origin)
        connected.client.status(replace(OPERATION, cluster=other.origin), details=False)
        connected.client.close()
        assert len(other.received) == 1
    assert server.received == []


# What an error says


ECHO = f"GET https://acc.blob.core.windows.net/in/a.csv?sv=1&sig=sas-s3cr3t with Bearer {TOKEN}-0 failed"


@CALLS
@pytest.mark.parametrize(
    "replies",
    [
        [Reply(400, kusto_error(ECHO, permanent=True))],
        [Reply(403, ECHO.encode())],
        [Reply(404, ECHO.encode())],
        [Reply(429, ECHO.encode())],
        [Reply(500, kusto_error(ECHO, permanent=False))],
        [Reply(200, ECHO.encode())],
        [Reply(302, headers={"Location": f"/?token={TOKEN}-0"})],
        [Reply(401, ECHO.encode()), Reply(401, ECHO.encode())],
        [DROPPED, DROPPED],
        [Reply(body=b"x", length=5)],
    ],
)
def test_an_error_shows_no_query_no_signature_and_no_token(adx: Connected, call: Call, replies: list[Reply]) -> None:
    adx.server.answer(*replies)
    text = str(error_of(call, adx))
    assert text.isprintable()
    for secret in ("details=", "?", "sig=", "sas-s3cr3t", TOKEN):
        assert secret not in text


@CALLS
def test_an_error_has_the_ids_that_support_searches_by(adx: Connected, call: Call) -> None:
    adx.server.answer(Reply(500, headers={"x-ms-activity-id": "activity-7"}))
    text = str(error_of(call, adx))
    (request,) = adx.server.received
    assert request.headers["x-ms-client-request-id"] in text
    assert "activity-7" in text


@CALLS
def test_an_error_without_an_answer_has_the_id_of_the_request(adx: Connected, call: Call) -> None:
    adx.server.answer(DROPPED, DROPPED)
    assert "AdxIngestionTracker;id-" in str(error_of(call, adx))
