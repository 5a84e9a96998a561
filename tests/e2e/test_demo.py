"""The demo: as a person runs it, and what makes it end with status 1."""

import io
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from rich.console import Console

from local.adx_simulator import BlobBook, Books, RequestCounts, TableBook
from local.demo.data import DATA_SETS, split
from local.demo.facts import Outcome, outcome_of
from local.demo.plan import Fate, Plan, PlannedFile, make_plan
from local.demo.report import check_all, rows_by_table, troubles
from local.demo.screen import Moment, line, panel
from local.demo.summary import print_summary
from local.interrupts import put_off
from local.processes import REPOSITORY
from local.watch.checks import exit_status
from local.watch.facts import BlobFact, Facts, OperationFact, path_of
from shared.model import OperationState, RetryState
from tests.support.processes import GONE_SECONDS, alive, all_gone, descendants, read_until
from tests.support.world import eventually

FIRST_CSV = "airports/airports-001.csv"
BROKEN_CSV = "airports/airports-011.csv"


@contextmanager
def demo(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The demo, started as `./dev demo` starts it, without a terminal."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "local.demo", *words],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_every_check_holds_and_the_summary_says_what_became_of_the_files() -> None:
    with demo() as process:
        output = read_until(process, "submits airports")
        started = descendants(process.pid)
        output += process.communicate()[0]

    assert process.returncode == 0, output
    assert all_gone(started)
    assert "\x1b" not in output
    assert "200  files, 62 of them gzipped, with 23,591 rows of 8 data sets" in output
    # Whether a failure that ADX mends is seen at all is a matter of a second.
    quiet = sum(map(int, re.findall(r"^ *(\d+)    (?:loaded at once|mended by ADX itself)", output, re.MULTILINE)))
    assert quiet == 179
    assert "10    tried again and loaded" in output
    assert "11    need a person" in output
    assert "Download_SourceNotFound                      airports-038.csv +2" in output
    assert "together         200        189          22,575        22,575   ✓" in output
    assert "✓ no file was loaded twice (189)" in output
    assert "All 7 checks hold." in output
    assert "./dev demo --open" in output


def test_open_shows_the_page_all_the_time_and_leaves_something_to_try_again(tmp_path: Path) -> None:
    with demo("--open") as process:
        output = read_until(process, "/api/dashboard")
        page = re.findall(r"http://127\.0\.0\.1:\d+/api/dashboard", output)[0]
        assert "<title>ADX ingestion tracker</title>" in requests.get(page, timeout=90).text
        output += read_until(process, "Ctrl-C stops everything")
        pictures = [sys.executable, "-m", "local.screenshot", page, "--to", str(tmp_path)]
        subprocess.run(pictures, cwd=REPOSITORY, check=True, timeout=240)
        api = page.removesuffix("/dashboard")
        (failed,) = _get(f"{api}/operations?table=Weather&state=PartiallySucceeded")["operations"]
        uri = f"{api}/operations/{quote(failed['operationId'], safe='')}"
        done = requests.post(f"{uri}/redrive", json={"as": "a person"}, timeout=90).json()
        assert (done["blobs"], done["left"]) == (1, 0)
        eventually(
            lambda: _get(uri)["lineage"]["operations"][-1]["state"] == "Succeeded", "the file that ADX takes now"
        )
        process.send_signal(signal.SIGINT)
        output += process.communicate(timeout=GONE_SECONDS)[0]

    assert process.returncode == 0
    assert output.count(page) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dashboard-dark.png", "dashboard.png"]
    assert "weather-009.csv" in output


def _get(url: str) -> Any:  # noqa: ANN401, JSON
    return requests.get(url, timeout=90).json()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_when_stopped_it_leaves_nothing_running(how: signal.Signals) -> None:
    with demo() as process:
        read_until(process, "submits airports")
        started = descendants(process.pid)
        process.send_signal(how)
        output = process.communicate(timeout=GONE_SECONDS)[0]

    assert len(started) >= 3
    assert process.returncode == 130
    assert "Stopped. Nothing is left running." in output
    assert "Traceback" not in output
    assert all_gone(started), alive(started)


def test_ctrl_c_while_it_starts_is_no_traceback_either() -> None:
    with demo() as process:
        read_until(process, "start")
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=GONE_SECONDS)[0]

    assert process.returncode == 130
    assert "Traceback" not in output


def test_ctrl_c_put_off_comes_after_the_block() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), put_off():  # noqa: PT012, what the block does after the signal is the point
        signal.raise_signal(signal.SIGINT)
        done.append("the rest")
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan()


@pytest.fixture
def facts(plan: Plan) -> Facts:
    """What is known when all went as planned, in one operation a file."""
    return Facts(
        operations=tuple(OperationFact(_operation(file), _state(file), 1, 2) for file in plan.files),
        blobs=tuple(_blob(file) for file in plan.files),
        due=0,
        retries_waiting=0,
        messages_waiting=0,
        set_aside=0,
        books=Books(tables=tuple(_tables(plan)), blobs=tuple(map(_book, plan.files)), unfinished=0),
        requests=RequestCounts(counts=()),
    )


def _operation(file: PlannedFile) -> str:
    return f"operation of {file.path}"


def _state(file: PlannedFile) -> str:
    return OperationState.SUCCEEDED if file.loads else OperationState.FAILED


def _blob(file: PlannedFile) -> BlobFact:
    status = "Succeeded" if file.loads else "Failed"
    return BlobFact(_operation(file), file.path, status, error_code=file.treatment.error_code or "")


def _book(file: PlannedFile) -> BlobBook:
    return BlobBook(
        database="Samples",
        table=file.data_set.table,
        url=f"http://127.0.0.1:1/devstoreaccount1/{file.path}",
        submissions=1,
        times_ingested=int(file.loads),
        rows=file.rows if file.loads else 0,
        operations=(_operation(file),),
    )


def _tables(plan: Plan) -> Iterator[TableBook]:
    for data_set in DATA_SETS:
        rows = plan.expected_rows(data_set.table)
        yield TableBook(
            database="Samples",
            table=data_set.table,
            rows=rows,
            distinct_rows=rows,
            repeated_rows=0,
            digest="",
            tags=(),
        )


def with_book(facts: Facts, path: str, **changes: int) -> Facts:
    """Facts in which ADX did something else with a blob; its table holds the rows that this makes."""
    old = next(book for book in facts.books.blobs if path_of(book.url) == path)
    new = replace(old, **changes)  # type: ignore[arg-type]  # the fields given are numbers
    blobs = tuple(new if book is old else book for book in facts.books.blobs)
    tables = tuple(
        replace(table, rows=table.rows + new.rows - old.rows) if table.table == old.table else table
        for table in facts.books.tables
    )
    return replace(facts, books=replace(facts.books, blobs=blobs, tables=tables))


def with_blob(facts: Facts, path: str, new: BlobFact | None) -> Facts:
    """Facts in which the app wrote something else down of a blob, or nothing."""
    blobs = tuple(row for row in facts.blobs if row.path != path)
    return replace(facts, blobs=(*blobs, new) if new else blobs)


def failed(plan: Plan, facts: Facts) -> list[str]:
    """What is wrong, as the person reads it."""
    checks = check_all(plan, facts)
    assert exit_status(checks) == (0 if all(check.passed for check in checks) else 1)
    return [check.found for check in checks if not check.passed]


def test_all_as_planned_is_status_0(plan: Plan, facts: Facts) -> None:
    assert failed(plan, facts) == []
    assert facts.is_settled


def test_a_missing_row_is_status_1(plan: Plan, facts: Facts) -> None:
    rows = plan.files[0].rows
    (found,) = failed(plan, with_book(facts, FIRST_CSV, rows=rows - 1))
    assert f"{FIRST_CSV} brought {rows - 1} instead of {rows}" in found
    assert "Airports has 2,952 instead of 2,953" in found


def test_a_blob_loaded_twice_is_status_1(plan: Plan, facts: Facts) -> None:
    found = failed(plan, with_book(facts, FIRST_CSV, rows=2 * plan.files[0].rows, times_ingested=2))
    assert f"1 loaded more than once: {FIRST_CSV}, 2 times" in found
    assert len(found) == 2


def test_a_doubled_blob_and_a_missing_one_do_not_make_up_for_each_other(plan: Plan, facts: Facts) -> None:
    other = next(file.path for file in plan.files[1:] if file.rows == plan.files[0].rows)
    doubled = with_book(facts, FIRST_CSV, rows=2 * plan.files[0].rows)
    assert failed(plan, with_book(doubled, other, rows=0, times_ingested=0))


def test_rows_of_a_broken_file_are_status_1(plan: Plan, facts: Facts) -> None:
    assert failed(plan, with_book(facts, BROKEN_CSV, rows=1))


def test_an_operation_without_an_end_is_status_1(plan: Plan, facts: Facts) -> None:
    first, *others = facts.operations
    running = replace(first, state=OperationState.IN_PROGRESS)
    for operations in ((running, *others), tuple(others)):
        left = replace(facts, operations=operations)
        assert failed(plan, left) == [f"1 not ended: {first.operation_id}"]
        assert not left.is_settled


def test_a_blob_that_is_not_written_down_is_status_1(plan: Plan, facts: Facts) -> None:
    found = failed(plan, with_blob(facts, FIRST_CSV, None))
    assert f"1 have no row: {FIRST_CSV} of operation of {FIRST_CSV}" in found


def test_another_end_than_planned_is_status_1(plan: Plan, facts: Facts) -> None:
    wrong = (
        (FIRST_CSV, "Failed", "Download_Forbidden"),
        (BROKEN_CSV, "Succeeded", ""),
        (BROKEN_CSV, "Failed", "Stream_ClosingQuoteMissing"),
    )
    for path, status, code in wrong:
        row = BlobFact(f"operation of {path}", path, status, error_code=code)
        assert failed(plan, with_blob(facts, path, row)) == [f"1 did not: {path}"]


@pytest.mark.parametrize("what", ["due", "retries_waiting", "messages_waiting"])
def test_what_still_waits_is_status_1(plan: Plan, facts: Facts, what: str) -> None:
    waiting = replace(facts, **{what: 2})  # type: ignore[arg-type]  # the fields given are numbers
    assert failed(plan, waiting) == ["2 waiting in tables and queues"]
    assert not waiting.is_settled


def test_a_message_set_aside_is_status_1(plan: Plan, facts: Facts) -> None:
    assert failed(plan, replace(facts, set_aside=1)) == ["1 messages set aside in a poison queue"]


def test_nothing_submitted_at_all_is_status_1(plan: Plan, facts: Facts) -> None:
    nothing = replace(facts, operations=(), blobs=(), books=Books(tables=(), blobs=(), unfinished=0))
    assert failed(plan, nothing)
    assert not nothing.is_settled


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (None, Outcome.WITH_ADX),
        (BlobFact("o", "c/b", "InProgress"), Outcome.WITH_ADX),
        (BlobFact("o", "c/b", "Succeeded"), Outcome.LOADED),
        (BlobFact("o", "c/b", "Succeeded", attempt=3), Outcome.RETRIED),
        (BlobFact("o", "c/b", "Succeeded", retry_state=RetryState.RECOVERED), Outcome.RECOVERED),
        (BlobFact("o", "c/b", "Failed", error_code="Skipped_IngestByTagAlreadyExists"), Outcome.LOADED),
        (BlobFact("o", "c/b", "Failed", retry_state=RetryState.PENDING), Outcome.WAITING),
        (BlobFact("o", "c/b", "Failed", retry_state=RetryState.ENQUEUED), Outcome.WAITING),
        (BlobFact("o", "c/b", "Failed", retry_state=RetryState.RESUBMITTED), Outcome.WITH_ADX),
        (BlobFact("o", "c/b", "Failed", retry_state=RetryState.ATTEMPTS_EXHAUSTED), Outcome.PERSON),
        (BlobFact("o", "c/b", "Failed"), Outcome.PERSON),
        (BlobFact("o", "c/b", "Canceled"), Outcome.PERSON),
    ],
)
def test_what_became_of_a_file(row: BlobFact | None, outcome: Outcome) -> None:
    assert outcome_of(row) is outcome


def test_no_record_of_a_data_set_is_lost_in_the_splitting() -> None:
    rows = {data_set.table: sum(part.rows for part in split(data_set)) for data_set in DATA_SETS}
    assert rows == {
        "Airports": 3376,
        "SeattleTemps": 8759,
        "SanFranTemps": 8759,
        "Cars": 406,
        "Weather": 1461,
        "Stocks": 560,
        "Iris": 150,
        "Barley": 120,
    }


def test_the_plan_has_files_of_every_fate(plan: Plan) -> None:
    assert {file.treatment.fate for file in plan.files} == set(Fate)
    assert len({file.path for file in plan.files}) == len(plan.files)
    assert all(table.files >= table.loadable > 0 for table in rows_by_table(plan, _nothing()))


def _nothing() -> Facts:
    return Facts((), (), 0, 0, 0, 0, Books(tables=(), blobs=(), unfinished=0), RequestCounts(counts=()))


@pytest.mark.parametrize("width", [80, 120])
def test_the_panel_keeps_its_height_and_fits_the_terminal(plan: Plan, facts: Facts, width: int) -> None:
    heights = set()
    for known in (_nothing(), facts):
        text = _rendered(panel(Moment("Watching", len(plan.files), known, 3.0)), width)
        heights.add(len(text.splitlines()))
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
    assert len(heights) == 1
    assert max(heights) < 20


def test_a_line_says_the_same_without_a_terminal(plan: Plan, facts: Facts) -> None:
    text = line(Moment("Watching", len(plan.files), facts, 3.0))
    assert "operations: 11 Failed, 189 Succeeded" in text
    assert "blobs: 189 loaded at once, 11 need a person" in text


def test_the_summary_names_every_error_code_and_its_first_file(plan: Plan, facts: Facts) -> None:
    file = io.StringIO()
    wrong = check_all(plan, with_book(facts, FIRST_CSV, rows=0))
    print_summary(Console(file=file, width=80), plan, facts, wrong, 60.0)
    text = file.getvalue()
    for trouble in troubles(facts):
        assert trouble.error_code in text
        assert trouble.paths[0].partition("/")[2] in text
    assert "1 of 6 checks failed." in text
    assert "…" not in text


def _rendered(what: object, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(what)
    return file.getvalue()
