"""Operations found by whoever asks, on real tables: where they come from, and what is not told of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared import reading as module
from shared.messages import Lineage, OperationMessage
from shared.model import Operation, OperationState
from shared.reading import AmbiguousOperation, Named, Reading, Wanted
from shared.redrive import UnknownOperation
from shared.store.listing import Filter
from shared.store.tables import deletion
from tests.support.parts import CLUSTER, Parts, blob

URL = "https://account.blob.core.windows.net/landing/a.csv"


@pytest.fixture
def reading(parts: Parts) -> Reading:
    return Reading(parts.listing, parts.results, parts.defaults, parts.storage_threads)


@pytest.fixture
def family(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes a root and so many resubmissions of it, of which ten are told at the most."""
    monkeypatch.setattr(module, "MOST_RELATED", 10)

    def make(count: int) -> None:
        parts.register("root", URL)
        for number in range(count):
            parts.later(seconds=1)
            lineage = Lineage(attempt=2 + number // 8, root_operation_id="root", parent_operation_id="root")
            parts.register(f"again-{number:02}", lineage=lineage)

    return make


def ids(lineage: module.Lineage) -> list[str]:
    return [each.operation.operation_id for each in lineage.operations]


@pytest.mark.parametrize(("count", "left_out"), [(0, 0), (9, 0), (10, 1), (30, 21)])
def test_a_large_family_is_told_in_part(
    reading: Reading, family: Callable[[int], None], count: int, left_out: int
) -> None:
    family(count)
    lineage = reading.lineage(reading.find(Named(("root",))))
    assert ids(lineage) == ["root", *(f"again-{number:02}" for number in range(min(count, 9)))]
    assert (lineage.root_operation_id, lineage.left_out) == ("root", left_out)


def test_who_is_asked_about_is_told_in_any_case(reading: Reading, family: Callable[[int], None]) -> None:
    family(30)
    lineage = reading.lineage(reading.find(Named(("again-29",))))
    assert ids(lineage) == ["root", *(f"again-{number:02}" for number in range(8)), "again-29"]
    assert lineage.left_out == 21


def test_a_root_that_is_not_known_is_left_out(parts: Parts, reading: Reading) -> None:
    lineage = Lineage(attempt=2, root_operation_id="elsewhere", parent_operation_id="elsewhere")
    parts.register("again", lineage=lineage)
    found = reading.lineage(reading.find(Named(("again",))))
    assert (ids(found), found.root_operation_id) == (["again"], "elsewhere")


def test_kin_of_another_table_is_none(parts: Parts, reading: Reading) -> None:
    parts.register("root", URL)
    other = Operation(CLUSTER, "db", "others", "again")
    lineage = Lineage(attempt=2, root_operation_id="root", parent_operation_id="root")
    parts.registrar.register(OperationMessage(other, lineage))
    assert ids(reading.lineage(reading.find(Named(("root",))))) == ["root"]


def test_several_of_one_id_are_named(parts: Parts, reading: Reading) -> None:
    first = parts.register("shared")
    second = replace(first, table="others")
    parts.registrar.register(OperationMessage(second))
    with pytest.raises(AmbiguousOperation, match=r"shared of db\.events at .*; shared of db\.others at ") as raised:
        reading.find(Named(("shared",)))
    assert "tell which by" in str(raised.value)
    assert reading.find(Named(("shared",), table="others")).operation == second


def test_the_spelling_that_there_is_is_meant(parts: Parts, reading: Reading) -> None:
    parts.register("a%2Fb")
    assert reading.find(Named(("a/b", "a%2Fb"))).operation.operation_id == "a%2Fb"
    assert reading.find(Named(("a/b", "a%2Fb"), CLUSTER, "db", "events")).operation.operation_id == "a%2Fb"


def test_what_is_pruned_is_told_by_no_list(parts: Parts, reading: Reading) -> None:
    gone, left = parts.register("gone"), parts.register("left")
    pointer = parts.results.pointer(gone)
    assert pointer is not None
    parts.tables["Operations"].write([deletion(pointer.partition, pointer.row)])
    found, _ = reading.page(Wanted(Filter()), 10, None)
    assert [each.operation for each in found] == [left]
    with pytest.raises(UnknownOperation):
        reading.find(Named(("gone",)))


def test_the_row_is_the_truth_where_a_list_lags_behind(parts: Parts, reading: Reading) -> None:
    operation = parts.register("op", URL)
    parts.adx.says("op", blob(URL, "Failed", "Permanent", code="BadRequest_X"))
    parts.tick()
    failed = Wanted(Filter(states=(OperationState.FAILED,)))
    assert [each.operation for each in reading.page(failed, 10, None)[0]] == [operation]
    assert [each.operation for each in reading.page(replace(failed, error_code="BadRequest_X"), 10, None)[0]] == [
        operation
    ]
    assert reading.page(replace(failed, error_code="BadRequest_Y"), 10, None)[0] == []
    row = parts.row(operation)
    parts.results.revise_operation(
        reading.find(Named(("op",))).pointer,
        lambda _: (replace(row.summary, state=OperationState.SUCCEEDED), parts.now),
    )
    assert reading.page(failed, 10, None)[0] == []
