"""What is deployed stands alone, and Azure's doctor finds nothing wrong with it."""

import json
import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from shared.app import BUDGET
from shared.kusto.client import Timeouts

ROOT = Path(__file__).parent.parent.parent
# What the doctor warns of and does not apply here.
NOT_APPLICABLE = {
    "check_native_dependency_risk",  # docs/deploy.md builds remotely
    "check_functions_extension_version",  # must not be set on Flex Consumption
    "check_func_cli",  # about this machine, not about the app
    "check_func_core_tools_version",  # the same
    "check_app_insights",  # a setting of the deployment, not of the sample for one machine
}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what .funcignore lets through."""
    ignored = (ROOT / ".funcignore").read_text().split()
    folder = tmp_path_factory.mktemp("deployed")
    for source in ROOT.iterdir():
        if any(fnmatch(source.name, pattern) for pattern in ignored):
            continue
        if source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    return folder


def test_nothing_but_the_app_is_deployed(deployed: Path) -> None:
    assert {each.name for each in deployed.iterdir()} == {
        "function_app.py",
        "host.json",
        "requirements.txt",
        "shared",
    }


def test_it_stands_alone(deployed: Path) -> None:
    # What only a developer's machine has can't be imported here.
    program = (
        "import sys; sys.path.insert(0, '.'); "
        "absent = ['aiohttp', 'cli', 'click', 'croniter', 'local', 'msgspec', 'pyarrow', 'rich', 'tests']; "
        "sys.modules.update(dict.fromkeys(absent)); "
        "import function_app; "
        "print(*sorted(f.get_function_name() for f in function_app.app.get_functions()))"
    )
    env = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, cwd=deployed, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "add_operation",
        "dashboard",
        "dashboard_file",
        "get_health",
        "get_openapi",
        "get_operation",
        "get_summary",
        "list_blobs",
        "list_error_codes",
        "list_operations",
        "measure_backlog",
        "poll_batch",
        "poll_operations",
        "prune_results",
        "redrive_blobs",
        "redrive_messages",
        "register_operation",
        "resubmit_blobs",
    ]


def test_the_doctor_finds_nothing_wrong_that_applies(deployed: Path) -> None:
    shutil.copy(ROOT / "local.settings.sample.json", deployed / "local.settings.json")
    shutil.copy(ROOT / ".funcignore", deployed)
    doctor = Path(sys.executable).parent / "azure-functions-doctor"
    command = [str(doctor), "doctor", "--path", str(deployed), "--format", "json"]
    # It looks for this, which not every way to run the tests sets.
    env = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    items = [item for result in json.loads(done.stdout)["results"] for item in result["items"]]
    found = {item["rule_id"]: item["value"] for item in items if item["status"] not in {"pass", "skip"}}
    assert {rule: value for rule, value in found.items() if rule not in NOT_APPLICABLE} == {}
    assert len(items) > 20


def test_an_invocation_ends_well_before_the_function_timeout() -> None:
    host = json.loads((ROOT / "host.json").read_text())
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    timeout = hours * 3600 + minutes * 60 + seconds
    # The last operation begins when the budget ends, and asks twice, each of them once more with a fresh token.
    assert BUDGET.total_seconds() + 4 * Timeouts().whole < timeout * 0.8
