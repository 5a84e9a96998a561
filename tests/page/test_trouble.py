"""An API that fails and comes back, one that asks for a key, and texts that mean harm."""

import re

import pytest
from playwright.sync_api import expect

from tests.page import facts
from tests.page.conftest import Opener, expect_answered, expect_held, expect_loaded, hold, pass_time, rows
from tests.page.stand_in import StandIn

KEY = "a-function-key-of-this-test"


@pytest.mark.parametrize(("status", "said"), [(503, "The answer's status was 503."), (0, "The connection failed.")])
def test_an_api_that_fails_and_comes_back(api: StandIn, visit: Opener, status: int, said: str) -> None:
    visit.are_failures_expected = True
    page = visit()
    expect_loaded(page, 100)
    api.failing[""] = status
    pass_time(page, 11)
    banner = page.locator("#connection")
    expect(banner).to_contain_text("The operations can't be had.")
    expect(banner).to_contain_text(said)
    expect(banner).to_contain_text(re.compile(r"What is shown is as of \d\d:\d\d:\d\d\. Next try at \d\d:\d\d:\d\d\."))
    expect(page.locator("#heard")).to_contain_text("Not live, last heard")
    expect(page.locator("#announcer")).to_contain_text("can't be had")
    expect_loaded(page, 100)
    api.failing.clear()
    pass_time(page, 60)
    expect(banner).to_be_hidden()
    expect(page.locator("#heard")).to_contain_text("Live, last heard")
    expect(page.locator("#announcer")).to_have_text("The API answers again")


def test_it_asks_less_and_less_while_the_api_fails_and_at_once_when_told_to(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    api.failing[""] = 500
    page = visit()
    expect(page.locator("#connection")).to_be_visible()
    expect_answered(page)
    api.asked.clear()
    pass_time(page, 600)
    asked = sum(each.path == "operations" for each in api.asked)
    assert 7 <= asked <= 15
    api.failing.clear()
    page.get_by_role("button", name="Try now").click()
    expect_loaded(page, 100)
    expect(page.locator("#connection")).to_be_hidden()


def test_one_answer_that_fails_leaves_the_others_alive(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    api.failing["summary"] = 500
    page = visit()
    expect_loaded(page, 100)
    expect(page.locator("#connection")).to_contain_text("The summary can't be had.")
    api.failing = {"error-codes": 404}
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#failures-table tbody tr").first).to_be_visible()
    expect(page.locator("#connection")).to_be_hidden()


def test_more_that_fails_says_so_and_can_be_asked_for_again(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    expect_loaded(page, 100)
    api.failing["operations"] = 503
    more = page.get_by_role("button", name="Load more")
    more.click()
    expect(page.locator("#more-note")).to_contain_text("More could not be loaded.")
    api.failing.clear()
    more.click()
    expect(page.locator("#loaded")).to_contain_text("120 operations loaded")
    expect(page.locator("#more-note")).to_have_text("")


def test_an_unhealthy_app_says_why(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    api.health = facts.health(adx="ADX answered 403.", poller="No tick has finished for 12 minutes.")
    page = visit()
    expect(page.locator("#health-word")).to_have_text("Unhealthy")
    expect(page.locator("#unhealthy")).to_contain_text("Azure Data Explorer: ADX answered 403.")
    expect(page.locator("#unhealthy")).to_contain_text("Poller: No tick has finished for 12 minutes.")
    expect(page.locator("#connection")).to_be_hidden()
    api.health = facts.health()
    pass_time(page, 61)
    expect(page.locator("#health-word")).to_have_text("Healthy")
    expect(page.locator("#unhealthy")).to_be_hidden()


def test_a_key_is_asked_for_kept_for_the_tab_and_forgotten(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    api.key = KEY
    page = visit("#period=week")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("az functionapp keys list")
    dialog.get_by_label("Function key").fill("a-wrong-key")
    dialog.get_by_role("button", name="Go on").click()
    expect(dialog).to_contain_text("The key was refused.")
    dialog.get_by_label("Function key").fill(KEY)
    dialog.get_by_label("Function key").press("Enter")
    expect_loaded(page, 100)
    expect(dialog).to_be_hidden()
    page.reload()
    expect_loaded(page, 100)
    assert KEY not in page.url
    assert page.evaluate("JSON.stringify(localStorage) + document.cookie") == "{}"
    assert all(KEY not in str(asked.query) for asked in api.asked)
    page.get_by_role("button", name="Forget the key").click()
    expect(dialog).to_contain_text("A function key, please")
    assert page.evaluate("sessionStorage.length") == 0


def test_without_a_key_nothing_is_asked_again_by_itself(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    api.key = KEY
    page = visit()
    expect_answered(page)
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("#connection")).to_contain_text("Without a function key nothing can be shown.")
    api.asked.clear()
    pass_time(page, 300)
    assert api.asked == []
    page.get_by_role("button", name="Enter a key").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_who_has_declined_to_give_a_key_is_not_asked_again_by_a_late_refusal(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    api.key = KEY
    held = hold(page, "**/api/health", times=2)
    for leave in ("Cancel", "Escape"):
        page.reload()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        expect_held(page, held)
        if leave == "Cancel":
            dialog.get_by_role("button", name="Cancel").click()
        else:
            page.keyboard.press("Escape")
        held.pop().continue_()
        expect_answered(page)
        expect(dialog).to_have_count(0)


@pytest.mark.parametrize("is_later", [False, True])
def test_a_key_in_the_address_is_taken_out_of_it_at_once(api: StandIn, visit: Opener, *, is_later: bool) -> None:
    visit.are_failures_expected = True
    api.key = KEY
    page = visit("" if is_later else f"#key={KEY}&period=week")
    if is_later:
        expect(page.get_by_role("dialog")).to_be_visible()
        expect_answered(page)
        page.keyboard.press("Escape")
        page.evaluate("fragment => location.hash = fragment", f"key={KEY}&period=week")
    expect_loaded(page, 100)
    expect_answered(page)
    assert page.url.endswith("/api/dashboard#period=week")
    assert {asked.key for asked in api.asked[-3:]} == {KEY}


def test_who_is_signed_out_is_told_to_sign_in(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    expect_loaded(page, 100)
    page.route("**/api/operations?**", lambda route: route.fulfill(status=302, headers={"Location": "/elsewhere"}))
    pass_time(page, 11)
    expect(page.locator("#connection")).to_contain_text("You are signed out. Reload the page to sign in.")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.unroute("**/api/operations?**")
    page.get_by_role("button", name="Reload").click()
    expect(page.locator("#connection")).to_be_hidden()
    expect_loaded(page, 100)
    expect_answered(page)
    assert len(api.asked) > 6


def test_texts_from_outside_are_texts_and_nothing_else(api: StandIn, visit: Opener) -> None:
    evil = facts.HOSTILE
    names = {"table": evil, "database": evil, "correlationId": evil, "lastError": evil, "firstErrorCode": evil}
    api.operations.insert(0, facts.operation(evil, state="Failed", age=9, **names))
    url = "javascript:document.title='taken'"
    api.blobs[evil] = [
        facts.blob(
            1, status="Failed", url=url, errorCode=evil, details=evil, retryState="NotResubmittable", retryReason=evil
        ),
        facts.blob(2, status=evil, url=f"https://x.example/{evil}", redrivenBy=evil),
        facts.blob(3, url="data:text/html,<script>document.title='taken'</script>"),
    ]
    visit.are_failures_expected = True
    api.health = facts.health(adx=evil)
    page = visit()
    rows(page).first.locator("a").click()
    expect(page.locator("#blobs-table tbody tr")).to_have_count(3)
    expect(page.locator("#detail h2")).to_have_text(evil)
    expect(page.locator("#unhealthy")).to_contain_text(evil)
    page.locator("#failures-table tbody tr", has_text="onerror").locator("a").click()
    expect(page.locator("#chips")).to_contain_text("onerror")
    schemes = page.evaluate("[...new Set([...document.links].map(link => link.protocol))].sort()")
    assert schemes == ["http:", "https:"]
    assert page.locator("img").count() == 1
    assert page.locator("main script").count() == 0
    assert "taken" not in page.title().replace(evil, "")
