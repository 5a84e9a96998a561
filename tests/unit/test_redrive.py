"""What a person may have redriven, and how the request for it is read."""

import pytest

from shared.endpoints import Endpoints
from shared.fields import MessageRefused, Object
from shared.messages import Defaults
from shared.model import ALREADY_INGESTED, BlobReport, RetryState
from shared.records import BlobRow
from shared.redrive import given_up_as
from shared.redrive_request import name_of, read_blobs_request
from tests.support.facts import CLUSTER, blob, failed

DEFAULTS = Defaults(Endpoints(CLUSTER), "Sales", "Orders")


@pytest.mark.parametrize(
    ("report", "state", "reason"),
    [
        (failed("Permanent"), RetryState.NONE, "Permanent"),
        (failed("Exhausted"), RetryState.NONE, "Exhausted"),
        (failed("Unknown"), RetryState.NONE, "Unknown"),
        (failed("new to us"), RetryState.NONE, "Unknown"),
        (failed(None), RetryState.NONE, "Unknown"),
        (failed("Transient"), RetryState.ATTEMPTS_EXHAUSTED, "AttemptsExhausted"),
        (failed("Transient"), RetryState.NOT_RESUBMITTABLE, "NotResubmittable"),
        (failed("Permanent"), RetryState.NOT_RESUBMITTABLE, "NotResubmittable"),
        # The app has these in hand.
        (failed("Transient"), RetryState.PENDING, None),
        (failed("Transient"), RetryState.ENQUEUED, None),
        (failed("Transient"), RetryState.RESUBMITTED, None),
        (failed("Transient"), RetryState.NONE, None),
        # These have not failed.
        (failed("Permanent", error_code=ALREADY_INGESTED), RetryState.NONE, None),
        (blob("Succeeded"), RetryState.NONE, None),
        (blob("Succeeded"), RetryState.RECOVERED, None),
        (blob("InProgress"), RetryState.NOT_RESUBMITTABLE, None),
        (blob("Canceled"), RetryState.NONE, None),
    ],
)
def test_only_what_has_failed_and_was_given_up(report: BlobReport, state: RetryState, reason: str | None) -> None:
    assert given_up_as(BlobRow("key", report, 1, state)) == reason


def test_a_request_is_the_operations_message_again() -> None:
    content: Object = {"properties": {"format": "csv"}, "blobs": [{"url": "https://x/a?sig=1"}], "only": ["permanent"]}
    request = read_blobs_request("op", content, "ada", DEFAULTS)
    operation = request.message.operation
    assert (operation.cluster, operation.database, operation.table) == (CLUSTER, "Sales", "Orders")
    assert (operation.operation_id, request.by, request.only) == ("op", "ada", frozenset({"Permanent"}))
    assert [each.url for each in request.message.blobs] == ["https://x/a?sig=1"]


def test_an_id_that_no_path_can_hold_stands_in_the_body() -> None:
    content: Object = {"operationId": "a/b", "database": "D", "table": "T"}
    assert read_blobs_request("-", content, "ada", DEFAULTS).message.operation.operation_id == "a/b"


@pytest.mark.parametrize(
    "content",
    [
        {"only": "Permanent"},
        {"only": ["Permanent", 1]},
        {"only": ["Transient"]},
        {"cluster": "https://evil.example"},
        {"blobs": 1},
        {"blobs": []},
        {"only": []},
        {"Only": ["Permanent"]},
        {"blob": "https://x/a"},
        {"Blobs": [{"url": "https://x/a"}]},
        {"url": "https://x/a"},
        {"sourceId": "s"},
    ],
)
def test_a_request_that_can_not_be_understood(content: Object) -> None:
    with pytest.raises(MessageRefused):
        read_blobs_request("op", content, "ada", DEFAULTS)


@pytest.mark.parametrize("name", ["", "  ", "\n", "long " * 21])
def test_who_asks_has_a_name(name: str) -> None:
    with pytest.raises(MessageRefused):
        name_of(name)


def test_a_name_is_one_line_and_no_secret() -> None:
    assert name_of(" ada\nlovelace ") == "ada lovelace"
    assert "c2VjcmV0" not in name_of("Bearer c2VjcmV0c2VjcmV0")
