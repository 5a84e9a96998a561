"""The books: which rows were ingested into which table, by which blob, how often."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

DIGESTS = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class TableBook:
    """What a table holds.

    Attributes:
        database: Its database.
        table: Its name.
        rows: All its rows.
        distinct_rows: Its rows, each content counted once.
        repeated_rows: How many of these contents it holds more than once.
        digest: A number of all its rows whatever their order: the same rows, as often each, give the same.
        tags: Its `ingest-by:` tags, without that prefix.
    """

    database: str
    table: str
    rows: int
    distinct_rows: int
    repeated_rows: int
    digest: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobBook:
    """What became of a blob, over all its submissions to one table.

    Attributes:
        database: Where it went.
        table: Where it went.
        url: Its URL without query.
        submissions: How often it was submitted.
        times_ingested: How often its rows were ingested.
        rows: How many rows that brought, all times together.
        operations: The operations that it was submitted with, in order; untracked ones too.
    """

    database: str
    table: str
    url: str
    submissions: int
    times_ingested: int
    rows: int
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The books at one moment.

    Attributes:
        tables: Every table that something was submitted to.
        blobs: Every blob that was submitted.
        unfinished: How many blobs are on their way and will end; those stuck on purpose are not among them.
    """

    tables: tuple[TableBook, ...]
    blobs: tuple[BlobBook, ...]
    unfinished: int

    @property
    def duplicates(self) -> tuple[BlobBook, ...]:
        """The blobs whose rows were ingested more than once."""
        return tuple(blob for blob in self.blobs if blob.times_ingested > 1)

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables)

    def table(self, database: str, table: str) -> TableBook:
        """Returns the book of a table; an empty one if nothing was ever submitted to it.

        Args:
            database: Its database.
            table: Its name.
        """
        for book in self.tables:
            if (book.database, book.table) == (database, table):
                return book
        return _Table().book(database, table)

    def blob(self, url_contains: str) -> BlobBook:
        """Returns the book of the one blob whose URL contains a text.

        Args:
            url_contains: The text.

        Raises:
            LookupError: No blob's URL contains it, or several do.
        """
        found = [blob for blob in self.blobs if url_contains in blob.url]
        if len(found) != 1:
            raise LookupError(f"{len(found)} blobs have {url_contains!r} in their URL")
        return found[0]

    def to_json(self) -> dict[str, Any]:
        """Returns them as JSON for the control endpoint."""
        return {**asdict(self), "duplicates": [asdict(blob) for blob in self.duplicates]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Returns the books that `to_json` wrote.

        Args:
            data: The JSON.
        """
        return cls(
            tables=tuple(TableBook(**{**table, "tags": tuple(table["tags"])}) for table in data["tables"]),
            blobs=tuple(BlobBook(**{**blob, "operations": tuple(blob["operations"])}) for blob in data["blobs"]),
            unfinished=data["unfinished"],
        )


class Ledger:
    """Keeps the books while the service runs."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, str], _Table] = {}
        self._blobs: dict[tuple[str, str, str], _Blob] = {}

    def submitted(self, database: str, table: str, url: str, operation_id: str) -> int:
        """Notes a submission of a blob, and returns the how-manieth it is.

        Args:
            database: Where it goes.
            table: Where it goes.
            url: Its URL without query.
            operation_id: The operation that it came with.
        """
        self._tables.setdefault((database, table), _Table())
        blob = self._blobs.setdefault((database, table, url), _Blob())
        blob.operations.append(operation_id)
        return len(blob.operations)

    def foreign_tag(self, database: str, table: str, tags: Sequence[str], operation_id: str) -> str | None:
        """Returns the first of the tags that the table holds from another operation.

        Args:
            database: The table's database.
            table: The table.
            tags: The tags, without `ingest-by:`.
            operation_id: The operation whose own tags don't matter.
        """
        held = self._tables[database, table].tags
        return next((tag for tag in tags if held.get(tag, operation_id) != operation_id), None)

    def ingested(
        self, database: str, table: str, url: str, operation_id: str, rows: Counter[int], tags: Sequence[str]
    ) -> None:
        """Notes that a blob's rows are now in its table.

        Args:
            database: Where they went.
            table: Where they went.
            url: The blob's URL without query.
            operation_id: The operation that it came with.
            rows: How often each row occurs in it, by its digest.
            tags: The `ingest-by:` tags that they carry, without that prefix.
        """
        book = self._tables[database, table]
        book.add(rows)
        for tag in tags:
            book.tags.setdefault(tag, operation_id)
        blob = self._blobs[database, table, url]
        blob.times_ingested += 1
        blob.rows += rows.total()

    def books(self, *, unfinished: int) -> Books:
        """Returns the books as they are.

        Args:
            unfinished: How many blobs are on their way.
        """
        return Books(
            tables=tuple(table.book(*key) for key, table in self._tables.items()),
            blobs=tuple(blob.book(*key) for key, blob in self._blobs.items()),
            unfinished=unfinished,
        )


class _Table:
    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self._rows: dict[int, int] = {}
        self._total = 0
        self._repeated = 0
        self._digest = 0

    def add(self, rows: Counter[int]) -> None:
        """Adds rows; the totals follow along, so that reading them costs nothing."""
        for row, times in rows.items():
            before = self._rows.get(row, 0)
            self._rows[row] = before + times
            self._repeated += before <= 1 < before + times
            self._digest += row * times
        self._total += rows.total()
        self._digest %= DIGESTS

    def book(self, database: str, table: str) -> TableBook:
        return TableBook(
            database=database,
            table=table,
            rows=self._total,
            distinct_rows=len(self._rows),
            repeated_rows=self._repeated,
            digest=f"{self._digest:016x}",
            tags=tuple(self.tags),
        )


class _Blob:
    def __init__(self) -> None:
        self.operations: list[str] = []
        self.times_ingested = 0
        self.rows = 0

    def book(self, database: str, table: str, url: str) -> BlobBook:
        return BlobBook(
            database=database,
            table=table,
            url=url,
            submissions=len(self.operations),
            times_ingested=self.times_ingested,
            rows=self.rows,
            operations=tuple(self.operations),
        )
