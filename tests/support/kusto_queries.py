"""The queries that the project ships: of its alerts, its workbook and its documentation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from local.processes import REPOSITORY

ALERTS = REPOSITORY / "infra" / "bicep" / "alerts.yaml"
WORKBOOK = REPOSITORY / "infra" / "bicep" / "workbook.yaml"
# As Bicep puts it in; in capitals here and there, as resource IDs come.
COMPONENT = (
    "/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/rg-Tracker/providers/"
    "Microsoft.Insights/components/appi-tracker"
)
FENCE = re.compile(r"^( *)```kusto\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Query:
    """A query in KQL.

    Attributes:
        place: Where it stands, for a reader.
        text: With its placeholders filled.
    """

    place: str
    text: str


def filled(text: str, **values: str) -> str:
    """The text with its placeholders filled as where it is deployed; ``values`` are those of a workbook's parameters.

    Raises:
        KeyError: there is a placeholder that nothing fills.
    """
    known = {"component": COMPONENT} | values
    return re.sub(r"\{([A-Za-z]\w*)\}", lambda found: known[found[1]], text)


def alerts() -> list[dict[str, Any]]:
    """The alerts as alerts.yaml has them."""
    listed: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["alerts"]
    return listed


def of_alerts() -> list[Query]:
    """The query of each alert."""
    return [Query(f"alert {alert['name']}", filled(alert["query"])) for alert in alerts()]


def of_workbook(**values: str) -> list[Query]:
    """Each query of the workbook; ``values`` are those of its parameters."""
    book = yaml.safe_load(WORKBOOK.read_text())
    return [
        Query(f"workbook, {item['name']}", filled(item["content"]["query"], **values))
        for item in _items(book)
        if "query" in item["content"]
    ]


def of_documentation() -> list[Query]:
    """Each query of README.md and docs/, commands of ADX among them."""
    pages = [*REPOSITORY.glob("*.md"), *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [
        Query(f"{page.name}, line {text.count('\n', 0, found.start()) + 1}", filled(found[2]))
        for page in pages
        for text in [page.read_text()]
        for found in FENCE.finditer(text)
    ]


def _items(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in group["items"]:
        yield item
        if "items" in item["content"]:
            yield from _items(item["content"])
