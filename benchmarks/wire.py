"""Counts requests where they pass: a proxy on loopback before Azurite and the ADX simulator.

It passes on each request as it came, so that a signature stays good: Azurite signs the path, with the account in it,
and headers, and takes its own address from ``Host``. It counts a request before it passes it on, repetitions included,
as a bill does. An entity group transaction (``$batch``) is one request, however many rows it writes: "an entity group
transaction counts as a single transaction for billing purposes",
https://learn.microsoft.com/azure/storage/tables/storage-performance-checklist#batching
"""

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from local.adx_simulator import AdxSimulator
from local.adx_simulator.routes import route
from local.azurite import Azurite
from local.azurite.service import connection_string

HOST = "127.0.0.1"
STORAGE = ("blob", "queue", "table")
ADX = "adx"

_LARGEST = 64 * 1024 * 1024
_CONNECTIONS = 128
# Azurite closes an idle connection after 5 seconds: one that is about to be closed must not be used again.
_KEEP_ALIVE_SECONDS = 2.0
_START_SECONDS = 60.0
# They are of one connection, and the proxy has two.
_OF_A_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding"})
_NOT_MADE_UP = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_NAME = re.compile(r"[\w-]*")
_OF_A_PART = re.compile(rb"\n(?:POST|PUT|PATCH|MERGE|DELETE) \S+?//[^/]+/[^/]+/(\w+)")
_PART = b"Content-Type: application/http"


@dataclass(frozen=True, slots=True)
class Asked:
    """What requests that count alike have in common.

    Attributes:
        service: blob, queue, table or adx.
        method: Of HTTP.
        kind: What it is for, such as ``query``, ``transaction`` or ``put``.
        resource: The table or queue; "" where there is none.
    """

    service: str
    method: str
    kind: str
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests that have passed, and the rows that were written or read with them."""

    requests: Mapping[Asked, int] = field(default_factory=dict)
    rows: Mapping[Asked, int] = field(default_factory=dict)

    def of(self, *services: str, kind: str = "", resource: str = "") -> int:
        """How many requests services got; of one kind, or about one table or queue, if it is named."""
        return sum(
            count
            for asked, count in self.requests.items()
            if asked.service in services and kind in {"", asked.kind} and resource in {"", asked.resource}
        )

    @property
    def storage(self) -> int:
        """Transactions of the storage account: what it bills."""
        return self.of(*STORAGE)

    @property
    def adx(self) -> int:
        """Requests that ADX got."""
        return self.of(ADX)

    def about(self, service: str) -> "Tally":
        """What one service got."""
        requests, rows = (
            {asked: count for asked, count in counts.items() if asked.service == service}
            for counts in (self.requests, self.rows)
        )
        return Tally(requests, rows)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(_sum(self.requests, other.requests), _sum(self.rows, other.rows))


def _sum(one: Mapping[Asked, int], other: Mapping[Asked, int]) -> Mapping[Asked, int]:
    return Counter(one) + Counter(other)


class Counting:
    """Counts what passes, from any thread."""

    def __init__(self) -> None:
        self._requests: Counter[Asked] = Counter()
        self._rows: Counter[Asked] = Counter()
        self._lock = threading.Lock()

    def count(self, asked: Asked, rows: int) -> None:
        """Count a request."""
        with self._lock:
            self._requests[asked] += 1
            if rows:
                self._rows[asked] += rows

    def add_rows(self, asked: Asked, rows: int) -> None:
        """Count rows that came back."""
        with self._lock:
            self._rows[asked] += rows

    def take(self) -> Tally:
        """What passed since the last time."""
        with self._lock:
            tally = Tally(self._requests, self._rows)
            self._requests, self._rows = Counter(), Counter()
        return tally


def kind_of(service: str, method: str, raw_path: str) -> str:
    """What a request is for, from its method and its path as it came."""
    path, _, query = raw_path.partition("?")
    match service:
        case "table":
            return _table_kind(method, path)
        case "queue":
            return _queue_kind(method, path)
        case "adx":
            kind = route(method, path).kind
            return f"{kind} with details" if kind == "status" and "details=true" in query.lower() else kind
    return "blob"


def _table_kind(method: str, path: str) -> str:
    if path.endswith("/$batch"):
        return "transaction"
    if path.endswith("/Tables") or "/Tables(" in path:
        return "table"
    if method == "GET":
        return "get" if "(PartitionKey=" in path else "query"
    return {"POST": "insert", "DELETE": "delete"}.get(method, "update")


def _queue_kind(method: str, path: str) -> str:
    if "/messages" not in path:
        return "queue"
    return {"GET": "get", "POST": "put", "DELETE": "delete"}.get(method, "update")


def resource_of(service: str, raw_path: str, body: bytes) -> str:
    """The table or queue that a request is about, in a transaction that of its first part."""
    if service not in {"table", "queue"}:
        return ""
    # After the account's name.
    name = raw_path.split("/")[2] if raw_path.count("/") > 1 else ""
    if name.startswith("$batch"):
        found = _OF_A_PART.search(body)
        return found[1].decode() if found else ""
    return _NAME.match(name)[0]  # type: ignore[index]  # it matches anything


@dataclass(frozen=True, slots=True)
class _Target:
    """A service behind the proxy."""

    service: str
    origin: str


class Wire:
    """The proxy, with a port for each service.

    Attributes:
        counting: What has passed.
        connection_string: Of the storage account, through the proxy.
        adx_uri: Of the simulator, through the proxy; empty without one.
    """

    def __init__(self, azurite: Azurite, adx: AdxSimulator | None = None) -> None:
        self.counting = Counting()
        endpoints = (azurite.blob_endpoint, azurite.queue_endpoint, azurite.table_endpoint)
        targets = [_Target(service, _origin(url)) for service, url in zip(STORAGE, endpoints, strict=True)]
        if adx is not None:
            targets.append(_Target(ADX, _origin(adx.uri)))
        self._targets = targets
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._ports: Future[list[int]] = Future()
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)

    def start(self) -> None:
        """Begin to pass requests on."""
        self._thread.start()
        blob, queue, table, *adx = self._ports.result(_START_SECONDS)
        self.connection_string = connection_string((blob, queue, table))
        self.adx_uri = f"http://{HOST}:{adx[0]}" if adx else ""

    def stop(self) -> None:
        """Stop passing requests on."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def take(self) -> Tally:
        """What passed since the last time."""
        return self.counting.take()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._ports.done():
                    raise
                self._ports.set_exception(error)

    async def _serve(self) -> None:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_SECONDS)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            runners = [await _listen(_Handler(session, target, self.counting)) for target in self._targets]
            self._ports.set_result([runner.addresses[0][1] for runner in runners])
            await self._stopped.wait()
            for runner in runners:
                await runner.cleanup()


async def _listen(handler: "_Handler") -> web.AppRunner:
    application = web.Application(client_max_size=_LARGEST)
    # Routing by the path as it came: aiohttp's decodes it.
    application.router.add_route("*", "/{path:.*}", handler.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    return runner


@dataclass(frozen=True, slots=True)
class _Handler:
    """Passes on what one service is asked."""

    session: aiohttp.ClientSession
    target: _Target
    counting: Counting

    async def handle(self, request: web.Request) -> web.Response:
        """Count a request, pass it on, and pass the answer back."""
        body = await request.read()
        service = self.target.service
        kind = kind_of(service, request.method, request.raw_path)
        asked = Asked(service, request.method, kind, resource_of(service, request.raw_path, body))
        self.counting.count(asked, _rows_written(asked, body))
        url = URL(self.target.origin + request.raw_path, encoded=True)
        async with self.session.request(
            request.method,
            url,
            headers=_passed_on(request.headers),
            # None: else a Content-Type is made up, and it is among what is signed.
            data=body or None,
            skip_auto_headers=_NOT_MADE_UP,
            allow_redirects=False,
        ) as answer:
            answered = await answer.read()
            if asked.kind == "query":
                self.counting.add_rows(asked, _rows_read(answered))
            return web.Response(status=answer.status, body=answered, headers=_passed_on(answer.headers))


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    kept = ((name, value) for name, value in headers.items() if name.lower() not in _OF_A_CONNECTION)
    return CIMultiDict(kept)


def _rows_written(asked: Asked, body: bytes) -> int:
    if asked.service != "table":
        return 0
    if asked.kind == "transaction":
        return body.count(_PART)
    return int(asked.kind in {"insert", "update", "delete"})


def _rows_read(answered: bytes) -> int:
    try:
        return len(json.loads(answered)["value"])
    except (ValueError, KeyError, TypeError):
        # An error, which has no rows.
        return 0


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
