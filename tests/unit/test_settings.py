import socket
from collections.abc import Mapping
from datetime import timedelta

import pytest
from azure.data.tables import TableServiceClient
from azure.monitor.opentelemetry.exporter._connection_string_parser import ConnectionStringParser
from azure.storage.queue import QueueServiceClient

from shared.settings import (
    ApiAuth,
    BlobAccess,
    KustoAuth,
    LogLevel,
    News,
    Polling,
    Retrying,
    RetryMode,
    Settings,
    SettingsError,
    StorageAccess,
    Telemetry,
    load,
)

HELP = "https://ingest-help.westeurope.kusto.windows.net"
CONNECTION = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.windows.net"
LEAST = {"IngestionStorage": CONNECTION, "KUSTO_INGEST_URI": HELP}
QUEUE_URI, TABLE_URI = "https://acc.queue.core.windows.net", "https://acc.table.core.windows.net"
BY_IDENTITY = {
    "IngestionStorage__queueServiceUri": QUEUE_URI,
    "IngestionStorage__tableServiceUri": TABLE_URI,
    "KUSTO_INGEST_URI": HELP,
}
SECRET = "aHVudGVyMg"
KEY = "00000000-0000-0000-0000-00000000000a"
INSIGHTS = f"instrumentationkey={KEY};ingestionendpoint=https://example.com/"


def problems(environment: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as error:
        load(environment)
    for problem in error.value.problems:
        assert f"- {problem}" in str(error.value)
    return error.value.problems


def test_the_defaults_are_those_of_the_documentation() -> None:
    assert load(LEAST) == Settings(
        storage=StorageAccess(connection_string=CONNECTION),
        ingest_uri=HELP,
        allowed_ingest_uris=frozenset(),
        database="",
        table="",
        auth=KustoAuth.IDENTITY,
        client_id="",
        operations_queue="ingestion-operations",
        retry_queue="ingestion-retries",
        poll_queue="ingestion-polls",
        polling=Polling(
            schedule="*/15 * * * * *",
            first_delay=timedelta(seconds=15),
            min_interval=timedelta(seconds=20),
            max_interval=timedelta(seconds=300),
            concurrency=32,
            inline_limit=500,
            tracking_timeout=timedelta(hours=48),
            not_found_grace=timedelta(minutes=15),
        ),
        retrying=Retrying(
            mode=RetryMode.RESUBMIT,
            max_attempts=5,
            base_delay=timedelta(seconds=60),
            max_delay=timedelta(seconds=3600),
            blob_access=BlobAccess.AS_IS,
            deduplicate=False,
        ),
        retention=timedelta(days=90),
        telemetry=Telemetry("", 10, LogLevel.INFO, role="adx-ingestion-tracker", instance=socket.gethostname()),
    )


def test_each_setting_is_read() -> None:
    settings = load(
        BY_IDENTITY
        | {
            "IngestionStorage__clientId": "storage-client",
            "KUSTO_INGEST_URI": "http://127.0.0.1:8080/",
            "KUSTO_ALLOWED_INGEST_URIS": " http://localhost:81 , http://[::1]:82/,,",
            "KUSTO_DATABASE": "Sales",
            "KUSTO_TABLE": "Orders",
            "KUSTO_AUTH": "None",
            "KUSTO_BULK_STATUS": "1",
            "AZURE_CLIENT_ID": "app-client",
            "OPERATIONS_QUEUE": "ops",
            "RETRY_QUEUE": "ret",
            "POLL_QUEUE": "pol",
            "RESULTS_QUEUE": "res",
            "EVENTGRID_TOPIC_ENDPOINT": "https://Ends.westeurope-1.eventgrid.azure.net/api/events",
            "POLL_SCHEDULE": "0 */5 * * * *",
            "POLL_FIRST_DELAY_SECONDS": "0",
            "POLL_MIN_INTERVAL_SECONDS": "1",
            "POLL_MAX_INTERVAL_SECONDS": "2",
            "POLL_CONCURRENCY": "3",
            "POLL_INLINE_LIMIT": "4",
            "TRACKING_TIMEOUT_HOURS": "5",
            "NOT_FOUND_GRACE_MINUTES": "6",
            "RETRY_MODE": "handoff",
            "RETRY_MAX_ATTEMPTS": "7",
            "RETRY_BASE_DELAY_SECONDS": "8",
            "RETRY_MAX_DELAY_SECONDS": "9",
            "RETRY_BLOB_ACCESS": "user-delegation-sas",
            "RETRY_DEDUPLICATE": "True",
            "RESULTS_RETENTION_DAYS": "10",
            "APPLICATIONINSIGHTS_CONNECTION_STRING": INSIGHTS,
            "TRACE_SAMPLING_PERCENT": "50",
            "LOG_LEVEL": "Warning",
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "ClientId=insights-client;Authorization=aad;",
            "WEBSITE_SITE_NAME": "func-tracker",
            "WEBSITE_INSTANCE_ID": "instance",
            "API_AUTH": "Entra",
            "WEBSITE_AUTH_ENABLED": "True",
        }
    )
    assert settings == Settings(
        storage=StorageAccess(queue_uri=QUEUE_URI, table_uri=TABLE_URI, client_id="storage-client"),
        ingest_uri="http://127.0.0.1:8080",
        allowed_ingest_uris=frozenset({"http://localhost:81", "http://[::1]:82"}),
        database="Sales",
        table="Orders",
        auth=KustoAuth.NONE,
        client_id="app-client",
        operations_queue="ops",
        retry_queue="ret",
        poll_queue="pol",
        polling=Polling(
            schedule="0 */5 * * * *",
            first_delay=timedelta(),
            min_interval=timedelta(seconds=1),
            max_interval=timedelta(seconds=2),
            concurrency=3,
            inline_limit=4,
            tracking_timeout=timedelta(hours=5),
            not_found_grace=timedelta(minutes=6),
            bulk_status=True,
        ),
        retrying=Retrying(
            mode=RetryMode.HANDOFF,
            max_attempts=7,
            base_delay=timedelta(seconds=8),
            max_delay=timedelta(seconds=9),
            blob_access=BlobAccess.USER_DELEGATION_SAS,
            deduplicate=True,
        ),
        retention=timedelta(days=10),
        telemetry=Telemetry(
            INSIGHTS,
            50,
            LogLevel.WARNING,
            by_identity=True,
            client_id="insights-client",
            role="func-tracker",
            instance="instance",
        ),
        api_auth=ApiAuth.ENTRA,
        platform_authenticates=True,
        news=News("res", "https://ends.westeurope-1.eventgrid.azure.net"),
    )


def test_telemetry_wants_a_connection_string_and_shows_none() -> None:
    secret = "InstrumentationKey=not-a-key;IngestionEndpoint=https://example.com"
    (problem,) = problems(LEAST | {"APPLICATIONINSIGHTS_CONNECTION_STRING": secret})
    assert problem.startswith("APPLICATIONINSIGHTS_CONNECTION_STRING: found a value that is no connection string")
    assert "not-a-key" not in problem
    assert INSIGHTS not in repr(load(LEAST | {"APPLICATIONINSIGHTS_CONNECTION_STRING": INSIGHTS}))


@pytest.mark.parametrize(
    "text",
    [
        f"InstrumentationKey={KEY}",
        f"InstrumentationKey={KEY};IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;",
        f"InstrumentationKey={KEY};;LiveEndpoint=https://example.com/;ApplicationId={KEY}",
        f"instrumentationkey={KEY.upper()};INGESTIONENDPOINT=HTTPS://example.com",
        f" InstrumentationKey = {KEY} ; IngestionEndpoint = https://example.com ",
        f"Authorization=ikey;InstrumentationKey={KEY};EndpointSuffix=applicationinsights.azure.cn;Location=chinaeast2",
    ],
)
def test_the_exporters_take_what_the_settings_take(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection_string = load(LEAST | {"APPLICATIONINSIGHTS_CONNECTION_STRING": text}).telemetry.connection_string
    monkeypatch.delenv("APPLICATIONINSIGHTS_CONNECTION_STRING", raising=False)
    parsed = ConnectionStringParser(connection_string)
    assert parsed.instrumentation_key == KEY
    assert parsed.endpoint.lower().startswith("https://")


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        "InstrumentationKey=------------------------------------",
        f"InstrumentationKey={KEY};IngestionEndpoint=westeurope-5.in.applicationinsights.azure.com",
        f"InstrumentationKey={KEY};IngestionEndpoint=",
        f"InstrumentationKey={KEY};IngestionEndpoint=https://example.com/?a=b",
        f"InstrumentationKey={KEY};Authorization=AAD",
        "IngestionEndpoint=https://example.com/",
    ],
)
def test_what_telemetry_could_not_be_sent_by_stops_the_start(text: str) -> None:
    (problem,) = problems(LEAST | {"APPLICATIONINSIGHTS_CONNECTION_STRING": text})
    assert problem.startswith("APPLICATIONINSIGHTS_CONNECTION_STRING: found a value that is no connection string")


def test_an_empty_value_counts_as_none() -> None:
    names = ("KUSTO_AUTH", "POLL_SCHEDULE", "RETRY_MAX_ATTEMPTS", "RETRY_DEDUPLICATE", "OPERATIONS_QUEUE")
    assert load(LEAST | dict.fromkeys(names, " ")) == load(LEAST)


def test_storage_by_identity_uses_the_apps_identity_where_it_has_none_of_its_own() -> None:
    assert load(BY_IDENTITY | {"AZURE_CLIENT_ID": "app-client"}).storage.client_id == "app-client"


@pytest.mark.parametrize(
    "text", ["UseDevelopmentStorage=true", "usedevelopmentstorage=TRUE;", " UseDevelopmentStorage=true; "]
)
def test_development_storage_is_azurite_for_both_sdks(text: str) -> None:
    connection = load(LEAST | {"IngestionStorage": text}).storage.connection_string
    with (
        QueueServiceClient.from_connection_string(connection) as queues,
        TableServiceClient.from_connection_string(connection) as tables,
    ):
        assert queues.url.rstrip("/") == "http://127.0.0.1:10001/devstoreaccount1"
        assert tables.url.rstrip("/") == "http://127.0.0.1:10002/devstoreaccount1"


def test_results_are_kept_for_ever_with_a_retention_of_zero() -> None:
    assert load(LEAST | {"RESULTS_RETENTION_DAYS": "0"}).retention is None


WRONG = {
    "IngestionStorage": "a connection to somewhere",
    "KUSTO_INGEST_URI": "http://ingest-help.kusto.windows.net",
    "KUSTO_ALLOWED_INGEST_URIS": f"{HELP},nonsense",
    "KUSTO_AUTH": "password",
    "OPERATIONS_QUEUE": "Ingestion-Operations",
    "RETRY_QUEUE": "a--b",
    "POLL_QUEUE": "ab",
    "POLL_SCHEDULE": "*/15 * * * *",
    "POLL_FIRST_DELAY_SECONDS": "-1",
    "POLL_MIN_INTERVAL_SECONDS": "0",
    "POLL_MAX_INTERVAL_SECONDS": "soon",
    "POLL_CONCURRENCY": "0",
    "POLL_INLINE_LIMIT": "1e3",
    "TRACKING_TIMEOUT_HOURS": "0",
    "NOT_FOUND_GRACE_MINUTES": "1.5",
    "RETRY_MODE": "never",
    "RETRY_MAX_ATTEMPTS": "0",
    "RETRY_BASE_DELAY_SECONDS": "604800",
    "RETRY_MAX_DELAY_SECONDS": "604800",
    "RETRY_BLOB_ACCESS": "magic",
    "RETRY_DEDUPLICATE": "perhaps",
    "RESULTS_RETENTION_DAYS": "-1",
    "RESULTS_QUEUE": "results_queue",
    "EVENTGRID_TOPIC_ENDPOINT": "https://eventgrid.azure.net.evil.example/api/events",
}


def test_every_wrong_setting_is_named_at_once() -> None:
    found = problems(WRONG)
    assert [problem.partition(":")[0] for problem in found] == list(WRONG)
    assert all("; expected " in problem for problem in found)


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_a_wrong_setting_names_itself_and_no_other(name: str, value: str) -> None:
    assert [problem.partition(":")[0] for problem in problems(LEAST | {name: value})] == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPERATIONS_QUEUE", "a" * 57),
        ("OPERATIONS_QUEUE", "-abc"),
        ("OPERATIONS_QUEUE", "abc-"),
        ("RETRY_MAX_ATTEMPTS", "101"),
        ("RETRY_MAX_ATTEMPTS", "٣"),
        ("RETRY_MAX_ATTEMPTS", "1_0"),
        ("RETRY_MAX_ATTEMPTS", "+1"),
        ("POLL_SCHEDULE", "00:00:15"),
        ("POLL_SCHEDULE", "every minute"),
        ("POLL_SCHEDULE", "0 */15 * * * * *"),
        ("POLL_SCHEDULE", "%POLL_SCHEDULE%"),
    ],
)
def test_what_only_looks_right_is_wrong(name: str, value: str) -> None:
    (problem,) = problems(LEAST | {name: value})
    assert problem.startswith(f"{name}: found {value!r}; expected ")


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://ends.westeurope-1.eventgrid.azure.net/api/events",
        "https://ends.westeurope-1.eventgrid.azure.net/api/events?api-version=2018-01-01",
        "https://ends.westeurope-1.eventgrid.azure.net/api/other",
        "https://ends.westeurope-1.eventgrid.azure.net@evil.example/api/events",
        "https://evil.example/ends.westeurope-1.eventgrid.azure.net/api/events",
        "https://evil-eventgrid.azure.net/api/events",
        "https://ends.eventgrid.azure.net.evil.example",
        "ends.westeurope-1.eventgrid.azure.net",
    ],
)
def test_a_topic_is_one_of_event_grid(endpoint: str) -> None:
    (problem,) = problems(LEAST | {"EVENTGRID_TOPIC_ENDPOINT": endpoint})
    assert problem.startswith("EVENTGRID_TOPIC_ENDPOINT: ")


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        (
            "https://ends.usgovvirginia-1.eventgrid.azure.us/api/events/",
            "https://ends.usgovvirginia-1.eventgrid.azure.us",
        ),
        ("https://ends.westeurope-1.eventgrid.azure.net:443", "https://ends.westeurope-1.eventgrid.azure.net"),
        ("http://127.0.0.1:9000/api/events", "http://127.0.0.1:9000"),
    ],
)
def test_a_topic_is_kept_as_its_origin(endpoint: str, origin: str) -> None:
    assert load(LEAST | {"EVENTGRID_TOPIC_ENDPOINT": endpoint}).news == News(topic=origin)


@pytest.mark.parametrize("schedule", ["0 */5 * * * *", "0,30 0-15/5 8-18 * JAN-MAR MON-FRI", "*/15  * * * * *"])
def test_a_schedule_is_taken_as_the_host_takes_it(schedule: str) -> None:
    assert load(LEAST | {"POLL_SCHEDULE": f" {schedule} "}).polling.schedule == schedule


@pytest.mark.parametrize("schedule", ["a b c d e f", "99 * * * * *", "* * * * 13 *", "- - - - - -", "*/0 * * * * *"])
def test_a_schedule_that_the_host_would_refuse_stops_the_start(schedule: str) -> None:
    (problem,) = problems(LEAST | {"POLL_SCHEDULE": schedule})
    assert problem.startswith("POLL_SCHEDULE: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPERATIONS_QUEUE", "a" * 56),
        ("RETRY_MAX_ATTEMPTS", "100"),
        ("RETRY_MAX_DELAY_SECONDS", "604799"),
        ("POLL_FIRST_DELAY_SECONDS", "86400"),
        ("POLL_INLINE_LIMIT", "0"),
    ],
)
def test_the_bounds_belong_to_the_range(name: str, value: str) -> None:
    assert load(LEAST | {name: value}) != load(LEAST)


def test_what_is_required_is_named_when_nothing_is_set() -> None:
    assert [problem.partition(":")[0] for problem in problems({})] == ["IngestionStorage", "KUSTO_INGEST_URI"]


@pytest.mark.parametrize("given", ["queue", "table"])
def test_identity_needs_both_services(given: str) -> None:
    name = f"IngestionStorage__{given}ServiceUri"
    (problem,) = problems({name: BY_IDENTITY[name], "KUSTO_INGEST_URI": HELP})
    assert "IngestionStorage__queueServiceUri" in problem
    assert "IngestionStorage__tableServiceUri" in problem


@pytest.mark.parametrize("uri", ["http://acc.queue.core.windows.net", f"{QUEUE_URI}/box", f"{QUEUE_URI}?sig=x", "acc"])
def test_a_service_uri_is_an_https_origin(uri: str) -> None:
    (problem,) = problems(BY_IDENTITY | {"IngestionStorage__queueServiceUri": uri})
    assert problem.startswith("IngestionStorage__queueServiceUri: ")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"RETRY_QUEUE": "ingestion-operations"}, ["OPERATIONS_QUEUE", "RETRY_QUEUE", "POLL_QUEUE"]),
        ({"POLL_QUEUE": "ingestion-retries"}, ["OPERATIONS_QUEUE", "RETRY_QUEUE", "POLL_QUEUE"]),
        ({"RESULTS_QUEUE": "ingestion-retries"}, ["RESULTS_QUEUE", "ingestion-retries"]),
        ({"RESULTS_QUEUE": "ingestion-polls-poison"}, ["RESULTS_QUEUE", "ingestion-polls"]),
        ({"POLL_QUEUE": "results-poison", "RESULTS_QUEUE": "results"}, ["RESULTS_QUEUE", "results-poison"]),
        ({"POLL_MIN_INTERVAL_SECONDS": "301"}, ["POLL_MIN_INTERVAL_SECONDS", "POLL_MAX_INTERVAL_SECONDS"]),
        ({"RETRY_MAX_DELAY_SECONDS": "59"}, ["RETRY_BASE_DELAY_SECONDS", "RETRY_MAX_DELAY_SECONDS"]),
        ({"RESULTS_RETENTION_DAYS": "2"}, ["RESULTS_RETENTION_DAYS", "TRACKING_TIMEOUT_HOURS"]),
        ({"KUSTO_AUTH": "none"}, ["KUSTO_AUTH", HELP]),
        (
            {"KUSTO_AUTH": "none", "KUSTO_INGEST_URI": "http://localhost", "KUSTO_ALLOWED_INGEST_URIS": HELP},
            ["KUSTO_AUTH", HELP],
        ),
    ],
)
def test_settings_that_contradict_each_other_are_named_together(environment: dict[str, str], named: list[str]) -> None:
    (problem,) = problems(LEAST | environment)
    assert all(name in problem for name in named)


@pytest.mark.parametrize(
    "environment",
    [
        {"RETRY_QUEUE": "ingestion-operations-poison"},
        {"POLL_QUEUE": "ingestion-retries-poison"},
        {"OPERATIONS_QUEUE": "ops-poison", "POLL_QUEUE": "ops"},
    ],
)
def test_no_queue_is_the_poison_queue_of_another(environment: dict[str, str]) -> None:
    (problem,) = problems(LEAST | environment)
    assert "-poison" in problem


def test_a_queue_may_be_called_poison_where_it_is_none() -> None:
    assert load(LEAST | {"RETRY_QUEUE": "our-poison"}).retry_queue == "our-poison"


@pytest.mark.parametrize(
    "value",
    [
        f"AccountName=acc;AccountKey={SECRET}==",
        f" accountname = acc ; accountkey = {SECRET} ; ",
        "AccountName=acc;SharedAccessSignature=sv=1&sig=x",
        f"QueueEndpoint={QUEUE_URI};TableEndpoint={TABLE_URI};SharedAccessSignature=sv=1&sig=x",
    ],
)
def test_a_connection_string_has_a_way_to_sign_and_a_place(value: str) -> None:
    assert load(LEAST | {"IngestionStorage": value}).storage.connection_string == value.strip()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IngestionStorage", f"AccountKey={SECRET};EndpointSuffix=core.windows.net"),
        ("IngestionStorage", f"AccountKey{SECRET}=="),
        ("IngestionStorage", f"https://acc.queue.core.windows.net/?sig={SECRET}"),
        ("KUSTO_INGEST_URI", f"https://user:{SECRET}@ingest-help.kusto.windows.net"),
        ("KUSTO_INGEST_URI", f"{HELP}/?token={SECRET}"),
        ("KUSTO_INGEST_URI", f"Data Source={HELP};AppKey={SECRET}"),
        ("KUSTO_ALLOWED_INGEST_URIS", f"{HELP},{HELP}?token={SECRET}"),
        ("OPERATIONS_QUEUE", f"https://acc.queue.core.windows.net/ops?sv=1&sig={SECRET}"),
        ("KUSTO_INGEST_URI", f"AppKey={SECRET};Data Source={HELP}"),
        ("RESULTS_QUEUE", f"https://acc.queue.core.windows.net/ops?sv=1&sig={SECRET}"),
        ("EVENTGRID_TOPIC_ENDPOINT", f"https://user:{SECRET}@ends.westeurope-1.eventgrid.azure.net/api/events"),
        ("EVENTGRID_TOPIC_ENDPOINT", f"https://ends.westeurope-1.eventgrid.azure.net/api/events?aeg-sas-key={SECRET}"),
    ],
)
def test_a_problem_does_not_show_a_secret(name: str, value: str) -> None:
    (problem,) = problems(LEAST | {name: value})
    assert problem.startswith(f"{name}: ")
    assert SECRET not in problem


@pytest.mark.parametrize(
    "value",
    [
        f"https://acc.queue.core.windows.net?sig={SECRET}",
        f"AccountName=acc;AccountKey={SECRET}",
        f"AccountKey={SECRET};AccountName=acc",
    ],
)
def test_a_connection_string_in_the_wrong_place_is_not_shown(value: str) -> None:
    (problem,) = problems(BY_IDENTITY | {"IngestionStorage__queueServiceUri": value})
    assert SECRET not in problem


@pytest.mark.parametrize(
    "value",
    [
        "AccountName=acc",
        f"AccountName=acc;AccountKey{SECRET}",
        f"AccountName=;AccountKey={SECRET}",
        "QueueEndpoint=https://acc.queue.core.windows.net;SharedAccessSignature=sv=1",
    ],
)
def test_a_connection_string_that_no_sdk_takes_stops_the_start(value: str) -> None:
    (problem,) = problems(LEAST | {"IngestionStorage": value})
    assert SECRET not in problem


def test_settings_do_not_show_the_connection_string() -> None:
    assert "a2V5" not in repr(load(LEAST))


def test_the_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in WRONG:
        monkeypatch.delenv(name, raising=False)
    for name, value in LEAST.items():
        monkeypatch.setenv(name, value)
    assert load() == load(LEAST)
