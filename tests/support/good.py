"""A good one of each message and answer, to be damaged."""

from typing import Any

from shared import keys
from shared.model import blob_key
from tests.support.facts import CLUSTER, NOW, OPERATION, URL

GOOD_OPERATION: dict[str, Any] = {
    "operationId": "ingest_op_12345",
    "database": "Sales",
    "table": "Orders",
    "cluster": CLUSTER,
    "attempt": 2,
    "rootOperationId": "ingest_op_1",
    "parentOperationId": "ingest_op_1",
    "properties": {"format": "csv", "tags": ["ingest-by:x"], "ingestIfNotExists": ["x"]},
    "blobs": [
        {"url": f"{URL}?sig=abc", "sourceId": "s1", "rawSize": 123, "urlBrought": False, "partner": {"x": [1]}},
        {"url": f"{URL}2", "sourceId": None, "rawSize": 0},
    ],
    "correlationId": "run-7",
    "partner": {"x": [1, None, "y"]},
}
GOOD_RETRY: dict[str, Any] = {
    **{name: value for name, value in GOOD_OPERATION.items() if name != "parentOperationId"},
    "version": 1,
    "enqueuedAt": "2026-11-24T12:00:00+00:00",
    "missingSince": "2026-11-24T12:00:00+00:00",
    "putBacks": 3,
    "blobs": [
        {
            "url": f"{URL}?sig=abc",
            "sourceId": "s1",
            "rawSize": 123,
            "errorCode": "General_Throttled",
            "failureStatus": "Transient",
            "details": "busy",
            "urlBrought": True,
            "blobKey": blob_key("s1", URL),
        },
        {"url": f"{URL}2", "failureStatus": "Transient", "partner": 1},
    ],
}
GOOD_BATCH: dict[str, Any] = {
    "version": 1,
    "shard": "a",
    "first": keys.due_row(NOW, OPERATION.key),
    "last": keys.due_row(NOW, "f" * 32),
    "since": "2026-11-24T12:00:00+00:00",
}
GOOD_STATUS: dict[str, Any] = {
    "startTime": "2025-10-01T12:00:00Z",
    "lastUpdated": "2025-10-01T12:30:00Z",
    "status": {"Succeeded": 1, "Failed": 2, "InProgress": 1, "Canceled": 0},
    "details": [
        {
            "sourceId": "s1",
            "url": URL,
            "status": "Failed",
            "startTime": "2025-10-01T12:00:00Z",
            "lastUpdated": "2025-10-01T12:15:00Z",
            "errorCode": "General_Throttled",
            "failureStatus": "Transient",
            "details": f"could not read {URL}?sig=abc",
        },
        {"url": f"{URL}2", "status": "Failed", "failureStatus": "Transient", "lastUpdateTime": "2025-10-01T12:16:00Z"},
        {"sourceId": "s3", "status": "Queued", "startedAt": "2025-10-01T12:00:00Z", "failureStatus": None},
        {"sourceId": "s4", "url": f"{URL}4", "status": "Succeeded"},
    ],
}
FINISHED: dict[str, Any] = GOOD_STATUS | {
    "status": {"succeeded": 1, "failed": 2, "canceled": 1},
    "details": [blob if blob["status"] != "Queued" else {"status": "Canceled"} for blob in GOOD_STATUS["details"]],
}
GOOD_ERROR: dict[str, Any] = {
    "error": {
        "code": "BadRequest_X",
        "message": "m",
        "@message": f"see {URL}?sig=abc",
        "@permanent": True,
        "@context": {},
    }
}
