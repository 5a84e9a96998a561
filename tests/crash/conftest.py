"""One of Azurite, ADX simulator, topic and tripwire before them; each case has queues and an ADX table of its own."""

from collections.abc import Iterator

import pytest

from local.adx_simulator import AdxSimulator
from local.azurite import Azurite
from tests.support.event_grid import EventGrid
from tests.support.tripwire import Tripwire


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


@pytest.fixture(scope="session")
def adx() -> Iterator[AdxSimulator]:
    with AdxSimulator.start(batching_seconds=0.02, visible_after_seconds=0.0) as running:
        yield running


@pytest.fixture(scope="session")
def grid() -> Iterator[EventGrid]:
    with EventGrid() as running:
        yield running


@pytest.fixture(scope="session")
def tripwire(storage: Azurite, adx: AdxSimulator, grid: EventGrid) -> Iterator[Tripwire]:
    servers = {"table": storage.table_endpoint, "queue": storage.queue_endpoint, "adx": adx.uri, "grid": grid.origin}
    with Tripwire(servers) as standing:
        yield standing
