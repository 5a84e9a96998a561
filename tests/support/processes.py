"""Processes that a test has started, and those that these have started."""

import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

# Only what hangs takes longer.
GONE_SECONDS = 90.0


def descendants(pid: int) -> set[int]:
    """All processes that a process has started, directly or not, whatever their session."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, new = set[int](), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found


def alive(pids: Iterable[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def all_gone(pids: Iterable[int]) -> bool:
    deadline = time.monotonic() + GONE_SECONDS
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not alive(pids)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What it prints up to the first line that contains a text."""
    assert process.stdout
    read = ""
    for each in process.stdout:
        read += each
        if text in each:
            return read
    raise AssertionError(f"it ended without {text!r}:\n{read}")
