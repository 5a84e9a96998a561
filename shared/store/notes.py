"""What the app notes of its own work, in rows of ``OutstandingOperations`` that are of no operation."""

from datetime import datetime

from shared.records import BacklogNote, Census, Notes
from shared.store.tables import Row, Table, moment, required_moment

PARTITION = "!notes"
POLLER, BACKLOG = "poller", "backlog"


def write_tick(outstanding: Table, at: datetime) -> None:
    """Note that a tick of the poller was finished."""
    outstanding.upsert({"PartitionKey": PARTITION, "RowKey": POLLER, "FinishedAt": at})


def write_backlog(outstanding: Table, census: Census, at: datetime) -> None:
    """Note what is outstanding."""
    outstanding.upsert(
        {
            "PartitionKey": PARTITION,
            "RowKey": BACKLOG,
            "Outstanding": census.outstanding,
            "Overdue": census.overdue,
            "OldestRegisteredAt": census.oldest_registered_at,
            "FirstDue": census.first_due_at,
            "MeasuredAt": at,
        }
    )


def read(outstanding: Table) -> Notes:
    """All of it, in one request."""
    found = {str(row["RowKey"]): row for row in outstanding.query("PartitionKey eq @notes", {"notes": PARTITION})}
    poller, backlog = found.get(POLLER), found.get(BACKLOG)
    return Notes(required_moment(poller, "FinishedAt") if poller else None, _backlog(backlog) if backlog else None)


def _backlog(row: Row) -> BacklogNote:
    census = Census(
        outstanding=row["Outstanding"],
        overdue=row["Overdue"],
        oldest_registered_at=moment(row.get("OldestRegisteredAt")),
        first_due_at=moment(row.get("FirstDue")),
    )
    return BacklogNote(census, required_moment(row, "MeasuredAt"))
