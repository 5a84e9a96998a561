"""The simulator as a child process, and its control endpoints as methods."""

import http.client
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from local.adx_simulator.answers import Answer
from local.adx_simulator.books import Books
from local.adx_simulator.crowds import Crowd
from local.adx_simulator.faults import Fault, fault_json
from local.adx_simulator.requests_log import RequestCount, RequestCounts, RequestRecord
from local.adx_simulator.settings import DEFAULT_PATTERN, MAX_BLOBS_PER_BATCH, Dialect
from local.processes import Child

START_SECONDS = 60.0
CONTROL_SECONDS = 60.0
HTTP_OK = 200


class ControlRefused(RuntimeError):
    """The simulator does not take what it was told; the message carries why."""


class AdxSimulator:
    """A running simulator.

    Attributes:
        uri: Its address, to be used as the ingestion URI.
    """

    def __init__(self, child: Child, uri: str) -> None:
        self._child = child
        self.uri = uri

    @classmethod
    def start(  # noqa: PLR0913, each is an option of the command line
        cls,
        *,
        dialect: Dialect = "documented",
        batching_seconds: float = 1.0,
        visible_after_seconds: float = 0.3,
        counted_after_seconds: float = 0.0,
        max_blobs_per_batch: int = MAX_BLOBS_PER_BATCH,
        operation_id_pattern: str = DEFAULT_PATTERN,
        token: str | None = None,
        show_url_query: bool = False,
        containers: Sequence[str] = (),
        latency_seconds: float = 0.0,
        seed: int = 0,
        port: int = 0,
        start_seconds: float = START_SECONDS,
    ) -> Self:
        """Starts one and waits until it listens. All but `seed` and `port` are as in `Settings`.

        Args:
            dialect: The dialect of its answers about status.
            batching_seconds: The longest that a blob waits before it is ingested.
            visible_after_seconds: How long an operation is answered with 404.
            counted_after_seconds: The longest that a blob stays out of counts and details.
            max_blobs_per_batch: The most blobs that a submission may have.
            operation_id_pattern: What operation IDs look like; `{guid}` and `{n}` are replaced.
            token: The one token that it takes; any when None.
            show_url_query: Shows blob URLs with their query in the details.
            containers: What the configuration endpoint names as containers.
            latency_seconds: By how much each answer comes later.
            seed: Decides delays, IDs and what shares of blobs and requests mean.
            port: Its port; a free one when 0.
            start_seconds: How long it may take to listen.

        Returns:
            The running simulator.

        Raises:
            ProcessFailed: It ended or was not ready in time; the message carries its last output.
        """
        options: dict[str, object] = {
            "dialect": dialect,
            "batching-seconds": batching_seconds,
            "visible-after-seconds": visible_after_seconds,
            "counted-after-seconds": counted_after_seconds,
            "max-blobs-per-batch": max_blobs_per_batch,
            "operation-id-pattern": operation_id_pattern,
            "latency-seconds": latency_seconds,
            "seed": seed,
            "port": port,
        }
        if token is not None:
            options["token"] = token
        command = [sys.executable, "-m", "local.adx_simulator", "--exit-with-parent"]
        command += [f"--{name}={value}" for name, value in options.items()]
        command += [f"--container={url}" for url in containers]
        if show_url_query:
            command.append("--show-url-query")
        child = Child(command, name="the ADX simulator")
        return cls(child, child.wait_until(_uri, seconds=start_seconds))

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._child.process.pid

    def set_faults(self, faults: Sequence[Fault]) -> None:
        """Switches these faults on and all others off.

        Args:
            faults: The faults; where several fit, the first strikes.
        """
        self._call("POST", "faults", {"faults": [fault_json(fault) for fault in faults]})

    def struck(self) -> list[int]:
        """Returns how often each fault has struck, in the order in which they were set."""
        return [fault["struck"] for fault in self._call("GET", "faults")["faults"]]

    def books(self) -> Books:
        """Returns what was ingested so far."""
        return Books.from_json(self._call("GET", "books"))

    def requests(self) -> RequestCounts:
        """Returns how many requests there were of each kind; those to the control endpoints don't count."""
        counts = self._call("GET", "requests")["counts"]
        return RequestCounts(counts=tuple(RequestCount(**count) for count in counts))

    def polls(self) -> Counter[int]:
        """Returns how many operations were asked for once without details, how many twice, and so on."""
        return Counter(dict(self._call("GET", "polls")["polls"]))

    def last_requests(self, count: int = 100) -> tuple[RequestRecord, ...]:
        """Returns the last requests, the latest at the end.

        Args:
            count: How many at most; the simulator keeps 2,000.
        """
        records = self._call("GET", f"requests?last={count}")["last"]
        return tuple(RequestRecord(**{**record, "headers": tuple(record["headers"])}) for record in records)

    def plant(
        self,
        *,
        operation_id: str,
        database: str,
        table: str,
        plain: Sequence[Answer] = (),
        detailed: Sequence[Answer] = (),
    ) -> None:
        """Lets an operation answer what was written by hand, byte for byte.

        Args:
            operation_id: Its ID, not encoded.
            database: Its database.
            table: Its table.
            plain: The answers without details, one after the other; the last repeats. 404 if there is none.
            detailed: The answers with details.
        """
        answers = {"plain": list(map(asdict, plain)), "detailed": list(map(asdict, detailed))}
        where = {"operation_id": operation_id, "database": database, "table": table}
        self._call("POST", "operations", {**where, **answers})

    def plant_many(self, crowd: Crowd) -> None:
        """Lets many operations answer by a rule, in the dialect that their table has now.

        Args:
            crowd: The operations, in place of those that their table has had by a rule.
        """
        self._call("POST", "crowds", asdict(crowd))

    def configure(self, *, database: str | None = None, table: str | None = None, **changes: object) -> None:
        """Changes settings while it runs.

        Args:
            database: With `table`: `dialect` changes for this table's operations alone.
            table: See `database`.
            **changes: Fields of `Settings`, among them `dialect`, `batching_seconds` and `visible_after_seconds`.
        """
        place = {"database": database, "table": table}
        self._call("POST", "settings", {**{name: value for name, value in place.items() if value}, **changes})

    def mend(self) -> None:
        """Ends what `mending` faults wait for now, instead of their seconds: Failed goes on, InProgress is ingested."""
        self._call("POST", "mend")

    def reset(self) -> None:
        """Forgets operations, rows, faults and requests, and takes the first settings again; no ID comes twice."""
        self._call("POST", "reset")

    def stop(self) -> int:
        """Ends it in order. Returns the exit status."""
        return self._child.stop()

    def kill(self) -> int:
        """Ends it as a crash does. Returns the exit status."""
        return self._child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _call(self, method: str, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        address = urlsplit(self.uri)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=CONTROL_SECONDS)
        try:
            connection.request(method, f"/simulator/{name}", json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            data: dict[str, Any] = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != HTTP_OK:
            raise ControlRefused(data["error"]["@message"])
        return data


def _uri(lines: Sequence[str]) -> str | None:
    if not lines:
        return None
    uri: str = json.loads(lines[0])["uri"]
    return uri
