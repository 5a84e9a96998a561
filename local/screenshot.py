"""`python -m local.screenshot URL`: pictures of the dashboard of an app that runs, such as that of `./dev demo --open`.

Those of the README are of a made-up day: `./dev screenshot`.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as BrowserFailed

from local.chromium import ensure_chromium
from local.processes import REPOSITORY, ProcessFailed

FOLDER = REPOSITORY / "docs" / "images"
WIDTH, HEIGHT = 1360, 940
MOST_BYTES = 300_000
FAILED = re.compile(r"Partially succeeded.*Weather", re.DOTALL)
"""What stands in the row of the operation that is opened: it has something to redrive."""
SETTLED = "#operations[aria-busy='false']"
SCHEMES: tuple[tuple[Literal["light", "dark"], str], ...] = (("light", "dashboard.png"), ("dark", "dashboard-dark.png"))


def main() -> int:
    """Renews the pictures.

    Returns:
        The exit status: 1 where the page or a browser can't be had.
    """
    parser = argparse.ArgumentParser(description="Takes pictures of a dashboard.")
    parser.add_argument("url", help="the dashboard's, as ./dev demo --open prints it")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the pictures go")
    arguments = parser.parse_args()
    try:
        take(arguments.url, arguments.to)
    except (BrowserFailed, ProcessFailed) as error:
        print(f"local.screenshot: {error}", file=sys.stderr)
        return 1
    return 0


def take(url: str, folder: Path, period: str = "hour") -> None:
    """Takes the pictures, light and dark.

    Args:
        url: The dashboard's; an operation on the table Weather that failed in part is opened.
        folder: Where they go.
        period: What is shown: the last hour, day or week.

    Raises:
        ProcessFailed: There is no browser, or a picture is too large for a README.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=ensure_chromium())
        for scheme, name in SCHEMES:
            picture = _picture(browser, f"{url}#period={period}&table=Weather", scheme)
            if len(picture) > MOST_BYTES:
                raise ProcessFailed(f"{name} has {len(picture):,} bytes, more than {MOST_BYTES:,}")
            (folder / name).write_bytes(picture)
            print(f"{folder / name}: {len(picture):,} bytes")


def _picture(browser: Browser, url: str, scheme: Literal["light", "dark"]) -> bytes:
    page = browser.new_page(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, reduced_motion="reduce", locale="en-GB"
    )
    page.goto(url)
    page.wait_for_selector(SETTLED)
    page.wait_for_selector("#failures-table tbody tr")
    page.locator("#operations-table tbody tr", has_text=FAILED).first.locator("a").click()
    page.wait_for_selector("#errors li")
    page.evaluate("scrollTo(0, 0)")
    return page.screenshot()


if __name__ == "__main__":
    sys.exit(main())
