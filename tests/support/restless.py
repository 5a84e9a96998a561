"""A table whose service ends its answers early, as Table Storage may anywhere."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, override

from shared.store.tables import Row, Table
from tests.support.memory_table import MemoryTable


class Restless(Table):
    """Looks at few rows for an answer: it may end with none found, and more to come.

    Attributes:
        memory: The rows.
        requests: How many pages were asked for.
    """

    def __init__(self, looks_at: int, *, keys_alone: int) -> None:
        """An empty table.

        Args:
            looks_at: How many rows are looked at for one answer.
            keys_alone: How many of a condition's parts are about keys: the first ones.
        """
        self.memory = MemoryTable()
        super().__init__(cast("Any", self.memory))
        self.create()
        self._looks_at = looks_at
        self._keys_alone = keys_alone
        self.requests = 0

    @override
    def page(
        self,
        condition: str,
        parameters: Mapping[str, str],
        most: int,
        select: Sequence[str] | None = None,
        *,
        until_found: bool = False,
    ) -> tuple[list[Row], bool]:
        parts = condition.split(" and ")
        keys, others = parts[: self._keys_alone], parts[self._keys_alone :]
        assert until_found == (not others)
        named = {each.split(" eq @")[0] for part in others for each in part.strip("()").split(" or ")}
        assert select is None or {"RowKey", *named} <= set(select)
        self.requests += 1
        looked_at, has_more = super().page(" and ".join(keys), parameters, self._looks_at, None)
        found = [row for row in looked_at if all(_is_met(row, part, parameters) for part in others)]
        return found[:most], has_more or len(found) > most


def _is_met(row: Row, part: str, parameters: Mapping[str, str]) -> bool:
    """Whether a row meets one of the alternatives of a condition's part."""
    tests = [each.split(" eq @") for each in part.strip("()").split(" or ")]
    return any(row[column] == parameters[name] for column, name in tests)
