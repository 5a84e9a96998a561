"""Facts that many tests speak about, each to be varied by name."""

import dataclasses
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.ambient import Ambient
from shared.model import BlobReport, Operation
from shared.outcome import keyed, merge_keyed
from shared.records import BlobRow, Outstanding
from shared.settings import BlobAccess, Polling, Retrying, RetryMode

CLUSTER = "https://ingest-help.westeurope.kusto.windows.net"
OPERATION = Operation(CLUSTER, "Sales", "Orders", "ingest_op_12345")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
URL = "https://acc.blob.core.windows.net/in/a.csv"

POLLING = Polling(
    schedule="*/15 * * * * *",
    first_delay=timedelta(seconds=15),
    min_interval=timedelta(seconds=15),
    max_interval=timedelta(seconds=300),
    concurrency=4,
    inline_limit=500,
    tracking_timeout=timedelta(hours=48),
    not_found_grace=timedelta(minutes=15),
)

RETRYING = Retrying(
    mode=RetryMode.RESUBMIT,
    max_attempts=5,
    base_delay=timedelta(seconds=60),
    max_delay=timedelta(hours=1),
    blob_access=BlobAccess.AS_IS,
    deduplicate=False,
)


def surroundings(random: float = 0.5, now: datetime = NOW) -> Ambient:
    """A standing clock, one random number, and IDs that count up."""
    made = iter(range(1, 1_000_000))
    return Ambient(now=lambda: now, random=lambda: random, new_id=lambda: f"id-{next(made)}")


def outstanding(**changes: Any) -> Outstanding:  # noqa: ANN401, whatever the fields are
    """An operation that was registered a minute ago and never polled."""
    first = Outstanding(
        operation=OPERATION,
        registered_at=NOW - timedelta(minutes=1),
        partition="2026-11-24|help.westeurope|Sales|Orders",
        attempt=1,
        root_operation_id=OPERATION.operation_id,
        named_blobs=0,
        next_poll_at=NOW,
        interval=timedelta(seconds=15),
    )
    return dataclasses.replace(first, **changes)


def failed(kind: str | None = "Transient", **changes: Any) -> BlobReport:  # noqa: ANN401, whatever the fields are
    """A blob that failed, transiently unless ``kind`` says otherwise."""
    report = BlobReport(
        "Failed", source_id="s1", url=URL, error_code="General_ThrottledIngestion", failure_status=kind, details="busy"
    )
    return dataclasses.replace(report, **changes)


def blob(status: str, **changes: Any) -> BlobReport:  # noqa: ANN401, whatever the fields are
    """A blob in any other status."""
    return dataclasses.replace(BlobReport(status, source_id="s1", url=URL), **changes)


def merge(
    stored: Mapping[str, BlobRow], reports: Collection[BlobReport], *, attempt: int, most: int, is_fresh: bool = False
) -> list[BlobRow]:
    """The rows to write for the blobs of one detailed answer, each with its URL where it is known."""
    return merge_keyed(stored, keyed(stored, reports), attempt=attempt, most=most, is_fresh=is_fresh)
