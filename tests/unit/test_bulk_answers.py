import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kusto.answers import NoStatus
from shared.kusto.bulk import read_bulk, write_command
from shared.model import BulkStatus, Counts
from tests.support.damage import damaged

DOCUMENTED = "00001111;11112222;00001111-aaaa-2222-bbbb-3333cccc4444"
COLUMNS = {
    "IngestionOperationId": DOCUMENTED,
    "StartedOn": "2025-01-10T14:57:41.0000000Z",
    "LastUpdatedOn": "2025-01-10T15:15:04.0000000Z",
    "State": "InProgress",
    "Discovered": 10387,
    "Pending": 9391,
    "Canceled": 0,
    "Ingested": 995,
    "Failed": 1,
    "SampleFailedReasons": "Stream with ID '*****.csv' has a malformed CSV format*",
    "Database": "MyDatabase",
    "Table": "MyTable",
}
MOVING = BulkStatus(is_in_progress=True, counts=Counts(succeeded=995, failed=1, in_progress=9391))


def answer(*rows: dict[str, Any], columns: Any = None) -> dict[str, Any]:  # noqa: ANN401, whatever JSON says
    names = list(COLUMNS) if columns is None else columns
    table = {
        "TableName": "Table_0",
        "Columns": [{"ColumnName": name, "DataType": "String", "ColumnType": "string"} for name in names],
        "Rows": [[row.get(name) for name in names] for row in rows],
    }
    return {"Tables": [table]}


def read(said: object) -> dict[str, BulkStatus]:
    return read_bulk(json.dumps(said).encode())


def test_the_documented_row() -> None:
    assert read(answer(COLUMNS)) == {DOCUMENTED: MOVING}


def test_columns_are_found_in_any_order_casing_and_spacing() -> None:
    names = list(reversed([*COLUMNS, "Something New"]))
    said = answer(COLUMNS, columns=names)
    for column in said["Tables"][0]["Columns"]:
        column["ColumnName"] = column["ColumnName"].replace("On", " On").upper()
    assert read(said) == {DOCUMENTED: MOVING}


def test_the_examples_of_the_documentation_call_what_is_pending_in_progress() -> None:
    names = ["InProgress" if name == "Pending" else name for name in COLUMNS]
    assert read(answer(COLUMNS | {"InProgress": 9391}, columns=names)) == {DOCUMENTED: MOVING}


@pytest.mark.parametrize("state", ["Completed", "Failed", "Canceled", "Paused", "", None, 1, ["InProgress"]])
def test_only_what_is_in_progress_is_in_progress(state: object) -> None:
    assert read(answer(COLUMNS | {"State": state}))[DOCUMENTED] == BulkStatus(counts=MOVING.counts)


@pytest.mark.parametrize("column", ["Pending", "Canceled", "Ingested", "Failed"])
@pytest.mark.parametrize("value", [None, -1, 1.5, "7", True, [], 2**31])
def test_a_count_that_is_none_leaves_all_of_them_unknown(column: str, value: object) -> None:
    assert read(answer(COLUMNS | {column: value}))[DOCUMENTED] == BulkStatus(is_in_progress=True)


@pytest.mark.parametrize("column", ["State", "Pending", "Canceled", "Ingested", "Failed"])
def test_a_column_may_be_missing(column: str) -> None:
    said = read(answer(COLUMNS, columns=[name for name in COLUMNS if name != column]))
    assert said == {
        DOCUMENTED: BulkStatus(counts=MOVING.counts) if column == "State" else BulkStatus(is_in_progress=True)
    }


def test_a_row_may_be_too_short_or_too_long() -> None:
    said = answer(COLUMNS)
    said["Tables"][0]["Rows"] = [["a", None], [*COLUMNS.values(), "more"], []]
    assert read(said) == {"a": BulkStatus(), DOCUMENTED: MOVING}


def test_of_two_rows_that_differ_nothing_is_known() -> None:
    assert read(answer(COLUMNS, COLUMNS)) == {DOCUMENTED: MOVING}
    for rows in ([COLUMNS, COLUMNS | {"Ingested": 996}, COLUMNS], [COLUMNS | {"Failed": 2}, COLUMNS]):
        assert read(answer(*rows)) == {DOCUMENTED: BulkStatus()}


def test_a_row_without_an_id_is_passed_over() -> None:
    assert read(answer(COLUMNS | {"IngestionOperationId": None}, COLUMNS | {"IngestionOperationId": 5})) == {}


def test_no_rows_are_no_operations() -> None:
    assert read(answer()) == {}


@pytest.mark.parametrize(
    "said",
    [
        [],
        None,
        {},
        {"Tables": []},
        {"Tables": {}},
        {"Tables": [{"Columns": [], "Rows": []}]},
        {"Tables": ["Table_0"]},
        {"Tables": [{"Columns": [{"ColumnName": "IngestionOperationId"}]}]},
        {"Tables": [{"Columns": [{"ColumnName": "IngestionOperationId"}], "Rows": {}}]},
        answer(columns=["OperationId", "State"]),
        {"error": {"code": "x"}},
    ],
)
def test_what_is_no_such_answer_is_an_error_of_the_service(said: object) -> None:
    with pytest.raises(NoStatus):
        read(said)


def test_an_answer_that_broke_off_is_not_taken_for_one_that_lacks_operations() -> None:
    said = answer(COLUMNS)
    said["Tables"][0]["Rows"].append({"Exceptions": ["Query execution has exceeded the allowed limits"]})
    with pytest.raises(NoStatus):
        read(said)
    with pytest.raises(NoStatus):
        read(answer(COLUMNS) | {"Exceptions": ["broken"]})


@given(damaged(answer(COLUMNS, COLUMNS | {"IngestionOperationId": "b"})))
def test_whatever_comes_is_a_status_of_operations_or_none(body: bytes) -> None:
    with suppress(NoStatus):
        said = read_bulk(body)
        assert all(isinstance(name, str) and isinstance(status, BulkStatus) for name, status in said.items())
        assert "csv" not in repr(list(said.values())), "the reasons of failures may hold a secret"


@pytest.mark.parametrize(
    ("operation_id", "literal"),
    [
        (DOCUMENTED, f'"{DOCUMENTED}"'),
        ('a"b', r'"a\"b"'),
        ("a\\", r'"a\\"'),
        ('"), ("x', r'"\"), (\"x"'),
        ("a'b", '"a\'b"'),
        ("a\nb\tc", r'"a\nb\tc"'),
        ("ü/%", '"ü/%"'),
    ],
)
def test_an_id_is_written_as_a_literal_that_it_cannot_leave(operation_id: str, literal: str) -> None:
    assert write_command([operation_id, "x"]) == f'.show queued ingestion operations ({literal}, "x")'


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_the_command_names_the_operations_and_nothing_else(operation_ids: list[str]) -> None:
    head, _, tail = write_command(operation_ids).partition("(")
    assert head == ".show queued ingestion operations "
    assert json.loads(f"[{tail.removesuffix(')')}]") == operation_ids
