"""What a person may have redriven, and how the request for it is read and answered."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from shared import api
from shared.app import UnknownQueue
from shared.endpoints import Endpoints
from shared.fields import MessageRefused, Object
from shared.invocation import StorageFailed
from shared.messages import Defaults
from shared.model import ALREADY_INGESTED, BlobReport, RetryState
from shared.records import BlobRow
from shared.redrive import Redriven, RedriveRefused, StillWatched, UnknownOperation, given_up_as
from shared.redrive_request import name_of, read_blobs_request, read_content
from shared.store.results import Contended
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


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_a_request_may_be_empty(body: bytes) -> None:
    assert read_content(body) == {}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"op", b"\xff"])
def test_a_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(MessageRefused):
        read_content(body)


@pytest.mark.parametrize("name", ["", "  ", "\n", "long " * 21])
def test_who_asks_has_a_name(name: str) -> None:
    with pytest.raises(MessageRefused):
        name_of(name)


def test_a_name_is_one_line_and_no_secret() -> None:
    assert name_of(" ada\nlovelace ") == "ada lovelace"
    assert "c2VjcmV0" not in name_of("Bearer c2VjcmV0c2VjcmV0")


class Recorder:
    """A tracker that keeps what it is asked, and does what the test wants."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[object, ...]] = []
        self._error = error

    def redrive_blobs(self, *asked: object) -> Redriven:
        return self._done(asked)

    def redrive_messages(self, *asked: object) -> Redriven:
        return self._done(asked)

    def _done(self, asked: tuple[object, ...]) -> Redriven:
        self.asked.append(asked)
        if self._error:
            raise self._error
        return Redriven("id-1", 2, 1)


def blobs(recorder: Recorder, body: bytes, key: str = "") -> api.Answer:
    return api.redrive_blobs(_giving(recorder), "op", api.Request(body, key))


def messages(recorder: Recorder, body: bytes, key: str = "") -> api.Answer:
    return api.redrive_messages(_giving(recorder), "things", api.Request(body, key))


def _giving(recorder: Recorder) -> Callable[[], Any]:
    return lambda: recorder


def test_an_answer_says_what_was_done() -> None:
    recorder = Recorder()
    answer = blobs(recorder, b'{"as": "ada", "only": ["Permanent"]}')
    assert recorder.asked == [("op", {"only": ["Permanent"]}, "ada")]
    assert (answer.status, answer.media_type) == (200, "application/json")
    assert answer.content == {"redriveId": "id-1", "blobs": 2, "left": 1}
    assert messages(recorder, b'{"as": "ada", "most": 10}').content == {"redriveId": "id-1", "messages": 2, "left": 1}
    assert recorder.asked[1] == ("things", "ada", 10)


def test_a_key_tells_who_asks_and_can_not_be_told() -> None:
    recorder = Recorder()
    digest = hashlib.sha256(b"the-key").hexdigest()[:8]
    blobs(recorder, b"", "the-key")
    messages(recorder, b'{"as": "ada"}', "the-key")
    assert [asked[-1] if asked[0] == "op" else asked[1] for asked in recorder.asked] == [
        f"key {digest}",
        f"ada (key {digest})",
    ]


def test_nobody_can_not_ask() -> None:
    recorder = Recorder()
    answer = blobs(recorder, b"{}")
    assert (answer.status, recorder.asked) == (400, [])
    assert "who asks" in str(answer.content["detail"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MessageRefused("x"), 400),
        (UnknownOperation("x"), 404),
        (UnknownQueue("x"), 404),
        (StillWatched("x"), 409),
        (RedriveRefused("x"), 422),
        (StorageFailed("x"), 503),
        (Contended("x"), 503),
    ],
)
def test_an_error_is_told_as_problem_details(error: Exception, status: int) -> None:
    answer = blobs(Recorder(error), b'{"as": "ada"}')
    assert (answer.status, answer.media_type) == (status, "application/problem+json")
    assert (answer.content["status"], answer.content["detail"]) == (status, "x")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"as": 1}',
        b'{"as": "ada", "most": -1}',
        b'{"as": "ada", "most": 0}',
        b'{"as": "ada", "most": "all"}',
        b'{"as": "ada", "max": 1}',
        b'{"as": "ada", "operationId": "op"}',
    ],
)
def test_a_request_for_messages_that_can_not_be_understood(body: bytes) -> None:
    recorder = Recorder()
    assert (messages(recorder, body).status, recorder.asked) == (400, [])


def test_a_defect_is_not_told_as_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        blobs(Recorder(ZeroDivisionError()), b'{"as": "ada"}')
