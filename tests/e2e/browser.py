"""A real browser for end-to-end tests: a Chromium that can reach nothing but this machine.

    with browsing() as browser, tab(browser) as page:
        page.goto(site.base_url)

Steps go by what a person sees: `page.get_by_role("button", name="Switch")`, never by ids or classes. The fixture `desk`
is a tab in which `admin` has signed in to `site`; its methods are such steps. With SCREENSHOTS=<directory> every page
that is examined is kept there as <name>-<width>-<light or dark>.png.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from django.db import connection
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.e2e.conftest import Site, wait_until

DESK, PHONE = (1280, 900), (390, 844)
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
NAMES = ("chromium", "chromium-browser", "google-chrome")
# The status of the page, by how many pixels it is too wide, and the text that can be read on it.
SEEN = """() => [
    performance.getEntriesByType("navigation")[0].responseStatus,
    Math.max(document.scrollingElement.scrollWidth - innerWidth, 0),
    document.body.innerText,
]"""
# What has more to show than it shows, and cannot be scrolled; but what is for screen readers alone is meant to be so.
CUT = """() => {
    const clips = element => ["hidden", "clip"].includes(getComputedStyle(element).overflowX);
    const spoken = element => element && (element.clientWidth === 1 && clips(element) || spoken(element.parentElement));
    return [...document.querySelectorAll("main *:not(svg, svg *, input, select, textarea)")]
        .filter(element => element.scrollWidth > element.clientWidth + 1 && clips(element) && !spoken(element))
        .map(element => element.outerHTML.slice(0, 200));
}"""
NEVER_SHOWN = ("django administration", "leads app", "crm_sync")
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
    context = browser.new_context(**{"viewport": {"width": width, "height": height}, **options})
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


@dataclass(frozen=True)
class Desk:
    """Who sits there sees a page, and the browser tells what it holds against it."""

    page: Page
    complaints: Complaints

    @property
    def main(self) -> Locator:
        return self.page.get_by_role("main")

    def open(self, entry: str) -> None:
        with self.page.expect_event("load"):
            self.page.get_by_role("navigation", name="Menu").get_by_role(
                "link", name=entry, exact=True
            ).click()

    def go(self, *names: str) -> None:
        """Follow an entry of the menu, then links or buttons by their names."""
        entry, *further = names
        self.open(entry)
        for name in further:
            self.press(name)

    def press(self, name: str) -> None:
        """Press the first link or button of that name, and wait for the page that it leads to."""
        found = self.main.get_by_role("link", name=name).or_(self.main.get_by_role("button", name=name))
        with self.page.expect_event("load"):
            found.first.click()

    def reads(self, *texts: str) -> None:
        """Each text can be read on the page."""
        for text in texts:
            expect(self.main).to_contain_text(text)

    def reads_soon(self, text: str) -> None:
        """The text comes up on the page, loaded again until the worker is done."""
        found = self.main.get_by_text(text)
        wait_until(lambda: self.page.reload() and found.count(), what=f"“{text}”")


@contextmanager
def signed_in(browser: Browser, site: Site) -> Iterator[Desk]:
    """Who signed in with the password that the start printed."""
    with tab(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        expect.set_options(timeout=PATIENCE)
        desk = Desk(page, Complaints(page))
        page.goto(site.base_url)
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(site.password)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1, name="Home")).to_be_visible()
        yield desk


def examine(page: Page, complaints: Complaints, name: str, *, status: int = 200) -> None:
    """Whatever is wrong with the page, in a window as wide as a desk's screen or a phone's, fails and names the width."""
    _look(page, name, lambda: _seen(page, complaints, status), SCHEMES[:1])  # of which colours change nothing


def for_everybody(page: Page, complaints: Complaints, name: str, *, status: int = 200) -> None:
    """As `examine`; and whatever axe finds, or is cut off where nobody can scroll to it, fails too."""
    from tests.e2e.accessibility import (  # not everybody who has a browser has it
        ABOUT_COLOURS,
        RULES,
        barriers,
    )

    def wrong() -> dict[str, Any]:
        in_light = not page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        return {
            **_seen(page, complaints, status),
            "keeps out": barriers(page, RULES if in_light else ABOUT_COLOURS),
            "cut": page.evaluate(CUT),
        }

    _look(page, name, wrong)


def _look(
    page: Page, name: str, wrong: Callable[[], dict[str, Any]], schemes: Sequence[Scheme] = SCHEMES
) -> None:
    """Ask what is wrong at both widths, in light and dark, and keep a picture of each."""
    if connection.vendor == "postgresql":
        return  # what a browser makes of a page was said on SQLite
    found = {}
    for (width, height), scheme in product((DESK, PHONE), schemes):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if here := {what: value for what, value in wrong().items() if value}:
            found[f"{width} px, {scheme}"] = here
        if directory := os.environ.get("SCREENSHOTS"):
            file = f"{name.casefold().replace(' ', '-')}-{width}-{scheme}.png"
            # What hides the caret is an inline style, which our policy refuses.
            page.screenshot(path=Path(directory) / file, full_page=True, caret="initial")
    _at_the_desk(page)
    assert found == {}, json.dumps(found, indent=1, default=str)


def _seen(page: Page, complaints: Complaints, wanted: int) -> dict[str, Any]:
    status, too_wide, text = page.evaluate(SEEN)
    headings = page.get_by_role("heading", level=1).count()
    return {
        "complaints": [
            said for said in complaints.since_last_time() if wanted == 200 or str(wanted) not in said
        ],
        "status": status if status != wanted else None,
        "too wide": too_wide,
        "headings": headings if headings != 1 else None,
        "insides": [word for word in NEVER_SHOWN if word in text.casefold()],
    }


def _at_the_desk(page: Page) -> None:
    page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
    page.emulate_media(color_scheme="light", reduced_motion="reduce")


def post(url: str, body: bytes) -> httpx2.Response:
    """What Microsoft does."""
    with httpx2.Client(trust_env=False) as client:
        return client.post(url, content=body, headers={"Content-Type": "application/json"})
