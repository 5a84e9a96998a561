"""Reads the Bicep files as far as the tests need it: what is declared, and what simple expressions come to."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from pycep import BicepParser

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "infra" / "bicep"
MAIN = FOLDER / "main.bicep"
FUNCTION_APP = FOLDER / "modules" / "function-app.bicep"

type Tree = dict[str, Any]


def files() -> list[Path]:
    return sorted(FOLDER.rglob("*.bicep"))


@cache
def parsed(file: Path) -> Tree:
    return dict(BicepParser().parse(text=file.read_text()))


def decorated(declaration: Tree, kind: str) -> Any:  # noqa: ANN401, whatever the decorator was given
    """What a decorator was given, or None."""
    return next((each.get("argument") for each in declaration["decorators"] if each["type"] == kind), None)


def body(declaration: Tree) -> Tree:
    """What is between the braces, within a loop and a condition too."""
    config: Tree = declaration["config"]
    while "config" in config:
        config = config["config"]
    return config


def dotted(expression: object) -> str:
    """``a.b.c`` as it is written; an index is left out."""
    match expression:
        case {"operator": {"type": "property_accessor", "operands": {"operand_1": left, "operand_2": right}}}:
            return f"{dotted(left)}.{dotted(right)}"
        case {"operator": {"type": "index_accessor", "operands": {"operand_1": left}}}:
            return dotted(left)
    return str(expression)


def evaluated(expression: object, known: Mapping[str, object]) -> object:
    """The value of an expression, of the few kinds that settings, names and the login are made of.

    The parser does not tell a name from a text that is spelled like one: what is known counts as a name.
    """
    match expression:
        case {"function": function}:
            return _called(function, known)
        case {"operator": {"type": "conditional", "operands": operands}}:
            chosen = "true_value" if evaluated(operands["condition"], known) else "false_value"
            return evaluated(operands[chosen], known)
        case {"operator": {"type": "property_accessor"}}:
            return known[dotted(expression)]
        case {"operator": _}:
            raise TypeError(f"this kind of expression is not evaluated here: {expression}")
        case dict() | list():
            return _each(expression, known)
    return _text(expression, known) if isinstance(expression, str) else expression


def _each(expressions: Tree | list[object], known: Mapping[str, object]) -> object:
    if isinstance(expressions, list):
        return [evaluated(each, known) for each in expressions]
    return {name: evaluated(each, known) for name, each in expressions.items()}


def _called(function: Tree, known: Mapping[str, object]) -> object:
    match function:
        case {"type": "string", "parameters": {"value_to_convert": inner}}:
            return str(evaluated(inner, known))
        case {"type": "empty", "parameters": {"item_to_test": inner}}:
            return not evaluated(inner, known)
        case {"type": "concat", "parameters": parts}:
            return [each for part in parts.values() for each in cast("list[object]", evaluated(part, known))]
    raise TypeError(f"this function is not evaluated here: {function}")


def _text(expression: str, known: Mapping[str, object]) -> object:
    if expression in known:
        return known[expression]
    return re.sub(r"\$\{(\w+)\}", lambda match: str(known[match[1]]), expression)


def defaults(file: Path) -> dict[str, object]:
    """The default of each parameter that has one."""
    parameters = parsed(file)["parameters"]
    return {name: each["default"] for name, each in parameters.items() if each["default"] is not None}


def code(file: Path) -> str:
    """The file without comments and descriptions."""
    without_comments = re.sub(r"^\s*//.*$", "", file.read_text(), flags=re.MULTILINE)
    return re.sub(r"^@description\(.*\)$", "", without_comments, flags=re.MULTILINE)
