"""The parts that the demo needs, started and stopped."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.adx_simulator import AdxSimulator
from local.azurite import Azurite
from local.functions_host import FunctionsHost
from local.processes import REPOSITORY
from local.watch.watcher import OPERATIONS_QUEUE, POLL_QUEUE, RETRY_QUEUE

DATABASE = "Samples"
LOG = REPOSITORY / ".cache" / "demo" / "host.log"
# ADX seals a batch after minutes; the demo has a minute for all.
BATCHING_SECONDS = 5.0
# So that what is shown moves, and four attempts fit into a minute.
SETTINGS = {
    "KUSTO_AUTH": "none",
    "KUSTO_ALLOWED_INGEST_URIS": "",
    "OPERATIONS_QUEUE": OPERATIONS_QUEUE,
    "RETRY_QUEUE": RETRY_QUEUE,
    "POLL_QUEUE": POLL_QUEUE,
    "POLL_SCHEDULE": "*/2 * * * * *",
    "POLL_FIRST_DELAY_SECONDS": "1",
    "POLL_MIN_INTERVAL_SECONDS": "2",
    "POLL_MAX_INTERVAL_SECONDS": "4",
    "RETRY_MODE": "resubmit",
    "RETRY_MAX_ATTEMPTS": "4",
    "RETRY_BASE_DELAY_SECONDS": "6",
    "RETRY_MAX_DELAY_SECONDS": "6",
    "RETRY_DEDUPLICATE": "false",
}

type Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """The running parts.

    Attributes:
        azurite: The storage account.
        adx: The cluster.
        host: The app.
        log: The file that the host's log is saved to.
    """

    azurite: Azurite
    adx: AdxSimulator
    host: FunctionsHost
    log: Path = LOG

    @property
    def page(self) -> str:
        """The dashboard's URL."""
        return f"{self.host.uri}/api/dashboard"

    def save_log(self) -> None:
        """Writes the host's log so far to its file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text(self.host.output(), encoding="utf-8")


@contextmanager
def open_stage(say: Say) -> Iterator[Stage]:
    """Starts all parts, and stops them at the end, whatever ends it.

    Args:
        say: Is told the name of each part once it runs, and what is to be known of it.

    Yields:
        The running parts.

    Raises:
        ProcessFailed: One did not start; the message carries its last output.
    """
    with ExitStack() as stack:
        azurite = stack.enter_context(Azurite.start())
        say("storage", f"Azurite at {azurite.blob_endpoint}")
        adx = stack.enter_context(AdxSimulator.start(batching_seconds=BATCHING_SECONDS))
        say("ADX", f"the simulator at {adx.uri}")
        connection = azurite.connection_string
        storage = {"IngestionStorage": connection, "AzureWebJobsStorage": connection}
        host = FunctionsHost.start({**SETTINGS, **storage, "KUSTO_INGEST_URI": adx.uri})
        stage = Stage(azurite, adx, host)
        stack.callback(stage.save_log)
        stack.enter_context(host)
        say("app", f"{len(host.functions)} functions listen; its log goes to {LOG.relative_to(REPOSITORY)}")
        # Done first at the end: an impatient second Ctrl-C must not cut the stopping short.
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
        yield stage
