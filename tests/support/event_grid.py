"""Event Grid's part on loopback: takes batches of CloudEvents 1.0 over HTTP as a custom topic does, and looks at each.

What it refuses is what the service refuses, by https://learn.microsoft.com/azure/event-grid/post-to-custom-topic and
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md: another media type, a body that is
no array of events, an event that lacks an attribute, a batch of more than 1 MB, a missing token. It fails on purpose.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, override

MOST_BYTES = 1024 * 1024
MEDIA_TYPE = "application/cloudevents-batch+json; charset=utf-8"
PATH = "/api/events?api-version=2018-01-01"

type Event = dict[str, Any]

_REQUIRED = ("id", "source", "specversion", "type")
_KNOWN = {*_REQUIRED, "subject", "time", "datacontenttype", "data"}
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")


@dataclass(frozen=True)
class Failing:
    """How one request fails.

    Attributes:
        status: The answer.
        takes: Whether the events are taken all the same, as where an answer gets lost.
        location: Where the answer leads.
    """

    status: int = 503
    takes: bool = False
    location: str = ""


type Refusal = Callable[[Event], bool]


def _takes_all(_: Event) -> bool:
    return False


class EventGrid:
    """One topic; ``events`` are those that it took, ``batches`` how many came in each request that it took."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.batches: list[int] = []
        self.tokens: list[str] = []
        self.refusals: list[str] = []
        self.is_away = False
        self.refuses: Refusal = _takes_all
        self._failing: deque[Failing] = deque()
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def origin(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def endpoint(self) -> str:
        """The topic's endpoint, as the portal shows it."""
        return f"{self.origin}/api/events"

    def fail(self, *failing: Failing) -> None:
        """Let the next requests fail."""
        self._failing.extend(failing)

    def clear(self) -> None:
        """Forget what came."""
        with self._lock:
            self.events.clear()
            self.batches.clear()
            self.tokens.clear()
            self.refusals.clear()
            self._failing.clear()
            self.is_away = False
            self.refuses = _takes_all

    def take(self, path: str, headers: Any, body: bytes) -> Failing:  # noqa: ANN401, of the server
        """Take one request; says how it is answered."""
        with self._lock:
            self.tokens.append(headers["Authorization"] or "")
            if self.is_away:
                return Failing()
            failing = self._failing.popleft() if self._failing else None
            if failing and not failing.takes:
                return failing
            problem = self._problem(path, headers, body)
            if problem:
                self.refusals.append(problem)
                return Failing(401 if "token" in problem else 413 if "bytes" in problem else 400)
            events = json.loads(body)
            self.events += events
            self.batches.append(len(events))
            return failing or Failing(200)

    def _problem(self, path: str, headers: Any, body: bytes) -> str:  # noqa: ANN401, the same
        if path != PATH:
            return f"no such path: {path}"
        if not re.fullmatch(r"Bearer \S+", headers["Authorization"] or ""):
            return "no token"
        if headers["Content-Type"] != MEDIA_TYPE:
            return f"the media type is {headers['Content-Type']}"
        if len(body) > MOST_BYTES:
            return f"{len(body)} bytes"
        events = json.loads(body)
        if not isinstance(events, list) or not events:
            return "no batch"
        return next(filter(None, map(self._problem_of, events)), "")

    def _problem_of(self, event: Event) -> str:
        lacking = [name for name in _REQUIRED if not isinstance(event.get(name), str) or not event[name]]
        unknown = event.keys() - _KNOWN
        if lacking or unknown:
            return f"lacks {lacking}, has {unknown}"
        if event["specversion"] != "1.0" or not _URI_REFERENCE.fullmatch(event["source"]):
            return f"specversion {event['specversion']}, source {event['source']}"
        if event.get("subject") == "" or event.get("datacontenttype", "application/json") != "application/json":
            return "an empty subject, or data that is no JSON"
        if "time" in event and datetime.fromisoformat(event["time"]).tzinfo is None:
            return "a time without its zone"
        return "refused on purpose" if self.refuses(event) else ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, grid: EventGrid) -> None:
        self.grid = grid
        super().__init__(("127.0.0.1", 0), _Handler)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A process that is killed hangs up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.grid.take(self.path, self.headers, body)
        said = b"" if answer.status == 200 else b'{"error":{"code":"Odd","message":"as the test wants it"}}'
        self.send_response(answer.status)
        if answer.location:
            self.send_header("Location", answer.location)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
