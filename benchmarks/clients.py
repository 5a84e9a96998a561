"""What the choice of an HTTP client costs a poller: the floor, ours, and the wire's limits, at three latencies of ADX.

All ask the same simulator, in a process of its own, from one process: in as many threads as the poller has, aiohttp in
as many tasks. They write nothing.
"""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median
from urllib.parse import urlsplit

import aiohttp
import urllib3

from benchmarks import plots
from benchmarks.aims import Aim, table
from benchmarks.floor import (
    HEADERS,
    THREADS,
    Ask,
    Rate,
    crowd_operations,
    rate,
    requests_session,
    status_path,
    status_url,
)
from local.adx_simulator import AdxSimulator, Crowd
from shared.ambient import Ambient
from shared.endpoints import Endpoints
from shared.kusto.client import KustoClient
from shared.kusto.tokens import LocalTokens
from shared.model import Operation

LATENCIES = (0.0, 0.02, 0.1)
"""Seconds by which ADX answers later."""

ROUNDS = 5
MOST = 1_500
"""Operations a round and client; fewer where they take long."""

_SECONDS = 0.6
"""A round takes a client about that long where the latency is all that it waits for."""
LEAST_CAPACITY = 3
"""Times the floor's rate that the simulator must be able to answer, or it is the simulator that is measured."""

_FAST_PROCESSES = 2
_FAST_ROUNDS = 3
_FAST_OPERATIONS = 5_000
_ALIKE = 1.1
"""From here down, a client's rate over the floor's is no reason to choose it."""

_CROWD = Crowd(database="db", table="t", count=100_000, blobs=20)
_FLOOR = "`requests` session (the floor)"
_OURS = "`KustoClient`"

type Measured = dict[float, dict[str, list[Rate]]]


@contextmanager
def _kusto_client(uri: str) -> Iterator[Ask]:
    client = KustoClient(LocalTokens(), Endpoints(uri), concurrency=THREADS, ambient=Ambient())
    with closing(client):
        yield lambda operation: client.status(operation, details=False)


@contextmanager
def _urllib3(_: str) -> Iterator[Ask]:
    with urllib3.PoolManager(maxsize=THREADS) as pools:
        yield lambda operation: json.loads(pools.request("GET", status_url(operation), headers=HEADERS).data)


@contextmanager
def _http_client(uri: str) -> Iterator[Ask]:
    address, own, opened = urlsplit(uri), threading.local(), []

    def ask(operation: Operation) -> object:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(str(address.hostname), address.port)
            opened.append(own.connection)
        own.connection.request("GET", status_path(operation), headers=HEADERS)
        return json.loads(own.connection.getresponse().read())

    yield ask
    for connection in opened:
        connection.close()


_IN_THREADS: Mapping[str, Callable[[str], AbstractContextManager[Ask]]] = {
    _FLOOR: lambda _: requests_session(THREADS),
    _OURS: _kusto_client,
    "`urllib3`": _urllib3,
    "`http.client`": _http_client,
}
_CLIENTS = (*_IN_THREADS, "`aiohttp`")


def _rate(client: str, uri: str, operations: Sequence[Operation]) -> Rate:
    if client not in _IN_THREADS:
        return asyncio.run(_aiohttp_rate(operations))
    with _IN_THREADS[client](uri) as ask:
        return rate(ask, operations)


async def _aiohttp_rate(operations: Sequence[Operation], tasks: int = THREADS) -> Rate:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=tasks), headers=HEADERS) as session:

        async def ask_all(left: Iterator[Operation]) -> None:
            for operation in left:
                async with session.get(status_url(operation)) as answer:
                    await answer.json()

        async def in_tasks(several: Sequence[Operation]) -> None:
            left = iter(several)
            await asyncio.gather(*(ask_all(left) for _ in range(tasks)))

        await in_tasks(operations[: 2 * tasks])
        began, processor = time.perf_counter(), time.process_time()
        await in_tasks(operations)
        return Rate(len(operations), time.perf_counter() - began, time.process_time() - processor)


def _fast_rate(uri: str) -> float:
    """What one of the processes gets that do all they can to keep the simulator busy."""
    operations = crowd_operations(_CROWD, uri, _FAST_OPERATIONS)
    return asyncio.run(_aiohttp_rate(operations)).per_second


def _capacity(uri: str) -> float:
    """Requests a second that the simulator answers, the best of several times: what it can, not what it may."""
    print("clients: what the simulator can answer", flush=True)
    with ProcessPoolExecutor(_FAST_PROCESSES, get_context("spawn")) as processes:
        return max(sum(processes.map(_fast_rate, [uri] * _FAST_PROCESSES)) for _ in range(_FAST_ROUNDS))


def _measured(adx: AdxSimulator) -> Measured:
    measured: Measured = {latency: {client: [] for client in _CLIENTS} for latency in LATENCIES}
    for latency in LATENCIES:
        adx.configure(latency_seconds=latency)
        operations = crowd_operations(
            _CROWD, adx.uri, min(MOST, int(THREADS * _SECONDS / latency)) if latency else MOST
        )
        for number in range(ROUNDS):
            print(f"clients: {_ms(latency)} ms, round {number + 1} of {ROUNDS}", flush=True)
            for client, rates in measured[latency].items():
                rates.append(_rate(client, adx.uri, operations))
    return measured


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured, medians of the rounds.

    Attributes:
        per_second: Operations a second, by latency and client.
        processor: Seconds of the processor for an operation without latency, by client.
        capacity: Requests a second that the simulator can answer.
    """

    per_second: Mapping[float, Mapping[str, float]]
    processor: Mapping[str, float]
    capacity: float

    def share(self, client: str, latency: float) -> float:
        """A client's rate, as a share of the floor's."""
        return self.per_second[latency][client] / self.per_second[latency][_FLOOR]

    def processor_share(self, client: str) -> float:
        """A client's processor time for an operation, as a share of the floor's."""
        return self.processor[client] / self.processor[_FLOOR]


def _result(measured: Measured, capacity: float) -> Result:
    per_second = {
        latency: {client: median(each.per_second for each in rates) for client, rates in clients.items()}
        for latency, clients in measured.items()
    }
    processor = {
        client: median(each.processor_seconds_each for each in rates) for client, rates in measured[0.0].items()
    }
    # A client alone may get more than several that share the processor with each other.
    return Result(per_second, processor, max(capacity, *per_second[0.0].values()))


def conclusion(result: Result) -> str:
    """What the figures say about the choice of a client."""
    fastest = min(_CLIENTS, key=result.processor_share)
    times, ours = 1 / result.processor_share(fastest), result.processor_share(_OURS)
    busy_until = _ms(THREADS / result.per_second[0.0][_FLOOR])
    return f"""\
A bare `requests` session costs {times:.1f} times the processor time of {fastest}, the cheapest here;
`KustoClient`, with its limits of time and size, costs {ours:.2f} of the session's. The choice matters while a process
is busy. {THREADS} threads keep the session's busy up to a latency of {busy_until} ms ({THREADS} ÷ its rate without
latency); beyond that they wait for ADX, whatever they ask with: {_stops_mattering(result)}."""


def _stops_mattering(result: Result) -> str:
    best = {latency: max(result.share(client, latency) for client in _CLIENTS) for latency in LATENCIES}
    matters = max((latency for latency in LATENCIES if best[latency] > _ALIKE), default=-1.0)
    alike = next((latency for latency in LATENCIES if latency > matters), None)
    if alike is None:
        return f"here the best still gets {best[LATENCIES[-1]]:.2f} times the floor's rate at {_ms(LATENCIES[-1])} ms"
    return f"from {_ms(alike)} ms on the best gets at most {_ALIKE:g} times the floor's rate"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"


def _report(result: Result) -> str:
    heads = ["Client", *(f"Rate at {_ms(latency)} ms ÷ floor's" for latency in LATENCIES), "Processor time ÷ floor's"]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    series = {}
    for client in _CLIENTS:
        shares = [result.share(client, latency) for latency in LATENCIES]
        lines.append([client, *(f"{each:.2f}" for each in [*shares, result.processor_share(client)])])
        series[client.replace("`", "")] = [(1000 * at, share) for at, share in zip(LATENCIES, shares, strict=True)]
    answers = result.capacity / result.per_second[0.0][_FLOOR]
    aim = Aim(
        f"The simulator answers at least {LEAST_CAPACITY} times the floor", f"{answers:.1f}", answers >= LEAST_CAPACITY
    )
    floors = ", ".join(f"{result.per_second[each][_FLOOR]:,.0f} at {_ms(each)} ms" for each in LATENCIES)
    plot = plots.lines(
        "clients",
        "What the choice of a client is worth",
        series,
        x_label="latency of ADX, ms",
        y_label="requests a second ÷ the floor's",
    )
    return f"""\
One process, {THREADS} threads (aiohttp: tasks), medians of {ROUNDS} rounds in turn. Nothing is written. The floor's
requests a second: {floors}. The simulator, a process of its own, can answer
{answers:.1f} times the floor's without latency; that is when processor time was measured.

{table([aim])}

{"\n".join(f"| {' | '.join(line)} |" for line in lines)}

{conclusion(result)}

{plot}
"""


def measure() -> str:
    """The figures, as Markdown."""
    with AdxSimulator.start() as adx:
        adx.plant_many(_CROWD)
        capacity = _capacity(adx.uri)
        return _report(_result(_measured(adx), capacity))


if __name__ == "__main__":
    print(measure())
