"""Azurite's own part of its installation: what package-lock.json beside this file pins."""

from pathlib import Path

from local import npm_packages
from local.npm_packages import CACHE

HERE = Path(__file__).resolve().parent
PROGRAM = Path("node_modules/azurite/dist/src/azurite.js")


def ensure_installed(cache: Path = CACHE) -> Path:
    """Installs Azurite unless it is there.

    Args:
        cache: The folder that `azurite` and npm's own cache go into.

    Returns:
        The script to run with node.

    Raises:
        ProcessFailed: npm failed; the message carries what it said.
    """
    return npm_packages.ensure_installed("azurite", HERE, PROGRAM, cache)
