"""Event Grid: events of CloudEvents 1.0 to one custom topic, by the app's identity.

By HTTP as the service documents it (https://learn.microsoft.com/azure/event-grid/post-to-custom-topic), and not by its
SDK: docs/decisions/news.md. A token goes to the topic's own origin alone; an answer that leads elsewhere is an error.
"""

import time
from datetime import timedelta
from http.client import HTTPException
from typing import Any

import requests
from requests import PreparedRequest
from urllib3.exceptions import HTTPError

from shared.endpoints import TOPIC_PATH
from shared.errors import KustoError
from shared.kusto.connections import Exchange, Route
from shared.kusto.tokens import Tokens
from shared.redaction import redact

AUDIENCE = "https://eventgrid.azure.net"
"""Whom a token is for: the same in each cloud, as Microsoft's SDKs have it."""

MOST_BYTES = 900_000
"""Bytes of one batch: Event Grid takes 1 MB, of which the framing is a part."""

_WHOLE = timedelta(seconds=20)
_TIMEOUT = (5.0, 10.0)
_LONGEST_ANSWER = 64 * 1024
_LONGEST_REASON = 300
_CONNECTIONS = 8
_QUERY = "?api-version=2018-01-01"
_LASTING = frozenset({400, 413})
_HINTS = {
    401: "the app's identity needs the role EventGrid Data Sender on the topic",
    403: "the app's identity needs the role EventGrid Data Sender on the topic",
    404: "there is no such topic",
}


class NotSent(Exception):
    """Events were not taken, or that can't be told.

    Attributes:
        is_of_event: Whether it is for what is in them: one of them must not hold up the others.
        status: Of the answer, None without one.
    """

    def __init__(self, reason: str, *, is_of_event: bool = False, status: int | None = None) -> None:
        super().__init__(reason)
        self.is_of_event = is_of_event
        self.status = status


class Topic:
    """One topic."""

    def __init__(self, origin: str, tokens: Tokens) -> None:
        """Takes what ``endpoints.parse_topic`` gives."""
        self._url = origin + TOPIC_PATH + _QUERY
        self._tokens = tokens
        self._route = Route(origin, concurrency=_CONNECTIONS)

    def publish(self, batch: str) -> None:
        """Send a JSON array of events; whether all of them were taken is one answer.

        Raises:
            NotSent: they were not, or that can't be told.
        """
        status, reason = self._authorized(batch.encode())
        if status != requests.codes.ok:
            hint = _HINTS.get(status)
            said = ", ".join(filter(None, (f"HTTP {status}", reason, hint)))
            raise NotSent(f"Event Grid does not take it ({said})", is_of_event=status in _LASTING, status=status)

    def _authorized(self, body: bytes) -> tuple[int, str]:
        """Send with a token, and once more with a fresh one after a 401."""
        token = self._token()
        answer = self._send(body, token)
        if answer[0] != requests.codes.unauthorized:
            return answer
        self._tokens.discard(AUDIENCE, token)
        return self._send(body, self._token())

    def _token(self) -> str:
        try:
            return self._tokens.token(AUDIENCE)
        except KustoError as error:
            raise NotSent(str(error)) from None

    def _send(self, body: bytes, token: str) -> tuple[int, str]:
        exchange = Exchange(time.monotonic() + _WHOLE.total_seconds())
        try:
            with self._route.ask(_prepared(self._url, body, token), exchange, _TIMEOUT) as answer:
                return answer.status, _readable(answer.read(_LONGEST_ANSWER))
        # What can't be a header's text is a ValueError.
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            # The libraries quote what was sent and what came.
            raise NotSent(f"no answer of Event Grid: {type(error).__name__}") from None


def _prepared(url: str, body: bytes, token: str) -> PreparedRequest:
    request = PreparedRequest()
    request.method, request.url, request.body = "POST", url, body
    headers: Any = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/cloudevents-batch+json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Accept": "application/json",
        "User-Agent": "AdxIngestionTracker",
    }
    request.headers = headers
    return request


def _readable(answer: bytes) -> str:
    """What an answer says, on one line, without what may be a secret."""
    text = redact(" ".join(answer.decode(errors="replace").split()))
    return "".join(character for character in text if character.isprintable())[:_LONGEST_REASON]
