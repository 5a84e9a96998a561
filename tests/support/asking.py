"""A client that asks a server on this machine, and the two calls that most tests make."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.endpoints import Endpoints
from shared.errors import KustoError
from shared.kusto.client import KustoClient, Timeouts
from shared.model import BlobSource, Json, StatusReport
from tests.support.facts import OPERATION, URL, surroundings
from tests.support.http_server import Reply

SUMMARY = Reply(body=b'{"status": {"Succeeded": 1}}')
ACCEPTED = Reply(body=b'{"ingestionOperationId": "ingest_op_2"}')
DROPPED = Reply(raw=b"")
TOKEN = "s3cr3t-t0k3n"
SOURCES = [BlobSource(f"{URL}?sig=sas-s3cr3t", "s1", 123), BlobSource(URL)]
PROPERTIES: dict[str, Json] = {"format": "csv", "tags": ["ingest-by:x"]}


class CountingTokens:
    """Gives a fresh token after each refusal."""

    def __init__(self) -> None:
        self.asked = 0
        self.refused: list[str] = []

    def token(self, _cluster: str) -> str:
        self.asked += 1
        return f"{TOKEN}-{len(self.refused)}"

    def discard(self, _cluster: str, token: str) -> None:
        self.refused.append(token)


class Asker:
    """A client and the endpoint that it talks to."""

    def __init__(self, origin: str, timeouts: Timeouts | None = None, further: str = "") -> None:
        self.tokens = CountingTokens()
        endpoints = Endpoints(origin, frozenset({further}))
        self.client = KustoClient(self.tokens, endpoints, concurrency=2, ambient=surroundings(), timeouts=timeouts)
        self.operation = replace(OPERATION, cluster=origin)

    def get(self) -> StatusReport:
        return self.client.status(self.operation, details=False)

    def post(self) -> str | None:
        return self.client.submit(self.operation, SOURCES, PROPERTIES)


CALLS = pytest.mark.parametrize("call", [Asker.get, Asker.post], ids=["GET", "POST"])


def error_of[A: Asker](call: Callable[[A], object], asker: A) -> KustoError:
    with pytest.raises(KustoError) as error:
        call(asker)
    return error.value
