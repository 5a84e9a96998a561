"""Each alert fires when its condition holds and not otherwise, told by the rows that the app's own exporter sends."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.infra.emissions import Emissions, emit
from tests.infra.scenarios import HEALTHY, SCENARIOS, Scenario, Split
from tests.support.alert_rules import Rule, all_rules
from tests.support.app_insights import Row
from tests.support.kusto_queries import COMPONENT
from tests.support.workspace import Workspace

# Not on any boundary of a query's bins.
NOW = datetime(2026, 11, 25, 12, 2, 40, tzinfo=UTC)
ANOTHER = COMPONENT.replace("appi-tracker", "appi-another")
type Fired = Mapping[str, frozenset[Split]]


@pytest.fixture(scope="module")
def emissions() -> Emissions:
    return emit()


def fires(rows: Iterable[Row], *rules: Rule) -> Fired:
    with Workspace() as workspace:
        workspace.load(rows)
        splits = {rule.name: rule.fires(workspace, NOW) for rule in rules}
    return {name: of_rule for name, of_rule in splits.items() if of_rule}


def scenarios_of(rule: Rule) -> list[Scenario]:
    return [scenario for scenario in SCENARIOS if rule.name in scenario.fires]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_fires_is_exactly_what_has_to(scenario: Scenario, emissions: Emissions) -> None:
    # A workspace may be that of several apps.
    healthy_other = emissions.rows(HEALTHY, before=NOW, component=ANOTHER)
    rows = emissions.rows(scenario.happened, before=NOW)
    assert fires([*healthy_other, *rows], *all_rules()) == scenario.fires


def test_each_alert_has_a_scenario_in_which_it_fires() -> None:
    assert {name for scenario in SCENARIOS for name in scenario.fires} == {rule.name for rule in all_rules()}


def test_nothing_but_the_stopped_poller_fires_in_a_workspace_without_rows() -> None:
    assert fires([], *all_rules()) == {"poller-stopped": {()}}


def test_another_apps_trouble_fires_nothing(emissions: Emissions) -> None:
    # Its rows are the latest ones.
    healthy = emissions.rows(HEALTHY, before=NOW - timedelta(seconds=10))
    for rule in all_rules():
        for trouble in scenarios_of(rule):
            theirs = emissions.rows(trouble.happened, before=NOW, component=ANOTHER)
            assert fires([*theirs, *healthy], rule) == {}


def test_what_lies_further_back_than_an_alert_looks_does_not_fire(emissions: Emissions) -> None:
    healthy = emissions.rows(HEALTHY, before=NOW)
    for rule in all_rules():
        for trouble in scenarios_of(rule):
            long_ago = emissions.rows(trouble.happened, before=NOW - rule.span)
            assert fires([*long_ago, *healthy], rule) == {}


def test_the_telemetry_went_to_the_given_endpoint_and_nowhere_else(emissions: Emissions) -> None:
    assert emissions.contacted == {"127.0.0.1"}


def test_each_emission_arrived(emissions: Emissions) -> None:
    assert all(emitted.envelopes for emitted in emissions.of.values())


def test_the_exporters_own_lines_are_not_sent(emissions: Emissions) -> None:
    loggers = {
        envelope["data"]["baseData"]["properties"]["logger_name"]
        for emitted in emissions.of.values()
        for envelope in emitted.envelopes
        if envelope["data"]["baseType"] == "MessageData"
    }
    assert loggers == {"tracker"}
