"""The connections of the storage SDKs: as many as there are threads, or some would be opened anew for each request."""

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter

CONNECTIONS = 64

FORBIDDEN = 403
"""The status of a request that the app has no right to."""


def pooled() -> RequestsTransport:
    """A transport that keeps up to 64 connections open to an account."""
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=CONNECTIONS))
    return RequestsTransport(session=session, session_owner=False)
