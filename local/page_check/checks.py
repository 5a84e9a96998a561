"""What checks the dashboard, and what it found."""

import os
import subprocess
from pathlib import Path

from local import npm_packages
from local.page_check import declarations
from local.processes import REPOSITORY, ProcessFailed

HERE = Path(__file__).resolve().parent
TSC = Path("node_modules/typescript/bin/tsc")
BIOME = Path("node_modules/@biomejs/biome/bin/biome")
# As they lie in the repository.
CONFIGURATION = Path("local/page_check")
PAGE = Path("shared/dashboard")
LONGEST_SECONDS = 300.0


def ensure_installed() -> Path:
    """Installs TypeScript's compiler and Biome unless they are there, and returns their folder.

    Raises:
        ProcessFailed: npm failed; the message carries what it said.
    """
    return npm_packages.ensure_installed("page-check", HERE, TSC).parents[len(TSC.parts) - 1]


def findings(root: Path = REPOSITORY) -> list[str]:
    """What is wrong with the dashboard's files, each with its place; empty where all is well.

    Args:
        root: The folder that they and their configuration lie in, as they do in the repository.

    Raises:
        ProcessFailed: The packages could not be installed, or do not come to an end.
    """
    installed = ensure_installed()
    said = (
        "" if declarations.is_current(root) else f"{declarations.FILE} is not what it is made of; run ./dev lock",
        _complaints([installed / TSC, "--project", CONFIGURATION], root),
        _complaints([installed / BIOME, "check", "--colors=off", f"--config-path={CONFIGURATION}", PAGE], root),
    )
    return [text for text in said if text]


def _complaints(command: list[str | Path], root: Path) -> str:
    try:
        done = subprocess.run(
            [npm_packages.NODE, *command],
            cwd=root,
            # Biome makes a folder there.
            env={**os.environ, "XDG_CACHE_HOME": str(npm_packages.CACHE)},
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ProcessFailed(f"{command[0]} was not done after {LONGEST_SECONDS:g} s") from error
    if done.returncode == 0:
        return ""
    return f"{done.stdout}{done.stderr}".strip() or f"{command[0]} ended with status {done.returncode}"
