"""Event Grid's part on loopback: takes batches of CloudEvents 1.0 over HTTP as a custom topic does, and looks at each.

What it refuses is what the service refuses, by https://learn.microsoft.com/azure/event-grid/post-to-custom-topic and
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md: another media type, a body that is
no array of events, an event that lacks an attribute, a batch of more than 1 MB, a missing token. It fails on purpose.
"""

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from typing import Any, override

from tests.support.http_server import Received, Reply, ScriptedServer

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


class EventGrid(ScriptedServer):
    """One topic; ``events`` are those that it took, ``batches`` how many came in each request that it took."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.batches: list[int] = []
        self.tokens: list[str] = []
        self.refusals: list[str] = []
        self.is_away = False
        self.refuses: Refusal = _takes_all
        self._failing: deque[Failing] = deque()

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

    @override
    def next_reply(self, request: Received) -> Reply:
        answer = self._take(request.path, request.headers, request.body)
        said = b"" if answer.status == 200 else b'{"error":{"code":"Odd","message":"as the test wants it"}}'
        return Reply(answer.status, said, {"Location": answer.location} if answer.location else {})

    def _take(self, path: str, headers: Message, body: bytes) -> Failing:
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

    def _problem(self, path: str, headers: Message, body: bytes) -> str:
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
