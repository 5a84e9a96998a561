"""Resubmitting: what became of a Transient failure since, and the blob submitted once more where that is worth it.

A blob is claimed in its row before it is submitted and marked Resubmitted after, so that of two deliveries of a message
one submits. What can't be done now is put back on the queue with a delay, as a new message, before this one is gone.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import batched
from typing import Protocol

from shared import metrics
from shared.ambient import Ambient
from shared.backoff import put_back_delay
from shared.blob_access import Access, AccessFailed, NoBlob
from shared.errors import AccessRefused, KustoError, OperationNotFound, RequestRejected, Unavailable
from shared.many_blobs import MOST_AT_ONCE, ManyBlobs
from shared.messages import MOST_BLOBS, Lineage, NamedBlob, OperationMessage, RetryBlob, RetryMessage, write_retry
from shared.model import (
    MOST_COUNT,
    BlobSource,
    Counts,
    IngestionLimits,
    Operation,
    Properties,
    RetryState,
    StatusReport,
)
from shared.outcome import FewBlobs, Reported
from shared.queues import Queue
from shared.records import BlobRow
from shared.register import Registrar
from shared.retry_decision import (
    LEAST_PUT_BACKS,
    OPEN,
    Action,
    Circumstances,
    Rules,
    decide,
    deduplication_tag,
    is_given_up,
    resubmission_properties,
)
from shared.retry_rows import CLAIM, Items, RetryRows, blob_of, items_of
from shared.settle import Settler
from shared.store.results import Results, Within
from shared.telemetry import event
from shared.tracing import step

_BUDGET = timedelta(seconds=60)
"""No request is begun after this; what is left is put back."""

_SOURCE_IDS = uuid.UUID("5f0c9a5e-2f0b-4b5e-9d55-0d7c1c6f7f10")


class Adx(Protocol):
    """What is asked of ADX here; each call raises ``KustoError``."""

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        """What ADX says of an operation."""

    def submit(self, parent: Operation, blobs: Sequence[BlobSource], properties: Properties) -> str | None:
        """Submit blobs to the parent's table; the new operation's ID."""

    def limits(self, cluster: str) -> IngestionLimits:
        """What the cluster takes in one request."""


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
        self._rows = RetryRows(results)
        self._settler = settler
        self._registrar = registrar
        self._retries = retries
        self._access = access
        self._rules = rules
        self._ambient = ambient
        self._limits: dict[str, tuple[IngestionLimits, datetime]] = {}

    def handle(self, message: RetryMessage) -> None:
        """See a message's blobs to where they can be brought now, and put back what is left."""
        with step("resubmit", message.operation, message.root_operation_id, message.attempt):
            self._handle(message)

    def _handle(self, message: RetryMessage) -> None:
        now = self._ambient.now()
        message = replace(
            message,
            enqueued_at=min(message.enqueued_at, now),
            missing_since=message.missing_since and min(message.missing_since, now),
        )
        stored = self._stored(message)
        items = items_of(message, stored)
        self._complete(message, items, stored)
        if message.untold is not None:
            # All its blobs have recovered; what of them is not stored any more has been pruned since.
            return
        waiting = {key: blob for key, blob in items.items() if key not in stored or stored[key].retry_state in OPEN}
        if not waiting:
            event("retry.nothing_left", "its blobs are seen to already", about=message.operation)
            return
        try:
            report = self._adx.status(message.operation, details=True)
        except OperationNotFound:
            report = StatusReport()
        except KustoError as error:
            self._put_back_or_end(message, waiting, error)
            return
        reported, within = self._reported(message, waiting, report)
        rows = self._rows.learn(message, waiting, reported, self._rules.retrying.max_attempts, within)
        recovered = sum(rows[key].retry_state is RetryState.RECOVERED for key in waiting)
        if recovered:
            metrics.record(metrics.RETRIES, recovered, about=message.operation, outcome=RetryState.RECOVERED)
        # Another delivery of this message may have written an outcome meanwhile, and died before it was done.
        self._complete(message, waiting, rows)
        self._act(message, waiting, rows, report.tally, reported)

    def _stored(self, message: RetryMessage) -> Mapping[str, BlobRow]:
        """The rows of the message's blobs; all of the operation where the message does not say which they are."""
        keys = frozenset(blob.key or "" for blob in message.blobs)
        rows = self._results.blobs(message.operation, keys) if "" not in keys else {}
        return rows if rows.keys() == keys else self._results.blobs(message.operation)

    def _reported(self, message: RetryMessage, items: Items, report: StatusReport) -> tuple[Reported, Within]:
        """What ADX says, and which rows are to be read with it: of very many blobs no more than the message's own."""
        blobs = report.blobs or ()
        if not isinstance(blobs, ManyBlobs) and report.tally.total <= MOST_AT_ONCE:
            return FewBlobs(blobs), ""
        many = blobs if isinstance(blobs, ManyBlobs) else ManyBlobs(blobs)
        many.pair()
        if not many.shows(items):
            # ADX may name them otherwise by now.
            many.pair(self._results.names(message.operation))
        return many.part(*items), frozenset(items)

    def _complete(self, message: RetryMessage, items: Items, stored: Mapping[str, BlobRow]) -> None:
        """Do again what a crash may have cut short after an earlier delivery had written its outcome."""
        resubmitted = {
            row.retry_operation_id
            for key in items
            if (row := stored.get(key)) and row.retry_state is RetryState.RESUBMITTED and row.retry_operation_id
        }
        unregistered: Items = {}
        # All that went with them: such an operation has ended only when all of them are accounted for.
        alike = self._results.each_blob(message.operation) if resubmitted else iter(())
        gone = [row for row in alike if row.retry_operation_id in resubmitted]
        for operation_id in resubmitted:
            group = {row.key: row for row in gone if row.retry_operation_id == operation_id}
            own = {key: blob for key, blob in items.items() if key in group}
            if len(own) == len(group):
                self._register(message, own, operation_id)
            elif self._results.pointer(_resubmission(message, operation_id)) is None:
                # The message that submitted them has all their URLs, and is not gone before it has registered them.
                if message.put_backs < LEAST_PUT_BACKS:
                    unregistered |= own
                else:
                    self._register(message, {key: blob_of(row) for key, row in group.items()} | own, operation_id)
        if unregistered:
            self._put_back(message, unregistered, "the delivery that submitted them is to register that")
        recovered = {
            key: blob
            for key, blob in items.items()
            if (row := stored.get(key)) and row.retry_state is RetryState.RECOVERED
        }
        if recovered and (untold := self._settler.correct(message.operation, message.untold)):
            # This message is what makes good a news that has not gone out.
            self._put_back(replace(message, untold=untold), recovered, "the news of their recovery can't be told")

    def _act(
        self, message: RetryMessage, items: Items, rows: Mapping[str, BlobRow], tally: Counts, reported: Reported
    ) -> None:
        around = Circumstances(
            now=self._ambient.now(),
            shown=dict(reported.keyed(rows)),
            is_running=tally.in_progress + tally.other > 0,
            rules=self._rules,
        )
        decisions = {key: decide(rows[key], blob, message, around) for key, blob in items.items()}
        by_action: dict[Action, Items] = defaultdict(dict)
        for key, decision in decisions.items():
            by_action[decision.action][key] = items[key]
        self._rows.end(message, by_action[Action.EXHAUST], RetryState.ATTEMPTS_EXHAUSTED)
        for key in by_action[Action.REFUSE]:
            self._rows.end(message, [key], RetryState.NOT_RESUBMITTABLE, decisions[key].reason)
        # What ADX shows is not missing any more; what is submitted on what was known of it before still is.
        known = replace(message, missing_since=None)
        shown, hidden = _split(by_action[Action.SUBMIT], around.shown)
        waiting = by_action[Action.WAIT] | self._submit_all(known, shown)
        if waiting:
            self._put_back(known, waiting, "the service or another delivery is at work on them")
        if left := self._submit_all(message, hidden):
            self._put_back(message, left, "another delivery is at work on them")
        if by_action[Action.MISSING]:
            since = replace(message, missing_since=message.missing_since or around.now)
            self._put_back(since, by_action[Action.MISSING], "ADX says nothing of them")

    def _submit_all(self, message: RetryMessage, items: Items) -> Items:
        """Submit in requests of as many blobs as the cluster takes; what an error stops is put back.

        Returns:
            What else is left to be put back: claimed by another delivery, or out of time.
        """
        left: Items = {}
        if not items:
            return left
        most = 1 if self._rules.retrying.deduplicate else self._most_blobs(message.operation.cluster)
        groups = [dict(group) for group in batched(items.items(), most, strict=False)]
        began = self._ambient.now()
        for place, group in enumerate(groups):
            if self._ambient.now() - began >= _BUDGET:
                return left | _joined(groups[place:])
            try:
                left |= self._submit_group(message, group)
            except (KustoError, AccessFailed) as error:
                self._put_back_or_end(message, left | _joined(groups[place:]), error)
                return {}
        return left

    def _submit_group(self, message: RetryMessage, group: Items) -> Items:
        """Claim the blobs of a group and submit them in one request; those that another delivery has got are left.

        Raises:
            KustoError: ADX did not accept them, or that can't be told.
            AccessFailed: the credentials for reading can't be had now.
        """
        # Before the claim: this may take its time.
        sources = self._sources(message, group)
        claimant = self._ambient.new_id()
        claimed_at = self._ambient.now()
        mine = self._rows.claim(message, sources, claimant, claimed_at)
        claimed = {key: blob for key, blob in group.items() if key in mine}
        left = {key: blob for key, blob in group.items() if key in sources and key not in mine}
        try:
            if claimed and self._ambient.now() - claimed_at >= CLAIM / 2:
                raise Unavailable("storage took so long that the claim is about to end")
            self._submit(message, claimed, {key: sources[key] for key in claimed})
        except RequestRejected as error:
            self._rejected(message, claimed, claimant, error)
        except KustoError:
            self._rows.release(message, claimed, claimant)
            raise
        return left

    def _submit(self, message: RetryMessage, items: Items, sources: Mapping[str, BlobSource]) -> None:
        """Submit claimed blobs in one request, write that down at once, and register the new operation."""
        if not items:
            return
        tag = None
        if self._rules.retrying.deduplicate:
            key = next(iter(items))
            tag = deduplication_tag(message, sources[key], items[key])
        properties = resubmission_properties(message.properties or {}, tag)
        try:
            operation_id = self._adx.submit(message.operation, list(sources.values()), properties)
        except KustoError as error:
            if error.maybe_accepted:
                metrics.record(metrics.RETRIES, len(items), about=message.operation, outcome="Unknown")
                event(
                    "resubmission.unknown",
                    "ADX may have accepted the blobs although no answer came; they are submitted again later. "
                    "RETRY_DEDUPLICATE=true makes that safe",
                    level=logging.WARNING,
                    about=message.operation,
                    blobs=len(items),
                )
            raise
        outcome = RetryState.RESUBMITTED if operation_id else "Untracked"
        metrics.record(metrics.RETRIES, len(items), about=message.operation, outcome=outcome)
        # Before it is written down: should that fail, the ID is to be found here.
        event(
            "blobs.resubmitted" if operation_id else "resubmission.untracked",
            "submitted again" if operation_id else "ADX accepted the blobs and gave no operation ID to watch",
            level=logging.INFO if operation_id else logging.ERROR,
            about=message.operation,
            blobs=len(items),
            attempt=message.attempt + 1,
            new_operation_id=operation_id,
        )
        self._rows.end(message, items, RetryState.RESUBMITTED, operation_id=operation_id)
        if operation_id is not None:
            self._register(message, items, operation_id)

    def _rejected(self, message: RetryMessage, items: Items, claimant: str, error: RequestRejected) -> None:
        """Give a blob up that ADX rejects; of several, let each be tried alone: one must not take the others along."""
        if len(items) == 1:
            self._rows.end(message, items, RetryState.NOT_RESUBMITTABLE, str(error))
            return
        self._rows.release(message, items, claimant)
        for key, blob in items.items():
            self._put_back(message, {key: blob}, "ADX rejects them together; each is tried alone")

    def _sources(self, message: RetryMessage, items: Items) -> dict[str, BlobSource]:
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
                self._rows.end(message, [key], RetryState.NOT_RESUBMITTABLE, str(error))
        return sources

    def _register(self, message: RetryMessage, items: Items, operation_id: str) -> None:
        operation = message.operation
        self._registrar.register(
            OperationMessage(
                operation=_resubmission(message, operation_id),
                lineage=Lineage(
                    min(message.attempt + 1, MOST_COUNT), message.root_operation_id, operation.operation_id
                ),
                properties=message.properties,
                blobs=tuple(
                    NamedBlob(blob.url, _source_id(message, key, blob), blob.raw_size, blob.url_brought, blob.extra)
                    for key, blob in items.items()
                ),
                correlation_id=message.correlation_id,
                extra=message.extra,
            )
        )

    def _put_back_or_end(self, message: RetryMessage, items: Items, error: Exception) -> None:
        """Put blobs back that an error keeps from being resubmitted, unless it has done so for too long."""
        now = self._ambient.now()
        if not is_given_up(message, now, self._rules.polling):
            self._put_back(message, items, error)
            return
        self._rows.learn(message, items, FewBlobs(()), self._rules.retrying.max_attempts)
        reason = f"it was tried for {now - message.enqueued_at}: {error}"
        self._rows.end(message, items, RetryState.NOT_RESUBMITTABLE, reason)

    def _put_back(self, message: RetryMessage, items: Items, why: Exception | str) -> None:
        delay = put_back_delay(
            self._ambient.now() - message.enqueued_at,
            base=self._rules.retrying.base_delay,
            most=self._rules.retrying.max_delay,
            random=self._ambient.random,
        )
        if isinstance(why, KustoError) and why.retry_after:
            delay = max(delay, why.retry_after)
        again = replace(message, blobs=tuple(items.values()), put_backs=min(message.put_backs + 1, MOST_COUNT))
        self._retries.send(write_retry(again), delay)
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


def _resubmission(message: RetryMessage, operation_id: str) -> Operation:
    return replace(message.operation, operation_id=operation_id)


def _split(items: Items, shown: Mapping[str, object]) -> tuple[Items, Items]:
    """Those that ADX shows, and the others."""
    seen = {key: blob for key, blob in items.items() if key in shown}
    return seen, {key: blob for key, blob in items.items() if key not in shown}


def _joined(groups: Iterable[Items]) -> Items:
    return {key: blob for group in groups for key, blob in group.items()}


def _source_id(message: RetryMessage, key: str, blob: RetryBlob) -> str:
    """The blob's own ``sourceId``, else one that the same message gives the same blob every time."""
    return blob.source_id or str(uuid.uuid5(_SOURCE_IDS, f"{message.operation.key} {key}"))
