"""The service as a child process, and its control as methods."""

import http.client
import json
import sys
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from local.azurite import ACCOUNT, KEY
from local.processes import Child

_START_SECONDS = 30.0
_CONTROL_SECONDS = 120.0
_OK = 200
_PLANTED_AT_ONCE = 20_000

REQUESTS = frozenset({"batch", "create table", "query", "get", "insert", "replace", "merge", "delete"})
"""What of the counts are requests: a batch is one, as it is billed."""


class TableService:
    """A running table service.

    Attributes:
        uri: Its address.
    """

    def __init__(self, child: Child, uri: str) -> None:
        self._child = child
        self.uri = uri

    @classmethod
    def start(cls) -> Self:
        """Start one, and wait until it listens.

        Raises:
            ProcessFailed: it ended or was not ready in time.
        """
        child = Child([sys.executable, "-m", "benchmarks.table_service"], name="the table service")
        return cls(child, child.wait_until(_address, seconds=_START_SECONDS))

    def connection_string(self, queue_endpoint: str = "") -> str:
        """What a client of the SDK connects with; queues are somebody else's."""
        queues = f"QueueEndpoint={queue_endpoint};" if queue_endpoint else ""
        tables = f"TableEndpoint={self.uri}/{ACCOUNT};"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{queues}{tables}"

    def counts(self) -> Counter[str]:
        """Requests by what they did, and rows read, written and looked at."""
        return Counter(self._control("GET", "counts"))

    def requests(self) -> int:
        """How many requests there were."""
        return sum(count for what, count in self.counts().items() if what in REQUESTS)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table as they are stored, in the order of their keys."""
        rows: list[dict[str, Any]] = self._control("GET", f"rows?table={table}")
        return rows

    def plant(self, table: str, row: str, marks: Sequence[str], words: Sequence[Sequence[str]]) -> None:
        """Write rows that are one another's like, fast.

        Args:
            table: Which has to be there.
            row: A row as JSON.
            marks: Texts in it.
            words: For each row to be written, what is put in the places of the marks, in their order.
        """
        for start in range(0, len(words), _PLANTED_AT_ONCE):
            plan = {"row": row, "marks": marks, "words": words[start : start + _PLANTED_AT_ONCE]}
            self._control("POST", f"rows?table={table}", plan)

    def clear(self, table: str) -> None:
        """Forget all rows of a table."""
        self._control("DELETE", f"rows?table={table}")

    def stop(self) -> None:
        """End it; everything stored is gone."""
        self._child.stop()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _control(self, method: str, what: str, content: object = None) -> Any:  # noqa: ANN401, what JSON has
        connection = http.client.HTTPConnection(urlsplit(self.uri).netloc, timeout=_CONTROL_SECONDS)
        try:
            connection.request(method, f"/bench/{what}", None if content is None else json.dumps(content))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != _OK:
            raise RuntimeError(f"the table service answers {answer.status}: {body.decode()}")
        return json.loads(body)


def _address(lines: Sequence[str]) -> str | None:
    return str(json.loads(lines[0])["uri"]) if lines else None
