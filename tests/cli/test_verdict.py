"""When an operation has settled with what it was submitted again as, and whether that went well."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from cli.facts import BlobCounts, BlobFacts, Lineage, Named, OperationFacts, OperationInFull
from cli.failing import by_code
from cli.following import Follower
from cli.verdict import UNKNOWN, Part, standing_of
from shared.model import ALREADY_INGESTED
from tests.support.facts import CLUSTER

if TYPE_CHECKING:
    from cli.source import Source


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
        # Submitted again without an ID: nobody can tell whether it was loaded.
        ([Part(operation(failed=1), (blob("Resubmitted"),))], True, False, 0),
        # ADX tries it again by itself after its operation has ended.
        ([Part(operation(failed=1), (blob("Enqueued", status="InProgress"),))], False, False, 1),
        ([Part(operation(failed=1), (blob("NotResubmittable", status="InProgress"),))], True, False, 0),
        ([Part(operation(state="PartiallySucceeded", succeeded=1, canceled=1))], True, False, 0),
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
    standing = standing_of([Part(operation(failed=1), (blob("Enqueued", status="InProgress"),))], follows=False)
    assert (standing.has_settled, standing.has_succeeded) == (True, False)


@dataclass
class OneOperation:
    """A tracker that knows one operation, with the blobs that are asked for alone."""

    known: OperationFacts
    of_it: tuple[BlobFacts, ...]

    def operation(self, named: Named) -> OperationInFull:
        lineage = Lineage(root_operation_id=named.operation_id, operations=())
        return OperationInFull(**msgspec.structs.asdict(self.known), lineage=lineage)

    def blobs(
        self, _operation: Named, *, statuses: Collection[str] = (), retry_states: Collection[str] = ()
    ) -> Iterator[BlobFacts]:
        return (each for each in self.of_it if each.status in statuses and not retry_states)


@pytest.mark.parametrize(
    ("of_it", "settled", "succeeded"),
    [
        # The row of a blob on the retry queue follows ADX, which may be at it again by itself, or have canceled it.
        (blob("Enqueued", status="InProgress"), False, False),
        (blob("NotResubmittable", status="InProgress"), True, False),
        (blob("NotResubmittable", status="Canceled"), True, False),
        (blob("Recovered", status="Succeeded"), True, True),
    ],
)
def test_a_blob_that_is_not_called_failed_any_more_is_followed_to_its_end(
    of_it: BlobFacts,
    settled: bool,  # noqa: FBT001, a case
    succeeded: bool,  # noqa: FBT001, a case
) -> None:
    source = cast("Source", OneOperation(operation(failed=1), (of_it,)))
    follower = Follower(source, [Named("op-1")], follows=True)
    ((_, standing),) = follower.look()
    assert (standing.has_settled, standing.has_succeeded) == (settled, succeeded)


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
