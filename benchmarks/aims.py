"""What is aimed at, what was reached: a table in each section that has aims, and all of them on top of ``results.md``.

The summary is made of the sections' text, so that it is right also where only one of them was renewed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_HEAD = "| Aim | Found | Reached |\n| --- | --- | --- |"
_TABLE = re.compile(rf"^{re.escape(_HEAD)}\n((?:\|.*\n?)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Aim:
    """One aim.

    Attributes:
        text: What is aimed at, with its bound.
        found: The figure that was measured, with its unit.
        is_reached: Whether it is within the bound.
    """

    text: str
    found: str
    is_reached: bool


def table(aims: Iterable[Aim]) -> str:
    """Aims and what became of them, as Markdown."""
    rows = (f"| {each.text} | {each.found} | {'yes' if each.is_reached else '**no**'} |" for each in aims)
    return "\n".join((_HEAD, *rows))


def summary(sections: Mapping[str, str]) -> str:
    """The aims of all sections, each with a link to its section; "" if none has any."""
    rows = [
        f"| [{name}](#{name}) {row}"
        for name, text in sections.items()
        for found in _TABLE.finditer(text)
        for row in found[1].splitlines()
    ]
    return "\n".join(("| Section | Aim | Found | Reached |", "| --- | --- | --- | --- |", *rows)) if rows else ""
