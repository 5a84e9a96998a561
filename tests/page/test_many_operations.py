"""Ten thousand operations: all of them can be gone through, and the document does not grow with them."""

import json

from playwright.sync_api import Page, expect

from tests.page import facts
from tests.page.conftest import Opener, expect_loaded, pass_time, rows
from tests.page.stand_in import StandIn

ALL = 10_000
MOST_NODES = 12_000
LONGEST_TASK_MS = 500
LOAD_ALL = """async () => {
  const more = document.querySelector("#more");
  const changed = () => new Promise((resolve) =>
    new MutationObserver(resolve).observe(more, { attributeFilter: ["aria-disabled"] }));
  while (!more.hidden) {
    more.click();
    while (more.hasAttribute("aria-disabled")) await changed();
  }
}"""
"""Clicks on as soon as there is more: whoever asks from outside whether it is there waits longer than it takes."""


def longest_task(trace: bytes) -> float:
    """The milliseconds that the page's longest task was at work: on a processor, whatever else the machine does."""
    events = json.loads(trace)["traceEvents"]
    main = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    tasks = [each for each in events if each["name"].endswith("::RunTask") and (each["pid"], each["tid"]) in main]
    microseconds: float = max(each["tdur"] for each in tasks if "tdur" in each)
    return microseconds / 1000


def expect_few_nodes(page: Page) -> None:
    """Rows are put away once the browser has told that they are out of sight."""
    page.wait_for_function("most => document.querySelectorAll('*').length < most", arg=MOST_NODES)


def test_ten_thousand_operations_stay_fluent(api: StandIn, visit: Opener) -> None:
    api.operations = facts.many(ALL)
    page = visit(height=900)
    expect_loaded(page, 100)
    expect(page.locator("#operations-total")).to_have_text("10,000 operations in the last day")
    visit.browser.start_tracing(page=page, categories=["toplevel"])
    page.evaluate(LOAD_ALL)
    expect_loaded(page, ALL)
    expect_few_nodes(page)
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
    expect_few_nodes(page)
    assert longest_task(visit.browser.stop_tracing()) < LONGEST_TASK_MS
