"""What Application Insights is sent of an operation's life, by the app in its host through the real exporters."""

import hashlib
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from local.adx_simulator import AdxSimulator, BlobFault
from tests.support.collector import Collector, Envelope
from tests.support.ports import quiet_port
from tests.support.world import DATABASE, World, eventually

GOOD = b"1,2\n3,4\n"


def live(
    world: World, adx: AdxSimulator, collector: Collector, percent: int = 10, log_level: str = "info"
) -> tuple[str, list[Envelope]]:
    """An operation of which one blob fails for good and one is loaded by its retry; all that was sent of it."""
    adx.set_faults([BlobFault(kind="transient", url_contains="flaky", submissions=1)])
    host = world.start_host(
        APPLICATIONINSIGHTS_CONNECTION_STRING=collector.connection_string,
        # As the deployment sets it: the worker then attaches the host's trace to each invocation.
        PYTHON_ENABLE_OPENTELEMETRY="true",
        TRACE_SAMPLING_PERCENT=str(percent),
        LOG_LEVEL=log_level,
    )
    urls = [world.upload("good.csv", GOOD), world.upload("flaky.csv", GOOD), world.url("missing.csv")]
    operation_id = world.submit_and_post(urls)
    world.post("{no JSON")
    eventually(lambda: len([row for row in world.operations() if row["State"] != "InProgress"]) == 2)
    eventually(lambda: not world.outstanding(), "the end of the watch")
    eventually(lambda: world.length("OPERATIONS_QUEUE") == 0, "the refusal")
    assert host.stop() == 0
    return operation_id, collector.take()


def data(envelopes: Sequence[Envelope], kind: str) -> list[dict[str, Any]]:
    return [each["data"]["baseData"] for each in envelopes if each["data"]["baseType"] == kind]


def figures(envelopes: Sequence[Envelope], name: str, *dimensions: str) -> Counter[tuple[str, ...]]:
    sums: Counter[tuple[str, ...]] = Counter()
    for each in data(envelopes, "MetricData"):
        for point in each["metrics"]:
            if point["name"] == name:
                sums[tuple(each["properties"][dimension] for dimension in dimensions)] += point["value"]
    return sums


def test_an_operation_and_its_retry_are_one_trace_with_its_log_lines(
    world: World, adx: AdxSimulator, collector: Collector
) -> None:
    operation_id, envelopes = live(world, adx, collector, percent=100)
    names = [world.env["KUSTO_INGEST_URI"], DATABASE, world.table, operation_id]
    trace = hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]
    own = [each for each in envelopes if each["tags"].get("ai.operation.id") == trace]
    spans = Counter(each["name"] for each in data(own, "RemoteDependencyData"))
    assert (spans["register"], spans["resubmit"], spans["adx.submit"]) == (2, 1, 1)
    assert spans["poll"] >= 2
    ids = {each["properties"]["operation_id"] for each in data(own, "RemoteDependencyData")}
    assert ids == {str(row["OperationId"]) for row in world.operations()}
    lines = Counter(each["properties"]["event"] for each in data(own, "MessageData"))
    assert lines["operation.registered"] == lines["operation.settled"] == 2
    assert (lines["blob.failed"], lines["blobs.retry_enqueued"], lines["blobs.resubmitted"]) == (1, 1, 1)
    (failed,) = [each for each in data(own, "MessageData") if each["properties"]["event"] == "blob.failed"]
    assert failed["severityLevel"] == 2
    assert failed["properties"]["error_code"] == "Download_SourceNotFound"
    assert {each["tags"]["ai.cloud.role"] for each in envelopes} == {"adx-ingestion-tracker"}


def test_the_metrics_agree_with_what_happened(world: World, adx: AdxSimulator, collector: Collector) -> None:
    _, envelopes = live(world, adx, collector)
    assert figures(envelopes, "tracker.operations.registered", "origin") == {("Upstream",): 1, ("Resubmission",): 1}
    assert figures(envelopes, "tracker.operations.settled", "state") == {("PartiallySucceeded",): 1, ("Succeeded",): 1}
    assert figures(envelopes, "tracker.blobs.ended", "outcome", "failure_status", "error_code") == {
        ("Succeeded", "", ""): 2,
        ("Failed", "Transient", "General_ThrottledIngestion"): 1,
        ("Failed", "Permanent", "Download_SourceNotFound"): 1,
    }
    assert figures(envelopes, "tracker.retries", "outcome") == {("Enqueued",): 1, ("Resubmitted",): 1}
    assert figures(envelopes, "tracker.messages.refused", "queue") == {(world.names["OPERATIONS_QUEUE"],): 1}
    assert figures(envelopes, "tracker.ticks")[()] >= 2
    assert figures(envelopes, "tracker.adx.calls", "call", "answer")["submit", "ok"] == 1


def test_without_sampling_only_failures_are_sent_as_spans_and_every_log_line(
    world: World, adx: AdxSimulator, collector: Collector
) -> None:
    _, envelopes = live(world, adx, collector, percent=0)
    assert [each["name"] for each in data(envelopes, "RemoteDependencyData") if each["success"]] == []
    lines = Counter(each["properties"]["event"] for each in data(envelopes, "MessageData"))
    assert lines["operation.settled"] == 2


def test_with_log_level_warning_info_lines_stay_here(world: World, adx: AdxSimulator, collector: Collector) -> None:
    _, envelopes = live(world, adx, collector, log_level="warning")
    lines = Counter(each["properties"]["event"] for each in data(envelopes, "MessageData"))
    assert lines == {"blob.failed": 1, "message.refused": 1}


def test_telemetry_that_nobody_takes_holds_nothing_up(world: World, adx: AdxSimulator) -> None:
    nowhere = f"InstrumentationKey={uuid.uuid4()};IngestionEndpoint=http://127.0.0.1:{quiet_port()}/"
    adx.set_faults([])
    host = world.start_host(APPLICATIONINSIGHTS_CONNECTION_STRING=nowhere)
    operation_id = world.submit_and_post([world.upload("good.csv", GOOD)])
    assert world.settled(operation_id)["State"] == "Succeeded"
    assert host.stop() == 0
