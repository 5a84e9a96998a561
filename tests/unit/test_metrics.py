import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.metrics import Counter, NoOpCounter

from shared import metrics
from shared.metrics import LONGEST_VALUE, MOST_VALUES, OTHER, Kind, Metric, record
from tests.support.facts import OPERATION
from tests.support.recorded import Recorded

ALL = [each for each in vars(metrics).values() if isinstance(each, Metric)]
IDS = {"operation_id", "root_operation_id", "source_id", "message_id", "url", "blob", "correlation_id", "instance"}


def test_names_are_stable_and_told_apart() -> None:
    assert len({each.name for each in ALL}) == len(ALL) > 10
    assert all(each.name.startswith("tracker.") for each in ALL)


def test_no_dimension_is_an_id() -> None:
    assert [each.name for each in ALL if IDS & set(each.dimensions)] == []


def test_a_counter_adds_up_by_dimensions() -> None:
    recorded = Recorded()
    record(metrics.OPERATIONS_SETTLED, about=OPERATION, state="Failed")
    record(metrics.OPERATIONS_SETTLED, 2, OPERATION, state="Failed")
    record(metrics.OPERATIONS_SETTLED, about=OPERATION, state="Succeeded")
    place = ("help.westeurope", "Sales", "Orders")
    assert recorded.of(metrics.OPERATIONS_SETTLED) == {(*place, "Failed"): 3, (*place, "Succeeded"): 1}


def test_a_gauge_keeps_the_last_value() -> None:
    recorded = Recorded()
    record(metrics.QUEUE_LENGTH, 7, queue="q")
    record(metrics.QUEUE_LENGTH, 5, queue="q")
    assert recorded.of(metrics.QUEUE_LENGTH) == {("q",): 5}


def test_a_gauges_value_is_sent_once() -> None:
    recorded = Recorded()
    record(metrics.POLLS_LAG, 7)
    assert recorded.of(metrics.POLLS_LAG) == {(): 7}
    later = Recorded()
    record(metrics.POLLS_OVERDUE, 1)
    assert later.of(metrics.POLLS_OVERDUE) == {(): 1}
    assert later.of(metrics.POLLS_LAG) == {}


def test_a_histogram_takes_part_of_an_operations_names() -> None:
    recorded = Recorded()
    record(metrics.ADX_LATENCY, 0.5, OPERATION, call="status")
    assert recorded.of(metrics.ADX_LATENCY) == {("help.westeurope", "status"): 0.5}


@pytest.mark.parametrize(
    ("metric", "dimensions"),
    [(metrics.QUEUE_LENGTH, {}), (metrics.TICKS, {"queue": "q"}), (metrics.OPERATIONS_SETTLED, {"state": "Failed"})],
)
def test_other_dimensions_than_the_metrics_own_are_a_mistake(metric: Metric, dimensions: dict[str, str]) -> None:
    with pytest.raises(TypeError, match=metric.name):
        record(metric, 1, None, **dimensions)


def test_a_dimension_is_bounded_whatever_comes_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_seen", {})
    probe = Metric("tracker.probe", Kind.COUNTER, "1", "A probe.", ("name",))
    recorded = Recorded()
    for number in range(MOST_VALUES + 50):
        record(probe, name=str(number))
    record(probe, name="0")
    figures = recorded.of(probe)
    assert len(figures) == MOST_VALUES + 1
    assert figures[OTHER,] == 50
    assert figures["0",] == 2


def test_threads_that_come_at_once_make_one_instrument(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class SlowMeter:
        def create_counter(self, name: str, *_: str) -> Counter:
            made.append(name)
            # As long as it takes the others to come too.
            time.sleep(0.1)
            return NoOpCounter(name)

    monkeypatch.setattr(metrics, "_meter", SlowMeter())
    probe = Metric("tracker.probe.threads", Kind.COUNTER, "1", "A probe.")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: record(probe), range(8)))
    assert made == [probe.name]


def test_a_text_from_outside_is_bounded_in_length_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_seen", {})
    probe = Metric("tracker.probe.length", Kind.COUNTER, "1", "A probe.", ("name",))
    recorded = Recorded()
    record(probe, name="x" * LONGEST_VALUE)
    record(probe, name="y" * (LONGEST_VALUE + 1))
    assert recorded.of(probe) == {("x" * LONGEST_VALUE,): 1, (OTHER,): 1}


def test_long_texts_from_outside_are_not_kept() -> None:
    probe = Metric("tracker.probe.memory", Kind.COUNTER, "1", "A probe.", ("name",))
    tracemalloc.start()
    try:
        for number in range(200):
            record(probe, name=f"{number} {'x' * 64 * 1024}")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1024 * 1024
