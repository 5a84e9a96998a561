"""Storage's requests go out as the SDKs have made them, without what a session of requests would add."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline import Pipeline
from azure.core.rest import HttpRequest, HttpResponse

from shared import queues
from shared.settings import StorageAccess
from shared.store import tables
from shared.transport import pooled
from tests.support.http_server import Received, Reply, ScriptedServer
from tests.support.raw_server import Connection, RawServer, make_certificate


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def sent(server: ScriptedServer, method: str, **content: object) -> Received:
    server.answer(Reply(200, b"answer", {"Set-Cookie": "a=b"}))
    response = ask(HttpRequest(method, f"{server.origin}/path?x=%20y", **content))  # type: ignore[arg-type]  # a test's
    assert (response.status_code, response.text()) == (200, "answer")
    return server.received[-1]


def ask(request: HttpRequest) -> HttpResponse:
    with pooled(5, 5) as transport:
        response: HttpResponse = Pipeline(transport).run(request).http_response
        return response


def test_a_text_goes_out_as_utf_8(server: ScriptedServer) -> None:
    received = sent(server, "POST", content="Ünï", headers={"x-own": "1"})
    assert (received.path, received.body, received.headers["x-own"]) == ("/path?x=%20y", "Ünï".encode(), "1")
    assert received.headers["Content-Length"] == "5"


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_request_without_a_body_says_so(server: ScriptedServer, method: str) -> None:
    received = sent(server, method)
    assert received.method == method
    assert received.body == b""
    assert "Transfer-Encoding" not in received.headers


def test_neither_a_netrc_file_nor_a_cookie_gets_into_a_request(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for _ in range(2):
        received = sent(server, "GET")
        assert "Authorization" not in received.headers
        assert "Cookie" not in received.headers


def test_the_environments_proxy_is_used(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server.origin)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    server.answer(Reply(200, b"from the proxy"))
    assert ask(HttpRequest("GET", "http://storage.example/x")).text() == "from the proxy"
    assert server.received[-1].path == "http://storage.example/x"


def test_a_proxy_that_a_request_names_is_used_for_it_alone(server: ScriptedServer) -> None:
    with ScriptedServer() as proxy, pooled(5, 5) as transport:
        server.answer(*[Reply(200, b"itself")] * 2)
        proxy.answer(Reply(200, b"from the proxy"))
        request = HttpRequest("GET", f"{server.origin}/x")
        ways: list[dict[str, Any]] = [{}, {"proxies": {"http": proxy.origin}}, {}]
        answers = [Pipeline(transport).run(request, **way).http_response.text() for way in ways]
    assert answers == ["itself", "from the proxy", "itself"]


def test_each_connection_is_to_whom_an_authority_vouches_for(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(connection: Connection) -> None:
        asked.append(connection.read_request())
        connection.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    asked: list[bytes] = []
    file, context = make_certificate(tmp_path_factory.mktemp("trusted"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    with RawServer(serve, context) as server, pooled(5, 5) as transport:
        for _ in range(2):
            assert Pipeline(transport).run(HttpRequest("GET", f"{server.origin}/x")).http_response.text() == "ok"
        # Of another name than the certificate's.
        with pytest.raises(ServiceRequestError):
            Pipeline(transport).run(HttpRequest("GET", f"https://localhost:{server.port}/x"))
        other = tmp_path_factory.mktemp("other")
        make_certificate(other)
        context.load_cert_chain(other / "certificate.pem", other / "key.pem")
        with pytest.raises(ServiceRequestError):
            Pipeline(transport).run(HttpRequest("GET", f"{server.origin}/x"))
    assert len(asked) == 2


def test_errors_are_the_sdks(server: ScriptedServer) -> None:
    server.answer(Reply(raw=b""))
    with pytest.raises((ServiceResponseError, ServiceRequestError)):
        ask(HttpRequest("GET", f"{server.origin}/"))
    server.answer(Reply(200, b"late", pause=0.5))
    with pytest.raises((ServiceResponseError, ServiceRequestError)), pooled(5, 0.1) as transport:
        Pipeline(transport).run(HttpRequest("GET", f"{server.origin}/"))


@pytest.mark.parametrize("status", [101, 103])
def test_an_interim_answer_is_not_the_answer_and_the_real_one_not_that_of_the_next_request(status: int) -> None:
    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(b"HTTP/1.1 %d Wait\r\n\r\n" % status)
        if connection.read_request():
            connection.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")

    with RawServer(serve) as server, pooled(5, 5) as transport:
        for _ in range(2):
            with pytest.raises(ServiceResponseError):
                Pipeline(transport).run(HttpRequest("GET", f"{server.origin}/x"))
        assert server.accepted == 2


@pytest.mark.parametrize("connect", [tables.connect, queues.connect])
def test_an_account_that_does_not_answer_is_given_up_on(connect: Any) -> None:  # noqa: ANN401, both return clients
    with RawServer(Connection.hold) as silent:
        account = f"http://127.0.0.1:{silent.port}/account"
        access = StorageAccess(
            f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;TableEndpoint={account};"
            f"QueueEndpoint={account}"
        )
        client = connect(access, None, {"retry_total": 0, "connection_timeout": 60, "read_timeout": 0.2})
        listing = client.list_tables() if connect is tables.connect else client.list_queues()
        began = time.monotonic()
        with pytest.raises(ServiceResponseError):
            next(listing)
        # Its own time-out is 30 s.
        assert time.monotonic() - began < 25
