"""Installs packages of Debian, where that may be: nothing else that `./dev` installs is outside of its folder."""

import os
import shutil
import subprocess
import sys

from local.installed_once import locked
from local.npm_packages import CACHE
from local.processes import ProcessFailed

UPDATE = ("apt-get", "update", "--quiet")
INSTALL = ("apt-get", "install", "--quiet", "--yes", "--no-install-recommends")


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
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / "debian.lock"):
        for command in (UPDATE, (*INSTALL, *packages)):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ProcessFailed(
                    f"{' '.join(command)} ended with status {done.returncode}: {done.stderr}\n{packages[0]}: {advice}"
                )
