"""One operation: its facts, its lineage, what failed and what to do, its blobs, and trying them again."""

import re

import pytest
from playwright.sync_api import expect

from tests.page import facts
from tests.page.conftest import Opener, open_operation, pass_time, rows
from tests.page.stand_in import StandIn

BAD = "bad-operation"


@pytest.fixture
def bad(api: StandIn) -> facts.Json:
    """An operation three of whose blobs failed, one of which was submitted again."""
    made = facts.operation(BAD, state="PartiallySucceeded", age=30)
    again = facts.operation("second-try", attempt=2, age=10, rootOperationId=BAD, parentOperationId=BAD)
    api.operations[:0] = [again, made]
    blobs = api.blobs_of(BAD)
    blobs[1] |= {"errorCode": "Download_SourceNotFound", "retryState": "AttemptsExhausted"}
    blobs[2] |= {"failureStatus": "Transient", "retryState": "Resubmitted", "retryOperationId": "second-try"}
    return made


def test_a_click_opens_it_and_back_closes_it(bad: facts.Json, visit: Opener) -> None:
    page = visit()
    detail = open_operation(page, BAD)
    expect(detail.locator("h2")).to_have_text(BAD)
    expect(detail.locator("h2")).to_be_focused()
    expect(page).to_have_title(f"{BAD} - ADX ingestion tracker")
    expect(detail.locator("#facts")).to_contain_text("Correlation IDnightly-2026-11-24")
    expect(detail.locator("#facts")).to_contain_text("after 30 s")
    expect(detail.locator("#facts time").first).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d .* UTC$"))
    expect(detail.locator("#blobs-table tbody tr")).to_have_count(20)
    other = visit(page.url[page.url.index("#") :])
    expect(other.locator("#facts")).to_contain_text(bad["correlationId"])
    page.go_back()
    expect(detail).to_be_hidden()
    expect(page.locator(f'a[data-operation="{BAD}"]')).to_be_focused()


def test_a_click_anywhere_in_a_row_opens_it(bad: facts.Json, visit: Opener) -> None:
    page = visit()
    page.locator("#operations-table tr", has_text=BAD).locator(".place").click()
    expect(page.locator("#detail h2")).to_have_text(bad["operationId"])
    page.get_by_role("link", name="Close").click()
    expect(page.locator("#detail")).to_be_hidden()


@pytest.mark.usefixtures("bad")
@pytest.mark.parametrize(
    ("answer", "said", "told"), [("resolve", "Copied", "is copied"), ("reject", "Not copied", "select the ID")]
)
def test_the_id_is_copied_or_it_is_said_that_it_is_not(answer: str, said: str, told: str, visit: Opener) -> None:
    page = visit()
    page.evaluate("answer => { navigator.clipboard.writeText = text => Promise[answer](window.copied = text) }", answer)
    detail = open_operation(page, BAD)
    detail.locator("#copy").click()
    expect(detail.locator("#copy")).to_have_text(said)
    expect(page.locator("#announcer")).to_contain_text(told)
    assert page.evaluate("window.copied") == BAD
    open_operation(page, "second-try")
    expect(detail.locator("#copy")).to_have_text("Copy the ID")


@pytest.mark.usefixtures("bad")
def test_each_error_code_is_explained_with_what_to_do(visit: Opener) -> None:
    page = visit()
    errors = open_operation(page, BAD).locator("#errors li")
    expect(errors).to_have_count(2)
    expect(errors.first).to_contain_text("Stream_WrongNumberOfFields 2 blobs, Permanent, Transient")
    expect(errors.first).to_contain_text("A record has more or fewer fields than the table's mapping expects.")
    expect(errors.first).to_contain_text("What to do: Correct the file, then redrive.")


@pytest.mark.usefixtures("bad")
def test_explanations_that_come_later_are_shown(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    api.failing["error-codes"] = 503
    page = visit()
    errors = open_operation(page, BAD).locator("#errors li")
    expect(errors.first).to_contain_text("No explanation is known for this code.")
    api.failing.clear()
    # Asks for the summary anew, and for no operation.
    page.get_by_role("link", name="Last week").click()
    expect(errors.first).to_contain_text("What to do: Correct the file, then redrive.")


def test_a_code_that_nobody_knows_is_no_riddle_left_alone(api: StandIn, bad: facts.Json, visit: Opener) -> None:
    for blob in api.blobs_of(bad["operationId"])[:3]:
        blob["errorCode"] = "Brand_New"
    page = visit()
    expect(open_operation(page, BAD).locator("#errors")).to_contain_text("No explanation is known for this code.")


@pytest.mark.usefixtures("bad")
def test_its_lineage_is_walked_by_links(visit: Opener) -> None:
    page = visit()
    detail = open_operation(page, BAD)
    expect(detail.locator("#lineage li")).to_have_count(2)
    detail.locator("#lineage").get_by_role("link", name="second-try").click()
    expect(detail.locator("h2")).to_have_text("second-try")
    expect(detail.locator("#facts")).to_contain_text("Retry ofbad-operation")
    page.go_back()
    expect(detail.locator("h2")).to_have_text(BAD)
    detail.get_by_role("link", name="submitted again").click()
    expect(detail.locator("h2")).to_have_text("second-try")


def test_its_blobs_are_filtered_and_loaded_on(api: StandIn, visit: Opener) -> None:
    api.operations.insert(0, facts.operation("large", age=5))
    api.blobs["large"] = [facts.blob(number, status="Failed" if number <= 5 else "Succeeded") for number in range(250)]
    page = visit()
    detail = open_operation(page, "large")
    expect(detail.locator("#blobs-loaded")).to_have_text("100 blobs loaded")
    detail.get_by_role("button", name="Load more").click()
    expect(detail.locator("#blobs-loaded")).to_have_text("200 blobs loaded")
    detail.get_by_label("Show").select_option("failed")
    expect(detail.locator("#blobs-table tbody tr")).to_have_count(6)
    expect(page).to_have_url(re.compile("status=Failed"))
    detail.get_by_label("Show").select_option("canceled")
    expect(detail.locator("#no-blobs")).to_have_text("No blob has this status.")


@pytest.mark.usefixtures("bad")
def test_a_redrive_asks_once_and_says_what_it_did(api: StandIn, visit: Opener) -> None:
    page = visit()
    detail = open_operation(page, BAD)
    expect(detail.locator("#redrive-text")).to_contain_text("2 blobs of this operation were given up.")
    detail.get_by_role("button", name="Redrive").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Try 2 blobs again?")
    expect(dialog).to_contain_text("RETRY_BLOB_ACCESS")
    expect(dialog).to_contain_text("docs/redrive.md")
    assert api.redrives() == []
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    expect(detail.get_by_role("button", name="Redrive")).to_be_focused()
    assert api.redrives() == []
    detail.get_by_role("button", name="Redrive").click()
    dialog.get_by_label("Your name").fill("Ada")
    dialog.get_by_role("button", name="Try again").dblclick()
    expect(dialog).to_contain_text("2 blobs are on the retry queue.")
    expect(dialog).to_contain_text("None is left.")
    expect(dialog).to_contain_text("5f0c7a9e")
    (asked,) = api.redrives()
    place = {"cluster": facts.CLUSTER, "database": "Sales", "table": "Orders"}
    assert asked.body == {"operationId": BAD, **place, "as": "Ada"}
    dialog.get_by_role("button", name="Close").click()
    expect(detail.locator("#redrive-part")).to_be_hidden()
    expect(detail.locator("h2")).to_be_focused()
    expect(detail.locator("#blobs-table")).to_contain_text("waits for its next try")


@pytest.mark.usefixtures("bad")
def test_the_focus_is_not_lost_with_the_button_of_a_redrive_that_is_done(visit: Opener) -> None:
    page = visit()
    open_operation(page, BAD).get_by_role("button", name="Redrive").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("2 blobs are on the retry queue.")
    pass_time(page, 11)
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("#redrive-part")).to_be_hidden()
    expect(page.locator("#detail-title")).to_be_focused()


@pytest.mark.usefixtures("bad")
def test_a_redrive_that_is_refused_says_why(api: StandIn, visit: Opener) -> None:
    api.refusal = {"type": "about:blank", "title": "It can't be redriven", "status": 422, "detail": "It has no format."}
    visit.are_failures_expected = True
    page = visit()
    open_operation(page, BAD).get_by_role("button", name="Redrive").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("It can't be redriven")
    expect(dialog).to_contain_text("It has no format.")
    api.refusal = None
    dialog.get_by_role("button", name="Try once more").click()
    expect(dialog).to_contain_text("2 blobs are on the retry queue.")


@pytest.mark.usefixtures("bad")
def test_a_redrive_whose_answer_is_lost_says_that_it_may_be_done(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit()
    open_operation(page, BAD).get_by_role("button", name="Redrive").click()
    api.failing[f"operations/{BAD}/redrive"] = 0
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("The connection failed")
    expect(dialog).to_contain_text("The same request again completes it")


@pytest.mark.usefixtures("bad")
def test_a_redrive_that_is_answered_with_nothing_may_be_done_too(api: StandIn, visit: Opener) -> None:
    page = visit()
    open_operation(page, BAD).get_by_role("button", name="Redrive").click()
    api.changed[f"operations/{BAD}/redrive"] = None
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("The answer is not understood")
    expect(dialog).to_contain_text("The same request again completes it")


def test_what_still_runs_or_has_nothing_given_up_has_no_redrive(api: StandIn, visit: Opener) -> None:
    api.operations.insert(0, facts.operation("going-on", state="InProgress", age=5))
    api.blobs["going-on"] = [facts.blob(1, status="Failed"), facts.blob(2, status="InProgress")]
    page = visit()
    for name in ("going-on", next(each["operationId"] for each in api.operations if each["state"] == "Succeeded")):
        expect(open_operation(page, name).locator("#redrive-part")).to_be_hidden()


def test_an_open_operation_is_kept_true(api: StandIn, bad: facts.Json, visit: Opener) -> None:
    page = visit()
    detail = open_operation(page, BAD)
    bad |= {"state": "Succeeded", "blobs": {"succeeded": 20, "failed": 0, "inProgress": 0, "canceled": 0}}
    for blob in api.blobs_of(BAD)[:3]:
        blob |= {"status": "Succeeded", "retryState": "Recovered"}
    pass_time(page, 11)
    expect(detail.locator("#detail-state")).to_have_text("Succeeded")
    expect(detail.locator("#errors-part")).to_be_hidden()
    expect(detail.locator("#blobs-table")).to_contain_text("mended by ADX itself")


def test_an_operation_that_is_not_known_is_no_empty_panel(visit: Opener) -> None:
    visit.are_failures_expected = True
    page = visit("#op=never-seen")
    expect(page.locator("#detail-problem")).to_contain_text("No such operation")
    page.get_by_role("link", name="Search for this ID").click()
    expect(page.locator("#empty")).to_contain_text("No operation ID begins with “never-seen”.")


def test_one_id_in_two_tables_is_searched_for(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    api.operations[:0] = [facts.operation("twin", age=4, table="Clicks"), facts.operation("twin", age=5)]
    page = visit("#op=twin")
    expect(page.locator("#detail-problem")).to_contain_text("Name one of the tables")
    page.get_by_role("link", name="Search for this ID").click()
    expect(rows(page)).to_have_count(2)
    rows(page).first.locator("a").click()
    expect(page.locator("#facts")).to_contain_text("Sales / Clicks")


def test_any_id_is_opened(api: StandIn, visit: Opener) -> None:
    names = ("a/b", "..", "a%2Fb", "a?b#c", "ä €", r"a\b")
    api.operations = [facts.operation(name, age=3 + place) for place, name in enumerate(names)]
    page = visit()
    for place, name in enumerate(names):
        rows(page).nth(place).locator("a").click()
        expect(page.locator("#detail h2")).to_have_text(name)
        expect(page.locator("#facts")).to_contain_text("Sales / Orders")
        page.reload()
        expect(page.locator("#detail h2")).to_have_text(name)
        expect(page.locator("#facts")).to_contain_text("Sales / Orders")
