"""Which due rows of a shard are handed out, and until when they are left to whoever has them: pure functions.

Each dispatch has a lease of its own. A batch is begun, and goes on, only while its lease is far from its end, and
its rows are handed out again only after it: so no two instances poll the same rows at once, however long a batch waits.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

LEASE = timedelta(minutes=5)
"""How long what was handed out is left to the poll queue. Then it is handed out again: a batch may be lost."""

LAST_CALLS = timedelta(seconds=30)
"""The end of the lease, in which no poll is begun: a call of ADX is over by then, and what came of it is written."""

MOST_RANGES = 64
"""In a note, which is one column of text. More of them are joined."""


@dataclass(frozen=True, slots=True)
class Range:
    """Due rows of a shard, ``first`` to ``last``, both included, that were handed out at ``since``."""

    first: str
    last: str
    since: datetime


@dataclass(frozen=True, slots=True)
class HandedOut:
    """The ranges of a shard whose lease runs: sorted, and none of them overlaps another."""

    ranges: tuple[Range, ...] = ()

    def holds(self, row: str) -> bool:
        """Whether a due row is handed out."""
        place = self.place(row)
        return place > 0 and row <= self.ranges[place - 1].last

    def place(self, row: str) -> int:
        """How many ranges begin at or before a row: rows with one place have no range between them."""
        return bisect_right(self.ranges, row, key=lambda each: each.first)

    def and_also(self, ranges: Iterable[Range]) -> "HandedOut":
        """These ranges and further ones, with neighbours of about the same age joined if they are too many.

        What lies between two that are joined then waits for the end of their lease.
        """
        joined = sorted((*self.ranges, *ranges), key=lambda each: each.first)
        while len(joined) > MOST_RANGES:
            ages = [abs(right.since - left.since) for left, right in pairwise(joined)]
            place = ages.index(min(ages))
            left, right = joined[place : place + 2]
            joined[place : place + 2] = [Range(left.first, right.last, max(left.since, right.since))]
        return HandedOut(tuple(joined))


def poll_time_left(since: datetime, now: datetime, lease: timedelta = LEASE) -> timedelta:
    """For how long polls of a batch may still be begun that was handed out at ``since``; not positive if it is late."""
    return since + lease - min(LAST_CALLS, lease / 10) - now


def read_handed_out(text: str, now: datetime, lease: timedelta = LEASE) -> HandedOut:
    """The ranges that a note has, without those whose lease is over."""
    ranges = (Range(first, last, datetime.fromisoformat(since)) for first, last, since in json.loads(text))
    return HandedOut(tuple(each for each in ranges if now - each.since < lease))


def write_handed_out(handed_out: HandedOut) -> str:
    """The text of a note, as ``read_handed_out`` takes it."""
    rows: Sequence[Sequence[str]] = [(each.first, each.last, each.since.isoformat()) for each in handed_out.ranges]
    return json.dumps(rows, separators=(",", ":"))
