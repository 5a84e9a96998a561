"""Installs a thing into a folder once, and again when what is wanted changes."""

import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def installed_once(folder: Path, wanted: Iterable[Path], program: Path, install: Callable[[], None]) -> Path:
    """Has the program installed unless it is there as wanted; whoever comes meanwhile waits.

    Args:
        folder: Where it goes, and the mark that says that all of it is there.
        wanted: The files that say what is to be installed.
        program: The file that it is installed for, as it lies in the folder.
        install: Installs it.

    Returns:
        The whole path of the program.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        fingerprint = hashlib.sha256(b"".join(file.read_bytes() for file in wanted)).hexdigest()
        mark = folder / "installed"
        if not (mark.is_file() and mark.read_text() == fingerprint and (folder / program).is_file()):
            mark.unlink(missing_ok=True)
            install()
            mark.write_text(fingerprint)
    return folder / program


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock that other processes wait for; it is gone with its holder.

    Args:
        path: The file that it is held on.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
