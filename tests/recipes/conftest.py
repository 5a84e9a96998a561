"""The parts of the end-to-end tests, and what recipes are tried with."""

from contextlib import suppress
from pathlib import Path

import pytest

from local.processes import ProcessFailed
from tests.e2e.conftest import adx, storage, world
from tests.recipes import languages, tools

__all__ = ["adx", "storage", "world"]

HERE = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    """Installs what the recipes are tried with before the first test, whose time it is not to take.

    Who needs it says why if it can't: it is a matter of theirs alone.
    """
    if not session.config.option.collectonly and any(HERE in item.path.parents for item in session.items):
        for install in (tools.python, tools.install_mono, languages.installed):
            with suppress(ProcessFailed):
                install()
