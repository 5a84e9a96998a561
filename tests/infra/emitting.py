"""A program that has the app's own exporter send each emission of the scenarios, and writes down what arrived as JSON.

OpenTelemetry is set up once a process, for all of it: so this is a process of its own.
"""

import atexit
import json
import logging
import sys
from datetime import UTC, datetime

from shared import library_logs
from shared.settings import Telemetry
from shared.telemetry_export import start
from tests.infra.scenarios import EMISSIONS
from tests.support.collector import Collector


def main() -> None:
    contacted = watch_contacts()
    collector = Collector()
    # The exporters send what is left when the process ends: the collector has to outlive them.
    atexit.register(collector.stop)
    collector.start()
    # As in the worker, and in the app.
    logging.getLogger().setLevel(logging.INFO)
    library_logs.tame()
    # As someone does who looks for a fault.
    logging.getLogger("azure").setLevel(logging.INFO)
    export = start(Telemetry(collector.connection_string, sampling_percent=100))
    emitted = []
    for emission in EMISSIONS:
        emission()
        export.flush()
        emitted.append({"at": datetime.now(UTC).isoformat(), "envelopes": collector.take()})
    json.dump({"emitted": emitted, "contacted": sorted(contacted)}, sys.stdout)


def watch_contacts() -> set[str]:
    """The hosts that this process looks up or writes to from now on."""
    contacted: set[str] = set()

    def watch(name: str, arguments: tuple[object, ...]) -> None:
        if name == "socket.getaddrinfo":
            contacted.add(str(arguments[0]))
        elif name in {"socket.connect", "socket.sendto"}:
            address = arguments[1]
            contacted.add(str(address[0] if isinstance(address, tuple) else address))

    sys.addaudithook(watch)
    return contacted


if __name__ == "__main__":
    main()
