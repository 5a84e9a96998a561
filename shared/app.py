"""The app put together, once an instance: what each function calls."""

import base64
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial

from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from shared import health_probes, library_logs, metrics, queues
from shared.ambient import Ambient
from shared.announce import Announcer, Channel, QueueChannel, TopicChannel
from shared.backlog import Backlog
from shared.blob_access import make_access
from shared.bulk_poll import BulkAsker
from shared.endpoints import Endpoints, doubtful_endpoint, is_loopback
from shared.event_grid import Topic
from shared.fields import Fields, MessageRefused, Object
from shared.health import Health, Probe
from shared.invocation import invocation, told_safely
from shared.kusto.client import KustoClient, Timeouts
from shared.kusto.measured import MeasuredAdx
from shared.kusto.tokens import IdentityTokens, LocalTokens
from shared.messages import (
    Defaults,
    operation_message,
    read_operation,
    read_poll_batch,
    read_retry,
    resolved_cluster,
)
from shared.model import Operation
from shared.ncrontab import longest_gap
from shared.poll import Poller
from shared.progress import Pace
from shared.prune import Pruner
from shared.queues import Queue, as_queue_text
from shared.reading import Reading
from shared.redaction import redacted_line
from shared.redrive import Redriven, Redriver
from shared.redrive_request import read_blobs_request
from shared.reenqueue import Reenqueuer
from shared.register import Registrar
from shared.resubmit import Resubmitter
from shared.retry_decision import Rules
from shared.settings import KustoAuth, RetryMode, Settings, Telemetry
from shared.settle import Settler
from shared.store import TABLES, tables
from shared.store.health_note import HealthNote
from shared.store.listing import Listing
from shared.store.outstanding import OutstandingOperations
from shared.store.redrives import Redrives
from shared.store.results import Results
from shared.store.tables import Table
from shared.telemetry import event

BUDGET = timedelta(seconds=60)
"""An invocation begins with no further operation after this; ``functionTimeout`` in host.json is far above it."""

PRUNE_BUDGET = timedelta(minutes=4)
"""Pruning has no one waiting for it, and an instance of its own; ``functionTimeout`` is five minutes."""

_STORAGE_THREADS = 16

_HEALTH_THREADS = 32
_IMPATIENT_TIMEOUTS = Timeouts(connect=3, read=4, whole=6)


class UnknownQueue(Exception):
    """It is none of the app's queues; the text says which those are."""


class Tracker:
    """What the functions call; each takes a message's body as it came, and the message's ID to be told by."""

    def __init__(self, settings: Settings, ambient: Ambient, *, creates: bool = True) -> None:
        credential = None if settings.storage.connection_string else _credential(settings.storage.client_id)
        table_service = tables.connect(settings.storage, credential)
        queue_service = queues.connect(settings.storage, credential)
        operations, blobs, outstanding_table, redrives_table = (
            Table(table_service.get_table_client(name)) for name in TABLES
        )
        self._queues = {
            name: Queue(queue_service.get_queue_client(name))
            for name in (settings.operations_queue, settings.retry_queue, settings.poll_queue)
        }
        _, retries, batches = self._queues.values()
        if creates:
            # The host's triggers wait for their queues and don't create them.
            for table in (operations, blobs, outstanding_table, redrives_table):
                table.create()
            for queue in self._queues.values():
                queue.create()
        self._poison = {name: Queue(queue_service.get_queue_client(f"{name}-poison")) for name in self._queues}
        self._settings = settings
        endpoints = Endpoints(settings.ingest_uri, settings.allowed_ingest_uris)
        self._defaults = Defaults(endpoints, settings.database, settings.table)
        results = Results(operations, blobs)
        storage_threads = ThreadPoolExecutor(_STORAGE_THREADS, "storage")
        outstanding = OutstandingOperations(outstanding_table, self._defaults, storage_threads)
        outstanding.check_layout()
        adx = MeasuredAdx(
            KustoClient(_tokens(settings), endpoints, concurrency=settings.polling.concurrency, ambient=ambient)
        )
        news_queue = Queue(queue_service.get_queue_client(settings.news.queue)) if settings.news.queue else None
        if news_queue and creates:
            news_queue.create()
        announcer = Announcer(
            results, _channels(settings, news_queue), ambient.now, storage_threads, threads=_STORAGE_THREADS
        )
        settler = Settler(outstanding, results, retries, settings.retrying, ambient, announcer=announcer)
        self.reading = Reading(Listing(outstanding_table, storage_threads), results, self._defaults, storage_threads)
        self._registrar = Registrar(outstanding, results, settings.polling, ambient)
        pace, poll_threads = Pace(settings.polling, ambient), ThreadPoolExecutor(settings.polling.concurrency, "poll")
        self._poller = Poller(
            outstanding,
            adx,
            settler,
            batches,
            pace,
            executor=poll_threads,
            budget=BUDGET,
            bulk=BulkAsker(adx, pace, poll_threads) if settings.polling.bulk_status else None,
        )
        self._resubmitter = Resubmitter(
            adx,
            results,
            settler,
            self._registrar,
            retries,
            make_access(settings.retrying.blob_access, lambda: _credential(settings.client_id), ambient.now),
            Rules(settings.retrying, settings.polling),
            ambient,
        )
        poison = {f"{name}-poison": queue for name, queue in self._poison.items()}
        self._backlog = Backlog(outstanding, self._queues | poison, ambient)
        redrives = Redrives(redrives_table)
        self._pruner = Pruner(
            results,
            outstanding.list_rows,
            redrives,
            settings.retention,
            PRUNE_BUDGET,
            ambient,
            executor=storage_threads,
            untold=outstanding.untold if settings.news.queue or settings.news.topic else frozenset,
        )
        self._redriver = Redriver(
            results,
            outstanding.list_rows,
            redrives,
            Reenqueuer(results, retries, settings.retrying),
            ambient,
            needs_format=settings.retrying.mode is RetryMode.RESUBMIT,
        )

    def register_operation(self, body: bytes, message_id: str | None) -> None:
        """Begin to watch an operation."""
        message = _Message(self._settings.operations_queue, body, message_id)
        with invocation("register_operation"):
            self._handle(message, lambda: read_operation(body, self._defaults), self._registrar.register)

    def poll_operations(self) -> None:
        """Poll what is due."""
        with invocation("poll_operations"):
            self._poller.tick()

    def poll_batch(self, body: bytes, message_id: str | None) -> None:
        """Poll one batch of what is due."""
        message = _Message(self._settings.poll_queue, body, message_id)
        with invocation("poll_batch"):
            self._handle(message, lambda: read_poll_batch(body), self._poller.batch)

    def resubmit_blobs(self, body: bytes, message_id: str | None) -> None:
        """Try the blobs of a retry message again."""
        message = _Message(self._settings.retry_queue, body, message_id)
        with invocation("resubmit_blobs"):
            self._handle(message, lambda: read_retry(body, self._defaults), self._resubmitter.handle)

    def prune_results(self) -> None:
        """Remove results past retention."""
        with invocation("prune_results"):
            self._pruner.prune()

    def measure_backlog(self) -> None:
        """Record how much is waiting."""
        with invocation("measure_backlog"):
            self._backlog.measure()

    def post_operation(self, content: Object, body: bytes, by: str) -> Operation:
        """Put an operation's message on the operations queue, if it is one that registration takes.

        Args:
            content: The message.
            body: The same as it was written, UTF-8.
            by: What proves who asks, "" if nothing does.

        Raises:
            MessageRefused: registration would refuse it.
            StorageFailed: it may or may not be on the queue; a second one changes nothing.
        """
        operation = operation_message(Fields(content), self._defaults).operation
        with told_safely():
            self._queues[self._settings.operations_queue].send(as_queue_text(body))
        event("operation.posted", "its message is on the queue", about=operation, by=by or None)
        return operation

    def cluster_of(self, content: Object) -> str | None:
        """The cluster that an object names, None if it names none.

        Raises:
            MessageRefused: it is not allowed.
        """
        offered = Fields(content).string("cluster")
        return resolved_cluster(offered, self._defaults.endpoints) if offered else None

    def redrive_blobs(self, operation_id: str, content: Object, by: str) -> Redriven:
        """Have an operation's given-up blobs tried again, because a person says so.

        Raises:
            MessageRefused: the content can't be understood.
            RedriveRefused: as ``shared.redrive`` lists.
            StorageFailed: it is not done, or not all; the same act again completes it.
        """
        with told_safely():
            return self._redriver.redrive_blobs(read_blobs_request(operation_id, content, by, self._defaults))

    def redrive_messages(self, queue: str, by: str, most: int | None) -> Redriven:
        """Have the messages of a queue's poison queue handled again, because a person says so.

        Raises:
            UnknownQueue: it is none of the app's.
            StorageFailed: it is not done, or not all; the same act again completes it.
        """
        if queue not in self._queues:
            raise UnknownQueue(f"the queues are {', '.join(self._queues)}; theirs are the poison queues")
        with told_safely():
            return self._redriver.redrive_messages(queue, self._poison[queue], self._queues[queue], by, most)

    def _handle[M](self, message: "_Message", read: Callable[[], M], handle: Callable[[M], object]) -> None:
        """Handle a message; one that can't be understood is kept in the poison queue as it came."""
        try:
            content = read()
        except MessageRefused as refusal:
            self._poison[message.queue].send(_as_text(message.body))
            metrics.record(metrics.MESSAGES_REFUSED, queue=message.queue)
            event(
                "message.refused",
                f"{refusal}; it is kept in {message.queue}-poison",
                level=logging.ERROR,
                queue=message.queue,
                message_id=message.message_id,
                bytes=len(message.body),
            )
            return
        handle(content)


@dataclass(frozen=True, slots=True)
class _Message:
    """A message as it came: which queue's, its body, and the ID that the queue gave it."""

    queue: str
    body: bytes = field(repr=False)
    message_id: str | None


@cache
def _send(telemetry: Telemetry) -> None:
    """Begin to send telemetry, once: a start that storage fails is tried again, by each invocation."""
    try:
        # Importing it takes a second, which nobody is to wait for who sends nothing.
        from shared.telemetry_export import start  # noqa: PLC0415

        start(telemetry)
    except Exception as error:  # noqa: BLE001, whatever it is: being told is no condition for the work itself
        event(
            "telemetry.failed",
            f"nothing is sent to Application Insights: {type(error).__name__}",
            level=logging.ERROR,
            error=redacted_line(error),
        )


@cache
def _build(settings: Settings) -> Tracker:
    library_logs.tame()
    if settings.telemetry.connection_string:
        _send(settings.telemetry)
    for uri in sorted({settings.ingest_uri, *settings.allowed_ingest_uris}):
        doubt = doubtful_endpoint(uri)
        if doubt:
            event("settings.doubtful_endpoint", f"{uri} {doubt}", level=logging.WARNING)
    return Tracker(settings, Ambient())


_building = threading.Lock()


def tracker(settings: Settings) -> Tracker:
    """The app of this instance, built at the first call: indexing the functions must not wait for storage."""
    with invocation("start"), _building:
        return _build(settings)


def tracker_on_what_is_there(settings: Settings) -> Tracker:
    """The app on tables and queues that are there; it makes none, as their lack says that the settings are wrong.

    Raises:
        StorageFailed: they are not there, or can't be reached.
    """
    library_logs.tame()
    with told_safely():
        return Tracker(settings, Ambient(), creates=False)


@cache
def health(settings: Settings) -> Health:
    """What tries whether the app can do its work, with connections of its own that soon give up."""
    library_logs.tame()
    ambient = Ambient()
    storage = settings.storage
    credential = None if storage.connection_string else _credential(storage.client_id)
    table_service = tables.connect(storage, credential, tables.IMPATIENT)
    queue_service = queues.connect(storage, credential, tables.IMPATIENT)
    stored = {name: Table(table_service.get_table_client(name)) for name in TABLES}
    outstanding = stored["OutstandingOperations"]
    threads = ThreadPoolExecutor(_HEALTH_THREADS, "health")
    endpoints = Endpoints(settings.ingest_uri, settings.allowed_ingest_uris)
    tokens = _tokens(settings)
    adx = KustoClient(tokens, endpoints, concurrency=_HEALTH_THREADS, ambient=ambient, timeouts=_IMPATIENT_TIMEOUTS)
    clusters = sorted({settings.ingest_uri, *settings.allowed_ingest_uris})
    # A table that all clusters have can't be told; the default one is of the default cluster.
    places = {
        each: (settings.database, settings.table) if each == settings.ingest_uri else ("", "") for each in clusters
    }
    note, listing = HealthNote(outstanding), Listing(outstanding, threads)
    gap, now = longest_gap(settings.polling.schedule), ambient.now
    queue_names = (settings.operations_queue, settings.retry_queue, settings.poll_queue)
    probes: dict[str, Mapping[str, Probe]] = {
        "storage": {"tables": partial(health_probes.can_write, note, now)}
        | {name: partial(health_probes.is_there, table) for name, table in stored.items() if table is not outstanding},
        "queues": {
            name: partial(health_probes.queue_is_there, Queue(queue_service.get_queue_client(name)))
            for name in queue_names
        },
        "token": health_probes.by_name({each: partial(health_probes.token, tokens, each) for each in clusters}),
        "adx": health_probes.by_name(
            {each: partial(health_probes.answers, adx, each, *place) for each, place in places.items()}
        ),
        "poller": {"": partial(health_probes.poller, listing.notes, note, gap, now)},
        "backlog": {"": partial(health_probes.backlog, listing.notes, note, settings.polling.tracking_timeout, now)},
    }
    return Health(probes, health_probes.FACTS, ambient, threads)


def _credential(client_id: str) -> TokenCredential:
    """The named identity in Azure; else whatever the machine has: its identity, or a developer's login."""
    return ManagedIdentityCredential(client_id=client_id) if client_id else DefaultAzureCredential()


def _tokens(settings: Settings) -> LocalTokens | IdentityTokens:
    if settings.auth is KustoAuth.NONE:
        return LocalTokens()
    return IdentityTokens(lambda: _credential(settings.client_id))


def _channels(settings: Settings, queue: Queue | None) -> list[Channel]:
    """By what ends are told."""
    channels: list[Channel] = [QueueChannel(queue)] if queue else []
    if topic := settings.news.topic:
        tokens = LocalTokens() if is_loopback(topic) else IdentityTokens(lambda: _credential(settings.client_id))
        channels.append(TopicChannel(Topic(topic, tokens)))
    return channels


def _as_text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()
