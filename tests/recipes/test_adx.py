"""The recipe for the results in ADX: its commands and queries, and its mapping on events that the app makes."""

import json
import re
from datetime import datetime
from typing import Any

from shared import news
from tests.recipes import pages
from tests.support import ends
from tests.support.kusto_language import analyse

COMMANDS, *QUERIES = pages.snippets("read-adx", "kql")
CREATE, MAPPING = COMMANDS.splitlines()
COLUMNS = dict(re.findall(r"(\w+): (\w+)", CREATE))
TABLES = {"IngestionResults": COLUMNS}
PATHS: dict[str, str] = {
    each["column"]: each["Properties"]["Path"] for each in json.loads(MAPPING.split("'", 2)[2].strip(" '"))
}


def at(path: str, content: Any) -> Any:  # noqa: ANN401, a value of JSON
    """What is at a path such as ``$.data.state``; what is not there is an error, as the mapping would give null."""
    first, *names = path.split(".")
    assert first == "$"
    for name in names:
        content = content[name]
    return content


def test_commands_and_queries_are_right() -> None:
    said = analyse([CREATE, MAPPING, *QUERIES], TABLES)
    assert [each.diagnostics for each in said] == [()] * (2 + len(QUERIES))
    assert all(each.columns for each in said)
    wrong = analyse([QUERIES[0].replace("RegisteredAt", "Registered"), MAPPING.replace("json", "jason")], TABLES)
    assert all(each.diagnostics for each in wrong)


def test_each_column_is_mapped_once_and_no_other() -> None:
    assert list(PATHS) == list(COLUMNS)
    assert len(set(PATHS.values())) == len(PATHS)


def test_the_mapping_finds_every_value_in_an_event_and_each_has_the_type_of_its_column() -> None:
    kinds = {"string": str, "int": int, "long": int, "datetime": str, "dynamic": list}
    for event in _events():
        values = {column: at(path, event) for column, path in PATHS.items()}
        for column, value in values.items():
            assert value is None or type(value) is kinds[COLUMNS[column]], column
            if COLUMNS[column] == "datetime":
                assert datetime.fromisoformat(str(value)).tzinfo
        assert values["EventId"]
        assert values["EventType"].startswith("AdxIngestionTracker.Operation")
        assert values["State"] == "Failed"
        assert [each["errorCode"] for each in values["FailedBlobs"]] == [None, None]


def test_what_a_query_takes_out_of_a_failed_blob_is_in_it() -> None:
    named = {name for query in QUERIES for name in re.findall(r"Blob\.(\w+)", query)}
    assert named
    for event in _events():
        for blob in event["data"]["failedBlobs"]:
            assert named <= blob.keys()


def _events() -> list[dict[str, Any]]:
    """An end and a correction, as they are published."""
    made = [news.cloud_event(news.news_of(kind, ends.an_end(), ends.rows(2))) for kind in news.Kind]
    events: list[dict[str, Any]] = json.loads(news.write_batch(made))
    return events
