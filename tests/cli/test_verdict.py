"""When an operation has settled with what it was submitted again as, and whether that went well."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cli.facts import BlobCounts, BlobFacts, OperationFacts
from cli.failing import by_code
from cli.verdict import UNKNOWN, Part, standing_of
from shared.model import ALREADY_INGESTED
from tests.support.facts import CLUSTER


def operation(operation_id: str = "op-1", state: str = "Failed", **counts: int) -> OperationFacts:
    return OperationFacts(
        operation_id=operation_id,
        cluster=CLUSTER,
        database="Sales",
        table="Orders",
        state=state,
        attempt=1,
        root_operation_id="op-1",
        registered_at=datetime(2026, 11, 26, tzinfo=UTC),
        blobs=BlobCounts(**counts),
    )


def blob(retry_state: str | None = None, **facts: Any) -> BlobFacts:  # noqa: ANN401, facts of all kinds
    return BlobFacts(**{"blob_key": "k", "status": "Failed", "retry_state": retry_state, **facts})


AGAIN = blob("Resubmitted", retry_operation_id="op-2")


@pytest.mark.parametrize(
    ("parts", "settled", "succeeded", "unfinished"),
    [
        ([Part(operation(state="Succeeded", succeeded=3))], True, True, 0),
        ([Part(operation(state="InProgress", succeeded=1, in_progress=2))], False, False, 2),
        # Registered, and not asked for yet.
        ([Part(operation(state="InProgress"))], False, False, 0),
        ([Part(operation(failed=1), (blob(),))], True, False, 0),
        ([Part(operation(failed=1), (blob("AttemptsExhausted"),))], True, False, 0),
        ([Part(operation(failed=1), (blob("NotResubmittable"),))], True, False, 0),
        ([Part(operation(failed=1), (blob("Pending"),))], False, False, 1),
        ([Part(operation(failed=1), (blob("Enqueued"),))], False, False, 1),
        # Submitted again, and that is not registered yet.
        ([Part(operation(failed=1), (AGAIN,))], False, False, 1),
        ([Part(operation(failed=1), (AGAIN,)), Part(operation("op-2", "InProgress", in_progress=1))], False, False, 1),
        ([Part(operation(failed=1), (AGAIN,)), Part(operation("op-2", "Succeeded", succeeded=1))], True, True, 0),
        ([Part(operation(failed=1), (AGAIN,)), Part(operation("op-2", failed=1), (blob(),))], True, False, 0),
        # Submitted again without an ID: nobody can tell what becomes of it, and nothing says that it failed.
        ([Part(operation(failed=1), (blob("Resubmitted"),))], True, True, 0),
        ([Part(operation(failed=1), (blob("Recovered"),))], True, True, 0),
        ([Part(operation(failed=1), (blob(error_code=ALREADY_INGESTED),))], True, True, 0),
        ([Part(operation(state="NotFound"))], True, False, 0),
        ([Part(operation(state="TimedOut", in_progress=2))], True, False, 0),
        ([Part(operation(state="Canceled", canceled=2))], True, False, 0),
    ],
)
def test_a_standing(parts: list[Part], settled: bool, succeeded: bool, unfinished: int) -> None:  # noqa: FBT001, a case
    standing = standing_of(parts)
    assert (standing.has_settled, standing.has_succeeded, standing.unfinished) == (settled, succeeded, unfinished)


def test_what_is_not_known_has_not_settled() -> None:
    assert standing_of([]) == UNKNOWN
    assert not UNKNOWN.has_settled
    assert not UNKNOWN.has_succeeded


def test_without_following_a_blob_that_is_tried_again_has_failed() -> None:
    standing = standing_of([Part(operation(failed=1), (blob("Enqueued"),))], follows=False)
    assert (standing.has_settled, standing.has_succeeded) == (True, False)
    assert [each.retry_state for _, each in standing.given_up] == ["Enqueued"]


def test_failures_by_code_come_with_the_most_frequent_first() -> None:
    one, two = operation("op-1"), operation("op-2")
    pairs = [(one, blob(error_code="A")), (one, blob(error_code="B")), (two, blob(error_code="B")), (two, blob())]
    found = by_code(pairs)
    assert [(each.error_code, each.blobs, len(each.operations)) for each in found] == [
        ("B", 2, 2),
        (None, 1, 1),
        ("A", 1, 1),
    ]
    assert found[0].tables == ["Sales.Orders"]
