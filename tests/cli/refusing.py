"""Azurite with something between that refuses some requests, as the service does where a role is missing."""

import http.client
from typing import override
from urllib.parse import urlsplit

from local.azurite import ACCOUNT, KEY
from tests.support.http_server import Received, Reply, ScriptedServer

_REFUSED = b'<?xml version="1.0"?><Error><Code>AuthorizationPermissionMismatch</Code><Message>no</Message></Error>'
_OF_THE_WAY = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


class Refusing(ScriptedServer):
    """One service of a storage account: what is of the resource ``refused`` and by that method is answered with 403."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._there = urlsplit(endpoint).netloc
        self.refused: tuple[str, tuple[str, ...]] | None = None

    @override
    def next_reply(self, request: Received) -> Reply:
        if self.refused:
            name, methods = self.refused
            # A transaction says inside what it is about.
            about = request.path if b"batch_" not in request.body else request.body.decode()
            if request.method in methods and (f"/{name}" in about):
                return Reply(403, _REFUSED, {"x-ms-error-code": "AuthorizationPermissionMismatch"})
        connection = http.client.HTTPConnection(self._there, timeout=30)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
            connection.request(request.method, request.path, request.body or None, headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_THE_WAY}
            return Reply(answer.status, answer.read(), kept)
        finally:
            connection.close()


def connection_string(blob: str, queue: str, table: str) -> str:
    """An account whose services are at these endpoints."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint={blob};QueueEndpoint={queue};TableEndpoint={table};"
    )
