"""Runs checkov, in an environment of its own: it pins versions that the app's own tools can't have.

checkov-requirements.txt has every package with its hashes. It asks for an older parser than the one that reads these
files, hence the override; to renew it:

    echo checkov | uv pip compile - --override checkov-overrides.txt --generate-hashes --universal \\
        --python-version 3.13 --no-header --no-annotate -o checkov-requirements.txt
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from local.installed_once import installed_once, tried_again

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REQUIREMENTS = HERE / "checkov-requirements.txt"
LAUNCHER = HERE / "checkov_launcher.py"


def checked(folder: Path) -> dict[str, Any]:
    """What checkov finds in the Bicep files of a folder."""
    python = _installed(ROOT / ".cache" / "checkov")
    # Nothing is downloaded and nothing reported: what checkov knows, it brings.
    options = ["--framework", "bicep", "--skip-download", "--output", "json", "--compact", "--soft-fail"]
    command = [str(python), str(LAUNCHER), "--directory", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"checkov ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _installed(folder: Path) -> Path:
    """The Python that has checkov; installed once, and again when the requirements change."""

    def install() -> None:
        environment = str(folder / "venv")
        _uv("venv", "--clear", "--python", "3.13", environment)
        # The list is whole, so nothing is resolved: the override would not be known here.
        options = ["--python", environment, "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        _uv("pip", "install", *options, "-r", str(REQUIREMENTS))

    return installed_once(folder, [REQUIREMENTS], Path("venv/bin/python"), install)


def _uv(*arguments: str) -> None:
    # `uv run` says where it is; else the one on the PATH, or the one that ./dev has installed.
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".cache" / "uv" / "bin" / "uv")
    command = [uv, *arguments, "--quiet"]
    done = tried_again(lambda: subprocess.run(command, capture_output=True, text=True, check=False))
    if done.returncode:
        raise RuntimeError(f"uv {arguments[0]} ended with status {done.returncode}:\n{done.stderr}")
