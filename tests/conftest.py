import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from local.azurite.installation import ensure_installed
from local.processes import ProcessFailed

HERE = Path(__file__).parent
ON_AZURITE = {"cli", "crash", "e2e", "page", "recipes", "storage"}

settings.register_profile(
    "tests",
    # A machine at work on other things is no failure; and nothing is kept between runs.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
    # What nobody has changed must not turn red by chance; at home each run looks elsewhere.
    derandomize="CI" in os.environ,
)
settings.load_profile("tests")

# Test files that run side by side are told to ignore Ctrl-C, and so would be the programs whose Ctrl-C is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Installs Azurite before the first test, whose time it is not to take; who starts it says why if it can't."""
    folders = {item.path.relative_to(HERE).parts[0] for item in session.items if HERE in item.path.parents}
    if folders & ON_AZURITE and not session.config.option.collectonly:
        with suppress(ProcessFailed):
            ensure_installed()
