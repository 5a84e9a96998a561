"""Installs packages of Debian, where that may be: nothing else that `./dev` installs is outside of its folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from local.installed_once import locked, tried_again
from local.npm_packages import CACHE
from local.processes import ProcessFailed

# A new machine may be at its own updates.
_PATIENTLY = ("--option", "DPkg::Lock::Timeout=600")
UPDATE = ("apt-get", "update", "--quiet")
INSTALL = ("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *_PATIENTLY)


def install(*packages: str) -> None:
    """Installs packages; whoever comes meanwhile waits.

    Args:
        packages: Their names.

    Raises:
        ProcessFailed: This user may not, or can't on this system; says what to do.
    """
    advice = f"install it, on Debian with `sudo apt-get install {' '.join(packages)}`, and start again"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ProcessFailed(f"{packages[0]} is missing: {advice}")
    print(f"installing Debian's {', '.join(packages)} …", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with alone():
        done = tried_again(lambda: _updated_and_installed(packages, environment))
    if done.returncode != 0:
        raise ProcessFailed(
            f"{' '.join(done.args)} ended with status {done.returncode}: {done.stderr}\n{packages[0]}: {advice}"
        )


def _updated_and_installed(packages: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What the last command ended with. Lists that are not of today may name files that are gone."""
    done = _run(UPDATE, environment)
    return _run((*INSTALL, *packages), environment) if done.returncode == 0 else done


def _run(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def alone() -> Iterator[None]:
    """Lets nobody install packages meanwhile; waits for who does. What is being unpacked is there before it works."""
    with locked(CACHE / "debian.lock"):
        yield
