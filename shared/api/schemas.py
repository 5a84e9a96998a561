"""The schemas of the API's JSON (JSON Schema 2020-12), and an example of each."""

from collections.abc import Mapping

from shared.endpoints import Endpoints
from shared.fields import Object
from shared.messages import LONGEST_CORRELATION_ID
from shared.model import GIVEN_UP_AS, MOST_COUNT, FailureStatus, Json, OperationState, RetryState
from shared.redrive_request import LONGEST_NAME

type Schemas = dict[str, Json]

_TEXT: Object = {"type": "string"}
_TEXT_OR_NULL: Object = {"type": ["string", "null"]}
_TIME: Object = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Object = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Object = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL: Object = {"type": ["integer", "null"], "minimum": 0}
_FLAG: Object = {"type": "boolean"}
_STATE: Object = {"type": "string", "enum": [each.value for each in OperationState]}
_ATTEMPT: Object = {"type": "integer", "minimum": 1}

_NAME = r"^(?!\.{1,2}$)[^\x00-\x1F\x7F]+$"
"""What names something: not empty, no control character, and not only dots, which mean a folder in a URL."""
_NAME_OR_NONE = r"^(?!\.{1,2}$)[^\x00-\x1F\x7F]*$"

_CLUSTER = "https://ingest-help.westeurope.kusto.windows.net"
_OPERATION_ID = "00001111;11112222;00001111-aaaa-2222-bbbb-3333cccc4444"
_URL = "https://account.blob.core.windows.net/landing/orders/part-0042.parquet"
_PLACE: Object = {"cluster": _CLUSTER, "database": "Samples", "table": "Orders"}
_COUNTS: Object = {"succeeded": 19, "failed": 1, "inProgress": 0, "canceled": 0}
_CODE = "BadRequest_MissingMappingFailure"
_AT, _LATER = "2026-11-25T06:00:00Z", "2026-11-25T06:04:10Z"


def schemas(endpoints: Endpoints, *, has_database: bool, has_table: bool) -> Schemas:
    """All schemas by their names.

    Args:
        endpoints: The clusters that a message may name.
        has_database: Whether a message may leave the database out, as a setting gives it.
        has_table: The same of the table.
    """
    return {**_ANSWERS, **_requests(endpoints, has_database=has_database, has_table=has_table)}


def _closed(properties: Object, *, example: Json = None, optional: tuple[str, ...] = ()) -> Object:
    """An object with these properties and no others."""
    closed: Object = {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }
    return closed | ({"examples": [example]} if example is not None else {})


def _list_of(name: str) -> Object:
    return {"type": "array", "items": _schema(name)}


def _schema(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def _described(schema: Object, description: str) -> Object:
    return {**schema, "description": description}


_OPERATION: Object = {
    "operationId": _TEXT,
    "cluster": _described(_TEXT, "The cluster's ingestion endpoint."),
    "database": _TEXT,
    "table": _TEXT,
    "state": _STATE,
    "attempt": _described(_ATTEMPT, "1 is what upstream submitted."),
    "rootOperationId": _described(_TEXT, "Of what upstream submitted: its own ID in the first attempt."),
    "parentOperationId": _described(_TEXT_OR_NULL, "Whose failed blobs it has; null in the first attempt."),
    "correlationId": _described(_TEXT_OR_NULL, "Of the operation's message."),
    "registeredAt": _TIME,
    "startTime": _TIME_OR_NULL,
    "lastUpdated": _TIME_OR_NULL,
    "settledAt": _described(_TIME_OR_NULL, "Null while it is in progress."),
    "blobs": _schema("BlobCounts"),
    "polls": _COUNT,
    "transientFailures": _COUNT,
    "permanentFailures": _described(_COUNT, "All failures that are not Transient."),
    "retriedBlobs": _COUNT,
    "firstErrorCode": _TEXT_OR_NULL,
    "lastError": _described(
        _TEXT_OR_NULL,
        "What went wrong, as a text: of its last failed blob, or of a request to ADX that gave no status.",
    ),
}
_OPERATION_EXAMPLE: Object = {
    "operationId": _OPERATION_ID,
    **_PLACE,
    "state": "PartiallySucceeded",
    "attempt": 1,
    "rootOperationId": _OPERATION_ID,
    "parentOperationId": None,
    "correlationId": "orders-2026-11-25-0042",
    "registeredAt": _AT,
    "startTime": _AT,
    "lastUpdated": _LATER,
    "settledAt": _LATER,
    "blobs": _COUNTS,
    "polls": 4,
    "transientFailures": 0,
    "permanentFailures": 1,
    "retriedBlobs": 0,
    "firstErrorCode": _CODE,
    "lastError": f"{_CODE}: The mapping 'orders_v2' does not exist",
}
_RELATIVE = ("operationId", "attempt", "state", "parentOperationId", "registeredAt", "settledAt", "blobs")

_LINEAGE: Object = {
    "rootOperationId": _TEXT,
    "operations": {
        "type": "array",
        "items": _closed({name: _OPERATION[name] for name in _RELATIVE}),
    },
    "leftOut": _described(_COUNT, "How many more operations of this root there are."),
}

_BLOB: Object = {
    "blobKey": _described(_TEXT, "Names it within its operation."),
    "url": _described(_TEXT_OR_NULL, "Without its query; null where ADX gives none."),
    "sourceId": _TEXT_OR_NULL,
    "status": _described(_TEXT, "As ADX gave it."),
    "startTime": _TIME_OR_NULL,
    "lastUpdated": _TIME_OR_NULL,
    "errorCode": _TEXT_OR_NULL,
    "failureStatus": _described(
        _TEXT_OR_NULL, f"As ADX gave it: {', '.join(each.value for each in FailureStatus)}, or what it adds."
    ),
    "details": _described(_TEXT_OR_NULL, "ADX's text, without what may be a secret."),
    "retryState": {"type": ["string", "null"], "enum": [*(each.value for each in RetryState if each.value), None]},
    "retryReason": _described(_TEXT_OR_NULL, "Why it can't be submitted again."),
    "retryOperationId": _described(_TEXT_OR_NULL, "What it was submitted again with."),
    "attempt": _ATTEMPT,
    "redrivenBy": _TEXT_OR_NULL,
    "redrivenAt": _TIME_OR_NULL,
}
_BLOB_EXAMPLE: Object = {
    "blobKey": "5f0c9a5e2f0b4b5e9d550d7c1c6f7f10",
    "url": _URL,
    "sourceId": "123a6999-411e-4226-a333-a79992dd9b95",
    "status": "Failed",
    "startTime": _AT,
    "lastUpdated": _LATER,
    "errorCode": _CODE,
    "failureStatus": "Permanent",
    "details": "The mapping 'orders_v2' does not exist",
    "retryState": None,
    "retryReason": None,
    "retryOperationId": None,
    "attempt": 1,
    "redrivenBy": None,
    "redrivenAt": None,
}

_FAILURE: Object = {
    "errorCode": _described(_TEXT_OR_NULL, "The first of an operation; null where ADX gave none."),
    "cluster": _TEXT,
    "database": _TEXT,
    "table": _TEXT,
    "operations": _COUNT,
    "failedBlobs": _COUNT,
}

_SUMMARY: Object = {
    "since": _TIME,
    "until": _TIME,
    "bucketSeconds": {"type": "integer", "minimum": 1},
    "counted": _described(_COUNT, "Operations that were counted."),
    "isComplete": _described(_FLAG, "False where there are more: only the newest were counted then."),
    "buckets": {
        "type": "array",
        "description": "By time of registration; the first may begin before `since`.",
        "items": _closed(
            {
                "at": _TIME,
                "states": _closed(
                    {each.value: _COUNT for each in OperationState},
                    optional=tuple(each.value for each in OperationState),
                ),
            }
        ),
    },
    "operations": _described(_closed({each.value: _COUNT for each in OperationState}), "By state."),
    "blobs": _described(_schema("BlobCounts"), "Of operations that have ended."),
    "failures": {
        "type": "array",
        "description": "Those of most operations first, a hundred at the most.",
        "items": _closed(_FAILURE),
    },
    "outstanding": {
        "description": "All that is watched now, as it was measured last; null before it is for the first time.",
        "oneOf": [
            _closed(
                {"count": _COUNT, "overdue": _COUNT, "oldestRegisteredAt": _TIME_OR_NULL, "measuredAt": _TIME},
            ),
            {"type": "null"},
        ],
    },
}


def _check(more: Object) -> Object:
    return _closed({"isHealthy": _FLAG, "detail": _TEXT, **more})


_CHECKS: Object = {
    "storage": _described(_check({}), "Tables can be read and written."),
    "queues": _described(_check({}), "Each queue is there."),
    "token": _described(_check({}), "The app's identity gets a token for each cluster."),
    "adx": _described(_check({}), "Each cluster answers, and lets the app in."),
    "poller": _described(
        _check({"lastFinishedAt": _TIME_OR_NULL, "ageSeconds": _COUNT_OR_NULL}), "A tick was finished lately."
    ),
    "backlog": _described(
        _check(
            {"outstanding": _COUNT_OR_NULL, "oldestRegisteredAt": _TIME_OR_NULL, "oldestAgeSeconds": _COUNT_OR_NULL}
        ),
        "Nothing is outstanding for longer than it should be.",
    ),
}

_EXPLANATION: Object = {
    "code": _TEXT,
    "category": _TEXT,
    "failureStatus": {"type": "string", "enum": [each.value for each in FailureStatus]},
    "description": _described(_TEXT, "What ADX says of it."),
    "summary": _described(_TEXT, "What has happened, in a sentence."),
    "advice": _described(_TEXT, "What to do, and who does it."),
}

_PAGE_TOKEN = _described(_TEXT_OR_NULL, "For what follows, given back with the same filters; null at the end.")

_ANSWERS: Schemas = {
    "BlobCounts": _closed(dict.fromkeys(("succeeded", "failed", "inProgress", "canceled"), _COUNT), example=_COUNTS),
    "Operation": _closed(_OPERATION, example=_OPERATION_EXAMPLE),
    "Operations": _closed({"operations": _list_of("Operation"), "continuationToken": _PAGE_TOKEN}),
    "OperationWithLineage": _closed({**_OPERATION, "lineage": _closed(_LINEAGE)}),
    "Blob": _closed(_BLOB, example=_BLOB_EXAMPLE),
    "Blobs": _closed({"blobs": _list_of("Blob"), "continuationToken": _PAGE_TOKEN}),
    "Accepted": _closed(
        {"operationId": _TEXT, "cluster": _TEXT, "database": _TEXT, "table": _TEXT},
        example={"operationId": _OPERATION_ID, **_PLACE},
    ),
    "Summary": _closed(_SUMMARY),
    "ErrorCodes": _closed({"errorCodes": {"type": "array", "items": _closed(_EXPLANATION)}}),
    "Health": _closed(
        {"status": {"type": "string", "enum": ["healthy", "unhealthy"]}, "checkedAt": _TIME, "checks": _closed(_CHECKS)}
    ),
    "RedrivenBlobs": _closed(
        {
            "redriveId": _TEXT,
            "blobs": _described(_COUNT, "Put on the retry queue."),
            "left": _described(_COUNT, "Given up, and not what the redrive was about."),
        },
        example={"redriveId": "0f8c2d1e", "blobs": 2, "left": 0},
    ),
    "RedrivenMessages": _closed(
        {
            "redriveId": _TEXT,
            "messages": _described(_COUNT, "Put back on their queue."),
            "left": _described(_COUNT, "Still in the poison queue."),
        },
        example={"redriveId": "0f8c2d1e", "messages": 12, "left": 0},
    ),
    "Problem": _closed(
        {
            "type": {"type": "string", "const": "about:blank"},
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _described(_TEXT, "What is wrong and what to do, for a person."),
        },
        example={
            "type": "about:blank",
            "title": "The request is not understood",
            "status": 400,
            "detail": "the query parameter 'limit' is to be a whole number from 1 to 100",
        },
    ),
}


def _requests(endpoints: Endpoints, *, has_database: bool, has_table: bool) -> Schemas:
    clusters: list[Json] = [endpoints.default, *sorted(endpoints.further - {endpoints.default}), "", None]
    message = _message(clusters, has_database=has_database, has_table=has_table)
    required = [name for name, given in (("database", has_database), ("table", has_table)) if not given]
    lineage = {name: message[name] for name in ("attempt", "rootOperationId", "parentOperationId")}
    asker = _described(
        {"type": ["string", "null"], "maxLength": LONGEST_NAME, "pattern": r"\S"},
        "Who asks, beside the key or the principal.",
    )
    return {
        "OperationMessage": {
            "type": "object",
            "description": "Other fields are kept as they are, and go along with a retry.",
            "required": ["operationId", *required],
            "properties": message,
            "examples": [
                {
                    "operationId": _OPERATION_ID,
                    "database": "Samples",
                    "table": "Orders",
                    "properties": {"format": "parquet"},
                    "blobs": [{"url": _URL, "sourceId": "123a6999-411e-4226-a333-a79992dd9b95"}],
                    "correlationId": "orders-2026-11-25-0042",
                }
            ],
        },
        "BlobsRedrive": {
            "type": "object",
            "properties": {
                "as": asker,
                "only": {
                    "description": "Only blobs that were given up for these reasons.",
                    "type": ["array", "null"],
                    "minItems": 1,
                    "items": {"type": "string", "enum": [each.value for each in GIVEN_UP_AS]},
                },
                "blobs": {**dict(_BLOBS), "minItems": 1},
                "operationId": _described(_optional_name(), "In place of the one in the path."),
                "cluster": message["cluster"],
                "database": _optional_name(),
                "table": _optional_name(),
                "properties": message["properties"],
                "correlationId": message["correlationId"],
                **lineage,
            },
            "examples": [{"as": "ada", "only": ["Permanent"]}],
        },
        "MessagesRedrive": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"as": asker, "most": {"type": ["integer", "null"], "minimum": 1, "maximum": 2**63 - 1}},
            "examples": [{"as": "ada", "most": 10}],
        },
    }


_SOURCE: Object = {
    "type": "object",
    "properties": {
        "url": _described(_TEXT_OR_NULL, "With what opens it, such as a SAS; nothing of that is stored in a table."),
        "sourceId": _TEXT_OR_NULL,
        "rawSize": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**63 - 1},
    },
}
_BLOBS: Mapping[str, Json] = {"type": ["array", "null"], "items": _SOURCE}


def _name() -> Object:
    return {"type": "string", "pattern": _NAME}


def _optional_name() -> Object:
    return {"type": ["string", "null"], "pattern": _NAME_OR_NONE}


def _message(clusters: list[Json], *, has_database: bool, has_table: bool) -> Object:
    """The properties of an operation's message."""
    return {
        "operationId": {**_name(), "maxLength": 512},
        "cluster": {"enum": clusters, "description": "The cluster's ingestion endpoint; the default one if not given."},
        "database": _optional_name() if has_database else _name(),
        "table": _optional_name() if has_table else _name(),
        "attempt": {"type": ["integer", "null"], "minimum": 0, "maximum": MOST_COUNT},
        "rootOperationId": {**_optional_name(), "maxLength": 512},
        "parentOperationId": {**_optional_name(), "maxLength": 512},
        "properties": {"type": ["object", "null"], "description": "What to submit its blobs with, should they fail."},
        "blobs": dict(_BLOBS),
        "correlationId": {"type": ["string", "null"], "maxLength": LONGEST_CORRELATION_ID},
    }
