"""What is fetched from a registry is fetched again where that fails; what can't be had is told, and tried no more."""

import subprocess
from pathlib import Path

import pytest

from local.installed_once import PAUSES, installed_once, tried_again
from local.processes import ProcessFailed


def ended(*statuses: int) -> tuple[subprocess.CompletedProcess[str], list[float], int]:
    """How it ends where the tries end so one after the other; the pauses, and how many tries are left over."""
    left, slept = list(statuses), list[float]()

    def install() -> subprocess.CompletedProcess[str]:
        status = left.pop(0)
        return subprocess.CompletedProcess(["fetch"], status, "", f"status {status}")

    return tried_again(install, sleep=slept.append), slept, len(left)


def test_what_succeeds_is_done_once() -> None:
    done, slept, left = ended(0, 0)
    assert (done.returncode, slept, left) == (0, [], 1)


def test_a_registry_that_is_away_for_a_moment_fails_nobody() -> None:
    done, slept, left = ended(100, 100, 0, 0)
    assert (done.returncode, slept, left) == (0, list(PAUSES[:2]), 1)


def test_the_last_failure_is_told() -> None:
    done, slept, left = ended(*range(1, len(PAUSES) + 2))
    assert (done.returncode, done.stderr) == (len(PAUSES) + 1, f"status {len(PAUSES) + 1}")
    assert (slept, left) == (list(PAUSES), 0)


def test_what_can_not_be_had_is_tried_by_the_first_who_asks_alone(tmp_path: Path) -> None:
    tries = list[Path]()

    def install() -> None:
        tries.append(tmp_path)
        raise ProcessFailed("no way to the registry")

    for _ in range(3):
        with pytest.raises(ProcessFailed, match="no way to the registry"):
            installed_once(tmp_path, [], Path("program"), install)
    assert len(tries) == 1


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(ProcessFailed, match=r"cache/tool/lock can't be written: Not a directory"):
        installed_once(tmp_path / "cache" / "tool", [], Path("program"), lambda: None)
