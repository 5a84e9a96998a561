"""What happens in the scenarios, as it arrives from the app's own exporter."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from local.processes import REPOSITORY
from tests.infra.scenarios import EMISSIONS, During, Emission
from tests.support import app_insights
from tests.support.collector import Envelope, plain_environment
from tests.support.kusto_queries import COMPONENT

EMISSION_SECONDS = 300.0


@dataclass(frozen=True)
class Emitted:
    """What arrived of one emission.

    Attributes:
        at: When it was over.
        envelopes: As they came.
    """

    at: datetime
    envelopes: tuple[Envelope, ...]


@dataclass(frozen=True)
class Emissions:
    """What arrived of all emissions.

    Attributes:
        of: By emission.
        contacted: The hosts that the sending process looked up or wrote to.
    """

    of: Mapping[Emission, Emitted]
    contacted: frozenset[str]

    def rows(
        self, happened: Iterable[During], *, before: datetime, component: str = COMPONENT
    ) -> list[app_insights.Row]:
        """The rows that a workspace has of what happened.

        Args:
            happened: With its minutes.
            before: When the minutes are counted back from.
            component: The resource ID of the Application Insights component that it was sent to.
        """
        return [
            row
            for during in happened
            for emitted in [self.of[during.emission]]
            for minute in during.minutes
            for row in app_insights.rows(
                emitted.envelopes, component=component, moved=before - timedelta(minutes=minute) - emitted.at
            )
        ]


@cache
def emit() -> Emissions:
    """Have everything sent by a process of its own, once."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.infra.emitting"],
            capture_output=True,
            check=False,
            cwd=REPOSITORY,
            # The exporter keeps what it could not send in the folder for temporary files.
            env=plain_environment() | {"TMPDIR": folder},
            text=True,
            timeout=EMISSION_SECONDS,
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    written = json.loads(done.stdout)
    of = {
        emission: Emitted(datetime.fromisoformat(each["at"]), tuple(each["envelopes"]))
        for emission, each in zip(EMISSIONS, written["emitted"], strict=True)
    }
    return Emissions(of, frozenset(written["contacted"]))
