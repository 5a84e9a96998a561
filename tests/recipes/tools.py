"""The Azure CLI and Microsoft's model of Data Factory's pipelines, in an environment of their own (480 MB).

tools-requirements.txt has every package with its hashes. To renew it:

    uv pip compile tools-requirements.in --generate-hashes --universal --python-version 3.13 \\
        --no-header --no-annotate -o tools-requirements.txt
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from local import debian
from local.installed_once import installed_once, tried_again
from local.processes import ProcessFailed
from tests.recipes.pages import ROOT

HERE = Path(__file__).parent
_REQUIREMENTS = HERE / "tools-requirements.txt"
_FOLDER = ROOT / ".cache" / "recipes"
_MONO = ("mono-mcs", "mono-runtime", "libmono-system-net-http4.0-cil", "libmono-system-core4.0-cil")
# Its first start reads some thousand files that were just installed; the machine may have much else to do.
_SECONDS = 400.0


def azure_cli(arguments: Sequence[str], settings: Path) -> subprocess.CompletedProcess[str]:
    """Run ``az`` with its settings in a folder of the test's, and no word to anybody of its being used."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(settings),
        "AZURE_CONFIG_DIR": str(settings),
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CORE_CHECK_FOR_UPDATES": "false",
        "AZURE_CORE_ONLY_SHOW_ERRORS": "true",
    }
    command = [_python(), "-m", "azure.cli", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=_SECONDS)


def parsed_by_azure_cli(commands: Sequence[str], settings: Path) -> list[str | None]:
    """What ``az`` has to say against each command line, before it does anything; None where it is right."""
    env = {"PATH": os.environ["PATH"], "HOME": str(settings), "AZURE_CONFIG_DIR": str(settings)}
    answer = subprocess.run(
        [_python(), HERE / "parse_commands.py"],
        env=env,
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    said: list[str | None] = json.loads(answer.stdout)
    return said


def strange_to_data_factory(pipeline: Mapping[str, Any]) -> list[str]:
    """What a pipeline has that Microsoft's model of pipelines has not."""
    answer = subprocess.run(
        [_python(), HERE / "check_pipeline.py"],
        input=json.dumps(pipeline),
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    found: list[str] = json.loads(answer.stdout)
    return found


def install_tools() -> None:
    """Have all of it there, and Mono, which is Debian's, where it may be installed."""
    _python()
    if not has_mono():
        with suppress(ProcessFailed):
            installed_once(_FOLDER / "mono", [], Path("/usr/bin/mcs"), lambda: debian.install(*_MONO))


def has_mono() -> bool:
    """Whether programs in C# can be compiled and run."""
    return all(map(shutil.which, ("mcs", "mono")))


def _python() -> str:
    def install() -> None:
        environment = str(_FOLDER / "venv")
        _uv("venv", "--clear", "--python", "3.13", environment)
        options = ["--python", environment, "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        _uv("pip", "install", *options, "-r", str(_REQUIREMENTS))

    return str(installed_once(_FOLDER, [_REQUIREMENTS], Path("venv/bin/python"), install))


def _uv(*arguments: str) -> None:
    # `uv run` says where it is; else the one on the PATH, or the one that ./dev has installed.
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".cache" / "uv" / "bin" / "uv")
    command = [uv, *arguments, "--quiet"]
    done = tried_again(lambda: subprocess.run(command, capture_output=True, text=True, check=False))
    if done.returncode:
        raise RuntimeError(f"uv {arguments[0]} ended with status {done.returncode}:\n{done.stderr}")
