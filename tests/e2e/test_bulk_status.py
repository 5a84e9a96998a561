"""The app with KUSTO_BULK_STATUS: the same ends, from fewer requests."""

from local.adx_simulator import AdxSimulator, BlobFault, RequestFault
from local.functions_host import FunctionsHost
from shared.bulk_poll import LEAST_OPERATIONS
from tests.support.world import World, eventually

GOOD = b"1,2\n3,4\n"
OPERATIONS = 12
FAULTS = (
    BlobFault(kind="transient", url_contains="flaky", submissions=1),
    BlobFault(kind="stuck", url_contains="stuck"),
)


def start(world: World, adx: AdxSimulator) -> FunctionsHost:
    """The app with bulk status, and a cluster that takes some seconds, so that there are polls without news."""
    adx.configure(batching_seconds=5)
    return world.start_host(KUSTO_BULK_STATUS="true")


def submit(world: World) -> list[str]:
    """Operations on their way together, each with a blob that is loaded at once and one at the second attempt."""
    return [
        world.submit_and_post([world.upload(f"good-{n}.csv", GOOD), world.upload(f"flaky-{n}.csv", GOOD)])
        for n in range(OPERATIONS)
    ]


def submit_stuck(world: World) -> list[str]:
    """Operations that do not end: twice as many as are asked for in bulk, so that sooner or later so many are due."""
    urls = [world.upload(f"stuck-{n}.csv", GOOD) for n in range(2 * LEAST_OPERATIONS)]
    return [world.submit_and_post([url]) for url in urls]


def loaded_at_the_second_attempt(world: World) -> bool:
    ended = [row for row in world.operations() if (row["Attempt"], row["State"]) == (2, "Succeeded")]
    return len(ended) == OPERATIONS


def check_books(world: World, adx: AdxSimulator, operations: list[str], stuck: list[str]) -> None:
    """Every blob is in the table once, and every operation ended as it must."""
    assert {world.known(each)["State"] for each in operations} == {"PartiallySucceeded"}
    books = adx.books()
    assert (books.rows, books.duplicates) == (2 * OPERATIONS * 2, ())
    eventually(lambda: {row["OperationId"] for row in world.outstanding()} == set(stuck), "the end of the watch")


def test_operations_end_with_the_same_books(world: World, adx: AdxSimulator) -> None:
    adx.set_faults(FAULTS)
    start(world, adx)
    operations, stuck = submit(world), submit_stuck(world)
    eventually(lambda: loaded_at_the_second_attempt(world))
    check_books(world, adx, operations, stuck)
    eventually(lambda: adx.requests().count("bulk", status=200), "bulk status")
    counts = adx.requests()
    assert counts.count("bulk") == counts.count("bulk", status=200)


def test_what_bulk_status_does_not_show_falls_back_for_good(world: World, adx: AdxSimulator) -> None:
    adx.configure(bulk_hides=1)
    adx.set_faults(FAULTS)
    with start(world, adx):
        operations, stuck = submit(world), submit_stuck(world)
        eventually(lambda: loaded_at_the_second_attempt(world))
        eventually(lambda: {row["OperationId"] for row in world.outstanding()} == set(stuck))
        # Those that are left over are too few for bulk status; all others were asked for by it, and are not again.
        eventually(lambda: sum(not row.get("RestOnly") for row in world.outstanding()) < LEAST_OPERATIONS)
    # Another instance keeps to it: it polls, and does not ask in bulk.
    before = adx.requests()
    with start(world, adx):
        eventually(lambda: adx.requests().count("status") >= before.count("status") + 6, "some polls")
    assert adx.requests().count("bulk") == before.count("bulk") > 0
    assert {row["OperationId"] for row in world.outstanding()} == set(stuck)
    assert {world.known(each)["State"] for each in operations} == {"PartiallySucceeded"}
    books = adx.books()
    assert (books.rows, books.duplicates) == (2 * OPERATIONS * 2, ())


def test_a_command_that_is_refused_is_left_alone(world: World, adx: AdxSimulator) -> None:
    adx.set_faults([*FAULTS, RequestFault(effect="error", request="bulk", status=403)])
    start(world, adx)
    operations, stuck = submit(world), submit_stuck(world)
    eventually(lambda: loaded_at_the_second_attempt(world))
    check_books(world, adx, operations, stuck)
    eventually(lambda: adx.requests().count("bulk"), "bulk status")
    # Two runs may overlap before the first answer.
    assert adx.requests().count("bulk") <= 2
