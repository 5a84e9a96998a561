"""The app settings that the deployment makes are those that the app reads, and mean the same by default."""

import re
from enum import StrEnum

import pytest

from shared import settings as app
from shared.settings import SettingsError, load
from tests.infra.bicep import FUNCTION_APP, MAIN, ROOT, decorated, defaults, evaluated, parsed

# Read by the host or by libraries, not by shared/settings.py.
PLATFORM = {
    "AzureWebJobsStorage__credential": "the host reaches its storage by identity",
    "AzureWebJobsStorage__clientId": "by this one",
    "AzureWebJobsStorage__blobServiceUri": "leases, keys and the package",
    "AzureWebJobsStorage__queueServiceUri": "given with the others, as the host makes clients of all three",
    "AzureWebJobsStorage__tableServiceUri": "the host's diagnostic events",
    "IngestionStorage__credential": "the triggers reach the queues by identity",
    "PYTHON_ENABLE_OPENTELEMETRY": "the worker tells the host not to send log lines a second time",
}

# What Flex Consumption does not take: https://learn.microsoft.com/azure/azure-functions/functions-app-settings.
NOT_ON_FLEX = re.compile(
    r"FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_WORKER_RUNTIME.*|FUNCTIONS_WORKER_PROCESS_COUNT|WEBSITE_.*|SCM_.*|"
    r"ENABLE_ORYX_BUILD|PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY|.*__accountName|AzureWebJobsStorage|IngestionStorage"
)

CLIENT_ID = "00000000-0000-0000-0000-000000000001"
GIVEN = {
    "kustoIngestUri": "https://ingest-mycluster.westeurope.kusto.windows.net",
    "identityClientId": CLIENT_ID,
    "queueServiceUri": "https://sttracker.queue.core.windows.net/",
    "tableServiceUri": "https://sttracker.table.core.windows.net/",
    "account.properties.primaryEndpoints.blob": "https://sttracker.blob.core.windows.net/",
    "account.properties.primaryEndpoints.queue": "https://sttracker.queue.core.windows.net/",
    "account.properties.primaryEndpoints.table": "https://sttracker.table.core.windows.net/",
    "component.properties.ConnectionString": (
        "InstrumentationKey=00000000-0000-0000-0000-000000000002;IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/"
    ),
}
"""What the deployment learns from elsewhere."""

TRACKER = parsed(MAIN)["variables"]["trackerSettings"]["value"]
OTHER = parsed(FUNCTION_APP)["variables"]["platformSettings"]["value"]
NUMBERS = {
    name: expression["function"]["parameters"]["value_to_convert"]
    for name, expression in TRACKER.items()
    if isinstance(expression, dict) and "function" in expression
}


def environment(**changed: object) -> dict[str, str]:
    """What the app finds, with the defaults of main.bicep and what differs from them."""
    known = {**defaults(MAIN), **GIVEN, **changed}
    return {name: str(evaluated(expression, known)) for name, expression in {**OTHER, **TRACKER}.items()}


def read_by_the_app() -> set[str]:
    code = (ROOT / "shared" / "settings.py").read_text()
    names = set(re.findall(r'read\.\w+\(\s*"([A-Z][A-Z_]+)"', code))
    storage = {f"IngestionStorage__{part}" for part in ("queueServiceUri", "tableServiceUri", "clientId")}
    # The platform itself says who and where the instance is, and whether a login stands before it.
    return (names | storage) - {"WEBSITE_SITE_NAME", "WEBSITE_INSTANCE_ID", "WEBSITE_AUTH_ENABLED"}


def test_they_are_those_that_the_app_reads_and_those_that_are_explained_here() -> None:
    assert len(read_by_the_app()) > 25
    assert set(OTHER) | set(TRACKER) == read_by_the_app() | set(PLATFORM)


def test_none_is_set_twice() -> None:
    assert set(OTHER) & set(TRACKER) == set()


def test_none_is_one_that_flex_consumption_does_not_take_or_that_breaks_something() -> None:
    assert [name for name in (*OTHER, *TRACKER) if NOT_ON_FLEX.fullmatch(name)] == []


def test_their_defaults_are_the_apps_own() -> None:
    required = {
        name: environment()[name]
        for name in (
            "KUSTO_INGEST_URI",
            "AZURE_CLIENT_ID",
            "IngestionStorage__queueServiceUri",
            "IngestionStorage__tableServiceUri",
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        )
    }
    assert load(environment()) == load(required)


def test_each_parameter_has_the_name_of_its_setting() -> None:
    for setting in TRACKER:
        if setting == "KUSTO_AUTH":
            continue
        first, *rest = setting.lower().split("_")
        name = first + "".join(word.capitalize() for word in rest)
        assert name in parsed(MAIN)["parameters"]
        assert f"{setting}: " in MAIN.read_text()
        assert re.search(rf"^  {setting}: .*\b{name}\b", MAIN.read_text(), re.MULTILINE)


@pytest.mark.parametrize("setting", NUMBERS)
def test_a_number_has_the_same_bounds(setting: str) -> None:
    parameter = parsed(MAIN)["parameters"][NUMBERS[setting]]
    least, most = decorated(parameter, "min_value"), decorated(parameter, "max_value")
    taken = {number: _is_taken(setting, NUMBERS[setting], number) for number in (least - 1, least, most, most + 1)}
    assert taken == {least - 1: False, least: True, most: True, most + 1: False}


def _is_taken(setting: str, parameter: str, number: int) -> bool:
    """Whether the number by itself is in order, whatever it contradicts."""
    try:
        load(environment(**{parameter: number}))
    except SettingsError as error:
        return not any(problem.startswith(f"{setting}: ") and "a whole number" in problem for problem in error.problems)
    return True


CHOICES = {
    "RETRY_MODE": app.RetryMode,
    "RETRY_BLOB_ACCESS": app.BlobAccess,
    "LOG_LEVEL": app.LogLevel,
    "API_AUTH": app.ApiAuth,
}


@pytest.mark.parametrize(("setting", "kind"), CHOICES.items(), ids=list(CHOICES))
def test_a_choice_is_among_the_same_words(setting: str, kind: type[StrEnum]) -> None:
    assert decorated(parsed(MAIN)["parameters"][TRACKER[setting]], "allowed") == [str(member) for member in kind]


def test_a_flag_and_a_list_arrive_as_they_are_meant() -> None:
    other = "https://ingest-other.westeurope.kusto.windows.net"
    found = load(
        environment(
            retryDeduplicate=True, kustoBulkStatus=True, kustoAllowedIngestUris=f"{other}, {GIVEN['kustoIngestUri']}"
        )
    )
    assert found.retrying.deduplicate is True
    assert found.polling.bulk_status is True
    assert found.allowed_ingest_uris == {other, GIVEN["kustoIngestUri"]}
