"""The console script as a person or a pipeline runs it: a process of its own, in a folder of its own."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.program import run
from local.functions_host import FunctionsHost

ROOT = Path(__file__).parent.parent.parent
SCRIPT = Path(sys.executable).parent / "tracker"
KEY = "a-function-key-of-this-test"
# Reached by a failure alone: the machine may have much else to do.
SECONDS = 200.0

# What a developer's own environment may say of another tracker.
_OF_OTHERS = ("TRACKER_", "IngestionStorage", "KUSTO_", "NO_COLOR", "FORCE_COLOR")


@dataclass(frozen=True)
class Console:
    """Runs commands with some settings in a folder."""

    settings: Mapping[str, str]
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of a command. The code is this repository's, wherever the script was installed from."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(_OF_OTHERS)}
        return {**own, **self.settings, "PYTHONPATH": str(ROOT)}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The command, running."""
        return subprocess.Popen(
            [SCRIPT, *words], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """The command, once it has ended."""
        done = subprocess.run(
            [SCRIPT, *words],
            cwd=self.folder,
            env=self.env,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert "sig=" not in done.stdout + done.stderr
        return done

    def on_terminal(self, *words: str, typed: str = "", until: str = "", columns: int = 200) -> str:
        """What a person sees who runs the command, types so much, and interrupts it once something is there."""
        leader, follower = pty.openpty()
        os.write(leader, typed.encode())
        with subprocess.Popen(
            [SCRIPT, *words],
            cwd=self.folder,
            env={**self.env, "COLUMNS": str(columns)},
            stdin=follower,
            stdout=follower,
            stderr=follower,
        ) as process:
            os.close(follower)
            seen = b""
            # Linux says that the other end is closed by an error.
            with suppress(OSError):
                while part := os.read(leader, 65_536):
                    seen += part
                    if until and until in seen.decode(errors="replace"):
                        until = ""
                        process.send_signal(signal.SIGINT)
        os.close(leader)
        return seen.decode()

    def here(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The same in this process, where many are run: a start takes a second."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in os.environ:
                if name.startswith(_OF_OTHERS):
                    patch.delenv(name)
            for name, value in self.settings.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            status = run(words)
        return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())

    def json(self, *words: str) -> Any:  # noqa: ANN401, JSON
        """What the command answers in JSON, if it is done."""
        done = self.here(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def by_api(self, host: FunctionsHost) -> "Console":
        """The same by the API of a host that takes `KEY`."""
        return Console({"TRACKER_URL": str(host.uri), "TRACKER_KEY": KEY}, self.folder)
