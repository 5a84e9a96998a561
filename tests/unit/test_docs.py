"""The documentation mentions what there is: a setting or an event that it doesn't know of fails here."""

import json
import re
from pathlib import Path

from shared import metrics
from shared.metrics import Metric

ROOT = Path(__file__).parent.parent.parent
SOURCES = [*sorted((ROOT / "shared").rglob("*.py")), ROOT / "function_app.py"]


def test_every_setting_is_explained() -> None:
    code = (ROOT / "shared" / "settings.py").read_text()
    read = set(re.findall(r'read\.\w+\(\s*"([A-Z][A-Z_]+)"', code)) | {"IngestionStorage"}
    assert len(read) > 20
    page = (ROOT / "docs" / "settings.md").read_text()
    assert {name for name in read if f"`{name}`" not in page} == set()


def test_every_event_is_explained_and_no_other() -> None:
    names = (
        r"(?:function|operation|blobs?|polls?|retry|resubmission|results|message|settings|adx|telemetry|news)\.[a-z_]+"
    )
    said = {name for source in SOURCES for name in re.findall(rf'"({names})"', source.read_text())}
    explained = set(re.findall(rf"^\| `({names})` \|", (ROOT / "docs" / "logs.md").read_text(), re.MULTILINE))
    assert said == explained


def test_every_value_of_the_queues_in_host_json_has_its_reason() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    queues = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
    assert {name for name in queues if f"`{name}`" not in page} == set()


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|cli|local|dev) = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    names = {name for each in lists for name in re.findall(r'"([a-z-]+)', each)}
    assert len(names) > 15
    unexplained = {name for name in names if f"`{name}`" not in page and not name.startswith("types-")}
    assert unexplained == set()


def test_every_metric_is_explained_and_no_other() -> None:
    page = (ROOT / "docs" / "telemetry.md").read_text()
    rows = re.findall(r"^\| `(tracker\.[a-z_.]+)` \| (\w+) \| (\S+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    explained = {name: (kind, unit, dimensions) for name, kind, unit, dimensions, _ in rows}
    known = [each for each in vars(metrics).values() if isinstance(each, Metric)]
    assert explained == {each.name: (each.kind, each.unit, ", ".join(each.dimensions) or "none") for each in known}
    assert [each.name for each in known if each.meaning not in page] == []


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "infra").rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text())]
    assert links
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
