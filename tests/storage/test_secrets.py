"""The app put together on real storage, reached by a SAS, with secrets in all that comes in, and all that went out."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableServiceClient
from azure.storage.queue import AccountSasPermissions, QueueServiceClient, ResourceTypes, generate_account_sas

from local.azurite import ACCOUNT, KEY, Azurite
from shared import library_logs
from shared.ambient import Ambient
from shared.app import Tracker, tracker
from shared.errors import EndpointNotAllowed, RoleMissing
from shared.invocation import StorageFailed
from shared.model import OperationState
from shared.queues import Queue
from shared.redaction import redacted_id
from shared.settings import Settings, load
from shared.store import TABLES
from tests.support.facts import POLLING
from tests.support.http_server import Received, Reply, ScriptedServer
from tests.support.parts import START, Parts, blob
from tests.support.planted import Planted, everything_logged, show_all, stored, without

QUEUES = ("ingestion-operations", "ingestion-retries", "ingestion-polls")

# Where a secret may stand, and why. All else is searched.
BY_CONTRACT = {
    "queue ingestion-retries": "a resubmission needs the URLs and the properties, a consumer what upstream passes on",
    "queue ingestion-operations-poison": "what can't be accepted is kept as it came",
    "queue ingestion-retries-poison": "the same",
    "queue ingestion-polls-poison": "the same",
}
WHILE_OUTSTANDING = {
    "OutstandingOperations.Message": "the operation's message, for its retries, for as long as it is watched",
}


class PlannedAdx(ScriptedServer):
    """Answers each operation by a plan of its own, the last answer again and again; 404 where it has none."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: dict[str, list[Reply]] = {}

    def plan(self, name: str, *replies: Reply) -> None:
        """What to answer from now on: to an operation's ID, ``submit`` or ``configuration``."""
        self.plans[name] = list(replies)

    def next_reply(self, request: Received) -> Reply:
        self.received.append(request)
        name = "submit" if request.method == "POST" else request.path.partition("?")[0].rpartition("/")[2]
        plan = self.plans.get(name, [])
        return plan.pop(0) if len(plan) > 1 else plan[0] if plan else Reply(404)


class Life:
    """The app, its clock, its storage and its ADX."""

    def __init__(self, settings: Settings, adx: PlannedAdx, queues: QueueServiceClient) -> None:
        self.now = START
        self.adx = adx
        self.queues = queues
        self.app = Tracker(settings, Ambient(now=lambda: self.now, random=lambda: 0.5))

    def tick(self) -> None:
        """Let the next poll of everything be due, and do it."""
        self.now += timedelta(minutes=10)
        self.app.poll_operations()

    def handle_retries(self) -> int:
        """Take every retry message in hand, as the host does."""
        with self.queues.get_queue_client("ingestion-retries") as client:
            # However long it takes to handle them: one that comes back would be handled twice.
            taken = list(client.receive_messages(visibility_timeout=600))
            for message in taken:
                self.app.resubmit_blobs(str(message.content).encode(), message.id)
                client.delete_message(message)
        return len(taken)


@pytest.fixture
def adx() -> Iterator[PlannedAdx]:
    with PlannedAdx() as running:
        yield running


@pytest.fixture
def tables(storage: Azurite) -> Iterator[TableServiceClient]:
    with TableServiceClient.from_connection_string(storage.connection_string) as client:
        # What other tests have left outstanding would be due by this life's clock, too.
        for name in TABLES:
            client.delete_table(name)
        yield client
        for name in TABLES:
            client.delete_table(name)


@pytest.fixture
def queues(storage: Azurite) -> Iterator[QueueServiceClient]:
    with QueueServiceClient.from_connection_string(storage.connection_string) as client:
        yield client
        for queue in client.list_queues(name_starts_with="ingestion-"):
            client.delete_queue(queue)


def settings_of(storage: Azurite, adx: PlannedAdx, sas: str) -> Settings:
    connection = f"QueueEndpoint={storage.queue_endpoint};TableEndpoint={storage.table_endpoint}"
    return load(
        {
            "IngestionStorage": f"{connection};SharedAccessSignature={sas}",
            "KUSTO_INGEST_URI": adx.origin,
            "KUSTO_AUTH": "none",
            "KUSTO_DATABASE": "db",
            "KUSTO_TABLE": "events",
            "RETRY_BASE_DELAY_SECONDS": "0",
            "RETRY_MAX_DELAY_SECONDS": "0",
            "RETRY_MAX_ATTEMPTS": "3",
        }
    )


def account_sas(planted: Planted) -> str:
    expiry = datetime.now(UTC) + timedelta(hours=1)
    rights = AccountSasPermissions(
        read=True, write=True, delete=True, list=True, add=True, create=True, update=True, process=True
    )
    kinds = ResourceTypes(service=True, container=True, object=True)
    sas = generate_account_sas(ACCOUNT, KEY, kinds, rights, expiry, services="qt")
    planted.take("SAS of the connection string", sas.partition("sig=")[2].partition("&")[0])
    return sas


def error_page(planted: Planted, status: int) -> Reply:
    text = planted.text(f"error page {status}")
    headers = {"x-ms-activity-id": planted.token(f"activity ID {status}"), "Location": planted.sas_url("Location")}
    return Reply(status, f"<html>{text}</html>".encode(), headers)


def error_json(planted: Planted, status: int) -> Reply:
    text = planted.text(f"error {status}")
    body = {"error": {"code": f"Code of {planted.token(f'code {status}')}", "message": text, "@message": text}}
    return Reply(status, json.dumps(body).encode(), {"Retry-After": planted.token("Retry-After")})


def status_of(planted: Planted, place: str, *kinds: str) -> Reply:
    """A detailed answer with a blob of each kind of failure, ``Succeeded`` for one that did not fail."""
    counts = {"Succeeded": kinds.count("Succeeded"), "Failed": len(kinds) - kinds.count("Succeeded")}
    blobs = []
    for kind in kinds:
        here = f"{place}, {kind}"
        said = {
            "sourceId": planted.token(f"sourceId of {here}"),
            "url": planted.sas_url(f"url of {here}", f"https://acc.blob.core.windows.net/in/{kind}.csv"),
            "note": planted.text(f"unknown field of {here}"),
            "status": "Succeeded" if kind == "Succeeded" else "Failed",
        }
        failure = {
            "errorCode": f"Download_{planted.token(f'errorCode of {here}')}",
            "failureStatus": kind if kind == "Transient" else f"{kind} {planted.text(f'failureStatus of {here}')}",
            "details": planted.text(f"details of {here}"),
        }
        blobs.append(said if kind == "Succeeded" else said | failure)
    return Reply(body=json.dumps({"status": counts, "details": blobs}).encode())


def message_of(planted: Planted, operation_id: str) -> bytes:
    urls = [planted.sas_url(f"url in {operation_id}"), planted.key_url(f"second url in {operation_id}")]
    blobs = [{"url": url, "sourceId": planted.token(f"sourceId in {operation_id}")} for url in urls]
    fields = {
        "operationId": operation_id,
        "properties": {"format": "csv", "note": planted.text(f"properties in {operation_id}")},
        "blobs": [{**each, "note": planted.text(f"field of a blob in {operation_id}")} for each in blobs],
        "correlationId": planted.sas_url(f"correlationId in {operation_id}"),
        "note": planted.text(f"unknown field in {operation_id}"),
    }
    return json.dumps(fields).encode()


def retry_of(planted: Planted, operation_id: str, now: datetime) -> bytes:
    """A retry message whose blob has no row yet."""
    texts = {name: planted.text(f"{name} in a retry") for name in ("errorCode", "details", "note")}
    named = {"sourceId": planted.token("sourceId in a retry"), "url": planted.sas_url("url in a retry")}
    fields = {
        "version": 1,
        "operationId": operation_id,
        "rootOperationId": operation_id,
        "attempt": 1,
        "database": "db",
        "table": "events",
        "enqueuedAt": now.isoformat(),
        "blobs": [{**texts, **named, "failureStatus": "Transient"}],
        "correlationId": planted.sas_url("correlationId in a retry"),
        "properties": {"format": "csv", "note": planted.text("properties in a retry")},
        "note": planted.text("unknown field in a retry"),
    }
    return json.dumps(fields).encode()


def refused_messages(planted: Planted) -> list[bytes]:
    texts = [
        planted.sas_url("bare message"),
        '{"operationId": "cut", "note": "' + planted.text("message cut short"),
        json.dumps({"operationId": "o", "cluster": planted.user_url("user of a cluster")}),
        json.dumps({"operationId": "o", "cluster": f"https://{planted.token('host of a cluster')}".replace("_", "-")}),
        json.dumps({"operationId": "o", "cluster": "https://ingest-x.kusto.windows.net", "note": planted.text("note")}),
        json.dumps({"operationId": "o", "table": planted.connection_string("table")}),
        json.dumps({"operationId": "o", "blobs": planted.sas_url("blobs that are no list")}),
    ]
    return [text.encode() for text in texts] + [base64.b64encode(planted.sas_url("base64").encode())]


# The SDKs on Azurite's error bodies, which are XML where the service sends JSON.
@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")
def test_nothing_that_went_out_has_a_secret(
    storage: Azurite,
    adx: PlannedAdx,
    tables: TableServiceClient,
    queues: QueueServiceClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planted = Planted()
    send = Queue.send
    # Delays are Queue Storage's own and can't be moved by hand.
    monkeypatch.setattr(Queue, "send", lambda queue, text, _delay=timedelta(): send(queue, text))
    with everything_logged() as lines:
        library_logs.tame()
        life = Life(settings_of(storage, adx, account_sas(planted)), adx, queues)
        # As an operator may, later.
        show_all()
        _live(life, planted)
        during = list(without(stored(tables, queues), BY_CONTRACT))
        _end(life, planted)
        after = list(without(stored(tables, queues), BY_CONTRACT))
    assert planted.leaks(without(during, WHILE_OUTSTANDING)) == []
    assert planted.leaks(after) == []
    assert planted.leaks(lines) == []
    _check_that_it_was_a_life(planted, lines, during, list(stored(tables, queues)))


def _live(life: Life, planted: Planted) -> None:
    """Everything but the end of two operations."""
    adx, app = life.adx, life.app
    for operation_id in ("mixed", "lost", "late"):
        app.register_operation(message_of(planted, operation_id), "1")
    app.register_operation(base64.b64encode(message_of(planted, "encoded")), "2")
    for body in refused_messages(planted):
        app.register_operation(body, "3")
        app.poll_batch(body, "3")
        app.resubmit_blobs(body, "3")
    running = Reply(body=b'{"status": {"InProgress": 1}}')
    bad = [error_json(planted, 403), error_page(planted, 429), error_page(planted, 307), error_page(planted, 502)]
    adx.plan("mixed", *bad, status_of(planted, "mixed", "Transient", "Permanent"))
    adx.plan("late", running)
    adx.plan("encoded", status_of(planted, "encoded", "Permanent", "Odd", "Succeeded"))
    for _ in range(6):
        life.tick()
    app.resubmit_blobs(retry_of(planted, "of another consumer", life.now), "4")
    # A submission that fails in several ways, and is put back each time.
    adx.plan(
        "submit", error_json(planted, 401), error_json(planted, 403), error_page(planted, 500), _accepted("second")
    )
    for _ in range(3):
        life.handle_retries()
    adx.plan("second", status_of(planted, "second", "Transient"))
    for _ in range(2):
        life.tick()


def _end(life: Life, planted: Planted) -> None:
    """The last resubmission is rejected; an operation is lost, another's time is up."""
    life.adx.plan("submit", error_json(planted, 400))
    life.handle_retries()
    life.adx.plan("late", error_page(planted, 503))
    life.now += timedelta(hours=50)
    # The 503 has the whole cluster left alone, until the operation that meets it has timed out.
    for _ in range(8):
        life.tick()


def _accepted(operation_id: str) -> Reply:
    return Reply(body=json.dumps({"ingestionOperationId": operation_id}).encode())


def _check_that_it_was_a_life(
    planted: Planted, lines: list[tuple[str, str]], during: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    """Each exception was in use, and what is searched is where the secrets went."""
    outstanding = {leak.planted for leak in planted.leaks(during) if leak.found == "OutstandingOperations.Message0"}
    assert "url in late" in outstanding
    poison = {leak.planted for leak in planted.leaks(after) if leak.found == "queue ingestion-operations-poison"}
    assert {"bare message", "note, sas", "message cut short, sas", "base64"} <= poison
    assert ("IngestionBlobs.SourceId", redacted_id(planted.token("sourceId in a retry"))) in after
    states = {text for where, text in after if where == "IngestionOperations.State"}
    assert states == {"PartiallySucceeded", "Failed", "NotFound", "TimedOut"}
    said = [text for where, text in lines if where == "log of tracker"]
    for event in ("message.refused", "adx.access_refused", "adx.throttled", "adx.unavailable", "blob.failed"):
        assert any(event in line for line in said), event
    for event in ("blobs.resubmitted", "retry.put_back", "blob.not_resubmittable", "operation.settled"):
        assert any(event in line for line in said), event
    # The libraries did tell of their requests, and what they told has a place for the SAS.
    assert any("sig=…" in text for where, text in lines if where == "log of urllib3.connectionpool")
    columns = {where for where, text in after if "cannot use" in text}
    assert columns >= {"IngestionBlobs.Details", "IngestionBlobs.RetryReason", "IngestionOperations.LastError"}


@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")
def test_a_storage_that_refuses_its_sas_is_not_quoted_with_it(storage: Azurite, adx: PlannedAdx) -> None:
    planted = Planted()
    with everything_logged() as lines, pytest.raises(StorageFailed) as failure:
        tracker(settings_of(storage, adx, f"sv=2026-02-06&ss=qt&srt=sco&{planted.sas('SAS')}"))
    assert planted.leaks_in(f"{failure.value!r} {failure.value.__cause__}") == []
    assert failure.value.__suppress_context__
    assert planted.leaks(lines) == []


# For how long OutstandingOperations keeps a SAS


def kept(parts: Parts, planted: Planted) -> list[str]:
    """The secrets in the table of what is outstanding."""
    rows = parts.tables["Outstanding"].query("PartitionKey ge @all", {"all": ""})
    return planted.leaks_in([dict(row) for row in rows])


def be_settled(parts: Parts) -> None:
    parts.adx.says("op", blob("https://acc.blob.core.windows.net/in/a.csv", "Failed", "Transient"))
    parts.tick()


def be_lost(parts: Parts) -> None:
    for _ in range(3):
        parts.tick()


def be_late(parts: Parts) -> None:
    parts.adx.says("op", blob("https://acc.blob.core.windows.net/in/a.csv", "InProgress"))
    parts.later(hours=49)
    parts.tick()


def be_refused_for_too_long(parts: Parts) -> None:
    parts.adx.fails("op", RoleMissing("no role"))
    parts.later(hours=49)
    for _ in range(3):
        parts.tick()


def be_disallowed_for_too_long(parts: Parts) -> None:
    parts.adx.fails("op", EndpointNotAllowed("not any more"))
    parts.later(hours=49)
    for _ in range(3):
        parts.tick()


def be_given_up(parts: Parts) -> None:
    parts.adx.says("op", blob("https://acc.blob.core.windows.net/in/a.csv", "Failed", "Transient"))
    parts.settler._reenqueue = fail  # type: ignore[assignment, method-assign]  # noqa: SLF001, a queue that never works
    parts.later(hours=49)
    for _ in range(3):
        parts.tick()


@pytest.mark.parametrize(
    ("end", "state"),
    [
        (be_settled, OperationState.FAILED),
        (be_lost, OperationState.NOT_FOUND),
        (be_late, OperationState.TIMED_OUT),
        (be_refused_for_too_long, OperationState.TIMED_OUT),
        (be_disallowed_for_too_long, OperationState.TIMED_OUT),
        (be_given_up, OperationState.TIMED_OUT),
    ],
)
def test_a_sas_is_kept_for_as_long_as_its_operation_is_watched(
    parts: Parts, end: Callable[[Parts], None], state: OperationState
) -> None:
    planted = Planted()
    assert kept(parts, planted) == []
    operation = parts.register("op", planted.sas_url("url"))
    assert kept(parts, planted) == ["url"]
    parts.adx.says("op", blob("https://acc.blob.core.windows.net/in/a.csv", "InProgress"))
    parts.tick()
    del parts.adx.reports["op"]
    assert kept(parts, planted) == ["url"]
    end(parts)
    assert parts.row(operation).state is state
    assert kept(parts, planted) == []
    for name in ("Operations", "Blobs"):
        rows = parts.tables[name].query("PartitionKey ge @all", {"all": ""})
        assert planted.leaks_in([dict(row) for row in rows]) == []


def test_a_crash_before_the_end_of_the_watch_keeps_the_sas_until_the_next_poll(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted()
    operation = parts.register("op", planted.sas_url("url"))
    parts.adx.says("op", blob("https://acc.blob.core.windows.net/in/a.csv", "Succeeded"))
    with monkeypatch.context() as crash:
        crash.setattr(parts.outstanding, "write_back", fail)
        with pytest.raises(HttpResponseError):
            parts.tick()
    assert parts.row(operation).state is OperationState.SUCCEEDED
    assert kept(parts, planted) == ["url"]
    parts.tick()
    assert kept(parts, planted) == []
    assert parts.row(operation).state is OperationState.SUCCEEDED


def test_a_message_for_a_settled_operation_does_not_bring_its_sas_back(parts: Parts) -> None:
    planted = Planted()
    parts.configure(polling=replace(POLLING, tracking_timeout=timedelta(hours=1)))
    parts.register("op", planted.sas_url("url"))
    parts.adx.says("op", blob("https://acc.blob.core.windows.net/in/a.csv", "Succeeded"))
    parts.tick()
    parts.register("op", planted.sas_url("url"))
    assert kept(parts, planted) == []


def fail(*_: object, **__: object) -> None:
    raise HttpResponseError("storage is down")
