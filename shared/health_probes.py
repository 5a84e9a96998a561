"""What is tried to see whether the app can do its work (``shared.health``), each in the cheapest documented way."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from shared.errors import OperationNotFound
from shared.health import Check, Probe
from shared.kusto.tokens import Tokens
from shared.model import IngestionLimits, Operation, StatusReport
from shared.queues import Queue
from shared.records import Notes
from shared.store.health_note import HealthNote
from shared.store.tables import Table

_TICKS = 3
"""So many may be missed: an instance may just be starting."""

_LONGEST_TICK = timedelta(seconds=150)
"""A tick takes a minute at the most, and a half more where ADX does not answer."""

_STALE = timedelta(minutes=10)
"""So long ago what is measured once a minute says nothing of now; an instance may just be starting."""

_LATE = timedelta(hours=1)
"""So much later than ``TRACKING_TIMEOUT_HOURS`` an operation has been given up in any case."""

_NO_OPERATION = "adx-ingestion-tracker-health"
"""An operation that does not exist."""


FACTS: Mapping[str, Sequence[str]] = {
    "poller": ("lastFinishedAt", "ageSeconds"),
    "backlog": ("outstanding", "oldestRegisteredAt", "oldestAgeSeconds"),
}
"""What these checks say beside their detail; null where it is not known."""


class Adx(Protocol):
    """What is asked of ADX."""

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        """What ADX says of an operation."""

    def limits(self, cluster: str) -> IngestionLimits:
        """The limits of a cluster."""


def can_write(note: HealthNote, now: Callable[[], datetime]) -> Check:
    """Storage can be reached and written: a row is read and written again."""
    note.renew(now())
    return Check("can be read and written")


def is_there(table: Table) -> Check:
    """A table is there and can be read."""
    if table.exists():
        return Check("is there")
    return Check("is not there: the app makes it when it starts", is_healthy=False)


def queue_is_there(queue: Queue) -> Check:
    """A queue is there and can be read."""
    if queue.exists():
        return Check("is there")
    return Check("is not there: the app makes it when it starts", is_healthy=False)


def token(tokens: Tokens, cluster: str) -> Check:
    """The app's identity gets a token for a cluster."""
    tokens.token(cluster)
    return Check("can be had")


def answers(adx: Adx, cluster: str, database: str, table: str) -> Check:
    """A cluster answers, and lets the app ask for operations of this table if there is one.

    Without a table the cluster's limits are asked for, which takes no role.
    """
    if not database or not table:
        adx.limits(cluster)
        return Check("answers; no role was tried")
    with suppress(OperationNotFound):
        adx.status(Operation(cluster, database, table, _NO_OPERATION), details=False)
    return Check(f"answers, and lets the app see {database}.{table}")


def poller(read: Callable[[], Notes], note: HealthNote, gap: timedelta | None, now: Callable[[], datetime]) -> Check:
    """A tick of the poller was finished lately.

    Args:
        read: The app's notes.
        note: Since when the app's health was looked at, for an app whose first tick is not finished.
        gap: The longest time between two ticks; None where they are not every day.
        now: The time.
    """
    finished = read().poller_finished_at
    since = finished or note.first_at() or now()
    age = max(now() - since, timedelta())
    facts = {"lastFinishedAt": finished, "ageSeconds": int(age.total_seconds()) if finished else None}
    said = f"a tick was finished {_seconds(age)} ago" if finished else "no tick was finished yet"
    if gap is None:
        return Check(f"{said}; how old it may be does not follow from a POLL_SCHEDULE of some days", facts=facts)
    most = _TICKS * gap + _LONGEST_TICK
    return Check(f"{said}; {_seconds(most)} are the most", age <= most, facts)


def backlog(read: Callable[[], Notes], note: HealthNote, timeout: timedelta, now: Callable[[], datetime]) -> Check:
    """No operation is outstanding for longer than the app watches one, as was measured lately.

    Args:
        read: The app's notes.
        note: Since when the app's health was looked at, for an app that has measured nothing yet.
        timeout: For how long the app watches one.
        now: The time.
    """
    noted = read().backlog
    measured = noted.measured_at if noted else note.first_at() or now()
    is_fresh = now() - measured <= _STALE
    if noted is None:
        return Check("not measured yet: it is once a minute, by measure_backlog", is_fresh)
    oldest = noted.census.oldest_registered_at
    age = max(now() - oldest, timedelta()) if oldest else None
    facts = {
        "outstanding": noted.census.outstanding,
        "oldestRegisteredAt": oldest,
        "oldestAgeSeconds": int(age.total_seconds()) if age is not None else None,
    }
    if not is_fresh:
        said = f"measured {_seconds(now() - measured)} ago, and it is once a minute: see whether measure_backlog runs"
        return Check(said, is_healthy=False, facts=facts)
    if age is None:
        return Check("nothing is outstanding", facts=facts)
    said = f"the oldest is outstanding for {_seconds(age)}"
    if age > timeout + _LATE:
        return Check(f"{said}, which is longer than TRACKING_TIMEOUT_HOURS", is_healthy=False, facts=facts)
    return Check(said, facts=facts)


def by_name(probes: Mapping[str, Probe]) -> Mapping[str, Probe]:
    """Probes by what is tried; a single one needs no name."""
    return dict(probes) if len(probes) > 1 else dict(zip([""], probes.values(), strict=True))


def _seconds(time: timedelta) -> str:
    return f"{int(time.total_seconds())} s"
