"""The app dies for real at each write and each send, before it and after it, and comes back until all is settled."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from local.adx_simulator import AdxSimulator
from local.azurite import Azurite, connection_string
from tests.crash.host import Died, Host
from tests.crash.left import Left, look
from tests.crash.scenarios import SCENARIOS, End, Scenario
from tests.crash.steps import TABLES, Steps
from tests.support.event_grid import EventGrid
from tests.support.tripwire import Side, Trip, Tripwire, Write
from tests.support.world import World

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"

# What each step leaves behind: which of the facts of ``Left`` it changes, all of them at once.
CHANGES = {
    "table created": {"storage"},
    "queue created": {"storage"},
    "layout written": {"layout"},
    "pointer inserted": {"pointers"},
    "outstanding rows inserted": {"messages", "due", "listed"},
    "operation row inserted": {"operations"},
    "refused message kept": {"poison"},
    "batch sent": {"batches"},
    "dispatch noted": {"due"},
    "due rows moved": {"due"},
    "blobs written": {"blobs"},
    "retry message sent": {"retries"},
    "blobs Enqueued": {"blobs"},
    "progress shown": {"operations"},
    "operation ended": {"operations"},
    "result sent": {"news"},
    "event sent": {"events"},
    "outstanding rows deleted": {"messages", "due", "listed"},
    "news put off": {"due", "listed"},
    "told rows deleted": {"messages", "due"},
    "blobs claimed": {"claims"},
    "blobs submitted": {"submissions"},
    "claims released": {"claims"},
    "retry message put back": {"retries"},
    "blobs Resubmitted": {"blobs", "claims"},
    "blobs Recovered": {"blobs"},
    "operation corrected": {"operations"},
    "list rows corrected": {"listed"},
    "blobs AttemptsExhausted": {"blobs"},
    "blobs NotResubmittable": {"blobs"},
    "redrive begun": {"redrives"},
    "blobs taken up": {"blobs"},
    "blobs counted": {"operations"},
    "poison message sent back": {"incoming"},
    "poison message removed": {"poison"},
    "redrive done": {"redrives"},
    "results deleted": {"blobs", "pointers"},
    "list rows deleted": {"listed"},
    "operation row deleted": {"operations"},
    "redrives deleted": {"redrives"},
}


@dataclass(frozen=True)
class Run:
    """A life without a death: what was written, and what there was before and after each write."""

    writes: tuple[Write, ...]
    before: tuple[Left, ...]
    after: tuple[Left, ...]
    end: End


@contextmanager
def host_of(scenario: Scenario, world: World, tripwire: Tripwire) -> Iterator[Host]:
    """The host, whose worker writes to nothing but through the tripwire."""
    ports = world.azurite.ports[0], tripwire.port("queue"), tripwire.port("table")
    behind = {
        "IngestionStorage": connection_string(ports),
        "KUSTO_INGEST_URI": f"http://127.0.0.1:{tripwire.port('adx')}",
    }
    told = {
        "RESULTS_QUEUE": world.results_queue,
        "EVENTGRID_TOPIC_ENDPOINT": f"http://127.0.0.1:{tripwire.port('grid')}/api/events",
    }
    world.env |= {**behind, **scenario.settings, **(told if scenario.is_told else {})}
    tripwire.let_pass()
    scenario.prepare(world)
    with Host(world, world.env, scenario.pace, lambda: scenario.on_retry(world, host)) as host:
        if not scenario.from_start:
            host.start()
        yield host


@contextmanager
def empty_world(storage: Azurite, adx: AdxSimulator, grid: EventGrid) -> Iterator[World]:
    """A world whose tables are empty; what a failed test leaves in them does not concern the next one."""
    with ExitStack() as stack:
        stack.callback(adx.reset)
        stack.callback(grid.clear)
        world = World(storage, adx, stack, grid=grid)
        stack.callback(empty_tables, world)
        yield world


def empty_tables(world: World) -> None:
    for name in TABLES:
        with world.tables.get_table_client(name) as table, suppress(ResourceNotFoundError):
            for row in list(table.list_entities(select=["PartitionKey", "RowKey"])):
                table.delete_entity(row)


def live(scenario: Scenario, world: World, host: Host) -> None:
    """Have all done; after a death, from where that was."""
    host.wake()
    if not host.has_settled:
        host.settle_all()
    scenario.afterwards(world, host)


def end_of(world: World) -> End:
    """What all has come to, once nothing is left to do."""
    left = look(world)
    assert (left.storage, left.layout) == (7 + bool(left.poison), 1)
    assert (left.messages, left.due, left.claims) == (0, (), 0)
    assert (left.incoming, left.retries, left.batches) == (0, 0, 0)
    operations = world.operations()
    blobs = [(row, blob) for row in operations for blob in world.blobs(row["OperationId"])]
    # No row is left over that nothing leads to.
    assert (left.pointers, len(left.operations), len(left.blobs)) == (len(operations), len(operations), len(blobs))
    # Each is listed, as what its row says.
    public = [(row["State"], row["Succeeded"], row["Failed"], row["RetriedBlobs"]) for row in operations]
    assert sorted(left.listed) == sorted(public)
    # What was submitted again is counted as such.
    resubmitted = Counter(row["OperationId"] for row, blob in blobs if blob["RetryState"] == "Resubmitted")
    assert all(row["RetriedBlobs"] >= resubmitted[row["OperationId"]] for row in operations)
    assert world.grid
    told = told_by(world.news())
    assert told == told_by([event["data"] for event in world.grid.events])
    assert world.grid.refusals == []
    return End(
        operations=tuple(sorted((row["Attempt"], row["State"]) for row in operations)),
        blobs=tuple(
            sorted(
                (row["Attempt"], blob["Url"].rpartition("/")[2], blob["Status"], blob["RetryState"])
                for row, blob in blobs
            )
        ),
        submissions={
            book.url.rpartition("/")[2]: (book.submissions, book.times_ingested) for book in world.adx.books().blobs
        },
        poison=left.poison,
        redriven=any(is_done for is_done, _ in left.redrives),
        told=told,
    )


def told_by(news: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, str, str], ...]:
    """What a reader has of it who knows each ID once."""
    return tuple(sorted({each["eventId"]: (each["attempt"], each["event"], each["state"]) for each in news}.values()))


class Watched:
    """Looks at what there is before and after each write."""

    def __init__(self, world: World, host: Host) -> None:
        self._world = world
        self._host = host
        self._calls = -1
        self.before: list[Left] = []
        self.after: list[Left] = []

    def before_write(self) -> None:
        # Between two writes of one invocation nothing happens.
        self.before.append(self.after[-1] if self._host.calls == self._calls else look(self._world))
        self._calls = self._host.calls

    def after_write(self) -> None:
        self.after.append(look(self._world))


@pytest.fixture(scope="session")
def clean_run(storage: Azurite, adx: AdxSimulator, grid: EventGrid, tripwire: Tripwire) -> Callable[[Scenario], Run]:
    """Lives a scenario without a death, once."""

    def run(scenario: Scenario) -> Run:
        with empty_world(storage, adx, grid) as world, host_of(scenario, world, tripwire) as host:
            watched = Watched(world, host)
            tripwire.watch(Steps(), before=watched.before_write, after=watched.after_write)
            live(scenario, world, host)
            return Run(tuple(tripwire.writes), tuple(watched.before), tuple(watched.after), end_of(world))

    return cache(run)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_life_without_a_death_takes_these_steps(scenario: Scenario, clean_run: Callable[[Scenario], Run]) -> None:
    run = clean_run(scenario)
    steps = tuple(write.name for write in run.writes)
    # Of resubmitted blobs ADX makes up the operation's ID, and so its partition.
    assert steps == (scenario.steps_in_one_shard if steps == scenario.steps_in_one_shard else scenario.steps)
    assert run.end == scenario.end


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_each_step_leaves_what_it_is_there_for_and_nothing_else(
    scenario: Scenario, clean_run: Callable[[Scenario], Run]
) -> None:
    run = clean_run(scenario)
    changes = [after.differs_in(before) for before, after in zip(run.before, run.after, strict=True)]
    assert changes == [CHANGES[write.name] if write.took_effect else set() for write in run.writes]


DEATHS = [
    pytest.param(scenario, Trip(place, side), id=f"{scenario.name}: {side} {place}, {scenario.steps[place]}")
    for scenario in SCENARIOS
    for place in scenario.places
    for side in Side
]


@pytest.mark.parametrize(("scenario", "trip"), DEATHS)
def test_a_death_at_a_step_is_made_good(
    scenario: Scenario,
    trip: Trip,
    storage: Azurite,
    adx: AdxSimulator,
    grid: EventGrid,
    tripwire: Tripwire,
    clean_run: Callable[[Scenario], Run],
) -> None:
    clean = clean_run(scenario)
    with empty_world(storage, adx, grid) as world, host_of(scenario, world, tripwire) as host:
        tripwire.watch(Steps(), trip=trip, kill=host.kill)
        with pytest.raises(Died):
            live(scenario, world, host)
        assert look(world) == (clean.before if trip.side is Side.BEFORE else clean.after)[trip.place]
        tripwire.let_pass()
        host.release()
        live(scenario, world, host)
        assert end_of(world) == end_after(scenario, trip, clean)


def end_after(scenario: Scenario, trip: Trip, clean: Run) -> End:
    """What all has come to after a death: the same as without, but for the repetitions that are documented."""
    written = clean.writes[: trip.place + (trip.side is Side.AFTER)]
    is_first = bool(written) and written[-1].took_effect and written.count(written[-1]) == 1
    return scenario.repeats.get(written[-1].name, scenario.end) if is_first else scenario.end


def test_the_page_lists_each_step_and_no_other() -> None:
    listed = re.findall(r"^\| `([a-zA-Z ]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == {step for scenario in SCENARIOS for step in scenario.steps}


def test_the_app_dies_at_each_step_of_the_page() -> None:
    died_at = {step for scenario in SCENARIOS for step in scenario.steps[scenario.dies_at]}
    assert died_at == {step for scenario in SCENARIOS for step in scenario.steps}
