"""How it is shown: results on standard output, all else on standard error, colours for a terminal alone.

rich leaves colours out where the output is no terminal, or where ``NO_COLOR`` is set (https://no-color.org).
"""

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cli.facts import to_json
from shared.redaction import redact

_LEAST = 12
_WIDE = 1000
"""Columns where no person looks: what reads it takes a line for a line."""


class Output:
    """Where a command writes; ``is_json``: one document, or one a line, in the place of what is made for people."""

    def __init__(self, *, is_json: bool = False) -> None:
        self.is_json = is_json
        self.results = _console(stderr=False)
        self.messages = _console(stderr=True)

    def show(self, *parts: RenderableType) -> None:
        """Results for people, one below the other."""
        for part in parts:
            if self.results.is_terminal:
                width = self.results.width
                # Rather the terminal breaks a line than that an ID is cut off, which nobody could see.
                self.results.width = max(width, _least_width(part, self.results))
                self.results.print(part, soft_wrap=isinstance(part, Text))
                self.results.width = width
                continue
            with self.results.capture() as captured:
                self.results.print(part, soft_wrap=isinstance(part, Text))
            # A table is padded with blanks to its width.
            lines = [line.rstrip() for line in captured.get().splitlines()]
            self.results.file.write("\n".join(lines) + "\n")

    def document(self, content: object) -> None:
        """Results for programs, on a line."""
        self.results.file.write(to_json(content) + "\n")
        self.results.file.flush()

    def line(self, text: str) -> None:
        """A result that is a line: nothing is added to it."""
        self.results.file.write(printable(text) + "\n")
        self.results.file.flush()

    def say(self, text: str, style: str = "", *, verbatim: str = "") -> None:
        """How it goes on, or what is wrong; without what may be a secret, but for what is ``verbatim`` at its end."""
        self.messages.print(Text(printable(redact(text) + verbatim), style), soft_wrap=True)


def _least_width(part: RenderableType, console: Console) -> int:
    """Columns in which a table shows whole what is not to be broken, and a little of the rest."""
    if not isinstance(part, Table):
        return 0
    return sum(
        2
        + (max(console.measure(cell).maximum for cell in (column.header, *column.cells)) if column.no_wrap else _LEAST)
        for column in part.columns
    )


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def printable(text: str) -> str:
    """The text without what a terminal would obey: it may come from anybody whose blob failed."""
    return "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text)
