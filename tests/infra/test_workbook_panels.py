"""Each query of the workbook gives what its panel shows, of the rows that the app's own exporter sends."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.infra.emissions import emit
from tests.infra.scenarios import ORDERS, SCENARIOS
from tests.support import kusto_queries
from tests.support.kusto_language import analyse
from tests.support.kusto_queries import Query
from tests.support.workspace import Workspace

NOW = datetime(2026, 11, 25, 12, 2, 40, tzinfo=UTC)
SPAN = timedelta(days=1)
PANELS = kusto_queries.of_workbook(OperationId=ORDERS.operation_id)


@pytest.fixture(scope="module")
def columns() -> Mapping[str, frozenset[str]]:
    analyses = analyse([panel.text for panel in PANELS])
    return {panel.text: frozenset(analysis.columns) for panel, analysis in zip(PANELS, analyses, strict=True)}


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    happened = dict.fromkeys(during for scenario in SCENARIOS for during in scenario.happened)
    with Workspace() as workspace:
        workspace.load(emit().rows(happened, before=NOW))
        yield workspace


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.place)
def test_a_panel_has_rows_with_the_columns_that_kusto_gives_them(
    panel: Query, workspace: Workspace, columns: Mapping[str, frozenset[str]]
) -> None:
    rows = workspace.query(panel.text, now=NOW, span=SPAN)
    assert rows
    assert rows[0].keys() == columns[panel.text]
    empty = [name for name in rows[0] if all(row[name] in (None, "") for row in rows)]
    assert empty == []
