"""The workflow that makes a card for Teams of each alert."""

import json
from typing import Any

from tests.recipes import pages
from tests.recipes.languages import checked
from tests.recipes.test_logic_apps import workflow
from tests.recipes.workflows import Sent, run_workflow
from tests.support import kusto_queries

WEBHOOK = "https://example.invalid/workflows/webhook?sig=secret"


def an_alert() -> dict[str, Any]:
    sample: dict[str, Any] = json.loads(pages.snippet("alerts", "jsonc"))
    return sample


def card_of(alert: dict[str, Any]) -> dict[str, Any]:
    """The only request that is made of an alert, down to the card in it."""
    sent: list[Sent] = []
    run_workflow(workflow("alerts"), alert, sent.append, {"teamsWebhook": WEBHOOK})
    [request] = sent
    assert (request.method, request.url) == ("POST", WEBHOOK)
    assert request.body["type"] == "message"
    [attachment] = request.body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card: dict[str, Any] = attachment["content"]
    return card


def test_the_sample_is_of_an_alert_that_there_is() -> None:
    [alert] = [each for each in kusto_queries.alerts() if each["name"] == "permanent-failures"]
    essentials = an_alert()["data"]["essentials"]
    # As modules/alerts.bicep puts them together.
    assert essentials["alertRule"] == f"production-{alert['name']}"
    assert essentials["severity"] == f"Sev{alert['severity']}"
    assert essentials["description"].startswith(alert["description"][:60])
    assert essentials["description"].endswith(f"#{alert['name']}")
    condition = an_alert()["data"]["alertContext"]["condition"]
    assert {each["name"] for each in condition["allOf"][0]["dimensions"]} <= set(alert["dimensions"])
    assert condition["windowSize"] == alert["window"]


def test_a_fired_alert_becomes_a_card_that_is_one() -> None:
    card = card_of(an_alert())
    assert checked(cards=[card]).cards == [[]]
    title, description, facts = card["body"]
    assert (title["text"], title["color"]) == ("production-permanent-failures", "Attention")
    assert "docs/runbook.md#permanent-failures" in description["text"]
    assert {each["title"]: each["value"] for each in facts["facts"]} == {
        "Severity": "Sev2",
        "Since": "2026-11-24T12:10:04.1234567Z",
        "About": '[{"name":"Table","value":"Orders"},{"name":"ErrorCode","value":"Download_Forbidden"}]',
    }
    assert card["actions"][0]["url"] == "https://portal.azure.com/#blade/example"


def test_one_that_is_over_says_so() -> None:
    alert = an_alert()
    alert["data"]["essentials"]["monitorCondition"] = "Resolved"
    title = card_of(alert)["body"][0]
    assert (title["text"], title["color"]) == ("Over: production-permanent-failures", "Good")


def test_an_alert_on_a_metric_which_has_no_rows_becomes_one_too() -> None:
    alert = an_alert()
    del alert["data"]["essentials"]["description"]
    alert["data"]["alertContext"] = {"condition": {"allOf": [{"metricName": "Availability"}]}}
    card = card_of(alert)
    assert checked(cards=[card]).cards == [[]]
    assert card["body"][2]["facts"][2]["value"] == "[]"


def test_a_card_that_is_none_is_found() -> None:
    card = card_of(an_alert())
    card["body"][0]["color"] = "Purple"
    assert checked(cards=[card]).cards != [[]]
