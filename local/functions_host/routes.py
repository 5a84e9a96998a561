"""Finds the function that an HTTP request is for, as the routing of ASP.NET Core does under Azure's host.

A template's texts are matched whatever their case, and a slash at the end does not matter. Of several functions that
fit, the first by name is called. Refused at the start, where Azure would leave the function out: routes that are
reserved, malformed or taken by another function. Refused because they are not imitated: default values (`{name=1}`), a
segment of a parameter and more, and constraints other than `int`, `long`, `bool`, `guid` and `alpha`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

from local.functions_host.worker import AppRefused, Function

PARAMETER = re.compile(r"\{(?P<star>\*{0,2})(?P<name>\w+)(?P<constraints>(?::\w+)*)(?P<optional>\??)\}")
INTEGER = re.compile(r"[+-]?[0-9]+")
GUID = re.compile(r"([0-9a-f]{32}|(\{)?(\()?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?(2)\})(?(3)\)))", re.IGNORECASE)
# What belongs to the host itself.
RESERVED = ("admin", "runtime")


def _is_integer(text: str, bits: int) -> bool:
    limit = 2 ** (bits - 1)
    return INTEGER.fullmatch(text) is not None and -limit <= int(text) < limit


CONSTRAINTS: Mapping[str, Callable[[str], bool]] = {
    "int": lambda text: _is_integer(text, 32),
    "long": lambda text: _is_integer(text, 64),
    "bool": lambda text: text.casefold() in {"true", "false"},
    "guid": lambda text: GUID.fullmatch(text) is not None,
    "alpha": lambda text: text.isascii() and text.isalpha(),
}


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What stands between two slashes of a template: a text, or a parameter.

    Attributes:
        text: The text; empty for a parameter.
        name: The parameter's name; empty for a text.
        constraints: What the parameter's value must be.
        optional: Whether it may be missing.
        takes_rest: Whether the parameter takes all that follows, slashes too.
    """

    text: str = ""
    name: str = ""
    constraints: tuple[str, ...] = ()
    optional: bool = False
    takes_rest: bool = False

    def fits(self, value: str) -> bool:
        """Returns whether a part of a path may stand here.

        Args:
            value: The part, decoded.
        """
        if not self.name:
            return value.casefold() == self.text.casefold()
        return all(CONSTRAINTS[constraint](value) for constraint in self.constraints)


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a function is called.

    Attributes:
        function: The function.
        template: The template, with the prefix.
        methods: The methods; every one when it is empty.
        segments: The parts of the template.
    """

    function: Function
    template: str
    methods: frozenset[str]
    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, function: Function, prefix: str) -> Self:
        """Reads a function's trigger.

        Args:
            function: The function.
            prefix: The prefix of all routes; may be empty.

        Returns:
            Its route.

        Raises:
            AppRefused: Azure's host or this one does not take its template.
        """
        template = str(function.trigger.get("route") or function.name)
        if template.strip("/").casefold().startswith(RESERVED):
            raise AppRefused(f"the route {template!r} of {function.name} is reserved: {' and '.join(RESERVED)} are")
        if prefix:
            template = f"{prefix}/{template}"
        segments = tuple(_segment(text, template) for text in template.removesuffix("/").split("/"))
        if any(segment.optional for segment in segments[:-1]):
            raise AppRefused(f"the route {template!r} has an optional parameter before its last segment")
        methods = frozenset(str(method).upper() for method in function.trigger.get("methods") or ())
        return cls(function=function, template=template, methods=methods, segments=segments)

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Returns the values of the parameters, or None when the request is for another function.

        Args:
            method: The request's method.
            path: The request's path, decoded.
        """
        if self.methods and method.upper() not in self.methods:
            return None
        parts = path.split("/")[1:]
        takes_rest = self.segments[-1].takes_rest
        if not takes_rest and parts and not parts[-1]:
            parts.pop()
        if len(parts) > len(self.segments) and not takes_rest:
            return None
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            value = "/".join(parts[index:] if segment.takes_rest else parts[index : index + 1])
            if not value and segment.optional:
                continue
            if not value or not segment.fits(value):
                return None
            if segment.name:
                values[segment.name] = value
        return values


def in_order(routes: Iterable[Route]) -> list[Route]:
    """Returns routes in the order in which they are tried: by the names of their functions.

    Args:
        routes: The routes of an app.

    Raises:
        AppRefused: Two functions have the same route for a method.
    """
    ordered = sorted(routes, key=lambda route: route.function.name.upper())
    for index, route in enumerate(ordered):
        for other in ordered[:index]:
            same = route.template.strip("/").casefold() == other.template.strip("/").casefold()
            if same and (not route.methods or not other.methods or route.methods & other.methods):
                names = f"{other.function.name} and {route.function.name}"
                raise AppRefused(f"the functions {names} have the same route {route.template!r}")
    return ordered


def find(routes: Sequence[Route], method: str, raw_path: str) -> tuple[Function, dict[str, str]] | None:
    """Finds the function that a request is for.

    Args:
        routes: The routes in the order of trying.
        method: The request's method.
        raw_path: The path as it came.

    Returns:
        The function and the values of its route's parameters, or None.
    """
    path = decode(raw_path)
    for route in routes:
        values = route.match(method, path)
        if values is not None:
            return route.function, values
    return None


def decode(raw_path: str) -> str:
    """Decodes a path as ASP.NET Core's server does: all but `%2F`, so that no value gains a slash.

    What is no UTF-8 is left as it came.

    Args:
        raw_path: The path as it came.
    """

    def text(match: re.Match[str]) -> str:
        try:
            return unquote(match[0], errors="strict")
        except UnicodeDecodeError:
            return match[0]

    return re.sub(r"(?:%(?!2[Ff])[0-9A-Fa-f]{2})+", text, raw_path)


def _segment(text: str, template: str) -> Segment:
    if not text:
        raise AppRefused(f"the route {template!r} has an empty segment")
    if not set(text) & set("{}?*"):
        return Segment(text=text)
    match = PARAMETER.fullmatch(text)
    constraints = tuple(filter(None, match["constraints"].casefold().split(":"))) if match else ()
    if match is None or not set(constraints) <= set(CONSTRAINTS):
        raise AppRefused(f"{text!r} in the route {template!r} is not imitated here")
    takes_rest = bool(match["star"])
    return Segment(
        name=match["name"],
        constraints=constraints,
        optional=takes_rest or bool(match["optional"]),
        takes_rest=takes_rest,
    )
