"""The clock that a call of ADX goes by, put forward by the test: when a call's time ends is not left to the machine."""

import time

import pytest

from shared.kusto import client, connections
from shared.kusto.client import Timeouts

ALL_TIME = 60.0
PATIENT = Timeouts(connect=ALL_TIME, read=ALL_TIME, whole=ALL_TIME)
"""Nothing ends a call before the clock is put forward, however long a machine at work on other things takes."""
SOON = ALL_TIME / 2
"""A call that takes longer has not kept to the clock."""

_LEFT = 0.3


class CallClock:
    """Goes as time does, and is put forward besides."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        self._stands_at: float | None = None
        for module in (client, connections):
            monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        """What the call sees."""
        return self._ahead + (time.monotonic() if self._stands_at is None else self._stands_at)

    def stand_still(self) -> None:
        """Let no time go by by itself from now on."""
        self._stands_at = time.monotonic()

    def put_forward(self, seconds: float) -> None:
        """Let so much time pass at once. What waits for bytes notices with the next one."""
        self._ahead += seconds

    def nearly_end(self) -> None:
        """Leave a moment of the time of a patient call that has begun by now; once more, it changes nothing."""
        self._ahead = max(self._ahead, ALL_TIME - _LEFT)
