"""The recipes for Power BI: parsed, and asked for what they ask for."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.recipes import pages
from tests.recipes.languages import checked
from tests.support.world import World

FROM_API, FROM_TABLES = pages.snippets("read-power-bi", "powerquery")
KEY = "a-function-key-of-this-test"


def columns(snippet: str) -> list[list[str]]:
    """The names that records are expanded to, in order."""
    lists = re.findall(r"Table\.ExpandRecordColumn\(\s*\w+,\s*\"\w+\",\s*\{(.*?)\}\s*\)", snippet, re.DOTALL)
    return [re.findall(r'"(\w+)"', each) for each in lists]


def test_both_are_queries_of_power_query() -> None:
    assert checked([FROM_API, FROM_TABLES, FROM_API.replace("let", "let let", 1)]).queries[:2] == [None, None]


def test_what_is_none_is_found() -> None:
    assert checked([FROM_API.replace("in\n    Typed", "Typed")]).queries != [None]


def test_the_requests_are_answered_page_after_page_with_the_columns_that_are_wanted(world: World) -> None:
    host = world.start_host(function_keys={"powerbi": KEY})
    for number in range(5):
        world.settled(world.submit_and_post([world.upload(f"part-{number}.csv", b"1,2\n")]))
    parts = dict(re.findall(r'(\w+) = "([^"]+)"', FROM_API))
    assert (parts["RelativePath"], parts["limit"], parts["ApiKeyName"]) == ("api/operations", "100", "code")
    # As the expression Utc writes them.
    since, until = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (-1, 1))
    query = {"since": since, "until": until, "limit": "2", "code": KEY}
    found, token, requested = [], None, 0
    while token is not None or not requested:
        answer = requests.get(
            f"{host.uri}/{parts['RelativePath']}",
            params={**query, **({"continuationToken": token} if token else {})},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        found += [each for each in answer.json()["operations"] if each["table"] == world.table]
        token, requested = answer.json()["continuationToken"], requested + 1
    assert (len(found), requested > 2) == (5, True)
    of_operation, of_blobs = columns(FROM_API)
    for operation in found:
        assert set(of_operation) <= operation.keys()
        assert set(of_blobs) <= operation["blobs"].keys()
    typed = re.findall(r'\{"(\w+)", (?:type )?[\w.]+\}', FROM_API)
    assert set(typed) <= {*of_operation, *of_blobs}


def test_the_filter_on_the_tables_keeps_the_rows_of_the_days_and_no_other(world: World) -> None:
    world.start_host()
    operation_id = world.submit_and_post([world.upload("part.csv", b"1,2\n")])
    row = world.settled(operation_id)
    day = row["PartitionKey"].partition("|")[0]
    following = f"{datetime.fromisoformat(day) + timedelta(days=1):%Y-%m-%d}"
    assert "[PartitionKey] >= Day(RangeStart) and [PartitionKey] < Day(RangeEnd)" in FROM_TABLES
    assert '[Format = "yyyy-MM-dd"]' in FROM_TABLES
    assert operation_id in _ids(world, day, following)
    assert operation_id not in _ids(world, following, "9999-01-01")
    assert operation_id not in _ids(world, "2000-01-01", day)
    [wanted] = columns(FROM_TABLES)
    # The columns of a row that have no value are not there.
    assert set(wanted) - row.keys() <= {"CorrelationId", "FirstErrorCode", "LastError"}


def _ids(world: World, since: str, until: str) -> list[Any]:
    with world.tables.get_table_client("IngestionOperations") as client:
        condition = "PartitionKey ge @since and PartitionKey lt @until"
        return [
            row["OperationId"] for row in client.query_entities(condition, parameters={"since": since, "until": until})
        ]


@pytest.mark.parametrize("name", ["RangeStart", "RangeEnd"])
def test_both_take_the_parameters_of_incremental_refresh(name: str) -> None:
    assert name in FROM_API
    assert name in FROM_TABLES
