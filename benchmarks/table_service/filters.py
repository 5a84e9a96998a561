"""``$filter``: which range of keys it names, and what of it has to be looked at row by row."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.table_service.refusal import Refused
from benchmarks.table_service.rows import Key, Properties, order

_COMPARISON = re.compile(
    r"\s*(?P<column>\w+)\s+(?P<kind>eq|ne|lt|le|gt|ge)\s+"
    r"(?:(?P<prefix>datetime|guid)?'(?P<text>(?:[^']|'')*)'|(?P<number>-?\d+(?:\.\d+)?)L?|(?P<truth>true|false))\s*"
)
_AND = re.compile(r"and\s")
_KINDS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
# No key has this character, so that nothing lies between a key and the key with it at its end.
_NEXT = b"\0\0"

type Range = tuple[bytes, bytes | None]
"""From the first, included, to the last, excluded; None is the end of all."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One column compared with a constant.

    Attributes:
        column: Its name.
        kind: ``eq``, ``ne``, ``lt``, ``le``, ``gt`` or ``ge``.
        value: The constant, in a form that sorts as the service sorts.
    """

    column: str
    kind: str
    value: Any

    def is_met(self, row: Properties) -> bool:
        """Whether the row has the column, of this type, and meets this; one that lacks it meets nothing."""
        value = _sortable(row.get(self.column), row.get(f"{self.column}@odata.type"))
        return type(value) is type(self.value) and _KINDS[self.kind](value, self.value)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter, taken apart.

    Attributes:
        first: The first key that may meet it.
        beyond: The first key after that which can't any more; None if all may.
        rest: What the keys' range does not say already.
    """

    first: Key
    beyond: Key | None
    rest: Sequence[Comparison]


def read_filter(text: str) -> Filter:
    """Take a filter apart.

    Comparisons of PartitionKey name a range, and those of RowKey another one inside it where PartitionKey is given
    with ``eq``: this is the index of the service.

    Raises:
        Refused: it is none, or of a form that the app does not use.
    """
    comparisons = _comparisons(text)
    is_partition = any(each.column == "PartitionKey" and each.kind == "eq" for each in comparisons)
    partitions = _range(comparisons, "PartitionKey")
    indexed = {"PartitionKey", "RowKey"} if is_partition else {"PartitionKey"}
    rest = [each for each in comparisons if each.column not in indexed or each.kind == "ne"]
    if not is_partition:
        return Filter((partitions[0], b""), None if partitions[1] is None else (partitions[1], b""), rest)
    partition, next_partition = partitions
    if next_partition is not None and next_partition <= partition:
        # The comparisons exclude each other.
        return Filter((partition, b""), (partition, b""), rest)
    first, beyond = _range(comparisons, "RowKey")
    last = (partition, beyond) if beyond is not None else (next_partition or partition + _NEXT, b"")
    return Filter((partition, first), last, rest)


def _range(comparisons: Sequence[Comparison], column: str) -> Range:
    first, beyond = b"", None
    for each in comparisons:
        if each.column != column:
            continue
        if each.kind in ("eq", "ge", "gt"):
            first = max(first, each.value + (_NEXT if each.kind == "gt" else b""))
        if each.kind in ("eq", "le", "lt"):
            end = each.value + (b"" if each.kind == "lt" else _NEXT)
            beyond = end if beyond is None else min(beyond, end)
    return first, beyond


def _comparisons(text: str) -> list[Comparison]:
    comparisons: list[Comparison] = []
    place = 0
    while place < len(text):
        found = _COMPARISON.match(text, place)
        if found is None:
            raise Refused(501, "NotImplemented", "The filter is not of a form that this service knows.")
        comparisons.append(Comparison(found["column"], found["kind"], _constant(found)))
        place = found.end()
        if place < len(text):
            joined = _AND.match(text, place)
            if joined is None:
                raise Refused(501, "NotImplemented", "The filter is not of a form that this service knows.")
            place = joined.end()
    return comparisons


def _constant(found: re.Match[str]) -> object:
    if found["truth"]:
        return found["truth"] == "true"
    if found["number"]:
        return float(found["number"])
    text = found["text"].replace("''", "'")
    return datetime.fromisoformat(text) if found["prefix"] == "datetime" else order(text)


def _sortable(value: Any, told: str | None) -> object:  # noqa: ANN401, what JSON has
    if isinstance(value, bool) or value is None:
        return value
    if told == "Edm.DateTime":
        return datetime.fromisoformat(value)
    if told == "Edm.Int64" or isinstance(value, int | float):
        return float(value)
    return order(value)
