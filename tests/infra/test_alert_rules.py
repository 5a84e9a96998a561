"""How an alert's rule is evaluated: `tests/support/alert_rules.py`."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.alert_rules import Rule
from tests.support.app_insights import Row, rows
from tests.support.kusto_queries import COMPONENT
from tests.support.workspace import Workspace

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
RULE = Rule(
    "waiting",
    "AppMetrics | project TimeGenerated, queue = tostring(Properties.queue), value = Sum",
    measure="value",
    aggregation="Total",
    operator="GreaterThan",
    threshold=10,
    dimensions=("queue",),
    window=QUARTER,
    failing=1,
    of=1,
)
FIRES = frozenset({("a",)})
QUIET: frozenset[tuple[str, ...]] = frozenset()


def metric(minutes_ago: float, value: float, queue: str = "a") -> list[Row]:
    data = {"metrics": [{"name": "m", "value": value, "count": 1}], "properties": {"queue": queue}}
    time = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    envelope = {"iKey": "", "tags": {}, "time": time, "data": {"baseType": "MetricData", "baseData": data}}
    return rows([envelope], component=COMPONENT, moved=timedelta())


def fires(rule: Rule, *loaded: Iterable[Row]) -> frozenset[tuple[str, ...]]:
    with Workspace() as workspace:
        for each in loaded:
            workspace.load(each)
        return rule.fires(workspace, NOW)


@pytest.mark.parametrize(
    ("aggregation", "operator", "threshold", "expected"),
    [
        ("Total", "GreaterThan", 11, FIRES),
        ("Total", "GreaterThan", 12, QUIET),
        ("Total", "GreaterThanOrEqual", 12, FIRES),
        ("Maximum", "Equals", 8, FIRES),
        ("Maximum", "GreaterThan", 8, QUIET),
        ("Minimum", "LessThan", 5, FIRES),
        ("Minimum", "LessThanOrEqual", 3, QUIET),
        ("Average", "Equals", 6, FIRES),
        ("Count", "Equals", 2, FIRES),
    ],
)
def test_the_measure_is_aggregated_and_compared(
    aggregation: str, operator: str, threshold: float, expected: frozenset[tuple[str, ...]]
) -> None:
    rule = replace(RULE, aggregation=aggregation, operator=operator, threshold=threshold)
    assert fires(rule, metric(1, 8), metric(2, 4)) == expected


def test_each_combination_of_the_dimensions_is_by_itself() -> None:
    assert fires(RULE, metric(1, 8), metric(2, 4), metric(1, 11, "b"), metric(1, 10, "c")) == {("a",), ("b",)}


def test_without_dimensions_all_rows_are_one_alert() -> None:
    assert fires(replace(RULE, dimensions=()), metric(1, 8), metric(1, 4, "b")) == {()}


def test_what_is_older_than_the_window_does_not_count() -> None:
    assert fires(RULE, metric(15, 20), metric(1, 4)) == QUIET


def test_as_many_periods_have_to_fail_as_the_rule_says() -> None:
    rule = replace(RULE, failing=2, of=3)
    assert fires(rule, metric(1, 20), metric(20, 5), metric(50, 20)) == QUIET
    assert fires(rule, metric(1, 20), metric(20, 5), metric(40, 20)) == FIRES


def test_no_row_fires_nothing_whatever_the_comparison() -> None:
    assert fires(replace(RULE, operator="LessThan")) == QUIET


def test_a_sum_of_nothing_is_a_row_with_zero() -> None:
    summed = replace(RULE, query="AppMetrics | summarize value = sum(Sum)", dimensions=(), operator="LessThan")
    assert fires(summed) == {()}
