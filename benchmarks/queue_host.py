"""What the Functions host and the Python worker do for an instance: its messages, its threads, its log lines.

The host asks for ``batchSize`` messages whenever ``newBatchThreshold`` or fewer are being handled, and deletes each
that was handled (https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#hostjson-settings).
In Azure it does so in a process of its own, and so it does here: its requests are none of the app's.
"""

import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any

from azure.storage.queue import QueueClient, QueueMessage

from shared import library_logs

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
    """Log lines from INFO on are made and written, as the worker's handler does it; nobody reads them.

    Those of the libraries are not, as the app has it.
    """
    library_logs.tame()
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


class _Messages:
    """A queue's messages, as a process of its own takes and deletes them."""

    def __init__(self, connection_string: str, queue: str) -> None:
        processes = get_context("spawn")
        self._pipe, pipe = processes.Pipe()
        self._lock = Lock()
        self._process = processes.Process(target=_serve, args=(pipe, connection_string, queue), daemon=True)
        self._process.start()
        pipe.close()
        # It is there when it answers.
        self.take(0)

    def take(self, most: int) -> list[tuple[str, str]]:
        """Messages, by their IDs, each with its text."""
        with self._lock:
            self._pipe.send(most)
            messages: list[tuple[str, str]] = self._pipe.recv()
            return messages

    def delete(self, message_id: str) -> None:
        """Delete one that was taken, by and by."""
        with self._lock:
            self._pipe.send(message_id)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()


def _serve(pipe: Connection, connection_string: str, name: str) -> None:
    """Take as many messages as a number says, delete the one that a text names, until nobody is there any more."""
    # Ctrl-C is for whoever has started it, who then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    taken: dict[str, QueueMessage] = {}
    with QueueClient.from_connection_string(connection_string, name) as queue, suppress(EOFError, BrokenPipeError):
        while True:
            asked: int | str = pipe.recv()
            if isinstance(asked, str):
                queue.delete_message(taken.pop(asked))
                continue
            messages = (
                list(queue.receive_messages(max_messages=asked, visibility_timeout=_HIDDEN_SECONDS)) if asked else []
            )
            taken |= {message.id: message for message in messages}
            pipe.send([(message.id, str(message.content)) for message in messages])


class QueueHost:
    """One queue's messages, and who handles them.

    Args:
        connection_string: Of the storage account.
        queue: The queue's name.
        handle: Takes a message's body and its ID.
        at_once: How many messages are handled at once.
        batch_size: How many are asked for.
        new_batch_threshold: So many that are still being handled don't keep it from asking for more.
    """

    def __init__(
        self,
        connection_string: str,
        queue: str,
        handle: Callable[[bytes, str], None],
        *,
        at_once: int,
        batch_size: int,
        new_batch_threshold: int,
    ) -> None:
        self._messages = _Messages(connection_string, queue)
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
            messages = [] if taken >= most else self._messages.take(self._batch_size)
            taken += len(messages)
            pending |= {self._threads.submit(self._one, *message) for message in messages}
            if not messages:
                break
            while len(pending) > self._new_batch_threshold:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
        for each in wait(pending).done:
            each.result()
        # What it is asked after the deletions, it answers after them.
        self._messages.take(0)
        return taken

    def close(self) -> None:
        """End the threads, and the process that takes messages."""
        self._threads.shutdown()
        self._messages.close()

    def _one(self, message_id: str, text: str) -> None:
        self._handle(text.encode(), message_id)
        self._messages.delete(message_id)
