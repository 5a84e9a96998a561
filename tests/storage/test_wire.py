"""The proxy that benchmarks count with passes on what is signed, and counts what a bill counts."""

from collections.abc import Iterator

import pytest
import requests
from azure.data.tables import TableServiceClient, TableTransactionError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from benchmarks.wire import Asked, Wire, kind_of, resource_of
from local.adx_simulator import AdxSimulator, Answer
from local.azurite import Azurite


@pytest.fixture(scope="module")
def adx() -> Iterator[AdxSimulator]:
    with AdxSimulator.start() as running:
        yield running


@pytest.fixture
def wire(storage: Azurite, adx: AdxSimulator) -> Iterator[Wire]:
    with Wire(storage, adx) as passing:
        yield passing


def rows(count: int) -> list[tuple[str, dict[str, str]]]:
    return [("create", {"PartitionKey": "o'hara", "RowKey": f"ü {number}"}) for number in range(count)]


def test_a_group_is_one_transaction_of_many_rows(wire: Wire) -> None:
    with TableServiceClient.from_connection_string(wire.connection_string) as tables:
        table = tables.create_table("WireGroup")
        wire.take()
        table.submit_transaction(rows(7))
        assert len(list(table.query_entities("PartitionKey eq 'o''hara'"))) == 7
        table.get_entity("o'hara", "ü 3")
        table.create_entity({"PartitionKey": "p", "RowKey": "r"})
        tally = wire.take()
    transaction = Asked("table", "POST", "transaction", "WireGroup")
    query = Asked("table", "GET", "query", "WireGroup")
    get = Asked("table", "GET", "get", "WireGroup")
    insert = Asked("table", "POST", "insert", "WireGroup")
    assert tally.requests == {transaction: 1, query: 1, get: 1, insert: 1}
    assert tally.rows == {transaction: 7, query: 7, insert: 1}
    assert tally.storage == 4
    assert tally.of("table", kind="query", resource="WireGroup") == 1
    assert tally.of("table", resource="Others") == 0


def test_what_is_refused_counts_and_stays_refused(wire: Wire) -> None:
    with TableServiceClient.from_connection_string(wire.connection_string) as tables:
        table = tables.create_table("WireRefused")
        table.submit_transaction(rows(1))
        wire.take()
        with pytest.raises(TableTransactionError):
            table.submit_transaction(rows(2))
        assert wire.take().storage == 1
        address = f"{table.url}/WireRefused"
    assert requests.get(address, timeout=10).status_code == 403
    assert wire.take().storage == 1


def test_queues_and_blobs(wire: Wire) -> None:
    with QueueServiceClient.from_connection_string(wire.connection_string) as queues:
        queue = queues.create_queue("wire-queue")
        wire.take()
        queue.send_message("one")
        (message,) = queue.receive_messages(max_messages=1)
        queue.delete_message(message)
        tally = wire.take()
        queue.close()
    asked = [("POST", "put"), ("GET", "get"), ("DELETE", "delete")]
    assert tally.requests == {Asked("queue", method, kind, "wire-queue"): 1 for method, kind in asked}
    with BlobServiceClient.from_connection_string(wire.connection_string) as blobs:
        container = blobs.create_container("wire")
        container.upload_blob("a b.txt", b"content")
        assert container.download_blob("a b.txt").readall() == b"content"
    assert wire.take().of("blob") == 3


def test_adx_is_asked_by_the_path_as_it_came(wire: Wire, adx: AdxSimulator) -> None:
    adx.plant(operation_id="a/b;c", database="d", table="t", plain=[Answer(body="{}")], detailed=[Answer(body="[]")])
    url = f"{wire.adx_uri}/v1/rest/ingestion/queued/d/t/a%2Fb;c"
    token = {"Authorization": "Bearer none"}
    assert requests.get(url, headers=token, timeout=10).text == "{}"
    assert requests.get(url, params={"details": "true"}, headers=token, timeout=10).text == "[]"
    tally = wire.take()
    assert tally.requests == {Asked("adx", "GET", "status"): 1, Asked("adx", "GET", "status with details"): 1}
    assert (tally.adx, tally.storage) == (2, 0)


@pytest.mark.parametrize(
    ("service", "method", "path", "kind", "resource"),
    [
        ("table", "POST", "/account/Tables", "table", "Tables"),
        ("table", "DELETE", "/account/Tables('Some')", "table", "Tables"),
        ("table", "GET", "/account/Some()?$filter=x", "query", "Some"),
        ("table", "PATCH", "/account/Some(PartitionKey='p',RowKey='r')", "update", "Some"),
        ("table", "DELETE", "/account/Some(PartitionKey='p',RowKey='r')", "delete", "Some"),
        ("table", "POST", "/account/$batch", "transaction", ""),
        ("queue", "PUT", "/account/some-queue", "queue", "some-queue"),
        ("queue", "PUT", "/account/some-queue/messages/1?popreceipt=x", "update", "some-queue"),
        ("blob", "PUT", "/account/container/blob", "blob", ""),
        ("adx", "POST", "/v1/rest/ingestion/queued/d/t", "submit", ""),
        ("adx", "GET", "/v1/rest/ingestion/configuration", "configuration", ""),
    ],
)
def test_what_a_request_is_for(service: str, method: str, path: str, kind: str, resource: str) -> None:
    assert (kind_of(service, method, path), resource_of(service, path, b"")) == (kind, resource)
