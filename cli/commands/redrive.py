"""`tracker redrive` and `tracker redrive-messages`: a person has taken up again what the app has given up."""

import getpass
import sys

import click

from cli.connecting import connect
from cli.errors import Refused
from cli.facts import BlobFacts, Named, OperationInFull
from cli.following import failed_blobs
from cli.inputs import json_object, lines_of
from cli.options import Context, Place, common, place
from cli.output import Output
from shared.model import GIVEN_UP_AS, Json, bare_url


def _login() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return ""


_AS = click.option("--as", "by", metavar="NAME", help="Who asks; it is written down. Default: your login's name.")
_YES = click.option("--yes", is_flag=True, help="Don't ask.")


@click.command()
@click.argument("operation_id", metavar="ID")
@place
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([str(each) for each in GIVEN_UP_AS], case_sensitive=False),
    metavar="KIND",
    help=f"Only blobs that failed so, or whose retry ended so: {', '.join(GIVEN_UP_AS)}. May be repeated.",
)
@click.option("--blob", "urls", multiple=True, metavar="URL", help="Only this one; may be repeated.")
@click.option(
    "--blobs-from",
    metavar="FILE",
    help="File with such URLs, with the SAS that ADX is to read them by; - for standard input.",
)
@click.option(
    "--format", "blob_format", metavar="FORMAT", help="Of the blobs, where the operation's message had no properties."
)
@click.option("--properties", metavar="JSON", help="To submit with, in the place of the message's own.")
@_AS
@_YES
@common
def redrive(  # noqa: PLR0913, each is an option
    context: Context,
    *,
    operation_id: str,
    place: Place,
    only: tuple[str, ...],
    urls: tuple[str, ...],
    blobs_from: str | None,
    blob_format: str | None,
    properties: str | None,
    by: str | None,
    yes: bool,
) -> None:
    """Have an operation's blobs tried again that failed and are not tried again by themselves.

    Asks once. A URL with a SAS is seen by whoever lists the processes of this machine: keep it in a file.
    """
    if blob_format and properties:
        raise click.UsageError("--format and --properties: one of them")
    content: dict[str, Json] = {}
    if only:
        content["only"] = list(only)
    blobs = [*urls, *(lines_of(blobs_from) if blobs_from else ())]
    if blobs_from and not blobs:
        raise click.UsageError(f"{blobs_from} has no URL in it")
    if blobs:
        content["blobs"] = [{"url": url} for url in blobs]
    if blob_format or properties:
        content["properties"] = json_object(properties, "--properties") if properties else {"format": str(blob_format)}
    source = connect(context.way)
    operation = source.operation(Named(operation_id, place.cluster, place.database, place.table))
    context.output.say(f"at {source.place}")
    if not yes:
        given_up = [each for each in failed_blobs(source, operation.name) if each.is_given_up]
        _ask(context.output, _question(operation, given_up, only, blobs))
    done = source.redrive_blobs(operation.name, content, by or _login())
    if context.output.is_json:
        context.output.document(done)
        return
    context.output.line(f"{done.blobs} blob(s) of {operation_id} are on the retry queue (redrive {done.redrive_id})")
    if not done.blobs:
        context.output.say(
            "nothing was given up of what was asked for. A blob that was submitted again belongs to its new operation: "
            f"tracker status '{operation_id}' --blobs all"
        )
    if done.left:
        context.output.say(f"{done.left} more that the app has given up were left as they are")


@click.command("redrive-messages")
@click.argument("queue", metavar="QUEUE")
@click.option("--most", type=click.IntRange(min=1), metavar="N", help="Not more than so many.")
@_AS
@_YES
@common
def redrive_messages(context: Context, *, queue: str, most: int | None, by: str | None, yes: bool) -> None:
    """Have the messages of QUEUE-poison handled again: they go back to QUEUE as they are. Asks once."""
    source = connect(context.way)
    context.output.say(f"at {source.place}")
    if not yes:
        _ask(context.output, f"Put {f'{most} of ' if most else ''}the messages of {queue}-poison back on {queue}?")
    done = source.redrive_messages(queue, by or _login(), most)
    if context.output.is_json:
        context.output.document(done)
        return
    context.output.line(f"{done.messages} message(s) went from {queue}-poison to {queue} (redrive {done.redrive_id})")
    if done.left:
        context.output.say(f"{done.left} more are left there")


def _question(operation: OperationInFull, given_up: list[BlobFacts], only: tuple[str, ...], urls: list[str]) -> str:
    what = f"those of {len(urls)} named blob(s), first {bare_url(urls[0])}, among " if urls else ""
    kinds = f" that are {' or '.join(only)}" if only else ""
    return (
        f"Have {what}the {len(given_up)} given-up blob(s){kinds} of {operation.operation_id} "
        f"({operation.database}.{operation.table}) tried again?"
    )


def _ask(output: Output, question: str) -> None:
    """Ask a person.

    Raises:
        Refused: there is none, or they say no.
    """
    if not sys.stdin.isatty():
        raise Refused("nobody is there to be asked: --yes says that it is meant")
    output.say(question)
    if not click.confirm("Do it?", err=True):
        raise Refused("nothing was done")
