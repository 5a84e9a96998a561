"""The summary of a soak as Markdown, to be read in a terminal and pasted into a page."""

import os
import platform
from collections import Counter
from collections.abc import Iterable

from local.adx_simulator import BlobFault, RequestFault
from local.soak.evidence import Evidence
from local.soak.faults import name_of
from local.soak.plan import Plan
from local.soak.run import Outcome
from shared.model import ALREADY_INGESTED, RetryState

type Figure = tuple[str, object]


def markdown(plan: Plan, outcome: Outcome) -> str:
    """Returns the summary.

    Args:
        plan: How long and how hard it was.
        outcome: What came of it.
    """
    parts = [
        f"# {_verdict(outcome)}",
        _table("What it was", _setting(plan, outcome)),
        _table("What came of it", _results(outcome)),
        _table("States of operations", _sorted(Counter(row.state for row in outcome.evidence.facts.operations))),
        _checks(outcome),
        _table("Faults of requests, and how often each struck", _request_faults(outcome)),
        _table("Faults of blobs, by submissions struck", _blob_faults(outcome)),
        _table("Requests to ADX, by the status answered", _requests(outcome.evidence)),
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(outcome: Outcome) -> str:
    failed = sum(not check.passed for check in outcome.checks)
    if outcome.interrupted:
        return f"Soak stopped early; {failed} of {len(outcome.checks)} checks fail so far"
    if failed:
        return f"Soak failed: {failed} of {len(outcome.checks)} checks"
    return f"Soak: all {len(outcome.checks)} checks hold"


def _setting(plan: Plan, outcome: Outcome) -> list[Figure]:
    return [
        ("under faults", f"{outcome.strained_seconds:.0f} s"),
        ("seed", plan.seed),
        ("hosts at once", plan.hosts),
        ("RETRY_DEDUPLICATE", str(plan.deduplicate).lower()),
        ("machine", f"{os.process_cpu_count()} cores, {platform.system()} {platform.machine()}"),
        ("Python", platform.python_version()),
    ]


def _results(outcome: Outcome) -> list[Figure]:
    evidence, facts = outcome.evidence, outcome.evidence.facts
    blobs = [blob for each in evidence.submitted for blob in each.blobs]
    again = sum(row.attempt > 1 for row in facts.operations)
    skipped = sum(row.attempt > 1 and row.error_code == ALREADY_INGESTED for row in facts.blobs)
    retries = Counter(row.retry_state for row in facts.blobs)
    drained = "never" if outcome.drain_seconds is None else f"{outcome.drain_seconds:.0f} s"
    return [
        ("operations submitted by upstream", f"{len(evidence.submitted):,}"),
        ("operations of resubmissions", f"{again:,}"),
        ("blobs submitted by upstream", f"{len(blobs):,}"),
        ("rows of these that are bound to load", f"{_bound(evidence):,}"),
        ("rows ingested", f"{facts.books.rows:,}"),
        ("blobs ingested more than once", f"{len(facts.books.duplicates):,}"),
        ("submissions accepted whose answer never came or was never written down", f"{len(evidence.unknown):,}"),
        ("repeats that ADX skipped by their tag", f"{skipped:,}"),
        ("blobs resubmitted", f"{retries[RetryState.RESUBMITTED]:,}"),
        ("blobs mended by ADX and found so", f"{retries[RetryState.RECOVERED]:,}"),
        ("blobs with their attempts used up", f"{retries[RetryState.ATTEMPTS_EXHAUSTED]:,}"),
        ("blobs posted by a bare ID, so not resubmittable", f"{retries[RetryState.NOT_RESUBMITTABLE]:,}"),
        ("junk posted", f"{sum(map(len, evidence.junk.values())):,}"),
        ("hosts started", outcome.starts),
        ("hosts killed", evidence.kills),
        ("time to drain once the faults were off", drained),
    ]


def _bound(evidence: Evidence) -> int:
    return sum(each.expected_rows(blob) for each in evidence.submitted for blob in each.blobs)


def _checks(outcome: Outcome) -> str:
    rows = [("ok" if check.passed else "FAILED", f"{check.claim}: {_escaped(check.found)}") for check in outcome.checks]
    return _table("Checks", rows)


def _request_faults(outcome: Outcome) -> list[Figure]:
    return [(name_of(fault), times) for fault, times in outcome.struck if isinstance(fault, RequestFault)]


def _blob_faults(outcome: Outcome) -> list[Figure]:
    struck = Counter[str]()
    for fault, times in outcome.struck:
        if isinstance(fault, BlobFault):
            struck[fault.kind] += times
    return _sorted(struck)


def _requests(evidence: Evidence) -> list[Figure]:
    found = Counter[str]()
    for entry in evidence.facts.requests.counts:
        kind = f"{entry.kind} with details" if entry.details else entry.kind
        found[f"{kind}, {entry.status or 'no whole answer'}"] += entry.count
    return [(name, f"{count:,}") for name, count in sorted(found.items())]


def _sorted(counts: Counter[str]) -> list[Figure]:
    return [(name, f"{count:,}") for name, count in counts.most_common()]


def _table(title: str, rows: Iterable[Figure]) -> str:
    return "\n".join([f"| {title} | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
