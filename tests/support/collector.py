"""A stand-in for the service that takes Application Insights' telemetry: it takes all of it, on loopback.

The exporter posts to `/v2.1/track` of the `IngestionEndpoint` in its connection string. The real service also refuses
what is too large, too old or too much, and asks for a token where local authentication is off; this one does not.
"""

import gzip
import json
import os
import uuid
from typing import Any, override

from tests.support.http_server import Received, Reply, ScriptedServer

# Of the platform or of a developer, they would change what is sent, and where to.
_OF_TELEMETRY = ("APPLICATIONINSIGHTS_", "OTEL_")

PATHS = frozenset({"/v2/track", "/v2.1/track"})
type Envelope = dict[str, Any]


def plain_environment() -> dict[str, str]:
    """The environment for a process that sends to a collector, without what the exporters would read of it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OF_TELEMETRY)}


class Collector(ScriptedServer):
    """Keeps the envelopes that it is sent; anything else is answered with 404."""

    def __init__(self) -> None:
        super().__init__()
        self._envelopes: list[Envelope] = []
        # Its own: what could not be sent is kept on disk for the next sender of the same key.
        self.instrumentation_key = str(uuid.uuid4())

    @property
    def connection_string(self) -> str:
        """What `APPLICATIONINSIGHTS_CONNECTION_STRING` has to be to send it telemetry."""
        return f"InstrumentationKey={self.instrumentation_key};IngestionEndpoint={self.origin}/"

    def take(self) -> list[Envelope]:
        """The envelopes that have come since the last time."""
        taken, self._envelopes = self._envelopes, []
        return taken

    @override
    def next_reply(self, request: Received) -> Reply:
        self.received.append(request)
        if request.method != "POST" or request.path not in PATHS:
            return Reply(404)
        body = request.body
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        came = _envelopes(body.decode())
        self._envelopes += came
        answer = {"itemsReceived": len(came), "itemsAccepted": len(came), "errors": []}
        return Reply(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})


def _envelopes(text: str) -> list[Envelope]:
    """An array, or an envelope a line."""
    if text.lstrip().startswith("["):
        array: list[Envelope] = json.loads(text)
        return array
    return [json.loads(line) for line in text.splitlines() if line.strip()]
