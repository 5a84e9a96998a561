"""Which request is meant by a path.

The path is split before anything in it is decoded: an encoded slash belongs to its part.
"""

from dataclasses import dataclass
from urllib.parse import unquote

QUEUED = ("v1", "rest", "ingestion", "queued")
FIXED = {
    ("GET", "v1", "rest", "ingestion", "configuration"): "configuration",
    ("POST", "v1", "rest", "mgmt"): "bulk",
}
CONTROL = "simulator"


@dataclass(frozen=True, slots=True)
class Route:
    """What a path means.

    Attributes:
        kind: status, submit, configuration, bulk, control or other.
        database: The database, decoded.
        table: The table, decoded.
        operation_id: The operation ID, decoded.
        name: The control endpoint's name.
    """

    kind: str
    database: str = ""
    table: str = ""
    operation_id: str = ""
    name: str = ""


def route(method: str, raw_path: str) -> Route:
    """Returns what a request is for.

    Args:
        method: Its HTTP method.
        raw_path: Its path as it came, still encoded.
    """
    head, *parts = raw_path.partition("?")[0].split("/")
    parts = list(map(unquote, parts))
    if head:
        return Route("other")
    match method, parts:
        case _, [first, name] if first == CONTROL:
            return Route("control", name=name)
        case _ if (kind := FIXED.get((method, *parts))) is not None:
            return Route(kind)
        case "POST", [*prefix, database, table] if tuple(prefix) == QUEUED and database and table:
            return Route("submit", database, table)
        case "GET", [*prefix, database, table, operation_id] if tuple(prefix) == QUEUED and operation_id:
            return Route("status", database, table, operation_id)
    return Route("other")
