"""List rows told apart from what else is in their table."""

from collections.abc import Iterable, Mapping
from typing import Any

type Row = Mapping[str, Any]

KINDS = frozenset({"all", "state", "table", "id", "root"})


def list_rows_of(outstanding: Iterable[Row]) -> dict[str, dict[str, list[Row]]]:
    """The list rows among those of ``OutstandingOperations``, by operation key and by their kind."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in outstanding:
        parts = str(row["RowKey"]).split("|")
        if parts[0] in KINDS:
            found.setdefault(parts[-1], {}).setdefault(parts[0], []).append(row)
    return found


def check_list_rows(kinds: Mapping[str, list[Row]]) -> Row:
    """Check that one operation's list rows are one of each kind and say the same; returns the one with the copy."""
    assert kinds.keys() | {"root"} == KINDS, "no list row is missing"
    assert all(len(rows) == 1 for rows in kinds.values()), "it has one list row of each kind"
    (copy,), (by_state,) = kinds["all"], kinds["state"]
    assert by_state["RowKey"].split("|")[1] == copy["State"], "it is listed by the state that its copy has"
    return copy
