"""Sending to the app's queues. Only this module knows azure-storage-queue.

The host takes messages out; the app sends what the host's output binding can't: with a delay, and without an end.
"""

import math
from datetime import timedelta
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueServiceClient

from shared.settings import StorageAccess
from shared.transport import pooled, unless_there

LONGEST_DELAY = timedelta(days=7) - timedelta(seconds=1)
"""Queue Storage keeps a message invisible for seven days at most."""

_FOREVER = -1
"""As the time to live: by default a message is gone after seven days, and a retry may wait longer in a backlog."""


class Queue:
    """One queue that is sent to."""

    def __init__(self, client: QueueClient) -> None:
        self._client = client

    def send(self, text: str, delay: timedelta = timedelta()) -> None:
        """Put a message on the queue, visible after ``delay``. It may arrive twice if an answer gets lost."""
        hidden = math.ceil(min(max(delay, timedelta()), LONGEST_DELAY).total_seconds())
        try:
            self._client.send_message(text, visibility_timeout=hidden, time_to_live=_FOREVER)
        except ResourceNotFoundError:
            self.create()
            self._client.send_message(text, visibility_timeout=hidden, time_to_live=_FOREVER)

    def create(self) -> None:
        """Create the queue unless it is there, or the app has no right to."""
        with unless_there():
            self._client.create_queue()


def connect(access: StorageAccess, credential: TokenCredential | None) -> QueueServiceClient:
    """A client for the queues of the account.

    The SDK's own first wait is 15 s, too long inside an invocation; and each repetition may send a message twice.
    """
    options: dict[str, Any] = {
        "retry_total": 2,
        "initial_backoff": 1,
        "increment_base": 2,
        "random_jitter_range": 1,
        "connection_timeout": 10,
        "read_timeout": 30,
        "transport": pooled(),
    }
    if access.connection_string:
        return QueueServiceClient.from_connection_string(access.connection_string, **options)
    return QueueServiceClient(access.queue_uri, credential=credential, **options)
