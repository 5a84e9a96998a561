"""The manual has every command, and every option of each as its help has it; and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.errors import ExitStatus
from cli.options import Context, common
from cli.program import tracker

MANUAL = Path(__file__).parent.parent.parent / "docs" / "command-line.md"


@common
def _nothing(context: Context) -> None:
    """Has the options that all commands have, and no other."""


COMMON = {option.name: option for option in click.command()(_nothing).params}


def section(name: str) -> str:
    """The text below a heading, up to the next of its kind."""
    found = re.search(rf"^(#+) {re.escape(name)}\n(.*?)(?=^\1 |\Z)", MANUAL.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"the manual has no heading '{name}'"
    return found[2]


def rows(options: Iterator[click.Parameter]) -> list[str]:
    """The rows of a table of options."""
    context = click.Context(click.Command("x"))
    found = []
    for option in options:
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record:
            cells = [cell.replace("|", "\\|").replace("\n", " ") for cell in record]
            found.append(f"| `{cells[0]}` | {cells[1]} |")
    return found


def rows_of(text: str) -> list[str]:
    return re.findall(r"^\| `--.*$", text, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(tracker.commands))
def test_a_command_is_explained_with_each_of_its_options(name: str) -> None:
    own = (option for option in tracker.commands[name].params if option.name not in COMMON)
    assert rows_of(section(name)) == rows(own)


def test_no_command_is_explained_that_is_not_there() -> None:
    commands = re.findall(r"^### (.*)$", section("Commands"), re.MULTILINE)
    assert sorted(commands) == sorted(tracker.commands)


def test_the_options_of_all_commands_are_explained_once() -> None:
    assert rows_of(section("Where the tracker is")) == rows(iter(COMMON.values()))
    for name, command in tracker.commands.items():
        assert COMMON.keys() <= {option.name for option in command.params}, name


def test_each_exit_status_is_explained() -> None:
    assert re.findall(r"^\| (\d+) \|", section("Exit status"), re.MULTILINE) == [str(int(each)) for each in ExitStatus]
