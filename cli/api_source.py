"""The tracker by its HTTP API: `docs/api.md`."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, override
from urllib.parse import quote

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import BaseHTTPResponse
from urllib3.util import Retry

from cli.errors import Refused, TrackerError, UnknownOperation, Unreachable
from cli.facts import (
    BlobFacts,
    BlobsPage,
    Facts,
    Named,
    OperationInFull,
    OperationsPage,
    Redriven,
    Wanted,
    read,
    to_json,
)
from cli.settings import is_on_this_machine
from shared.model import Json
from shared.redaction import redact

_TIMEOUT = 10, 60
"""Seconds to connect, and between two bytes: an app that has scaled to nothing takes some to start."""

_LONGEST_WAIT = 30.0
"""Seconds, whatever an answer asks for: a gateway may ask for an hour, and nobody sees what is waited for."""


class _Retries(Retry):
    """Waits as long as the answer asks for, within limits."""

    @override
    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, _LONGEST_WAIT)


_RETRIES = _Retries(
    total=3,
    connect=1,
    backoff_factor=0.5,
    status_forcelist=[429, 502, 504],
    allowed_methods=["GET"],
    raise_on_status=False,
    respect_retry_after_header=True,
)
_BLOBS_PAGE = 1000
_STATUSES_OF_ACCESS = frozenset({401, 403})


class Credentials(AuthBase):
    """What opens the API: a function key, or a token of Entra ID; a header each, so that a redirect takes none along.

    Being there, it also keeps requests from sending what a netrc file has for the host.
    """

    def __init__(self, key: str = "", token: Callable[[], str] | None = None) -> None:
        self._key = key
        self._token = token

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["x-functions-key"] = self._key
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token()}"
        return request


class ApiSource:
    """The tracker behind ``root``, such as ``https://APP.azurewebsites.net/api``."""

    def __init__(self, root: str, credentials: Credentials) -> None:
        self._root = root
        self._session = requests.Session()
        self._session.auth = credentials
        # What goes to this machine goes through no proxy.
        self._session.trust_env = not is_on_this_machine(root)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=_RETRIES))

    @property
    def place(self) -> str:
        """The API's address."""
        return self._root

    def page(self, wanted: Wanted, most: int, after: str | None = None) -> OperationsPage:
        """`GET /api/operations`."""
        query: dict[str, str | None] = {
            "state": ",".join(wanted.states),
            "cluster": wanted.cluster,
            "database": wanted.database,
            "table": wanted.table,
            "since": _time(wanted.since),
            "until": _time(wanted.until),
            "operationId": wanted.operation_id,
            "errorCode": wanted.error_code,
            "limit": str(most),
            "continuationToken": after,
        }
        return self._get(OperationsPage, "/operations", query)

    def operation(self, named: Named) -> OperationInFull:
        """`GET /api/operations/{id}`."""
        return self._get(OperationInFull, _path(named), _query(named))

    def blobs(
        self, operation: Named, *, statuses: Collection[str] = (), retry_states: Collection[str] = ()
    ) -> Iterator[BlobFacts]:
        """`GET /api/operations/{id}/blobs`, page by page."""
        query: dict[str, str | None] = {
            **_query(operation),
            "status": ",".join(statuses),
            "retryState": ",".join(retry_states),
            "limit": str(_BLOBS_PAGE),
        }
        while True:
            page = self._get(BlobsPage, f"{_path(operation)}/blobs", query)
            yield from page.blobs
            if page.continuation_token is None:
                return
            query["continuationToken"] = page.continuation_token

    def check(self, message: Mapping[str, Json]) -> None:
        """Nothing: the API says so when it is posted, and its rules may be another version's."""

    def track(self, message: Mapping[str, Json]) -> Named:
        """`POST /api/operations`."""
        return self._post(Named, "/operations", {}, message)

    def redrive_blobs(self, named: Named, content: Mapping[str, Json], by: str) -> Redriven:
        """`POST /api/operations/{id}/redrive`."""
        identity = {"cluster": named.cluster, "database": named.database, "table": named.table}
        body = {**content, "as": by, **{name: value for name, value in identity.items() if value}}
        return self._post(Redriven, f"{_path(named)}/redrive", _query(Named(named.operation_id)), body)

    def redrive_messages(self, queue: str, by: str, most: int | None) -> Redriven:
        """`POST /api/queues/{queue}/redrive`."""
        body: dict[str, Json] = {"as": by} if most is None else {"as": by, "most": most}
        return self._post(Redriven, f"/queues/{quote(queue, safe='')}/redrive", {}, body)

    def health(self) -> Mapping[str, Any]:
        """`GET /api/health`: what the app says of itself, well or not."""
        answer = self._ask("GET", "/health", {})
        if answer.status_code not in (requests.codes.ok, requests.codes.service_unavailable):
            raise self._error(answer)
        try:
            content = answer.json()
        except requests.JSONDecodeError:
            content = None
        if not isinstance(content, dict) or "checks" not in content:
            raise Unreachable(f"{self._root}/health answers {answer.status_code} and nothing of a tracker's health")
        return content

    def _get[F: Facts](self, kind: type[F], path: str, query: Mapping[str, str | None]) -> F:
        return self._read(kind, self._ask("GET", path, query))

    def _post[F: Facts](self, kind: type[F], path: str, query: Mapping[str, str | None], body: Mapping[str, Json]) -> F:
        return self._read(kind, self._ask("POST", path, query, body))

    def _ask(
        self, method: str, path: str, query: Mapping[str, str | None], body: Mapping[str, Json] | None = None
    ) -> requests.Response:
        headers = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": "application/json"})
        try:
            return self._session.request(
                method,
                self._root + path,
                params={name: value for name, value in query.items() if value},
                data=None if body is None else to_json(body).encode(),
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            # The library quotes the address, with the query.
            raise Unreachable(f"{self._root} does not answer: {_kind(error)}") from None

    def _read[F: Facts](self, kind: type[F], answer: requests.Response) -> F:
        if not answer.ok or answer.is_redirect:
            raise self._error(answer)
        try:
            return read(answer.content, kind)
        except (msgspec.ValidationError, msgspec.DecodeError):
            raise Unreachable(
                f"{self._root} answers with something else than a tracker does: is that its URL?"
            ) from None

    def _error(self, answer: requests.Response) -> TrackerError:
        detail = _detail(answer)
        status = answer.status_code
        if status in _STATUSES_OF_ACCESS or answer.is_redirect:
            return Refused(
                f"{self._root} does not let you in ({status}{f': {detail}' if detail else ''}): it wants a function "
                "key, by TRACKER_KEY or --key-file, or with API_AUTH=entra a token, by --entra"
            )
        if status == requests.codes.not_found and not _is_problem(answer):
            return Refused(f"{self._root} answers 404: is that the tracker's URL?")
        if status == requests.codes.not_found:
            return UnknownOperation(detail)
        if status >= requests.codes.internal_server_error or status == requests.codes.too_many_requests:
            return Unreachable(f"{self._root} answers {status}: {detail or 'without a reason'}")
        return Refused(detail or f"{self._root} answers {status}: is that the tracker's URL?")


def _path(named: Named) -> str:
    # Hosts and proxies read an escaped slash as one: such an ID goes into the query, which counts before the path.
    return f"/operations/{'-' if _is_for_the_query(named) else quote(named.operation_id, safe='')}"


def _query(named: Named) -> dict[str, str | None]:
    return {
        "operationId": named.operation_id if _is_for_the_query(named) else None,
        "cluster": named.cluster,
        "database": named.database,
        "table": named.table,
    }


def _is_for_the_query(named: Named) -> bool:
    return any(each in named.operation_id for each in "/\\%") or not named.operation_id.strip(".")


def _time(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z") if time else None


def _is_problem(answer: requests.Response) -> bool:
    """Whether it is a problem document: others than a tracker say in JSON, too, that something is not there."""
    return answer.headers.get("Content-Type", "").startswith("application/problem+json")


def _detail(answer: requests.Response) -> str:
    """What a problem document says (RFC 9457), redacted: it may quote what was sent."""
    try:
        content = answer.json()
    except requests.JSONDecodeError:
        return ""
    detail = content.get("detail") or content.get("title") if isinstance(content, dict) else None
    return redact(detail) if isinstance(detail, str) else ""


def _kind(error: requests.RequestException) -> str:
    kinds = {
        requests.exceptions.SSLError: "its certificate is not trusted (REQUESTS_CA_BUNDLE names authorities)",
        requests.exceptions.ProxyError: "the proxy of the environment refuses",
        requests.exceptions.Timeout: "not in time",
        requests.exceptions.ConnectionError: "no connection",
    }
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), type(error).__name__)
