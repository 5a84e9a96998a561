"""`tracker watch`: how operations go on, live; for pipelines, how they end."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import click
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.connecting import connect
from cli.errors import ExitStatus, UnknownOperation, Unreachable
from cli.facts import Named, OperationFacts, Wanted, fields_of
from cli.failing import by_code
from cli.following import Follower
from cli.inputs import Duration
from cli.options import Context, Place, common, filters, named_of
from cli.output import Output
from cli.source import Source, each_operation
from cli.tables import counts_text, failure_blocks, operations_table
from cli.verdict import Standing
from shared.model import OperationState

_MOST_FAILURES = 5
"""Looks without an answer in a row."""
_MOST_NAMED = 5


@click.command()
@click.argument("operation_ids", metavar="[ID]...", nargs=-1)
@click.option("--from-file", metavar="FILE", help="File with an ID on each line; - for standard input.")
@filters
@click.option(
    "--until-settled", is_flag=True, help="End when all have ended, with all that they were submitted again as."
)
@click.option(
    "--timeout", type=Duration(), metavar="TIME", help="With --until-settled: give up after so long, with status 3."
)
@click.option("--interval", type=Duration(), default="5s", show_default=True, metavar="TIME", help="Between two looks.")
@click.option("--no-follow", is_flag=True, help="Leave out what they were submitted again as.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), metavar="N", default=20, show_default=True, help="Rows of the live table."
)
@common
def watch(  # noqa: PLR0913, each is an option
    context: Context,
    *,
    operation_ids: tuple[str, ...],
    from_file: str | None,
    wanted: Wanted,
    until_settled: bool,
    timeout: timedelta | None,
    interval: timedelta,
    no_follow: bool,
    limit: int,
) -> None:
    """Show how operations go on, live.

    With --until-settled it ends with them: with status 0 if all of their data is loaded, 1 if something failed, 3 if
    that could not be told in time. Without IDs it is about the operations that are outstanding when it begins.
    """
    if timeout and not until_settled:
        raise click.UsageError("--timeout goes with --until-settled")
    place = Place(wanted.cluster, wanted.database, wanted.table)
    named = named_of(operation_ids, from_file, place)
    if from_file and not named:
        raise click.UsageError(f"{from_file} has no ID in it")
    source = connect(context.way)
    if not until_settled:
        _show_live(context.output, lambda: _rows(source, named, wanted, limit), interval)
        return
    is_named = bool(operation_ids or from_file)
    if not is_named:
        outstanding = Wanted(
            states=wanted.states or (str(OperationState.IN_PROGRESS),),
            cluster=wanted.cluster,
            database=wanted.database,
            table=wanted.table,
            since=wanted.since,
            until=wanted.until,
        )
        named = [each.name for each in each_operation(source, outstanding)]
        if not named:
            context.output.say(
                "no operation is outstanding, so there is nothing to wait for; name those you mean", "yellow"
            )
    follower = Follower(source, named, follows=not no_follow)
    _wait(context.output, follower, interval, timeout)
    raise click.exceptions.Exit(_tell_end(context.output, follower))


def _rows(source: Source, named: Sequence[Named], wanted: Wanted, most: int) -> Sequence[OperationFacts]:
    if named:
        return [each for name in named for each in _if_known(source, name)]
    return list(islice(each_operation(source, wanted, most), most))


def _if_known(source: Source, name: Named) -> Sequence[OperationFacts]:
    """The operation; nothing while the tracker does not know it, as its message may be on its way."""
    try:
        return [source.operation(name)]
    except UnknownOperation:
        return []


def _show_live(output: Output, rows: Callable[[], Sequence[OperationFacts]], interval: timedelta) -> None:
    """Until Ctrl-C: a table on a terminal, else a line of JSON or text for each change."""
    if not output.is_json and output.results.is_terminal:
        with Live(console=output.results, auto_refresh=False, transient=False) as live:
            while True:
                live.update(operations_table(_patiently(output, rows), datetime.now(UTC)), refresh=True)
                time.sleep(interval.total_seconds())
    known: dict[Named, OperationFacts] = {}
    while True:
        for each in reversed(_patiently(output, rows)):
            if known.get(each.name) != each:
                _tell_operation(output, each)
                known[each.name] = each
        time.sleep(interval.total_seconds())


def _patiently[T](output: Output, look: Callable[[], T]) -> T:
    """What a look sees; one that gets no answer is repeated some times."""
    for tries in range(1, _MOST_FAILURES + 1):
        try:
            return look()
        except Unreachable as error:
            if tries == _MOST_FAILURES:
                raise
            output.say(f"{error}; trying again", "yellow")
            time.sleep(tries)
    raise Unreachable("no answer")


def _wait(output: Output, follower: Follower, interval: timedelta, timeout: timedelta | None) -> None:
    """Look until all have settled.

    Raises:
        Unreachable: they had not by the end of the time, or there was no answer again and again.
    """
    ends = time.monotonic() + timeout.total_seconds() if timeout else None
    with _progress(output) as progress:
        task = progress.add_task("blobs", total=None)
        while True:
            for name, standing in _patiently(output, follower.look):
                _tell_change(output, name, standing)
            standings = follower.standings.values()
            total, done = sum(each.blobs for each in standings), sum(each.finished for each in standings)
            settled = sum(each.has_settled for each in standings)
            progress.update(
                task, total=total or None, completed=done, description=f"{settled} of {len(standings)} operation(s)"
            )
            if follower.has_settled:
                return
            left = None if ends is None else ends - time.monotonic()
            if left is not None and left <= 0:
                raise Unreachable(_unsettled(follower))
            time.sleep(min(interval.total_seconds(), left) if left is not None else interval.total_seconds())


def _progress(output: Output) -> Progress:
    """On a terminal alone: elsewhere each change is a line."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("blobs"),
        TimeElapsedColumn(),
        console=output.messages,
        disable=not output.messages.is_terminal,
        transient=True,
    )


def _unsettled(follower: Follower) -> str:
    left = [name.operation_id for name, each in follower.standings.items() if not each.has_settled]
    unknown = [name.operation_id for name, each in follower.standings.items() if each.operation is None]
    names = ", ".join(left[:_MOST_NAMED]) + (" …" if len(left) > _MOST_NAMED else "")
    return f"{len(left)} operation(s) had not settled in time: {names}" + (
        f"; {len(unknown)} of them the tracker does not know" if unknown else ""
    )


def _tell_operation(output: Output, operation: OperationFacts) -> None:
    if output.is_json:
        output.document({"event": "operation", "operation": operation})
    else:
        output.line(f"{operation.operation_id} {operation.state}: {counts_text(operation.blobs)}")


def _tell_change(output: Output, name: Named, standing: Standing) -> None:
    if standing.operation is None:
        return
    if output.is_json:
        output.document(
            {
                "event": "operation",
                "operation": standing.operation,
                "hasSettled": standing.has_settled,
                "unfinishedBlobs": standing.unfinished,
            }
        )
    elif not output.messages.is_terminal or standing.has_settled:
        to_go = f", {standing.unfinished} blob(s) to go" if standing.unfinished else ""
        tail = ", settled" if standing.has_settled else to_go
        output.say(f"{name.operation_id} {standing.operation.state}: {counts_text(standing.operation.blobs)}{tail}")


def _tell_end(output: Output, follower: Follower) -> ExitStatus:
    standings = follower.standings.values()
    given_up = [pair for standing in standings for pair in standing.given_up]
    lost = [each for standing in standings for each in standing.lost]
    succeeded = sum(each.has_succeeded for each in standings)
    status = ExitStatus.DONE if succeeded == len(standings) else ExitStatus.FAILED
    if output.is_json:
        output.document(
            {
                "event": "end",
                "succeeded": succeeded,
                "failed": len(standings) - succeeded,
                "failedBlobs": [
                    {"operationId": operation.operation_id, **fields_of(blob)} for operation, blob in given_up
                ],
                "lostOperations": lost,
            }
        )
        return status
    for operation in lost:
        output.say(
            f"{operation.operation_id} ended {operation.state}: {operation.last_error or 'no word on its blobs'}"
        )
    output.show(*failure_blocks(by_code(given_up)))
    output.say(
        f"{succeeded} of {len(standings)} operation(s) succeeded", "green" if status is ExitStatus.DONE else "red"
    )
    return status
