"""What the Functions host and the Python worker do for an instance: its messages, its threads, its log lines.

The host asks for ``batchSize`` messages whenever ``newBatchThreshold`` or fewer are being handled, and deletes each
that was handled (https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#hostjson-settings).
In Azure it does so in a process of its own; here its requests count as the app's.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azure.storage.queue import QueueClient, QueueMessage

_HIDDEN_SECONDS = 600


def host_json() -> dict[str, Any]:
    """What host.json says of queues."""
    content = json.loads((Path(__file__).resolve().parent.parent / "host.json").read_text(encoding="utf-8"))
    queues: dict[str, Any] = content["extensions"]["queues"]
    return queues


def worker_threads() -> int:
    """In how many threads the Python worker runs functions: its default, as no setting says otherwise."""
    return min(32, (os.process_cpu_count() or 1) + 4)


def messages_at_once() -> int:
    """How many messages an instance handles at once: what the host hands out, and the worker has threads for."""
    queues = host_json()
    return min(int(queues["batchSize"]) + int(queues["newBatchThreshold"]), worker_threads())


@contextmanager
def logged_as_in_production() -> Iterator[None]:
    """Log lines from INFO on are made and written, as the worker's handler does it; nobody reads them."""
    root = logging.getLogger()
    level = root.level
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        handler = logging.StreamHandler(nowhere)
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)


class QueueHost:
    """One queue's messages, and who handles them.

    Args:
        queue: The queue.
        handle: Takes a message's body and its ID.
        at_once: How many messages are handled at once.
        batch_size: How many are asked for.
        new_batch_threshold: So many that are still being handled don't keep it from asking for more.
    """

    def __init__(
        self,
        queue: QueueClient,
        handle: Callable[[bytes, str], None],
        *,
        at_once: int,
        batch_size: int,
        new_batch_threshold: int,
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._threads = ThreadPoolExecutor(at_once, "host")
        self._batch_size = batch_size
        self._new_batch_threshold = new_batch_threshold

    def drain(self, most: int) -> int:
        """Handle messages until there are no more of them, or some more than ``most`` are.

        Returns:
            How many were handled.
        """
        pending: set[Future[None]] = set()
        taken = 0
        while True:
            messages = (
                []
                if taken >= most
                else list(
                    self._queue.receive_messages(max_messages=self._batch_size, visibility_timeout=_HIDDEN_SECONDS)
                )
            )
            taken += len(messages)
            pending |= {self._threads.submit(self._one, message) for message in messages}
            if not messages:
                break
            while len(pending) > self._new_batch_threshold:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
        for each in wait(pending).done:
            each.result()
        return taken

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _one(self, message: QueueMessage) -> None:
        self._handle(str(message.content).encode(), message.id)
        self._queue.delete_message(message)
