r"""Names of rows and partitions, and their way back.

Table Storage forbids ``/ \ # ?`` and control characters in a key, and a key has at most 1 KiB, that is 512 characters
of UTF-16 (https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model). ``%`` is
allowed and has caused failing queries on the real service, so it is escaped too.
"""

import re
from datetime import UTC, datetime

from shared.model import Operation, short_digest

LONGEST_KEY = 512
"""In UTF-16 code units."""

DIGEST_LENGTH = 33
"""Of the digest that stands for the rest of a name that is too long, with what parts it."""

_ESCAPED = re.compile(r"[/\\#?%=|\x00-\x1f\x7f-\x9f]")
_ESCAPES = re.compile(r"(?:=[0-9A-F]{2})+")
_DUE_FORMAT = "%Y%m%dT%H%M%S.%fZ"


def escape(text: str) -> str:
    """``text`` with each character that a key can't hold as ``=`` and the hex digits of its UTF-8 bytes."""
    return _ESCAPED.sub(lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), text)


def unescape(key: str) -> str:
    """What ``escape`` was given."""
    return _ESCAPES.sub(lambda found: bytes.fromhex(found[0].replace("=", "")).decode(), key)


def fitted(name: str, most: int) -> str:
    """``name`` escaped, in at most ``most`` UTF-16 code units: of a longer one its beginning and a digest."""
    escaped = escape(name)
    if utf16_length(escaped) <= most:
        return escaped
    return f"{beginning(escaped, most - DIGEST_LENGTH)}~{short_digest(name)}"


def beginning(text: str, most: int) -> str:
    """The beginning of a text, in at most ``most`` UTF-16 code units."""
    return text.encode("utf-16-le")[: 2 * most].decode("utf-16-le", errors="ignore")


def utf16_length(text: str) -> int:
    """How Table Storage counts characters."""
    return len(text) if text.isascii() else len(text) + sum(character > "\uffff" for character in text)


def operations_partition(operation: Operation, cluster_name: str, registered_at: datetime) -> str:
    """The partition of ``IngestionOperations``: day of registration, cluster, database and table."""
    parts = (cluster_name, operation.database, operation.table)
    return "|".join([f"{registered_at:%Y-%m-%d}", *map(escape, parts)])


def shard(operation_key: str) -> str:
    """The partition of ``OutstandingOperations``, one of 16."""
    return operation_key[0]


SHARDS = tuple("0123456789abcdef")


DISPATCHED_ROW = "dispatched"
"""The row of ``OutstandingOperations`` that says how far a shard was handed out. It sorts before the due rows."""


def operation_row(operation_key: str) -> str:
    """The row of ``OutstandingOperations`` with what was registered."""
    return f"op|{operation_key}"


def due_row(next_poll_at: datetime, operation_key: str) -> str:
    """The row of ``OutstandingOperations`` with an operation's next poll: these rows sort by due time."""
    return f"due|{next_poll_at.astimezone(UTC):{_DUE_FORMAT}}|{operation_key}"


def due_time(row: str) -> datetime:
    """When the poll of a due row is due, to the microsecond."""
    return datetime.fromisoformat(row.split("|")[1])


def due_key(row: str) -> str:
    """The operation key of a due row."""
    return row.split("|")[2]


def behind(row: str) -> str:
    """What sorts behind a due row and before the next one."""
    return f"{row}~"


ALL_DUE = "due|", "due|~"
"""First (included) and last (excluded) row key of all due rows, whenever they are due."""


def due_range(until: datetime) -> tuple[str, str]:
    """First (included) and last (excluded) row key of what is due at ``until``."""
    return "due|", f"due|{until.astimezone(UTC):{_DUE_FORMAT}}~"
