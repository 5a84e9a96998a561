"""Asking for many operations at once, over a socket."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared import metrics
from shared.errors import AccessRefused, KustoError, RequestRejected, RoleMissing, Throttled, Unavailable
from shared.kusto.measured import MeasuredAdx
from shared.model import BulkStatus, Counts, Operation
from tests.support.asking import DROPPED, TOKEN, Asker
from tests.support.http_server import Reply, ScriptedServer
from tests.support.recorded import Recorded

COLUMNS = ["IngestionOperationId", "State", "Pending", "Canceled", "Ingested", "Failed"]


def shown(*rows: list[object]) -> Reply:
    table = {"TableName": "Table_0", "Columns": [{"ColumnName": name} for name in COLUMNS], "Rows": rows}
    return Reply(body=json.dumps({"Tables": [table]}).encode())


NOTHING = shown()


class Bulk(Asker):
    def __init__(self, server: ScriptedServer) -> None:
        super().__init__(server.origin)
        self.server = server
        self.operations = [replace(self.operation, operation_id=each) for each in ("1;2;a", 'b"\\', "c")]

    def ask(self) -> dict[str, BulkStatus]:
        return {each.operation_id: said for each, said in self.client.bulk_status(self.operations).items()}


@pytest.fixture
def adx() -> Iterator[Bulk]:
    with ScriptedServer() as server:
        asker = Bulk(server)
        yield asker
        asker.client.close()


def test_many_operations_are_asked_for_with_one_command_in_their_database(adx: Bulk) -> None:
    adx.server.answer(NOTHING)
    assert adx.ask() == {}
    (request,) = adx.server.received
    assert (request.method, request.path) == ("POST", "/v1/rest/mgmt")
    assert request.headers["Authorization"] == f"Bearer {TOKEN}-0"
    assert request.headers["Content-Type"] == "application/json"
    command = r'.show queued ingestion operations ("1;2;a", "b\"\\", "c")'
    assert json.loads(request.body) == {"db": "Sales", "csl": command}


def test_what_the_answer_says_is_told_of_the_operations_that_were_asked_for(adx: Bulk) -> None:
    adx.server.answer(
        shown(["c", "Completed", 0, 0, 2, 0], ["other", "InProgress", 1, 0, 0, 0], ["1;2;a", "InProgress", 1, 2, 3, 4])
    )
    assert adx.ask() == {
        "c": BulkStatus(counts=Counts(succeeded=2)),
        "1;2;a": BulkStatus(is_in_progress=True, counts=Counts(3, 4, 1, 2)),
    }


def test_it_reads_and_is_asked_once_more_after_a_broken_connection(adx: Bulk) -> None:
    adx.server.answer(DROPPED, NOTHING)
    assert adx.ask() == {}
    adx.server.answer(DROPPED, DROPPED, NOTHING)
    with pytest.raises(Unavailable):
        adx.ask()
    assert len(adx.server.received) == 4


def test_a_refused_token_is_renewed_once(adx: Bulk) -> None:
    adx.server.answer(Reply(401), NOTHING)
    assert adx.ask() == {}
    assert adx.tokens.refused == [f"{TOKEN}-0"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(400), RequestRejected),
        (Reply(403), RoleMissing),
        (Reply(404), RequestRejected),
        (Reply(404, body=b'{"error": {"@permanent": false}}'), RequestRejected),
        (Reply(429), Throttled),
        (Reply(503), Unavailable),
        (Reply(200, body=b"<html>"), Unavailable),
        (Reply(200, body=b'{"Tables": []}'), Unavailable),
    ],
)
def test_what_is_no_answer_is_an_error_of_its_kind(adx: Bulk, reply: Reply, kind: type[KustoError]) -> None:
    adx.server.answer(reply)
    with pytest.raises(kind) as error:
        adx.ask()
    assert type(error.value) is kind
    assert TOKEN not in str(error.value)


def test_a_lasting_refusal_of_the_token_is_one_of_the_access(adx: Bulk) -> None:
    adx.server.answer(Reply(401), Reply(401))
    with pytest.raises(AccessRefused):
        adx.ask()


def test_a_call_is_counted_for_its_database_and_of_no_table(adx: Bulk) -> None:
    measured, recorded = MeasuredAdx(adx.client), Recorded()
    adx.server.answer(shown(["c", "InProgress", 1, 0, 0, 0]))
    operations: list[Operation] = adx.operations
    assert measured.bulk_status(operations) == {operations[2]: BulkStatus(True, Counts(in_progress=1))}  # noqa: FBT003
    assert recorded.of(metrics.ADX_CALLS, "database", "table", "call", "answer") == {("Sales", "", "bulk", "ok"): 1}
