"""The judgement at the end: pure functions of what was planned and what is known."""

from collections import Counter
from dataclasses import dataclass

from local.adx_simulator import BlobBook
from local.demo.data import DATA_SETS
from local.demo.facts import LOADED, Outcome, latest_rows, outcomes
from local.demo.plan import Plan, PlannedFile
from local.watch.checks import Check, figures
from local.watch.facts import BlobFact, Facts, path_of


@dataclass(frozen=True, slots=True)
class TableRows:
    """What a table was bound to hold, and holds.

    Attributes:
        table: Its name.
        files: How many files were submitted to it.
        loadable: How many of these are bound to load.
        expected: The rows in those.
        found: The rows in ADX.
    """

    table: str
    files: int
    loadable: int
    expected: int
    found: int

    @property
    def agrees(self) -> bool:
        """Whether it holds as many rows as it should."""
        return self.expected == self.found


@dataclass(frozen=True, slots=True)
class Trouble:
    """Files that need a person, for one reason.

    Attributes:
        error_code: The reason.
        paths: The files.
        details: What ADX says of the first.
    """

    error_code: str
    paths: tuple[str, ...]
    details: str


def check_all(plan: Plan, facts: Facts) -> list[Check]:
    """Returns all that has to hold, with whether it does.

    Args:
        plan: What went in.
        facts: What is known at the end.
    """
    return [
        _all_ended(facts),
        _all_written_down(facts),
        _all_as_planned(plan, facts),
        _rows_agree(plan, facts),
        _none_twice(facts),
        _nothing_waits(facts),
    ]


def rows_by_table(plan: Plan, facts: Facts) -> list[TableRows]:
    """Returns the rows of each table.

    Args:
        plan: What went in.
        facts: What is known.
    """
    found: Counter[str] = Counter()
    for book in facts.books.tables:
        found[book.table] += book.rows
    return [
        TableRows(
            table=data_set.table,
            files=len(files),
            loadable=sum(file.loads for file in files),
            expected=plan.expected_rows(data_set.table),
            found=found[data_set.table],
        )
        for data_set in DATA_SETS
        if (files := plan.of(data_set))
    ]


def troubles(facts: Facts) -> list[Trouble]:
    """Returns what needs a person, by error code.

    Args:
        facts: What is known.
    """
    rows = latest_rows(facts.blobs)
    found: dict[str, list[BlobFact]] = {}
    for path, outcome in outcomes(facts).items():
        if outcome is Outcome.PERSON:
            found.setdefault(rows[path].error_code or rows[path].status, []).append(rows[path])
    return [Trouble(code, tuple(row.path for row in group), group[0].details) for code, group in sorted(found.items())]


def _all_ended(facts: Facts) -> Check:
    lost = facts.accepted - facts.ended
    claim = "every operation that ADX accepted was watched to its end"
    return Check(claim, bool(facts.accepted) and not lost, figures(len(facts.accepted), sorted(lost), "not ended"))


def _all_written_down(facts: Facts) -> Check:
    written = {(row.operation_id, row.path) for row in facts.blobs}
    lost = [f"{path} of {operation}" for operation, path in sorted(facts.submissions - written)]
    claim = "every blob of every submission is written down"
    return Check(claim, bool(facts.submissions) and not lost, figures(len(facts.submissions), lost, "have no row"))


def _all_as_planned(plan: Plan, facts: Facts) -> Check:
    rows, ends = latest_rows(facts.blobs), outcomes(facts)
    wrong = [file.path for file in plan.files if not _is_as_planned(file, ends.get(file.path), rows.get(file.path))]
    claim = "every file ended as it should: loaded, or with its error code"
    return Check(claim, bool(plan.files) and not wrong, figures(len(plan.files), wrong, "did not"))


def _is_as_planned(file: PlannedFile, outcome: Outcome | None, row: BlobFact | None) -> bool:
    if file.loads:
        return outcome in LOADED
    return outcome is Outcome.PERSON and row is not None and row.error_code == file.treatment.error_code


def _rows_agree(plan: Plan, facts: Facts) -> Check:
    tables = rows_by_table(plan, facts)
    books = {path_of(book.url): book for book in facts.books.blobs}
    wrong = [f"{table.table} has {table.found:,} instead of {table.expected:,}" for table in tables if not table.agrees]
    wrong += [
        f"{file.path} brought {_rows_of(books.get(file.path)):,} instead of {_bound(file):,}"
        for file in plan.files
        if _rows_of(books.get(file.path)) != _bound(file)
    ]
    found = sum(table.found for table in tables)
    return Check("the rows in ADX are those of the loadable files", not wrong, figures(found, wrong, "wrong"))


def _none_twice(facts: Facts) -> Check:
    twice = [f"{path_of(book.url)}, {book.times_ingested} times" for book in facts.books.duplicates]
    loaded = sum(book.times_ingested > 0 for book in facts.books.blobs)
    return Check("no file was loaded twice", not twice, figures(loaded, twice, "loaded more than once"))


def _nothing_waits(facts: Facts) -> Check:
    left = [
        f"{count} {what}"
        for count, what in (
            (facts.waiting, "waiting in tables and queues"),
            (facts.books.unfinished, "blobs unfinished in ADX"),
            (facts.set_aside, "messages set aside in a poison queue"),
        )
        if count
    ]
    return Check("nothing is left waiting, and no message was set aside", not left, ", ".join(left))


def _rows_of(book: BlobBook | None) -> int:
    return book.rows if book else 0


def _bound(file: PlannedFile) -> int:
    return file.rows if file.loads else 0
