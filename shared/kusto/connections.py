"""Connections on which a request is over when its time is up, whatever the server does.

The time-outs of ``requests`` are between two bytes, so that a server that sends one now and then holds its client up
for ever. Here the socket's time-out is set anew before each send and each receive, to what is left of the time for the
whole: for the handshake of TLS, the headers, the lines between chunks and the body alike. What remains unlimited is the
look-up of the host's name, which the system bounds, and each of several addresses of a name is given its time.

``requests`` and ``urllib3`` open a connection, with the environment's proxies and authorities, and ask once over it.
Most of what they do for each further request is for nothing here: redirects, repeats, cookies, copies of headers. So
those are sent, and their answers read, by what ``urllib3``'s connections are made from: the standard library's.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, IncompleteRead
from io import BufferedReader, RawIOBase
from queue import Empty, Full
from socket import socket
from ssl import SSLError, SSLSocket
from typing import Any, override

import requests
import urllib3
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from shared.endpoints import is_loopback

type Answered = HTTPResponse | urllib3.HTTPResponse
"""An answer whose body is still to be read: of the standard library, or of the libraries that opened the connection."""

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
        most = sock.gettimeout()
        seconds = self.seconds(most)
        # Each setting is a call of the system.
        if seconds != most:
            sock.settimeout(seconds)

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


class Interim(HTTPException):
    """The answer itself is still to come."""


class Route:
    """The way to one origin: connections that are kept, and what the environment says of it."""

    def __init__(self, origin: str, *, concurrency: int) -> None:
        self._adapter = TimedAdapter(origin, concurrency=concurrency)
        environment = requests.Session().merge_environment_settings(origin, {}, stream=True, verify=None, cert=None)
        self._settings: dict[str, Any] = {**environment}
        if is_loopback(origin):
            self._settings["proxies"] = {}

    @contextmanager
    def ask(self, request: PreparedRequest, exchange: Exchange, timeout: tuple[float, float]) -> Iterator[Answered]:
        """Send a request of this origin; its answer is read within.

        Args:
            request: The request.
            exchange: What it is, with its answer.
            timeout: Seconds to connect, and between two bytes.

        Raises:
            RequestException: there is no answer. What reading its body raises is an error of whoever answered.
            Interim: there is only one that announces it.
        """
        before = _current.set(exchange)
        try:
            pool = self._adapter.pool
            connection = pool and pool.take()
            if pool and connection:
                url = self._adapter.request_url(request, self._settings["proxies"])
                yield from pool.ask(connection, request, url, timeout[1])
            else:
                with closing(self._adapter.send(request, timeout=timeout, **self._settings)) as response:
                    yield _last_word(response.raw)
        finally:
            _current.reset(before)

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()


def _last_word(answer: Answered) -> Answered:
    """The answer.

    Raises:
        Interim: it is none yet. Read as that of the next request on this connection, it would be somebody else's.
    """
    if answer.status < HTTPStatus.OK:
        raise Interim(f"only HTTP {answer.status}, which announces one")
    return answer


def decoded(answer: Answered) -> Answered:
    """The answer, its body without the compression that it says it has."""
    if isinstance(answer, HTTPResponse):
        if "Content-Encoding" not in answer.headers:
            return answer
        headers = HTTPHeaderDict(answer.headers.items())
        answer = urllib3.HTTPResponse(answer, headers, answer.status, preload_content=False)
    answer.decode_content = True
    return answer


class TimedAdapter(HTTPAdapter):
    """Opens connections that keep to the time of the exchange, to a server or through a proxy.

    All its requests are of one origin and one way there.
    """

    def __init__(self, origin: str, *, concurrency: int) -> None:
        super().__init__(pool_maxsize=concurrency, max_retries=0)
        self._origin = origin
        self.pool: _TimedPool | None = None

    @override
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        # The connections to a proxy for SOCKS are not of ours.
        self.pool = pool if isinstance(pool, _TimedPool) else None
        return pool

    @override
    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        # What is behind a proxy is asked through a tunnel, and by its path as well.
        return str(request.url).removeprefix(self._origin)

    @override
    def close(self) -> None:
        self.pool = None
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

    @override
    def read1(self, n: int = -1) -> bytes:
        part = super().read1(n)
        if n and not part and self.length:
            raise IncompleteRead(part, self.length)
        return part


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

    @property
    @override
    def is_connected(self) -> bool:
        # What TLS has unpacked is not to be seen on the socket.
        return super().is_connected and not (isinstance(self.sock, SSLSocket) and self.sock.pending())

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

    def exchange(self, request: PreparedRequest, url: str, timeout: float) -> HTTPResponse:
        """Send a request over what is connected, and read the answer but for its body.

        Raises:
            RequestException: there is none.
        """
        plain: Any = super(HTTPConnection, self)
        if self.sock.gettimeout() != timeout:
            self.sock.settimeout(timeout)
        try:
            # A server may answer before it has taken all of it.
            with suppress(BrokenPipeError, ConnectionResetError):
                plain.request(request.method, url, request.body, request.headers)
            answer: HTTPResponse = plain.getresponse()
        except TimeoutError as error:
            raise requests.ReadTimeout from error
        except SSLError as error:
            raise requests.exceptions.SSLError from error
        except (OSError, HTTPException) as error:
            raise requests.ConnectionError from error
        return answer


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    """The same over TLS."""


class _TimedPool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection

    def take(self) -> _TimedConnection | None:
        """A connection that was kept and is open, and over which nothing came that nobody had asked for."""
        with suppress(Empty):
            while (kept := self.pool) is not None:
                connection: _TimedConnection | None = kept.get(block=False)
                if connection is not None and connection.is_connected:
                    return connection
                if connection is not None:
                    connection.close()
        return None

    def ask(
        self, connection: _TimedConnection, request: PreparedRequest, url: str, timeout: float
    ) -> Iterator[Answered]:
        """Ask over a connection that was taken, which is kept again if the answer is read to its end."""
        is_whole = False
        try:
            with closing(connection.exchange(request, url, timeout)) as answer:
                yield _last_word(answer)
                is_whole = answer.isclosed()
        finally:
            # What is left of an answer would be the beginning of the next one.
            if is_whole:
                self.keep(connection)
            else:
                connection.close()

    def keep(self, connection: _TimedConnection) -> None:
        """Keep a connection for the next request, unless there are enough, or the pool is closed."""
        with suppress(Full):
            if (kept := self.pool) is not None:
                kept.put(connection, block=False)
                return
        connection.close()


class _TimedTlsPool(_TimedPool, HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


def _use_timed_connections(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedTlsPool}
