"""Each query that the project ships, checked by the language service of Azure's own editors."""

from collections.abc import Iterable, Mapping

import pytest

from tests.support import kusto_queries
from tests.support.kusto_language import Analysis, Diagnostic, analyse
from tests.support.kusto_queries import Query

NUMBERS = frozenset({"int", "long", "real"})
UNKNOWN_NAME = frozenset({"KS142", "KS204"})
RIGHT = (
    "AppMetrics | summarize n = sum(Sum), rows = count() by queue = tostring(Properties.queue), bin(TimeGenerated, 5m)"
)
# With the code of what is wrong, and what it is about.
WRONG = {
    "AppMetrics | where Nam == 'x'": ("KS142", "Nam"),
    "traces | take 1": ("KS204", "traces"),
    "AppMetrics | extend a = nosuch(Sum)": ("KS211", "nosuch"),
    "AppMetrics | where Sum > 'a'": ("KS106", ">"),
    "AppMetrics | summarize sum(Name)": ("KS138", "Name"),
    "AppTraces | where TimeGenerated > ago('1h')": ("KS107", "'1h'"),
    "AppTraces | where": ("KS006", ""),
}


def workbook() -> list[Query]:
    return kusto_queries.of_workbook(OperationId="op-1")


def commands() -> list[Query]:
    """The commands of ADX in the documentation, which have names to fill in."""
    blocks = [block for block in kusto_queries.of_documentation() if block.text.startswith(".")]
    return [Query(f"{block.place}: {line}", line) for block in blocks for line in block.text.splitlines()]


def documentation() -> list[Query]:
    return [query for query in kusto_queries.of_documentation() if not query.text.startswith(".")]


@pytest.fixture(scope="module")
def analyses() -> Mapping[str, Analysis]:
    ours = [*kusto_queries.of_alerts(), *workbook(), *documentation(), *commands()]
    texts = [*(query.text for query in ours), RIGHT, *WRONG]
    return dict(zip(texts, analyse(texts), strict=True))


def _wrong(queries: Iterable[Query], analyses: Mapping[str, Analysis]) -> list[tuple[str, Diagnostic]]:
    return [(query.place, said) for query in queries for said in analyses[query.text].diagnostics]


def test_the_alerts_queries_are_right(analyses: Mapping[str, Analysis]) -> None:
    assert len(kusto_queries.of_alerts()) > 8
    assert _wrong(kusto_queries.of_alerts(), analyses) == []


def test_the_workbooks_queries_are_right(analyses: Mapping[str, Analysis]) -> None:
    assert len(workbook()) > 8
    assert _wrong(workbook(), analyses) == []


def test_the_documentations_queries_are_right(analyses: Mapping[str, Analysis]) -> None:
    assert documentation()
    assert _wrong(documentation(), analyses) == []


def test_the_documentations_commands_of_adx_are_right_but_for_the_names_to_fill_in(
    analyses: Mapping[str, Analysis],
) -> None:
    assert commands()
    for command in commands():
        # Of one that it does not know it knows no result, and says nothing.
        assert analyses[command.text].columns, command.place
        for said in analyses[command.text].diagnostics:
            name = command.text[said.start : said.start + said.length]
            assert said.code in UNKNOWN_NAME, (command.place, said)
            assert name.isupper(), (command.place, said)


def test_what_an_alert_measures_and_splits_by_are_columns_of_its_result(analyses: Mapping[str, Analysis]) -> None:
    for alert, query in zip(kusto_queries.alerts(), kusto_queries.of_alerts(), strict=True):
        columns = analyses[query.text].columns
        if "measure" in alert:
            assert columns[alert["measure"]] in NUMBERS, query.place
        else:
            assert alert["aggregation"] == "Count", query.place
        for dimension in alert.get("dimensions", []):
            assert columns[dimension] == "string", (query.place, dimension)


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_name_function_or_type_is_found(query: str, analyses: Mapping[str, Analysis]) -> None:
    [said] = analyses[query].diagnostics
    assert said.severity == "Error"
    assert (said.code, query[said.start : said.start + said.length]) == WRONG[query]


def test_a_right_query_is_no_error_and_its_columns_have_kustos_types(analyses: Mapping[str, Analysis]) -> None:
    columns = {"queue": "string", "TimeGenerated": "datetime", "n": "real", "rows": "long"}
    assert analyses[RIGHT] == Analysis((), columns)
