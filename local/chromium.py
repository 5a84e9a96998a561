"""A browser for the page's tests and screenshot: the machine's own, or Debian's, installed once where that may be."""

import shutil
from pathlib import Path

from local import debian
from local.installed_once import installed_once
from local.npm_packages import CACHE

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DEBIAN = Path("/usr/bin/chromium")


def ensure_chromium() -> Path:
    """Returns the program of a Chromium or Chrome; installs Debian's where there is none.

    Raises:
        ProcessFailed: There is none, and it can't be installed by this user or on this system; says what to do.
    """
    with debian.alone():
        found = _found()
    return found or installed_once(CACHE / "chromium", [], DEBIAN, lambda: debian.install("chromium"))


def _found() -> Path | None:
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)
