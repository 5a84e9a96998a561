"""How long and how hard a soak is, and the settings of the app in it."""

from dataclasses import dataclass
from pathlib import Path

from local.adx_simulator import RequestFault
from local.soak.faults import REQUEST_FAULTS
from local.watch.watcher import OPERATIONS_QUEUE, POLL_QUEUE, RETRY_QUEUE

DATABASE = "Soak"
DOCUMENTED_TABLE = "Documented"
# The dialect in which ADX answers about each table's operations.
DIALECTS = {DOCUMENTED_TABLE: "documented", "Sdk": "sdk", "SdkWithUrl": "sdk-with-url"}

BATCHING_SECONDS = 1.0
# Shorter than the shortest batch: an operation posted by its bare ID could else end before all its blobs have shown up.
COUNTED_AFTER_SECONDS = 0.25
# A retry comes half its delay's bound after the failure was seen at the earliest, 2 s here. ADX has mended by then:
# what it mended after the app asked last would be ingested twice, the second window of docs/reliability.md.
RETRY_BASE_DELAY_SECONDS = 4
MENDING_SECONDS = 0.4

MAX_ATTEMPTS = 4
SETTINGS = {
    "KUSTO_AUTH": "none",
    "KUSTO_ALLOWED_INGEST_URIS": "",
    "KUSTO_DATABASE": DATABASE,
    "KUSTO_TABLE": DOCUMENTED_TABLE,
    "OPERATIONS_QUEUE": OPERATIONS_QUEUE,
    "RETRY_QUEUE": RETRY_QUEUE,
    "POLL_QUEUE": POLL_QUEUE,
    "POLL_SCHEDULE": "* * * * * *",
    "POLL_FIRST_DELAY_SECONDS": "0",
    "POLL_MIN_INTERVAL_SECONDS": "1",
    "POLL_MAX_INTERVAL_SECONDS": "2",
    # So few that batches are handed out, too.
    "POLL_INLINE_LIMIT": "5",
    "RETRY_MODE": "resubmit",
    "RETRY_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
    "RETRY_BASE_DELAY_SECONDS": str(RETRY_BASE_DELAY_SECONDS),
    "RETRY_MAX_DELAY_SECONDS": "6",
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
}
# How long a message stays hidden that a killed host had in hand.
INVISIBLE_SECONDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how hard.

    Attributes:
        seconds: How long upstream submits and everything fails.
        seed: Decides what upstream does, when hosts end, and the simulator's choices; what follows from time it can't.
        hosts: How many hosts run at once.
        deduplicate: `RETRY_DEDUPLICATE`.
        rate: Operations that upstream submits in a second.
        request_faults: What goes wrong with the app's requests.
        life: The shortest and the longest that a host lives, in seconds.
        longest_pause: The longest until the next one is started in its place.
        drain_seconds: How long it may take until nothing changes any more. A claim that a kill leaves behind runs out
            after 5 minutes alone, and attempts may be left then.
        app: The folder of function_app.py; None for this repository.
    """

    seconds: float
    seed: int
    hosts: int = 2
    deduplicate: bool = True
    rate: float = 1.5
    request_faults: tuple[RequestFault, ...] = REQUEST_FAULTS
    life: tuple[float, float] = (6.0, 24.0)
    longest_pause: float = 3.0
    drain_seconds: float = 480.0
    app: Path | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The app's settings, without addresses."""
        return {**SETTINGS, "RETRY_DEDUPLICATE": str(self.deduplicate).lower()}
