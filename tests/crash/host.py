"""The host around one worker: it takes messages, has the worker handle them one at a time, and deletes what is done.

Minutes pass between two invocations without anybody's waiting, so that claims run out and polls come due. When the
worker dies, the message that it had in hand comes back at once, as it does in time once it is no longer hidden.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from functools import partial
from types import TracebackType
from typing import Self

from tests.crash.worker import Call, serve
from tests.support.world import World, eventually

MOST_ROUNDS = 40

# The worker starts as a copy of a process that has imported the app, and pytest, the main module of whoever starts it.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["pytest", "tests.crash.worker"])


class Died(Exception):
    """The worker is gone."""


class Host:
    """Runs the app until nothing is left to do."""

    def __init__(
        self, world: World, environment: Mapping[str, str], pace: timedelta, on_retry: Callable[[], object]
    ) -> None:
        """Takes the worker's settings, the time between two invocations, and what happens before each retry."""
        self.environment = dict(environment)
        self.pace = pace
        # From noon on a life sees no midnight, which parts the rows of one day from those of the next.
        self.now = datetime.combine(datetime.now(UTC), time(12, tzinfo=UTC))
        self.calls = 0
        self.has_settled = False
        self._world = world
        self._on_retry = on_retry
        self._release: Callable[[], object] = lambda: None
        self._pipe, pipe = _processes.Pipe()
        self._process = _processes.Process(target=serve, args=(pipe, self.environment), daemon=True)

    def start(self) -> None:
        """Start a worker.

        Raises:
            Died: it did not live to be ready.
        """
        self._pipe.close()
        self._pipe, pipe = _processes.Pipe()
        self._process = _processes.Process(target=serve, args=(pipe, self.environment), daemon=True)
        self._process.start()
        pipe.close()
        self._await_answer()

    def wake(self) -> None:
        """Start a worker if there is none.

        Raises:
            Died: it did not live to be ready.
        """
        if not self._process.is_alive():
            self.start()

    def restart(self, **settings: str) -> None:
        """Go on with a worker that has other settings."""
        if settings.items() <= self.environment.items():
            return
        self.stop()
        self.environment |= settings
        self.start()

    def kill(self) -> None:
        """Kill the worker, wherever it is."""
        assert self._process.pid
        os.kill(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End the worker between two invocations."""
        self._pipe.close()
        if self._process.pid:
            self._process.join()

    def release(self) -> None:
        """Let the message come back that a dead worker had in hand, if it had one."""
        self._release()
        self._release = lambda: None

    def call(self, function: str, *arguments: object) -> None:
        """Have the worker do something.

        Raises:
            Died: it did not live to the end of it.
        """
        self.now += self.pace
        self.calls += 1
        self._pipe.send(Call(function, arguments, self.now))
        self._await_answer()

    def settle_all(self) -> None:
        """Have everything done that there is to do.

        Raises:
            Died: the worker is gone.
        """
        for _ in range(MOST_ROUNDS):
            if not self._round():
                self.has_settled = True
                return
        raise AssertionError(f"after {MOST_ROUNDS} rounds there is still something to do")

    def _round(self) -> bool:
        """All of one kind after the other, polls before retries, as a retry is delayed. False if nothing was left."""
        did = self._handle_all("OPERATIONS_QUEUE", "register_operation")
        if self._world.outstanding():
            self._await_adx()
            self.call("poll_operations")
            did = True
        did |= self._handle_all("POLL_QUEUE", "poll_batch")
        did |= self._handle_all("RETRY_QUEUE", "resubmit_blobs", self._on_retry)
        return did

    def _handle_all(self, queue: str, function: str, before: Callable[[], object] = lambda: None) -> bool:
        """Handle the messages that are on a queue now, and none that come meanwhile."""
        waiting = self._world.length(queue)
        with self._world.queues.get_queue_client(self._world.names[queue]) as client:
            for _ in range(waiting):
                before()
                self._await_adx()
                message = client.receive_message(visibility_timeout=600)
                assert message
                self._release = partial(client.update_message, message, visibility_timeout=0)
                self.call(function, str(message.content).encode(), message.id)
                client.delete_message(message)
                self._release = lambda: None
        return waiting > 0

    def _await_adx(self) -> None:
        eventually(lambda: self._world.adx.books().unfinished == 0, "ADX's end", pause=0.01)

    def _await_answer(self) -> None:
        try:
            error = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            assert self._process.exitcode == -signal.SIGKILL
            raise Died from None
        assert not error, error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError, AssertionError):
            self.kill()
        self.stop()
