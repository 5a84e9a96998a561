"""A tool's own environment fails those alone that need it, and says why."""

from pathlib import Path

import pytest

from local.processes import ProcessFailed
from tests.support import tool_environment


def test_without_uv_it_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tool_environment, "CACHE", tmp_path)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", "")
    requirements = tmp_path / "requirements.txt"
    requirements.touch()
    with pytest.raises(ProcessFailed, match=r"uv is neither on the PATH nor in \S+/uv/bin: \./dev test installs it"):
        tool_environment.ensure_environment("tool", requirements)


def test_what_uv_complains_of_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tool_environment, "CACHE", tmp_path)
    monkeypatch.setattr("local.installed_once.PAUSES", (0.0,))
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no way to the registry >&2\nexit 2\n")
    uv.chmod(0o755)
    monkeypatch.setenv("UV", str(uv))
    requirements = tmp_path / "requirements.txt"
    requirements.touch()
    with pytest.raises(ProcessFailed, match="uv venv ended with status 2:\nno way to the registry"):
        tool_environment.ensure_environment("tool", requirements)
