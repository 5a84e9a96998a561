"""List rows: what is listed of operations, at each step of their lives, and how they are found by it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from shared import keys
from shared.errors import OperationNotFound
from shared.messages import Lineage, OperationMessage
from shared.model import GIVEN_UP_AS, Counts, Operation, OperationState, RetryState
from shared.redrive_request import read_blobs_request
from shared.store.list_rows import LONGEST_NAME
from shared.store.listing import Filter, Listed
from shared.store.tables import BadPosition, Conflict, Table, Write, deletion
from tests.support.parts import CLUSTER, START, Parts, blob

A, B = (f"https://account.blob.core.windows.net/c/{name}.csv" for name in "ab")
type Row = dict[str, Any]


def list_rows(parts: Parts, operation: Operation | None = None) -> list[str]:
    """The kinds of list rows that there are, with the state of those that have one."""
    found = []
    for row in parts.tables["Outstanding"].query("PartitionKey ge @first", {"first": "0"}, select=["RowKey"]):
        kind, *rest = str(row["RowKey"]).split("|")
        is_own = operation is None or rest[-1] == operation.key
        if is_own and kind not in ("op", "due", "dispatched"):
            found.append(f"{kind} {rest[0]}" if kind == "state" else kind)
    return sorted(found)


def listed_as(state: str, *more: str) -> list[str]:
    return sorted(["all", "id", "table", f"state {state}", *more])


def ids(found: Iterator[Listed] | list[Listed] | tuple[Listed, ...]) -> list[str]:
    return [each.operation.operation_id for each in found]


def all_pages(parts: Parts, wanted: Filter, most: int) -> list[str]:
    """All of a listing, page by page."""
    found, after = [], None
    for _ in range(100):
        page = parts.listing.page(wanted, most, after)
        assert len(page.items) <= most
        found += ids(page.items)
        after = page.after
        if after is None:
            return found
    raise AssertionError("the listing has no end")


def register_many(parts: Parts, number: int, prefix: str = "op") -> list[str]:
    """Operations a second apart, the newest first."""
    names = [f"{prefix}-{place:03}" for place in range(number)]
    for name in names:
        parts.register(name, A)
        parts.later(seconds=1)
    return names[::-1]


def test_what_is_registered_is_listed_newest_first_across_partitions(parts: Parts) -> None:
    names = register_many(parts, 40)
    assert len({keys.shard(each.operation.key) for each in parts.listing.page(Filter(), 40).items}) > 8
    page = parts.listing.page(Filter(), 100)
    assert (ids(page.items), page.after) == (names, None)
    assert all(parts.results.operation(each.pointer) for each in page.items)


@pytest.mark.parametrize("most", [1, 7, 40, 41])
def test_pages_go_on_where_the_last_one_ended(parts: Parts, most: int) -> None:
    names = register_many(parts, 40)
    assert all_pages(parts, Filter(), most) == names


def test_nothing_is_lost_or_doubled_while_new_ones_come_and_others_end(parts: Parts) -> None:
    names = register_many(parts, 30)
    for name in names[::2]:
        parts.adx.says(name, blob(A, "Succeeded"))
    found, after = [], None
    for number in count():
        page = parts.listing.page(Filter(), 7, after)
        found += ids(page.items)
        after = page.after
        if after is None:
            break
        parts.register(f"new-{number}", A)
        parts.tick()
    assert found == names


def test_an_operation_of_two_states_at_once_is_on_a_page_once(parts: Parts) -> None:
    operation = parts.register("op", A)
    page = parts.listing.page(Filter(states=(OperationState.IN_PROGRESS,)), 5)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    # As if it had been read before it ended.
    key = f"state|InProgress|{page.items and _place(parts, operation)}"
    parts.tables["Outstanding"].insert(
        {**_row(parts, operation, "all"), "PartitionKey": keys.shard(operation.key), "RowKey": key}
    )
    both = Filter(states=(OperationState.IN_PROGRESS, OperationState.SUCCEEDED))
    assert ids(parts.listing.page(both, 5).items) == ["op"]


def test_operations_are_found_by_state(parts: Parts) -> None:
    fates = {"good": "Succeeded", "bad": "Failed", "canceled": "Canceled", "running": "InProgress"}
    for name, status in fates.items():
        parts.register(name, A)
        parts.adx.says(name, blob(A, status, "Permanent" if status == "Failed" else None))
        parts.later(seconds=1)
    parts.tick()
    for name, status in fates.items():
        assert all_pages(parts, Filter(states=(OperationState(status),)), 10) == [name]
    some = Filter(states=(OperationState.FAILED, OperationState.SUCCEEDED, OperationState.NOT_FOUND))
    assert all_pages(parts, some, 1) == ["bad", "good"]
    assert all_pages(parts, Filter(states=tuple(OperationState)), 2) == ["running", "canceled", "bad", "good"]


def test_operations_are_found_by_table_and_by_part_of_it(parts: Parts) -> None:
    places = [("db", "events"), ("db", "it's"), ("other", "events")]
    for place, (database, table) in enumerate(places):
        parts.registrar.register(OperationMessage(Operation(CLUSTER, database, table, f"op-{place}")))
        parts.later(seconds=1)
    assert all_pages(parts, Filter(cluster=CLUSTER, database="db", table="it's"), 5) == ["op-1"]
    assert all_pages(parts, Filter(database="db"), 5) == ["op-1", "op-0"]
    assert all_pages(parts, Filter(table="events"), 1) == ["op-2", "op-0"]
    assert all_pages(parts, Filter(cluster="https://another"), 5) == []
    running = (OperationState.IN_PROGRESS,)
    assert all_pages(parts, Filter(states=running, cluster=CLUSTER, database="other", table="events"), 5) == ["op-2"]


def test_operations_are_found_by_the_time_of_their_registration(parts: Parts) -> None:
    register_many(parts, 10)
    since, until = START + timedelta(seconds=3), START + timedelta(seconds=6)
    for more in (
        {},
        {"states": (OperationState.IN_PROGRESS,)},
        {"cluster": CLUSTER, "database": "db", "table": "events"},
    ):
        wanted = replace(Filter(since=since, until=until), **more)
        assert all_pages(parts, wanted, 2) == ["op-005", "op-004", "op-003"]
    assert [each.operation.operation_id for each in parts.listing.summary(Filter(since=since), 2)] == [
        "op-009",
        "op-008",
    ]


@pytest.mark.parametrize("after", ["", "x", "1|a", "9" * 18 + "|" + "g" * 32, "9" * 18 + "|" + "a" * 32 + "\n"])
def test_what_is_no_position_is_refused(parts: Parts, after: str) -> None:
    with pytest.raises(BadPosition):
        parts.listing.page(Filter(), 5, after)


ODD = ["a/b#?%|=c\\", "ä\U0001f600", "x" * 512, "x" * 511 + "y", "\U0001f600" * 250, "~", "\ufffd"]


@pytest.mark.parametrize("operation_id", ODD)
def test_an_operation_is_found_by_its_id_and_by_its_beginning(parts: Parts, operation_id: str) -> None:
    for each in ODD:
        parts.register(each, A)
    there_too = Operation(CLUSTER, "db", "other", operation_id)
    parts.registrar.register(OperationMessage(there_too))
    assert {each.operation for each in parts.listing.with_id(operation_id)} == {
        replace(there_too, table="events"),
        there_too,
    }
    assert parts.listing.with_id(operation_id[:-1]) == []
    for length in (1, len(operation_id) // 2, len(operation_id)):
        prefix = operation_id[:length]
        expected = sorted(each for each in ODD if each.startswith(prefix))
        assert sorted(set(ids(parts.listing.beginning_with(prefix, 20)))) == expected
    assert len(parts.listing.beginning_with("", 3)) == 3


def test_what_begins_alike_comes_by_id(parts: Parts) -> None:
    names = register_many(parts, 20)
    parts.register("another", A)
    assert ids(parts.listing.beginning_with("op-0", 100)) == sorted(names)
    assert ids(parts.listing.beginning_with("op-01", 3)) == ["op-010", "op-011", "op-012"]
    assert parts.listing.beginning_with("op-1", 3) == []


@pytest.mark.parametrize("root", ["root", "r/" * 200 + "long"])
def test_resubmissions_are_found_by_their_root(parts: Parts, root: str) -> None:
    # A root that another app has submitted need not be known here; its ID may fit no row key.
    assert (len(keys.escape(root)) > LONGEST_NAME) == (len(root) > 400)
    for attempt in (10, 2, 3):
        parts.register(f"again-{attempt}", A, lineage=Lineage(attempt, root, root))
    assert ids(parts.listing.of_root(root)) == ["again-2", "again-3", "again-10"]
    assert list_rows(parts, Operation(CLUSTER, "db", "events", "again-2")) == listed_as("InProgress", "root")


def test_an_ending_is_copied_and_moves_an_operation_to_its_state(parts: Parts) -> None:
    operation = parts.register("op", A, B)
    assert list_rows(parts) == listed_as("InProgress")
    (running,) = parts.listing.summary(Filter(), 10)
    assert (running.state, running.counts, running.settled_at) == (OperationState.IN_PROGRESS, Counts(), None)
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Failed", "Transient"))
    parts.tick()
    assert list_rows(parts) == listed_as("PartiallySucceeded")
    (copy,) = parts.listing.summary(Filter(), 10)
    row = parts.row(operation)
    assert (copy.operation, copy.registered_at, copy.state) == (operation, START, row.state)
    assert (copy.counts, copy.settled_at) == (Counts(1, 1), row.settled_at)
    assert (copy.first_error_code, copy.retried) == ("General_ThrottledIngestion", 1)
    assert (row.operation, row.registered_at, row.retried_blobs, row.transient_failures) == (operation, START, 1, 1)


def test_all_that_ends_in_one_tick_is_listed_as_what_it_has_ended(parts: Parts) -> None:
    names = register_many(parts, 60)
    for place, name in enumerate(names):
        parts.adx.says(name, blob(A, "Succeeded" if place % 2 else "Canceled"))
    parts.tick()
    assert Counter(list_rows(parts)) == {
        **dict.fromkeys(("all", "id", "table"), 60),
        "state Succeeded": 30,
        "state Canceled": 30,
    }
    states = Counter(copy.state for copy in parts.listing.summary(Filter(), 1_000))
    assert states == {OperationState.SUCCEEDED: 30, OperationState.CANCELED: 30}
    wanted = Filter(states=(OperationState.CANCELED,))
    assert len(list(parts.listing.summary(wanted, 1_000))) == 30


def test_a_correction_moves_an_operation_to_its_new_state(parts: Parts) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    (message,) = parts.retries()
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.resubmitter.handle(message)
    parts.resubmitter.handle(message)
    assert list_rows(parts) == listed_as("Succeeded")
    (copy,) = parts.listing.summary(Filter(), 10)
    assert (copy.state, copy.counts) == (OperationState.SUCCEEDED, Counts(1))
    assert parts.row(operation).state is OperationState.SUCCEEDED


def test_a_correction_waits_for_as_many_others_as_an_instance_has_messages_in_hand(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    (message,) = parts.retries()
    parts.adx.says("op", blob(A, "Succeeded"))
    write, others = Table.write, iter(range(23))
    listed = parts.outstanding.list_rows._table  # noqa: SLF001

    def write_after_others(table: Table, group: Sequence[Write]) -> list[str]:
        if table is listed and next(others, None) is not None:
            raise Conflict
        return write(table, group)

    monkeypatch.setattr(Table, "write", write_after_others)
    parts.resubmitter.handle(message)
    assert list_rows(parts) == listed_as("Succeeded")
    assert next(others, None) is None


@pytest.mark.parametrize("kind", ["all", "state"])
def test_a_correction_bears_that_a_list_row_is_missing(parts: Parts, kind: str) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    _delete(parts, operation, kind)
    (message,) = parts.retries()
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.resubmitter.handle(message)
    assert parts.row(operation).state is OperationState.SUCCEEDED
    expected = {"all": ["id", "state Failed", "table"], "state": listed_as("Succeeded")}
    assert list_rows(parts) == expected[kind]


def test_a_correction_before_the_removal_has_the_last_word(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    write_back = parts.outstanding.write_back

    def write_back_late(*args: Any) -> None:  # noqa: ANN401, passed on
        (message,) = parts.retries()
        parts.adx.says("op", blob(A, "Succeeded"))
        parts.resubmitter.handle(message)
        write_back(*args)

    monkeypatch.setattr(parts.outstanding, "write_back", write_back_late)
    parts.tick()
    assert not parts.is_outstanding(operation)
    assert list_rows(parts) == listed_as("Succeeded")
    assert [copy.state for copy in parts.listing.summary(Filter(), 10)] == [parts.row(operation).state]


def test_an_end_that_died_before_the_removal_is_listed_as_its_row_says(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    with monkeypatch.context() as dying:
        dying.setattr(parts.outstanding, "write_back", lambda *_: None)
        parts.tick()
    ended = parts.row(operation)
    parts.adx.fails("op", OperationNotFound("not any more"))
    for _ in range(4):
        parts.tick()
    (copy,) = parts.listing.summary(Filter(), 10)
    assert (copy.state, copy.settled_at) == (OperationState.SUCCEEDED, ended.settled_at)
    assert list_rows(parts) == listed_as("Succeeded")


@pytest.mark.parametrize("kind", ["all", "state", "table", "id"])
def test_a_missing_list_row_does_not_keep_an_operation_from_its_end(parts: Parts, kind: str) -> None:
    operation, other = parts.register("op", A), parts.register("other", A)
    _delete(parts, operation, kind)
    for each in ("op", "other"):
        parts.adx.says(each, blob(A, "Succeeded"))
    parts.tick()
    assert not parts.is_outstanding(operation)
    assert not parts.is_outstanding(other)
    assert list_rows(parts, other) == listed_as("Succeeded")
    # What an end does not touch stays away.
    expected = listed_as("Succeeded")
    if kind in ("table", "id"):
        expected.remove(kind)
    assert list_rows(parts, operation) == expected


def test_what_the_version_before_registered_is_polled_ends_and_is_listed_then(parts: Parts) -> None:
    old, new = parts.register("old", A), parts.register("new", A)
    _make_unlisted(parts, old)
    assert list_rows(parts, old) == []
    for name in ("old", "new"):
        parts.adx.says(name, blob(A, "InProgress"))
    parts.tick()
    for name in ("old", "new"):
        parts.adx.says(name, blob(A, "Succeeded"))
    parts.tick()
    for operation in (old, new):
        assert not parts.is_outstanding(operation)
        assert parts.row(operation).state is OperationState.SUCCEEDED
        assert list_rows(parts, operation) == listed_as("Succeeded")
    assert len(list(parts.listing.summary(Filter(), 10))) == 2


def test_a_redrive_is_counted_in_the_copy(parts: Parts) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Permanent"))
    parts.tick()
    (before,) = parts.listing.summary(Filter(), 10)
    request = read_blobs_request(
        "op",
        {"database": "db", "table": "events", "cluster": CLUSTER, "blobs": [{"url": A + "?sig=x"}]},
        "ada",
        parts.defaults,
    )
    assert "Permanent" in GIVEN_UP_AS
    parts.redriver.redrive_blobs(request)
    (after,) = parts.listing.summary(Filter(), 10)
    assert (before.retried, after.retried) == (0, 1)
    assert parts.blobs(operation)[0].retry_state is RetryState.ENQUEUED
    assert list_rows(parts) == listed_as("Failed")


def test_what_is_pruned_is_listed_no_more(parts: Parts) -> None:
    old = register_many(parts, 40, "old")
    unlisted = parts.register("unlisted", A)
    _make_unlisted(parts, unlisted)
    torn = parts.register("torn", A)
    parts.register("again", A, lineage=Lineage(2, "old-000", "old-000"))
    running = parts.register("running", A)
    for name in (*old, "unlisted", "torn", "again"):
        parts.adx.says(name, blob(A, "Succeeded"))
    parts.adx.says("running", blob(A, "InProgress"))
    parts.tick()
    for kind in listed_as("Succeeded"):
        _delete(parts, unlisted, kind.split()[0])
    _delete(parts, torn, "id")
    parts.now = START + timedelta(days=60)
    new = parts.register("new", A)
    parts.now = START + timedelta(days=91)
    parts.pruner.prune()
    assert list_rows(parts) == sorted(listed_as("InProgress") * 2)
    assert set(ids(parts.listing.page(Filter(), 10).items)) == {"new", "running"}
    assert parts.results.pointer(unlisted) is None
    assert parts.results.pointer(torn) is None
    assert [parts.row(each).state for each in (new, running)] == [OperationState.IN_PROGRESS] * 2


def test_what_an_instance_of_the_version_before_has_ended_is_pruned(parts: Parts) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    # It has removed what was outstanding, and left the list rows as they were at registration.
    ended = Filter(states=(OperationState.SUCCEEDED,))
    succeeded, copy = _row(parts, operation, "state"), _row(parts, operation, "all")
    table, place = parts.tables["Outstanding"], _place(parts, operation)
    table.write([deletion(succeeded["PartitionKey"], succeeded["RowKey"])])
    table.upsert({**succeeded, "RowKey": f"state|InProgress|{place}"})
    table.upsert({**copy, "State": "InProgress"})
    assert parts.listing.page(ended, 5).items == ()
    parts.now = START + timedelta(days=91)
    parts.pruner.prune()
    assert list_rows(parts) == []
    assert parts.results.pointer(operation) is None


def test_a_pruning_cut_short_is_done_again(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = parts.register("old", A)
    parts.adx.says("old", blob(A, "Succeeded"))
    parts.tick()
    parts.now = START + timedelta(days=91)
    with monkeypatch.context() as dying:
        dying.setattr(parts.results, "delete_operations", lambda _: 0)
        parts.pruner.prune()
    assert list_rows(parts) == []
    parts.pruner.prune()
    assert list(parts.results.settled_before(parts.now.date())) == []
    # Its list rows being left over would not keep it from being watched again.
    parts.now = START + timedelta(days=92)
    parts.register("old", A)
    assert parts.is_outstanding(operation)


def test_left_over_list_rows_do_not_keep_an_operation_from_being_watched(parts: Parts) -> None:
    operation = parts.register("op", A)
    for row in (f"op|{operation.key}", *_row_keys(parts, operation, "due")):
        parts.tables["Outstanding"].write([deletion(keys.shard(operation.key), row)])
    parts.register("op", A)
    assert parts.is_outstanding(operation)
    assert list_rows(parts) == listed_as("InProgress")


def test_what_is_registered_again_while_it_is_pruned_is_found_by_its_id_and_its_root(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    lineage = Lineage(2, "root", "root")
    operation = parts.register("op", A, lineage=lineage)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    parts.now = START + timedelta(days=91)
    remove = parts.outstanding.list_rows.remove

    def remove_late(*args: Any) -> None:  # noqa: ANN401, passed on
        # Its blobs and its pointer are gone: nothing tells that it was known.
        parts.register("op", A, lineage=lineage)
        is_found_as_what_it_is()
        remove(*args)

    def is_found_as_what_it_is() -> None:
        listing = parts.listing
        for found in (listing.with_id("op"), listing.of_root("root"), listing.beginning_with("o", 5)):
            assert [each.pointer.registered_at for each in found] == [parts.now]

    monkeypatch.setattr(parts.outstanding.list_rows, "remove", remove_late)
    parts.pruner.prune()
    assert parts.is_outstanding(operation)
    assert list_rows(parts) == listed_as("InProgress", "root")
    is_found_as_what_it_is()


def test_ends_are_told_although_another_of_their_transaction_can_not_be_listed(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations: list[Operation] = []
    number = 0
    while len(operations) < 2:
        number += 1
        operation = Operation(CLUSTER, "db", "events", f"op-{number}")
        if keys.shard(operation.key) == "0":
            operations.append(parts.register(operation.operation_id, A))
    listed, unlisted = operations
    _make_unlisted(parts, unlisted)
    for each in operations:
        parts.adx.says(each.operation_id, blob(A, "Succeeded"))
    told: list[Operation] = []
    monkeypatch.setattr("shared.poll.tell", lambda ending: told.append(ending.before.operation))
    get = Table.get

    def fails_for_copies(table: Table, partition: str, row: str) -> Any:  # noqa: ANN401, passed on
        if row.startswith("all|"):
            raise HttpResponseError("the server is busy")
        return get(table, partition, row)

    with monkeypatch.context() as failing:
        failing.setattr(Table, "get", fails_for_copies)
        with pytest.raises(HttpResponseError):
            parts.tick()
    assert not parts.is_outstanding(listed)
    assert told == [listed]
    parts.tick()
    assert not parts.is_outstanding(unlisted)
    assert told == [listed, unlisted]


def test_a_page_costs_a_request_of_each_partition_and_few_rows(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    register_many(parts, 120)
    asked = []
    page = Table.page

    def counted(table: Table, *args: Any, **options: Any) -> Any:  # noqa: ANN401, passed on
        rows, has_more = page(table, *args, **options)
        asked.append(len(rows))
        return rows, has_more

    monkeypatch.setattr(Table, "page", counted)
    assert len(parts.listing.page(Filter(), 20).items) == 20
    assert (len(asked), sum(asked) <= 120) == (16, True)
    asked.clear()
    assert len(parts.listing.with_id("op-005")) == 1
    assert (len(asked), sum(asked)) == (16, 1)
    asked.clear()
    assert len(list(parts.listing.summary(Filter(), 1_000))) == 120
    assert (len(asked), sum(asked)) == (16, 120)


def test_ticks_and_the_backlog_are_noted(parts: Parts) -> None:
    assert (parts.listing.notes().poller_finished_at, parts.listing.notes().backlog) == (None, None)
    parts.register("op", A)
    parts.adx.says("op", blob(A, "InProgress"))
    parts.tick()
    parts.later(minutes=7)
    parts.backlog.measure()
    noted = parts.listing.notes()
    assert noted.poller_finished_at == parts.now - timedelta(minutes=7)
    assert noted.backlog is not None
    assert (noted.backlog.measured_at, noted.backlog.census.outstanding) == (parts.now, 1)
    assert noted.backlog.census.oldest_registered_at == START


def test_a_tick_that_can_not_be_noted_is_a_tick_all_the_same(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    monkeypatch.setattr(parts.outstanding, "note_tick", _fail)
    parts.tick()
    assert parts.row(operation).state is OperationState.SUCCEEDED
    assert "polls.not_noted" in caplog.text
    assert "c2VjcmV0" not in caplog.text


def _fail(_: object) -> None:
    raise OSError("GET https://a.table.core.windows.net/t?sv=1&sig=c2VjcmV0 failed")


def _row_keys(parts: Parts, operation: Operation, kind: str) -> list[str]:
    rows = parts.tables["Outstanding"].query(
        "PartitionKey eq @shard and RowKey ge @kind and RowKey lt @beyond",
        {"shard": keys.shard(operation.key), "kind": f"{kind}|", "beyond": f"{kind}|\uffff"},
        select=["RowKey"],
    )
    return [row["RowKey"] for row in rows if row["RowKey"].endswith(operation.key)]


def _row(parts: Parts, operation: Operation, kind: str) -> Row:
    (key,) = _row_keys(parts, operation, kind)
    return dict(parts.tables["Outstanding"].get(keys.shard(operation.key), key) or {})


def _place(parts: Parts, operation: Operation) -> str:
    return str(_row(parts, operation, "all")["RowKey"]).removeprefix("all|")


def _delete(parts: Parts, operation: Operation, kind: str) -> None:
    for key in _row_keys(parts, operation, kind):
        parts.tables["Outstanding"].write([deletion(keys.shard(operation.key), key)])


def _make_unlisted(parts: Parts, operation: Operation) -> None:
    """As the version before registered it."""
    for kind in ("all", "state", "table", "id"):
        _delete(parts, operation, kind)
