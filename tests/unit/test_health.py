"""How the app's health is told: what is tried, for how long, and what counts as unhealthy."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError

from shared import health
from shared.ambient import Ambient
from shared.errors import OperationNotFound, RoleMissing
from shared.health import Check, Health, HealthReport, Probe
from shared.health_probes import answers, backlog, by_name, poller
from shared.model import IngestionLimits, StatusReport
from shared.records import BacklogNote, Census, Notes
from tests.support.facts import CLUSTER, NOW

GAP = timedelta(seconds=15)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def fine() -> Check:
    return Check("fine", facts={"count": 1})


def look(threads: ThreadPoolExecutor, probes: dict[str, dict[str, Probe]], most: float = 60) -> HealthReport:
    return Health(probes, {"a": ["count", "at"]}, Ambient(), threads, timedelta(seconds=most)).look()


def raising(error: Exception) -> Probe:
    def probe() -> Check:
        raise error

    return probe


def test_what_is_fine_is_told_with_its_facts(threads: ThreadPoolExecutor) -> None:
    report = look(threads, {"a": {"one": fine, "two": fine}, "b": {"": fine}})
    assert report.is_healthy
    assert report.checks["a"] == Check("one: fine; two: fine", facts={"count": 1, "at": None})
    assert report.checks["b"].detail == "fine"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RoleMissing("grant it"), "grant it"),
        (
            ServiceRequestError("no way to https://acc.table.core.windows.net/?sig=s3cr3t-s3cr3t"),
            "ServiceRequestError: no way to https://acc.table.core.windows.net/",
        ),
        (ValueError("whatever it quotes"), "ValueError"),
    ],
)
def test_what_fails_is_told_alone_and_without_secrets(threads: ThreadPoolExecutor, error: Exception, told: str) -> None:
    report = look(threads, {"a": {"one": fine, "two": raising(error)}, "b": {"": fine}})
    assert not report.is_healthy
    assert (report.checks["a"].is_healthy, report.checks["a"].detail) == (False, f"two: {told}")
    assert report.checks["b"].is_healthy


def test_what_hangs_holds_nothing_up(threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    ending = threading.Event()

    def wait_for_the_first(futures: Sequence[Future[Check]], timeout: float) -> None:
        # What does not hang is done, however long a machine at work on other things takes to begin with it.
        wait(futures[:1])
        wait(futures, timeout)

    monkeypatch.setattr(health, "wait", wait_for_the_first)

    def hang() -> Check:
        ending.wait(60)
        return fine()

    began = time.monotonic()
    # Six that hang: for two of them there is no thread.
    report = look(threads, {"a": {"one": fine}, "b": {str(number): hang for number in range(6)}}, most=0.5)
    took = time.monotonic() - began
    ending.set()
    assert took < 30
    assert report.checks["a"].is_healthy
    assert report.checks["b"].detail.startswith("0: no answer within 0.5 s; 1: ")


class Note:
    """When the app's health was looked at first."""

    def __init__(self, first: datetime | None = None) -> None:
        self._first = first

    def first_at(self) -> datetime | None:
        return self._first


@pytest.mark.parametrize(
    ("finished", "first", "gap", "is_healthy"),
    [
        (timedelta(seconds=20), None, GAP, True),
        (timedelta(seconds=195), None, GAP, True),
        (timedelta(seconds=196), None, GAP, False),
        (timedelta(seconds=-5), None, GAP, True),
        (timedelta(minutes=16), None, timedelta(minutes=5), True),
        (timedelta(minutes=18), None, timedelta(minutes=5), False),
        (timedelta(days=2), None, None, True),
        (None, None, GAP, True),
        (None, timedelta(seconds=195), GAP, True),
        (None, timedelta(seconds=196), GAP, False),
    ],
)
def test_a_poller_may_miss_a_few_ticks(
    finished: timedelta | None, first: timedelta | None, gap: timedelta | None, *, is_healthy: bool
) -> None:
    notes = Notes(NOW - finished if finished is not None else None)
    note: Any = Note(NOW - first if first is not None else None)
    check = poller(lambda: notes, note, gap, lambda: NOW)
    assert check.is_healthy is is_healthy
    assert check.facts["lastFinishedAt"] == notes.poller_finished_at
    assert (check.facts["ageSeconds"] is None) == (finished is None)


NOTED = BacklogNote(Census(3, 1, NOW - timedelta(hours=1)), NOW)


@pytest.mark.parametrize(
    ("noted", "is_healthy", "age"),
    [
        (None, True, None),
        (NOTED, True, 3600),
        (BacklogNote(Census(), NOW), True, None),
        (replace(NOTED, census=Census(1, 1, NOW - timedelta(hours=49))), True, 49 * 3600),
        (replace(NOTED, census=Census(1, 1, NOW - timedelta(hours=49, seconds=1))), False, 49 * 3600 + 1),
    ],
)
def test_nothing_is_outstanding_for_ever(noted: BacklogNote | None, *, is_healthy: bool, age: int | None) -> None:
    note: Any = Note()
    check = backlog(lambda: Notes(None, noted), note, timedelta(hours=48), lambda: NOW)
    assert (check.is_healthy, check.facts.get("oldestAgeSeconds")) == (is_healthy, age)


@pytest.mark.parametrize("census", [Census(), Census(3, 1, NOW - timedelta(hours=100))])
def test_what_was_measured_long_ago_says_nothing_of_now(census: Census) -> None:
    note: Any = Note()

    def measured(ago: timedelta) -> Check:
        return backlog(lambda: Notes(None, BacklogNote(census, NOW - ago)), note, timedelta(days=9), lambda: NOW)

    assert measured(timedelta(minutes=10)).is_healthy
    stale = measured(timedelta(minutes=10, seconds=1))
    assert not stale.is_healthy
    assert "601 s ago" in stale.detail
    assert "measure_backlog" in stale.detail


@pytest.mark.parametrize(("minutes", "is_healthy"), [(10, True), (11, False)])
def test_an_app_that_never_measures_is_told(minutes: int, *, is_healthy: bool) -> None:
    note: Any = Note(NOW - timedelta(minutes=minutes))
    check = backlog(lambda: Notes(None, None), note, timedelta(hours=48), lambda: NOW)
    assert check.is_healthy is is_healthy


class Adx:
    """Answers as the test wants, and keeps what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._error = error

    def status(self, operation: Any, *, details: bool) -> StatusReport:  # noqa: ANN401, an operation
        assert not details
        self.asked.append(f"{operation.database}.{operation.table}")
        if self._error:
            raise self._error
        return StatusReport()

    def limits(self, cluster: str) -> IngestionLimits:
        self.asked.append(cluster)
        return IngestionLimits()


def test_a_cluster_that_does_not_know_an_operation_lets_the_app_in() -> None:
    adx = Adx(OperationNotFound("404"))
    assert answers(adx, CLUSTER, "Sales", "Orders").is_healthy
    assert adx.asked == ["Sales.Orders"]


def test_without_a_table_the_limits_are_asked_for() -> None:
    adx = Adx()
    assert answers(adx, CLUSTER, "Sales", "").detail == "answers; no role was tried"
    assert adx.asked == [CLUSTER]


def test_a_missing_role_is_an_error() -> None:
    with pytest.raises(RoleMissing):
        answers(Adx(RoleMissing("403")), CLUSTER, "Sales", "Orders")


def test_a_single_probe_needs_no_name() -> None:
    assert list(by_name({"x": fine})) == [""]
    assert list(by_name({"x": fine, "y": fine})) == ["x", "y"]
