"""How many messages an instance registers a second, beside as many bare inserts."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import requests
from azure.data.tables import TableClient, TableServiceClient
from requests.adapters import HTTPAdapter

from benchmarks import aims
from benchmarks.aims import Aim
from benchmarks.instance import Surroundings, surroundings
from benchmarks.queue_host import host_json, logged_as_in_production, messages_at_once, worker_threads
from benchmarks.table_service import TableService
from local.azurite import ACCOUNT
from shared.ambient import Ambient
from shared.app import Tracker

MESSAGES = 250
"""A round."""

ROUNDS = 5
AIM = 3
"""Requests to Table Storage a message, at most."""

_INSERTS = 3
_BARE = "bare"
_HEADERS = {"Content-Type": "application/json", "Prefer": "return-no-content", "Accept": "application/json"}

type Act = Callable[[int], object]
"""Does one of many, by its number."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What one of many took.

    Attributes:
        seconds: Of the clock, for each.
        cpu: Seconds of processor time of this process, for each.
        requests: To Table Storage, for each.
    """

    seconds: float
    cpu: float
    requests: float


def _rate(act: Act, tables: TableService, threads: ThreadPoolExecutor, numbers: Iterator[int]) -> Rate:
    own = [next(numbers) for _ in range(MESSAGES)]
    requests_before, seconds, cpu = tables.requests(), time.perf_counter(), time.process_time()
    list(threads.map(act, own))
    seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
    return Rate(seconds / MESSAGES, cpu / MESSAGES, (tables.requests() - requests_before) / MESSAGES)


def _registers(around: Surroundings) -> Act:
    tracker = Tracker(around.settings(), Ambient())
    return lambda number: tracker.register_operation(f"operation-{number}".encode(), str(number))


def _row(number: int, place: int = 0) -> dict[str, str | int]:
    """A row about as large as those that the app writes."""
    texts = {f"Column{column}": f"text {column} of {number}" for column in range(10)}
    return {"PartitionKey": f"{number % 16:x}", "RowKey": f"{number}-{place}", "Attempt": 1, **texts}


def _inserts(table: TableClient, inserts: int) -> Act:
    def act(number: int) -> None:
        for place in range(inserts):
            table.create_entity(_row(number, place))

    return act


def _lean_inserts(session: requests.Session, tables: TableService) -> Act:
    def act(number: int) -> None:
        answer = session.post(
            f"{tables.uri}/{ACCOUNT}/{_BARE}", json=_row(number, _INSERTS), headers=_HEADERS, timeout=60
        )
        answer.raise_for_status()

    return act


def _measure(around: Surroundings) -> dict[str, list[Rate]]:
    at_once, numbers = messages_at_once(), count()
    with (
        TableServiceClient.from_connection_string(around.tables.connection_string()) as service,
        requests.Session() as session,
        ThreadPoolExecutor(at_once) as threads,
    ):
        session.mount("http://", HTTPAdapter(pool_maxsize=at_once))
        table = service.create_table(_BARE)
        acts: dict[str, Act] = {
            "A message is registered": _registers(around),
            f"{_INSERTS} inserts by the SDK": _inserts(table, _INSERTS),
            "1 insert by the SDK": _inserts(table, 1),
            "1 insert by a bare `requests` session": _lean_inserts(session, around.tables),
        }
        rates: dict[str, list[Rate]] = {name: [] for name in acts}
        # The first round opens connections; it doesn't count.
        for number in range(ROUNDS + 1):
            print(f"registration: round {number} of {ROUNDS}", flush=True)
            for name, act in acts.items():
                rates[name].append(_rate(act, around.tables, threads, numbers))
        registered = len(around.tables.rows("IngestionOperations"))
        if registered != (ROUNDS + 1) * MESSAGES:
            raise RuntimeError(f"{registered} operations were registered, not {(ROUNDS + 1) * MESSAGES}")
        return {name: each[1:] for name, each in rates.items()}


def _median(rates: Sequence[Rate], figure: Callable[[Rate], float]) -> float:
    return statistics.median(map(figure, rates))


def _report(measured: dict[str, list[Rate]]) -> str:
    seconds, cpu = (
        [_median(rates, figure) for rates in measured.values()]
        for figure in (lambda rate: rate.seconds, lambda rate: rate.cpu)
    )
    rows = [
        f"| {name} | {_median(rates, lambda rate: rate.requests):.2f} | {1 / own:,.0f} | {seconds[1] / own:.2f} "
        f"| {own_cpu * 1000:.2f} | {own_cpu / cpu[1]:.2f} |"
        for (name, rates), own, own_cpu in zip(measured.items(), seconds, cpu, strict=True)
    ]
    found = max(rate.requests for rate in next(iter(measured.values())))
    aim = Aim(f"Storage requests to register a message: at most {AIM}", f"{found:.2f}", found <= AIM)
    queues, table = host_json(), "\n".join(rows)
    handed_out = queues["batchSize"] + queues["newBatchThreshold"]
    return f"""\
One instance, {messages_at_once()} messages at once: host.json hands out up to {handed_out}, and the Python worker has
threads for {worker_threads()} on this machine. Medians of {ROUNDS} rounds of {MESSAGES}, in turns, on the table service
in memory, which answers at once.

{aims.table([aim])}

| What | Storage requests | A second | Rate ÷ that of {_INSERTS} inserts | ms of processor time | ÷ {_INSERTS} inserts |
| --- | ---: | ---: | ---: | ---: | ---: |
{table}
"""


def measure() -> str:
    """The figures, as Markdown."""
    with surroundings() as around, logged_as_in_production():
        return _report(_measure(around))


if __name__ == "__main__":
    print(measure())
