"""Each alert fires when its condition holds and not otherwise, told by the rows that the app's own exporter sends."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import pytest

from tests.infra.emissions import Emissions, emit
from tests.infra.scenarios import HEALTHY, SCENARIOS, Scenario, Split
from tests.support.alert_rules import all_rules
from tests.support.app_insights import Row
from tests.support.kusto_queries import COMPONENT
from tests.support.workspace import Workspace

# Not on any boundary of a query's bins.
NOW = datetime(2026, 11, 25, 12, 2, 40, tzinfo=UTC)
ANOTHER = COMPONENT.replace("appi-tracker", "appi-another")
TROUBLE = [during for scenario in SCENARIOS if scenario.fires for during in scenario.happened if during not in HEALTHY]

type Fired = Mapping[str, frozenset[Split]]


@pytest.fixture(scope="module")
def emissions() -> Emissions:
    return emit()


def fired(rows: Iterable[Row]) -> Fired:
    with Workspace() as workspace:
        workspace.load(rows)
        splits = {rule.name: rule.fires(workspace, NOW) for rule in all_rules()}
    return {name: of_rule for name, of_rule in splits.items() if of_rule}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_fires_is_exactly_what_has_to(scenario: Scenario, emissions: Emissions) -> None:
    assert fired(emissions.rows(scenario.happened, before=NOW)) == scenario.fires


def test_each_alert_has_a_scenario_in_which_it_fires() -> None:
    assert {name for scenario in SCENARIOS for name in scenario.fires} == {rule.name for rule in all_rules()}


def test_what_lies_further_back_than_an_alert_looks_does_not_fire(emissions: Emissions) -> None:
    longest = max(rule.span for rule in all_rules())
    long_ago = emissions.rows(TROUBLE, before=NOW - longest)
    assert fired([*long_ago, *emissions.rows(HEALTHY, before=NOW)]) == {}


def test_another_apps_telemetry_in_the_same_workspace_changes_nothing(emissions: Emissions) -> None:
    of_another = emissions.rows((*HEALTHY, *TROUBLE), before=NOW, component=ANOTHER)
    assert fired([*of_another, *emissions.rows(HEALTHY, before=NOW)]) == {}
    assert fired(of_another) == fired([])


def test_the_telemetry_went_to_the_given_endpoint_and_nowhere_else(emissions: Emissions) -> None:
    assert emissions.contacted == {"127.0.0.1"}


def test_each_emission_arrived(emissions: Emissions) -> None:
    assert all(emitted.envelopes for emitted in emissions.of.values())
