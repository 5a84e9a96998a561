"""Ten thousand operations: all of them can be gone through, and the document does not grow with them."""

import pytest
from playwright.sync_api import expect

from tests.page import facts
from tests.page.conftest import Opener, expect_loaded, pass_time, rows
from tests.page.stand_in import StandIn

ALL = 10_000
MOST_NODES = 12_000
LONGEST_TASK_MS = 1500
LOAD_ALL = """async () => {
  const more = document.querySelector("#more");
  while (!more.hidden) {
    const loaded = new Promise((resolve) =>
      new MutationObserver(resolve).observe(more, { attributeFilter: ["aria-disabled"] }));
    more.click();
    await loaded;
    while (more.hasAttribute("aria-disabled")) await new Promise((resolve) => requestIdleCallback(resolve));
  }
}"""
"""Clicks on as soon as there is more: whoever asks from outside whether it is there waits longer than it takes."""


@pytest.mark.timeout(180)
def test_ten_thousand_operations_stay_fluent(api: StandIn, visit: Opener) -> None:
    api.operations = facts.many(ALL)
    page = visit(height=900)
    expect_loaded(page, 100)
    expect(page.locator("#operations-total")).to_have_text("10,000 operations in the last day")
    page.evaluate(
        "new PerformanceObserver(list => { window.tasks = [...(window.tasks ?? []), "
        "...list.getEntries().map(entry => entry.duration)] }).observe({type: 'longtask'})"
    )
    page.evaluate(LOAD_ALL)
    expect_loaded(page, ALL)
    assert page.locator("*").count() < MOST_NODES
    expect(page.locator("#operations-table")).to_have_attribute("aria-rowcount", str(ALL + 1))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    last = api.operations[-1]["operationId"]
    expect(rows(page).last).to_contain_text(last)
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    middle = page.locator('#operations-table tr[aria-rowindex="5002"]')
    expect(middle).to_contain_text(api.operations[5000]["operationId"])
    middle.locator("a").click()
    expect(page.locator("#facts")).to_be_visible()
    api.operations.insert(0, facts.operation("brand-new", age=0))
    pass_time(page, 11)
    expect(page.locator("#loaded")).to_contain_text("10,001 operations loaded")
    page.evaluate("scrollTo(0, 0)")
    expect(rows(page).first).to_contain_text("brand-new")
    assert page.locator("*").count() < MOST_NODES
    assert max(page.evaluate("window.tasks ?? [0]"), default=0) < LONGEST_TASK_MS
