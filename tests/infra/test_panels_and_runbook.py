"""Each query that a person looks at finds something, once everything has happened that the alerts are about."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.infra.emissions import emit
from tests.infra.scenarios import ORDERS, SCENARIOS
from tests.support import kusto_queries
from tests.support.kusto_language import Analysis, analyse
from tests.support.kusto_queries import Query
from tests.support.workspace import Workspace

NOW = datetime(2026, 11, 25, 12, 2, 40, tzinfo=UTC)
SPAN = timedelta(days=1)
PANELS = kusto_queries.of_workbook(OperationId=ORDERS.operation_id)
DOCUMENTED = [query for query in kusto_queries.of_documentation() if not query.text.startswith(".")]


@pytest.fixture(scope="module")
def analyses() -> Mapping[str, Analysis]:
    texts = [query.text for query in (*PANELS, *DOCUMENTED)]
    return dict(zip(texts, analyse(texts), strict=True))


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    happened = dict.fromkeys(during for scenario in SCENARIOS for during in scenario.happened)
    with Workspace() as workspace:
        workspace.load(emit().rows(happened, before=NOW))
        yield workspace


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.place)
def test_a_panel_shows_rows_with_a_value_in_each_column(
    panel: Query, workspace: Workspace, analyses: Mapping[str, Analysis]
) -> None:
    rows = workspace.query(panel.text, now=NOW, span=SPAN)
    assert rows
    assert rows[0].keys() == analyses[panel.text].columns.keys()
    assert [name for name in rows[0] if all(row[name] in (None, "") for row in rows)] == []


@pytest.mark.parametrize("query", DOCUMENTED, ids=lambda query: query.place)
def test_a_query_of_the_documentation_finds_rows(
    query: Query, workspace: Workspace, analyses: Mapping[str, Analysis]
) -> None:
    rows = workspace.query(query.text, now=NOW, span=SPAN)
    assert rows
    assert rows[0].keys() == analyses[query.text].columns.keys()
