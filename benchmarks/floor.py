"""The floor of a poller: one process that asks with a bare ``requests`` session in threads, and writes nothing.

    operations = crowd_operations(crowd, adx.uri, 2_000)
    print(floor(operations).per_second)

Other clients are measured in the same way, by ``rate``.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import requests
from requests.adapters import HTTPAdapter

from local.adx_simulator import Crowd
from shared.model import Operation

THREADS = 32
"""POLL_CONCURRENCY, unless it is set."""

HEADERS = {"Authorization": "Bearer local"}

_WARM_UP = 4
"""Operations a thread that are asked for before it counts: connections are opened, code is specialised."""

type Ask = Callable[[Operation], object]


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast operations were asked for.

    Attributes:
        operations: How many.
        seconds: How long it took.
        processor_seconds: What this process had of the processor meanwhile.
    """

    operations: int
    seconds: float
    processor_seconds: float

    @property
    def per_second(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds

    @property
    def processor_seconds_each(self) -> float:
        """Of the processor for an operation."""
        return self.processor_seconds / self.operations


def floor(operations: Sequence[Operation], *, threads: int = THREADS) -> Rate:
    """Ask once for each operation with a bare ``requests`` session, and parse what comes.

    Args:
        operations: Of a simulator that runs.
        threads: How many ask at once, each over a connection of its own.
    """
    with requests_session(threads) as ask:
        return rate(ask, operations, threads=threads)


def rate(ask: Ask, operations: Sequence[Operation], *, threads: int = THREADS) -> Rate:
    """Ask once for each operation, after a warm-up.

    Args:
        ask: Asks for one; called by many threads.
        operations: Of a simulator that runs.
        threads: How many ask at once.
    """
    with ThreadPoolExecutor(threads) as pool:
        _ask_all(pool, threads, ask, [*operations[:_WARM_UP]] * threads)
        began, processor = time.perf_counter(), time.process_time()
        _ask_all(pool, threads, ask, operations)
        return Rate(len(operations), time.perf_counter() - began, time.process_time() - processor)


def _ask_all(pool: ThreadPoolExecutor, threads: int, ask: Ask, operations: Sequence[Operation]) -> None:
    # A task for each operation would cost more than some of what is measured.
    left = iter(operations)

    def work() -> None:
        for operation in left:
            ask(operation)

    for done in [pool.submit(work) for _ in range(threads)]:
        done.result()


@contextmanager
def requests_session(threads: int) -> Iterator[Ask]:
    """Asks with a bare session of ``requests``, whose pool has a connection for each thread."""
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(pool_maxsize=threads))
        yield lambda operation: session.get(status_url(operation), headers=HEADERS, timeout=60).json()


def status_url(operation: Operation) -> str:
    """Where an operation's status without details is, if its names need no encoding."""
    return operation.cluster + status_path(operation)


def status_path(operation: Operation) -> str:
    """The path of ``status_url``."""
    names = f"{operation.database}/{operation.table}/{operation.operation_id}"
    return f"/v1/rest/ingestion/queued/{names}?details=false"


def crowd_operations(crowd: Crowd, uri: str, count: int) -> list[Operation]:
    """The first operations of a crowd.

    Args:
        crowd: What the simulator was told of.
        uri: The simulator's address.
        count: How many of them.
    """
    return [Operation(uri, crowd.database, crowd.table, crowd.operation_id(number)) for number in range(count)]
