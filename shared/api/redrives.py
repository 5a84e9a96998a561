"""The endpoints by which a person has things taken up again that the app has given up."""

from dataclasses import replace

from shared.api.body import read_object
from shared.api.callers import asked_by, without_asking
from shared.api.endpoint import Asked, Body, Endpoint, Reply
from shared.api.naming import IS_AMBIGUOUS, NAMING, named
from shared.api.request import Answer
from shared.fields import Fields, Object
from shared.reading import Named
from shared.redrive import Redriven
from shared.redrive_request import read_most


def _redrive_blobs(asked: Asked) -> Answer:
    content = read_object(asked.request, may_be_empty=True)
    by = asked_by(asked.request, asked.backend.settings, content)
    tracker = asked.backend.tracker()
    message = without_asking(content)
    # The operation is looked for first: what it is called is all that the rest of the request needs to be read.
    operation = tracker.reading.find(_named(asked, message, tracker.cluster_of(message))).operation
    names: Object = {
        "operationId": operation.operation_id,
        "cluster": operation.cluster,
        "database": operation.database,
        "table": operation.table,
    }
    return _done(tracker.redrive_blobs(operation.operation_id, {**message, **names}, by), "blobs")


def _named(asked: Asked, message: Object, cluster: str | None) -> Named:
    """What the request calls its operation; the message goes before the URL."""
    fields, by_url = Fields(message), named(asked)
    in_message = fields.string("operationId")
    return replace(
        by_url,
        ids=(in_message,) if in_message else by_url.ids,
        cluster=cluster or by_url.cluster,
        database=fields.string("database") or by_url.database,
        table=fields.string("table") or by_url.table,
    )


def _redrive_messages(asked: Asked) -> Answer:
    content = read_object(asked.request, may_be_empty=True)
    by = asked_by(asked.request, asked.backend.settings, content)
    most = read_most(without_asking(content))
    return _done(asked.backend.tracker().redrive_messages(asked.request.route["queue"], by, most), "messages")


def _done(done: Redriven, what: str) -> Answer:
    return Answer(200, {"redriveId": done.redrive_id, what: done.count, "left": done.left})


REDRIVE_BLOBS = Endpoint(
    name="redrive_blobs",
    method="POST",
    path="/operations/{operationId}/redrive",
    summary="Have an operation's given-up blobs tried again",
    description="docs/redrive.md tells what it does and whom it asks. It is written down who asked.",
    act=_redrive_blobs,
    parameters=NAMING,
    body=Body("Which blobs, and with what.", "BlobsRedrive", required=True),
    replies={200: Reply("They are on the retry queue.", "RedrivenBlobs")},
    problems={
        400: "A parameter or the body is not understood, or the operation's cluster is not allowed.",
        404: "There is no such operation.",
        409: f"The operation has not ended. Or: {IS_AMBIGUOUS[0].lower()}{IS_AMBIGUOUS[1:]}",
        413: "The body is too long.",
        415: "The body is not said to be JSON.",
        422: "It lacks what a resubmission needs, or a URL leads to another blob; the detail says what to do.",
    },
)

REDRIVE_MESSAGES = Endpoint(
    name="redrive_messages",
    method="POST",
    path="/queues/{queue}/redrive",
    summary="Have the messages of a poison queue handled again",
    description="They go from the poison queue of the named queue back to it. It is written down who asked.",
    act=_redrive_messages,
    body=Body("How many, and who asks.", "MessagesRedrive", required=True),
    replies={200: Reply("They are on their queue.", "RedrivenMessages")},
    problems={
        400: "The body is not understood.",
        404: "The app has no such queue; the detail names those that it has.",
        413: "The body is too long.",
        415: "The body is not said to be JSON.",
    },
)
