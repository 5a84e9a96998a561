"""The outside world as a state machine: hypothesis decides what happens; after each step every promise is checked."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.errors import KustoError, RequestRejected, Throttled
from tests.model import promises
from tests.model.adx import AdxBlob, AdxOperation, Dialect, Fate, Lack, Manner, outages
from tests.model.world import OPERATIONS, POLLS, RESULTS, RETRIES, TOPIC, TRACKING, Invocation, Troubles, World
from tests.support.interference import Harm

_MOST_OPERATIONS = 12
_MOST_ROUNDS = 400
_ENDINGS = 8

CONTAINER = "https://acc.blob.core.windows.net/c"

positions = st.integers(0, 30)
fates = st.sampled_from([*[Fate.TRANSIENT] * 6, *[Fate.MENDS] * 3, *[Fate.SUCCEEDED] * 5, *Fate])
harms = st.sampled_from([Harm.CRASHES_BEFORE, Harm.CRASHES_AFTER, *Harm])
_CALLS = [
    "adx.submit",
    "adx.status",
    "IngestionBlobs.submit_transaction",
    "IngestionBlobs.create_entity",
    "IngestionOperations.submit_transaction",
    "IngestionOperations.create_entity",
    "OutstandingOperations.submit_transaction",
    "OutstandingOperations.upsert_entity",
    f"{RETRIES}.send_message",
    f"{POLLS}.send_message",
    f"{RESULTS}.send_message",
    TOPIC,
]
named = st.tuples(st.sampled_from(_CALLS), st.sampled_from([0, 0, 0, 1]))
points = st.one_of(named, named, st.tuples(st.just(""), st.integers(0, 40)))
harm: st.SearchStrategy[Troubles] = st.one_of(
    st.dictionaries(points, harms, min_size=1, max_size=3),
    # The window: ADX has accepted, and the app does not get to know, or to write it down.
    st.sampled_from([Harm.LOSES_ITS_ANSWER, Harm.CRASHES_AFTER]).map(lambda harm: {("adx.submit", 0): harm}),
)
troubles: st.SearchStrategy[Troubles] = st.one_of(st.just({}), harm)
latencies = st.sampled_from([timedelta(), timedelta(), timedelta(), timedelta(seconds=7)])
queues = st.sampled_from([OPERATIONS, RETRIES, RETRIES, POLLS])
together = st.one_of(
    st.sampled_from([["tick", "ADX", "tick"], [RETRIES, RETRIES], [RETRIES, "ADX", "tick"], [OPERATIONS, OPERATIONS]]),
    st.lists(st.sampled_from(["tick", OPERATIONS, RETRIES, POLLS, "ADX"]), min_size=2, max_size=3),
)
stretches = st.lists(st.integers(0, 16), min_size=1, max_size=6)
waits = st.sampled_from(
    [timedelta(seconds=1), timedelta(seconds=20), timedelta(minutes=1), timedelta(minutes=6), timedelta(minutes=20)]
)


class OutsideWorld(RuleBasedStateMachine):
    """What may happen to the app."""

    bulk_status = False

    def __init__(self) -> None:
        super().__init__()
        self.world = World(deduplicate=False, bulk_status=self.bulk_status)
        self.rows: Mapping[str, Mapping[str, Any]] = {}
        self.retries_checked = self.accepted_checked = 0
        self.posted = 0
        self.endings = [Fate.SUCCEEDED]

    @initialize(deduplicate=st.booleans(), blobs=st.integers(1, 3), endings=st.lists(fates, min_size=1, max_size=6))
    def choose_settings(self, deduplicate: bool, blobs: int, endings: list[Fate]) -> None:  # noqa: FBT001, hypothesis passes it by name
        self.world.close()
        self.world = World(deduplicate=deduplicate, bulk_status=self.bulk_status)
        self.endings = endings
        self._submit_and_post(blobs, ("url", "sourceId"), Manner(), self.world.now, has_properties=True)

    # What upstream does

    @precondition(lambda self: self.posted < _MOST_OPERATIONS)
    @rule(
        blobs=st.integers(1, 3),
        names=st.sampled_from([*[("url", "sourceId")] * 5, ("url",), ("sourceId",), ()]),
        has_properties=st.sampled_from([True] * 7 + [False]),
        dialect=st.sampled_from(Dialect),
        has_times=st.booleans(),
        appears=st.sampled_from([0, 0, 0, 0, 0, 0, 30, None]),
        copies=st.sampled_from([1, 1, 2]),
        form=st.sampled_from(["json", "json", "json", "json", "base64", "id"]),
    )
    def upstream_submits_and_posts(
        self,
        blobs: int,
        names: tuple[str, ...],
        has_properties: bool,  # noqa: FBT001, hypothesis passes it by name
        dialect: Dialect,
        has_times: bool,  # noqa: FBT001, the same
        appears: int | None,
        copies: int,
        form: str,
    ) -> None:
        visible = None if appears is None else self.world.now + timedelta(seconds=appears)
        manner = Manner(dialect, has_times)
        self._submit_and_post(blobs, names, manner, visible, has_properties=has_properties, form=form, copies=copies)

    def _submit_and_post(
        self,
        count: int,
        names: tuple[str, ...],
        manner: Manner,
        visible: datetime | None,
        *,
        has_properties: bool,
        form: str = "json",
        copies: int = 1,
    ) -> None:
        self.posted += 1
        world, operation_id = self.world, f"op-{self.posted}"
        blobs = [
            AdxBlob(f"{CONTAINER}/{operation_id}-{place}.csv?sig=x", f"s{self.posted}-{place}", world.now)
            for place in range(count)
        ]
        world.adx.operations[operation_id] = AdxOperation(operation_id, blobs, 1, manner, visible)
        if form == "id" or not has_properties:
            world.without_properties.add(operation_id)
        if manner.dialect is Dialect.ID_ALONE and (form == "id" or set(names) != {"url", "sourceId"}):
            world.without_urls.add(operation_id)
        content: dict[str, Any] = {"operationId": operation_id}
        if has_properties:
            content["properties"] = {"format": "csv", "ingestIfNotExists": ["load"], "tags": ["ingest-by:load"]}
        if names:
            whole = [{"url": blob.url, "sourceId": blob.source_id} for blob in blobs]
            content["blobs"] = [{name: blob[name] for name in names} for blob in whole]
        text = operation_id if form == "id" else json.dumps(content)
        body = base64.b64encode(text.encode()).decode() if form == "base64" else text
        for _ in range(copies):
            world.queue(OPERATIONS).send_message(body, time_to_live=-1)

    @precondition(lambda self: len(self.world.junk) < 2)
    @rule(text=st.sampled_from(["junk {", "junk"]))
    def somebody_posts_junk(self, text: str) -> None:
        # No JSON: it looks like an object and is cut short, or names a cluster that isn't allowed.
        body = {"junk {": '{"junk": 1', "junk": '{"operationId": "x", "cluster": "https://evil.example"}'}[text]
        self.world.junk.add(body)
        self.world.queue(OPERATIONS).send_message(body, time_to_live=-1)

    # What the host does

    @rule(trouble=troubles, latency=latencies, instance=st.integers(0, 1))
    def the_timer_ticks(self, trouble: Troubles, latency: timedelta, instance: int) -> None:
        invocation = Invocation("tick", trouble, latency)
        self.world.run([(invocation, lambda: self.world.tick(invocation, instance))])

    @rule(
        name=queues,
        pick=positions,
        trouble=troubles,
        latency=latencies,
        instance=st.integers(0, 1),
        is_kept=st.sampled_from([False, False, True]),
    )
    def a_message_is_delivered(
        self,
        name: str,
        pick: int,
        trouble: Troubles,
        latency: timedelta,
        instance: int,
        is_kept: bool,  # noqa: FBT001, hypothesis passes it by name
    ) -> None:
        self.world.pick = pick
        if name == RETRIES:
            self.world.wait_for(name)
        invocation = Invocation(name, trouble, latency)
        self.world.run([(invocation, lambda: self.world.deliver(name, invocation, instance, is_kept=is_kept))])

    @rule(
        kinds=together,
        stretches=stretches,
        trouble=troubles,
        fate=fates,
        pick=positions,
    )
    def several_run_at_once(
        self, kinds: list[str], stretches: list[int], trouble: Troubles, fate: Fate, pick: int
    ) -> None:
        self.world.pick = pick
        if kinds[0] == "tick":
            self.world.later(timedelta(minutes=2))
        elif kinds[0] != "ADX":
            self.world.wait_for(kinds[0])
        bodies = [self._body(kind, place, trouble if place == 0 else {}, fate) for place, kind in enumerate(kinds)]
        self.world.run(bodies, stretches)

    def _body(self, kind: str, place: int, trouble: Troubles, fate: Fate) -> tuple[Invocation, Callable[[], None]]:
        world, invocation = self.world, Invocation(kind, trouble)
        if kind == "tick":
            return invocation, lambda: world.tick(invocation, place % 2)
        if kind == "ADX":
            return invocation, lambda: self._move_all(fate)
        return invocation, lambda: world.deliver(kind, invocation, place % 2)

    @rule(pick=positions, stretches=stretches, trouble=troubles)
    def one_message_is_handled_twice_at_once(self, pick: int, stretches: list[int], trouble: Troubles) -> None:
        world = self.world
        world.pick = pick
        name = POLLS if world.messages(POLLS) and not world.messages(RETRIES) else RETRIES
        if name == RETRIES and not world.messages(RETRIES):
            self._new_operation(Fate.TRANSIENT, is_polled=True)
        world.wait_for(name)

        def again(invocation: Invocation) -> None:
            world.interference.turn()
            world.reveal(name)
            world.deliver(name, invocation, 1)

        first, second = Invocation(name, trouble), Invocation(name)
        world.run([(first, lambda: world.deliver(name, first, 0)), (second, lambda: again(second))], stretches)

    def _new_operation(self, fate: Fate, *, is_polled: bool) -> None:
        """A new operation is registered; if it is to be polled too, its blobs have met their fate by then."""
        if self.posted < _MOST_OPERATIONS:
            self._submit_and_post(2, ("url", "sourceId"), Manner(), self.world.now, has_properties=True)
            self._round(timedelta(seconds=5))
            if is_polled:
                self._round(timedelta(seconds=20), [fate])

    @rule(fate=fates, call=st.sampled_from(_CALLS), how=harms, harmed=st.sampled_from(["tick", RETRIES, OPERATIONS]))
    def one_call_is_harmed_on_the_way(self, fate: Fate, call: str, how: Harm, harmed: str) -> None:
        if harmed != OPERATIONS:
            self._new_operation(fate if harmed == "tick" else Fate.TRANSIENT, is_polled=harmed != "tick")
        elif self.posted < _MOST_OPERATIONS:
            self._submit_and_post(1, ("url", "sourceId"), Manner(), self.world.now, has_properties=True)
        self._round(timedelta(seconds=65), [fate], {harmed: {(call, 0): how}})

    @rule(rounds=st.integers(1, 6), random=st.sampled_from([0.0, 0.5, 0.999]))
    def all_goes_well_for_a_while(self, rounds: int, random: float) -> None:
        self.world.random = random
        for _ in range(rounds):
            self._round(timedelta(seconds=40))

    @rule(
        ends=st.lists(fates, min_size=1, max_size=4),
        harmed=st.sampled_from(["tick", "tick", RETRIES, OPERATIONS]),
        trouble=harm,
    )
    def blobs_end_and_the_work_goes_on(self, ends: list[Fate], harmed: str, trouble: Troubles) -> None:
        for place, _ in enumerate(ends):
            self._round(timedelta(seconds=65), ends[place:], {harmed: trouble})

    # What ADX does

    @rule(place=positions, fate=fates)
    def adx_moves_on(self, place: int, fate: Fate) -> None:
        self._move(place, fate)

    def _move(self, place: int, fate: Fate) -> None:
        blobs = [blob for each in self.world.adx.operations.values() for blob in each.blobs if not blob.is_final]
        if blobs:
            self.world.adx.move(blobs[place % len(blobs)], fate)

    def _move_all(self, fate: Fate) -> None:
        self.world.interference.turn()
        for operation in list(self.world.adx.operations.values()):
            for blob in operation.blobs:
                self.world.adx.move(blob, fate)

    @precondition(lambda self: self.world.adx.operations)
    @rule(place=positions, lack=st.sampled_from(Lack))
    def adx_holds_something_back(self, place: int, lack: Lack) -> None:
        self.world.adx.hold_back(self._operation(place), lack)

    @precondition(lambda self: len(self.world.adx.operations) > 2)
    @rule(place=positions)
    def adx_forgets_an_operation(self, place: int) -> None:
        self.world.adx.forget(self._operation(place))

    def _operation(self, place: int) -> AdxOperation:
        operations = list(self.world.adx.operations.values())
        return operations[place % len(operations)]

    @rule(which=st.sampled_from([*outages()]), rounds=st.integers(1, 2))
    def adx_fails_for_a_while(self, which: str, rounds: int) -> None:
        self.world.adx.outage = outages()[which]
        for _ in range(rounds):
            self._round(timedelta(seconds=65))
        self.world.adx.outage = None

    @rule(refuses=st.sampled_from([RequestRejected("HTTP 400"), Throttled("HTTP 429")]))
    def adx_refuses_submissions_for_a_while(self, refuses: KustoError) -> None:
        self.world.adx.refuses = refuses
        self._round(timedelta(seconds=65))
        self.world.adx.refuses = None

    # What storage and time do

    @rule(ends=st.lists(fates, max_size=2))
    def storage_fails_for_a_while(self, ends: list[Fate]) -> None:
        self.world.storage_fails = True
        self._round(timedelta(seconds=65), ends)
        self.world.storage_fails = False

    @rule(time=waits)
    def time_passes(self, time: timedelta) -> None:
        self.world.later(time)

    @precondition(lambda self: self.world.adx.operations)
    @rule(time=st.sampled_from([timedelta(hours=1), timedelta(hours=1), TRACKING, timedelta(hours=30)]))
    def the_app_sleeps_for_long(self, time: timedelta) -> None:
        self.world.later(time)

    # What is promised

    @invariant()
    def every_promise_is_kept(self) -> None:
        world = self.world
        promises.an_operation_is_watched_until_it_ends(world)
        promises.a_final_state_stays(world, self.rows)
        promises.an_end_is_told_before_it_is_let_go(world)
        promises.a_state_says_what_the_blobs_say(world)
        promises.what_adx_reported_is_written_down(world)
        promises.a_transient_failure_is_on_its_way(world)
        self.retries_checked = promises.only_transient_failures_are_enqueued(world, self.retries_checked)
        self.accepted_checked = promises.a_resubmission_is_of_transient_failures(world, self.accepted_checked)
        promises.a_blob_is_submitted_again_once(world)
        promises.rows_are_ingested_once(world)
        promises.an_operation_is_listed_once(world)
        promises.junk_is_kept_as_it_came(world)
        promises.no_poll_fails_by_itself(world)
        self.rows = promises.operation_rows(world)

    def teardown(self) -> None:
        try:
            self._let_everything_end()
        finally:
            self.world.close()

    def _let_everything_end(self) -> None:
        world = self.world
        for place in range(_MOST_ROUNDS):
            if not self._waiting():
                break
            fates_now = self.endings[place % len(self.endings) :] if place < _ENDINGS else [Fate.SUCCEEDED]
            self._round(timedelta(minutes=2 if place < 100 else 40), fates_now if place % 2 else ())
            self.every_promise_is_kept()
        self.every_promise_is_kept()
        promises.nothing_is_left(world)
        promises.it_is_listed_as_what_its_row_says(world)
        promises.what_succeeded_is_not_given_up(world)
        promises.ended_operations_say_what_adx_says(world)
        promises.why_given_up(world)
        promises.who_was_told_knows_how_it_ended(world)

    def _waiting(self) -> bool:
        rows = self.world.table("OutstandingOperations").rows()
        is_watching = any(row["RowKey"].startswith("due|") for row in rows)
        return is_watching or any(self.world.messages(name) for name in (OPERATIONS, RETRIES, POLLS))

    def _round(self, time: timedelta, ends: Sequence[Fate] = (), trouble: Mapping[str, Troubles] | None = None) -> None:
        """Let time pass and blobs meet their ends, one after the other, tick, and deliver all that there is.

        Args:
            time: How much time passes.
            ends: What becomes of the blobs.
            trouble: What happens to one invocation of a kind.
        """
        world = self.world
        world.later(time)
        blobs = [blob for each in world.adx.operations.values() for blob in each.blobs]
        for blob, fate in zip(blobs, cycle(ends), strict=False):
            world.adx.move(blob, fate)
        world.pick = 0
        for name in ("tick", OPERATIONS, POLLS, RETRIES, OPERATIONS):
            left = (trouble or {}).get(name, {})
            for _ in range(1 if name == "tick" else len(world.messages(name))):
                invocation = Invocation(name, left)
                world.run([(invocation, self._delivery(name, invocation))])
                left = {} if invocation.was_harmed else left

    def _delivery(self, name: str, invocation: Invocation) -> Callable[[], None]:
        if name == "tick":
            return lambda: self.world.tick(invocation, 0)
        return lambda: self.world.deliver(name, invocation, 0)


class OutsideWorldWithBulkStatus(OutsideWorld):
    """The same to an app that asks for many operations at once, of an ADX that shows some late or not at all."""

    bulk_status = True
