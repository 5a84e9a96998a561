"""What the app does in an account that gives it no more than it needs."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import HttpResponseError
from azure.data import tables
from azure.data.tables import TableClient
from azure.storage import queue
from azure.storage.queue import QueueClient

from local.azurite import ACCOUNT, KEY, Azurite
from shared.queues import Queue
from shared.store.tables import Table


def expiry() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def test_a_queue_that_the_deployment_made_is_used_without_the_right_to_make_it(
    storage: Azurite,
) -> None:
    with QueueClient.from_connection_string(storage.connection_string, "made-before") as made:
        made.create_queue()
        # Rights to messages, and none to queues.
        rights = queue.AccountSasPermissions(read=True, add=True, process=True)
        sas = queue.generate_account_sas(ACCOUNT, KEY, queue.ResourceTypes(object=True), rights, expiry())
        with QueueClient(storage.queue_endpoint, "made-before", credential=AzureSasCredential(sas)) as client:
            with pytest.raises(HttpResponseError) as refused:
                client.create_queue()
            assert refused.value.status_code == 403
            sent_to = Queue(client)
            sent_to.create()
            sent_to.send("hello")
        assert [message.content for message in made.peek_messages()] == ["hello"]


# The tables SDK on Azurite's error body, which is XML where the service sends JSON.
@pytest.mark.filterwarnings("ignore:Testing an element's truth value:DeprecationWarning")
def test_a_table_that_the_deployment_made_is_used_without_the_right_to_make_it(
    storage: Azurite,
) -> None:
    with TableClient.from_connection_string(storage.connection_string, "madebefore") as made:
        made.create_table()
        # Rights to rows, and none to tables.
        rights = tables.AccountSasPermissions(read=True, add=True, update=True, delete=True)
        key = AzureNamedKeyCredential(ACCOUNT, KEY)
        sas = tables.generate_account_sas(key, tables.ResourceTypes(object=True), rights, expiry())
        with TableClient(storage.table_endpoint, table_name="madebefore", credential=AzureSasCredential(sas)) as client:
            with pytest.raises(HttpResponseError) as refused:
                client.create_table()
            assert refused.value.status_code == 403
            table = Table(client)
            table.create()
            table.insert({"PartitionKey": "p", "RowKey": "r"})
        assert made.get_entity("p", "r")["RowKey"] == "r"
