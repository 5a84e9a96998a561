"""Small lives of operations that between them take every step, each with what it has to come to."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any

from local.adx_simulator import Answer, BlobFault, RequestFault
from shared import keys
from shared.model import Operation
from tests.crash.host import Host
from tests.crash.steps import TABLES
from tests.support.event_grid import Failing
from tests.support.world import DATABASE, World, eventually

STARTED = (*["table created"] * 4, *["queue created"] * 3, "layout written")
REGISTERED = ("pointer inserted", "operation row inserted", "outstanding rows inserted")
ENDED = ("operation ended", "outstanding rows deleted")
TELLING = ("result sent", "event sent")
TOLD = ("operation ended", *TELLING, "outstanding rows deleted")
ENQUEUED = ("blobs written", "retry message sent", "blobs Enqueued")
RESUBMITTED = ("blobs claimed", "blobs submitted", "blobs Resubmitted", *REGISTERED)
SUCCEEDED = ("blobs written", *ENDED)
# Of two operations that end in one tick, in two partitions each.
TWICE_SUCCEEDED = tuple(step for step in SUCCEEDED for _ in range(2))
_HALF_DONE = (*REGISTERED, *ENQUEUED, "progress shown", "due rows moved", *RESUBMITTED)


@dataclass(frozen=True)
class End:
    """What all has come to.

    Attributes:
        operations: Attempt and ``State`` of each.
        blobs: Attempt, name, ``Status`` and ``RetryState`` of each.
        submissions: By name, how often ADX was given a blob, and how often it ingested its rows.
        poison: How many messages are kept because they can't be understood.
        redriven: Whether there is a redrive that is done.
        told: Attempt, kind and ``State`` of all news, each ID once: on the queue of results and at the topic alike.
    """

    operations: tuple[tuple[int, str], ...] = ()
    blobs: tuple[tuple[int, str, str, str], ...] = ()
    submissions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    poison: int = 0
    redriven: bool = False
    told: tuple[tuple[int, str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Scenario:
    """A life, from its message to its end.

    Attributes:
        name: What it is about.
        prepare: Brings upstream's part about.
        steps: All that the app writes, in this order, when nothing happens to it.
        steps_in_one_shard: The same where its two operations happen to lie in one partition, as 1 pair in 16 does.
        end: What it comes to, wherever the app dies,
        repeats: but for a death after the first one of these, which is the documented repetition.
        dies_at: Which of the steps the app dies at; another scenario has the others, where all is the same.
        on_retry: What happens before a retry message is handed out, once or several times.
        afterwards: What happens when all is settled, and again after a death in it.
        settings: Of the app.
        pace: The time between two invocations.
        is_told: Whether ends are told, on a queue and to a topic.
        from_start: Whether the steps of the start are among the steps.
    """

    name: str
    prepare: Callable[[World], object]
    steps: tuple[str, ...]
    end: End
    steps_in_one_shard: tuple[str, ...] = ()
    repeats: Mapping[str, End] = field(default_factory=dict)
    dies_at: slice = slice(None)
    on_retry: Callable[[World, Host], object] = lambda _world, _host: None
    afterwards: Callable[[World, Host], object] = lambda _world, _host: None
    settings: Mapping[str, str] = field(default_factory=dict)
    pace: timedelta = timedelta(minutes=2)
    is_told: bool = False
    from_start: bool = False

    @property
    def places(self) -> range:
        """The numbers of the steps that the app dies at."""
        return range(len(self.steps))[self.dies_at]


def _data(world: World, *names: str) -> list[str]:
    """Blobs of three rows that no other has."""
    return [world.upload(name, b"".join(b"%s,%d\n" % (name.encode(), row) for row in range(3))) for name in names]


def _without_storage(world: World) -> None:
    for name in TABLES:
        world.tables.delete_table(name)
    for name in world.names.values():
        world.queues.delete_queue(name)


def _three_kinds(world: World) -> None:
    faults = [BlobFault(kind="permanent", url_contains="broken"), BlobFault(kind="transient", url_contains="flaky")]
    world.adx.set_faults(faults)
    world.submit_and_post(_data(world, "good", "broken", "flaky"))
    world.adx.set_faults([])


def _flaky(world: World, **message: object) -> None:
    world.adx.set_faults([BlobFault(kind="transient")])
    world.submit_and_post(_data(world, "flaky"), **message)
    world.adx.set_faults([])


def _throttled_once(world: World) -> None:
    _flaky(world)
    world.adx.set_faults([RequestFault(effect="error", request="submit", status=429, times=1)])


def _good(world: World) -> None:
    world.submit_and_post(_data(world, "good"))


def _planted(world: World, operation_id: str, *answers: Mapping[str, tuple[str, str | None]]) -> None:
    """Have ADX answer of an operation with these blobs, by name: status and failureStatus. The last has details."""
    details = [[_blob(world, name, *fate) for name, fate in answer.items()] for answer in answers]
    world.adx.plant(
        operation_id=operation_id,
        database=DATABASE,
        table=world.table,
        plain=[_answer(blobs, with_details=False) for blobs in details],
        detailed=[_answer(details[-1], with_details=True)],
    )


def _blob(world: World, name: str, status: str, failure_status: str | None) -> dict[str, Any]:
    blob = {"url": world.url(name).partition("?")[0], "status": status}
    failure = {"failureStatus": failure_status, "errorCode": "General_ThrottledIngestion", "details": "busy"}
    return {**blob, **failure} if failure_status else blob


def _answer(blobs: Sequence[Mapping[str, Any]], *, with_details: bool) -> Answer:
    statuses = [blob["status"] for blob in blobs]
    body: dict[str, Any] = {"status": {status: statuses.count(status) for status in statuses}}
    return Answer(body=json.dumps({**body, "details": blobs} if with_details else body))


RUNNING = ("InProgress", None)
DONE = ("Succeeded", None)
BUSY = ("Failed", "Transient")


def _post(world: World, operation_id: str, *names: str) -> None:
    blobs = [{"url": url} for url in _data(world, *names)]
    world.post({"operationId": operation_id, "properties": {"format": "csv"}, "blobs": blobs})


def _mending(world: World) -> None:
    _planted(world, "mending", {"flaky": BUSY})
    _post(world, "mending", "flaky")


def _half_done(world: World) -> None:
    _planted(world, "half", {"flaky": BUSY, "good": RUNNING})
    _post(world, "half", "flaky", "good")


def _broken(world: World) -> None:
    world.adx.set_faults([BlobFault(kind="permanent", url_contains="broken")])
    world.submit_and_post(_data(world, "good", "broken"))
    world.adx.set_faults([])


def _good_while_the_topic_is_away(world: World) -> None:
    assert world.grid
    world.grid.fail(Failing(503))
    _good(world)


def _hanging(world: World) -> None:
    _planted(world, "hanging", {"good": RUNNING})
    _post(world, "hanging", "good")


def _two_of_a_shard(world: World) -> None:
    """Two operations in one partition, so that they go into one batch."""
    cluster = world.env["KUSTO_INGEST_URI"]
    ids = (f"op-{number}" for number in count())
    own = (each for each in ids if keys.shard(Operation(cluster, DATABASE, world.table, each).key) == "7")
    for operation_id, name in zip(own, ("one", "other"), strict=False):
        _planted(world, operation_id, {name: RUNNING}, {name: DONE})
        _post(world, operation_id, name)


def _redrive_blobs(world: World, host: Host) -> None:
    first = next(row["OperationId"] for row in world.operations() if row["Attempt"] == 1)
    # The app keeps no SAS.
    blobs = [{"url": world.url(name)} for name in ("broken", "flaky")]
    host.call("redrive_blobs", first, {"blobs": blobs}, "ada")
    host.settle_all()


def _poison(world: World) -> None:
    """A poison message that is junk, and one that can be handled by now."""
    world.queues.create_queue(world.names["OPERATIONS_QUEUE"] + "-poison")
    operation_id, _ = world.submit(_data(world, "good"))
    for text in ("{", operation_id):
        world.post(text, suffix="-poison")


def _redrive_messages(world: World, host: Host) -> None:
    poison = "OPERATIONS_QUEUE", "-poison"
    eventually(lambda: len(world.waiting(*poison)) == world.length(*poison), "what the dead had taken", pause=0.05)
    host.call("redrive_messages", world.names["OPERATIONS_QUEUE"], "ada", None)
    host.settle_all()


def _prune(world: World, host: Host) -> None:
    # Of no message, to have its row to prune.
    host.call("redrive_messages", world.names["OPERATIONS_QUEUE"], "ada", None)
    host.now += timedelta(days=100)
    host.call("prune_results")


_FLAKY_RETRIED = End(
    operations=((1, "Failed"), (2, "Succeeded")),
    blobs=((1, "flaky", "Failed", "Resubmitted"), (2, "flaky", "Succeeded", "")),
    submissions={"flaky": (2, 1)},
)

# The junk is refused again.
_POISON_REDRIVEN = End(
    operations=((1, "Succeeded"),),
    blobs=((1, "good", "Succeeded", ""),),
    submissions={"good": (1, 1)},
    poison=1,
    redriven=True,
)

SCENARIOS = (
    Scenario("the first start", _without_storage, STARTED, End(), from_start=True),
    Scenario(
        "succeeded, permanent and transient",
        _three_kinds,
        (*REGISTERED, *ENQUEUED, *ENDED, *RESUBMITTED, *SUCCEEDED),
        End(
            operations=((1, "PartiallySucceeded"), (2, "Succeeded")),
            blobs=(
                (1, "broken", "Failed", ""),
                (1, "flaky", "Failed", "Resubmitted"),
                (1, "good", "Succeeded", ""),
                (2, "flaky", "Succeeded", ""),
            ),
            submissions={"broken": (1, 0), "flaky": (2, 1), "good": (1, 1)},
        ),
        repeats={
            "blobs submitted": End(
                operations=((1, "PartiallySucceeded"), (2, "Succeeded")),
                blobs=(
                    (1, "broken", "Failed", ""),
                    (1, "flaky", "Failed", "Resubmitted"),
                    (1, "good", "Succeeded", ""),
                    (2, "flaky", "Succeeded", ""),
                ),
                submissions={"broken": (1, 0), "flaky": (3, 2), "good": (1, 1)},
            )
        },
    ),
    Scenario(
        "with deduplication",
        _flaky,
        (*REGISTERED, *ENQUEUED, *ENDED, *RESUBMITTED, *SUCCEEDED),
        _FLAKY_RETRIED,
        repeats={
            # ADX skips what has the tag already, and reports that as a failure.
            "blobs submitted": End(
                operations=((1, "Failed"), (2, "Succeeded")),
                blobs=((1, "flaky", "Failed", "Resubmitted"), (2, "flaky", "Failed", "")),
                submissions={"flaky": (3, 1)},
            )
        },
        dies_at=slice(8, 12),
        settings={"RETRY_DEDUPLICATE": "true"},
    ),
    Scenario(
        "throttled and put back",
        _throttled_once,
        (
            *(*REGISTERED, *ENQUEUED, *ENDED),
            *("blobs claimed", "blobs submitted", "claims released", "retry message put back"),
            *(*RESUBMITTED, *SUCCEEDED),
        ),
        _FLAKY_RETRIED,
        repeats={
            "blobs submitted": End(
                operations=_FLAKY_RETRIED.operations, blobs=_FLAKY_RETRIED.blobs, submissions={"flaky": (3, 2)}
            )
        },
        dies_at=slice(8, 15),
    ),
    Scenario(
        "transient while others are in progress",
        _half_done,
        (*_HALF_DONE, *TWICE_SUCCEEDED),
        End(
            operations=((1, "PartiallySucceeded"), (2, "Succeeded")),
            blobs=(
                (1, "flaky", "Failed", "Resubmitted"),
                (1, "good", "Succeeded", ""),
                (2, "flaky", "Succeeded", ""),
            ),
            submissions={"flaky": (1, 1)},
        ),
        steps_in_one_shard=(*_HALF_DONE, *TWICE_SUCCEEDED[:-1]),
        repeats={
            "blobs submitted": End(
                operations=((1, "PartiallySucceeded"), (2, "Succeeded")),
                blobs=(
                    (1, "flaky", "Failed", "Resubmitted"),
                    (1, "good", "Succeeded", ""),
                    (2, "flaky", "Succeeded", ""),
                ),
                submissions={"flaky": (2, 2)},
            )
        },
        dies_at=slice(3, 11),
        on_retry=lambda world, _: _planted(world, "half", {"flaky": BUSY, "good": DONE}),
        settings={"POLL_CONCURRENCY": "1"},
    ),
    Scenario(
        "mended by the service",
        _mending,
        (*REGISTERED, *ENQUEUED, *ENDED, "blobs Recovered", "operation corrected", "list rows corrected"),
        End(operations=((1, "Succeeded"),), blobs=((1, "flaky", "Succeeded", "Recovered"),)),
        dies_at=slice(3, None),
        on_retry=lambda world, _: _planted(world, "mending", {"flaky": DONE}),
    ),
    Scenario(
        "transient at the last attempt",
        _flaky,
        (*REGISTERED, "blobs written", *ENDED),
        End(
            operations=((1, "Failed"),),
            blobs=((1, "flaky", "Failed", "AttemptsExhausted"),),
            submissions={"flaky": (1, 0)},
        ),
        dies_at=slice(3, None),
        settings={"RETRY_MAX_ATTEMPTS": "1"},
    ),
    Scenario(
        "attempts lowered before the retry",
        _flaky,
        (*REGISTERED, *ENQUEUED, *ENDED, *STARTED, "blobs AttemptsExhausted"),
        End(
            operations=((1, "Failed"),),
            blobs=((1, "flaky", "Failed", "AttemptsExhausted"),),
            submissions={"flaky": (1, 0)},
        ),
        dies_at=slice(16, None),
        on_retry=lambda _, host: host.restart(RETRY_MAX_ATTEMPTS="1"),
    ),
    Scenario(
        "without the properties of a resubmission",
        lambda world: _flaky(world, properties=None),
        (*REGISTERED, *ENQUEUED, *ENDED, "blobs NotResubmittable"),
        End(
            operations=((1, "Failed"),),
            blobs=((1, "flaky", "Failed", "NotResubmittable"),),
            submissions={"flaky": (1, 0)},
        ),
        dies_at=slice(8, None),
    ),
    Scenario(
        "unknown to ADX",
        lambda world: world.post("never-heard-of"),
        (*REGISTERED, "due rows moved", "due rows moved", *ENDED),
        End(operations=((1, "NotFound"),)),
        dies_at=slice(3, None),
        settings={"NOT_FOUND_GRACE_MINUTES": "3"},
    ),
    Scenario(
        "never ending",
        _hanging,
        (*REGISTERED, "due rows moved", "blobs written", *ENDED),
        End(operations=((1, "TimedOut"),), blobs=((1, "good", "InProgress", ""),)),
        dies_at=slice(3, None),
        settings={"TRACKING_TIMEOUT_HOURS": "1"},
        pace=timedelta(minutes=31),
    ),
    Scenario(
        "told of",
        _broken,
        (*REGISTERED, "blobs written", *TOLD),
        End(
            operations=((1, "PartiallySucceeded"),),
            blobs=((1, "broken", "Failed", ""), (1, "good", "Succeeded", "")),
            submissions={"broken": (1, 0), "good": (1, 1)},
            told=((1, "settled", "PartiallySucceeded"),),
        ),
        dies_at=slice(4, None),
        is_told=True,
    ),
    Scenario(
        "told of when the topic is there again",
        _good_while_the_topic_is_away,
        (
            *(*REGISTERED, "blobs written", "operation ended", *TELLING, "news put off"),
            *("event sent", "told rows deleted"),
        ),
        End(
            operations=((1, "Succeeded"),),
            blobs=((1, "good", "Succeeded", ""),),
            submissions={"good": (1, 1)},
            told=((1, "settled", "Succeeded"),),
        ),
        dies_at=slice(5, None),
        is_told=True,
    ),
    Scenario(
        "told of although unknown to ADX",
        lambda world: world.post("never-heard-of"),
        (*REGISTERED, "due rows moved", "due rows moved", *TOLD),
        End(operations=((1, "NotFound"),), told=((1, "settled", "NotFound"),)),
        dies_at=slice(5, None),
        settings={"NOT_FOUND_GRACE_MINUTES": "3"},
        is_told=True,
    ),
    Scenario(
        "told of again when it is mended by the service",
        _mending,
        (*REGISTERED, *ENQUEUED, *TOLD, "blobs Recovered", "operation corrected", "list rows corrected", *TELLING),
        End(
            operations=((1, "Succeeded"),),
            blobs=((1, "flaky", "Succeeded", "Recovered"),),
            told=((1, "corrected", "Succeeded"), (1, "settled", "Failed")),
        ),
        dies_at=slice(6, None),
        on_retry=lambda world, _: _planted(world, "mending", {"flaky": DONE}),
        is_told=True,
    ),
    Scenario(
        "told of with its retry",
        _flaky,
        (*REGISTERED, *ENQUEUED, *TOLD, *RESUBMITTED, "blobs written", *TOLD),
        replace(_FLAKY_RETRIED, told=((1, "settled", "Failed"), (2, "settled", "Succeeded"))),
        dies_at=slice(16, None),
        is_told=True,
    ),
    Scenario(
        "handed out in batches",
        _two_of_a_shard,
        (
            *(*REGISTERED, *REGISTERED),
            *("batch sent", "dispatch noted", "due rows moved", "batch sent", "dispatch noted"),
            # Both in one partition, and so in one transaction.
            *("blobs written", "blobs written", *ENDED),
        ),
        End(
            operations=((1, "Succeeded"), (1, "Succeeded")),
            blobs=((1, "one", "Succeeded", ""), (1, "other", "Succeeded", "")),
        ),
        dies_at=slice(6, 15),
        settings={"POLL_INLINE_LIMIT": "0", "POLL_CONCURRENCY": "1"},
        # A batch is not older than the dispatcher's lease then.
        pace=timedelta(minutes=1),
    ),
    Scenario(
        "not to be understood",
        lambda world: world.post({"operationId": 5}),
        # The queue is created when the first message for it comes.
        ("refused message kept", "queue created", "refused message kept"),
        End(poison=1),
        repeats={"refused message kept": End(poison=2)},
    ),
    Scenario(
        "redriven blobs",
        _three_kinds,
        (
            *(*REGISTERED, "blobs written", *ENDED),
            *("redrive begun", "blobs taken up", "retry message sent", "blobs Enqueued", "blobs counted"),
            *("list rows corrected", "redrive done", *RESUBMITTED, *SUCCEEDED),
        ),
        End(
            operations=((1, "PartiallySucceeded"), (2, "Succeeded")),
            blobs=(
                (1, "broken", "Failed", "Resubmitted"),
                (1, "flaky", "Failed", "Resubmitted"),
                (1, "good", "Succeeded", ""),
                (2, "broken", "Succeeded", ""),
                (2, "flaky", "Succeeded", ""),
            ),
            submissions={"broken": (2, 1), "flaky": (2, 1), "good": (1, 1)},
            redriven=True,
        ),
        dies_at=slice(6, 13),
        afterwards=_redrive_blobs,
        settings={"RETRY_MAX_ATTEMPTS": "1"},
    ),
    Scenario(
        "redriven messages",
        _poison,
        (
            *("redrive begun", *["poison message sent back", "poison message removed"] * 2, "redrive done"),
            *("refused message kept", *REGISTERED, *SUCCEEDED),
        ),
        _POISON_REDRIVEN,
        repeats={"poison message sent back": replace(_POISON_REDRIVEN, poison=2)},
        dies_at=slice(6),
        afterwards=_redrive_messages,
    ),
    Scenario(
        "past retention",
        _good,
        (
            *(*REGISTERED, *SUCCEEDED),
            *("redrive begun", "redrive done", "results deleted", "list rows deleted", "operation row deleted"),
            "redrives deleted",
        ),
        End(submissions={"good": (1, 1)}),
        dies_at=slice(8, None),
        afterwards=_prune,
    ),
)
