import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from local.azurite.installation import ensure_installed
from tests.support.beforehand import install_beforehand

ON_AZURITE = [Path(__file__).parent / each for each in ("cli", "crash", "e2e", "page", "recipes", "storage")]

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
    """Installs Azurite before the first test."""
    install_beforehand(session, ON_AZURITE, ensure_installed)
