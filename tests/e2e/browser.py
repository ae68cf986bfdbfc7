"""A real browser for end-to-end tests: a Chromium that can reach nothing but this machine.

    with browsing() as browser, tab(browser) as page:
        page.goto(site.base_url)

Steps go by what a person sees: `page.get_by_role("button", name="Switch")`, never by ids or classes.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

DESK, PHONE = (1280, 900), (390, 844)
NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 15_000  # milliseconds; a loaded machine is slow
OPTIONS = (
    "--no-sandbox",  # Chromium's own does not start as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def chromium() -> str:
    """The path of a Chromium. Skips the test where there is none, and fails it under REQUIRE_ALL=1."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
    if found:
        return found
    missing = f"no Chromium: CHROMIUM is not set, and none of {', '.join(NAMES)} is installed"
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page with cookies of its own, as wide as a desk's screen."""
    width, height = DESK
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    context.set_default_timeout(PATIENCE)
    try:
        yield context.new_page()
    finally:
        context.close()


class Complaints:
    """What the browser holds against the pages of a tab: errors, refused resources, breaches of the policy."""

    def __init__(self, page: Page) -> None:
        self._found: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._add(error))
        page.on("requestfailed", self._on_failure)
        page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        # Chromium reports a breach of the Content-Security-Policy here too.
        if message.type == "error":
            self._add(message.text, message.location)

    def _on_failure(self, request: Request) -> None:
        # Leaving a page that still loads its icon aborts it.
        if request.failure != "net::ERR_ABORTED":
            self._add(request.url, request.failure)

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self._add(response.url, response.status)

    def _add(self, *parts: Any) -> None:
        self._found.append(" ".join(map(str, parts)))

    def since_last_time(self) -> list[str]:
        found, self._found = self._found, []
        return found
