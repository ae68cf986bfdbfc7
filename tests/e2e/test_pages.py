"""The pages in a real browser: a story by what stands on the screen, then every page on a desk and on a phone.

The tests share one site and are chapters: each begins where the one before it ended. With SCREENSHOTS=<directory>
every page is kept there as <name>-<width>.png.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.browser import DESK, PATIENCE, PHONE, Complaints, browsing, tab
from tests.e2e.conftest import Site, _sites, wait_until

pytestmark = pytest.mark.e2e
PAYLOADS = Path(__file__).resolve().parents[1] / "payloads"
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")
# The status of the page, by how many pixels it is too wide, and the text that can be read on it.
SEEN = """() => [
    performance.getEntriesByType("navigation")[0].responseStatus,
    Math.max(document.scrollingElement.scrollWidth - innerWidth, 0),
    document.body.innerText,
]"""
NEVER_SHOWN = ("django administration", "leads app", "crm_sync")
MENU = (
    "Home",
    "Leads",
    "Quarantine",
    "Sendings",
    "CRM connections",
    "Offers",
    "Users",
    "Groups",
    "Settings",
    "Demo CRM",
)
# By name: the entry of the menu, and the links and buttons that lead on from there.
DETAILS: dict[str, tuple[str, ...]] = {
    "lead": ("Leads", "Some One"),
    "lead-do-not-contact": ("Leads", "Mia Lind"),
    "request": ("Quarantine", "Not JSON"),
    "sending": ("Sendings", "Jane Doe"),
    "connection": ("CRM connections", "Demo CRM"),
    "connection-kinds": ("CRM connections", "Add CRM connection"),
    "connection-new": ("CRM connections", "Add CRM connection", "Webhook"),
    "offer": ("Offers", "Contoso Backup"),
    "offer-new": ("Offers", "Add offer"),
    "mapping-new": ("Offers", "Contoso Backup (demo)", "Send to another CRM"),
    "mapping": ("Offers", "Contoso Backup (demo)", "Demo CRM", "Save draft and preview"),
    "user": ("Users", "admin"),
    "user-new": ("Users", "Add user"),
    "group": ("Groups", "Sales"),
    "demo-record": ("Demo CRM", "Jane Doe"),
    "demo-removal": ("Demo CRM", "Remove all demo data"),
}


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


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with _sites() as start:
        yield start()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def desk(site: Site, browser: Browser) -> Iterator[Desk]:
    """Signed in with the password that the start printed."""
    with tab(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        expect.set_options(timeout=PATIENCE)
        desk = Desk(page, Complaints(page))
        page.goto(site.base_url)
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(site.password)
        page.get_by_role("button", name="Log in").click()
        desk.reads("Needs attention")
        yield desk


@pytest.fixture(scope="module")
def url(desk: Desk) -> str:
    """The URL of an offer that is added and connected by hand, as the page's own button copies it."""
    desk.open("Home")
    desk.press("Add an offer")
    desk.page.get_by_label("Title").fill("Contoso Backup")
    desk.page.get_by_label("Publisher ID").fill("contoso")
    desk.page.get_by_label("Offer ID").fill("backup")
    desk.press("Save")
    desk.reads("The offer is added, and this is its URL.", "leads only flow after publishing")
    desk.reads("No lead has ever reached this URL.", "No CRM connected yet")
    desk.main.get_by_role("button", name="Copy").click()
    expect(desk.main.get_by_role("button", name="Copied")).to_be_visible()
    copied = desk.page.evaluate("navigator.clipboard.readText()")
    expect(desk.page.get_by_label("Endpoint URL")).to_have_value(copied)

    desk.press("Send to a CRM")
    expect(desk.page.get_by_label("Offer", exact=False).first).to_contain_text("Contoso Backup")
    desk.page.get_by_label("CRM connection").select_option("Demo CRM")
    desk.press("Save")
    desk.reads("Nothing published yet", "{{ offer_title }}: {{ full_name }}")
    desk.press("Publish")
    desk.reads("Published: v1 is live.")
    return copied


def post(url: str, body: bytes) -> httpx2.Response:
    """What Microsoft does."""
    with httpx2.Client(trust_env=False) as client:
        return client.post(url, content=body, headers={"Content-Type": "application/json"})


def lead(first_name: str) -> bytes:
    person = {"FirstName": first_name, "LastName": "Other", "Email": "other@contoso.com", "Title": "CIO"}
    return json.dumps({"UserDetails": person, "ActionCode": "PLT"}).encode()


def test_an_offer_is_connected_and_its_first_lead_reaches_the_crm(desk: Desk, url: str) -> None:
    answer = post(url, (PAYLOADS / "sample_pascal.json").read_bytes())
    assert (answer.status_code, answer.json()["status"]) == (201, "accepted")

    desk.open("Home")
    desk.reads("Some One, Contoso (US) acquired Contoso Backup on Azure Marketplace")
    desk.open("Leads")
    row = desk.main.get_by_role("row", name="Some One")
    expect(row).to_contain_text("Get it now")
    expect(row).to_contain_text("New")
    desk.press("Some One")
    desk.reads_soon("In Demo CRM since")
    desk.reads("someone@contoso.com", "United States (USA)", "Esquire", "Test run through Power Automate")

    desk.open("Demo CRM")
    desk.press("Test Microsoft: Some One")
    desk.reads("someone@contoso.com", "United States", "Esquire", "16175555555")
    desk.go("Offers", "Contoso Backup")
    desk.reads("Live: real leads arrive.")
    assert desk.complaints.since_last_time() == []


def test_the_faqs_broken_sample_waits_in_quarantine_with_its_line_and_column(desk: Desk, url: str) -> None:
    where = 'Line 14, column 5: a comma is missing before "Description".'
    answer = post(url, (PAYLOADS / "faq_sample_broken.json").read_bytes())
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"pointer": "", "line": 14, "column": 5, "message": where}]

    desk.open("Home")
    desk.reads("1 request arrived and could not be read: a lead may be in there.")
    desk.press("Open quarantine")
    row = desk.main.get_by_role("row", name=where)
    expect(row).to_contain_text("Contoso Backup")
    row.get_by_role("link", name="Not JSON").click()
    desk.reads(where, '"MSFT_TEST_636573304831318844@test.com"', "Posted to the endpoint URL")
    assert desk.complaints.since_last_time() == []


def switch(desk: Desk, behaviour: str) -> None:
    desk.open("Demo CRM")
    desk.page.get_by_role("radio", name=behaviour).check()
    desk.press("Switch")
    desk.reads("The demo CRM is switched to", f"Now: {behaviour}")


def test_a_crm_that_refuses_a_field_says_so_in_words_until_it_is_mended(desk: Desk, url: str) -> None:
    switch(desk, "Refuses a field")
    assert post(url, lead("Ann")).status_code == 201
    desk.open("Sendings")
    desk.reads_soon("Refused by Demo CRM")
    desk.press("Ann Other")
    desk.reads("Demo CRM refused this lead.", "The demo CRM has no field job_title.", "Then retry.")

    assert post(url, lead("Bob")).status_code == 201
    desk.open("Sendings")
    desk.reads_soon("Held: field mapping is broken")
    desk.open("Home")
    desk.reads("is broken at the field job_title", "It holds 2 leads.")
    desk.press("Mend the field mapping")
    desk.reads("Broken at the field job_title.", "It holds 2 leads; none is lost.")

    switch(desk, "Works")
    desk.go("Sendings", "Bob Other")
    desk.reads("Held: the field mapping is broken.")
    desk.press("Retry now")
    desk.reads("It is tried again now, with all its tries before it.")
    desk.reads_soon("In Demo CRM since")
    desk.reads("Try 2: Delivered.", "Try 1: Rejected.")
    desk.go("Sendings", "Ann Other")
    desk.reads_soon("In Demo CRM since")  # what the mapping held follows by itself
    desk.open("Home")
    expect(desk.main).not_to_contain_text("broken")
    assert desk.complaints.since_last_time() == []


@pytest.mark.parametrize("name", [*MENU, *DETAILS])
def test_every_page_is_whole_on_a_desk_and_on_a_phone(name: str, desk: Desk, url: str) -> None:
    desk.go(*DETAILS.get(name, (name,)))
    examine(desk.page, desk.complaints, name)


def test_the_sign_in_page_is_whole_too(site: Site, browser: Browser) -> None:
    with tab(browser) as page:
        complaints = Complaints(page)
        page.goto(site.base_url)
        examine(page, complaints, "Sign in", headings=0)


def examine(page: Page, complaints: Complaints, name: str, headings: int = 1) -> None:
    """Whatever is wrong with the page, in a window as wide as a desk's screen or a phone's, fails and names the width."""
    wrong = {}
    for width, height in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": height})
        status, too_wide, text = page.evaluate(SEEN)
        found = {
            "complaints": complaints.since_last_time(),
            "status": status,
            "too wide": too_wide,
            "h1": page.get_by_role("heading", level=1).count(),
            "insides": [word for word in NEVER_SHOWN if word in text.casefold()],
        }
        if found != {"complaints": [], "status": 200, "too wide": 0, "h1": headings, "insides": []}:
            wrong[f"{width} px"] = found
        if SCREENSHOTS:
            file = f"{name.casefold().replace(' ', '-')}-{width}.png"
            # What hides the caret is an inline style, which our policy refuses.
            page.screenshot(path=Path(SCREENSHOTS) / file, full_page=True, caret="initial")
    page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
    assert wrong == {}


def test_removing_the_demo_leaves_nothing_of_it(desk: Desk, url: str) -> None:
    badge = desk.main.get_by_text("demo", exact=True)
    desk.open("Leads")
    expect(badge.first).to_be_visible()

    desk.go("Demo CRM", "Remove all demo data")
    desk.reads("This goes, and cannot be brought back:", "3 leads of your own offers")
    desk.press("Remove all demo data")
    desk.reads("The demo is removed")
    for entry in ("Quarantine", "Sendings", "CRM connections", "Offers", "Home", "Leads"):
        desk.open(entry)
        assert badge.all_inner_texts() == [], entry
    desk.reads("Some One", "Waiting: no CRM connected")
    expect(desk.main).not_to_contain_text("Jane Doe")
    desk.open("Demo CRM")  # its own page keeps the badge, and nothing else
    desk.reads("No records yet.")
    expect(desk.main.get_by_role("link", name="Remove all demo data")).to_have_count(0)
    assert desk.complaints.since_last_time() == []
