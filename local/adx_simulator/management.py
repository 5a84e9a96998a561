"""The one management command that it knows: the status of many operations, a row each.

`.show queued ingestion operations ("id", …)` is sent to `/v1/rest/mgmt` of the ingestion endpoint as
`{"db": …, "csl": …}`, and answered with one table in Kusto's first form of answers. See
https://learn.microsoft.com/kusto/management/data-ingestion/show-queued-ingestion-operations,
https://learn.microsoft.com/kusto/api/rest/request and https://learn.microsoft.com/kusto/api/rest/response. String
literals are read as `grammar/KqlTokens.g4` of https://github.com/microsoft/Kusto-Query-Language has them: what JSON
escapes is escaped alike.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from local.adx_simulator.answers import Refused
from local.adx_simulator.dialects import timestamp
from local.adx_simulator.faults import lot
from local.adx_simulator.operations import Blob, BlobStatus, Operation, counts_of
from local.adx_simulator.settings import Settings

_LITERAL = r'"(?:[^"\\\r\n]|\\.)*"'
_COMMAND = re.compile(
    rf"\s*\.show\s+queued\s+ingestion\s+operations\s*(?:(?P<one>{_LITERAL})"
    rf"|\(\s*(?P<many>{_LITERAL}(?:\s*,\s*{_LITERAL})*)\s*\))\s*",
)
_COLUMNS = (
    ("IngestionOperationId", "String", "string"),
    ("StartedOn", "DateTime", "datetime"),
    ("LastUpdatedOn", "DateTime", "datetime"),
    ("State", "String", "string"),
    ("Discovered", "Int64", "long"),
    ("Pending", "Int64", "long"),
    ("Canceled", "Int64", "long"),
    ("Ingested", "Int64", "long"),
    ("Failed", "Int64", "long"),
    ("SampleFailedReasons", "String", "string"),
    ("Database", "String", "string"),
    ("Table", "String", "string"),
)


def read_command(body: bytes) -> list[str]:
    """Reads which operations a management request asks for.

    Args:
        body: The bytes as they came.

    Returns:
        Their IDs.

    Raises:
        Refused: It is another command, or none.
    """
    try:
        data = json.loads(body)
        text = data["csl"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(400, "the body has to be a JSON object with csl", code="BadRequest_MalformedRequest") from error
    command = _COMMAND.fullmatch(text) if isinstance(text, str) else None
    if command is None:
        raise Refused(400, "Syntax error: this is no command that is known here", code="General_BadRequest")
    try:
        return [json.loads(literal) for literal in re.findall(_LITERAL, command["one"] or command["many"])]
    except ValueError as error:
        raise Refused(400, "Syntax error: a string literal can't be read", code="General_BadRequest") from error


def table_of(operations: Sequence[Operation], settings: Settings, now: datetime) -> dict[str, Any]:
    """Returns the answer about some operations; those that the settings hide have no row.

    Args:
        operations: Those of the operations asked for that are known and visible.
        settings: What is hidden.
        now: The time.
    """
    columns = [{"ColumnName": name, "DataType": kind, "ColumnType": scalar} for name, kind, scalar in _COLUMNS]
    shown = [each for each in operations if lot(f"bulk/{each.operation_id}") >= settings.bulk_hides]
    rows = [_row(operation, now) for operation in shown]
    return {"Tables": [{"TableName": "Table_0", "Columns": columns, "Rows": rows}]}


def _row(operation: Operation, now: datetime) -> list[str | int | None]:
    blobs = operation.counted(now)
    counts = counts_of(blobs)
    failures = sorted({blob.failure.details for blob in blobs if blob.failure})
    return [
        operation.operation_id,
        timestamp(operation.started_at),
        timestamp(max((blob.updated_at for blob in blobs), default=operation.started_at)),
        _state(operation, blobs),
        len(blobs),
        counts[BlobStatus.IN_PROGRESS],
        counts[BlobStatus.CANCELED],
        counts[BlobStatus.SUCCEEDED],
        counts[BlobStatus.FAILED],
        "; ".join(failures) or None,
        operation.database,
        operation.table,
    ]


def _state(operation: Operation, counted: Sequence[Blob]) -> str:
    counts = counts_of(counted)
    if counts[BlobStatus.IN_PROGRESS] or len(counted) < len(operation.blobs):
        return "InProgress"
    if counts[BlobStatus.CANCELED]:
        return "Canceled"
    return "Failed" if counts[BlobStatus.FAILED] else "Completed"
