"""The app settings: read once, checked as a whole. The only module that knows the environment.

``docs/settings.md`` explains each; a test compares that page with this module.
"""

import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from shared.endpoints import is_loopback, parse_origin, parse_topic
from shared.errors import EndpointNotAllowed
from shared.model import bare_url
from shared.ncrontab import is_ncrontab
from shared.redaction import redact

STORAGE_CONNECTION = "IngestionStorage"

_DEVELOPMENT_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    # Azurite's published account key, no secret: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
# Storage takes 63 characters; "-poison" takes 7 of them.
_QUEUE_NAME = re.compile(r"(?=.{3,56}$)[a-z0-9]+(-[a-z0-9]+)*")
_AN_ENDPOINT = "https://ingest-CLUSTER.REGION.kusto.windows.net"
_A_TOPIC = "https://TOPIC.REGION-1.eventgrid.azure.net/api/events"
_INSTRUMENTATION_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Queue Storage keeps a message invisible for seven days at most.
_LONGEST_DELAY_SECONDS = 7 * 24 * 3600 - 1


class KustoAuth(StrEnum):
    """How the app proves to ADX who it is."""

    IDENTITY = "identity"
    NONE = "none"


class RetryMode(StrEnum):
    """Who consumes the retry queue: this app, or somebody else."""

    RESUBMIT = "resubmit"
    HANDOFF = "handoff"


class BlobAccess(StrEnum):
    """How the service may read a resubmitted blob whose URL no message brought."""

    AS_IS = "as-is"
    MANAGED_IDENTITY = "managed-identity"
    USER_DELEGATION_SAS = "user-delegation-sas"


class ApiAuth(StrEnum):
    """How a caller of the HTTP API proves who they are: by a function key, or to App Service authentication."""

    KEYS = "keys"
    ENTRA = "entra"


class LogLevel(StrEnum):
    """From what level on log lines are sent to Application Insights."""

    INFO = "info"
    WARNING = "warning"


class SettingsError(Exception):
    """Some settings are wrong; the message lists all of them."""

    def __init__(self, problems: list[str]) -> None:
        lines = [
            f"The app can't start: {len(problems)} app setting(s) to correct.",
            *(f"- {each}" for each in problems),
        ]
        super().__init__("\n".join(lines))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class StorageAccess:
    """How queues and tables are reached: by a connection string, else by identity at the two service URIs."""

    connection_string: str = field(default="", repr=False)
    queue_uri: str = ""
    table_uri: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Polling:
    """When, how often and how many at once ADX is asked; ``bulk_status``: whether for many operations in one call."""

    schedule: str
    first_delay: timedelta
    min_interval: timedelta
    max_interval: timedelta
    concurrency: int
    inline_limit: int
    tracking_timeout: timedelta
    not_found_grace: timedelta
    bulk_status: bool = False


@dataclass(frozen=True, slots=True)
class Retrying:
    """What becomes of a Transient failure. ``max_attempts`` counts submissions in all, upstream's own among them."""

    mode: RetryMode
    max_attempts: int
    base_delay: timedelta
    max_delay: timedelta
    blob_access: BlobAccess
    deduplicate: bool


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What is sent to Application Insights: nothing without a connection string.

    ``by_identity`` is whether a managed identity sends it, that of ``client_id`` if there is one; else who has the
    connection string may. ``role`` and ``instance`` are what the platform calls the app and the instance.
    """

    connection_string: str = field(default="", repr=False)
    sampling_percent: int = 10
    log_level: LogLevel = LogLevel.INFO
    by_identity: bool = False
    client_id: str = ""
    role: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """Where ends are told: a queue, the origin of an Event Grid topic; "" for neither."""

    queue: str = ""
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, valid.

    ``retention`` is None where results are kept for ever. ``platform_authenticates`` is whether App Service
    authentication stands before the app.
    """

    storage: StorageAccess
    ingest_uri: str
    allowed_ingest_uris: frozenset[str]
    database: str
    table: str
    auth: KustoAuth
    client_id: str
    operations_queue: str
    retry_queue: str
    poll_queue: str
    polling: Polling
    retrying: Retrying
    retention: timedelta | None
    telemetry: Telemetry
    api_auth: ApiAuth = ApiAuth.KEYS
    platform_authenticates: bool = False
    news: News = field(default_factory=News)


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and check every setting.

    Raises:
        SettingsError: with every problem that was found, none of them showing a secret.
    """
    read = _Reader(environment)
    settings = Settings(
        storage=_storage(read),
        ingest_uri=read.endpoint("KUSTO_INGEST_URI"),
        allowed_ingest_uris=read.endpoints("KUSTO_ALLOWED_INGEST_URIS"),
        database=read.text("KUSTO_DATABASE"),
        table=read.text("KUSTO_TABLE"),
        auth=read.choice("KUSTO_AUTH", KustoAuth.IDENTITY),
        client_id=read.text("AZURE_CLIENT_ID"),
        operations_queue=read.queue("OPERATIONS_QUEUE", "ingestion-operations"),
        retry_queue=read.queue("RETRY_QUEUE", "ingestion-retries"),
        poll_queue=read.queue("POLL_QUEUE", "ingestion-polls"),
        polling=_polling(read),
        retrying=_retrying(read),
        retention=_days(read.integer("RESULTS_RETENTION_DAYS", 90, 0, 36500)),
        telemetry=_telemetry(read),
        api_auth=read.choice("API_AUTH", ApiAuth.KEYS),
        # The platform's: https://learn.microsoft.com/azure/app-service/reference-app-settings
        platform_authenticates=read.text("WEBSITE_AUTH_ENABLED").lower() == "true",
        news=News(read.queue("RESULTS_QUEUE", ""), read.topic("EVENTGRID_TOPIC_ENDPOINT")),
    )
    problems = read.problems + _contradictions(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def _storage(read: "_Reader") -> StorageAccess:
    connection_string = read.text(STORAGE_CONNECTION)
    if connection_string.rstrip("; ").lower() == "usedevelopmentstorage=true":
        return StorageAccess(connection_string=_DEVELOPMENT_STORAGE)
    if connection_string:
        if not _is_connection_string(connection_string):
            read.problem(
                STORAGE_CONNECTION,
                "a value that is no connection string (not shown)",
                "AccountName=…;AccountKey=…;EndpointSuffix=core.windows.net as the portal shows it",
            )
        return StorageAccess(connection_string=connection_string)
    queue_uri, table_uri = (read.text(f"{STORAGE_CONNECTION}__{part}ServiceUri") for part in ("queue", "table"))
    if not queue_uri or not table_uri:
        read.problem(
            STORAGE_CONNECTION,
            "nothing",
            f"a connection string, or both {STORAGE_CONNECTION}__queueServiceUri and "
            f"{STORAGE_CONNECTION}__tableServiceUri for access by identity",
        )
    for name, uri in (("queue", queue_uri), ("table", table_uri)):
        if uri and not re.fullmatch(r"https://[^\s/?#@;]+/?", uri):
            read.problem(
                f"{STORAGE_CONNECTION}__{name}ServiceUri", redact(repr(uri)), f"https://ACCOUNT.{name}.core.windows.net"
            )
    client_id = read.text(f"{STORAGE_CONNECTION}__clientId") or read.text("AZURE_CLIENT_ID")
    return StorageAccess(queue_uri=queue_uri, table_uri=table_uri, client_id=client_id)


def _is_connection_string(text: str) -> bool:
    """Whether the storage SDKs can do something with it: a way to sign, and a place for queues and tables."""
    fields = _fields(text)
    by_key = fields.get("accountname") and fields.get("accountkey")
    has_endpoints = fields.get("queueendpoint") and fields.get("tableendpoint")
    by_signature = fields.get("sharedaccesssignature") and (has_endpoints or fields.get("accountname"))
    return all("=" in part for part in text.strip("; ").split(";")) and bool(by_key or by_signature)


def _fields(text: str) -> dict[str, str]:
    """The parts of ``Name=value;Name=value``, by their names in small letters; one without a name is left out."""
    parts = [part.partition("=") for part in text.split(";")]
    return {name.strip().lower(): value.strip() for name, _, value in parts if name.strip()}


def _polling(read: "_Reader") -> Polling:
    schedule = read.text("POLL_SCHEDULE") or "*/15 * * * * *"
    if not is_ncrontab(schedule):
        read.problem(
            "POLL_SCHEDULE", redact(repr(schedule)), "an NCRONTAB expression of six fields, such as */15 * * * * *"
        )
    return Polling(
        schedule=schedule.strip(),
        first_delay=read.seconds("POLL_FIRST_DELAY_SECONDS", 15, 0, 86400),
        min_interval=read.seconds("POLL_MIN_INTERVAL_SECONDS", 20, 1, 86400),
        max_interval=read.seconds("POLL_MAX_INTERVAL_SECONDS", 300, 1, 86400),
        concurrency=read.integer("POLL_CONCURRENCY", 32, 1, 256),
        inline_limit=read.integer("POLL_INLINE_LIMIT", 500, 0, 100_000),
        tracking_timeout=timedelta(hours=read.integer("TRACKING_TIMEOUT_HOURS", 48, 1, 24 * 60)),
        not_found_grace=timedelta(minutes=read.integer("NOT_FOUND_GRACE_MINUTES", 15, 0, 24 * 60)),
        bulk_status=read.flag("KUSTO_BULK_STATUS", default=False),
    )


def _retrying(read: "_Reader") -> Retrying:
    return Retrying(
        mode=read.choice("RETRY_MODE", RetryMode.RESUBMIT),
        max_attempts=read.integer("RETRY_MAX_ATTEMPTS", 5, 1, 100),
        base_delay=read.seconds("RETRY_BASE_DELAY_SECONDS", 60, 0, _LONGEST_DELAY_SECONDS),
        max_delay=read.seconds("RETRY_MAX_DELAY_SECONDS", 3600, 0, _LONGEST_DELAY_SECONDS),
        blob_access=read.choice("RETRY_BLOB_ACCESS", BlobAccess.AS_IS),
        deduplicate=read.flag("RETRY_DEDUPLICATE", default=False),
    )


def _telemetry(read: "_Reader") -> Telemetry:
    # As the host reads it: https://learn.microsoft.com/azure/azure-functions/functions-app-settings
    authentication = _fields(read.text("APPLICATIONINSIGHTS_AUTHENTICATION_STRING"))
    return Telemetry(
        _insights(read),
        read.integer("TRACE_SAMPLING_PERCENT", 10, 0, 100),
        read.choice("LOG_LEVEL", LogLevel.INFO),
        by_identity=authentication.get("authorization", "").upper() == "AAD",
        client_id=authentication.get("clientid", ""),
        # Both are the platform's: https://learn.microsoft.com/azure/app-service/reference-app-settings
        role=read.text("WEBSITE_SITE_NAME") or "adx-ingestion-tracker",
        instance=read.text("WEBSITE_INSTANCE_ID") or socket.gethostname(),
    )


def _insights(read: "_Reader") -> str:
    """The connection string as the exporters take it: they refuse an empty part and capitals, which the host takes."""
    fields = _fields(read.text("APPLICATIONINSIGHTS_CONNECTION_STRING"))
    if not fields:
        return ""
    key = fields.get("instrumentationkey", "").lower()
    endpoint = fields.get("ingestionendpoint")
    if (
        not _INSTRUMENTATION_KEY.fullmatch(key)
        or any("=" in value for value in fields.values())
        or fields.get("authorization", "ikey").lower() != "ikey"
        or (endpoint is not None and not re.match(r"(?i)https?://[^\s/]", endpoint))
    ):
        read.problem(
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            "a value that is no connection string (not shown)",
            "InstrumentationKey=…;IngestionEndpoint=https://… as the portal shows it",
        )
    return ";".join(f"{name}={value}" for name, value in (fields | {"instrumentationkey": key}).items())


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())


def _days(days: int) -> timedelta | None:
    return timedelta(days=days) if days else None


def _contradictions(settings: Settings) -> list[str]:
    """Settings that are valid each and wrong together."""
    polling, retrying = settings.polling, settings.retrying
    queues = (settings.operations_queue, settings.retry_queue, settings.poll_queue)
    endpoints = (settings.ingest_uri, *sorted(settings.allowed_ingest_uris))
    remote = [uri for uri in endpoints if uri and not is_loopback(uri)]
    rules = [
        (
            len({name for queue in queues for name in (queue, f"{queue}-poison")}) < 2 * len(queues),
            (
                f"OPERATIONS_QUEUE, RETRY_QUEUE, POLL_QUEUE: found {', '.join(queues)}; expected "
                "three different names, none of them another's with -poison"
            ),
        ),
        (
            _is_taken(settings.news.queue, queues),
            (
                f"RESULTS_QUEUE: found {settings.news.queue}; expected another name than {', '.join(queues)}, and none "
                "that is one of them with -poison or becomes one by it"
            ),
        ),
        (
            polling.min_interval > polling.max_interval,
            (
                f"POLL_MIN_INTERVAL_SECONDS: found {_seconds(polling.min_interval)}; expected at most "
                f"POLL_MAX_INTERVAL_SECONDS, which is {_seconds(polling.max_interval)}"
            ),
        ),
        (
            retrying.base_delay > retrying.max_delay,
            (
                f"RETRY_BASE_DELAY_SECONDS: found {_seconds(retrying.base_delay)}; expected at most "
                f"RETRY_MAX_DELAY_SECONDS, which is {_seconds(retrying.max_delay)}"
            ),
        ),
        (
            settings.retention is not None and settings.retention <= polling.tracking_timeout,
            "RESULTS_RETENTION_DAYS: found less than TRACKING_TIMEOUT_HOURS; expected more, or results go while made",
        ),
        (
            settings.auth is KustoAuth.NONE and bool(remote),
            f"KUSTO_AUTH: found 'none' with {', '.join(remote)}; expected 'identity': 'none' is for loopback alone",
        ),
    ]
    return [text for broken, text in rules if broken]


def _is_taken(queue: str, others: Sequence[str]) -> bool:
    """Whether a queue, or its poison queue, is one of the others or theirs."""
    return bool({queue, f"{queue}-poison"} & {name for other in others for name in (other, f"{other}-poison")})


class _Reader:
    """Reads typed values, and collects what is wrong with them. An empty value counts as none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def problem(self, name: str, found: str, expected: str) -> None:
        self.problems.append(f"{name}: found {found}; expected {expected}")

    def text(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def _parsed[T](self, name: str, default: T, parse: Callable[[str], T], expected: str) -> T:
        text = self.text(name)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError:
            self.problem(name, redact(repr(text)), expected)
            return default

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        def parse(text: str) -> int:
            if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
                raise ValueError(text)
            return int(text)

        return self._parsed(name, default, parse, f"a whole number from {least} to {most}")

    def seconds(self, name: str, default: int, least: int, most: int) -> timedelta:
        return timedelta(seconds=self.integer(name, default, least, most))

    def flag(self, name: str, *, default: bool) -> bool:
        words = {"true": True, "1": True, "false": False, "0": False}

        def parse(text: str) -> bool:
            if text.lower() not in words:
                raise ValueError(text)
            return words[text.lower()]

        return self._parsed(name, default, parse, "true or false")

    def choice[E: StrEnum](self, name: str, default: E) -> E:
        kind = type(default)
        expected = " or ".join(repr(str(member)) for member in kind)
        return self._parsed(name, default, lambda text: kind(text.lower()), expected)

    def queue(self, name: str, default: str) -> str:
        def parse(text: str) -> str:
            if not _QUEUE_NAME.fullmatch(text):
                raise ValueError(text)
            return text

        return self._parsed(name, default, parse, "3 to 56 lower-case letters, digits and single hyphens")

    def endpoint(self, name: str) -> str:
        text = self.text(name)
        if not text:
            self.problem(name, "nothing", _AN_ENDPOINT)
            return ""
        return self._origin(name, text)

    def topic(self, name: str) -> str:
        text = self.text(name)
        return self._origin(name, text, parse_topic, _A_TOPIC) if text else ""

    def endpoints(self, name: str) -> frozenset[str]:
        parts = (part.strip() for part in self.text(name).split(","))
        return frozenset(filter(None, (self._origin(name, part) for part in parts if part)))

    def _origin(
        self, name: str, text: str, parse: Callable[[str], str] = parse_origin, expected: str = _AN_ENDPOINT
    ) -> str:
        try:
            return parse(text)
        except EndpointNotAllowed as error:
            # Without a scheme a user name and a password are told by their place alone.
            found = redact(repr(bare_url(text).rpartition("@")[2]))
            self.problem(name, found, f"{expected} ({error})")
            return ""
