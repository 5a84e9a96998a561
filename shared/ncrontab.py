"""Whether a text is an NCRONTAB expression of six fields, as Azure's timer takes it, and how often that runs.

See https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions. Azure itself tells
of a wrong one only in the host's log, where the function is then missing.
"""

import re
from datetime import timedelta
from itertools import pairwise

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_RANGES: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_DAY_SECONDS = 24 * 3600
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([0-9]{1,4}))?", re.ASCII)


def is_ncrontab(expression: str) -> bool:
    """Whether ``expression`` is one: second, minute, hour, day, month, day of the week."""
    fields = expression.split()
    return len(fields) == len(_RANGES) and all(
        all(_is_item(item, *limits) for item in field.lower().split(","))
        for field, limits in zip(fields, _RANGES, strict=True)
    )


def longest_gap(expression: str) -> timedelta | None:
    """The longest time from one run to the next; None where there are days without one.

    Args:
        expression: Six fields, as ``is_ncrontab`` takes them.
    """
    fields = [
        {number for item in field.lower().split(",") for number in _numbers(item, *limits)}
        for field, limits in zip(expression.split(), _RANGES, strict=True)
    ]
    if any(len(field) <= most - least for field, (least, most, _) in zip(fields[3:], _RANGES[3:], strict=True)):
        return None
    seconds, minutes, hours = map(sorted, fields[:3])
    times = [3600 * hour + 60 * minute + second for hour in hours for minute in minutes for second in seconds]
    gaps = (later - earlier for earlier, later in pairwise([*times, times[0] + _DAY_SECONDS]))
    return timedelta(seconds=max(gaps))


def _numbers(item: str, least: int, most: int, names: tuple[str, ...]) -> range:
    """What an item stands for; a number with a step stands for all from it on."""
    found = _ITEM.fullmatch(item)
    if found is None:
        return range(0)
    first = _number(found[1], least, names) if found[1] else least
    last = _number(found[2], least, names) if found[2] else (first if found[1] and not found[3] else most)
    return range(first, last + 1, int(found[3] or 1))


def _is_item(item: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    found = _ITEM.fullmatch(item)
    if not found or (found[3] and int(found[3]) == 0):
        return False
    bounds = [_number(text, least, names) for text in found.group(1, 2) if text]
    return all(least <= bound <= most for bound in bounds) and bounds == sorted(bounds)


def _number(text: str, least: int, names: tuple[str, ...]) -> int:
    """The number that a bound stands for, -1 if none."""
    for place, name in enumerate(names):
        if text in {name, name[:3]}:
            return least + place
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) else -1
