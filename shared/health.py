"""Is the app able to do its work? Each thing that it needs is tried, side by side, within one limit of time.

It works without the app itself, which can't even be built while storage is away.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from azure.core.exceptions import AzureError

from shared.ambient import Ambient
from shared.errors import KustoError
from shared.redaction import redacted_line

MOST_SECONDS = timedelta(seconds=8)
"""For all of it: whoever watches the app's health gives up after some seconds more."""

type Fact = int | datetime | None


@dataclass(frozen=True, slots=True)
class Check:
    """What was found. ``facts`` are numbers and times to go with it."""

    detail: str
    is_healthy: bool = True
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All that was found, and when."""

    checked_at: datetime
    checks: Mapping[str, Check]

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.is_healthy for check in self.checks.values())


type Probe = Callable[[], Check]
"""Tries one thing. It may raise: then the thing is not in order."""


class Health:
    """Tries everything.

    Args:
        probes: What is tried, by the name of the check that it is of; what it is, by the name that it has there.
        facts: What a check says beside its detail when it could not be made.
        ambient: The time.
        executor: With a thread for each probe, so that one that hangs holds up no other.
        most: For how long they may take.
    """

    def __init__(
        self,
        probes: Mapping[str, Mapping[str, Probe]],
        facts: Mapping[str, Sequence[str]],
        ambient: Ambient,
        executor: Executor,
        most: timedelta = MOST_SECONDS,
    ) -> None:
        self._probes = probes
        self._facts = facts
        self._ambient = ambient
        self._executor = executor
        self._most = most

    def look(self) -> HealthReport:
        """Try everything now."""
        checked_at = self._ambient.now()
        tried = {
            name: {what: self._executor.submit(copy_context().run, probe) for what, probe in probes.items()}
            for name, probes in self._probes.items()
        }
        futures = [each for probes in tried.values() for each in probes.values()]
        wait(futures, timeout=self._most.total_seconds())
        for future in futures:
            # One that no thread was free for is of no use any more.
            future.cancel()
        return HealthReport(checked_at, {name: self._check(name, probes) for name, probes in tried.items()})

    def _check(self, name: str, probes: Mapping[str, "Future[Check]"]) -> Check:
        found = {what: self._found(future) for what, future in probes.items()}
        wrong = {what: each for what, each in found.items() if not each.is_healthy}
        detail = "; ".join(f"{what}: {each.detail}" if what else each.detail for what, each in (wrong or found).items())
        facts: dict[str, Fact] = dict.fromkeys(self._facts.get(name, ()))
        for each in found.values():
            facts |= each.facts
        return Check(detail, not wrong, facts)

    def _found(self, future: "Future[Check]") -> Check:
        if not future.done() or future.cancelled():
            return Check(f"no answer within {self._most.total_seconds():g} s", is_healthy=False)
        error = future.exception()
        return future.result() if error is None else Check(_told(error), is_healthy=False)


def _told(error: BaseException) -> str:
    """What went wrong, without what an SDK quotes."""
    if isinstance(error, AzureError):
        return f"{type(error).__name__}: {redacted_line(error.message or error)}"
    return redacted_line(error) if isinstance(error, KustoError) else type(error).__name__
