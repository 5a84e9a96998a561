"""Resubmitting: what became of a Transient failure since, and the blob submitted once more where that is worth it.

A blob is claimed in its row before it is submitted and marked Resubmitted after, so that of two deliveries of a message
one submits. What can't be done now is put back on the queue with a delay, as a new message, before this one is gone.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import batched
from typing import Protocol

from shared.ambient import Ambient
from shared.backoff import put_back_delay
from shared.blob_access import Access, AccessFailed, NoBlob
from shared.errors import AccessRefused, KustoError, OperationNotFound, RequestRejected
from shared.messages import MOST_BLOBS, NamedBlob, OperationMessage, RetryBlob, RetryMessage, write_retry
from shared.model import (
    BlobReport,
    BlobSource,
    BlobStatus,
    IngestionLimits,
    Operation,
    Properties,
    RetryState,
    StatusReport,
    bare_url,
    blob_key,
)
from shared.outcome import keyed, merge
from shared.queues import Queue
from shared.records import BlobRow
from shared.register import Lineage, Registrar
from shared.settings import Polling, Retrying
from shared.settle import Settler
from shared.store.results import Results
from shared.telemetry import event

CLAIM = timedelta(minutes=5)
"""How long a claimed blob is left to its claimant: longer than any submission takes."""

_OPEN = frozenset({RetryState.PENDING, RetryState.ENQUEUED})
_SOURCE_IDS = uuid.UUID("5f0c9a5e-2f0b-4b5e-9d55-0d7c1c6f7f10")


class Adx(Protocol):
    """What is asked of ADX here; each call raises ``KustoError``."""

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        """What ADX says of an operation."""

    def submit(self, parent: Operation, blobs: Sequence[BlobSource], properties: Properties) -> str | None:
        """Submit blobs to the parent's table; the new operation's ID."""

    def limits(self, cluster: str) -> IngestionLimits:
        """What the cluster takes in one request."""


class Action(Enum):
    """What is to be done with a blob of a retry message."""

    NOTHING = auto()
    WAIT = auto()
    SUBMIT = auto()
    EXHAUST = auto()
    REFUSE = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with a blob, and why if it is refused."""

    action: Action
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that decide over a retry."""

    retrying: Retrying
    polling: Polling


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision depends on beside the blob itself. ``report`` is None where ADX does not know the operation."""

    now: datetime
    report: Mapping[str, BlobReport] | None
    rules: Rules


def decide(row: BlobRow, blob: RetryBlob, message: RetryMessage, around: Circumstances) -> Decision:
    """What is to be done with a blob of a retry message, given what ADX just said of it."""
    if row.retry_state not in _OPEN:
        return Decision(Action.NOTHING)
    waited = around.now - message.enqueued_at
    current = row.report
    if around.report is not None:
        if row.key not in around.report and waited < around.rules.polling.not_found_grace:
            return Decision(Action.WAIT)
        current = around.report.get(row.key, row.report)
    if not current.is_final:
        if waited < around.rules.polling.tracking_timeout:
            return Decision(Action.WAIT)
        return Decision(Action.REFUSE, f"the service has been trying again by itself for {waited}")
    if not current.is_transient:
        return Decision(Action.REFUSE, f"it is {current.failure or current.status} by now")
    return _decide_on_transient(row, blob, message, around)


def _decide_on_transient(row: BlobRow, blob: RetryBlob, message: RetryMessage, around: Circumstances) -> Decision:
    if message.attempt >= around.rules.retrying.max_attempts:
        return Decision(Action.EXHAUST)
    if not (message.properties or {}).get("format"):
        return Decision(Action.REFUSE, "the operation's message had no 'properties' with a 'format'")
    if not blob.url:
        return Decision(Action.REFUSE, "its URL is not known: ADX gave none, and the operation's message named none")
    if row.claimed_until is not None and row.claimed_until > around.now:
        return Decision(Action.WAIT)
    return Decision(Action.SUBMIT)


def resubmission_properties(properties: Properties, tag: str | None) -> Properties:
    """The properties of a resubmission.

    ``ingestIfNotExists`` of the first submission is left out: its tag covers a whole request, and if any blob of that
    succeeded, the rest would be skipped, that is lost. With ``tag``, one blob's own, repeating becomes safe.
    """
    kept = {name: value for name, value in properties.items() if name.lower() != "ingestifnotexists"}
    if tag is None:
        return kept
    tags = kept.get("tags")
    others = tags if isinstance(tags, list) else [tags] if tags else []
    return {**kept, "tags": [*others, f"ingest-by:{tag}"], "ingestIfNotExists": [tag]}


def deduplication_tag(message: RetryMessage, blob: RetryBlob) -> str:
    """A tag for the blob within all attempts of its root operation: by its URL, which every attempt has."""
    operation = message.operation
    root = Operation(operation.cluster, operation.database, operation.table, message.root_operation_id)
    return f"{root.key}-{blob_key(None, blob.url)}"


type _Items = dict[str, RetryBlob]
"""A message's blobs by the key of their rows."""


class Resubmitter:
    """Handles retry messages."""

    def __init__(
        self,
        adx: Adx,
        results: Results,
        settler: Settler,
        registrar: Registrar,
        retries: Queue,
        access: Access,
        rules: Rules,
        ambient: Ambient,
    ) -> None:
        self._adx = adx
        self._results = results
        self._settler = settler
        self._registrar = registrar
        self._retries = retries
        self._access = access
        self._rules = rules
        self._ambient = ambient
        self._limits: dict[str, tuple[IngestionLimits, datetime]] = {}

    def handle(self, message: RetryMessage) -> None:
        """See a message's blobs to where they can be brought now."""
        operation = message.operation
        stored = self._results.blobs(operation)
        reports = [BlobReport(status="", source_id=blob.source_id, url=blob.url) for blob in message.blobs]
        items = {key: blob for (key, _), blob in zip(keyed(stored, reports), message.blobs, strict=True)}
        self._complete(message, items, stored)
        waiting = {key: blob for key, blob in items.items() if key not in stored or stored[key].retry_state in _OPEN}
        if not waiting:
            event("retry.nothing_left", "its blobs are seen to already", about=operation)
            return
        try:
            report = self._report(message)
        except KustoError as error:
            self._put_back(message, waiting, error)
            return
        rows = self._learn(message, waiting, report)
        if any(row.retry_state is RetryState.RECOVERED for key, row in rows.items() if key in waiting):
            self._settler.correct(operation)
        self._act(message, waiting, rows, report)

    def _complete(self, message: RetryMessage, items: _Items, stored: Mapping[str, BlobRow]) -> None:
        """Do again what a crash may have cut short after an earlier delivery had written its outcome."""
        resubmitted: dict[str, _Items] = defaultdict(dict)
        for key, blob in items.items():
            row = stored.get(key)
            if row and row.retry_state is RetryState.RESUBMITTED and row.retry_operation_id:
                resubmitted[row.retry_operation_id][key] = blob
        for operation_id, group in resubmitted.items():
            self._register(message, group, operation_id)
        if any(row.retry_state is RetryState.RECOVERED for key in items if (row := stored.get(key))):
            self._settler.correct(message.operation)

    def _report(self, message: RetryMessage) -> StatusReport | None:
        """What ADX says now; None if it has not known the operation for the grace any more.

        Raises:
            KustoError: it says nothing of use yet.
        """
        try:
            return self._adx.status(message.operation, details=True)
        except OperationNotFound:
            if self._ambient.now() - message.enqueued_at < self._rules.polling.not_found_grace:
                raise
            return None

    def _learn(self, message: RetryMessage, items: _Items, report: StatusReport | None) -> dict[str, BlobRow]:
        """Write down what ADX says of the message's blobs. That the message is here shows that it was enqueued."""
        blobs = (report.blobs if report else None) or ()

        def merged(stored: Mapping[str, BlobRow]) -> list[BlobRow]:
            held = {key: _held(stored.get(key), key, blob, message) for key, blob in items.items()}
            news = [each for (key, _), each in zip(keyed(stored, blobs), blobs, strict=True) if key in items]
            attempt, most = message.attempt, self._rules.retrying.max_attempts
            new = held | {row.key: row for row in merge(held, news, attempt=attempt, most=most)}
            return [row for key, row in new.items() if row != stored.get(key)]

        return self._results.revise(message.operation, merged)

    def _act(
        self, message: RetryMessage, items: _Items, rows: Mapping[str, BlobRow], report: StatusReport | None
    ) -> None:
        current = None if report is None else dict(keyed(rows, report.blobs or ()))
        around = Circumstances(self._ambient.now(), current, self._rules)
        decisions = {key: decide(rows[key], blob, message, around) for key, blob in items.items()}
        by_action: dict[Action, _Items] = defaultdict(dict)
        for key, decision in decisions.items():
            by_action[decision.action][key] = items[key]
        for key in by_action[Action.EXHAUST]:
            self._end(message, [key], RetryState.ATTEMPTS_EXHAUSTED, None)
        for key in by_action[Action.REFUSE]:
            self._end(message, [key], RetryState.NOT_RESUBMITTABLE, decisions[key].reason)
        if by_action[Action.WAIT]:
            self._put_back(message, by_action[Action.WAIT], "the service or another delivery is at work on them")
        self._submit_all(message, by_action[Action.SUBMIT])

    def _submit_all(self, message: RetryMessage, items: _Items) -> None:
        if not items:
            return
        most = 1 if self._rules.retrying.deduplicate else self._most_blobs(message.operation.cluster)
        groups = [dict(group) for group in batched(items.items(), most, strict=False)]
        for place, group in enumerate(groups):
            try:
                self._submit(message, self._claimed(message, group))
            except (KustoError, AccessFailed) as error:
                left = {key: blob for each in groups[place:] for key, blob in each.items()}
                self._release(message, group)
                self._put_back(message, left, error)
                return

    def _claimed(self, message: RetryMessage, items: _Items) -> _Items:
        """The blobs of a group that this delivery may submit; those that another has got are put back."""
        claimant, now = self._ambient.new_id(), self._ambient.now()

        def claims(stored: Mapping[str, BlobRow]) -> list[BlobRow]:
            return [
                replace(row, claimed_by=claimant, claimed_until=now + CLAIM)
                for key in items
                if (row := stored[key]).retry_state in _OPEN
                and (row.claimed_until is None or row.claimed_until <= now or row.claimed_by == claimant)
            ]

        rows = self._results.revise(message.operation, claims)
        others = {key: blob for key, blob in items.items() if rows[key].claimed_by != claimant}
        if others:
            self._put_back(message, others, "another delivery has claimed them")
        return {key: blob for key, blob in items.items() if key not in others}

    def _submit(self, message: RetryMessage, items: _Items) -> None:
        """Submit claimed blobs in one request, write that down at once, and register the new operation."""
        sources = self._sources(message, items)
        ready = {key: items[key] for key in sources}
        if not ready:
            return
        tag = deduplication_tag(message, next(iter(ready.values()))) if self._rules.retrying.deduplicate else None
        properties = resubmission_properties(message.properties or {}, tag)
        try:
            operation_id = self._adx.submit(message.operation, list(sources.values()), properties)
        except RequestRejected as error:
            self._end(message, ready, RetryState.NOT_RESUBMITTABLE, str(error))
            return
        except KustoError as error:
            if error.maybe_accepted:
                event(
                    "resubmission.unknown",
                    "ADX may have accepted the blobs although no answer came; they are submitted again later. "
                    "RETRY_DEDUPLICATE=true makes that safe",
                    level=logging.WARNING,
                    about=message.operation,
                    blobs=len(ready),
                )
            raise
        self._end(message, ready, RetryState.RESUBMITTED, None, operation_id)
        if operation_id is None:
            event(
                "resubmission.untracked",
                "ADX accepted the blobs and gave no operation ID to watch",
                level=logging.ERROR,
                about=message.operation,
                blobs=len(ready),
            )
            return
        event(
            "blobs.resubmitted",
            "submitted again",
            about=message.operation,
            blobs=len(ready),
            attempt=message.attempt + 1,
            new_operation_id=operation_id,
        )
        self._register(message, ready, operation_id)

    def _sources(self, message: RetryMessage, items: _Items) -> dict[str, BlobSource]:
        """The blobs as ADX is to read them; one whose URL leads nowhere is refused.

        Raises:
            AccessFailed: the credentials for reading can't be had now.
        """
        sources = {}
        for key, blob in items.items():
            try:
                url = blob.url or ""
                readable = url if blob.url_brought else self._access.readable(url)
                sources[key] = blob.as_source(readable, _source_id(message, key, blob))
            except NoBlob as error:
                self._end(message, [key], RetryState.NOT_RESUBMITTABLE, str(error))
        return sources

    def _register(self, message: RetryMessage, items: _Items, operation_id: str) -> None:
        operation = message.operation
        self._registrar.register(
            OperationMessage(
                operation=Operation(operation.cluster, operation.database, operation.table, operation_id),
                properties=message.properties,
                blobs=tuple(
                    NamedBlob(blob.url, _source_id(message, key, blob), blob.raw_size, blob.url_brought, blob.extra)
                    for key, blob in items.items()
                ),
                correlation_id=message.correlation_id,
                extra=message.extra,
            ),
            Lineage(
                attempt=message.attempt + 1,
                root_operation_id=message.root_operation_id,
                parent_operation_id=operation.operation_id,
            ),
        )

    def _end(
        self,
        message: RetryMessage,
        keys: Iterable[str],
        state: RetryState,
        reason: str | None,
        operation_id: str | None = None,
    ) -> None:
        """Write down how the retry of some blobs ended. A mark that ADX has them is never taken back."""
        wanted = frozenset(keys)

        def ended(stored: Mapping[str, BlobRow]) -> list[BlobRow]:
            return [
                replace(
                    row,
                    retry_state=state,
                    retry_reason=reason,
                    retry_operation_id=operation_id,
                    claimed_by=None,
                    claimed_until=None,
                )
                for key, row in stored.items()
                if key in wanted and (state is RetryState.RESUBMITTED or row.retry_state in _OPEN)
            ]

        rows = self._results.revise(message.operation, ended)
        if state is RetryState.RESUBMITTED:
            return
        for key in wanted:
            event(
                "blob.attempts_exhausted" if state is RetryState.ATTEMPTS_EXHAUSTED else "blob.not_resubmittable",
                reason or "every attempt failed",
                level=logging.WARNING,
                about=message.operation,
                blob=rows[key].report.url,
                source_id=rows[key].report.source_id,
                error_code=rows[key].report.error_code,
                attempt=message.attempt,
            )

    def _release(self, message: RetryMessage, items: _Items) -> None:
        """Give claims up: nothing was accepted, or that can't be told."""

        def released(stored: Mapping[str, BlobRow]) -> list[BlobRow]:
            return [
                replace(row, claimed_by=None, claimed_until=None)
                for key in items
                if (row := stored[key]).retry_state in _OPEN and row.claimed_by is not None
            ]

        self._results.revise(message.operation, released)

    def _put_back(self, message: RetryMessage, items: _Items, why: Exception | str) -> None:
        delay = put_back_delay(
            self._ambient.now() - message.enqueued_at,
            base=self._rules.retrying.base_delay,
            most=self._rules.retrying.max_delay,
            random=self._ambient.random,
        )
        if isinstance(why, KustoError) and why.retry_after:
            delay = max(delay, why.retry_after)
        self._retries.send(write_retry(replace(message, blobs=tuple(items.values()))), delay)
        event(
            "retry.put_back",
            str(why),
            level=logging.ERROR if isinstance(why, AccessRefused | AccessFailed) else logging.INFO,
            about=message.operation,
            blobs=len(items),
            attempt=message.attempt,
            delay_seconds=round(delay.total_seconds()),
        )

    def _most_blobs(self, cluster: str) -> int:
        """What the cluster takes in one request, asked for once an hour; the documented 20 where it doesn't say."""
        now = self._ambient.now()
        known = self._limits.get(cluster)
        if known is None or known[1] <= now:
            try:
                limits = self._adx.limits(cluster)
            except KustoError:
                return MOST_BLOBS
            known = self._limits[cluster] = limits, now + timedelta(hours=1)
        return known[0].max_blobs_per_request


def _held(row: BlobRow | None, key: str, blob: RetryBlob, message: RetryMessage) -> BlobRow:
    """The row of a blob whose message is in hand."""
    if row is None:
        report = BlobReport(
            status=BlobStatus.FAILED,
            source_id=blob.source_id,
            url=blob.url and bare_url(blob.url),
            error_code=blob.error_code,
            failure_status=blob.failure_status,
            details=blob.details,
        )
        return BlobRow(key, report, message.attempt, RetryState.ENQUEUED)
    return replace(row, retry_state=RetryState.ENQUEUED) if row.retry_state is RetryState.PENDING else row


def _source_id(message: RetryMessage, key: str, blob: RetryBlob) -> str:
    """The blob's own ``sourceId``, else one that the same message gives the same blob every time."""
    return blob.source_id or str(uuid.uuid5(_SOURCE_IDS, f"{message.operation.key} {key}"))
