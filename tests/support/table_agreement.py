"""Compares two tables: the same operations on both, and whatever they answer has to agree."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from azure.data.tables import TableServiceClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from shared.store.tables import Conflict, Table, Write, deletion, etag_of, insertion, merger, replacement, upsertion

_count = itertools.count()

PARTITIONS = ("p", "q")
ROWS = ("!operation", "a", "b", "ä", "due|1", "due|2", "\U0001f600", "￿")
FEW = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Long:
    """A text too long for a column, which is cut; kept out of what hypothesis prints."""

    character: str

    def text(self) -> str:
        return self.character * 40_000


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.sampled_from([2**31, 2**40, 0.5, -3.0, Long("x"), Long("\U0001f600")]),
    st.text(max_size=6),
    st.datetimes(min_value=datetime(1601, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001, made aware by the strategy
)
columns = st.fixed_dictionaries(
    {}, optional={"One": values, "Two": values, "Text": st.sampled_from(["", *ROWS, "it's", Long("x")])}
)
keys = st.tuples(st.sampled_from(PARTITIONS), st.sampled_from(ROWS))
rows = st.builds(lambda key, more: {"PartitionKey": key[0], "RowKey": key[1], **more}, keys, columns)


@dataclass(frozen=True)
class Etags:
    """The ETag of one write, on either side."""

    imitated: str
    azurite: str


@dataclass(frozen=True)
class Planned:
    """A write of a group, to be made for either side with its own ETag."""

    kind: str
    row: Mapping[str, Any]
    etags: Etags | None

    def make(self, etag: str) -> Write:
        match self.kind:
            case "insert":
                return insertion(self.row)
            case "replace":
                return replacement(self.row, etag)
            case "merge":
                return merger(self.row, etag)
            case "upsert":
                return upsertion(self.row)
            case _:
                return deletion(self.row["PartitionKey"], self.row["RowKey"], etag or None)


def outcome(act: Callable[[], Any]) -> Any:  # noqa: ANN401, whatever the call gives
    """What a call returns, or the error that the app would see."""
    try:
        return act()
    except Conflict as conflict:
        return "Conflict", conflict.index
    except Exception as error:  # noqa: BLE001, its kind is the answer
        return type(error).__name__, getattr(error, "status_code", None)


class TablesAgree(RuleBasedStateMachine):
    """The app's table on a table that imitates, and on Azurite's."""

    imitation: Callable[[str], Table]
    service: TableServiceClient
    etags: Bundle[Etags] = Bundle("etags")

    def __init__(self) -> None:
        super().__init__()
        name = f"rows{next(_count)}"
        self.imitated = type(self).imitation(name)
        self.azurite = Table(self.service.get_table_client(name))
        self.imitated.create()
        self.azurite.create()

    @rule(key=keys, target=etags)
    def get(self, key: tuple[str, str]) -> Any:  # noqa: ANN401, none or one
        ours, theirs = outcome(lambda: self.imitated.get(*key)), outcome(lambda: self.azurite.get(*key))
        assert ours == theirs
        if ours is None or isinstance(ours, tuple):
            return multiple()
        assert {name: type(value) for name, value in ours.items()} == {n: type(v) for n, v in theirs.items()}
        return Etags(etag_of(ours), etag_of(theirs))

    @rule(row=rows)
    def insert(self, row: Mapping[str, Any]) -> None:
        row = _written_out(row)
        ours, theirs = outcome(lambda: bool(self.imitated.insert(row))), outcome(lambda: bool(self.azurite.insert(row)))
        assert ours == theirs

    @rule(partition=st.sampled_from(PARTITIONS), row=st.sampled_from(["a/b", "a\\b", "a#", "a?", "tab\t"]))
    def insert_under_a_forbidden_key(self, partition: str, row: str) -> None:
        writes = [insertion({"PartitionKey": partition, "RowKey": row})]
        assert outcome(lambda: self.imitated.write(writes)) == outcome(lambda: self.azurite.write(writes))

    @rule(row=rows)
    def upsert(self, row: Mapping[str, Any]) -> None:
        row = _written_out(row)
        assert outcome(lambda: self.imitated.upsert(row)) == outcome(lambda: self.azurite.upsert(row))

    @rule(
        partition=st.sampled_from(PARTITIONS),
        kinds=st.lists(
            st.tuples(
                st.sampled_from(["insert", "replace", "merge", "upsert", "delete", "delete if"]), rows, st.booleans()
            ),
            min_size=1,
            max_size=4,
        ),
        mixed=st.integers(0, 9).map(lambda number: number == 0),
        etags=st.lists(etags, min_size=4, max_size=4),
        target=etags,
    )
    def write(
        self,
        partition: str,
        kinds: Sequence[tuple[str, Mapping[str, Any], bool]],
        mixed: bool,  # noqa: FBT001, hypothesis passes it by name
        etags: Sequence[Etags],
    ) -> Any:  # noqa: ANN401, several
        plan = [
            Planned(
                "delete" if kind == "delete if" else kind,
                # Azurite writes rows of several partitions together if none of them has to be there, or to be new.
                _written_out(row if mixed and kind != "upsert" else {**row, "PartitionKey": partition}),
                self._current(partition, row["RowKey"], old) if is_current else old,
            )
            for (kind, row, is_current), old in zip(kinds, etags, strict=False)
        ]
        is_plain = [kind == "delete" for kind, _, _ in kinds]
        ours = outcome(lambda: self.imitated.write(_group(plan, is_plain, lambda each: each.imitated)))
        theirs = outcome(lambda: self.azurite.write(_group(plan, is_plain, lambda each: each.azurite)))
        if not isinstance(ours, list):
            assert ours == theirs
            return multiple()
        assert isinstance(theirs, list)
        assert [bool(each) for each in ours] == [bool(each) for each in theirs]
        return multiple(*(Etags(*both) for both in zip(ours, theirs, strict=True) if all(both)))

    def _current(self, partition: str, row: str, old: Etags) -> Etags:
        ours, theirs = (
            outcome(lambda: self.imitated.get(partition, row)),
            outcome(lambda: self.azurite.get(partition, row)),
        )
        if ours is None or isinstance(ours, tuple):
            return old
        return Etags(etag_of(ours), etag_of(theirs))

    @rule(
        partition=st.sampled_from(PARTITIONS),
        comparison=st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]),
        column=st.sampled_from(["PartitionKey", "RowKey", "Text"]),
        bound=st.sampled_from([*ROWS, *PARTITIONS, "", "it's"]),
        select=st.sampled_from([None, ["RowKey"], ["RowKey", "One"]]),
    )
    def query(self, partition: str, comparison: str, column: str, bound: str, select: list[str] | None) -> None:
        condition = f"PartitionKey eq @partition and {column} {comparison} @bound"
        parameters = {"partition": partition, "bound": bound}
        ours = list(self.imitated.query(condition, parameters, select=select))
        assert ours == list(self.azurite.query(condition, parameters, select=select))

    @rule(partition=st.sampled_from(PARTITIONS), bound=st.sampled_from(ROWS), most=st.integers(1, 4))
    def page(self, partition: str, bound: str, most: int) -> None:
        parameters = {"partition": partition, "bound": bound}
        ours, theirs = (
            side.page("PartitionKey eq @partition and RowKey ge @bound", parameters, most)
            for side in (self.imitated, self.azurite)
        )
        assert ours == theirs

    @invariant()
    def rows_and_their_order_agree(self) -> None:
        everything = "PartitionKey ge 'p' and RowKey ne 'not a row'"
        assert list(self.imitated.query(everything, {})) == list(self.azurite.query(everything, {}))


def _written_out(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value.text() if isinstance(value, Long) else value for name, value in row.items()}


def _group(plan: Sequence[Planned], is_plain: Sequence[bool], side: Callable[[Etags], str]) -> list[Write]:
    return [
        each.make("" if plain or each.etags is None else side(each.etags))
        for each, plain in zip(plan, is_plain, strict=True)
    ]


def check_agreement(imitation: Callable[[str], Table], service: TableServiceClient) -> None:
    """Have hypothesis look for operations on which a table and Azurite's do not agree.

    Args:
        imitation: Makes the table of a name, which is not created yet.
        service: Azurite's.
    """
    machine = type("Machine", (TablesAgree,), {"imitation": staticmethod(imitation), "service": service})
    run_state_machine_as_test(machine, settings=FEW)
