from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from shared import announce, poll
from tests.support.parts import Parts, make_parts

_count = iter(range(10_000))


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    with Azurite.start() as running:
        yield running


@pytest.fixture(autouse=True)
def _together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes of the polls of a tick is written and told together, however long the machine takes for them."""
    monkeypatch.setattr(poll, "_WRITE_BACK_SECONDS", 600.0)
    monkeypatch.setattr(announce, "_MOST_SECONDS", 600.0)


@pytest.fixture
def parts(storage: Azurite) -> Iterator[Parts]:
    with make_parts(storage, f"x{next(_count)}") as made:
        yield made
