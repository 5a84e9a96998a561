"""Which operation a request is about: the ID in its path, and what tells operations of one ID apart."""

import re
from urllib.parse import quote, urlencode

from shared.api.endpoint import Asked
from shared.api.parameters import cluster, text
from shared.model import Operation
from shared.reading import Named

ID = text(
    "operationId",
    "The operation's ID, which then counts before the one in the path: for an ID with `/` or `%2F` in it, where what "
    "the path says could be either.",
)
CLUSTER = cluster("cluster", "The cluster's ingestion endpoint, where operations of several have this ID.")
DATABASE = text("database", "The database, where operations of several have this ID.", example="Samples")
TABLE = text("table", "The table, where operations of several have this ID.", example="Orders")

NAMING = (ID, CLUSTER, DATABASE, TABLE)
"""The parameters of all that is about one operation."""

IS_AMBIGUOUS = "Several operations have this ID; the detail names them."
IS_UNKNOWN = "There is no such operation."

_ESCAPED_SLASH = re.compile("%2F", re.IGNORECASE)


def named(asked: Asked) -> Named:
    """What the request calls its operation."""
    values = asked.values
    given = values[ID]
    ids = (given,) if given else spellings(asked.request.route["operationId"])
    return Named(ids, values[CLUSTER], values[DATABASE], values[TABLE])


def spellings(value: str) -> tuple[str, ...]:
    """The IDs that a route's value may mean: the host leaves an escaped slash, and it may be the ID's own text."""
    return tuple(dict.fromkeys((_ESCAPED_SLASH.sub("/", value), value)))


def location(operation: Operation) -> str:
    """Where an operation is found, whatever its ID."""
    query = {"cluster": operation.cluster, "database": operation.database, "table": operation.table}
    if "/" in operation.operation_id or _ESCAPED_SLASH.search(operation.operation_id):
        query = {"operationId": operation.operation_id} | query
    return f"/api/operations/{quote(operation.operation_id, safe='')}?{urlencode(query)}"
