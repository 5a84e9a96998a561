"""A stored row, and what it looks like in an answer.

The forms are those of https://learn.microsoft.com/rest/api/storageservices/payload-format-for-table-service-operations.
"""

import calendar
import json
import time
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any
from urllib.parse import quote

type Properties = dict[str, Any]
type Key = tuple[bytes, bytes]

_TYPE = "@odata.type"
_DOUBLE = "Edm.Double"
# The types that JSON does not tell by itself.
_TOLD = frozenset({"Edm.DateTime", "Edm.Int64", "Edm.Guid", "Edm.Binary"})
_TICKS = 10_000_000
"""Of 100 ns, in a second: the service's times have seven digits."""


class Metadata(Enum):
    """How much an answer says beside the values, by what ``Accept`` asks for."""

    NONE = "odata=nometadata"
    MINIMAL = "odata=minimalmetadata"
    FULL = "odata=fullmetadata"

    @classmethod
    def of(cls, accept: str) -> "Metadata":
        """What an ``Accept`` header asks for; minimal metadata without one."""
        return next((each for each in cls if each.value in accept), cls.MINIMAL)


class Row:
    """One row as it is stored; a change makes another one.

    Args:
        properties: The values, with ``name@odata.type`` where JSON does not tell the type.
        ticks: When it was written, in units of 100 ns since 1970; no two writes have the same.
    """

    __slots__ = ("_text", "properties", "ticks")

    def __init__(self, properties: Properties, ticks: int) -> None:
        self.properties = properties
        self.ticks = ticks
        self._text: str | None = None

    @property
    def etag(self) -> str:
        """The row's ETag, made of its time as the service makes it."""
        return f"W/\"datetime'{quote(timestamp(self.ticks), safe='')}'\""

    def minimal(self) -> str:
        """All of it as JSON with minimal metadata; kept, as most rows are read as they were written."""
        if self._text is None:
            head = {"odata.etag": self.etag, **self.properties, "Timestamp": timestamp(self.ticks)}
            self._text = json.dumps(head, separators=(",", ":"))
        return self._text

    def shown(self, table: str, select: Sequence[str], metadata: Metadata) -> Mapping[str, Any]:
        """The columns of ``select``, or all where it is empty.

        A column that the row lacks is left out, as Azurite does it; the service answers null.
        """
        shown = {**self.properties, "Timestamp": timestamp(self.ticks)}
        if select:
            wanted = {*select, *(name + _TYPE for name in select)}
            shown = {name: value for name, value in shown.items() if name in wanted}
        if metadata is Metadata.NONE:
            return {name: value for name, value in shown.items() if not name.endswith(_TYPE)}
        about = {"odata.etag": self.etag}
        if metadata is Metadata.FULL:
            link = f"{table}(PartitionKey='{self.properties['PartitionKey']}',RowKey='{self.properties['RowKey']}')"
            about |= {"odata.type": f"devstoreaccount1.{table}", "odata.id": link, "odata.editLink": link}
            shown |= {f"Timestamp{_TYPE}": "Edm.DateTime"} if "Timestamp" in shown else {}
        return about | shown


def as_json(row: Row, table: str, select: Sequence[str], metadata: Metadata) -> str:
    """A row as it stands in an answer."""
    if not select and metadata is Metadata.MINIMAL:
        return row.minimal()
    return json.dumps(row.shown(table, select, metadata), separators=(",", ":"))


def read_properties(body: Properties) -> Properties:
    """What a request's body sets: without nulls, which the service ignores, and with the types that must be told."""
    read: Properties = {}
    for name, value in body.items():
        if value is None or name.endswith(_TYPE) or name.startswith("odata.") or name == "Timestamp":
            continue
        told = body.get(name + _TYPE)
        if told in _TOLD or (told == _DOUBLE and isinstance(value, str)):
            read[name + _TYPE] = told
        read[name] = float(value) if told == _DOUBLE and isinstance(value, int) else value
    return read


def merged(old: Properties, new: Properties) -> Properties:
    """The old values with the new ones in their places; a type that is told goes with its value."""
    types = {name + _TYPE for name in new}
    return {name: value for name, value in old.items() if name not in types} | new


def order(text: str) -> bytes:
    """Sorts as the service sorts texts: by UTF-16 code units."""
    return text.encode("utf-16-be", "surrogatepass")


def now_ticks() -> int:
    """The time, as rows have it."""
    return time.time_ns() // 100


def ticks_of(text: str) -> int:
    """The time that ``timestamp`` wrote."""
    second, fraction = text.removesuffix("Z").split(".")
    return calendar.timegm(time.strptime(second, "%Y-%m-%dT%H:%M:%S")) * _TICKS + int(fraction)


def timestamp(ticks: int) -> str:
    """A row's time as the service writes it."""
    seconds, fraction = divmod(ticks, _TICKS)
    return f"{_second(seconds)}.{fraction:07}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
