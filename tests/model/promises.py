"""The guarantee of docs/reliability.md, sentence by sentence, as checks of what is stored and what happened."""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from samples.results import latest_by_operation
from tests.model.world import (
    BASE_DELAY,
    MAX_ATTEMPTS,
    MAX_DELAY,
    OPERATIONS,
    POLLS,
    RETRIES,
    World,
    operation_id_of,
)
from tests.support.list_rows import check_list_rows, list_rows_of

type Row = Mapping[str, Any]

_LONGEST_RETRY_AFTER = timedelta(minutes=5)
_WAITING = ("Pending", "Enqueued")


def an_operation_is_watched_until_it_ends(world: World) -> None:
    """Every accepted operation ends in a final state; until then it has one due row and one with its message.

    Its row says InProgress from right before: until then its message, or the retry's that it comes of, stays.
    """
    due, messages = _outstanding(world)
    assert due == messages, "one due row and one message row an operation"
    assert set(due.values()) <= {1}
    waiting = _waiting(world)
    for row in world.table("IngestionOperations").rows():
        if row["State"] == "InProgress" and world.operation(row["OperationId"]).key not in due:
            assert {row["OperationId"], row.get("ParentOperationId")} & waiting, row["OperationId"]
    known = {row["OperationId"] for row in world.table("IngestionOperations").rows()}
    assert world.ledger.registered <= known, "a message that was handled has its operation's row"


def a_final_state_stays(world: World, before: Mapping[str, Row]) -> None:
    """… a final state, which changes afterwards only when a blob turns out Recovered."""
    recovered = {row["PartitionKey"] for row in blob_rows(world) if row["RetryState"] == "Recovered"}
    for operation_id, row in operation_rows(world).items():
        old = before.get(operation_id)
        if old is None or old["State"] == "InProgress":
            continue
        columns = ("State", "SettledAt", "Succeeded", "Failed", "InProgress", "Canceled")
        changed = [column for column in columns if old.get(column) != row.get(column)]
        if not changed:
            continue
        assert world.operation(operation_id).key in recovered, f"{operation_id}: {changed} changed after its end"
        assert row["State"] != "InProgress"
        assert row["SettledAt"] == old["SettledAt"]
        assert row["Succeeded"] >= old["Succeeded"], f"{operation_id}: fewer succeeded than before"


def an_end_is_told_before_it_is_let_go(world: World) -> None:
    """Each settled operation has news on each channel once it is watched no more, and each end one ID."""
    due, _ = _outstanding(world)
    ended = {operation_id for operation_id, row in operation_rows(world).items() if row["State"] != "InProgress"}
    let_go = {operation_id for operation_id in ended if world.operation(operation_id).key not in due}
    for channel, news in world.news().items():
        settled = [each for each in news if each["event"] == "settled"]
        assert let_go <= {each["operationId"] for each in settled}, f"an end that the {channel} was not told of"
        assert {each["operationId"] for each in news} <= ended, f"the {channel} was told of what has not ended"
        ids = {each["eventId"]: each["operationId"] for each in settled}
        assert len(set(ids.values())) == len(ids), f"an end has two IDs on the {channel}"
        others = {each["eventId"] for each in news if each["event"] == "corrected"}
        assert not others & ids.keys(), "a correction has the ID of an end"


def who_was_told_knows_how_it_ended(world: World) -> None:
    """Whoever takes each ID once, the first time that it comes, knows the state and counts that are stored."""
    rows = operation_rows(world)
    for channel, news in world.news().items():
        first: dict[str, Row] = {}
        for each in news:
            first.setdefault(each["eventId"], each)
        latest = latest_by_operation(first.values())
        for operation_id, row in rows.items():
            told = latest[operation_id]
            counts = [told["blobs"][name] for name in ("succeeded", "failed", "inProgress", "canceled")]
            stored = [row[name] for name in ("Succeeded", "Failed", "InProgress", "Canceled")]
            assert (told["state"], counts) == (row["State"], stored), f"the {channel} was told otherwise"


def a_state_says_what_the_blobs_say(world: World) -> None:
    """``State``: exactly one of Succeeded, PartiallySucceeded, Failed, Canceled by the blobs' counts."""
    for operation_id, row in operation_rows(world).items():
        if row["State"] in ("InProgress", "NotFound", "TimedOut"):
            continue
        succeeded, failed, canceled = row["Succeeded"], row["Failed"], row["Canceled"]
        total = succeeded + failed + canceled
        assert row["InProgress"] == 0, f"{operation_id} has ended with blobs in progress"
        assert total == len(world.adx.operations[operation_id].blobs), f"{operation_id} ended before all were seen"
        expected = (
            "Succeeded"
            if succeeded == total
            else "PartiallySucceeded"
            if succeeded
            else "Failed"
            if failed
            else "Canceled"
        )
        assert row["State"] == expected


def what_adx_reported_is_written_down(world: World) -> None:
    """Every blob that ADX reported is in ``IngestionBlobs``, once."""
    names = Counter(found for row in blob_rows(world) if (found := name_of(world, row)) is not None)
    assert set(names.values()) <= {1}, "a blob has one row"
    assert world.ledger.owed <= names.keys(), f"not written down: {world.ledger.owed - names.keys()}"


def a_transient_failure_is_on_its_way(world: World) -> None:
    """Every Transient failure under its attempt limit is re-enqueued and nothing else is, ever."""
    carried = _carried(world)
    due, _ = _outstanding(world)
    for row in blob_rows(world):
        state, attempt = row["RetryState"], row["Attempt"]
        name = name_of(world, row)
        assert name is not None, f"{row} is no blob of ADX"
        is_transient = row["Status"] == "Failed" and row.get("FailureStatus") == "Transient"
        if is_transient:
            assert state, f"{name} is Transient, and nothing is intended for it"
        if state:
            assert any(told.is_transient for told in world.ledger.told.get(name, ())), f"{name} was never Transient"
        assert (state == "AttemptsExhausted") <= (attempt >= MAX_ATTEMPTS), f"{name} has attempts left"
        if state == "Pending":
            assert row["PartitionKey"] in due or name in carried, f"{name} is Pending, and nobody sees to it"
        if state == "Enqueued":
            assert name in carried, f"{name} is Enqueued, and no message carries it"


def only_transient_failures_are_enqueued(world: World, checked: int) -> int:
    """… is re-enqueued and nothing else is, ever; only while ``Attempt`` < ``RETRY_MAX_ATTEMPTS``, within the cap."""
    for sent in world.ledger.retries[checked:]:
        message = json.loads(sent.content)
        attempt = message["attempt"]
        assert attempt < MAX_ATTEMPTS, "retried beyond the limit"
        for operation_id, name in _blobs_of(world, message):
            told = world.ledger.told.get((operation_id, name), ())
            assert any(each.is_transient for each in told), f"{name} was never Transient"
        assert attempt == world.adx.operations[message["operationId"]].attempt
        if message["putBacks"]:
            assert timedelta(seconds=5) <= sent.delay <= max(MAX_DELAY, _LONGEST_RETRY_AFTER) + timedelta(seconds=1)
        else:
            bound = min(BASE_DELAY * 2 ** (attempt - 1), MAX_DELAY)
            assert bound / 2 <= sent.delay <= bound + timedelta(seconds=1), f"a delay of {sent.delay}"
    return len(world.ledger.retries)


def a_resubmission_is_of_transient_failures(world: World, checked: int) -> int:
    """Only ``failureStatus`` = Transient, and only while ``Attempt`` < ``RETRY_MAX_ATTEMPTS`` (submissions in all)."""
    for each in world.ledger.accepted[checked:]:
        assert not each.unfit, f"{each.unfit} were submitted again and are not Transient"
        assert each.attempt <= MAX_ATTEMPTS, f"{each} is beyond the limit"
    return len(world.ledger.accepted)


def a_blob_is_submitted_again_once(world: World) -> None:
    """The one window left is a crash, or an answer that never arrives, between accepting and writing it down."""
    accepted = Counter((each.parent, name) for each in world.ledger.accepted for name in each.blobs)
    excused = Counter((each.parent, name) for each in world.ledger.unwritten for name in each.blobs)
    for key, count in accepted.items():
        assert count <= 1 + excused[key], f"{key} was submitted again {count} times"


def rows_are_ingested_once(world: World) -> None:
    """``RETRY_DEDUPLICATE`` closes the window; without it, only what fell into the window is ingested twice."""
    excused = Counter(name for each in world.ledger.unwritten for name in each.blobs)
    for name, count in world.adx.ingested.items():
        most = 1 if world.deduplicate else 1 + excused[name]
        assert count <= most, f"the rows of {name} were ingested {count} times"


def an_operation_is_listed_once(world: World) -> None:
    """What is watched is listed; what is listed has one list row of each kind, and all of them say the same."""
    due, _ = _outstanding(world)
    listed = _listed(world)
    assert due.keys() <= listed.keys(), "what is watched is listed"
    for kinds in listed.values():
        check_list_rows(kinds)


def it_is_listed_as_what_its_row_says(world: World) -> None:
    """At the end: the list rows say what the public rows say."""
    listed, rows = _listed(world), operation_rows(world)
    assert listed.keys() == {world.operation(operation_id).key for operation_id in rows}
    for operation_id, row in rows.items():
        kinds = listed[world.operation(operation_id).key]
        assert ("root" in kinds) == (row["RootOperationId"] != operation_id)
        columns = ("State", "SettledAt", "Succeeded", "Failed", "InProgress", "Canceled", "RetriedBlobs")
        (copy,) = kinds["all"]
        otherwise = [column for column in columns if copy.get(column) != row.get(column)]
        assert not otherwise, f"{operation_id} is listed otherwise than its row says: {otherwise}"


def junk_is_kept_as_it_came(world: World) -> None:
    """A message that can't be understood is kept."""
    kept = Counter(message.content for message in world.messages(f"{OPERATIONS}-poison"))
    assert world.ledger.junk.keys() <= kept.keys()
    assert kept.keys() <= world.junk, "only junk is there"
    assert not world.messages(f"{RETRIES}-poison")
    assert not world.messages(f"{POLLS}-poison")


def no_poll_fails_by_itself(world: World) -> None:
    """A poll is put off only for a reason that lies outside the app."""
    assert not world.ledger.failures


def nothing_is_left(world: World) -> None:
    """At the end: nothing waits, every operation has ended, no retry is open, and the rows say what ADX says."""
    for name in (OPERATIONS, RETRIES, POLLS):
        assert not world.messages(name), f"left on {name}"
    assert _outstanding(world) == ({}, {})
    rows = operation_rows(world)
    assert all(row["State"] != "InProgress" for row in rows.values())
    for row in blob_rows(world):
        assert row["RetryState"] not in _WAITING, f"{name_of(world, row)} is {row['RetryState']} for ever"
        if row["RetryState"] == "Resubmitted":
            assert row["RetryOperationId"] in rows, f"nobody watched {row['RetryOperationId']}"
        assert row.get("ClaimedBy") is None or row["RetryState"] != "Resubmitted"


def what_succeeded_is_not_given_up(world: World) -> None:
    """A blob that is Succeeded by now is written down so (``RetryState=Recovered``, the counts corrected)."""
    succeeded = Counter[str]()
    for row in blob_rows(world):
        if row["Status"] == "Succeeded" or str(row.get("ErrorCode")).startswith("Skipped"):
            assert row["RetryState"] in ("", "Recovered", "Resubmitted"), f"{name_of(world, row)} has succeeded"
            succeeded[row["PartitionKey"]] += 1
    for operation_id, row in operation_rows(world).items():
        if row["State"] not in ("NotFound", "TimedOut"):
            assert row["Succeeded"] == succeeded[world.operation(operation_id).key], f"{operation_id} counts otherwise"


def ended_operations_say_what_adx_says(world: World) -> None:
    """Every blob that ADX reported is in ``IngestionBlobs``, with what became of it."""
    found = {name: row for row in blob_rows(world) if (name := name_of(world, row)) is not None}
    for operation_id, row in operation_rows(world).items():
        if row["State"] in ("NotFound", "TimedOut"):
            continue
        for blob in world.adx.operations[operation_id].blobs:
            stored = found[operation_id, blob.name]
            told = world.ledger.told[operation_id, blob.name]
            if any(each.has_succeeded for each in told):
                assert stored["Status"] == "Succeeded" or stored.get("ErrorCode", "").startswith("Skipped")
            if stored["RetryState"] == "NotResubmittable":
                assert stored["RetryReason"], "a blob that is given up says why"


def why_given_up(world: World) -> None:
    """Every Transient failure under its attempt limit is tried again; what is not has a reason that lies outside."""
    for row in blob_rows(world):
        if row["RetryState"] != "NotResubmittable":
            continue
        reason = str(row["RetryReason"])
        operation_id, name = name_of(world, row) or ("", "")
        told = world.ledger.told[operation_id, name]
        is_transient = row["Status"] == "Failed" and row.get("FailureStatus") == "Transient"
        if reason.startswith("the operation's message had no 'properties'"):
            assert operation_id.split("/")[0] in world.without_properties, f"{name} had properties"
        elif reason.startswith("its URL is not known"):
            assert operation_id.split("/")[0] in world.without_urls, f"{name} had a URL"
        elif reason.startswith("it is "):
            assert not is_transient
            assert any(each.is_final and not each.is_transient for each in told)
        elif reason.startswith(("it was tried for", "the service has not been done", "it could not be put")):
            assert world.now - world.began >= timedelta(hours=3)
        else:
            assert "HTTP 400" in reason, reason
            assert world.adx.rejections


def operation_rows(world: World) -> dict[str, dict[str, Any]]:
    """The rows of ``IngestionOperations`` by operation."""
    return {row["OperationId"]: row for row in world.table("IngestionOperations").rows()}


def blob_rows(world: World) -> list[dict[str, Any]]:
    """The rows of ``IngestionBlobs`` that are blobs."""
    return [row for row in world.table("IngestionBlobs").rows() if row["RowKey"] != "!operation"]


def name_of(world: World, row: Row) -> tuple[str, str] | None:
    """The operation and the blob that a row is about."""
    operation = world.by_key(row["PartitionKey"])
    return next(
        (
            (operation.id, blob.name)
            for blob in operation.blobs
            if (row.get("SourceId") is not None and row["SourceId"] == blob.source_id) or row.get("Url") == blob.name
        ),
        None,
    )


def _waiting(world: World) -> set[str]:
    """The operations that messages are about, those of the retry queue about the ones that failed."""
    found = set()
    for message in (*world.messages(OPERATIONS), *world.messages(RETRIES)):
        # Some of them are junk.
        with suppress(ValueError, LookupError):
            found.add(operation_id_of(message.content))
    return found


def _outstanding(world: World) -> tuple[Counter[str], Counter[str]]:
    """How many due rows, and how many rows with a message, each operation has."""
    due, messages = Counter[str](), Counter[str]()
    for row in world.table("OutstandingOperations").rows():
        kind, _, rest = row["RowKey"].partition("|")
        if kind == "due":
            due[rest.partition("|")[2]] += 1
        elif kind == "op":
            messages[rest] += 1
    return due, messages


def _listed(world: World) -> dict[str, dict[str, list[Row]]]:
    """The list rows of each operation, by its key and their kind."""
    return list_rows_of(world.table("OutstandingOperations").rows())


def _carried(world: World) -> set[tuple[str, str]]:
    """The blobs that a message on the retry queue carries."""
    return {blob for message in world.messages(RETRIES) for blob in _blobs_of(world, json.loads(message.content))}


def _blobs_of(world: World, message: Mapping[str, Any]) -> set[tuple[str, str]]:
    key = world.operation(message["operationId"]).key
    rows = {row["RowKey"]: row for row in blob_rows(world) if row["PartitionKey"] == key}
    found = (name_of(world, rows[blob["blobKey"]]) for blob in message["blobs"])
    return {name for name in found if name is not None}
