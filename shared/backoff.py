"""How long to wait: pure functions of what happened, with randomness handed in."""

from collections.abc import Callable
from datetime import timedelta

GROWTH = 1.3
"""An interval grows by three tenths each time nothing has moved: from 20 s to 300 s in eleven polls.

By a half from 15 s takes as many requests for usual operations, and leaves them unseen for half as long again
(docs/scale.md, freshness).
"""

SPREAD = 0.1
"""Polls are spread by a tenth either way, so that what was submitted together isn't asked for together for ever."""

_LEAST_PUT_BACK = timedelta(seconds=5)
"""Whatever the settings say: a message that is put back must not go round at once."""

type Random = Callable[[], float]
"""Uniform in [0, 1)."""


def next_interval(current: timedelta, *, moved: bool, least: timedelta, most: timedelta) -> timedelta:
    """The polling interval of an operation after a poll: back to ``least`` when its counts moved, else grown."""
    return least if moved else min(max(current, least) * GROWTH, most)


def spread(interval: timedelta, random: Random) -> timedelta:
    """``interval``, a tenth shorter to a tenth longer."""
    return interval * (1 + SPREAD * (2 * random() - 1))


def retry_delay(attempt: int, *, base: timedelta, most: timedelta, random: Random) -> timedelta:
    """How long a retry stays invisible: exponential in ``attempt`` (1 is the first submission), jittered, capped.

    Equal jitter, from half the exponential bound to the whole (see
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): it spreads a burst of failures, and
    leaves the service the time to mend a failure itself, which full jitter, from nothing on, does not.
    """
    # In floats, which take any attempt; a timedelta would overflow.
    bound = min(base.total_seconds() * 2.0 ** min(attempt - 1, 100), most.total_seconds())
    return timedelta(seconds=bound * (0.5 + random() / 2))


def put_back_delay(waited: timedelta, *, base: timedelta, most: timedelta, random: Random) -> timedelta:
    """How long a retry message that can't be settled yet stays away: half as long again as it has waited so far.

    A function of the message's age alone, so it needs no counter that a duplicate could confuse.
    """
    return max(min(spread(max(waited / 2, base), random), most), _LEAST_PUT_BACK)
