"""`tracker track`: has operations watched that upstream has submitted itself."""

import click

from cli.connecting import connect
from cli.errors import Refused
from cli.inputs import json_object
from cli.options import Context, Place, common, named_of, place
from shared.model import Json


@click.command()
@click.argument("operation_ids", metavar="[ID]...", nargs=-1)
@click.option("--from-file", metavar="FILE", help="File with an ID on each line; - for standard input.")
@place
@click.option("--format", "blob_format", metavar="FORMAT", help="Of the blobs: what trying them again needs to know.")
@click.option("--properties", metavar="JSON", help="All properties of the submission, in the place of --format.")
@click.option("--correlation-id", metavar="TEXT", help="Written down with the operations.")
@common
def track(
    context: Context,
    *,
    operation_ids: tuple[str, ...],
    from_file: str | None,
    place: Place,
    blob_format: str | None,
    properties: str | None,
    correlation_id: str | None,
) -> None:
    """Have operations watched that were submitted elsewhere.

    Posts a message for each ID. Without --format or --properties a blob that fails for a moment is not submitted again,
    unless a message that the tracker had before said how.
    """
    named = named_of(operation_ids, from_file, place)
    if not named:
        raise click.UsageError("no ID is given")
    if blob_format and properties:
        raise click.UsageError("--format and --properties: one of them")
    shared = _without_none(
        cluster=place.cluster,
        database=place.database,
        table=place.table,
        properties={"format": blob_format} if blob_format else properties and json_object(properties, "--properties"),
        correlationId=correlation_id,
    )
    source = connect(context.way)
    messages = [{"operationId": each.operation_id, **shared} for each in named]
    for message in messages:
        # All of them before the first is posted.
        source.check(message)
    posted = []
    for message in messages:
        try:
            posted.append(source.track(message))
        except Refused as error:
            done = f" ({len(posted)} of {len(messages)} are posted)" if posted else ""
            raise Refused(f"{message['operationId']}: {error}{done}") from None
        if not context.output.is_json:
            context.output.line(posted[-1].operation_id)
    if context.output.is_json:
        context.output.document({"operations": posted})


def _without_none(**fields: Json) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value}
