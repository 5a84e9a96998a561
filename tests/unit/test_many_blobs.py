"""Blobs on disk are read, paired with their rows and recorded as those in memory are."""

import json
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared import many_blobs
from shared.ambient import Ambient
from shared.endpoints import Endpoints
from shared.kusto import long_json
from shared.kusto.answers import NoStatus, read_long_status, read_status
from shared.many_blobs import ManyBlobs, Named, prefixes
from shared.messages import Defaults, NamedBlob, OperationMessage, RetryBlob, read_retry
from shared.model import BlobReport, BlobStatus, Counts, FailureStatus, Operation, StatusReport, bare_url
from shared.outcome import Standing, keyed
from shared.queues import Queue
from shared.records import BlobRow, Outstanding
from shared.register import Registrar
from shared.settle import Settler
from shared.store.outstanding import OutstandingOperations
from shared.store.results import Results
from shared.store.tables import Table
from tests.support.damage import damaged, one_odd_value
from tests.support.facts import CLUSTER, NOW, POLLING, RETRYING, URL, merge
from tests.support.good import FINISHED, GOOD_STATUS
from tests.support.memory_queue import MemoryQueue
from tests.support.memory_table import MemoryTable

IDS = st.none() | st.sampled_from(["s1", "s2", "s3"])
URLS = st.none() | st.sampled_from([URL, f"{URL}?sig=abc", f"{URL}2", f"{URL}3", ""])
TIMES = st.none() | st.sampled_from([NOW, NOW - timedelta(minutes=5)])
REPORTS = st.lists(
    st.builds(
        BlobReport,
        status=st.sampled_from([*BlobStatus, "Levitating"]),
        source_id=IDS,
        url=URLS,
        last_updated=TIMES,
        failure_status=st.none() | st.sampled_from([*FailureStatus]),
        details=st.none() | st.just("busy"),
    ),
    max_size=8,
)
NAMED = (NamedBlob(f"{URL}?sig=theirs", "s1"), NamedBlob(f"{URL}2", "S2", 5), NamedBlob(f"{URL}3", None))


# Reading


def read_both(body: bytes) -> tuple[StatusReport | None, StatusReport | None]:
    """The same answer read at once and one by one; None where it is no status."""
    return _read(lambda: read_status(body)), _read(lambda: read_long_status(BytesIO(body)))


def _read(read: Callable[[], StatusReport]) -> StatusReport | None:
    try:
        report = read()
    except NoStatus:
        return None
    return report if report.blobs is None else replace(report, blobs=tuple(report.blobs))


def agrees(body: bytes) -> bool:
    """Whether both readers say the same, one of them from pieces that end anywhere."""
    with pytest.MonkeyPatch.context() as smaller:
        smaller.setattr(long_json, "_PIECE", 997)
        at_once, one_by_one = read_both(body)
    return at_once == one_by_one


@pytest.mark.parametrize("piece", [1, 2, 3, 5])
def test_an_answer_may_come_in_pieces_of_any_size(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_json, "_PIECE", piece)
    for good in (GOOD_STATUS, FINISHED):
        at_once, one_by_one = read_both(json.dumps(good, indent=1).encode())
        assert at_once == one_by_one
        assert at_once is not None


def test_a_value_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_json, "_PIECE", 100)
    monkeypatch.setattr(long_json, "_LONGEST_VALUE", 1000)
    body = BytesIO(b'{"details": [{"status": "' + b"x" * 10_000)
    with pytest.raises(NoStatus):
        read_long_status(body)


@settings(max_examples=300, deadline=timedelta(minutes=1))
@given(damaged(GOOD_STATUS) | damaged(FINISHED))
@example(b'{"details": [1], "Details": []}')
@example(b'{"details": [{"status": "Failed"}], "DETAILS": [{"status": "Queued"}, {"status": "Succeeded"}]}')
@example(b'{"details": [{"status": "Failed"}]} x')
@example(b'{"details": [{"status": "Failed"}], "details": null}')
@example(b'{"details": {"a": [{"status": "Failed"}]}, "other": [{"details": [1]}]}')
@example(b'{"status": {"failed": 1.0, "queued": 2e0}, "details": [{"status": 1.50, "details": 1e400}]}')
@example(b'\xef\xbb\xbf{"details": [{"status": "Failed"}]}')
@example('{"details": [{"status": "Failed", "details": "\u20ac"}]}'.encode("utf-16"))
@example(b"")
@example(b"[]")
@example(b'{"details": [{"status": ')
def test_an_answer_is_read_one_by_one_as_it_is_at_once(body: bytes) -> None:
    assert agrees(body)


def test_any_value_anywhere_is_read_alike() -> None:
    bodies = list(one_odd_value(GOOD_STATUS))
    assert len(bodies) > 1000
    assert [body for body in bodies if not agrees(body)] == []


def test_what_is_not_asked_for_is_not_held() -> None:
    body = json.dumps({"details": [{"status": "Succeeded"}], "more": [{"details": []}] * 3, "startTime": None}).encode()
    report = read_long_status(BytesIO(body))
    assert list(report.blobs or ()) == [BlobReport("Succeeded")]
    assert report.tally == report.shown == Counts(succeeded=1)


# Keeping


def test_the_file_has_no_name_and_is_gone_with_its_blobs() -> None:
    before = set(nameless_files())
    blobs = ManyBlobs(BlobReport("Failed", str(number), details="x" * 2000) for number in range(5000))
    assert len(set(nameless_files()) - before) == 1
    assert len(blobs) == 5000
    held = weakref.ref(blobs)
    del blobs
    assert held() is None
    assert set(nameless_files()) <= before


def nameless_files() -> Iterator[str]:
    """The files without a name that this process has open. What else it has is no test's own: sockets of threads."""
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            leads_to = str(each.readlink())
            if leads_to.endswith("(deleted)"):
                yield leads_to


def test_memory_holds_little_of_many_blobs() -> None:
    tracemalloc.start()
    blobs = ManyBlobs(BlobReport("Failed", str(number), details="x" * 2000) for number in range(20_000))
    blobs.pair()
    assert sum(len(blobs.bare(prefix)) for prefix in blobs.prefixes()) == 20_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * 2**20


@given(REPORTS)
def test_blobs_come_back_as_they_were(reports: list[BlobReport]) -> None:
    blobs = ManyBlobs(reports)
    assert list(blobs) == list(blobs) == reports
    assert (len(blobs), bool(blobs), blobs.counts) == (len(reports), bool(reports), Counts.of(reports))
    assert blobs.has_transient == any(each.is_transient for each in reports)
    assert blobs.lacks_url == any(each.url is None for each in reports)
    assert all(each in blobs for each in reports)
    assert BlobReport("Lost") not in blobs


@pytest.mark.parametrize(
    ("blobs", "size", "parts"),
    [(0, 0, 1), (500, 0, 1), (501, 0, 16), (8_000, 0, 16), (8_001, 0, 256), (100_000, 40 * 2**20, 256), (1, 2**20, 16)],
)
def test_parts_fit_into_memory(blobs: int, size: int, parts: int) -> None:
    found = prefixes(blobs, size)
    assert len(found) == len(set(found)) == parts
    assert len({len(each) for each in found}) == 1


# Pairing


def stored_rows(reports: list[BlobReport]) -> dict[str, BlobRow]:
    rows = merge({}, reports, attempt=1, most=5)
    return {row.key: row for row in sorted(rows, key=lambda row: row.key)}


def names(rows: dict[str, BlobRow]) -> Iterator[Named]:
    return (Named(row.key, row.report.source_id, row.report.url) for row in rows.values())


@settings(max_examples=500)
@given(REPORTS, REPORTS, st.sampled_from(["paired before", "not paired before"]))
@example([BlobReport("Failed", None, URL)], [BlobReport("Failed", "s1", URL)], "")
@example(
    [BlobReport("Failed", None, URL)] * 2,
    [BlobReport("Failed", "s1", URL), BlobReport("Failed", None, URL)],
    "paired before",
)
def test_each_blob_finds_its_row_as_in_memory(before: list[BlobReport], reports: list[BlobReport], how: str) -> None:
    rows = stored_rows(before)
    blobs = ManyBlobs(reports)
    if how == "paired before":
        # By what they say alone, as where nothing is stored.
        blobs.pair()
        assert blobs.bare("") == keyed({}, reports)
    blobs.pair(names(rows))
    assert blobs.bare("") == keyed(rows, reports)
    parts = [pair for prefix in "0123456789abcdef" for pair in blobs.part(prefix).keyed({})]
    assert sorted(parts, key=lambda pair: pair[0]) == sorted(keyed(rows, reports), key=lambda pair: pair[0])
    urls = {key: each.url for (key, _), each in zip(keyed(rows, reports), reports, strict=True)}
    assert blobs.part("").urls({}) == urls


def test_a_url_that_is_found_is_its_blobs_own() -> None:
    blobs = ManyBlobs([BlobReport("Failed", "s1"), BlobReport("Failed", "s2"), BlobReport("Failed", "s1", f"{URL}9")])
    blobs.find_urls(lambda blob: f"{URL}?sig=abc" if blob.source_id == "s1" else None)
    blobs.pair()
    expected = [BlobReport("Failed", "s1", f"{URL}?sig=abc"), *list(blobs)[1:]]
    assert list(blobs) == expected
    assert blobs.bare("") == keyed({}, expected)
    assert [each.url for _, each in blobs.bare("")] == [bare_url(URL), None, f"{URL}9"]


# Recording


class Recorded:
    """An operation whose reports are recorded in memory's tables."""

    def __init__(self, named: tuple[NamedBlob, ...], **settler: Any) -> None:  # noqa: ANN401, passed on
        self.random = iter(range(10**6))
        ambient = Ambient(now=lambda: NOW, random=lambda: 0.5, new_id=lambda: str(next(self.random)))
        clients: list[Any] = [MemoryTable(page=3) for _ in range(3)]
        tables = [Table(client) for client in clients]
        for table in tables:
            table.create()
        self.queue = MemoryQueue(lambda: NOW + timedelta(hours=1))
        self.queue.create_queue()
        self.results = Results(*tables[:2])
        self.executor = ThreadPoolExecutor(1)
        self.outstanding = OutstandingOperations(tables[2], Defaults(Endpoints(CLUSTER)), self.executor)
        self.outstanding.check_layout()
        retries = Queue(cast("Any", self.queue))
        self.settler = Settler(self.outstanding, self.results, retries, RETRYING, ambient, **settler)
        self.operation = Operation(CLUSTER, "db", "events", "op")
        Registrar(self.outstanding, self.results, POLLING, ambient).register(
            OperationMessage(self.operation, blobs=named)
        )
        self.is_read_before = False

    def before(self) -> Outstanding:
        (found,) = self.outstanding.due(NOW + timedelta(hours=1), 5).operations
        return replace(found, pointer_etag="") if self.is_read_before else found

    def record(self, report: StatusReport) -> Standing:
        before = self.before()
        standing = self.settler.record(before, report)
        self.is_read_before = True
        return standing

    def retried(self) -> list[RetryBlob]:
        """The blobs of all retry messages, in the order of their keys."""
        found: list[RetryBlob] = []
        while (message := self.queue.receive_message()) is not None:
            found += read_retry(str(message.content).encode(), Defaults(Endpoints(CLUSTER))).blobs
        return sorted(found, key=lambda blob: blob.key or "")


@contextmanager
def recorded(named: tuple[NamedBlob, ...], **settler: int) -> Iterator[Recorded]:
    made = Recorded(named, **settler)
    yield made
    made.executor.shutdown()


@contextmanager
def parts_of(blobs: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as smaller:
        smaller.setattr(many_blobs, "_BLOBS_OF_PART", blobs)
        yield


@settings(max_examples=60, deadline=timedelta(minutes=1))
@given(
    st.lists(st.tuples(REPORTS, st.booleans()), min_size=1, max_size=3),
    st.sampled_from([(), NAMED]),
    st.sampled_from([0.01, 1, 3]),
)
def test_blobs_recorded_in_parts_are_as_those_recorded_at_once(
    answers: list[tuple[list[BlobReport], bool]], named: tuple[NamedBlob, ...], size: int
) -> None:
    with recorded(named) as at_once, recorded(named, most_at_once=0) as in_parts, parts_of(size):
        for reports, is_long in answers:
            expected = at_once.record(StatusReport(Counts.of(reports), tuple(reports)))
            found = in_parts.record(StatusReport(Counts.of(reports), ManyBlobs(reports) if is_long else tuple(reports)))
            assert _without_etags(found) == _without_etags(expected)
            rows = [
                sorted(map(_without_etag, each.results.blobs(each.operation).values()), key=_key)
                for each in (at_once, in_parts)
            ]
            assert rows[0] == rows[1]
        assert in_parts.retried() == at_once.retried()


def _key(row: BlobRow) -> str:
    return row.key


def _without_etag(row: BlobRow) -> BlobRow:
    return replace(row, etag="")


def _without_etags(standing: Standing) -> Standing:
    first, last = (each and _without_etag(each) for each in (standing.first, standing.last))
    return replace(standing, first=first, last=last)
