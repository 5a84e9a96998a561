"""How long to wait: pure functions of what happened, with randomness handed in."""

from collections.abc import Callable
from datetime import timedelta

GROWTH = 1.5
"""An interval grows by half each time nothing has moved: from 15 s to 300 s in eight polls."""

SPREAD = 0.1
"""Polls are spread by a tenth either way, so that what was submitted together isn't asked for together for ever."""

type Random = Callable[[], float]
"""Uniform in [0, 1)."""


def next_interval(current: timedelta, *, moved: bool, least: timedelta, most: timedelta) -> timedelta:
    """The polling interval of an operation after a poll: back to ``least`` when its counts moved, else grown."""
    return least if moved else min(max(current, least) * GROWTH, most)


def spread(interval: timedelta, random: Random) -> timedelta:
    """``interval``, a tenth shorter to a tenth longer."""
    return interval * (1 + SPREAD * (2 * random() - 1))


def retry_delay(attempt: int, *, base: timedelta, most: timedelta, random: Random) -> timedelta:
    """How long a retry stays invisible: exponential in ``attempt`` (1 is the first submission), full jitter, capped.

    Full jitter (uniform from nothing to the exponential bound) spreads a burst of failures best, see
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """
    # Past 2^40 the cap decides, and a timedelta would overflow.
    return min(base * 2 ** min(attempt - 1, 40), most) * random() if base else timedelta()


def put_back_delay(waited: timedelta, *, base: timedelta, most: timedelta, random: Random) -> timedelta:
    """How long a retry message that can't be settled yet stays away: half as long again as it has waited so far.

    A function of the message's age alone, so it needs no counter that a duplicate could confuse.
    """
    return spread(min(max(waited / 2, base, timedelta(seconds=5)), most), random)
