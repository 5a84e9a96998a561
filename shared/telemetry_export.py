"""Sending metrics, traces and log lines to Application Insights. Only this module knows how.

The exporters are Azure Monitor's own. Its distribution around them is not used: docs/decisions/telemetry.md.
"""

import logging
import os
from dataclasses import dataclass
from typing import Any

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import ManagedIdentityCredential
from azure.monitor.opentelemetry.exporter import (
    AzureMonitorLogExporter,
    AzureMonitorMetricExporter,
    AzureMonitorTraceExporter,
)
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from shared import tracing
from shared.library_logs import LIBRARIES
from shared.settings import Telemetry
from shared.telemetry import LOGGER

_METRICS_MILLISECONDS = 20_000
"""Between two sendings. An instance may go after half a minute of quiet, and what it has not sent goes with it."""

_MOST_WAITING = 20_000
"""Log lines, and spans, that wait to be sent, some 2 KiB each; beyond them the oldest go. Failures come in crowds."""

_SECONDS = 15
"""For an answer of the service; by default it is five minutes."""

# The exporters would report on themselves, and ask for orders, at addresses that nobody has allowed.
QUIET = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)


@dataclass(frozen=True, slots=True)
class Sending:
    """What sends, each kind by itself."""

    traces: TracerProvider
    metrics: MeterProvider
    logs: LoggerProvider

    def flush(self) -> None:
        """Send what there is."""
        for provider in (self.traces, self.metrics, self.logs):
            provider.force_flush()


def start(telemetry: Telemetry) -> Sending:
    """Send telemetry from now on: to be called once a process, as OpenTelemetry's providers are the process's."""
    for name in QUIET:
        os.environ.setdefault(name, "true")
    # They read this too, whatever they are given, and refuse what settings have put right.
    os.environ["APPLICATIONINSIGHTS_CONNECTION_STRING"] = telemetry.connection_string
    sending = build(telemetry)
    tracing.sample(telemetry.sampling_percent)
    trace.set_tracer_provider(sending.traces)
    metrics.set_meter_provider(sending.metrics)
    handler = LoggingHandler(logging.getLevelNamesMapping()[telemetry.log_level.upper()], sending.logs)
    # What the exporters say of a sending would be sent, and said something of, without end.
    handler.addFilter(lambda _: is_instrumentation_enabled())
    for name in (LOGGER, *LIBRARIES):
        logging.getLogger(name).addHandler(handler)
    return sending


def build(telemetry: Telemetry) -> Sending:
    """What sends to where the connection string says, by nobody used yet."""
    # Not sent again at once, nor after the pause that the service asks for: all that comes meanwhile would have to
    # wait. The exporters put it aside on disk, and send it after the next that arrives.
    to: dict[str, Any] = {
        "connection_string": telemetry.connection_string,
        "read_timeout": _SECONDS,
        "retry_total": 0,
    }
    if telemetry.by_identity:
        to["credential"] = _PatientIdentity(ManagedIdentityCredential(client_id=telemetry.client_id or None))
    resource = Resource({"service.name": telemetry.role, "service.instance.id": telemetry.instance})
    traces = TracerProvider(ALWAYS_ON, resource)
    traces.add_span_processor(BatchSpanProcessor(AzureMonitorTraceExporter(**to), _MOST_WAITING))
    reader = PeriodicExportingMetricReader(AzureMonitorMetricExporter(**to), _METRICS_MILLISECONDS)
    logs = LoggerProvider(resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(AzureMonitorLogExporter(**to), max_queue_size=_MOST_WAITING))
    return Sending(traces, MeterProvider([reader], resource), logs)


class _PatientIdentity:
    """An identity whose failures count as those of the network: what could not be sent for want of a token is kept."""

    def __init__(self, identity: TokenCredential) -> None:
        self._identity = identity

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ANN401, passed on
        """As the identity's.

        Raises:
            ServiceRequestError: there is no token to be had now. At any other error the exporters drop what they have.
        """
        try:
            return self._identity.get_token(*scopes, **options)
        except ClientAuthenticationError as error:
            raise ServiceRequestError(f"no token for Application Insights: {type(error).__name__}") from None
