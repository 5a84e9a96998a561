"""Listens to a queue for a function, as the QueueListener and QueueProcessor of Azure's host do."""

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from local.functions_host.protobuf import TypedData
from local.functions_host.settings import QueueOptions
from local.functions_host.worker import Function, Worker

LOG = logging.getLogger(__name__)
MIN_POLLING_INTERVAL = 0.05
# The SDK's own first wait is 15 s, too long where storage is on the same machine.
FEW_RETRIES: dict[str, Any] = {"retry_total": 2, "initial_backoff": 1, "increment_base": 2, "random_jitter_range": 1}


class UndecodableText(ValueError):
    """The text of a message is not what messageEncoding promises."""


@dataclass(frozen=True, kw_only=True)
class ListenerOptions:
    """How to listen, beside what host.json says.

    Attributes:
        queues: host.json's own options.
        max_polling_interval: The longest wait between two looks at an empty queue, in seconds.
        invisible_seconds: How long a message is hidden, and hidden again while its function runs.
        create_queues: Whether a missing queue is created.
    """

    queues: QueueOptions
    max_polling_interval: float
    invisible_seconds: int
    create_queues: bool


class QueueListener:
    """Takes the messages of one queue to one function."""

    def __init__(
        self, worker: Worker, function: Function, *, connection: str, queue: str, options: ListenerOptions
    ) -> None:
        self._worker = worker
        self._function = function
        self._options = options
        self._client = QueueClient.from_connection_string(connection, queue, **FEW_RETRIES)
        self._poison = QueueClient.from_connection_string(connection, f"{queue}-poison", **FEW_RETRIES)
        self._running: set[asyncio.Task[None]] = set()

    async def prepare(self) -> None:
        """Creates the queue, if that was asked for.

        Raises:
            AzureError: The storage does not answer, or refuses.
        """
        if self._options.create_queues:
            await _create_if_missing(self._client)

    async def listen(self, stopping: asyncio.Event) -> None:
        """Takes messages until `stopping` is set, then waits for those that are handled.

        Args:
            stopping: Ends it.
        """
        shortest = min(MIN_POLLING_INTERVAL, self._options.max_polling_interval)
        delay = shortest
        try:
            while not stopping.is_set():
                messages = await self._receive()
                for message in messages:
                    task = asyncio.create_task(self._handle(message))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                if messages:
                    delay = shortest
                    await self._wait_for_room(stopping)
                else:
                    await wait_for_either(stopping, seconds=delay)
                    delay = min(delay * 2, self._options.max_polling_interval)
            while self._running:
                await asyncio.wait(self._running)
        finally:
            await self._client.close()
            await self._poison.close()

    async def _wait_for_room(self, stopping: asyncio.Event) -> None:
        """Waits until so few messages are handled that the next batch may be fetched."""
        while len(self._running) > self._options.queues.new_batch_threshold and not stopping.is_set():
            stop = asyncio.ensure_future(stopping.wait())
            await asyncio.wait({*self._running, stop}, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()

    async def _receive(self) -> list[QueueMessage]:
        batch = self._options.queues.batch_size
        pages = self._client.receive_messages(
            messages_per_page=batch, max_messages=batch, visibility_timeout=self._options.invisible_seconds
        ).by_page()
        try:
            # One request: the pager alone would ask until the queue is empty.
            async for page in pages:
                return [message async for message in page]
        except ResourceNotFoundError:
            LOG.debug("the queue %s does not exist yet", self._client.queue_name)
        except AzureError as error:
            LOG.warning("could not read the queue %s: %s", self._client.queue_name, _first_line(error))
        return []

    async def _handle(self, message: QueueMessage) -> None:
        """Sees one message to its end: deleted, hidden until its next try, or moved to poison."""
        limit = self._options.queues.max_dequeue_count
        count = message.dequeue_count or 0
        try:
            if count > limit:
                await self._move_to_poison(message)
                return
            try:
                data = self._decode(message.content)
            except UndecodableText as error:
                LOG.warning("the message %s of %s: %s", message.id, self._client.queue_name, error)
                await self._move_to_poison(message)
                return
            async with self._kept_hidden(message):
                succeeded = await self._worker.invoke(self._function, data, _metadata(message, data))
            if succeeded:
                await self._client.delete_message(message)
            elif count >= limit:
                await self._move_to_poison(message)
            else:
                await self._release(message)
        except HttpResponseError as error:
            LOG.warning("the message %s of %s: %s", message.id, self._client.queue_name, _first_line(error))
        except AzureError as error:
            LOG.warning("lost the storage with message %s: %s", message.id, _first_line(error))

    def _decode(self, text: str) -> TypedData:
        if not self._options.queues.base64:
            return TypedData(string=text)
        try:
            body = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise UndecodableText("its text is not the base64 that messageEncoding promises") from error
        try:
            return TypedData(string=body.decode())
        except UnicodeDecodeError:
            return TypedData(bytes=body)

    async def _release(self, message: QueueMessage) -> None:
        hidden = int(self._options.queues.visibility_timeout)
        await self._client.update_message(message, visibility_timeout=hidden)

    async def _move_to_poison(self, message: QueueMessage) -> None:
        try:
            await self._poison.send_message(message.content, time_to_live=-1)
        except ResourceNotFoundError:
            await _create_if_missing(self._poison)
            await self._poison.send_message(message.content, time_to_live=-1)
        await self._client.delete_message(message)
        LOG.warning("moved the message %s to %s", message.id, self._poison.queue_name)

    @asynccontextmanager
    async def _kept_hidden(self, message: QueueMessage) -> AsyncIterator[None]:
        renewal = asyncio.create_task(self._renew(message))
        try:
            yield
        finally:
            renewal.cancel()
            with suppress(asyncio.CancelledError):
                await renewal

    async def _renew(self, message: QueueMessage) -> None:
        """Hides the message again when half of the time is over."""
        while True:
            await asyncio.sleep(self._options.invisible_seconds / 2)
            # Shielded: the receipt of a renewal that storage has done must not get lost with its cancellation.
            renewing = asyncio.ensure_future(self._hide_again(message))
            try:
                await asyncio.shield(renewing)
            except asyncio.CancelledError:
                await renewing
                raise

    async def _hide_again(self, message: QueueMessage) -> None:
        try:
            renewed = await self._client.update_message(message, visibility_timeout=self._options.invisible_seconds)
        except AzureError as error:
            LOG.warning("could not keep the message %s hidden: %s", message.id, _first_line(error))
        else:
            message.pop_receipt = renewed.pop_receipt


async def wait_for_either(event: asyncio.Event, *, seconds: float) -> None:
    """Waits for the event or the time, whichever comes first.

    Args:
        event: What may come first.
        seconds: The longest wait.
    """
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout=seconds)


async def _create_if_missing(client: QueueClient) -> None:
    with suppress(ResourceExistsError):
        await client.create_queue()


def _metadata(message: QueueMessage, data: TypedData) -> dict[str, TypedData]:
    """Returns what the real host sends beside the body; what isn't text travels as JSON there."""
    return {
        "QueueTrigger": data,
        "Id": TypedData(string=message.id),
        "PopReceipt": TypedData(string=message.pop_receipt),
        "DequeueCount": TypedData(json=json.dumps(message.dequeue_count)),
        "InsertionTime": _time(message.inserted_on),
        "ExpirationTime": _time(message.expires_on),
        "NextVisibleTime": _time(message.next_visible_on),
    }


def _time(value: datetime | None) -> TypedData:
    return TypedData(json=json.dumps("" if value is None else value.isoformat()))


def _first_line(error: AzureError) -> str:
    return str(error.message or error).splitlines()[0]
