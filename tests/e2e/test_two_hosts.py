"""Two hosts on the same storage at once: they share the work, and do nothing twice."""

from collections import Counter
from collections.abc import Sequence

import pytest

from local.adx_simulator import AdxSimulator, BlobFault, Books, RequestFault
from local.functions_host import FunctionsHost
from local.soak.evidence import HostEnd, HostLog
from local.soak.faults import APP
from local.soak.judgement import settled_operations
from tests.support.world import World, eventually

OPERATIONS = 30
BLOBS = ("good", "flaky-a", "flaky-b")
ROWS = 3


def start_two(world: World, deduplicate: str) -> list[FunctionsHost]:
    """Two hosts that poll every second and hand out all that is due."""
    return [world.start_host(POLL_INLINE_LIMIT="0", RETRY_DEDUPLICATE=deduplicate) for _ in range(2)]


def submit_all(world: World) -> None:
    for number in range(OPERATIONS):
        world.submit_and_post([world.upload(f"{kind}.{number}.csv", rows_of(f"{kind},{number}")) for kind in BLOBS])


def rows_of(what: str) -> bytes:
    return "".join(f"{what},{row}\n" for row in range(ROWS)).encode()


def drained(world: World, adx: AdxSimulator) -> Books:
    """The books once every operation has ended and nothing is left to do."""

    def ended() -> int:
        """How many operations there are, if all have ended."""
        operations = world.operations()
        has_ended = not world.outstanding() and all(row["State"] != "InProgress" for row in operations)
        return len(operations) if has_ended and len(operations) > OPERATIONS else 0

    def look() -> bool:
        # A retry is on its queue before its operation ends, and what comes of it is an operation before it is off.
        before = ended()
        return before > 0 and not any(world.length(queue) for queue in world.names) and ended() == before

    eventually(look, "the end of all operations", seconds=300)
    eventually(lambda: adx.books().unfinished == 0)
    return adx.books()


def stop(hosts: Sequence[FunctionsHost]) -> None:
    """Let them tell what they have done: that comes after the doing."""
    assert [host.stop() for host in hosts] == [0, 0]


def settled(hosts: Sequence[FunctionsHost]) -> list[Counter[str]]:
    """How often each host tells of each operation's end."""
    return [settled_operations([HostLog("a host", HostEnd.STOPPED, host.output())]) for host in hosts]


@pytest.mark.parametrize("deduplicate", ["true", "false"])
def test_two_hosts_share_the_work_and_do_nothing_twice(world: World, adx: AdxSimulator, deduplicate: str) -> None:
    adx.set_faults([BlobFault(kind="transient", url_contains="/flaky", submissions=2)])
    hosts = start_two(world, deduplicate)
    submit_all(world)
    books = drained(world, adx)
    stop(hosts)
    assert (books.rows, books.duplicates) == (OPERATIONS * len(BLOBS) * ROWS, ())
    assert [table.repeated_rows for table in books.tables] == [0]
    assert Counter(blob.submissions for blob in books.blobs) == {1: OPERATIONS, 3: 2 * OPERATIONS}
    first, second = settled(hosts)
    assert first + second == Counter(row["OperationId"] for row in world.operations())
    assert max((first + second).values()) == 1
    # An even share is a matter of luck; that one host does nearly all is not.
    assert min(first.total(), second.total()) > OPERATIONS / 5
    for host in hosts:
        assert "INFO poll_batch operation.settled" in host.output()
        assert "INFO resubmit_blobs blobs.resubmitted" in host.output()


def test_without_deduplication_a_blob_comes_twice_only_if_an_answer_was_lost(world: World, adx: AdxSimulator) -> None:
    lost = RequestFault(effect="close", request="submit", accepted=True, app=APP, times=6)
    adx.set_faults([lost, BlobFault(kind="transient", url_contains="/flaky", submissions=1)])
    hosts = start_two(world, "false")
    submit_all(world)
    books = drained(world, adx)
    stop(hosts)
    known = {row["OperationId"] for row in world.operations()}
    unknown = {blob.url: [each for each in blob.operations if each not in known] for blob in books.blobs}
    assert len({each for operations in unknown.values() for each in operations}) == 6
    assert {blob.url: blob.times_ingested for blob in books.blobs} == {
        url: 1 + len(operations) for url, operations in unknown.items()
    }
    assert sum(host.output().count(" resubmission.unknown: ") for host in hosts) == 6
    assert max(sum(settled(hosts), Counter()).values()) == 1
