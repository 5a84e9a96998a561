"""Installs a thing into a folder once, and again when what is wanted changes."""

import fcntl
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from local.processes import ProcessFailed

PAUSES = (2.0, 10.0, 30.0)
"""Seconds before each new try: a registry or a mirror may be away for a moment, and a lock be held by others."""

_given_up: dict[Path, str] = {}
"""What could not be installed into which folder, and why: many may ask for it, and each try can take minutes."""


def installed_once(folder: Path, wanted: Iterable[Path], program: Path, install: Callable[[], None]) -> Path:
    """Has the program installed unless it is there as wanted; whoever comes meanwhile waits.

    What failed once fails at once from then on, as long as this process lives.

    Args:
        folder: Where it goes, and the mark that says that all of it is there.
        wanted: The files that say what is to be installed.
        program: The file that it is installed for, as it lies in the folder.
        install: Installs it.

    Returns:
        The whole path of the program.

    Raises:
        ProcessFailed: It could not be installed, now or before.
    """
    if folder in _given_up:
        raise ProcessFailed(_given_up[folder])
    with locked(folder / "lock"):
        fingerprint = hashlib.sha256(b"".join(file.read_bytes() for file in wanted)).hexdigest()
        mark = folder / "installed"
        if not (mark.is_file() and mark.read_text() == fingerprint and (folder / program).is_file()):
            mark.unlink(missing_ok=True)
            _install_or_give_up(folder, install)
            mark.write_text(fingerprint)
    return folder / program


def _install_or_give_up(folder: Path, install: Callable[[], None]) -> None:
    try:
        install()
    except ProcessFailed as error:
        _given_up[folder] = str(error)
        raise


def tried_again[Output: (str, str | bytes)](
    install: Callable[[], subprocess.CompletedProcess[Output]], *, sleep: Callable[[float], object] = time.sleep
) -> subprocess.CompletedProcess[Output]:
    """Runs what fetches something, and again where it fails.

    Args:
        install: Runs it to its end.
        sleep: Waits for some seconds.

    Returns:
        How it ended: the last time, where it failed each time.
    """
    for pause in PAUSES:
        done = install()
        if done.returncode == 0:
            return done
        print(f"it failed, and is tried again: {done.stderr!s}", file=sys.stderr, flush=True)
        sleep(pause)
    return install()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock that other processes wait for; it is gone with its holder.

    Args:
        path: The file that it is held on; its folder is made.

    Raises:
        ProcessFailed: This user can't write it.
    """
    with _opened(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w")
    except OSError as error:
        raise ProcessFailed(f"{path} can't be written: {error.strerror}") from error
