"""Sending to the app's queues, and taking poison messages out. Only this module knows azure-storage-queue.

The host takes ordinary messages out; the app sends what the host's output binding can't: with a delay, and without an
end.
"""

import base64
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueServiceClient

from shared.settings import StorageAccess
from shared.transport import pooled, unless_there

LONGEST_DELAY = timedelta(days=7) - timedelta(seconds=1)
"""Queue Storage keeps a message invisible for seven days at most."""

# https://www.w3.org/TR/xml/#charsets; text has no surrogates.
_BEYOND_XML = re.compile("[^\t\n\r\x20-\ufffd\U00010000-\U0010ffff]")

_HIDDEN_SECONDS = 300
"""For a message that was taken: longer than it takes to send it on."""

_FOREVER = -1
"""As the time to live: by default a message is gone after seven days, and a retry may wait longer in a backlog."""


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A message that was taken from a queue and is hidden there; the receipt removes it."""

    text: str = field(repr=False)
    message_id: str
    pop_receipt: str


class Queue:
    """One queue."""

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

    def length(self) -> int:
        """How many messages there are, hidden ones too; about so many, as the service says."""
        try:
            return self._client.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return 0

    def exists(self) -> bool:
        """Whether the queue is there."""
        try:
            self._client.get_queue_properties()
        except ResourceNotFoundError:
            return False
        return True

    def take(self, most: int) -> Iterator[TakenMessage]:
        """Messages one by one, ``most`` at the most; one that is not removed within minutes is visible again."""
        if most:
            for message in self._client.receive_messages(visibility_timeout=_HIDDEN_SECONDS, max_messages=most):
                yield TakenMessage(str(message.content), message.id, str(message.pop_receipt))

    def remove(self, message: TakenMessage) -> None:
        """Remove a message that was taken. It may be gone already if it was visible again meanwhile."""
        try:
            self._client.delete_message(message.message_id, message.pop_receipt)
        except ResourceNotFoundError:
            return

    def create(self) -> None:
        """Create the queue unless it is there, or the app has no right to."""
        with unless_there():
            self._client.create_queue()


def as_queue_text(body: bytes) -> str:
    """A text of UTF-8 as a message: as it is, or as base64 if it has what XML, in which messages travel, can't hold."""
    text = body.decode()
    return base64.b64encode(body).decode() if _BEYOND_XML.search(text) else text


def connect(
    access: StorageAccess, credential: TokenCredential | None, patience: Mapping[str, float] | None = None
) -> QueueServiceClient:
    """A client for the queues of the account; ``patience`` is as in ``shared.store.tables.connect``.

    The SDK's own first wait is 15 s, too long inside an invocation; and each repetition may send a message twice.
    """
    options: dict[str, Any] = {
        "retry_total": 2,
        "initial_backoff": 1,
        "increment_base": 2,
        "random_jitter_range": 1,
        "connection_timeout": 10,
        "read_timeout": 30,
        **(patience or {}),
    }
    options["transport"] = pooled(options.pop("connection_timeout"), options.pop("read_timeout"))
    if access.connection_string:
        return QueueServiceClient.from_connection_string(access.connection_string, **options)
    return QueueServiceClient(access.queue_uri, credential=credential, **options)
