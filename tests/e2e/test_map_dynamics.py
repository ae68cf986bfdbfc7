"""Somebody who knows their CRM and has never seen this maps a new offer to Dynamics 365: by visible labels alone.

Each thing that they do, a click, a text, a choice, is counted; the end of the test run tells how many it took.
"""

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.browser import Complaints, tab
from tests.e2e.conftest import Site, StartSite, wait_until
from tests.e2e.mapping import lead_comes
from tests.fakes.dynamics365 import CLIENT, SECRET, TENANT, FakeDynamics365

pytestmark = [pytest.mark.e2e, pytest.mark.looks]

MOST_ACTIONS, MOST_SECONDS = 40, 300


class Newcomer:
    """Acts on what can be seen, found by its words: a row by its label, then what is in it."""

    def __init__(self, page: Page) -> None:
        self.page, self.actions = page, 0

    def press(self, name: str) -> None:
        link = self.page.get_by_role("link", name=name, exact=True)
        self._act(link.or_(self.page.get_by_role("button", name=name, exact=True)).first.click)

    def fill(self, label: str, text: str, within: Locator | None = None) -> None:
        self._act(lambda: (within or self.page).get_by_label(label).fill(text))

    def choose(self, label: str, option: str, within: Locator | None = None) -> None:
        self._act(lambda: (within or self.page).get_by_label(label).select_option(label=option))

    def tick(self, label: str) -> None:
        self._act(self.page.get_by_label(label, exact=True).check)

    def unfold(self, name: str, within: Locator) -> None:
        self._act(within.get_by_text(name, exact=True).click)

    def _act(self, action: Callable[[], object]) -> None:
        self.actions += 1
        action()

    def reads(self, *texts: str) -> None:
        for text in texts:
            expect(self.page.get_by_role("main")).to_contain_text(text)

    def row(self, label: str) -> Locator:
        return self.page.get_by_role("group", name=label)


@pytest.fixture
def crm() -> Iterator[FakeDynamics365]:
    with FakeDynamics365() as crm:
        yield crm


@pytest.fixture
def newcomer(start_site: StartSite, browser: Browser) -> Iterator[tuple[Newcomer, Site]]:
    site = start_site(ALLOW_PRIVATE_DESTINATIONS="true")
    expect.set_options(timeout=15_000)
    with tab(browser) as page:
        complaints = Complaints(page)
        page.goto(site.base_url)
        yield Newcomer(page), site
        assert complaints.since_last_time() == []


def test_an_offer_is_mapped_to_dynamics_365_in_at_most_forty_actions(
    newcomer: tuple[Newcomer, Site], crm: FakeDynamics365, record_property: Callable[[str, object], None]
) -> None:
    somebody, site = newcomer
    started = time.monotonic()
    somebody.fill("Username", "admin")
    somebody.fill("Password", site.password)
    somebody.press("Log in")

    somebody.press("CRM connections")
    somebody.press("Add CRM connection")
    somebody.press("Dynamics 365 Sales")
    somebody.fill("Name", "Dynamics 365")
    somebody.fill("Environment address", crm.url)
    somebody.fill("Directory (tenant) ID", TENANT)
    somebody.fill("Application (client) ID", CLIENT)
    somebody.fill("Client secret", SECRET)
    somebody.fill("Sign-in address", crm.url)
    somebody.press("Save")
    somebody.press("Test connection")
    somebody.reads("fields of the CRM were read; the field mapping offers them.")

    somebody.press("Offers")
    somebody.press("Add offer")
    somebody.fill("Title", "Contoso Backup")
    somebody.fill("Publisher ID", "contoso")
    somebody.fill("Offer ID", "backup")
    somebody.press("Save")
    url = somebody.page.get_by_label("Endpoint URL").input_value()
    for name, phone in {"Ana": "(425) 555-0100", "Bea": "(425) 555-0101"}.items():
        lead_comes(url, name, Phone=phone, Country="US", Company="Fabrikam")

    somebody.press("Send to a CRM")
    somebody.choose("CRM connection", "Dynamics 365")
    somebody.press("Save")
    somebody.reads("Topic required inherited", "Required and not mapped: none.", "Contoso Backup: Bea Silva")

    # The country in full, the number as the telephone system wants it, a rating, and nothing about partners.
    somebody.press("Override Country/Region")
    country = somebody.row("Country/Region")
    somebody.choose("How", "Value list", country)
    somebody.fill("To, for US", "United States", country)
    expect(country).to_contain_text("United States")
    somebody.press("Override Business Phone")
    phone = somebody.row("Business Phone")
    somebody.unfold("More", phone)
    somebody.choose("Transform", "Phone number as +14255550100", phone)
    expect(phone).to_contain_text("+14255550101")
    somebody.press("Add field")
    rating = somebody.row("Row 3")
    somebody.fill("CRM field", "Rating", rating)
    somebody.choose("How", "Fixed value", rating)
    somebody.fill("Fixed value", "Hot", rating)
    expect(rating).to_contain_text("Hot (1)")
    somebody.press("Publish…")
    somebody.reads("Tried on the last 2 leads", "None would fail.")
    somebody.tick("Here")
    somebody.press("Publish")
    somebody.reads("2 leads came before and were not sent to Dynamics 365")
    somebody.press("Send the 2 waiting")

    wait_until(lambda: len(crm.leads) == 2, what="both leads in the CRM")
    record_property(
        "Actions to map a new offer to Dynamics 365", f"{somebody.actions} of at most {MOST_ACTIONS}"
    )
    for each in crm.leads.values():
        assert each["subject"] == f"Contoso Backup: {each['firstname']} Silva (PLT)"
        assert (each["address1_country"], each["leadqualitycode"]) == ("United States", 1)
        assert each["telephone1"] in ("+14255550100", "+14255550101")
    assert somebody.actions <= MOST_ACTIONS
    assert time.monotonic() - started < MOST_SECONDS
