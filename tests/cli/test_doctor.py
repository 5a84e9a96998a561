"""Doctor finds each thing that is missing, and says which command gives it."""

import base64
import json
import re
from collections.abc import Iterator

import pytest

from cli import grants
from cli.checks import Check, Outcome
from cli.connecting import Way
from cli.examination import examine
from cli.grants import (
    NOBODY,
    Principal,
    ingestor_grant,
    principal_of,
    queue_scope,
    storage_grant,
    topic_grant,
    user_grant,
)
from local.adx_simulator import AdxSimulator, RequestFault
from local.adx_simulator.faults import RequestKind
from local.azurite import Azurite
from shared.store import TABLES
from tests.cli.console import KEY, ROOT, Console
from tests.cli.refusing import Refusing, connection_string
from tests.support.event_grid import EventGrid, Failing
from tests.support.facts import OPERATION
from tests.support.world import World, eventually

USER = Principal("oid-1", "aaduser=oid-1;tid-1", "User", "ada@example.com")


@pytest.fixture
def queues(storage: Azurite) -> Iterator[Refusing]:
    with Refusing(storage.queue_endpoint) as running:
        yield running


@pytest.fixture
def tables(storage: Azurite) -> Iterator[Refusing]:
    with Refusing(storage.table_endpoint) as running:
        yield running


def diagnose(console: Console, container: str | None = None, outcome: Outcome = Outcome.FAILED) -> dict[str, Check]:
    """What doctor finds wrong, in this process: the command itself is run by the first test."""
    checks = examine(Way(console.settings), None, None, container)
    return {check.name: check for check in checks if check.outcome is outcome}


@pytest.fixture
def watched(world: World, console: Console, queues: Refusing, tables: Refusing) -> Console:
    """A command whose storage may refuse something; the app has made its tables."""
    account = "devstoreaccount1"
    through = connection_string(world.azurite.blob_endpoint, f"{queues.origin}/{account}", f"{tables.origin}/{account}")
    return Console({**console.settings, "IngestionStorage": through}, console.folder)


def test_all_is_well_on_parts_that_are(world: World, console: Console) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    for source in (console, console.by_api(host)):
        done = source.run("doctor")
        assert done.returncode == 0, done.stdout
        assert "all is well" in done.stderr
    told = console.json("doctor")
    assert (told["isWell"], {each["outcome"] for each in told["checks"]}) == (True, {"ok"})
    missing = Console({**console.settings, "POLL_QUEUE": f"none-{world.names['POLL_QUEUE']}"}, console.folder).run(
        "doctor"
    )
    assert missing.returncode == 1
    assert "az storage queue create --name none-" in missing.stdout
    assert "2 of 19 checks failed" in missing.stderr
    assert world.length("OPERATIONS_QUEUE") == 0
    assert world.adx.books().rows == 0


def test_each_role_that_is_missing_in_storage_is_found(
    world: World, watched: Console, queues: Refusing, tables: Refusing
) -> None:
    assert diagnose(watched) == {}
    for name, methods, what in (
        (world.names["RETRY_QUEUE"], ("GET", "HEAD"), "read"),
        (world.names["RETRY_QUEUE"], ("DELETE",), "write"),
    ):
        queues.refused = name, methods
        failed = diagnose(watched)
        assert list(failed) == [f"queue {name}: {what}"]
        (check,) = failed.values()
        assert "Storage Queue Data Contributor is missing" in check.detail
        assert f"/queueServices/default/queues/{name}" in check.commands[0]
    queues.refused = None
    for name in TABLES:
        for methods, what in ((("GET",), "read"), (("POST",), "write")):
            tables.refused = name, methods
            failed = diagnose(watched)
            assert list(failed) == [f"table {name}: {what}"]
            (check,) = failed.values()
            assert "--role 'Storage Table Data Contributor'" in check.commands[0]
            assert "--name devstoreaccount1" in check.commands[0]


def test_news_that_may_not_be_put_on_its_queue_is_found_and_none_is_left_there(
    world: World, watched: Console, queues: Refusing
) -> None:
    name = world.results_queue
    check = f"queue {name}: send"
    console = Console({**watched.settings, "RESULTS_QUEUE": name}, watched.folder)
    failed = diagnose(console)
    assert "not there" in failed[check].detail
    assert f"az storage queue create --name {name}" in failed[check].commands[0]
    with world.queues.create_queue(name) as queue:
        assert check in diagnose(console, outcome=Outcome.OK)
        # As with the app's own role: it may add messages, and that is not told apart from a request that is wrong.
        queues.refused = name, ("PUT", "GET", "DELETE")
        assert diagnose(console) == {}
        doubt = diagnose(console, outcome=Outcome.DOUBT)[check]
        assert "was not tried, as consumers would take that for an ending" in doubt.detail
        queues.refused = name, ("PUT", "POST")
        failed = diagnose(console)
        assert list(failed) == [check]
        assert "Storage Queue Data Message Sender is missing" in failed[check].detail
        assert "--role 'Storage Queue Data Message Sender'" in failed[check].commands[0]
        assert failed[check].commands[0].endswith(f'/queueServices/default/queues/{name}"')
        queues.refused = None
        assert queue.get_queue_properties().approximate_message_count == 0
        queue.delete_queue()


def test_events_that_may_not_be_published_are_found_and_none_is_sent(watched: Console) -> None:
    with EventGrid() as grid:
        check = f"topic {grid.origin}: publish"
        console = Console({**watched.settings, "EVENTGRID_TOPIC_ENDPOINT": grid.endpoint}, watched.folder)
        # A topic that takes an empty batch, one that does not, and one that lets nobody in.
        grid.fail(Failing(200))
        assert check in diagnose(console, outcome=Outcome.OK)
        assert "was not tried" in diagnose(console, outcome=Outcome.DOUBT)[check].detail
        for status in (401, 403):
            grid.fail(Failing(status), Failing(status))
            failed = diagnose(console)
            assert list(failed) == [check]
            assert "EventGrid Data Sender is missing" in failed[check].detail
            assert "--role 'EventGrid Data Sender'" in failed[check].commands[0]
            grid.clear()
        for status in (404, 503):
            grid.fail(Failing(status))
            assert f"HTTP {status}" in diagnose(console)[check].detail
        assert grid.events == []
    assert "no answer" in diagnose(console)[check].detail


@pytest.mark.parametrize(
    ("request_kind", "check", "command"),
    [
        ("configuration", "cluster", None),
        ("status", "status of", ".add database ['Samples'] users ("),
        ("submit", "ingestion into", ".add table ["),
    ],
)
def test_each_role_that_is_missing_in_adx_is_found(
    watched: Console, adx: AdxSimulator, request_kind: RequestKind, check: str, command: str | None
) -> None:
    adx.set_faults([RequestFault(effect="error", request=request_kind, status=403)])
    failed = diagnose(watched)
    ((name, found),) = failed.items()
    assert name.startswith(check)
    assert "is missing" in found.detail
    assert any(each.startswith(command) for each in found.commands) if command else not found.commands


def test_a_cluster_that_does_not_answer_is_found(watched: Console) -> None:
    console = Console({**watched.settings, "KUSTO_INGEST_URI": "http://127.0.0.1:9"}, watched.folder)
    failed = diagnose(console)
    assert list(failed) == ["cluster http://127.0.0.1:9"]


def test_what_is_not_there_is_found(world: World, watched: Console) -> None:
    world.queues.delete_queue(world.names["POLL_QUEUE"])
    world.tables.delete_table("IngestionRedrives")
    failed = diagnose(watched)
    queue = world.names["POLL_QUEUE"]
    assert set(failed) == {
        f"{what}: {act}" for what in (f"queue {queue}", "table IngestionRedrives") for act in ("read", "write")
    }
    assert f"az storage queue create --name {queue}" in failed[f"queue {queue}: read"].commands[0]
    world.queues.create_queue(queue)


def test_each_setting_that_is_wrong_is_found(console: Console) -> None:
    wrong = {**console.settings, "POLL_CONCURRENCY": "0", "RETRY_MODE": "never"}
    failed = diagnose(Console(wrong, console.folder))
    assert set(failed) == {"setting POLL_CONCURRENCY", "setting RETRY_MODE"}
    failed = diagnose(Console({}, console.folder))
    assert {"setting IngestionStorage", "setting KUSTO_INGEST_URI"} <= set(failed)


def test_a_login_that_is_missing_is_found(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    uris = {
        f"IngestionStorage__{each}ServiceUri": f"https://acc.{each}.core.windows.net" for each in ("queue", "table")
    }
    settings = {name: value for name, value in console.settings.items() if name != "IngestionStorage"}
    # So that it is not looked for on the network.
    nobody = {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
    for name, value in nobody.items():
        monkeypatch.setenv(name, value)
    failed = diagnose(Console({**settings, **uris}, console.folder))
    assert list(failed) == ["identity for storage"]
    assert failed["identity for storage"].commands == ("az login",)


def test_an_app_that_is_not_well_is_found_by_its_api(world: World, adx: AdxSimulator, console: Console) -> None:
    host = world.start_host(function_keys={"ada": KEY})
    by_api = console.by_api(host)
    eventually(lambda: not diagnose(by_api), "the app's first tick")
    adx.set_faults([RequestFault(effect="error", request="any", status=403)])
    found = diagnose(by_api)["app: adx"]
    assert "the app's identity needs User on the database and Ingestor on the table" in found.detail
    assert [each.split()[0] for each in found.commands] == ["az", ".add", ".add"]
    failed = diagnose(Console({**by_api.settings, "TRACKER_KEY": "wrong"}, console.folder))
    assert list(failed) == ["api"]
    assert "az functionapp keys list" in failed["api"].commands[0]
    failed = diagnose(Console({"TRACKER_URL": "http://127.0.0.1:9"}, console.folder))
    assert list(failed) == ["api"]


def test_a_container_that_may_not_be_listed_is_found(world: World, watched: Console) -> None:
    world.upload("a.csv", b"1,2\n")
    failed = diagnose(watched, f"{world.container_url()}?{world.sas()}")
    assert list(failed) == [f"container {world.container_url()}"]
    assert "may not be listed" in failed[f"container {world.container_url()}"].detail
    assert watched.run("doctor", "--container", f"{world.container_url()}?{world.sas(may_list=True)}").returncode == 0


def token(**claims: str) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


def test_who_is_signed_in_is_read_from_a_token() -> None:
    user = principal_of(token(oid="oid-1", tid="tid-1", appid="cli", upn="ada@example.com"))
    assert user == USER
    app_only = principal_of(token(oid="oid-2", tid="tid-1", appid="app-2", idtyp="app"))
    assert (app_only.name, app_only.kind) == ("aadapp=app-2;tid-1", "ServicePrincipal")
    for strange in ("", "a.b.c", "local", token(), token(oid="x"), "e30.W10.x"):
        assert principal_of(strange) == NOBODY


def test_the_commands_are_whole() -> None:
    assert storage_grant(USER, grants.QUEUE_CONTRIBUTOR, "acc", queue_scope("q")) == (
        "az role assignment create --assignee-object-id oid-1 --assignee-principal-type User "
        "--role 'Storage Queue Data Contributor' "
        '--scope "$(az storage account show --name acc --query id --output tsv)/queueServices/default/queues/q"'
    )
    assert user_grant(USER, "Sales") == ".add database ['Sales'] users ('aaduser=oid-1;tid-1')"
    assert ingestor_grant(USER, OPERATION) == ".add table ['Orders'] ingestors ('aaduser=oid-1;tid-1')"


def test_the_grant_on_a_topic_finds_it_by_its_name() -> None:
    assert topic_grant(USER, "https://ends.westeurope-1.eventgrid.azure.net") == (
        "az role assignment create --assignee-object-id oid-1 --assignee-principal-type User "
        "--role 'EventGrid Data Sender' --scope "
        '"$(az resource list --name ends --resource-type Microsoft.EventGrid/topics --query [0].id --output tsv)"'
    )


def test_roles_and_tables_are_those_of_the_deployment() -> None:
    ids = (ROOT / "infra" / "bicep" / "modules" / "role-ids.bicep").read_text()
    for role in (
        grants.BLOB_READER,
        grants.QUEUE_CONTRIBUTOR,
        grants.QUEUE_SENDER,
        grants.TABLE_CONTRIBUTOR,
        grants.TOPIC_SENDER,
    ):
        name = "".join(role.split())
        assert re.search(rf"^  {name[0].lower()}{name[1:]}: ", ids, re.MULTILINE), role
