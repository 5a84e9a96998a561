"""What there is outside the process at one moment: all that is left when it dies."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from azure.core.exceptions import ResourceNotFoundError

from shared import keys
from shared.store.handed_out import HandedOut, read_handed_out
from tests.crash.steps import TABLES
from tests.support.list_rows import check_list_rows, list_rows_of
from tests.support.world import Row, World


@dataclass(frozen=True)
class Left:
    """What is left behind, as counts and states: two runs that did the same leave the same.

    Attributes:
        storage: How many of the app's tables and queues exist.
        layout: Whether the row with the number of partitions is there.
        pointers: How many operations have their pointer.
        messages: How many operations have the row with their message, by which they are watched.
        due: Of each due row, how often its operation was polled, by what its end has still to be told, and whether a
            dispatch note has it as handed out.
        operations: Attempt, ``State``, polls and counts of each operation's row, that of retried blobs last.
        listed: Of each listed operation what its copy says: ``State``, counts, that of retried blobs last.
        blobs: Attempt, ``Status`` and ``RetryState`` of each blob's row.
        claims: How many blobs are claimed.
        redrives: Of each redrive, whether it is done and how many blobs or messages it was.
        incoming: Messages on the three queues, the one in hand too.
        retries: The same.
        batches: The same.
        poison: Messages kept because they can't be understood.
        submissions: How often blobs were submitted to ADX.
        news: Messages on the queue of results.
        events: Events that the topic took.
    """

    storage: int
    layout: int
    pointers: int
    messages: int
    due: tuple[tuple[int, str, bool], ...]
    operations: tuple[tuple[int, str, int, int, int, int], ...]
    listed: tuple[tuple[str, int, int, int], ...]
    blobs: tuple[tuple[int, str, str], ...]
    claims: int
    redrives: tuple[tuple[bool, int], ...]
    incoming: int
    retries: int
    batches: int
    poison: int
    submissions: int
    news: int
    events: int

    def differs_in(self, other: "Left") -> set[str]:
        """The names of what is not the same."""
        mine, others = asdict(self), asdict(other)
        return {name for name in mine if mine[name] != others[name]}


def look(world: World) -> Left:
    """What there is now."""
    tables = {name: _rows(world, name) for name in TABLES}
    outstanding, operations, blob_rows, redrives = (rows or [] for rows in tables.values())
    kinds = [row["RowKey"].split("|")[0] for row in outstanding]
    notes = {
        row["PartitionKey"]: read_handed_out(row["Ranges"], datetime.min.replace(tzinfo=UTC))
        for row in outstanding
        if row["RowKey"] == keys.DISPATCHED_ROW
    }
    due = [row for row in outstanding if row["RowKey"].startswith("due|")]
    blobs = [row for row in blob_rows if row["RowKey"] != "!operation"]
    lengths = {f"{name}{suffix}": _length(world, name, suffix) for name in world.names for suffix in ("", "-poison")}
    exist = [*tables.values(), *lengths.values()]
    return Left(
        storage=sum(each is not None for each in exist),
        layout=kinds.count("!layout"),
        pointers=len(blob_rows) - len(blobs),
        messages=kinds.count("op"),
        due=tuple(
            sorted(
                (row["Polls"], row.get("Untold", ""), notes.get(row["PartitionKey"], HandedOut()).holds(row["RowKey"]))
                for row in due
            )
        ),
        operations=tuple(sorted(map(_operation, operations))),
        listed=tuple(sorted(map(_listed, list_rows_of(outstanding).values()))),
        blobs=tuple(sorted((row["Attempt"], row["Status"], row["RetryState"]) for row in blobs)),
        claims=sum("ClaimedBy" in row for row in blobs),
        redrives=tuple(sorted((row["Done"], row.get("Count", 0)) for row in redrives)),
        incoming=lengths["OPERATIONS_QUEUE"] or 0,
        retries=lengths["RETRY_QUEUE"] or 0,
        batches=lengths["POLL_QUEUE"] or 0,
        poison=sum(count or 0 for name, count in lengths.items() if name.endswith("-poison")),
        submissions=sum(blob.submissions for blob in world.adx.books().blobs),
        news=len(world.news()),
        events=len(world.grid.events) if world.grid else 0,
    )


def _listed(kinds: Mapping[str, list[Row]]) -> tuple[str, int, int, int]:
    """What one operation's list rows say; at each moment they are whole."""
    copy = check_list_rows(kinds)
    return copy["State"], copy["Succeeded"], copy["Failed"], copy["RetriedBlobs"]


def _operation(row: Row) -> tuple[int, str, int, int, int, int]:
    return row["Attempt"], row["State"], row["Polls"], row["Succeeded"], row["Failed"], row["RetriedBlobs"]


def _rows(world: World, name: str) -> list[Row] | None:
    with world.tables.get_table_client(name) as client:
        try:
            return list(client.list_entities())
        except ResourceNotFoundError:
            return None


def _length(world: World, queue: str, suffix: str) -> int | None:
    with world.queues.get_queue_client(world.names[queue] + suffix) as client:
        try:
            return client.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return None
