"""What tables and queues have in common: connections to the account, and the making of what may be there already."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter

CONNECTIONS = 64
"""As many as there are threads, or some would be opened anew for each request."""

_FORBIDDEN = 403


def pooled() -> RequestsTransport:
    """A transport that keeps up to 64 connections open to an account."""
    session = requests.Session()
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
