"""Requests to the HTTP API by its declarations, without a host."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shared import api
from shared.health import Check, Health
from shared.redrive import Redriven
from shared.settings import Settings, load
from tests.support.facts import CLUSTER, NOW, OPERATION, surroundings
from tests.support.inline_executor import InlineExecutor

SETTINGS = load({"IngestionStorage": "UseDevelopmentStorage=true", "KUSTO_INGEST_URI": CLUSTER})
JSON = {"content-type": "application/json"}


@dataclass
class FoundOperation:
    """A reading that knows one operation."""

    operation: Any = OPERATION

    def find(self, named: Any) -> "FoundOperation":  # noqa: ANN401, as it is called
        self.named = named
        return self


@dataclass
class Recorder:
    """A tracker that keeps what it is asked, and does what the test wants."""

    error: Exception | None = None
    asked: list[tuple[object, ...]] = field(default_factory=list)
    reading: FoundOperation = field(default_factory=FoundOperation)

    def cluster_of(self, content: Mapping[str, Any]) -> Any:  # noqa: ANN401, of JSON
        return content.get("cluster")

    def post_operation(self, *asked: object) -> Any:  # noqa: ANN401, as the reading's
        self._done(asked)
        return self.reading.operation

    def redrive_blobs(self, *asked: object) -> Redriven:
        return self._done(asked)

    def redrive_messages(self, *asked: object) -> Redriven:
        return self._done(asked)

    def _done(self, asked: tuple[object, ...]) -> Redriven:
        self.asked.append(asked)
        if self.error:
            raise self.error
        return Redriven("id-1", 2, 1)


def ask(
    endpoint: api.Endpoint,
    recorder: Any = None,  # noqa: ANN401, what stands for a tracker
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    route: Mapping[str, str] | None = None,
    body: object = b"",
    settings: Settings = SETTINGS,
) -> api.Answer:
    """What an endpoint answers, with a tracker that is a recorder."""
    backend = api.Backend(settings, lambda: recorder, _healthy, lambda: NOW)
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = api.Request(f"https://app/api/x?{query}", {**JSON, **(headers or {})}, route or {}, sent)
    return api.answer(endpoint, backend, request)


def _healthy() -> Health:
    probes = {"storage": {"": lambda: Check("fine")}}
    return Health(probes, {}, surroundings(), InlineExecutor(), timedelta(seconds=1))
