"""The tracker as most would write it first: a row an operation, a timer that asks for each, one after the other.

It is honest work: it asks only for what is running, writes each row once a poll, and the blobs before the operation
ends. What it lacks is what makes it naive: rows are found by a filter on no key, written one by one, and details are
always asked for.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

import requests
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableServiceClient

_SECONDS = 30.0
_OPEN = frozenset({"Queued", "InProgress"})

OPERATIONS = "NaiveOperations"
BLOBS = "NaiveBlobs"


class NaivePeer:
    """Watches operations.

    Attributes:
        settled: How many have ended.
    """

    def __init__(self, tables: TableServiceClient, adx: requests.Session, uri: str) -> None:
        self._operations = tables.get_table_client(OPERATIONS)
        self._blobs = tables.get_table_client(BLOBS)
        self._adx = adx
        self._uri = uri
        self.settled = 0

    def create_tables(self) -> None:
        """Create the two tables."""
        for table in (self._operations, self._blobs):
            table.create_table()

    def register(self, operation_id: str, database: str, table: str) -> None:
        """Begin to watch an operation. A message that comes twice finds it watched already."""
        row = {"PartitionKey": database, "RowKey": operation_id, "Table": table, "State": "InProgress", "Polls": 0}
        try:
            self._operations.create_entity(row)
        except ResourceExistsError:
            return

    def tick(self) -> None:
        """What the timer does: ask for each operation that has not ended."""
        for row in self._operations.query_entities("State eq 'InProgress'"):
            self._poll(row)

    def _poll(self, row: dict[str, Any]) -> None:
        blobs = self._details(row)
        statuses = [str(blob["status"]) for blob in blobs]
        row["Polls"] += 1
        row |= {name: statuses.count(name) for name in ("Succeeded", "Failed", "InProgress", "Canceled")}
        if blobs and _OPEN.isdisjoint(statuses):
            self._write_blobs(str(row["RowKey"]), blobs)
            row["State"] = "Failed" if row["Failed"] else "Succeeded"
            self.settled += 1
        self._operations.update_entity(row)

    def _details(self, row: dict[str, Any]) -> Sequence[dict[str, Any]]:
        path = "/".join(quote(str(row[name]), safe="") for name in ("PartitionKey", "Table", "RowKey"))
        answer = self._adx.get(
            f"{self._uri}/v1/rest/ingestion/queued/{path}", params={"details": "true"}, timeout=_SECONDS
        )
        answer.raise_for_status()
        details: Sequence[dict[str, Any]] = answer.json()["details"]
        return details

    def _write_blobs(self, operation_id: str, blobs: Iterable[dict[str, Any]]) -> None:
        for blob in blobs:
            row = {name: blob.get(name) for name in ("url", "status", "startTime", "lastUpdated", "errorCode")}
            self._blobs.upsert_entity({"PartitionKey": operation_id, "RowKey": blob["sourceId"], **row})
