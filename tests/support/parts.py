"""The app's parts on Azurite, with a clock that the test moves and an ADX that says what the test wants."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient, QueueServiceClient

from local.azurite import Azurite
from shared.ambient import Ambient
from shared.announce import Announcer, Channel, QueueChannel, TopicChannel
from shared.backlog import Backlog
from shared.blob_access import AsIs
from shared.bulk_poll import BulkAsker
from shared.endpoints import Endpoints
from shared.errors import KustoError, OperationNotFound
from shared.event_grid import Topic
from shared.kusto.tokens import LocalTokens
from shared.many_blobs import MOST_AT_ONCE
from shared.messages import Defaults, NamedBlob, OperationMessage, RetryMessage, read_retry
from shared.model import (
    BlobReport,
    BlobSource,
    BulkStatus,
    Counts,
    IngestionLimits,
    Operation,
    Properties,
    StatusReport,
)
from shared.poll import Poller
from shared.progress import Pace
from shared.prune import Pruner
from shared.queues import Queue
from shared.records import BlobRow, OperationRow
from shared.redrive import Redriver
from shared.reenqueue import Reenqueuer
from shared.register import Registrar
from shared.resubmit import Resubmitter
from shared.retry_decision import Rules
from shared.settings import Polling, Retrying
from shared.settle import Settler
from shared.store.listing import Listing
from shared.store.outstanding import OutstandingOperations
from shared.store.protocol import Tables
from shared.store.redrives import Redrives
from shared.store.results import Results
from shared.store.tables import Table
from tests.support import facts
from tests.support.facts import POLLING

CLUSTER = "https://ingest-test.westeurope.kusto.windows.net"
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
# Of the machine's: a tick that it takes long over is a whole one all the same.
MOST_TIME = timedelta(minutes=10)
# Three attempts are enough to see the last one.
RETRYING = replace(facts.RETRYING, max_attempts=3)


@dataclass
class ScriptedAdx:
    """Answers with what was set last for an operation, and keeps what it was asked."""

    reports: dict[str, StatusReport | KustoError] = field(default_factory=dict)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    submitted: list[tuple[Sequence[BlobSource], Properties]] = field(default_factory=list)
    submissions: list[str | KustoError | None] = field(default_factory=list)
    on_submit: Callable[[], None] = lambda: None
    bulk: dict[str, BulkStatus | None] = field(default_factory=dict)
    bulk_error: Exception | None = None
    asked_in_bulk: list[list[str]] = field(default_factory=list)
    on_status: Callable[[], None] = lambda: None

    def says(self, operation_id: str, *blobs: BlobReport, counts: Counts | None = None) -> None:
        """From now on an operation has these blobs."""
        self.reports[operation_id] = StatusReport(counts or Counts.of(blobs), blobs)

    def fails(self, operation_id: str, error: KustoError) -> None:
        """From now on asking for an operation raises this."""
        self.reports[operation_id] = error

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        self.asked.append((operation.operation_id, details))
        self.on_status()
        answer = self.reports.get(operation.operation_id) or OperationNotFound("not known")
        if isinstance(answer, KustoError):
            raise answer
        return answer if details else replace(answer, blobs=None)

    def bulk_status(self, operations: Sequence[Operation]) -> Mapping[Operation, BulkStatus]:
        """The truth of each operation, or what ``bulk`` has of it, where None leaves it out."""
        self.asked_in_bulk.append([each.operation_id for each in operations])
        if self.bulk_error is not None:
            raise self.bulk_error
        said = {each: self.bulk.get(each.operation_id, self._true(each)) for each in operations}
        return {each: status for each, status in said.items() if status is not None}

    def _true(self, operation: Operation) -> BulkStatus | None:
        report = self.reports.get(operation.operation_id)
        if not isinstance(report, StatusReport):
            return None
        return BulkStatus(report.tally.finished < report.tally.total, report.tally)

    def submit(self, parent: Operation, blobs: Sequence[BlobSource], properties: Properties) -> str | None:
        assert parent.cluster == CLUSTER
        self.submitted.append((blobs, properties))
        self.on_submit()
        answer = self.submissions.pop(0) if self.submissions else f"resubmission-{len(self.submitted)}"
        if isinstance(answer, KustoError):
            raise answer
        return answer

    def limits(self, cluster: str) -> IngestionLimits:
        assert cluster == CLUSTER
        return IngestionLimits()


class EagerQueue(Queue):
    """A queue whose messages are visible at once, whatever the delay, which is kept to be looked at."""

    def __init__(self, client: QueueClient, delays: list[timedelta]) -> None:
        super().__init__(client)
        self._delays = delays

    def send(self, text: str, delay: timedelta = timedelta()) -> None:
        self._delays.append(delay)
        super().send(text)


class Parts:
    """The app without its functions, on storage of its own."""

    def __init__(
        self,
        tables: TableServiceClient,
        queues: QueueServiceClient,
        mark: str,
        polling: Polling = POLLING,
        retrying: Retrying = RETRYING,
    ) -> None:
        self.now = START
        self.ids = 0
        self.most_at_once = MOST_AT_ONCE
        self.adx = ScriptedAdx()
        self.delays: list[timedelta] = []
        self.defaults = Defaults(Endpoints(CLUSTER))
        self.storage_threads = ThreadPoolExecutor(4)
        self.poll_threads = ThreadPoolExecutor(4)
        self.tables = {
            name: Table(tables.get_table_client(f"{name}{mark}"))
            for name in ("Operations", "Blobs", "Outstanding", "Redrives")
        }
        self.retry_client = queues.get_queue_client(f"retries-{mark}")
        self.batch_client = queues.get_queue_client(f"batches-{mark}")
        self.gone_client = queues.get_queue_client(f"gone-{mark}")
        self.news_client = queues.get_queue_client(f"news-{mark}")
        self.has_news_queue = False
        self.topic: str | None = None
        for table in self.tables.values():
            table.create()
        for client in (self.retry_client, self.batch_client):
            Queue(client).create()
        self.configure(polling, retrying)

    def configure(self, polling: Polling = POLLING, retrying: Retrying = RETRYING) -> None:
        """Build the app's parts anew, as another instance has them."""
        ambient = self.ambient = Ambient(now=lambda: self.now, random=lambda: 0.5, new_id=self._new_id)
        pace = Pace(polling, ambient)
        retries = EagerQueue(self.retry_client, self.delays)
        self.outstanding = OutstandingOperations(self.tables["Outstanding"], self.defaults, self.storage_threads)
        self.results = Results(self.tables["Operations"], self.tables["Blobs"])
        announcer = Announcer(self.results, self._channels(), ambient.now, self.storage_threads, threads=4)
        self.settler = Settler(
            self.outstanding,
            self.results,
            retries,
            retrying,
            ambient,
            announcer=announcer,
            most_at_once=self.most_at_once,
        )
        self.registrar = Registrar(self.outstanding, self.results, polling, ambient)
        self.poller = Poller(
            self.outstanding,
            self.adx,
            self.settler,
            Queue(self.batch_client),
            pace,
            executor=self.poll_threads,
            budget=MOST_TIME,
            bulk=BulkAsker(self.adx, pace, self.poll_threads, least=2) if polling.bulk_status else None,
        )
        rules = Rules(retrying, polling)
        self.resubmitter = Resubmitter(
            self.adx, self.results, self.settler, self.registrar, retries, AsIs(), rules, ambient
        )
        self.redrives = Redrives(self.tables["Redrives"])
        self.redriver = Redriver(
            self.results,
            self.outstanding.list_rows,
            self.redrives,
            Reenqueuer(self.results, retries, retrying),
            ambient,
            needs_format=True,
        )
        self.backlog = Backlog(self.outstanding, {"retries": retries, "gone": Queue(self.gone_client)}, ambient)
        self.listing = Listing(self.tables["Outstanding"], self.storage_threads)
        self.pruner = Pruner(
            self.results,
            self.outstanding.list_rows,
            self.redrives,
            timedelta(days=90),
            MOST_TIME,
            ambient,
            executor=self.storage_threads,
            untold=self.outstanding.untold if self._channels() else frozenset,
        )

    def _channels(self) -> list[Channel]:
        queue: list[Channel] = [QueueChannel(Queue(self.news_client))] if self.has_news_queue else []
        return [*queue, TopicChannel(Topic(self.topic, LocalTokens()))] if self.topic else queue

    def tell(self, polling: Polling = POLLING, retrying: Retrying = RETRYING, *, topic: str | None = None) -> None:
        """Have news put on their queue from now on, and published to a topic."""
        self.has_news_queue, self.topic = True, topic
        self.configure(polling, retrying)

    def news(self) -> list[dict[str, Any]]:
        """The news on their queue, all taken off it."""
        try:
            messages = list(self.news_client.receive_messages())
        except ResourceNotFoundError:
            return []
        for message in messages:
            self.news_client.delete_message(message)
        return [json.loads(str(message.content)) for message in messages]

    def close(self) -> None:
        """End the threads."""
        self.poll_threads.shutdown()
        self.storage_threads.shutdown()

    def _new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    def register(self, operation_id: str, *urls: str, **fields: object) -> Operation:
        """Register an operation whose message named these blobs."""
        operation = Operation(CLUSTER, "db", "events", operation_id)
        blobs = tuple(NamedBlob(url, f"source-{place}") for place, url in enumerate(urls))
        message = OperationMessage(operation, properties={"format": "csv"}, blobs=blobs)
        self.registrar.register(replace(message, **fields))  # type: ignore[arg-type]  # a test's own choice
        return operation

    def tick(self) -> None:
        """Let the next poll of everything be due, and do it."""
        self.later(minutes=10)
        self.poller.tick()

    def row(self, operation: Operation) -> OperationRow:
        """The operation's row."""
        pointer = self.results.pointer(operation)
        row = self.results.operation(pointer) if pointer else None
        assert row is not None
        return row

    def blobs(self, operation: Operation) -> list[BlobRow]:
        """Its blobs, by URL."""
        return sorted(self.results.blobs(operation).values(), key=lambda row: row.report.url or "")

    def is_outstanding(self, operation: Operation) -> bool:
        """Whether it is still watched."""
        return self.outstanding.message(operation) is not None

    def retries(self) -> list[RetryMessage]:
        """The retry messages on the queue, all taken off it."""
        messages = list(self.retry_client.receive_messages())
        for message in messages:
            self.retry_client.delete_message(message)
        return [read_retry(str(message.content).encode(), self.defaults) for message in messages]


@contextmanager
def make_parts(azurite: Azurite, mark: str, **settings: Polling | Retrying) -> Iterator[Parts]:
    """Parts whose tables and queues have ``mark`` in their names."""
    with (
        Tables.from_connection_string(azurite.connection_string) as tables,
        QueueServiceClient.from_connection_string(azurite.connection_string) as queues,
    ):
        parts = Parts(tables, queues, mark, **settings)  # type: ignore[arg-type]  # by their names
        yield parts
        parts.close()


def blob(
    url: str, status: str, failure_status: str | None = None, *, source_id: str | None = None, code: str | None = None
) -> BlobReport:
    """What ADX says of a blob."""
    default_code = "General_ThrottledIngestion" if failure_status else None
    return BlobReport(
        status, source_id=source_id, url=url, error_code=code or default_code, failure_status=failure_status
    )
