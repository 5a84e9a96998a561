"""``IngestionRedrives``: a row for each time that a person had something taken up again."""

from datetime import date
from itertools import batched, groupby

from shared.records import Redrive
from shared.store.tables import GROUP, Row, Table, deletion, merger


class Redrives:
    """The table of that name."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def begin(self, redrive: Redrive) -> None:
        """Write down that it has begun."""
        operation = redrive.operation
        # No Conflict: the row's key is its own, and a repetition by the SDK writes the same.
        self._table.upsert(
            {
                **_keys(redrive),
                "RedriveId": redrive.redrive_id,
                "Kind": redrive.kind.value,
                "RedrivenBy": redrive.by,
                "RedrivenAt": redrive.at,
                "Queue": redrive.queue,
                "OperationId": operation and operation.operation_id,
                "Cluster": operation and operation.cluster,
                "Database": operation and operation.database,
                "Table": operation and operation.table,
                "Done": False,
            }
        )

    def end(self, redrive: Redrive, count: int) -> None:
        """Write down that it is done, and how many blobs or messages it was."""
        self._table.write([merger({**_keys(redrive), "Count": count, "Done": True})])

    def prune(self, day: date) -> int:
        """Delete the rows from before ``day``. Returns how many they were."""
        rows = self._table.query(
            "PartitionKey le @month and RowKey lt @day",
            {"month": f"{day:%Y-%m}", "day": f"{day:%Y%m%d}"},
            select=["PartitionKey", "RowKey"],
        )
        deleted = 0
        for partition, own in groupby(rows, key=lambda row: str(row["PartitionKey"])):
            for group in batched(own, GROUP, strict=False):
                self._table.write([deletion(partition, row["RowKey"]) for row in group])
                deleted += len(group)
        return deleted


def _keys(redrive: Redrive) -> Row:
    return {
        "PartitionKey": f"{redrive.at:%Y-%m}",
        "RowKey": f"{redrive.at:%Y%m%dT%H%M%S.%fZ}|{redrive.redrive_id}",
    }
