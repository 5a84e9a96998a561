"""Telling who waits for it that an operation has ended: by a message on a queue, by an event, or by both.

It is told after the operation's row is written and before the operation leaves ``OutstandingOperations``, so that a
crash between the two repeats it. An operation whose news can't be told stays outstanding, and holds up no other one.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Protocol

from shared import metrics
from shared.ending import Ending
from shared.event_grid import MOST_BYTES, NotSent, Topic
from shared.model import Operation
from shared.news import Kind, News, cloud_event, news_of, write_batch, write_news
from shared.queues import Queue
from shared.records import Ended, Pointer
from shared.redaction import redacted_line
from shared.side_by_side import also_here
from shared.store.results import Results
from shared.telemetry import Seldom, event

_MOST_FAILED = 400
"""Rows of failed blobs that are read for one message: as many as have room in it, if they have little to say."""

_MOST_SECONDS = 10.0
"""A channel begins with nothing after that: one that hangs must not hold up the polls. What is left is told later."""


_NO_TIME = "no time is left for it"


@dataclass(frozen=True, slots=True)
class Failure:
    """News that have not gone out, and why."""

    news: News
    reason: str


class Channel(Protocol):
    """A way by which news go out."""

    name: str

    def groups(self, news: Iterable[News]) -> Iterator[Sequence[News]]:
        """What is sent at once."""

    def send(self, group: Sequence[News], ends: float) -> list[Failure]:
        """Send them, with no request begun after ``ends`` on the monotonic clock; returns those that are not sent."""


class QueueChannel:
    """``RESULTS_QUEUE``: a message for each."""

    name = "queue"

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def groups(self, news: Iterable[News]) -> Iterator[Sequence[News]]:
        """Each by itself."""
        return ((each,) for each in news)

    def send(self, group: Sequence[News], _ends: float) -> list[Failure]:
        """Put it on the queue."""
        (news,) = group
        try:
            self._queue.send(write_news(news))
        except Exception as error:  # noqa: BLE001, storage, or a defect: it is logged, and told again later
            return [Failure(news, f"{type(error).__name__}: {redacted_line(error)}")]
        return []


class TopicChannel:
    """``EVENTGRID_TOPIC_ENDPOINT``: an event for each, as many in a request as it takes."""

    name = "topic"

    def __init__(self, topic: Topic) -> None:
        self._topic = topic

    def groups(self, news: Iterable[News]) -> Iterator[Sequence[News]]:
        """As many as there are bytes for."""
        group: list[News] = []
        size = 0
        for each in news:
            length = len(write_batch([cloud_event(each)]))
            if group and size + length > MOST_BYTES:
                yield group
                group, size = [], 0
            group.append(each)
            size += length
        if group:
            yield group

    def send(self, group: Sequence[News], ends: float) -> list[Failure]:
        """Publish them; each alone where the topic takes them not together, for what is in one of them."""
        if time.monotonic() >= ends:
            return [Failure(each, _NO_TIME) for each in group]
        try:
            self._topic.publish(write_batch([cloud_event(each) for each in group]))
        except NotSent as error:
            if error.is_of_event and len(group) > 1:
                return [failure for each in group for failure in self.send([each], ends)]
            return [Failure(each, str(error)) for each in group]
        except Exception as error:  # noqa: BLE001, a defect: it is logged, and told again later
            return [Failure(each, type(error).__name__) for each in group]
        return []


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of one operation, and by which channels."""

    operation: Operation
    channels: frozenset[str]
    make: Callable[[], list[News]]


class Announcer:
    """Tells of ends by the channels that are set; without any it does nothing."""

    def __init__(
        self,
        results: Results,
        channels: Sequence[Channel],
        now: Callable[[], datetime],
        executor: Executor,
        *,
        threads: int,
    ) -> None:
        self._results = results
        self._channels = {each.name: each for each in channels}
        self._executor = executor
        self._threads = threads
        self._seldom = Seldom(timedelta(minutes=5), now)

    def settled(self, endings: Iterable[Ending]) -> dict[str, str]:
        """Tell how operations have ended, whose rows say so.

        Returns:
            By the operation's key, for those that are not told by every channel, what is left: the channels, and
            ``corrected`` where a correction is to be told with the end.
        """
        told = {each.before.operation.key: each for each in endings}
        left = self._tell(
            [
                _Told(each.before.operation, self._left(each.before.untold), partial(self._of_ending, each))
                for each in told.values()
            ]
        )
        return {
            key: ",".join([*sorted(names), *([Kind.CORRECTED] if told[key].is_corrected else [])])
            for key, names in left.items()
        }

    def corrected(self, operation: Operation, pointer: Pointer, untold: str | None) -> str | None:
        """Tell that the row of an operation that had ended says something else now.

        Args:
            operation: Which one.
            pointer: Where its row is.
            untold: The channels that are left of an earlier time, None for all.

        Returns:
            The channels that are left now, None if it is told.
        """

        def make() -> list[News]:
            return [self._news(Kind.CORRECTED, self._read(pointer))]

        left = self._tell([_Told(operation, self._left(untold), make)])
        return ",".join(sorted(left[operation.key])) if left else None

    def _left(self, untold: str | None) -> frozenset[str]:
        """Those of the channels that are set now: who waits at another one has to look at the tables."""
        return frozenset(name for name in self._channels if untold is None or name in untold.split(","))

    def _tell(self, each: Iterable["_Told"]) -> dict[str, set[str]]:
        """Tell it; returns the channels that are left, of those operations that have some."""
        told = [one for one in each if one.channels]
        left = {one.operation.key: set(one.channels) for one in told}
        made = self._side_by_side(partial(self._made, _end_of_time()), told)
        for channel in self._channels.values():
            own = [news for one, news in made if channel.name in one.channels]
            groups = channel.groups(chain.from_iterable(own))
            # Each has a time of its own: one that hangs must not use up another's, run after run.
            send = partial(self._send, channel, _end_of_time())
            failed = set(chain.from_iterable(self._side_by_side(send, groups)))
            for one, _ in made:
                if one.operation.key not in failed:
                    left[one.operation.key].discard(channel.name)
        return {key: names for key, names in left.items() if names}

    def _side_by_side[T, R](self, act: Callable[[T], R | None], each: Iterable[T]) -> list[R]:
        return also_here(act, each, executor=self._executor, threads=self._threads)

    def _made(self, ends: float, one: "_Told") -> tuple["_Told", list[News]] | None:
        try:
            if time.monotonic() < ends:
                return one, one.make()
            reason = _NO_TIME
        except Exception as error:  # noqa: BLE001, storage, or a defect: it is logged, and told again later
            reason = f"what is stored of it can't be read: {type(error).__name__}: {redacted_line(error)}"
        self._tell_failure("storage", reason, one.operation, 1)
        return None

    def _send(self, channel: Channel, ends: float, group: Sequence[News]) -> set[str]:
        """Send a group; returns the keys of the operations whose news has not gone out."""
        is_time = time.monotonic() < ends
        failures = channel.send(group, ends) if is_time else [Failure(each, _NO_TIME) for each in group]
        if failures:
            self._tell_failure(channel.name, failures[0].reason, failures[0].news.ended.operation, len(failures))
        if len(failures) < len(group):
            metrics.record(metrics.NEWS, len(group) - len(failures), channel=channel.name, outcome="Sent")
        return {failure.news.ended.operation.key for failure in failures}

    def _tell_failure(self, channel: str, reason: str, operation: Operation, count: int) -> None:
        metrics.record(metrics.NEWS, count, channel=channel, outcome="Failed")
        if self._seldom.may_say(channel):
            event(
                "news.failed",
                f"not told: {reason}; it stays outstanding until it is",
                level=logging.ERROR,
                about=operation,
                channel=channel,
                operations=count,
            )

    def _of_ending(self, ending: Ending) -> list[News]:
        kinds = (Kind.SETTLED, Kind.CORRECTED) if ending.is_corrected else (Kind.SETTLED,)
        return [self._news(kind, ending.ended) for kind in kinds]

    def _read(self, pointer: Pointer) -> Ended:
        row = self._results.operation(pointer)
        if row is None or row.settled_at is None:
            raise LookupError("its row is gone")
        return Ended(
            operation=row.operation,
            registered_at=row.registered_at,
            settled_at=row.settled_at,
            attempt=row.attempt,
            root_operation_id=row.root_operation_id,
            parent_operation_id=row.parent_operation_id,
            correlation_id=row.correlation_id,
            summary=row.summary,
        )

    def _news(self, kind: Kind, ended: Ended) -> News:
        has_failed = ended.summary.counts.failed > 0
        return news_of(kind, ended, self._results.failed_blobs(ended.operation, _MOST_FAILED) if has_failed else ())


def _end_of_time() -> float:
    """When nothing more is begun with that begins now, on the monotonic clock."""
    return time.monotonic() + _MOST_SECONDS
