"""The page in a real browser, on a stand-in for the API; whatever it complains of fails the test."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright

from local.chromium import ensure_chromium
from local.processes import ProcessFailed
from tests.page import axe, facts
from tests.page.stand_in import StandIn, serving

HERE = Path(__file__).parent
VIOLATIONS = "addEventListener('securitypolicyviolation', event => console.error('CSP: ' + event.violatedDirective))"
# The browser itself says this of every answer of 400 and more, and of every lost connection.
EXPECTED = "Failed to load resource"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Installs the browser before the first test, whose time it is not to take; the fixture says why if it can't."""
    if any(HERE in item.path.parents for item in session.items):
        with suppress(ProcessFailed):
            ensure_chromium()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=10_000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=ensure_chromium())
        yield running
        running.close()


@pytest.fixture
def api() -> Iterator[StandIn]:
    with serving(StandIn(operations=facts.many(120))) as state:
        yield state


@dataclass
class Opener:
    """Opens the page, in windows of any size and kind.

    Attributes:
        complaints: What pages wrote to the console as errors, or threw.
        are_failures_expected: Whether the test makes the API fail, which the browser reports by itself.
    """

    browser: Browser
    api: StandIn
    complaints: list[str] = field(default_factory=list)
    are_failures_expected: bool = False
    _contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(
        self,
        fragment: str = "",
        *,
        width: int = 1280,
        height: int = 800,
        scheme: str = "light",
        forced: bool = False,
        uri: str | None = None,
        clock_ahead: timedelta = timedelta(0),
    ) -> Page:
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            forced_colors="active" if forced else "none",
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="Europe/Berlin",
        )
        self._contexts.append(context)
        context.set_default_timeout(15_000)
        context.add_init_script(VIOLATIONS)
        context.add_init_script(path=axe.script())
        page = context.new_page()
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.clock.install(time=datetime.now(UTC) + clock_ahead)
        page.goto(f"{uri or self.api.uri}/api/dashboard{fragment}")
        return page

    def _listen(self, message: ConsoleMessage) -> None:
        is_expected = self.are_failures_expected and EXPECTED in message.text
        if message.type in {"error", "warning"} and not is_expected:
            self.complaints.append(message.text)

    def close(self) -> None:
        """Close all windows."""
        for context in self._contexts:
            context.close()


@pytest.fixture
def visit(browser: Browser, api: StandIn) -> Iterator[Opener]:
    opener = Opener(browser, api)
    yield opener
    opener.close()
    assert opener.complaints == []
    assert api.lies == []


def rows(page: Page) -> Locator:
    """The rows of operations that are in the document."""
    return page.locator("#operations-table tbody tr:not(.away)")


def expect_loaded(page: Page, number: int) -> None:
    """Wait until so many operations are loaded; most of their rows may be put away."""
    expect(page.locator("#loaded")).to_contain_text(f"{number:,} operations loaded")


def pass_time(page: Page, seconds: int) -> None:
    """Let the page's clock go on, so that what it does now and then is done."""
    page.clock.run_for(seconds * 1000)


def expect_heard_again(page: Page) -> None:
    """The page says no more that the API can't be heard, once each question has waited and is asked again."""
    connection = page.locator("#connection")
    for _ in range(10):
        pass_time(page, 61)
        with suppress(AssertionError):
            expect(connection).to_be_hidden(timeout=1_000)
            return
    expect(connection).to_be_hidden()


def open_operation(page: Page, operation_id: str) -> Locator:
    """Open an operation by a click; returns its panel once its facts are there."""
    page.locator(f'a[data-operation="{operation_id}"]').click()
    expect(page.locator("#detail-body")).to_be_visible()
    return page.locator("#detail")
