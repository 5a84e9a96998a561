"""The parts of the end-to-end tests, and what recipes are tried with."""

from pathlib import Path

import pytest

from tests.e2e.conftest import adx, storage, world
from tests.recipes import languages, tools
from tests.support.beforehand import install_beforehand

__all__ = ["adx", "storage", "world"]

HERE = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    """Installs what the recipes are tried with before the first test."""
    install_beforehand(session, [HERE], tools.python, tools.install_mono, languages.installed)
