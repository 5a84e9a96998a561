"""The app's hosts, which are killed or stopped at random moments and started again, until all is to be calm."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from local.functions_host import FunctionsHost
from local.soak.evidence import HostEnd, HostLog
from local.soak.plan import Plan

# Of the ends of hosts, each third is in order; the others are crashes.
IN_ORDER = 3


class Hosts:
    """As many hosts as planned, each in a thread that keeps one running. A context manager.

    Attributes:
        starts: How many were started.
    """

    def __init__(self, start: Callable[[], FunctionsHost], plan: Plan, folder: Path) -> None:
        self._start = start
        self._plan = plan
        self._folder = folder
        self._calm = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._ended: list[HostLog] = []
        self._pool = ThreadPoolExecutor(plan.hosts, "host")
        self._keepers: list[Future[None]] = []
        self.starts = 0

    def __enter__(self) -> Self:
        self._keepers = [self._pool.submit(self._keep, place) for place in range(1, self._plan.hosts + 1)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._calm.set()
        self._closing.set()
        self._pool.shutdown()

    def calm_down(self) -> None:
        """From now on hosts are started where one is missing, and none is ended."""
        self._calm.set()

    def close(self) -> tuple[HostLog, ...]:
        """Stops all hosts in order, and returns all that there were."""
        self.__exit__(None, None, None)
        self.check()
        return tuple(self._ended)

    def check(self) -> None:
        """Does nothing while all is well.

        Raises:
            ProcessFailed: A host could not be started.
        """
        for keeper in self._keepers:
            if keeper.done():
                keeper.result()

    def ends(self) -> Counter[HostEnd]:
        """Returns how many hosts have ended so far, and how."""
        with self._lock:
            return Counter(log.end for log in self._ended)

    def _keep(self, place: int) -> None:
        """Keeps one host running, with pauses."""
        rng = random.Random(f"host {place} {self._plan.seed}")
        number = 0
        while not self._closing.is_set():
            number += 1
            with self._start() as host:
                self._count_start()
                if self._calm.wait(rng.uniform(*self._plan.life)):
                    self._closing.wait()
                end = HostEnd.STOPPED if self._closing.is_set() or number % IN_ORDER == 0 else HostEnd.KILLED
                self._end(host, end, f"host-{place}-{number:03}")
            self._calm.wait(rng.uniform(0, self._plan.longest_pause))

    def _end(self, host: FunctionsHost, end: HostEnd, name: str) -> None:
        if not host.running():
            end = HostEnd.BY_ITSELF
        elif end is HostEnd.KILLED:
            host.kill()
        else:
            host.stop()
        log = HostLog(name, end, host.output())
        (self._folder / f"{name}.log").write_text(log.text, encoding="utf-8")
        with self._lock:
            self._ended.append(log)

    def _count_start(self) -> None:
        with self._lock:
            self.starts += 1
