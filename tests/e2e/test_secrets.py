"""One life of the app in the real host at level debug, with secrets in all that comes in, and a search of all that came
out.
"""

import base64
import json

from local.adx_simulator import AdxSimulator, Answer, BlobFault
from tests.support.collector import Collector
from tests.support.event_grid import EventGrid
from tests.support.planted import Planted, stored, without
from tests.support.world import DATABASE, World, eventually

FINISHED = {"status": {"Succeeded": 0, "Failed": 1}}


def planted_answers(planted: Planted, place: str, bad: Answer) -> tuple[list[Answer], list[Answer]]:
    """Answers to an operation without and with details: ``bad``, then a blob that failed for good."""
    text = planted.text(f"details of {place}")
    blob = {
        "sourceId": planted.token(f"sourceId of {place}"),
        "url": planted.key_url(f"url of {place}"),
        "status": "Failed",
        "errorCode": f"Download_{planted.token(f'errorCode of {place}')}",
        "failureStatus": f"Odd {planted.text(f'failureStatus of {place}')}",
        "details": text,
        "note": planted.text(f"unknown field of {place}"),
    }
    return [bad, Answer(body=json.dumps(FINISHED))], [Answer(body=json.dumps(FINISHED | {"details": [blob]}))]


def bad_answers(planted: Planted) -> dict[str, Answer]:
    def error(place: str) -> str:
        text = planted.text(place)
        return json.dumps({"error": {"code": planted.token(f"code of {place}"), "message": text, "@message": text}})

    def headers(place: str) -> dict[str, str]:
        return {
            "x-ms-activity-id": planted.token(f"activity ID of {place}"),
            "Retry-After": planted.token(f"Retry-After of {place}"),
            "Location": planted.sas_url(f"Location of {place}"),
        }

    return {
        "refused": Answer(status=403, body=error("refused"), headers=headers("refused")),
        "throttled": Answer(
            status=429,
            body=f"<p>{planted.text('throttled')}</p>",
            # A wait that can be read, or the cluster is left alone for half a minute.
            headers=headers("throttled") | {"Retry-After": "1"},
        ),
        "redirected": Answer(status=307, body=planted.text("redirected"), headers=headers("redirected")),
        "failing": Answer(status=503, body=error("failing"), headers=headers("failing")),
    }


def refused_messages(planted: Planted) -> list[str]:
    return [
        planted.sas_url("bare message"),
        base64.b64encode(planted.sas_url("bare base64 message").encode()).decode(),
        '{"operationId": "x", "note": "' + planted.text("message cut short"),
        json.dumps({"operationId": "x", "cluster": planted.user_url("user of a cluster")}),
        json.dumps({"operationId": "x", "cluster": "https://ingest-x.kusto.windows.net", "n": planted.text("other")}),
        json.dumps({"operationId": "x", "database": planted.connection_string("database")}),
    ]


def test_nothing_that_came_out_of_the_host_has_a_secret(world: World, adx: AdxSimulator, collector: Collector) -> None:
    grid = world.stack.enter_context(EventGrid())
    planted = Planted()
    # So that the answers of ADX bring the blob's SAS too.
    adx.configure(show_url_query=True)
    adx.set_faults([BlobFault(kind="transient", url_contains="flaky", submissions=1)])
    url = world.upload("flaky.csv", b"1,2\n")
    planted.take("SAS of a blob", url.partition("sig=")[2].partition("&")[0])
    for name, bad in bad_answers(planted).items():
        # A missing role concerns a table, so that one has a table of its own.
        table = f"{world.table}b" if name == "refused" else world.table
        plain, detailed = planted_answers(planted, name, bad)
        adx.plant(operation_id=name, database=DATABASE, table=table, plain=plain, detailed=detailed)
    host = world.start_host(
        log_level="debug",
        APPLICATIONINSIGHTS_CONNECTION_STRING=collector.connection_string,
        TRACE_SAMPLING_PERCENT="100",
        RESULTS_QUEUE=world.results_queue,
        EVENTGRID_TOPIC_ENDPOINT=grid.endpoint,
    )
    flaky = world.submit_and_post(
        [url],
        properties={"format": "csv", "note": planted.text("properties")},
        correlationId=planted.sas_url("correlationId"),
        note=planted.text("unknown field"),
    )
    for name in bad_answers(planted):
        fields = {"operationId": name, "table": f"{world.table}b" if name == "refused" else world.table}
        blobs = [{"url": planted.sas_url(f"url named for {name}"), "sourceId": planted.token(f"sourceId for {name}")}]
        world.post({**fields, "blobs": blobs, "note": planted.text(f"field for {name}")})
    refused = refused_messages(planted)
    for queue in ("OPERATIONS_QUEUE", "RETRY_QUEUE", "POLL_QUEUE"):
        for message in refused:
            world.post(message, queue)

    again = str(eventually(lambda: (world.blobs(flaky) or [{}])[0].get("RetryOperationId")))
    assert world.settled(again)["State"] == "Succeeded"
    for name in ("throttled", "redirected", "failing"):
        assert world.settled(name)["State"] == "Failed"
    eventually(lambda: "operation.settled: ended Failed (operation_id=refused" in host.output())
    # An operation is outstanding until its end is told, which comes after it is written.
    eventually(lambda: not world.outstanding(), "the news of all ends")
    for queue in ("OPERATIONS_QUEUE", "RETRY_QUEUE", "POLL_QUEUE"):
        eventually(lambda queue=queue: len(world.waiting(queue, "-poison")) == len(refused))  # type: ignore[misc]  # kept
        eventually(lambda queue=queue: world.length(queue) == 0)  # type: ignore[misc]  # the same
    assert host.stop() == 0

    # What can't be accepted is kept as it came. Nothing else may hold a secret: nothing is outstanding any more.
    by_contract = {f"queue {name}-poison": "kept as it came" for name in world.names.values()}
    telemetry = collector.take()
    assert {each["data"]["baseType"] for each in telemetry} == {"MetricData", "MessageData", "RemoteDependencyData"}
    assert len(world.news()) == len(grid.events) > 4
    assert sum(len(each["failedBlobs"]) for each in world.news()) > 4
    output = [
        ("events", json.dumps(grid.events)),
        ("output of the host", host.output()),
        ("telemetry", json.dumps(telemetry)),
    ]
    places = list(stored(world.tables, world.queues))
    assert planted.leaks(output) == []
    assert planted.leaks(without(places, by_contract)) == []

    poison = {leak.planted for leak in planted.leaks(places)}
    assert {"bare message", "bare base64 message", "user of a cluster", "database"} <= poison
    for event in ("message.refused", "adx.access_refused", "adx.throttled", "adx.unavailable", "blobs.resubmitted"):
        assert f"{event}: " in host.output()
    assert "DEBUG" in host.output()
    told = {where for where, text in places if "cannot use" in text}
    assert {"IngestionBlobs.Details", "IngestionBlobs.FailureStatus", "IngestionOperations.LastError"} <= told
