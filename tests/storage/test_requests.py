"""How many requests a step sends to storage: docs/deploy.md reckons the costs from these counts."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from azure.core.pipeline import PipelineRequest
from azure.storage.queue import QueueServiceClient

from benchmarks import costs
from local.azurite import Azurite
from shared.keys import SHARDS, shard
from shared.model import Operation
from shared.store.protocol import Tables
from shared.store.tables import Row
from tests.support.parts import Parts, blob

URL = "https://account.blob.core.windows.net/landing/orders/2026/11/25/part-0042.parquet"
TICK = len(SHARDS) + costs.NOTE
"""Requests of a tick with nothing due."""
_count = iter(range(10_000))
OPERATION_ID = "7a1c9d52-9c3a-4c0e-8a55-4c6b8d1e2f30;a3f1c2d4-5b6e-4f70-8a91-b2c3d4e5f607"


class Counted(Parts):
    """Parts whose requests are counted."""

    def __init__(self, storage: Azurite, mark: str) -> None:
        self.sent: list[str] = []
        connection = storage.connection_string
        self.table_service = Tables.from_connection_string(connection, raw_request_hook=self._note)
        self.queue_service = QueueServiceClient.from_connection_string(connection, raw_request_hook=self._note)
        super().__init__(self.table_service, self.queue_service, mark)

    def _note(self, request: PipelineRequest) -> None:  # type: ignore[type-arg]  # whatever the transport's are
        self.sent.append(request.http_request.url)

    def close(self) -> None:
        super().close()
        self.table_service.close()
        self.queue_service.close()

    def registered(self) -> Operation:
        """An operation of usual names with one blob; what that took is forgotten."""
        operation = self.register(OPERATION_ID, URL, correlation_id="orders-2026-11-25-0042")
        self.sent.clear()
        return operation

    def counts(self) -> tuple[int, int]:
        """Requests of tables and of queues since the last time."""
        queues = sum("/messages" in url for url in self.sent)
        tables = len(self.sent) - queues
        self.sent.clear()
        return tables, queues


@pytest.fixture
def parts(storage: Azurite) -> Iterator[Counted]:
    with closing(Counted(storage, f"requests{next(_count)}")) as made:
        yield made


def test_registering(parts: Counted) -> None:
    parts.sent.clear()
    parts.register("once", URL)
    assert parts.counts() == (costs.REGISTRATION, 0)


def test_a_tick_with_nothing_due(parts: Counted) -> None:
    parts.sent.clear()
    parts.poller.tick()
    assert parts.counts() == (TICK, 0)


def test_a_poll_without_news_is_one_transaction(parts: Counted) -> None:
    operation = parts.registered()
    parts.adx.says(operation.operation_id, blob(URL, "Queued"))
    parts.tick()
    assert parts.counts() == (TICK + 1, 0)


def test_settling(parts: Counted) -> None:
    operation = parts.registered()
    parts.adx.says(operation.operation_id, blob(URL, "Succeeded", source_id="5f0c9a5e-2f0b-4b5e-9d55-0d7c1c6f7f10"))
    parts.tick()
    assert parts.counts() == (TICK + costs.SETTLING, 0)
    assert stored_size(parts, operation) == pytest.approx(costs.STORED, rel=0.05)


def test_news_of_a_success_is_one_message_and_nothing_is_read_for_it(parts: Counted) -> None:
    parts.tell()
    parts.news_client.create_queue()
    operation = parts.registered()
    parts.adx.says(operation.operation_id, blob(URL, "Succeeded"))
    parts.tick()
    assert parts.counts() == (TICK + costs.SETTLING, 1)


def test_news_of_a_failure_reads_the_failed_blobs_in_one_request(parts: Counted) -> None:
    parts.tell()
    parts.news_client.create_queue()
    operation = parts.registered()
    parts.adx.says(operation.operation_id, blob(URL, "Failed", "Permanent"))
    parts.tick()
    assert parts.counts() == (TICK + costs.SETTLING + 1, 1)


def test_news_of_many_small_failures_reads_pages_of_a_hundred(parts: Counted) -> None:
    parts.tell()
    parts.news_client.create_queue()
    operation = parts.registered()
    parts.adx.says(operation.operation_id, *(blob(f"https://a/{place}", "Failed", "Permanent") for place in range(450)))
    parts.tick()
    pages = sum("IngestionBlobs" in url or "Blobs" in url for url in parts.sent if "filter" in url.lower())
    assert 1 < pages <= 4
    (news,) = parts.news()
    assert len(news["failedBlobs"]) + news["failedBlobsLeftOut"] == 450


def test_retrying(parts: Counted) -> None:
    operation = parts.registered()
    parts.adx.says(operation.operation_id, blob(URL, "Failed", "Transient"))
    parts.tick()
    enqueuing, puts = parts.counts()
    (message,) = parts.retries()
    parts.sent.clear()
    parts.resubmitter.handle(message)
    resubmitting, _ = parts.counts()
    beside = enqueuing - TICK - costs.SETTLING + resubmitting - costs.REGISTRATION
    assert (beside, puts) == (costs.RETRYING, 1)


def test_pruning(parts: Counted) -> None:
    operation = parts.registered()
    parts.adx.says(operation.operation_id, blob(URL, "Succeeded"))
    parts.tick()
    parts.counts()
    parts.pruner.prune()
    looking, _ = parts.counts()
    parts.later(days=95)
    parts.pruner.prune()
    assert parts.counts() == (looking + costs.PRUNING, 0)
    assert parts.results.pointer(operation) is None


def stored_size(parts: Counted, operation: Operation) -> int:
    """Bytes of the operation's rows that stay, by the formula of the service."""
    pointer = parts.results.pointer(operation)
    assert pointer is not None
    row = parts.tables["Operations"].get(pointer.partition, pointer.row)
    assert row is not None
    blobs = parts.tables["Blobs"].query("PartitionKey eq @key", {"key": operation.key})
    listed = parts.tables["Outstanding"].query("PartitionKey eq @shard", {"shard": shard(operation.key)})
    return sum(map(row_size, [row, *blobs, *listed]))


def row_size(row: Row) -> int:
    own = ("PartitionKey", "RowKey")
    columns = {name: value for name, value in row.items() if name not in own}
    keys = sum(2 * len(row[name]) for name in own)
    return 4 + keys + sum(8 + 2 * len(name) + value_size(value) for name, value in columns.items())


def value_size(value: object) -> int:
    match value:
        case str():
            return 4 + 2 * len(value)
        case int():
            return 4
        case _:
            return 8
