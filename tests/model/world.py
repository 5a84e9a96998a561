"""The outside world around the app: storage in memory, a model of ADX, the host, and a clock that is moved by hand."""

import base64
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import get_ident
from types import SimpleNamespace
from typing import Any, override
from unittest.mock import patch

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.queue import QueueMessage

from shared.ambient import Ambient
from shared.app import Tracker
from shared.bulk_poll import BulkAsker
from shared.event_grid import NotSent
from shared.model import Operation
from shared.settings import load
from tests.model.adx import Accepted, AdxOperation, ModelAdx, Told
from tests.support.inline_executor import InlineExecutor
from tests.support.interference import Crash, Harm, Interfered, Interference
from tests.support.memory_queue import MemoryQueue, StoredMessage
from tests.support.memory_table import MemoryTable
from tests.support.turns import Turns

CLUSTER = "https://ingest-model.westeurope.kusto.windows.net"
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
OPERATIONS, RETRIES, POLLS = "ingestion-operations", "ingestion-retries", "ingestion-polls"
RESULTS, TOPIC = "ingestion-results", "topic.publish"
MAX_ATTEMPTS = 3
BASE_DELAY, MAX_DELAY = timedelta(seconds=60), timedelta(seconds=100)
TRACKING = timedelta(hours=3)
GRACE = timedelta(minutes=15)

# As the host and host.json have them.
_HIDDEN_WHILE_HANDLED = 600
_HIDDEN_AFTER_FAILURE = 60
_MOST_DEQUEUES = 20
_UNHARMED_FROM = 12
"""A message that was taken out so often is left in peace: the host's limit is not what this is about."""

ENVIRONMENT = {
    "IngestionStorage": "UseDevelopmentStorage=true",
    "KUSTO_INGEST_URI": CLUSTER,
    "KUSTO_DATABASE": "db",
    "KUSTO_TABLE": "events",
    "RESULTS_QUEUE": RESULTS,
    "EVENTGRID_TOPIC_ENDPOINT": "http://127.0.0.1:9/api/events",
    "POLL_INLINE_LIMIT": "2",
    "POLL_CONCURRENCY": "4",
    "POLL_MAX_INTERVAL_SECONDS": "120",
    "TRACKING_TIMEOUT_HOURS": str(TRACKING // timedelta(hours=1)),
    "NOT_FOUND_GRACE_MINUTES": str(GRACE // timedelta(minutes=1)),
    "RETRY_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
    "RETRY_BASE_DELAY_SECONDS": str(BASE_DELAY // timedelta(seconds=1)),
    "RETRY_MAX_DELAY_SECONDS": str(MAX_DELAY // timedelta(seconds=1)),
}


type Troubles = Mapping[tuple[str, int], Harm]


type News = Mapping[str, Any]


@dataclass
class Invocation:
    """One run of a function.

    Attributes:
        troubles: The harm to its calls, by the call's name and number; without a name, of all calls.
        latency: How long each of its calls takes.
        is_immune: Nothing is to go wrong.
        was_harmed: Something went wrong.
    """

    kind: str
    troubles: Troubles = field(default_factory=dict)
    latency: timedelta = timedelta()
    is_immune: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    was_harmed: bool = False
    told: list[Told] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)


@dataclass(frozen=True)
class Sent:
    """A message as it was put on a queue."""

    content: str
    delay: timedelta
    at: datetime


class WatchedQueue(MemoryQueue):
    """Keeps what was ever sent."""

    def __init__(self, now: Callable[[], datetime], pick: Callable[[int], int], sent: list[Sent]) -> None:
        super().__init__(now, pick)
        self._clock = now
        self._sent = sent

    @override
    def send_message(
        self, content: str, *, visibility_timeout: int = 0, time_to_live: int | None = None
    ) -> QueueMessage:
        message = super().send_message(content, visibility_timeout=visibility_timeout, time_to_live=time_to_live)
        self._sent.append(Sent(content, timedelta(seconds=visibility_timeout), self._clock()))
        return message


class ModelTopic:
    """A topic of Event Grid, whose events are kept."""

    def __init__(self, interference: Interference, taken: list[News]) -> None:
        self._interference = interference
        self._taken = taken

    def publish(self, batch: str) -> None:
        """Take all events of the batch; an error of the interference is one of the way there."""
        events = [event["data"] for event in json.loads(batch)]
        try:
            self._interference.call(TOPIC, lambda: self._taken.extend(events))
        except AzureError as error:
            raise NotSent(str(error)) from error


class Failures(logging.Handler):
    """What the app logged as an error of a poll."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", "") in ("poll.failed", "poll.not_storable"):
            self.seen.append(record.getMessage())


@dataclass
class Ledger:
    """What happened, as the outside world knows it.

    Attributes:
        registered: Operations whose message the app has accepted.
        told: Whatever a detailed answer said that reached the app, of an operation's blob.
        owed: What a poll was told that nothing went wrong with: it is written down from then on.
        retries: All retry messages that were ever sent, as they were sent.
        accepted: All resubmissions that ADX accepted.
        unwritten: Those of them that a crash or a lost answer kept the app from writing down.
        junk: What was posted and can't be understood, and was handled.
        failures: Polls that failed although nothing had gone wrong.
    """

    registered: set[str] = field(default_factory=set)
    told: dict[tuple[str, str], list[Told]] = field(default_factory=dict)
    owed: set[tuple[str, str]] = field(default_factory=set)
    retries: list[Sent] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    unwritten: list[Accepted] = field(default_factory=list)
    junk: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class World:
    """Everything but the app, and two instances of the app in it."""

    def __init__(self, *, deduplicate: bool, bulk_status: bool = False) -> None:
        self.deduplicate = deduplicate
        self.now = START
        self.ledger = Ledger()
        self.results: list[Sent] = []
        self.events: list[News] = []
        self.pick = 0
        self.random = 0.5
        self.storage_fails = False
        self.began = START
        self.without_properties: set[str] = set()
        self.without_urls: set[str] = set()
        self.junk: set[str] = set()
        self._by_key: dict[str, AdxOperation] = {}
        self._ids = 0
        self._turns = Turns()
        self._running: dict[int, Invocation] = {}
        self._log = Failures()
        self.interference = Interference()
        self.interference.turn = self._turn
        self.interference.harm_to = self._harm_to
        self.adx = ModelAdx(lambda: self.now, self.interference, told=self._told, accepted=self._accepted)
        self.tables: dict[str, MemoryTable] = {}
        self.queues: dict[str, WatchedQueue] = {}
        self._patches = ExitStack()
        self._patches.enter_context(patch("shared.poll.time", SimpleNamespace(monotonic=self._seconds)))
        self._settings = load(
            {
                **ENVIRONMENT,
                "RETRY_DEDUPLICATE": str(deduplicate).lower(),
                "KUSTO_BULK_STATUS": str(bulk_status).lower(),
            }
        )
        for name in (OPERATIONS, RETRIES, POLLS):
            self.queue(f"{name}-poison").create_queue()
        self.instances = [self._start(), self._start()]
        logger = logging.getLogger("tracker")
        logger.addHandler(self._log)
        self._patches.callback(logger.removeHandler, self._log)
        self._patches.enter_context(patch.object(logger, "propagate", new=False))

    def close(self) -> None:
        """Put back what was replaced."""
        self._patches.close()

    def queue(self, name: str) -> WatchedQueue:
        """A queue of the account."""
        if name not in self.queues:
            kept = {RETRIES: self.ledger.retries, RESULTS: self.results}.get(name, [])
            self.queues[name] = WatchedQueue(lambda: self.now, lambda count: self.pick % count, kept)
        return self.queues[name]

    def table(self, name: str) -> MemoryTable:
        """A table of the account. Its pages are small, so that others write between two of them."""
        return self.tables.setdefault(name, MemoryTable(page=2))

    def operation(self, operation_id: str) -> Operation:
        """An operation as the app names it."""
        return Operation(CLUSTER, "db", "events", operation_id)

    def by_key(self, key: str) -> AdxOperation:
        """ADX's operation with this operation key."""
        if key not in self._by_key:
            self._by_key = {self.operation(each.id).key: each for each in self.adx.operations.values()}
        return self._by_key[key]

    def news(self) -> dict[str, list[News]]:
        """By channel, all news that ever went out, as it went out."""
        return {"queue": [json.loads(sent.content) for sent in self.results], "topic": self.events}

    def messages(self, name: str) -> list[StoredMessage]:
        """All of a queue's messages, hidden ones too."""
        return self.queue(name).messages()

    def later(self, time: timedelta) -> None:
        """Let time pass, and ADX mend what it mends by itself."""
        self.now += time
        self.adx.advance()

    def run(self, bodies: Sequence[tuple[Invocation, Callable[[], None]]], stretches: Sequence[int] = ()) -> None:
        """Run invocations, several at once if there are several."""
        if len(bodies) == 1:
            self._run_one(*bodies[0])
            return
        self._turns.run([lambda each=each: self._run_one(*each) for each in bodies], stretches)  # type: ignore[misc]

    def tick(self, invocation: Invocation, instance: int) -> None:
        """The timer's function."""
        self._invoke(invocation, instance, lambda tracker: tracker.poll_operations())

    def deliver(self, name: str, invocation: Invocation, instance: int, *, is_kept: bool = False) -> None:
        """Take a message from a queue to its function, as the host does.

        Args:
            name: The queue.
            invocation: What is to happen to it.
            instance: Which instance takes it.
            is_kept: The host dies after the function has succeeded, and before the message is deleted.
        """
        queue = self.queue(name)
        message = queue.receive_message(visibility_timeout=_HIDDEN_WHILE_HANDLED)
        if message is None:
            return
        count = message.dequeue_count or 0
        assert count <= _MOST_DEQUEUES, f"{name}: the host gives up on {message.content}"
        invocation.is_immune |= count >= _UNHARMED_FROM
        has_died, has_failed = False, False
        try:
            has_failed = not self._invoke(invocation, instance, lambda tracker: _handle(tracker, name, message))
        except Crash:
            has_died = True
        if has_died or (is_kept and count < _UNHARMED_FROM):
            return
        try:
            if has_failed:
                queue.update_message(message, visibility_timeout=_HIDDEN_AFTER_FAILURE)
            else:
                queue.delete_message(message)
        except HttpResponseError:
            # Somebody else has taken it out meanwhile: it is theirs.
            pass
        if not has_failed:
            self._handled(name, message.content)

    def wait_for(self, name: str) -> None:
        """Let time pass until a message of the queue is visible."""
        times = [message.visible_on for message in self.messages(name)]
        if times and min(times) > self.now:
            self.later(min(times) - self.now)

    def reveal(self, name: str) -> None:
        """Let the host lose its hold of the messages that it is handling: they are visible again."""
        for message in self.messages(name):
            if message.dequeue_count:
                message.visible_on = min(message.visible_on, self.now)

    def _start(self) -> Tracker:
        """An instance of the app, on this world's storage and ADX instead of those that the settings name."""
        tables = SimpleNamespace(get_table_client=lambda name: self._interfered(self.table(name), name))
        queues = SimpleNamespace(get_queue_client=lambda name: self._interfered(self.queue(name), name))
        with (
            patch("shared.store.tables.connect", return_value=tables),
            patch("shared.queues.connect", return_value=queues),
            patch("shared.app.KustoClient", return_value=self.adx),
            patch("shared.app.Topic", return_value=ModelTopic(self.interference, self.events)),
            patch("shared.app.ThreadPoolExecutor", InlineExecutor),
            # There are few operations here.
            patch("shared.app.BulkAsker", partial(BulkAsker, least=1)),
        ):
            return Tracker(self._settings, Ambient(lambda: self.now, lambda: self.random, self._new_id))

    def _interfered(self, client: object, name: str) -> Interfered:
        return Interfered(client, name, self.interference)

    def _seconds(self) -> float:
        return (self.now - START).total_seconds()

    def _new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def _run_one(self, invocation: Invocation, body: Callable[[], None]) -> None:
        self._running[get_ident()] = invocation
        try:
            body()
        except Crash:
            pass
        finally:
            del self._running[get_ident()]

    def _invoke(self, invocation: Invocation, instance: int, function: Callable[[Tracker], None]) -> bool:
        """Call a function of the app. False if it failed.

        Raises:
            Crash: the process died.
        """
        seen = len(self._log.seen)
        try:
            function(self.instances[instance])
        except Crash:
            invocation.is_immune = True
            self.instances[instance] = self._start()
            raise
        except Exception as error:
            if not invocation.was_harmed:
                raise AssertionError(f"{invocation.kind} failed by itself: {error!r}") from error
            return False
        else:
            if not invocation.was_harmed and not any(each.was_harmed for each in self._running.values()):
                self.ledger.failures += self._log.seen[seen:]
            return True
        finally:
            self._close_the_books(invocation)

    def _close_the_books(self, invocation: Invocation) -> None:
        if invocation.kind != RETRIES and not invocation.was_harmed:
            self.ledger.owed |= {(told.operation_id, told.blob) for told in invocation.told}
        written = {row.get("RetryOperationId") for row in self.table("IngestionBlobs").rows()}
        for each in invocation.accepted:
            if each.operation_id in written:
                continue
            assert invocation.was_harmed, f"{each} was not written down, and nothing had gone wrong"
            self.ledger.unwritten.append(each)
        invocation.accepted.clear()

    def _handled(self, name: str, content: str) -> None:
        if name == OPERATIONS:
            if content in self.junk:
                self.ledger.junk[content] += 1
            else:
                self.ledger.registered.add(operation_id_of(content))

    def _turn(self) -> None:
        self._turns.pause()
        invocation = self._running.get(get_ident())
        if invocation is not None:
            self.now += invocation.latency

    def _harm_to(self, name: str) -> Harm | None:
        invocation = self._running.get(get_ident())
        if invocation is None or invocation.is_immune:
            return None
        harm = next(
            (
                invocation.troubles[each, number]
                for each in ("", name)
                if (each, number := invocation.calls[each]) in invocation.troubles
            ),
            None,
        )
        invocation.calls.update(["", name])
        if harm is None and self.storage_fails and not name.startswith("adx."):
            harm = Harm.FAILS
        if harm is None and name.startswith("adx.") and (self.adx.outage or self.adx.refuses):
            invocation.was_harmed = True
        if harm is not None:
            invocation.was_harmed = True
        return harm

    def _told(self, said: Sequence[Told]) -> None:
        for each in said:
            self.ledger.told.setdefault((each.operation_id, each.blob), []).append(each)
        self._running[get_ident()].told.extend(said)

    def _accepted(self, accepted: Accepted) -> None:
        self.ledger.accepted.append(accepted)
        self._running[get_ident()].accepted.append(accepted)


def _handle(tracker: Tracker, name: str, message: QueueMessage) -> None:
    function = {
        OPERATIONS: tracker.register_operation,
        RETRIES: tracker.resubmit_blobs,
        POLLS: tracker.poll_batch,
    }[name]
    function(str(message.content).encode(), message.id)


def operation_id_of(content: str) -> str:
    """The operation that a message on the first queue is about."""
    text = content if content.startswith(("{", "op-")) else base64.b64decode(content).decode()
    return str(json.loads(text)["operationId"]) if text.startswith("{") else text
