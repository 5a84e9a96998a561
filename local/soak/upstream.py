"""What upstream does: uploads and submits small blobs at a steady rate, and posts the operations in many ways."""

import base64
import json
import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import requests
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas
from azure.storage.queue import QueueServiceClient

from local.azurite import ACCOUNT, KEY, Azurite
from local.soak.evidence import SubmittedBlob, SubmittedOperation
from local.soak.fates import FATES, Fate
from local.soak.plan import DATABASE, DIALECTS, DOCUMENTED_TABLE, Plan
from local.watch.watcher import OPERATIONS_QUEUE, QUEUES

CONTAINER = "soak"
SAS_VALID = timedelta(days=2)
SUBMIT_SECONDS = 60
MOST_BLOBS = 4
ROWS = (2, 6)

TWICE_SHARE = 0.15
LATE_SHARE = 0.15
LATEST_SECONDS = 12
BASE64_SHARE = 0.25
BARE_SHARE = 0.15
JUNK_SHARE = 0.08

# Upstream's are base64 too, in part: what can't be read is kept as it came.
JUNK = (
    '{{"operationId": "junk {mark}", "database": ',
    '{{"database": "junk {mark}"}}',
    '["junk {mark}"]',
    '{{"operationId": "junk {mark}", "cluster": "https://ingest-elsewhere.westeurope.kusto.windows.net"}}',
    '{{"operationId": ["junk {mark}"], "note": "Überraschung"}}',
)


class Upstream:
    """A client of ADX and of the app. A context manager.

    Attributes:
        submitted: The operations that it has submitted and posted so far.
        junk: What it has posted that is no message, by queue.
    """

    def __init__(self, azurite: Azurite, adx_uri: str, plan: Plan) -> None:
        self._azurite = azurite
        self._adx_uri = adx_uri
        self._rate = plan.rate
        self._rng = random.Random(f"upstream {plan.seed}")
        self._stack = ExitStack()
        self._session = self._stack.enter_context(requests.Session())
        self._container = self._stack.enter_context(
            ContainerClient.from_connection_string(azurite.connection_string, CONTAINER)
        )
        self._queues = self._stack.enter_context(QueueServiceClient.from_connection_string(azurite.connection_string))
        self._sas = _container_sas()
        self.submitted: list[SubmittedOperation] = []
        self.junk: defaultdict[str, list[str]] = defaultdict(list)

    def __enter__(self) -> Self:
        self._container.create_container()
        for name in QUEUES:
            self._create_queue(name)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def run(self, stopping: threading.Event) -> None:
        """Submits and posts until `stopping` is set.

        Args:
            stopping: Ends it.
        """
        began = time.monotonic()
        while not stopping.wait(max(0.0, began + len(self.submitted) / self._rate - time.monotonic())):
            self._submit()
            if self._rng.random() < JUNK_SHARE:
                self._post_junk()

    def _submit(self) -> None:
        number = len(self.submitted) + 1
        table = self._rng.choice(list(DIALECTS))
        blobs = tuple(self._upload(number, place) for place in range(self._rng.randint(1, MOST_BLOBS)))
        message = self._accepted(table, blobs)
        # A bare ID is one of the table that the app's settings name.
        is_bare = table == DOCUMENTED_TABLE and self._rng.random() < BARE_SHARE * len(DIALECTS)
        self._post(message, is_bare=is_bare)
        self.submitted.append(SubmittedOperation(message["operationId"], table, is_bare, blobs))

    def _upload(self, number: int, place: int) -> SubmittedBlob:
        (fate,) = self._rng.choices(FATES, [fate.share for fate in FATES])
        name = f"{fate.name}.{number:06}-{place}.csv"
        rows = self._rng.randint(*ROWS)
        if not fate.is_missing:
            self._container.upload_blob(name, _content(name, rows, fate))
        return SubmittedBlob(f"{CONTAINER}/{name}", rows, fate.name)

    def _accepted(self, table: str, blobs: Sequence[SubmittedBlob]) -> dict[str, Any]:
        """Submits blobs, and returns the whole message of their operation."""
        properties = {"format": "csv", "enableTracking": True}
        sources = [
            {
                "url": f"{self._azurite.blob_endpoint}/{blob.path}?{self._sas}",
                "sourceId": str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
                "rawSize": 100,
            }
            for blob in blobs
        ]
        answer = self._session.post(
            f"{self._adx_uri}/v1/rest/ingestion/queued/{DATABASE}/{table}",
            json={"blobs": sources, "properties": properties},
            headers={"Authorization": "Bearer upstream"},
            timeout=SUBMIT_SECONDS,
        )
        answer.raise_for_status()
        operation_id: str = answer.json()["ingestionOperationId"]
        return {
            "operationId": operation_id,
            "database": DATABASE,
            "table": table,
            "properties": properties,
            "blobs": sources,
            "correlationId": f"soak {blobs[0].path}",
        }

    def _post(self, message: dict[str, Any], *, is_bare: bool) -> None:
        text = message["operationId"] if is_bare else json.dumps(message)
        if self._rng.random() < BASE64_SHARE:
            text = base64.b64encode(text.encode()).decode()
        self._send(OPERATIONS_QUEUE, text, is_late=self._rng.random() < LATE_SHARE)
        if self._rng.random() < TWICE_SHARE:
            self._send(OPERATIONS_QUEUE, text, is_late=self._rng.random() < 0.5)  # noqa: PLR2004, as often as not

    def _post_junk(self) -> None:
        queue = self._rng.choice(QUEUES)
        text = self._rng.choice(JUNK).format(mark=len(self.submitted))
        if self._rng.random() < BASE64_SHARE:
            text = base64.b64encode(text.encode()).decode()
        self._send(queue, text, is_late=False)
        self.junk[queue].append(text)

    def _send(self, queue: str, text: str, *, is_late: bool) -> None:
        delay = self._rng.randint(1, LATEST_SECONDS) if is_late else 0
        with self._queues.get_queue_client(queue) as client:
            client.send_message(text, visibility_timeout=delay)

    def _create_queue(self, name: str) -> None:
        try:
            self._queues.create_queue(name).close()
        except ResourceExistsError:
            return


def _content(name: str, rows: int, fate: Fate) -> bytes:
    """Records that no other blob has."""
    lines = [f"{name},{row},{fate.name}\n" for row in range(rows)]
    if fate.is_broken:
        lines[-1] = f"{name}\n"
    return "".join(lines).encode()


def _container_sas() -> str:
    return generate_container_sas(
        ACCOUNT,
        CONTAINER,
        account_key=KEY,
        permission=ContainerSasPermissions(read=True),
        expiry=datetime.now(UTC) + SAS_VALID,
    )
