"""The query's parameters: each is declared once, and both read and documented from that.

A parameter that an endpoint does not have, one that comes twice and one without a value are refused: a filter that is
misspelt must not be none.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from shared.api.problems import BadRequest
from shared.endpoints import parse_origin
from shared.errors import EndpointNotAllowed
from shared.fields import Object

KEY = "code"
"""A function key may come in the query; it is the host's parameter, whatever the function."""

LONGEST = 512
"""Characters of a text: as many as a name may have."""

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2500, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Parameter[T]:
    """A parameter of the query.

    Attributes:
        name: As it is spelled.
        description: What it does, for the document.
        schema: Of JSON Schema, what is taken.
        parse: Its value of the text; raises ValueError.
        default: Its value where it does not come.
        expected: What is taken, for whoever sent something else.
        example: For the document.
    """

    name: str
    description: str
    schema: Object
    parse: Callable[[str], T]
    default: T
    expected: str
    example: str | None = None


class Values:
    """The values of an endpoint's parameters."""

    def __init__(self, parameters: Sequence[Parameter[Any]], given: Mapping[str, str]) -> None:
        self._values = {
            each.name: _parsed(each, given[each.name]) if each.name in given else each.default for each in parameters
        }

    def __getitem__[T](self, parameter: Parameter[T]) -> T:
        value: T = self._values[parameter.name]
        return value


def read_query(query: str, parameters: Sequence[Parameter[Any]]) -> Values:
    """Read what stands behind a URL's question mark.

    Raises:
        BadRequest: it has a parameter that is none of these, twice, without a value or with a wrong one.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError:
        raise BadRequest("the query is not UTF-8, percent-encoded") from None
    given: dict[str, str] = {}
    known = [each.name for each in parameters]
    for name, value in pairs:
        if name.lower() == KEY:
            continue
        if name not in known:
            takes = f"this takes {', '.join(known)}" if known else "this takes none"
            raise BadRequest(f"there is no query parameter {_shown(name)}; {takes}")
        if name in given:
            raise BadRequest(f"the query parameter '{name}' comes twice")
        if not value:
            raise BadRequest(
                f"the query parameter '{name}' is empty: leave it out, or give {_expected(name, parameters)}"
            )
        given[name] = value
    return Values(parameters, given)


def text(name: str, description: str, *, example: str | None = None) -> Parameter[str | None]:
    """A text of 1 to 512 characters."""
    schema: Object = {"type": "string", "minLength": 1, "maxLength": LONGEST}
    return Parameter(name, description, schema, _short, None, f"1 to {LONGEST} characters", example)


def cluster(name: str, description: str) -> Parameter[str | None]:
    """A cluster's ingestion endpoint, in any of its spellings."""
    schema: Object = {"type": "string", "pattern": "^https?://", "maxLength": LONGEST}
    expected = "the cluster's ingestion endpoint, https://ingest-CLUSTER.REGION.kusto.windows.net"
    return Parameter(
        name, description, schema, _cluster, None, expected, "https://ingest-help.westeurope.kusto.windows.net"
    )


def choices(name: str, description: str, words: Sequence[str], *, example: str) -> Parameter[tuple[str, ...]]:
    """Some of these words, with commas between them; none where it does not come."""

    def parse(value: str) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(value.split(",")))
        if not set(chosen) <= set(words):
            raise ValueError(value)
        return chosen

    schema: Object = {"type": "array", "minItems": 1, "items": {"type": "string", "enum": [*words]}}
    return Parameter(name, description, schema, parse, (), f"some of {', '.join(words)}, with commas", example)


def members(kind: type[StrEnum], *, instead_of_empty: str = "") -> list[str]:
    """The words of an enumeration; its empty one by another name."""
    return [str(each) or instead_of_empty for each in kind]


def moment(name: str, description: str) -> Parameter[datetime | None]:
    """A time as RFC 3339 has it."""
    schema: Object = {"type": "string", "format": "date-time"}
    expected = "a time of RFC 3339, such as 2026-11-25T06:00:00Z (a plus sign in it as %2B)"
    return Parameter(name, description, schema, parse_moment, None, expected, "2026-11-25T06:00:00Z")


def whole(name: str, description: str, *, default: int, most: int) -> Parameter[int]:
    """A whole number from 1 to ``most``."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not 1 <= int(value) <= most:
            raise ValueError(value)
        return int(value)

    schema: Object = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Parameter(name, description, schema, parse, default, f"a whole number from 1 to {most}")


def parse_moment(value: str) -> datetime:
    """A time in UTC; one from before 1970 or after 2500 is as good as the beginning or the end of these years.

    Raises:
        ValueError: it is none of RFC 3339.
    """
    if not _MOMENT.fullmatch(value):
        raise ValueError(value)
    # A leap second is one that Python does not have.
    value = re.sub(r"^(.{17})60", r"\g<1>59", value.upper())
    try:
        time = datetime.fromisoformat(value).astimezone(UTC)
    except OverflowError:
        time = _EARLIEST if value.startswith("0") else _LATEST
    return min(max(time, _EARLIEST), _LATEST)


def _short(value: str) -> str:
    if len(value) > LONGEST:
        raise ValueError(value)
    return value


def _cluster(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError(value)
    try:
        return parse_origin(_short(value))
    except EndpointNotAllowed:
        # It is none of a cluster that anything is stored of.
        return value


def _parsed[T](parameter: Parameter[T], value: str) -> T:
    try:
        return parameter.parse(value)
    except ValueError:
        raise BadRequest(f"the query parameter '{parameter.name}' is to be {parameter.expected}") from None


def _expected(name: str, parameters: Sequence[Parameter[Any]]) -> str:
    return next(each.expected for each in parameters if each.name == name)


def _shown(name: str) -> str:
    """A name that nobody knows, unless it may be a value, or a secret, that stands in the wrong place."""
    return f"'{name}'" if re.fullmatch(r"\w{1,40}", name, re.ASCII) else "of this name"
