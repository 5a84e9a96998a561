"""Runs a timer function by its NCRONTAB schedule in UTC, as the TimerListener of Azure's host does.

One run at a time. The next time is counted from the start of the last run: times that passed while it ran make one
run, right after it. That run is not `past_due`: Azure says so only of a time that was missed while no host ran, which
is not imitated.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from croniter import CroniterError, croniter

from local.functions_host.protobuf import TypedData
from local.functions_host.queues import wait_for_either
from local.functions_host.settings import SettingsRefused
from local.functions_host.worker import Function, Worker

LOG = logging.getLogger(__name__)
FIELDS = (5, 6)
# Azure keeps no schedule status for schedules that are more frequent.
MONITORED = timedelta(minutes=1)


class Schedule:
    """A schedule of five fields, or of six with the seconds first."""

    def __init__(self, expression: str) -> None:
        """Reads it.

        Args:
            expression: The NCRONTAB expression.

        Raises:
            SettingsRefused: It is none.
        """
        self._expression = expression
        try:
            if len(expression.split()) not in FIELDS:
                raise SettingsRefused(f"the schedule {expression!r} does not have six fields")
            self.after(datetime.now(UTC))
        except CroniterError as error:
            raise SettingsRefused(f"the schedule {expression!r} is no NCRONTAB expression: {error}") from error

    def after(self, moment: datetime) -> datetime:
        """Returns the first scheduled time after `moment`.

        Args:
            moment: A time in UTC.
        """
        # NCRONTAB wants day of month and day of week both to fit; cron takes either.
        times = croniter(self._expression, moment, day_or=False, second_at_beginning=True)
        following: datetime = times.get_next(datetime)
        return following


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TimerListener:
    """Runs one timer function when it is due."""

    def __init__(
        self, worker: Worker, function: Function, *, schedule: Schedule, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._worker = worker
        self._function = function
        self._schedule = schedule
        self._now = now
        self._last: datetime | None = None

    async def listen(self, stopping: asyncio.Event) -> None:
        """Runs the function whenever it is due until `stopping` is set; a run that is on is waited for.

        Args:
            stopping: Ends it.
        """
        due = self._schedule.after(self._now())
        if self._function.trigger.get("runOnStartup"):
            due = self._now()
        while not stopping.is_set():
            await wait_for_either(stopping, seconds=max(0.0, (due - self._now()).total_seconds()))
            if stopping.is_set():
                return
            # A clock that is a little early must not make the same time come twice.
            started = max(self._now(), due)
            await self._worker.invoke(self._function, TypedData(json=json.dumps(self._request(due))), {})
            self._last = started
            due = self._schedule.after(started)

    def _request(self, due: datetime) -> dict[str, object]:
        """Returns the TimerInfo that the real host sends."""
        following = self._schedule.after(due)
        status = None
        if self._schedule.after(following) - following >= MONITORED:
            last = (self._last or datetime.min.replace(tzinfo=UTC)).isoformat()
            status = {"Last": last, "Next": due.isoformat(), "LastUpdated": last}
        return {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": False}
