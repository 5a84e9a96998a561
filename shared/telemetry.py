"""Log lines worth reading: one event each, with a stable name to query by and its facts as fields.

``extra`` carries ``event`` and the facts for what collects logs inside the process; the text repeats them, as Azure's
Python worker hands on nothing else. docs/logs.md lists the names.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.model import Operation

LOGGER = "tracker"

_log = logging.getLogger(LOGGER)


def event(name: str, text: str, *, level: int = logging.INFO, about: Operation | None = None, **facts: object) -> None:
    """Log one event.

    Args:
        name: Its stable name, such as ``operation.settled``.
        text: What happened, for a reader.
        level: As of ``logging``.
        about: The operation that it is about.
        facts: Numbers, texts and IDs; never a URL's query, a token or a key. None is left out.
    """
    named = names(about) if about else {}
    known = named | {key: value for key, value in facts.items() if value is not None}
    tail = " ".join(f"{key}={value}" for key, value in known.items())
    _log.log(level, "%s: %s%s", name, text, f" ({tail})" if tail else "", extra={"event": name, **known})


def names(operation: Operation) -> dict[str, str]:
    """What an operation is told by, in log lines and traces."""
    return {
        "operation_id": operation.operation_id,
        "cluster": operation.cluster,
        "database": operation.database,
        "table": operation.table,
    }


class Seldom:
    """Lets a thing be said once in a while: the first time, and again after ``pause``; by any of many threads."""

    def __init__(self, pause: timedelta, now: Callable[[], datetime]) -> None:
        self._pause = pause
        self._now = now
        self._said: dict[object, datetime] = {}
        self._lock = threading.Lock()

    def may_say(self, what: object) -> bool:
        """Whether ``what`` was not said within the pause; it counts as said from now on."""
        now = self._now()
        with self._lock:
            last = self._said.get(what)
            if last is not None and now - last < self._pause:
                return False
            self._said[what] = now
        return True
