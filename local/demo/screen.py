"""Shows what is known while it changes: one steady panel in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.demo.facts import Outcome, count_outcomes, count_states
from local.watch.facts import Facts
from shared.model import OperationState

LINE_SECONDS = 3.0
BAR_CELLS = 46
PANEL_WIDTH = 80
PLAIN_WIDTH = 110
BLOCK = "━"
STATE_STYLES = {
    OperationState.SUCCEEDED: "green",
    OperationState.PARTIALLY_SUCCEEDED: "yellow",
    OperationState.FAILED: "red",
    OperationState.IN_PROGRESS: "blue",
}
OUTCOME_STYLES = {
    Outcome.LOADED: "green",
    Outcome.RETRIED: "bright_green",
    Outcome.PERSON: "red",
    Outcome.WAITING: "yellow",
    Outcome.WITH_ADX: "blue",
    Outcome.UPSTREAM: "bright_black",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """What is shown at one moment.

    Attributes:
        phase: What the demo is doing.
        files: How many files there are in all.
        facts: What is known.
        seconds: Since the start.
    """

    phase: str
    files: int
    facts: Facts
    seconds: float


type Show = Callable[[Moment], None]


def make_console() -> Console:
    """Returns the console on standard output; wide enough for whole lines where it is no terminal."""
    console = Console(highlight=False)
    return console if is_live(console) else Console(highlight=False, width=PLAIN_WIDTH)


def is_live(console: Console) -> bool:
    """Returns whether a console can show something that changes.

    Args:
        console: The console.
    """
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def open_screen(console: Console) -> Iterator[Show]:
    """Yields what shows a moment.

    Args:
        console: Where to.
    """
    if is_live(console):
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield lambda moment: live.update(panel(moment), refresh=True)
    else:
        yield _Lines(console).show


class _Lines:
    """A line now and then, and whenever the phase is another."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._next = 0.0
        self._phase = ""

    def show(self, moment: Moment) -> None:
        now = self._clock()
        if now >= self._next or moment.phase != self._phase:
            self._next, self._phase = now + LINE_SECONDS, moment.phase
            self._console.print(line(moment), soft_wrap=True, markup=False)


def line(moment: Moment) -> str:
    """Returns a moment as one line of text.

    Args:
        moment: What to say.
    """
    facts = moment.facts
    states = ", ".join(f"{number} {state}" for state, number in sorted(count_states(facts).items()))
    outcomes = count_outcomes(facts, moment.files)
    blobs = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in Outcome if outcomes[outcome])
    return (
        f"[{moment.seconds:3.0f} s] {moment.phase} | operations: {states or 'none yet'} | blobs: {blobs} | "
        f"retries waiting: {facts.retries_waiting} | polls: {facts.requests.count('status', details=False)}"
    )


def panel(moment: Moment) -> RenderableType:
    """Returns a moment as a panel that always has the same height.

    Args:
        moment: What to show.
    """
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(no_wrap=True)
    _add_operations(grid, moment)
    grid.add_row()
    _add_blobs(grid, moment)
    grid.add_row()
    requests = moment.facts.requests
    grid.add_row("Retries", f"{moment.facts.retries_waiting} messages waiting")
    polls, details = requests.count("status", details=False), requests.count("status", details=True)
    grid.add_row("Polls", f"{polls} made, and {details} requests for details")
    return Panel(
        grid,
        title=f"[bold]{moment.phase}[/bold]",
        title_align="left",
        subtitle=f"{moment.seconds:.0f} s   Ctrl-C stops everything",
        subtitle_align="right",
        padding=(0, 2),
        width=PANEL_WIDTH,
        border_style="bright_black",
    )


def _add_operations(grid: Table, moment: Moment) -> None:
    states = count_states(moment.facts)
    parts = [(style, states[state]) for state, style in STATE_STYLES.items()]
    grid.add_row("Operations", bar(parts, states.total()))
    for state, style in STATE_STYLES.items():
        grid.add_row("", _counted(states[state], state, style))
    others = sum(number for state, number in states.items() if state not in STATE_STYLES)
    if others:
        grid.add_row("", _counted(others, "in another state", "magenta"))


def _add_blobs(grid: Table, moment: Moment) -> None:
    counts = count_outcomes(moment.facts, moment.files)
    grid.add_row("Blobs", bar([(style, counts[outcome]) for outcome, style in OUTCOME_STYLES.items()], moment.files))
    for outcome, style in OUTCOME_STYLES.items():
        grid.add_row("", _counted(counts[outcome], outcome, style))
    if counts[Outcome.RECOVERED]:
        grid.add_row("", _counted(counts[Outcome.RECOVERED], Outcome.RECOVERED, "green"))


def bar(parts: list[tuple[str, int]], total: int, cells: int = BAR_CELLS) -> Text:
    """Returns a bar whose coloured parts are as long as their shares.

    Args:
        parts: The style and the number of each.
        total: What the whole bar stands for.
        cells: How long it is.
    """
    text, done, drawn = Text(), 0, 0
    for style, number in parts:
        done += number
        end = round(cells * done / total) if total else 0
        text.append(BLOCK * (end - drawn), style=style)
        drawn = end
    return text.append(BLOCK * (cells - drawn), style="bright_black")


def _counted(number: int, what: str, style: str) -> Text:
    text = Text(f"{number:5}", style=f"bold {style}" if number else "bright_black")
    return text.append(f"  {what}", style="" if number else "bright_black")
