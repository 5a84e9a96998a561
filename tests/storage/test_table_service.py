"""The benchmarks' table service does what Azurite does, for the app and for a client that writes its own requests."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from benchmarks.table_service import TableService
from local.azurite import ACCOUNT, KEY, Azurite
from shared.store.protocol import Tables
from shared.store.tables import Table
from tests.support.table_agreement import check_agreement

_numbers = iter(range(1_000))
MINIMAL = {"Accept": "application/json;odata=minimalmetadata"}
OF_ANOTHER = "If-Match: W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\"\r\n"
TOLD = {"Long@odata.type", "Time@odata.type", "odata.etag"}
MORE_THAN_TWO_PAGES = 2_100


@pytest.fixture(scope="module")
def service() -> Iterator[TableService]:
    with TableService.start() as running:
        yield running


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


@dataclass(frozen=True)
class Change:
    """One part of a batch, as bytes of the protocol's own kind."""

    method: str
    row: str
    properties: str = ""
    headers: str = ""

    def part(self, address: str) -> str:
        target = address if self.method == "POST" else f"{address}(PartitionKey='p',RowKey='{self.row}')"
        keys = f'"PartitionKey":"p","RowKey":"{self.row}"'
        body = "" if self.method == "DELETE" else f"{{{keys}{self.properties}}}"
        return (
            "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            f"{self.method} {target} HTTP/1.1\r\nContent-Type: application/json\r\n{self.headers}"
            f"Accept: application/json;odata=minimalmetadata\r\n\r\n{body}\r\n"
        )


class Raw:
    """Speaks to one table as the protocol is written, without the SDK."""

    def __init__(self, endpoint: str) -> None:
        self.name = f"raw{next(_numbers)}"
        self._endpoint = endpoint
        self._session = requests.Session()
        self.ask("POST", "Tables", json.dumps({"TableName": self.name}))

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> requests.Response:
        url = requests.Request(method, f"{self._endpoint}/{path}").prepare().url or ""
        date = formatdate(usegmt=True)
        # https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key, the light form for tables
        signed = f"{date}\n/{ACCOUNT}{urlsplit(url).path}".encode()
        signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), signed, hashlib.sha256)).decode()
        sent = {
            "x-ms-date": date,
            "x-ms-version": "2019-02-02",
            "Authorization": f"SharedKeyLite {ACCOUNT}:{signature}",
            "Content-Type": "application/json",
            **MINIMAL,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self._session.request(method, url, data=body.encode(), headers=sent, timeout=10)

    def batch(self, *changes: Change) -> list[tuple[int, str | None, tuple[str, str] | None]]:
        """Status, ETag and error of each answer."""
        address = f"{self._endpoint}/{self.name}"
        parts = "".join(f"--changeset_1\r\n{change.part(address)}" for change in changes)
        head = "--batch_1\r\nContent-Type: multipart/mixed; boundary=changeset_1\r\n\r\n"
        body = f"{head}{parts}--changeset_1--\r\n--batch_1--\r\n"
        answer = self.ask("POST", "$batch", body, Content_Type="multipart/mixed; boundary=batch_1")
        assert answer.status_code == 202
        assert answer.headers["Content-Type"].startswith("multipart/mixed; boundary=")
        return [_part(text) for text in answer.text.split("HTTP/1.1 ")[1:]]

    def row(self, row: str) -> dict[str, Any]:
        answer = self.ask("GET", f"{self.name}(PartitionKey='p',RowKey='{row}')")
        content: dict[str, Any] = answer.json()
        return content


def _part(text: str) -> tuple[int, str | None, tuple[str, str] | None]:
    etag = re.search(r"(?im)^etag: (\S+)", text)
    error = re.search(r'\{"odata.error".*\}', text)
    return int(text[:3]), etag and etag[1], _error(error[0]) if error else None


def _error(text: str) -> tuple[str, str]:
    error = json.loads(text)["odata.error"]
    return error["code"], error["message"]["value"].partition(":")[0]


@pytest.fixture(params=["azurite", "table service"])
def raw(request: pytest.FixtureRequest, azurite: Azurite, service: TableService) -> Raw:
    return Raw(azurite.table_endpoint if request.param == "azurite" else f"{service.uri}/{ACCOUNT}")


def test_it_agrees_with_azurite_on_what_the_app_does(azurite: Azurite, service: TableService) -> None:
    with (
        Tables.from_connection_string(azurite.connection_string, retry_total=0) as theirs,
        Tables.from_connection_string(service.connection_string(), retry_total=0) as ours,
    ):
        check_agreement(lambda name: Table(ours.get_table_client(name)), theirs)


def test_a_batch_is_done_as_a_whole(raw: Raw) -> None:
    quiet = "Prefer: return-no-content\r\n"
    first = raw.batch(Change("POST", "a", ',"One":1,"Two":2', quiet), Change("PUT", "b"), Change("PATCH", "c"))
    assert [status for status, _, _ in first] == [204, 204, 204]
    etags = [etag for _, etag, _ in first]
    assert all(etags)
    second = raw.batch(
        Change("MERGE", "a", ',"One":7', f"If-Match: {etags[0]}\r\n"),
        Change("DELETE", "b", headers=f"If-Match: {etags[1]}\r\n"),
        Change("PUT", "c", ',"One":8', "If-Match: *\r\n"),
    )
    assert [(status, error) for status, _, error in second] == [(204, None)] * 3
    row = raw.row("a")
    assert (row["One"], row["Two"], row["odata.etag"]) == (7, 2, second[0][1])
    assert raw.row("b")["odata.error"]["code"] == "ResourceNotFound"
    assert raw.row("c")["One"] == 8


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (Change("POST", "a"), 409, "EntityAlreadyExists"),
        (Change("PUT", "a", headers=OF_ANOTHER), 412, "UpdateConditionNotSatisfied"),
        (Change("DELETE", "a", headers=OF_ANOTHER), 412, "UpdateConditionNotSatisfied"),
        (Change("MERGE", "none", headers="If-Match: *\r\n"), 404, "ResourceNotFound"),
        (Change("DELETE", "none", headers="If-Match: *\r\n"), 404, "ResourceNotFound"),
    ],
)
def test_a_batch_of_which_one_part_fails_does_nothing_and_says_which(
    raw: Raw, change: Change, status: int, code: str
) -> None:
    raw.batch(Change("POST", "a", ',"One":1'))
    before = raw.row("a")
    answers = raw.batch(Change("POST", "b"), Change("POST", "c"), change)
    assert answers == [(status, None, (code, "2"))]
    assert raw.row("a") == before
    assert "odata.error" in raw.row("b")


def test_a_batch_to_a_table_that_is_not_there_says_so(raw: Raw) -> None:
    raw.name = "nowhere"
    assert raw.batch(Change("POST", "a")) == [(404, None, ("TableNotFound", "0"))]


@pytest.mark.parametrize(
    ("accept", "told"),
    [
        ("application/json;odata=nometadata", set()),
        ("application/json;odata=minimalmetadata", TOLD),
        (
            "application/json;odata=fullmetadata",
            {*TOLD, "Timestamp@odata.type", "odata.type", "odata.id", "odata.editLink"},
        ),
    ],
)
def test_a_row_says_as_much_as_is_asked_for(raw: Raw, accept: str, told: set[str]) -> None:
    values = ',"Long":"5000000000","Long@odata.type":"Edm.Int64","Real":1.0,"Real@odata.type":"Edm.Double","Yes":true'
    time = ',"Time":"2026-11-24T12:00:00.123456Z","Time@odata.type":"Edm.DateTime","Text":"ä"'
    raw.batch(Change("POST", "a", values + time))
    answer = raw.ask("GET", f"{raw.name}()?$filter=PartitionKey eq 'p'", Accept=accept)
    assert accept in answer.headers["Content-Type"]
    (row,) = answer.json()["value"]
    assert {name for name in row if "odata" in name} == told
    shown = {name: value for name, value in row.items() if "odata" not in name and name != "Timestamp"}
    assert shown == {
        "PartitionKey": "p",
        "RowKey": "a",
        "Long": "5000000000",
        "Real": 1.0,
        "Yes": True,
        "Time": "2026-11-24T12:00:00.123456Z",
        "Text": "ä",
    }


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("RowKey gt '0002' and RowKey le '0004'", ["0003", "0004"]),
        ("RowKey ge '0002' and RowKey lt '0004'", ["0002", "0003"]),
        ("RowKey ge '0002' and RowKey ge '0003' and RowKey lt '0005' and RowKey lt '0004'", ["0003"]),
        ("RowKey eq '0003' and RowKey gt '0003'", []),
        ("PartitionKey lt '' and RowKey lt '0003'", []),
        ("PartitionKey lt ''", []),
        ("RowKey lt '0003' and RowKey ne '0001'", ["0000", "0002"]),
        ("RowKey lt '0006' and Odd eq true", ["0001", "0003", "0005"]),
        ("Number gt 2 and Number lt 5", ["0003", "0004"]),
        ("Time ge datetime'2026-11-24T12:00:08Z'", ["0008", "0009"]),
        ("Missing ne 'x'", []),
    ],
)
def test_a_filter_finds_what_it_says(raw: Raw, condition: str, found: list[str]) -> None:
    raw.batch(
        *(
            Change(
                "POST",
                f"{number:04}",
                f',"Number":{number},"Odd":{json.dumps(bool(number % 2))}'
                f',"Time":"2026-11-24T12:00:0{number}Z","Time@odata.type":"Edm.DateTime"',
            )
            for number in range(10)
        )
    )
    answer = raw.ask("GET", f"{raw.name}()?$filter=PartitionKey eq 'p' and {condition}&$select=RowKey")
    assert [row["RowKey"] for row in answer.json()["value"]] == found


def test_pages_follow_one_another(raw: Raw) -> None:
    for start in range(0, MORE_THAN_TWO_PAGES, 100):
        raw.batch(*(Change("POST", f"{number:05}") for number in range(start, start + 100)))
    sizes, rows = _pages(raw, "$filter=PartitionKey eq 'p'&$select=RowKey")
    assert sizes == [1000, 1000, 100]
    assert rows == [f"{number:05}" for number in range(MORE_THAN_TWO_PAGES)]
    sizes, rows = _pages(raw, "$filter=PartitionKey eq 'p' and RowKey ge '01000' and RowKey lt '01010'&$top=4")
    assert sizes[:2] == [4, 4]
    assert rows == [f"{number:05}" for number in range(1000, 1010)]


def _pages(raw: Raw, query: str) -> tuple[Sequence[int], Sequence[str]]:
    sizes, rows, token = [], [], ""
    while True:
        answer = raw.ask("GET", f"{raw.name}()?{query}{token}")
        page = answer.json()["value"]
        sizes.append(len(page))
        rows += [row["RowKey"] for row in page]
        partition, row = (answer.headers.get(f"x-ms-continuation-Next{name}Key") for name in ("Partition", "Row"))
        if not partition or not row:
            return sizes, rows
        token = f"&NextPartitionKey={partition}&NextRowKey={row}"


def test_a_query_looks_at_no_row_that_its_keys_do_not_name(service: TableService) -> None:
    with Tables.from_connection_string(service.connection_string(), retry_total=0) as client:
        table = Table(client.get_table_client("indexed"))
        table.create()
        row = '{"PartitionKey": "p", "RowKey": "NUMBER", "Text": "x"}'
        service.plant("indexed", row, ["NUMBER"], [[f"{number:06}"] for number in range(20_000)])
        before = service.counts()
        condition = "PartitionKey eq 'p' and RowKey ge '010000' and RowKey lt '010010'"
        assert len(list(table.query(condition, {}))) == 10
        counted = service.counts() - before
        assert (counted["query"], counted["rows read"], counted["rows looked at"]) == (1, 10, 10)


def test_what_is_planted_reads_as_what_was_written(service: TableService) -> None:
    with Tables.from_connection_string(service.connection_string(), retry_total=0) as client:
        table = Table(client.get_table_client("planted"))
        table.create()
        table.insert({"PartitionKey": "p", "RowKey": "due|1", "Number": 2**20, "Text": "1"})
        (row,) = service.rows("planted")
        service.plant("planted", json.dumps(row), ["due|1"], [["due|2"]])
        first, second = table.query("PartitionKey eq 'p'", {})
        assert {**first, "RowKey": "due|2"} == second
        service.clear("planted")
        assert not list(table.query("PartitionKey eq 'p'", {}))
