"""What takes long to install is there before the first test, whose time it is not to take."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from local.processes import ProcessFailed


def install_beforehand(session: pytest.Session, folders: Iterable[Path], *installs: Callable[[], object]) -> None:
    """Install what the tests of some folders need, if there are any to be run; who lacks it then says why.

    Args:
        session: Whose tests are collected.
        folders: Where they lie.
        installs: Each installs a thing, whether the others could be or not.
    """
    if session.config.option.collectonly:
        return
    of_tests = {parent for item in session.items for parent in item.path.parents}
    if of_tests.isdisjoint(folders):
        return
    for install in installs:
        with suppress(ProcessFailed):
            install()
