"""Polling many operations by one answer: those that have not moved need no request of their own.

Whatever becomes of it, what it leaves is asked for one by one, as if there were no bulk status.
"""

import logging
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import Executor, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched
from typing import Protocol

from shared.bulk import after_unmoved, is_unmoved, may_be_unmoved
from shared.errors import KustoError, RequestRejected, RoleMissing, Throttled, Unavailable
from shared.kusto.bulk import MOST_OPERATIONS
from shared.model import BulkStatus, Operation
from shared.progress import Pace
from shared.records import Outstanding
from shared.redaction import redacted_line
from shared.telemetry import Seldom, event

LEAST_OPERATIONS = 5
"""For fewer the command saves little, and each that has moved or is not shown is asked for once more."""

_REFUSED = timedelta(hours=1)
"""For how long the command is not tried where it is refused: a role may be given, a cluster brought up to date."""

_FAILED = timedelta(minutes=5)
"""For how long it is not tried where it fails otherwise: what is asked one by one must not wait for it each time."""

_PATIENCE = timedelta(seconds=45)
"""For commands under way: a call is over after 30 seconds."""

type Scope = tuple[str, str]
type _Said = Mapping[Operation, BulkStatus | None]
type Note = Callable[[Operation, KustoError], None]


class BulkSource(Protocol):
    """Where the status of many operations comes from."""

    def bulk_status(self, operations: Sequence[Operation]) -> Mapping[Operation, BulkStatus]:
        """What ADX says of operations of one database; those that it doesn't show are missing.

        Raises:
            KustoError: it says nothing of use.
        """


@dataclass(frozen=True, slots=True)
class Answered:
    """What bulk status made of what is due: to where the unmoved move, and what is left to be asked for one by one."""

    moves: Sequence[tuple[Outstanding, Outstanding]]
    left: Sequence[Outstanding]


class BulkAsker:
    """Asks for many operations at once, and leaves a database alone for a while whose command is refused."""

    def __init__(self, kusto: BulkSource, pace: Pace, executor: Executor, *, least: int = LEAST_OPERATIONS) -> None:
        self._kusto = kusto
        self._pace = pace
        self._executor = executor
        self._least = least
        self._now = pace.ambient.now
        self._left_alone: dict[Scope, datetime] = {}
        self._seldom = Seldom(_REFUSED, self._now)

    def ask(self, due: Sequence[Outstanding], is_over: Callable[[], bool], take_note: Note) -> Answered:
        """Ask for those of the due operations that may be unmoved, groups of them side by side.

        Args:
            due: What is due.
            is_over: Whether to begin with no further group.
            take_note: Told that a cluster throttles or fails: that concerns more than this command.
        """
        tasks = [
            self._executor.submit(copy_context().run, self._ask_group, group, is_over, take_note)
            for group in self._groups(due)
        ]
        done, late = wait(tasks, timeout=_PATIENCE.total_seconds())
        for task in late:
            task.cancel()
        return self._sorted(due, {each: status for task in done for each, status in task.result().items()})

    def _groups(self, due: Sequence[Outstanding]) -> list[tuple[Operation, ...]]:
        now, polling = self._now(), self._pace.polling
        by_database: dict[Scope, list[Operation]] = {}
        for before in due:
            scope = _scope(before.operation)
            if now >= self._left_alone.get(scope, now) and may_be_unmoved(before, now, polling):
                by_database.setdefault(scope, []).append(before.operation)
        groups = (group for each in by_database.values() for group in batched(each, MOST_OPERATIONS, strict=False))
        return [group for group in groups if len(group) >= self._least]

    def _ask_group(self, group: Sequence[Operation], is_over: Callable[[], bool], take_note: Note) -> _Said:
        """What the answer says of each; whatever happens must not reach the operations that are asked one by one."""
        if is_over():
            return {}
        try:
            shown = self._kusto.bulk_status(group)
        except KustoError as error:
            is_refused = isinstance(error, RequestRejected | RoleMissing)
            self._leave_alone(group[0], _REFUSED if is_refused else _FAILED, error)
            if isinstance(error, Throttled | Unavailable):
                take_note(group[0], error)
        except Exception as error:  # noqa: BLE001, a defect: they are asked for one by one
            self._leave_alone(group[0], _FAILED, error)
        else:
            self._tell_missing(group, shown)
            return {each: shown.get(each) for each in group}
        return {}

    def _sorted(self, due: Sequence[Outstanding], said: _Said) -> Answered:
        now = self._now()
        moves, left = [], []
        for before in due:
            status = said.get(before.operation)
            if status and is_unmoved(before, status):
                moves.append((before, after_unmoved(before, now, self._pace)))
            else:
                is_missing = before.operation in said and status is None
                left.append(replace(before, rest_only=True) if is_missing else before)
        return Answered(moves, left)

    def _leave_alone(self, operation: Operation, pause: timedelta, error: Exception) -> None:
        self._left_alone[_scope(operation)] = self._now() + pause
        is_answer = isinstance(error, KustoError)
        event(
            "bulk.left_alone",
            "many operations can't be asked for at once now: they are asked for one by one",
            level=logging.WARNING if is_answer else logging.ERROR,
            cluster=operation.cluster,
            database=operation.database,
            minutes=round(pause.total_seconds() / 60),
            error=str(error) if is_answer else redacted_line(error),
        )

    def _tell_missing(self, group: Sequence[Operation], shown: Container[Operation]) -> None:
        missing = sum(each not in shown for each in group)
        if missing and self._seldom.may_say(_scope(group[0])):
            event(
                "bulk.not_shown",
                "bulk status does not show some operations: they are asked for one by one for good",
                cluster=group[0].cluster,
                database=group[0].database,
                operations=missing,
                of=len(group),
            )


def _scope(operation: Operation) -> Scope:
    return operation.cluster, operation.database
