"""How many requests each query of the HTTP API sends to storage: docs/api.md states these figures, and no others.

They do not depend on how much is stored: each is counted among few operations and among many more.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from local.azurite import Azurite
from shared.keys import SHARDS
from shared.messages import Lineage
from shared.model import Operation, OperationState
from shared.reading import Named, Reading, Wanted
from shared.store.listing import Filter, Listing
from tests.storage.test_requests import Counted
from tests.support.parts import CLUSTER, blob

PAGE = (Path(__file__).parent.parent.parent / "docs" / "api.md").read_text()
URL = "https://account.blob.core.windows.net/landing/{}.csv"
_count = iter(range(10_000))
ROOT = "root"


class Asked(Counted):
    """Parts with operations that are asked for, and counted requests."""

    def __init__(self, storage: Azurite, mark: str, operations: int) -> None:
        super().__init__(storage, mark)
        self.mark = mark
        self.reading = Reading(
            Listing(self.tables["Outstanding"], self.storage_threads), self.results, self.defaults, self.storage_threads
        )
        for number in range(operations):
            self.register(f"op-{number}")
            self.later(seconds=1)
        self.root = self.register(ROOT, *map(URL.format, range(9)))
        self.adx.says(ROOT, *(blob(URL.format(number), "Succeeded") for number in range(9)))
        for attempt in (2, 3):
            lineage = Lineage(attempt=attempt, root_operation_id=ROOT, parent_operation_id=ROOT)
            self.register(f"again-{attempt}", lineage=lineage)
        self.tick()
        self.sent.clear()

    def cost(self) -> int:
        """Requests to tables since the last time."""
        tables, queues = self.counts()
        assert queues == 0
        return tables


@pytest.fixture(params=[4, 60], ids=["few", "many"])
def asked(request: pytest.FixtureRequest, storage: Azurite) -> Iterator[Asked]:
    with closing(Asked(storage, f"costs{next(_count)}", request.param)) as made:
        yield made


def stated(query: str) -> int:
    """The requests that the documentation states, of the row that begins so."""
    (row,) = re.findall(rf"^\| {re.escape(query)} \| ([0-9]+)", PAGE, re.MULTILINE)
    return int(row)


QUERIES: dict[str, Callable[[Asked], object]] = {
    "a page of operations, of all states or of one": lambda asked: asked.reading.page(Wanted(Filter()), 3, None),
    "one operation by its ID": lambda asked: asked.reading.find(Named((ROOT,))),
    "one operation by ID, cluster, database and table": lambda asked: asked.reading.find(
        Named((ROOT,), CLUSTER, "db", "events")
    ),
    "its lineage": lambda asked: asked.reading.lineage(asked.reading.find(Named((ROOT,), CLUSTER, "db", "events"))),
    "a page of blobs": lambda asked: asked.reading.blobs(asked.root, 3, None),
}
"""Each query, with the rows that it reads one by one."""

OF_ROWS = {"a page of operations, of all states or of one": 3, "its lineage": 2}
"""Requests for the rows themselves, on top of what the documentation states: one for each operation that is told."""

BESIDE = {"its lineage": 2}
"""Requests to find the operation first."""


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_costs_what_the_documentation_says(asked: Asked, query: str) -> None:
    QUERIES[query](asked)
    assert asked.cost() == stated(query) + OF_ROWS.get(query, 0) + BESIDE.get(query, 0)


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(states=(OperationState.IN_PROGRESS,)),
        Filter(cluster=CLUSTER, database="db", table="events"),
        Filter(database="db"),
    ],
)
def test_a_filter_costs_no_more(asked: Asked, wanted: Filter) -> None:
    found, after = asked.reading.page(Wanted(wanted), 3, None)
    assert (len(found), after is None) == (3, False)
    assert asked.cost() == stated("a page of operations, of all states or of one") + 3
    asked.reading.page(Wanted(wanted), 3, after)
    assert asked.cost() <= stated("a page of operations, of all states or of one") + 3


def test_each_further_state_costs_as_much_again(asked: Asked) -> None:
    wanted = Filter(states=(OperationState.IN_PROGRESS, OperationState.SUCCEEDED))
    found, _ = asked.reading.page(Wanted(wanted), 3, None)
    assert asked.cost() == 2 * stated("a page of operations, of all states or of one") + len(found)


def test_a_search_reads_what_it_tells(asked: Asked) -> None:
    found = asked.reading.search("again-", Wanted(Filter()), 10)
    assert {each.operation.operation_id for each in found} == {"again-2", "again-3"}
    assert asked.cost() == stated("a search by the beginning of an ID") + 2


def test_blobs_by_status_are_found_by_the_service(asked: Asked) -> None:
    page = asked.reading.blobs(asked.root, 5, None, ["Succeeded"])
    assert (len(page.rows), page.after is None) == (5, False)
    assert asked.cost() == stated("a page of blobs")
    rest = asked.reading.blobs(asked.root, 5, page.after, ["Succeeded"])
    assert (len(rest.rows), rest.after) == (4, None)
    assert asked.cost() == stated("a page of blobs")
    assert asked.reading.blobs(asked.root, 5, None, ["Failed"]).rows == ()
    assert asked.cost() == stated("a page of blobs")


def test_the_summary_reads_a_page_of_each_partition(asked: Asked) -> None:
    copies = list(asked.reading.listing.summary(Filter(), 20_000))
    assert len(copies) in {4 + 3, 60 + 3}
    assert asked.cost() == len(SHARDS) == stated("the summary, up to 16,000 operations or so")


def test_an_operation_of_before_there_were_lists_is_found_by_its_key(asked: Asked) -> None:
    operation = Operation(CLUSTER, "db", "events", "op-1")
    for row in list(
        asked.tables["Outstanding"].query("RowKey ge @from and RowKey lt @to", {"from": "id|", "to": "id~"})
    ):
        asked.table_service.get_table_client("Outstanding" + asked.mark).delete_entity(
            row["PartitionKey"], row["RowKey"]
        )
    found = asked.reading.find(Named((operation.operation_id,), None, "db", "events"))
    assert found.operation == operation
