"""What an instance of the app needs around it, and many operations that it finds outstanding.

ADX's part is the simulator's, that of Table Storage the table service's beside this file, and queues are on Azurite:
each a process of its own, so that what the app takes of the processor can be told from what they take.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.table_service import TableService
from local.adx_simulator import AdxSimulator, Crowd
from local.azurite import Azurite
from shared.ambient import Ambient
from shared.app import Tracker
from shared.model import Operation
from shared.settings import Settings, load

DATABASE, TABLE = "db", "events"
TABLES = ("OutstandingOperations", "IngestionBlobs", "IngestionOperations")
FINISHED = 0.05
"""The share of the operations that have ended when they are polled."""

_ID, _KEY, _SHARD = "@id@", "@key@", "@shard@"
_FAR = timedelta(hours=1)


@dataclass(frozen=True)
class Surroundings:
    """Where the app's requests go.

    Attributes:
        adx: The simulator.
        tables: The table service.
        azurite: For queues.
    """

    adx: AdxSimulator
    tables: TableService
    azurite: Azurite

    def environment(self) -> dict[str, str]:
        """The app settings of an instance here."""
        return {
            "IngestionStorage": self.tables.connection_string(self.azurite.queue_endpoint),
            "KUSTO_INGEST_URI": self.adx.uri,
            "KUSTO_AUTH": "none",
            "KUSTO_DATABASE": DATABASE,
            "KUSTO_TABLE": TABLE,
        }

    def settings(self) -> Settings:
        """The same, read: the defaults for all else."""
        return load(self.environment())


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Start all that an instance needs."""
    with AdxSimulator.start() as adx, TableService.start() as tables, Azurite.start() as azurite:
        yield Surroundings(adx, tables, azurite)


class Population:
    """Operations that were registered some time ago: all alike, by the rows that the app itself wrote for one.

    Args:
        around: Where they are.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._cluster = around.settings().ingest_uri
        now = datetime.now(UTC)
        self._due = self._template(now - _FAR)
        self._not_due = self._template(now + _FAR)

    def plant(self, outstanding: int, due: int | None = None) -> Crowd:
        """Let so many operations be outstanding, and no others.

        Args:
            outstanding: How many.
            due: How many of them are due; all if not given.

        Returns:
            Them, as the simulator knows them.
        """
        crowd = Crowd(database=DATABASE, table=TABLE, count=outstanding, finished_share=FINISHED)
        self._around.adx.plant_many(crowd)
        keys = [self._operation(crowd.operation_id(number)) for number in range(outstanding)]
        words = [(each.operation_id, each.key, each.shard) for each in keys]
        due = outstanding if due is None else due
        for table in TABLES:
            self._around.tables.clear(table)
            for templates, some in ((self._due, words[:due]), (self._not_due, words[due:])):
                for row in templates[table]:
                    self._around.tables.plant(table, row, (_ID, _KEY, _SHARD), some)
        return crowd

    def _operation(self, operation_id: str) -> "_Names":
        key = Operation(self._cluster, DATABASE, TABLE, operation_id).key
        return _Names(operation_id, key, key[0])

    def _template(self, registered_at: datetime) -> dict[str, list[str]]:
        """The rows of one operation, by their table, with marks in the places of its names."""
        Tracker(self._around.settings(), Ambient(now=lambda: registered_at)).register_operation(_ID.encode(), "1")
        names = self._operation(_ID)
        rows = {table: self._around.tables.rows(table) for table in TABLES}
        for table in TABLES:
            self._around.tables.clear(table)
        return {table: [_marked(row, names) for row in found if not _is_apart(row)] for table, found in rows.items()}


@dataclass(frozen=True, slots=True)
class _Names:
    operation_id: str
    key: str
    shard: str


def _marked(row: dict[str, Any], names: _Names) -> str:
    partition = _SHARD if row["PartitionKey"] == names.shard else row["PartitionKey"]
    return json.dumps({**row, "PartitionKey": partition}).replace(names.key, _KEY)


def _is_apart(row: dict[str, Any]) -> bool:
    """Whether a row is of no operation, such as the table's layout."""
    return str(row["PartitionKey"]).startswith("!")
