"""What upstream does: uploads files, and submits them with the sample job."""

import json
import os
import sys
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import requests
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, PublicAccess, generate_container_sas
from azure.storage.queue import QueueClient

from local.azurite import ACCOUNT, KEY
from local.demo.data import DATA_SETS, DataSet
from local.demo.plan import Plan, PlannedFile
from local.demo.stage import DATABASE, Stage
from local.interrupts import put_off
from local.processes import Child, ProcessFailed
from local.watch.watcher import OPERATIONS_QUEUE

JOB = "samples/upstream_job.py"
SUBMIT_SECONDS = 60
SAS_VALID = timedelta(days=1)


def upload(stage: Stage, plan: Plan) -> None:
    """Uploads all files that there are.

    Args:
        stage: Where to.
        plan: The files.
    """
    with BlobServiceClient.from_connection_string(stage.azurite.connection_string) as blobs:
        for data_set in DATA_SETS:
            with blobs.create_container(data_set.container) as container:
                for file in plan.of(data_set):
                    if file.content is not None:
                        container.upload_blob(file.name, file.content)


def submit(stage: Stage, data_set: DataSet) -> None:
    """Submits a container's blobs with the sample job.

    Args:
        stage: The running parts.
        data_set: Whose container.

    Raises:
        ProcessFailed: The job failed; the message carries what it said.
    """
    command = [sys.executable, JOB, container_url(stage, data_set), DATABASE, data_set.table, data_set.format]
    with ExitStack() as stack:
        # Unlike the other parts, the job would not end by itself when this process does.
        with put_off():
            environment = {**os.environ, **job_settings(stage)}
            job = stack.enter_context(Child(command, name="the upstream job", env=environment))
        if job.wait():
            job.stop()
            raise ProcessFailed(f"{JOB} failed for {data_set.table}:\n{job.stderr()}")


def submit_missing(stage: Stage, files: Sequence[PlannedFile]) -> None:
    """Submits files that are not there, as a job does that works through an outdated list: the sample lists itself.

    Args:
        stage: The running parts.
        files: The files, of one data set.
    """
    data_set = files[0].data_set
    address, _, sas = container_url(stage, data_set).partition("?")
    blobs = [{"url": f"{address}/{file.name}?{sas}", "sourceId": str(uuid.uuid4()), "rawSize": 1} for file in files]
    properties = {"format": data_set.format, "enableTracking": True}
    answer = requests.post(
        f"{stage.adx.uri}/v1/rest/ingestion/queued/{DATABASE}/{data_set.table}",
        json={"blobs": blobs, "properties": properties},
        headers={"Authorization": "Bearer local"},
        timeout=SUBMIT_SECONDS,
    )
    answer.raise_for_status()
    operation = {"operationId": answer.json()["ingestionOperationId"], "database": DATABASE, "table": data_set.table}
    with QueueClient.from_connection_string(stage.azurite.connection_string, OPERATIONS_QUEUE) as queue:
        queue.send_message(json.dumps({**operation, "properties": properties, "blobs": blobs}))


def let_all_load(stage: Stage) -> None:
    """Ends what kept good files from loading, so that a person who has them tried again sees them load.

    ADX takes what it refused, and reads the files without a SAS, as the app keeps none.

    Args:
        stage: The running parts.
    """
    stage.adx.set_faults([])
    with BlobServiceClient.from_connection_string(stage.azurite.connection_string) as blobs:
        for data_set in DATA_SETS:
            with blobs.get_container_client(data_set.container) as container:
                container.set_container_access_policy({}, public_access=PublicAccess.BLOB)


def job_settings(stage: Stage) -> dict[str, str]:
    """Returns what the sample job reads from its environment.

    Args:
        stage: The running parts.
    """
    return {"KUSTO_INGEST_URI": stage.adx.uri, "IngestionStorage": stage.azurite.connection_string}


def container_url(stage: Stage, data_set: DataSet) -> str:
    """Returns the URL of a data set's container, with a SAS to read and list it.

    Args:
        stage: The running parts.
        data_set: Which one.
    """
    sas = generate_container_sas(
        ACCOUNT,
        data_set.container,
        account_key=KEY,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + SAS_VALID,
    )
    return f"{stage.azurite.blob_endpoint}/{data_set.container}?{sas}"
