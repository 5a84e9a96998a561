"""The SDK's clients of Table Storage, with listings and transactions written and read here.

The SDK makes an e-mail message of each write and of each answer, and a dozen calls of each column that it reads: 0.4 ms
of processor time a row written and 0.1 ms a row read, which was most of what a poll costs. Here both are text, for a
sixth of that, and sent through those of the SDK's policies alone that do something for it: credentials, repetitions,
headers. All else stays the SDK's: time-outs, errors, single rows.

The formats: https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions,
.../query-entities and .../payload-format-for-table-service-operations
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from http import HTTPStatus
from math import isfinite
from typing import Any, override
from urllib.parse import quote, urlencode

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import Pipeline, policies
from azure.core.pipeline.transport import HttpRequest, HttpResponse
from azure.data.tables import TableClient, TableServiceClient, TableTransactionError, UpdateMode
from azure.data.tables._base_client import TransportWrapper

_TYPE = "@odata.type"
_READ: Mapping[str, Callable[[Any], Any]] = {
    "Edm.DateTime": datetime.fromisoformat,
    "Edm.Int64": int,
    "Edm.Double": float,
}
_PARAMETER = re.compile(r"@(\w+)")
_READING = {"Accept": "application/json;odata=minimalmetadata", "DataServiceVersion": "3.0"}

_BATCH, _CHANGES = "batch_tracker", "changeset_tracker"
_WRITING = {
    "Accept": "application/json;odata=minimalmetadata",
    "Content-Type": f"multipart/mixed; boundary={_BATCH}",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
}
_PART = f"--{_CHANGES}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_CONTENT = (
    "Content-Type: application/json\r\nAccept: application/json;odata=minimalmetadata\r\nPrefer: return-no-content\r\n"
)
_HEAD = f"--{_BATCH}\r\nContent-Type: multipart/mixed; boundary={_CHANGES}\r\n\r\n"
_TAIL = f"--{_CHANGES}--\r\n--{_BATCH}--\r\n"

_ANSWER = re.compile(r"^HTTP/1\.1 (\d{3})\b", re.MULTILINE)
_ETAG = re.compile(r"^etag: *(.+?)\r?$", re.MULTILINE | re.IGNORECASE)
_ERROR = re.compile(r"^\{.*\}", re.MULTILINE | re.DOTALL)

_NOT_USED = (
    policies.ContentDecodePolicy,
    policies.DistributedTracingPolicy,
    policies.HttpLoggingPolicy,
    policies.NetworkTraceLoggingPolicy,
    policies.RedirectPolicy,
    policies.RequestIdPolicy,
)
"""Policies that do nothing for what is sent here: it is read here, and never redirected, and nobody has a log of it."""

_PLAIN = str, bool
_MOST_INT = 2**31
_BEYOND_JSON = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
_TOO_LARGE = HTTPStatus.CONTENT_TOO_LARGE


class Tables(TableServiceClient):
    """The SDK's client of an account, whose tables are listed and written as this module does it."""

    @override
    def get_table_client(self, table_name: str, **kwargs: Any) -> TableClient:
        # As the SDK does it, but for the class.
        transport = TransportWrapper(self._client._client._pipeline._transport)  # type: ignore[no-untyped-call]  # noqa: SLF001
        pipeline = Pipeline(transport, self._policies)
        return _Client(
            self.url,
            table_name=table_name,
            credential=self.credential,
            api_version=self.api_version,
            pipeline=pipeline,
            location_mode=self._location_mode,
            _hosts=self._hosts,
            # Copies, as a policy knows which one is next.
            own=Pipeline(transport, [copy(each) for each in self._policies if not isinstance(each, _NOT_USED)]),
            **kwargs,
        )


class Entity(dict[str, Any]):
    """A row that was read. ``metadata`` has its ``etag``, as in the SDK's ``TableEntity``."""

    def __init__(self, values: Mapping[str, Any], etag: str) -> None:
        super().__init__(values)
        self.metadata = {"etag": etag}


class _Client(TableClient):
    """``own`` is what the requests that are made here go through."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401, the SDK's own
        own: Pipeline[HttpRequest, HttpResponse],
        **kwargs: Any,  # noqa: ANN401, the SDK's own
    ) -> None:
        super().__init__(*args, **kwargs)
        self._own = own

    @override
    def query_entities(  # type: ignore[override]  # the SDK's iterator has more to it
        self,
        query_filter: str,
        *,
        parameters: Mapping[str, str],
        select: Sequence[str] | None = None,
        results_per_page: int | None = None,
        **kwargs: Any,
    ) -> Iterator[Entity]:
        """As the SDK's, for parameters that are texts: the rows that meet a filter, page by page.

        Raises:
            HttpResponseError: the service has refused it, or the answer is none of its.
        """
        query = _query(query_filter, parameters, select, results_per_page)
        place: dict[str, str] | None = {}
        while place is not None:
            rows, place = self._read_page(query | place, **kwargs)
            yield from map(_entity, rows)

    def query_page(
        self,
        query_filter: str,
        *,
        parameters: Mapping[str, str],
        select: Sequence[str] | None = None,
        results_per_page: int,
        until_found: bool = False,
    ) -> tuple[Iterator[Entity], bool]:
        """The first page of the same, and whether there may be more. A page may be empty and not the last.

        ``until_found``: then the next ones are read, up to one with rows or to the end.

        Raises:
            HttpResponseError: the service has refused it, or the answer is none of its.
        """
        query = _query(query_filter, parameters, select, results_per_page)
        rows, place = self._read_page(query)
        while until_found and not rows and place is not None:
            rows, place = self._read_page(query | place)
        return map(_entity, rows), place is not None

    def _read_page(
        self,
        query: Mapping[str, str],
        **kwargs: Any,  # noqa: ANN401, the SDK's own
    ) -> tuple[Sequence[Mapping[str, Any]], dict[str, str] | None]:
        """One request of a listing: its rows as they came, and where it goes on."""
        url = f"{self.url}/{self.table_name}()?{urlencode(query, quote_via=quote)}"
        response = self._send(HttpRequest("GET", url, headers=_READING), **kwargs)
        if response.status_code != HTTPStatus.OK:
            raise _refusal(response, response.status_code, _text(response))
        return _rows(response), _next_place(response.headers)

    @override
    def submit_transaction(self, operations: Iterable[Sequence[Any]], **kwargs: Any) -> list[Mapping[str, Any]]:
        """As the SDK's: commit all writes of one partition, or none.

        Raises:
            TableTransactionError: one of them was refused; ``index`` says which.
            TypeError: a value is of no type that a column has.
        """
        writes = list(operations)
        parts = "".join(_part(f"{self.url}/{self.table_name}", *write) for write in writes)
        request = HttpRequest("POST", f"{self.url}/$batch", headers=_WRITING, data=f"{_HEAD}{parts}{_TAIL}")
        return _answers(self._send(request, **kwargs), len(writes))

    def _send(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:  # noqa: ANN401, the SDK's own
        # Without it the service takes no token of an identity: .../versioning-for-the-azure-storage-services
        request.headers["x-ms-version"] = self.api_version
        return self._own.run(request, **kwargs).http_response


def _query(
    query_filter: str, parameters: Mapping[str, str], select: Sequence[str] | None, page: int | None
) -> dict[str, str]:
    query = {"$filter": _filled(query_filter, parameters)} | ({"$select": ",".join(select)} if select else {})
    return query | ({"$top": str(page)} if page else {})


def _filled(query_filter: str, parameters: Mapping[str, str]) -> str:
    quoted = {name: "'" + text.replace("'", "''") + "'" for name, text in parameters.items()}
    return _PARAMETER.sub(lambda found: quoted[found[1]], query_filter)


def _rows(response: HttpResponse) -> Sequence[Mapping[str, Any]]:
    """The rows of a page.

    Raises:
        HttpResponseError: it is none, but a gateway's for instance.
    """
    try:
        rows = json.loads(response.body())["value"]
    except (ValueError, KeyError, TypeError):
        rows = None
    if not isinstance(rows, list):
        raise HttpResponseError("the answer is no listing", response=response)
    return rows


def _entity(fields: Mapping[str, Any]) -> Entity:
    """A row as the service writes it: what JSON has no type for is named beside it."""
    values = dict(fields)
    values.pop("Timestamp", None)
    # No column's name has a point in it: these are the service's own, such as ``SettledAt@odata.type``.
    for name in [name for name in fields if "." in name]:
        kind, column = values.pop(name), name.removesuffix(_TYPE)
        if (read := _READ.get(kind)) and column in values:
            values[column] = read(values[column])
    return Entity(values, fields.get("odata.etag", ""))


def _next_place(headers: Mapping[str, str]) -> dict[str, str] | None:
    """Where the listing goes on; None at its end. A page may be empty and not the last."""
    named = {name: headers.get(f"x-ms-continuation-{name}") for name in ("NextPartitionKey", "NextRowKey")}
    return {name: value for name, value in named.items() if value} or None


def _part(table: str, kind: str, entity: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> str:
    """One write as a part of the request's body."""
    options = options or {}
    if kind == "create":
        return f"{_PART}POST {table} HTTP/1.1\r\n{_CONTENT}\r\n{_json(entity)}\r\n"
    keys = ",".join(f"{name}='{_quoted(entity[name])}'" for name in ("PartitionKey", "RowKey"))
    is_conditional = options.get("match_condition") is MatchConditions.IfNotModified
    # Without a condition, a write of a row makes it where there is none.
    condition = "" if kind == "upsert" else f"If-Match: {options['etag'] if is_conditional else '*'}\r\n"
    if kind == "delete":
        return f"{_PART}DELETE {table}({keys}) HTTP/1.1\r\nAccept: application/json\r\n{condition}\r\n"
    verb = "PUT" if options.get("mode") is UpdateMode.REPLACE else "PATCH"
    return f"{_PART}{verb} {table}({keys}) HTTP/1.1\r\n{_CONTENT}{condition}\r\n{_json(entity)}\r\n"


def _quoted(key: str) -> str:
    # As partitions are, and there is one in each write.
    if key.isalnum() and key.isascii():
        return key
    return quote(key.replace("'", "''"), safe="")


def _json(entity: Mapping[str, Any]) -> str:
    """The row as the service reads it: strings, booleans and 32-bit integers speak for themselves, others are named."""
    fields: dict[str, Any] = {}
    for name, value in entity.items():
        if isinstance(value, _PLAIN) or (isinstance(value, int) and -_MOST_INT <= value < _MOST_INT):
            fields[name] = value
        elif isinstance(value, datetime):
            # Three times as fast as strftime, and there are several in each row.
            fields[name] = f"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
            fields[f"{name}{_TYPE}"] = "Edm.DateTime"
        elif isinstance(value, float):
            fields[name] = value if isfinite(value) else _BEYOND_JSON[str(value)]
            fields[f"{name}{_TYPE}"] = "Edm.Double"
        else:
            raise TypeError(f"{name} has a value that no column takes: {type(value).__name__}")
    return json.dumps(fields)


def _answers(response: HttpResponse, count: int) -> list[Mapping[str, Any]]:
    """The ETag of each row, "" of a deleted one.

    Raises:
        HttpResponseError: the service has refused the transaction, or gave no answer to all of it.
    """
    if response.status_code != HTTPStatus.ACCEPTED:
        raise _refusal(response, response.status_code, _text(response))
    text = _text(response)
    answers = list(_ANSWER.finditer(text))
    refused = next((answer for answer in answers if not answer[1].startswith("2")), None)
    if refused:
        raise _refusal(response, int(refused[1]), text[refused.end() :])
    if len(answers) != count:
        raise HttpResponseError(f"a transaction of {count} writes got {len(answers)} answers", response=response)
    ends = [*(answer.start() for answer in answers[1:]), len(text)]
    etags = (_ETAG.search(text, answer.end(), end) for answer, end in zip(answers, ends, strict=True))
    return [{"etag": etag[1] if etag else ""} for etag in etags]


def _text(response: HttpResponse) -> str:
    return response.body().decode(errors="replace")


def _refusal(response: HttpResponse, status: int, text: str) -> HttpResponseError:
    """The error of a write, at the head of whose message is its place, or of the whole request."""
    found = _ERROR.search(text)
    try:
        error = json.loads(found[0])["odata.error"] if found else {}
        code, message = str(error["code"]), str(error["message"]["value"])
    except (ValueError, KeyError, TypeError):
        code, message = "", "no error that can be read"
    is_of_write = code != "TableNotFound" and response.status_code in (HTTPStatus.ACCEPTED, _TOO_LARGE)
    kind = TableTransactionError if is_of_write else HttpResponseError
    refusal = kind(message=f"{message}\nErrorCode:{code}", response=response)
    refusal.status_code = status
    refusal.error_code = code  # type: ignore[attr-defined]  # as the SDK sets it
    return refusal
