"""How a request to the HTTP API is read, whom it lets in, and what it answers when something is wrong."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared import api
from shared.api.continuation import read_token, write_token
from shared.api.naming import location, spellings
from shared.api.parameters import parse_moment
from shared.api.problems import BadRequest
from shared.app import UnknownQueue
from shared.fields import MessageRefused
from shared.invocation import StorageFailed
from shared.model import Operation
from shared.reading import AmbiguousOperation, Named
from shared.redrive import RedriveRefused, StillWatched, UnknownOperation
from shared.settings import ApiAuth
from shared.store.results import Contended
from shared.store.tables import NotStorable
from tests.support.api import SETTINGS, Recorder, ask
from tests.support.facts import CLUSTER, OPERATION

ENTRA = replace(SETTINGS, api_auth=ApiAuth.ENTRA, platform_authenticates=True)
SIGNED_IN = {"x-ms-client-principal-name": "ada@example.com", "x-ms-client-principal-id": "id-of-ada"}
DIGEST = hashlib.sha256(b"the-key").hexdigest()[:8]


def blobs(recorder: Recorder, body: object = b"", **more: Any) -> api.Answer:  # noqa: ANN401, as ask takes it
    return ask(api.REDRIVE_BLOBS, recorder, route={"operationId": "op"}, body=body, **more)


def messages(recorder: Recorder, body: object = b"", **more: Any) -> api.Answer:  # noqa: ANN401, as ask takes it
    return ask(api.REDRIVE_MESSAGES, recorder, route={"queue": "things"}, body=body, **more)


def detail(answer: api.Answer) -> str:
    return str(answer.content["detail"])


def test_an_answer_says_what_was_done() -> None:
    recorder = Recorder()
    answer = blobs(recorder, {"as": "ada", "only": ["Permanent"]})
    names = {"operationId": OPERATION.operation_id, "cluster": CLUSTER, "database": "Sales", "table": "Orders"}
    assert recorder.asked == [(OPERATION.operation_id, {"only": ["Permanent"], **names}, "ada")]
    assert (answer.status, answer.media_type) == (200, "application/json")
    assert answer.content == {"redriveId": "id-1", "blobs": 2, "left": 1}
    assert messages(recorder, {"as": "ada", "most": 10}).content == {"redriveId": "id-1", "messages": 2, "left": 1}
    assert recorder.asked[1] == ("things", "ada", 10)


def test_a_key_tells_who_asks_and_can_not_be_told() -> None:
    recorder = Recorder()
    messages(recorder, headers={"x-functions-key": "the-key"})
    messages(recorder, {"as": "ada"}, query="code=the-key")
    messages(recorder, {"as": "ada"}, query="Code=the-key")
    assert [asked[1] for asked in recorder.asked] == [f"key {DIGEST}", f"ada (key {DIGEST})", f"ada (key {DIGEST})"]


def test_a_further_key_that_the_host_does_not_look_at_makes_no_other_digest() -> None:
    recorder = Recorder()
    messages(recorder, headers={"x-functions-key": "the-key,made-up"})
    messages(recorder, query="code=the-key&code=made-up")
    assert {asked[1] for asked in recorder.asked} == {f"key {DIGEST}"}
    # As a host hands over a header that is no UTF-8, if it asks for no key.
    assert messages(recorder, headers={"x-functions-key": "\udcff"}).status == 200


def claims(content: object) -> dict[str, str]:
    return {"x-ms-client-principal": base64.b64encode(json.dumps(content).encode()).decode()}


OBJECT_ID = {"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": "id-of-a-service"}
USER_NAME = {"typ": "preferred_username", "val": "ada@example.com"}


def test_claims_alone_tell_who_has_signed_in() -> None:
    recorder = Recorder()
    for each in ([OBJECT_ID, USER_NAME], [OBJECT_ID, {"typ": "preferred_username", "val": ""}], [OBJECT_ID]):
        messages(recorder, headers=claims({"auth_typ": "aad", "claims": each}), settings=ENTRA)
    messages(recorder, headers=SIGNED_IN | claims({"claims": [OBJECT_ID]}), settings=ENTRA)
    asked = [each[1] for each in recorder.asked]
    assert asked == ["ada@example.com", "id-of-a-service", "id-of-a-service", "ada@example.com"]


def test_who_has_signed_in_is_who_asks() -> None:
    recorder = Recorder()
    messages(recorder, headers=SIGNED_IN, settings=ENTRA)
    messages(recorder, {"as": "for bob"}, headers=SIGNED_IN, settings=ENTRA)
    messages(recorder, headers={"x-ms-client-principal-id": "id-of-a-service"}, settings=ENTRA)
    messages(recorder, headers={"x-ms-client-principal-name": "x" * 300}, settings=ENTRA)
    asked = [each[1] for each in recorder.asked]
    assert asked == ["ada@example.com", "for bob (ada@example.com)", "id-of-a-service", "x" * 100]


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        (ENTRA, {}),
        (ENTRA, {"x-functions-key": "the-key"}),
        (ENTRA, {"x-ms-client-principal-name": " "}),
        (ENTRA, {"x-ms-client-principal": "no base64"}),
        (ENTRA, {"x-ms-client-principal": "\u00e9"}),
        (ENTRA, {"x-ms-client-principal": base64.b64encode(b"\xff").decode()}),
        (ENTRA, {"x-ms-client-principal": base64.b64encode(b"[" * 20_000).decode()}),
        (ENTRA, claims([USER_NAME])),
        (ENTRA, claims({"claims": "ada"})),
        (ENTRA, claims({"claims": [{"typ": "preferred_username", "val": 1}]})),
        (ENTRA, claims({"claims": [{"typ": "role", "val": "x"}, {"typ": "preferred_username", "val": " "}]})),
        (replace(ENTRA, platform_authenticates=False), claims({"claims": [USER_NAME]})),
        (replace(ENTRA, platform_authenticates=False), SIGNED_IN),
    ],
)
def test_without_a_login_nobody_is_let_in(settings: Any, headers: dict[str, str]) -> None:  # noqa: ANN401, Settings
    recorder = Recorder()
    for endpoint in api.ENDPOINTS:
        answer = ask(endpoint, recorder, headers=headers, settings=settings)
        assert (answer.status, answer.media_type) == (401, "application/problem+json")
    assert recorder.asked == []


def test_a_claim_to_have_signed_in_counts_for_nothing_where_keys_do() -> None:
    recorder = Recorder()
    messages(recorder, headers=SIGNED_IN | {"x-functions-key": "the-key"})
    assert recorder.asked[0][1] == f"key {DIGEST}"


def test_nobody_can_not_ask() -> None:
    recorder = Recorder()
    answer = blobs(recorder, {})
    assert (answer.status, recorder.asked) == (400, [])
    assert "who asks" in detail(answer)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadRequest("x"), 400),
        (MessageRefused("x"), 400),
        (UnknownOperation("x"), 404),
        (UnknownQueue("x"), 404),
        (AmbiguousOperation("x"), 409),
        (StillWatched("x"), 409),
        (RedriveRefused("x"), 422),
        (NotStorable("x"), 422),
        (StorageFailed("x"), 503),
        (Contended("x"), 503),
    ],
)
def test_an_error_is_told_as_problem_details(error: Exception, status: int) -> None:
    answer = blobs(Recorder(error), {"as": "ada"})
    assert (answer.status, answer.media_type) == (status, "application/problem+json")
    assert (answer.content["status"], answer.content["detail"]) == (status, "x")
    assert answer.headers == {"Cache-Control": "no-store"}


def test_a_defect_is_not_told_as_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        blobs(Recorder(ZeroDivisionError()), {"as": "ada"})


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"op",
        b"\xff",
        b"NaN",
        {"as": 1},
        {"as": "ada", "most": -1},
        {"as": "ada", "most": 0},
        {"as": "ada", "most": "all"},
        {"as": "ada", "max": 1},
        {"as": "ada", "operationId": "op"},
    ],
)
def test_a_body_that_can_not_be_understood(body: object) -> None:
    recorder = Recorder()
    answer = messages(recorder, body)
    assert (answer.status, recorder.asked) == (400, [])


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}", b"\xef\xbb\xbf{}"])
def test_a_redrive_needs_no_body_but_for_who_asks(body: bytes) -> None:
    assert messages(Recorder(), body, headers={"x-functions-key": "k"}).status == 200


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_is_said_to_be_json(media_type: str) -> None:
    recorder = Recorder()
    for endpoint in (api.ADD, api.REDRIVE_BLOBS, api.REDRIVE_MESSAGES):
        answer = ask(endpoint, recorder, headers={"content-type": media_type}, body={"as": "ada"})
        assert (answer.status, detail(answer)) == (415, "send the header Content-Type: application/json")
    assert recorder.asked == []


def test_the_media_type_may_have_parameters() -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert messages(Recorder(), {"as": "ada"}, headers=headers).status == 200


def test_a_body_has_a_most() -> None:
    recorder = Recorder()
    assert ask(api.ADD, recorder, body=b'{"operationId":"' + b"x" * 48 * 1024 + b'"}').status == 413
    assert recorder.asked == []


def test_an_accepted_operation_is_told_where_it_will_be() -> None:
    recorder = Recorder()
    answer = ask(api.ADD, recorder, body={"operationId": "ingest_op_12345"}, headers={"x-functions-key": "the-key"})
    names = {"operationId": OPERATION.operation_id, "cluster": CLUSTER, "database": "Sales", "table": "Orders"}
    assert (answer.status, answer.content) == (202, names)
    assert answer.headers["Location"] == location(OPERATION)
    ((content, body, by),) = recorder.asked
    assert (content, body, by) == (
        {"operationId": "ingest_op_12345"},
        b'{"operationId": "ingest_op_12345"}',
        f"key {DIGEST}",
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("nope=1", "there is no query parameter 'nope'; this takes state, cluster"),
        ("State=Failed", "there is no query parameter 'State'"),
        ("https%3A%2F%2Fx%3Fsig%3Dsecret=1", "there is no query parameter of this name"),
        ("limit=1&limit=2", "'limit' comes twice"),
        ("state=Failed&state=Succeeded", "'state' comes twice"),
        ("database=", "'database' is empty: leave it out, or give 1 to 512 characters"),
        ("database=" + "x" * 513, "'database' is to be 1 to 512 characters"),
        ("database=%FF", "not UTF-8"),
        ("limit=0", "'limit' is to be a whole number from 1 to 100"),
        ("limit=101", "'limit' is to be a whole number from 1 to 100"),
        ("limit=1.0", "'limit' is to be a whole number from 1 to 100"),
        ("limit=%D9%A1", "'limit' is to be a whole number from 1 to 100"),
        ("state=Failed,failed", "'state' is to be some of InProgress, Succeeded, "),
        ("since=2026-11-25", "'since' is to be a time of RFC 3339"),
        ("since=2026-11-25T06:00:00", "'since' is to be a time of RFC 3339"),
        ("until=2026-02-30T06:00:00Z", "'until' is to be a time of RFC 3339"),
        ("cluster=help", "'cluster' is to be the cluster's ingestion endpoint"),
        ("continuationToken=%C3%BC", "malformed"),
        ("continuationToken=AAAA", "malformed"),
        ("continuationToken=A", "malformed"),
        ("operationId=a&continuationToken=AAAA", "not continued"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(query: str, said: str) -> None:
    answer = ask(api.LIST, Recorder(), query=query)
    assert (answer.status, answer.media_type) == (400, "application/problem+json")
    assert said in detail(answer)
    assert "secret" not in detail(answer)


def test_every_endpoint_refuses_what_it_does_not_know() -> None:
    assert {ask(each, Recorder(), query="nope=1").status for each in api.ENDPOINTS} == {400}


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-25T06:00:00Z", datetime(2026, 11, 25, 6, tzinfo=UTC)),
        ("2026-11-25t06:00:00.5z", datetime(2026, 11, 25, 6, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-25T06:00:00.123456789+01:30", datetime(2026, 11, 25, 4, 30, 0, 123_456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00+12:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59-12:00", datetime(2500, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_that_of_rfc_3339(text: str, time: datetime) -> None:
    assert parse_moment(text) == time


def test_a_token_is_good_for_its_own_listing() -> None:
    token = write_token("123|abc", ["operations", "Failed"])
    assert token is not None
    assert "123|abc" not in token
    assert read_token(token, ["operations", "Failed"]) == "123|abc"
    assert write_token(None, []) is None
    assert read_token(None, []) is None
    with pytest.raises(BadRequest, match="of another listing"):
        read_token(token, ["operations", "Succeeded"])


def test_a_token_that_was_changed_is_none() -> None:
    token = write_token("123|abc", []) or ""
    data = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    data[-1] ^= 1
    with pytest.raises(BadRequest):
        read_token(base64.urlsafe_b64encode(bytes(data)).decode().rstrip("="), [])


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("op", ("op",)),
        ("00001111;11112222;x", ("00001111;11112222;x",)),
        ("a%2Fb", ("a/b", "a%2Fb")),
        ("a%2fb%2Fc", ("a/b/c", "a%2fb%2Fc")),
    ],
)
def test_an_escaped_slash_in_a_path_may_be_either(value: str, ids: tuple[str, ...]) -> None:
    assert spellings(value) == ids


@pytest.mark.parametrize("operation_id", ["a/b", "a%2Fb", "a b+c&d?e#f", "00001111;11112222;x", "ü%"])
def test_a_location_leads_to_its_operation_whatever_its_id(operation_id: str) -> None:
    recorder = Recorder()
    path, _, query = location(Operation(CLUSTER, "D&B", "T", operation_id)).partition("?")
    ask(api.REDRIVE_BLOBS, recorder, route={"operationId": "not looked at"}, query=query, body={"as": "ada"})
    named = recorder.reading.named
    assert path.startswith("/api/operations/")
    assert (named.cluster, named.database, named.table) == (CLUSTER, "D&B", "T")
    if "/" in operation_id or "%2F" in operation_id:
        assert named.ids == (operation_id,)


def test_a_redrives_body_names_its_operation_before_its_url_does() -> None:
    recorder = Recorder()
    body = {"as": "ada", "operationId": "b/c", "table": "U"}
    ask(api.REDRIVE_BLOBS, recorder, route={"operationId": "a"}, query="table=T&database=D", body=body)
    assert recorder.reading.named == Named(("b/c",), None, "D", "U")


def test_an_answer_is_json_of_ascii() -> None:
    answer = api.Answer(200, {"detail": "ü\u2028"})
    assert answer.text.isascii()
    assert json.loads(answer.text) == answer.content
