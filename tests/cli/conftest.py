"""The parts of the end-to-end tests, and the console script to be run on them."""

from pathlib import Path

import pytest

from shared.store import TABLES
from tests.cli.console import Console
from tests.e2e.conftest import adx, storage, world
from tests.support.world import World

__all__ = ["adx", "storage", "world"]


@pytest.fixture
def console(world: World, tmp_path: Path) -> Console:
    """The command, straight on the storage of the world's app, whose tables are there."""
    for name in TABLES:
        world.tables.create_table_if_not_exists(name)
    return Console(world.env, tmp_path)
