"""Polling: asking ADX for the operations that are due, and putting each to its next time or to its end.

One invocation is short: it stops beginning with operations when its time is up, and what is left stays due. An error of
one operation puts that one off; a cluster that throttles or refuses is left alone for the rest of the invocation.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from shared import metrics
from shared.bulk_poll import Answered, BulkAsker
from shared.ending import Ending, tell
from shared.errors import (
    AccessRefused,
    EndpointNotAllowed,
    KustoError,
    OperationNotFound,
    RequestRejected,
    RoleMissing,
    Throttled,
    Unavailable,
)
from shared.messages import PollBatch, write_poll_batch
from shared.model import Operation, OperationState, StatusReport
from shared.outcome import accounted_failures, is_finished
from shared.progress import (
    NoAnswer,
    Pace,
    after_no_answer,
    after_not_found,
    after_report,
    after_untold,
    is_overdue,
    needs_details,
)
from shared.queues import Queue
from shared.records import Outstanding, Settled
from shared.redaction import redacted_line
from shared.settle import OperationGone, Settler
from shared.side_by_side import also_here, side_by_side
from shared.store.handed_out import poll_time_left
from shared.store.outstanding import OutstandingOperations
from shared.telemetry import Seldom, event
from shared.tracing import step

_PAUSE = timedelta(seconds=30)
"""For a cluster that throttles without saying for how long."""

_WRITE_BACK_SECONDS = 5
"""So often next times and ends are written, those of many operations together; a crash repeats at most their polls."""

_PATIENCE = timedelta(seconds=90)
"""For polls under way when the budget ends: each asks twice at the most, and a call is over after 30 seconds."""

_EVENTS: dict[type[KustoError], str] = {
    AccessRefused: "adx.access_refused",
    RoleMissing: "adx.access_refused",
    EndpointNotAllowed: "adx.endpoint_not_allowed",
    Throttled: "adx.throttled",
    Unavailable: "adx.unavailable",
    RequestRejected: "adx.request_rejected",
}

type Move = tuple[Outstanding, Outstanding]
type Step = Move | Ending
"""What an operation's poll leads to: its next one, or its end."""


class StatusSource(Protocol):
    """Where an operation's status comes from."""

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        """What ADX says of the operation.

        Raises:
            KustoError: it says nothing of use.
        """


@dataclass
class _Run:
    """One invocation: until when it begins with operations, which clusters are left alone, and what it did."""

    ends: float
    began: float = field(default_factory=time.monotonic)
    refusals: dict[tuple[str, ...], KustoError] = field(default_factory=dict)
    did: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_over(self) -> bool:
        return time.monotonic() >= self.ends

    def count(self, what: str) -> None:
        with self.lock:
            self.did[what] += 1


class Poller:
    """Polls what is due."""

    def __init__(
        self,
        outstanding: OutstandingOperations,
        kusto: StatusSource,
        settler: Settler,
        batches: Queue,
        pace: Pace,
        *,
        executor: Executor,
        budget: timedelta,
        bulk: BulkAsker | None = None,
    ) -> None:
        self._outstanding = outstanding
        self._kusto = kusto
        self._settler = settler
        self._batches = batches
        self._pace = pace
        self._executor = executor
        self._now = pace.ambient.now
        self._budget = budget
        self._bulk = bulk
        self._seldom = Seldom(timedelta(minutes=5), self._now)

    def tick(self) -> None:
        """Poll what is due, or hand it out where it is more than one instance should take on."""
        self._tick()
        # The heartbeat: it stops when this is not run, and when this fails.
        metrics.record(metrics.TICKS)
        try:
            self._outstanding.note_tick(self._now())
        except Exception as error:  # noqa: BLE001, whatever it is: the tick is done, and the next one writes it again
            event(
                "polls.not_noted",
                f"that this tick is done: {type(error).__name__}",
                level=logging.WARNING,
                error=redacted_line(error),
            )

    def _tick(self) -> None:
        run, now, limit = self._run(), self._now(), self._pace.polling.inline_limit
        due = self._outstanding.due(now, limit + 1)
        if len(due) <= limit:
            self._poll_all(due.operations, run)
            return
        sent = self._outstanding.dispatch(due, lambda batch: self._batches.send(write_poll_batch(batch)), run.is_over)
        event("polls.dispatched", "more is due than one instance takes on", operations=sent, seconds=_seconds(run))

    def batch(self, batch: PollBatch) -> None:
        """Poll one batch that was handed out, unless what is due of it is about to be handed out again."""
        time_left = self._time_left(batch)
        if time_left <= timedelta():
            event("polls.stale", "this batch waited too long; what is due of it is handed out again", shard=batch.shard)
            return
        run = self._run(time_left)
        self._poll_all(self._outstanding.batch(batch), run)
        if run.did["left"] and self._time_left(batch) > timedelta():
            # Whoever takes it finds only what is left of it.
            self._batches.send(write_poll_batch(batch))

    def _time_left(self, batch: PollBatch) -> timedelta:
        return poll_time_left(batch.since, self._now(), self._outstanding.lease)

    def _run(self, most: timedelta = timedelta.max) -> _Run:
        return _Run(ends=time.monotonic() + min(self._budget, most).total_seconds())

    def _poll_all(self, due: Sequence[Outstanding], run: _Run) -> None:
        open_, ended = _split(due)
        answered = self._ask_in_bulk(open_, run)
        self._write_back(answered.moves, run)
        try:
            for steps in self._polled([*answered.left, *ended], run):
                self._write_back(steps, run)
        except TimeoutError:
            metrics.record(metrics.POLLS_ERRORS, kind="overran")
            event("polls.overran", "some requests do not end; what they were for stays due", level=logging.ERROR)
        finally:
            # What has not begun by now stays due, instead of going on behind the invocation's back.
            run.ends = 0.0
        event(
            "polls.finished",
            "polled what was due" if due else "nothing is due",
            level=logging.INFO if due else logging.DEBUG,
            due=len(due),
            unmoved_in_bulk=len(answered.moves) if self._bulk else None,
            asked=run.did["asked"],
            asked_details=run.did["asked_details"],
            settled=run.did["settled"],
            not_found=run.did["not_found"],
            put_off=run.did["put_off"],
            untold=run.did["untold"] or None,
            errors=run.did["errors"],
            left=run.did["left"],
            oldest_seconds=_age(due, self._now()),
            seconds=_seconds(run),
        )

    def _ask_in_bulk(self, due: Sequence[Outstanding], run: _Run) -> Answered:
        if self._bulk is None:
            return Answered([], due)
        return self._bulk.ask(due, run.is_over, lambda operation, error: self._take_note(operation, error, run))

    def _polled(self, due: Iterable[Outstanding], run: _Run) -> Iterator[list[Step]]:
        return side_by_side(
            partial(self._poll_safely, run=run),
            due,
            executor=self._executor,
            threads=self._pace.polling.concurrency,
            most_seconds=(self._budget + _PATIENCE).total_seconds(),
            every_seconds=_WRITE_BACK_SECONDS,
        )

    def _poll_safely(self, before: Outstanding, run: _Run) -> Step | None:
        """Poll one operation; whatever happens to it must not reach the others.

        Returns:
            What that leads to; None if it stays as it is.
        """
        if run.is_over():
            run.count("left")
            return None
        try:
            with step("poll", before.operation, before.root_operation_id, before.attempt, expected=OperationGone):
                if before.untold is None:
                    return self._poll(before, run)
                return self._settler.untold(before) or self._poll(replace(before, untold=None), run)
        except OperationGone:
            return None
        except Exception as error:  # noqa: BLE001, storage, or a defect: it is logged, and the operation tried again
            _tell_failure(before, error, run)
            has_ended = before.untold is not None
            return self._much_later(before) if has_ended else self._after_failure(before, type(error).__name__)

    def _after_failure(self, before: Outstanding, error: str) -> Step:
        """The operation put off, or ended when its time is up: what fails every time must not go on for ever."""
        after = after_no_answer(before, NoAnswer(error), self._now(), self._pace)
        if isinstance(after, Outstanding):
            return before, after
        try:
            return self._settler.give_up(before, error)
        except Exception as failure:  # noqa: BLE001, the same again
            event(
                "poll.failed", f"can't be ended: {type(failure).__name__}", level=logging.ERROR, about=before.operation
            )
            return self._much_later(before)

    def _much_later(self, before: Outstanding) -> Move:
        return before, replace(before, next_poll_at=self._now() + self._pace.polling.max_interval)

    def _write_back(self, steps: Sequence[Step], run: _Run) -> None:
        """Write down what polls have led to: final states, then what is due later and what is watched no more."""
        if not steps:
            return
        moves: list[Move] = []
        endings: list[Ending] = []
        for each in steps:
            endings.append(each) if isinstance(each, Ending) else moves.append(each)
        ended, left = self._settler.end_together(endings)
        # Polls may have all threads: what has come of others is not to wait for them.
        threads, end = self._pace.polling.concurrency, partial(self._end_safely, run=run)
        one_by_one: list[Step] = also_here(end, left, executor=self._executor, threads=threads)
        for each in one_by_one:
            ended.append(each) if isinstance(each, Ending) else moves.append(each)
        untold = self._settler.announce(ended)
        staying: list[tuple[Settled, Outstanding]] = []
        for each in ended:
            if left_channels := untold.get(each.before.operation.key):
                run.count("untold")
                staying.append((each.settled, after_untold(each.before, left_channels, self._now(), self._pace)))
        by_key = {key: each for each in ended if (key := each.before.operation.key) not in untold}

        def removed(before: Outstanding) -> None:
            run.count("settled")
            tell(by_key[before.operation.key])

        self._outstanding.write_back(moves, [each.settled for each in by_key.values()], removed, staying)

    def _end_safely(self, ending: Ending, run: _Run) -> Step:
        """End one operation, or put it off: its next poll ends it."""
        try:
            return self._settler.end(ending)
        except Exception as error:  # noqa: BLE001, storage, or a defect: it is logged, and the operation tried again
            _tell_failure(ending.before, error, run)
            return self._much_later(ending.before)

    def _poll(self, before: Outstanding, run: _Run) -> Step:
        operation = before.operation
        refusal = next((run.refusals[each] for each in _scopes(operation) if each in run.refusals), None)
        if refusal is not None:
            run.count("put_off")
            why = _no_answer(refusal, was_asked=False)
            return self._go_on(before, after_no_answer(before, why, self._now(), self._pace), refusal)
        run.count("asked")
        try:
            return self._answered(before, self._kusto.status(before.operation, details=False), run)
        except OperationNotFound as error:
            run.count("not_found")
            return self._go_on(before, after_not_found(before, str(error), self._now(), self._pace), error)
        except KustoError as error:
            run.count("put_off")
            self._take_note(operation, error, run)
            return self._go_on(before, after_no_answer(before, _no_answer(error), self._now(), self._pace), error)

    def _answered(self, before: Outstanding, report: StatusReport, run: _Run) -> Step:
        now, polling = self._now(), self._pace.polling
        recorded = before.recorded_failures
        if not needs_details(before, report, now, polling):
            return before, after_report(before, report, recorded, now, self._pace)
        run.count("asked_details")
        report = self._kusto.status(before.operation, details=True)
        standing = self._settler.record(before, report)
        recorded = accounted_failures(report, recorded)
        # As long as no blob is written down, the pointer is unmarked.
        pointer_etag = "" if standing.counts.total else before.pointer_etag
        last = replace(after_report(before, report, recorded, now, self._pace), pointer_etag=pointer_etag)
        if is_finished(report, before.named_blobs) and not standing.is_overtaken:
            return self._settler.ending(before, last, standing)
        if is_overdue(before, now, polling):
            return self._settler.ending(before, last, standing, OperationState.TIMED_OUT)
        return before, self._settler.show_progress(last, standing)

    def _go_on(self, before: Outstanding, after: Outstanding | OperationState, error: KustoError) -> Step:
        """The operation put off; or its end without an answer, with what was intended before done."""
        if isinstance(after, Outstanding):
            return before, after
        standing = self._settler.record(before, None)
        return self._settler.ending(before, replace(before, last_error=str(error)), standing, after)

    def _take_note(self, operation: Operation, error: KustoError, run: _Run) -> None:
        """Leave a cluster, or a table, alone for the rest of the invocation if the answer concerns all of it."""
        scope = _scopes(operation)[error.is_of_table]
        if isinstance(error, AccessRefused | EndpointNotAllowed | Throttled) or error.retry_after is not None:
            with run.lock:
                run.refusals.setdefault(scope, error)
        if self._seldom.may_say((scope, type(error))):
            level = logging.ERROR if isinstance(error, AccessRefused | EndpointNotAllowed) else logging.WARNING
            event(_EVENTS[type(error)], str(error), level=level, about=operation)


def _split(due: Iterable[Outstanding]) -> tuple[list[Outstanding], list[Outstanding]]:
    """The operations that have not ended, and those of which only the news has still to go out."""
    open_: list[Outstanding] = []
    ended: list[Outstanding] = []
    for each in due:
        (open_ if each.untold is None else ended).append(each)
    return open_, ended


def _tell_failure(before: Outstanding, error: Exception, run: _Run) -> None:
    run.count("errors")
    metrics.record(metrics.POLLS_ERRORS, kind="failed")
    event(
        "poll.failed",
        f"put off: {type(error).__name__}",
        level=logging.ERROR,
        about=before.operation,
        error=redacted_line(error),
    )


def _scopes(operation: Operation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What an answer may concern: the cluster, or the table."""
    return (operation.cluster,), (operation.cluster, operation.database, operation.table)


def _no_answer(error: KustoError, *, was_asked: bool = True) -> NoAnswer:
    wait = error.retry_after or (_PAUSE if isinstance(error, Throttled) else None)
    return NoAnswer(str(error), wait, was_asked)


def _age(due: Iterable[Outstanding], now: datetime) -> int | None:
    return max((round((now - each.registered_at).total_seconds()) for each in due), default=None)


def _seconds(run: _Run) -> float:
    return round(time.monotonic() - run.began, 1)
