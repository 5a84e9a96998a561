"""What tables and queues have in common: connections to the account, and the making of what may be there already."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, override
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter

CONNECTIONS = 64
"""As many as there are threads, or some would be opened anew for each request."""

_FORBIDDEN = 403


class _Session(requests.Session):
    """Looks for proxies and authorities in the environment once an account: they don't change while the app runs."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[tuple[object, ...], Any] = {}

    @override
    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        if proxies:
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        key = urlsplit(url).netloc, stream, verify, cert
        if key not in self._found:
            self._found[key] = super().merge_environment_settings(url, proxies, stream, verify, cert)
        return self._found[key].copy()


def pooled() -> RequestsTransport:
    """A transport that keeps up to 64 connections open to an account."""
    session = _Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=CONNECTIONS))
    return RequestsTransport(session=session, session_owner=False)


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
