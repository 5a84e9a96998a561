"""How the app's exporter bears crowds of lines and a service that does not take them."""

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

from local.processes import REPOSITORY
from tests.support.collector import plain_environment


def arrived(lines: int, first: str, later: int = 0) -> Sequence[int]:
    """The numbers of the lines that arrived, of so many before and after the service's first answer."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.sending", str(lines), first, str(later)],
        cwd=REPOSITORY,
        env=plain_environment(),
        capture_output=True,
        check=True,
        timeout=300,
    )
    numbers: list[int] = json.loads(done.stdout)
    return numbers


def test_a_crowd_of_lines_arrives_whole() -> None:
    assert arrived(10_000, "takes") == list(range(10_000))


@pytest.mark.parametrize("first", ["hangs", "throttles"])
def test_a_request_that_is_not_taken_does_not_hold_up_the_next(first: str) -> None:
    assert arrived(1, first, later=3)[-3:] == [1, 2, 3]
