import base64
import gzip
import io
import re
import socket
import ssl
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from urllib3.util import connection as network

from shared import poll
from shared.errors import KustoError, Throttled, Unavailable
from shared.event_grid import NotSent, Topic
from shared.kusto.client import Timeouts
from shared.model import Counts, StatusReport
from tests.support.asking import CALLS, SUMMARY, TOKEN, Asker, CountingTokens, error_of
from tests.support.call_clock import ALL_TIME, PATIENT, SOON, CallClock
from tests.support.http_server import Reply, ScriptedServer
from tests.support.raw_server import Connection, RawServer, Serve, make_certificate

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b'{"status": {"Succeeded": 1}, "ingestionOperationId": "ingest_op_2"}'
WHOLE = OK + b"Content-Length: %d\r\n\r\n" % len(JSON) + JSON
FAR = "https://ingest-help.westeurope.kusto.windows.net"
# Nothing but the time for the whole ends a call soon. Whether anything is sent before that is left to the machine.
BRIEF = replace(PATIENT, whole=0.3)

type Call = Callable[[Asker], object]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return make_certificate(tmp_path_factory.mktemp("tls"), FAR.removeprefix("https://"))


@pytest.fixture(params=["plain", "TLS"])
def tls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext | None:
    if request.param == "plain":
        return None
    made: tuple[Path, ssl.SSLContext] = request.getfixturevalue("certificate")
    file, context = made
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    return context


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> CallClock:
    return CallClock(monkeypatch)


def failure_in_time(call: Call, origin: str, timeouts: Timeouts = PATIENT) -> Unavailable:
    """The error that a call ends with, which is soon."""
    return failure_of(call, Asker(origin, timeouts))


def failure_of(call: Call, asker: Asker) -> Unavailable:
    """The error that the last call of a client ends with, which is soon."""
    began = time.monotonic()
    error = error_of(call, asker)
    took = time.monotonic() - began
    asker.client.close()
    assert isinstance(error, Unavailable)
    assert took < SOON, f"{took:.1f} s"
    return error


def forever(content: bytes) -> Iterator[bytes]:
    return (content for _ in count())


def answering(clock: CallClock, start: bytes, again: bytes, pause: float = 0.0) -> Serve:
    """When the call's time is nearly over, sends ``start`` and then ``again`` and again, with a pause byte by byte."""

    def serve(connection: Connection) -> None:
        connection.read_request()
        clock.nearly_end()
        connection.trickle(start, 0.0)
        for part in forever(again):
            if pause:
                connection.trickle(part, pause)
            else:
                connection.socket.sendall(part)

    return serve


def on_a_kept_connection(serve: Serve) -> Serve:
    """Answers once as it should, and does then with the connection what ``serve`` does."""

    def serve_twice(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(WHOLE)
        serve(connection)

    return serve_twice


def failure_on_a_kept_connection(call: Call, server: RawServer) -> Unavailable:
    """The error that a call ends with, soon, over the connection that an earlier one left."""
    asker = Asker(server.origin, PATIENT)
    assert asker.get().counts == Counts(succeeded=1)
    error = failure_of(call, asker)
    assert server.accepted == 1
    return error


NEW_AND_KEPT = pytest.mark.parametrize("is_kept", [False, True], ids=["a new connection", "a kept connection"])


def connected(server: ScriptedServer, *, is_kept: bool) -> Asker:
    """A client of the server, which has asked it before if it is to have a connection that is kept."""
    asker = Asker(server.origin, PATIENT)
    if is_kept:
        server.answer(SUMMARY)
        asker.get()
    return asker


def kept_connections(asker: Asker) -> list[Any]:
    (route,) = asker.client._routes.values()  # noqa: SLF001
    pool = route._adapter.pool  # noqa: SLF001
    assert pool is not None
    assert pool.pool is not None
    return list(pool.pool.queue)


EMPTY_MEMBER = gzip.compress(b"", mtime=0)
TRICKLES = {
    "a status line": (b"", b"H"),
    "a header": (OK, b"x"),
    "headers": (OK, b"x: y\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers of an interim answer": (b"HTTP/1.1 100 Continue\r\n", b"x: y\r\n"),
    "a body": (OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "a body without a length": (OK + b"Connection: close\r\n\r\n", b" "),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "the size of a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "an extension of a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
    "a compressed nothing": (OK + b"Content-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n", EMPTY_MEMBER),
}


@pytest.mark.parametrize(("start", "again"), TRICKLES.values(), ids=TRICKLES)
def test_a_server_that_trickles_is_given_up_when_the_time_is_over(clock: CallClock, start: bytes, again: bytes) -> None:
    with RawServer(answering(clock, start, again, pause=0.02)) as server:
        error = failure_in_time(Asker.post, server.origin)
        assert "the time for it is over" in str(error)
        assert error.maybe_accepted
        assert server.accepted == 1


@pytest.mark.parametrize(("start", "again"), TRICKLES.values(), ids=TRICKLES)
def test_a_server_that_trickles_on_a_kept_connection_is_given_up_too(
    clock: CallClock, start: bytes, again: bytes
) -> None:
    with RawServer(on_a_kept_connection(answering(clock, start, again, pause=0.02))) as server:
        error = failure_on_a_kept_connection(Asker.post, server)
    assert "the time for it is over" in str(error)
    assert error.maybe_accepted


@pytest.mark.parametrize("what", ["headers", "a compressed nothing"])
def test_a_server_that_trickles_over_tls_is_given_up_too(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, clock: CallClock, what: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with RawServer(answering(clock, *TRICKLES[what], pause=0.02), certificate[1]) as server:
        error = failure_in_time(Asker.post, server.origin)
    assert error.maybe_accepted


@pytest.mark.parametrize(
    ("start", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 1000),
        (OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n", EMPTY_MEMBER * 1000),
        (OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", b"14\r\n" + EMPTY_MEMBER + b"\r\n"),
    ],
    ids=["interim answers", "trailers", "a compressed nothing", "chunks with nothing in them"],
)
def test_a_server_that_sends_much_of_nothing_is_given_up_when_the_time_is_over(
    clock: CallClock, start: bytes, again: bytes
) -> None:
    with RawServer(answering(clock, start, again)) as server:
        assert "the time for it is over" in str(failure_in_time(Asker.get, server.origin))


@pytest.mark.parametrize("opening", [b"", b"\x16\x03\x03\x10\x00" + b"\x02" * 4096], ids=["silent", "trickling"])
def test_a_handshake_that_does_not_end_is_given_up_and_nothing_was_sent(opening: bytes) -> None:
    def serve(connection: Connection) -> None:
        connection.trickle(opening)
        connection.hold()

    with RawServer(serve) as server:
        error = failure_in_time(Asker.post, server.origin.replace("http:", "https:"), BRIEF)
    assert not error.maybe_accepted


def test_a_server_that_does_not_accept_is_given_up_and_nothing_was_sent(clock: CallClock) -> None:
    # A call that gets no time on the machine has all of its own left when it connects.
    clock.stand_still()
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003, of the standard library
            waiting.connect_ex(full.getsockname())
        error = failure_in_time(Asker.post, f"http://127.0.0.1:{full.getsockname()[1]}", BRIEF)
    assert "ConnectTimeout" in str(error)
    assert not error.maybe_accepted


# More than the system takes in for a server that does not read, some MB at each end.
MUCH = 40_000_000


def post_much(asker: Asker) -> None:
    asker.client.submit(asker.operation, [], {"format": "csv", "x": "x" * MUCH})


def taking_no_more(clock: CallClock) -> Serve:
    """Takes the beginning of a request, and then nothing."""

    def serve(connection: Connection) -> None:
        connection.socket.recv(10_000)
        clock.nearly_end()
        # What the client is sending by now has not seen the clock.
        for _ in range(100):
            connection.socket.recv(10_000)
        connection.hold()

    return serve


def test_a_server_that_does_not_take_the_request_is_given_up(tls: ssl.SSLContext | None, clock: CallClock) -> None:
    with RawServer(taking_no_more(clock), tls) as server:
        assert failure_in_time(post_much, server.origin).maybe_accepted


def test_one_that_does_not_take_it_on_a_kept_connection_is_given_up_too(
    tls: ssl.SSLContext | None, clock: CallClock
) -> None:
    with RawServer(on_a_kept_connection(taking_no_more(clock)), tls) as server:
        assert failure_on_a_kept_connection(post_much, server).maybe_accepted


def test_one_that_takes_the_request_slowly_is_given_up_too(tls: ssl.SSLContext | None, clock: CallClock) -> None:
    def serve(connection: Connection) -> None:
        connection.socket.recv(100_000)
        clock.nearly_end()
        while connection.socket.recv(100_000):
            connection.pause(0.05)

    with RawServer(serve, tls) as server:
        assert failure_in_time(post_much, server.origin).maybe_accepted


def test_what_a_call_repeats_is_in_its_time_too(clock: CallClock) -> None:
    requests: list[bytes] = []

    def serve(connection: Connection) -> None:
        requests.append(connection.read_request())
        if len(requests) == 1:
            clock.put_forward(0.75 * ALL_TIME)
            connection.socket.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        clock.nearly_end()
        connection.trickle(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000)

    with RawServer(serve) as server:
        failure_in_time(Asker.get, server.origin)
        assert server.accepted == 2


def test_a_handshake_has_the_time_that_connecting_has_left(monkeypatch: pytest.MonkeyPatch, clock: CallClock) -> None:
    connect = network.create_connection

    def connect_slowly(address: tuple[str, int], timeout: float, **options: Any) -> socket.socket:  # noqa: ANN401, of urllib3
        connected = connect(address, timeout, **options)
        clock.nearly_end()
        return connected

    monkeypatch.setattr(network, "create_connection", connect_slowly)
    with RawServer(Connection.hold) as server:
        failure_in_time(Asker.post, server.origin.replace("http:", "https:"))


def test_a_connection_that_is_there_when_the_time_is_over_is_closed(
    monkeypatch: pytest.MonkeyPatch, clock: CallClock
) -> None:
    connect = network.create_connection
    opened: list[socket.socket] = []

    def connect_too_late(*where: Any, **options: Any) -> socket.socket:  # noqa: ANN401, of urllib3
        opened.append(connect(*where, **options))
        clock.put_forward(ALL_TIME)
        return opened[-1]

    monkeypatch.setattr(network, "create_connection", connect_too_late)
    with RawServer(Connection.hold) as server:
        assert not failure_in_time(Asker.post, server.origin).maybe_accepted
    assert [each.fileno() for each in opened] == [-1]


def test_the_poller_waits_for_longer_than_the_calls_of_one_poll_take() -> None:
    assert poll._PATIENCE.total_seconds() > 2 * Timeouts().whole  # noqa: SLF001, the relation is the point


def test_a_slow_answer_within_the_time_is_read(tls: ssl.SSLContext | None) -> None:
    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.trickle(WHOLE, 0.001)

    with RawServer(serve, tls) as server:
        asker = Asker(server.origin)
        assert asker.get().counts == Counts(succeeded=1)
        asker.client.close()


def test_a_connection_over_tls_serves_one_call_after_another(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(connection: Connection) -> None:
        while connection.read_request():
            connection.socket.sendall(WHOLE)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with RawServer(serve, certificate[1]) as server:
        asker = Asker(server.origin)
        for _ in range(3):
            assert asker.get().counts == Counts(succeeded=1)
        asker.client.close()
        assert server.accepted == 1


def test_a_certificate_that_nobody_vouches_for_is_refused_and_nothing_was_sent(
    certificate: tuple[Path, ssl.SSLContext],
) -> None:
    with RawServer(lambda connection: requests.append(connection.read_request()), certificate[1]) as server:
        requests: list[bytes] = []
        error = failure_in_time(Asker.post, server.origin)
        assert "SSLError" in str(error)
        assert not error.maybe_accepted
    assert requests == []


def test_tls_that_breaks_after_the_request_leaves_open_whether_it_was_accepted(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))

    def serve(connection: Connection) -> None:
        connection.read_request()
        with open(connection.socket.fileno(), "wb", buffering=0, closefd=False) as under_tls:
            under_tls.write(b"HTTP/1.1 200 OK\r\n\r\n")

    with RawServer(serve, certificate[1]) as server:
        error = failure_in_time(Asker.post, server.origin)
    assert "SSLError" in str(error)
    assert error.maybe_accepted
    with RawServer(on_a_kept_connection(serve), certificate[1]) as server:
        error = failure_on_a_kept_connection(Asker.post, server)
    assert "SSLError" in str(error)
    assert error.maybe_accepted


# Answers that are too much, or none


LAWLESS = {
    "many headers": OK + b"x: y\r\n" * 101 + b"\r\n",
    "a long header": OK + b"x: " + b"y" * 70_000 + b"\r\n\r\n",
    "a long status line": b"HTTP/1.1 200 " + b"O" * 70_000 + b"\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + JSON,
    "a body cut short": OK + b"Content-Length: 100\r\n\r\n" + JSON,
    "chunks cut short": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}   \r\n",
    "a negative chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n" + JSON + b"\r\n0\r\n\r\n",
    "no size": OK + b"Transfer-Encoding: chunked\r\n\r\nsome\r\n",
    "a long extension": OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 70_000,
    "many codings": OK + b"Content-Encoding: gzip, gzip, gzip, gzip, gzip, gzip\r\n\r\n" + JSON,
    "many lines of codings": OK + b"Content-Encoding: gzip\r\n" * 3 + b"\r\n" + JSON,
    "a high status": b"HTTP/1.1 999999 OK\r\n\r\n" + JSON,
    "a negative status": b"HTTP/1.1 -1 OK\r\n\r\n" + JSON,
    "another version": b"HTTP/9.9 200 OK\r\n\r\n" + JSON,
    "an interim answer alone": b"HTTP/1.1 102 Wait\r\n\r\n",
    "zeros": b"\0" * 1000,
    "empty lines": b"\r\n" * 1000,
    "nothing": b"",
}


@CALLS
@pytest.mark.parametrize("raw", LAWLESS.values(), ids=LAWLESS)
def test_an_answer_against_the_rules_is_an_error_of_the_service(call: Call, raw: bytes) -> None:
    with ScriptedServer() as server:
        server.answer(Reply(raw=raw), Reply(raw=raw))
        error = failure_in_time(call, server.origin)
    assert error.maybe_accepted is (call is Asker.post)


@pytest.mark.parametrize("raw", LAWLESS.values(), ids=LAWLESS)
def test_one_against_the_rules_on_a_kept_connection_is_an_error_too(raw: bytes) -> None:
    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(raw)

    with RawServer(on_a_kept_connection(serve)) as server:
        assert failure_on_a_kept_connection(Asker.post, server).maybe_accepted


def nested(times: int) -> bytes:
    """Spaces, gigabytes of them with each time that they are compressed."""
    spaces = zlib.compressobj(9, wbits=31)
    packed = spaces.compress(b" " * 1_000_000) + spaces.flush()
    for _ in range(times - 1):
        packed = gzip.compress(packed * 1000)
    return packed


@NEW_AND_KEPT
@pytest.mark.parametrize(
    ("encoding", "body"), [("gzip", nested(1) * 200), ("gzip, gzip", nested(2))], ids=["once", "twice"]
)
def test_a_bomb_is_given_up_before_it_takes_more_than_an_answer_may(
    encoding: str, body: bytes, *, is_kept: bool
) -> None:
    with ScriptedServer() as server:
        asker = connected(server, is_kept=is_kept)
        server.answer(Reply(body=body, headers={"Content-Encoding": encoding}))
        tracemalloc.start()
        try:
            error = error_of(Asker.get, asker)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        asker.client.close()
    assert isinstance(error, Unavailable)
    assert peak < 40_000_000


@NEW_AND_KEPT
def test_what_is_compressed_twice_to_say_nothing_is_given_up(*, is_kept: bool) -> None:
    with ScriptedServer() as server:
        asker = connected(server, is_kept=is_kept)
        nothing = zlib.compressobj(1, wbits=31)
        packed = nothing.compress(EMPTY_MEMBER * 4_000_000) + nothing.flush()
        server.answer(Reply(body=packed, headers={"Content-Encoding": "gzip, gzip"}))
        assert "more than once" in str(error_of(Asker.get, asker))
        asker.client.close()


@NEW_AND_KEPT
def test_an_answer_in_many_small_chunks_takes_no_more_memory_than_its_size(*, is_kept: bool) -> None:
    size = 60_000
    with ScriptedServer() as server:
        asker = connected(server, is_kept=is_kept)
        server.answer(
            Reply(raw=OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\n  \r\n" * (size // 2) + b"0\r\n\r\n")
        )
        tracemalloc.start()
        try:
            error = error_of(Asker.get, asker)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        asker.client.close()
    assert "can't be used" in str(error)
    assert peak < 2_000_000


@pytest.mark.parametrize("status", [101, 102, 103, 199])
def test_an_interim_answer_is_not_the_answer_and_the_real_one_not_that_of_the_next_call(status: int) -> None:
    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(b"HTTP/1.1 %d Wait\r\n\r\n" % status)
        if connection.read_request():
            connection.socket.sendall(WHOLE)

    with RawServer(serve) as server:
        asker = Asker(server.origin)
        for _ in range(2):
            error = error_of(Asker.post, asker)
            assert isinstance(error, Unavailable)
            assert error.maybe_accepted
            assert str(status) in str(error)
        asker.client.close()
        assert server.accepted == 2


@pytest.mark.parametrize("is_kept", [False, True], ids=["a new connection", "a kept connection"])
@pytest.mark.parametrize("status", [101, 102, 103, 199])
def test_an_interim_answer_to_events_is_not_the_answer_and_the_real_one_not_that_of_the_next(
    status: int, *, is_kept: bool
) -> None:
    def serve(connection: Connection) -> None:
        if is_kept:
            connection.read_request()
            connection.socket.sendall(OK + b"Content-Length: 0\r\n\r\n")
        connection.read_request()
        connection.socket.sendall(b"HTTP/1.1 %d Wait\r\n\r\n" % status)
        if connection.read_request():
            connection.socket.sendall(OK + b"Content-Length: 0\r\n\r\n")

    with RawServer(serve) as server:
        topic = Topic(server.origin, CountingTokens())
        for _ in range(2):
            if is_kept:
                topic.publish("[]")
            with pytest.raises(NotSent):
                topic.publish("[]")
        topic._route.close()  # noqa: SLF001
        assert server.accepted == 2


SEVEN_FAILED = OK + b"Content-Length: 25\r\n\r\n" + b'{"status": {"Failed": 7}}'


@pytest.mark.parametrize(
    "garbage",
    [WHOLE, b"x", b"\r\n", WHOLE * 1000, b" " * (io.DEFAULT_BUFFER_SIZE - len(SEVEN_FAILED)) + WHOLE],
    ids=["an answer", "x", "a line", "much", "an answer behind what is read at once"],
)
def test_what_comes_behind_an_answer_is_not_the_next_ones(tls: ssl.SSLContext | None, garbage: bytes) -> None:
    def serve(connection: Connection) -> None:
        while connection.read_request():
            connection.socket.sendall(SEVEN_FAILED + garbage)

    with RawServer(serve, tls) as server:
        asker = Asker(server.origin)
        for _ in range(3):
            assert asker.get().counts == Counts(failed=7)
        asker.client.close()


def test_an_answer_to_nothing_on_a_kept_connection_is_not_the_next_ones() -> None:
    answered, closed = threading.Semaphore(0), threading.Semaphore(0)

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(WHOLE)
        answered.acquire(timeout=60)
        connection.socket.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        closed.release()

    with RawServer(serve) as server:
        asker = Asker(server.origin)
        for _ in range(3):
            assert asker.post() == "ingest_op_2"
            answered.release()
            assert closed.acquire(timeout=60)
        asker.client.close()
        assert server.accepted == 3


def test_a_post_that_is_lost_on_a_kept_connection_may_have_been_accepted() -> None:
    with ScriptedServer() as server:
        server.answer(SUMMARY, Reply(raw=b""))
        asker = Asker(server.origin)
        asker.get()
        error = error_of(Asker.post, asker)
        asker.client.close()
        assert error.maybe_accepted
        assert len({request.connection for request in server.received}) == 1


def test_an_answer_before_the_request_is_an_answer_or_an_error() -> None:
    def serve(connection: Connection) -> None:
        connection.socket.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with RawServer(serve) as server:
        error = failure_in_time(Asker.post, server.origin)
    assert error.maybe_accepted


@NEW_AND_KEPT
def test_an_answer_before_all_of_the_request_was_taken_is_the_answer(*, is_kept: bool) -> None:
    def serve(connection: Connection) -> None:
        if is_kept:
            connection.read_request()
            connection.socket.sendall(WHOLE)
        # More of it is left unread, which resets the connection behind the answer.
        connection.socket.recv(1000)
        connection.socket.sendall(b"HTTP/1.1 429 Later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with RawServer(serve) as server:
        asker = Asker(server.origin)
        if is_kept:
            asker.get()
        assert isinstance(error_of(post_much, asker), Throttled)
        asker.client.close()
        assert server.accepted == 1


def test_a_connection_with_an_answer_that_was_not_read_to_its_end_is_not_kept() -> None:
    looked_at = b"x" * 65_536

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(OK + b"Content-Length: 0\r\n\r\n")
        if connection.read_request():
            # The rest is still to come when the next request does.
            connection.socket.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n" + looked_at)
        if connection.read_request():
            connection.socket.sendall(b"HTTP/1.1 500 The rest\r\nContent-Length: 0\r\n\r\n")

    with RawServer(serve) as server:
        topic = Topic(server.origin, CountingTokens())
        topic.publish("[]")
        with pytest.raises(NotSent):
            topic.publish("[]")
        topic.publish("[]")
        topic._route.close()  # noqa: SLF001
        assert server.accepted == 2


def test_a_server_that_says_nothing_on_a_kept_connection_is_not_asked_again() -> None:
    def get_soon(asker: Asker) -> None:
        asker.client._timeout = 30.0, 0.3  # noqa: SLF001
        asker.get()

    with RawServer(on_a_kept_connection(Connection.hold)) as server:
        assert "ReadTimeout" in str(failure_on_a_kept_connection(get_soon, server))


def test_what_one_call_had_of_its_time_is_no_limit_of_the_next() -> None:
    def serve(connection: Connection) -> None:
        while connection.read_request():
            connection.socket.sendall(WHOLE)

    with RawServer(serve) as server:
        asker = Asker(server.origin, Timeouts(connect=100.0, read=100.0, whole=50.0))
        for whole, least in ((50.0, 0.0), (90.0, 50.0), (200.0, 90.0)):
            asker.client._whole = whole  # noqa: SLF001
            asker.get()
            (connection,) = filter(None, kept_connections(asker))
            assert least < connection.sock.gettimeout() <= min(whole, 100.0)
        asker.client.close()
        assert server.accepted == 1


def test_the_name_of_what_the_service_did_is_cut_to_size() -> None:
    with ScriptedServer() as server:
        server.answer(Reply(500, headers={"x-ms-activity-id": "a" * 60_000}))
        assert len(str(failure_in_time(Asker.get, server.origin))) < 400


HEADS = [
    b"HTTP/1.1 200 OK",
    b"Content-Type: application/json; charset=utf-8",
    b"Content-Length: %d" % len(JSON),
    b"Transfer-Encoding: chunked",
    b"Content-Encoding: gzip",
    b"Content-Encoding: deflate",
    b"Connection: close",
    b"Retry-After: 5",
    b"Set-Cookie: a=b; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=x; Path=/",
    b"Location: http://user:word@127.0.0.1:1/",
    b"Refresh: 0; url=http://127.0.0.1:1/",
    b"WWW-Authenticate: Negotiate",
    b"x-ms-activity-id: \xff\xfe",
    b"HTTP/1.1 401 No",
    b"HTTP/1.1 100 Continue\r\n",
]
BODIES = [JSON, b"%x\r\n%b\r\n0\r\n\r\n" % (len(JSON), JSON), gzip.compress(JSON), zlib.compress(JSON), b""]


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer as it should be, but for some of its headers, and for some bytes of it."""
    heads = [HEADS[0], *draw(st.lists(st.sampled_from(HEADS), max_size=5))]
    raw = bytearray(b"\r\n".join(heads) + b"\r\n\r\n" + draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(raw) - 1))
        raw[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3) | st.sampled_from([b"\r\n", b": "]))
        raw += b" "
    return bytes(raw)


@settings(max_examples=150)
@given(raw=answers(), call=st.sampled_from([Asker.get, Asker.post]), is_kept=st.booleans())
def test_whatever_comes_over_the_wire_is_an_answer_or_an_error(raw: bytes, call: Call, *, is_kept: bool) -> None:
    with ScriptedServer() as server:
        asker = connected(server, is_kept=is_kept)
        server.answer(*[Reply(raw=raw)] * 4)
        try:
            answer = call(asker)
        except KustoError as error:
            assert TOKEN not in str(error)  # noqa: PT017, it may also be an answer
            assert len(str(error)) < 2_000  # noqa: PT017
        else:
            assert isinstance(answer, StatusReport | str | None)
        asker.client.close()


# Ways through a proxy


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Names a proxy in all the variables that there are for it."""

    def name(origin: str) -> None:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, origin)
            monkeypatch.setenv(variable.lower(), origin)

    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    return name


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "ProxyError"),
        (b"HTTP/1.1 200 Connection established\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "ProxyError"),
        (b"", ""),
    ],
    ids=["refuses", "connects", "redirects", "hangs up"],
)
def test_a_proxy_sees_the_name_of_the_host_and_no_token(
    proxied: Callable[[str], None], answer: bytes, said: str
) -> None:
    seen = bytearray()

    def serve(connection: Connection) -> None:
        seen.extend(connection.read_request())
        if answer:
            connection.socket.sendall(answer)
            seen.extend(connection.socket.recv(65536))

    with RawServer(serve) as proxy:
        proxied(proxy.origin)
        error = failure_in_time(Asker.post, FAR)
        assert proxy.accepted == 1
    assert said in str(error)
    assert not error.maybe_accepted
    assert seen.startswith(f"CONNECT {FAR.removeprefix('https://')}:443 HTTP/1.".encode())
    for secret in (TOKEN.encode(), base64.b64encode(TOKEN.encode()), b"Authorization", b"Bearer", b"/v1/rest"):
        assert secret not in seen
    # What follows, if anything does, is the first record of a handshake.
    _, _, rest = bytes(seen).partition(b"\r\n\r\n")
    assert not rest or struct.unpack("!BB", rest[:2]) == (22, 3)


def test_one_tunnel_through_a_proxy_serves_one_call_after_another(
    proxied: Callable[[str], None], certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with certificate[1].wrap_socket(connection.socket, server_side=True) as tunnelled:
            inner = Connection(tunnelled, threading.Event())
            while request := inner.read_request():
                asked.append(request)
                tunnelled.sendall(WHOLE)

    asked: list[bytes] = []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with RawServer(serve) as proxy:
        proxied(proxy.origin)
        asker = Asker(FAR)
        for _ in range(3):
            assert asker.get().counts == Counts(succeeded=1)
        asker.client.close()
        assert proxy.accepted == 1
    assert len(asked) == 3
    for request in asked:
        assert request.startswith(b"GET /v1/rest/ingestion/queued/")
        assert f"\r\nHost: {FAR.removeprefix('https://')}\r\n".encode() in request


def test_a_proxy_that_trickles_is_given_up_when_the_time_is_over(
    proxied: Callable[[str], None], clock: CallClock
) -> None:
    with RawServer(answering(clock, b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", pause=0.02)) as proxy:
        proxied(proxy.origin)
        assert not failure_in_time(Asker.post, FAR).maybe_accepted


def test_a_proxy_for_socks_without_its_library_is_an_error_and_not_passed_by(proxied: Callable[[str], None]) -> None:
    with RawServer(Connection.hold) as proxy:
        proxied(proxy.origin.replace("http:", "socks5h:"))
        error = failure_in_time(Asker.post, FAR)
        assert "InvalidSchema" in str(error)
        assert not error.maybe_accepted
        assert proxy.accepted == 0


def test_an_endpoint_on_this_machine_is_not_asked_through_a_proxy(proxied: Callable[[str], None]) -> None:
    with RawServer(Connection.hold) as proxy, ScriptedServer() as server:
        proxied(proxy.origin)
        server.answer(SUMMARY)
        asker = Asker(server.origin)
        assert asker.get().counts == Counts(succeeded=1)
        asker.client.close()
        assert proxy.accepted == 0


def test_what_no_proxy_names_is_asked_without_one(
    proxied: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(network, "create_connection", connect)
    proxied("http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", ".kusto.windows.net")
    monkeypatch.setenv("no_proxy", ".kusto.windows.net")
    assert not failure_in_time(Asker.post, FAR).maybe_accepted
    assert asked == [(FAR.removeprefix("https://"), 443)]


def test_a_client_that_was_closed_opens_connections_anew() -> None:
    with ScriptedServer() as server:
        server.answer(SUMMARY, SUMMARY)
        asker = Asker(server.origin)
        asker.get()
        asker.client.close()
        assert asker.get().counts == Counts(succeeded=1)
        asker.client.close()
        assert len({request.connection for request in server.received}) == 2


def test_many_threads_get_each_its_own_answers_and_few_connections_are_kept() -> None:
    def serve(connection: Connection) -> None:
        while request := connection.read_request():
            (number,) = re.findall(rb"ingest_op_([0-9]+)\?", request)
            body = b'{"status": {"Succeeded": %s}}' % number
            connection.socket.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def succeeded(number: int) -> int:
        report = asker.client.status(replace(asker.operation, operation_id=f"ingest_op_{number}"), details=False)
        assert report.counts is not None
        return report.counts.succeeded

    with RawServer(serve) as server, ThreadPoolExecutor(8) as threads:
        asker = Asker(server.origin)
        assert list(threads.map(succeeded, range(400))) == list(range(400))
        assert len(kept_connections(asker)) <= 2
        asker.client.close()


class SlowTokens:
    def __init__(self, clock: CallClock) -> None:
        self._clock = clock

    def token(self, _cluster: str) -> str:
        self._clock.put_forward(0.8 * ALL_TIME)
        return "token"

    def discard(self, cluster: str, token: str) -> None:
        pass


def test_a_token_that_took_its_time_does_not_cut_the_answer_to_a_post_short(clock: CallClock) -> None:
    def serve(connection: Connection) -> None:
        connection.read_request()
        clock.put_forward(0.5 * ALL_TIME)
        connection.socket.sendall(WHOLE)

    with RawServer(serve) as server:
        asker = Asker(server.origin, PATIENT)
        asker.client._tokens = SlowTokens(clock)  # noqa: SLF001
        assert asker.post() == "ingest_op_2"
        asker.client.close()
