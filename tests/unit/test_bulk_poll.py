"""Asking in bulk for what is due: which are asked for together, and what becomes of whatever comes."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from shared.ambient import Ambient
from shared.bulk import after_unmoved
from shared.bulk_poll import LEAST_OPERATIONS, Answered, BulkAsker
from shared.errors import (
    AccessRefused,
    EndpointNotAllowed,
    KustoError,
    RequestRejected,
    RoleMissing,
    Throttled,
    Unavailable,
)
from shared.kusto.bulk import MOST_OPERATIONS
from shared.model import BulkStatus, Counts, Operation
from shared.progress import Pace
from shared.records import Outstanding
from tests.support.facts import NOW, OPERATION, POLLING, outstanding

COUNTS = Counts(in_progress=2)
UNMOVED = BulkStatus(is_in_progress=True, counts=COUNTS)


@dataclass
class Bulk:
    """Says what was set of operations, else that nothing has moved."""

    said: dict[str, BulkStatus | None] = field(default_factory=dict)
    error: Exception | None = None
    asked: list[Sequence[Operation]] = field(default_factory=list)

    def bulk_status(self, operations: Sequence[Operation]) -> Mapping[Operation, BulkStatus]:
        self.asked.append(operations)
        if self.error is not None:
            raise self.error
        said = {each: self.said.get(each.operation_id, UNMOVED) for each in operations}
        return {each: status for each, status in said.items() if status is not None}


class Asking:
    """An asker on a clock that the test moves."""

    def __init__(self) -> None:
        self.now: datetime = NOW
        self.bulk = Bulk()
        self.noted: list[KustoError] = []
        self.executor = ThreadPoolExecutor(2)
        self.pace = Pace(POLLING, Ambient(now=lambda: self.now, random=lambda: 0.5))
        self.asker = BulkAsker(self.bulk, self.pace, self.executor, least=2)

    def ask(self, *due: Outstanding, is_over: bool = False) -> Answered:
        return self.asker.ask(due, lambda: is_over, lambda _, error: self.noted.append(error))


@pytest.fixture
def asking() -> Iterator[Asking]:
    made = Asking()
    yield made
    made.executor.shutdown()


def watched(operation_id: str, counts: Counts = COUNTS, **where: str) -> Outstanding:
    return outstanding(operation=replace(OPERATION, operation_id=operation_id, **where), counts=counts, polls=1)


A, B, C = watched("a"), watched("b"), watched("c")


def test_the_unmoved_are_put_off_and_the_rest_is_left_in_its_order(asking: Asking) -> None:
    asking.bulk.said = {"b": BulkStatus(is_in_progress=True, counts=Counts(1, in_progress=1)), "c": BulkStatus()}
    new = watched("new", Counts())
    answered = asking.ask(C, A, new, B)
    assert answered.moves == [(A, after_unmoved(A, NOW, asking.pace))]
    assert answered.left == [C, new, B]


def test_what_the_answer_lacks_is_asked_for_by_itself_for_good(
    asking: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    asking.bulk.said = {"a": None}
    with caplog.at_level(logging.INFO):
        answered = asking.ask(A, B)
        alone = answered.left[0]
        assert alone == replace(A, rest_only=True)
        assert asking.ask(alone, B, C).left == [alone]
        asking.bulk.said = {"b": None}
        asking.ask(B, C)
    assert [[each.operation_id for each in group] for group in asking.bulk.asked] == [
        ["a", "b"],
        ["b", "c"],
        ["b", "c"],
    ]
    assert caplog.text.count("bulk.not_shown") == 1
    assert "operations=1 of=2" in caplog.text


def test_a_group_is_of_one_database_and_has_two_hundred_operations_at_the_most(asking: Asking) -> None:
    due = [watched(f"{place}", table=f"t{place % 3}") for place in range(2 * MOST_OPERATIONS)]
    other = [watched(f"o{place}", database="other") for place in range(3)]
    elsewhere = [watched(f"e{place}", cluster="https://elsewhere") for place in range(2)]
    answered = asking.ask(*other, *due, *elsewhere)
    assert len(answered.moves) == 2 * MOST_OPERATIONS + 5
    groups = [{(each.cluster, each.database) for each in group} for group in asking.bulk.asked]
    assert all(len(group) == 1 for group in groups)
    assert sorted(map(len, asking.bulk.asked)) == [2, 3, MOST_OPERATIONS, MOST_OPERATIONS]


def test_few_operations_of_a_database_are_left(asking: Asking) -> None:
    asking.asker = BulkAsker(asking.bulk, asking.pace, asking.executor)
    few = [watched(f"few{place}", database="other") for place in range(LEAST_OPERATIONS - 1)]
    enough = [watched(f"enough{place}") for place in range(LEAST_OPERATIONS)]
    assert asking.ask(*few, *enough).left == few
    assert [len(group) for group in asking.bulk.asked] == [LEAST_OPERATIONS]


def test_nothing_is_begun_when_time_is_over(asking: Asking) -> None:
    assert asking.ask(A, B, is_over=True).left == [A, B]
    assert asking.bulk.asked == []


@pytest.mark.parametrize(
    ("error", "minutes", "is_noted"),
    [
        (RequestRejected("no such command"), 60, False),
        (RoleMissing("no Ingestor"), 60, False),
        (AccessRefused("no token"), 5, False),
        (EndpointNotAllowed("not named"), 5, False),
        (Throttled("busy"), 5, True),
        (Unavailable("down"), 5, True),
        (ZeroDivisionError("a defect"), 5, False),
    ],
)
def test_a_database_is_left_alone_for_a_while_after_an_error(
    asking: Asking, caplog: pytest.LogCaptureFixture, error: Exception, minutes: int, *, is_noted: bool
) -> None:
    asking.bulk.error = error
    assert asking.ask(A, B).left == [A, B], "they are asked for one by one, and in bulk another time"
    assert asking.noted == ([error] if is_noted else [])
    assert caplog.text.count("bulk.left_alone") == 1
    assert f"minutes={minutes}" in caplog.text
    asking.bulk.error = None
    asking.now += timedelta(minutes=minutes, seconds=-1)
    assert asking.ask(A, B).left == [A, B]
    assert asking.ask(*(replace(each, operation=replace(each.operation, database="x")) for each in (A, B))).left == []
    asking.now += timedelta(seconds=1)
    assert asking.ask(A, B).left == []
    assert caplog.text.count("bulk.left_alone") == 1


def test_the_text_of_a_defect_is_told_without_its_secrets(asking: Asking, caplog: pytest.LogCaptureFixture) -> None:
    asking.bulk.error = ValueError("https://acc.blob.core.windows.net/in/a.csv?sig=s3cr3t")
    asking.ask(A, B)
    assert caplog.records[-1].levelno == logging.ERROR
    assert "s3cr3t" not in caplog.text
