"""What goes wrong around a page: late answers, wrong clocks, keys held down, answers that nobody promised."""

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

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

BAD = "bad-operation"
KEY = "a-function-key-of-this-test"
HUGE = 2**53 - 1
ANSWERS: tuple[object, ...] = (None, [], {}, "text", 7, {"operations": None})


@pytest.fixture
def bad(api: StandIn) -> facts.Json:
    made = facts.operation(BAD, state="PartiallySucceeded", age=1)
    api.operations.insert(0, made)
    return made


def test_what_is_shown_does_not_become_younger_while_the_api_fails(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    expect_loaded(page, 100)
    api.failing[""] = 503
    pass_time(page, 11)
    banner = page.locator("#connection")
    said = re.compile(r"What is shown is as of (\S+)\. ")
    expect(banner).to_contain_text(said)
    before, heard = said.findall(banner.inner_text()), page.locator("#heard").inner_text()
    pass_time(page, 80)
    assert said.findall(banner.inner_text()) == before
    assert page.locator("#heard").inner_text() == heard


def test_without_a_key_nothing_was_heard(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    api.key = KEY
    page = visit()
    expect(page.get_by_role("dialog")).to_be_visible()
    pass_time(page, 30)
    expect(page.locator("#heard")).to_have_text("Not live, not heard yet")


def test_a_late_refusal_of_the_last_key_does_not_take_the_new_one_away(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    expect_answered(page)
    api.key = KEY
    routes = hold(page, "**/api/operations?**")
    # As it comes, since what is held back is not answered: the operations are asked for, and then the summary.
    page.clock.run_for(31_000)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect_held(page, routes)
    dialog.get_by_label("Function key").fill(KEY)
    dialog.get_by_role("button", name="Go on").click()
    expect(page.locator("#connection")).to_be_hidden()
    routes[0].continue_()
    pass_time(page, 11)
    expect(dialog).to_have_count(0)
    expect(page.locator("#connection")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 1


def test_a_filter_does_not_wait_for_the_last_one_and_is_not_overwritten_by_it(api: StandIn, visit: Opener) -> None:
    failed = [each for each in api.operations if each["state"] == "Failed"]
    page = visit()
    expect_loaded(page, 100)
    routes = hold(page, re.compile(r"/api/operations\?state=Canceled"))
    page.locator("#legend").get_by_role("link", name="Canceled").click()
    expect_held(page, routes)
    page.locator("#legend").get_by_role("link", name=re.compile("^Failed")).click()
    expect(rows(page)).to_have_count(len(failed))
    routes[0].continue_()
    pass_time(page, 1)
    expect(rows(page)).to_have_count(len(failed))
    assert set(rows(page).locator(".state").all_inner_texts()) == {"Failed"}


def test_a_period_does_not_wait_for_the_last_one(api: StandIn, visit: Opener) -> None:
    page = visit()
    expect_loaded(page, 100)
    routes = hold(page, "**/api/summary?**", times=9)
    page.get_by_role("link", name="Last week").click()
    expect_held(page, routes)
    page.get_by_role("link", name="Last hour").click()
    expect_held(page, routes, 2)
    routes[1].continue_()
    expect(page.locator("#operations-total")).to_contain_text("in the last hour")
    routes[0].continue_()
    pass_time(page, 1)
    expect(page.locator("#operations-total")).to_contain_text("in the last hour")
    assert api.lies == []


def test_a_failure_goes_with_the_operation_that_is_closed(api: StandIn, bad: facts.Json, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    api.failing[f"operations/{bad['operationId']}"] = 500
    page.locator(f'a[data-operation="{BAD}"]').click()
    expect(page.locator("#connection")).to_contain_text("The open operation can't be had.")
    page.get_by_role("link", name="Close").click()
    # By itself the question would come again after some time, and none passes.
    expect(page.locator("#connection")).to_be_hidden()


def test_what_a_server_asks_to_be_left_alone_for_is_kept_to(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    expect_answered(page)
    api.asked.clear()
    api.failing[""], api.retry_after = 429, 200
    pass_time(page, 65)
    expect(page.locator("#connection")).to_contain_text("The answer's status was 429.")
    assert {each.path for each in api.asked} == {"health", "summary", "operations"}
    api.asked.clear()
    pass_time(page, 130)
    assert api.asked == []
    api.failing.clear()
    pass_time(page, 71)
    expect(page.locator("#connection")).to_be_hidden()


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_browser_whose_clock_is_wrong_sees_the_same(api: StandIn, visit: Opener, hours: int) -> None:
    visit.are_failures_expected = True
    api.operations = facts.many(30, seconds=3000)
    page = visit("#period=hour", clock_ahead=timedelta(hours=hours))
    expect(page.locator("#operations-total")).to_have_text("30 operations in the last hour")
    expect(rows(page)).to_have_count(30)
    running = page.locator("#operations-table tr", has_text="In progress").locator(".took")
    expect(running.last).to_have_text(re.compile(r"^(just begun|\d+\smin so far)$"))


def test_what_the_period_has_left_behind_leaves_the_list(api: StandIn, visit: Opener) -> None:
    api.operations = [facts.operation("young", age=60), facts.operation("old", age=3570)]
    page = visit("#period=hour")
    expect(rows(page)).to_have_count(2)
    pass_time(page, 41)
    expect(rows(page)).to_have_count(1)


def _redrive(page: Page, name: str = BAD) -> Locator:
    open_operation(page, name).get_by_role("button", name="Redrive").click()
    return page.get_by_role("dialog")


def test_a_key_held_down_redrives_once_and_leaves_the_outcome_to_be_read(
    api: StandIn, bad: facts.Json, visit: Opener
) -> None:
    page = visit()
    dialog = _redrive(page, bad["operationId"])
    dialog.get_by_label("Your name").focus()
    for _ in range(3):
        page.keyboard.down("Enter")
    expect(dialog).to_contain_text("3 blobs are on the retry queue.")
    for _ in range(5):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(dialog).to_contain_text("3 blobs are on the retry queue.")
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    assert len(api.redrives()) == 1


def test_an_answer_to_another_redrive_is_not_taken_for_this_one(api: StandIn, bad: facts.Json, visit: Opener) -> None:
    api.operations.insert(0, facts.operation("other", state="PartiallySucceeded", age=0))
    page = visit()
    dialog = _redrive(page, bad["operationId"])
    routes = hold(page, "**/redrive")
    dialog.get_by_role("button", name="Try again").click()
    expect_held(page, routes)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    dialog = _redrive(page, "other")
    routes[0].continue_()
    expect(page.locator("#announcer")).to_have_text("3 blobs are on the retry queue.")
    expect(page.locator("#redrive-outcome")).to_be_hidden()
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("3 blobs are on the retry queue.")
    assert [each.body["operationId"] for each in api.redrives()] == [BAD, "other"]


def test_a_redrive_by_somebody_who_is_signed_out_asks_for_no_key(bad: facts.Json, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    dialog = _redrive(page, bad["operationId"])
    page.route("**/redrive", lambda route: route.fulfill(status=302, headers={"Location": "/elsewhere"}))
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("You are signed out. Reload the page to sign in.")
    expect(page.locator("#key-dialog")).to_be_hidden()


def test_an_open_operation_that_the_app_has_pruned_says_so(api: StandIn, bad: facts.Json, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    open_operation(page, BAD)
    api.operations.remove(bad)
    pass_time(page, 11)
    expect(page.locator("#detail-problem")).to_contain_text("older than the app keeps them")
    expect(page.locator("#detail-body")).to_be_hidden()
    expect(page.locator("#connection")).to_be_hidden()


def test_an_answer_of_another_kind_is_a_failure_and_no_end(api: StandIn, visit: Opener) -> None:
    page = visit()
    expect_loaded(page, 100)
    for answer in ANSWERS:
        api.changed = {"operations": answer, "summary": answer, "health": answer}
        pass_time(page, 61)
        expect(page.locator("#connection")).to_contain_text("can't be had. The answer is not understood.")
        api.changed.clear()
        # The longest that a question waits.
        pass_time(page, 61)
        expect(page.locator("#connection")).to_be_hidden()
    expect_loaded(page, 100)


def test_a_page_of_html_in_place_of_an_answer_is_a_failure(visit: Opener) -> None:
    page = visit()
    expect_loaded(page, 100)
    page.route("**/api/operations?**", lambda route: route.fulfill(status=200, body="<html>Sign in</html>"))
    pass_time(page, 11)
    expect(page.locator("#connection")).to_contain_text("The answer is not understood.")


def test_numbers_without_measure_and_nothing_at_all_fit_in(api: StandIn, visit: Opener) -> None:
    api.operations = facts.many(20)
    nullable = ("correlationId", "startTime", "lastUpdated", "settledAt", "firstErrorCode", "lastError")
    counts = dict.fromkeys(("succeeded", "failed", "inProgress", "canceled"), HUGE)
    bare = facts.operation("bare", state="Failed", age=2, **dict.fromkeys(nullable))
    huge = facts.operation("huge", state="Failed", age=1, blobs=counts, attempt=HUGE, polls=HUGE, retriedBlobs=HUGE)
    api.operations[:0] = [huge, bare]
    nothing = dict.fromkeys(("url", "sourceId", "lastUpdated", "errorCode", "failureStatus", "details"))
    api.blobs = {"bare": [facts.blob(1, status="Failed", **nothing)], "huge": [facts.blob(1, status="Failed")]}
    api.outstanding = {
        "count": HUGE,
        "overdue": HUGE,
        "oldestRegisteredAt": None,
        "measuredAt": facts.text(facts.now()),
    }
    page = visit(width=360)
    expect(rows(page)).to_have_count(22)
    for name in ("bare", "huge"):
        expect(open_operation(page, name).locator("#blobs-table tbody tr")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.get_by_role("link", name="Close").click()
        expect(rows(page)).to_have_count(22)
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_texts_of_every_answer_are_texts(api: StandIn, bad: facts.Json, visit: Opener) -> None:
    visit.are_failures_expected = True
    evil = facts.HOSTILE
    codes: list[dict[str, Any]] = [dict.fromkeys(each, evil) for each in facts.explanations()]
    codes.append(dict.fromkeys(codes[0], evil) | {"code": facts.CODES[0]})
    api.changed["error-codes"] = {"errorCodes": codes}
    api.changed["health"] = {"status": evil, "checkedAt": evil, "checks": {evil: {"isHealthy": False, "detail": evil}}}
    page = visit(f"#state={evil}&table={evil}&cluster={evil}&id={evil}&code={evil}&period={evil}".replace("%", ""))
    expect(page.locator("#chips li")).to_have_count(5)
    page.get_by_role("link", name="Clear all").click()
    expect(page.locator("#failures-table tbody")).to_contain_text("onerror")
    dialog = _redrive(page, bad["operationId"])
    api.refusal = {"type": evil, "title": evil, "status": 422, "detail": evil}
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("onerror")
    api.refusal = None
    api.changed[f"operations/{BAD}/redrive"] = {"redriveId": evil, "blobs": 1, "left": 0}
    dialog.get_by_role("button", name="Try once more").click()
    expect(dialog).to_contain_text("Written down as redrive <img")
    assert page.locator("img").count() == 1
    assert "taken" not in page.title()


INJECTIONS = (
    (
        "require-trusted-types-for",
        "e = document.createElement('script'); e.append('window.taken = 1'); document.head.append(e)",
    ),
    ("require-trusted-types-for", "document.body.innerHTML = '<img src=x onerror=window.taken=1>'"),
    ("require-trusted-types-for", "document.querySelector('h1').setAttribute('onclick', 'window.taken = 1')"),
    ("script-src-elem", "e = document.createElement('script'); e.src = trusted; document.head.append(e)"),
    ("style-src-elem", "e = document.createElement('style'); e.append('h1 {color: red}'); document.head.append(e)"),
    ("connect-src", "fetch('http://127.0.0.1:9/').catch(() => 0)"),
    ("img-src", "e = new Image(); e.src = 'http://127.0.0.1:9/'; document.body.append(e)"),
    ("frame-src", "e = document.createElement('iframe'); e.src = '/api/dashboard'; document.body.append(e)"),
    ("base-uri", "e = document.createElement('base'); e.href = 'http://127.0.0.1:9/'; document.head.append(e)"),
)


def test_the_policy_of_the_page_lets_nothing_in(visit: Opener) -> None:
    page = visit()
    expect_loaded(page, 100)
    page.evaluate(
        "() => { window.refused = []; document.addEventListener('securitypolicyviolation',"
        " event => window.refused.push(event.effectiveDirective));"
        " window.rule = trustedTypes.createPolicy('test', {createScriptURL: () => 'http://127.0.0.1:9/taken.js'}) }"
    )
    for directive, script in INJECTIONS:
        page.evaluate("() => { window.refused.length = 0 }")
        page.evaluate(f"() => {{ let e; const trusted = rule.createScriptURL(''); try {{ {script} }} catch {{ }} }}")
        page.wait_for_function("directive => window.refused.includes(directive)", arg=directive)
    assert page.evaluate("window.taken") is None
    expect(page.locator("#operations")).to_be_visible()
    # Only then has it complained of all that it was asked to do.
    page.close()
    visit.complaints.clear()


def test_what_opens_over_a_narrow_page_is_in_sight(visit: Opener) -> None:
    page = visit(width=360)
    expect_loaded(page, 100)
    for opener, over in (("#health > summary", "#health-checks"), ("#filters > summary", "#filter-form")):
        page.locator(opener).click()
        box = page.locator(over).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        page.keyboard.press("Escape")


def test_the_end_of_an_id_is_seen_beside_its_attempt(api: StandIn, visit: Opener) -> None:
    api.operations.insert(0, facts.operation("8d1e3ac0-7c9b-4d2e-a5d1-5be1f04f2c11", attempt=2, age=1))
    page = visit()
    link = rows(page).first.locator("a")
    for width in (1150, 1280, 1500):
        page.set_viewport_size({"width": width, "height": 800})
        # The last of the 18 characters that are kept may lack the room that stands beside each letter.
        assert link.evaluate("each => each.scrollWidth - each.clientWidth") <= 2, width


def test_what_is_none_is_not_listed(api: StandIn, visit: Opener) -> None:
    api.outstanding = {"count": 0, "overdue": 0, "oldestRegisteredAt": None, "measuredAt": facts.text(facts.now())}
    api.operations = [facts.operation("one")]
    page = visit("#period=week")
    expect(page.locator("#blobs dt")).to_have_text(["Succeeded", "Failed"])
    expect(page.locator("#outstanding dt")).to_have_text(["Measured"])
    api.operations.clear()
    pass_time(page, 31)
    expect(page.locator("#nothing")).to_contain_text("Nothing was tracked in the last week.")
    expect(page.locator("#longer")).to_be_hidden()
    expect(page.locator("#blobs dt")).to_have_count(0)
