"""Sending metrics, traces and log lines to Application Insights. Only this module knows how.

The exporters are Azure Monitor's own. Its distribution around them is not used: docs/decisions/telemetry.md.
"""

import logging
import os

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
_QUIET = (
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
)


class Export:
    """What has been set up; once a process, as OpenTelemetry's providers are the process's."""

    def __init__(self, telemetry: Telemetry) -> None:
        for name in _QUIET:
            os.environ.setdefault(name, "true")
        # They read this too, whatever they are given, and refuse what settings have put right.
        os.environ["APPLICATIONINSIGHTS_CONNECTION_STRING"] = telemetry.connection_string
        resource = Resource({"service.name": telemetry.role, "service.instance.id": telemetry.instance})
        # By identity where APPLICATIONINSIGHTS_AUTHENTICATION_STRING says so: the exporters read it, as the host does.
        # Not sent again at once, nor after the pause that the service asks for: all that comes meanwhile would have to
        # wait. The exporters put it aside on disk, and send it after the next that arrives.
        to = {"connection_string": telemetry.connection_string, "read_timeout": _SECONDS, "retry_total": 0}
        self._traces = TracerProvider(ALWAYS_ON, resource)
        self._traces.add_span_processor(BatchSpanProcessor(AzureMonitorTraceExporter(**to), _MOST_WAITING))
        reader = PeriodicExportingMetricReader(AzureMonitorMetricExporter(**to), _METRICS_MILLISECONDS)
        self._metrics = MeterProvider([reader], resource)
        self._logs = LoggerProvider(resource)
        lines = BatchLogRecordProcessor(AzureMonitorLogExporter(**to), max_queue_size=_MOST_WAITING)
        self._logs.add_log_record_processor(lines)
        tracing.sample(telemetry.sampling_percent)
        trace.set_tracer_provider(self._traces)
        metrics.set_meter_provider(self._metrics)
        handler = LoggingHandler(logging.getLevelNamesMapping()[telemetry.log_level.upper()], self._logs)
        # What the exporters say of a sending would be sent, and said something of, without end.
        handler.addFilter(lambda _: is_instrumentation_enabled())
        for name in (LOGGER, *LIBRARIES):
            logging.getLogger(name).addHandler(handler)

    def flush(self) -> None:
        """Send what there is."""
        for provider in (self._traces, self._metrics, self._logs):
            provider.force_flush()
