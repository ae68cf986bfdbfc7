"""A salesperson's way from lead to lead in a real browser, by keyboard, and back to the list they came from.

The demo's leads are there already; the tests are chapters on one site.
"""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Desk, examine, for_everybody, post, tab
from tests.e2e.conftest import Site, StartSite

pytestmark = [pytest.mark.e2e, pytest.mark.looks]
WHO = ("Ada", "Ben", "Cleo")


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites()


@pytest.fixture(scope="module")
def desk_with_leads(desk: Desk, site: Site) -> Desk:
    """Three leads of one company, the last the newest, each sent to the demo CRM."""
    for name in WHO:
        person = {"FirstName": name, "LastName": "Moss", "Phone": "+44 20 7946 0000", "Company": "Moss Ltd"}
        body = {"UserDetails": person, "ActionCode": "PLT", "Description": f"{name} asks for a call."}
        answer = post(f"{site.base_url}{site.path}", json.dumps(body).encode())
        assert answer.status_code == 201
    return desk


def by_keyboard(desk: Desk, name: str) -> None:
    link = desk.main.get_by_role("link", name=name)
    link.focus()
    with desk.page.expect_event("load"):
        desk.page.keyboard.press("Enter")


def test_previous_and_next_lead_through_the_list_by_keyboard(desk_with_leads: Desk) -> None:
    desk = desk_with_leads
    desk.open("Leads")
    desk.page.goto(f"{desk.page.url.partition('?')[0]}?q=Moss")
    for name in ("Ada Moss", "Ben Moss", "Cleo Moss"):
        desk.reads_soon(name)  # a search finds a lead once the worker has seen it
    desk.press("Ben Moss")
    expect(desk.main.get_by_role("heading", level=1)).to_have_text("Ben Moss")
    by_keyboard(desk, "Next")
    expect(desk.main.get_by_role("heading", level=1)).to_have_text("Ada Moss")
    expect(desk.main.get_by_role("link", name="Next")).to_have_count(0)
    by_keyboard(desk, "Previous")
    by_keyboard(desk, "Previous")
    expect(desk.main.get_by_role("heading", level=1)).to_have_text("Cleo Moss")
    expect(desk.main.get_by_role("link", name="Previous")).to_have_count(0)
    by_keyboard(desk, "Back to the list")
    assert desk.page.url.endswith("?q=Moss"), "the list is as it was left"
    assert desk.complaints.since_last_time() == []


def test_a_lead_that_arrived_is_pushed_again_and_stays_one(desk_with_leads: Desk) -> None:
    desk = desk_with_leads
    desk.go("Leads", "Cleo Moss")
    desk.reads("Cleo asks for a call.", "there, ", "+44 20 7946 0000")
    desk.reads_soon("In Demo CRM since")
    desk.press("Push again")
    desk.reads("under the same key as before", "and no second record can have it", "Cleo asks for a call.")
    desk.press("Push again")
    desk.reads("It goes to Demo CRM once more now.")
    desk.reads_soon("no second record was made")
    desk.reads("Demo CRM, admin: Pushed again.")
    examine(desk.page, desk.complaints, "lead-pushed-again")


def test_the_original_is_copied_and_downloaded_as_it_came(desk_with_leads: Desk) -> None:
    desk = desk_with_leads
    desk.go("Leads", "Ada Moss")
    desk.main.get_by_text("Original request").click()
    desk.main.get_by_role("button", name="Copy").click()
    expect(desk.main.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(desk.page.evaluate("navigator.clipboard.readText()"))
    assert copied["UserDetails"]["FirstName"] == "Ada"
    with desk.page.expect_download() as download:
        desk.main.get_by_role("link", name="Download it, byte for byte").click()
    assert json.loads(Path(download.value.path()).read_bytes()) == copied
    assert desk.complaints.since_last_time() == []


def test_everybody_can_use_the_page(desk_with_leads: Desk) -> None:
    desk = desk_with_leads
    desk.go("Leads", "Ada Moss")
    desk.main.get_by_text("Original request").click()
    for_everybody(desk.page, desk.complaints, "lead-with-its-original")


def test_without_scripts_everything_is_there_but_the_copy_button(
    desk_with_leads: Desk, browser: Browser, site: Site
) -> None:
    desk_with_leads.go("Leads", "Ben Moss")
    address = desk_with_leads.page.url
    with tab(
        browser, java_script_enabled=False, storage_state=desk_with_leads.page.context.storage_state()
    ) as page:
        page.goto(address)
        page.get_by_text("Original request").click()
        expect(page.get_by_text('"FirstName": "Ben"').first).to_be_visible()
        expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        page.get_by_label("Add a note").fill("Called.")
        page.get_by_role("button", name="Add note").click()
        expect(page.get_by_text("admin: Called.")).to_be_visible()
