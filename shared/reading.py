"""Reading what is stored, for whoever asks: operations by ID and by filter, where they come from, and their blobs.

What each costs is bounded by what it returns: docs/api.md states it, and tests/storage/test_api_costs.py counts it.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from shared.messages import Defaults
from shared.model import Operation, RetryState
from shared.records import OperationRow, Pointer
from shared.redaction import redact
from shared.redrive import UnknownOperation
from shared.store.listing import Filter, Listed, Listing
from shared.store.results import BlobPage, Results

MOST_SEARCHED = 100
"""Operations whose IDs begin alike that are looked at."""

MOST_RELATED = 100
"""Operations of one root that are read: a large one has a resubmission for each 20 of its blobs that failed."""


class AmbiguousOperation(Exception):
    """Several operations have this ID; the text names them."""


@dataclass(frozen=True, slots=True)
class Named:
    """What an operation is called by: its ID, or some spellings of it, and of its place as much as is known."""

    ids: tuple[str, ...]
    cluster: str | None = None
    database: str | None = None
    table: str | None = None

    def means(self, operation: Operation) -> bool:
        """Whether an operation may be the one that is meant."""
        return operation.operation_id in self.ids and _is_in(operation, self.cluster, self.database, self.table)

    @property
    def whole(self) -> list[Operation]:
        """The operations that this names with nothing left open, none if something is."""
        if not self.cluster or not self.database or not self.table:
            return []
        return [Operation(self.cluster, self.database, self.table, each) for each in self.ids]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which operations are looked for; ``error_code`` is their first one, which is in no list but in their rows."""

    filter: Filter
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """An operation, where its row is, and what that says."""

    operation: Operation
    pointer: Pointer
    row: OperationRow


@dataclass(frozen=True, slots=True)
class Lineage:
    """All operations of one root, the first attempt first; ``left_out`` is how many more there are."""

    root_operation_id: str
    operations: tuple[Known, ...]
    left_out: int


class Reading:
    """Reads. ``defaults`` says what is meant where a place is not named."""

    def __init__(self, listing: Listing, results: Results, defaults: Defaults, executor: Executor) -> None:
        self.listing = listing
        self._results = results
        self._defaults = defaults
        self._executor = executor

    def find(self, named: Named) -> Known:
        """The operation that is meant.

        Raises:
            UnknownOperation: there is none.
            AmbiguousOperation: there are several.
        """
        found = self._found(named)
        if len(found) > 1:
            raise AmbiguousOperation(f"tell which by cluster, database, table and operationId: {_candidates(found)}")
        known = self._known(found)
        if not known:
            raise UnknownOperation(_unknown(named))
        return known[0]

    def page(self, wanted: Wanted, most: int, after: str | None) -> tuple[list[Known], str | None]:
        """Operations, newest first, ``most`` at the most and maybe fewer; and where the next ones are, if any."""
        page = self.listing.page(wanted.filter, most, after)
        return self._wanted(page.items, wanted), page.after

    def search(self, prefix: str, wanted: Wanted, most: int) -> list[Known]:
        """Operations whose IDs begin so: of the first hundred of them, those that are wanted."""
        found = self.listing.beginning_with(prefix, MOST_SEARCHED)
        return self._wanted([each for each in found if _fits(each, wanted.filter)], wanted)[:most]

    def lineage(self, known: Known) -> Lineage:
        """What an operation comes from, and what came of it and its kin."""
        root = known.row.root_operation_id
        place = known.operation
        first = self._found(Named((root,), place.cluster, place.database, place.table))
        others = [each for each in self.listing.of_root(root) if _is_beside(each.operation, place)]
        kin = {each.operation: each for each in [*first, *others] if each.operation != known.operation}
        oldest = sorted(kin.values(), key=lambda each: each.pointer.registered_at)[: MOST_RELATED - 1]
        told = [known, *self._known(oldest)]
        in_order = sorted(told, key=lambda each: (each.row.attempt, each.pointer.registered_at))
        return Lineage(root, tuple(in_order), len(kin) - len(oldest))

    def blobs(
        self,
        operation: Operation,
        most: int,
        after: str | None,
        statuses: Sequence[str] = (),
        retry_states: Sequence[RetryState] = (),
    ) -> BlobPage:
        """Blobs of an operation by their keys, ``most`` at the most and maybe fewer."""
        return self._results.blob_page(operation, most, after, statuses, retry_states)

    def _found(self, named: Named) -> list[Listed]:
        """What has this name: by its key if nothing is left open, else by its ID.

        An operation from before there were lists is found by its key alone, so that is tried at the end.
        """
        by_key = named.whole
        if not by_key:
            found = [each for one in named.ids for each in self.listing.with_id(one) if named.means(each.operation)]
            if found:
                return found
            by_key = Named(
                named.ids,
                named.cluster or self._defaults.endpoints.default,
                named.database or self._defaults.database,
                named.table or self._defaults.table,
            ).whole
        pointers = [(each, self._results.pointer(each)) for each in by_key]
        return [Listed(operation, pointer) for operation, pointer in pointers if pointer]

    def _wanted(self, listed: Sequence[Listed], wanted: Wanted) -> list[Known]:
        """What their rows say; without those whose state is meanwhile none that is wanted, and of other error codes."""
        states, code = wanted.filter.states, wanted.error_code
        return [
            each
            for each in self._known(listed)
            if (not states or each.row.state in states) and (code is None or each.row.first_error_code == code)
        ]

    def _known(self, listed: Sequence[Listed]) -> list[Known]:
        """What their rows say; without those that are gone."""
        rows = self._executor.map(lambda each: self._results.operation(each.pointer), listed)
        return [Known(each.operation, each.pointer, row) for each, row in zip(listed, rows, strict=True) if row]


def _is_in(operation: Operation, cluster: str | None, database: str | None, table: str | None) -> bool:
    asked = (cluster, operation.cluster), (database, operation.database), (table, operation.table)
    return all(wanted is None or wanted == actual for wanted, actual in asked)


def _is_beside(operation: Operation, other: Operation) -> bool:
    return _is_in(operation, other.cluster, other.database, other.table)


def _fits(listed: Listed, wanted: Filter) -> bool:
    at = listed.pointer.registered_at
    since, until = wanted.since or at, wanted.until
    return (
        _is_in(listed.operation, wanted.cluster, wanted.database, wanted.table)
        and since <= at
        and (until is None or at < until)
    )


def _candidates(found: Sequence[Listed]) -> str:
    shown = [
        f"{each.operation.operation_id} of {each.operation.database}.{each.operation.table} at {each.operation.cluster}"
        for each in found[:10]
    ]
    return "; ".join(shown) + ("; and more" if len(found) > len(shown) else "")


def _unknown(named: Named) -> str:
    place = ", ".join(
        f"{name} {value}"
        for name, value in (("cluster", named.cluster), ("database", named.database), ("table", named.table))
        if value
    )
    called = f"{redact(named.ids[0])} of {place}" if place else redact(named.ids[0])
    return (
        f"no operation {called} is known: one is registered some seconds after its message was posted, and removed at "
        "the end of its retention"
    )
