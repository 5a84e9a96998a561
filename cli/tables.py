"""Operations and blobs as tables for people. Texts from outside are made printable first."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cli.facts import BlobCounts, BlobFacts, LineageEntry, OperationFacts, OperationInFull
from cli.failing import Failure
from cli.output import printable
from shared.endpoints import cluster_name
from shared.explanations import explain
from shared.model import BlobStatus, OperationState

_STYLES = {
    OperationState.SUCCEEDED: "green",
    OperationState.IN_PROGRESS: "cyan",
    OperationState.PARTIALLY_SUCCEEDED: "yellow",
}
_WHOLE = frozenset({"operation", "state", "age", "took", "registered"})
"""Columns that are not broken: an ID in two pieces can't be copied."""

_MOST_NAMED = 3
"""Operations of a failure that are named."""


def text(content: object, style: str = "") -> Text:
    """A cell; nothing for None."""
    return Text("" if content is None else printable(str(content)), style)


def state_text(state: str) -> Text:
    """A state in its colour."""
    return text(state, _STYLES.get(OperationState(state), "red") if state in set(OperationState) else "")


def time_text(time: datetime | None) -> str:
    """A time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}" if time else ""


def duration_text(duration: timedelta) -> str:
    """A duration in its two largest units."""
    seconds = max(int(duration.total_seconds()), 0)
    for size, unit, small, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            return f"{seconds // size}{unit} {seconds % size // small}{small_unit}"
    return f"{seconds}s"


def counts_text(blobs: BlobCounts) -> Text:
    """Counts that are not zero, in words."""
    named = (
        ("ok", blobs.succeeded),
        ("failed", blobs.failed),
        ("running", blobs.in_progress),
        ("canceled", blobs.canceled),
    )
    return text(", ".join(f"{count} {name}" for name, count in named if count) or "not counted yet")


def operations_table(operations: Iterable[OperationFacts], now: datetime) -> Table:
    """A row an operation."""
    table = _table("operation", "state", "table", "blobs", "age", "took", "first error")
    for each in operations:
        attempt = text(f" #{each.attempt}" if each.attempt > 1 else "")
        table.add_row(
            text(each.operation_id),
            state_text(each.state).append(attempt),
            text(f"{each.database}.{each.table}"),
            counts_text(each.blobs),
            duration_text(now - each.registered_at),
            duration_text((each.settled_at or now) - each.registered_at),
            text(each.first_error_code),
        )
    return table


def operation_table(operation: OperationInFull, now: datetime) -> Table:
    """The facts of one operation, a row each."""
    table = Table.grid(padding=(0, 2))
    facts: Sequence[tuple[str, object]] = (
        ("operation", operation.operation_id),
        ("state", state_text(operation.state)),
        ("blobs", counts_text(operation.blobs)),
        ("table", f"{operation.database}.{operation.table} at {cluster_name(operation.cluster)}"),
        ("attempt", operation.attempt),
        ("registered", time_text(operation.registered_at)),
        ("settled", time_text(operation.settled_at)),
        ("took", duration_text((operation.settled_at or now) - operation.registered_at)),
        ("polls", operation.polls),
        ("tried again", f"{operation.retried_blobs} blob(s)" if operation.retried_blobs else None),
        ("correlation", operation.correlation_id),
        ("last error", operation.last_error),
    )
    for name, value in facts:
        if value not in (None, ""):
            table.add_row(text(name, "bold"), value if isinstance(value, Text) else text(value))
    return table


def lineage_table(entries: Iterable[LineageEntry], shown: str) -> Table:
    """The operations of a root, by attempt; ``shown`` is the one that was asked for."""
    table = _table("attempt", "operation", "state", "blobs", "registered", title="Lineage")
    for each in entries:
        table.add_row(
            str(each.attempt),
            text(each.operation_id, "bold" if each.operation_id == shown else ""),
            state_text(each.state),
            counts_text(each.blobs),
            time_text(each.registered_at),
        )
    return table


def blobs_table(blobs: Iterable[BlobFacts], title: str) -> Table:
    """A row a blob."""
    table = _table("blob", "status", "error code", "retry", title=title)
    for each in blobs:
        table.add_row(
            text(each.url or each.source_id),
            text(each.failure_status or each.status),
            text(each.error_code),
            text(retry_text(each)),
        )
    return table


def meanings(blobs: Iterable[BlobFacts]) -> list[RenderableType]:
    """What each code means that these blobs failed with, and what to do."""
    codes = dict.fromkeys(each.error_code for each in blobs if each.has_failed and each.status == BlobStatus.FAILED)
    return [text(f"{code or 'no error code'}: {' '.join(meaning_of(code))}") for code in codes]


def failure_blocks(found: Iterable[Failure]) -> list[RenderableType]:
    """What failed: a block a code, with what it means, what to do, and some of the blobs."""
    blocks: list[RenderableType] = []
    for failure in found:
        kinds = ", ".join(sorted(failure.failure_statuses)) or "not classified"
        means, do = meaning_of(failure.error_code)
        lines = [f"means    {means}", f"do       {do}", f"in       {', '.join(failure.tables)}"]
        for operation, blob in failure.examples:
            lines += [f"blob     {blob.url or blob.source_id} of {operation.operation_id}"]
            lines += [f"details  {blob.details}"] if blob.details else []
        if failure.blobs > len(failure.examples):
            lines += [f"         and {failure.blobs - len(failure.examples)} more"]
        named = [each.operation_id for each in failure.operations[:_MOST_NAMED]]
        lines += [f"again    tracker redrive '{each}'" for each in named]
        if len(failure.operations) > len(named):
            lines += [f"         and so for {len(failure.operations) - len(named)} more operations"]
        blocks += [
            text(f"{failure.error_code or 'no error code'}: {failure.blobs} blob(s), {kinds}", "bold red"),
            Padding(text("\n".join(lines)), (0, 0, 1, 2), expand=False),
        ]
    return blocks


def meaning_of(code: str | None) -> tuple[str, str]:
    """What an error code means, and what to do."""
    explanation = explain(code) if code else None
    if explanation:
        return explanation.summary, explanation.advice
    return ("ADX gave a code that is not known here." if code else "ADX gave no error code."), "Read the details."


def retry_text(blob: BlobFacts) -> str:
    """What has become of a blob that failed."""
    parts = [blob.retry_state or "", f"as {blob.retry_operation_id}" if blob.retry_operation_id else ""]
    reason = f" ({blob.retry_reason})" if blob.retry_reason else ""
    return " ".join(filter(None, parts)) + reason


def _table(*columns: str, title: str = "") -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, header_style="bold", overflow="fold", no_wrap=column in _WHOLE)
    return table
