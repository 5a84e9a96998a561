"""Prints the summary at the end, for somebody who has never seen it."""

import json
import sys
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from local.demo.data import DATA_SETS
from local.demo.facts import Outcome, count_outcomes, count_states
from local.demo.plan import REFUSED, Fate, Plan
from local.demo.report import TableRows, rows_by_table, troubles
from local.demo.stage import DATABASE, Stage
from local.demo.upstream import JOB, container_url
from local.watch.checks import Check, exit_status
from local.watch.facts import Facts
from local.watch.watcher import OPERATIONS_QUEUE, RETRY_QUEUE

TABLES = "IngestionOperations, IngestionBlobs, OutstandingOperations"
LOG_LINES = 15
INDENT = (0, 0, 0, 2)
WIDE = 110
LONGEST_NAME = 24
DIM = "bright_black"


def print_summary(console: Console, plan: Plan, facts: Facts, checks: Sequence[Check], seconds: float) -> None:
    """Prints what went in, what became of it, and whether all is as it should be.

    Args:
        console: Where to.
        plan: What went in.
        facts: What is known at the end.
        checks: What has to hold.
        seconds: How long it took.
    """
    _print_input(console, plan, facts)
    _print_outcome(console, plan, facts)
    _print_troubles(console, facts)
    _print_rows(console, rows_by_table(plan, facts))
    _print_checks(console, checks)
    asked = facts.requests
    _print_counted(
        console,
        "What it took",
        [
            (round(seconds), "seconds, once the parts had started"),
            (asked.count("status", details=False), "polls"),
            (asked.count(), "requests to ADX"),
            (asked.count("status"), "  for status, these polls and requests for details"),
            (asked.count("submit"), "  to submit"),
            (_refused(facts), "  answered with an error: 429, 503, a gateway's page"),
        ],
    )
    passed = exit_status(checks) == 0
    verdict = (
        f"\nAll {len(checks)} checks hold."
        if passed
        else f"\n{sum(not check.passed for check in checks)} of {len(checks)} checks failed."
    )
    console.print(verdict, style="bold green" if passed else "bold red")


def print_failure(console: Console, stage: Stage) -> None:
    """Prints the end of the host's log, and where all of it is.

    Args:
        console: Where to.
        stage: The parts.
    """
    stage.save_log()
    console.print(f"\nThe last lines of the app's log, {stage.log}:", style="bold")
    for line in stage.host.output().splitlines()[-LOG_LINES:]:
        console.print(f"  {line}", soft_wrap=True, markup=False)


def print_addresses(console: Console, stage: Stage) -> None:
    """Prints where everything is that keeps running.

    Args:
        console: Where to.
        stage: The parts.
    """
    storage, data_set = stage.azurite, DATA_SETS[0]
    lines = {
        "The dashboard, in a browser": stage.page,
        "Storage, for Storage Explorer or the az command line": storage.connection_string,
        f"Tables {TABLES}": storage.table_endpoint,
        f"Queues {OPERATIONS_QUEUE} (post here), {RETRY_QUEUE}": storage.queue_endpoint,
        f"Blobs {', '.join(each.container for each in DATA_SETS)}": storage.blob_endpoint,
        "ADX, simulated": stage.adx.uri,
        "The rows that it holds, and how often each blob was loaded": f"{stage.adx.uri}/simulator/books",
        "The app's log": str(stage.log),
    }
    console.print("\nEverything keeps running", style="bold")
    for what, where in lines.items():
        console.print(f"  {what}", style=DIM)
        console.print(f"    {where}", soft_wrap=True, markup=False)
    message = json.dumps({"operationId": "ID", "database": DATABASE, "table": data_set.table})
    console.print("\nGo on from another terminal, in this folder", style="bold")
    for line in (
        f"export KUSTO_INGEST_URI='{stage.adx.uri}'",
        f"export IngestionStorage='{storage.connection_string}'",
        "# submit a container once more, and have it watched",
        f"{sys.executable} {JOB} '{container_url(stage, data_set)}' {DATABASE} Again {data_set.format}",
        f"# or post a message of your own to {OPERATIONS_QUEUE}, such as {message}",
        "# read a table with the az command line",
        'az storage entity query --connection-string "$IngestionStorage" --table-name IngestionOperations',
    ):
        console.print(f"  {line}", soft_wrap=True, markup=False)
    console.print("\nTry again what was given up", style="bold")
    console.print(
        "  What ADX refused, it takes by now: open one of these operations in the dashboard, and redrive it.", style=DIM
    )
    for file in REFUSED:
        console.print(f"    {file}", markup=False)
    console.print("\nCtrl-C stops everything", style="bold")


def _print_input(console: Console, plan: Plan, facts: Facts) -> None:
    fates = Counter(file.treatment.fate for file in plan.files)
    rows = sum(file.rows for file in plan.files)
    packed = sum(file.name.endswith(".gz") for file in plan.files)
    upstream = sum(row.attempt == 1 for row in facts.operations)
    counted = [
        (len(plan.files), f"files, {packed} of them gzipped, with {rows:,} rows of {len(DATA_SETS)} data sets"),
        *((fates[fate], f"  {fate}") for fate in Fate),
        (upstream, f"operations submitted for them, mostly by {JOB}"),
    ]
    _print_counted(console, "What went in", counted)


def _print_outcome(console: Console, plan: Plan, facts: Facts) -> None:
    states, outcomes = count_states(facts), count_outcomes(facts, len(plan.files))
    again = sum(row.attempt > 1 for row in facts.operations)
    operations = [
        (states.total(), f"operations, {again} of them to submit again what was worth it"),
        *((number, f"  {state}") for state, number in states.most_common()),
    ]
    files = [
        (len(plan.files), "files"),
        *((outcomes[outcome], f"  {outcome}") for outcome in Outcome if outcomes[outcome]),
    ]
    _print_counted(console, "What became of it", operations)
    console.print("          (a state stays when failed files load in a later operation)", style=DIM)
    _print_counted(console, "", files)
    console.print("          (a failure that ADX mends at once may pass unseen)", style=DIM)


def _print_counted(console: Console, title: str, counted: Sequence[tuple[int, str]]) -> None:
    if title:
        console.print(f"\n{title}", style="bold")
    for number, what in counted:
        console.print(f"  {number:>4}  {what}")


def _print_troubles(console: Console, facts: Facts) -> None:
    found = troubles(facts)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="red", min_width=max((len(trouble.error_code) for trouble in found), default=0))
    grid.add_column(min_width=LONGEST_NAME)
    if console.width >= WIDE:
        grid.add_column(no_wrap=True, overflow="ellipsis", style=DIM)
    for trouble in found:
        first = trouble.paths[0].rpartition("/")[2]
        more = f" +{len(trouble.paths) - 1}" if len(trouble.paths) > 1 else ""
        grid.add_row(trouble.error_code, first + more, *([trouble.details] if console.width >= WIDE else []))
    console.print(Padding(grid, (0, 0, 0, 10), expand=False))


def _print_rows(console: Console, tables: Sequence[TableRows]) -> None:
    console.print("\nThe rows, counted in the files and in ADX", style="bold")
    grid = Table.grid(padding=(0, 3))
    grid.add_column(no_wrap=True)
    for _ in range(4):
        grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    grid.add_row("table", "files", "loadable", "rows in those", "rows in ADX", "", style=DIM)
    for row in tables:
        grid.add_row(row.table, *_figures(row), _mark(passed=row.agrees))
    total = TableRows(
        table="together",
        files=sum(row.files for row in tables),
        loadable=sum(row.loadable for row in tables),
        expected=sum(row.expected for row in tables),
        found=sum(row.found for row in tables),
    )
    grid.add_row(total.table, *_figures(total), _mark(passed=total.agrees), style="bold")
    console.print(Padding(grid, INDENT, expand=False))


def _figures(row: TableRows) -> tuple[str, str, str, str]:
    return f"{row.files}", f"{row.loadable}", f"{row.expected:,}", f"{row.found:,}"


def _print_checks(console: Console, checks: Sequence[Check]) -> None:
    console.print("\nChecks", style="bold")
    for check in checks:
        text = Text("  ").append(_mark(passed=check.passed)).append(f" {check.claim}")
        console.print(text.append(f" ({check.found})") if check.passed and check.found else text)
        if not check.passed:
            console.print(Padding(Text(check.found, style="red"), (0, 0, 0, 4), expand=False))


def _mark(*, passed: bool) -> Text:
    return Text("✓", style="green") if passed else Text("✗", style="bold red")


def _refused(facts: Facts) -> int:
    return sum(entry.count for entry in facts.requests.counts if not 200 <= entry.status < 300)  # noqa: PLR2004, HTTP
