"""The facts that the app is about, and nothing that does I/O.

Times are aware datetimes in UTC. A cluster is the origin of its ingestion endpoint, such as
``https://ingest-mycluster.westeurope.kusto.windows.net``, without a trailing slash.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Self
from urllib.parse import unquote

ALREADY_INGESTED = "Skipped_IngestByTagAlreadyExists"
"""Reported as Failed although ``ingestIfNotExists`` matched: the data is there, so it counts as success."""

MOST_COUNT = 2**31 - 1
"""What a column of Table Storage takes as Edm.Int32; no operation has as many blobs."""

_STRAY_SIGNATURE = re.compile(r"(?:&|%3F|%26)sig(?:=|%3D)", re.IGNORECASE)

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None


class BlobStatus(StrEnum):
    """What ADX says of one blob. ``Queued`` is only in the SDK's dialect. Others may come and are kept as text."""

    QUEUED = "Queued"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


FINAL_BLOB_STATUSES = frozenset({BlobStatus.SUCCEEDED, BlobStatus.FAILED, BlobStatus.CANCELED})


class FailureStatus(StrEnum):
    """Whether a failed blob may succeed if tried again. A value that is not listed is read as ``Unknown``."""

    UNKNOWN = "Unknown"
    PERMANENT = "Permanent"
    TRANSIENT = "Transient"
    EXHAUSTED = "Exhausted"


class OperationState(StrEnum):
    """The column ``State`` of ``IngestionOperations``."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"
    FAILED = "Failed"
    CANCELED = "Canceled"
    NOT_FOUND = "NotFound"
    TIMED_OUT = "TimedOut"


class RetryState(StrEnum):
    """The column ``RetryState`` of ``IngestionBlobs``."""

    NONE = ""
    PENDING = "Pending"
    ENQUEUED = "Enqueued"
    RESUBMITTED = "Resubmitted"
    RECOVERED = "Recovered"
    ATTEMPTS_EXHAUSTED = "AttemptsExhausted"
    NOT_RESUBMITTABLE = "NotResubmittable"


GIVEN_UP_AS = (
    FailureStatus.PERMANENT,
    FailureStatus.EXHAUSTED,
    FailureStatus.UNKNOWN,
    RetryState.ATTEMPTS_EXHAUSTED,
    RetryState.NOT_RESUBMITTABLE,
)
"""Why a blob may have been given up: its ``failureStatus``, or how its retry ended."""


# An operation is named many times while it is polled.
@lru_cache(maxsize=4096)
def _digest(*lines: str) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Operation:
    """One queued ingestion, as ADX knows it. ``operation_id`` is opaque and may hold any character."""

    cluster: str
    database: str
    table: str
    operation_id: str

    @property
    def key(self) -> str:
        """32 hex digits that name the operation in every table."""
        return _digest(self.cluster, self.database, self.table, self.operation_id)


def table_key(cluster: str, database: str, table: str) -> str:
    """32 hex digits that name a table of ADX."""
    return _digest(cluster, database, table)


def short_digest(text: str) -> str:
    """32 hex digits that stand for a text that is too long for where it is to be."""
    return _digest(text)


def bare_url(url: str) -> str:
    """The URL without what may be a secret: its query, its fragment, and what Kusto reads after a semicolon.

    Kusto takes credentials behind ``;`` (an account key, ``managed_identity=…``), see
    https://learn.microsoft.com/kusto/api/connection-strings/storage-connection-strings. A user name or password
    before the host goes too, and a SAS whose question mark is escaped or left out.
    """
    # In abfss://container@account.dfs… the container stands where others have a user.
    user = r"[^/@:]*:[^/?#]*@" if url[:4].lower() == "abfs" else r"[^/?#]*@"
    url = re.sub(rf"^([A-Za-z][A-Za-z0-9+.-]*://){user}", r"\1", url)
    bare = re.split(r"[?#;]", url, maxsplit=1)[0]
    if _STRAY_SIGNATURE.search(bare):
        bare = re.split(r"&|%3F|%26", bare, maxsplit=1, flags=re.IGNORECASE)[0]
    return bare


def place_of(url: str) -> tuple[str, str]:
    """Host and path, which all spellings of a blob's URL have in common.

    A URL whose authority is more than host and port (and, in abfss, container) is taken for no spelling of another:
    readers differ in what they take for the host where a backslash or a semicolon stands before an ``@``.
    """
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    after = rest[len(authority) :]
    container = r"(?:[^@:;]+@)?" if scheme.lower().startswith("abfs") else ""
    if not re.fullmatch(rf"{container}(?:[^@:;]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?", authority) or after[:1] == "\\":
        return "", bare_url(url)
    path = bare_url(f"x://y{after}").removeprefix("x://y")
    return authority.lower().removesuffix(":443"), unquote(path)


def blob_tag(source_id: str, url: str) -> str:
    """32 hex digits that name a blob within its root operation, however its URL is spelled."""
    return _digest(source_id, *place_of(url))


def blob_key(source_id: str | None, url: str | None, occurrence: int = 0) -> str:
    """32 hex digits that name a blob within its operation, over its ``sourceId`` and bare URL.

    ``occurrence`` tells blobs apart that one answer names alike: the second is 1.
    """
    return _digest(source_id or "", bare_url(url or ""), *([str(occurrence)] if occurrence else []))


@dataclass(frozen=True, slots=True)
class BlobReport:
    """One element of a status answer's ``details``.

    ``status`` and ``failure_status`` are the enum's spelling where the value is known in any casing, else the text
    as it came. ``failure_status`` is None unless ADX gave one. The URL may hold a credential, so the ``repr`` leaves it
    out; the texts were redacted when they came in.
    """

    status: str
    source_id: str | None = None
    url: str | None = field(default=None, repr=False)
    start_time: datetime | None = None
    last_updated: datetime | None = None
    error_code: str | None = None
    failure_status: str | None = None
    details: str | None = None

    @property
    def is_transient(self) -> bool:
        """Whether it failed in the only way that is tried again."""
        return self.failure is FailureStatus.TRANSIENT

    @property
    def is_final(self) -> bool:
        """Whether ADX has nothing left to do on this blob by itself (a Transient failure may yet mend)."""
        return self.status in FINAL_BLOB_STATUSES

    @property
    def has_succeeded(self) -> bool:
        """Whether the data is in the table."""
        return self.status == BlobStatus.SUCCEEDED or (
            self.status == BlobStatus.FAILED and self.error_code == ALREADY_INGESTED
        )

    @property
    def has_failed(self) -> bool:
        """Whether the blob failed and its data is not known to be there."""
        return self.status == BlobStatus.FAILED and not self.has_succeeded

    @property
    def failure(self) -> FailureStatus | None:
        """How the blob failed, an unlisted or missing ``failureStatus`` read as ``Unknown``. None if it did not."""
        if not self.has_failed:
            return None
        known = set(FailureStatus)
        return FailureStatus(self.failure_status) if self.failure_status in known else FailureStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Counts:
    """Blobs by category. ``other`` sums the categories that this app does not know: they count as not finished."""

    succeeded: int = 0
    failed: int = 0
    in_progress: int = 0
    canceled: int = 0
    other: int = 0

    @classmethod
    def of(cls, blobs: Iterable[BlobReport]) -> Self:
        """The blobs by the status that ADX gave them."""
        return cls.of_statuses(Counter(blob.status for blob in blobs))

    @classmethod
    def of_statuses(cls, by_status: Counter[str]) -> Self:
        """How many blobs ADX gave which status."""
        in_progress = by_status[BlobStatus.IN_PROGRESS] + by_status[BlobStatus.QUEUED]
        finished = [by_status[each] for each in (BlobStatus.SUCCEEDED, BlobStatus.FAILED, BlobStatus.CANCELED)]
        succeeded, failed, canceled = finished
        return cls(succeeded, failed, in_progress, canceled, by_status.total() - sum(finished) - in_progress)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.in_progress + other.in_progress,
            self.canceled + other.canceled,
            self.other + other.other,
        )

    @property
    def total(self) -> int:
        """All blobs counted."""
        return self.finished + self.in_progress + self.other

    @property
    def finished(self) -> int:
        """Blobs in a final state."""
        return self.succeeded + self.failed + self.canceled


class CountedBlobs(Collection[BlobReport]):
    """Blobs that are not looked through to be counted, as they are many. They can be gone through again and again."""

    counts: Counts


@dataclass(frozen=True, slots=True)
class StatusReport:
    """One answer of the status endpoint.

    ``counts`` is None where the answer had no ``status`` object; ``blobs`` is None where it had no ``details`` array.
    """

    counts: Counts | None = None
    blobs: Collection[BlobReport] | None = None
    start_time: datetime | None = None
    last_updated: datetime | None = None

    @property
    def tally(self) -> Counts:
        """The counts; where there are none, those of the blobs in the details."""
        return self.counts or self.shown

    @property
    def shown(self) -> Counts:
        """What the details show, by status."""
        blobs = self.blobs or ()
        return blobs.counts if isinstance(blobs, CountedBlobs) else Counts.of(blobs)


@dataclass(frozen=True, slots=True)
class BulkStatus:
    """What the management command that shows many operations says of one.

    ``counts`` is None unless all of them are known. A state that is not known is not in progress.
    """

    is_in_progress: bool = False
    counts: Counts | None = None


@dataclass(frozen=True, slots=True)
class BlobSource:
    """One blob to submit: a URL that the service can read, so a secret; kept out of logs by its ``repr``."""

    url: str = field(repr=False)
    source_id: str | None = None
    raw_size: int | None = None


@dataclass(frozen=True, slots=True)
class IngestionLimits:
    """What the configuration endpoint answers that matters here."""

    max_blobs_per_request: int = 20


type Properties = Mapping[str, Json]
