"""A soak from its first submission to its judgement."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.adx_simulator import AdxSimulator, BlobFault, RequestFault
from local.azurite import Azurite
from local.functions_host import FunctionsHost
from local.interrupts import put_off
from local.soak.evidence import Evidence, HostEnd, has_drained
from local.soak.fates import blob_faults
from local.soak.hosts import Hosts
from local.soak.judgement import judge
from local.soak.plan import BATCHING_SECONDS, COUNTED_AFTER_SECONDS, DATABASE, DIALECTS, INVISIBLE_SECONDS, Plan
from local.soak.upstream import Upstream
from local.watch.checks import Check
from local.watch.facts import Facts
from local.watch.watcher import Watcher

LINE_SECONDS = 10.0
LOOK_SECONDS = 2.0

type Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a soak.

    Attributes:
        evidence: What is known in the end.
        checks: What has to hold.
        struck: The faults, with how often each struck.
        starts: How many hosts were started.
        strained_seconds: How long everything failed.
        drain_seconds: How long it took from there until nothing changed any more; None if it never did.
        interrupted: Whether Ctrl-C ended it early.
    """

    evidence: Evidence
    checks: tuple[Check, ...]
    struck: tuple[tuple[BlobFault | RequestFault, int], ...]
    starts: int
    strained_seconds: float
    drain_seconds: float | None
    interrupted: bool


def soak(plan: Plan, folder: Path, say: Say) -> Outcome:
    """Runs a soak. Ctrl-C ends it early, with what is known then.

    Args:
        plan: How long and how hard.
        folder: Where the logs of the hosts go.
        say: Is told how far it is.

    Raises:
        ProcessFailed: A part could not be started; the message carries its last output.
    """
    with ExitStack() as stack:
        azurite = stack.enter_context(Azurite.start())
        adx = stack.enter_context(
            AdxSimulator.start(
                batching_seconds=BATCHING_SECONDS, counted_after_seconds=COUNTED_AFTER_SECONDS, seed=plan.seed
            )
        )
        for table, dialect in DIALECTS.items():
            adx.configure(database=DATABASE, table=table, dialect=dialect)
        watcher = stack.enter_context(Watcher(azurite.connection_string, adx))
        upstream = stack.enter_context(Upstream(azurite, adx.uri, plan))
        env = {
            **plan.settings,
            "IngestionStorage": azurite.connection_string,
            "AzureWebJobsStorage": azurite.connection_string,
            "KUSTO_INGEST_URI": adx.uri,
        }
        hosts = Hosts(lambda: FunctionsHost.start(env, plan.app, invisible_seconds=INVISIBLE_SECONDS), plan, folder)
        stack.enter_context(hosts)
        return _Soak(plan, adx, watcher, upstream, hosts, say).run()


class _Soak:
    """The running parts, and how far they are."""

    def __init__(
        self, plan: Plan, adx: AdxSimulator, watcher: Watcher, upstream: Upstream, hosts: Hosts, say: Say
    ) -> None:
        self._plan = plan
        self._adx = adx
        self._watcher = watcher
        self._upstream = upstream
        self._hosts = hosts
        self._say = say
        self._began = time.monotonic()
        self._next_line = self._began
        self._request_faults = plan.request_faults
        self._blob_faults = blob_faults()
        # By the faults of requests, then those of blobs; None while all of them are on.
        self._struck: list[int] | None = None

    def run(self) -> Outcome:
        """Strains the app, lets it drain, and judges."""
        strained, drained, interrupted = 0.0, None, False
        try:
            try:
                self._strain()
            finally:
                strained = self._seconds()
                self._relax()
            drained = self._drain()
        except KeyboardInterrupt:
            interrupted = True
            self._say("Stopped early; these are the books so far")
        return self._judged(strained, drained, interrupted=interrupted)

    def _strain(self) -> None:
        self._adx.set_faults([*self._request_faults, *self._blob_faults])
        stopping = threading.Event()
        with ThreadPoolExecutor(1, "upstream") as pool:
            submitting = pool.submit(self._upstream.run, stopping)
            try:
                while self._seconds() < self._plan.seconds and not submitting.done():
                    self._hosts.check()
                    self._tell(self._look())
                    time.sleep(min(LINE_SECONDS, max(0.0, self._plan.seconds - self._seconds())))
            finally:
                stopping.set()
            submitting.result()

    def _relax(self) -> None:
        """Switches the faults of requests off and lets hosts live. A blob keeps its fate: it is the blob's own."""
        with put_off():
            self._struck = self._adx.struck()
            self._adx.set_faults(self._blob_faults)
            self._hosts.calm_down()

    def _drain(self) -> float | None:
        """Waits until nothing changes any more, and returns how long that took; None if it takes too long."""
        began = time.monotonic()
        self._say(
            "Faults are off and hosts stay up; waiting until nothing changes. A dead host's claims last 5 minutes"
        )
        before: Facts | None = None
        while time.monotonic() - began < self._plan.drain_seconds:
            self._hosts.check()
            took = time.monotonic() - began
            facts = self._look()
            # Twice, since things are read one after the other.
            if self._has_drained(facts) and before is not None and self._has_drained(before):
                return took
            before = facts
            self._tell(facts)
            time.sleep(LOOK_SECONDS)
        self._say(f"It has not come to an end within {self._plan.drain_seconds:.0f} s")
        return None

    def _judged(self, strained: float, drained: float | None, *, interrupted: bool) -> Outcome:
        evidence = Evidence(
            submitted=tuple(self._upstream.submitted),
            junk={queue: tuple(texts) for queue, texts in self._upstream.junk.items()},
            set_aside={queue: tuple(texts) for queue, texts in self._watcher.set_aside().items()},
            facts=self._look(),
            hosts=self._hosts.close(),
            deduplicate=self._plan.deduplicate,
            max_attempts=int(self._plan.settings["RETRY_MAX_ATTEMPTS"]),
        )
        return Outcome(
            evidence=evidence,
            checks=tuple(judge(evidence)),
            struck=self._all_struck(),
            starts=self._hosts.starts,
            strained_seconds=strained,
            drain_seconds=drained,
            interrupted=interrupted,
        )

    def _all_struck(self) -> tuple[tuple[BlobFault | RequestFault, int], ...]:
        """The faults with how often each struck; those of blobs were on before and after."""
        kinds: list[BlobFault | RequestFault] = [*self._request_faults, *self._blob_faults]
        struck = self._adx.struck()
        if self._struck is not None:
            later = [0] * len(self._request_faults) + struck
            struck = [first + more for first, more in zip(self._struck, later, strict=True)]
        return tuple(zip(kinds, struck, strict=True))

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _look(self) -> Facts:
        return self._watcher.look()

    def _has_drained(self, facts: Facts) -> bool:
        return has_drained(frozenset(each.operation_id for each in self._upstream.submitted), facts)

    def _tell(self, facts: Facts) -> None:
        if time.monotonic() < self._next_line:
            return
        self._next_line = time.monotonic() + LINE_SECONDS
        struck = Counter[str]()
        for fault, times in zip(self._request_faults, self._struck or self._adx.struck(), strict=False):
            struck[fault.effect] += times
        self._say(line(self._seconds(), facts, self._hosts.ends(), struck))


def line(seconds: float, facts: Facts, ends: Counter[HostEnd], struck: Counter[str]) -> str:
    """Returns how far a soak is, as a line.

    Args:
        seconds: Since its start.
        facts: What is known.
        ends: How many hosts have ended, and how.
        struck: How often each kind of fault of requests has struck.
    """
    now = datetime.now(UTC)
    minutes, rest = divmod(int(seconds), 60)
    open_since = [row.registered_at for row in facts.operations if not row.has_ended and row.registered_at]
    oldest = f", the oldest for {(now - min(open_since)).total_seconds():.0f} s" if open_since else ""
    parts = [
        f"[{minutes:3}:{rest:02}] operations: {len(facts.operations)} in, {len(facts.ended)} settled",
        f"outstanding: {facts.watched}{oldest}",
        f"retries waiting: {facts.retries_waiting}",
        f"hosts: {ends[HostEnd.KILLED]} killed, {ends[HostEnd.STOPPED]} stopped",
        ", ".join(
            [f"faults struck: {struck.total()}", *(f"{times} {kind}" for kind, times in (+struck).most_common())]
        ),
    ]
    claims = [row.claimed_until for row in facts.blobs if row.claimed_until and row.claimed_until > now]
    if claims:
        left = (max(claims) - now).total_seconds()
        parts.append(f"claimed blobs: {len(claims)}, for {left:.0f} s more if a dead host left them")
    return " | ".join(parts)
