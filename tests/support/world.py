"""Real parts for the end-to-end tests: Azurite, the ADX simulator and the app in the local host, and a look at them."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas
from azure.storage.queue import QueueServiceClient

from local.adx_simulator import AdxSimulator
from local.azurite import ACCOUNT, KEY, Azurite
from local.functions_host import FunctionsHost
from shared.redaction import redact
from tests.support.event_grid import EventGrid

# What can only be reached where something is wrong.
DEADLINE_SECONDS = 90.0
DATABASE = "Samples"
_TAIL_LINES = 40

# Quick, so that a test of three attempts takes seconds.
QUICK = {
    "POLL_SCHEDULE": "* * * * * *",
    "POLL_FIRST_DELAY_SECONDS": "0",
    "POLL_MIN_INTERVAL_SECONDS": "1",
    "POLL_MAX_INTERVAL_SECONDS": "2",
    "RETRY_BASE_DELAY_SECONDS": "1",
    "RETRY_MAX_DELAY_SECONDS": "2",
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
}

type Row = Mapping[str, Any]


def eventually[T](look: Callable[[], T], what: str = "it", seconds: float = DEADLINE_SECONDS, pause: float = 0.1) -> T:
    """What ``look`` sees once it sees something; where that takes too long, what there is instead is told."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() >= deadline:
            around = "\n".join(world.described() for world in _worlds)
            raise AssertionError(f"{what} did not come about in {seconds:g} s: seen last was {seen!r}\n{around}")
        time.sleep(pause)
    return seen


_worlds: list["World"] = []
"""Those that there are now, for whoever waits in vain."""


@dataclass(eq=False)
class World:
    """A storage account, a cluster, and the app between them."""

    azurite: Azurite
    adx: AdxSimulator
    stack: ExitStack
    settings: dict[str, str] = field(default_factory=dict)
    grid: EventGrid | None = None
    hosts: list[FunctionsHost] = field(default_factory=list)

    def __post_init__(self) -> None:
        _worlds.append(self)
        self.stack.callback(_worlds.remove, self)
        connection = self.azurite.connection_string
        self.tables = self.stack.enter_context(TableServiceClient.from_connection_string(connection))
        self.queues = self.stack.enter_context(QueueServiceClient.from_connection_string(connection))
        # Of their own for each world, as tables can't be: those are told apart by their operations.
        mark = uuid.uuid4().hex[:8]
        self.names = {name: f"{name.lower().replace('_', '-')}-{mark}" for name in QUEUES}
        for name in self.names.values():
            self.queues.create_queue(name)
        self.results_queue = f"results-queue-{mark}"
        self.table = f"T{mark}"
        self.env = {
            **QUICK,
            "IngestionStorage": connection,
            "AzureWebJobsStorage": connection,
            "KUSTO_INGEST_URI": self.adx.uri,
            "KUSTO_AUTH": "none",
            "KUSTO_DATABASE": DATABASE,
            "KUSTO_TABLE": self.table,
            **self.names,
            **self.settings,
        }

    def start_host(
        self,
        *,
        disabled: str = "",
        invisible_seconds: int = 600,
        create_queues: bool = True,
        function_keys: Mapping[str, str] | None = None,
        log_level: str = "info",
        grace_seconds: float = 30.0,
        **settings: str,
    ) -> FunctionsHost:
        """The app, listening, but for a function that is disabled."""
        env = {**self.env, **settings, f"AzureWebJobs.{disabled}.Disabled": "true"}
        host = FunctionsHost.start(
            env,
            invisible_seconds=invisible_seconds,
            # What runs when it is stopped is to come to its end, and what is told of it too.
            grace_seconds=grace_seconds,
            create_queues=create_queues,
            function_keys=function_keys,
            log_level=log_level,
        )
        self.hosts.append(host)
        return self.stack.enter_context(host)

    def described(self) -> str:
        """What there is at a moment, for a person who reads of a failure: no secret, and not much of each."""
        try:
            told = [f"  {row['OperationId']}: {row['State']}, {row['Polls']} polls" for row in self.operations()]
            told += [f"  due {row['RowKey']}, last error {row.get('LastError')}" for row in self.outstanding()]
            told += [f"  {self.length(name)} messages on {name}" for name in self.names]
        except AzureError as error:
            told = [f"  storage can't be read: {type(error).__name__}"]
        for host in self.hosts:
            told += [f"  the end of the log of host {host.pid}:", *host.output().splitlines()[-_TAIL_LINES:]]
        return redact("\n".join([f"in the world of table {self.table} there are", *told]))

    def post(self, message: object, queue: str = "OPERATIONS_QUEUE", suffix: str = "") -> None:
        """Put a message on a queue: a text as it is, anything else as JSON."""
        with self.queues.get_queue_client(self.names[queue] + suffix) as client:
            client.send_message(message if isinstance(message, str) else json.dumps(message))

    def waiting(self, queue: str, suffix: str = "") -> list[str]:
        """The texts of a queue's visible messages."""
        with self.queues.get_queue_client(self.names[queue] + suffix) as client:
            try:
                return [str(message.content) for message in client.peek_messages(max_messages=32)]
            except ResourceNotFoundError:
                return []

    def length(self, queue: str, suffix: str = "") -> int:
        """How many messages a queue has, hidden ones too."""
        with self.queues.get_queue_client(self.names[queue] + suffix) as client:
            return client.get_queue_properties().approximate_message_count or 0

    def news(self) -> list[dict[str, Any]]:
        """What was told on the results queue, whose messages stay there."""
        with self.queues.get_queue_client(self.results_queue) as client:
            try:
                return [json.loads(str(message.content)) for message in client.peek_messages(max_messages=32)]
            except ResourceNotFoundError:
                return []

    def upload(self, name: str, content: bytes) -> str:
        """A blob; returns a URL that whoever has it can read."""
        container = f"c{self.table.lower()}"
        client = self.stack.enter_context(
            ContainerClient.from_connection_string(self.azurite.connection_string, container)
        )
        if not client.exists():
            client.create_container()
        client.upload_blob(name, content, overwrite=True)
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL, with a SAS, of a blob whether it exists or not."""
        return f"{self.container_url()}/{name}?{self.sas()}"

    def container_url(self) -> str:
        """The URL of this world's container."""
        return f"{self.azurite.blob_endpoint}/c{self.table.lower()}"

    def sas(self, *, may_list: bool = False) -> str:
        """A SAS to read the container's blobs, and to list them."""
        return generate_container_sas(
            ACCOUNT,
            f"c{self.table.lower()}",
            account_key=KEY,
            permission=ContainerSasPermissions(read=True, list=may_list),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )

    def submit(self, urls: Sequence[str], **properties: object) -> tuple[str, list[dict[str, Any]]]:
        """Submit blobs as an upstream job does; returns the operation ID and the blobs."""
        blobs = [{"url": url, "sourceId": str(uuid.uuid4()), "rawSize": 100} for url in urls]
        answer = requests.post(
            f"{self.adx.uri}/v1/rest/ingestion/queued/{DATABASE}/{self.table}",
            json={"blobs": blobs, "properties": {"format": "csv", "enableTracking": True, **properties}},
            headers={"Authorization": "Bearer upstream"},
            timeout=90,
        )
        answer.raise_for_status()
        return str(answer.json()["ingestionOperationId"]), blobs

    def submit_and_post(self, urls: Sequence[str], **message: object) -> str:
        """Submit blobs and post the message that has all that a resubmission needs."""
        operation_id, blobs = self.submit(urls)
        whole = {"operationId": operation_id, "properties": {"format": "csv"}, "blobs": blobs, **message}
        self.post({name: value for name, value in whole.items() if value is not None})
        return operation_id

    def operations(self) -> list[Row]:
        """The rows of this world's operations, those settled and those not."""
        return self._rows("IngestionOperations", "Table eq @table", table=self.table)

    def operation(self, operation_id: str) -> Row | None:
        """The row of one operation."""
        rows = self._rows(
            "IngestionOperations", "OperationId eq @id and Table eq @table", id=operation_id, table=self.table
        )
        assert len(rows) <= 1
        return rows[0] if rows else None

    def known(self, operation_id: str) -> Row:
        """The row of one operation that has one."""
        row = self.operation(operation_id)
        assert row is not None
        return row

    def settled(self, operation_id: str) -> Row:
        """The row of one operation, once it has ended."""

        def has_ended() -> bool:
            row = self.operation(operation_id)
            return row is not None and row["State"] != "InProgress"

        eventually(has_ended, f"the end of {operation_id}")
        return self.known(operation_id)

    def blobs(self, operation_id: str) -> list[Row]:
        """The rows of an operation's blobs."""
        pointers = self._rows("IngestionBlobs", "RowKey eq '!operation' and OperationId eq @id", id=operation_id)
        own = [row for row in pointers if row["OperationPartition"].endswith(f"|{self.table}")]
        if not own:
            return []
        key = own[0]["PartitionKey"]
        return self._rows("IngestionBlobs", "PartitionKey eq @key and RowKey ne '!operation'", key=key)

    def blob(self, operation_id: str) -> Row:
        """The row of the only blob of an operation."""
        (row,) = self.blobs(operation_id)
        return row

    def blob_named(self, operation_id: str, name: str) -> Row:
        """The row of an operation's blob of this name."""
        (row,) = [row for row in self.blobs(operation_id) if row["Url"].endswith(f"/{name}")]
        return row

    def outstanding(self) -> list[Row]:
        """The due rows of this world's operations."""
        condition = "Table eq @table and RowKey ge 'due|' and RowKey lt 'due|~'"
        return self._rows("OutstandingOperations", condition, table=self.table)

    def _rows(self, name: str, condition: str, **parameters: str) -> list[Row]:
        with self.tables.get_table_client(name) as client:
            try:
                return list(client.query_entities(condition, parameters=parameters))
            except ResourceNotFoundError:
                return []


QUEUES = ("OPERATIONS_QUEUE", "RETRY_QUEUE", "POLL_QUEUE")


@contextmanager
def make_world(azurite: Azurite, adx: AdxSimulator, **settings: str) -> Iterator[World]:
    """A world with its own queues and table names, and no host yet. Nothing outstanding is left behind."""
    with ExitStack() as stack:
        world = World(azurite, adx, stack, settings)
        stack.callback(adx.reset)
        yield world
    with TableServiceClient.from_connection_string(azurite.connection_string) as tables:
        tables.delete_table("OutstandingOperations")
