"""What it costs to watch one operation: the app beside a naive peer and an orchestration, requests counted at the wire.

The app and the naive peer run, on Azurite and the simulator, through a proxy that counts (``benchmarks/wire.py``); the
orchestration is reckoned (``benchmarks/orchestration_peer.py``). An operation's life is put together of what was
counted: its registration, its polls, its end.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from benchmarks import aims, costs, orchestration_peer, plots
from benchmarks.aims import Aim
from benchmarks.orchestration_peer import STEPS, Transactions, transactions, transactions_alone
from benchmarks.watched import Life, Stage, staged, ticks_until
from benchmarks.wire import Tally

BLOBS = (1, 20, 1_000)
MINUTES = (1, 5, 60)
CROWD = 500
"""Operations at a tick: as many as an instance polls itself (``POLL_INLINE_LIMIT``)."""
_FEW = 16
"""Operations of 1,000 blobs: Azurite takes its time to write half a million rows."""
_NAIVE_FEW = 10
"""Operations of the naive peer, which shares nothing but its look."""
_PEERS_INTERVAL = timedelta(minutes=1)

AIM_POLLS, AIM_BLOBS = 10, 20
MOST_TRANSACTIONS = 8
LEAST_RATIO = 10

MILLION = 1_000_000
_THREE_FIGURES = 1_000
_SHARED = (("NaiveOperations", "query"), ("OutstandingOperations", "query"))
"""What looks for whatever is due: a crowd shares it, also where fewer than a crowd were measured."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What one operation takes, from its registration to its end.

    Attributes:
        table: Transactions of tables.
        queue: Those of queues, without its message's.
        plain: Requests to ADX without details.
        detailed: Requests to ADX with details.
    """

    table: float
    queue: float
    plain: float
    detailed: float

    @property
    def storage(self) -> float:
        """Transactions of the storage account."""
        return self.table + self.queue

    @property
    def adx(self) -> float:
        """Requests to ADX."""
        return self.plain + self.detailed

    def __add__(self, other: "Watched") -> "Watched":
        return Watched(
            self.table + other.table,
            self.queue + other.queue,
            self.plain + other.plain,
            self.detailed + other.detailed,
        )

    def __mul__(self, factor: float) -> "Watched":
        return Watched(self.table * factor, self.queue * factor, self.plain * factor, self.detailed * factor)


_NOTHING = Watched(0, 0, 0, 0)


def share(tally: Tally, operations: int, crowd: int) -> Watched:
    """One operation's share of what so many took, of a look for what is due that of one in a crowd."""
    looks = sum(tally.of("table", resource=table, kind=kind) for table, kind in _SHARED)
    return Watched(
        table=(tally.of("table") - looks) / operations + looks / crowd,
        queue=tally.of("queue") / operations,
        plain=tally.of("adx", kind="status") / operations,
        detailed=tally.of("adx", kind="status with details") / operations,
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """The lives that were counted, by the number of blobs.

    Attributes:
        times: When the app polls, in seconds after the registration.
        ours: Among many; that of ``AIM_BLOBS`` is polled ``AIM_POLLS`` times, the others once.
        ours_alone: One operation with all polls and all ticks; those of other numbers of blobs are polled once.
        naive: Among many.
        naive_alone: One operation.
    """

    times: Sequence[float]
    ours: dict[int, Life]
    ours_alone: dict[int, Life]
    naive: dict[int, Life]
    naive_alone: dict[int, Life]

    def us(self, blobs: int, polls: int) -> Watched:
        """The app, among many. What a poll asks for and writes has nothing to do with how many blobs there are."""
        return _told(self.ours[blobs], self.ours[AIM_BLOBS], polls, CROWD)

    def us_alone(self, blobs: int, polls: int) -> Watched:
        """The app, with nothing else to watch: all ticks are for this operation."""
        watched, end = self.ours_alone[AIM_BLOBS], self.ours_alone[blobs]
        idle = watched.idle[: ticks_until(self.times[polls - 1]) - polls]
        return _told(end, watched, polls, 1) + _sum(share(tick, 1, 1) for tick in idle)

    def naively(self, blobs: int, polls: int) -> Watched:
        """The naive peer, among many."""
        return _told(self.naive[blobs], self.naive[blobs], polls, CROWD)

    def naively_alone(self, blobs: int, polls: int) -> Watched:
        """The naive peer, with nothing else to watch."""
        return _told(self.naive_alone[blobs], self.naive_alone[blobs], polls, 1)

    @property
    def message(self) -> float:
        """Queue transactions to take an operation's message, among many."""
        life = self.ours[AIM_BLOBS]
        return life.message.storage / life.operations


def _told(life: Life, polled: Life, polls: int, crowd: int) -> Watched:
    """Registration and end of one life, with the polls between from another."""
    ends = share(life.registration, life.operations, crowd) + share(life.end, life.operations, crowd)
    between = [share(tally, polled.operations, crowd) for tally in polled.polls[: polls - 1]]
    # Polls of a crowd that were not run are taken for the mean of those that were: they are all alike.
    left = (polls - 1 - len(between)) / max(len(between), 1)
    return ends + _sum(between) * (1 + left)


def _sum(parts: Iterable[Watched]) -> Watched:
    return sum(parts, _NOTHING)


def our_polls(minutes: int) -> int:
    """How often the app polls an operation that lasts so long."""
    return costs.watch(timedelta(minutes=minutes)).polls


def peers_polls(minutes: int) -> int:
    """How often the peers do, each minute: the first that finds it ended is the last."""
    return timedelta(minutes=minutes) // _PEERS_INTERVAL + 1


# Counting


def count(stage: Stage) -> Counted:
    """Watch all crowds."""
    times = costs.poll_times(timedelta(minutes=max(MINUTES)))
    began = time.monotonic()

    def told(what: str, life: Life) -> Life:
        print(f"peers: {what}, {life.operations} watched, {time.monotonic() - began:.0f} s", flush=True)
        return life

    ours = {AIM_BLOBS: told("20 blobs", stage.watch(CROWD, AIM_BLOBS, times[:AIM_POLLS]))}
    ours[1] = told("1 blob", stage.watch(CROWD, 1, times[:1]))
    ours[1_000] = told("1,000 blobs", stage.watch(_FEW, 1_000, times[:1]))
    alone = {AIM_BLOBS: told("alone", stage.watch(1, AIM_BLOBS, times, every_tick=True))}
    alone |= {blobs: stage.watch(1, blobs, times[:1]) for blobs in BLOBS if blobs != AIM_BLOBS}
    polls = peers_polls(max(MINUTES))
    naive_alone = {blobs: told("naive, alone", stage.watch_naively(1, blobs, polls)) for blobs in BLOBS}
    naive = {blobs: told("naive", stage.watch_naively(_NAIVE_FEW, blobs, polls)) for blobs in BLOBS[:-1]}
    # One by one: what 1,000 blobs take is the same for one operation and for many, but for the look.
    naive[1_000] = naive_alone[1_000]
    return Counted(times, ours, alone, naive, naive_alone)


# Reporting


def _table(head: Sequence[str], alignment: str, rows: Iterable[Sequence[str]]) -> str:
    line = ["---:" if each == "r" else "---" for each in alignment]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, line, *rows))


def _cases() -> Iterator[tuple[int, int, list[str]]]:
    for blobs in BLOBS:
        for minutes in MINUTES:
            yield blobs, minutes, [f"{blobs:,}", str(minutes)]


def _among_many(counted: Counted) -> str:
    rows = []
    for blobs, minutes, case in _cases():
        theirs, polls = peers_polls(minutes), our_polls(minutes)
        naive, us = counted.naively(blobs, theirs).storage, counted.us(blobs, polls).storage
        orchestration = transactions(theirs, blobs).storage
        numbers = (naive, orchestration, us, us + counted.message, naive / us, orchestration / us)
        rows.append([*case, str(theirs), str(polls), *map(_number, numbers)])
    head = (
        "Blobs",
        "Minutes",
        "Polls, peers",
        "Polls, ours",
        "Naive",
        "Orchestration",
        "Ours",
        "Ours with its message",
        "Naive ÷ ours",
        "Orchestration ÷ ours",
    )
    return _table(head, "r" * len(head), rows)


def _alone(counted: Counted) -> str:
    rows = []
    for blobs, minutes, case in _cases():
        theirs, polls = peers_polls(minutes), our_polls(minutes)
        numbers = (
            counted.naively_alone(blobs, theirs).storage,
            transactions_alone(theirs, blobs).storage,
            counted.us_alone(blobs, polls).storage,
        )
        rows.append([*case, *map(_number, numbers)])
    return _table(("Blobs", "Minutes", "Naive", "Orchestration", "Ours"), "rrrrr", rows)


def _asked(counted: Counted) -> str:
    rows = []
    for minutes in MINUTES:
        us, naive = counted.us(AIM_BLOBS, our_polls(minutes)), counted.naively(AIM_BLOBS, peers_polls(minutes))
        numbers = (naive.detailed, peers_polls(minutes), us.plain, us.detailed, us.adx)
        rows.append([str(minutes), *map(_number, numbers)])
    head = ("Minutes", "Naive, all with details", "Orchestration, the same", "Ours, plain", "with details", "in all")
    return _table(head, "rrrrrr", rows)


def _compared(counted: Counted) -> str:
    us, naive = counted.us(AIM_BLOBS, AIM_POLLS).storage, counted.naively(AIM_BLOBS, AIM_POLLS).storage
    orchestration = transactions(AIM_POLLS, AIM_BLOBS).storage
    whole = us + counted.message
    rows = [
        ["Naive", _number(naive), _number(naive / us), _number((naive + counted.message) / whole)],
        [
            "Orchestration",
            _number(orchestration),
            _number(orchestration / us),
            _number((orchestration + counted.message) / whole),
        ],
        ["Ours", _number(us), "1", "1"],
    ]
    return _table(("", "Storage transactions", "÷ ours", "÷ ours, all with their message"), "lrrr", rows)


def _aims(counted: Counted) -> list[Aim]:
    """With the message that registers an operation, which all three take: that is the harder reading."""
    us = counted.us(AIM_BLOBS, AIM_POLLS).storage + counted.message
    times = (transactions(AIM_POLLS, AIM_BLOBS).storage + counted.message) / us
    case = f"Storage transactions of an operation, {AIM_BLOBS} blobs, {AIM_POLLS} polls, its message included"
    return [
        Aim(f"{case}: at most {MOST_TRANSACTIONS}", _number(us), us <= MOST_TRANSACTIONS),
        Aim(
            f"The same: at least {LEAST_RATIO} times fewer than an orchestration", _number(times), times >= LEAST_RATIO
        ),
    ]


def _steps(counted: Counted) -> str:
    life = counted.ours[AIM_BLOBS]
    parts = (
        ("its message", life.message),
        ("registration", life.registration),
        ("a poll that finds it running", life.polls[0]),
        ("the poll that finds its end", life.end),
    )
    rows = [
        [
            name,
            asked.service,
            asked.resource,
            asked.kind,
            _number(requests / life.operations),
            _rows(tally.rows.get(asked, 0), life),
        ]
        for name, tally in parts
        for asked, requests in sorted(tally.requests.items(), key=lambda item: (item[0].service, item[0].resource))
    ]
    head = ("Step", "Service", "Table or queue", "Request", "Requests an operation", "Rows an operation")
    return _table(head, "llllrr", rows)


def _rows(rows: int, life: Life) -> str:
    return _number(rows / life.operations) if rows else ""


def _money(counted: Counted) -> str:
    rows = []
    message = costs.QUEUE_TRANSACTIONS.cost(counted.message * MILLION)
    for blobs, minutes, case in _cases():
        theirs, polls = peers_polls(minutes), our_polls(minutes)
        naive, us = counted.naively(blobs, theirs), counted.us(blobs, polls)
        dollars = (_dollars(each) for each in (naive, transactions(theirs, blobs), us))
        rows.append([*case, *(f"${each + message:,.2f}" for each in dollars), f"{theirs}", _number(us.adx)])
    head = (
        "Blobs",
        "Minutes",
        "Naive",
        "Orchestration",
        "Ours",
        "ADX requests, millions: each peer",
        "ours",
    )
    return _table(head, "r" * len(head), rows)


def _dollars(each: Watched | Transactions) -> float:
    """A month, for a million operations."""
    return costs.TABLE_TRANSACTIONS.cost(each.table * MILLION) + costs.QUEUE_TRANSACTIONS.cost(each.queue * MILLION)


def _reckoned() -> str:
    rows = [
        [
            step.what,
            step.service,
            _number(step.count),
            step.per,
            _number(step.count * orchestration_peer.times(step.per, AIM_POLLS, AIM_BLOBS)),
            f"[{step.source.place}]({step.source.page})" if step.source.page else step.source.place,
        ]
        for step in STEPS
    ]
    rows.append(["**all**", "", "", "", f"**{_number(transactions(AIM_POLLS, AIM_BLOBS).storage)}**", ""])
    return _table(("Step", "Service", "Transactions", "for each", f"of {AIM_POLLS} polls", "Source"), "llrlrl", rows)


def _number(number: float) -> str:
    """Three figures, or all before the point."""
    return f"{number:,.0f}" if number >= _THREE_FIGURES else f"{number:.3g}"


def _plot(counted: Counted) -> str:
    values: dict[str, float] = {}
    for minutes in MINUTES:
        theirs = peers_polls(minutes)
        values |= {
            f"orchestration\n{minutes} min": transactions(theirs, AIM_BLOBS).storage,
            f"naive\n{minutes} min": counted.naively(AIM_BLOBS, theirs).storage,
            f"ours\n{minutes} min": counted.us(AIM_BLOBS, our_polls(minutes)).storage,
        }
    title = f"Storage transactions to watch an operation of {AIM_BLOBS} blobs"
    return plots.bars("peers", title, values, y_label="transactions", log_y=True)


def _report(counted: Counted) -> str:
    return f"""\
Requests counted by a proxy before Azurite and the simulator; the orchestration is reckoned, at its least. A group of
writes (`$batch`) is one transaction. The peers poll each minute, the app at its own pace. Among many: {CROWD}
operations are due together. How to read this, and what is assumed: docs/watching.md.

{aims.table(_aims(counted))}

An operation of {AIM_BLOBS} blobs, polled {AIM_POLLS} times, among many:

{_compared(counted)}

Storage transactions of an operation, among many, from its registration to its end. Its message takes
{_number(counted.message)} of the queue in each of the three:

{_among_many(counted)}

{_plot(counted)}

Requests to ADX of an operation, whatever it holds:

{_asked(counted)}

A million operations a month, storage transactions at list prices, their messages included:

{_money(counted)}

Storage transactions of an operation that is the only one; ours has every tick of its life to itself:

{_alone(counted)}

The app's requests, of {AIM_BLOBS} blobs among many:

{_steps(counted)}

The orchestration's:

{_reckoned()}
"""


def measure() -> str:
    """The figures, as Markdown."""
    with staged() as stage:
        return _report(count(stage))


if __name__ == "__main__":
    print(measure())
