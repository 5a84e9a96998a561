"""What is to be done with a blob of a retry message, and under which properties: pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from shared.messages import RetryBlob, RetryMessage
from shared.model import BlobReport, BlobSource, Operation, Properties, RetryState, blob_tag
from shared.records import BlobRow
from shared.settings import Polling, Retrying

LEAST_PUT_BACKS = 10
"""How often a message is put back before it is given up, however old it is."""

OPEN = frozenset({RetryState.PENDING, RetryState.ENQUEUED})
"""The retry of a blob has not ended."""


class Action(Enum):
    """What is to be done with a blob of a retry message. ``MISSING`` waits too: ADX says nothing of the blob."""

    NOTHING = auto()
    WAIT = auto()
    MISSING = auto()
    SUBMIT = auto()
    EXHAUST = auto()
    REFUSE = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with a blob, and why if it is refused."""

    action: Action
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that decide over a retry."""

    retrying: Retrying
    polling: Polling


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision depends on beside the blob itself.

    ``shown`` has the blobs of ADX's answer by the keys of their rows, and is empty where ADX does not know the
    operation. ``is_running``: by its counts something is in progress, whatever the blobs say.
    """

    now: datetime
    shown: Mapping[str, BlobReport]
    is_running: bool
    rules: Rules


def is_given_up(message: RetryMessage, now: datetime, polling: Polling) -> bool:
    """Whether a message that can't be seen to has gone round for long enough.

    By its age and by how often it was put back: after a pause of the whole app the first hold-up is not the last word.
    """
    return now - message.enqueued_at >= polling.tracking_timeout and message.put_backs >= LEAST_PUT_BACKS


def decide(row: BlobRow, blob: RetryBlob, message: RetryMessage, around: Circumstances) -> Decision:
    """What is to be done with a blob of a retry message, given what ADX just said of it."""
    # A message from before a redrive has no say in it: what it is submitted with is the person's choice.
    is_outdated = row.redriven_at is not None and message.redriven_by is None
    if row.retry_state not in OPEN or is_outdated:
        return Decision(Action.NOTHING)
    current = around.shown.get(row.key)
    if current is None and not around.is_running:
        missing = around.now - (message.missing_since or around.now)
        if missing < around.rules.polling.not_found_grace:
            return Decision(Action.MISSING)
        current = row.report
    if current is None or not current.is_final:
        return _wait_if_not_given_up(current, message, around)
    # A person has taken it up although the app had given it up: neither the kind of failure nor the attempts count.
    if row.redriven_at is None or not current.has_failed:
        if not current.is_transient:
            return Decision(Action.REFUSE, f"it is {current.failure or current.status} by now")
        if message.attempt >= around.rules.retrying.max_attempts:
            return Decision(Action.EXHAUST)
    return _submit_if_possible(row, blob, message, around.now)


def _wait_if_not_given_up(current: BlobReport | None, message: RetryMessage, around: Circumstances) -> Decision:
    polling = around.rules.polling
    if is_given_up(message, around.now, polling):
        return Decision(Action.REFUSE, f"the service has not been done with it for {polling.tracking_timeout}")
    return Decision(Action.MISSING if current is None else Action.WAIT)


def _submit_if_possible(row: BlobRow, blob: RetryBlob, message: RetryMessage, now: datetime) -> Decision:
    if not (message.properties or {}).get("format"):
        reason = "the operation's message had no 'properties' with a 'format', or too large ones for a retry message"
        return Decision(Action.REFUSE, reason)
    if not blob.url:
        reason = "its URL is not known, or too long: ADX gave none, and the operation's message named none"
        return Decision(Action.REFUSE, reason)
    if row.claimed_until is not None and row.claimed_until > now:
        return Decision(Action.WAIT)
    return Decision(Action.SUBMIT)


def resubmission_properties(properties: Properties, tag: str | None) -> Properties:
    """The properties of a resubmission.

    ``ingestIfNotExists`` of the first submission is left out: its tag covers a whole request, and if any blob of that
    succeeded, the rest would be skipped, that is lost. With ``tag``, one blob's own, repeating becomes safe.
    """
    kept = {name: value for name, value in properties.items() if name.lower() != "ingestifnotexists"}
    if tag is None:
        return kept
    name = next((name for name in kept if name.lower() == "tags"), "tags")
    tags = kept.get(name)
    others = tags if isinstance(tags, list) else [tags] if tags else []
    return {**kept, name: [*others, f"ingest-by:{tag}"], "ingestIfNotExists": [tag]}


def deduplication_tag(message: RetryMessage, source: BlobSource, blob: RetryBlob) -> str:
    """A tag for the blob within all attempts of its root operation: each submits it under the same ``sourceId``."""
    operation = message.operation
    root = Operation(operation.cluster, operation.database, operation.table, message.root_operation_id)
    return f"{root.key}-{blob_tag(source.source_id or '', blob.url or '')}"
