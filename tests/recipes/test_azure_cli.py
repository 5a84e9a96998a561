"""The commands of the Azure CLI in the recipes, by the Azure CLI itself."""

import re
import shlex
from pathlib import Path

import pytest

from tests.recipes import pages
from tests.recipes.test_posting import posted
from tests.recipes.tools import azure_cli, parsed_by_azure_cli
from tests.support.world import World

# In extensions of their own, which are not installed here.
_OF_EXTENSIONS = ("az kusto ", "az logic ", "az monitor app-insights ")


@pytest.mark.parametrize("by_file", [False, True])
def test_the_command_posts_an_operation(world: World, tmp_path: Path, by_file: bool) -> None:  # noqa: FBT001, of the test
    command = pages.filled(pages.snippet("post-azure-cli", "sh"), **{"OPERATION-ID": "op-1"})
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "az"
    words[words.index("ingestion-operations")] = world.names["OPERATIONS_QUEUE"]
    place = words.index("--account-name")
    words[place : place + 4] = ["--connection-string", world.azurite.connection_string]
    if by_file:
        (tmp_path / "message.json").write_text(words[-1])
        words[-1] = f"@{tmp_path / 'message.json'}"
    done = azure_cli(words, tmp_path)
    assert done.returncode == 0, done.stderr
    message = posted(world)
    assert (message.operation.operation_id, message.operation.table, message.properties) == (
        "op-1",
        "Orders",
        {"format": "csv"},
    )


def _commands() -> list[tuple[str, str]]:
    """Each command of the CLI in the recipes and on the page about the deployment, with the page it is on."""
    found = []
    for page in (*sorted(pages.FOLDER.glob("*.md")), pages.ROOT / "docs" / "deploy.md"):
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
            found += [(page.name, command) for command in _commands_in(block.replace("\\\n", " "))]
    return found


def _commands_in(block: str) -> list[str]:
    return [_to_the_end(block[start.start() :]) for start in re.finditer(r"(?<![\w./-])az (?=[a-z])", block)]


def _to_the_end(text: str) -> str:
    """A command up to where the shell ends it: a line's end, a pipe, a comment, or the bracket that it is in."""
    quote, depth = "", 0
    for at, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote and text[at - 1] != "\\" else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "(":
            depth += 1
        elif sign in "\n|#;&" or (sign == ")" and depth == 0):
            return text[:at].strip()
        depth -= sign == ")" and not quote
    return text.strip()


def test_commands_are_found_to_where_they_end() -> None:
    block = 'A=$(az a --b "c) d" --e \'f | g\')\naz h i  # az j\naz k | az l "$(x)"\nREST="$(az m n)"\n'
    assert _commands_in(block) == [
        "az a --b \"c) d\" --e 'f | g'",
        "az h i",
        "az j",
        "az k",
        'az l "$(x)"',
        "az m n",
    ]


def test_every_command_is_one_that_the_cli_has_with_the_options_that_it_is_given(tmp_path: Path) -> None:
    commands = [(page, line) for page, line in _commands() if not line.startswith(_OF_EXTENSIONS) and "…" not in line]
    assert len(commands) > 20
    said = parsed_by_azure_cli([line for _, line in commands], tmp_path)
    assert [(page, line, why) for (page, line), why in zip(commands, said, strict=True) if why] == []


def test_a_wrong_command_and_a_wrong_option_are_found(tmp_path: Path) -> None:
    commands = [
        "az storage message put --queue-name q --content c",
        "az storage message put --quue q",
        "az storage mesage",
    ]
    right, option, command = parsed_by_azure_cli(commands, tmp_path)
    assert (right, command) == (None, "there is no such command")
    assert option
