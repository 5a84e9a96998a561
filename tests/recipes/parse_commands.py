"""Has the Azure CLI parse command lines without running them. Runs in the environment of the tools.

Reads a list of command lines from standard input; writes what is to be said against each, null where it is right.
"""

import contextlib
import io
import json
import shlex
import sys

from azure.cli.core import get_default_cli  # type: ignore[import-untyped]


def _said(line: str) -> str | None:
    arguments = shlex.split(line)[1:]
    cli = get_default_cli()
    invocation = cli.invocation_cls(
        cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
    )
    cli.invocation = invocation
    loader = invocation.commands_loader
    loader.load_command_table(arguments)
    words = [word for word in arguments if not word.startswith("-")]
    names = [" ".join(words[:count]) for count in range(len(words), 0, -1)]
    command = next((name for name in names if name in loader.command_table), None)
    if command is None:
        return "there is no such command"
    invocation.data["command_string"] = loader.command_name = command
    loader.command_table = {command: loader.command_table[command]}
    loader.load_arguments(command)
    invocation.parser.cli_ctx = cli
    invocation.parser.load_command_table(loader)
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            invocation.parser.parse_args(arguments)
        except SystemExit:
            return errors.getvalue().strip() or "it is not understood"
    return None


if __name__ == "__main__":
    json.dump([_said(line) for line in json.load(sys.stdin)], sys.stdout)
