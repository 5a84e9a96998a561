"""A job that waits for its load, to be copied: takes the news of ends from the queue, and says when a load is in.

    python samples/results.py ROOT_OPERATION_ID...

Reads RESULTS_QUEUE, and IngestionStorage (a connection string) or, for access by identity,
IngestionStorage__queueServiceUri. It ends with 0 when all are in, and with 1 when one has failed for good.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueClient

type News = Mapping[str, Any]


def verdict(news: Iterable[News]) -> str:
    """Of one root's news: "in", "failed" for good, or "waiting" for what is being tried again."""
    latest = latest_by_operation(news)
    children: dict[str, list[News]] = {}
    for each in latest.values():
        children.setdefault(each["parentOperationId"] or "", []).append(each)
    verdicts = {_verdict_of(each, children.get(each["operationId"], [])) for each in latest.values()}
    has_root = any(each["operationId"] == each["rootOperationId"] for each in latest.values())
    if "failed" in verdicts:
        return "failed"
    return "waiting" if "waiting" in verdicts or not has_root else "in"


def latest_by_operation(news: Iterable[News]) -> dict[str, News]:
    """What counts of each operation: a correction before the end, and of two the one with more that succeeded."""
    ordered = sorted(news, key=lambda each: (each["event"] == "corrected", each["blobs"]["succeeded"]))
    return {each["operationId"]: each for each in ordered}


def _verdict_of(operation: News, children: Iterable[News]) -> str:
    blobs = operation["blobs"]
    if operation["state"] in ("NotFound", "TimedOut"):
        return "failed"
    tried_again = sum(sum(child["blobs"].values()) for child in children)
    lacking = blobs["failed"] + blobs["canceled"] + blobs["inProgress"] - tried_again
    if lacking <= 0:
        return "in"
    # Transient failures on the retry queue come back as an operation of their own, or as a correction of this one.
    to_come = min(operation["retriedBlobs"], operation["transientFailures"]) - tried_again
    return "waiting" if lacking <= to_come else "failed"


def queue_client() -> QueueClient:
    """The queue that the tracker tells ends on."""
    name, storage = os.environ["RESULTS_QUEUE"], os.environ.get("IngestionStorage", "")
    if storage:
        return QueueClient.from_connection_string(storage, name)
    return QueueClient(os.environ["IngestionStorage__queueServiceUri"], name, credential=DefaultAzureCredential())


def wait_for(roots: set[str], queue: QueueClient, pause_seconds: float = 5.0) -> bool:
    """Take news until each load is in or has failed; True if all are in. Others' news is left on the queue."""
    news: dict[str, News] = {}
    open_roots = set(roots)
    while open_roots:
        for message in queue.receive_messages(visibility_timeout=30):
            each = json.loads(str(message.content))
            if each["rootOperationId"] in roots:
                news[each["eventId"]] = each  # the same ID again is the same news again
                queue.delete_message(message)
        for root in sorted(open_roots):
            said = verdict(each for each in news.values() if each["rootOperationId"] == root)
            if said != "waiting":
                print(f"{root}: {said}")
                open_roots.discard(root)
                if said == "failed":
                    return False
        if open_roots:
            time.sleep(pause_seconds)
    return True


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with queue_client() as client:
        sys.exit(0 if wait_for(set(sys.argv[1:]), client) else 1)
