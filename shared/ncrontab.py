"""Whether a text is an NCRONTAB expression of six fields, as Azure's timer takes it.

See https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions. Azure itself tells
of a wrong one only in the host's log, where the function is then missing.
"""

import re

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
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([0-9]{1,4}))?", re.ASCII)


def is_ncrontab(expression: str) -> bool:
    """Whether ``expression`` is one: second, minute, hour, day, month, day of the week."""
    fields = expression.split()
    return len(fields) == len(_RANGES) and all(
        all(_is_item(item, *limits) for item in field.lower().split(","))
        for field, limits in zip(fields, _RANGES, strict=True)
    )


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
