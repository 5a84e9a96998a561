from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.support.parts import Parts, make_parts

_count = iter(range(10_000))


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


@pytest.fixture
def parts(storage: Azurite) -> Iterator[Parts]:
    with make_parts(storage, f"x{next(_count)}") as made:
        yield made
