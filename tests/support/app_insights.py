"""What Application Insights makes of telemetry: each envelope a row of a workspace's table.

The tables' names are those of https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete, their columns
those of the reference (`workspace_tables`); the envelopes are as the exporter's `_generated/exporter/models` has them.
Other than the service it samples nothing and looks up no client's place, lets a row's time be moved, and leaves `Min`
and `Max` empty where the exporter sends none, as with counters and gauges: no query is to rely on them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.support.collector import Envelope
from tests.support.workspace_tables import TABLES

type Row = dict[str, Any]

DURATION = re.compile(r"(\d+)\.(\d+):(\d+):(\d+(?:\.\d+)?)")

TAGS = {
    "ai.cloud.role": "AppRoleName",
    "ai.cloud.roleInstance": "AppRoleInstance",
    "ai.operation.id": "OperationId",
    "ai.operation.name": "OperationName",
    "ai.operation.parentId": "ParentId",
    "ai.operation.syntheticSource": "SyntheticSource",
    "ai.internal.sdkVersion": "SDKVersion",
}


def rows(envelopes: Iterable[Envelope], *, component: str, moved: timedelta) -> list[Row]:
    """The rows that envelopes become, each with all of its table's columns, of which ``Type`` is the table's name.

    Args:
        envelopes: As the exporter sent them.
        component: The Application Insights component's resource ID.
        moved: How much later they are to be than they were sent.
    """
    return [
        _complete(envelope, particular, component, moved)
        for envelope in envelopes
        for particular in _PARTICULARS[envelope["data"]["baseType"]](envelope["data"]["baseData"])
    ]


def _complete(envelope: Envelope, particular: Row, component: str, moved: timedelta) -> Row:
    data = envelope["data"]["baseData"]
    common = {
        "TimeGenerated": datetime.fromisoformat(envelope["time"]).replace(tzinfo=None) + moved,
        "IKey": envelope["iKey"],
        "ItemCount": 1,
        # A component's ID comes in lower case.
        "_ResourceId": component.lower(),
        "Properties": data.get("properties") or {},
        "Measurements": data.get("measurements") or {},
    }
    tags = {TAGS[tag]: value for tag, value in envelope["tags"].items() if tag in TAGS}
    known = common | tags | particular
    columns = TABLES[particular["Type"]]
    return {column: _present(known.get(column), type_) for column, type_ in columns.items()}


def _present(value: object, type_: str) -> object:
    """Kusto has no text that is null."""
    return "" if value is None and type_ == "string" else value


def _metric(data: Mapping[str, Any]) -> list[Row]:
    return [
        {
            "Type": "AppMetrics",
            "Name": point["name"],
            "Sum": float(point["value"]),
            "ItemCount": point.get("count", 1),
            "Min": point.get("min"),
            "Max": point.get("max"),
        }
        for point in data["metrics"]
    ]


def _message(data: Mapping[str, Any]) -> list[Row]:
    return [{"Type": "AppTraces", "Message": data["message"], "SeverityLevel": data.get("severityLevel")}]


def _request(data: Mapping[str, Any]) -> list[Row]:
    return [{"Type": "AppRequests", "Source": data.get("source"), "Url": data.get("url")} | _call(data)]


def _dependency(data: Mapping[str, Any]) -> list[Row]:
    more = {"DependencyType": data.get("type"), "Target": data.get("target"), "Data": data.get("data")}
    return [{"Type": "AppDependencies"} | more | _call(data)]


def _call(data: Mapping[str, Any]) -> Row:
    return {
        "Id": data["id"],
        "Name": data["name"],
        "ResultCode": data.get("resultCode", data.get("responseCode")),
        "Success": data["success"],
        "DurationMs": _milliseconds(data["duration"]),
    }


def _exception(data: Mapping[str, Any]) -> list[Row]:
    outer, inner = data["exceptions"][0], data["exceptions"][-1]
    return [
        {
            "Type": "AppExceptions",
            "ExceptionType": outer["typeName"],
            "OuterType": outer["typeName"],
            "OuterMessage": outer["message"],
            "InnermostType": inner["typeName"],
            "InnermostMessage": inner["message"],
            "SeverityLevel": data.get("severityLevel"),
            "Details": data["exceptions"],
        }
    ]


def _milliseconds(duration: str) -> float:
    """Of `days.hours:minutes:seconds`."""
    found = DURATION.fullmatch(duration)
    assert found, f"{duration!r} is no duration"
    days, hours, minutes, seconds = (float(part) for part in found.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000


_PARTICULARS: Mapping[str, Callable[[Mapping[str, Any]], list[Row]]] = {
    "MetricData": _metric,
    "MessageData": _message,
    "RequestData": _request,
    "RemoteDependencyData": _dependency,
    "ExceptionData": _exception,
}
