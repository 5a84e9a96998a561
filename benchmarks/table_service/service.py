"""What each request does: https://learn.microsoft.com/rest/api/storageservices/table-service-rest-api."""

import base64
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from benchmarks.table_service.batches import batch_answer, read_change_set
from benchmarks.table_service.filters import read_filter
from benchmarks.table_service.refusal import Refused, TransactionRefused
from benchmarks.table_service.requests import Answer, Request
from benchmarks.table_service.rows import Key, Metadata, Properties, Row, as_json, read_properties, timestamp
from benchmarks.table_service.tables import Kind, Table, Write

PAGE = 1_000
"""Rows in an answer, at the most."""

_TARGET = re.compile(
    r"(?:https?://[^/]+)?/(?P<account>[^/?]+)/(?P<table>[^/(?]+)"
    r"(?:\((?:PartitionKey='(?P<partition>.*?)',\s*RowKey='(?P<row>.*?)')?\))?(?:\?(?P<query>.*))?"
)
_KINDS = {"PUT": Kind.REPLACE, "PATCH": Kind.MERGE, "MERGE": Kind.MERGE, "DELETE": Kind.DELETE}
_CREATED, _NO_CONTENT, _OK = 201, 204, 200


@dataclass(frozen=True, slots=True)
class _Target:
    """What a request is about: a table, or one of its rows; and its query."""

    account: str
    table: str
    key: tuple[str, str] | None
    query: Mapping[str, str]


class Service:
    """All tables, and what was asked of them.

    Attributes:
        counts: Requests by what they do, and rows read, written and looked at.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._tables: dict[str, Table] = {}

    def answer(self, request: Request) -> Answer:
        """Do what a request asks for; what can't be done is answered as the service does it."""
        metadata = Metadata.of(request.headers.get("accept", ""))
        try:
            target = _read_target(request.target)
            if target.account == "bench":
                return self._control(request, target)
            return self._do(request, target, metadata)
        except Refused as refusal:
            self.counts[f"refused {refusal.status}"] += 1
            return _refused(refusal)

    def _do(self, request: Request, target: _Target, metadata: Metadata) -> Answer:
        match request.method, target.table, target.key:
            case "POST", "$batch", None:
                self.counts["batch"] += 1
                return self._transact(request)
            case "POST", "Tables", None:
                self.counts["create table"] += 1
                return self._create(request)
            case "GET", name, None:
                self.counts["query"] += 1
                return self._query(self._table(name), target.query, metadata)
            case "GET", name, (partition, row):
                self.counts["get"] += 1
                self.counts["rows read"] += 1
                found = self._table(name).get(partition, row)
                return Answer(_OK, as_json(found, name, (), metadata), {**_content(metadata), "ETag": found.etag})
            case _:
                table, write = self._table(target.table), _read_write(request, target)
                self.counts[write.kind.value] += 1
                self.counts["rows written"] += 1
                return _written(table, table.write(write), request)

    def _create(self, request: Request) -> Answer:
        name = json.loads(request.body)["TableName"]
        if name in self._tables:
            raise Refused(409, "TableAlreadyExists", "The table specified already exists.")
        self._tables[name] = Table(name)
        return Answer(_CREATED, json.dumps({"TableName": name}), _content(Metadata.MINIMAL))

    def _table(self, name: str) -> Table:
        table = self._tables.get(name)
        if table is None:
            raise Refused(404, "TableNotFound", "The table specified does not exist.")
        return table

    def _query(self, table: Table, query: Mapping[str, str], metadata: Metadata) -> Answer:
        select = [column.strip() for column in query.get("$select", "").split(",") if column.strip()]
        after = (_token(query["NextPartitionKey"]), _token(query["NextRowKey"])) if "NextRowKey" in query else None
        page = table.query(read_filter(query.get("$filter", "")), after, min(int(query.get("$top", PAGE)), PAGE))
        self.counts["rows read"] += len(page.rows)
        self.counts["rows looked at"] += page.looked_at
        rows = ",".join([as_json(row, table.name, select, metadata) for row in page.rows])
        return Answer(_OK, f'{{"value":[{rows}]}}', {**_content(metadata), **_continuation(page.next_key)})

    def _transact(self, request: Request) -> Answer:
        requests = read_change_set(request)
        targets = [_read_target(each.target) for each in requests]
        try:
            # One table, as a change set is of one partition.
            table = self._table(targets[0].table)
            writes = [_read_write(each, target) for each, target in zip(requests, targets, strict=True)]
            rows = table.transact(writes)
        except Refused as refusal:
            return batch_answer([_refused(refusal, index=0)])
        except TransactionRefused as error:
            self.counts[f"refused {error.refusal.status}"] += 1
            return batch_answer([_refused(error.refusal, error.index)])
        self.counts["rows written"] += len(rows)
        return batch_answer([_written(table, row, each) for row, each in zip(rows, requests, strict=True)])

    def _control(self, request: Request, target: _Target) -> Answer:
        """The benchmarks' own: counts; and per table its rows, more rows, or none."""
        name = target.query.get("table", "")
        match request.method, target.table:
            case "GET", "counts":
                return _json(self.counts)
            case "DELETE", "counts":
                self.counts.clear()
                return _json({})
            case "GET", "rows":
                return _json(
                    [{**row.properties, "Timestamp": timestamp(row.ticks)} for row in self._table(name).rows()]
                )
            case "POST", "rows":
                return _json({"rows": self._table(name).plant(_planted(json.loads(request.body)))})
            case "DELETE", "rows":
                self._table(name).clear()
                return _json({})
            case _:
                raise Refused(404, "ResourceNotFound", "There is no such control.")


def _read_target(target: str) -> _Target:
    found = _TARGET.fullmatch(target)
    if found is None:
        raise Refused(400, "InvalidUri", "The URI is of no form that this service knows.")
    is_row = found["partition"] is not None
    key = (_unquoted(found["partition"]), _unquoted(found["row"])) if is_row else None
    query = dict(parse_qsl(found["query"], keep_blank_values=True)) if found["query"] else {}
    return _Target(found["account"], unquote(found["table"]), key, query)


def _unquoted(text: str) -> str:
    return unquote(text).replace("''", "'")


def _read_write(request: Request, target: _Target) -> Write:
    etag = request.headers.get("if-match")
    properties = read_properties(json.loads(request.body)) if request.body.strip() else {}
    if request.method == "POST" and target.key is None:
        if not {"PartitionKey", "RowKey"} <= properties.keys():
            raise Refused(400, "PropertiesNeedValue", "The values are not specified for all properties in the entity.")
        return Write(Kind.INSERT, properties["PartitionKey"], properties["RowKey"], properties)
    # Clients that can't send MERGE name it in a header.
    kind = _KINDS.get(request.headers.get("x-http-method", request.method))
    if kind is None or target.key is None:
        raise Refused(405, "MethodNotAllowed", "The resource doesn't support the specified HTTP verb.")
    if kind is Kind.DELETE and etag is None:
        raise Refused(400, "MissingRequiredHeader", "A deletion needs If-Match.")
    partition, row = target.key
    keys = {"PartitionKey": partition, "RowKey": row}
    return Write(kind, partition, row, {} if kind is Kind.DELETE else {**properties, **keys}, etag)


def _written(table: Table, row: Row | None, request: Request) -> Answer:
    if row is None:
        return Answer(_NO_CONTENT)
    etag = {"ETag": row.etag}
    if request.method != "POST":
        return Answer(_NO_CONTENT, headers=etag)
    if request.headers.get("prefer") == "return-no-content":
        return Answer(_NO_CONTENT, headers={**etag, "Preference-Applied": "return-no-content"})
    metadata = Metadata.of(request.headers.get("accept", ""))
    return Answer(_CREATED, as_json(row, table.name, (), metadata), {**_content(metadata), **etag})


def _refused(refusal: Refused, index: int | None = None) -> Answer:
    """An error; inside a transaction its text begins with the index of the write that is to blame."""
    place = "" if index is None else f"{index}:"
    text = f"{place}{refusal.text}\nRequestId:{uuid.uuid4()}"
    error = {"odata.error": {"code": refusal.code, "message": {"lang": "en-US", "value": text}}}
    return Answer(refusal.status, json.dumps(error), {**_content(Metadata.MINIMAL), "x-ms-error-code": refusal.code})


def _content(metadata: Metadata) -> dict[str, str]:
    return {"Content-Type": f"application/json;{metadata.value};streaming=true;charset=utf-8"}


def _json(content: Any) -> Answer:  # noqa: ANN401, what JSON takes
    return Answer(_OK, json.dumps(content), {"Content-Type": "application/json"})


def _continuation(key: Key | None) -> dict[str, str]:
    if key is None:
        return {}
    partition, row = (base64.urlsafe_b64encode(part).decode() for part in key)
    return {"x-ms-continuation-NextPartitionKey": partition, "x-ms-continuation-NextRowKey": row}


def _token(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)


def _planted(plan: Mapping[str, Any]) -> Iterator[Properties]:
    """The rows of a plan: a text of JSON, once for each list of words, which take the places of ``marks`` in it."""
    marks = plan["marks"]
    for words in plan["words"]:
        text = plan["row"]
        for mark, word in zip(marks, words, strict=True):
            text = text.replace(mark, word)
        yield json.loads(text)
