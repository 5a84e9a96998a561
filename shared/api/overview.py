"""The endpoints about all of it: the summary, the error codes, the app's health, and the API's own description."""

from datetime import timedelta

from shared.api.endpoint import Asked, Endpoint, Reply
from shared.api.parameters import cluster, moment, text
from shared.api.request import Answer
from shared.api.shapes import health_object, summary_object
from shared.explanations import EXPLANATIONS
from shared.store.listing import Filter
from shared.summary import MOST_COUNTED, Span, sum_up

_DAY = timedelta(hours=24)

SINCE = moment("since", "From when on operations count, by their registration; 24 hours before `until` if not given.")
UNTIL = moment("until", "Before when; now if not given, or given as later.")
CLUSTER = cluster("cluster", "Only operations of this cluster, by its ingestion endpoint.")
DATABASE = text("database", "Only operations of this database.", example="Samples")
TABLE = text("table", "Only operations of this table.", example="Orders")


def _summary(asked: Asked) -> Answer:
    values, listing = asked.values, asked.backend.tracker().reading.listing
    now = asked.backend.now()
    until = min(values[UNTIL] or now, now)
    span = Span(min(values[SINCE] or until - _DAY, until), until)
    wanted = Filter(
        cluster=values[CLUSTER],
        database=values[DATABASE],
        table=values[TABLE],
        since=span.since,
        until=span.until,
    )
    summed = sum_up(listing.summary(wanted, MOST_COUNTED + 1), span)
    return Answer(200, summary_object(summed, listing.notes().backlog))


def _error_codes(asked: Asked) -> Answer:  # noqa: ARG001, as each act is called
    codes = [
        {
            "code": each.code,
            "category": each.category,
            "failureStatus": each.failure_status.value,
            "description": each.description,
            "summary": each.summary,
            "advice": each.advice,
        }
        for each in EXPLANATIONS.values()
    ]
    return Answer(200, {"errorCodes": list(map(dict, codes))})


def _health(asked: Asked) -> Answer:
    report = asked.backend.health().look()
    return Answer(200 if report.is_healthy else 503, health_object(report))


SUMMARY = Endpoint(
    name="get_summary",
    method="GET",
    path="/summary",
    summary="What happened in a span of time, at a glance",
    description=(
        "Operations by state over time, blobs by outcome, failures by error code and table, and what is outstanding. "
        f"Of more than {MOST_COUNTED:,} operations only the newest count, and `isComplete` is false. So it is where "
        "those of a table lie among very many others: a shorter span has all of them."
    ),
    act=_summary,
    parameters=(SINCE, UNTIL, CLUSTER, DATABASE, TABLE),
    replies={200: Reply("The summary.", "Summary")},
    problems={400: "A parameter is not understood."},
)

ERROR_CODES = Endpoint(
    name="list_error_codes",
    method="GET",
    path="/error-codes",
    summary="What each error code of ADX means, and what to do",
    description="Those that are known; ADX adds codes.",
    act=_error_codes,
    replies={200: Reply("The codes.", "ErrorCodes")},
    problems={400: "A parameter is not understood."},
    uses_storage=False,
)

HEALTH = Endpoint(
    name="get_health",
    method="GET",
    path="/health",
    summary="Whether the app can do its work",
    description="Everything that it needs is tried, side by side, in ten seconds at the most.",
    act=_health,
    replies={
        200: Reply("It can.", "Health"),
        503: Reply("It can't; the checks that are not healthy say why.", "Health"),
    },
    problems={400: "A parameter is not understood."},
    uses_storage=False,
)
