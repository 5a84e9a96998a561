"""The judgement at the end of a soak: whether the books balance. Pure functions of what is known."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from local.azurite import KEY
from local.soak.evidence import Evidence, HostEnd, HostLog, operations_in
from local.watch.checks import Check, figures
from local.watch.facts import BlobFact, OperationFact, path_of
from shared.model import ALREADY_INGESTED, BlobStatus, FailureStatus, OperationState, RetryState

# What no log may say, and how that is told: a secret itself must not be.
UNWANTED = {
    "poll.failed": "poll.failed",
    "poll.not_storable": "poll.not_storable",
    "polls.overran": "polls.overran",
    "Traceback": "a traceback",
    "sig=": "a signature of a URL",
    KEY: "the account's key",
}
SETTLED = re.compile(r"operation\.settled: .*?\(operation_id=(\S+)")
LONGEST_LINE = 160


def judge(evidence: Evidence) -> list[Check]:
    """Returns all that has to hold, with whether it does.

    Args:
        evidence: What is known in the end.
    """
    return [
        _all_ended(evidence),
        _states_agree(evidence),
        _nothing_waits(evidence),
        _junk_is_kept(evidence),
        _all_recorded(evidence),
        _rows_agree(evidence),
        _none_twice(evidence),
        _nothing_else_is_tried_again(evidence),
        _all_transient_are_tried_again(evidence),
        _attempts_are_within_the_limit(evidence),
        _none_settled_twice(evidence),
        _logs_are_clean(evidence),
        _hosts_lived(evidence),
    ]


def _all_ended(evidence: Evidence) -> Check:
    facts = evidence.facts
    expected = operations_in(frozenset(each.operation_id for each in evidence.submitted), facts)
    rows = Counter(row.operation_id for row in facts.operations)
    wrong = [f"{each} has no row" for each in sorted(expected - rows.keys())]
    wrong += [f"{each} has {rows[each]} rows" for each in sorted(rows) if rows[each] > 1]
    wrong += [f"{each} was never submitted or posted" for each in sorted(rows.keys() - expected)]
    wrong += [f"{row.operation_id} is {row.state}" for row in facts.operations if not row.has_ended]
    claim = "every operation, upstream's and the app's own, has one row in a final state"
    return Check(claim, bool(expected) and not wrong, figures(len(expected), wrong, "not so"))


def _states_agree(evidence: Evidence) -> Check:
    blobs = defaultdict(list)
    for row in evidence.facts.blobs:
        blobs[row.operation_id].append(row)
    wrong = [
        f"{row.operation_id} is {row.state} instead of {expected}"
        for row in evidence.facts.operations
        if row.state != (expected := _state_of(blobs[row.operation_id]))
    ]
    claim = "every operation's State is what its blobs make it"
    return Check(claim, not wrong, figures(len(evidence.facts.operations), wrong, "are not"))


def _state_of(rows: Sequence[BlobFact]) -> str:
    if not rows:
        return "without blobs"
    loaded = sum(map(_has_loaded, rows))
    if loaded:
        return OperationState.SUCCEEDED if loaded == len(rows) else OperationState.PARTIALLY_SUCCEEDED
    is_canceled = all(row.status == BlobStatus.CANCELED for row in rows)
    return OperationState.CANCELED if is_canceled else OperationState.FAILED


def _nothing_waits(evidence: Evidence) -> Check:
    facts = evidence.facts
    left = [
        f"{count} {what}"
        for count, what in (
            (facts.watched, "operations watched"),
            (facts.due, "operations due"),
            (facts.retries_waiting, "messages in the retry queue"),
            (facts.messages_waiting, "messages in the other queues"),
            (facts.waiting - facts.due - facts.retries_waiting - facts.messages_waiting, "blobs Pending or Enqueued"),
            (facts.books.unfinished, "blobs unfinished in ADX"),
        )
        if count
    ]
    return Check("nothing is watched any more, and the queues are empty", not left, ", ".join(left) or "0 left")


def _junk_is_kept(evidence: Evidence) -> Check:
    wrong = []
    repeated = 0
    for queue in sorted(evidence.junk.keys() | evidence.set_aside.keys()):
        posted, kept = Counter(evidence.junk.get(queue, ())), Counter(evidence.set_aside.get(queue, ()))
        wrong += [f"{queue} lost {text!r}" for text in posted if text not in kept]
        wrong += [f"{queue} set {text[:LONGEST_LINE]!r} aside" for text in kept if text not in posted]
        repeated += sum((kept - posted).values()) if kept.keys() <= posted.keys() else 0
    # Killed between keeping a message and deleting it, a host leaves it to be kept once more.
    if repeated > evidence.kills:
        wrong.append(f"{repeated} kept more than once, with {evidence.kills} kills")
    total = sum(map(len, evidence.junk.values()))
    once_more = f", {repeated} of them once more after a kill" if repeated else ""
    claim = "the poison queues hold the junk, byte for byte, and nothing else"
    return Check(claim, not wrong, figures(total, wrong, "wrong") + ("" if wrong else once_more))


def _all_recorded(evidence: Evidence) -> Check:
    rows = Counter((row.operation_id, row.path) for row in evidence.facts.blobs)
    submitted = {(operation, path) for operation, path in evidence.facts.submissions if operation in evidence.known}
    submitted |= {(each.operation_id, blob.path) for each in evidence.submitted for blob in each.blobs}
    wrong = [f"{path} of {operation} has no row" for operation, path in sorted(submitted - rows.keys())]
    wrong += [f"{path} of {operation} was not submitted" for operation, path in sorted(rows.keys() - submitted)]
    wrong += [f"{path} of {operation} has {count} rows" for (operation, path), count in rows.items() if count > 1]
    claim = "every blob of every operation has one row"
    return Check(claim, bool(submitted) and not wrong, figures(len(submitted), wrong, "not so"))


def _rows_agree(evidence: Evidence) -> Check:
    """The rows of each blob, once; that none is there more often is a check of its own."""
    books = {path_of(book.url): book for book in evidence.facts.books.blobs}
    expected = found = 0
    wrong = []
    for operation in evidence.submitted:
        for blob in operation.blobs:
            bound = operation.expected_rows(blob)
            book = books.get(blob.path)
            rows = book.rows // max(book.times_ingested, 1) if book else 0
            expected, found = expected + bound, found + rows
            if rows != bound:
                wrong.append(f"{blob.path} brought {rows} instead of {bound}")
    distinct = sum(table.distinct_rows for table in evidence.facts.books.tables)
    if distinct != expected:
        wrong.append(f"the tables hold {distinct:,} different rows instead of {expected:,}")
    told = figures(found, wrong, "wrong") if wrong else f"{expected:,} expected, {found:,} ingested"
    return Check("the rows in ADX are those of the blobs that are bound to load", bool(expected) and not wrong, told)


def _none_twice(evidence: Evidence) -> Check:
    books = evidence.facts.books
    repeated = sum(table.repeated_rows for table in books.tables)
    twice = [f"{path_of(book.url)}, {book.times_ingested} times" for book in books.duplicates]
    if evidence.deduplicate:
        rows = [f"{repeated:,} rows are in a table more than once"] if repeated else []
        told = figures(sum(book.times_ingested > 0 for book in books.blobs), twice + rows, "loaded more than once")
        return Check("no row was ingested twice", not twice and not repeated, told)
    unexplained = [
        f"{path_of(book.url)}, {book.times_ingested} times"
        for book in books.duplicates
        if book.times_ingested - 1 > sum(each in evidence.unknown for each in book.operations)
    ]
    claim = "ADX has an operation that the app can't know of for each time that a blob was ingested again"
    told = f"{len(twice)} ingested again" if not unexplained else figures(len(twice), unexplained, "unexplained")
    return Check(claim, not unexplained, told)


def _nothing_else_is_tried_again(evidence: Evidence) -> Check:
    """What is Permanent, Exhausted, Unknown, canceled or loaded was neither re-enqueued nor submitted later."""
    later = _later_submissions(evidence)
    ended = [row for row in evidence.facts.blobs if not _is_transient(row)]
    wrong = [f"{row.path} of {row.operation_id} is {row.retry_state}" for row in ended if _was_enqueued(row)]
    again = [row for row in ended if later[row.operation_id, row.path]]
    wrong += [f"{row.path} was submitted after {row.operation_id}" for row in again]
    kinds = Counter(row.failure_status for row in ended if row.failure_status and not _has_loaded(row))
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    claim = "nothing but a Transient failure was tried again"
    return Check(claim, not wrong, figures(len(ended), wrong, "were") if wrong else f"{told}: 0 of them")


def _was_enqueued(row: BlobFact) -> bool:
    # Recovered: it was Transient, and ADX mended it before it was submitted. No blob of a soak turns into what is not
    # Transient, so NotResubmittable says that it was enqueued as it is.
    return row.retry_state not in ({RetryState.NONE, RetryState.RECOVERED} if _has_loaded(row) else {RetryState.NONE})


def _later_submissions(evidence: Evidence) -> defaultdict[tuple[str, str], int]:
    """How often ADX was given a blob after each operation that it was in."""
    later: defaultdict[tuple[str, str], int] = defaultdict(int)
    for book in evidence.facts.books.blobs:
        for place, operation in enumerate(book.operations, start=1):
            later[operation, path_of(book.url)] = len(book.operations) - place
    return later


def _all_transient_are_tried_again(evidence: Evidence) -> Check:
    recorded = {(row.operation_id, row.path) for row in evidence.facts.blobs}
    transient = [row for row in evidence.facts.blobs if _is_transient(row)]
    wrong = []
    for row in transient:
        expected = _expected_retry(row, evidence)
        if row.retry_state != expected:
            wrong.append(f"{row.path} of {row.operation_id} is {row.retry_state or 'left'} instead of {expected}")
        elif expected == RetryState.RESUBMITTED and (row.retry_operation_id, row.path) not in recorded:
            wrong.append(f"{row.path} is not in {row.retry_operation_id}, with which it was submitted again")
    kinds = Counter(row.retry_state for row in transient)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    claim = "every Transient failure under the limit was submitted again, if its message allows that"
    return Check(claim, not wrong, figures(len(transient), wrong, "not so") if wrong else told or "none")


def _expected_retry(row: BlobFact, evidence: Evidence) -> RetryState:
    if row.attempt >= evidence.max_attempts:
        return RetryState.ATTEMPTS_EXHAUSTED
    return RetryState.NOT_RESUBMITTABLE if row.operation_id in evidence.bare else RetryState.RESUBMITTED


def _attempts_are_within_the_limit(evidence: Evidence) -> Check:
    rows = {row.operation_id: row for row in evidence.facts.operations}
    upstream = {each.operation_id for each in evidence.submitted}
    beyond = [row for row in rows.values() if row.attempt > evidence.max_attempts]
    wrong = [f"{row.operation_id} is attempt {row.attempt}" for row in beyond]
    wrong += [
        f"{row.operation_id} is not the next attempt of {row.parent_operation_id or 'any'}"
        for row in rows.values()
        if not _descends(row, rows.get(row.parent_operation_id), is_first=row.operation_id in upstream)
    ]
    most = max((row.attempt for row in rows.values()), default=0)
    claim = f"no blob was submitted more than {evidence.max_attempts} times, and each attempt names the one before"
    return Check(claim, not wrong, figures(most, wrong, "wrong") if wrong else f"{most} at the most")


def _descends(row: OperationFact, parent: OperationFact | None, *, is_first: bool) -> bool:
    if is_first:
        return row.attempt == 1 and row.root_operation_id == row.operation_id
    return parent is not None and (row.attempt, row.root_operation_id) == (parent.attempt + 1, parent.root_operation_id)


def _none_settled_twice(evidence: Evidence) -> Check:
    settled = settled_operations(evidence.hosts)
    wrong = [f"{each}, {count} times" for each, count in settled.items() if count > 1]
    return Check("no operation was settled twice, say the logs", not wrong, figures(len(settled), wrong, "were"))


def settled_operations(hosts: Iterable[HostLog]) -> Counter[str]:
    """Returns how often the logs tell of each operation's end.

    Args:
        hosts: The hosts.
    """
    return Counter(found for host in hosts for found in SETTLED.findall(host.text))


def _logs_are_clean(evidence: Evidence) -> Check:
    wrong = []
    total = 0
    for host in evidence.hosts:
        for number, line in enumerate(host.text.splitlines(), start=1):
            wrong += [f"{what} in line {number} of {host.name}" for text, what in UNWANTED.items() if text in line]
            total += 1
    claim = "the logs have no fault of polling, no traceback and no secret"
    return Check(claim, bool(total) and not wrong, figures(total, wrong, "found") if wrong else f"{total:,} lines")


def _hosts_lived(evidence: Evidence) -> Check:
    wrong = [host.name for host in evidence.hosts if host.end is HostEnd.BY_ITSELF]
    ends = Counter(host.end for host in evidence.hosts)
    told = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    claim = "no host ended by itself"
    return Check(claim, bool(ends) and not wrong, figures(len(ends), wrong, "did") if wrong else told)


def _is_transient(row: BlobFact) -> bool:
    return row.status == BlobStatus.FAILED and row.failure_status == FailureStatus.TRANSIENT


def _has_loaded(row: BlobFact) -> bool:
    return row.status == BlobStatus.SUCCEEDED or row.error_code == ALREADY_INGESTED
