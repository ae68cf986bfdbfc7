"""J6, a malformed body: it waits in quarantine with its place, and a person who can read makes a lead of it."""

import json

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Desk, examine, post
from tests.e2e.conftest import PAYLOADS, Site, StartSite

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites()


def look(desk: Desk, name: str) -> None:
    examine(desk.page, desk.complaints, f"j6-{name}")


def row(desk: Desk, text: str, *, open_list: bool = True) -> None:
    """Open the request whose row has the text."""
    if open_list:
        desk.open("Quarantine")
    found = desk.main.get_by_role("row", name=text).first
    with desk.page.expect_event("load"):
        found.get_by_role("link").first.click()


def test_j6_the_faqs_sample_is_repaired_checked_and_released(desk: Desk, site: Site) -> None:
    where = 'Line 14, column 5: a comma is missing before "Description".'
    assert post(site.endpoint_url, (PAYLOADS / "faq_sample_broken.json").read_bytes()).status_code == 400
    desk.open("Quarantine")
    look(desk, "list")
    row(desk, where)
    desk.reads(where, "Suggested repair", 'Line 14: a comma was missing before "Description".')
    desk.reads("11 fields recognised. From the repaired text below.", "This is a test lead of Microsoft's")
    look(desk, "suggestion")
    desk.press("Check")
    desk.reads("11 fields recognised.")
    desk.press("Release")
    desk.reads("Released from quarantine, repaired")
    expect(desk.page.get_by_text("is a lead now.")).to_be_visible()
    look(desk, "lead")

    desk.open("Quarantine")
    desk.press("Released from quarantine")
    row(desk, where, open_list=False)
    desk.reads("It became a lead:", "The text that was released")
    look(desk, "released")
    assert desk.complaints.since_last_time() == []


def test_j6_what_nobody_can_guess_is_edited_by_hand(desk: Desk, site: Site) -> None:
    assert post(site.endpoint_url, b"First name: Ana, e-mail: ana@fabrikam.example").status_code == 400
    row(desk, "this is not JSON, which would begin with a brace")
    box = desk.page.get_by_label("Text to make the lead of")
    box.fill('{"FirstName": "Ana"\n "Email": "ana@fabrikam.example"}')
    desk.press("Check")
    desk.reads("This cannot be read yet.", 'Line 2, column 2: a comma is missing before "Email".')
    look(desk, "still-wrong")
    box.fill('{"FirstName": "Ana",\n "Email": "ana@fabrikam.example"}')
    desk.press("Release")
    expect(desk.page.get_by_text("Released: Ana is a lead now.")).to_be_visible()
    desk.reads("Released from quarantine, edited by hand.")
    desk.reads_soon("In Demo CRM since")


def test_j6_a_list_becomes_leads_and_what_is_no_lead_is_discarded(desk: Desk, site: Site) -> None:
    people = [{"FirstName": name, "Company": "Fabrikam", "Notes": "Call me"} for name in ("Bea", "Cleo")]
    assert post(site.endpoint_url, json.dumps(people).encode()).status_code == 400
    row(desk, "a list came")
    desk.reads(
        "2 leads recognised.",
        "this is a list of 2 leads",
        "Lead 2: 2 fields recognised, 1 that we do not know",
    )
    look(desk, "list-of-leads")
    desk.press("Release")
    desk.reads("It became these leads: Bea, Cleo")

    for number in range(3):
        assert post(site.endpoint_url, b"<html>%d</html>" % number).status_code == 400
    row(desk, "this is HTML or XML")
    desk.press("Discard")
    desk.reads("admin discarded it")
    look(desk, "discarded")
    desk.press("Put back into quarantine")
    expect(desk.page.get_by_text("Back in quarantine.")).to_be_visible()

    desk.open("Quarantine")
    desk.page.locator("#action-toggle").check()
    desk.page.get_by_label("Action:").select_option("Discard")
    desk.press("Go")
    look(desk, "discard-many")
    desk.press("Discard 4")
    expect(desk.page.get_by_text("4 requests were discarded.")).to_be_visible()
    desk.reads("Quarantine is empty")
    assert desk.complaints.since_last_time() == []
