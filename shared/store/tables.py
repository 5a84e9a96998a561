"""Access to one table: conditional writes in groups, and conflicts told apart from faults."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import Any

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables import TableClient, TableServiceClient, TableTransactionError, UpdateMode

from shared import keys
from shared.settings import StorageAccess
from shared.store.protocol import Tables
from shared.transport import pooled, unless_there

GROUP = 100
"""Rows in one entity group transaction (Azurite answers 101 with a broken status line, so it is kept here)."""

_MOST_BYTES = 3 * 1024 * 1024
_ROW_OVERHEAD = 2_000

LONGEST_TEXT = 32_000
"""UTF-16 code units in a string property; the service takes 32,768 of them."""

type Row = Mapping[str, Any]
type Write = tuple[Any, ...]

_CONFLICTS = frozenset({404, 409, 412})
_NOT_STORABLE = frozenset({400, 413})
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


class Conflict(Exception):
    """Somebody else wrote the row first (or this app did, in a request whose answer was lost): read again.

    Attributes:
        index: Which of the group's writes it was.
    """

    def __init__(self, index: int = 0) -> None:
        super().__init__(f"write {index} of the group met a row that had changed")
        self.index = index


class BadPosition(ValueError):
    """A text that is no position in a listing."""


class NotStorable(Exception):
    """A row has something that Table Storage does not take; the others of its group are not to blame."""


class Table:
    """One table of Table Storage."""

    def __init__(self, client: TableClient) -> None:
        self._client = client

    def get(self, partition: str, row: str) -> Row | None:
        """The row, or None."""
        try:
            return self._client.get_entity(partition, row)
        except ResourceNotFoundError:
            return None

    def insert(self, row: Row) -> str:
        """Write a new row; returns its ETag.

        Raises:
            Conflict: there is one with this key.
            NotStorable: it can't be stored.
        """
        return self.write([insertion(row)])[0]

    def upsert(self, row: Row) -> None:
        """Write a row whatever is there."""
        self._client.upsert_entity(_storable(row), mode=UpdateMode.REPLACE)

    def query(
        self,
        condition: str,
        parameters: Mapping[str, str],
        *,
        select: Sequence[str] | None = None,
        page: int | None = None,
    ) -> Iterator[Row]:
        """The rows that meet an OData filter, with ``@name`` taken from ``parameters``, page by page.

        A page has ``page`` rows, or the service's thousand.
        """
        columns = [*select] if select else None
        options = {"results_per_page": page} if page else {}
        return iter(self._client.query_entities(condition, parameters=dict(parameters), select=columns, **options))

    def page(
        self,
        condition: str,
        parameters: Mapping[str, str],
        most: int,
        select: Sequence[str] | None = None,
        *,
        until_found: bool = False,
    ) -> tuple[list[Row], bool]:
        """What one request finds, ``most`` rows at the most, and whether there may be more.

        The service may end it before it has found any, for the rows that it looks at, or for deleted ones.
        ``until_found``: then it is asked on from where it ended, as only it knows; for conditions on keys alone.
        """
        rows, has_more = self._client.query_page(  # type: ignore[attr-defined]  # of ``protocol``
            condition,
            parameters=dict(parameters),
            select=select,
            results_per_page=most,
            until_found=until_found,
        )
        return list(rows), has_more

    def write(self, group: Sequence[Write]) -> list[str]:
        """Do all writes of the group or none; they are of one partition, and 100 at the most.

        Returns:
            The new ETag of each row ("" for a deleted one).

        Raises:
            Conflict: a row was there already, is gone, or has changed.
            NotStorable: a row can't be stored at all.
        """
        try:
            return [answer.get("etag", "") for answer in self._client.submit_transaction(group)]
        except TableTransactionError as error:
            if error.status_code in _CONFLICTS:
                raise Conflict(error.index) from None
            if error.status_code in _NOT_STORABLE:
                raise NotStorable(f"Table Storage answers {error.status_code} to a row") from None
            raise
        except (TypeError, ValueError) as error:
            raise NotStorable(f"a row has a value that no column takes ({type(error).__name__})") from None

    def write_steps(
        self,
        steps: Sequence[Sequence[Write]],
        refused: Callable[[int, NotStorable], None],
        met: Callable[[int, int], None] = lambda *_: None,
    ) -> dict[int, list[str]]:
        """Do as many of the steps as can be done in one transaction, each of them wholly or not at all.

        A step that meets a conflict is left out. Where a row can't be stored, each step has a transaction of its own.

        Args:
            steps: The writes of each step; all of them are of one partition, and 100 at the most.
            refused: Called with the place of a step that can't be stored.
            met: Called with the place of a step that meets a conflict, and which of its writes it was.

        Returns:
            By the place of each step that was done, the new ETags of its rows.
        """
        places = list(range(len(steps)))
        while places:
            try:
                etags = iter(self.write([write for place in places for write in steps[place]]))
            except Conflict as conflict:
                owners = [(place, write) for place in places for write in range(len(steps[place]))]
                place, write = owners[conflict.index]
                places.remove(place)
                met(place, write)
            except NotStorable as error:
                if len(places) > 1:
                    return {
                        place: each
                        for place in places
                        for each in self.write_steps([steps[place]], _at(place, refused), _at(place, met)).values()
                    }
                refused(places[0], error)
                return {}
            else:
                return {place: list(islice(etags, len(steps[place]))) for place in places}
        return {}

    def exists(self) -> bool:
        """Whether the table is there; asks for a row that is not."""
        try:
            next(self.query("PartitionKey eq @none", {"none": "!none"}, page=1), None)
        except HttpResponseError as error:
            if error.status_code == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def create(self) -> None:
        """Create the table unless it is there, or the app has no right to."""
        with unless_there():
            self._client.create_table()


def _at[T](place: int, told: Callable[[int, T], None]) -> Callable[[int, T], None]:
    return lambda _, what: told(place, what)


def insertion(row: Row) -> Write:
    """A write that fails if the row is there."""
    return ("create", _storable(row))


def replacement(row: Row, etag: str) -> Write:
    """A write of the whole row that fails if it has changed since ``etag``."""
    return ("update", _storable(row), {"mode": UpdateMode.REPLACE, **_if_still(etag)})


def merger(row: Row, etag: str | None = None) -> Write:
    """A write of the named columns alone that fails if the row is gone, or has changed since ``etag``."""
    return ("update", _storable(row), {"mode": UpdateMode.MERGE, **(_if_still(etag) if etag else {})})


def upsertion(row: Row) -> Write:
    """A write of the whole row whatever is there."""
    return ("upsert", _storable(row), {"mode": UpdateMode.REPLACE})


def deletion(partition: str, row: str, etag: str | None = None) -> Write:
    """A deletion that fails if the row is gone, or has changed since ``etag``."""
    entity = {"PartitionKey": partition, "RowKey": row}
    if etag is None:
        return ("delete", entity)
    return ("delete", entity, _if_still(etag))


def _if_still(etag: str) -> dict[str, Any]:
    """The condition that a row has not changed since ``etag``."""
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def etag_of(row: Row) -> str:
    """The ETag of a row that was read."""
    return str(row.metadata["etag"])  # type: ignore[attr-defined]  # the SDK's TableEntity


def clipped(text: str | None, longest: int = LONGEST_TEXT) -> str | None:
    """The text, cut to what a string property takes."""
    if text is None or keys.utf16_length(text) <= longest:
        return text
    units = text.encode("utf-16-le")[: 2 * (longest - 1)]
    return units.decode("utf-16-le", errors="ignore") + "…"


def moment(value: object) -> datetime | None:
    """A column's time as an ordinary datetime in UTC (the SDK has a class of its own)."""
    if not isinstance(value, datetime):
        return None
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    return datetime.combine(value.date(), value.timetz()).astimezone(UTC)


def required_moment(row: Row, column: str) -> datetime:
    """A column's time, which every row of its kind has.

    Raises:
        TypeError: it has none.
    """
    time = moment(row[column])
    if time is None:
        raise TypeError(f"{row['RowKey']}: {column} is no time")
    return time


IMPATIENT: Mapping[str, float] = {"retry_total": 0, "connection_timeout": 3, "read_timeout": 4}
"""For whoever only wants to know whether the account answers: no repetition, and seconds of waiting."""


def connect(
    access: StorageAccess, credential: TokenCredential | None, patience: Mapping[str, float] | None = None
) -> TableServiceClient:
    """A client for the tables of the account. Its own retries are few and quick: a poll comes back anyway.

    ``patience`` is what differs from that, such as ``IMPATIENT``.
    """
    options: dict[str, Any] = {
        "retry_total": 3,
        "retry_backoff_factor": 0.4,
        "connection_timeout": 10,
        "read_timeout": 30,
        **(patience or {}),
    }
    options["transport"] = pooled(options.pop("connection_timeout"), options.pop("read_timeout"))
    if access.connection_string:
        return Tables.from_connection_string(access.connection_string, **options)
    return Tables(access.table_uri, credential=credential, **options)


def _storable(row: Row) -> dict[str, Any]:
    """The row without empty values, its texts cut to size."""
    return {name: _text(value) if isinstance(value, str) else value for name, value in row.items() if value is not None}


def _text(value: str) -> str:
    """The text as a column takes it. Most are short and plain."""
    if len(value) < LONGEST_TEXT // 2 and value.isprintable():
        return value
    return clipped(_UNPRINTABLE.sub("\ufffd", value)) or ""


def group_sizes(rows: Iterable[Row]) -> Iterator[int]:
    """How many of the rows, in order, go into each transaction: 100 at the most, and well under its 4 MiB."""
    count = size = 0
    for row in rows:
        # As the SDK sends it: text beyond ASCII takes six bytes a character.
        length = len(json.dumps(_storable(row), default=str)) + _ROW_OVERHEAD
        if count and (count == GROUP or size + length > _MOST_BYTES):
            yield count
            count = size = 0
        count, size = count + 1, size + length
    if count:
        yield count
