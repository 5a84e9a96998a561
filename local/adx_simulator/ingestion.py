"""Takes submissions, and ingests their blobs one by one as time goes by."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime, timedelta

import aiohttp

from local.adx_simulator.books import Ledger
from local.adx_simulator.download import delete, download
from local.adx_simulator.failures import BlobRefused, already_ingested
from local.adx_simulator.faults import BlobFacts, Faults
from local.adx_simulator.formats import read_rows
from local.adx_simulator.operations import Blob, BlobStatus, Operation, Operations
from local.adx_simulator.settings import Settings
from local.adx_simulator.submissions import Submission, SubmittedBlob, plain_url

SHORTEST_SHARE = 0.3
AT_ONCE_SHARE = 0.1


class Ingestion:
    """The service behind the endpoints.

    Attributes:
        settings: How it behaves.
        faults: What befalls blobs.
        operations: All operations that are tracked.
        ledger: The books.
    """

    def __init__(
        self,
        settings: Settings,
        faults: Faults,
        *,
        session: aiohttp.ClientSession,
        pool: Executor,
        rng: random.Random,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self.faults = faults
        self.operations = Operations()
        self.ledger = Ledger()
        self._session = session
        self._pool = pool
        self._rng = rng
        self._now = now
        self._sleep = sleep
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._mended = asyncio.Event()

    @property
    def unfinished(self) -> int:
        """How many blobs are on their way to an end."""
        return len(self._tasks)

    def accept(self, database: str, table: str, submission: Submission) -> Operation:
        """Takes a submission: from here on its blobs are ingested.

        Args:
            database: Where it goes.
            table: Where it goes.
            submission: What was submitted.

        Returns:
            The operation.
        """
        now = self._now()
        visible_at = now + timedelta(seconds=self.settings.visible_after_seconds)
        operation = Operation(self._new_id(), database, table, started_at=now, visible_at=visible_at)
        for submitted in submission.blobs:
            blob = self._queued(operation, submitted)
            operation.blobs.append(blob)
            task = asyncio.create_task(self._run(operation, submission, blob, self._delay(submission)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if submission.tracked:
            self.operations.add(operation)
        return operation

    def reset(self) -> None:
        """Forgets all operations and books; blobs on their way are given up."""
        for task in self._tasks:
            task.cancel()
        self.operations = Operations()
        self.ledger = Ledger()

    def mend(self) -> None:
        """Ends what `mending` faults wait for now: what is shown as failed goes on, and what goes on is ingested."""
        self._mended.set()
        self._mended = asyncio.Event()

    async def close(self) -> None:
        """Gives up all blobs on their way, and waits until that is done."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _new_id(self) -> str:
        self._number += 1
        guid = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        return self.settings.operation_id_pattern.replace("{guid}", guid).replace("{n}", str(self._number))

    def _queued(self, operation: Operation, submitted: SubmittedBlob) -> Blob:
        url, database, table = plain_url(submitted.url), operation.database, operation.table
        submission = self.ledger.submitted(database, table, url, operation.operation_id)
        hidden = timedelta(seconds=self._rng.random() * self.settings.counted_after_seconds)
        return Blob(
            url=submitted.url,
            source_id=submitted.source_id,
            own_id=str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            fault=self.faults.for_blob(BlobFacts(url, database, table, submission)),
            counted_at=operation.started_at + hidden,
            started_at=operation.started_at,
            updated_at=operation.started_at,
        )

    def _delay(self, submission: Submission) -> float:
        longest = self.settings.batching_seconds * (AT_ONCE_SHARE if submission.at_once else 1.0)
        return longest * self._rng.uniform(SHORTEST_SHARE, 1.0)

    async def _run(self, operation: Operation, submission: Submission, blob: Blob, delay: float) -> None:
        await self._sleep(delay / 2)
        blob.move(BlobStatus.IN_PROGRESS, self._now())
        await self._sleep(delay / 2)
        fault = blob.fault
        if fault is None:
            await self._ingest(operation, submission, blob)
        elif fault.kind == "canceled":
            blob.move(BlobStatus.CANCELED, self._now())
        elif fault.kind != "stuck":
            blob.move(BlobStatus.FAILED, self._now(), fault.failure())
        if fault is not None and fault.kind == "mending":
            await self._wait_for_mending(fault.seconds)
            blob.move(BlobStatus.IN_PROGRESS, self._now())
            await self._wait_for_mending(fault.seconds)
            await self._ingest(operation, submission, blob)

    async def _wait_for_mending(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._mended.wait(), seconds)

    async def _ingest(self, operation: Operation, submission: Submission, blob: Blob) -> None:
        url, ledger = plain_url(blob.url), self.ledger
        where = operation.database, operation.table
        try:
            data = await download(self._session, blob.url)
            if submission.delete_after_download:
                await delete(self._session, blob.url)
            reading = asyncio.get_running_loop().run_in_executor(self._pool, read_rows, data, url, submission.layout)
            rows = await reading
        except BlobRefused as refused:
            blob.move(BlobStatus.FAILED, self._now(), refused.failure)
            return
        # Nothing else runs between the look at the tags and the entry: of two operations with one tag, one comes first.
        tag = ledger.foreign_tag(*where, submission.unless_exists, operation.operation_id)
        if tag is not None:
            blob.move(BlobStatus.FAILED, self._now(), already_ingested(tag))
            return
        ledger.ingested(*where, url, operation.operation_id, rows, submission.ingest_by)
        blob.move(BlobStatus.SUCCEEDED, self._now())
