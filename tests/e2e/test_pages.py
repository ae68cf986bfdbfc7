"""The pages in a real browser: a story by what stands on the screen, then every page on a desk and on a phone.

The tests share one site and are chapters: each begins where the one before it ended.
"""

import json

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Complaints, Desk, examine, for_everybody, post, tab
from tests.e2e.conftest import PAYLOADS, Site, StartSite
from tests.e2e.mapping import works_here

pytestmark = [pytest.mark.e2e, pytest.mark.looks]
MENU = (
    "Home",
    "Leads",
    "Customers",
    "Quarantine",
    "Reports",
    "Exports",
    "Sendings",
    "CRM connections",
    "First steps",
    "Offers",
    "Assignment rules",
    "Answer templates",
    "Working hours",
    "Users",
    "Groups",
    "Health",
    "Settings",
    "Demo CRM",
)
MAPPING = ("Offers", "Contoso Backup (demo)", "Demo CRM", "Edit field mapping")
# By name: the entry of the menu, and the links and buttons that lead on from there.
DETAILS: dict[str, tuple[str, ...]] = {
    "lead": ("Leads", "Some One"),
    "lead-do-not-contact": ("Leads", "All", "Mia Lind"),
    "lead-export": ("Leads", "Export these"),
    "customer": ("Customers", "Some One"),
    "request": ("Quarantine", "Not JSON", "Not JSON"),  # the reason on top of the list, then a row
    "sending": ("Sendings", "Jane Doe"),
    "sending-request": ("Sendings", "Jane Doe", "Show the exact request"),
    "sending-again": ("Sendings", "Jane Doe", "Push again"),
    "replay": ("Sendings", "Replay a range"),
    "replay-estimate": ("Sendings", "Replay a range", "Estimate"),
    "connection": ("CRM connections", "Demo CRM"),
    "connection-sample": ("CRM connections", "Demo CRM", "Send one sample to this CRM"),
    "connection-kinds": ("CRM connections", "Add CRM connection"),
    "connection-new": ("CRM connections", "Add CRM connection", "Webhook"),
    "offer": ("Offers", "Contoso Backup"),
    "offer-rotate": ("Offers", "Contoso Backup", "Rotate URL"),
    "offer-revoke": ("Offers", "Contoso Backup", "Revoke it"),
    "offer-new": ("Offers", "Add offer"),
    "offer-sample": ("Offers", "Contoso Backup", "Send a sample lead"),
    "offers-many": ("Offers", "Add many offers"),
    "offers-urls": ("Offers", "All URLs"),
    "mapping-new": ("Offers", "Contoso Backup (demo)", "Send to another CRM"),
    "route": ("Offers", "Contoso Backup (demo)", "Demo CRM"),
    "mapping": MAPPING,
    "mapping-override": (*MAPPING, "Override Topic"),
    "mapping-new-row": (*MAPPING, "Add field"),
    "mapping-publish": (*MAPPING, "Leave out Phone", "Publish"),
    "mapping-history": (*MAPPING, "History"),
    "mapping-copy": (*MAPPING, "Copy from another offer"),
    "mapping-import": (*MAPPING, "Import"),
    "mapping-flow": (*MAPPING, "From a Power Automate flow"),
    "mapping-inherited": ("CRM connections", "Demo CRM", "Rows that every offer inherits"),
    "user": ("Users", "admin"),
    "user-new": ("Users", "Add user"),
    "group": ("Groups", "Sales"),
    "demo-record": ("Demo CRM", "Jane Doe"),
    "demo-removal": ("Demo CRM", "Remove all demo data"),
}


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites()


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
    desk.reads("leads start to be sent to Demo CRM", "There is no lead yet to try it on.")
    works_here(desk)
    desk.press("Publish")
    desk.reads("Published: v1 is live.")
    return copied


def lead(first_name: str) -> bytes:
    person = {"FirstName": first_name, "LastName": "Other", "Email": "other@contoso.com", "Title": "CIO"}
    return json.dumps({"UserDetails": person, "ActionCode": "PLT"}).encode()


def test_an_offer_is_connected_and_its_first_lead_reaches_the_crm(desk: Desk, url: str) -> None:
    answer = post(url, (PAYLOADS / "sample_pascal.json").read_bytes())
    assert (answer.status_code, answer.json()["status"]) == (201, "accepted")

    desk.open("Home")
    desk.reads("Some One, Contoso (US), acquired Contoso Backup on Azure Marketplace")
    desk.open("Leads")
    row = desk.main.get_by_role("row", name="Some One")
    expect(row).to_contain_text(
        "Some One, Contoso (US), acquired Contoso Backup on Azure Marketplace, just now"
    )
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
    for_everybody(desk.page)


def test_the_sign_in_page_is_whole_too(site: Site, browser: Browser) -> None:
    with tab(browser) as page:
        complaints = Complaints(page)
        page.goto(site.base_url)
        examine(page, complaints, "Sign in")
        for_everybody(page)


def test_removing_the_demo_leaves_nothing_of_it(desk: Desk, url: str) -> None:
    badge = desk.main.get_by_text("demo", exact=True)
    desk.go("Leads", "All")
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
