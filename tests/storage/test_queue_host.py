"""The benchmarks' stand-in for the Functions host, on Azurite's queues."""

import threading
from collections.abc import Callable, Iterator

import pytest
from azure.storage.queue import QueueClient

from benchmarks.queue_host import QueueHost
from local.azurite import Azurite

_numbers = iter(range(100))


@pytest.fixture
def queue(storage: Azurite) -> Iterator[QueueClient]:
    with QueueClient.from_connection_string(storage.connection_string, f"hosted-{next(_numbers)}") as made:
        made.create_queue()
        yield made


@pytest.fixture
def host(storage: Azurite, queue: QueueClient) -> Iterator[Callable[[Callable[[bytes, str], None]], QueueHost]]:
    hosts: list[QueueHost] = []

    def make(handle: Callable[[bytes, str], None]) -> QueueHost:
        hosts.append(
            QueueHost(
                storage.connection_string, queue.queue_name, handle, at_once=3, batch_size=4, new_batch_threshold=2
            )
        )
        return hosts[-1]

    yield make
    for each in hosts:
        each.close()


type MakeHost = Callable[[Callable[[bytes, str], None]], QueueHost]


def test_each_message_is_handled_once_and_gone(queue: QueueClient, host: MakeHost) -> None:
    for number in range(10):
        queue.send_message(str(number))
    handled: list[bytes] = []
    assert host(lambda body, _: handled.append(body)).drain(100) == 10
    assert sorted(handled) == [str(number).encode() for number in range(10)]
    assert queue.get_queue_properties().approximate_message_count == 0


def test_it_stops_once_it_has_taken_as_many_as_it_was_told(queue: QueueClient, host: MakeHost) -> None:
    for number in range(10):
        queue.send_message(str(number))
    assert host(lambda _body, _id: None).drain(4) == 4
    assert queue.get_queue_properties().approximate_message_count == 6


def test_messages_are_handled_side_by_side(queue: QueueClient, host: MakeHost) -> None:
    for number in range(3):
        queue.send_message(str(number))
    together = threading.Barrier(3, timeout=30)
    assert host(lambda _body, _id: _meet(together)).drain(3) == 3


def test_an_error_of_a_message_is_raised_and_the_message_stays(queue: QueueClient, host: MakeHost) -> None:
    queue.send_message("bad")

    def handle(_body: bytes, _id: str) -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        host(handle).drain(1)
    assert queue.get_queue_properties().approximate_message_count == 1


def _meet(together: threading.Barrier) -> None:
    together.wait()
