"""Transactions and listings are the app's own code: what goes in comes out, and refusals say what they are."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import batched
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient, TableTransactionError, UpdateMode

from local.azurite import Azurite
from shared.keys import SHARDS
from shared.model import Operation
from shared.store.listing import Listing
from shared.store.protocol import Tables
from shared.store.results import Results
from shared.store.tables import GROUP, Conflict, NotStorable, Row, Table, deletion, insertion, merger, replacement
from tests.support.http_server import Reply, ScriptedServer
from tests.support.inline_executor import InlineExecutor
from tests.support.raw_server import Connection, RawServer

AWKWARD_TEXTS = (
    'it\'s 100% "quoted" / back\\slash',
    "several\r\nlines\r\n\r\nHTTP/1.1 404 Not Found\r\nETag: W/none\r\n--changeset_tracker--\r\n--batch_tracker--",
    "Ünïcödé 漢字 🚀",
    "",
    " ",
)
# What keys may hold: no slashes, no control characters.
AWKWARD_KEYS = ("it's", "a b", "ä漢🚀", "a+b&c=d", "(x,y)", "2026-11-25|cluster|db|t", "~!@$^*;:'\"<>")


@pytest.fixture(scope="module")
def client(storage: Azurite) -> Iterator[TableClient]:
    with Tables.from_connection_string(storage.connection_string, retry_total=0) as tables:
        made = tables.get_table_client("Transactions")
        made.create_table()
        yield made


@pytest.fixture
def table(client: TableClient) -> Table:
    return Table(client)


def row(partition: str, name: str, **columns: object) -> Row:
    return {"PartitionKey": partition, "RowKey": name, **columns}


def test_values_of_every_type_come_back(table: Table) -> None:
    values = {
        "Yes": True,
        "No": False,
        "Most": 2**31 - 1,
        "Least": -(2**31),
        "Whole": 3.0,
        "Part": 0.1,
        "Time": datetime(2026, 11, 25, 12, 30, 1, 5, tzinfo=UTC),
        **{f"Text{place}": text for place, text in enumerate(AWKWARD_TEXTS)},
    }
    table.write([insertion(row("types", "r", **values))])
    (listed,) = table.query("PartitionKey eq @p and RowKey eq @r", {"p": "types", "r": "r"})
    for stored in (table.get("types", "r"), listed):
        assert stored is not None
        assert {name: stored[name] for name in values} == values
        assert type(stored["Whole"]) is float
        assert type(stored["Yes"]) is bool
    assert listed.keys() == values.keys() | {"PartitionKey", "RowKey"}


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_any_key_can_be_written_changed_and_deleted(table: Table, key: str) -> None:
    (etag,) = table.write([insertion(row(key, key, N=1, Kept="x"))])
    (etag,) = table.write([merger(row(key, key, N=2), etag)])
    assert (table.get(key, key) or {})["Kept"] == "x"
    (etag,) = table.write([replacement(row(key, key, N=3), etag)])
    stored = table.get(key, key) or {}
    assert (stored["N"], "Kept" in stored) == (3, False)
    assert table.write([deletion(key, key, etag)]) == [""]
    assert table.get(key, key) is None


def test_each_row_has_the_etag_that_the_table_gives_it(table: Table) -> None:
    etags = table.write([insertion(row("etags", str(place), Text=AWKWARD_TEXTS[1])) for place in range(GROUP)])
    stored = {each["RowKey"]: each for each in table.query("PartitionKey eq @p", {"p": "etags"})}
    assert [stored[str(place)].metadata["etag"] for place in range(GROUP)] == etags  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", [0, 1, 7])
def test_a_refusal_says_which_write_it_was_and_nothing_is_written(table: Table, place: int) -> None:
    partition = f"refused-{place}"
    table.write([insertion(row(partition, f"r{place}"))])
    with pytest.raises(Conflict) as refusal:
        table.write([insertion(row(partition, f"r{each}")) for each in range(10)])
    assert refusal.value.index == place
    assert len(list(table.query("PartitionKey eq @p", {"p": partition}))) == 1


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, b"bytes", ["list"], {"a": 1}])
def test_a_value_that_no_column_takes_is_not_sent(table: Table, value: object) -> None:
    with pytest.raises(NotStorable, match="TypeError"):
        table.write([insertion(row("types", "odd", Column=value))])


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_beyond_json_are_written_as_the_service_names_them(table: Table, value: float) -> None:
    table.write([insertion(row("floats", str(value), Column=value))])
    stored = table.get("floats", str(value)) or {}
    assert stored["Column"] == pytest.approx(value, nan_ok=True)


def test_a_table_that_is_not_there_is_no_conflict(storage: Azurite) -> None:
    with Tables.from_connection_string(storage.connection_string, retry_total=0) as tables:
        missing = Table(tables.get_table_client("NotThere"))
        with pytest.raises(HttpResponseError) as error:
            missing.write([deletion("p", "r")])
    assert error.value.status_code == 404


ANSWER = '--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\nETag: W/"1"\r\n\r\n\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("status", "body", "kind", "shown"),
    [
        (202, ANSWER, HttpResponseError, 202),
        (202, "", HttpResponseError, 202),
        (202, "--b\r\n\r\nHTTP/1.1 412 Precondition Failed\r\n\r\nno JSON\r\n--b--", TableTransactionError, 412),
        (202, '--b\r\n\r\nHTTP/1.1 503 Busy\r\n\r\n{"odata.error": 7}\r\n--b--', TableTransactionError, 503),
        (413, "too large", TableTransactionError, 413),
        (403, '{"odata.error": {"code": "AuthorizationFailure", "message": {"value": "no"}}}', HttpResponseError, 403),
        (200, "<html>a gateway's page</html>", HttpResponseError, 200),
    ],
)
def test_what_is_no_answer_to_all_of_it_is_an_error(
    status: int, body: str, kind: type[HttpResponseError], shown: int
) -> None:
    with ScriptedServer() as server:
        server.answer(Reply(status, body.encode(), {"Content-Type": "multipart/mixed; boundary=b"}))
        connection = f"AccountName=a;AccountKey=a2V5;TableEndpoint={server.origin}/a"
        with Tables.from_connection_string(connection, retry_total=0) as tables:
            writes = [("delete", row("p", str(place))) for place in range(2)]
            with pytest.raises(HttpResponseError) as error:
                tables.get_table_client("Things").submit_transaction(writes)
    assert type(error.value) is kind
    assert error.value.status_code == shown


def test_a_replacement_is_told_from_a_merge(client: TableClient) -> None:
    client.submit_transaction([("create", row("modes", "r", A=1))])
    client.submit_transaction([("update", row("modes", "r", B=2), {"mode": UpdateMode.MERGE})])
    assert {"A", "B"} <= client.get_entity("modes", "r").keys()


def test_selected_columns_alone_are_listed(table: Table) -> None:
    table.write([insertion(row("selected", "r", A=1, B=datetime(2026, 1, 1, tzinfo=UTC), C=0.5))])
    (listed,) = table.query("PartitionKey eq @p", {"p": "selected"}, select=["RowKey", "B", "Missing"])
    assert listed == {"RowKey": "r", "B": datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_a_filter_means_its_parameters_as_they_are(table: Table, key: str) -> None:
    table.write([insertion(row(f"filters {key}", name)) for name in sorted({"!", key, "~~"})])
    listed = table.query("PartitionKey eq @p and RowKey eq @key", {"p": f"filters {key}", "key": key})
    assert [each["RowKey"] for each in listed] == [key]


def test_a_listing_has_all_of_its_pages(table: Table) -> None:
    names = [f"{place:05}'s" for place in range(2_050)]
    for group in batched(names, GROUP, strict=False):
        table.write([insertion(row("pages", name)) for name in group])
    assert [each["RowKey"] for each in table.query("PartitionKey eq @p", {"p": "pages"}, select=["RowKey"])] == names


def page(*names: str, **then: str) -> Reply:
    rows = [{"odata.etag": f"W/{name}", "RowKey": name, "Timestamp": "2026-01-01T00:00:00Z"} for name in names]
    headers = {f"x-ms-continuation-{name}": value for name, value in then.items()}
    return Reply(200, json.dumps({"value": rows}).encode(), {"Content-Type": "application/json", **headers})


def test_an_empty_page_is_not_the_last_one() -> None:
    """The service may end a page anywhere: after five seconds, or where a partition ends."""
    with ScriptedServer() as server:
        server.answer(
            page("a"), page(NextPartitionKey="1!x=="), page("b", NextPartitionKey="p q", NextRowKey="r"), page()
        )
        server.answer(page("never"))
        names = [each["RowKey"] for each in scripted(server).query("PartitionKey eq @p", {"p": "x"})]
        assert names == ["a"]
        names = [each["RowKey"] for each in scripted(server).query("PartitionKey eq @p", {"p": "x"})]
    assert names == ["b"]
    asked = [parse_qs(urlsplit(each.path).query) for each in server.received]
    places = [{name: value for name, value in each.items() if name.startswith("Next")} for each in asked]
    assert places == [{}, {}, {"NextPartitionKey": ["1!x=="]}, {"NextPartitionKey": ["p q"], "NextRowKey": ["r"]}]


def test_a_listing_by_keys_alone_goes_on_behind_answers_with_no_rows() -> None:
    """Asked again from the same key the service would look at the same deleted rows again, and give up again."""
    row = {"Cluster": "c", "Database": "d", "Table": "t", "OperationId": "op", "Partition": "p"}
    row |= {"RegisteredAt": "2026-01-01T00:00:00Z", "RegisteredAt@odata.type": "Edm.DateTime"}
    body = json.dumps({"value": [{**row, "odata.etag": "W/1", "PartitionKey": "0", "RowKey": "id|op|place"}]}).encode()
    with ScriptedServer() as server:
        server.answer(page(NextPartitionKey="1", NextRowKey="2"), page(NextPartitionKey="1", NextRowKey="3"))
        server.answer(Reply(200, body, {"Content-Type": "application/json"}), *[page()] * (len(SHARDS) - 1))
        found = Listing(scripted(server), InlineExecutor()).with_id("op")
        assert [each.operation.operation_id for each in found] == ["op"]
    asked = [parse_qs(urlsplit(each.path).query).get("NextRowKey") for each in server.received]
    assert asked == [None, ["2"], ["3"], *[None] * (len(SHARDS) - 1)]


def test_a_page_of_blobs_goes_on_behind_answers_with_no_rows() -> None:
    with ScriptedServer() as server:
        server.answer(page(NextPartitionKey="1", NextRowKey="2"), page(NextPartitionKey="1", NextRowKey="3"))
        server.answer(page(NextPartitionKey="1", NextRowKey="4"), page())
        results = Results(scripted(server), scripted(server))
        found = results.blob_page(Operation("c", "d", "t", "op"), 5, statuses=["Failed"])
    assert (found.rows, found.after) == ((), None)
    asked = [parse_qs(urlsplit(each.path).query) for each in server.received]
    assert [each.get("NextRowKey") for each in asked] == [None, None, ["3"], ["4"]]
    assert ["Status" in each["$filter"][0] for each in asked] == [True, False, False, False]


@pytest.mark.parametrize(
    ("status", "code"), [(404, "TableNotFound"), (403, "AuthorizationFailure"), (400, "InvalidInput")]
)
def test_a_listing_that_is_refused_is_an_error(status: int, code: str) -> None:
    body = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "no"}}}
    with ScriptedServer() as server:
        server.answer(Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"}))
        with pytest.raises(HttpResponseError, match=code) as error:
            list(scripted(server).query("PartitionKey eq @p", {"p": "x"}))
    assert error.value.status_code == status


@pytest.mark.parametrize("body", ["<html>a gateway's page</html>", "[]", "{}", '{"value": 1}', ""])
def test_an_answer_that_is_no_listing_is_an_error_of_the_service(body: str) -> None:
    with ScriptedServer() as server:
        server.answer(Reply(200, body.encode(), {"Content-Type": "text/html"}))
        with pytest.raises(HttpResponseError, match="no listing"):
            list(scripted(server).query("PartitionKey eq @p", {"p": "x"}))


def test_a_page_that_breaks_off_is_asked_for_again() -> None:
    content = json.dumps({"value": [{"odata.etag": "W/a", "RowKey": "a"}]}).encode()
    # Kept open, a connection might be taken for the next request before the server's end of it is seen.
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(content)
    answers = iter([content[:10], content, content[:10], content[:10], content])

    def serve(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(head + next(answers))

    with RawServer(serve) as server:
        table = scripted(server, repetitions=1)
        assert [each["RowKey"] for each in table.query("PartitionKey eq @p", {"p": "x"})] == ["a"]
        with pytest.raises(AzureError):
            list(table.query("PartitionKey eq @p", {"p": "x"}))
        assert server.accepted == 4


ACCOUNT = "https://account.table.core.windows.net"


class Diverted(RequestsTransport):  # type: ignore[misc]  # the SDK gives it no type
    """Sends what is for an account to a server of the test."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        self._origin = origin

    def send(self, request: Any, **options: Any) -> Any:  # noqa: ANN401, of the SDK
        request.url = request.url.replace(ACCOUNT, self._origin)
        return super().send(request, **options)


class Identity:
    def get_token(self, *_of_scopes: str, **_options: object) -> AccessToken:
        return AccessToken("of-the-identity", 2**31)


def test_what_is_written_and_read_here_has_the_identitys_token_and_the_version_of_the_protocol() -> None:
    """Table Storage takes a token of those alone who say their version."""
    with ScriptedServer() as server:
        server.answer(page("a"), Reply(202, ANSWER.encode()))
        tables = Tables(ACCOUNT, credential=Identity(), transport=Diverted(server.origin))
        with tables:
            table = Table(tables.get_table_client("Things"))
            assert len(list(table.query("PartitionKey eq @p", {"p": "x"}))) == 1
            assert table.write([insertion(row("p", "r"))]) == ['W/"1"']
    sent = [(each.headers["Authorization"], each.headers["x-ms-version"]) for each in server.received]
    assert sent == [("Bearer of-the-identity", "2019-02-02")] * 2


def scripted(server: ScriptedServer | RawServer, repetitions: int = 0) -> Table:
    connection = f"AccountName=a;AccountKey=a2V5;TableEndpoint={server.origin}/a"
    return Table(Tables.from_connection_string(connection, retry_total=repetitions).get_table_client("Things"))
