"""A program that sends log lines by the app's own exporter, and writes down which of them arrived.

OpenTelemetry is set up once a process, for all of it: so this is a process of its own. Arguments: how many lines, what
the service does with the first request, and how many lines come after that.
"""

import atexit
import json
import logging
import sys
from collections.abc import Callable
from typing import override

from shared import library_logs, telemetry_export
from shared.settings import Telemetry
from shared.telemetry import event
from tests.support.collector import Collector
from tests.support.http_server import Received, Reply


class Reluctant(Collector):
    """Does something else with the first request than to take it."""

    def __init__(self, first: Callable[[Collector], Reply] | None) -> None:
        super().__init__()
        self._first = first

    @override
    def next_reply(self, request: Received) -> Reply:
        first, self._first = self._first, None
        return first(self) if first else super().next_reply(request)


def _hang(collector: Collector) -> Reply:
    collector.stopping.wait()
    return Reply(500)


FIRST: dict[str, Callable[[Collector], Reply] | None] = {
    "takes": None,
    "hangs": _hang,
    "throttles": lambda _: Reply(429, b"", {"Retry-After": "600"}),
}


def main(lines: int, first: str, later: int) -> None:
    if first == "hangs":
        # So that the test does not take as long; the requests after that have to be answered in this time.
        telemetry_export._SECONDS = 10  # noqa: SLF001
    collector = Reluctant(FIRST[first])
    atexit.register(collector.stop)
    collector.start()
    logging.getLogger().setLevel(logging.INFO)
    library_logs.tame()
    export = telemetry_export.start(Telemetry(collector.connection_string))
    for begin, end in ((0, lines), (lines, lines + later)):
        for number in range(begin, end):
            event("sending.probe", "a line", number=number)
        export.flush()
    bodies = [each["data"]["baseData"] for each in collector.take() if each["data"]["baseType"] == "MessageData"]
    numbers = [int(body["properties"]["number"]) for body in bodies if "number" in body["properties"]]
    json.dump(sorted(numbers), sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
