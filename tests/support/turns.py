"""Invocations that run at once, one at a time: at each call of storage or ADX another may get its turn.

Who goes on, and for how many calls, is decided beforehand, so that the same decisions give the same run.
"""

import threading
from collections.abc import Callable, Sequence

_PATIENCE_SECONDS = 30.0


class _Runner(threading.Thread):
    """One invocation: it runs while it has the turn."""

    def __init__(self, body: Callable[[], None], back: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.go_on = threading.Semaphore(0)
        self.error: BaseException | None = None
        self.calls_left = 0
        self.is_done = False
        self._body = body
        self._back = back

    def run(self) -> None:
        self.go_on.acquire()
        try:
            self._body()
        except BaseException as error:  # noqa: BLE001, handed to whoever waits for it
            self.error = error
        self.is_done = True
        self._back.release()

    def pause(self) -> None:
        """Hand the turn back before a call, unless some calls are left of it."""
        if self.calls_left:
            self.calls_left -= 1
            return
        self._back.release()
        self.go_on.acquire()


class Turns:
    """Hands the turn around."""

    def __init__(self) -> None:
        self._runners: dict[int, _Runner] = {}
        self._back = threading.Semaphore(0)

    def pause(self) -> None:
        """Called before each call, by whatever runs."""
        runner = self._runners.get(threading.get_ident())
        if runner is not None:
            runner.pause()

    def run(self, bodies: Sequence[Callable[[], None]], stretches: Sequence[int]) -> None:
        """Run all bodies: in turn, for so many calls each; when the stretches are used up, each to its end.

        Raises:
            BaseException: what the first body raised that raised anything.
        """
        runners = [_Runner(body, self._back) for body in bodies]
        for runner in runners:
            runner.start()
            self._runners[runner.ident or 0] = runner
        left = list(stretches)
        place = 0
        while waiting := [runner for runner in runners if not runner.is_done]:
            runner = waiting[place % len(waiting)]
            place += 1
            runner.calls_left = left.pop(0) if left else 1_000_000
            runner.go_on.release()
            if not self._back.acquire(timeout=_PATIENCE_SECONDS):
                raise TimeoutError("an invocation does not hand the turn back")
        for runner in runners:
            runner.join()
            del self._runners[runner.ident or 0]
        for runner in runners:
            if runner.error is not None:
                raise runner.error
