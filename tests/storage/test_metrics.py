"""What the app records while operations live, on real tables and queues."""

from dataclasses import replace

import pytest

from shared import keys, metrics
from shared.backlog import Backlog
from shared.errors import Unavailable
from shared.model import RetryState
from tests.support.parts import RETRYING, Parts, blob
from tests.support.recorded import Recorded

A, B, C = (f"https://account.blob.core.windows.net/c/{name}.csv" for name in "abc")
PLACE = ("test.westeurope", "db", "events")


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def test_an_operation_counts_when_it_is_registered_and_once(parts: Parts, recorded: Recorded) -> None:
    parts.register("op", A)
    parts.register("op", A)
    assert recorded.of(metrics.OPERATIONS_REGISTERED) == {(*PLACE, "Upstream"): 1}


def test_what_an_operation_ends_in_and_how_long_it_took(parts: Parts, recorded: Recorded) -> None:
    parts.register("op", A, B)
    parts.adx.says("op", blob(A, "InProgress"), blob(B, "InProgress"))
    parts.tick()
    assert recorded.of(metrics.OPERATIONS_SETTLED) == {}
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Failed", "Permanent", code="Download_SourceNotFound"))
    parts.tick()
    parts.tick()
    assert recorded.of(metrics.OPERATIONS_SETTLED) == {(*PLACE, "PartiallySucceeded"): 1}
    assert recorded.of(metrics.OPERATIONS_LATENCY) == {PLACE: 20 * 60}
    assert recorded.of(metrics.BLOBS_ENDED, "outcome", "failure_status", "error_code") == {
        ("Succeeded", "", ""): 1,
        ("Failed", "Permanent", "Download_SourceNotFound"): 1,
    }


def test_the_latency_begins_with_the_submission_by_adx_clock(parts: Parts, recorded: Recorded) -> None:
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Succeeded"))
    report = parts.adx.reports[operation.operation_id]
    assert not isinstance(report, Exception)
    parts.adx.reports[operation.operation_id] = replace(report, start_time=parts.now)
    parts.later(hours=1)
    parts.tick()
    assert recorded.of(metrics.OPERATIONS_LATENCY) == {PLACE: 70 * 60}


def test_a_blob_that_was_ingested_already_counts_as_succeeded(parts: Parts, recorded: Recorded) -> None:
    parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Permanent", code="Skipped_IngestByTagAlreadyExists"))
    parts.tick()
    assert recorded.of(metrics.BLOBS_ENDED, "outcome", "failure_status", "error_code") == {("Succeeded", "", ""): 1}


def test_a_failure_counts_again_when_it_is_transient_no_more(
    parts: Parts, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "tracker")
    parts.register("op", A, B)
    parts.adx.says("op", blob(A, "Failed", "Transient"), blob(B, "InProgress"))
    parts.tick()
    assert caplog.messages == []
    parts.adx.says("op", blob(A, "Failed", "Permanent", code="Stream_Bad"), blob(B, "Succeeded"))
    parts.tick()
    assert recorded.of(metrics.BLOBS_ENDED, "failure_status") == {("Transient",): 1, ("Permanent",): 1, ("",): 1}
    assert [vars(record)["event"] for record in caplog.records] == ["blob.failed"]


def test_a_retry_is_counted_from_the_queue_to_its_end(parts: Parts, recorded: Recorded) -> None:
    parts.register("op", A + "?sig=x", B + "?sig=x", C + "?sig=x")
    transient = [blob(url, "Failed", "Transient") for url in (A, B, C)]
    parts.adx.says("op", *transient)
    parts.tick()
    assert recorded.of(metrics.RETRIES) == {(*PLACE, "Enqueued"): 3}
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Failed", "Permanent", code="Stream_Bad"), transient[2])
    parts.adx.submissions = [Unavailable("no answer", maybe_accepted=True)]
    for message in parts.retries():
        parts.resubmitter.handle(message)
    assert recorded.of(metrics.RETRIES, "outcome") == {
        ("Enqueued",): 3,
        ("Recovered",): 1,
        ("NotResubmittable",): 1,
        ("Unknown",): 1,
    }
    for message in parts.retries():
        parts.resubmitter.handle(message)
    assert recorded.of(metrics.RETRIES, "outcome")["Resubmitted",] == 1
    assert recorded.of(metrics.OPERATIONS_REGISTERED) == {(*PLACE, "Upstream"): 1, (*PLACE, "Resubmission"): 1}


def test_a_retry_is_recovered_too_where_a_poll_sees_it_first(parts: Parts, recorded: Recorded) -> None:
    operation = parts.register("op", A + "?sig=x", B)
    parts.adx.says("op", blob(A, "Failed", "Transient"), blob(B, "InProgress"))
    parts.tick()
    parts.adx.says("op", blob(A, "Succeeded"), blob(B, "Succeeded"))
    parts.tick()
    parts.tick()
    assert [row.retry_state for row in parts.blobs(operation)] == [RetryState.RECOVERED, RetryState.NONE]
    for message in parts.retries():
        parts.resubmitter.handle(message)
    assert recorded.of(metrics.RETRIES, "outcome") == {("Enqueued",): 1, ("Recovered",): 1}


def test_a_submission_without_an_operation_id_is_told_apart(parts: Parts, recorded: Recorded) -> None:
    parts.register("op", A + "?sig=x")
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    parts.adx.submissions = [None]
    for message in parts.retries():
        parts.resubmitter.handle(message)
    assert recorded.of(metrics.RETRIES, "outcome") == {("Enqueued",): 1, ("Untracked",): 1}


def test_the_last_attempt_that_fails_is_told_once(
    parts: Parts, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    parts.configure(retrying=replace(RETRYING, max_attempts=1))
    operation = parts.register("op", A)
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    parts.tick()
    assert [row.retry_state for row in parts.blobs(operation)] == [RetryState.ATTEMPTS_EXHAUSTED]
    assert recorded.of(metrics.RETRIES) == {(*PLACE, "AttemptsExhausted"): 1}
    assert recorded.of(metrics.BLOBS_ENDED, "failure_status") == {("Transient",): 1}
    assert [vars(record).get("event") for record in caplog.records].count("blob.attempts_exhausted") == 1


def test_what_can_not_be_ended_at_once_is_given_up_once(
    parts: Parts, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.register("op", A + "?sig=x", B)
    parts.adx.says("op", blob(A, "Failed", "Transient"), blob(B, "InProgress"))

    def failing(*_: object) -> None:
        raise OSError("storage does not answer")

    monkeypatch.setattr(parts.settler, "_reenqueue", failing)
    parts.tick()
    parts.later(days=3)
    with monkeypatch.context() as outage:
        outage.setattr(parts.settler, "end", failing)
        parts.tick()
        parts.tick()
    parts.tick()
    assert recorded.of(metrics.RETRIES, "outcome") == {("NotResubmittable",): 1}
    assert recorded.of(metrics.OPERATIONS_SETTLED, "state") == {("TimedOut",): 1}


def test_a_registration_that_storage_cuts_short_counts_once(
    parts: Parts, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError("storage does not answer")

    with monkeypatch.context() as outage:
        outage.setattr(parts.results, "add_operation", failing)
        with pytest.raises(OSError, match="storage does not answer"):
            parts.register("op", A)
    parts.register("op", A)
    assert recorded.of(metrics.OPERATIONS_REGISTERED) == {(*PLACE, "Upstream"): 1}


def test_a_tick_is_the_heartbeat_and_one_that_fails_is_none(parts: Parts, recorded: Recorded) -> None:
    parts.poller.tick()
    assert recorded.of(metrics.TICKS) == {(): 1}
    parts.tables["Outstanding"]._client.delete_table()  # noqa: SLF001, so that the tick fails
    with pytest.raises(Exception, match=r"TableNotFound|not exist|NotFound"):
        parts.poller.tick()
    assert recorded.of(metrics.TICKS) == {(): 1}


def test_the_backlog_is_what_waits_and_since_when(parts: Parts, recorded: Recorded) -> None:
    parts.backlog.measure()
    assert {name: recorded.of(name) for name in GAUGES} == {name: {(): 0} for name in GAUGES}
    for place in range(40):
        parts.register(f"op-{place}", A)
    parts.later(seconds=14)
    parts.backlog.measure()
    assert [recorded.of(name)[()] for name in GAUGES] == [40, 14, 0, 0]
    parts.later(seconds=16)
    parts.register("late", A)
    parts.backlog.measure()
    # The first poll is due 15 seconds after the registration.
    assert [recorded.of(name)[()] for name in GAUGES] == [41, 30, 40, 15]


def test_of_much_some_partitions_are_counted_and_stand_for_all(parts: Parts, recorded: Recorded) -> None:
    for place in range(64):
        parts.register(f"op-{place}", A)
    parts.later(minutes=2)
    parts.register("late", A)
    per_shard = parts.outstanding.census(parts.now)
    assert sum(part.outstanding for part in per_shard) == 65
    few = Backlog(parts.outstanding, {}, parts.ambient, most_counted=1)
    seen = []
    for _ in keys.SHARDS:
        few.measure()
        seen.append([recorded.of(name)[()] for name in GAUGES])
        parts.later(minutes=1)
    # Each minute another partition, with what it has times sixteen; the lag is that of all.
    assert sorted(outstanding for outstanding, *_ in seen) == sorted(16 * part.outstanding for part in per_shard)
    assert [lag for *_, lag in seen] == [105 + 60 * minute for minute, _ in enumerate(keys.SHARDS)]
    # The oldest is remembered from one turn to the next.
    assert [age for _, age, *_ in seen] == [120 + 60 * minute for minute, _ in enumerate(keys.SHARDS)]


GAUGES = (
    metrics.OPERATIONS_OUTSTANDING,
    metrics.OPERATIONS_OLDEST_AGE,
    metrics.POLLS_OVERDUE,
    metrics.POLLS_LAG,
)


def test_a_queue_that_is_not_there_is_empty(parts: Parts, recorded: Recorded) -> None:
    parts.register("op", A + "?sig=x")
    parts.adx.says("op", blob(A, "Failed", "Transient"))
    parts.tick()
    parts.backlog.measure()
    assert recorded.of(metrics.QUEUE_LENGTH) == {("retries",): 1, ("gone",): 0}
