"""When a load is in, as the sample decides it of the news."""

from itertools import permutations
from typing import Any

import pytest

from samples.results import latest_by_operation, verdict

type News = dict[str, Any]


def news(
    operation_id: str = "root",
    succeeded: int = 0,
    failed: int = 0,
    canceled: int = 0,
    *,
    transient: int = 0,
    retried: int = 0,
    parent: str | None = None,
    event: str = "settled",
    state: str = "Any",
    in_progress: int = 0,
) -> News:
    return {
        "event": event,
        "operationId": operation_id,
        "rootOperationId": "root",
        "parentOperationId": parent,
        "state": state,
        "blobs": {"succeeded": succeeded, "failed": failed, "inProgress": in_progress, "canceled": canceled},
        "transientFailures": transient,
        "retriedBlobs": retried,
    }


HALF = news(succeeded=3, failed=2, transient=2, retried=2)
FIRST = news("first", succeeded=1, parent="root")
SECOND = news("second", succeeded=1, parent="root")
AGAIN = news("again", failed=1, transient=1, retried=1, parent="root")
THIRD = news("third", succeeded=1, parent="again")
MENDED = news(succeeded=4, failed=1, transient=1, retried=2, event="corrected")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], "waiting"),
        ([news(succeeded=3)], "in"),
        ([news(failed=1)], "failed"),
        ([news(succeeded=2, canceled=1)], "failed"),
        ([news(state="NotFound")], "failed"),
        ([news(state="TimedOut", succeeded=1, in_progress=1)], "failed"),
        # Given up after the last attempt.
        ([news(failed=1, transient=1)], "failed"),
        ([HALF], "waiting"),
        ([HALF, FIRST], "waiting"),
        ([HALF, FIRST, SECOND], "in"),
        ([FIRST, SECOND], "waiting"),
        ([HALF, FIRST, AGAIN], "waiting"),
        ([HALF, FIRST, AGAIN, THIRD], "in"),
        ([HALF, FIRST, news("again", failed=1, parent="root")], "failed"),
        # One of the two was mended by ADX, the other is submitted again.
        ([HALF, MENDED], "waiting"),
        ([HALF, MENDED, FIRST], "in"),
        # One was mended, and one is Permanent: nothing more comes.
        ([news(succeeded=1, failed=1, retried=1, event="corrected")], "failed"),
        # One was Permanent, and a person had it tried again.
        ([news(succeeded=1, failed=1), FIRST], "in"),
    ],
)
def test_a_load_is_in_when_each_blob_that_failed_is_accounted_for(told: list[News], expected: str) -> None:
    for each in permutations(told):
        assert verdict(each) == expected


def test_of_an_operation_the_last_correction_counts_whatever_came_last() -> None:
    corrected = [HALF, MENDED, news(succeeded=5, retried=2, event="corrected")]
    for each in permutations(corrected):
        assert latest_by_operation(each) == {"root": corrected[-1]}
