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
from pathlib import Path
from typing import Any

from local import debian
from local.installed_once import installed_once
from local.npm_packages import CACHE
from tests.support.tool_environment import ensure_environment

HERE = Path(__file__).parent
_REQUIREMENTS = HERE / "tools-requirements.txt"
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
    command = [python(), "-m", "azure.cli", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=_SECONDS)


def parsed_by_azure_cli(commands: Sequence[str], settings: Path) -> list[str | None]:
    """What ``az`` has to say against each command line, before it does anything; None where it is right."""
    env = {"PATH": os.environ["PATH"], "HOME": str(settings), "AZURE_CONFIG_DIR": str(settings)}
    answer = subprocess.run(
        [python(), HERE / "parse_commands.py"],
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
        [python(), HERE / "check_pipeline.py"],
        input=json.dumps(pipeline),
        capture_output=True,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    found: list[str] = json.loads(answer.stdout)
    return found


def python() -> str:
    """The Python that has the Azure CLI and Data Factory's model, which are there from then on."""
    return str(ensure_environment("recipes", _REQUIREMENTS))


def install_mono() -> None:
    """Have Debian's Mono there, unless the machine has one.

    Raises:
        ProcessFailed: This user may not, or can't on this system; says what to do.
    """
    if not has_mono():
        installed_once(CACHE / "mono", [], Path("/usr/bin/mcs"), lambda: debian.install(*_MONO))


def has_mono() -> bool:
    """Whether programs in C# can be compiled and run; what is being installed is waited for."""
    with debian.alone():
        return all(map(shutil.which, ("mcs", "mono")))
