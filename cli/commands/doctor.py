"""`tracker doctor`: is everything there, and may I?"""

from typing import TYPE_CHECKING

import click
from rich.padding import Padding

from cli.errors import ExitStatus
from cli.options import Context, common
from cli.output import Output
from cli.tables import text

if TYPE_CHECKING:
    from cli.checks import Check

_STYLES = {"ok": "green", "doubt": "yellow", "failed": "red"}


@click.command()
@click.option("--database", metavar="NAME", help="Whose roles in ADX to look at; default: KUSTO_DATABASE.")
@click.option("--table", metavar="NAME", help="The same of the table; default: KUSTO_TABLE.")
@click.option("--container", metavar="URL", help="A container whose blobs are submitted: may it be listed?")
@common
def doctor(context: Context, *, database: str | None, table: str | None, container: str | None) -> None:
    """Check settings, identity and each role, and show the command that grants what is missing.

    By the API it shows what the app says of itself. With the app's settings it asks storage and ADX by your login, or
    by the app's identity where it runs there. Nothing is changed. With status 1 something is missing.
    """
    # Loaded late, as in cli.connecting.
    from cli.examination import examine  # noqa: PLC0415

    found = []
    for check in examine(context.way, database, table, container):
        found.append(check)
        if not context.output.is_json:
            _show(context.output, check)
    failed = sum(check.outcome == "failed" for check in found)
    if context.output.is_json:
        context.output.document({"isWell": not failed, "checks": [check.as_json() for check in found]})
    elif failed:
        context.output.say(f"{failed} of {len(found)} checks failed", "red")
    else:
        context.output.say("all is well", "green")
    raise click.exceptions.Exit(ExitStatus.FAILED if failed else ExitStatus.DONE)


def _show(output: Output, check: "Check") -> None:
    line = text(f"{check.outcome:7}", _STYLES[check.outcome])
    line.append(text(f"{check.name}{f': {check.detail}' if check.detail else ''}"))
    output.show(line)
    for command in check.commands:
        output.show(Padding(text(command, "bold"), (0, 0, 0, 8), expand=False))
