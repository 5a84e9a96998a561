"""What happens to the app in a test of the alerts, told to Application Insights by the app's own means.

A scenario is what happened in the minutes before an alert is evaluated, and what has to fire then: nothing else may.
The rows of the Functions host (a function's invocation, its exception) are made here, as the host does not run.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from opentelemetry import trace

from shared import metrics, tracing
from shared.model import Operation
from shared.telemetry import event

type Emission = Callable[[], None]
# A value for each of the alert's dimensions, in their order.
type Split = tuple[str, ...]

CLUSTER = "mycluster.westeurope"
ORDERS = Operation("https://ingest-mycluster.westeurope.kusto.windows.net", "Sales", "Orders", "op-1")
RETURNS = Operation("https://ingest-mycluster.westeurope.kusto.windows.net", "Sales", "Returns", "op-2")
OPERATIONS, RETRIES, POLLS = "ingestion-operations", "ingestion-retries", "ingestion-polls"
QUEUES = (OPERATIONS, RETRIES, POLLS, f"{OPERATIONS}-poison", f"{RETRIES}-poison", f"{POLLS}-poison")
# Their log lines, as docs/logs.md has them.
ANSWERS = {
    "access_refused": "adx.access_refused",
    "role_missing": "adx.access_refused",
    "throttled": "adx.throttled",
    "unavailable": "adx.unavailable",
    "rejected": "adx.request_rejected",
    "endpoint_not_allowed": "adx.endpoint_not_allowed",
}
OUTCOMES = {
    "Enqueued": "blobs.retry_enqueued",
    "Resubmitted": "blobs.resubmitted",
    "Recovered": "retry.nothing_left",
    "Redriven": "blobs.redriven",
    "AttemptsExhausted": "blob.attempts_exhausted",
    "NotResubmittable": "blob.not_resubmittable",
    "Unknown": "resubmission.unknown",
    "Untracked": "resubmission.untracked",
}
# Longer than any alert looks back.
LONG = range(70)


@dataclass(frozen=True)
class During:
    """An emission in each of some minutes, which are counted back from the evaluation."""

    minutes: range | tuple[int, ...]
    emission: Emission


@dataclass(frozen=True)
class Scenario:
    """What happened, and the alerts that fire of it, each with its splits."""

    name: str
    happened: tuple[During, ...]
    fires: Mapping[str, frozenset[Split]] = field(default_factory=dict)


def tick() -> None:
    """A run of the poller's timer."""
    metrics.record(metrics.TICKS)
    invoked("poll_operations")


def ticks() -> None:
    """A minute of the poller's timer."""
    for _ in range(4):
        tick()
    event("polls.finished", "polled what was due", due=1, asked=1, settled=1, left=0)


def work() -> None:
    """An operation from its registration to its end."""
    invoked("register_operation")
    with tracing.step("register", ORDERS, ORDERS.operation_id, 1):
        metrics.record(metrics.OPERATIONS_REGISTERED, about=ORDERS, origin="Upstream")
        event("operation.registered", "watched from now on", about=ORDERS, attempt=1)
    with tracing.step("poll", ORDERS, ORDERS.operation_id, 1):
        asked("status", "ok")
        asked("details", "ok")
        metrics.record(metrics.BLOBS_ENDED, 3, ORDERS, outcome="Succeeded", failure_status="", error_code="")
        metrics.record(metrics.OPERATIONS_SETTLED, about=ORDERS, state="Succeeded")
        metrics.record(metrics.OPERATIONS_LATENCY, 320.5, ORDERS)
        metrics.record(metrics.NEWS, channel="queue", outcome="Sent")
        event("operation.settled", "Succeeded", about=ORDERS, state="Succeeded", attempt=1, latency_seconds=320.5)


def registered_again() -> None:
    """A resubmission, which its own function registers."""
    metrics.record(metrics.OPERATIONS_REGISTERED, about=ORDERS, origin="Resubmission")


def asked(call: str, answer: str, about: Operation = ORDERS) -> None:
    """A call of ADX."""
    metrics.record(metrics.ADX_CALLS, 1, about, call=call, answer=answer)
    metrics.record(metrics.ADX_LATENCY, 0.15, cluster=CLUSTER, call=call)
    if answer in ANSWERS:
        event(ANSWERS[answer], "it is put off", level=logging.WARNING, about=about)


def waiting(outstanding: int = 3, oldest: float = 240, overdue: int = 0, lag: float = 0, **queues: int) -> None:
    """What measure_backlog counts; ``queues`` by their names with underscores, empty ones left out."""
    invoked("measure_backlog")
    metrics.record(metrics.OPERATIONS_OUTSTANDING, outstanding)
    metrics.record(metrics.OPERATIONS_OLDEST_AGE, oldest)
    metrics.record(metrics.POLLS_OVERDUE, overdue)
    metrics.record(metrics.POLLS_LAG, lag)
    for queue in QUEUES:
        metrics.record(metrics.QUEUE_LENGTH, queues.get(queue.replace("-", "_"), 0), queue=queue)


def ended(count: int, about: Operation, outcome: str, failure_status: str, error_code: str) -> None:
    """Blobs with a final status."""
    names = {"outcome": outcome, "failure_status": failure_status, "error_code": error_code}
    metrics.record(metrics.BLOBS_ENDED, count, about, **names)
    if outcome == "Failed":
        text = "it failed and will not be tried again"
        event("blob.failed", text, level=logging.WARNING, about=about, error_code=error_code, details="no such mapping")


def settled(about: Operation, state: str) -> None:
    """The end of an operation."""
    metrics.record(metrics.OPERATIONS_SETTLED, 1, about, state=state)
    metrics.record(metrics.OPERATIONS_LATENCY, 900, about)
    canceled = 3 if state == "Canceled" else 0
    event("operation.settled", state, about=about, state=state, attempt=1, canceled=canceled, latency_seconds=900)


def retried(count: int, about: Operation, outcome: str) -> None:
    """What became of retries."""
    metrics.record(metrics.RETRIES, count, about, outcome=outcome)
    name = OUTCOMES[outcome]
    event(
        name, "as the name says", level=logging.WARNING, about=about, blobs=count, error_code="General_TemporaryError"
    )


def refused(queue: str) -> None:
    """A message that can't be understood."""
    metrics.record(metrics.MESSAGES_REFUSED, queue=queue)
    event("message.refused", "no JSON", level=logging.ERROR, queue=queue)


def poll_put_off(kind: str) -> None:
    """A poll that a fault of storage or a defect put off."""
    metrics.record(metrics.POLLS_ERRORS, kind=kind)
    event("poll.failed", "it is put off", level=logging.ERROR, about=ORDERS, error="ServiceUnavailable")


def untold(channel: str) -> None:
    """News of an end that could not be sent."""
    metrics.record(metrics.NEWS, channel=channel, outcome="Failed")
    event("news.failed", "not told: HTTP 403", level=logging.ERROR, about=ORDERS, channel=channel, operations=1)


def invoked(function: str, error: Exception | None = None) -> None:
    """An invocation as the host reports it."""
    tracer = trace.get_tracer("host")
    with suppress(RuntimeError), tracer.start_as_current_span(function, kind=trace.SpanKind.SERVER):
        if error:
            raise error


def failing(function: str) -> Emission:
    """An invocation that ends with an exception: by what the app says of it, and what the host does."""

    def failed() -> None:
        error = RuntimeError("storage does not answer")
        invoked(function, error)
        if "redrive" not in function:
            metrics.record(metrics.FUNCTIONS_FAILURES, function=function)
            event("function.failed", "RuntimeError", level=logging.ERROR, function=function, error=str(error))

    return failed


def alone(*split: str) -> frozenset[Split]:
    """One alert, of these values of its dimensions."""
    return frozenset({split})


POLLER = During(LONG, ticks)
WORK = During(LONG, work)
QUIET = During(LONG, waiting)
HEALTHY = (POLLER, WORK, QUIET)
# Working, but for what measure_backlog counts.
BUSY = (POLLER, WORK)

BACKLOG = partial(waiting, 9000, 7000, 400, 900, ingestion_operations=600, ingestion_retries=500, ingestion_polls=9)

MISHAPS = (
    partial(ended, 2, ORDERS, "Failed", "Transient", "General_ThrottledIngestion"),
    partial(ended, 1, ORDERS, "Succeeded", "Permanent", "Skipped_IngestByTagAlreadyExists"),
    partial(settled, ORDERS, "PartiallySucceeded"),
    partial(settled, ORDERS, "Failed"),
    partial(settled, ORDERS, "Canceled"),
    partial(retried, 2, ORDERS, "Enqueued"),
    partial(retried, 2, ORDERS, "Resubmitted"),
    partial(retried, 1, ORDERS, "Recovered"),
    partial(retried, 1, ORDERS, "Redriven"),
    partial(asked, "status", "throttled"),
    partial(asked, "status", "unavailable"),
    partial(asked, "status", "rejected"),
    partial(asked, "status", "not_found"),
    partial(asked, "status", "endpoint_not_allowed"),
    partial(poll_put_off, "failed"),
    partial(poll_put_off, "overran"),
    partial(untold, "queue"),
    failing("poll_operations"),
    failing("resubmit_blobs"),
)

SCENARIOS = (
    # Nothing may fire of these.
    Scenario("a quiet day", HEALTHY),
    Scenario("nothing to do", (POLLER, QUIET)),
    Scenario("a first quarter of an hour", tuple(During(range(15), each.emission) for each in HEALTHY)),
    Scenario("what happens on any day", (*HEALTHY, *(During((5,), mishap) for mishap in MISHAPS))),
    Scenario(
        "a token that could not be had once", (*HEALTHY, During((14,), partial(asked, "status", "access_refused")))
    ),
    Scenario("throttled now and then", (*HEALTHY, During(range(0, 60, 15), partial(asked, "status", "throttled")))),
    Scenario("throttled for half an hour", (*HEALTHY, During(range(30), partial(asked, "status", "throttled")))),
    Scenario(
        "throttled at a start",
        (
            *(During(range(20), each.emission) for each in HEALTHY),
            During(range(20), partial(asked, "status", "throttled")),
        ),
    ),
    Scenario(
        "as much waiting as may",
        (*BUSY, During(LONG, partial(waiting, 9000, 7200, 400, 300, ingestion_operations=30, ingestion_retries=20))),
    ),
    Scenario("a backlog that is worked off", (*BUSY, During(range(10, 70), BACKLOG), During(range(10), waiting))),
    Scenario("a start with a backlog", (During(range(4), ticks), During(range(4), BACKLOG))),
    Scenario(
        "twenty minutes without a registration",
        (During(range(20), ticks), During(range(20), partial(waiting, ingestion_operations=12))),
    ),
    Scenario("a start without a figure yet", (During(range(5), tick),)),
    Scenario("a sparse schedule", (During((14,), tick), QUIET)),
    Scenario(
        "a poison message that was redriven",
        (
            *BUSY,
            During(range(5, 70), partial(waiting, ingestion_operations_poison=1)),
            During(range(5), waiting),
        ),
    ),
    Scenario("polls put off for ten minutes", (*HEALTHY, During(range(10), partial(poll_put_off, "failed")))),
    Scenario("news that could not be sent for ten minutes", (*HEALTHY, During(range(10), partial(untold, "topic")))),
    Scenario("a function that failed for ten minutes", (*HEALTHY, During(range(10), failing("poll_batch")))),
    Scenario("a person's requests that failed", (*HEALTHY, During(range(30), failing("redrive_blobs")))),
    Scenario("a short restart", tuple(During((*range(8), *range(14, 70)), each.emission) for each in HEALTHY)),
    # Of each of these something has to.
    Scenario(
        "blobs that failed for good",
        (
            *HEALTHY,
            During((14,), partial(ended, 2, ORDERS, "Failed", "Permanent", "BadRequest_MappingReferenceWasNotFound")),
            During((12,), partial(ended, 1, RETURNS, "Failed", "Unknown", "")),
            During((14,), partial(ended, 1, RETURNS, "Failed", "Exhausted", "General_InternalServerError")),
        ),
        {
            "permanent-failures": frozenset(
                {
                    (CLUSTER, "Sales", "Orders", "BadRequest_MappingReferenceWasNotFound"),
                    (CLUSTER, "Sales", "Returns", "none"),
                    (CLUSTER, "Sales", "Returns", "General_InternalServerError"),
                }
            )
        },
    ),
    Scenario(
        "blobs that were canceled",
        (*HEALTHY, During((14,), partial(ended, 3, RETURNS, "Canceled", "", ""))),
        {"blobs-canceled": frozenset({(CLUSTER, "Sales", "Returns")})},
    ),
    Scenario(
        "blobs given up",
        (
            *HEALTHY,
            During((14,), partial(retried, 1, ORDERS, "AttemptsExhausted")),
            During((14,), partial(retried, 20, RETURNS, "NotResubmittable")),
        ),
        {
            "attempts-exhausted": frozenset(
                {
                    (CLUSTER, "Sales", "Orders", "AttemptsExhausted"),
                    (CLUSTER, "Sales", "Returns", "NotResubmittable"),
                }
            )
        },
    ),
    Scenario(
        "operations without a result",
        (
            *HEALTHY,
            During((14,), partial(settled, ORDERS, "TimedOut")),
            During((12,), partial(settled, RETURNS, "NotFound")),
        ),
        {
            "operations-timed-out": frozenset(
                {(CLUSTER, "Sales", "Orders", "TimedOut"), (CLUSTER, "Sales", "Returns", "NotFound")}
            )
        },
    ),
    Scenario(
        "an old operation",
        (*BUSY, During(LONG, partial(waiting, 1, 7201))),
        {"operations-stuck": alone()},
    ),
    Scenario(
        "a refused message",
        (*HEALTHY, During((11,), partial(refused, OPERATIONS))),
        {"messages-refused": alone(OPERATIONS)},
    ),
    Scenario(
        "messages in poison queues",
        (*BUSY, During(LONG, partial(waiting, ingestion_operations_poison=1, ingestion_polls_poison=7))),
        {"poison-messages": frozenset({(f"{OPERATIONS}-poison",), (f"{POLLS}-poison",)})},
    ),
    Scenario("nothing at all", (), {"poller-stopped": alone()}),
    Scenario(
        "a poller that stopped",
        (During(range(20, 70), ticks), WORK, QUIET),
        {"poller-stopped": alone()},
    ),
    Scenario(
        "polls that come late",
        (*BUSY, During(LONG, partial(waiting, 5000, 3000, 2000, 301))),
        {"polls-overdue": alone()},
    ),
    Scenario(
        "refused by ADX",
        (
            *HEALTHY,
            During((40, 30), partial(asked, "status", "access_refused", ORDERS)),
            During((12,), partial(asked, "submit", "role_missing", RETURNS)),
            # Without it operations are asked for one by one, so nobody is needed.
            During((5,), partial(asked, "bulk", "role_missing", replace(ORDERS, table=""))),
        ),
        {"access-refused": frozenset({(CLUSTER, "Sales", "Orders"), (CLUSTER, "Sales", "Returns")})},
    ),
    Scenario(
        "throttled for long",
        (*HEALTHY, During(range(35), partial(asked, "status", "throttled"))),
        {"throttled": alone(CLUSTER)},
    ),
    Scenario(
        "retries that nobody takes",
        (POLLER, WORK, *(During((m,), partial(waiting, ingestion_retries=80 - m)) for m in LONG)),
        {"retry-queue-growing": alone(RETRIES)},
    ),
    Scenario(
        "operations that nobody registers",
        (POLLER, During(LONG, partial(waiting, ingestion_operations=12))),
        {"registration-stopped": alone()},
    ),
    Scenario(
        "nobody registers what upstream posts, and retries go on",
        (POLLER, During(LONG, partial(waiting, ingestion_operations=12)), During(LONG, registered_again)),
        {"registration-stopped": alone()},
    ),
    Scenario("a backlog that nobody measures", BUSY, {"backlog-unmeasured": alone()}),
    Scenario("a start without figures", (During(range(6), tick),), {"backlog-unmeasured": alone()}),
    Scenario(
        "a function that fails",
        (*HEALTHY, During(range(15), failing("register_operation"))),
        {"function-failures": alone("register_operation")},
    ),
    Scenario(
        "a function that is seldom run, and failed",
        (*HEALTHY, During((25,), failing("prune_results"))),
        {"function-failures": alone("prune_results")},
    ),
    Scenario(
        "polls that fail",
        (*HEALTHY, During(range(15), partial(poll_put_off, "not_storable"))),
        {"poll-errors": alone("not_storable")},
    ),
    Scenario(
        "a topic that refuses the app",
        (*HEALTHY, During(range(15), partial(untold, "topic"))),
        {"news-failing": alone("topic")},
    ),
    Scenario(
        "a lost answer",
        (*HEALTHY, During((12,), partial(retried, 1, ORDERS, "Unknown"))),
        {"submissions-unknown": alone(CLUSTER, "Sales", "Orders")},
    ),
    Scenario(
        "no operation ID",
        (*HEALTHY, During((12,), partial(retried, 1, RETURNS, "Untracked"))),
        {"submissions-untracked": alone(CLUSTER, "Sales", "Returns")},
    ),
)

# Each once, in an order that the sending and the reading process agree on.
EMISSIONS = tuple(dict.fromkeys(during.emission for scenario in SCENARIOS for during in scenario.happened))
