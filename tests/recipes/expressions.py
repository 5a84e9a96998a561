"""The expressions of Data Factory and Logic Apps, as far as the recipes use them.

Of Microsoft's documentation: https://learn.microsoft.com/azure/logic-apps/workflow-definition-language-functions-reference
and https://learn.microsoft.com/azure/data-factory/control-flow-expression-language-functions. What is not known here
is an error, so that a recipe can't use it unseen.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

type Value = Any
type Functions = Mapping[str, Callable[..., Value]]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>\w+)|(?P<sign>\?\.|\?\[|[.,()\[\]]))"
)
_INTERPOLATED = re.compile(r"@\{")


class ExpressionError(Exception):
    """An expression that is not understood, or asks for what is not there."""


def resolved(template: Value, context: Functions) -> Value:
    """A JSON template with every expression in it evaluated.

    Args:
        template: A value of a definition. ``{"type": "Expression", "value": "@…"}`` is how Data Factory writes one.
        context: Functions that the surroundings give, such as ``activity`` or ``triggerBody``.
    """
    if isinstance(template, dict):
        if template.keys() == {"type", "value"} and template["type"] == "Expression":
            return resolved(template["value"], context)
        return {name: resolved(each, context) for name, each in template.items()}
    if isinstance(template, list):
        return [resolved(each, context) for each in template]
    return _resolved_text(template, context) if isinstance(template, str) else template


def _resolved_text(text: str, context: Functions) -> Value:
    if text.startswith("@@"):
        return text[1:]
    if text.startswith("@") and not text.startswith("@{"):
        return evaluated(text[1:], context)
    done, rest = "", text
    while found := _INTERPOLATED.search(rest):
        value, used = _Parser(rest[found.end() :], context).leading("}")
        done += rest[: found.start()] + _string(value)
        rest = rest[found.end() + used :]
    return done + rest


def evaluated(expression: str, context: Functions) -> Value:
    """The value of one expression, without its ``@``."""
    return _Parser(expression, context).whole()


class _Parser:
    """Reads an expression and evaluates it on the way."""

    def __init__(self, text: str, context: Functions) -> None:
        self._text = text
        self._at = 0
        self._functions = {**_FUNCTIONS, **context}

    def whole(self) -> Value:
        value = self._value()
        if self._text[self._at :].strip():
            raise ExpressionError(f"what is {self._text[self._at :]!r} in {self._text!r}?")
        return value

    def leading(self, end: str) -> tuple[Value, int]:
        value = self._value()
        rest = self._text[self._at :].lstrip()
        if not rest.startswith(end):
            raise ExpressionError(f"no {end} after the expression in {self._text!r}")
        return value, len(self._text) - len(rest) + len(end)

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._at)
        if not found or not found.lastgroup:
            raise ExpressionError(f"what is {self._text[self._at :]!r} in {self._text!r}?")
        self._at = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _peek(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        return found[found.lastgroup] if found and found.lastgroup == "sign" else ""

    def _value(self) -> Value:
        kind, token = self._next()
        match kind:
            case "text":
                value: Value = token[1:-1].replace("''", "'")
            case "number":
                value = float(token) if "." in token else int(token)
            case "name" if token in ("true", "false", "null"):
                value = {"true": True, "false": False, "null": None}[token]
            case "name":
                value = self._call(token)
            case _:
                raise ExpressionError(f"an unexpected {token} in {self._text!r}")
        return self._parts(value)

    def _call(self, name: str) -> Value:
        self._expect("(")
        arguments = []
        while self._peek() != ")":
            arguments.append(self._value())
            if self._peek() == ",":
                self._next()
        self._expect(")")
        function = next((each for known, each in self._functions.items() if known.lower() == name.lower()), None)
        if function is None:
            raise ExpressionError(f"the function {name} is not known here")
        return function(*arguments)

    def _parts(self, value: Value) -> Value:
        while (sign := self._peek()) in (".", "?.", "[", "?["):
            self._next()
            if sign.endswith("."):
                _, part = self._next()
            else:
                part = self._value()
                self._expect("]")
            value = _part(value, part, is_optional=sign.startswith("?"))
        return value

    def _expect(self, sign: str) -> None:
        if self._next()[1] != sign:
            raise ExpressionError(f"a {sign} is missing in {self._text!r}")


def _part(value: Value, part: str | int, *, is_optional: bool) -> Value:
    """A property or an element; one that is not there fails the run unless it is asked for with a question mark."""
    try:
        return value[part]
    except (KeyError, IndexError, TypeError) as error:
        if is_optional:
            return None
        raise ExpressionError(f"{part!r} is not there") from error


def _string(value: Value) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _equals(one: Value, other: Value) -> bool:
    return bool(one == other and isinstance(one, bool) == isinstance(other, bool))


def _utc_now(form: str = "") -> str:
    now = datetime.now(UTC)
    return (
        now.strftime("%a, %d %b %Y %H:%M:%S GMT") if form.upper() == "R" else now.strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    )


def _xml(content: Value) -> ET.Element:
    """A JSON object with one property as XML: an array becomes elements of one name, as Json.NET has it."""
    [(name, value)] = content.items()

    def element(name: str, value: Value) -> ET.Element:
        made = ET.Element(name)
        if isinstance(value, dict):
            for key, each in value.items():
                made.extend(element(key, item) for item in (each if isinstance(each, list) else [each]))
        elif value is not None:
            made.text = _string(value)
        return made

    return element(name, value)


def _xpath(document: ET.Element, path: str) -> Value:
    """The sum of some elements, which is all that is asked for."""
    found = re.fullmatch(r"sum\(/(\w+)/([\w/]+)\)", path)
    if not found or found[1] != document.tag:
        raise ExpressionError(f"the XPath {path} is not known here")
    return sum(float(each.text or "nan") for each in document.findall(found[2]))


_FUNCTIONS: Functions = {
    "add": lambda one, other: one + other,
    "and": lambda *values: all(values),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64ToString": lambda text: base64.b64decode(text).decode(),
    "coalesce": lambda *values: next((each for each in values if each is not None), None),
    "concat": lambda *texts: "".join(map(_string, texts)),
    "contains": lambda where, what: what in where,
    "createArray": lambda *items: list(items),
    "empty": lambda value: not value,
    "encodeUriComponent": lambda text: quote(text, safe="-_.!~*'()"),
    "equals": _equals,
    "first": lambda items: items[0] if items else None,
    "greater": lambda one, other: one > other,
    "if": lambda condition, one, other: one if condition else other,
    "json": json.loads,
    "length": len,
    "not": lambda value: not value,
    "or": lambda *values: any(values),
    "replace": lambda text, old, new: text.replace(old, new),
    "split": lambda text, sign: text.split(sign),
    "string": _string,
    "toUpper": lambda text: text.upper(),
    "utcNow": _utc_now,
    "xml": _xml,
    "xpath": _xpath,
}
