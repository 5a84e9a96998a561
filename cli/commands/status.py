"""`tracker status`: all about one operation."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import click

from cli.connecting import connect
from cli.facts import BlobFacts, Named, OperationInFull
from cli.following import failed_blobs
from cli.options import Context, Place, common, place
from cli.source import Source
from cli.tables import blobs_table, lineage_table, meanings, operation_table


@click.command()
@click.argument("operation_id", metavar="ID")
@place
@click.option(
    "--blobs",
    "which",
    type=click.Choice(["failed", "all", "none"]),
    default="failed",
    show_default=True,
    help="Which blobs to show.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    metavar="N",
    default=50,
    show_default=True,
    help="So many blobs at the most.",
)
@common
def status(context: Context, *, operation_id: str, place: Place, which: str, limit: int) -> None:
    """Show one operation: its facts, its lineage, and its blobs with what their error codes mean."""
    source = connect(context.way)
    operation = source.operation(Named(operation_id, place.cluster, place.database, place.table))
    blobs = list(islice(_blobs(source, operation, which), limit + 1))
    if context.output.is_json:
        context.output.document({"operation": operation, "blobs": blobs[:limit], "hasMoreBlobs": len(blobs) > limit})
        return
    now = datetime.now(UTC)
    context.output.show(operation_table(operation, now))
    if len(operation.lineage.operations) > 1:
        context.output.show("", lineage_table(operation.lineage.operations, operation.operation_id))
    if operation.lineage.left_out:
        context.output.say(f"{operation.lineage.left_out} more operations of this root are not shown")
    if blobs:
        title = "Blobs that failed" if which == "failed" else "Blobs"
        context.output.show("", blobs_table(blobs[:limit], title), "", *meanings(blobs[:limit]))
    if len(blobs) > limit:
        context.output.say(f"there are more blobs than {limit}: --limit")


def _blobs(source: Source, operation: OperationInFull, which: str) -> Iterator[BlobFacts]:
    if which == "all":
        return source.blobs(operation.name)
    if which == "none" or not operation.blobs.failed:
        return iter(())
    return failed_blobs(source, operation.name)
