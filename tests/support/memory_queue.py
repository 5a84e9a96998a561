"""A queue in memory that does what ``azure.storage.queue.QueueClient`` does, on a clock that is handed in.

``tests/storage/test_memory_storage.py`` compares it with Azurite. Where that and the service differ, as far as it is
documented: a pop receipt that is not the last one is answered with 400 by Azurite and here, and the service documents
404 for deleting with one; both are an ``HttpResponseError``. Neither promises an order, so a test may choose another.
"""

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage

from tests.support.storage_errors import refusal

_FOREVER = -1
_WEEK = timedelta(days=7)
_LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_MOST_BYTES = 64 * 1024
_DEFAULT_HIDDEN = 30


@dataclass
class StoredMessage:
    """A message as the queue holds it."""

    id: str
    content: str
    inserted_on: datetime
    expires_on: datetime
    visible_on: datetime
    receipt: str
    dequeue_count: int = 0


class MemoryQueue:
    """One queue.

    Args:
        now: The time.
        pick: Which of so many visible messages is received next; by default the one that is visible the longest.
    """

    def __init__(self, now: Callable[[], datetime], pick: Callable[[int], int] = lambda _: 0) -> None:
        self._now = now
        self._pick = pick
        self._messages: dict[str, StoredMessage] | None = None
        self._lock = threading.RLock()
        self._count = itertools.count(1)

    def create_queue(self) -> None:
        if self._messages is not None:
            raise refusal(ResourceExistsError, 204, "QueueAlreadyExists", "Queue already exists")
        self._messages = {}

    def send_message(
        self, content: str, *, visibility_timeout: int = 0, time_to_live: int | None = None
    ) -> QueueMessage:
        with self._lock:
            if len(content.encode()) > _MOST_BYTES:
                raise refusal(HttpResponseError, 413, "RequestBodyTooLarge", "The request body is too large.")
            _check_hidden(visibility_timeout, least=0)
            messages = self._existing()
            now = self._now()
            life = _WEEK if time_to_live is None else timedelta(seconds=time_to_live)
            message = StoredMessage(
                id=f"message-{next(self._count)}",
                content=content,
                inserted_on=now,
                expires_on=_LAST_MOMENT if time_to_live == _FOREVER else now + life,
                visible_on=now + timedelta(seconds=visibility_timeout),
                receipt=self._receipt(),
            )
            messages[message.id] = message
            return _shown(message)

    def receive_message(self, *, visibility_timeout: int = _DEFAULT_HIDDEN) -> QueueMessage | None:
        with self._lock:
            _check_hidden(visibility_timeout, least=1)
            visible = self._visible()
            if not visible:
                return None
            message = visible[self._pick(len(visible))]
            message.visible_on = self._now() + timedelta(seconds=visibility_timeout)
            message.receipt = self._receipt()
            message.dequeue_count += 1
            return _shown(message)

    def peek_messages(self, max_messages: int = 1) -> list[QueueMessage]:
        with self._lock:
            return [_shown(message, is_peeked=True) for message in self._visible()[:max_messages]]

    def update_message(self, message: QueueMessage, *, visibility_timeout: int = 0) -> QueueMessage:
        with self._lock:
            _check_hidden(visibility_timeout, least=0)
            stored = self._held(message)
            stored.visible_on = self._now() + timedelta(seconds=visibility_timeout)
            stored.receipt = self._receipt()
            return _shown(stored)

    def delete_message(self, message: QueueMessage) -> None:
        with self._lock:
            del self._existing()[self._held(message).id]

    def messages(self) -> list[StoredMessage]:
        """All messages, hidden ones too, in the order in which they were sent."""
        with self._lock:
            return [each for each in (self._messages or {}).values() if each.expires_on > self._now()]

    def _existing(self) -> dict[str, StoredMessage]:
        if self._messages is None:
            raise refusal(ResourceNotFoundError, 404, "QueueNotFound", "The specified queue does not exist.")
        return self._messages

    def _visible(self) -> list[StoredMessage]:
        self._existing()
        now = self._now()
        return sorted((each for each in self.messages() if each.visible_on <= now), key=lambda each: each.visible_on)

    def _held(self, message: QueueMessage) -> StoredMessage:
        stored = self._existing().get(message.id)
        if stored is None or stored.expires_on <= self._now():
            raise refusal(ResourceNotFoundError, 404, "MessageNotFound", "The specified message does not exist.")
        if stored.receipt != message.pop_receipt:
            raise refusal(HttpResponseError, 400, "PopReceiptMismatch", "The specified pop receipt did not match.")
        return stored

    def _receipt(self) -> str:
        return f"receipt-{next(self._count)}"


def _check_hidden(seconds: int, *, least: int) -> None:
    if not least <= seconds <= _WEEK.total_seconds():
        raise refusal(HttpResponseError, 400, "OutOfRangeQueryParameterValue", "visibilitytimeout is out of range.")


def _shown(message: StoredMessage, *, is_peeked: bool = False) -> QueueMessage:
    return QueueMessage(
        content=message.content,
        id=message.id,
        inserted_on=message.inserted_on,
        expires_on=message.expires_on,
        dequeue_count=message.dequeue_count,
        pop_receipt=None if is_peeked else message.receipt,
        next_visible_on=None if is_peeked else message.visible_on,
    )
