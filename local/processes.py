"""Child processes that end with their parent.

A child holds the reading end of a pipe as its standard input, and leaves when that pipe closes: so it also ends when
its parent was killed and could not stop it. It lives in a session of its own, so Ctrl-C reaches the parent alone, which
stops its children in order. What a child leaves behind in its session is killed once it has ended.
"""

import collections
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

REPOSITORY = Path(__file__).resolve().parent.parent
KEPT_LINES = 20_000
# More than an app with every setting wrong has to say.
SHOWN_LINES = 200
POLL_SECONDS = 0.1
# Both can only be reached where something hangs: a machine with much to do may let a process wait for seconds.
DRAIN_SECONDS = 30.0
# What a process may take to end once its work is done or given up.
EXIT_SECONDS = 30.0


class ProcessFailed(RuntimeError):
    """A child process ended, or stayed silent, before it was ready."""


class Child:
    """A running child process and what it wrote.

    Attributes:
        name: What messages call it.
        process: The process itself.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        show_stderr: bool = False,
    ) -> None:
        """Starts it.

        Args:
            command: The program and its arguments.
            name: What messages call it.
            env: Its whole environment; that of this process when None.
            cwd: Its working directory; the repository when None.
            show_stderr: Lets its standard error through to this process' own instead of keeping it.
        """
        self.name = name
        self._changed = threading.Condition()
        self._stdout: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._stderr: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if show_stderr else subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd or REPOSITORY,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        streams = ((self.process.stdout, self._stdout), (self.process.stderr, self._stderr))
        self._readers = [
            threading.Thread(target=self._read, args=pair, name=f"{name} output", daemon=True)
            for pair in streams
            if pair[0] is not None
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stdout(self) -> str:
        """Returns what it wrote to standard output so far."""
        with self._changed:
            return "".join(self._stdout)

    def stderr(self) -> str:
        """Returns what it wrote to standard error so far."""
        with self._changed:
            return "".join(self._stderr)

    def wait_until[T](self, find: Callable[[Sequence[str]], T | None], *, seconds: float) -> T:
        """Waits until `find` makes something of the lines of standard output.

        Args:
            find: Gets all lines so far; returns None as long as they are not enough.
            seconds: How long to wait.

        Returns:
            What `find` returned.

        Raises:
            ProcessFailed: It ended, or did not get there in time. The process is gone then.
        """
        try:
            found = self._wait_until(find, time.monotonic() + seconds)
        except BaseException:
            self.kill()
            raise
        if found is not None:
            return found
        status = self.poll()
        self.kill()
        what = f"was not ready after {seconds:g} s" if status is None else f"ended with status {status}"
        raise ProcessFailed(f"{self.name} {what}.{self._last_output()}")

    def poll(self) -> int | None:
        """Returns its exit status if it has ended; negative for a signal."""
        return self._await_end(seconds=0)

    def wait(self) -> int:
        """Waits until it ends by itself, and returns its exit status; negative for a signal."""
        while (status := self._await_end(seconds=POLL_SECONDS)) is None:
            pass
        return status

    def stop(self, *, grace_seconds: float = EXIT_SECONDS) -> int:
        """Asks it to end, and kills it when it has not after the grace.

        Args:
            grace_seconds: How long it may take.

        Returns:
            Its exit status; negative for a signal.
        """
        if self.poll() is None:
            self.process.terminate()
            if self.process.stdin is not None:
                self.process.stdin.close()
            try:
                self._await_end(seconds=grace_seconds)
            finally:
                # A second Ctrl-C, too, must not leave it behind.
                self._kill_session()
        return self._reap()

    def kill(self) -> int:
        """Kills it and everything in its session at once.

        Returns:
            Its exit status; negative for a signal.
        """
        if self.poll() is None:
            self._kill_session()
        return self._reap()

    def _wait_until[T](self, find: Callable[[Sequence[str]], T | None], deadline: float) -> T | None:
        while True:
            ended = self.poll() is not None
            if ended:
                self._join_readers()
            with self._changed:
                found = find(list(self._stdout))
                if found is not None or ended or time.monotonic() > deadline:
                    return found
                self._changed.wait(timeout=POLL_SECONDS)

    def _last_output(self) -> str:
        lines = [*self.stdout().splitlines(), *self.stderr().splitlines()][-SHOWN_LINES:]
        return "".join(["\n  " + line for line in lines])

    def _await_end(self, *, seconds: float) -> int | None:
        if self.process.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=seconds)
                self._kill_session()
        return self.process.returncode

    def _kill_session(self) -> None:
        # Not called later than right after its end is noticed: then its number may be another's.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _reap(self) -> int:
        status = self.process.wait()
        self._join_readers()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return status

    def _join_readers(self) -> None:
        for reader in self._readers:
            reader.join(timeout=DRAIN_SECONDS)

    def _read(self, stream: IO[str], lines: collections.deque[str]) -> None:
        # Closed by this thread alone: closing a stream waits for whoever reads it.
        with stream:
            for line in stream:
                with self._changed:
                    lines.append(line)
                    self._changed.notify_all()


def watch_parent(on_gone: Callable[[], object], *, grace_seconds: float = EXIT_SECONDS) -> None:
    """Calls `on_gone` in a thread of its own once standard input ends: the parent has closed it, or is gone.

    Args:
        on_gone: What to do then.
        grace_seconds: How long this process may live on after that, whatever hangs in it.
    """

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        on_gone()
        time.sleep(grace_seconds)
        os._exit(1)

    threading.Thread(target=wait, name="parent watch", daemon=True).start()
