"""What has become of the files so far, made of what is known at one moment: no I/O."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from local.watch.facts import BlobFact, Facts, path_of
from shared.model import ALREADY_INGESTED, BlobStatus, RetryState


class Outcome(StrEnum):
    """What has become of a file so far, in the words of the screen."""

    LOADED = "loaded at once"
    RETRIED = "tried again and loaded"
    RECOVERED = "mended by ADX itself"
    PERSON = "need a person"
    WAITING = "waiting for their next try"
    WITH_ADX = "with ADX"
    UPSTREAM = "not submitted yet"


LOADED = frozenset({Outcome.LOADED, Outcome.RETRIED, Outcome.RECOVERED})


def latest_rows(blobs: Iterable[BlobFact]) -> dict[str, BlobFact]:
    """Returns each file's row of its last attempt, by its path.

    Args:
        blobs: The rows.
    """
    return {row.path: row for row in sorted(blobs, key=lambda row: row.attempt)}


def outcome_of(row: BlobFact | None) -> Outcome:
    """Returns what has become of a file that was submitted.

    Args:
        row: Its row of the last attempt; None if the app has not written one yet.
    """
    if row is None:
        return Outcome.WITH_ADX
    if row.status == BlobStatus.SUCCEEDED or row.error_code == ALREADY_INGESTED:
        if row.retry_state == RetryState.RECOVERED:
            return Outcome.RECOVERED
        return Outcome.LOADED if row.attempt == 1 else Outcome.RETRIED
    if row.retry_state in (RetryState.PENDING, RetryState.ENQUEUED):
        return Outcome.WAITING
    if row.status in (BlobStatus.FAILED, BlobStatus.CANCELED) and row.retry_state != RetryState.RESUBMITTED:
        return Outcome.PERSON
    return Outcome.WITH_ADX


def outcomes(facts: Facts) -> dict[str, Outcome]:
    """Returns what has become of each file that was submitted, by its path.

    Args:
        facts: What is known.
    """
    rows = latest_rows(facts.blobs)
    return {path: outcome_of(rows.get(path)) for path in sorted({path_of(blob.url) for blob in facts.books.blobs})}


def count_outcomes(facts: Facts, total: int) -> Counter[Outcome]:
    """Returns how many files there are of each outcome.

    Args:
        facts: What is known.
        total: How many there are in all, those not submitted yet too.
    """
    counts = Counter(outcomes(facts).values())
    counts[Outcome.UPSTREAM] = total - counts.total()
    return counts


def count_states(facts: Facts) -> Counter[str]:
    """Returns how many operations there are of each state.

    Args:
        facts: What is known.
    """
    return Counter(row.state for row in facts.operations)
