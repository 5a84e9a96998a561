"""One Azurite and one ADX simulator for all recipes; each test has queues and table names of its own."""

from collections.abc import Iterator

import pytest

from local.adx_simulator import AdxSimulator
from local.azurite import Azurite
from tests.support.world import World, make_world


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
