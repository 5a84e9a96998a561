"""The soak: a short one whose books have to balance, and one that is stopped early."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from local.adx_simulator import RequestFault
from local.processes import REPOSITORY
from local.soak.faults import APP, REQUEST_FAULTS
from local.soak.plan import Plan
from local.soak.run import soak
from local.soak.summary import markdown
from tests.support.processes import GONE_SECONDS, all_gone, descendants, read_until

SHORT_CLAIMS = f"""
import importlib.util
import sys
from datetime import timedelta

sys.path.insert(0, {str(REPOSITORY)!r})
from shared import retry_rows

retry_rows.CLAIM = timedelta(seconds=65)
spec = importlib.util.spec_from_file_location("tracker_functions", {str(REPOSITORY / "function_app.py")!r})
functions = importlib.util.module_from_spec(spec)
spec.loader.exec_module(functions)
app = functions.app
"""


def with_short_claims(folder: Path) -> Path:
    """The app, but for a minute instead of five in which what a killed host was about to submit is left to it."""
    folder.mkdir()
    (folder / "function_app.py").write_text(SHORT_CLAIMS)
    shutil.copy(REPOSITORY / "host.json", folder)
    return folder


def test_hosts_that_are_killed_while_everything_fails_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    # A host that is killed while a submission hangs leaves a claim behind, nearly always.
    brief = [each for each in REQUEST_FAULTS if (each.request, each.effect) != ("submit", "hang")]
    lost = RequestFault(effect="close", request="submit", accepted=True, app=APP, times=3)
    plan = Plan(
        seconds=40,
        seed=1,
        rate=0.8,
        request_faults=(lost, *brief),
        life=(5, 9),
        longest_pause=1,
        drain_seconds=250,
        app=with_short_claims(tmp_path / "app"),
    )
    lines: list[str] = []
    logs = tmp_path / "logs"
    logs.mkdir()
    outcome = soak(plan, logs, lines.append)
    told = markdown(plan, outcome)

    assert all(check.passed for check in outcome.checks), told
    assert outcome.drain_seconds is not None
    evidence = outcome.evidence
    assert evidence.kills >= 3
    assert len(evidence.submitted) >= 25
    assert any(row.attempt > 1 for row in evidence.facts.operations)
    assert len(evidence.unknown) >= 3
    assert sum(times for _, times in outcome.struck) > 20
    assert {log.stem for log in logs.iterdir()} == {host.name for host in evidence.hosts}
    assert told.startswith(f"# Soak: all {len(outcome.checks)} checks hold")
    assert sum(" settled | outstanding: " in line for line in lines) >= 3


def test_ctrl_c_ends_it_in_order_and_prints_the_books_so_far() -> None:
    command = [sys.executable, "-u", "-m", "local.soak", "--minutes", "5"]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            # The first line comes at once, the second some seconds later.
            output = read_until(process, " settled | outstanding: ") + read_until(process, " settled | outstanding: ")
            started = descendants(process.pid)
            process.send_signal(signal.SIGINT)
            output += process.communicate(timeout=2 * GONE_SECONDS)[0]
        finally:
            process.kill()
    assert process.returncode == 1
    # Azurite and the simulator at least: both hosts may be down at a moment.
    assert len(started) >= 2
    assert all_gone(started)
    assert "Traceback" not in output
    assert "# Soak stopped early; " in output
    assert "| blobs submitted by upstream | " in output
    folder = Path(output.rpartition("summary: ")[2].strip()).parent
    assert (folder / "summary.md").read_text() in output
    assert list(folder.glob("host-*.log"))
