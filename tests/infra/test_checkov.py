"""checkov has nothing to say against the deployment but what is waived in it, with a reason."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep import FOLDER, files, parsed
from tests.infra.checkov_run import checked

WAIVER = re.compile(r"checkov:skip=(CKV\w+)(?:: *(.*))?")

# It takes some ten seconds, and a minute the first time, when it is installed.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov says of the files as they are, and without their waivers, and of one that is wrong on purpose.

    All in one run, as most of the time goes into its start.
    """
    folder = tmp_path_factory.mktemp("checked")
    shutil.copytree(FOLDER, folder / "bicep")
    shutil.copytree(FOLDER, folder / "unwaived")
    for file in (folder / "unwaived").rglob("*.bicep"):
        file.write_text(file.read_text().replace("checkov:skip", "waived"))
    text = (FOLDER / "modules" / "storage.bicep").read_text()
    worse = text.replace("supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false")
    assert worse != text
    (folder / "worse.bicep").write_text(worse)
    return checked(folder)


def _checks(found: dict[str, Any], result: str, folder: str) -> list[tuple[str, str]]:
    """Which checks came to a result for which files of a folder."""
    checks = found["results"][f"{result}_checks"]
    paths = [(Path(check["file_path"]), check["check_id"]) for check in checks]
    return sorted((path.name, check) for path, check in paths if path.parts[1] == folder)


def _waivers() -> list[tuple[str, str, str]]:
    return [(file.name, check, reason) for file in files() for check, reason in WAIVER.findall(file.read_text())]


def test_it_reads_every_file_and_looks_at_what_matters(found: dict[str, Any]) -> None:
    assert found["summary"]["parsing_errors"] == 0
    looked_at = {(check["file_path"], check["resource"]) for check in found["results"]["passed_checks"]}
    assert ("/bicep/modules/storage.bicep", "Microsoft.Storage/storageAccounts.account") in looked_at
    assert ("/bicep/modules/function-app.bicep", "Microsoft.Web/sites.app") in looked_at
    declared = sum(len(parsed(file).get("resources", {})) for file in files())
    assert found["summary"]["resource_count"] > 2 * declared


def test_nothing_fails(found: dict[str, Any]) -> None:
    assert _checks(found, "failed", "bicep") == []


def test_what_is_wrong_does(found: dict[str, Any]) -> None:
    assert _checks(found, "failed", "worse.bicep") == [("worse.bicep", "CKV_AZURE_3")]


def test_each_waiver_has_a_reason() -> None:
    assert _waivers()
    assert [waiver for waiver in _waivers() if len(waiver[2]) < len("the same")] == []


def test_each_waiver_is_understood_and_needed(found: dict[str, Any]) -> None:
    written = sorted((name, check) for name, check, _ in _waivers())
    assert _checks(found, "skipped", "bicep") == written
    assert _checks(found, "failed", "unwaived") == written
