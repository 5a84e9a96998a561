"""The blobs of one answer that are too many to be held in memory: a database on disk that nobody else sees.

SQLite keeps it in a file without a name, readable by this process alone and gone with it, and 2 MiB of it in memory. It
also tells which report is of which row of ``IngestionBlobs``, as ``shared.outcome.keyed`` does it in memory.
"""

import sqlite3
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, override

from shared.model import BlobReport, CountedBlobs, Counts, bare_url, blob_key

MOST_AT_ONCE = 5_000
"""Blobs of an operation whose rows are held in memory at once, 2 to 3 KiB each; those of more are taken in parts."""

_BLOBS_OF_PART = 500
_BYTES_OF_PART = 512 * 1024
_REST_OF_BLOB = 200
"""Bytes of a blob besides its texts."""

_DIGITS = "0123456789abcdef"

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE reports (
    place INTEGER PRIMARY KEY, key TEXT, bare TEXT, status TEXT, source_id TEXT, url TEXT, start_time TEXT,
    last_updated TEXT, error_code TEXT, failure_status TEXT, details TEXT
);
CREATE TABLE stored (key TEXT PRIMARY KEY, source_id TEXT, url TEXT) WITHOUT ROWID;
CREATE VIEW told AS
    SELECT place, key, url, status, source_id, start_time, last_updated, error_code, failure_status, details
    FROM reports;
CREATE VIEW bare AS
    SELECT place, key, bare, status, source_id, start_time, last_updated, error_code, failure_status, details
    FROM reports;
"""
_INSERT = "INSERT INTO reports VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

# Those that say the same are told apart by their order.
_OWN_KEYS = """
UPDATE reports SET key = blob_key(source_id, url, same.occurrence)
FROM (SELECT place, row_number() OVER (PARTITION BY key ORDER BY place) - 1 AS occurrence FROM reports) AS same
WHERE same.place = reports.place AND same.occurrence > 0
"""
_INDEX = "CREATE INDEX IF NOT EXISTS reports_by_key ON reports (key)"
# What has found no partner by its key: rows, and reports, those with a sourceId first.
_UNPAIRED = """
CREATE TABLE free AS SELECT * FROM stored WHERE key NOT IN (SELECT key FROM reports);
CREATE TABLE seeking AS
    SELECT place, source_id, bare FROM reports WHERE key NOT IN (SELECT key FROM stored)
    ORDER BY source_id IS NULL, place;
CREATE INDEX free_by_id ON free (source_id, key);
CREATE INDEX free_by_url ON free (url, key);
CREATE INDEX stored_by_id ON stored (source_id);
CREATE INDEX reports_by_id ON reports (source_id);
"""
_COUNT_ID = """
SELECT (SELECT count(*) FROM stored WHERE source_id = :id) + (SELECT count(*) FROM reports WHERE source_id = :id)
"""
_SAME_ID = "SELECT key FROM free WHERE source_id = :id AND (:is_unique OR url IS :url) ORDER BY key LIMIT 1"
_SAME_URL = "SELECT key FROM free WHERE url = :url AND (source_id IS NULL OR :id IS NULL) ORDER BY key LIMIT 1"


@dataclass(frozen=True, slots=True)
class Named:
    """What a row of ``IngestionBlobs`` says of which blob it is of; its URL is bare."""

    key: str
    source_id: str | None
    url: str | None


class ManyBlobs(CountedBlobs):
    """Blobs in the order of their answer. They are gone when nobody has this any more. For one thread at a time.

    ``has_transient``: whether one of them failed transiently; ``lacks_url``: whether one came without its URL.
    """

    def __init__(self, reports: Iterable[BlobReport] = ()) -> None:
        # Opened without a name, SQLite deletes the file as soon as it has it.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._database.close)
        self._database.create_function("blob_key", 3, blob_key, deterministic=True)
        self._database.executescript(_TABLES)
        self._statuses: Counter[str] = Counter()
        self._bytes = 0
        self.has_transient = False
        self.lacks_url = False
        self._execute("BEGIN")
        self._database.executemany(_INSERT, map(self._noted, reports))
        self._execute("COMMIT")
        self.counts = Counts.of_statuses(self._statuses)

    @override
    def __len__(self) -> int:
        return self._statuses.total()

    @override
    def __iter__(self) -> Iterator[BlobReport]:
        return map(_report, self._execute("SELECT * FROM told ORDER BY place"))

    @override
    def __contains__(self, report: object) -> bool:
        return any(each == report for each in self)

    def find_urls(self, url_of: Callable[[BlobReport], str | None]) -> None:
        """Give each blob that has no URL the one that is found for it."""
        lacking = self._execute("SELECT * FROM told WHERE url IS NULL ORDER BY place")
        found = [(url, bare_url(url), fields[0]) for fields in lacking if (url := url_of(_report(fields)))]
        self._execute("BEGIN")
        self._database.executemany("UPDATE reports SET url = ?, bare = ?, key = NULL WHERE place = ?", found)
        self._execute("UPDATE reports SET key = blob_key(source_id, url, 0) WHERE key IS NULL")
        self._execute("COMMIT")

    def pair(self, stored: Iterable[Named] = ()) -> None:
        """Find the key of each blob's row; ``stored`` are the rows that there are, to be given once.

        As ``shared.outcome.keyed`` has it: a blob keeps its row when ADX names it otherwise later, and no two blobs
        have the same row.
        """
        self._execute("BEGIN")
        self._database.executemany(
            "INSERT INTO stored VALUES (?, ?, ?)", ((row.key, row.source_id, row.url) for row in stored)
        )
        self._execute(_OWN_KEYS)
        self._execute(_INDEX)
        if self._execute("SELECT 1 FROM stored WHERE key NOT IN (SELECT key FROM reports) LIMIT 1").fetchone():
            self._pair_by_names()
        self._execute("COMMIT")

    def _pair_by_names(self) -> None:
        for statement in filter(str.strip, _UNPAIRED.split(";")):
            self._execute(statement)
        for place, source_id, url in self._execute("SELECT place, source_id, bare FROM seeking ORDER BY rowid"):
            # At the most one row and one report have it.
            is_unique = self._execute(_COUNT_ID, {"id": source_id}).fetchone()[0] <= 2  # noqa: PLR2004
            names = {"id": source_id, "url": url, "is_unique": is_unique}
            found = self._execute(_SAME_ID, names).fetchone() or self._execute(_SAME_URL, names).fetchone()
            if found:
                self._execute("DELETE FROM free WHERE key = ?", found)
                self._execute("UPDATE reports SET key = ? WHERE place = ?", (*found, place))

    def part(self, *prefixes: str) -> "PartOfMany":
        """The blobs whose rows' keys begin with one of these, or are one of these, once they are paired."""
        return PartOfMany(self, prefixes)

    def shows(self, keys: Iterable[str]) -> bool:
        """Whether there is a blob of each of these rows."""
        found = (self._execute("SELECT 1 FROM reports WHERE key = ?", (key,)).fetchone() for key in keys)
        return all(found)

    def bare(self, prefix: str) -> list[tuple[str, BlobReport]]:
        """Those of a part by the keys of their rows, with bare URLs."""
        rows = self._execute("SELECT * FROM bare WHERE key >= ? AND key < ? ORDER BY place", _between(prefix))
        return [(fields[1], _report(fields)) for fields in rows]

    def urls(self, prefix: str) -> dict[str, str | None]:
        """The URLs of a part's blobs as they came, by the keys of their rows."""
        return dict(self._execute("SELECT key, url FROM reports WHERE key >= ? AND key < ?", _between(prefix)))

    def prefixes(self, known: int = 0) -> list[str]:
        """What the keys of the blobs' rows begin with, so that those that begin alike fit into memory together.

        Args:
            known: How many blobs the operation is known to have.
        """
        return prefixes(max(len(self), known), self._bytes)

    def _noted(self, report: BlobReport) -> tuple[object, ...]:
        self._statuses[report.status] += 1
        self._bytes += _REST_OF_BLOB + sum(len(text or "") for text in (report.url, report.details, report.error_code))
        self.has_transient |= report.is_transient
        self.lacks_url |= report.url is None
        return (
            blob_key(report.source_id, report.url),
            report.url and bare_url(report.url),
            report.status,
            report.source_id,
            report.url,
            report.start_time and report.start_time.isoformat(),
            report.last_updated and report.last_updated.isoformat(),
            report.error_code,
            report.failure_status,
            report.details,
        )

    def _execute(self, statement: str, values: Sequence[object] | Mapping[str, object] = ()) -> sqlite3.Cursor:
        return self._database.execute(statement, values)


@dataclass(frozen=True, slots=True)
class PartOfMany:
    """Blobs whose rows' keys begin alike, as ``shared.outcome.FewBlobs`` has them in memory."""

    many: ManyBlobs
    prefixes: Collection[str]

    def keyed(self, _: object) -> list[tuple[str, BlobReport]]:
        """Each blob, its URL bare, with the key of its row, whatever the rows are by now."""
        return [pair for prefix in self.prefixes for pair in self.many.bare(prefix)]

    def urls(self, _: object) -> dict[str, str | None]:
        """The blobs' URLs as they came, by the keys of their rows."""
        return {key: url for prefix in self.prefixes for key, url in self.many.urls(prefix).items()}


def prefixes(blobs: int, size: int = 0) -> list[str]:
    """The beginnings that split an operation's keys, which are evenly spread, into parts that fit into memory.

    Args:
        blobs: How many there are.
        size: Bytes of them all.
    """
    parts = max(blobs / _BLOBS_OF_PART, size / _BYTES_OF_PART)
    digits = next(digits for digits in range(32) if len(_DIGITS) ** digits >= parts)
    return ["".join(each) for each in product(_DIGITS, repeat=digits)]


def _between(prefix: str) -> tuple[str, str]:
    return prefix, f"{prefix}g"


def _report(fields: Iterable[Any]) -> BlobReport:
    _, _, url, status, source_id, start_time, last_updated, error_code, failure_status, details = fields
    return BlobReport(
        status=status,
        source_id=source_id,
        url=url,
        start_time=datetime.fromisoformat(start_time) if start_time else None,
        last_updated=datetime.fromisoformat(last_updated) if last_updated else None,
        error_code=error_code,
        failure_status=failure_status,
        details=details,
    )
