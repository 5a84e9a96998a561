"""An upstream job, to be copied: submits a container's blobs to ADX and posts the operation IDs for tracking.

    python samples/upstream_job.py CONTAINER_SAS_URL DATABASE TABLE FORMAT

Reads KUSTO_INGEST_URI, and for the queue IngestionStorage (a connection string) or, for access by identity,
IngestionStorage__queueServiceUri. The SAS needs read and list. The first line of a CSV file is taken for a header.
"""

import json
import os
import sys
import uuid
from itertools import batched

import requests
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

if len(sys.argv) != 5:
    sys.exit(__doc__)
container_url, database, table, blob_format = sys.argv[1:5]


def queue_client() -> QueueClient:
    """The queue that the tracker reads."""
    name, storage = "ingestion-operations", os.environ.get("IngestionStorage", "")
    if storage:
        return QueueClient.from_connection_string(storage, name)
    return QueueClient(os.environ["IngestionStorage__queueServiceUri"], name, credential=DefaultAzureCredential())


adx = os.environ["KUSTO_INGEST_URI"]
is_local = adx.startswith("http://127.0.0.1")
token = "local" if is_local else DefaultAzureCredential().get_token(f"{adx}/.default").token
properties = {"format": blob_format, "enableTracking": True, "ignoreFirstRecord": blob_format == "csv"}

with (
    requests.Session() as session,
    ContainerClient.from_container_url(container_url) as container,
    queue_client() as queue,
):
    for group in batched(container.list_blobs(), 20, strict=False):  # ADX takes 20 blobs a request, of one format
        blobs = [{"url": container.get_blob_client(blob.name).url, "sourceId": str(uuid.uuid4())} for blob in group]
        answer = session.post(
            f"{adx}/v1/rest/ingestion/queued/{database}/{table}",
            json={"blobs": blobs, "properties": properties},
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=60,
        )
        answer.raise_for_status()
        operation = {"operationId": answer.json()["ingestionOperationId"], "database": database, "table": table}
        # With the blobs and properties the tracker can submit again what fails for a moment.
        message = json.dumps({**operation, "properties": properties, "blobs": blobs})
        queue.send_message(message, time_to_live=-1)  # else it is gone after a week, read or not
        print(f"submitted {len(blobs)} blobs as {operation['operationId']}")
