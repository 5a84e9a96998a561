"""A model of ADX: what becomes of submitted blobs, what it says of them, and how often each one's rows were ingested.

It moves when it is told to, and mends a Transient failure by itself when the time for that has come.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto

from shared.errors import (
    AccessRefused,
    KustoError,
    OperationNotFound,
    RequestRejected,
    RoleMissing,
    Throttled,
    Unavailable,
)
from shared.model import (
    ALREADY_INGESTED,
    BlobReport,
    BlobSource,
    BulkStatus,
    Counts,
    IngestionLimits,
    Operation,
    Properties,
    StatusReport,
    bare_url,
)
from tests.support.interference import Crash, Harm, Interference

MENDS_AFTER = timedelta(seconds=20)
"""Less than half of the shortest bound of a retry's delay: the service has had its chance by then."""


LACKS_FOR = timedelta(minutes=8)
"""Less than the grace after which the app takes a blob that is not shown for one that is not worked on."""


class Fate(StrEnum):
    """What becomes of a blob."""

    SUCCEEDED = "succeeds"
    TRANSIENT = "fails, Transient"
    MENDS = "fails, Transient, and is mended by the service"
    PERMANENT = "fails, Permanent"
    EXHAUSTED = "fails, Exhausted"
    UNKNOWN = "fails, Unknown"
    UNLISTED = "fails, in a way that is not listed"
    UNSAID = "fails, without a failureStatus"
    SKIPPED = "fails, as its tag is there already"
    CANCELED = "is canceled"
    WORKED_ON = "is in progress"
    LEVITATES = "has a status that is not listed"


_FAILURES = {
    Fate.TRANSIENT: "Transient",
    Fate.MENDS: "Transient",
    Fate.PERMANENT: "Permanent",
    Fate.EXHAUSTED: "Exhausted",
    Fate.UNKNOWN: "Unknown",
    Fate.UNLISTED: "Curious",
    Fate.UNSAID: None,
    Fate.SKIPPED: "Permanent",
}
_OTHERS = {
    Fate.SUCCEEDED: "Succeeded",
    Fate.CANCELED: "Canceled",
    Fate.WORKED_ON: "InProgress",
    Fate.LEVITATES: "Levitating",
}


class Dialect(Enum):
    """What an answer names a blob by."""

    URL_AND_ID = auto()
    ID_ALONE = auto()
    URL_ALONE = auto()
    ID_LATER = auto()


class Lack(Enum):
    """What an answer may lack for a while."""

    COUNTS = auto()
    DETAILS = auto()
    LAST_BLOB = auto()


@dataclass(frozen=True)
class Manner:
    """How ADX speaks of an operation."""

    dialect: Dialect = Dialect.URL_AND_ID
    has_times: bool = True


@dataclass
class AdxBlob:
    """A blob of an operation."""

    url: str
    source_id: str | None
    updated: datetime
    tag: str | None = None
    status: str = "Queued"
    failure_status: str | None = None
    error_code: str | None = None
    mends_at: datetime | None = None
    has_mended: bool = False

    @property
    def name(self) -> str:
        """By which its rows are counted."""
        return bare_url(self.url)

    @property
    def is_final(self) -> bool:
        return self.status in ("Succeeded", "Failed", "Canceled")

    @property
    def is_transient(self) -> bool:
        return self.status == "Failed" and self.failure_status == "Transient"


@dataclass
class AdxOperation:
    """An operation, and what ADX keeps back of it.

    Attributes:
        visible_from: Until then it answers 404; None is for ever.
        lack: What its answers lack until ``lacks_until``.
    """

    id: str
    blobs: list[AdxBlob]
    attempt: int
    manner: Manner
    visible_from: datetime | None
    parent: str | None = None
    lack: Lack | None = None
    lacks_until: datetime | None = None


@dataclass(frozen=True)
class Told:
    """What a detailed answer said of a blob."""

    operation_id: str
    blob: str
    is_transient: bool
    is_final: bool
    has_succeeded: bool


@dataclass(frozen=True)
class Accepted:
    """A resubmission that ADX accepted."""

    parent: str
    operation_id: str
    blobs: tuple[str, ...]
    attempt: int
    unfit: tuple[str, ...]


@dataclass
class ModelAdx:
    """The service.

    Attributes:
        told: Called with what each detailed answer that arrived said.
        accepted: Called with each resubmission that was accepted, whether or not the answer arrives.
        outage: Every call is answered with this.
        refuses: Submissions are answered with this.
        rejections: How often one was rejected.
        first_in_bulk: What bulk status said first of the operations that it never shows to move.
    """

    now: Callable[[], datetime]
    interference: Interference
    told: Callable[[Sequence[Told]], None] = lambda _: None
    accepted: Callable[[Accepted], None] = lambda _: None
    outage: KustoError | None = None
    refuses: KustoError | None = None
    operations: dict[str, AdxOperation] = field(default_factory=dict)
    ingested: Counter[str] = field(default_factory=Counter)
    tags: set[str] = field(default_factory=set)
    rejections: int = 0
    first_in_bulk: dict[str, BulkStatus] = field(default_factory=dict)

    def advance(self) -> None:
        """Mend what it is time to mend."""
        for operation in self.operations.values():
            for blob in operation.blobs:
                if blob.mends_at is not None and blob.mends_at <= self.now():
                    blob.status, blob.failure_status, blob.error_code = "InProgress", None, None
                    blob.updated, blob.mends_at, blob.has_mended = blob.mends_at, None, True

    def move(self, blob: AdxBlob, fate: Fate) -> None:
        """Let a blob meet its fate, unless it has ended."""
        if blob.is_final:
            return
        if fate is Fate.SUCCEEDED and blob.tag in self.tags:
            fate = Fate.SKIPPED
        if fate is Fate.MENDS and blob.has_mended:
            fate = Fate.TRANSIENT
        blob.updated = self.now()
        blob.status, blob.failure_status, blob.error_code = _OTHERS.get(fate, "Failed"), None, None
        if fate in _FAILURES:
            blob.failure_status = _FAILURES[fate]
            blob.error_code = ALREADY_INGESTED if fate is Fate.SKIPPED else "General_ThrottledIngestion"
        if fate is Fate.MENDS:
            blob.mends_at = self.now() + MENDS_AFTER
        if fate is Fate.SUCCEEDED:
            self.ingested[blob.name] += 1
            self.tags |= {blob.tag} if blob.tag else set()

    def forget(self, operation: AdxOperation) -> None:
        """Answer 404 from now on. Nothing goes on behind that: the app could not know of it."""
        for blob in operation.blobs:
            blob.mends_at = None
            self.move(blob, Fate.CANCELED)
        operation.visible_from = None

    def hold_back(self, operation: AdxOperation, lack: Lack) -> None:
        """Leave something out of the answers for less than the grace, once."""
        if operation.lacks_until is None:
            operation.lack, operation.lacks_until = lack, self.now() + LACKS_FOR

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        def effect() -> StatusReport:
            known = self.operations.get(operation.operation_id)
            if known is None or known.visible_from is None or self.now() < known.visible_from:
                raise OperationNotFound("not known")
            return _report(known, self.now(), details=details)

        report = self._call("adx.status", effect)
        if details and report.blobs is not None:
            self.told(self._said_of(self.operations[operation.operation_id], report))
        return report

    def bulk_status(self, operations: Sequence[Operation]) -> Mapping[Operation, BulkStatus]:
        """Of each third operation the truth; of the others nothing, or for ever what was said first."""

        def effect() -> Mapping[Operation, BulkStatus]:
            said = {each: self._in_bulk(each.operation_id) for each in operations}
            return {each: status for each, status in said.items() if status is not None}

        return self._call("adx.bulk", effect)

    def _in_bulk(self, operation_id: str) -> BulkStatus | None:
        place = list(self.operations).index(operation_id)
        if place % 3 == 1:
            return None
        blobs = [_blob_report(blob, Manner()) for blob in self.operations[operation_id].blobs]
        true = BulkStatus(any(not blob.is_final for blob in blobs), Counts.of(blobs))
        return self.first_in_bulk.setdefault(operation_id, true) if place % 3 else true

    def submit(self, parent: Operation, blobs: Sequence[BlobSource], properties: Properties) -> str | None:
        return self._call("adx.submit", lambda: self._accept(parent, blobs, properties))

    def limits(self, cluster: str) -> IngestionLimits:
        assert cluster
        return self._call("adx.limits", lambda: IngestionLimits(2))

    def _call[T](self, name: str, effect: Callable[[], T]) -> T:
        self.interference.turn()
        harm = self.interference.harm_to(name)
        if harm is Harm.CRASHES_BEFORE:
            raise Crash(name)
        is_submission = name == "adx.submit"
        if harm is Harm.IS_BUSY:
            raise Throttled("too many requests", retry_after=timedelta(seconds=40))
        if harm is Harm.FAILS:
            raise Unavailable("no connection", maybe_accepted=is_submission)
        error = self.outage or (self.refuses if is_submission else None)
        if error is not None:
            self.rejections += is_submission and isinstance(error, RequestRejected)
            raise type(error)(str(error), retry_after=error.retry_after)
        answer = effect()
        if harm is Harm.CRASHES_AFTER:
            raise Crash(name)
        if harm is Harm.LOSES_ITS_ANSWER:
            raise Unavailable("the connection broke", maybe_accepted=is_submission)
        return answer

    def _accept(self, parent: Operation, sources: Sequence[BlobSource], properties: Properties) -> str:
        old = self.operations[parent.operation_id]
        tag = _tag(properties)
        assert tag is None or len(sources) == 1, "a de-duplicating tag goes with requests of one blob"
        operation = AdxOperation(
            id=f"{parent.operation_id}/{len(self.operations)}",
            blobs=[AdxBlob(source.url, source.source_id, self.now(), tag) for source in sources],
            attempt=old.attempt + 1,
            manner=old.manner,
            visible_from=self.now(),
            parent=old.id,
        )
        self.operations[operation.id] = operation
        names = tuple(blob.name for blob in operation.blobs)
        fit = {blob.name for blob in old.blobs if blob.is_transient}
        # Of what it has forgotten the app can't ask whether it has mended since.
        unfit = tuple(name for name in names if name not in fit) if old.visible_from else ()
        self.accepted(Accepted(old.id, operation.id, names, operation.attempt, unfit))
        return operation.id

    def _said_of(self, operation: AdxOperation, report: StatusReport) -> list[Told]:
        shown = operation.blobs[: len(report.blobs or ())]
        return [
            Told(
                operation.id,
                blob.name,
                blob.is_transient,
                blob.is_final,
                blob.status == "Succeeded" or blob.error_code == ALREADY_INGESTED,
            )
            for blob in shown
        ]


def outages() -> Mapping[str, KustoError]:
    """Every kind of answer that is none, for all that is asked."""
    return {
        "unavailable": Unavailable("HTTP 520"),
        "busy": Throttled("HTTP 429", retry_after=timedelta(minutes=5)),
        "refuses the token": AccessRefused("HTTP 401"),
        "lacks a role": RoleMissing("HTTP 403"),
        "rejects": RequestRejected("HTTP 400"),
    }


def _tag(properties: Properties) -> str | None:
    tags = properties.get("ingestIfNotExists")
    return str(tags[0]) if isinstance(tags, list) and tags else None


def _report(operation: AdxOperation, now: datetime, *, details: bool) -> StatusReport:
    blobs = [_blob_report(blob, operation.manner) for blob in operation.blobs]
    lack = operation.lack if operation.lacks_until is not None and now < operation.lacks_until else None
    shown = tuple(blobs[:-1] if lack is Lack.LAST_BLOB else blobs)
    return StatusReport(
        counts=None if lack is Lack.COUNTS else Counts.of(blobs),
        blobs=shown if details and lack is not Lack.DETAILS else None,
    )


def _blob_report(blob: AdxBlob, manner: Manner) -> BlobReport:
    names_id = manner.dialect in (Dialect.URL_AND_ID, Dialect.ID_ALONE) or (
        manner.dialect is Dialect.ID_LATER and blob.is_final
    )
    return BlobReport(
        status=blob.status,
        source_id=blob.source_id if names_id else None,
        url=None if manner.dialect is Dialect.ID_ALONE else blob.url,
        last_updated=blob.updated if manner.has_times else None,
        error_code=blob.error_code,
        failure_status=blob.failure_status,
        details="busy" if blob.error_code else None,
    )
