"""The host as a child process."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.functions_host.keys import SETTING as KEYS_SETTING
from local.processes import EXIT_SECONDS, REPOSITORY, Child


class FunctionsHost:
    """A running host.

    Attributes:
        functions: The names of the functions that it listens for.
        uri: Where it takes HTTP requests; None when no function does.
    """

    def __init__(self, child: Child, functions: Sequence[str], uri: str | None, *, grace_seconds: float) -> None:
        self._child = child
        self._grace_seconds = grace_seconds
        self.functions = list(functions)
        self.uri = uri

    @classmethod
    def start(  # noqa: PLR0913, each is an option of the command line
        cls,
        env: Mapping[str, str],
        app: Path | None = None,
        *,
        settings: Path | None = None,
        log_level: str = "info",
        max_polling_interval: float = 0.2,
        invisible_seconds: int = 600,
        grace_seconds: float = 5.0,
        start_seconds: float = 60.0,
        create_queues: bool = True,
        http_port: int = 0,
        function_keys: Mapping[str, str] | None = None,
        show_output: bool = False,
    ) -> Self:
        """Starts a host and waits until it listens.

        Args:
            env: Settings, over those of this process' environment and of the settings file.
            app: The folder of `function_app.py`; the repository when None.
            settings: A settings file; the app's `local.settings.sample.json` when None, so that a developer's own
                `local.settings.json` does not change what a test sees.
            log_level: debug, info, warning or error.
            max_polling_interval: Seconds between two looks at an empty queue, at most.
            invisible_seconds: How long a message that is handled stays hidden if the host dies.
            grace_seconds: How long running functions may take when it is stopped.
            start_seconds: How long it may take to listen.
            create_queues: Creates the triggers' queues, which the real host does not.
            http_port: Where HTTP functions are called, on 127.0.0.1; a free port when 0.
            function_keys: What opens HTTP functions, in the place of the setting FUNCTIONS_HOST_KEYS.
            show_output: Lets its log through to standard error; `output()` is empty then.

        Returns:
            The running host.

        Raises:
            ProcessFailed: It ended or was not ready in time; the message carries its last output.
        """
        folder = app or REPOSITORY
        command = [sys.executable, "-m", "local.functions_host", "--ready-json", "--exit-with-parent"]
        command += ["--app", str(folder), "--settings", str(settings or folder / "local.settings.sample.json")]
        command += ["--log-level", log_level, "--max-polling-interval", str(max_polling_interval)]
        command += ["--invisible-seconds", str(invisible_seconds), "--grace-seconds", str(grace_seconds)]
        command += ["--http-port", str(http_port)]
        if not create_queues:
            command.append("--no-create-queues")
        keys = {} if function_keys is None else {KEYS_SETTING: json.dumps(dict(function_keys))}
        environment = {**os.environ, **env, **keys}
        child = Child(command, name="the Functions host", env=environment, show_stderr=show_output)
        ready = child.wait_until(_ready, seconds=start_seconds)
        return cls(child, ready["functions"], ready["http"], grace_seconds=grace_seconds)

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._child.process.pid

    def running(self) -> bool:
        """Returns whether the process still runs."""
        return self._child.poll() is None

    def wait(self) -> int:
        """Waits until it ends by itself, and returns its exit status."""
        return self._child.wait()

    def output(self) -> str:
        """Returns its log so far."""
        return self._child.stderr()

    def stop(self) -> int:
        """Ends it as a shutdown does: running functions get the grace. Returns the exit status."""
        return self._child.stop(grace_seconds=self._grace_seconds + EXIT_SECONDS)

    def kill(self) -> int:
        """Ends it as a crash does: SIGKILL. Returns the exit status."""
        return self._child.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _ready(lines: Sequence[str]) -> dict[str, Any] | None:
    if not lines:
        return None
    ready: dict[str, Any] = json.loads(lines[0])
    return ready
