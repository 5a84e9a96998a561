"""An instance of the app that polls when a line comes to its standard input, until there are none.

Its app settings are its environment, as the host hands them to the worker. It imports what the worker does of the app,
``function_app``; the worker's own part is left out.
"""

import json
import sys

import function_app
from benchmarks.queue_host import QueueHost, host_json, logged_as_in_production, messages_at_once
from shared.app import tracker


def main() -> None:
    """Say that it is there, and after each line that what was due is polled: as many messages as the line says."""
    settings, queues = function_app.settings, host_json()
    with logged_as_in_production():
        app = tracker(settings)
        host = QueueHost(
            settings.storage.connection_string,
            settings.poll_queue,
            app.poll_batch,
            at_once=messages_at_once(),
            batch_size=queues["batchSize"],
            new_batch_threshold=queues["newBatchThreshold"],
        )
        print(json.dumps({"messages": 0}), flush=True)
        for line in sys.stdin:
            app.poll_operations()
            print(json.dumps({"messages": host.drain(int(line))}), flush=True)
