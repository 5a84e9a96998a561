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
from tests.support.raw_server import Connection, RawServer


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


def test_errors_are_the_sdks(server: ScriptedServer) -> None:
    server.answer(Reply(raw=b""))
    with pytest.raises((ServiceResponseError, ServiceRequestError)):
        ask(HttpRequest("GET", f"{server.origin}/"))
    server.answer(Reply(200, b"late", pause=0.5))
    with pytest.raises((ServiceResponseError, ServiceRequestError)), pooled(5, 0.1) as transport:
        Pipeline(transport).run(HttpRequest("GET", f"{server.origin}/"))


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
