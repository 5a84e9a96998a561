"""The errors that a person is told in a line.

TrackerError
├── Refused            what was asked for can't be done as it was asked: another request may be
│   ├── UnknownOperation
│   └── SettingsMissing
├── Unreachable        the tracker, storage or ADX did not answer: the same request may do later
└── Stopped            a submission came to an end half way; what was submitted is in its journal
"""

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a pipeline is told."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


class TrackerError(Exception):
    """Something to be told in a line, without a traceback."""

    exit_status = ExitStatus.REFUSED


class Refused(TrackerError):
    """It can't be done as it was asked for."""


class UnknownOperation(Refused):
    """The tracker knows no such operation, or not yet."""


class SettingsMissing(Refused):
    """It is not said where the tracker is, or a setting is wrong."""


class Unreachable(TrackerError):
    """No answer, or none in time."""

    exit_status = ExitStatus.UNREACHABLE


class Stopped(TrackerError):
    """It ended half way. ``exit_status`` is that of what stopped it."""

    def __init__(self, message: str, exit_status: ExitStatus) -> None:
        super().__init__(message)
        self.exit_status = exit_status
