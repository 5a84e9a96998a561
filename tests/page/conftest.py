"""The page in a real browser, on a stand-in for the API; whatever it complains of fails the test."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Route, expect, sync_playwright

from local.chromium import ensure_chromium
from local.page_check import checks as page_check
from tests.page import axe, facts
from tests.page.stand_in import StandIn, serving
from tests.support.beforehand import install_beforehand

HERE = Path(__file__).parent
VIOLATIONS = "addEventListener('securitypolicyviolation', event => console.error('CSP: ' + event.violatedDirective))"
# The browser itself says this of every answer of 400 and more, and of every lost connection.
EXPECTED = "Failed to load resource"
# Reached by a failure alone: the machine may have much else to do.
WAIT_MS = 60_000
START_MS = 100_000
# Less than the page waits for an answer, or for its next try: whatever it asks is answered before more time passes.
STEP_SECONDS = 5
COUNT_AWAITED = """(() => {
  const { fetch, setTimeout } = window;
  let awaited = 0;
  const done = () => void (awaited -= 1);
  window.fetch = async (...request) => {
    awaited += 1;
    try {
      const response = await fetch(...request);
      if (response.type === "opaqueredirect") done();
      else response.text = () => Response.prototype.text.call(response).finally(done);
      return response;
    } catch (error) {
      done();
      throw error;
    }
  };
  window.allAnswered = async (most) => {
    let isLate = false;
    setTimeout(() => void (isLate = true), most);
    do {
      if (isLate) throw Error(`${awaited} answers did not come`);
      // An answer may lead to the next question at once: the page has its turn first.
      await new Promise((turn) => setTimeout(turn));
    } while (awaited);
  };
})()"""
"""Counts what the page has asked and has not read the answer of."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Installs the browser, and what looks at the page and at its files, before the first test."""
    install_beforehand(session, [HERE], axe.script, ensure_chromium, page_check.ensure_installed)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=ensure_chromium(), timeout=START_MS)
        yield running
        running.close()


@pytest.fixture
def api() -> Iterator[StandIn]:
    with serving(StandIn(operations=facts.many(120))) as state:
        yield state


@dataclass
class Opener:
    """Opens the page, in windows of any size and kind.

    Its clock stands still but for the time that a test lets pass: what the page does now and then is done then alone.

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
        is_live: bool = False,
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
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(VIOLATIONS)
        context.add_init_script(COUNT_AWAITED)
        context.add_init_script(axe.script())
        page = context.new_page()
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        now = datetime.now(UTC) + clock_ahead
        page.clock.install(time=now - timedelta(minutes=1))
        page.clock.pause_at(now)
        if is_live:
            page.clock.resume()
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


def expect_answered(page: Page) -> None:
    """Wait until all that the page has asked is answered, and the answers are read."""
    page.evaluate("most => allAnswered(most)", WAIT_MS)


def pass_time(page: Page, seconds: int, step: int = STEP_SECONDS) -> None:
    """Let the page's clock go on, so that what it does now and then is done; each answer comes within a step."""
    expect_answered(page)
    for passed in range(0, seconds, step):
        page.clock.run_for(min(step, seconds - passed) * 1000)
        expect_answered(page)


def hold(page: Page, pattern: str | re.Pattern[str], times: int = 1) -> list[Route]:
    """Hold so many requests of a pattern back; what is done with each is the test's."""
    held: list[Route] = []
    page.route(pattern, lambda route: held.append(route), times=times)  # noqa: PLW0108, Playwright marks what it is given
    return held


def expect_held(page: Page, held: list[Route], number: int = 1) -> None:
    """Wait until so many requests are held back."""
    ends = time.monotonic() + WAIT_MS / 1000
    while len(held) < number:
        assert time.monotonic() < ends, f"{len(held)} requests came, not {number}"
        page.wait_for_timeout(10)


def open_operation(page: Page, operation_id: str) -> Locator:
    """Open an operation by a click; returns its panel once its facts are there."""
    page.locator(f'a[data-operation="{operation_id}"]').click()
    expect(page.locator("#detail-body")).to_be_visible()
    return page.locator("#detail")
