"""The HTTP API through the real worker: what people ask it, and what it says when something is wrong."""

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import requests
from azure.data.tables import TableServiceClient, UpdateMode

from local.adx_simulator import AdxSimulator, BlobFault, RequestFault
from local.azurite import Azurite
from local.functions_host import FunctionsHost
from tests.support.planted import Planted
from tests.support.world import DATABASE, World, eventually, make_world

KEY = "a-function-key-of-this-test"
JSON, PROBLEM = "application/json", "application/problem+json"
# A host whose app is not built until somebody asks for it.
QUIET: Any = {
    f"AzureWebJobs.{name}.Disabled": "true" for name in ("poll_operations", "prune_results", "measure_backlog")
}

type Answer = requests.Response


class Api:
    """Calls of one host."""

    def __init__(self, host: FunctionsHost) -> None:
        self.host = host

    def get(self, path: str, expected: int = 200, /, **query: object) -> Any:  # noqa: ANN401, of JSON
        """What a path answers, with the HTTP status that is expected."""
        return self._checked(self.raw("GET", path, params=query), expected)

    def post(self, path: str, content: object, expected: int = 200, /, **query: object) -> Any:  # noqa: ANN401, of JSON
        """The same of a POST with JSON."""
        return self._checked(self.raw("POST", path, json=content, params=query), expected)

    def raw(self, method: str, path: str, **options: Any) -> Answer:  # noqa: ANN401, of requests
        """An answer as it came."""
        headers = {"x-functions-key": KEY, **options.pop("headers", {})}
        return requests.request(method, f"{self.host.uri}/api/{path}", headers=headers, timeout=90, **options)

    def _checked(self, answer: Answer, status: int) -> Any:  # noqa: ANN401, of JSON
        assert answer.status_code == status, answer.text
        good = status < 400 or path_is_of_health(answer)
        assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (
            JSON if good else PROBLEM,
            "no-store",
        )
        return answer.json()


def path_is_of_health(answer: Answer) -> bool:
    return answer.request.path_url == "/api/health"


class Known:
    """The app with some operations, and the IDs of these."""

    def __init__(self, world: World, adx: AdxSimulator) -> None:
        adx.set_faults(
            [
                BlobFault(kind="permanent", url_contains="/bad"),
                BlobFault(kind="transient", url_contains="flaky", submissions=2),
            ]
        )
        self.world = world
        self.api = Api(world.start_host(function_keys={"ada": KEY}))
        self.good, self.bad, self.flaky = (
            world.submit_and_post([world.upload(f"{name}.csv", name.encode())], correlationId=f"run of {name}")
            for name in ("good", "bad", "flaky")
        )
        urls = [
            world.upload(f"{name}-{number}.csv", f"{name} {number}".encode())
            for name in ("fine", "bad")
            for number in range(3)
        ]
        self.mixed = world.submit_and_post(urls)
        eventually(lambda: len(world.operations()) == 6, "the operations")
        eventually(lambda: all(row["State"] != "InProgress" for row in world.operations()), "their ends")
        # They are listed as what they have ended as when they are outstanding no more.
        eventually(lambda: not world.outstanding(), "the end of the watch")


@pytest.fixture(scope="module")
def known() -> Iterator[Known]:
    # Of its own, as other tests leave nothing behind in theirs.
    with (
        Azurite.start() as storage,
        AdxSimulator.start(batching_seconds=0.3, visible_after_seconds=0.2) as adx,
        make_world(storage, adx) as world,
    ):
        yield Known(world, adx)


def all_pages(api: Api, path: str, name: str, **query: object) -> list[list[Any]]:
    """The pages of a listing, one after the other."""
    pages, token = [], None
    while True:
        answer = api.get(path, **query, **({"continuationToken": token} if token else {}))
        pages.append(answer[name])
        token = answer["continuationToken"]
        if token is None:
            return pages


def test_operations_come_newest_first_and_page_by_page(known: Known) -> None:
    (whole,) = all_pages(known.api, "operations", "operations", table=known.world.table)
    times = [each["registeredAt"] for each in whole]
    assert (len(whole), times) == (6, sorted(times, reverse=True))
    pages = all_pages(known.api, "operations", "operations", table=known.world.table, limit=2)
    assert [each for page in pages for each in page] == whole
    assert max(map(len, pages)) == 2


def test_operations_are_found_by_what_they_are(known: Known) -> None:
    def ids(**query: object) -> set[str]:
        pages = all_pages(known.api, "operations", "operations", **{"table": known.world.table, **query})
        return {each["operationId"] for page in pages for each in page}

    assert known.good in ids(state="Succeeded")
    assert ids(state="PartiallySucceeded") == {known.mixed}
    assert {known.bad, known.flaky, known.mixed} < ids(state="Failed,PartiallySucceeded")
    assert ids(state="InProgress") == set()
    assert ids(errorCode="BadRequest_MissingMappingFailure") == {known.bad, known.mixed}
    assert ids(table="no-such-table") == set()
    assert ids(database=DATABASE, cluster=f"{known.world.adx.uri}/") == ids()
    assert ids(operationId=known.bad[:-6]) == {known.bad}
    assert ids(operationId=known.bad, state="Succeeded") == set()
    now = datetime.now(UTC)
    assert ids(since=(now - timedelta(hours=1)).isoformat(), until=now.isoformat()) == ids()
    assert ids(until=(now - timedelta(hours=1)).isoformat()) == set()


def test_an_operation_is_told_with_all_that_is_known_of_it(known: Known) -> None:
    found = known.api.get(f"operations/{quote(known.bad, safe='')}")
    row = known.world.known(known.bad)
    assert {
        name: found[name] for name in ("state", "attempt", "correlationId", "firstErrorCode", "permanentFailures")
    } == {
        "state": "Failed",
        "attempt": 1,
        "correlationId": "run of bad",
        "firstErrorCode": "BadRequest_MissingMappingFailure",
        "permanentFailures": 1,
    }
    assert found["blobs"] == {"succeeded": 0, "failed": 1, "inProgress": 0, "canceled": 0}
    assert datetime.fromisoformat(found["settledAt"]) == row["SettledAt"]
    assert found["settledAt"].endswith("Z")
    assert [each["operationId"] for each in found["lineage"]["operations"]] == [known.bad]


def test_the_lineage_has_both_retries_from_whichever_of_them(known: Known) -> None:
    root = known.api.get(f"operations/{known.flaky}")
    lineage = root["lineage"]
    assert [(each["attempt"], each["state"]) for each in lineage["operations"]] == [
        (1, "Failed"),
        (2, "Failed"),
        (3, "Succeeded"),
    ]
    first, second, third = (each["operationId"] for each in lineage["operations"])
    assert [each["parentOperationId"] for each in lineage["operations"]] == [None, first, second]
    assert (lineage["rootOperationId"], lineage["leftOut"]) == (known.flaky, 0)
    assert known.api.get(f"operations/{third}")["lineage"] == lineage


def test_blobs_come_by_status_and_page_by_page(known: Known) -> None:
    path = f"operations/{known.mixed}/blobs"
    (whole,) = all_pages(known.api, path, "blobs")
    assert [each["status"] for each in whole].count("Failed") == 3
    pages = all_pages(known.api, path, "blobs", limit=2)
    assert [each for page in pages for each in page] == whole
    failed = [each for page in all_pages(known.api, path, "blobs", status="Failed", limit=2) for each in page]
    assert failed == [each for each in whole if each["status"] == "Failed"]
    assert {each["errorCode"] for each in failed} == {"BadRequest_MissingMappingFailure"}
    assert all_pages(known.api, path, "blobs", retryState="None")[0] == whole
    assert all_pages(known.api, path, "blobs", retryState="Enqueued,Resubmitted")[0] == []
    (flaky,) = known.api.get(f"operations/{known.flaky}/blobs", retryState="Resubmitted")["blobs"]
    assert flaky["retryOperationId"] in {row["OperationId"] for row in known.world.operations()}
    assert "sig=" not in json.dumps(whole)


def test_a_token_of_one_listing_is_refused_by_another(known: Known) -> None:
    token = known.api.get("operations", limit=1)["continuationToken"]
    problem = known.api.get("operations", 400, limit=1, state="Failed", continuationToken=token)
    assert "of another listing" in problem["detail"]
    token = known.api.get(f"operations/{known.mixed}/blobs", limit=1)["continuationToken"]
    problem = known.api.get(f"operations/{known.good}/blobs", 400, continuationToken=token)
    assert "of another listing" in problem["detail"]
    assert "malformed" in known.api.get("operations", 400, continuationToken="!")["detail"]


def test_the_summary_adds_up(known: Known) -> None:
    summary = known.api.get("summary", table=known.world.table)
    assert (summary["counted"], summary["isComplete"], summary["bucketSeconds"]) == (6, True, 1800)
    assert {state: count for state, count in summary["operations"].items() if count} == {
        "Succeeded": 2,
        "Failed": 3,
        "PartiallySucceeded": 1,
    }
    assert 48 <= len(summary["buckets"]) <= 49
    assert sum(sum(each["states"].values()) for each in summary["buckets"]) == 6
    assert summary["blobs"] == {"succeeded": 5, "failed": 6, "inProgress": 0, "canceled": 0}
    failures = {each["errorCode"]: (each["operations"], each["failedBlobs"]) for each in summary["failures"]}
    assert failures == {"BadRequest_MissingMappingFailure": (2, 4), "General_ThrottledIngestion": (2, 2)}
    empty = known.api.get("summary", since="2026-01-01T00:00:00Z", until="2026-01-01T01:00:00Z")
    assert (empty["counted"], empty["bucketSeconds"], empty["failures"]) == (0, 300, [])


def test_error_codes_are_explained(known: Known) -> None:
    codes = {each["code"]: each for each in known.api.get("error-codes")["errorCodes"]}
    assert codes["BadRequest_MissingMappingFailure"]["advice"]


def test_a_healthy_app_says_so(known: Known) -> None:
    eventually(lambda: known.api.raw("GET", "health").json()["checks"]["poller"]["lastFinishedAt"])
    health = healthy(known.api)
    assert health["status"] == "healthy"
    assert {name: check["isHealthy"] for name, check in health["checks"].items()} == dict.fromkeys(
        ("storage", "queues", "token", "adx", "poller", "backlog"), True
    )
    assert health["checks"]["poller"]["ageSeconds"] < 60


def test_without_a_key_nothing_is_told(known: Known) -> None:
    paths = known.api.get("openapi.json")["paths"]
    assert len(paths) == 9
    for path, methods in paths.items():
        for method in methods:
            url = f"{known.api.host.uri}/api{path.format(operationId=known.good, queue='x')}"
            answer = requests.request(method, url, headers={"x-functions-key": "wrong"}, timeout=90)
            assert (answer.status_code, answer.content) == (401, b"")


def test_a_key_may_come_in_the_query(known: Known) -> None:
    answer = requests.get(f"{known.api.host.uri}/api/operations?limit=1&code={KEY}", timeout=90)
    assert answer.status_code == 200
    assert KEY not in answer.text


def test_the_host_itself_answers_what_no_route_fits(known: Known) -> None:
    for method, path in (("GET", "nothing"), ("DELETE", "operations"), ("GET", f"operations/{known.good}/redrive")):
        answer = known.api.raw(method, path)
        assert (answer.status_code, answer.content) == (404, b"")


def test_the_document_has_the_routes_of_the_functions(known: Known) -> None:
    document = known.api.get("openapi.json")
    documented = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}
    routed = set(re.findall(r" INFO host (\w+): \[", known.api.host.output()))
    assert documented == routed - {"dashboard", "dashboard_file"}


def test_what_is_not_known_is_not_found(known: Known) -> None:
    for path in ("operations/never-seen", "operations/never-seen/blobs"):
        assert "no operation never-seen is known" in known.api.get(path, 404)["detail"]
    assert known.api.get(f"operations/{known.good}", 404, table="another")["title"] == "No such operation"
    known.api.post("operations/never-seen/redrive", {"as": "ada"}, 404)
    known.api.post("queues/no-queue/redrive", {"as": "ada"}, 404)


def test_operations_of_one_id_are_told_apart(known: Known) -> None:
    places = [{"table": f"{known.world.table}-{number}"} for number in range(2)]
    for place in places:
        known.api.post("operations", {"operationId": "shared by two", **place}, 202)
    eventually(lambda: known.api.raw("GET", "operations/shared by two").status_code == 409)
    for path in ("operations/shared by two", "operations/shared by two/blobs"):
        problem = known.api.get(path, 409)
        assert all(place["table"] in problem["detail"] for place in places)
        for place in places:
            known.api.get(path, **place)
    problem = known.api.post("operations/shared by two/redrive", {"as": "ada"}, 409)
    assert problem["title"] == "Several operations have this ID"


@pytest.mark.parametrize(
    "operation_id",
    [
        "00001111;11112222;00001111-aaaa-2222-bbbb-3333cccc4444",
        "with space + plus & ampersand = ? # hash",
        "slash/and/slash",
        "percent%2Fslash",
        "100%",
        "%25",
        "back\\slash",
        "ünïcödé 🙂",
        "trailing/",
        "/leading",
        "a//b",
        "quote'\"<>",
        "x" * 450,
    ],
)
def test_any_id_that_can_be_registered_is_reached(known: Known, operation_id: str) -> None:
    accepted = known.api.raw("POST", "operations", json={"operationId": operation_id})
    assert accepted.status_code == 202, accepted.text
    url = f"{known.api.host.uri}{accepted.headers['Location']}"
    headers = {"x-functions-key": KEY}
    eventually(lambda: requests.get(url, headers=headers, timeout=90).status_code == 200, operation_id)
    assert requests.get(url, headers=headers, timeout=90).json()["operationId"] == operation_id
    by_path = known.api.get(f"operations/{quote(operation_id, safe='')}")
    assert by_path["operationId"] == operation_id
    blobs = known.api.get(f"operations/{quote(operation_id, safe='')}/blobs")
    assert blobs["continuationToken"] is None
    # It is known by its key before it is listed.
    eventually(lambda: operation_id in {each["operationId"] for each in listed(known.api, operation_id)}, operation_id)


def listed(api: Api, prefix: str) -> list[dict[str, Any]]:
    """The operations whose IDs begin so."""
    found: list[dict[str, Any]] = api.get("operations", operationId=prefix)["operations"]
    return found


def test_an_id_with_a_slash_and_one_with_its_escape_are_told_apart(known: Known) -> None:
    for operation_id in ("both/ways", "both%2Fways"):
        known.api.post("operations", {"operationId": operation_id}, 202)
    eventually(lambda: known.api.raw("GET", "operations/both%2Fways").status_code == 409)
    for operation_id in ("both/ways", "both%2Fways"):
        found = known.api.get("operations/both%2Fways", operationId=operation_id)
        assert found["operationId"] == operation_id


def test_a_message_goes_to_the_queue_as_it_was_sent(storage: Azurite, adx: AdxSimulator) -> None:
    bodies = [
        b'{ "operationId" : "plain",\r\n\t"note": "<&>\xc3\xbc" }\n',
        b'\xef\xbb\xbf{"operationId":"with a mark"}',
        '{"operationId":"beyond XML","note":"\uffff"}'.encode(),
        json.dumps({"operationId": "long", "note": "x" * (48 * 1024 - 40)}).encode(),
    ]
    with make_world(storage, adx) as world:
        api = Api(world.start_host(disabled="register_operation", function_keys={"ada": KEY}))
        for body in bodies:
            answer = api.raw("POST", "operations", data=body, headers={"Content-Type": JSON})
            assert answer.status_code == 202, answer.text
        with world.queues.get_queue_client(world.names["OPERATIONS_QUEUE"]) as client:
            sent = [str(message.content) for message in client.peek_messages(max_messages=32)]
        assert [each.encode() for each in (*sent[:2], sent[3])] == [*bodies[:2], bodies[3]]
        assert base64.b64decode(sent[2]) == bodies[2]
    with make_world(storage, adx) as world:
        api = Api(world.start_host(function_keys={"ada": KEY}))
        for body in bodies:
            api.raw("POST", "operations", data=body, headers={"Content-Type": JSON})
        registered = {"plain", "with a mark", "beyond XML", "long"}
        eventually(lambda: {row["OperationId"] for row in world.operations()} == registered, "their registration")
        assert world.waiting("OPERATIONS_QUEUE", "-poison") == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "'operationId' is missing"),
        ({"operationId": 17}, "'operationId' is not a string"),
        ({"operationId": "x", "cluster": "https://evil.example"}, "KUSTO_ALLOWED_INGEST_URIS"),
        ({"operationId": "x", "blobs": 1}, "'blobs' is not a list"),
        ({"operationId": "https://a.blob.core.windows.net/c/x?sig=s3cr3t-s3cr3t"}, "looks like a secret"),
        ([], "array"),
        ("operation-id", "is to be a JSON object"),
        (None, "is to be a JSON object"),
    ],
)
def test_what_registration_would_refuse_is_refused_at_once(known: Known, content: object, said: str) -> None:
    problem = known.api.raw("POST", "operations", data=json.dumps(content), headers={"Content-Type": JSON})
    assert problem.status_code == 400
    assert said in problem.json()["detail"]
    assert "s3cr3t" not in problem.text


def test_a_body_is_json_and_not_too_long(known: Known) -> None:
    long = json.dumps({"operationId": "x", "note": "x" * 48 * 1024})
    for path in ("operations", f"operations/{known.good}/redrive", "queues/x/redrive"):
        answer = known.api.raw("POST", path, data="operationId=x")
        assert (answer.status_code, answer.headers["Content-Type"]) == (415, PROBLEM)
        answer = known.api.raw("POST", path, data=long, headers={"Content-Type": JSON})
        assert (answer.status_code, answer.headers["Content-Type"]) == (413, PROBLEM)


def test_a_redrive_finds_its_operation_by_its_id_alone(known: Known) -> None:
    world = known.world
    other = f"{world.table}-redriven"
    operation_id, blobs = world.submit([world.upload("bad-again.csv", b"7,7\n")])
    known.api.post("operations", {"operationId": operation_id, "blobs": blobs, "properties": {"format": "csv"}}, 202)
    eventually(lambda: (world.operation(operation_id) or {}).get("State") == "Failed")
    known.api.post(f"operations/{operation_id}/redrive", {"as": "ada"}, 404, table=other)
    answer = known.api.post(f"operations/{operation_id}/redrive", {"as": "ada"})
    assert (answer["blobs"], answer["left"]) == (1, 0)
    assert known.api.post(f"operations/{operation_id}/redrive", {"as": "ada", "blobs": [{"url": "https://x/y"}]}, 422)


def test_no_secret_of_a_message_comes_back_or_lies_in_a_log(storage: Azurite, adx: AdxSimulator) -> None:
    planted = Planted()
    with make_world(storage, adx) as world:
        host = world.start_host(log_level="debug", function_keys={"ada": planted.password("function key")})
        headers = {"x-functions-key": planted.password("function key")}
        message = {
            "operationId": "with secrets",
            "properties": {"format": "csv", "note": planted.text("properties")},
            "blobs": [{"url": planted.sas_url("url"), "sourceId": planted.token("sourceId")}],
            "correlationId": planted.sas_url("correlationId"),
            "note": planted.text("unknown field"),
        }
        refused = [
            {**message, "operationId": planted.sas_url("operationId")},
            {**message, "database": planted.connection_string("database")},
            {**message, "cluster": planted.user_url("cluster")},
            {**message, "attempt": planted.text("attempt")},
        ]
        answers = [
            requests.post(f"{host.uri}/api/operations", json=each, headers=headers, timeout=90)
            for each in (message, *refused)
        ]
        assert [each.status_code for each in answers] == [202, 400, 400, 400, 400]
        eventually(lambda: world.operation("with secrets"))
        paths = (
            "operations",
            "operations/with secrets",
            "operations/with secrets/blobs",
            "summary",
            "health",
            "openapi.json",
            f"operations?code={planted.password('function key')}&{quote(planted.sas('query'))}=1",
            f"operations?state={quote(planted.sas_url('state'))}",
            f"operations/{quote(planted.sas_url('path'), safe='')}",
            f"operations?operationId={quote(planted.sas_url('prefix'), safe='')}",
        )
        answers += [requests.get(f"{host.uri}/api/{path}", headers=headers, timeout=90) for path in paths]
        assert host.stop() == 0
        texts = [(f"answer {each.request.path_url[:40]}", each.text + str(each.headers)) for each in answers]
        assert planted.leaks([("output of the host", host.output()), *texts]) == []
        assert "operation.posted: " in host.output()


def test_with_entra_only_who_has_signed_in_is_let_in(storage: Azurite, adx: AdxSimulator) -> None:
    signed_in = {"X-MS-CLIENT-PRINCIPAL-NAME": "ada@example.com", "X-MS-CLIENT-PRINCIPAL-ID": "some-id"}
    with make_world(storage, adx, API_AUTH="entra", WEBSITE_AUTH_ENABLED="True") as world:
        host = world.start_host(function_keys={"ada": KEY})
        url = f"{host.uri}/api/operations"
        refused = requests.get(url, headers={"x-functions-key": KEY}, timeout=90)
        assert (refused.status_code, refused.headers["Content-Type"]) == (401, PROBLEM)
        assert requests.get(url, headers=signed_in, timeout=90).status_code == 200
        answer = requests.post(
            f"{host.uri}/api/queues/{world.names['RETRY_QUEUE']}/redrive", json={}, headers=signed_in, timeout=90
        )
        assert answer.status_code == 200
        (act,) = world.tables.get_table_client("IngestionRedrives").query_entities(
            "Queue eq @queue", parameters={"queue": world.names["RETRY_QUEUE"]}
        )
        assert act["RedrivenBy"] == "ada@example.com"
        document = requests.get(f"{host.uri}/api/openapi.json", headers=signed_in, timeout=90).json()
        assert list(document["components"]["securitySchemes"]) == ["entra"]
    with make_world(storage, adx, API_AUTH="entra") as world:
        host = world.start_host()
        refused = requests.get(f"{host.uri}/api/operations", headers=signed_in, timeout=90)
        assert refused.status_code == 401
        assert "App Service authentication is not on" in refused.json()["detail"]


def healthy(api: Api) -> Mapping[str, Any]:
    """What an app says that is healthy, once everything answers soon enough."""

    def look() -> Mapping[str, Any]:
        answer = api.raw("GET", "health")
        return answer.json() if answer.status_code == 200 else {}

    return eventually(look, "health")


def unhealthy(api: Api, *names: str, said: str = "") -> Mapping[str, Any]:
    """The checks of an app of which just these find something wrong and one says what, told within ten seconds."""

    def look() -> Mapping[str, Any]:
        began = time.monotonic()
        answer = api.raw("GET", "health")
        took = time.monotonic() - began
        health = answer.json()
        wrong = {name: check for name, check in health["checks"].items() if not check["isHealthy"]}
        is_told = (answer.status_code, health["status"]) == (503, "unhealthy") and took < 10
        is_said = any(said in check["detail"] for check in wrong.values())
        return wrong if is_told and is_said and wrong.keys() == {*names} else {}

    # While the machine stands still for some seconds, more or something else is wrong, and it takes longer.
    return eventually(look, f"the fault of {', '.join(names)}")


def test_without_storage_the_app_says_what_is_wrong(adx: AdxSimulator) -> None:
    with Azurite.start() as own, ExitStack() as stack:
        world = World(own, adx, stack)
        api = Api(world.start_host(function_keys={"ada": KEY}, **QUIET))
        own.stop()
        # The app itself was never built, and can't be.
        wrong = unhealthy(api, "storage", "queues", "poller", "backlog", said="tables: ServiceRequestError: ")
        assert wrong["storage"]["detail"].startswith("tables: ServiceRequestError: ")
        assert wrong["poller"]["lastFinishedAt"] is None
        for path in ("operations", "operations/x", "operations/x/blobs", "summary"):
            assert api.get(path, 503)["title"] == "Storage could not be used; do it again"
        assert api.post("operations", {"operationId": "x"}, 503)["status"] == 503
        api.get("openapi.json")
        api.get("error-codes")


def test_without_its_tables_and_queues_the_app_says_which_are_not_there(adx: AdxSimulator) -> None:
    with Azurite.start() as own, ExitStack() as stack:
        world = World(own, adx, stack)
        api = Api(world.start_host(function_keys={"ada": KEY}, **QUIET))
        api.get("operations")
        world.tables.delete_table("IngestionBlobs")
        world.queues.delete_queue(world.names["RETRY_QUEUE"])
        wrong = unhealthy(api, "storage", "queues", said="IngestionBlobs: ")
        assert {name: check["detail"].partition(":")[0] for name, check in wrong.items()} == {
            "storage": "IngestionBlobs",
            "queues": world.names["RETRY_QUEUE"],
        }


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (RequestFault(effect="error", request="status", status=403), ".add database Samples users"),
        (RequestFault(effect="error", request="status", status=401), "ADX refuses the app's token"),
        (RequestFault(effect="error", request="status", status=503), "ADX can't answer now"),
        (RequestFault(effect="hang", request="status"), "no answer"),
        (RequestFault(effect="close", request="status"), "no answer"),
    ],
)
def test_without_adx_the_app_says_what_is_wrong(
    world: World, adx: AdxSimulator, fault: RequestFault, said: str
) -> None:
    api = Api(world.start_host(function_keys={"ada": KEY}, **QUIET))
    # The app makes its tables when it is asked for something first.
    api.get("operations")
    healthy(api)
    adx.set_faults([fault])
    assert said in unhealthy(api, "adx", said=said)["adx"]["detail"]


def test_a_cluster_that_is_away_is_named(world: World) -> None:
    away = "http://127.0.0.1:9"
    api = Api(world.start_host(function_keys={"ada": KEY}, KUSTO_ALLOWED_INGEST_URIS=away, **QUIET))
    api.get("operations")
    wrong = unhealthy(api, "adx")
    assert wrong["adx"]["detail"].startswith(f"{away}: no answer")


def test_a_poller_that_stands_still_is_told(storage: Azurite, world: World) -> None:
    api = Api(world.start_host(function_keys={"ada": KEY}, **QUIET))
    api.get("operations")
    old = datetime.now(UTC) - timedelta(minutes=30)
    with TableServiceClient.from_connection_string(storage.connection_string) as tables:
        table = tables.get_table_client("OutstandingOperations")
        note = {"PartitionKey": "!notes", "RowKey": "poller", "FinishedAt": old}
        table.upsert_entity(note, mode=UpdateMode.REPLACE)
        wrong = unhealthy(api, "poller")
        assert wrong["poller"]["ageSeconds"] >= 1800
        table.delete_entity("!notes", "poller")
        # Right after a first start there is none yet.
        healthy(api)
        first = {"PartitionKey": "!notes", "RowKey": "health", "FirstCheckedAt": old, "CheckedAt": old}
        table.upsert_entity(first, mode=UpdateMode.REPLACE)
        assert unhealthy(api, "poller", "backlog")["poller"]["detail"].startswith("no tick was finished yet")
