"""The tables and queues in memory do what those of Azurite do."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from local.azurite import Azurite
from shared.queues import Queue
from shared.store.protocol import Tables
from shared.store.tables import Table
from tests.support.memory_queue import MemoryQueue
from tests.support.memory_table import MemoryTable
from tests.support.table_agreement import FEW, check_agreement, outcome
from tests.support.world import eventually

_count = itertools.count()


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


class QueuesAgree(RuleBasedStateMachine):
    """A queue in memory and one of Azurite; what is hidden stays hidden for as long as this takes."""

    service: QueueServiceClient
    received: Bundle[tuple[QueueMessage, QueueMessage]] = Bundle("received")

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryQueue(lambda: datetime.now(UTC))
        self.azurite = self.service.get_queue_client(f"queue-{next(_count)}")
        self.sides: tuple[MemoryQueue | QueueClient, ...] = (self.memory, self.azurite)

    def _both(self, act: Callable[[Any], Any]) -> tuple[Any, Any]:
        ours, theirs = (outcome(lambda side=side: act(side)) for side in self.sides)  # type: ignore[misc]
        return ours, theirs

    @rule()
    def create(self) -> None:
        ours, theirs = self._both(lambda side: side.create_queue())
        assert isinstance(ours, tuple) == isinstance(theirs, tuple)
        if isinstance(ours, tuple):
            assert ours == theirs

    @rule(
        text=st.sampled_from(["a", "<b>", "{}"]),
        hidden=st.sampled_from([0, 0, 1000, 604_800, 604_801]),
    )
    def send(self, text: str, hidden: int) -> None:
        ours, theirs = self._both(lambda side: side.send_message(text, visibility_timeout=hidden, time_to_live=-1))
        assert _seen(ours) == _seen(theirs)

    @rule()
    def send_too_much(self) -> None:
        ours, theirs = self._both(lambda side: side.send_message("x" * 65_537, time_to_live=-1))
        assert ours == theirs

    @rule(text=st.sampled_from(["c", "d"]))
    def send_through_the_app(self, text: str) -> None:
        for side in self.sides:
            Queue(side).send(text)  # type: ignore[arg-type]  # one of them stands for the SDK's client

    @rule(hidden=st.sampled_from([1000, 0]), target=received)
    def receive(self, hidden: int) -> Any:  # noqa: ANN401, none or one
        ours, theirs = self._both(lambda side: side.receive_message(visibility_timeout=hidden))
        assert _seen(ours) == _seen(theirs)
        if not isinstance(ours, QueueMessage):
            return multiple()
        assert ours.dequeue_count == theirs.dequeue_count
        return ours, theirs

    @rule(both=received, hidden=st.sampled_from([0, 1000]), target=received)
    def hide_or_release(self, both: tuple[QueueMessage, QueueMessage], hidden: int) -> Any:  # noqa: ANN401, none or one
        ours, theirs = (
            outcome(lambda side=side, message=message: side.update_message(message, visibility_timeout=hidden))  # type: ignore[misc]
            for side, message in zip(self.sides, both, strict=True)
        )
        assert _seen(ours) == _seen(theirs)
        return (ours, theirs) if isinstance(ours, QueueMessage) else multiple()

    @rule(both=st.one_of(received, consumes(received)))
    def delete(self, both: tuple[QueueMessage, QueueMessage]) -> None:
        ours, theirs = (
            outcome(lambda side=side, message=message: side.delete_message(message))  # type: ignore[misc]
            for side, message in zip(self.sides, both, strict=True)
        )
        assert ours == theirs

    @invariant()
    def what_is_visible_agrees(self) -> None:
        ours, theirs = self._both(lambda side: list(side.peek_messages(max_messages=32)))
        assert _listed(ours) == _listed(theirs)


def _seen(answer: Any) -> Any:  # noqa: ANN401, a message or an error
    return answer.content if isinstance(answer, QueueMessage) else answer


def _listed(answer: Any) -> Any:  # noqa: ANN401, messages or an error
    return [(each.content, each.dequeue_count) for each in answer] if isinstance(answer, list) else answer


def test_a_table_in_memory_does_what_azurite_does(azurite: Azurite) -> None:
    with Tables.from_connection_string(azurite.connection_string, retry_total=0) as service:
        check_agreement(lambda _: Table(MemoryTable(page=2)), service)  # type: ignore[arg-type]  # for the SDK's client


def test_a_queue_in_memory_does_what_azurite_does(azurite: Azurite) -> None:
    with QueueServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        run_state_machine_as_test(type("Machine", (QueuesAgree,), {"service": service}), settings=FEW)


def test_a_hidden_message_is_visible_again_after_its_time_on_either(azurite: Azurite) -> None:
    now = [datetime.now(UTC)]
    memory = MemoryQueue(lambda: now[0])
    with QueueServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        queue = service.get_queue_client(f"queue-{next(_count)}")
        for side in (memory, queue):
            side.create_queue()
            # For longer than anything takes here; and then for as long as a test can wait.
            sent = side.send_message("hidden", visibility_timeout=1000, time_to_live=-1)
            assert side.receive_message(visibility_timeout=1) is None
            side.update_message(sent, visibility_timeout=1)
        assert memory.receive_message(visibility_timeout=1) is None
        now[0] += timedelta(seconds=1)
        again = memory.receive_message(visibility_timeout=1)
        assert again is not None
        assert again.content == "hidden"
        eventually(lambda: bool(list(queue.peek_messages())), "the message")


def test_a_stale_receipt_does_not_delete_on_either(azurite: Azurite) -> None:
    with QueueServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        queue = service.get_queue_client(f"queue-{next(_count)}")
        memory = MemoryQueue(lambda: datetime.now(UTC))
        for side in (memory, queue):
            side.create_queue()
            side.send_message("twice", time_to_live=-1)
            first = side.receive_message(visibility_timeout=100)
            assert first is not None
            side.update_message(first, visibility_timeout=0)
            with pytest.raises(HttpResponseError):
                side.delete_message(first)
            assert [each.content for each in side.peek_messages(max_messages=2)] == ["twice"]
