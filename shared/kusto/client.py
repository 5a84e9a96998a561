"""The three calls of ADX's ingestion REST API and one management command, over one pool of connections.

No redirect is followed, no cookie kept, no netrc's credentials mixed in. An answer has a limit of size, and a call one
of time for all that it takes: connecting, sending, the whole answer, and what is repeated.

Of the environment, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` are honoured, as a company may let nothing out but
through its proxy: it passes the TLS on, and sees the host's name and no token. An endpoint on this machine is never
asked through one. ``REQUESTS_CA_BUNDLE`` names the authorities that a server's certificate may come from. They are
read when a cluster is first asked. See
https://learn.microsoft.com/kusto/api/rest/queued-ingest-use-http and .../queued-ingest-status-http.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import quote

import requests
from requests import PreparedRequest
from urllib3.exceptions import HTTPError

from shared.ambient import Ambient
from shared.endpoints import Endpoints
from shared.errors import (
    AccessRefused,
    EndpointNotAllowed,
    OperationNotFound,
    RequestRejected,
    RoleMissing,
    Throttled,
    Unavailable,
)
from shared.kusto.answers import (
    NoStatus,
    read_error,
    read_long_status,
    read_most_blobs,
    read_operation_id,
    read_status,
)
from shared.kusto.bulk import read_bulk, write_command
from shared.kusto.connections import Answered, Exchange, Interim, Route, decoded
from shared.kusto.tokens import Tokens
from shared.model import BlobSource, BulkStatus, IngestionLimits, Json, Operation, Properties, StatusReport
from shared.redaction import redact

VERSION = "0.1.0"

_MANAGEMENT = "/v1/rest/mgmt"
_MOST_BYTES = 16 * 1024 * 1024
_DETAILS = "?details=true"
_MOST_BYTES_OF_DETAILS = 256 * 1024 * 1024
"""Those of 100 thousand blobs have 25 to 40 MiB, and more where many have failed."""
_MOST_IN_MEMORY = 1024 * 1024
_LONGEST_WAIT = timedelta(hours=1)
_CHUNK = 64 * 1024
_LONGEST_ACTIVITY_ID = 100
_ROLES = (
    "The app's identity needs Ingestor on the table and User on the database: "
    ".add table {table} ingestors ('aadapp=<client ID>;<tenant ID>') and "
    ".add database {database} users ('aadapp=<client ID>;<tenant ID>')"
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, between two bytes, and for a whole call, from its first byte to the last of its answer."""

    connect: float = 10.0
    read: float = 20.0
    whole: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Details that are too long for memory are in ``file``, and ``body`` is empty."""

    status: int
    body: bytes = field(repr=False)
    retry_after: timedelta | None
    request_id: str
    activity_id: str = field(repr=False)
    file: IO[bytes] | None = field(default=None, repr=False)


class KustoClient:
    """Asks and submits. Safe to use from many threads."""

    def __init__(
        self,
        tokens: Tokens,
        endpoints: Endpoints,
        *,
        concurrency: int,
        ambient: Ambient,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._tokens = tokens
        self._endpoints = endpoints
        self._ambient = ambient
        self._concurrency = concurrency
        timeouts = timeouts or Timeouts()
        self._timeout = timeouts.connect, timeouts.read
        self._whole = timeouts.whole
        self._routes: dict[str, Route] = {}

    def close(self) -> None:
        """Close the connections."""
        for route in self._routes.values():
            route.close()

    def status(self, operation: Operation, *, details: bool) -> StatusReport:
        """What ADX says of an operation, with ``details`` of each blob.

        Raises:
            KustoError: as ``shared.errors`` lists them.
        """
        path = _queued_path(operation.database, operation.table, operation.operation_id)
        answer = self._get(operation.cluster, path + (_DETAILS if details else "?details=false"))
        if answer.status == requests.codes.not_found:
            raise OperationNotFound(f"ADX does not know the operation ({_described(answer)})")
        _check(answer, database=operation.database, table=operation.table)
        if answer.file is None:
            return _read(answer, read_status)
        with answer.file as file:
            return _read(answer, lambda _: read_long_status(file))

    def bulk_status(self, operations: Sequence[Operation]) -> Mapping[Operation, BulkStatus]:
        """What ADX says of many operations of one database, in one answer; those that it doesn't show are missing.

        It only reads, so it is sent once more if the connection broke. How many operations one command takes is
        ``bulk.MOST_OPERATIONS``.

        Raises:
            KustoError: as ``shared.errors`` lists them.
        """
        first = operations[0]
        command = write_command(each.operation_id for each in operations)
        body = json.dumps({"db": first.database, "csl": command}).encode()
        answer = self._ask("POST", first.cluster, _MANAGEMENT, body)
        if answer.status == requests.codes.not_found:
            raise RequestRejected(f"ADX does not know the database or the command ({_described(answer)})")
        _check(answer, database=first.database)
        shown = _read(answer, read_bulk)
        return {each: shown[each.operation_id] for each in operations if each.operation_id in shown}

    def submit(self, parent: Operation, blobs: Sequence[BlobSource], properties: Properties) -> str | None:
        """Submit blobs to the table of ``parent`` in one request. It is never repeated here.

        Returns:
            The new operation's ID, None if the service gave none.

        Raises:
            KustoError: as ``shared.errors`` lists them, with ``maybe_accepted`` set where no answer says otherwise.
        """
        content: dict[str, Json] = {
            "timestamp": self._ambient.now().astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "blobs": [_source_fields(blob) for blob in blobs],
            "properties": {**properties, "enableTracking": True},
        }
        try:
            body = json.dumps(content, allow_nan=False).encode()
        except ValueError:
            raise RequestRejected("the request can't be written as JSON; nothing was sent") from None
        path = _queued_path(parent.database, parent.table)
        answer = self._authorized("POST", parent.cluster, path, self._ends(), body)
        if answer.status == requests.codes.not_found:
            raise RequestRejected(f"ADX does not know the database or the table ({_described(answer)})")
        try:
            _check(answer, database=parent.database, table=parent.table)
            return _read(answer, read_operation_id)
        except Unavailable as error:
            # A 4xx says that it was not; any other answer without an ID leaves it open.
            error.maybe_accepted = not 400 <= answer.status < 500  # noqa: PLR2004, HTTP
            raise

    def limits(self, cluster: str) -> IngestionLimits:
        """The limits that the cluster's configuration gives.

        Raises:
            KustoError: as ``shared.errors`` lists them.
        """
        answer = self._get(cluster, "/v1/rest/ingestion/configuration")
        _check(answer)
        most = _read(answer, read_most_blobs)
        return IngestionLimits(most) if most else IngestionLimits()

    def _get(self, cluster: str, path: str) -> Answer:
        return self._ask("GET", cluster, path)

    def _ask(self, method: str, cluster: str, path: str, body: bytes | None = None) -> Answer:
        """Ask, and once more if the connection broke: one that was kept open may have been closed meanwhile."""
        ends = self._ends()
        try:
            return self._authorized(method, cluster, path, ends, body)
        except Unavailable as error:
            if not isinstance(error.__context__, requests.ConnectionError):
                raise
            return self._authorized(method, cluster, path, ends, body)

    def _ends(self) -> float:
        """When a call that begins now is over, by the monotonic clock."""
        return time.monotonic() + self._whole

    def _authorized(self, method: str, cluster: str, path: str, ends: float, body: bytes | None = None) -> Answer:
        """Send with a token, and once more with a fresh one after a 401.

        Raises:
            EndpointNotAllowed: the settings don't name the cluster, or not any more.
        """
        if not self._endpoints.allow(cluster):
            raise EndpointNotAllowed(f"{cluster} is neither KUSTO_INGEST_URI nor in KUSTO_ALLOWED_INGEST_URIS")
        route = self._routes.get(cluster)
        if route is None:
            route = self._routes.setdefault(cluster, Route(cluster, concurrency=self._concurrency))
        request = _prepared(method, cluster + path, body)
        token, took = self._token(cluster)
        answer = self._send(route, request, token, ends + took)
        if answer.status == requests.codes.unauthorized:
            self._tokens.discard(cluster, token)
            fresh, took_again = self._token(cluster)
            answer = self._send(route, request, fresh, ends + took + took_again)
        return answer

    def _token(self, cluster: str) -> tuple[str, float]:
        """A token, and the seconds that it took: they are none of the call's, or a POST might be cut short for them."""
        began = time.monotonic()
        token = self._tokens.token(cluster)
        return token, time.monotonic() - began

    def _send(self, route: Route, request: PreparedRequest, token: str, ends: float) -> Answer:
        request_id = f"AdxIngestionTracker;{self._ambient.new_id()}"
        request.headers["x-ms-client-request-id"] = request_id
        request.headers["Authorization"] = f"Bearer {token}"
        exchange = Exchange(ends)
        try:
            with route.ask(request, exchange, self._timeout) as answer:
                body = _body(decoded(answer), may_be_long=str(request.url).endswith(_DETAILS))
                return Answer(
                    status=answer.status,
                    body=body if isinstance(body, bytes) else b"",
                    file=None if isinstance(body, bytes) else body,
                    retry_after=_retry_after(answer.headers.get("Retry-After"), self._ambient.now),
                    request_id=request_id,
                    activity_id=answer.headers.get("x-ms-activity-id", "none"),
                )
        # What can't be a header's text is a ValueError.
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            raise Unavailable(
                f"no answer: {_kind(error, exchange)} (request {request_id})",
                maybe_accepted=request.method == "POST" and exchange.is_connected,
                # The libraries quote what was sent and what came.
            ) from None


class _NoAnswer(OSError):
    """What came is too long, or none that this client has asked for."""


_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"AdxIngestionTracker/{VERSION}",
    "x-ms-app": "AdxIngestionTracker",
    "x-ms-user": "AdxIngestionTracker",
    "x-ms-client-version": f"AdxIngestionTracker:{VERSION}",
    "x-ms-version": "2024-12-12",
}


def _prepared(method: str, url: str, body: bytes | None) -> PreparedRequest:
    """A request but for its ID and token. Nothing in it needs what ``prepare`` would look through anew each time."""
    # A plain dictionary: one for names in any casing is copied for each request, name by name.
    headers: Any = dict(_HEADERS)
    if body is not None:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    request = PreparedRequest()
    request.method, request.url, request.headers, request.body = method, url, headers, body
    return request


def _queued_path(*parts: str) -> str:
    return "/".join(["/v1/rest/ingestion/queued", *(quote(part, safe="") for part in parts)])


def _source_fields(blob: BlobSource) -> dict[str, Json]:
    fields: dict[str, Json] = {"url": blob.url, "sourceId": blob.source_id, "rawSize": blob.raw_size}
    return {name: value for name, value in fields.items() if value is not None}


def _body(response: Answered, *, may_be_long: bool) -> bytes | IO[bytes]:
    """The whole body, read as it arrives; in a file without a name if it is a long one that may be.

    Raises:
        _NoAnswer: it is too large, or no body that can be read in time.
    """
    if "," in response.headers.get("Content-Encoding", ""):
        # What is packed twice can say nothing for hours, in no more bytes than a packet has.
        raise _NoAnswer("it is compressed more than once")
    may_be_long = may_be_long and response.status == requests.codes.ok
    body = bytearray()
    for part in _parts(response, _MOST_BYTES_OF_DETAILS if may_be_long else _MOST_BYTES):
        body += part
        if may_be_long and len(body) > _MOST_IN_MEMORY:
            return _in_file(body, response)
    return bytes(body)


def _parts(response: Answered, most: int, size: int = 0) -> Iterator[bytes]:
    """What is left of a body of which ``size`` bytes were read.

    Raises:
        _NoAnswer: there are more than ``most`` bytes of it all.
    """
    # read1 returns with what has come; read would wait for a full buffer, for as long as a byte comes now and then.
    while part := response.read1(_CHUNK):
        size += len(part)
        if size > most:
            raise _NoAnswer(f"more than {most} bytes")
        yield part


def _in_file(begun: bytes | bytearray, response: Answered) -> IO[bytes]:
    with ExitStack() as stack:
        file = stack.enter_context(TemporaryFile())
        file.write(begun)
        file.writelines(_parts(response, _MOST_BYTES_OF_DETAILS, len(begun)))
        file.seek(0)
        # It is whole: whoever reads it closes it.
        stack.pop_all()
    return file


def _check(answer: Answer, *, database: str = "<database>", table: str = "<table>") -> None:
    """Nothing, if the status is 200 or another 2xx.

    Raises:
        KustoError: the one that the status stands for.
    """
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004, HTTP
        return
    said = _described(answer)
    if status == requests.codes.unauthorized:
        raise AccessRefused(f"ADX refuses the app's token ({said}). {_ROLES.format(database=database, table=table)}")
    if status == requests.codes.forbidden:
        raise RoleMissing(f"ADX refuses the app's identity ({said}). {_ROLES.format(database=database, table=table)}")
    if status == requests.codes.too_many_requests:
        raise Throttled(f"ADX asks for fewer requests ({said})", retry_after=answer.retry_after)
    is_lasting = read_error(answer.body)[1] is not False
    if 400 <= status < 500 and status != requests.codes.request_timeout and is_lasting:  # noqa: PLR2004, HTTP
        raise RequestRejected(f"ADX rejects the request ({said})")
    raise Unavailable(f"ADX can't answer now ({said})", retry_after=answer.retry_after)


def _read[T](answer: Answer, read: Callable[[bytes], T]) -> T:
    try:
        return read(answer.body)
    except NoStatus as error:
        raise Unavailable(f"the answer can't be used: {error} ({_described(answer)})") from None


def _described(answer: Answer) -> str:
    text, _ = read_error(answer.body)
    request, activity = f"request {answer.request_id}", f"activity {_readable(answer.activity_id)}"
    return ", ".join(filter(None, (f"HTTP {answer.status}", text, request, activity)))


def _retry_after(value: str | None, now: Callable[[], datetime]) -> timedelta | None:
    """``Retry-After``: seconds or an HTTP date, an hour at the most."""
    if not value:
        return None
    try:
        wait = timedelta(seconds=min(int(value), 10**6)) if value.isdecimal() else parsedate_to_datetime(value) - now()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta()), _LONGEST_WAIT)


def _readable(activity_id: str) -> str:
    """The service's name for what it did, by which its support finds it."""
    activity_id = redact(activity_id)[:_LONGEST_ACTIVITY_ID]
    return "".join(character for character in activity_id if character.isprintable())


def _kind(error: BaseException, exchange: Exchange) -> str:
    """What happened, without the URL that the libraries put into their texts."""
    if isinstance(error, _NoAnswer | Interim):
        return str(error)
    reason = getattr(error.args[0], "reason", None) if error.args else None
    names = " of ".join(dict.fromkeys(type(each).__name__ for each in (reason, error) if each is not None))
    return f"the time for it is over ({names})" if exchange.is_over else names
