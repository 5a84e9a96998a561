"""Damaged answers and messages through the app's real parts: what is written, what stays due, what is kept."""

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, override
from urllib.parse import unquote

import pytest
from azure.storage.queue import QueueServiceClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from local.azurite import Azurite
from shared.ambient import Ambient
from shared.app import Tracker
from shared.endpoints import Endpoints
from shared.fields import MessageRefused
from shared.kusto.answers import NoStatus, read_status
from shared.kusto.client import KustoClient
from shared.kusto.tokens import LocalTokens
from shared.messages import Defaults, OperationMessage, read_operation, read_retry
from shared.model import Operation, OperationState, RetryState
from shared.poll import Poller
from shared.progress import Pace
from shared.queues import Queue
from shared.settings import load
from tests.support.damage import damaged
from tests.support.facts import POLLING
from tests.support.good import FINISHED, GOOD_OPERATION, GOOD_STATUS
from tests.support.http_server import Received, Reply, ScriptedServer
from tests.support.look_alikes import LOOK_ALIKES
from tests.support.parts import Parts

PACE = {
    "derandomize": "CI" in os.environ,
    "deadline": None,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
}


class PlantedServer(ScriptedServer):
    """Answers for each operation with the body that was planted for it, whether details are asked for or not."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: dict[str, bytes] = {}

    @override
    def next_reply(self, request: Received) -> Reply:
        self.received.append(request)
        return Reply(body=self.bodies[unquote(request.path.partition("?")[0].rpartition("/")[2])])


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.events: Counter[str] = Counter()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.events[getattr(record, "event", "none")] += 1
        record.getMessage()


@contextmanager
def heard() -> Iterator[Counter[str]]:
    """Counts the events that are logged."""
    logger, handler = logging.getLogger("tracker"), _Heard()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.events
    logger.setLevel(before)
    logger.removeHandler(handler)


@pytest.fixture
def adx() -> Iterator[PlantedServer]:
    with PlantedServer() as running:
        yield running


def poller(parts: Parts, origin: str) -> Poller:
    """A poller that asks a server over the wire."""
    ambient = Ambient(now=lambda: parts.now, random=lambda: 0.5, new_id=lambda: "id")
    client = KustoClient(LocalTokens(), Endpoints(origin), concurrency=4, ambient=ambient)
    return Poller(
        parts.outstanding,
        client,
        parts.settler,
        Queue(parts.batch_client),
        Pace(POLLING, ambient),
        executor=parts.poll_threads,
        budget=timedelta(seconds=60),
    )


def reported(body: bytes) -> int | None:
    """How many blobs an answer shows, None if it is none."""
    try:
        return len(read_status(body).blobs or ())
    except NoStatus:
        return None


@settings(max_examples=3, **PACE)  # type: ignore[arg-type]  # by their names
@given(st.lists(damaged(GOOD_STATUS) | damaged(FINISHED), min_size=30, max_size=30))
def test_whatever_adx_answers_is_written_down_and_every_operation_ends(
    parts: Parts, adx: PlantedServer, bodies: list[bytes]
) -> None:
    begun = len(adx.bodies)
    operations = {
        Operation(adx.origin, "db", "events", f"op{begun + place}"): body for place, body in enumerate(bodies)
    }
    adx.bodies |= {operation.operation_id: body for operation, body in operations.items()}
    with heard() as events:
        for operation in operations:
            parts.registrar.register(OperationMessage(operation, properties={"format": "csv"}))
        polling = poller(parts, adx.origin)
        parts.later(minutes=10)
        polling.tick()
        ended = events["operation.settled"]
        due = parts.outstanding.due(parts.now + timedelta(hours=1), len(operations)).operations
        assert ended + len(due) == len(operations)
        parts.later(hours=48)
        for _ in range(3):
            polling.tick()
            parts.later(minutes=15)
    assert events["poll.failed"] == events["poll.not_storable"] == events["polls.overran"] == 0
    assert events["operation.settled"] == len(operations)
    assert parts.outstanding.due(parts.now + timedelta(days=1), 1).operations == []
    pending = 0
    for operation, body in operations.items():
        assert parts.row(operation).state is not OperationState.IN_PROGRESS
        rows = parts.blobs(operation)
        assert len(rows) == (reported(body) or 0)
        assert {row.retry_state for row in rows if row.report.is_transient} <= {RetryState.ENQUEUED}
        pending += sum(row.report.is_transient for row in rows)
    defaults = Defaults(Endpoints(adx.origin))
    sent = [read_retry(str(text.content).encode(), defaults) for text in taken(parts.retry_client)]
    assert sum(len(message.blobs) for message in sent) == pending


def taken(client: Any) -> Iterator[Any]:  # noqa: ANN401, of the SDK
    """All messages of a queue, each taken off it."""
    for message in client.receive_messages(messages_per_page=32):
        client.delete_message(message)
        yield message


@contextmanager
def made_tracker(storage: Azurite, mark: str, origin: str) -> Iterator[tuple[Tracker, Any]]:
    """The app, and its queue of messages that it refused."""
    environment = {
        "IngestionStorage": storage.connection_string,
        "KUSTO_INGEST_URI": origin,
        "KUSTO_AUTH": "none",
        "OPERATIONS_QUEUE": f"operations-{mark}",
        "RETRY_QUEUE": f"retries-{mark}",
        "POLL_QUEUE": f"polls-{mark}",
    }
    tracker = Tracker(load(environment), Ambient())
    with QueueServiceClient.from_connection_string(storage.connection_string) as queues:
        poison = queues.get_queue_client(f"operations-{mark}-poison")
        poison.create_queue()
        yield tracker, poison


def is_carried(body: bytes) -> bool:
    """Whether a queue can hold the body: its messages are texts in XML, of 64 KiB at the most."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return 0 < len(body) <= 64 * 1024 and all(
        each in "\t\n" or " " <= each <= "\ud7ff" or "\ue000" <= each <= "\ufffd" or each > "\uffff" for each in text
    )


@settings(max_examples=3, **PACE)  # type: ignore[arg-type]  # by their names
@given(st.lists(damaged(GOOD_OPERATION | {"cluster": None}).filter(is_carried), min_size=40, max_size=40))
def test_whatever_comes_is_registered_or_kept_as_it_came(storage: Azurite, bodies: list[bytes]) -> None:
    mark = f"fuzz{next(_marks)}"
    origin = f"http://127.0.0.1:{1000 + int(mark[4:])}"
    refused: Counter[str] = Counter()
    with made_tracker(storage, mark, origin) as (tracker, poison), heard() as events:
        known = set()
        for body in bodies:
            tracker.register_operation(body, "message-id")
            try:
                known.add(read_operation(body, Defaults(Endpoints(origin))).operation)
            except MessageRefused:
                refused[body.decode()] += 1
        assert events["operation.registered"] == len(known)
        assert events["message.refused"] == refused.total()
        assert Counter(str(message.content) for message in taken(poison)) == refused


_marks = iter(range(10_000))


def test_a_message_for_what_looks_like_an_endpoint_is_kept_and_nobody_is_asked(storage: Azurite) -> None:
    with ScriptedServer() as own, ScriptedServer() as other:
        host = other.origin.removeprefix("http://")
        offered = [
            *(text for text in LOOK_ALIKES if len(text) < 1_000),
            *(f"{own.origin}{joint}{host}" for joint in ("@", "\\@", "#@", "?@", "/", "//", ",", " ", ".")),
            other.origin,
            f"http://user:word@{host}",
        ]
        bodies = [json.dumps(GOOD_OPERATION | {"cluster": text}) for text in offered]
        with made_tracker(storage, f"fuzz{next(_marks)}", own.origin) as (tracker, poison):
            for body in bodies:
                tracker.register_operation(body.encode(), None)
            tracker.poll_operations()
            assert sorted(str(message.content) for message in taken(poison)) == sorted(bodies)
        assert own.received == other.received == []
