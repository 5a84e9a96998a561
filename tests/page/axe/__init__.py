"""Looks for barriers in a page, by axe-core."""

from functools import cache
from pathlib import Path

from playwright.sync_api import Page

from local import npm_packages

HERE = Path(__file__).resolve().parent
PROGRAM = Path("node_modules/axe-core/axe.min.js")
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@cache
def script() -> str:
    """The program, which has to be in a page before it can look at it, and before the page's clock is stopped."""
    program = npm_packages.ensure_installed("axe", HERE, PROGRAM).read_text(encoding="utf-8")
    return f"((setTimeout, clearTimeout) => {{\n{program}\n}})(setTimeout.bind(window), clearTimeout.bind(window))"


def barriers(page: Page, *rules: str) -> list[str]:
    """What keeps somebody from using the page as it is now.

    Args:
        page: A page that the script was put into.
        rules: The names of axe-core's that are looked at; all where none is named.

    Returns:
        A line for each rule and element, by WCAG 2.2 AA and axe-core's best practices; empty where all is well.
    """
    found = page.evaluate(
        "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", list(rules or TAGS)
    )
    assert len(found["passes"]) > (0 if rules else 10), "axe-core looked at hardly anything"
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
