"""What the app costs: the calculation is sane, its tables are those of the page, its sizes those of the exporter."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.monitor.opentelemetry.exporter import (
    AzureMonitorLogExporter,
    AzureMonitorMetricExporter,
    AzureMonitorTraceExporter,
)
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from benchmarks import costs
from benchmarks.costs import Load, Price, Watch
from shared.model import Operation
from shared.telemetry import event
from tests.support.http_server import Reply, ScriptedServer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "deploy.md"
SMALL = Load(operations=100, tables=1, memory=0.5, retried=0)
LOADS = st.builds(
    Load,
    operations=st.integers(0, 20_000_000),
    tables=st.integers(1, 500),
    memory=st.sampled_from([0.5, 2, 4]),
    lasts=st.builds(timedelta, minutes=st.integers(1, 120)),
    retried=st.floats(0, 0.5),
    sampling=st.floats(0, 100),
)
KEY = "00000000-0000-0000-0000-000000000001"
ACCEPTED = Reply(body=b'{"itemsReceived": 1, "itemsAccepted": 1, "errors": []}')
OPERATION = Operation(
    "https://ingest-mycluster.westeurope.kusto.windows.net",
    "production",
    "OrderEvents",
    "7a1c9d52-9c3a-4c0e-8a55-4c6b8d1e2f30;a3f1c2d4-5b6e-4f70-8a91-b2c3d4e5f607",
)


def test_the_page_has_the_tables_as_they_are_computed() -> None:
    page = PAGE.read_text()
    assert costs.tables() in page
    assert f"add ${costs.private_endpoints():.2f} a month" in page


def test_the_pages_words_agree_with_its_tables() -> None:
    page = PAGE.read_text()
    small, _, middle, _, great, told_less = (costs.cost(load).total for load in costs.LOADS)
    assert f"${small:.0f} a month at 1 thousand operations a day, ${round(middle, -1):.0f} at 100 thousand" in page
    assert f"${round(told_less, -3):,.0f} to ${round(great / 500) * 500:,.0f} at 10 million" in page
    load = costs.LOADS[-1]
    used = costs.usage(load)
    requests = (used.table_requests + used.queue_operations) / costs.MONTH.total_seconds()
    assert f"some {round(requests, -2):,.0f} requests a second" in page
    assert f"ADX gets {round(costs.status_requests(load), -1):.0f} status requests a second" in page


@pytest.mark.parametrize(
    ("minutes", "polls", "seconds"),
    # Polls at 15 s, 20 s later as the counts moved, then 26, 33.8, …, each at the next tick.
    [(0.1, 1, 22.5), (0.5, 2, 52.5), (1, 3, 82.5), (5, 7, 307.5)],
)
def test_an_operation_is_polled_by_the_apps_own_rules(minutes: float, polls: int, seconds: float) -> None:
    assert costs.watch(timedelta(minutes=minutes)) == Watch(polls, seconds)


def test_a_quiet_month_by_hand() -> None:
    used = costs.usage(replace(SMALL, operations=0))
    ticks, minutes, prunings = 30 * 24 * 60 * 4, 30 * 24 * 60, 30 * 24 * 6
    assert used.executions == ticks + minutes + prunings
    # Each run is billed as a second, at half a GB.
    assert used.gb_seconds == (ticks + minutes + prunings) / 2
    # 16 partitions, and a note.
    assert used.table_requests == (ticks + minutes) * (16 + 1)
    assert used.queue_operations == minutes * (3 * 6 + 6)
    assert costs.cost(replace(SMALL, operations=0)).functions == pytest.approx((110_160 - 100_000) * 0.000026)


def test_a_small_month_by_hand() -> None:
    quiet, used = costs.usage(replace(SMALL, operations=0)), costs.usage(SMALL)
    operations = 3_000
    assert used.executions - quiet.executions == operations
    assert used.gb_seconds - quiet.gb_seconds == operations / 2
    assert used.queue_operations - quiet.queue_operations == 3 * operations
    # 3 to register, 3 to settle, 4 to prune, and nearly one for each of the 6 polls between.
    each = (used.table_requests - quiet.table_requests) / operations
    assert each == pytest.approx(3 + 3 + 4 + 6, rel=0.01)
    assert costs.status_requests(SMALL) * costs.MONTH.total_seconds() == pytest.approx(8 * operations)


def test_more_than_the_inline_limit_goes_by_the_queue() -> None:
    assert costs.polls(Load(100_000, tables=1)).messages == 0
    assert costs.polls(Load(1_000_000, tables=1)).messages > 0


@given(LOADS, st.integers(1, 5_000_000))
def test_more_operations_cost_more(load: Load, more: int) -> None:
    less, greater = costs.usage(load), costs.usage(replace(load, operations=load.operations + more))
    handed_out = costs.polls(load).messages, costs.polls(replace(load, operations=load.operations + more)).messages
    names = {each.name for each in fields(less)}
    if 0 in handed_out and any(handed_out):
        # Where batches begin, transactions get fuller and runs share an instance.
        names -= {"table_requests", "gb_seconds"}
    assert {name for name in names if getattr(less, name) > getattr(greater, name)} == set()


@given(LOADS)
def test_what_is_told_costs_and_nothing_else_changes(load: Load) -> None:
    quiet = replace(load, sampling=0, lines=False, host_lines=False)
    told, silent = costs.cost(load), costs.cost(quiet)
    assert replace(told, logs=0) == replace(silent, logs=0)
    assert silent.logs <= told.logs


@given(LOADS)
def test_no_instance_is_billed_for_less_than_its_work(load: Load) -> None:
    for each in costs.functions(load):
        assert each.busy(load.memory) <= each.billed(load.memory) <= max(each.count * 61, each.busy(load.memory))


def test_a_price_begins_after_what_is_free() -> None:
    price = Price("something", 3.0, 10, "pieces", "https://prices.example", free=100)
    assert [price.cost(quantity) for quantity in (0, 100, 120)] == [0, 0, 6]


@pytest.fixture
def insights(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    # The exporters would report on themselves, and go on after the server has ended.
    for name in ("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED"):
        monkeypatch.setenv(f"APPLICATIONINSIGHTS_{name}", "true")
    with ScriptedServer() as server:
        server.answer(*[ACCEPTED] * 9)
        yield server


def test_the_sizes_are_what_the_exporter_sends(insights: ScriptedServer) -> None:
    to: dict[str, Any] = {
        "connection_string": f"InstrumentationKey={KEY};IngestionEndpoint={insights.origin}",
        "disable_offline_storage": True,
    }
    resource = Resource(
        {"service.name": "func-adxtracker-prod", "service.instance.id": "5f0c9a5e-2f0b-4b5e-9d55-0d7c1c6f7f10"}
    )
    reader = PeriodicExportingMetricReader(AzureMonitorMetricExporter(**to), 3_600_000)
    measure(MeterProvider([reader], resource, shutdown_on_exit=False))
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(AzureMonitorTraceExporter(**to)))
    trace(traces)
    logs = LoggerProvider(resource, shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(AzureMonitorLogExporter(**to)))
    log(logs)
    sizes: dict[str, list[int]] = {}
    for item in (item for request in insights.received for item in json.loads(request.body)):
        sizes.setdefault(item["data"]["baseType"], []).append(len(json.dumps(item, separators=(",", ":"))))
    points = sizes["MetricData"]
    assert sum(points) / len(points) == pytest.approx(costs.POINT, rel=0.1)
    assert sizes["RemoteDependencyData"] == [pytest.approx(costs.SPAN, rel=0.1)]
    registered, settled, tick = sizes["MessageData"]
    assert (registered + settled) / 2 == pytest.approx(costs.LINE, rel=0.1)
    assert tick == pytest.approx(costs.TICK_LINE, rel=0.1)


def measure(provider: MeterProvider) -> None:
    """Record what a table with traffic does."""
    meter = provider.get_meter("tracker")
    table = {"cluster": "mycluster.westeurope", "database": "production", "table": "OrderEvents"}
    meter.create_counter("tracker.operations.registered").add(3, table)
    meter.create_counter("tracker.operations.settled").add(3, {**table, "state": "Succeeded"})
    ended = {**table, "outcome": "Succeeded", "failure_status": "", "error_code": ""}
    meter.create_counter("tracker.blobs.ended").add(3, ended)
    meter.create_counter("tracker.adx.calls").add(3, {**table, "call": "status", "answer": "ok"})
    meter.create_histogram("tracker.operations.latency").record(312.5, table)
    meter.create_gauge("tracker.queue.length").set(0, {"queue": "ingestion-operations"})
    provider.shutdown()


def trace(provider: TracerProvider) -> None:
    """Poll once."""
    facts: dict[str, str | int] = {
        "operation_id": OPERATION.operation_id,
        "root_operation_id": OPERATION.operation_id,
        "cluster": OPERATION.cluster,
        "database": OPERATION.database,
        "table": OPERATION.table,
        "attempt": 1,
    }
    with provider.get_tracer("tracker").start_as_current_span("poll", attributes=facts):
        pass
    provider.shutdown()


def log(provider: LoggerProvider) -> None:
    """Say that an operation is registered and settled, and what a tick did."""
    logger, handler = logging.getLogger("tracker"), LoggingHandler(logger_provider=provider)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    correlation = "orders-2026-11-25-0042"
    event("operation.registered", "watching it from now on", about=OPERATION, attempt=1, correlation_id=correlation)
    outcome = {"state": "Succeeded", "attempt": 1, "succeeded": 1, "failed": 0, "canceled": 0, "retried": 0, "polls": 7}
    event("operation.settled", "ended Succeeded", about=OPERATION, **outcome, seconds=382, latency_seconds=382)  # type: ignore[arg-type]  # facts
    did = {"due": 7, "asked": 7, "asked_details": 1, "settled": 1, "not_found": 0, "put_off": 0, "errors": 0, "left": 0}
    event("polls.finished", "polled what was due", **did, oldest_seconds=382, seconds=0.4)  # type: ignore[arg-type]  # facts
    logger.removeHandler(handler)
    logger.setLevel(level)
    provider.shutdown()


def test_the_alert_rules_are_those_that_are_deployed() -> None:
    alerts = yaml.safe_load((ROOT / "infra" / "bicep" / "alerts.yaml").read_text())["alerts"]
    assert Counter(each["every"] for each in alerts if "only" not in each) == costs.LOG_RULES
