"""The process that dies: the app as one instance runs it, told by a pipe what to do and what time it is."""

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

from shared import app, queues
from shared.ambient import Ambient
from shared.queues import Queue
from shared.settings import load


@dataclass(frozen=True)
class Call:
    """An invocation: which of the app's functions, with what, and when."""

    function: str
    arguments: tuple[object, ...]
    now: datetime


class PromptQueue(Queue):
    """A queue whose messages are visible at once: the clock that tests move is not the queue's."""

    def send(self, text: str, delay: timedelta = timedelta()) -> None:  # noqa: ARG002, as the queue has it
        super().send(text)


class Clock:
    """The time of the invocation that is under way."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time


def serve(pipe: Connection, environment: Mapping[str, str]) -> None:
    """Start the app, and do as told until the pipe closes; each answer is empty or an error."""
    logging.getLogger("tracker").addHandler(logging.NullHandler())
    app.Queue = PromptQueue  # type: ignore[attr-defined]  # what Tracker builds its queues of
    queues._HIDDEN_SECONDS = 1  # noqa: SLF001, what the dead have taken is to be visible soon
    clock = Clock()
    tracker = app.Tracker(load(environment), Ambient(now=clock.now, random=lambda: 0.5))
    pipe.send("")
    while True:
        try:
            call: Call = pipe.recv()
        except EOFError:
            return
        clock.time = call.now
        try:
            getattr(tracker, call.function)(*call.arguments)
        except Exception:  # noqa: BLE001, whoever called reports it
            pipe.send(traceback.format_exc())
        else:
            pipe.send("")
