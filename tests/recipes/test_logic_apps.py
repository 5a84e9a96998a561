"""The workflows of Logic Apps: put together rightly, and their requests really sent."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from azure.storage.queue import QueueClient, QueueMessage

from local.adx_simulator import AdxSimulator, BlobFault
from local.functions_host import FunctionsHost
from tests.recipes import pages
from tests.recipes.expressions import Value, resolved
from tests.recipes.local_cloud import APP, LocalCloud
from tests.recipes.workflows import Sent, run_workflow
from tests.support.world import DATABASE, World, eventually

WORKFLOWS = ["post-logic-app", "go-on-logic-app", "alerts"]
KEY = "a-function-key-of-this-test"
CONNECTIONS = {"$connections": {"azurequeues": {"connectionId": "/connections/azurequeues"}}}
SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"


def workflow(page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pages.snippet(page, "json"))
    return found


def _scopes(actions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The actions, and those within conditions: what one may run after is in its own scope."""
    yield actions
    for action in actions.values():
        for inner in (action.get("actions"), action.get("else", {}).get("actions")):
            if inner:
                yield from _scopes(inner)


@pytest.mark.parametrize("page", WORKFLOWS)
def test_a_definition_has_the_parts_that_the_language_has(page: str) -> None:
    found = workflow(page)
    assert found["$schema"] == SCHEMA
    # https://learn.microsoft.com/azure/logic-apps/logic-apps-workflow-definition-language
    assert found.keys() <= {"$schema", "contentVersion", "parameters", "triggers", "actions", "outputs"}
    assert {"triggers", "actions"} <= found.keys()
    assert len(found["triggers"]) == 1
    kinds = {"String", "SecureString", "Int", "Object", "Array", "Bool"}
    assert {each["type"] for each in found.get("parameters", {}).values()} <= kinds
    names = [name for scope in _scopes(found["actions"]) for name in scope]
    assert len(names) == len(set(names))
    for scope in _scopes(found["actions"]):
        for name, action in scope.items():
            # https://learn.microsoft.com/azure/logic-apps/logic-apps-workflow-actions-triggers
            fields = {"type", "inputs", "runAfter", "runtimeConfiguration", "expression", "actions", "else"}
            assert action.keys() <= fields, name
            assert action["runAfter"].keys() <= scope.keys() - {name}
            assert all(
                set(how) <= {"Succeeded", "Failed", "Skipped", "TimedOut"} for how in action["runAfter"].values()
            )


def test_the_workflow_submits_blobs_and_has_them_watched_to_the_end(world: World) -> None:
    world.start_host()
    blobs = [{"url": world.upload("part-1.csv", b"1,2\n3,4\n"), "sourceId": "s-1"}]
    parameters = {"database": DATABASE, "table": world.table}
    bodies = run_workflow(workflow("post-logic-app"), {"blobs": blobs}, LocalCloud(world).send, parameters)
    row = world.settled(bodies["Submit"]["ingestionOperationId"])
    assert (row["State"], row["Succeeded"]) == ("Succeeded", 1)
    assert json.loads(row["Properties"]) == {"format": "csv"}
    assert world.adx.books().rows == 2


def test_the_workflow_that_waits_goes_on_once_when_what_was_tried_again_is_in(world: World, adx: AdxSimulator) -> None:
    queue = f"results-{world.table.lower()}"
    world.queues.create_queue(queue)
    adx.set_faults([BlobFault(kind="transient", url_contains="flaky", submissions=1)])
    urls = [world.upload("good.csv", b"1,2\n"), world.upload("flaky.csv", b"3,4\n")]
    root = world.submit_and_post(urls, correlationId="nightly")
    # The first end is that of an operation with a blob that is tried again: not before it was looked at.
    with world.start_host(function_keys={"logic-app": KEY}, RESULTS_QUEUE=queue, disabled="resubmit_blobs") as host:
        assert _gone_on(world, queue, host) == []
    host = world.start_host(function_keys={"logic-app": KEY}, RESULTS_QUEUE=queue)
    [going_on] = _gone_on(world, queue, host)
    assert going_on.url.startswith("https://management.azure.com/subscriptions/SUBSCRIPTION/")
    assert going_on.body == {"operationId": root, "correlationId": "nightly"}
    assert adx.books().rows == 2


def _gone_on(world: World, queue: str, host: FunctionsHost) -> list[Sent]:
    """What the workflow asks others for when the next news comes, but for the news' deletion."""
    cloud = LocalCloud(world, str(host.uri), KEY)
    asked: list[Sent] = []

    def send(sent: Sent) -> Value:
        """The app is asked; Data Factory and the queue's connection are not there, so what they would get is kept."""
        if sent.url.startswith(APP):
            return cloud.send(sent)
        asked.append(sent)
        return {}

    with world.queues.get_queue_client(queue) as client:
        message = _taken(client)
        run_workflow(workflow("go-on-logic-app"), _triggered(message), send, CONNECTIONS)
        client.delete_message(message)
    *others, deleted = asked
    assert (deleted.method, deleted.login) == ("DELETE", {"popreceipt": message.pop_receipt})
    assert deleted.url.endswith(f"/queues/ingestion-results/messages/{message.id}")
    return others


def _taken(client: QueueClient) -> QueueMessage:
    """The next message on a queue, once there is one."""
    messages = eventually(lambda: list(client.receive_messages(max_messages=1)), "news")
    return messages[0]


def _triggered(message: QueueMessage) -> Value:
    """What the trigger makes of a message: https://learn.microsoft.com/connectors/azurequeues/#messages-v2."""
    taken = {"MessageId": message.id, "PopReceipt": message.pop_receipt, "MessageText": message.content}
    [trigger] = workflow("go-on-logic-app")["triggers"].values()
    content = {"QueueMessagesList": {"QueueMessage": [taken]}}
    [one] = resolved(trigger["splitOn"], {"triggerBody": lambda: content})
    return one
