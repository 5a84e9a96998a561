"""Submitting blobs to ADX in requests of as many as it takes, and telling the tracker of each operation."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from cli.errors import ExitStatus, Refused, Stopped, TrackerError
from cli.journal import Journal, Request
from cli.source import Source
from shared.errors import AccessRefused, KustoError, RequestRejected, RoleMissing, Throttled
from shared.messages import MOST_BLOBS, MOST_BYTES
from shared.model import BlobSource, IngestionLimits, Json, Operation, Properties, bare_url
from shared.redaction import redact

_MOST_WAITS = 10
_UNTRACKED = "ADX took blobs and gave no operation ID to watch them by: look in the table whether they are there"
_WAIT = timedelta(seconds=10)
_LONGEST_WAIT = timedelta(minutes=2)
_SPARE_BYTES = 512
"""For the rest of a message: the operation's ID and the punctuation."""


class Adx(Protocol):
    """What of ADX is asked here."""

    def submit(self, parent: Operation, blobs: Sequence[BlobSource], properties: Properties) -> str | None:
        """Submit blobs; the new operation's ID."""

    def limits(self, cluster: str) -> IngestionLimits:
        """How many a request takes."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is loaded, and how."""

    cluster: str
    database: str
    table: str
    properties: Properties
    correlation_id: str | None = None

    def as_json(self) -> Json:
        """For the journal: it is not to go on with another target's. Properties that may hold a secret are cut."""
        return {
            "cluster": self.cluster,
            "database": self.database,
            "table": self.table,
            "properties": redact(json.dumps(self.properties, sort_keys=True)),
        }

    def message(self, operation_id: str, blobs: Iterable[BlobSource]) -> dict[str, Json]:
        """The message that has the tracker watch an operation of these blobs."""
        message: dict[str, Json] = {
            "operationId": operation_id,
            "cluster": self.cluster,
            "database": self.database,
            "table": self.table,
            "properties": dict(self.properties),
            "blobs": [{"url": blob.url, "sourceId": blob.source_id} for blob in blobs],
        }
        return message if self.correlation_id is None else {**message, "correlationId": self.correlation_id}


@dataclass(frozen=True, slots=True)
class Submitted:
    """One operation, and the bare URLs of its blobs. ``is_new`` is False where an earlier run has submitted it."""

    operation_id: str
    blobs: tuple[str, ...]
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class Submission:
    """What a run has come to, also one that ends early.

    Attributes:
        submitted: The operations that the blobs are in, also those of earlier runs.
        skipped: Blobs that an earlier run had submitted.
        unknown: Bare URLs of which it is not known whether ADX took them; they are left alone.
        untold: Blobs that ADX took, and the tracker was not told of.
        left: Blobs that were not submitted.
    """

    submitted: tuple[Submitted, ...]
    skipped: int
    unknown: tuple[str, ...]
    untold: int
    left: int


class Submitter:
    """Submits to one target. ``sleep`` takes seconds; ``submitted`` is told of each operation as it is watched."""

    def __init__(
        self,
        adx: Adx,
        source: Source,
        journal: Journal,
        target: Target,
        *,
        say: Callable[[str], None],
        submitted: Callable[[Submitted], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._adx = adx
        self._source = source
        self._journal = journal
        self._target = target
        self._say = say
        self._submitted = submitted
        self._sleep = sleep
        self._skipped = journal.urls_accepted()
        self._asked: set[str] = set()
        self._operations: list[Submitted] = []

    @property
    def outcome(self) -> Submission:
        """What it has come to so far, wherever it was cut short."""
        accepted, unknown = self._journal.urls_accepted(), self._journal.urls_unknown()
        return Submission(
            submitted=tuple(self._operations),
            skipped=len(self._skipped & self._asked),
            unknown=tuple(sorted(unknown)),
            untold=sum(len(request.blobs) for request in self._journal.unposted),
            left=len(self._asked - accepted - unknown),
        )

    def run(self, urls: Sequence[str]) -> None:
        """Submit the blobs with these URLs, but for what the journal has of them already.

        Raises:
            Stopped: it ended half way, by no fault of the journal: the same again goes on.
        """
        by_place = {bare_url(url): url for url in urls}
        self._asked = set(by_place)
        known = self._journal.urls_accepted() | self._journal.urls_unknown()
        todo = [BlobSource(url, str(uuid.uuid4())) for place, url in by_place.items() if place not in known]
        groups = list(groups_of(todo, self._most_blobs(), self._target)) if todo else []
        self._check(groups)
        try:
            for request in self._journal.told:
                if by_place.keys() & {url for url, _ in request.blobs}:
                    self._tell(request, is_new=False)
            for request in self._journal.unposted:
                blobs = [BlobSource(by_place.get(url, url), source_id) for url, source_id in request.blobs]
                self._post(request, blobs, is_new=False)
            for group in groups:
                self._submit(group)
            if self._journal.urls_untracked() & by_place.keys():
                raise Stopped(_UNTRACKED, ExitStatus.FAILED)
        except KustoError as error:
            raise Stopped(_reason(error, self._target), _status(error)) from None
        except TrackerError as error:
            raise Stopped(str(error), error.exit_status) from None

    def _check(self, groups: Sequence[Sequence[BlobSource]]) -> None:
        """Refuse what the tracker could not be told of, before anything is submitted.

        Raises:
            Refused: a message is too long, or says what is not taken.
        """
        for group in groups:
            message = self._target.message("an-operation-id", group)
            if len(json.dumps(message)) > MOST_BYTES:
                raise Refused(f"the properties, or the URL of {bare_url(group[0].url)}, are too long for a message")
        for group in groups[:1]:
            self._source.check(self._target.message("an-operation-id", group))

    def _most_blobs(self) -> int:
        """What the cluster takes in a request; the documented 20 where it doesn't say."""
        try:
            return min(self._adx.limits(self._target.cluster).max_blobs_per_request, MOST_BLOBS)
        except KustoError:
            return MOST_BLOBS

    def _submit(self, blobs: Sequence[BlobSource]) -> None:
        request = self._journal.submitting([(bare_url(blob.url), str(blob.source_id)) for blob in blobs])
        operation_id = self._accepted(request, blobs)
        request = self._journal.accept(request, operation_id)
        if operation_id is None:
            raise Stopped(_UNTRACKED, ExitStatus.FAILED)
        self._post(request, blobs)

    def _post(self, request: Request, blobs: Sequence[BlobSource], *, is_new: bool = True) -> None:
        self._source.track(self._target.message(str(request.operation_id), blobs))
        self._journal.post(request)
        self._tell(request, is_new=is_new)

    def _tell(self, request: Request, *, is_new: bool) -> None:
        submitted = Submitted(str(request.operation_id), tuple(url for url, _ in request.blobs), is_new)
        self._operations.append(submitted)
        self._submitted(submitted)

    def _accepted(self, request: Request, blobs: Sequence[BlobSource]) -> str | None:
        """The new operation's ID. Only what ADX says it has not taken is sent again."""
        parent = Operation(self._target.cluster, self._target.database, self._target.table, "")
        for waits in range(_MOST_WAITS + 1):
            try:
                return self._adx.submit(parent, blobs, self._target.properties)
            except Throttled as error:
                if waits == _MOST_WAITS:
                    self._journal.refuse(request)
                    raise
                wait = min(error.retry_after or _WAIT, _LONGEST_WAIT)
                self._say(f"ADX asks for fewer requests: going on in {wait.total_seconds():g} s")
                self._sleep(wait.total_seconds())
            except KustoError as error:
                if not error.maybe_accepted:
                    self._journal.refuse(request)
                raise
        return None


def groups_of(blobs: Iterable[BlobSource], most: int, target: Target) -> Iterator[list[BlobSource]]:
    """The blobs in groups that a request to ADX and the tracker's message have room for, in the same order."""
    room = MOST_BYTES - _SPARE_BYTES - len(json.dumps(target.message("", ())))
    group: list[BlobSource] = []
    used = 0
    for blob in blobs:
        size = len(json.dumps({"url": blob.url, "sourceId": blob.source_id})) + 2
        if group and (len(group) == most or used + size > room):
            yield group
            group, used = [], 0
        group.append(blob)
        used += size
    if group:
        yield group


def plan_of(urls: Sequence[str], target: Target) -> list[list[str]]:
    """The bare URLs of each request that would go out."""
    blobs = [BlobSource(url, str(uuid.UUID(int=0))) for url in {bare_url(url): url for url in urls}.values()]
    return [[bare_url(blob.url) for blob in group] for group in groups_of(blobs, MOST_BLOBS, target)]


def _status(error: KustoError) -> ExitStatus:
    return ExitStatus.REFUSED if isinstance(error, AccessRefused | RequestRejected) else ExitStatus.UNREACHABLE


def _reason(error: KustoError, target: Target) -> str:
    if error.maybe_accepted:
        return f"it is not known whether ADX took the last request: {error}"
    if isinstance(error, RoleMissing):
        return (
            f"ADX lets you load nothing into {target.database}.{target.table}: Ingestor on the table is missing. "
            "'tracker doctor' shows the command that gives it"
        )
    return f"ADX does not take blobs for {target.database}.{target.table}: {error}"
