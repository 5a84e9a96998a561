"""azd and the workflows find what they name, ask for no more than they need, and keep no secret."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.bicep import FUNCTION_APP, ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EVERY_WORKFLOW = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)


def _read(file: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(file.read_text())
    return content


def _steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in _read(file)["jobs"].values() for step in job.get("steps", [])]


def test_azd_finds_the_deployment_and_the_app() -> None:
    project = _read(ROOT / "azure.yaml")
    folder = ROOT / project["infra"]["path"]
    assert (folder / f"{project['infra']['module']}.bicep").is_file()
    # Beside it, azd takes this one for the parameters.
    assert (folder / f"{project['infra']['module']}.bicepparam").is_file()
    assert list(project["services"]) == ["tracker"]
    service = project["services"]["tracker"]
    assert (service["host"], service["language"], service["remoteBuild"]) == ("function", "python", True)
    assert (ROOT / service["project"] / "host.json").is_file()
    assert "'azd-service-name': 'tracker'" in FUNCTION_APP.read_text()


def test_there_are_the_workflows_that_the_page_names() -> None:
    assert [file.name for file in WORKFLOWS] == ["ci.yml", "deploy.yml"]
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert ".github/workflows/deploy.yml" in page


@EVERY_WORKFLOW
def test_a_workflow_has_no_secret_and_no_more_rights_than_it_needs(file: Path) -> None:
    workflow = _read(file)
    assert "secrets" not in file.read_text().replace("no secret", "")
    wanted = {
        "ci": [{"contents": "read"}],
        "deploy": [{}, {"contents": "read"}, {"contents": "read", "id-token": "write"}],
    }
    jobs = [job["permissions"] for job in workflow["jobs"].values() if "permissions" in job]
    assert [workflow["permissions"], *jobs] == wanted[file.stem]


@EVERY_WORKFLOW
def test_an_action_is_pinned_to_a_commit_with_its_version_beside_it(file: Path) -> None:
    actions = re.findall(r"uses: (\S+)(.*)$", file.read_text(), re.MULTILINE)
    assert actions
    for action, rest in actions:
        if action.startswith("./"):
            assert (ROOT / action).is_file()
        else:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", rest)


@EVERY_WORKFLOW
def test_no_workflow_puts_what_others_write_into_a_script(file: Path) -> None:
    # A branch or a title with a quote in it would become a command.
    assert [step for step in _steps(file) if "${{" in step.get("run", "")] == []


def test_nothing_is_deployed_that_is_not_checked_and_tested() -> None:
    ci = [step.get("run") for step in _steps(WORKFLOWS[0])]
    assert ci.index("./dev check") < ci.index("./dev test")
    jobs = _read(WORKFLOWS[1])["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
    assert jobs["deploy"]["needs"] == "test"
    assert "environment" in jobs["deploy"]


def test_login_is_by_a_federated_token() -> None:
    login = next(step for step in _steps(WORKFLOWS[1]) if step.get("uses", "").startswith("azure/login@"))
    assert set(login["with"]) == {"client-id", "tenant-id", "subscription-id"}


def test_what_azd_keeps_and_what_only_deploys_is_neither_committed_nor_published() -> None:
    ignored = (ROOT / ".funcignore").read_text().split()
    assert [
        name
        for name in ("infra", ".github", ".azure", "azure.yaml", "tests", "docs")
        if not any(fnmatch(name, pattern) for pattern in ignored)
    ] == []
    assert ".azure/" in (ROOT / ".gitignore").read_text().split()
