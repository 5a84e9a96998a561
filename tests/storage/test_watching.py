"""What it takes of storage to watch one operation among many, as the account bills it: counted at the wire."""

from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from benchmarks.orchestration_peer import transactions
from benchmarks.peers import AIM_BLOBS, AIM_POLLS, LEAST_RATIO, MOST_TRANSACTIONS
from benchmarks.wire import Tally, Wire
from local.azurite import Azurite
from tests.support.parts import Parts, blob

MANY = 200
"""Fewer than an instance polls at a tick (``POLL_INLINE_LIMIT``), so that each has the larger share."""


def watch(parts: Parts, wire: Wire) -> Tally:
    """Have operations watched side by side from their registration to their end."""
    urls = [f"https://account.blob.core.windows.net/landing/part-{number:04}.parquet" for number in range(AIM_BLOBS)]
    ids = [f"operation-{number:04}" for number in range(MANY)]
    wire.take()
    operations = [parts.register(operation_id, *urls) for operation_id in ids]
    for status in (*["InProgress"] * (AIM_POLLS - 1), "Succeeded"):
        for operation_id in ids:
            parts.adx.says(operation_id, *(blob(url, status) for url in urls))
        parts.tick()
    tally = wire.take()
    assert not any(part.outstanding for part in parts.outstanding.census(parts.now))
    assert parts.row(operations[-1]).polls == AIM_POLLS
    assert len(parts.blobs(operations[-1])) == AIM_BLOBS
    return tally


def test_few_transactions_watch_an_operation_of_20_blobs_polled_10_times(storage: Azurite) -> None:
    with (
        Wire(storage) as wire,
        TableServiceClient.from_connection_string(wire.connection_string) as tables,
        QueueServiceClient.from_connection_string(wire.connection_string) as queues,
    ):
        parts = Parts(tables, queues, "watching")
        taken = watch(parts, wire).storage / MANY
        parts.close()
    assert taken <= MOST_TRANSACTIONS
    assert transactions(AIM_POLLS, AIM_BLOBS).storage >= LEAST_RATIO * taken
