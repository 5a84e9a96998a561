"""What the poller reaches of the rate of bare requests, and what a poll costs beside one.

The floor is a process that sends the same requests and does nothing with the answers. Both ask the same simulator in
turns, from this process; what is told is a share of the floor's rate, and a multiple of its processor time.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from azure.storage.queue import QueueClient

from benchmarks import aims, plots
from benchmarks.aims import Aim
from benchmarks.floor import THREADS, Rate, crowd_operations
from benchmarks.floor import floor as measure_floor
from benchmarks.instance import FINISHED, Population, Surroundings, surroundings
from benchmarks.queue_host import QueueHost, host_json, logged_as_in_production, messages_at_once
from local.adx_simulator import Crowd
from shared.ambient import Ambient
from shared.app import Tracker

AIM, AIM_FROM = 0.8, 1_000
"""Of the floor's rate, from so many outstanding operations on."""
AIM_FLAT = 1.25
"""How much more of the processor a poll may take with the most operations outstanding than with ``AIM_FROM``."""

LATENCIES = (0.0, 0.02, 0.1)
"""Seconds that the simulator waits before each answer."""

_ROUNDS = {100: 5, 1_000: 5, 10_000: 1, 100_000: 1}
_LARGEST_WITH_LATENCY = 10_000
_FLAT, _FLAT_DUE, _FLAT_ROUNDS = 100_000, 1_000, 2
_SEGMENT = 125
"""Messages between two looks at the floor."""
_MOST_MESSAGES = 250
"""Of a tick that are handled, as those of a hundred thousand operations take minutes."""
_INEXACT = 0.05
"""By what share the polls of some of the batches may differ from their share of what was due: not all are full."""
_FLOOR_SECONDS, _FLOOR_RATE = 1.0, 2_000.0
"""How long one look at it takes, about, where ADX answers at once."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What some polls took.

    Attributes:
        polls: Operations that were asked for.
        details: How many of them once more, with details.
        seconds: Of the clock.
        cpu: Seconds of processor time of this process.
    """

    polls: int = 0
    details: int = 0
    seconds: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.polls + other.polls,
            self.details + other.details,
            self.seconds + other.seconds,
            self.cpu + other.cpu,
        )

    def part(self, share: float) -> "Spent":
        """The time of a part of it."""
        return replace(self, seconds=self.seconds * share, cpu=self.cpu * share)

    @property
    def rate(self) -> float:
        """Polls a second."""
        return self.polls / self.seconds

    @property
    def cpu_a_poll(self) -> float:
        """Seconds of processor time."""
        return self.cpu / self.polls


@dataclass(frozen=True, slots=True)
class Round:
    """What was due was polled once.

    Attributes:
        outstanding: Operations in all.
        latency: Of ADX, in seconds.
        tick: The tick alone: all of it where it polls itself, else the handing out.
        whole: The tick, and what was polled of that which it handed out.
        floor: What was measured before, after and, where it took long, in between.
        storage: Requests to Table Storage; of a tick that handed out more than was polled, that share of its own.
    """

    outstanding: int
    latency: float
    tick: Spent
    whole: Spent
    floor: Sequence[Rate]
    storage: float

    @property
    def floor_rate(self) -> float:
        """Polls a second."""
        return statistics.median(each.per_second for each in self.floor)

    @property
    def floor_cpu(self) -> float:
        """Seconds of processor time a poll."""
        return statistics.median(each.processor_seconds_each for each in self.floor)

    @property
    def share(self) -> float:
        """Of the floor's rate."""
        return self.whole.rate / self.floor_rate

    @property
    def cpu(self) -> float:
        """A poll's processor time, as a multiple of the floor's."""
        return self.whole.cpu_a_poll / self.floor_cpu

    @property
    def adx(self) -> int:
        """Requests to ADX."""
        return self.whole.polls + self.whole.details


class Bench:
    """An instance of the app, its host, and the floor beside it."""

    def __init__(self, around: Surroundings) -> None:
        settings, queues = around.settings(), host_json()
        self._around = around
        self._population = Population(around)
        self._tracker = Tracker(settings, Ambient())
        self._queue = QueueClient.from_connection_string(around.azurite.connection_string, settings.poll_queue)
        self._host = QueueHost(
            around.azurite.connection_string,
            settings.poll_queue,
            self._tracker.poll_batch,
            at_once=messages_at_once(),
            batch_size=queues["batchSize"],
            new_batch_threshold=queues["newBatchThreshold"],
        )

    def close(self) -> None:
        """End threads and connections."""
        self._host.close()
        self._queue.close()

    def round(self, outstanding: int, latency: float, due: int | None = None) -> Round:
        """Poll what is due, once, or as many of the batches that a tick has handed out as ``_MOST_MESSAGES`` says.

        Args:
            outstanding: Operations in all.
            latency: Of ADX, in seconds.
            due: How many of them are due; all if not given.

        Raises:
            RuntimeError: an operation was not asked for, or one that has ended not for its details.
        """
        crowd = self._population.plant(outstanding, due)
        self._around.adx.configure(latency_seconds=latency)
        due = outstanding if due is None else due
        floor = [self._look_at_floor(crowd, latency)]
        before = self._around.tables.requests()
        tick, _ = self._spent(self._tracker.poll_operations)
        after_tick = self._around.tables.requests()
        sent = self._queue.get_queue_properties().approximate_message_count or 0
        batches, handled = Spent(), 0
        while handled < min(sent, _MOST_MESSAGES):
            most = min(sent - handled, _SEGMENT)
            spent, taken = self._spent(lambda most=most: self._host.drain(most))  # type: ignore[misc]  # its own value
            if not taken:
                break
            batches, handled = batches + spent, handled + taken
            floor.append(self._look_at_floor(crowd, latency))
        after_batches = self._around.tables.requests()
        self._queue.clear_messages()
        polls = tick.polls + batches.polls
        is_part, details = handled < sent, tick.details + batches.details
        part = due * handled / sent if is_part else due
        expect(part, polls, details, inexact=_INEXACT if is_part else 0.0)
        # The handing out of what is not polled is not a cost of what is.
        share = polls / due
        whole = replace(batches + tick.part(share), polls=polls, details=details)
        storage = share * (after_tick - before) + after_batches - after_tick
        return Round(outstanding, latency, tick, whole, floor, storage)

    def _look_at_floor(self, crowd: Crowd, latency: float) -> Rate:
        # About as many as it can ask for in the time.
        most = _FLOOR_SECONDS * min(_FLOOR_RATE, THREADS / latency if latency else _FLOOR_RATE)
        operations = crowd_operations(crowd, self._around.adx.uri, min(crowd.count, round(most)))
        return measure_floor(operations * (round(most) // len(operations)))

    def _spent[T](self, act: Callable[[], T]) -> tuple[Spent, T]:
        """What something took, and what it returned."""
        asked, seconds, cpu = self._asked(), time.perf_counter(), time.process_time()
        returned = act()
        seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
        polls, details = (self._asked()[each] - asked[each] for each in (False, True))
        return Spent(polls, details, seconds, cpu), returned

    def _asked(self) -> Counter[bool]:
        """How often ADX was asked, without details and with."""
        asked: Counter[bool] = Counter()
        for each in self._around.adx.requests().counts:
            asked[each.details] += each.count
        return asked


def expect(due: float, polls: int, details: int, *, inexact: float = 0.0) -> None:
    """Whether what was due was asked for, but for ``inexact``, the share by which a part of the batches may differ.

    Raises:
        RuntimeError: it was not, or what has ended was not asked for once more.
    """
    if abs(polls - due) > due * inexact or abs(details - polls * FINISHED) > polls * FINISHED / 2:
        raise RuntimeError(f"of {due:,.0f} operations {polls:,} were asked for, and {details:,} for details")


def _rounds(bench: Bench) -> Iterator[Round]:
    for latency in LATENCIES:
        for outstanding, rounds in _ROUNDS.items():
            if latency and outstanding > _LARGEST_WITH_LATENCY:
                continue
            for _ in range(rounds):
                yield _told(bench.round(outstanding, latency))


def _flat_rounds(bench: Bench) -> Iterator[Round]:
    """As many are due of few as of many, in turns."""
    for _ in range(_FLAT_ROUNDS):
        for outstanding in (_FLAT_DUE, _FLAT):
            yield _told(bench.round(outstanding, 0.0, _FLAT_DUE))


def _told(done: Round) -> Round:
    print(
        f"polling: {done.outstanding:,} outstanding, {done.latency * 1000:g} ms: {done.share:.2f} of the floor's rate, "
        f"{done.cpu:.1f} times its processor time",
        flush=True,
    )
    return done


# Reporting


def _grouped(rounds: Iterable[Round]) -> dict[tuple[float, int], list[Round]]:
    grouped: dict[tuple[float, int], list[Round]] = {}
    for each in rounds:
        grouped.setdefault((each.latency, each.outstanding), []).append(each)
    return grouped


def _median(rounds: Iterable[Round], figure: Callable[[Round], float]) -> float:
    return statistics.median(map(figure, rounds))


def _cells(rounds: Sequence[Round]) -> list[str]:
    return [
        f"{_median(rounds, lambda each: each.share):.2f}",
        f"{_median(rounds, lambda each: each.cpu):.1f}",
        f"{_median(rounds, lambda each: each.storage / each.whole.polls):.3f}",
        f"{_median(rounds, lambda each: each.adx / each.whole.polls):.2f}",
        f"{_median(rounds, lambda each: each.whole.rate):,.0f}",
        f"{_median(rounds, lambda each: each.floor_rate):,.0f}",
        f"{_median(rounds, lambda each: each.whole.cpu_a_poll) * 1000:.2f}",
        f"{_median(rounds, lambda each: each.floor_cpu) * 1000:.2f}",
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _flat_table(rounds: Sequence[Round]) -> str:
    few, many = (list(each) for _, each in sorted(_grouped(rounds).items()))
    figures: list[tuple[str, Callable[[Round], float]]] = [
        ("The tick, processor time", lambda each: each.tick.cpu),
        ("Tick and batches, requests to storage", lambda each: each.storage),
        ("Tick and batches, processor time", lambda each: each.whole.cpu),
        ("Tick and batches, share of the floor's rate", lambda each: each.share),
    ]
    return _table(
        ["What", f"÷ that with {_FLAT_DUE:,} outstanding"],
        [[name, f"{_median(many, figure) / _median(few, figure):.2f}"] for name, figure in figures],
    )


def _aims(grouped: Mapping[tuple[float, int], Sequence[Round]]) -> list[Aim]:
    share = min(
        _median(some, lambda each: each.share) for (_, outstanding), some in grouped.items() if outstanding >= AIM_FROM
    )
    least, most = (_median(grouped[0.0, size], lambda each: each.cpu) for size in (AIM_FROM, max(_ROUNDS)))
    return [
        Aim(
            f"Polls a second from {AIM_FROM:,} outstanding on, at each latency: at least {AIM} of the floor's",
            f"{share:.2f} at its least",
            share >= AIM,
        ),
        Aim(
            f"Processor time of a poll with {max(_ROUNDS):,} outstanding ÷ with {AIM_FROM:,}: at most {AIM_FLAT}",
            f"{most / least:.2f}",
            most / least <= AIM_FLAT,
        ),
    ]


def _report(rounds: Sequence[Round], flat: Sequence[Round]) -> str:
    grouped = _grouped(rounds)
    head = [
        "Outstanding, all due",
        "ADX's latency, ms",
        "Rate ÷ floor's",
        "Processor time ÷ floor's",
        "Storage requests a poll",
        "ADX requests a poll",
        "Polls/s",
        "Floor's/s",
        "ms of processor time a poll",
        "Floor's",
    ]
    rows = [
        [f"{outstanding:,}", f"{latency * 1000:g}", *_cells(some)] for (latency, outstanding), some in grouped.items()
    ]
    lines = {
        f"ADX answers after {latency * 1000:g} ms": [
            (outstanding, _median(some, lambda each: each.share))
            for (own, outstanding), some in grouped.items()
            if own == latency
        ]
        for latency in LATENCIES
    }
    plot = plots.lines(
        "polling",
        "Polls a second, as a share of bare requests'",
        lines,
        x_label="operations outstanding, all of them due",
        y_label="share of the floor's rate",
        log_x=True,
        aim=AIM,
    )
    return f"""\
An instance of the app with the default settings. {FINISHED:.0%} of the operations have ended, with one blob each, and
are settled. Up to POLL_INLINE_LIMIT due, the tick polls; above that it hands out batches, which are taken off the
queue and polled, {messages_at_once()} at once: both count. Messages are taken and deleted by a process of their own, as
the host has it. Floor: bare requests in as many threads, in turns with it. Medians of up to {max(_ROUNDS.values())}
rounds; of the largest, {_MOST_MESSAGES} batches are polled. The table service is in memory and answers at once; on few
cores it takes some of the time from the poller, beside the simulator, with which alone the floor shares them.

{aims.table(_aims(grouped))}

{_table(head, rows)}

{plot}

The flat line: {_FLAT:,} outstanding of which {_FLAT_DUE:,} are due, beside {_FLAT_DUE:,} that are all due.

{_flat_table(flat)}
"""


def measure() -> str:
    """The figures, as Markdown."""
    with surroundings() as around, logged_as_in_production():
        bench = Bench(around)
        try:
            return _report(list(_rounds(bench)), list(_flat_rounds(bench)))
        finally:
            bench.close()


if __name__ == "__main__":
    print(measure())
