"""The judgement of a soak: books that balance, and each way in which they might not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from local.adx_simulator import BlobBook, Books, RequestCounts, TableBook
from local.azurite import KEY
from local.soak.evidence import (
    Evidence,
    HostEnd,
    HostLog,
    SubmittedBlob,
    SubmittedOperation,
    has_drained,
)
from local.soak.fates import FATES, blob_faults
from local.soak.judgement import judge
from local.watch.facts import BlobFact, Facts, OperationFact

# Each blob with the operations that it was submitted with; the last of `flaky` and `refused` is a resubmission.
BLOBS = {
    "good": ("first",),
    "flaky-once": ("first", "again"),
    "refused": ("refused", "refused-again"),
    "permanent": ("given-up",),
    "exhausted": ("given-up",),
    "canceled": ("given-up",),
    "already-ingested": ("there",),
    "mending": ("there",),
    "bare": ("bare",),
}
ROWS = 3
LOADING = ("good", "flaky-once", "mending")


def path(name: str) -> str:
    return f"soak/{name}.1-0.csv"


def submitted(operation_id: str, *names: str, is_bare: bool = False) -> SubmittedOperation:
    fates = {"bare": "flaky-once"}
    blobs = tuple(SubmittedBlob(path(name), ROWS, fates.get(name, name)) for name in names)
    return SubmittedOperation(operation_id, "T", is_bare, blobs)


def operation(operation_id: str, state: str, parent: str = "") -> OperationFact:
    return OperationFact(operation_id, state, 2 if parent else 1, 3, parent or operation_id, parent)


def failed(
    operation_id: str, name: str, kind: str, retry_state: str = "", again: str = "", attempt: int = 1
) -> BlobFact:
    return BlobFact(
        operation_id,
        path(name),
        "Failed",
        attempt,
        failure_status=kind,
        retry_state=retry_state,
        retry_operation_id=again,
    )


def book(name: str) -> BlobBook:
    times = int(name in LOADING)
    return BlobBook(
        database="Soak",
        table="T",
        url=f"http://127.0.0.1:1/account/{path(name)}",
        submissions=len(BLOBS[name]),
        times_ingested=times,
        rows=ROWS * times,
        operations=BLOBS[name],
    )


def table(rows: int, *, repeated: int = 0) -> TableBook:
    return TableBook(
        database="Soak", table="T", rows=rows + repeated, distinct_rows=rows, repeated_rows=repeated, digest="", tags=()
    )


GIVEN_UP = [
    failed("given-up", "permanent", "Permanent"),
    failed("given-up", "exhausted", "Exhausted"),
    BlobFact("given-up", path("canceled"), "Canceled"),
]
FACTS = Facts(
    operations=(
        operation("first", "PartiallySucceeded"),
        operation("again", "Succeeded", "first"),
        operation("refused", "Failed"),
        operation("refused-again", "Failed", "refused"),
        operation("given-up", "Failed"),
        operation("there", "Succeeded"),
        operation("bare", "Failed"),
    ),
    blobs=(
        BlobFact("first", path("good"), "Succeeded"),
        failed("first", "flaky-once", "Transient", "Resubmitted", "again"),
        BlobFact("again", path("flaky-once"), "Succeeded", 2),
        failed("refused", "refused", "Transient", "Resubmitted", "refused-again"),
        failed("refused-again", "refused", "Transient", "AttemptsExhausted", attempt=2),
        *GIVEN_UP,
        replace(failed("there", "already-ingested", "Permanent"), error_code="Skipped_IngestByTagAlreadyExists"),
        BlobFact("there", path("mending"), "Succeeded", retry_state="Recovered"),
        failed("bare", "bare", "Transient", "NotResubmittable"),
    ),
    due=0,
    retries_waiting=0,
    messages_waiting=0,
    set_aside=2,
    books=Books(tables=(table(ROWS * len(LOADING)),), blobs=tuple(map(book, BLOBS)), unfinished=0),
    requests=RequestCounts(counts=()),
)
LOG = "".join(
    f"INFO poll_batch operation.settled: ended {row.state} (operation_id={row.operation_id} state={row.state})\n"
    for row in FACTS.operations
)
BALANCED = Evidence(
    submitted=(
        submitted("first", "good", "flaky-once"),
        submitted("refused", "refused"),
        submitted("given-up", "permanent", "exhausted", "canceled"),
        submitted("there", "already-ingested", "mending"),
        submitted("bare", "bare", is_bare=True),
    ),
    junk={"ingestion-operations": ("[1]", "[2]")},
    set_aside={"ingestion-operations": ("[2]", "[1]"), "ingestion-retries": ()},
    facts=FACTS,
    hosts=(HostLog("host-1-001", HostEnd.KILLED, LOG), HostLog("host-1-002", HostEnd.STOPPED, "")),
    deduplicate=True,
    max_attempts=2,
)


def troubles(evidence: Evidence) -> list[str]:
    return [check.found for check in judge(evidence) if not check.passed]


def with_facts(**changes: object) -> Evidence:
    return replace(BALANCED, facts=replace(FACTS, **changes))  # type: ignore[arg-type]  # a test's own choice


def with_row(old: str, **changes: object) -> Evidence:
    rows = [replace(row, **changes) if row.operation_id == old else row for row in FACTS.operations]  # type: ignore[arg-type]  # the same
    return with_facts(operations=tuple(rows))


def with_blob(operation_id: str, name: str, **changes: object) -> Evidence:
    found = [row for row in FACTS.blobs if (row.operation_id, row.path) == (operation_id, path(name))]
    assert len(found) == 1
    rows = [replace(row, **changes) if row in found else row for row in FACTS.blobs]  # type: ignore[arg-type]  # the same
    return with_facts(blobs=tuple(rows))


def with_book(name: str, *, more: int = 0, repeated: int = 0, **changes: object) -> Evidence:
    """Books in which ADX did something else with a blob, and its table has more rows, or some of them twice."""
    books = [replace(each, **changes) if f"/{name}." in each.url else each for each in FACTS.books.blobs]  # type: ignore[arg-type]  # the same
    tables = (table(ROWS * len(LOADING) + more, repeated=repeated),)
    return with_facts(books=Books(tables=tables, blobs=tuple(books), unfinished=0))


def with_log(text: str) -> Evidence:
    return replace(BALANCED, hosts=(*BALANCED.hosts, HostLog("host-2-001", HostEnd.STOPPED, f"a line\n{text}\n")))


def test_books_that_balance_pass_every_check() -> None:
    assert troubles(BALANCED) == []
    assert len(judge(BALANCED)) == 13
    assert has_drained(frozenset({"first", "refused", "given-up", "there", "bare"}), FACTS)


@pytest.mark.parametrize(
    ("evidence", "trouble"),
    [
        pytest.param(with_row("again", state="InProgress"), "again is InProgress", id="an operation without an end"),
        pytest.param(with_facts(operations=FACTS.operations[1:]), "first has no row", id="an operation that was lost"),
        pytest.param(
            with_facts(operations=(*FACTS.operations, FACTS.operations[0])), "first has 2 rows", id="two rows of one"
        ),
        pytest.param(
            with_facts(operations=(*FACTS.operations, operation("more", "Failed"))),
            "more was never submitted or posted",
            id="an operation out of nothing",
        ),
        pytest.param(
            with_row("first", state="Succeeded"), "first is Succeeded instead of PartiallySucceeded", id="a wrong state"
        ),
        pytest.param(with_facts(watched=1), "1 operations watched", id="watched still"),
        pytest.param(with_facts(due=1), "1 operations due", id="due still"),
        pytest.param(with_facts(retries_waiting=1), "1 messages in the retry queue", id="a retry left"),
        pytest.param(with_facts(messages_waiting=1), "1 messages in the other queues", id="a message left"),
        pytest.param(
            with_facts(books=replace(FACTS.books, unfinished=1)), "1 blobs unfinished in ADX", id="a blob on its way"
        ),
        pytest.param(
            replace(BALANCED, set_aside={"ingestion-operations": ("[1]",)}),
            "ingestion-operations lost '[2]'",
            id="junk lost",
        ),
        pytest.param(
            replace(BALANCED, set_aside={"ingestion-operations": ("[1]", "[2] ")}),
            "ingestion-operations lost '[2]'",
            id="junk changed",
        ),
        pytest.param(
            replace(BALANCED, set_aside={**BALANCED.set_aside, "ingestion-retries": ("{}",)}),
            "ingestion-retries set '{}' aside",
            id="a good message set aside",
        ),
        pytest.param(
            replace(BALANCED, set_aside={"ingestion-operations": ("[1]", "[2]", "[2]", "[2]")}),
            "2 kept more than once, with 1 kills",
            id="junk kept too often",
        ),
        pytest.param(with_facts(blobs=FACTS.blobs[1:]), f"{path('good')} of first has no row", id="a blob lost"),
        pytest.param(
            with_facts(blobs=(*FACTS.blobs, FACTS.blobs[0])), f"{path('good')} of first has 2 rows", id="a blob twice"
        ),
        pytest.param(
            with_facts(blobs=(*FACTS.blobs, BlobFact("first", path("else"), "Succeeded"))),
            f"{path('else')} of first was not submitted",
            id="a blob out of nothing",
        ),
        pytest.param(
            with_book("good", more=-ROWS, times_ingested=0, rows=0),
            f"{path('good')} brought 0 instead of 3",
            id="rows missing",
        ),
        pytest.param(
            with_book("permanent", more=ROWS, times_ingested=1, rows=ROWS),
            f"{path('permanent')} brought 3 instead of 0",
            id="rows of a blob that is not bound to load",
        ),
        pytest.param(
            with_book("good", repeated=3, times_ingested=2, rows=2 * ROWS),
            f"{path('good')}, 2 times",
            id="a blob loaded twice",
        ),
        pytest.param(with_book("good", repeated=1), "1 rows are in a table more than once", id="a row twice"),
        pytest.param(
            with_blob("given-up", "permanent", retry_state="Resubmitted"),
            f"{path('permanent')} of given-up is Resubmitted",
            id="Permanent re-enqueued",
        ),
        pytest.param(
            with_blob("given-up", "exhausted", retry_state="Enqueued"),
            f"{path('exhausted')} of given-up is Enqueued",
            id="Exhausted re-enqueued",
        ),
        pytest.param(
            with_blob("given-up", "exhausted", retry_state="NotResubmittable"),
            f"{path('exhausted')} of given-up is NotResubmittable",
            id="Exhausted re-enqueued, and refused then",
        ),
        pytest.param(
            with_book("exhausted", operations=("given-up", "somewhere"), submissions=2),
            f"{path('exhausted')} was submitted after given-up",
            id="Exhausted submitted again",
        ),
        pytest.param(
            with_book("good", operations=("first", "somewhere"), submissions=2),
            f"{path('good')} was submitted after first",
            id="loaded and submitted again",
        ),
        pytest.param(
            with_blob("given-up", "canceled", retry_state="Recovered"),
            f"{path('canceled')} of given-up is Recovered",
            id="canceled and yet recovered",
        ),
        pytest.param(
            with_blob("first", "flaky-once", retry_state=""),
            f"{path('flaky-once')} of first is left instead of Resubmitted",
            id="Transient not tried again",
        ),
        pytest.param(
            with_blob("first", "flaky-once", retry_state="AttemptsExhausted"),
            "is AttemptsExhausted instead of Resubmitted",
            id="given up before the limit",
        ),
        pytest.param(
            with_blob("first", "flaky-once", retry_operation_id="refused"),
            f"{path('flaky-once')} is not in refused, with which it was submitted again",
            id="submitted again with another operation",
        ),
        pytest.param(
            with_blob("refused-again", "refused", retry_state="Resubmitted", retry_operation_id="again"),
            "is Resubmitted instead of AttemptsExhausted",
            id="tried again beyond the limit",
        ),
        pytest.param(with_row("again", attempt=3), "again is attempt 3", id="an attempt beyond the limit"),
        pytest.param(
            with_row("again", attempt=1), "again is not the next attempt of first", id="an attempt counted wrongly"
        ),
        pytest.param(
            with_row("again", root_operation_id="again"),
            "again is not the next attempt of first",
            id="another root than its parent's",
        ),
        pytest.param(
            with_log("INFO poll_operations operation.settled: ended Failed (operation_id=first state=Failed)"),
            "first, 2 times",
            id="settled twice",
        ),
        pytest.param(with_log("ERROR - poll.failed: put off"), "poll.failed in line 2 of host-2-001", id="poll.failed"),
        pytest.param(with_log("Traceback (most recent call last):"), "a traceback in line 2", id="a traceback"),
        pytest.param(with_log("https://account/in/a.csv?sv=1&sig=abc"), "a signature of a URL in line 2", id="a SAS"),
        pytest.param(with_log(f"AccountKey={KEY}"), "the account's key in line 2", id="the key"),
        pytest.param(
            replace(BALANCED, hosts=(*BALANCED.hosts, HostLog("host-2-001", HostEnd.BY_ITSELF, "a line"))),
            "host-2-001",
            id="a host that ended by itself",
        ),
    ],
)
def test_books_that_do_not_balance_are_told(evidence: Evidence, trouble: str) -> None:
    found = troubles(evidence)
    assert any(trouble in each for each in found), found


def test_no_trouble_tells_a_secret() -> None:
    assert not any(KEY in found for found in troubles(with_log(f"AccountKey={KEY}")))


@pytest.mark.parametrize("change", [lambda text: text.upper(), lambda text: f"{text} "])
def test_junk_is_compared_byte_for_byte(change: Callable[[str], str]) -> None:
    posted = {"ingestion-operations": ('["a"]',)}
    kept = {"ingestion-operations": (change('["a"]'),)}
    assert troubles(replace(BALANCED, junk=posted, set_aside=posted)) == []
    assert troubles(replace(BALANCED, junk=posted, set_aside=kept))


def test_junk_may_be_kept_once_more_for_each_kill() -> None:
    kept = {"ingestion-operations": ("[1]", "[2]", "[2]")}
    assert troubles(replace(BALANCED, set_aside=kept)) == []


def test_without_deduplication_a_repeat_needs_an_operation_that_the_app_does_not_know() -> None:
    again = with_book("flaky-once", times_ingested=2, rows=2 * ROWS, repeated=ROWS)
    explained = with_book(
        "flaky-once",
        times_ingested=2,
        rows=2 * ROWS,
        repeated=ROWS,
        operations=("first", "lost", "again"),
        submissions=3,
    )
    assert troubles(replace(again, deduplicate=False)) == [f"1 unexplained: {path('flaky-once')}, 2 times"]
    assert troubles(replace(explained, deduplicate=False)) == []
    assert troubles(explained) != []


def test_it_has_not_drained_while_a_resubmission_is_unsettled() -> None:
    upstream = frozenset({"first"})
    for operations in (FACTS.operations[:1], (*FACTS.operations[:1], operation("again", "InProgress", "first"))):
        assert not has_drained(upstream, replace(FACTS, operations=operations))
    for what in ("watched", "due", "retries_waiting", "messages_waiting"):
        assert not has_drained(upstream, with_facts(**{what: 1}).facts)


def test_no_fault_of_one_fate_strikes_another() -> None:
    for fate in FATES:
        struck = [fault.kind for fault in blob_faults() if fault.url_contains in f"http://a/{path(fate.name)}"]
        assert struck == [kind for kind, _ in fate.faults]
