"""A proxy on loopback between a process and what it writes to, which kills the process at a write of one's choice.

Reads pass. Writes pass one at a time, each under its name, and are kept in their order. Armed, it kills the process at
the n-th of them, before the server gets it or after the server has answered, and nothing more of that process passes.
"""

import http.client
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self, override
from urllib.parse import urlsplit

FRAMING = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


class Side(StrEnum):
    """When a process dies at a write: before it reaches the server, or once it took effect, without the answer."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Trip:
    """Where a process dies: at the write of this number, from 0."""

    place: int
    side: Side


@dataclass(frozen=True)
class Request:
    """A request on its way to one of the servers."""

    server: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Write:
    """A write that has passed; one that the process died before has not."""

    name: str
    took_effect: bool


class Names(Protocol):
    """Tells writes from reads."""

    def name(self, request: Request) -> str | None:
        """The name of a write; None for a read."""

    def took_effect(self, request: Request, answer: Answer) -> bool:
        """Whether a write changed anything. It is asked of each, once."""


class Tripwire:
    """Stands before some servers, known by their names."""

    def __init__(self, servers: Mapping[str, str]) -> None:
        """Takes the servers' addresses."""
        self._proxies = {name: _Proxy(self, name, address) for name, address in servers.items()}
        self._threads = [
            threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            for proxy in self._proxies.values()
        ]
        self._lock = threading.Lock()
        self._names: Names | None = None
        self._trip: Trip | None = None
        self._kill: Callable[[], None] = lambda: None
        self._before: Callable[[], object] = lambda: None
        self._after: Callable[[], object] = lambda: None
        self.writes: list[Write] = []
        self.life = 0

    def port(self, server: str) -> int:
        """Where it stands in for a server."""
        return int(self._proxies[server].server_address[1])

    def watch(
        self,
        names: Names,
        *,
        trip: Trip | None = None,
        kill: Callable[[], None] = lambda: None,
        before: Callable[[], object] = lambda: None,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """Keep the writes from now on.

        Args:
            names: Names them.
            trip: Where the process dies, if it does.
            kill: Kills it.
            before: Is called before each write.
            after: Is called after each write, before the process gets to know.
        """
        with self._lock:
            self._names, self._trip, self._kill = names, trip, kill
            self._before, self._after = before, after
            self.writes = []

    def let_pass(self) -> None:
        """Let the next process write as it likes, unseen; what is left of the last one does not pass."""
        with self._lock:
            self._names = None
            self.life += 1

    def forward(self, request: Request, life: int, send: Callable[[Request], Answer]) -> Answer | None:
        """The server's answer to a request, or None if the process is dead."""
        names = self._names
        name = names.name(request) if names else None
        if names is None or name is None:
            return send(request) if life == self.life else None
        with self._lock:
            if life != self.life:
                return None
            side = self._trip.side if self._trip and self._trip.place == len(self.writes) else None
            if side is Side.BEFORE:
                self._die()
                return None
            self._before()
            answer = send(request)
            self.writes.append(Write(name, names.took_effect(request, answer)))
            self._after()
            if side is Side.AFTER:
                self._die()
                return None
            return answer

    def _die(self) -> None:
        self._kill()
        self.life += 1

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for proxy in self._proxies.values():
            proxy.shutdown()
            proxy.server_close()
        for thread in self._threads:
            thread.join()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tripwire: Tripwire, name: str, address: str) -> None:
        self.tripwire = tripwire
        self.name = name
        self.port = urlsplit(address).port
        super().__init__(("127.0.0.1", 0), _Handler)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A process that is killed hangs up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Proxy

    @override
    def setup(self) -> None:
        super().setup()
        self.life = self.server.tripwire.life
        self.upstream = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)

    @override
    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def do_PUT(self) -> None:
        self._forward()

    def do_PATCH(self) -> None:
        self._forward()

    def do_DELETE(self) -> None:
        self._forward()

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.server.name, self.command, self.path, dict(self.headers.items()), body)
        answer = self.server.tripwire.forward(request, self.life, self._send)
        if answer is None:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _send(self, request: Request) -> Answer:
        self.upstream.request(request.method, request.path, request.body, dict(request.headers))
        response = self.upstream.getresponse()
        headers = tuple(pair for pair in response.getheaders() if pair[0].lower() not in FRAMING)
        return Answer(response.status, headers, response.read())
