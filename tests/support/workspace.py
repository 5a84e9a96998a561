"""A Log Analytics workspace on this machine: DuckDB with the tables of Application Insights, queried in KQL.

`duckdb-kql` turns a query into SQL, or refuses it where it knows no SQL that means the same. Of its differences from
Kusto these matter here: `percentile` and `dcount` are exact, and rows without an order come in any.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from types import TracebackType
from typing import Self

import duckdb_kql
import pyarrow as pa

from tests.support.app_insights import Row
from tests.support.workspace_tables import TABLES

_SQL = {
    "bool": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "dynamic": "JSON",
    "int": "INTEGER",
    "real": "DOUBLE",
    "string": "VARCHAR",
}
# They go in as JSON.
_DYNAMIC = {name for columns in TABLES.values() for name, type_ in columns.items() if type_ == "dynamic"}
# Beyond any row of a test.
_ALL = timedelta(days=3650)


class Workspace:
    """Tables that are empty at first."""

    def __init__(self) -> None:
        self._database = duckdb_kql.connect()
        self._database.execute("CREATE SCHEMA stored")
        for table, columns in TABLES.items():
            typed = ", ".join(f'"{name}" {_SQL[type_]}' for name, type_ in columns.items())
            self._database.execute(f'CREATE TABLE stored."{table}" ({typed})')

    def load(self, rows: Iterable[Row]) -> None:
        """Take rows in, each into the table that its ``Type`` names."""
        by_table: dict[str, list[Row]] = {}
        for row in rows:
            by_table.setdefault(row["Type"], []).append(
                row | {name: json.dumps(row[name]) for name in _DYNAMIC & row.keys()}
            )
        for table, those in by_table.items():
            self._database.register("incoming", pa.Table.from_pylist(those))
            self._database.execute(f'INSERT INTO stored."{table}" SELECT * FROM incoming')  # noqa: S608, a name of ours
            self._database.unregister("incoming")

    def query(self, text: str, *, now: datetime, span: timedelta = _ALL) -> list[Row]:
        """Run a query over the rows of a time span, as each query of the service has one beside its text.

        Args:
            text: In KQL.
            now: The end of the span, and what `now()` and `ago()` go by.
            span: How far back the rows may be.

        Returns:
            The rows of its result.
        """
        end = now.astimezone(UTC).replace(tzinfo=None)
        for table in TABLES:
            within = f"\"TimeGenerated\" > TIMESTAMP '{end - span}' AND \"TimeGenerated\" <= TIMESTAMP '{end}'"
            view = f'CREATE OR REPLACE VIEW "{table}" AS SELECT * FROM stored."{table}" WHERE {within}'  # noqa: S608, ours
            self._database.execute(view)
        sql = _sql(text, end)
        done = self._database.execute(sql, sql.parameters or None)
        names = [column[0] for column in done.description or ()]
        return [dict(zip(names, row, strict=True)) for row in done.fetchall()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()


@cache
def _sql(text: str, now: datetime) -> duckdb_kql.TranslationResult:
    """A query in SQL. Reading one takes many times as long as running it."""
    return duckdb_kql.to_sql(text, {name: list(columns) for name, columns in TABLES.items()}, query_now=now)
