"""An upstream job, to be copied: submits a container's blobs to ADX and posts the operation IDs for tracking.

    python samples/upstream_job.py CONTAINER_SAS_URL DATABASE TABLE FORMAT

Reads KUSTO_INGEST_URI, and IngestionStorage (a connection string) for the queue. The SAS needs read and list.
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

STORAGE = "IngestionStorage"
container_url, database, table, blob_format = sys.argv[1:5]
adx = os.environ["KUSTO_INGEST_URI"]
is_local = adx.startswith("http://127.0.0.1")
token = "local" if is_local else DefaultAzureCredential().get_token(f"{adx}/.default").token
properties = {"format": blob_format, "enableTracking": True, "ignoreFirstRecord": blob_format == "csv"}

with (
    requests.Session() as session,
    ContainerClient.from_container_url(container_url) as container,
    QueueClient.from_connection_string(os.environ[STORAGE], "ingestion-operations") as queue,
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
        queue.send_message(json.dumps({**operation, "properties": properties, "blobs": blobs}))
        print(f"submitted {len(blobs)} blobs as {operation['operationId']}")
