"""Environments of their own for tools whose packages the app's environment can't have beside it."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from local.installed_once import installed_once, tried_again
from local.npm_packages import CACHE
from local.processes import ProcessFailed


def ensure_environment(name: str, requirements: Path) -> Path:
    """The Python of an environment in `.cache`; it is made once, and again when the requirements change.

    Args:
        name: Its folder within the cache.
        requirements: Every package that it has, with its version and hashes. Nothing is resolved: the list is whole.

    Raises:
        ProcessFailed: uv is missing or failed; says why.
    """
    folder = CACHE / name

    def install() -> None:
        environment = str(folder / "venv")
        _uv(["venv", "--clear", "--python", "3.13", environment])
        options = ["--python", environment, "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        _uv(["pip", "install", *options, "-r", str(requirements)])

    return installed_once(folder, [requirements], Path("venv/bin/python"), install)


def _uv(arguments: Sequence[str]) -> None:
    # `uv run` says where it is; else the one on the PATH, or the one that ./dev has installed.
    own = CACHE / "uv" / "bin"
    uv = os.environ.get("UV") or shutil.which("uv") or shutil.which("uv", path=own)
    if not uv:
        raise ProcessFailed(f"uv is neither on the PATH nor in {own}: ./dev test installs it")
    command = [uv, *arguments, "--quiet"]
    done = tried_again(lambda: subprocess.run(command, capture_output=True, text=True, check=False))
    if done.returncode:
        raise ProcessFailed(f"uv {arguments[0]} ended with status {done.returncode}:\n{done.stderr}")
