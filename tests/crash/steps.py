"""The steps of the app, told by what goes over the wire. docs/reliability.md explains each by the same name."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

from tests.support.tripwire import Answer, Request

TABLES = ("OutstandingOperations", "IngestionOperations", "IngestionBlobs", "IngestionRedrives")

OUTSTANDING = {
    frozenset({"POST !layout"}): "layout written",
    frozenset({"POST op", "POST due", "PUT all", "PUT state", "PUT table", "PUT id"}): "outstanding rows inserted",
    frozenset({"DELETE due", "POST due"}): "due rows moved",
    frozenset({"DELETE due", "DELETE op", "PUT all", "DELETE state", "PUT state"}): "outstanding rows deleted",
    frozenset({"DELETE due", "POST due", "PUT all", "DELETE state", "PUT state"}): "news put off",
    frozenset({"DELETE due", "DELETE op"}): "told rows deleted",
    frozenset({"PUT dispatched"}): "dispatch noted",
    frozenset({"PUT all", "PUT state"}): "list rows corrected",
    frozenset({"PUT all", "PUT state", "DELETE state"}): "list rows corrected",
    frozenset({"DELETE all", "DELETE state", "DELETE table", "DELETE id"}): "list rows deleted",
}
ROOT = {"PUT root", "DELETE root"}
"""What a resubmission has beside these."""

NOTES = "!notes"
"""The partition of what the app notes of its own work: nothing reads it to go on with, so to write it is no step."""

REDRIVES = {"PUT": "redrive begun", "PATCH": "redrive done", "DELETE": "redrives deleted"}

_PART = re.compile(r"^([A-Z]+) http://[^/]+/\w+/(\S+) HTTP/1\.1\r?\n", re.MULTILINE)
_ENTITY = re.compile(r"(\w+)(?:\(PartitionKey='(.*)',RowKey='(.*)'\))?$")

type Row = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """A write of one row."""

    method: str
    table: str
    partition: str
    row: str
    columns: Row = field(default_factory=dict)


class Steps:
    """Names writes. It remembers the rows that were written, since some steps are told by what was there before."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], Row] = {}

    def name(self, request: Request) -> str | None:
        """The step that a request is; None for a read, and for what is none."""
        if request.method == "GET":
            return None
        name = None
        if request.server == "adx":
            name = "blobs submitted"
        elif request.server == "grid":
            name = "event sent"
        elif request.server == "queue":
            name = _queue_step(request)
        elif request.path.endswith("/Tables"):
            name = "table created"
        else:
            changes = changes_of(request)
            if all(change.partition == NOTES for change in changes):
                return None
            name = self._table_step(changes)
        return name or f"unnamed: {request.method} {request.path} {request.body.decode()}"

    def took_effect(self, request: Request, answer: Answer) -> bool:
        """Whether a write changed anything; the rows are remembered as they are then."""
        # A transaction says inside that it is refused; 204 to a PUT is the creation of a queue that is there.
        is_refused = answer.status >= 400 or b"\r\nHTTP/1.1 4" in answer.body
        if is_refused or (request.server == "queue" and request.method == "PUT" and answer.status == 204):
            return False
        if request.server == "table" and not request.path.endswith("/Tables"):
            for change in changes_of(request):
                self._rows[change.table, change.partition, change.row] = change.columns
        return True

    def _table_step(self, changes: Sequence[Change]) -> str | None:
        match sorted({change.table for change in changes}):
            case ["OutstandingOperations"]:
                writes = {f"{each.method} {each.row.split('|')[0]}" for each in changes}
                return OUTSTANDING.get(frozenset(writes - ROOT))
            case ["IngestionOperations"]:
                return self._operation_step(changes[0])
            case ["IngestionBlobs"]:
                return self._blobs_step(changes)
            case ["IngestionRedrives"]:
                return REDRIVES.get(changes[0].method)
        return None

    def _operation_step(self, change: Change) -> str | None:
        if change.method != "PATCH":
            return {"POST": "operation row inserted", "DELETE": "operation row deleted"}.get(change.method)
        if change.columns["State"] == "InProgress":
            return "progress shown"
        before = self._before(change)
        if "SettledAt" not in before:
            return "operation ended"
        is_counted = before["RetriedBlobs"] != change.columns["RetriedBlobs"]
        return "blobs counted" if is_counted else "operation corrected"

    def _blobs_step(self, changes: Sequence[Change]) -> str | None:
        if all(change.method == "DELETE" for change in changes):
            return "results deleted"
        if [(change.method, change.row) for change in changes] == [("POST", "!operation")]:
            return "pointer inserted"
        # The pointer is marked in the transaction of the first blobs.
        changes = [change for change in changes if change.row != "!operation"]
        if any("ClaimedBy" in change.columns for change in changes):
            return "blobs claimed"
        states = {change.columns.get("RetryState", "") for change in changes}
        if any("ClaimedBy" in self._before(change) for change in changes) and states == {"Enqueued"}:
            return "claims released"
        if any(change.method == "POST" for change in changes) or states <= {"", "Pending"}:
            return "blobs taken up" if any("RedrivenAt" in change.columns for change in changes) else "blobs written"
        return f"blobs {states.pop()}" if len(states) == 1 else None

    def _before(self, change: Change) -> Row:
        return self._rows.get((change.table, change.partition, change.row), {})


def changes_of(request: Request) -> list[Change]:
    """The rows that a request to the tables writes."""
    text = request.body.decode()
    if not request.path.endswith("/$batch"):
        _, _, entity = urlsplit(request.path).path.lstrip("/").partition("/")
        return [_change(request.method, entity, text)]
    parts = re.split(r"^--changeset\S*\r?\n", text, flags=re.MULTILINE)[1:]
    found = [(found, part) for part in parts if (found := _PART.search(part))]
    return [_change(match[1], match[2], part[match.end() :]) for match, part in found]


def _change(method: str, entity: str, text: str) -> Change:
    found = _ENTITY.fullmatch(unquote(entity))
    assert found, entity
    content = re.search(r"^\{.*\}", text, re.MULTILINE)
    columns = json.loads(content[0]) if content else {}
    partition, row = (found[2], found[3]) if found[3] else (columns["PartitionKey"], columns["RowKey"])
    return Change(method, found[1], partition, row, columns)


def _queue_step(request: Request) -> str | None:
    _, queue, *path = urlsplit(request.path).path.strip("/").split("/")
    match request.method, path:
        case "PUT", []:
            return "queue created"
        case "DELETE", ["messages", _] if queue.endswith("-poison"):
            return "poison message removed"
        case "POST", ["messages"]:
            return _message_step(queue, request)
    return None


def _message_step(queue: str, request: Request) -> str:
    if queue.endswith("-poison"):
        return "refused message kept"
    if queue.startswith("operations-queue"):
        return "poison message sent back"
    if queue.startswith("results-queue"):
        return "result sent"
    if queue.startswith("poll-queue"):
        return "batch sent"
    text = ET.fromstring(request.body).findtext("MessageText") or ""  # noqa: S314, of this app
    return "retry message put back" if json.loads(text)["putBacks"] else "retry message sent"
