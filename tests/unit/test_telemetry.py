import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from shared.telemetry import Seldom, event
from tests.support.facts import NOW, OPERATION


@pytest.fixture(autouse=True)
def every_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tracker")


def test_an_event_has_a_name_and_facts_to_query_by(caplog: pytest.LogCaptureFixture) -> None:
    event("operation.settled", "ended Failed", about=OPERATION, failed=2, error=None)
    (record,) = caplog.records
    facts = vars(record)
    assert facts["event"] == "operation.settled"
    assert facts["failed"] == 2
    assert facts["operation_id"] == OPERATION.operation_id
    assert (facts["cluster"], facts["database"], facts["table"]) == (OPERATION.cluster, "Sales", "Orders")
    assert "error" not in facts
    assert record.levelno == logging.INFO


def test_the_text_repeats_the_facts_for_a_reader(caplog: pytest.LogCaptureFixture) -> None:
    event("polls.finished", "polled what was due", due=3, errors=0, oldest_seconds=None)
    assert caplog.messages == ["polls.finished: polled what was due (due=3 errors=0)"]


def test_an_event_without_facts_has_no_brackets(caplog: pytest.LogCaptureFixture) -> None:
    event("polls.finished", "nothing is due")
    assert caplog.messages == ["polls.finished: nothing is due"]


def test_a_percent_sign_in_a_text_is_no_format(caplog: pytest.LogCaptureFixture) -> None:
    event("blob.failed", "at 100%s", blob="a%2Fb%d")
    assert caplog.messages == ["blob.failed: at 100%s (blob=a%2Fb%d)"]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING, logging.ERROR])
def test_an_event_has_its_level(caplog: pytest.LogCaptureFixture, level: int) -> None:
    event("blob.failed", "it failed", level=level)
    assert [record.levelno for record in caplog.records] == [level]


def test_a_thing_is_said_once_in_a_while() -> None:
    clock = [NOW]
    seldom = Seldom(timedelta(minutes=5), lambda: clock[0])

    def after(seconds: int) -> datetime:
        clock[0] = NOW + timedelta(seconds=seconds)
        return clock[0]

    said = [(seconds, after(seconds) and seldom.may_say("down")) for seconds in (0, 1, 299, 300, 301, 600)]
    assert said == [(0, True), (1, False), (299, False), (300, True), (301, False), (600, True)]


def test_different_things_do_not_silence_each_other() -> None:
    seldom = Seldom(timedelta(minutes=5), lambda: NOW)
    assert [seldom.may_say(what) for what in (("a", 1), ("a", 2), ("b", 1), ("a", 1))] == [True, True, True, False]


class Slow:
    """A thing that is looked for by two at once, if the second comes while the first looks."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2)

    def __hash__(self) -> int:
        with suppress(threading.BrokenBarrierError):
            self._both.wait(0.5)
        return 1

    def __eq__(self, other: object) -> bool:
        return self is other


def test_of_threads_that_would_say_a_thing_at_once_one_may() -> None:
    seldom, slow = Seldom(timedelta(minutes=5), lambda: NOW), Slow()
    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(seldom.may_say, [slow, slow])) == [False, True]
