"""The alerts, the workbook and the runbook: of a shape that Azure takes, and agreeing with each other and the code."""

import json
import re
from pathlib import Path
from typing import Any

import pycep
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
BICEP = ROOT / "infra" / "bicep"
ALERTS_TEXT = (BICEP / "alerts.yaml").read_text()
WORKBOOK_TEXT = (BICEP / "workbook.yaml").read_text()
RULES_TEXT = (BICEP / "modules" / "alerts.bicep").read_text()
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()

ALERTS: list[dict[str, Any]] = yaml.safe_load(ALERTS_TEXT)["alerts"]
BY_NAME = {alert["name"]: alert for alert in ALERTS}
EACH = pytest.mark.parametrize("alert", ALERTS, ids=BY_NAME)

KEYS = {
    "name": str,
    "title": str,
    "severity": int,
    "description": str,
    "query": str,
    "measure": str,
    "aggregation": str,
    "operator": str,
    "threshold": int,
    "thresholdMeans": str,
    "dimensions": list,
    "window": str,
    "every": str,
    "failing": int,
    "of": int,
}
# What Microsoft.Insights/scheduledQueryRules takes; a rule evaluated each minute may use less of the language.
MINUTES = {
    "PT5M": 5,
    "PT10M": 10,
    "PT15M": 15,
    "PT30M": 30,
    "PT45M": 45,
    "PT1H": 60,
    "PT2H": 120,
    "PT3H": 180,
    "PT4H": 240,
    "PT5H": 300,
    "PT6H": 360,
    "P1D": 1440,
    "P2D": 2880,
}
MOST_MINUTES_BETWEEN = 1440
OPERATORS = {"Equals", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual"}
AGGREGATIONS = {"Average", "Count", "Maximum", "Minimum", "Total"}
TABLES = {"AppMetrics", "AppTraces", "AppRequests", "AppExceptions"}
MOST_DIMENSIONS = 6
LATE_MINUTES = 10

METRIC_ALERT = "storage-unavailable"
PARTS = ["Symptoms", "Look", "Causes", "Do", "Over when"]
SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
FENCE = re.compile(r"^```kusto\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS: dict[str, str] = dict(SECTION.findall(RUNBOOK))
EVENT = re.compile(r"'((?:operation|blobs?|polls?|retry|resubmission|results|message|settings|adx|news)\.[a-z_]+)'")
METRIC = re.compile(r"tracker\.[a-z_.]+")
SETTING = re.compile(r"\b[A-Z]{3,}(?:_[A-Z]+)+\b")


def items(group: dict[str, Any]) -> list[dict[str, Any]]:
    return [found for item in group["items"] for found in (item, *items({"items": item["content"].get("items", [])}))]


WORKBOOK: dict[str, Any] = yaml.safe_load(WORKBOOK_TEXT)
PANELS = [item for item in items(WORKBOOK) if "query" in item["content"]]
EACH_PANEL = pytest.mark.parametrize("panel", PANELS, ids=[panel["name"] for panel in PANELS])
QUERIES = [
    *(alert["query"] for alert in ALERTS),
    *(panel["content"]["query"] for panel in PANELS),
    *FENCE.findall(RUNBOOK),
]


def parsed(module: str) -> dict[str, Any]:
    return dict(pycep.BicepParser().parse(file_path=BICEP / "modules" / f"{module}.bicep"))


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_names_are_in_kebab_case_and_each_its_own() -> None:
    assert len(BY_NAME) == len(ALERTS) > 12
    assert [name for name in BY_NAME if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []
    assert len({alert["title"] for alert in ALERTS}) == len(ALERTS)


@EACH
def test_an_alert_has_each_key_of_its_type_and_no_other(alert: dict[str, Any]) -> None:
    assert {key: type(value) for key, value in alert.items() if key != "only"} == KEYS
    assert alert.get("only", "handoff") == "handoff"


@EACH
def test_its_values_are_such_as_azure_takes(alert: dict[str, Any]) -> None:
    assert alert["severity"] in range(5)
    assert alert["operator"] in OPERATORS
    assert alert["aggregation"] in AGGREGATIONS
    assert MINUTES[alert["every"]] <= min(MINUTES[alert["window"]], MOST_MINUTES_BETWEEN)
    assert len(alert["dimensions"]) == len(set(alert["dimensions"])) <= MOST_DIMENSIONS
    # More periods would need a column of time; what lasts is in the query and its window instead.
    assert (alert["failing"], alert["of"]) == (1, 1)


@EACH
def test_what_arrives_late_is_seen_by_a_later_evaluation(alert: dict[str, Any]) -> None:
    assert MINUTES[alert["window"]] - MINUTES[alert["every"]] >= LATE_MINUTES


@EACH
def test_a_description_is_short_and_plain(alert: dict[str, Any]) -> None:
    said = alert["description"]
    # It is read in a text message too, and the link to the runbook comes after it.
    assert 150 < len(said) < 500
    assert said.endswith(".")
    assert said.isascii()
    assert not re.search(r"[`*\n\[\]{}]", said)
    assert len(alert["title"]) < 60
    assert alert["thresholdMeans"].endswith(".")
    assert "\n" not in alert["thresholdMeans"]


@EACH
def test_a_query_is_of_one_component_with_one_pipe_a_line(alert: dict[str, Any]) -> None:
    table, component, *others = alert["query"].splitlines()
    assert table in TABLES
    assert component == "| where _ResourceId =~ '{component}'"
    assert others
    assert [line for line in others if not line.startswith("| ") or " | " in line] == []
    assert placeholders(alert["query"]) == {"component"}
    # The rule's window is the time span.
    assert "ago(" not in alert["query"]


@EACH
def test_what_a_rule_measures_and_splits_by_comes_out_of_its_query(alert: dict[str, Any]) -> None:
    last = alert["query"].splitlines()[-1]
    assert re.match(r"\| (project|summarize) ", last)
    assert re.search(rf"\b{alert['measure']}\b", last)
    assert [column for column in alert["dimensions"] if not re.search(rf"\b{column}\b", last)] == []


def test_only_one_alert_fires_on_no_data() -> None:
    assert [alert["name"] for alert in ALERTS if alert["operator"].startswith("Less")] == ["poller-stopped"]
    # With a group there would be no row without data, and so no alert.
    assert " by " not in BY_NAME["poller-stopped"]["query"]
    assert all(alert["threshold"] >= 0 for alert in ALERTS)


def test_each_metric_of_a_query_or_a_page_is_one_of_the_app() -> None:
    known = set(re.findall(r'"(tracker\.[a-z_.]+)"', (ROOT / "shared" / "metrics.py").read_text()))
    used = {name for text in (*QUERIES, RUNBOOK) for name in METRIC.findall(text)}
    assert len(used) > 10
    assert used - known == set()


def test_each_event_of_a_query_is_one_of_the_app() -> None:
    known = set(re.findall(r"^\| `([a-z_.]+)` \|", (ROOT / "docs" / "logs.md").read_text(), re.MULTILINE))
    used = {name for query in QUERIES for name in EVENT.findall(query)}
    assert len(used) > 10
    assert used - known == set()


def test_each_setting_that_is_named_is_one_of_the_app_or_of_its_deployment() -> None:
    bicep = ROOT / "infra" / "bicep"
    outputs = set(re.findall(r"^output (\w+)", (bicep / "main.bicep").read_text(), re.MULTILINE))
    variables = set(re.findall(r"readEnvironmentVariable\('(\w+)'", (bicep / "main.bicepparam").read_text()))
    known = set(SETTING.findall((ROOT / "docs" / "settings.md").read_text())) | outputs | variables
    named = {name for alert in ALERTS for name in SETTING.findall(alert["description"] + alert["thresholdMeans"])}
    quoted = {name for span in re.findall(r"`([A-Z_]+)(?:=\w+)?`", RUNBOOK) for name in SETTING.findall(span)}
    assert len(named | quoted) > 8
    assert (named | quoted) - known == set()


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    assert set(SECTIONS) == {*BY_NAME, METRIC_ALERT}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_has_all_parts_and_each_says_something(name: str) -> None:
    meaning, *parts = re.split(r"^\*\*(\w[\w ]*)\.\*\*", SECTIONS[name], flags=re.MULTILINE)
    assert len(meaning.strip()) > 40
    assert parts[::2] == PARTS
    assert [part for part, text in zip(PARTS, parts[1::2], strict=True) if len(text.strip()) < 15] == []
    assert FENCE.search(parts[1::2][PARTS.index("Look")])


def test_the_table_at_the_head_has_each_alert_with_its_severity_gravest_first() -> None:
    rows = re.findall(r"^\| \[([a-z-]+)\]\(#([a-z-]+)\) \| (\d) \| \S.* \|$", RUNBOOK, re.MULTILINE)
    metric_alert = parsed("alerts")["resources"]["storageUnavailable"]["config"]["properties"]
    severities = {alert["name"]: alert["severity"] for alert in ALERTS} | {METRIC_ALERT: metric_alert["severity"]}
    assert all(name == link for name, link, _ in rows)
    assert {name: int(severity) for name, _, severity in rows} == severities
    assert [int(severity) for *_, severity in rows] == sorted(severities.values())
    assert len(rows) == len(severities)


def test_a_link_within_the_runbook_leads_to_a_section() -> None:
    links = set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK))
    assert links - set(SECTIONS) == set()


def test_a_rule_takes_all_that_its_definition_says() -> None:
    assert set(re.findall(r"\balert\.(\w+)", RULES_TEXT)) == set(KEYS)


def test_rules_end_by_themselves_and_need_no_table_to_be_there() -> None:
    rule = parsed("alerts")["resources"]["logAlerts"]
    assert rule["type"] == "Microsoft.Insights/scheduledQueryRules"
    properties = rule["config"]["config"]["properties"]
    assert properties["autoMitigate"] is True
    assert properties["skipQueryValidation"] is True
    assert properties["scopes"] == ["workspaceId"]
    assert properties["description"].endswith("${runbookUrl}#${alert.name}")
    metric_alert = parsed("alerts")["resources"]["storageUnavailable"]["config"]["properties"]
    assert metric_alert["autoMitigate"] is True
    assert metric_alert["description"].endswith(f"${{runbookUrl}}#{METRIC_ALERT}")


def test_a_queue_that_a_query_names_is_one_whose_name_the_module_puts_in() -> None:
    named = set(re.findall(r"'(ingestion-[a-z]+)'", "".join(alert["query"] for alert in ALERTS)))
    parameters = parsed("alerts")["parameters"]
    put_in = {parameters[name]["default"]: name for name in ("operationsQueue", "retryQueue")}
    assert named == set(put_in)
    settings = (ROOT / "docs" / "settings.md").read_text()
    for queue, parameter in put_in.items():
        assert f"'\\'{queue}\\'', '\\'${{{parameter}}}\\''" in re.sub(r",\s+", ", ", RULES_TEXT)
        assert f"`{queue}`" in settings


def test_the_workbooks_module_puts_in_all_that_is_to_be_put_in() -> None:
    module = parsed("workbook")["resources"]["workbook"]
    assert module["type"] == "Microsoft.Insights/workbooks"
    put_in = placeholders("".join(re.findall(r"'\{\w+\}'", (BICEP / "modules" / "workbook.bicep").read_text())))
    own = {each["name"] for item in items(WORKBOOK) for each in item["content"].get("parameters", [])}
    assert own == {"TimeRange", "OperationId"}
    assert placeholders("".join(QUERIES)) == {"component", "OperationId"}
    assert placeholders(json.dumps(WORKBOOK)) - own == put_in == {"component", "workspace"}


@EACH_PANEL
def test_a_panel_is_of_the_workspace_the_component_and_the_chosen_time(panel: dict[str, Any]) -> None:
    content = panel["content"]
    assert (panel["type"], content["version"]) == (3, "KqlItem/1.0")
    assert content["timeContextFromParameter"] == "TimeRange"
    assert content["resourceType"] == "microsoft.operationalinsights/workspaces"
    assert content["crossComponentResources"] == ["{workspace}"]
    tables = len(re.findall(r"\bApp[A-Z]\w+$", content["query"], re.MULTILINE))
    assert content["query"].count("| where _ResourceId =~ '{component}'") == tables > 0


def test_panels_have_names_of_their_own() -> None:
    names = [item["name"] for item in items(WORKBOOK)]
    assert len(names) == len(set(names)) > 15


@pytest.mark.parametrize("text", [ALERTS_TEXT, WORKBOOK_TEXT], ids=["alerts", "workbook"])
def test_yaml_keeps_to_what_every_reader_understands_alike(text: str) -> None:
    events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    assert not [event for event in events if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None)]
    assert not [event for event in events if isinstance(event, yaml.ScalarEvent) and event.value == "<<"]
    assert json.loads(json.dumps(yaml.safe_load(text))) == yaml.safe_load(text)
    # Bicep's reader ends a block with NUL where the file ends without a new line, and reads no more than so much.
    assert text.endswith("\n")
    assert len(text) < 131_072
