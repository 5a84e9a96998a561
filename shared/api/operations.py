"""The endpoints about operations: handing one in, finding them, one with its lineage, and its blobs."""

from shared.api.body import LONGEST, read_object
from shared.api.callers import proof
from shared.api.continuation import read_token, write_token
from shared.api.endpoint import Asked, Body, Endpoint, Reply
from shared.api.naming import IS_AMBIGUOUS, IS_UNKNOWN, NAMING, location, named
from shared.api.parameters import choices, cluster, members, moment, text, whole
from shared.api.problems import BadRequest
from shared.api.request import NOT_STORED, Answer
from shared.api.shapes import blob_object, lineage_object, operation_object
from shared.model import BlobStatus, OperationState, RetryState
from shared.reading import Wanted
from shared.store.listing import Filter

_NO_RETRY = "None"
"""What a blob without a retry state is called in a filter, as nothing can't be said there."""

STATE = choices(
    "state",
    "Only operations in these states.",
    members(OperationState),
    example="Failed,PartiallySucceeded",
)
CLUSTER = cluster("cluster", "Only operations of this cluster, by its ingestion endpoint.")
DATABASE = text("database", "Only operations of this database.", example="Samples")
TABLE = text("table", "Only operations of this table.", example="Orders")
SINCE = moment("since", "Only operations that were registered then or later.")
UNTIL = moment("until", "Only operations that were registered before.")
PREFIX = text(
    "operationId",
    "Only operations whose ID begins so: of the first hundred of them, by ID, those that the other filters let "
    "through. This is not continued; give more of the ID.",
    example="7a1c9d52",
)
ERROR_CODE = text(
    "errorCode",
    "Only operations with this `firstErrorCode`. No list is by that: as many as the limit are looked at, and the "
    "others left out; name states too.",
    example="BadRequest_MissingMappingFailure",
)
TOKEN = text("continuationToken", "What the answer before gave, with the same filters.")
LIMIT = whole("limit", "How many operations at the most.", default=50, most=100)
STATUS = choices("status", "Only blobs with these statuses.", members(BlobStatus), example="Failed")
RETRY_STATE = choices(
    "retryState",
    f"Only blobs in these states of their retry; `{_NO_RETRY}`: without one.",
    members(RetryState, instead_of_empty=_NO_RETRY),
    example="Enqueued,Resubmitted",
)
BLOB_LIMIT = whole("limit", "How many blobs at the most.", default=100, most=1000)


def _add(asked: Asked) -> Answer:
    content = read_object(asked.request)
    by = proof(asked.request, asked.backend.settings)
    operation = asked.backend.tracker().post_operation(content, asked.request.body, by)
    names = {
        "operationId": operation.operation_id,
        "cluster": operation.cluster,
        "database": operation.database,
        "table": operation.table,
    }
    return Answer(202, dict(names), headers={**NOT_STORED, "Location": location(operation)})


def _list(asked: Asked) -> Answer:
    values = asked.values
    wanted = Wanted(
        Filter(
            states=tuple(map(OperationState, values[STATE])),
            cluster=values[CLUSTER],
            database=values[DATABASE],
            table=values[TABLE],
            since=values[SINCE],
            until=values[UNTIL],
        ),
        values[ERROR_CODE],
    )
    prefix, token, limit = values[PREFIX], values[TOKEN], values[LIMIT]
    if prefix and token:
        raise BadRequest("a search by operationId is not continued: leave the continuationToken out")
    filters = ["operations", wanted]
    position = read_token(token, filters)
    reading = asked.backend.tracker().reading
    if prefix:
        found, after = reading.search(prefix, wanted, limit), None
    else:
        found, after = reading.page(wanted, limit, position)
    return Answer(
        200,
        {
            "operations": [operation_object(each) for each in found],
            "continuationToken": write_token(after, filters),
        },
    )


def _get(asked: Asked) -> Answer:
    reading = asked.backend.tracker().reading
    known = reading.find(named(asked))
    return Answer(200, {**operation_object(known), "lineage": lineage_object(reading.lineage(known))})


def _list_blobs(asked: Asked) -> Answer:
    values, reading = asked.values, asked.backend.tracker().reading
    operation = reading.find(named(asked)).operation
    statuses = values[STATUS]
    retry_states = tuple(RetryState("" if each == _NO_RETRY else each) for each in values[RETRY_STATE])
    filters = ["blobs", operation.key, statuses, retry_states]
    page = reading.blobs(operation, values[BLOB_LIMIT], read_token(values[TOKEN], filters), statuses, retry_states)
    return Answer(
        200,
        {"blobs": [blob_object(row) for row in page.rows], "continuationToken": write_token(page.after, filters)},
    )


ADD = Endpoint(
    name="add_operation",
    method="POST",
    path="/operations",
    summary="Have an operation watched",
    description=(
        "The body is the message that an upstream job would put on the operations queue, and it is put there as it is, "
        "once it is known to be taken. The operation is registered some moments later; until then it is not found."
    ),
    act=_add,
    body=Body("The operation's message (docs/messages.md).", "OperationMessage", required=True),
    replies={
        202: Reply(
            "The message is on the queue.",
            "Accepted",
            {
                "Location": {
                    "description": "Where the operation is found once it is registered.",
                    "required": True,
                    "schema": {"type": "string", "format": "uri-reference"},
                }
            },
        )
    },
    problems={
        400: "The body is not understood, or the operation's cluster is not allowed.",
        413: f"The body has more than {LONGEST} bytes.",
        415: "The body is not said to be JSON.",
    },
)

LIST = Endpoint(
    name="list_operations",
    method="GET",
    path="/operations",
    summary="Find operations, newest first",
    description=(
        "An answer may have fewer operations than the limit, even none, and a continuationToken all the same: then "
        "there may be more. The last one has none."
    ),
    act=_list,
    parameters=(STATE, CLUSTER, DATABASE, TABLE, SINCE, UNTIL, ERROR_CODE, PREFIX, LIMIT, TOKEN),
    replies={200: Reply("Operations.", "Operations")},
    problems={400: "A parameter is not understood."},
)

GET = Endpoint(
    name="get_operation",
    method="GET",
    path="/operations/{operationId}",
    summary="One operation, and what it comes from and led to",
    description="The lineage has all operations of one root, the first attempt first, a hundred at the most.",
    act=_get,
    parameters=NAMING,
    replies={200: Reply("The operation.", "OperationWithLineage")},
    problems={400: "A parameter is not understood.", 404: IS_UNKNOWN, 409: IS_AMBIGUOUS},
)

LIST_BLOBS = Endpoint(
    name="list_blobs",
    method="GET",
    path="/operations/{operationId}/blobs",
    summary="An operation's blobs",
    description=(
        "By their keys. An answer may have fewer blobs than the limit, even none, and a continuationToken all the "
        "same: then there may be more. While the operation is in progress, few or none of its blobs may be written "
        "down yet."
    ),
    act=_list_blobs,
    parameters=(STATUS, RETRY_STATE, BLOB_LIMIT, TOKEN, *NAMING),
    replies={200: Reply("Blobs.", "Blobs")},
    problems={400: "A parameter is not understood.", 404: IS_UNKNOWN, 409: IS_AMBIGUOUS},
)
