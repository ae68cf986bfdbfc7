"""J2, a CRM is connected and an offer mapped to it: what would be sent is seen on real leads before anything is sent.

The tests are chapters: each begins where the one before it ended.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Desk, examine
from tests.e2e.conftest import Site, StartSite, wait_until
from tests.e2e.mapping import add_offer, connect, lead_comes, new_row, row, send_to, show_with, works_here
from tests.fakes.hubspot import TOKEN, FakeHubSpot

pytestmark = pytest.mark.e2e

COUNTRIES = {"Ana": "US", "Bea": "US", "Cleo": "Portugal"}


@pytest.fixture(scope="module")
def hubspot() -> Iterator[FakeHubSpot]:
    with FakeHubSpot() as crm:
        yield crm


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites(ALLOW_PRIVATE_DESTINATIONS="true")


def look(desk: Desk, name: str) -> None:
    examine(desk.page, desk.complaints, f"j2-{name}")


def test_j2_the_connection_says_who_we_are_and_what_we_may(desk: Desk, hubspot: FakeHubSpot) -> None:
    connect(desk, "HubSpot", {"Name": "HubSpot EU", "Address": hubspot.url, "Access token": "pat-na1-wrong"})
    desk.press("Test connection")
    desk.reads("HubSpot does not know this access token: enter it anew")

    desk.page.get_by_label("Access token").fill(TOKEN)
    desk.press("Save")
    desk.press("Test connection")
    desk.reads("Connected to the HubSpot account 62515", "Can create contacts: yes.")
    desk.reads(f"{len(hubspot.definitions['contacts'])} fields of the CRM were read")
    assert not hubspot.contacts()
    look(desk, "connection")


def test_j2_the_suggested_mapping_is_filled_in_and_shows_real_leads(desk: Desk, hubspot: FakeHubSpot) -> None:
    url = add_offer(desk, "Contoso Backup", "backup")
    for name, country in COUNTRIES.items():
        lead_comes(url, name, Country=country, Company="Fabrikam", Title="CIO")
    desk.page.reload()
    desk.reads("No CRM connected yet", "3 wait now.")
    send_to(desk, "Contoso Backup", "HubSpot EU")

    desk.reads("suggested for HubSpot", "Required and not mapped: none.")
    expect(row(desk, "Email")).to_contain_text("cleo@fabrikam.example")
    expect(row(desk, "Title of the note or lead record")).to_contain_text("Contoso Backup: Cleo Silva")
    offered = desk.page.locator("datalist option")
    for label, facts in {"Lead status": "hs_lead_status, choice", "Number of employees": "number"}.items():
        expect(offered.and_(desk.page.locator(f'[value="{label}"]'))).to_contain_text(facts)
    show_with(desk.page, "Ana Silva")
    expect(row(desk, "Email")).to_contain_text("ana@fabrikam.example")
    desk.press("Next lead")
    expect(row(desk, "Email")).not_to_contain_text("ana@fabrikam.example")
    look(desk, "suggested")
    assert not hubspot.contacts()


def test_j2_a_value_list_translates_and_a_text_for_a_picklist_is_warned_of(desk: Desk) -> None:
    show_with(desk.page, "Ana Silva")
    desk.press("Override Country/Region")
    country = row(desk, "Country/Region")
    country.get_by_label("How").select_option("Value list")
    country.get_by_label("Lead field").select_option(label="Country, as sent: Portugal")
    expect(country.get_by_label("From: US, seen in 2 leads")).to_have_value("US")
    country.get_by_label("To, for US").fill("United States")
    expect(country).to_contain_text("United States")
    expect(country).to_contain_text("Not in the value list: “Portugal”. They count as empty.")
    country.get_by_label("If empty, send").fill("Elsewhere")
    expect(country).not_to_contain_text("Not in the value list")

    status = new_row(desk, "Lead status")
    status.get_by_label("Lead field").select_option("Job title: CIO")
    expect(status).to_contain_text("2 choices")
    expect(status).to_contain_text("“CIO” is none of the choices of “Lead status”.")
    desk.press("Preview")
    look(desk, "warned")
    status = row(desk, "Lead status")
    expect(status.locator("option").filter(has_text="UNQUALIFIED")).to_have_attribute("value", "Unqualified")
    status.get_by_label("How").select_option("Fixed value")
    status.get_by_label("Fixed value").fill("New")
    expect(status).to_contain_text("NEW")


def test_j2_the_first_version_is_published_and_sends_the_leads_that_wait(
    desk: Desk, hubspot: FakeHubSpot
) -> None:
    desk.press("Publish…")
    desk.reads("leads start to be sent to HubSpot EU", "“Country/Region” gets Country", "None would fail.")
    look(desk, "publish")
    desk.reads("Where do people work on the leads of Contoso Backup?")
    works_here(desk)
    desk.press("Publish")
    expect(desk.page.get_by_text("Published: v1 is live.")).to_be_visible()
    desk.reads("3 leads came before and were not sent to HubSpot EU", "Bea Silva")
    assert not hubspot.contacts()
    look(desk, "question")
    desk.press("Send the 3 waiting")

    wait_until(lambda: len(hubspot.contacts()) == 3, what="three contacts")
    got = {each["firstname"]: (each["country"], each["hs_lead_status"]) for each in hubspot.contacts()}
    expected = {"Ana": "United States", "Bea": "United States", "Cleo": "Elsewhere"}
    assert got == {name: (country, "NEW") for name, country in expected.items()}
    desk.go("Leads", "Cleo Silva")
    desk.reads_soon("In HubSpot EU since")
    assert desk.complaints.since_last_time() == []
