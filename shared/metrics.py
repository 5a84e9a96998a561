"""The metrics: their names, units and dimensions, and how a value is recorded.

Alerts, the workbook and people's dashboards are built on the names; docs/telemetry.md lists them, and a test compares.
Where no Application Insights is set a value goes nowhere. Dimensions stay bounded: no ID is one, and of names that
come from outside an instance tells the first so many apart.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from threading import Lock

from opentelemetry.metrics import CallbackOptions, Observation, get_meter
from opentelemetry.util.types import Attributes, AttributeValue

from shared.endpoints import cluster_name
from shared.model import Operation

MOST_VALUES = 200
"""Of one dimension that an instance tells apart; what comes after them is ``OTHER``."""

LONGEST_VALUE = 256
"""Characters of a value that is told apart: what ADX gives as an error code may be any text."""

OTHER = "other"

type _Recorder = Callable[[float, Attributes], None]

_TABLE = ("cluster", "database", "table")


class Kind(StrEnum):
    """How values become a figure: added up, spread, or the last one."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


# Each is itself alone, so that nothing of it is looked at to find what records it.
@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric, as OpenTelemetry names things: ``unit`` is UCUM's, in braces what is counted."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    dimensions: tuple[str, ...] = ()


OPERATIONS_REGISTERED = Metric(
    "tracker.operations.registered",
    Kind.COUNTER,
    "{operation}",
    "Operations that are watched from then on.",
    (*_TABLE, "origin"),
)
OPERATIONS_SETTLED = Metric(
    "tracker.operations.settled", Kind.COUNTER, "{operation}", "Operations that ended.", (*_TABLE, "state")
)
OPERATIONS_LATENCY = Metric(
    "tracker.operations.latency",
    Kind.HISTOGRAM,
    "s",
    "From the submission by ADX's clock, else from the registration, to the end.",
    _TABLE,
)
BLOBS_ENDED = Metric(
    "tracker.blobs.ended",
    Kind.COUNTER,
    "{blob}",
    "Blobs whose final status a poll saw for the first time.",
    (*_TABLE, "outcome", "failure_status", "error_code"),
)
RETRIES = Metric("tracker.retries", Kind.COUNTER, "{blob}", "What became of retries, by blobs.", (*_TABLE, "outcome"))
ADX_CALLS = Metric("tracker.adx.calls", Kind.COUNTER, "{call}", "Calls of ADX by answer.", (*_TABLE, "call", "answer"))
ADX_LATENCY = Metric(
    "tracker.adx.latency", Kind.HISTOGRAM, "s", "How long a call of ADX took, answered or not.", ("cluster", "call")
)
MESSAGES_REFUSED = Metric(
    "tracker.messages.refused", Kind.COUNTER, "{message}", "Messages that can't be understood.", ("queue",)
)
TICKS = Metric("tracker.ticks", Kind.COUNTER, "{run}", "Runs of the poller's timer that came to their end.")
FUNCTIONS_FAILURES = Metric(
    "tracker.functions.failures",
    Kind.COUNTER,
    "{invocation}",
    "Invocations of queue and timer functions that ended with an error.",
    ("function",),
)
POLLS_ERRORS = Metric(
    "tracker.polls.errors", Kind.COUNTER, "{poll}", "Polls put off by a fault of storage or a defect.", ("kind",)
)
NEWS = Metric(
    "tracker.news",
    Kind.COUNTER,
    "{message}",
    "News of ends, by what became of them.",
    ("channel", "outcome"),
)
OPERATIONS_OUTSTANDING = Metric(
    "tracker.operations.outstanding", Kind.GAUGE, "{operation}", "Operations that have not ended."
)
OPERATIONS_OLDEST_AGE = Metric(
    "tracker.operations.oldest_age", Kind.GAUGE, "s", "Since the registration of the oldest of them; 0 without one."
)
POLLS_OVERDUE = Metric("tracker.polls.overdue", Kind.GAUGE, "{operation}", "Operations that are due and not polled.")
POLLS_LAG = Metric("tracker.polls.lag", Kind.GAUGE, "s", "For how long the first of them has been due; 0 without one.")
QUEUE_LENGTH = Metric(
    "tracker.queue.length",
    Kind.GAUGE,
    "{message}",
    "Messages on a queue, hidden ones too.",
    ("queue",),
)

# It may be asked for before there is a provider: what it makes goes to the provider once there is one.
_meter = get_meter("tracker")
_making = Lock()
_recorders: dict[Metric, _Recorder] = {}


def record(metric: Metric, value: float = 1, about: Operation | None = None, **more: str) -> None:
    """Record a value.

    Args:
        metric: One of this module.
        value: In the metric's unit.
        about: The operation whose cluster, database and table are dimensions.
        more: The other dimensions.

    Raises:
        TypeError: these are not the metric's dimensions.
    """
    place = (about.cluster, about.database, about.table) if about else None
    put = _recorders.get(metric) or _made(metric)
    # A text of any length is none to keep.
    is_long = bool(more) and max(map(len, more.values())) > LONGEST_VALUE
    dimensions = _dimensions.__wrapped__ if is_long else _dimensions
    put(value, dimensions(metric, place, *more.items()))


# The same are recorded with each poll. What an instance tells apart once, it goes on to tell apart.
@lru_cache(maxsize=4096)
def _dimensions(metric: Metric, place: tuple[str, str, str] | None, *more: tuple[str, str]) -> Attributes:
    named = dict(zip(_TABLE, (cluster_name(place[0]), *place[1:]), strict=True)) if place else {}
    dimensions = {name: text for name, text in named.items() if name in metric.dimensions} | dict(more)
    if dimensions.keys() != set(metric.dimensions):
        raise TypeError(f"{metric.name} has the dimensions {metric.dimensions}, not {tuple(dimensions)}")
    return {name: _bounded(name, text) for name, text in dimensions.items()}


def _made(metric: Metric) -> _Recorder:
    # Without it, threads that come at once would make an instrument each, and all of them be sent from then on.
    with _making:
        if metric not in _recorders:
            _recorders[metric] = _recorder(metric)
        return _recorders[metric]


def _recorder(metric: Metric) -> _Recorder:
    match metric.kind:
        case Kind.COUNTER:
            return _meter.create_counter(metric.name, metric.unit, metric.meaning).add
        case Kind.HISTOGRAM:
            return _meter.create_histogram(metric.name, metric.unit, metric.meaning).record
        case Kind.GAUGE:
            readings = _Readings()
            _meter.create_observable_gauge(metric.name, [readings.take], metric.unit, metric.meaning)
            return readings.put


class _Readings:
    """A gauge's values, each of which is sent once.

    The SDK's own gauge sends its last value again with every sending: as if measured anew, for as long as the instance
    lives, and also when another one measures by then.
    """

    def __init__(self) -> None:
        self._latest: dict[frozenset[tuple[str, AttributeValue]], float] = {}

    def put(self, value: float, dimensions: Attributes) -> None:
        """Take the place of the value before. A sending in another thread has this one or the next."""
        self._latest[frozenset((dimensions or {}).items())] = value

    def take(self, _: CallbackOptions) -> Iterator[Observation]:
        """What has not been sent."""
        while self._latest:
            dimensions, value = self._latest.popitem()
            yield Observation(value, dict(dimensions))


_seen: dict[str, set[str]] = {}


def _bounded(dimension: str, value: str) -> str:
    """The value, or ``OTHER`` if it is too long or the dimension has as many as are told apart."""
    values = _seen.setdefault(dimension, set())
    if value in values:
        return value
    if len(values) >= MOST_VALUES or len(value) > LONGEST_VALUE:
        return OTHER
    values.add(value)
    return value
