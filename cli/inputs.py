"""What a person types: times, durations, JSON, and lists that come from a file."""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import override

import click

from shared.model import Json

STANDARD_INPUT = "-"

_DURATION = re.compile(r"([0-9]{1,9})\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration_of(text: str) -> timedelta | None:
    """What ``90s``, ``15m``, ``2h`` and ``7d`` mean; None for anything else."""
    found = _DURATION.fullmatch(text.strip())
    try:
        return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    except OverflowError:
        return None


class Duration(click.ParamType[timedelta]):
    """A duration, such as 90s, 15m, 2h or 7d."""

    name = "duration"

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        duration = duration_of(str(value))
        if duration is None:
            self.fail(f"{value!r} is no duration such as 90s, 15m, 2h or 7d", param, ctx)
        return duration


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601 (UTC where it doesn't say), or how long ago it was."""

    name = "time"

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now

    @override
    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        try:
            ago = duration_of(text)
            time = self._now() - ago if ago is not None else datetime.fromisoformat(text)
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is no time such as 2026-11-26T08:00Z, nor a while ago such as 2h", param, ctx)


def lines_of(file: str) -> list[str]:
    """The lines of a file, or of standard input for ``-``, but for empty ones and those that begin with ``#``.

    Raises:
        UsageError: it can't be read.
    """
    return [line.strip() for line in text_of(file).splitlines() if line.strip() and not line.strip().startswith("#")]


def text_of(file: str) -> str:
    """The text of a file, or of standard input for ``-``.

    Raises:
        UsageError: it can't be read.
    """
    try:
        return sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise click.UsageError(f"{file} can't be read: {reason}") from None


def json_object(text: str, option: str) -> dict[str, Json]:
    """The JSON object that an option's text is.

    Raises:
        UsageError: it is none.
    """
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise click.UsageError(f"{option} is no JSON object")
    return content
