"""The browser for the dashboard's tests: found, installed where that may be, or asked for in a sentence."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local import chromium, debian, installed_once
from local.processes import ProcessFailed


def which(monkeypatch: pytest.MonkeyPatch, *present: str) -> None:
    """A machine that has these programs alone."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}" if name in present else None)


@pytest.fixture(autouse=True)
def _own_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(debian, "CACHE", tmp_path)


def test_the_machines_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    which(monkeypatch, "google-chrome")
    assert chromium.ensure_chromium() == Path("/somewhere/google-chrome")


def test_one_that_is_being_installed_is_not_taken_before_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    which(monkeypatch, "chromium")
    with ThreadPoolExecutor(1) as threads:
        with debian.alone():
            asked = threads.submit(chromium.ensure_chromium)
            with pytest.raises(TimeoutError):
                asked.result(timeout=0.3)
        assert asked.result(timeout=60) == Path("/somewhere/chromium")


@pytest.mark.parametrize(("user", "programs"), [(1000, ("apt-get",)), (0, ())])
def test_who_may_not_install_one_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, programs: tuple[str, ...]
) -> None:
    which(monkeypatch, *programs)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(chromium, "CACHE", tmp_path)
    monkeypatch.setattr(chromium, "DEBIAN", tmp_path / "chromium")
    with pytest.raises(ProcessFailed, match="sudo apt-get install chromium"):
        chromium.ensure_chromium()


def test_root_gets_debians(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "chromium-of-debian"
    which(monkeypatch, "apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(chromium, "CACHE", tmp_path)
    monkeypatch.setattr(chromium, "DEBIAN", program)
    monkeypatch.setattr(debian, "UPDATE", ("true",))
    monkeypatch.setattr(debian, "INSTALL", ("sh", "-c", 'touch "$0-of-debian"'))
    monkeypatch.chdir(tmp_path)
    assert chromium.ensure_chromium() == program
    monkeypatch.setattr(debian, "UPDATE", ("false",))
    monkeypatch.setattr(installed_once, "PAUSES", (0.0,))
    assert chromium.ensure_chromium() == program
    program.unlink()
    with pytest.raises(ProcessFailed, match="false ended with status 1"):
        chromium.ensure_chromium()
