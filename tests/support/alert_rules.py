"""Evaluates an alert's rule as Azure documents it.

https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule and the properties of
`Microsoft.Insights/scheduledQueryRules`: the query sees the last ``windowSize`` times ``numberOfEvaluationPeriods``;
its rows are grouped by the dimensions and, where it gives ``TimeGenerated``, by periods of ``windowSize``; the measure
is aggregated in each group and compared with the threshold; a combination of dimensions fires once as many of its
periods as have to fail do. Without a row there is no group. Not imitated: that telemetry arrives late, and how a fired
alert is resolved.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from statistics import fmean
from typing import Any

from tests.support.app_insights import Row
from tests.support.kusto_queries import alerts, filled
from tests.support.workspace import Workspace

AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Average": fmean,
    "Count": len,
    "Maximum": max,
    "Minimum": min,
    "Total": sum,
}
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqual": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqual": operator.le,
}
DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


@dataclass(frozen=True)
class Rule:
    """An alert's rule; see alerts.yaml. ``measure`` is None where rows are counted."""

    name: str
    query: str
    measure: str | None
    aggregation: str
    operator: str
    threshold: float
    dimensions: tuple[str, ...]
    window: timedelta
    failing: int
    of: int

    @property
    def span(self) -> timedelta:
        """How far back it looks."""
        return self.window * self.of

    def fires(self, workspace: Workspace, now: datetime) -> frozenset[tuple[str, ...]]:
        """The combinations of the dimensions' values that it fires for; the empty one where it has no dimensions."""
        periods: dict[tuple[str, ...], dict[int, list[Row]]] = {}
        for row in workspace.query(self.query, now=now, span=self.span):
            split = tuple(row[dimension] for dimension in self.dimensions)
            periods.setdefault(split, {}).setdefault(self._period(row, now), []).append(row)
        return frozenset(
            split
            for split, of_split in periods.items()
            if sum(self._is_failing(rows) for rows in of_split.values()) >= self.failing
        )

    def _period(self, row: Row, now: datetime) -> int:
        if "TimeGenerated" not in row:
            assert self.of == 1, f"{self.name} looks at several periods, and its rows have no TimeGenerated"
            return 0
        generated: datetime = row["TimeGenerated"]
        return (now.replace(tzinfo=None) - generated) // self.window

    def _is_failing(self, rows: Sequence[Row]) -> bool:
        values = [1.0 if self.measure is None else row[self.measure] for row in rows]
        known = [value for value in values if value is not None]
        return bool(known) and OPERATORS[self.operator](AGGREGATIONS[self.aggregation](known), self.threshold)


@cache
def all_rules() -> tuple[Rule, ...]:
    """The rules of alerts.yaml."""
    return tuple(_rule(alert) for alert in alerts())


def _rule(alert: Mapping[str, Any]) -> Rule:
    return Rule(
        alert["name"],
        filled(alert["query"]),
        alert.get("measure"),
        alert["aggregation"],
        alert["operator"],
        alert["threshold"],
        tuple(alert["dimensions"]),
        _duration(alert["window"]),
        alert["failing"],
        alert["of"],
    )


def _duration(text: str) -> timedelta:
    found = DURATION.fullmatch(text)
    assert found, f"{text!r} is no duration"
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)
