"""What is seen at a glance, and the list under it: loaded, filtered, searched, and kept true."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from tests.page import facts
from tests.page.conftest import (
    Opener,
    expect_answered,
    expect_held,
    expect_loaded,
    hold,
    open_operation,
    pass_time,
    rows,
)
from tests.page.stand_in import StandIn

ONE = "0a1b2c3d-one"


def test_it_shows_at_a_glance_what_became_of_operations_and_blobs(api: StandIn, visit: Opener) -> None:
    api.outstanding = {
        "count": 34,
        "overdue": 2,
        "oldestRegisteredAt": facts.text(datetime.now(UTC) - timedelta(minutes=12, seconds=20)),
        "measuredAt": facts.text(datetime.now(UTC)),
    }
    page = visit()
    expect(page.locator("#operations-total")).to_have_text("120 operations in the last day")
    succeeded = sum(each["state"] == "Succeeded" for each in api.operations)
    expect(page.locator("#legend li").first).to_have_text(f"Succeeded {succeeded}")
    blobs = facts.total((each for each in api.operations if each["settledAt"]), "succeeded")
    expect(page.locator("#blobs")).to_contain_text(f"Succeeded{blobs:,}")
    expect(page.locator("#outstanding")).to_contain_text("34 operations")
    expect(page.locator("#outstanding")).to_contain_text("Oldest for12 min")
    expect(page.locator("#outstanding")).to_contain_text("Overdue for a poll2")
    expect(page.locator("#health-word")).to_have_text("Healthy")
    expect(page.locator("#heard")).to_have_text(re.compile(r"Live, last heard \d\d:\d\d:\d\d"))


def test_the_chart_has_the_same_figures_as_its_table(api: StandIn, visit: Opener) -> None:
    page = visit()
    expect(page.locator("#chart g.column").first).to_be_attached()
    bars = page.locator("#chart g.column").count()
    page.get_by_text("Show as a table").click()
    expect(page.locator("#chart-table tbody tr")).to_have_count(bars)
    cells = page.locator("#chart-table tbody td").all_inner_texts()
    assert sum(map(int, cells)) == len(api.operations)
    newest = page.locator("#chart-table tbody tr").first
    number = sum(map(int, newest.locator("td").all_inner_texts()))
    newest.locator("a").click()
    expect(page.locator("#chips li")).to_have_count(1)
    expect(page).to_have_url(re.compile("since=.*until="))
    expect(rows(page)).to_have_count(number)


def test_a_period_is_chosen(api: StandIn, visit: Opener) -> None:
    hour = [each for each in api.operations if _age(each) < 3600]
    page = visit()
    page.get_by_role("link", name="Last hour").click()
    expect(page.locator("#operations-total")).to_have_text(f"{len(hour)} operations in the last hour")
    expect(rows(page)).to_have_count(len(hour))
    expect(page).to_have_url(re.compile("#period=hour$"))
    page.go_back()
    expect(page.locator("#operations-total")).to_have_text("120 operations in the last day")


def _age(operation: facts.Json) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(operation["registeredAt"])).total_seconds()


def test_failures_are_explained_and_lead_to_their_operations(visit: Opener) -> None:
    page = visit()
    first = page.locator("#failures-table tbody tr").first
    expect(first).to_contain_text(
        re.compile("A record has|The blob was not there|The file is damaged|ADX had too much")
    )
    code, table = first.locator("a").inner_text(), first.locator("td").first.inner_text()
    count = int(first.locator("td").nth(1).inner_text())
    first.locator("td").nth(1).click()
    expect(rows(page)).to_have_count(count)
    assert {text.strip() for text in rows(page).locator(".error").all_inner_texts()} == {code}
    assert {text.strip() for text in rows(page).locator(".place").all_inner_texts()} == {table}
    expect(page.locator("#chips")).to_contain_text(f"Error {code}")
    page.get_by_role("link", name="Clear all").click()
    expect(page.locator("#chips li")).to_have_count(0)
    expect_loaded(page, 100)


def test_filters_stand_in_the_address_and_back_works(api: StandIn, visit: Opener) -> None:
    wanted = [each for each in api.operations if each["state"] == "Failed" and each["table"] == "Clicks"]
    assert wanted
    page = visit()
    page.locator("#filters > summary").click()
    page.get_by_role("checkbox", name="Failed").check()
    page.get_by_label("Table", exact=True).fill("Clicks")
    page.get_by_role("button", name="Apply").click()
    expect(rows(page)).to_have_count(len(wanted))
    other = visit(page.url[page.url.index("#") :])
    expect(rows(other)).to_have_count(len(wanted))
    expect(other.locator("#chips li")).to_have_count(3)
    page.go_back()
    expect_loaded(page, 100)
    page.go_forward()
    expect(rows(page)).to_have_count(len(wanted))


def test_a_span_of_time_is_filled_in_as_local_time(api: StandIn, visit: Opener) -> None:
    page = visit()
    page.locator("#filters > summary").click()
    page.get_by_label("From").fill("2026-07-01T12:30")
    page.get_by_label("Until").fill("2026-07-01T14:00")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#empty")).to_contain_text("No operation matches these filters.")
    expect(page.locator("#chips")).to_contain_text("1 Jul, 12:30")
    asked = [each.query for each in api.asked if "until" in each.query and each.path == "operations"]
    assert (asked[-1]["since"], asked[-1]["until"]) == ("2026-07-01T10:30:00Z", "2026-07-01T12:00:00Z")
    page.locator("#filters > summary").click()
    expect(page.get_by_label("From")).to_have_value("2026-07-01T12:30")


def test_a_summary_that_does_not_count_all_says_so(api: StandIn, visit: Opener) -> None:
    api.is_complete = False
    page = visit()
    expect(page.locator("#operations-total")).to_contain_text("(the newest 120; there are more)")


def test_a_state_is_chosen_at_its_figure(api: StandIn, visit: Opener) -> None:
    wanted = sum(each["state"] == "PartiallySucceeded" for each in api.operations)
    page = visit()
    page.locator("#legend").get_by_role("link", name="Partially succeeded").click()
    expect(rows(page)).to_have_count(wanted)
    expect(page.locator("#legend a[aria-current]")).to_have_count(1)


def test_an_id_is_searched_in_all_time(api: StandIn, visit: Opener) -> None:
    api.operations.append(facts.operation(ONE, age=20 * 86_400))
    page = visit()
    expect_loaded(page, 100)
    page.get_by_role("searchbox").press_sequentially("0a1b2c3d")
    pass_time(page, 1)
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text(ONE)
    page.get_by_role("searchbox").fill("there-is-none")
    pass_time(page, 1)
    expect(page.locator("#empty")).to_contain_text("No operation ID begins with “there-is-none”.")
    page.get_by_role("link", name="Clear the filters").click()
    expect_loaded(page, 100)


def test_more_is_loaded_by_the_token_until_there_is_no_more(api: StandIn, visit: Opener) -> None:
    page = visit()
    expect(page.locator("#loaded")).to_have_text("100 operations loaded.")
    page.get_by_role("button", name="Load more").click()
    expect(page.locator("#loaded")).to_have_text("120 operations loaded. These are all.")
    expect(page.get_by_role("button", name="Load more")).to_be_hidden()
    tokens = [asked.query.get("continuationToken") for asked in api.asked if asked.path == "operations"]
    assert sum(token is not None for token in tokens) == 1


def test_a_change_appears_without_losing_the_place_the_focus_or_the_selection(api: StandIn, visit: Opener) -> None:
    running = next(each for each in api.operations if each["state"] == "InProgress")
    page = visit()
    row = page.locator("#operations-table tr", has_text=running["operationId"])
    expect(row).to_contain_text("In progress")
    link = rows(page).nth(30).locator("a")
    name = link.inner_text()
    link.scroll_into_view_if_needed()
    link.focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelectorAll('#operations-table tbody .place')[28])")
    expect_answered(page)
    before = link.bounding_box()
    newest = datetime.fromisoformat(api.operations[0]["registeredAt"])
    running |= {"state": "Failed", "settledAt": facts.text(datetime.now(UTC)), "firstErrorCode": "Forbidden"}
    api.operations.insert(0, facts.operation("brand-new", registeredAt=facts.text(newest + timedelta(seconds=1))))
    pass_time(page, 11)
    expect(rows(page).first).to_contain_text("brand-new")
    expect(row).to_contain_text("Failed")
    assert page.evaluate("document.activeElement.textContent") == name
    assert page.evaluate("getSelection().toString().trim()").startswith("Sales / ")
    after = page.get_by_role("link", name=name).bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 3
    expect(page.locator("#operations-total")).to_have_text("121 operations in the last day")


def test_what_runs_and_is_not_among_the_newest_is_followed_while_it_is_seen(api: StandIn, visit: Opener) -> None:
    old = api.operations[110]
    old |= {"state": "InProgress", "settledAt": None}
    page = visit()
    row = page.locator("#operations-table tr", has_text=old["operationId"])
    page.get_by_role("button", name="Load more").click()
    page.locator("#loaded").scroll_into_view_if_needed()
    expect(row).to_contain_text("In progress")
    old |= {"state": "Succeeded", "settledAt": facts.text(datetime.now(UTC))}
    pass_time(page, 11)
    expect(row).to_contain_text("Succeeded")


def test_more_that_is_loaded_while_news_is_asked_for_stays(api: StandIn, visit: Opener) -> None:
    api.operations = facts.many(250)
    old = api.operations[110]
    old |= {"state": "InProgress", "settledAt": None}
    page = visit()
    page.get_by_role("button", name="Load more").click()
    expect_loaded(page, 200)
    page.locator("#operations-table tr", has_text=old["operationId"]).scroll_into_view_if_needed()
    held = hold(page, f"**/api/operations/{old['operationId']}?**")
    expect_answered(page)
    # As it comes, since what is held back is not answered.
    page.clock.run_for(11_000)
    expect_held(page, held)
    more = page.get_by_role("button", name="Load more")
    more.focus()
    page.keyboard.press("Enter")
    expect_loaded(page, 250)
    expect(page.locator(f'a[data-operation="{api.operations[200]["operationId"]}"]')).to_be_focused()
    (route,) = held
    old |= {"state": "Succeeded", "settledAt": facts.text(datetime.now(UTC))}
    route.continue_()
    expect(page.locator("#operations-table tr", has_text=old["operationId"])).to_contain_text("Succeeded")
    expect_loaded(page, 250)


def test_what_the_app_has_pruned_goes(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    old = api.operations[110]
    old |= {"state": "InProgress", "settledAt": None}
    page = visit()
    page.get_by_role("button", name="Load more").click()
    expect_loaded(page, 120)
    page.locator("#loaded").scroll_into_view_if_needed()
    expect(page.locator("#operations-table")).to_contain_text(old["operationId"])
    api.operations.remove(old)
    pass_time(page, 11)
    expect_loaded(page, 119)


def test_what_no_longer_fits_the_filter_goes(api: StandIn, visit: Opener) -> None:
    running = [each for each in api.operations if each["state"] == "InProgress"]
    page = visit("#state=InProgress")
    expect(rows(page)).to_have_count(len(running))
    running[0] |= {"state": "Succeeded", "settledAt": facts.text(datetime.now(UTC))}
    pass_time(page, 11)
    expect(rows(page)).to_have_count(len(running) - 1)


def test_more_news_than_can_be_joined_begins_the_list_anew(api: StandIn, visit: Opener) -> None:
    page = visit()
    expect_loaded(page, 100)
    api.operations[:0] = [facts.operation(f"new-{place:04}", age=place / 100) for place in range(1200)]
    pass_time(page, 11)
    expect(rows(page).first).to_contain_text("new-0000")
    expect(page.locator("#loaded")).to_contain_text("250 operations loaded")


def test_while_nobody_looks_nothing_is_asked(api: StandIn, visit: Opener) -> None:
    page = visit()
    expect_answered(page)
    _hide(page, is_hidden=True)
    expect(page.locator("#heard")).to_contain_text("Paused")
    api.asked.clear()
    pass_time(page, 300)
    assert api.asked == []
    _hide(page, is_hidden=False)
    expect(page.locator("#heard")).to_contain_text("Live")
    expect_answered(page)
    assert {asked.path for asked in api.asked} >= {"operations", "summary", "health"}


def _hide(page: Page, *, is_hidden: bool) -> None:
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')) }",
        is_hidden,
    )


def test_an_open_page_asks_as_often_as_the_documentation_says(api: StandIn, visit: Opener) -> None:
    page = visit()
    expect_loaded(page, 100)
    ended = next(each for each in api.operations if each["state"] == "Succeeded")
    open_operation(page, ended["operationId"])
    for each in api.operations:
        each["state"] = "Succeeded"
    pass_time(page, 11)
    api.asked.clear()
    # The next is asked so long after the answer, which takes a second here at the most.
    pass_time(page, 60, step=1)
    asked = [each.path for each in api.asked]
    assert 5 <= asked.count("operations") <= 7
    assert asked.count("summary") <= 3
    assert asked.count("health") <= 2
    assert len(asked) <= 17


def test_nothing_tracked_says_what_to_do(api: StandIn, visit: Opener) -> None:
    api.operations.clear()
    page = visit("#period=hour")
    expect(page.locator("#nothing")).to_contain_text("Nothing was tracked in the last hour.")
    expect(page.locator("#nothing")).to_contain_text("Post an operation ID to the queue ingestion-operations")
    expect(page.locator("#empty")).to_contain_text("No operation in the last hour.")
    expect(page.locator("#no-failures")).to_be_visible()
    page.locator("#nothing").get_by_role("link", name="Last week").click()
    expect(page.locator("#nothing")).to_contain_text("Nothing was tracked in the last week.")
