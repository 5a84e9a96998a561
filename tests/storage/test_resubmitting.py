"""Retry messages on real tables and queues: submitted once, put back, or given up with a reason."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared import resubmit
from shared.errors import AccessRefused, RequestRejected, Throttled, Unavailable
from shared.messages import RetryMessage
from shared.model import BlobReport, BlobStatus, Counts, Operation, OperationState, RetryState, StatusReport
from shared.retry_rows import CLAIM, RetryRows
from tests.support.parts import CLUSTER, RETRYING, Parts, blob

A, B, C = (f"https://account.blob.core.windows.net/c/{name}.csv" for name in "abc")
SAS = "?sv=2026&sig=c2VjcmV0"


def failed(parts: Parts, *urls: str, operation_id: str = "op", **fields: object) -> tuple[Operation, RetryMessage]:
    """An operation whose blobs all failed Transient, settled, and its retry message."""
    operation = parts.register(operation_id, *urls, **fields)
    bare = [url.partition("?")[0] for url in urls]
    parts.adx.says(operation_id, *(blob(url, "Failed", "Transient") for url in bare))
    parts.tick()
    (message,) = parts.retries()
    return operation, message


def states(parts: Parts, operation: Operation) -> list[RetryState]:
    return [row.retry_state for row in parts.blobs(operation)]


def hours_until_given_up(parts: Parts, message: RetryMessage) -> float:
    """Handle a message again and again, as long as it is put back."""
    began = parts.now
    while parts.now - began < timedelta(days=30):
        parts.resubmitter.handle(message)
        if not (messages := parts.retries()):
            return (parts.now - began) / timedelta(hours=1)
        (message,) = messages
        parts.now += parts.delays[-1]
    raise AssertionError("it goes round for ever")


@pytest.fixture(params=["of few blobs", "of very many"], autouse=True)
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the operations are taken for whose blobs are tried again."""
    if request.param == "of very many":
        monkeypatch.setattr(resubmit, "MOST_AT_ONCE", -1)
    return str(request.param)


def test_a_blob_is_submitted_again_and_its_operation_registered_with_its_lineage(parts: Parts) -> None:
    operation, message = failed(parts, A + SAS, B + SAS, correlation_id="load-7", extra={"team": "ingest"})
    parts.resubmitter.handle(message)
    ((sources, properties),) = parts.adx.submitted
    assert [(source.url, source.source_id) for source in sources] == [(A + SAS, "source-0"), (B + SAS, "source-1")]
    assert properties == {"format": "csv"}
    assert states(parts, operation) == [RetryState.RESUBMITTED] * 2
    assert {row.retry_operation_id for row in parts.blobs(operation)} == {"resubmission-1"}
    again = Operation(CLUSTER, "db", "events", "resubmission-1")
    registered = parts.outstanding.message(again)
    assert registered is not None
    assert (registered.correlation_id, registered.extra, registered.properties) == (
        "load-7",
        {"team": "ingest"},
        {"format": "csv"},
    )
    assert [each.url for each in registered.blobs] == [A + SAS, B + SAS]
    parts.adx.says("resubmission-1", blob(A, "Failed", "Transient"), blob(B, "Succeeded"))
    parts.tick()
    (second,) = parts.retries()
    assert (second.attempt, second.root_operation_id, second.operation) == (2, "op", again)


def test_a_message_delivered_twice_submits_once(parts: Parts) -> None:
    operation, message = failed(parts, A)
    for _ in range(2):
        parts.resubmitter.handle(message)
    assert len(parts.adx.submitted) == 1
    assert states(parts, operation) == [RetryState.RESUBMITTED]


def test_two_deliveries_at_once_submit_once(parts: Parts) -> None:
    operation, message = failed(parts, A, B, C)
    parts.adx.on_submit = lambda: parts.adx.says("unrelated")
    deliveries = [parts.storage_threads.submit(parts.resubmitter.handle, message) for _ in range(4)]
    for delivery in deliveries:
        delivery.result()
    assert len(parts.adx.submitted) == 1
    assert states(parts, operation) == [RetryState.RESUBMITTED] * 3


def test_a_second_delivery_during_the_submission_waits_for_the_claim(parts: Parts) -> None:
    _, message = failed(parts, A)
    parts.adx.on_submit = lambda: parts.resubmitter.handle(message) if len(parts.adx.submitted) == 1 else None
    parts.resubmitter.handle(message)
    assert len(parts.adx.submitted) == 1
    (put_back,) = parts.retries()
    parts.later(minutes=6)
    parts.resubmitter.handle(put_back)
    assert len(parts.adx.submitted) == 1


def test_a_registration_that_was_cut_short_is_completed_by_the_next_delivery(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, message = failed(parts, A)
    with monkeypatch.context() as broken:
        broken.setattr(parts.registrar, "register", _crash)
        with pytest.raises(ConnectionResetError):
            parts.resubmitter.handle(message)
    again = Operation(CLUSTER, "db", "events", "resubmission-1")
    assert not parts.is_outstanding(again)
    parts.resubmitter.handle(message)
    assert parts.is_outstanding(again)
    assert len(parts.adx.submitted) == 1


def test_a_claim_of_a_dead_delivery_ends(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    operation, message = failed(parts, A)
    with monkeypatch.context() as broken:
        broken.setattr(parts.resubmitter, "_submit", _crash)
        with pytest.raises(ConnectionResetError):
            parts.resubmitter.handle(message)
    parts.resubmitter.handle(message)
    assert parts.adx.submitted == []
    (put_back,) = parts.retries()
    parts.now += CLAIM
    parts.resubmitter.handle(put_back)
    assert len(parts.adx.submitted) == 1
    assert states(parts, operation) == [RetryState.RESUBMITTED]


def test_what_the_service_has_mended_is_recovered_and_the_operation_corrected(parts: Parts) -> None:
    operation, message = failed(parts, A, B)
    assert parts.row(operation).state is OperationState.FAILED
    settled_at = parts.row(operation).settled_at
    parts.later(minutes=5)
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Failed", "Transient"))
    parts.resubmitter.handle(message)
    assert states(parts, operation) == [RetryState.RECOVERED, RetryState.RESUBMITTED]
    assert [source.url for source in parts.adx.submitted[0][0]] == [B]
    row = parts.row(operation)
    assert (row.state, row.counts, row.settled_at) == (
        OperationState.PARTIALLY_SUCCEEDED,
        Counts(succeeded=1, failed=1),
        settled_at,
    )


def test_a_correction_that_was_cut_short_is_completed_by_the_next_delivery(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation, message = failed(parts, A)
    parts.adx.says("op", blob(A, "Succeeded"))
    with monkeypatch.context() as broken:
        broken.setattr(parts.settler, "correct", _crash)
        with pytest.raises(ConnectionResetError):
            parts.resubmitter.handle(message)
    assert parts.row(operation).state is OperationState.FAILED
    parts.resubmitter.handle(message)
    assert parts.row(operation).state is OperationState.SUCCEEDED
    assert parts.adx.submitted == []


@pytest.mark.parametrize("last_updated", [None, "later"])
def test_what_the_service_is_trying_again_is_waited_for(parts: Parts, last_updated: str | None) -> None:
    operation, message = failed(parts, A)
    moment = parts.now if last_updated else None
    parts.adx.says("op", BlobReport(BlobStatus.IN_PROGRESS, url=A, last_updated=moment))
    parts.resubmitter.handle(message)
    (put_back,) = parts.retries()
    assert parts.adx.submitted == []
    assert (put_back.attempt, put_back.enqueued_at) == (message.attempt, message.enqueued_at)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.resubmitter.handle(put_back)
    assert len(parts.adx.submitted) == 1
    assert states(parts, operation) == [RetryState.RESUBMITTED]


def test_what_the_service_tries_again_without_end_is_left_to_a_person(parts: Parts) -> None:
    operation, message = failed(parts, A)
    parts.adx.says("op", blob(A, "InProgress"))
    assert 48 <= hours_until_given_up(parts, message) < 60
    assert states(parts, operation) == [RetryState.NOT_RESUBMITTABLE]


@pytest.mark.parametrize("status", ["Permanent", "Exhausted", "Unknown", "Novel", None])
def test_what_is_not_transient_any_more_is_not_submitted(parts: Parts, status: str | None) -> None:
    operation, message = failed(parts, A)
    parts.adx.says("op", blob(A, "Failed", status))
    parts.resubmitter.handle(message)
    assert parts.adx.submitted == []
    (row,) = parts.blobs(operation)
    assert row.retry_state is RetryState.NOT_RESUBMITTABLE
    assert row.retry_reason is not None


@pytest.mark.parametrize(
    "error", [Throttled("slow down", retry_after=timedelta(seconds=1)), Unavailable("down"), AccessRefused("no role")]
)
def test_what_cant_be_asked_now_is_put_back(parts: Parts, error: Exception) -> None:
    operation, message = failed(parts, A)
    parts.adx.fails("op", error)  # type: ignore[arg-type]  # all are KustoErrors
    parts.resubmitter.handle(message)
    assert parts.adx.submitted == []
    assert states(parts, operation) == [RetryState.ENQUEUED]
    assert parts.retry_client.get_queue_properties().approximate_message_count == 1


def test_an_operation_that_adx_has_forgotten_is_submitted_on_what_was_known(parts: Parts) -> None:
    operation, message = failed(parts, A)
    del parts.adx.reports["op"]
    parts.resubmitter.handle(message)
    assert parts.adx.submitted == []
    (put_back,) = parts.retries()
    parts.later(minutes=15)
    parts.resubmitter.handle(put_back)
    assert states(parts, operation) == [RetryState.RESUBMITTED]


@pytest.mark.parametrize("maybe_accepted", [False, True])
def test_a_submission_without_an_answer_is_not_repeated_at_once(parts: Parts, *, maybe_accepted: bool) -> None:
    operation, message = failed(parts, A)
    parts.adx.submissions = [Unavailable("closed", maybe_accepted=maybe_accepted)]
    parts.resubmitter.handle(message)
    assert len(parts.adx.submitted) == 1
    assert states(parts, operation) == [RetryState.ENQUEUED]
    (put_back,) = parts.retries()
    parts.resubmitter.handle(put_back)
    assert states(parts, operation) == [RetryState.RESUBMITTED]


def test_a_rejected_submission_is_left_to_a_person(parts: Parts) -> None:
    operation, message = failed(parts, A)
    parts.adx.submissions = [RequestRejected("ADX rejects the request (HTTP 400)")]
    parts.resubmitter.handle(message)
    (row,) = parts.blobs(operation)
    assert (row.retry_state, row.retry_reason) == (
        RetryState.NOT_RESUBMITTABLE,
        "ADX rejects the request (HTTP 400)",
    )
    assert row.claimed_by is None
    assert parts.retries() == []


def test_accepted_blobs_without_an_operation_id_are_not_submitted_again(parts: Parts) -> None:
    operation, message = failed(parts, A)
    parts.adx.submissions = [None]
    for _ in range(2):
        parts.resubmitter.handle(message)
    assert len(parts.adx.submitted) == 1
    (row,) = parts.blobs(operation)
    assert (row.retry_state, row.retry_operation_id) == (RetryState.RESUBMITTED, None)


def test_deduplication_submits_one_blob_a_request_under_a_tag_of_its_own(parts: Parts) -> None:
    parts.configure(retrying=replace(RETRYING, deduplicate=True))
    operation = parts.register(
        "op", A, B, properties={"format": "csv", "tags": ["mine"], "ingestIfNotExists": ["mine"]}
    )
    parts.adx.says("op", blob(A, "Failed", "Transient"), blob(B, "Failed", "Transient"))
    parts.tick()
    messages = parts.retries()
    assert [len(message.blobs) for message in messages] == [1, 1]
    parts.adx.submissions = [Unavailable("closed", maybe_accepted=True)]
    for message in (*messages, messages[0], *parts.retries()):
        parts.resubmitter.handle(message)
    tags = [properties["ingestIfNotExists"] for _, properties in parts.adx.submitted]
    assert tags[0] != tags[1]
    assert tags[2] == tags[0]
    assert all(len(sources) == 1 for sources, _ in parts.adx.submitted)
    for _, properties in parts.adx.submitted:
        assert isinstance(properties["ingestIfNotExists"], list)
        assert properties["tags"] == ["mine", f"ingest-by:{properties['ingestIfNotExists'][0]}"]
    assert states(parts, operation) == [RetryState.RESUBMITTED] * 2


def test_the_tag_of_a_blob_stays_the_same_in_all_attempts(parts: Parts) -> None:
    parts.configure(retrying=replace(RETRYING, deduplicate=True))
    _, message = failed(parts, A)
    parts.resubmitter.handle(message)
    parts.adx.says("resubmission-1", blob(A, "Failed", "Transient"))
    parts.tick()
    (second,) = parts.retries()
    parts.resubmitter.handle(second)
    first_tag, second_tag = (properties["ingestIfNotExists"] for _, properties in parts.adx.submitted)
    assert first_tag == second_tag


def test_a_tag_that_covered_the_first_request_is_left_out_of_a_resubmission(parts: Parts) -> None:
    _, message = failed(
        parts, A, properties={"format": "csv", "tags": ["ingest-by:load-7"], "ingestIfNotExists": ["load-7"]}
    )
    parts.resubmitter.handle(message)
    assert parts.adx.submitted[0][1] == {"format": "csv", "tags": ["ingest-by:load-7"]}


def test_fewer_attempts_than_when_it_was_enqueued_are_respected(parts: Parts) -> None:
    operation, message = failed(parts, A)
    parts.configure(retrying=replace(RETRYING, max_attempts=1))
    parts.resubmitter.handle(message)
    assert parts.adx.submitted == []
    assert states(parts, operation) == [RetryState.ATTEMPTS_EXHAUSTED]


def test_a_url_that_adx_gave_is_made_readable_and_one_that_was_brought_is_left_alone(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = parts.register("op", A + SAS)
    parts.adx.says("op", blob(A, "Failed", "Transient"), blob(B, "Failed", "Transient"))
    parts.tick()
    (message,) = parts.retries()
    monkeypatch.setattr(parts.resubmitter, "_access", _Suffix())
    parts.resubmitter.handle(message)
    ((sources, _),) = parts.adx.submitted
    assert [source.url for source in sources] == [A + SAS, B + ";managed_identity=system"]
    registered = parts.outstanding.message(Operation(CLUSTER, "db", "events", "resubmission-1"))
    assert registered is not None
    assert [(each.url, each.url_brought) for each in registered.blobs] == [(A + SAS, True), (B, False)]
    assert states(parts, operation) == [RetryState.RESUBMITTED] * 2


def test_a_url_that_adx_spells_otherwise_is_still_the_same_blob(parts: Parts) -> None:
    named, reported = (
        "https://account.blob.core.windows.net/c/a b.csv",
        "https://account.blob.core.windows.net/c/a%20b.csv",
    )
    operation = parts.register("op", named + SAS)
    parts.adx.says("op", blob(reported, "Failed", "Transient", source_id="source-0"))
    parts.tick()
    (message,) = parts.retries()
    parts.adx.says("op", blob(reported, "Succeeded", source_id="source-0"))
    parts.resubmitter.handle(message)
    assert parts.adx.submitted == []
    assert states(parts, operation) == [RetryState.RECOVERED]


def test_a_claim_of_another_delivery_is_not_given_up(parts: Parts) -> None:
    _, message = failed(parts, A, B)
    first_only = replace(message, blobs=message.blobs[:1])
    second_only = replace(message, blobs=message.blobs[1:])

    def other_delivery_meets_a_throttled_one() -> None:
        # The whole message again, while the first blob's submission is on its way: it gets the second one and a 429.
        if len(parts.adx.submitted) == 1:
            parts.adx.submissions = [Throttled("slow down"), *parts.adx.submissions]
            parts.resubmitter.handle(message)

    parts.adx.on_submit = other_delivery_meets_a_throttled_one
    parts.resubmitter.handle(first_only)
    for put_back in (*parts.retries(), second_only):
        parts.resubmitter.handle(put_back)
    sent = [source.url for sources, _ in parts.adx.submitted for source in sources]
    assert sent.count(A) == 1


def test_blobs_that_are_not_shown_while_something_runs_are_waited_for(parts: Parts) -> None:
    operation, message = failed(parts, A)
    parts.later(hours=1)
    parts.adx.reports["op"] = StatusReport(Counts(in_progress=1), ())
    assert 47 <= hours_until_given_up(parts, message) < 60
    assert parts.adx.submitted == []
    assert states(parts, operation) == [RetryState.NOT_RESUBMITTABLE]


def test_a_single_404_late_in_a_messages_life_is_no_reason_to_submit(parts: Parts) -> None:
    _, message = failed(parts, A)
    parts.later(hours=1)
    del parts.adx.reports["op"]
    parts.resubmitter.handle(message)
    assert parts.adx.submitted == []
    (put_back,) = parts.retries()
    parts.later(minutes=15)
    parts.resubmitter.handle(put_back)
    assert len(parts.adx.submitted) == 1


def test_one_blob_that_adx_rejects_does_not_take_the_others_with_it(parts: Parts) -> None:
    operation, message = failed(parts, A, B, C)
    rejected = RequestRejected("ADX rejects the request (HTTP 400)")
    parts.adx.submissions = [rejected, "again-a", rejected, "again-c"]
    parts.resubmitter.handle(message)
    alone = sorted(parts.retries(), key=lambda each: str(each.blobs[0].url))
    assert [len(each.blobs) for each in alone] == [1, 1, 1]
    for each in alone:
        parts.resubmitter.handle(each)
    assert states(parts, operation) == [
        RetryState.RESUBMITTED,
        RetryState.NOT_RESUBMITTABLE,
        RetryState.RESUBMITTED,
    ]
    assert [row.retry_operation_id for row in parts.blobs(operation)] == ["again-a", None, "again-c"]


def test_what_fails_for_too_long_is_left_to_a_person(parts: Parts) -> None:
    operation, message = failed(parts, A)
    parts.adx.fails("op", RequestRejected("gone"))
    assert 48 <= hours_until_given_up(parts, message) < 60
    (row,) = parts.blobs(operation)
    assert (row.retry_state, "gone" in (row.retry_reason or "")) == (RetryState.NOT_RESUBMITTABLE, True)


def test_a_submission_is_not_begun_when_the_claim_is_about_to_end(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation, message = failed(parts, A)
    claim = RetryRows.claim

    def slow(*arguments: object) -> frozenset[str]:
        got = claim(*arguments)  # type: ignore[arg-type]  # what it was called with
        parts.later(minutes=3)
        return got

    with monkeypatch.context() as storage:
        storage.setattr(RetryRows, "claim", slow)
        parts.resubmitter.handle(message)
    assert parts.adx.submitted == []
    (put_back,) = parts.retries()
    parts.resubmitter.handle(put_back)
    assert states(parts, operation) == [RetryState.RESUBMITTED]


def test_a_message_from_the_future_is_taken_for_one_of_now(parts: Parts) -> None:
    operation, message = failed(parts, A)
    parts.adx.fails("op", RequestRejected("gone"))
    parts.resubmitter.handle(replace(message, enqueued_at=parts.now + timedelta(days=9999)))
    (put_back,) = parts.retries()
    assert put_back.enqueued_at == parts.now
    assert states(parts, operation) == [RetryState.ENQUEUED]


def test_a_retry_waits_at_least_half_its_bound(parts: Parts) -> None:
    parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    assert parts.delays == [timedelta(seconds=45)]


def test_a_resubmission_is_registered_with_all_that_went_with_it(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    _, message = failed(parts, A + SAS, B + SAS)
    with monkeypatch.context() as broken:
        broken.setattr(parts.registrar, "register", _crash)
        with pytest.raises(ConnectionResetError):
            parts.resubmitter.handle(message)
    # A message with only one of the blobs, as a put-back leaves it, comes first.
    parts.resubmitter.handle(replace(message, blobs=message.blobs[:1]))
    again = Operation(CLUSTER, "db", "events", "resubmission-1")
    assert not parts.is_outstanding(again)
    (put_back,) = parts.retries()
    parts.resubmitter.handle(message)
    registered = parts.outstanding.message(again)
    assert registered is not None
    assert [each.url for each in registered.blobs] == [A + SAS, B + SAS]
    parts.resubmitter.handle(put_back)
    assert parts.retries() == []


def test_a_resubmission_whose_message_is_lost_is_registered_by_another(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, message = failed(parts, A + SAS, B + SAS)
    with monkeypatch.context() as broken:
        broken.setattr(parts.registrar, "register", _crash)
        with pytest.raises(ConnectionResetError):
            parts.resubmitter.handle(message)
    hours_until_given_up(parts, replace(message, blobs=message.blobs[:1]))
    registered = parts.outstanding.message(Operation(CLUSTER, "db", "events", "resubmission-1"))
    assert registered is not None
    assert sorted(str(each.url) for each in registered.blobs) == [A + SAS, B]


def test_a_recovered_blob_counts_although_another_was_given_up_while_it_ran(parts: Parts) -> None:
    operation, message = failed(parts, A, B)
    alone = [replace(message, blobs=(each,)) for each in message.blobs]
    parts.adx.says("op", blob(A, "InProgress"), blob(B, "Failed", "Transient"))
    hours_until_given_up(parts, alone[0])
    parts.adx.says("op", blob(A, "InProgress"), blob(B, "Succeeded"))
    parts.resubmitter.handle(alone[1])
    assert states(parts, operation) == [RetryState.NOT_RESUBMITTABLE, RetryState.RECOVERED]
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.PARTIALLY_SUCCEEDED, Counts(succeeded=1, failed=1))


def test_fields_of_upstream_do_not_pass_for_the_apps_own(parts: Parts) -> None:
    _, message = failed(parts, A, extra={"putBacks": "three", "missingSince": 5})
    assert (message.put_backs, message.missing_since) == (0, None)


def test_a_recovered_blob_counts_although_another_is_tried_again_by_the_service(parts: Parts) -> None:
    operation, message = failed(parts, A, B)
    parts.later(minutes=5)
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "InProgress"))
    parts.resubmitter.handle(message)
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.PARTIALLY_SUCCEEDED, Counts(succeeded=1, failed=1))


def test_one_error_after_a_pause_of_days_does_not_give_a_blob_up(parts: Parts) -> None:
    operation, message = failed(parts, A)
    parts.later(hours=49)
    parts.adx.fails("op", Throttled("slow down"))
    parts.resubmitter.handle(message)
    assert states(parts, operation) == [RetryState.ENQUEUED]
    (put_back,) = parts.retries()
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.resubmitter.handle(put_back)
    assert states(parts, operation) == [RetryState.RESUBMITTED]


def test_a_blob_that_was_shown_again_is_not_missing_since_before(parts: Parts) -> None:
    _, message = failed(parts, A)
    del parts.adx.reports["op"]
    parts.resubmitter.handle(message)
    (missing,) = parts.retries()
    parts.later(minutes=5)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.adx.submissions = [Throttled("slow down")]
    parts.resubmitter.handle(missing)
    (throttled,) = parts.retries()
    parts.later(minutes=15)
    del parts.adx.reports["op"]
    parts.resubmitter.handle(throttled)
    assert len(parts.adx.submitted) == 1


def test_a_final_state_stays_where_no_blob_has_recovered(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    with monkeypatch.context() as broken:
        broken.setattr(parts.outstanding, "write_back", _crash)
        with pytest.raises(ConnectionResetError):
            parts.tick()
    (message,) = parts.retries()
    parts.resubmitter.handle(message)
    parts.adx.says("op", blob(A, "Succeeded"))
    parts.tick()
    assert not parts.is_outstanding(operation)
    assert states(parts, operation) == [RetryState.RESUBMITTED]
    assert parts.row(operation).state is OperationState.FAILED


def test_a_message_without_rows_ends_too(parts: Parts) -> None:
    operation, message = failed(parts, A)
    pointer = parts.results.pointer(operation)
    assert pointer is not None
    parts.results.delete_blobs(operation)
    parts.results.delete_operations([pointer])
    parts.adx.fails("op", RequestRejected("gone"))
    assert hours_until_given_up(parts, message) >= 48
    assert states(parts, operation) == [RetryState.NOT_RESUBMITTABLE]


def test_many_blobs_that_recover_at_once_are_all_counted(parts: Parts) -> None:
    parts.configure(retrying=replace(RETRYING, deduplicate=True))
    urls = [f"https://account.blob.core.windows.net/c/{number}.csv" for number in range(12)]
    operation = parts.register("op", *urls)
    parts.adx.says("op", *(blob(url, "Failed", "Transient") for url in urls))
    parts.tick()
    messages = parts.retries()
    assert len(messages) == 12
    parts.adx.says("op", *(blob(url, "Succeeded") for url in urls))
    for handling in [parts.storage_threads.submit(parts.resubmitter.handle, message) for message in messages]:
        handling.result()
    row = parts.row(operation)
    assert (row.state, row.counts) == (OperationState.SUCCEEDED, Counts(succeeded=12))


class _Suffix:
    def readable(self, url: str) -> str:
        return f"{url};managed_identity=system"


def _crash(*_: object, **__: object) -> None:
    raise ConnectionResetError
