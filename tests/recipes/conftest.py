"""The parts of the end-to-end tests, and what recipes are tried with."""

from pathlib import Path

import pytest

from tests.e2e.conftest import adx, storage, world
from tests.recipes import tools

__all__ = ["adx", "storage", "world"]

HERE = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    """Installs what the recipes are tried with before the first test, whose time it is not to take."""
    if any(HERE in item.path.parents for item in session.items):
        tools.install_tools()
