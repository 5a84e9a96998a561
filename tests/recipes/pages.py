"""The snippets of the pages in docs/recipes, as they stand there: what a test runs is what a reader copies."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docs" / "recipes"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(page: str) -> str:
    """A whole page."""
    return (FOLDER / f"{page}.md").read_text(encoding="utf-8")


def snippets(page: str, language: str) -> list[str]:
    """All snippets of a page that are in a language."""
    return [found[2] for found in _FENCE.finditer(text(page)) if found[1] == language]


def snippet(page: str, language: str, number: int = 0) -> str:
    """One of them, by its place on the page."""
    return snippets(page, language)[number]


def filled(snippet: str, **names: str) -> str:
    """A snippet with what a reader is to fill in filled in.

    Raises:
        ValueError: the snippet has nothing of that name.
    """
    for name, value in names.items():
        if name not in snippet:
            raise ValueError(f"the snippet has no {name}")
        snippet = snippet.replace(name, value)
    return snippet


def replaced(snippet: str, *changes: tuple[str, str]) -> str:
    """A snippet with what can't be had on this machine replaced; each change is part of what the page says of it.

    Raises:
        ValueError: the snippet has not got what is to be replaced.
    """
    for old, new in changes:
        if old not in snippet:
            raise ValueError(f"the snippet has no {old!r}")
        snippet = snippet.replace(old, new)
    return snippet
