"""`tracker list`: operations, newest first."""

from datetime import UTC, datetime

import click
import msgspec

from cli.connecting import connect
from cli.facts import OperationFacts, OperationsPage, Wanted
from cli.options import Context, common, filters
from cli.source import MOST_OPERATIONS, Source
from cli.tables import operations_table

_MOST_PAGES = 200
"""Asked for in a row: a page may be empty and not the last one."""


@click.command("list")
@click.option("--id", "prefix", metavar="PREFIX", help="Whose ID begins so.")
@click.option("--error-code", metavar="CODE", help="Whose first blob that failed did so with this code.")
@filters
@click.option(
    "--limit", type=click.IntRange(1, 10_000), metavar="N", default=50, show_default=True, help="How many at the most."
)
@click.option("--after", metavar="TOKEN", help="Go on where an earlier answer ended: its continuationToken.")
@common
def list_operations(
    context: Context, *, wanted: Wanted, prefix: str | None, error_code: str | None, limit: int, after: str | None
) -> None:
    """List operations, newest first."""
    wanted = msgspec.structs.replace(wanted, operation_id=prefix, error_code=error_code)
    page = _page(connect(context.way), wanted, limit, after)
    if context.output.is_json:
        context.output.document(page)
        return
    if not page.operations:
        context.output.say("no operation is like that")
        return
    context.output.show(operations_table(page.operations, datetime.now(UTC)))
    if page.continuation_token:
        # It looks like a key.
        context.output.say("there are more: a larger --limit, or --after ", verbatim=page.continuation_token)


def _page(source: Source, wanted: Wanted, most: int, after: str | None) -> OperationsPage:
    found: list[OperationFacts] = []
    for _ in range(_MOST_PAGES):
        page = source.page(wanted, min(most - len(found), MOST_OPERATIONS), after)
        found += page.operations
        after = page.continuation_token
        if len(found) >= most or after is None:
            break
    return OperationsPage(operations=tuple(found), continuation_token=after)
