"""The tables of Application Insights in a Log Analytics workspace: their columns, with Kusto's types.

As in https://learn.microsoft.com/azure/azure-monitor/reference/tables/appmetrics, …/apptraces, …/apprequests,
…/appexceptions and …/appdependencies (all columns, read in November 2026).
"""

from collections.abc import Mapping
from types import MappingProxyType

_STRINGS = """AppRoleInstance AppRoleName AppVersion ClientBrowser ClientCity ClientCountryOrRegion ClientIP ClientModel
ClientOS ClientStateOrProvince ClientType IKey OperationId OperationName ParentId ResourceGUID SDKVersion SessionId
SourceSystem SyntheticSource TenantId Type UserAccountId UserAuthenticatedId UserId _IsBillable _ResourceId
_SubscriptionId"""

_COMMON = dict.fromkeys(_STRINGS.split(), "string") | {
    "ItemCount": "int",
    "Properties": "dynamic",
    "TimeGenerated": "datetime",
    "_BilledSize": "real",
}
_REFERENCE = {"Measurements": "dynamic", "ReferencedItemId": "string", "ReferencedType": "string"}
_CALL = {"DurationMs": "real", "Id": "string", "Name": "string", "ResultCode": "string", "Success": "bool"}
_EXCEPTION = """Assembly ExceptionType HandledAt InnermostAssembly InnermostMessage InnermostMethod InnermostType
Message Method OuterAssembly OuterMessage OuterMethod OuterType ProblemId"""

TABLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "AppMetrics": _COMMON | {"Max": "real", "Min": "real", "Name": "string", "Sum": "real"},
        "AppTraces": _COMMON | _REFERENCE | {"Message": "string", "SeverityLevel": "int"},
        "AppRequests": _COMMON | _REFERENCE | _CALL | {"Source": "string", "Url": "string"},
        "AppDependencies": _COMMON
        | _REFERENCE
        | _CALL
        | {"Data": "string", "DependencyType": "string", "Target": "string"},
        "AppExceptions": _COMMON
        | dict.fromkeys(_EXCEPTION.split(), "string")
        | {"Details": "dynamic", "Measurements": "dynamic", "SeverityLevel": "int"},
    }
)
