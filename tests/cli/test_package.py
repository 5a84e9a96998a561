"""The package that is installed stands alone: what it imports is in it, or among its dependencies."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions

from tests.cli.console import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def imported(package: str) -> Iterator[str]:
    """The top-level names of all that a package's modules import, also late."""
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


def test_nothing_is_imported_that_is_not_installed_with_it() -> None:
    own = set(PROJECT["tool"]["uv"]["build-backend"]["module-name"])
    assert own == {"cli", "shared"}
    declared = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["cli"]]
    names = {re.split(r"[<>=\[]", each)[0] for each in declared}
    # Of packages that are declared: azure.core is what azure's clients are made of, urllib3 what requests is.
    parts = {"urllib3", "azure-core"}
    distributions = packages_distributions()
    foreign = {name for package in own for name in imported(package)} - own - set(sys.stdlib_module_names)
    assert foreign
    assert {name for name in foreign if not {*distributions.get(name, ())} & (names | parts)} == set()


def test_the_script_is_the_console_script_of_the_project() -> None:
    (script,) = entry_points(group="console_scripts", name="tracker")
    assert script.value == PROJECT["project"]["scripts"]["tracker"]


def test_without_its_own_packages_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['click'] = None; from cli.__main__ import main; main()"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (
        1,
        "tracker: its own packages are missing: pip install 'adx-ingestion-tracker[cli]'\n",
    )


def test_help_is_there_without_loading_what_talks_to_azure() -> None:
    program = "import sys; from cli.program import run; run(['--help']); print(*sorted(sys.modules), file=sys.stderr)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    assert "Watch queued ingestions" in done.stdout
    heavy = {"azure.storage.blob", "azure.storage.queue", "azure.data.tables", "azure.identity", "opentelemetry.sdk"}
    assert heavy & set(done.stderr.split()) == set()
