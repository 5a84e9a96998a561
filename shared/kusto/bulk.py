"""The management command that shows many operations at once: how it is written, and how its answer is read.

It is documented for operations that ``.ingest-from-storage-queued`` began, and runs on the ingestion endpoint. The
page's table calls the blobs on their way ``Pending``, its examples ``InProgress``, and the names have spaces there. See
https://learn.microsoft.com/kusto/management/data-ingestion/show-queued-ingestion-operations; for the request
https://learn.microsoft.com/kusto/api/rest/request, and for the answer https://learn.microsoft.com/kusto/api/rest/response.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.kusto.answers import NoStatus
from shared.model import MOST_COUNT, BulkStatus, Counts

MOST_OPERATIONS = 200
"""Operations in one command: some kilobytes of IDs, and an answer within a call's limits of size and time."""

_ID = "ingestionoperationid"
_COUNTS = (("ingested",), ("failed",), ("pending", "inprogress"), ("canceled",))

type _Row = Mapping[str, object]


def write_command(operation_ids: Iterable[str]) -> str:
    """The command that shows these operations.

    KQL's string literals take the escapes that JSON writes, see ``grammar/KqlTokens.g4`` of
    https://github.com/microsoft/Kusto-Query-Language.
    """
    literals = ", ".join(json.dumps(operation_id, ensure_ascii=False) for operation_id in operation_ids)
    return f".show queued ingestion operations ({literals})"


def read_bulk(body: bytes) -> dict[str, BulkStatus]:
    """What the answer says of the operations that it shows, by their IDs.

    The columns are told by their names; what is missing or can't be is not known. Of an operation with two rows that
    differ nothing is known. The sample of reasons for failures is not looked at: it may hold anything.

    Raises:
        NoStatus: it is no such answer, or broke off: then an operation that is missing may not be missing at all.
    """
    shown: dict[str, BulkStatus] = {}
    for row in _rows(body):
        operation_id = row.get(_ID)
        if not isinstance(operation_id, str):
            continue
        status = _status(row)
        shown[operation_id] = status if shown.get(operation_id, status) == status else BulkStatus()
    return shown


def _rows(body: bytes) -> list[_Row]:
    """The rows of the table that has the operations, each by the names of its columns."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise NoStatus("the body is no JSON") from None
    if not isinstance(answer, dict) or answer.get("Exceptions"):
        raise NoStatus("the answer is no JSON object, or tells of an error")
    for table in _list(answer.get("Tables")):
        names = [_name(column) for column in _list(table.get("Columns"))] if isinstance(table, dict) else []
        if _ID in names:
            return [_named(names, row) for row in _list(table.get("Rows"))]
    raise NoStatus("no table of the answer has operations")


def _list(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise NoStatus("the answer is no sequence of tables")
    return value


def _name(column: object) -> str:
    name = column.get("ColumnName") if isinstance(column, dict) else None
    return name.replace(" ", "").lower() if isinstance(name, str) else ""


def _named(names: Sequence[str], row: object) -> _Row:
    if not isinstance(row, list):
        # Kusto puts an error that comes amid an answer in the place of a row, as an object.
        raise NoStatus("the answer broke off")
    return dict(zip(names, row, strict=False))


def _status(row: _Row) -> BulkStatus:
    state = row.get("state")
    counts = [next((_count(row[name]) for name in names if name in row), None) for names in _COUNTS]
    known = [count for count in counts if count is not None]
    return BulkStatus(
        is_in_progress=isinstance(state, str) and state.lower() == "inprogress",
        counts=Counts(*known) if len(known) == len(counts) else None,
    )


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MOST_COUNT else None
