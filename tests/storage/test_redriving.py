"""A person has blobs and poison messages taken up again, on real tables and queues."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.queue import QueueClient

from shared import redrive as redriving
from shared.messages import MOST_BYTES, Lineage, NamedBlob, OperationMessage
from shared.model import Counts, Operation, OperationState, RetryState
from shared.queues import Queue
from shared.redrive import BlobsRequest, Redriven, RedriveRefused, StillWatched, UnknownOperation
from shared.redrive_request import read_blobs_request
from shared.store.tables import deletion
from tests.support.facts import outstanding
from tests.support.parts import CLUSTER, RETRYING, Parts, blob

A, B, C = (f"https://account.blob.core.windows.net/c/{name}.csv" for name in "abc")
SAS = "?sv=2026&sig=secret"
LAST = Lineage(attempt=RETRYING.max_attempts, root_operation_id="root", parent_operation_id="parent")


def given_up(parts: Parts, *, code: str = "BadRequest_MissingMappingFailure") -> Operation:
    """An operation that has ended: A is loaded, B is Permanent, and C was Transient in the last attempt."""
    operation = parts.register("op", A + SAS, B + SAS, C + SAS, lineage=LAST, correlation_id="run 7")
    parts.adx.says(
        "op", blob(A, "Succeeded"), blob(B, "Failed", "Permanent", code=code), blob(C, "Failed", "Transient")
    )
    parts.tick()
    assert parts.retries() == []
    return operation


def redrive(parts: Parts, operation: Operation, *blobs: NamedBlob, only: str = "", **fields: Any) -> Redriven:  # noqa: ANN401, of a message
    message = OperationMessage(operation, blobs=blobs, **fields)
    return parts.redriver.redrive_blobs(BlobsRequest(message, "ada", frozenset(filter(None, [only]))))


def states(parts: Parts, operation: Operation) -> list[RetryState]:
    return [row.retry_state for row in parts.blobs(operation)]


def retried(parts: Parts, operation: Operation) -> int:
    pointer = parts.results.pointer(operation)
    assert pointer is not None
    row = parts.tables["Operations"].get(pointer.partition, pointer.row)
    assert row is not None
    return int(row["RetriedBlobs"])


def acts(parts: Parts) -> list[Any]:
    return list(parts.tables["Redrives"].query("PartitionKey ge @any", {"any": ""}))


@pytest.fixture(params=["of few blobs", "of very many"], autouse=True)
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the operations are taken for whose blobs are redriven."""
    if request.param == "of very many":
        monkeypatch.setattr(redriving, "MOST_AT_ONCE", -1)
    return str(request.param)


def test_what_was_given_up_is_submitted_once_more_and_nothing_else(parts: Parts) -> None:
    operation = given_up(parts)
    done = redrive(parts, operation)
    assert (done.count, done.left) == (2, 0)
    assert states(parts, operation) == [RetryState.NONE, RetryState.ENQUEUED, RetryState.ENQUEUED]
    (message,) = parts.retries()
    assert (message.redriven_by, message.attempt, message.correlation_id) == ("ada", 3, "run 7")
    assert message.root_operation_id == "root"
    parts.resubmitter.handle(message)
    ((sources, properties),) = parts.adx.submitted
    assert [each.url for each in sources] == [B, C]
    assert properties["format"] == "csv"
    assert states(parts, operation) == [RetryState.NONE, RetryState.RESUBMITTED, RetryState.RESUBMITTED]


def test_who_and_when_and_how_many_is_written_down(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    operation = given_up(parts)
    done = redrive(parts, operation)
    (act,) = acts(parts)
    assert act["RedriveId"] == done.redrive_id
    assert (act["Kind"], act["OperationId"], act["Table"]) == ("Blobs", "op", "events")
    assert (act["RedrivenBy"], act["RedrivenAt"], act["Count"], act["Done"]) == ("ada", parts.now, 2, True)
    rows = parts.blobs(operation)
    assert [(row.redriven_by, row.redriven_at) for row in rows] == [(None, None)] + [("ada", parts.now)] * 2
    assert parts.row(operation).state is OperationState.PARTIALLY_SUCCEEDED
    assert [record.event for record in caplog.records if getattr(record, "by", "") == "ada"] == ["blobs.redriven"]  # type: ignore[attr-defined]


def test_the_operation_counts_what_was_redriven_as_retried(parts: Parts) -> None:
    operation = given_up(parts)
    pointer = parts.results.pointer(operation)
    assert pointer is not None
    before = parts.tables["Operations"].get(pointer.partition, pointer.row)
    redrive(parts, operation)
    after = parts.tables["Operations"].get(pointer.partition, pointer.row)
    assert before is not None
    assert after is not None
    assert (before["RetriedBlobs"], after["RetriedBlobs"]) == (0, 2)
    assert {name for name in after if before[name] != after[name]} == {"RetriedBlobs"}


def test_a_redriven_blob_is_watched_like_any_other(parts: Parts) -> None:
    operation = given_up(parts)
    redrive(parts, operation)
    (message,) = parts.retries()
    parts.resubmitter.handle(message)
    again = Operation(CLUSTER, "db", "events", "resubmission-1")
    parts.adx.says("resubmission-1", blob(B, "Succeeded"), blob(C, "Failed", "Transient"))
    parts.tick()
    assert parts.row(again).counts == Counts(succeeded=1, failed=1)
    assert states(parts, again) == [RetryState.NONE, RetryState.ATTEMPTS_EXHAUSTED]
    assert parts.row(again).attempt == 4
    assert redrive(parts, again).count == 1


@pytest.mark.parametrize(("only", "redriven"), [("Permanent", [B]), ("AttemptsExhausted", [C]), ("Unknown", [])])
def test_only_some_kinds(parts: Parts, only: str, redriven: list[str]) -> None:
    operation = given_up(parts)
    done = redrive(parts, operation, only=only)
    assert (done.count, done.left) == (len(redriven), 2 - len(redriven))
    assert [each.url for message in parts.retries() for each in message.blobs] == redriven


def test_only_the_blobs_that_are_named_with_the_credentials_that_they_bring(parts: Parts) -> None:
    operation = given_up(parts)
    done = redrive(parts, operation, NamedBlob(url=B + "?sig=new"))
    assert (done.count, done.left) == (1, 1)
    (message,) = parts.retries()
    assert [(each.url, each.url_brought) for each in message.blobs] == [(B + "?sig=new", True)]
    assert states(parts, operation) == [RetryState.NONE, RetryState.ENQUEUED, RetryState.ATTEMPTS_EXHAUSTED]


@pytest.mark.parametrize(
    "wrong", [NamedBlob("https://evil.example/b.csv?sig=x"), NamedBlob(None, "no-such-id"), NamedBlob("b.csv")]
)
def test_a_blob_that_the_operation_does_not_have_is_refused(parts: Parts, wrong: NamedBlob) -> None:
    operation = given_up(parts)
    with pytest.raises(RedriveRefused, match="none of this operation"):
        redrive(parts, operation, NamedBlob(B), wrong)
    assert (parts.retries(), acts(parts)) == ([], [])


def test_a_second_redrive_finds_nothing(parts: Parts) -> None:
    operation = given_up(parts)
    redrive(parts, operation)
    assert redrive(parts, operation).count == 0
    assert len(parts.retries()) == 1
    assert [act["Count"] for act in acts(parts)] == [2, 0]


def test_what_adx_has_mended_meanwhile_is_not_submitted(parts: Parts) -> None:
    operation = given_up(parts)
    redrive(parts, operation)
    (message,) = parts.retries()
    parts.adx.says("op", *(blob(url, "Succeeded") for url in (A, B, C)))
    parts.resubmitter.handle(message)
    assert parts.adx.submitted == []
    assert states(parts, operation) == [RetryState.NONE, RetryState.RECOVERED, RetryState.RECOVERED]
    assert parts.row(operation).state is OperationState.SUCCEEDED


def test_a_stale_poll_does_not_undo_a_redrive(parts: Parts) -> None:
    operation = given_up(parts)
    with cut_short(parts, "send"), pytest.raises(ServiceRequestError):
        redrive(parts, operation)
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Failed", "Permanent"))
    parts.settler.record(outstanding(operation=operation), parts.adx.status(operation, details=True))
    assert states(parts, operation)[1] is RetryState.PENDING


def test_without_properties_a_person_has_to_give_them(parts: Parts) -> None:
    operation = parts.register("op", A, properties=None)
    parts.adx.says("op", blob(A, "Failed", "Permanent"))
    parts.tick()
    with pytest.raises(RedriveRefused, match="at least 'format'"):
        redrive(parts, operation)
    assert acts(parts) == []
    assert redrive(parts, operation, properties={"format": "json"}).count == 1
    (message,) = parts.retries()
    assert message.properties == {"format": "json"}


def test_properties_with_what_may_be_a_secret_are_not_kept(parts: Parts) -> None:
    operation = parts.register("op", A, properties={"format": "csv", "from": A + SAS})
    assert parts.row(operation).properties is None


def test_properties_that_are_too_long_are_not_kept(parts: Parts) -> None:
    operation = parts.register("op", A, properties={"format": "csv", "ingestionMapping": "a b " * 10_000})
    assert parts.row(operation).properties is None


def test_what_is_not_resubmittable_becomes_so_by_what_a_person_gives(parts: Parts) -> None:
    operation = parts.register("op", A, properties=None)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    (message,) = parts.retries()
    parts.resubmitter.handle(message)
    assert states(parts, operation) == [RetryState.NOT_RESUBMITTABLE]
    assert redrive(parts, operation, properties={"format": "csv"}).count == 1
    assert parts.blobs(operation)[0].retry_reason is None
    (message,) = parts.retries()
    parts.resubmitter.handle(message)
    assert states(parts, operation) == [RetryState.RESUBMITTED]


def test_an_operation_that_is_watched_is_left_to_the_app(parts: Parts) -> None:
    operation = parts.register("op", A, B)
    parts.adx.says("op", blob(A, "Failed", "Permanent"), blob(B, "InProgress"))
    parts.tick()
    with pytest.raises(StillWatched):
        redrive(parts, operation)
    assert states(parts, operation)[0] is RetryState.NONE


def test_an_operation_that_is_not_known(parts: Parts) -> None:
    with pytest.raises(UnknownOperation, match=r"db\.events"):
        redrive(parts, Operation(CLUSTER, "db", "events", "never seen"))


def test_with_deduplication_each_blob_goes_alone(parts: Parts) -> None:
    parts.configure(retrying=replace(RETRYING, deduplicate=True))
    redrive(parts, given_up(parts))
    assert [len(message.blobs) for message in parts.retries()] == [1, 1]


@pytest.mark.parametrize("step", ["begin", "revise", "send", "mark", "count", "end"])
def test_a_redrive_that_is_cut_short_is_completed_by_the_same_act_again(parts: Parts, step: str) -> None:
    operation = given_up(parts)
    with cut_short(parts, step), pytest.raises(ServiceRequestError):
        redrive(parts, operation)
    redrive(parts, operation)
    assert states(parts, operation) == [RetryState.NONE, RetryState.ENQUEUED, RetryState.ENQUEUED]
    assert retried(parts, operation) == 2
    messages = parts.retries()
    assert messages
    for message in messages:
        parts.resubmitter.handle(message)
    assert len(parts.adx.submitted) == 1


@contextmanager
def cut_short(parts: Parts, step: str) -> Iterator[None]:
    """Storage fails at one step of a redrive."""
    revisions = iter(range(100))

    def fail(*_: object, **__: object) -> None:
        raise ServiceRequestError("gone")

    def fail_at_second(real: Callable[..., object]) -> Callable[..., object]:
        return lambda *args, **named: fail() if next(revisions) else real(*args, **named)

    with pytest.MonkeyPatch.context() as patch:
        match step:
            case "begin" | "end":
                patch.setattr(parts.redrives, step, fail)
            case "revise":
                patch.setattr(parts.results, "revise", fail)
            case "send":
                patch.setattr(Queue, "send", fail)
            case "mark":
                patch.setattr(parts.results, "revise", fail_at_second(parts.results.revise))
            case "count":
                patch.setattr(parts.results, "revise_operation", fail)
        yield


def test_redrives_are_pruned_with_the_results(parts: Parts) -> None:
    redrive(parts, given_up(parts))
    parts.later(days=89)
    parts.pruner.prune()
    assert len(acts(parts)) == 1
    parts.later(days=2)
    parts.pruner.prune()
    assert acts(parts) == []


TWICE = [NamedBlob(A + SAS, "s"), NamedBlob(B + SAS, "s")]


def submitted(parts: Parts) -> list[str]:
    return [source.url for sources, _ in parts.adx.submitted for source in sources]


def killed(*_: object) -> None:
    raise OSError("killed")


def handle_all(parts: Parts) -> None:
    for message in parts.retries():
        parts.resubmitter.handle(message)


def test_two_blobs_that_share_a_source_id_are_both_redriven_once(parts: Parts) -> None:
    operation = parts.register("op", blobs=tuple(TWICE))
    parts.adx.says("op", *(blob(url, "Failed", "Permanent", source_id="s") for url in (A, B)))
    parts.tick()
    redrive(parts, operation, *TWICE)
    handle_all(parts)
    assert sorted(submitted(parts)) == [A + SAS, B + SAS]


def test_two_transient_blobs_that_share_a_source_id_keep_their_credentials(parts: Parts) -> None:
    parts.register("op", blobs=tuple(TWICE))
    parts.adx.says("op", *(blob(url, "Failed", "Transient", source_id="s") for url in (A, B)))
    parts.tick()
    handle_all(parts)
    assert sorted(submitted(parts)) == [A + SAS, B + SAS]


def test_only_the_one_that_is_named_of_two_submissions_of_a_blob(parts: Parts) -> None:
    operation = parts.register("op", blobs=(NamedBlob(A, "s1"), NamedBlob(A, "s2")))
    parts.adx.says("op", *(blob(A, "Failed", "Permanent", source_id=each) for each in ("s1", "s2")))
    parts.tick()
    redrive(parts, operation, NamedBlob(A, "s2"))
    assert [each.source_id for message in parts.retries() for each in message.blobs] == ["s2"]


@pytest.mark.parametrize("url", [B.replace("/c/", "/c//../c/"), "https://evil.example/forged.csv"])
def test_no_other_blob_takes_the_place_of_one_that_failed(parts: Parts, url: str) -> None:
    operation = parts.register("op", blobs=(NamedBlob(B, "s"),))
    parts.adx.says("op", blob(B, "Failed", "Permanent", source_id="s"))
    parts.tick()
    with pytest.raises(RedriveRefused, match="leads elsewhere"):
        redrive(parts, operation, NamedBlob(url, "s"))
    assert (parts.retries(), acts(parts)) == ([], [])


def test_unknown_fields_of_the_message_are_passed_on(parts: Parts) -> None:
    operation = given_up(parts)
    content: dict[str, Any] = {"database": "db", "table": "events", "cluster": CLUSTER, "team": "sales"}
    parts.redriver.redrive_blobs(read_blobs_request(operation.operation_id, content, "ada", parts.defaults))
    (message,) = parts.retries()
    assert message.extra == {"team": "sales"}


@pytest.mark.parametrize("is_pruned", [False, True])
def test_a_redrive_is_not_lost_to_pruning(parts: Parts, *, is_pruned: bool) -> None:
    operation = given_up(parts)
    parts.later(days=90)
    redrive(parts, operation)
    del parts.adx.reports["op"]  # ADX has forgotten it long ago
    parts.later(days=1)
    if is_pruned:
        parts.pruner.prune()
    for _ in range(5):
        parts.later(minutes=20)
        handle_all(parts)
    assert submitted(parts) == [B, "https://account.blob.core.windows.net/c/c.csv"]


def test_an_older_message_does_not_take_a_redrives_properties_away(parts: Parts) -> None:
    operation = parts.register("op", A, properties=None)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    (old,) = parts.retries()
    parts.resubmitter.handle(old)
    redrive(parts, operation, properties={"format": "csv"})
    parts.resubmitter.handle(old)  # delivered twice, which a queue may do
    handle_all(parts)
    assert states(parts, operation) == [RetryState.RESUBMITTED]


def test_properties_too_large_for_a_message_are_refused_at_once(parts: Parts) -> None:
    operation = given_up(parts)
    with pytest.raises(RedriveRefused):
        redrive(parts, operation, properties={"format": "csv", "ingestionMapping": "m" * MOST_BYTES})


def test_what_a_redrive_left_pending_is_told_as_left(parts: Parts) -> None:
    operation = given_up(parts)
    with cut_short(parts, "send"), pytest.raises(Exception, match="gone"):
        redrive(parts, operation, NamedBlob(B))
    done = redrive(parts, operation, only="Unknown", properties={"format": "csv"})
    assert (done.count, done.left) == (1, 1)


def test_an_operation_that_a_poll_wrote_the_row_of_keeps_its_properties(parts: Parts) -> None:
    operation = parts.register("op", A)
    pointer = parts.results.pointer(operation)
    assert pointer is not None
    parts.tables["Operations"].write([deletion(pointer.partition, pointer.row)])
    parts.adx.says("op", blob(A, "Failed", "Permanent"))
    parts.tick()
    assert redrive(parts, operation).count == 1


def test_the_last_attempt_that_a_column_takes_can_be_redriven(parts: Parts) -> None:
    operation = parts.register("op", A, lineage=Lineage(attempt=2**31 - 1))
    parts.adx.says("op", blob(A, "Failed", "Permanent"))
    parts.tick()
    redrive(parts, operation)
    handle_all(parts)
    assert parts.is_outstanding(Operation(CLUSTER, "db", "events", "resubmission-1"))


def test_a_poll_that_settles_again_leaves_a_redrives_blobs_to_it(parts: Parts) -> None:
    """A crash after `operation ended`; a redrive with other properties; then the poll that heals it."""
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Permanent"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts.outstanding, "write_back", killed)
        with pytest.raises(OSError, match="killed"):
            parts.tick()
    with cut_short(parts, "send"), pytest.raises(Exception, match="gone"):
        redrive(parts, operation, properties={"format": "json"})
    parts.tick()
    redrive(parts, operation, properties={"format": "json"})
    handle_all(parts)
    ((_, properties),) = parts.adx.submitted
    assert properties["format"] == "json"


def test_a_blob_that_is_named_without_credentials_is_read_as_the_setting_says(parts: Parts) -> None:
    operation = given_up(parts)
    redrive(parts, operation, NamedBlob(url=B))
    ((named,),) = (message.blobs for message in parts.retries())
    assert (named.url, named.url_brought) == (B, False)


@pytest.fixture
def poison(parts: Parts) -> QueueClient:
    """The retry queue stands for a poison queue here, and the poll queue for the one that it belongs to."""
    return parts.retry_client


def redrive_messages(parts: Parts, most: int | None = None) -> Redriven:
    return parts.redriver.redrive_messages("things", Queue(parts.retry_client), Queue(parts.batch_client), "ada", most)


def texts(client: QueueClient) -> list[str]:
    return sorted(str(message.content) for message in client.peek_messages(max_messages=32))


def test_poison_messages_go_back_to_their_queue_as_they_are(parts: Parts, poison: QueueClient) -> None:
    junk = ["{", "<&>", "  spaced  ", "ümlaut"]
    for text in junk:
        poison.send_message(text)
    done = redrive_messages(parts)
    assert (done.count, done.left) == (4, 0)
    assert texts(parts.batch_client) == sorted(junk)
    assert poison.get_queue_properties().approximate_message_count == 0
    (act,) = acts(parts)
    assert (act["Kind"], act["Queue"], act["RedrivenBy"], act["Count"], act["Done"]) == (
        "Messages",
        "things",
        "ada",
        4,
        True,
    )


def test_not_more_poison_messages_than_wanted(parts: Parts, poison: QueueClient) -> None:
    for number in range(40):
        poison.send_message(str(number))
    done = redrive_messages(parts, most=35)
    assert (done.count, done.left) == (35, 5)
    assert poison.get_queue_properties().approximate_message_count == 5
    assert len(poison.peek_messages(max_messages=32)) == 5


def test_a_poison_message_that_comes_back_is_not_taken_again(parts: Parts, poison: QueueClient) -> None:
    poison.send_message("one")
    poison.send_message("two")

    class Bouncing(Queue):
        def send(self, text: str, delay: timedelta = timedelta()) -> None:
            super().send(text, delay)
            poison.send_message(text)

    done = parts.redriver.redrive_messages("things", Queue(poison), Bouncing(parts.batch_client), "ada", None)
    assert done.count == 2
    assert texts(parts.batch_client) == ["one", "two"]


def test_a_poison_message_that_can_not_be_sent_on_stays(parts: Parts, poison: QueueClient) -> None:
    poison.send_message("one")
    with cut_short(parts, "send"), pytest.raises(ServiceRequestError):
        redrive_messages(parts)
    assert poison.get_queue_properties().approximate_message_count == 1
    assert [act["Done"] for act in acts(parts)] == [False]


def test_no_poison_queue_is_an_empty_one(parts: Parts, poison: QueueClient) -> None:
    poison.delete_queue()
    assert redrive_messages(parts) == Redriven("id-1", 0, 0)
