"""J3, morning triage: a salesperson opens the inbox, sees who waits, answers, and gets the lead off the desk.

The tests share one site and are chapters: each begins where the one before it ended.
"""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.browser import PATIENCE, Complaints, Desk, examine, post, tab
from tests.e2e.conftest import Site, StartSite, wait_until
from tests.e2e.mapping import add_offer, connect, publish, send_to
from tests.fakes.hubspot import TOKEN, FakeHubSpot

pytestmark = pytest.mark.e2e

PASSWORD = "a-good-morning-to-all"
JANE = {
    "FirstName": "Jane",
    "LastName": "Doe",
    "Email": "jane@contoso.example",
    "Phone": "+1 425 555 0134",
    "Country": "US",
    "Company": "Contoso",
}
ROW = "Jane Doe, Contoso (US), pressed Contact me for Contoso Backup on AppSource"


@pytest.fixture(scope="module")
def hubspot() -> Iterator[FakeHubSpot]:
    with FakeHubSpot() as crm:
        yield crm


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites(ALLOW_PRIVATE_DESTINATIONS="true")


@pytest.fixture(scope="module")
def monday(desk: Desk, hubspot: FakeHubSpot) -> None:
    """What the administrator set up before, and what the customer did over the weekend."""
    desk.go("Demo CRM", "Remove all demo data", "Remove all demo data")
    connect(desk, "HubSpot", {"Name": "HubSpot", "Address": hubspot.url, "Access token": TOKEN})
    urls = {}
    for title, offer_id in (("Contoso Drive", "drive"), ("Contoso Backup", "backup")):
        urls[offer_id] = add_offer(desk, title, offer_id)
        send_to(desk, title, "HubSpot")
        publish(desk)  # and say that people work on its leads here
    for name in ("charlie", "dana"):
        add_salesperson(desk, name)
    came(urls["drive"], "TestDrive", "StartTestDrive", "drive")
    came(urls["backup"], "AzureMarketplace", "INS", "backup")
    came(urls["backup"], "SPZA", "PLT", "backup", '{"utm_campaign":"spring24"}')
    wait_until(hubspot.contacts, what="Jane in HubSpot")


def add_salesperson(desk: Desk, name: str) -> None:
    desk.go("Users", "Add user")
    desk.page.get_by_label("Username").fill(name)
    desk.page.get_by_label("Sales: work on leads").check()
    desk.page.get_by_label("Password:", exact=True).fill(PASSWORD)
    desk.page.get_by_label("Password confirmation:", exact=True).fill(PASSWORD)
    desk.press("Save")


def came(url: str, source: str, action: str, offer: str, description: str = "") -> None:
    body = {
        "UserDetails": JANE,
        "LeadSource": f"{source}-{action}|contoso.{offer}",
        "ActionCode": action,
        "OfferTitle": f"Contoso {offer.title()}",
        "Description": description,
    }
    assert post(url, json.dumps(body).encode()).status_code == 201


@pytest.fixture(scope="module")
def charlie(browser: Browser, site: Site, monday: None) -> Iterator[Desk]:
    """The salesperson, at a screen of their own."""
    with tab(browser) as page:
        expect.set_options(timeout=PATIENCE)
        page.goto(site.base_url)
        page.get_by_label("Username").fill("charlie")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        yield Desk(page, Complaints(page))


def row(desk: Desk) -> Locator:
    return desk.main.get_by_role("row").filter(has_text="Contact me")


def look(desk: Desk, name: str) -> None:
    examine(desk.page, desk.complaints, f"j3-{name}")


def test_j3_the_inbox_opens_on_what_needs_whoever_opens_it(charlie: Desk) -> None:
    charlie.open("Leads")
    views = charlie.main.get_by_role("navigation", name="Views")
    expect(views.get_by_role("link", name="Needs me")).to_have_attribute("aria-current", "page")
    expect(row(charlie)).to_have_count(1)
    expect(row(charlie)).to_contain_text(ROW)
    charlie.reads_soon("3rd event from this customer")
    for words in ("just now", "Not answered, due", "In HubSpot", "campaign: spring24", "New", "Nobody's"):
        expect(row(charlie)).to_contain_text(words)
    look(charlie, "inbox")


def test_j3_the_page_tells_what_the_customer_did_before(charlie: Desk) -> None:
    row(charlie).get_by_role("link", name="Jane Doe").click()
    charlie.reads("3rd lead of this customer: same e-mail", "Not answered. Due", "In HubSpot")
    stops = charlie.main.get_by_role("region", name="Customer journey").or_(charlie.main.locator("#journey"))
    expect(stops.get_by_role("listitem")).to_contain_text(["Test drive", "Get it now", "Contact me"])
    expect(stops.get_by_role("listitem").first).to_contain_text("Contoso Drive")
    charlie.page.get_by_label("Add a note").fill("Asked for a price at the fair.")
    charlie.press("Add note")
    charlie.reads("charlie: Asked for a price at the fair.")
    look(charlie, "lead")


def test_j3_the_answer_begins_with_the_text_for_contact_me_and_stops_the_clock(charlie: Desk) -> None:
    charlie.press("Answer by e-mail")
    expect(charlie.page.get_by_label("Subject")).to_have_value("Your request about Contoso Backup")
    text = charlie.page.get_by_label("Text", exact=False).last
    assert text.input_value().startswith("Hello Jane,\n\nthank you for asking us about Contoso Backup")
    assert text.input_value().endswith("Kind regards\ncharlie")
    look(charlie, "answer")
    charlie.press("Open in your mail program")
    mail = charlie.main.get_by_role("link", name="Open in your mail program").get_attribute("href") or ""
    assert mail.startswith(
        "mailto:jane@contoso.example?subject=Your%20request%20about%20Contoso%20Backup&body=Hello%20"
    )
    look(charlie, "written")
    charlie.press("Back to the lead")
    charlie.reads("Answered just now", "charlie: Answered by e-mail. Status: New → Working")
    expect(charlie.main).not_to_contain_text("Not answered")


def test_j3_it_is_assigned_and_qualified_and_off_the_desk(charlie: Desk) -> None:
    charlie.press("Make it mine")
    charlie.reads("Owner: charlie", "Taken by charlie")
    charlie.press("Qualify")
    charlie.reads("charlie: Status: Working → Qualified")
    look(charlie, "qualified")
    charlie.open("Leads")
    expect(row(charlie)).to_have_count(0)
    charlie.main.get_by_role("navigation", name="Views").get_by_role("link", name="All").click()
    expect(row(charlie)).to_contain_text("Qualified")
    expect(row(charlie)).to_contain_text("Answered")
    look(charlie, "all")


def test_j3_a_lead_goes_to_a_colleague(charlie: Desk, desk: Desk) -> None:
    row(charlie).get_by_role("link", name="Jane Doe").click()
    charlie.page.get_by_label("Owner").select_option("dana")
    charlie.press("Save")
    charlie.reads("Owner: dana", "Owner: charlie → dana")
    assert charlie.complaints.since_last_time() == []
    assert desk.complaints.since_last_time() == []
