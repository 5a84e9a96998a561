"""The row by which the app's health is tried: whether storage can be written, and since when that is looked at."""

from datetime import datetime

from shared.store.notes import PARTITION
from shared.store.tables import Table, moment

_ROW = "health"


class HealthNote:
    """The row of that name beside the app's other notes."""

    def __init__(self, outstanding: Table) -> None:
        self._table = outstanding

    def renew(self, now: datetime) -> None:
        """Write it again: a request that reads and one that writes."""
        first = self.first_at() or now
        self._table.upsert({"PartitionKey": PARTITION, "RowKey": _ROW, "FirstCheckedAt": first, "CheckedAt": now})

    def first_at(self) -> datetime | None:
        """When it was written first, None if it was not yet."""
        row = self._table.get(PARTITION, _ROW)
        return moment(row.get("FirstCheckedAt")) if row else None
