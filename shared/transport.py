"""What tables and queues have in common: connections to the account, and the making of what may be there already."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, override

import requests
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError

CONNECTIONS = 64
"""As many as there are threads, or some would be opened anew for each request."""

_FORBIDDEN = 403


class _Session(requests.Session):
    """Sends what the SDKs have made ready as it is.

    They use nothing of what a session adds to a request: it looks through the environment, a netrc file, cookies and
    defaults for each of them, which takes a quarter of its processor time. Proxies and authorities are looked for in
    the environment once an account.
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[tuple[object, ...], Any] = {}

    @override
    def request(  # type: ignore[override]  # what the SDKs' transport gives
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        data: str | bytes | None = None,
        timeout: tuple[float, float],
        verify: Any = None,
        cert: Any = None,
        stream: bool = False,
        **more: Any,
    ) -> requests.Response:
        if more.get("files") or more.get("proxies"):
            given = {"verify": verify, "cert": cert, "stream": stream, **more}
            return super().request(method, url, headers=headers, data=data, timeout=timeout, **given)
        request = requests.PreparedRequest()
        request.method, request.url, request.headers = method, url, requests.structures.CaseInsensitiveDict(headers)
        request.body = data.encode() if isinstance(data, str) else data
        if request.body is not None:
            request.headers["Content-Length"] = str(len(request.body))
        response = self.get_adapter(url).send(request, timeout=timeout, **self._way(url, verify, cert))
        if not stream:
            _ = response.content
        return response

    def _way(self, url: str, verify: Any, cert: Any) -> Any:  # noqa: ANN401, of requests
        key = _origin(url), verify, cert
        if key not in self._found:
            self._found[key] = self.merge_environment_settings(url, {}, True, verify, cert)  # noqa: FBT003, stream
        return self._found[key]


class _Adapter(HTTPAdapter):
    """Finds once what is the same for each request of an account: its connections, and what its certificate comes from.

    Nor does it look for cookies in an answer, or guess in what its text is written.
    """

    def __init__(self) -> None:
        super().__init__(pool_connections=4, pool_maxsize=CONNECTIONS)
        self._pools: dict[tuple[object, ...], Any] = {}

    @override
    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        key = _origin(str(request.url)), verify, cert, *sorted((proxies or {}).items())
        if key not in self._pools:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            super().cert_verify(pool, request.url, verify, cert)  # type: ignore[no-untyped-call]
            self._pools[key] = pool
        return self._pools[key]

    @override
    def cert_verify(self, *_: Any) -> None:
        """Done when the connections were found."""

    @override
    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        url = str(request.url)
        return super().request_url(request, proxies) if proxies else url.removeprefix(_origin(url))

    @override
    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        if resp.status < HTTPStatus.OK:
            # The answer itself is still to come, and would be taken for that of the next request on this connection.
            resp.close()
            raise requests.ConnectionError(ProtocolError(f"only HTTP {resp.status}, which announces an answer"))
        response = requests.Response()
        response.request, response.status_code, response.reason = req, resp.status, resp.reason
        response.headers, response.raw, response.encoding = resp.headers, resp, "utf-8"
        return response


def _origin(url: str) -> str:
    """Scheme, host and port."""
    return "/".join(url.split("/", 3)[:3])


def pooled(connect: float, read: float) -> RequestsTransport:
    """A transport that keeps up to 64 connections open to an account.

    Args:
        connect: Seconds to wait for a connection.
        read: Seconds to wait for the next part of an answer. The SDKs' clients hand neither on to a transport that they
            are given: it would wait for 300 s.
    """
    session = _Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter())
    return RequestsTransport(session=session, session_owner=False, connection_timeout=connect, read_timeout=read)


@contextmanager
def unless_there() -> Iterator[None]:
    """Around the creation of a table or queue: that there is one already is no error.

    Nor is it that the app has no right to create any: then that is taken to be the deployment's business.
    """
    try:
        yield
    except ResourceExistsError:
        return
    except HttpResponseError as error:
        if error.status_code != _FORBIDDEN:
            raise
