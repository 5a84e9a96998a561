"""Operations of one kind, watched by the app and by the naive peer through the counting proxy, on a clock of their own.

An operation is registered half-way between two ticks, without jitter, all of a crowd at the same time, so that they are
due together. The simulator says of each that its blobs are in progress, until the time comes when it says their end.
"""

import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import requests
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient

from benchmarks.naive_peer import BLOBS, OPERATIONS, NaivePeer
from benchmarks.wire import Tally, Wire
from local.adx_simulator import AdxSimulator, Answer
from local.azurite import Azurite
from shared import settings
from shared.ambient import Ambient
from shared.app import Tracker

TICK = timedelta(seconds=15)
"""As ``POLL_SCHEDULE`` has it."""
DATABASE, TABLE = "Sales", "Orders"

_START = datetime(2027, 1, 1, tzinfo=UTC)
_MESSAGES = 16
"""``batchSize`` in host.json: what the host takes from a queue at a time."""
_AT_ONCE = 8
_TABLES = ("IngestionOperations", "IngestionBlobs", "OutstandingOperations", "IngestionRedrives")


@dataclass(frozen=True, slots=True)
class Life:
    """What a crowd's life took, at the wire.

    Attributes:
        operations: How many there were.
        message: Taking the registration messages off their queue.
        registration: Registering.
        polls: One tally a tick that polled them and found them running.
        idle: One a tick at which none of them was due.
        end: The tick that found them ended.
    """

    operations: int
    message: Tally
    registration: Tally
    polls: Sequence[Tally]
    idle: Sequence[Tally]
    end: Tally


@dataclass
class Stage:
    """Azurite and the simulator behind the proxy, and the app on a clock that is put forward by hand."""

    azurite: Azurite
    adx: AdxSimulator
    wire: Wire
    tables: TableServiceClient
    queue: QueueClient
    now: datetime = _START
    count: int = 0
    tracker: Tracker = field(init=False)

    def __post_init__(self) -> None:
        environment = {
            "IngestionStorage": self.wire.connection_string,
            "KUSTO_INGEST_URI": self.wire.adx_uri,
            "KUSTO_AUTH": "none",
            "KUSTO_DATABASE": DATABASE,
            "KUSTO_TABLE": TABLE,
        }
        self.tracker = Tracker(settings.load(environment), Ambient(now=lambda: self.now, random=lambda: 0.5))
        self.wire.take()

    def crowd(self, operations: int, blobs: int) -> list[str]:
        """The IDs of operations that the simulator says are running."""
        ids = [f"7a1c9d52-9c3a-4c0e-8a55-{self.count + number:012};a3f1c2d4" for number in range(operations)]
        self.count += operations
        self.say(ids, "InProgress", blobs)
        return ids

    def say(self, ids: Sequence[str], status: str, blobs: int) -> None:
        """Let the simulator say from now on that all blobs of these operations have a status."""
        plain, detailed = (Answer(body=_status(status, blobs, details=details)) for details in (False, True))
        for operation_id in ids:
            self.adx.plant(
                operation_id=operation_id, database=DATABASE, table=TABLE, plain=[plain], detailed=[detailed]
            )

    def empty(self) -> None:
        """Forget what is stored: Azurite reads a whole table for each query, those of earlier crowds too."""
        for name in _TABLES:
            self.tables.delete_table(name)
            self.tables.create_table(name)
        self.adx.reset()

    def watch(self, operations: int, blobs: int, times: Sequence[float], *, every_tick: bool = False) -> Life:
        """Have the app watch a crowd to its end.

        Args:
            operations: How many.
            blobs: Of each.
            times: When each is polled, in seconds after its registration; at the last they have ended.
            every_tick: Whether the ticks between are run too; they are other crowds' where there are many.

        Raises:
            RuntimeError: they were not polled at these times, or did not end.
        """
        ids = self.crowd(operations, blobs)
        self.now = registered = self.now + TICK / 2
        message, registration = self._register(ids, blobs)
        polls: list[Tally] = []
        idle: list[Tally] = []
        half = TICK.total_seconds() / 2
        for tick in range(ticks_until(times[-1])):
            since = half * (2 * tick + 1)
            if since not in times and not every_tick:
                continue
            if since == times[-1]:
                self.say(ids, "Succeeded", blobs)
            self.now = registered + timedelta(seconds=since)
            self.tracker.poll_operations()
            tally = self.wire.take()
            asked = operations * (since in times) * (1 + (since == times[-1]))
            if tally.adx != asked:
                raise RuntimeError(f"{since:g} s after registration ADX was asked {tally.adx} times, not {asked}")
            (polls if since in times else idle).append(tally)
        self._expect_none()
        self.empty()
        return Life(operations, message, registration, polls[:-1], idle, polls[-1])

    def _register(self, ids: Sequence[str], blobs: int) -> tuple[Tally, Tally]:
        """Bring the messages to the app, as the host does."""
        with QueueServiceClient.from_connection_string(self.azurite.connection_string) as upstream:
            client = upstream.get_queue_client(self.queue.queue_name)
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                list(threads.map(client.send_message, (_message(each, blobs) for each in ids)))
            client.close()
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for _ in range(0, len(ids), _MESSAGES):
                pages = self.queue.receive_messages(messages_per_page=_MESSAGES, max_messages=_MESSAGES).by_page()
                list(threads.map(self._handle, next(pages)))
        tally = self.wire.take()
        return tally.about("queue"), tally.about("table")

    def _handle(self, message: QueueMessage) -> None:
        self.tracker.register_operation(str(message.content).encode(), message.id)
        self.queue.delete_message(message)

    def _expect_none(self) -> None:
        table = self.tables.get_table_client("OutstandingOperations")
        rows = table.list_entities(select=["RowKey"])
        left = sum(row["RowKey"].startswith(("op|", "due|")) for row in rows)
        if left:
            raise RuntimeError(f"{left} rows of operations that have ended are left")

    def watch_naively(self, operations: int, blobs: int, polls: int) -> Life:
        """Have the naive peer watch a crowd that ends with the last of so many polls."""
        ids = self.crowd(operations, blobs)
        with (
            TableServiceClient.from_connection_string(self.wire.connection_string) as tables,
            requests.Session() as session,
        ):
            session.trust_env = False
            session.headers["Authorization"] = "Bearer none"
            peer = NaivePeer(tables, session, self.wire.adx_uri)
            peer.create_tables()
            self.wire.take()
            for operation_id in ids:
                peer.register(operation_id, DATABASE, TABLE)
            registration = self.wire.take()
            tallies: list[Tally] = []
            for poll in range(1, polls + 1):
                if poll == polls:
                    self.say(ids, "Succeeded", blobs)
                peer.tick()
                tallies.append(self.wire.take())
        if peer.settled != operations:
            raise RuntimeError(f"{peer.settled} of {operations} have ended")
        for name in (OPERATIONS, BLOBS):
            self.tables.delete_table(name)
        self.adx.reset()
        return Life(operations, Tally(), registration, tallies[:-1], (), tallies[-1])


def ticks_until(seconds: float) -> int:
    """How many ticks there are from a registration to a tick so long after it, that one included."""
    return math.ceil(seconds / TICK.total_seconds())


@contextmanager
def staged() -> Iterator[Stage]:
    """Everything running, until the end."""
    with (
        Azurite.start() as azurite,
        AdxSimulator.start() as adx,
        Wire(azurite, adx) as wire,
        TableServiceClient.from_connection_string(azurite.connection_string) as tables,
        QueueClient.from_connection_string(wire.connection_string, "ingestion-operations") as queue,
    ):
        yield Stage(azurite, adx, wire, tables, queue)


def _status(status: str, blobs: int, *, details: bool) -> str:
    counts = dict.fromkeys(("Succeeded", "Failed", "InProgress", "Canceled"), 0) | {status: blobs}
    moments = {"startTime": "2027-01-01T00:00:00.0000000Z", "lastUpdated": "2027-01-01T00:00:30.0000000Z"}
    body: dict[str, object] = {**moments, "status": counts}
    if details:
        body["details"] = [{**_blob(number), "status": status, **moments} for number in range(blobs)]
    return json.dumps(body)


def _blob(number: int) -> dict[str, str]:
    return {
        "sourceId": f"5f0c9a5e-2f0b-4b5e-9d55-{number:012}",
        "url": f"https://account.blob.core.windows.net/landing/orders/2027/01/01/part-{number:05}.parquet",
    }


def _message(operation_id: str, blobs: int) -> str:
    # A message holds 64 KiB: the blobs that do not fit are left out, as a sender must.
    named = [_blob(number) for number in range(min(blobs, 300))]
    return json.dumps({"operationId": operation_id, "blobs": named, "correlationId": "orders-2027-01-01"})
