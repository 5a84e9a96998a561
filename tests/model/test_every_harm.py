"""Each harm, at each call of storage while an operation is registered and first polled, and what then comes of it.

Where the model tries at random what may follow what, this tries one harm everywhere: a poll that was cut short, and an
ADX that never tells again what that poll has written down, is seldom found by chance.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest

from shared.errors import Unavailable
from shared.model import BlobReport, Counts, StatusReport
from tests.support import parts as parts_module
from tests.support.inline_executor import InlineExecutor
from tests.support.interference import Crash, Harm, Interfered, Interference
from tests.support.memory_queue import MemoryQueue
from tests.support.memory_table import MemoryTable
from tests.support.parts import START, Parts, blob

type Row = dict[str, Any]

LOST, BROKEN, LATE = (f"https://account.blob.core.windows.net/c/{name}.csv" for name in ("lost", "broken", "late"))
TRANSIENT = blob(LOST, "Failed", "Transient", source_id="lost")
PERMANENT = blob(BROKEN, "Failed", "Permanent", source_id="broken")
RUNNING, DONE = (blob(LATE, status, source_id="late") for status in ("InProgress", "Succeeded"))

LIVES = {
    "good": [[DONE]],
    "failed at once": [[TRANSIENT, PERMANENT, DONE]],
    "failed while one runs": [[TRANSIENT, PERMANENT, RUNNING], [TRANSIENT, PERMANENT, DONE]],
}
AFTERWARDS = ("the same", "forgotten", "an outage", "no blobs", "the message once more")
_ROUNDS = 14


class _Storage:
    """Tables and queues in memory, every call of which can be harmed."""

    def __init__(self) -> None:
        self.interference = Interference()
        self.tables: dict[str, MemoryTable] = {}
        self.queues: dict[str, MemoryQueue] = {}
        self.now: Callable[[], datetime] = lambda: START

    def get_table_client(self, name: str) -> Interfered:
        self.tables[name] = MemoryTable(page=50)
        return Interfered(self.tables[name], name, self.interference)

    def get_queue_client(self, name: str) -> Interfered:
        self.queues[name] = MemoryQueue(self._now)
        return Interfered(self.queues[name], name, self.interference)

    def _now(self) -> datetime:
        return self.now()

    def rows(self, table: str) -> list[Row]:
        return self.tables[f"{table}m"].rows()

    def carried(self) -> set[str]:
        """The keys of the blobs that retry messages carry."""
        messages = (json.loads(message.content) for message in self.queues["retries-m"].messages())
        return {each["blobKey"] for message in messages for each in message["blobs"]}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with patch.object(parts_module, "ThreadPoolExecutor", InlineExecutor):
        yield


@pytest.mark.parametrize("afterwards", AFTERWARDS)
@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("harm", Harm)
def test_one_harm_anywhere_loses_nothing_and_does_nothing_twice(harm: Harm, life: str, afterwards: str) -> None:
    for place in count():
        storage, was_harmed, finals = _live(LIVES[life], afterwards, harm, place)
        _check(storage, LIVES[life], afterwards, finals)
        if not was_harmed:
            assert place > 10, "there are calls to be harmed"
            return


def _live(
    reports: Sequence[Sequence[BlobReport]], afterwards: str, harm: Harm, place: int
) -> tuple[_Storage, bool, list[Row]]:
    """A life with a harm to one call: what is stored then, whether there was such a call, and each final row seen."""
    storage = _Storage()
    parts = Parts(storage, storage, "m")  # type: ignore[arg-type]  # they stand for the SDK's
    parts.tell()
    storage.now = lambda: parts.now
    calls = count()
    storage.interference.harm_to = lambda _: harm if next(calls) == place else None
    for _ in range(2):
        _invoke(parts, lambda: parts.register("op"))
    for report in reports:
        parts.adx.says("op", *report)
        _invoke(parts, parts.tick)
    was_harmed = next(calls) > place
    storage.interference.harm_to = lambda _: None
    parts.register("op")
    return storage, was_harmed, list(_go_on(parts, storage, reports[-1], afterwards))


def _invoke(parts: Parts, act: Callable[[], object]) -> None:
    """One invocation, which may fail or die; then another instance goes on."""
    try:
        # What the host sees is an invocation that failed: it comes again.
        with suppress(Exception):
            act()
    except Crash:
        parts.configure()


def _go_on(parts: Parts, storage: _Storage, last: Sequence[BlobReport], afterwards: str) -> Iterator[Row]:
    match afterwards:
        case "forgotten":
            parts.adx.reports.pop("op", None)
        case "an outage":
            parts.adx.fails("op", Unavailable("for days"))
        case "no blobs":
            parts.adx.reports["op"] = StatusReport(Counts.of(last), ())
        case _:
            parts.adx.says("op", *last)
    for _ in range(_ROUNDS):
        parts.later(hours=6)
        parts.poller.tick()
        if afterwards == "the message once more":
            parts.register("op")
        yield from (row for row in storage.rows("Operations") if row["State"] != "InProgress")


def _check(storage: _Storage, reports: Sequence[Sequence[BlobReport]], afterwards: str, finals: Sequence[Row]) -> None:
    assert not [row["RowKey"] for row in storage.rows("Outstanding") if row["RowKey"].startswith(("due|", "op|"))]
    (operation,) = storage.rows("Operations")
    assert {(row["State"], row["SettledAt"]) for row in finals} == {(operation["State"], operation["SettledAt"])}
    news = [json.loads(message.content) for message in storage.queues["news-m"].messages()]
    assert {(each["event"], each["state"]) for each in news} == {("settled", operation["State"])}
    assert len({each["eventId"] for each in news}) == 1
    blobs = [row for row in storage.rows("Blobs") if row["RowKey"] != "!operation"]
    assert len({row["Url"] for row in blobs}) == len(blobs)
    carried = storage.carried()
    for row in blobs:
        assert row["RetryState"] != "Pending"
        is_transient = row["Status"] == "Failed" and row.get("FailureStatus") == "Transient"
        assert (row["RowKey"] in carried) == is_transient or row["RetryState"] == "NotResubmittable"
    if afterwards in ("the same", "the message once more"):
        assert len(blobs) == len(reports[-1])
        assert operation["Succeeded"] + operation["Failed"] == len(reports[-1])
