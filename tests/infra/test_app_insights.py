"""The stand-in for Application Insights: `tests/support/collector.py` and `app_insights.py`."""

import gzip
import json
from datetime import datetime, timedelta

import pytest
import requests

from tests.support.app_insights import rows
from tests.support.collector import Collector, Envelope
from tests.support.workspace_tables import TABLES

COMPONENT = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Insights/components/C"
EXCEPTIONS = [{"typeName": "KeyError", "message": "'a'"}, {"typeName": "ValueError", "message": "no number"}]
CALL = {"id": "1", "name": "poll", "success": False, "duration": "1.02:03:04.500", "properties": {"attempt": "1"}}


def envelope(kind: str, **data: object) -> Envelope:
    tags = {"ai.cloud.role": "tracker", "ai.operation.id": "trace", "ai.internal.nodeName": "node"}
    data = {"baseType": kind, "baseData": data}
    return {"name": "", "iKey": "key", "time": "2026-11-25T12:00:00.250000Z", "tags": tags, "data": data}


@pytest.mark.parametrize("path", ["/v2/track", "/v2.1/track"])
def test_the_collector_takes_an_array_and_says_how_many_it_took(path: str) -> None:
    sent = [envelope("MetricData"), envelope("MessageData")]
    with Collector() as collector:
        answer = requests.post(collector.origin + path, json=sent, timeout=10)
        assert answer.json() == {"itemsReceived": 2, "itemsAccepted": 2, "errors": []}
        assert collector.take() == sent
        assert collector.take() == []


def test_the_collector_takes_lines_and_what_is_compressed() -> None:
    sent = [envelope("MetricData"), envelope("MessageData")]
    body = gzip.compress("\n".join(json.dumps(each) for each in sent).encode())
    with Collector() as collector:
        url = f"{collector.origin}/v2/track"
        answer = requests.post(url, body, headers={"Content-Encoding": "gzip"}, timeout=10)
        assert answer.json()["itemsAccepted"] == 2
        assert collector.take() == sent


def test_the_collector_knows_nothing_else() -> None:
    with Collector() as collector:
        assert requests.post(f"{collector.origin}/v3/track", json=[], timeout=10).status_code == 404
        assert requests.get(f"{collector.origin}/v2/track", timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("sent", "table", "expected"),
    [
        (
            envelope("MetricData", metrics=[{"name": "m", "value": 7, "count": 3, "min": 1, "max": 4}]),
            "AppMetrics",
            {"Name": "m", "Sum": 7.0, "ItemCount": 3, "Min": 1, "Max": 4, "Properties": {}},
        ),
        (
            envelope("MetricData", metrics=[{"name": "m", "value": 7}], properties={"queue": "q"}),
            "AppMetrics",
            {"Name": "m", "Sum": 7.0, "ItemCount": 1, "Min": None, "Max": None, "Properties": {"queue": "q"}},
        ),
        (
            envelope("MessageData", message="it failed", severityLevel=2, properties={"event": "blob.failed"}),
            "AppTraces",
            {"Message": "it failed", "SeverityLevel": 2, "Properties": {"event": "blob.failed"}},
        ),
        (
            envelope("RequestData", responseCode="500", **CALL),
            "AppRequests",
            {"Id": "1", "Name": "poll", "Success": False, "ResultCode": "500", "Properties": {"attempt": "1"}},
        ),
        (
            envelope("RemoteDependencyData", resultCode="0", type="InProc", target="adx", **CALL),
            "AppDependencies",
            {"Name": "poll", "DependencyType": "InProc", "Target": "adx", "DurationMs": 93_784_500.0},
        ),
        (
            envelope("ExceptionData", exceptions=EXCEPTIONS, severityLevel=3),
            "AppExceptions",
            {"ExceptionType": "KeyError", "InnermostMessage": "no number", "SeverityLevel": 3, "Details": EXCEPTIONS},
        ),
    ],
)
def test_an_envelope_becomes_a_row_of_its_table(sent: Envelope, table: str, expected: dict[str, object]) -> None:
    [row] = rows([sent], component=COMPONENT, moved=timedelta(minutes=-5))
    assert row.keys() == TABLES[table].keys()
    assert row.items() >= {"Type": table, "AppRoleName": "tracker", "OperationId": "trace", "IKey": "key"}.items()
    assert row["TimeGenerated"] == datetime(2026, 11, 25, 11, 55, 0, 250000)  # noqa: DTZ001, as DuckDB has it: UTC
    assert row["_ResourceId"] == COMPONENT.lower()
    assert {name: row[name] for name in expected} == expected
    # Text is never null in Kusto.
    assert row["UserId"] == ""
