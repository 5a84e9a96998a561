"""Connections on which a request is over when its time is up, whatever the server does.

The time-outs of ``requests`` are between two bytes, so that a server that sends one now and then holds its client up
for ever. Here the socket's time-out is set anew before each send and each receive, to what is left of the time for the
whole: for the handshake of TLS, the headers, the lines between chunks and the body alike. What remains unlimited is the
look-up of the host's name, which the system bounds, and each of several addresses of a name is given its time.

Most of what a call costs ``requests`` is to find out what is the same for each call of a cluster: the environment's
proxies and authorities, the pool of connections, cookies. A ``Route`` finds that out once.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from socket import socket
from typing import Any, override

import requests
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from shared.endpoints import is_loopback

_PIECE = 16 * 1024
"""Bytes that are sent under one time-out: TLS sends a record, which has no more, under each."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer: when it ends by the monotonic clock, and whether the server may have seen it."""

    ends: float
    is_connected: bool = False

    def limit(self, sock: socket) -> None:
        """Let the socket's next step take no longer than what is left of the exchange.

        Raises:
            TimeoutError: nothing is left.
        """
        sock.settimeout(self.seconds(sock.gettimeout()))

    def seconds(self, most: float | None) -> float:
        """``most`` seconds, or what is left.

        Raises:
            TimeoutError: nothing is left.
        """
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the whole answer is over")
        return left if most is None else min(left, most)

    @property
    def is_over(self) -> bool:
        """Whether its time is up."""
        return time.monotonic() >= self.ends


_current: ContextVar[Exchange] = ContextVar("exchange")


@contextmanager
def exchange_until(ends: float) -> Iterator[Exchange]:
    """What is sent and read within, by this thread and over a ``TimedAdapter``, is one exchange."""
    exchange = Exchange(ends)
    before = _current.set(exchange)
    try:
        yield exchange
    finally:
        _current.reset(before)


class Route:
    """The way to one origin: connections that are kept, and what the environment says of it."""

    def __init__(self, origin: str, *, concurrency: int) -> None:
        self._adapter = TimedAdapter(origin, concurrency=concurrency)
        environment = requests.Session().merge_environment_settings(origin, {}, stream=True, verify=None, cert=None)
        self._settings: dict[str, Any] = {**environment}
        if is_loopback(origin):
            self._settings["proxies"] = {}

    def send(self, request: PreparedRequest, timeout: tuple[float, float]) -> Response:
        """Send a request of this origin; the body of its answer is still to be read.

        Args:
            request: The request.
            timeout: Seconds to connect, and between two bytes.

        Raises:
            RequestException: there is none.
        """
        return self._adapter.send(request, timeout=timeout, **self._settings)

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()


class TimedAdapter(HTTPAdapter):
    """Opens connections that keep to the time of the exchange, to a server or through a proxy.

    All its requests are of one origin and one way there.
    """

    def __init__(self, origin: str, *, concurrency: int) -> None:
        super().__init__(pool_maxsize=concurrency, max_retries=0)
        self._origin = origin
        self._pool: Any = None

    @override
    def get_connection_with_tls_context(self, request: PreparedRequest, verify: Any, *way: Any, **more: Any) -> Any:
        if self._pool is None:
            pool = super().get_connection_with_tls_context(request, verify, *way, **more)
            super().cert_verify(pool, self._origin, verify, None)  # type: ignore[no-untyped-call]
            self._pool = pool
        return self._pool

    @override
    def cert_verify(self, *_: Any) -> None:
        """Done when the pool was made."""

    @override
    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        # What is behind a proxy is asked through a tunnel, and by its path as well.
        return str(request.url).removeprefix(self._origin)

    @override
    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        response = Response()
        response.request, response.status_code, response.raw = req, resp.status, resp
        return response

    @override
    def close(self) -> None:
        self._pool = None
        super().close()

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_timed_connections(self.poolmanager)

    @override
    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        # One for SOCKS has connections of its own, without which the proxy would be passed by.
        if isinstance(manager, ProxyManager):
            _use_timed_connections(manager)
        return manager


class _TimedReader(RawIOBase):
    """What a socket receives."""

    def __init__(self, sock: socket, received: RawIOBase) -> None:
        self._sock = sock
        self._received = received
        self._exchange = _current.get()

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any, /) -> int | None:
        self._exchange.limit(self._sock)
        return self._received.readinto(buffer)

    @override
    def close(self) -> None:
        self._received.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """Reads all that it reads, the answer of a proxy to CONNECT too, within the time of the exchange."""

    def __init__(self, sock: socket, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp = BufferedReader(_TimedReader(sock, self.fp.detach()))


class _TimedConnection(HTTPConnection):
    """Connects and sends within the time of the exchange."""

    response_class = _TimedResponse

    @override
    def connect(self) -> None:
        exchange = _current.get()
        self.timeout = exchange.seconds(self.timeout)
        super().connect()
        exchange.is_connected = True

    @override
    def _new_conn(self) -> socket:
        sock = super()._new_conn()
        try:
            # For the handshake of TLS, which takes what connecting has left.
            _current.get().limit(sock)
        except TimeoutError:
            # Nobody else knows of it yet.
            sock.close()
            raise
        return sock

    @override
    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _current.get().is_connected = True
        super().putrequest(*args, **kwargs)

    @override
    def send(self, data: Any) -> None:
        for start in range(0, len(data), _PIECE):
            if self.sock is not None:
                _current.get().limit(self.sock)
            super().send(data[start : start + _PIECE])


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    """The same over TLS."""


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


def _use_timed_connections(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedTlsPool}
