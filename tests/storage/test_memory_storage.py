"""The tables and queues in memory do what those of Azurite do."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient
from hypothesis import HealthCheck, settings
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
from shared.store.tables import Conflict, Table, Write, deletion, etag_of, insertion, merger, replacement
from tests.support.memory_queue import MemoryQueue
from tests.support.memory_table import MemoryTable
from tests.support.world import eventually

_count = itertools.count()

PARTITIONS = ("p", "q")
ROWS = ("!operation", "a", "b", "ä", "due|1", "due|2", "\U0001f600", "￿")
FEW = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Long:
    """A text too long for a column, which is cut; kept out of what hypothesis prints."""

    character: str

    def text(self) -> str:
        return self.character * 40_000


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.sampled_from([2**31, 2**40, 0.5, -3.0, Long("x"), Long("\U0001f600")]),
    st.text(max_size=6),
    st.datetimes(min_value=datetime(1601, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001, made aware by the strategy
)
columns = st.fixed_dictionaries(
    {}, optional={"One": values, "Two": values, "Text": st.sampled_from(["", *ROWS, "it's", Long("x")])}
)
keys = st.tuples(st.sampled_from(PARTITIONS), st.sampled_from(ROWS))
rows = st.builds(lambda key, more: {"PartitionKey": key[0], "RowKey": key[1], **more}, keys, columns)


@dataclass(frozen=True)
class Etags:
    """The ETag of one write, on either side."""

    memory: str
    azurite: str


@dataclass(frozen=True)
class Planned:
    """A write of a group, to be made for either side with its own ETag."""

    kind: str
    row: Mapping[str, Any]
    etags: Etags | None

    def make(self, etag: str) -> Write:
        match self.kind:
            case "insert":
                return insertion(self.row)
            case "replace":
                return replacement(self.row, etag)
            case "merge":
                return merger(self.row, etag)
            case _:
                return deletion(self.row["PartitionKey"], self.row["RowKey"], etag or None)


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


def outcome(act: Callable[[], Any]) -> Any:  # noqa: ANN401, whatever the call gives
    """What a call returns, or the error that the app would see."""
    try:
        return act()
    except Conflict as conflict:
        return "Conflict", conflict.index
    except Exception as error:  # noqa: BLE001, its kind is the answer
        return type(error).__name__, getattr(error, "status_code", None)


class TablesAgree(RuleBasedStateMachine):
    """The app's table on the table in memory, and on Azurite's."""

    service: Tables
    etags: Bundle[Etags] = Bundle("etags")

    def __init__(self) -> None:
        super().__init__()
        self.memory = Table(MemoryTable(page=2))  # type: ignore[arg-type]  # it stands for the SDK's client
        self.azurite = Table(self.service.get_table_client(f"rows{next(_count)}"))
        self.memory.create()
        self.azurite.create()

    @rule(key=keys, target=etags)
    def get(self, key: tuple[str, str]) -> Any:  # noqa: ANN401, none or one
        ours, theirs = outcome(lambda: self.memory.get(*key)), outcome(lambda: self.azurite.get(*key))
        assert ours == theirs
        if ours is None or isinstance(ours, tuple):
            return multiple()
        assert {name: type(value) for name, value in ours.items()} == {n: type(v) for n, v in theirs.items()}
        return Etags(etag_of(ours), etag_of(theirs))

    @rule(row=rows)
    def insert(self, row: Mapping[str, Any]) -> None:
        row = _written_out(row)
        ours, theirs = outcome(lambda: bool(self.memory.insert(row))), outcome(lambda: bool(self.azurite.insert(row)))
        assert ours == theirs

    @rule(partition=st.sampled_from(PARTITIONS), row=st.sampled_from(["a/b", "a\\b", "a#", "a?", "tab\t"]))
    def insert_under_a_forbidden_key(self, partition: str, row: str) -> None:
        writes = [insertion({"PartitionKey": partition, "RowKey": row})]
        assert outcome(lambda: self.memory.write(writes)) == outcome(lambda: self.azurite.write(writes))

    @rule(row=rows)
    def upsert(self, row: Mapping[str, Any]) -> None:
        row = _written_out(row)
        assert outcome(lambda: self.memory.upsert(row)) == outcome(lambda: self.azurite.upsert(row))

    @rule(
        partition=st.sampled_from(PARTITIONS),
        kinds=st.lists(
            st.tuples(st.sampled_from(["insert", "replace", "merge", "delete", "delete if"]), rows, st.booleans()),
            min_size=1,
            max_size=4,
        ),
        mixed=st.integers(0, 9).map(lambda number: number == 0),
        etags=st.lists(etags, min_size=4, max_size=4),
        target=etags,
    )
    def write(
        self,
        partition: str,
        kinds: Sequence[tuple[str, Mapping[str, Any], bool]],
        mixed: bool,  # noqa: FBT001, hypothesis passes it by name
        etags: Sequence[Etags],
    ) -> Any:  # noqa: ANN401, several
        plan = [
            Planned(
                "delete" if kind == "delete if" else kind,
                _written_out(row if mixed else {**row, "PartitionKey": partition}),
                self._current(partition, row["RowKey"], old) if is_current else old,
            )
            for (kind, row, is_current), old in zip(kinds, etags, strict=False)
        ]
        is_plain = [kind == "delete" for kind, _, _ in kinds]
        ours = outcome(lambda: self.memory.write(_group(plan, is_plain, lambda each: each.memory)))
        theirs = outcome(lambda: self.azurite.write(_group(plan, is_plain, lambda each: each.azurite)))
        if not isinstance(ours, list):
            assert ours == theirs
            return multiple()
        assert isinstance(theirs, list)
        assert [bool(each) for each in ours] == [bool(each) for each in theirs]
        return multiple(*(Etags(*both) for both in zip(ours, theirs, strict=True) if all(both)))

    def _current(self, partition: str, row: str, old: Etags) -> Etags:
        ours, theirs = (
            outcome(lambda: self.memory.get(partition, row)),
            outcome(lambda: self.azurite.get(partition, row)),
        )
        if ours is None or isinstance(ours, tuple):
            return old
        return Etags(etag_of(ours), etag_of(theirs))

    @rule(
        partition=st.sampled_from(PARTITIONS),
        comparison=st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]),
        column=st.sampled_from(["PartitionKey", "RowKey", "Text"]),
        bound=st.sampled_from([*ROWS, *PARTITIONS, "", "it's"]),
        select=st.sampled_from([None, ["RowKey"], ["RowKey", "One"]]),
    )
    def query(self, partition: str, comparison: str, column: str, bound: str, select: list[str] | None) -> None:
        condition = f"PartitionKey eq @partition and {column} {comparison} @bound"
        parameters = {"partition": partition, "bound": bound}
        ours = list(self.memory.query(condition, parameters, select=select))
        assert ours == list(self.azurite.query(condition, parameters, select=select))

    @invariant()
    def rows_and_their_order_agree(self) -> None:
        everything = "PartitionKey ge 'p' and RowKey ne 'not a row'"
        assert list(self.memory.query(everything, {})) == list(self.azurite.query(everything, {}))


def _written_out(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value.text() if isinstance(value, Long) else value for name, value in row.items()}


def _group(plan: Sequence[Planned], is_plain: Sequence[bool], side: Callable[[Etags], str]) -> list[Write]:
    return [
        each.make("" if plain or each.etags is None else side(each.etags))
        for each, plain in zip(plan, is_plain, strict=True)
    ]


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
        run_state_machine_as_test(type("Machine", (TablesAgree,), {"service": service}), settings=FEW)


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
            side.send_message("hidden", visibility_timeout=1, time_to_live=-1)
            assert side.receive_message(visibility_timeout=1) is None
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
