"""A browser for the page's tests and screenshot: the machine's own, or Debian's, installed once where that may be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from local.installed_once import installed_once
from local.npm_packages import CACHE
from local.processes import ProcessFailed

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEBIAN = Path("/usr/bin/chromium")
INSTALLATION = (
    ("apt-get", "update", "--quiet"),
    ("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "chromium"),
)
MISSING = "a browser is missing: install one, on Debian with `sudo apt-get install chromium`, and start again"


def ensure_chromium() -> Path:
    """Returns the program of a Chromium or Chrome; installs Debian's where there is none.

    Raises:
        ProcessFailed: There is none, and it can't be installed by this user or on this system; says what to do.
    """
    return _found() or installed_once(CACHE / "chromium", [], DEBIAN, _install)


def _found() -> Path | None:
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


def _install() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ProcessFailed(MISSING)
    print("installing Debian's chromium …", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in INSTALLATION:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ProcessFailed(f"{' '.join(command)} ended with status {done.returncode}: {done.stderr}\n{MISSING}")
