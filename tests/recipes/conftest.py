"""One Azurite and one ADX simulator for all recipes; each test has queues and table names of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.adx_simulator import AdxSimulator
from local.azurite import Azurite
from tests.recipes import tools
from tests.support.world import World, make_world

HERE = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    """Installs what the recipes are tried with before the first test, whose time it is not to take."""
    if any(HERE in item.path.parents for item in session.items):
        tools.install_tools()


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


@pytest.fixture(scope="session")
def adx() -> Iterator[AdxSimulator]:
    with AdxSimulator.start(batching_seconds=0.3, visible_after_seconds=0.2) as running:
        yield running


@pytest.fixture
def world(storage: Azurite, adx: AdxSimulator) -> Iterator[World]:
    with make_world(storage, adx) as made:
        yield made
