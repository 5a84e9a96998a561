"""Nobody is kept out: by the keyboard alone, in any size and colours, and as far as axe-core can tell."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.page import axe, facts
from tests.page.conftest import Opener, pass_time, rows
from tests.page.stand_in import StandIn

BAD = "bad-operation"
OPENED = f"#op={BAD}"
WIDTHS = (360, 1280)
# Of each kind: what axe-core says of one row it says of all that are like it.
ROWS = 12


@pytest.fixture(autouse=True)
def bad(api: StandIn) -> None:
    del api.operations[ROWS:]
    again = facts.operation("second-try", attempt=2, age=10, rootOperationId=BAD, parentOperationId=BAD)
    api.operations[:0] = [again, facts.operation(BAD, state="PartiallySucceeded", age=30)]
    api.blobs_of(BAD)[0]["details"] = "word " * 200


def _dialog(page: Page) -> None:
    page.get_by_role("button", name="Redrive").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _done(page: Page) -> None:
    _dialog(page)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#redrive-outcome")).to_be_visible()


def _opened_parts(page: Page) -> None:
    page.get_by_text("Show as a table").click()
    page.locator("#filters > summary").click()


def _health(page: Page) -> None:
    page.locator("#health > summary").click()


def _nothing(_: Page) -> None:
    return


LOOKS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "list": ("", _nothing),
    "filters": ("#state=Failed,Canceled&table=Clicks", _opened_parts),
    "health": ("", _health),
    "detail": (OPENED, _nothing),
    "dialog": (OPENED, _dialog),
    "redriven": (OPENED, _done),
    "search": ("#id=nowhere", _nothing),
}


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_barrier(visit: Opener, look: str) -> None:
    fragment, act = LOOKS[look]
    page = visit(fragment)
    _loaded(page, is_detail=fragment == OPENED)
    act(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme="light")
        assert axe.barriers(page) == []
        assert _overflow(page) == 0
        page.emulate_media(color_scheme="dark")
        assert axe.barriers(page, "color-contrast") == []


def _loaded(page: Page, *, is_detail: bool = False) -> None:
    expect(page.locator("#operations")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#glance")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#health-word")).not_to_have_text("Asking …")
    if is_detail:
        expect(page.locator("#detail-body")).to_be_visible()


def _overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide


def test_axe_finds_no_barrier_where_there_is_nothing_or_nothing_works(api: StandIn, visit: Opener) -> None:
    visit.are_failures_expected = True
    api.operations.clear()
    api.health = facts.health(adx="ADX answered 403.")
    page = visit()
    _loaded(page)
    api.failing[""] = 500
    page.get_by_role("navigation").get_by_role("link", name="week").click()
    expect(page.locator("#connection")).to_be_visible()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert axe.barriers(page) == []
        assert _overflow(page) == 0
    api.failing.clear()
    api.key = "a-key"
    page.reload()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert axe.barriers(page) == []


def test_a_large_screen_is_made_use_of(visit: Opener) -> None:
    page = visit(OPENED, width=3840, height=2160)
    _loaded(page, is_detail=True)
    for width in (3840, 1920):
        page.set_viewport_size({"width": width, "height": 2160})
        expect(page.locator("#operations")).to_be_visible()
        assert _overflow(page) == 0
        assert axe.barriers(page) == []


def test_colours_that_a_person_has_chosen_are_kept(visit: Opener) -> None:
    page = visit(OPENED, forced=True)
    _loaded(page, is_detail=True)
    assert axe.barriers(page) == []
    body = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert body == page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_long_names_do_not_break_the_page(api: StandIn, visit: Opener) -> None:
    long = "x" * 500
    api.operations.insert(0, facts.operation(long, state="Failed", age=1, table=long, firstErrorCode=long))
    api.blobs[long] = [facts.blob(1, status="Failed", url=f"https://x.example/{long}", errorCode=long, details=long)]
    page = visit()
    _loaded(page)
    for is_open in (False, True):
        if is_open:
            rows(page).first.locator("a").click()
            expect(page.locator("#detail-body")).to_be_visible()
        for width in (360, 768, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert _overflow(page) == 0


def test_all_is_done_by_the_keyboard_alone(api: StandIn, visit: Opener) -> None:
    page = visit()
    _loaded(page)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#operations")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("bad-")
    pass_time(page, 1)
    expect(rows(page)).to_have_count(1)
    _tab_to(page, f'a[data-operation="{BAD}"]')
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#detail-title")).to_be_focused()
    expect(page.locator("#redrive")).to_be_visible()
    _tab_to(page, "#redrive")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(page.locator("#redrive")).to_be_focused()
    page.keyboard.press("Enter")
    _tab_to(page, "#redrive-act")
    page.keyboard.press("Enter")
    expect(page.locator("#redrive-outcome")).to_contain_text("3 blobs are on the retry queue.")
    assert len(api.redrives()) == 1
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator(f'a[data-operation="{BAD}"]')).to_be_focused()


def test_the_filters_are_opened_used_and_left_by_the_keyboard(visit: Opener) -> None:
    page = visit()
    _loaded(page)
    _tab_to(page, "#filters > summary")
    page.keyboard.press("Enter")
    _tab_to(page, 'input[value="Canceled"]')
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    expect(page.locator("#filters > summary")).to_be_focused()
    expect(page.locator("#filter-form")).to_be_hidden()
    page.keyboard.press("Enter")
    _tab_to(page, 'input[value="Canceled"]')
    expect(page.locator('input[value="Canceled"]')).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.locator("#chips")).to_contain_text("Canceled")
    expect(page.locator("#filters > summary")).to_be_focused()


def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until something has the focus, as a person does."""
    for _ in range(60):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {selector}")
