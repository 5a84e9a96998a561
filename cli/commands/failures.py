"""`tracker failures`: what failed, by error code, and what to do about it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec

from cli.connecting import connect
from cli.facts import BlobFacts, OperationFacts, Wanted
from cli.failing import Failure, by_code
from cli.following import failed_blobs
from cli.options import Context, Place, common, filters, named_of
from cli.output import Output
from cli.source import Source, each_operation
from cli.tables import failure_blocks, text
from shared.explanations import explain
from shared.model import OperationState

_FAILED = (OperationState.FAILED, OperationState.PARTIALLY_SUCCEEDED)
_LOST = (OperationState.NOT_FOUND, OperationState.TIMED_OUT)
_SINCE = timedelta(hours=24)


@click.command()
@click.argument("operation_ids", metavar="[ID]...", nargs=-1)
@filters
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    metavar="N",
    default=1000,
    show_default=True,
    help="Look at so many operations.",
)
@common
def failures(context: Context, *, operation_ids: tuple[str, ...], wanted: Wanted, limit: int) -> None:
    """Show which blobs failed, by error code, with what that means and what to do.

    Blobs that are tried again, or were, are left out: those are the business of the operation that they were submitted
    again as. Without IDs and --since it is about the last 24 hours.
    """
    source = connect(context.way)
    if operation_ids:
        place = Place(wanted.cluster, wanted.database, wanted.table)
        operations: list[OperationFacts] = [source.operation(each) for each in named_of(operation_ids, None, place)]
    else:
        states = wanted.states or tuple(map(str, (*_FAILED, *_LOST)))
        since = wanted.since or datetime.now(UTC) - _SINCE
        wanted = msgspec.structs.replace(wanted, states=states, since=since)
        operations = list(each_operation(source, wanted, limit + 1))
    is_complete = len(operations) <= limit
    operations = operations[:limit]
    found = by_code(_given_up(source, operations))
    lost = [each for each in operations if each.state in _LOST]
    if context.output.is_json:
        context.output.document(
            {
                "failures": [_as_json(each) for each in found],
                "lostOperations": lost,
                "operations": len(operations),
                "isComplete": is_complete,
            }
        )
        return
    _show(context.output, found, lost)
    if not is_complete:
        context.output.say(f"only the newest {limit} operations were looked at: --limit")


def _given_up(source: Source, operations: Sequence[OperationFacts]) -> Iterator[tuple[OperationFacts, BlobFacts]]:
    return (
        (operation, blob)
        for operation in operations
        if operation.blobs.failed
        for blob in failed_blobs(source, operation.name)
        if blob.is_given_up
    )


def _as_json(failure: Failure) -> dict[str, Any]:
    explanation = explain(failure.error_code) if failure.error_code else None
    return {
        "errorCode": failure.error_code,
        "category": explanation and explanation.category,
        "failureStatuses": sorted(failure.failure_statuses),
        "summary": explanation and explanation.summary,
        "advice": explanation and explanation.advice,
        "blobs": failure.blobs,
        "tables": failure.tables,
        "operationIds": [each.operation_id for each in failure.operations],
        "examples": [
            {"operationId": operation.operation_id, "url": blob.url, "details": blob.details}
            for operation, blob in failure.examples
        ],
    }


def _show(output: Output, found: Sequence[Failure], lost: Sequence[OperationFacts]) -> None:
    if not found and not lost:
        output.say("nothing failed", "green")
    output.show(*failure_blocks(found))
    for operation in lost:
        output.show(text(f"{operation.operation_id} of {operation.database}.{operation.table} ended {operation.state}"))
    if lost:
        output.say("of these ADX gave no last word: look whether their data is there, and submit it anew if it is not")
