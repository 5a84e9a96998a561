"""Parses and type-checks KQL as Azure's own editors do, by the language service that Microsoft publishes for them.

It knows the tables that it is told of, and those of Application Insights (`workspace_tables`) where it is told of none.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local import npm_packages
from tests.support.workspace_tables import TABLES

HERE = Path(__file__).resolve().parent
PROGRAM = Path("node_modules/@kusto/language-service-next/Kusto.Language.Bridge.min.js")
ANALYSIS_SECONDS = 300.0


@dataclass(frozen=True)
class Diagnostic:
    """What the language service says of a query.

    Attributes:
        code: Such as KS142.
        severity: Error, Warning or Suggestion.
        message: For a reader.
        start: Where it begins in the query.
        length: Of what it is about.
    """

    code: str
    severity: str
    message: str
    start: int
    length: int


@dataclass(frozen=True)
class Analysis:
    """A query, as the language service understands it.

    Attributes:
        diagnostics: What is wrong with it.
        columns: Of its result, with Kusto's types; empty if it gives no table.
    """

    diagnostics: tuple[Diagnostic, ...]
    columns: Mapping[str, str]


def analyse(queries: Sequence[str], tables: Mapping[str, Mapping[str, str]] = TABLES) -> list[Analysis]:
    """Have queries checked, all of them by one process.

    Args:
        queries: The texts.
        tables: What there is to ask, by name, with the types of the columns.

    Returns:
        What is to be said of each, in their order.
    """
    folder = npm_packages.ensure_installed("kusto-language", HERE, PROGRAM).parent
    answer = subprocess.run(
        [npm_packages.NODE, HERE / "analyse.cjs", folder],
        input=json.dumps({"tables": {name: dict(columns) for name, columns in tables.items()}, "queries": queries}),
        capture_output=True,
        check=True,
        text=True,
        timeout=ANALYSIS_SECONDS,
    )
    return [
        Analysis(tuple(Diagnostic(**said) for said in each["diagnostics"]), each["columns"] or {})
        for each in json.loads(answer.stdout)
    ]
