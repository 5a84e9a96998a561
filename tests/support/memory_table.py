"""A table in memory that does what the app asks of ``azure.data.tables.TableClient``.

Rows go through the SDK's own writing and reading of properties, so that values come back as they do from the service.
``tests/storage/test_memory_storage.py`` compares it with Azurite. Where that and the service differ, as far as it is
documented: the service answers null for a selected column that a row lacks, and both this and Azurite leave it out;
the service may end a page anywhere, as ``page`` can make this do, and Azurite ends it after 1,000 rows.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import EdmType, TableEntity, TableTransactionError, UpdateMode
from azure.data.tables._deserialize import _convert_to_entity
from azure.data.tables._serialize import _add_entity_properties

from tests.support.storage_errors import refusal, transaction_refusal

type Key = tuple[str, str]
type Entity = Mapping[str, Any]

_MOST_WRITES = 100
_LONGEST_TEXT = 32_768
_FORBIDDEN_IN_KEYS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_COMPARISON = re.compile(r"(\w+) (eq|ne|lt|le|gt|ge) (?:@(\w+)|'((?:[^']|'')*)')")
_COMPARISONS: dict[str, Callable[[bytes, bytes], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
}


class MemoryTable:
    """One table.

    Args:
        page: Rows of a listing that are read at once; what is written meanwhile shows on the next page.
    """

    def __init__(self, *, page: int = 1000) -> None:
        self._page = page
        self._rows: dict[Key, dict[str, Any]] | None = None
        self._lock = threading.RLock()
        self._writes = 0

    def create_table(self) -> None:
        if self._rows is not None:
            raise refusal(ResourceExistsError, 409, "TableAlreadyExists", "The table specified already exists.")
        self._rows = {}

    def get_entity(self, partition_key: str, row_key: str) -> TableEntity:
        with self._lock:
            stored = self._existing().get((partition_key, row_key))
            if stored is None:
                raise refusal(ResourceNotFoundError, 404, "ResourceNotFound", "The specified resource does not exist.")
            return _as_read(stored)

    def create_entity(self, entity: Entity) -> dict[str, Any]:
        sent = _add_entity_properties(entity)
        with self._lock:
            rows = self._existing()
            _check(sent, _alone)
            if _key(sent) in rows:
                raise refusal(ResourceExistsError, 409, "EntityAlreadyExists", "The specified entity already exists.")
            return self._put(rows, sent)

    def upsert_entity(self, entity: Entity, mode: UpdateMode = UpdateMode.MERGE) -> dict[str, Any]:
        sent = _add_entity_properties(entity)
        with self._lock:
            rows = self._existing()
            _check(sent, _alone)
            return self._put(rows, _combined(rows.get(_key(sent)), sent, mode))

    def query_entities(
        self,
        query_filter: str,
        *,
        parameters: Mapping[str, str] | None = None,
        select: Sequence[str] | None = None,
        results_per_page: int | None = None,
    ) -> Iterator[TableEntity]:
        """The rows that meet comparisons of texts joined by ``and``, in the order of their keys, page by page."""
        for page in self.query_pages(
            query_filter, parameters=parameters, select=select, results_per_page=results_per_page
        ):
            yield from page

    def query_page(
        self,
        query_filter: str,
        *,
        parameters: Mapping[str, str],
        select: Sequence[str] | None = None,
        results_per_page: int,
        until_found: bool = False,  # noqa: ARG002, it never ends a page before
    ) -> tuple[Iterator[TableEntity], bool]:
        """The first of these rows, and whether there are more."""
        rows = self._read_page(_condition(query_filter, parameters), None, results_per_page + 1)
        found = (_as_read(_selected(row, select)) for row in rows[:results_per_page])
        return found, len(rows) > results_per_page

    def query_pages(
        self,
        query_filter: str,
        *,
        parameters: Mapping[str, str] | None = None,
        select: Sequence[str] | None = None,
        results_per_page: int | None = None,
    ) -> Iterator[list[TableEntity]]:
        """The same, a page at a time: each is one request."""
        meets = _condition(query_filter, parameters or {})
        last: tuple[bytes, bytes] | None = None
        most = min(self._page, results_per_page or self._page)
        while True:
            rows = self._read_page(meets, last, most)
            yield [_as_read(_selected(row, select)) for row in rows]
            if len(rows) < most:
                return
            last = _place(_key(rows[-1]))

    def _read_page(
        self, meets: Callable[[Entity], bool], after: tuple[bytes, bytes] | None, most: int
    ) -> list[dict[str, Any]]:
        """One request of a listing."""
        with self._lock:
            rows = self._existing()
            places = sorted((_place(key), key) for key in rows)
            found = (rows[key] for place, key in places if after is None or place > after)
            matching = [row for row in found if meets(row)]
            return matching[:most]

    def submit_transaction(self, operations: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        """Do all of the writes or none."""
        writes = _prepared(operations)
        with self._lock:
            if self._rows is None:
                raise refusal(HttpResponseError, 404, "TableNotFound", "The table specified does not exist.")
            # On a copy, which takes the place of the rows when all has gone well.
            rows, count = dict(self._rows), self._writes
            seen: set[Key] = set()
            try:
                answers = [self._apply(rows, seen, index, *write) for index, write in enumerate(writes)]
            except TableTransactionError:
                self._writes = count
                raise
            self._rows = rows
            return answers

    def rows(self) -> list[dict[str, Any]]:
        """All rows as they are stored, in the order of their keys."""
        with self._lock:
            return [row for _, row in sorted((self._rows or {}).items(), key=lambda item: _place(item[0]))]

    def _existing(self) -> dict[Key, dict[str, Any]]:
        if self._rows is None:
            raise refusal(ResourceNotFoundError, 404, "TableNotFound", "The table specified does not exist.")
        return self._rows

    def _apply(
        self,
        rows: dict[Key, dict[str, Any]],
        seen: set[Key],
        index: int,
        kind: str,
        sent: dict[str, Any],
        options: Mapping[str, Any],
    ) -> dict[str, Any]:
        def refused(status: int, code: str, text: str) -> HttpResponseError:
            return transaction_refusal(index, status, code, text)

        _check(sent, refused)
        if _key(sent) in seen:
            raise refused(400, "InvalidDuplicateRow", "An entity can appear only once in a batch.")
        seen.add(_key(sent))
        stored = rows.get(_key(sent))
        if kind == "create" and stored is not None:
            raise refused(409, "EntityAlreadyExists", "The specified entity already exists.")
        if kind in ("update", "delete") and stored is None:
            raise refused(404, "ResourceNotFound", "The specified resource does not exist.")
        is_conditional = options.get("match_condition") is MatchConditions.IfNotModified
        if stored is not None and is_conditional and options["etag"] != stored["odata.etag"]:
            raise refused(412, "UpdateConditionNotSatisfied", "The update condition was not satisfied.")
        if kind == "delete":
            del rows[_key(sent)]
            return {}
        whole = sent if kind == "create" else _combined(stored, sent, options.get("mode", UpdateMode.MERGE))
        return self._put(rows, whole)

    def _put(self, rows: dict[Key, dict[str, Any]], row: dict[str, Any]) -> dict[str, Any]:
        self._writes += 1
        etag = f"W/\"datetime'{self._writes}'\""
        rows[_key(row)] = {**row, "odata.etag": etag}
        return {"etag": etag}


def _prepared(operations: Iterable[Sequence[Any]]) -> list[tuple[str, dict[str, Any], Mapping[str, Any]]]:
    """The writes as they are sent; what the SDK refuses before it sends, and the service as a whole, is refused."""
    writes = []
    try:
        for kind, entity, *options in operations:
            writes.append((kind, _add_entity_properties(entity), options[0] if options else {}))
    except TypeError as error:
        raise TypeError("The value of 'operations' must be an iterator of Tuples.") from error
    if len({sent["PartitionKey"] for _, sent, _ in writes}) > 1:
        raise ValueError("Partition Keys in the batch must all be the same.")
    if len(writes) > _MOST_WRITES:
        raise refusal(HttpResponseError, 400, "InvalidInput", "The batch request operation exceeds the maximum 100.")
    return writes


def _check(sent: Entity, refused: Callable[[int, str, str], HttpResponseError]) -> None:
    for name in ("PartitionKey", "RowKey"):
        if _FORBIDDEN_IN_KEYS.search(sent[name]):
            raise refused(400, "InvalidInput", f"{name} has a character that is not allowed.")
    for value in sent.values():
        if isinstance(value, str) and len(value.encode("utf-16-le", "surrogatepass")) // 2 > _LONGEST_TEXT:
            raise refused(400, "PropertyValueTooLarge", "The property value exceeds the maximum allowed size (64KB).")


def _alone(status: int, code: str, text: str) -> HttpResponseError:
    return refusal(HttpResponseError, status, code, text)


def _combined(stored: Entity | None, sent: dict[str, Any], mode: UpdateMode) -> dict[str, Any]:
    if stored is None or mode is UpdateMode.REPLACE:
        return sent
    types = {f"{name}@odata.type" for name in sent}
    return {**{name: value for name, value in stored.items() if name not in types}, **sent}


def _as_read(row: Entity) -> TableEntity:
    entity: TableEntity = _convert_to_entity(row)  # type: ignore[no-untyped-call]  # the SDK's own
    return entity


def _selected(row: dict[str, Any], select: Sequence[str] | None) -> dict[str, Any]:
    if not select:
        return row
    wanted = {"odata.etag", *select, *(f"{name}@odata.type" for name in select)}
    return {name: value for name, value in row.items() if name in wanted}


def _condition(query_filter: str, parameters: Mapping[str, str]) -> Callable[[Entity], bool]:
    comparisons = []
    for part in query_filter.split(" and "):
        found = _COMPARISON.fullmatch(part)
        if not found:
            raise NotImplementedError(f"this table does not know the condition {part!r}")
        column, kind, parameter, literal = found.groups()
        wanted = parameters[parameter] if parameter else literal.replace("''", "'")
        comparisons.append((column, _COMPARISONS[kind], _order(wanted)))
    return lambda row: all(
        row.get(f"{column}@odata.type") == EdmType.STRING and compare(_order(row[column]), wanted)
        for column, compare, wanted in comparisons
    )


def _key(row: Entity) -> Key:
    return row["PartitionKey"], row["RowKey"]


def _place(key: Key) -> tuple[bytes, bytes]:
    return _order(key[0]), _order(key[1])


def _order(text: str) -> bytes:
    """By UTF-16 code units, as .NET compares."""
    return text.encode("utf-16-be", "surrogatepass")
