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
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov says of all files, and of one more that is wrong on purpose: it is started only once."""
    folder = tmp_path_factory.mktemp("checked")
    shutil.copytree(FOLDER, folder / "bicep")
    text = (FOLDER / "modules" / "storage.bicep").read_text()
    worse = text.replace("supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false")
    assert worse != text
    (folder / "worse.bicep").write_text(worse)
    return checked(folder)


def test_it_reads_every_file_and_looks_at_what_matters(found: dict[str, Any]) -> None:
    assert found["summary"]["parsing_errors"] == 0
    looked_at = {(check["file_path"], check["resource"]) for check in found["results"]["passed_checks"]}
    assert ("/bicep/modules/storage.bicep", "Microsoft.Storage/storageAccounts.account") in looked_at
    assert ("/bicep/modules/function-app.bicep", "Microsoft.Web/sites.app") in looked_at
    declared = sum(len(parsed(file).get("resources", {})) for file in files())
    assert found["summary"]["resource_count"] > declared


def test_nothing_fails_but_what_is_wrong_on_purpose(found: dict[str, Any]) -> None:
    failed = [(check["check_id"], check["file_path"]) for check in found["results"]["failed_checks"]]
    assert failed == [("CKV_AZURE_3", "/worse.bicep")]


def test_each_waiver_has_a_reason_and_is_needed(found: dict[str, Any]) -> None:
    written = [(file.name, *waiver) for file in files() for waiver in WAIVER.findall(file.read_text())]
    assert written
    assert [waiver for waiver in written if len(waiver[2]) < len("the same")] == []
    skipped = [check for check in found["results"]["skipped_checks"] if check["file_path"] != "/worse.bicep"]
    used = sorted((Path(check["file_path"]).name, check["check_id"]) for check in skipped)
    assert sorted((name, check) for name, check, _ in written) == used
