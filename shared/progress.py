"""When an operation is asked for next, and when it is given up: pure functions of what was known and what came."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.ambient import Ambient
from shared.backoff import next_interval, spread
from shared.model import OperationState, StatusReport
from shared.outcome import looks_finished
from shared.records import Outstanding
from shared.settings import Polling


@dataclass(frozen=True, slots=True)
class Pace:
    """How often operations are asked for, and the randomness that spreads them."""

    polling: Polling
    ambient: Ambient


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """ADX gave no status: why, how long it wants to be left alone, and whether it was asked at all."""

    error: str
    retry_after: timedelta | None = None
    was_asked: bool = True


def needs_details(before: Outstanding, report: StatusReport, now: datetime, polling: Polling) -> bool:
    """Whether an answer asks for one with details: it has no counts, there is news of failures, the end, or no time."""
    return (
        report.counts is None
        or looks_finished(report.counts, before.named_blobs)
        or report.counts.failed > before.recorded_failures
        or is_overdue(before, now, polling)
    )


def is_overdue(before: Outstanding, now: datetime, polling: Polling) -> bool:
    """Whether an operation has been tracked for as long as ``TRACKING_TIMEOUT_HOURS`` allows."""
    return now - before.registered_at >= polling.tracking_timeout


def after_report(
    before: Outstanding, report: StatusReport, recorded_failures: int, now: datetime, pace: Pace
) -> Outstanding:
    """The operation as it stays outstanding after an answer."""
    counts = report.tally
    interval = _interval(before, pace, moved=counts != before.counts)
    return replace(
        before,
        next_poll_at=now + spread(interval, pace.ambient.random),
        interval=interval,
        polls=before.polls + 1,
        counts=counts,
        recorded_failures=min(recorded_failures, counts.failed),
        start_time=report.start_time or before.start_time,
        last_updated=report.last_updated or before.last_updated,
        not_found_since=None,
        errors_since=None,
        last_error=None,
        bulk_polls=0,
    )


def after_not_found(before: Outstanding, error: str, now: datetime, pace: Pace) -> Outstanding | OperationState:
    """The operation as it stays outstanding after a 404, or NotFound once the 404s have lasted for the grace."""
    since = before.not_found_since or now
    if now - since >= pace.polling.not_found_grace:
        return OperationState.NOT_FOUND
    later = _put_off(before, None, now, pace)
    return replace(later, polls=before.polls + 1, not_found_since=since, errors_since=None, last_error=error)


def after_no_answer(before: Outstanding, why: NoAnswer, now: datetime, pace: Pace) -> Outstanding | OperationState:
    """The operation as it stays outstanding without an answer, or TimedOut.

    An operation whose time is up gets as long as the grace for 404s to be answered for once more: a short outage at
    the wrong moment must not cost what ADX would have said last.
    """
    since = before.errors_since or now
    if is_overdue(before, now, pace.polling) and now - since >= pace.polling.not_found_grace:
        return OperationState.TIMED_OUT
    later = _put_off(before, why.retry_after, now, pace)
    return replace(later, polls=before.polls + why.was_asked, errors_since=since, last_error=why.error)


def after_untold(before: Outstanding, untold: str, now: datetime, pace: Pace) -> Outstanding:
    """An operation that has ended as it stays outstanding until the news of that has gone out by these channels."""
    interval = _interval(before, pace, moved=False)
    return replace(before, next_poll_at=now + spread(interval, pace.ambient.random), interval=interval, untold=untold)


def _put_off(before: Outstanding, retry_after: timedelta | None, now: datetime, pace: Pace) -> Outstanding:
    interval = _interval(before, pace, moved=False)
    # Never before the service wants it, and not all at the same moment after.
    wait = max(spread(interval, pace.ambient.random), (retry_after or timedelta()) * (1 + 0.5 * pace.ambient.random()))
    return replace(before, next_poll_at=now + wait, interval=interval)


def _interval(before: Outstanding, pace: Pace, *, moved: bool) -> timedelta:
    least, most = pace.polling.min_interval, pace.polling.max_interval
    return next_interval(before.interval, moved=moved, least=least, most=most)
