"""What an orchestration an operation would ask of storage: the monitor pattern of Durable Functions, reckoned.

The pattern is the documented one (https://learn.microsoft.com/azure/durable-task/common/durable-task-monitor): a loop
of an activity that asks ADX and a timer, without ``ContinueAsNew``. The backend is the Azure Storage provider, with the
defaults of host.json. Each count is the least that its source allows, and where there is a choice it favours the peer:

- every look at a control queue finds 32 messages, the most that it takes,
- nothing is repeated, no message is larger than a queue's, no lock of a message is renewed,
- the activity that sees the end writes the results itself, in groups of 100, so that no second activity is called for,
- what a task hub costs whether it has work or not is left out: looks at empty queues, leases of partitions, the scale
  controller's looks (https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-billing).
"""

import math
from dataclasses import dataclass

GROUP = 100
"""Rows in an entity group transaction."""

CONTROL_BATCH = 32
"""``controlQueueBatchSize``: messages of a control queue in one look, which is also the most that a queue gives."""

_PAGE = 1_000
_ROWS_OF_AN_EPISODE = 4
"""In the history: OrchestratorStarted, what has happened, what is called for next, OrchestratorCompleted."""

COMMIT = "5217032961abf45846f462732a5e2813316e3747"
_FILES = f"https://github.com/Azure/durabletask/blob/{COMMIT}/src/DurableTask.AzureStorage"
_PROVIDER = "https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-azure-storage-provider"
_SERVICE = f"{_FILES}/AzureStorageOrchestrationService.cs"
_SESSIONS = f"{_FILES}/OrchestrationSessionManager.cs"
_STORE = f"{_FILES}/Tracking/AzureTableTrackingStore.cs"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a count is from: a page or a file, and the place in it."""

    place: str
    page: str


@dataclass(frozen=True, slots=True)
class Step:
    """Transactions of one kind over an operation's life.

    Attributes:
        what: What they do.
        service: table or queue.
        per: Of what there is a count each: operation, episode, activity, timer, or group of blobs.
        count: How many.
        source: Where that is from.
    """

    what: str
    service: str
    per: str
    count: float
    source: Source


STEPS = (
    Step(
        "the client looks whether there is such an instance",
        "table",
        "operation",
        1,
        Source("CreateTaskOrchestrationAsync", _SERVICE),
    ),
    Step("it puts ExecutionStarted", "queue", "operation", 1, Source("CreateTaskOrchestrationAsync", _SERVICE)),
    Step("it inserts the row of Instances", "table", "operation", 1, Source("SetNewExecutionAsync", _STORE)),
    Step(
        "the start message is compared with that row",
        "table",
        "operation",
        1,
        Source("DedupeExecutionStartedMessagesAsync", _SESSIONS),
    ),
    Step("get from the control queue", "queue", "episode", 1 / CONTROL_BATCH, Source("Control queues", _PROVIDER)),
    Step("read the history", "table", "page of history", 1, Source("ScheduleOrchestrationStatePrefetch", _SESSIONS)),
    Step("append to the history, a group", "table", "episode", 1, Source("UploadHistoryBatch", _STORE)),
    Step("merge the row of Instances", "table", "episode", 1, Source("UpdateInstanceTableAsync", _STORE)),
    Step(
        "delete the control message", "queue", "episode", 1, Source("CompleteTaskOrchestrationWorkItemAsync", _SERVICE)
    ),
    Step("put the activity's message", "queue", "activity", 1, Source("CommitOutboundQueueMessages", _SERVICE)),
    Step(
        "get it: one message at a time",
        "queue",
        "activity",
        1,
        Source("GetMessageAsync", f"{_FILES}/Messaging/WorkItemQueue.cs"),
    ),
    Step("put its result", "queue", "activity", 1, Source("CompleteTaskActivityWorkItemAsync", _SERVICE)),
    Step("delete it", "queue", "activity", 1, Source("CompleteTaskActivityWorkItemAsync", _SERVICE)),
    Step("put the timer's message", "queue", "timer", 1, Source("CommitOutboundQueueMessages", _SERVICE)),
    Step("write the blobs' rows", "table", "group of blobs", 1, Source("this comparison", "")),
)


@dataclass(frozen=True, slots=True)
class Transactions:
    """Of an operation, from registration to its end."""

    table: float
    queue: float

    @property
    def storage(self) -> float:
        """Both."""
        return self.table + self.queue


def times(per: str, polls: int, blobs: int) -> int:
    """How many there are of what steps are counted by.

    An orchestrator runs, an episode, at the start, after each activity and after each timer; there is no timer after
    the last activity. Its whole history is read before each: extended sessions, which spare that for 30 seconds, are
    off by default and only for .NET (``DurableTaskOptions.Validate`` of the extension turns them off elsewhere).

    Raises:
        KeyError: steps are counted by nothing of that name.
    """
    episodes = 2 * polls
    return {
        "operation": 1,
        "episode": episodes,
        # One row more than the events: the sentinel.
        "page of history": sum(max(1, math.ceil((_ROWS_OF_AN_EPISODE * n + 1) / _PAGE)) for n in range(episodes)),
        "activity": polls,
        "timer": polls - 1,
        "group of blobs": math.ceil(blobs / GROUP),
    }[per]


def transactions(polls: int, blobs: int) -> Transactions:
    """The least transactions of an operation that is asked for so often."""
    table, queue = (
        sum(step.count * times(step.per, polls, blobs) for step in STEPS if step.service == service)
        for service in ("table", "queue")
    )
    return Transactions(table, queue)


def transactions_alone(polls: int, blobs: int) -> Transactions:
    """Those of an operation that nobody shares a look at the control queue with."""
    among_many = transactions(polls, blobs)
    more = (1 - 1 / CONTROL_BATCH) * times("episode", polls, blobs)
    return Transactions(among_many.table, among_many.queue + more)
