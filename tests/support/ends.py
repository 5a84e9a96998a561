"""Ends of operations that tests tell of, and blobs that failed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from shared.model import BlobReport, Counts, Operation, OperationState
from shared.records import BlobRow, Ended, Summary

NOW = datetime(2026, 11, 24, 12, 0, 0, 123_457, tzinfo=UTC)
CLUSTER = "https://ingest-test.westeurope.kusto.windows.net"


def an_end(
    state: OperationState = OperationState.FAILED,
    counts: Counts | None = None,
    operation_id: str = "op",
    **more: object,
) -> Ended:
    summary = Summary(state, counts or Counts(failed=1), None, None, polls=1)
    ended = Ended(Operation(CLUSTER, "db", "events", operation_id), NOW, NOW, 1, operation_id, None, None, summary)
    return replace(ended, **more)  # type: ignore[arg-type]  # a test's own choice


def rows(count: int, details: str = "", url: str = "https://account.blob.core.windows.net/c") -> Iterator[BlobRow]:
    for place in range(count):
        yield BlobRow(f"{place:032x}", BlobReport("Failed", f"s{place}", f"{url}/{place}", details=details), 1)
