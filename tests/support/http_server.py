"""A web server on loopback that answers as a script says, and keeps what it was sent.

It speaks HTTP/1.1 over real sockets, so that what a client's libraries do on the way is part of the test.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, override


@dataclass(frozen=True)
class Received:
    """One request, its path as it came over the wire; ``connection`` tells connections apart."""

    method: str
    path: str
    headers: Message
    body: bytes
    connection: int


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        status: Of HTTP.
        body: As it goes over the wire.
        headers: Beside those of the framing.
        chunked: Sends the body as chunks of one byte instead of with a length.
        length: A false ``Content-Length``.
        pause: Seconds between two bytes of the body, or of ``raw``.
        raw: Is sent instead of all that, and the connection closed. Empty closes it without a word.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False
    length: int | None = None
    pause: float = 0.0
    raw: bytes | None = None


class ScriptedServer:
    """Answers each request with the next reply of its script; beyond that with 500."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.stopping = threading.Event()
        self._script: deque[Reply] = deque()
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def origin(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, *replies: Reply) -> None:
        """Put replies at the end of the script."""
        self._script.extend(replies)

    def next_reply(self, request: Received) -> Reply:
        """The reply to a request, which is kept."""
        with self._lock:
            self.received.append(request)
            return self._script.popleft() if self._script else Reply(500, b"the script is at its end")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; the port is free."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: ScriptedServer) -> None:
        self.script = script
        super().__init__(("127.0.0.1", 0), _Handler)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Or a body waits some 40 ms for the client to acknowledge its headers.
    disable_nagle_algorithm = True
    server: _Server

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""

    def do_GET(self) -> None:
        self._reply()

    def do_POST(self) -> None:
        self._reply()

    def do_PUT(self) -> None:
        self._reply()

    def do_DELETE(self) -> None:
        self._reply()

    def _reply(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Received(self.command, self.path, self.headers, body, self.client_address[1])
        reply = self.server.script.next_reply(request)
        if reply.raw is not None:
            self.close_connection = True
            self._send(reply.raw, reply.pause)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
            self.close_connection = reply.length is not None
        self.end_headers()
        if reply.chunked:
            for byte in reply.body:
                self.wfile.write(b"1\r\n%c\r\n" % byte)
                self.server.script.stopping.wait(reply.pause)
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._send(reply.body, reply.pause)

    def _send(self, content: bytes, pause: float) -> None:
        if not pause:
            self.wfile.write(content)
            return
        for byte in content:
            if self.server.script.stopping.wait(pause):
                return
            self.wfile.write(bytes([byte]))
