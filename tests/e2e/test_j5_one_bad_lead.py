"""J5, one bad lead: HubSpot has lost a property, the lead's page leads to the row that names it, and the lead goes out."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Desk, examine
from tests.e2e.conftest import Site, StartSite, wait_until
from tests.e2e.mapping import add_offer, connect, lead_comes, new_row, publish, send_to
from tests.fakes.hubspot import TOKEN, FakeHubSpot

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def hubspot() -> Iterator[FakeHubSpot]:
    with FakeHubSpot() as crm:
        properties = crm.definitions["contacts"]
        properties["offer_title"] = {**properties["company"], "name": "offer_title", "label": "Offer title"}
        yield crm


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites(ALLOW_PRIVATE_DESTINATIONS="true")


@pytest.fixture(scope="module")
def url(desk: Desk, hubspot: FakeHubSpot) -> str:
    """The URL of an offer that sends to HubSpot, its title into a property made for it."""
    connect(desk, "HubSpot", {"Name": "HubSpot EU", "Address": hubspot.url, "Access token": TOKEN})
    desk.press("Test connection")
    url = add_offer(desk, "Contoso Backup", "backup")
    send_to(desk, "Contoso Backup", "HubSpot EU")
    title = new_row(desk, "Offer title")
    title.get_by_label("Lead field").select_option("Offer title")
    publish(desk)
    lead_comes(url, "Ana")
    wait_until(hubspot.contacts, what="a contact")
    return url


def look(desk: Desk, name: str) -> None:
    examine(desk.page, desk.complaints, f"j5-{name}")


def test_j5_a_refused_lead_says_which_row_is_to_blame_and_goes_out_once_that_is_changed(
    desk: Desk, url: str, hubspot: FakeHubSpot
) -> None:
    del hubspot.definitions["contacts"]["offer_title"]
    lead_comes(url, "Bea", Phone="+351 21 000 0000")
    desk.go("Leads", "Bea Silva")
    desk.reads_soon("HubSpot EU refused this lead.")
    desk.reads("HubSpot has no such property", "change its row of the field mapping. Then retry.")
    desk.reads("Send without offer_title")
    look(desk, "lead")

    desk.press("Open the row of offer_title")
    refused = desk.main.locator(":target")
    expect(refused.get_by_label("CRM field")).to_have_value(re.compile("^offer.title$", re.IGNORECASE))
    refused.get_by_label("CRM field").fill("Message")
    refused.get_by_label("How").select_option("Text with fields")
    refused.get_by_label("Text with fields").fill("Offer: {{ offer_titel }}")
    expect(refused).to_contain_text("offer_title")  # what was meant, before it is saved
    refused.get_by_label("Text with fields").fill("Offer: {{ offer_title }}")
    expect(refused).to_contain_text("Offer: Contoso Backup")
    look(desk, "row")
    publish(desk, "HubSpot lost the property offer_title")

    desk.go("Leads", "Bea Silva")
    desk.press("Retry now")
    desk.reads_soon("In HubSpot EU since")
    assert [each["message"] for each in hubspot.contacts() if each["firstname"] == "Bea"] == [
        "Offer: Contoso Backup"
    ]


def test_j5_the_history_shows_each_try_with_its_version_and_its_masked_request(desk: Desk, url: str) -> None:
    desk.go("Sendings", "Bea Silva")
    second, first = desk.main.get_by_role("listitem").filter(has_text="Try ").all()
    expect(second).to_contain_text("Try 2: Delivered.")
    expect(second).to_contain_text("Field mapping v2")
    expect(first).to_contain_text("Try 1: Rejected. HubSpot has no such property")
    expect(first).to_contain_text("Field mapping v1")
    first.get_by_text("/crm/v3/objects/contacts → 400").click()
    expect(first).to_contain_text("PROPERTY_DOESNT_EXIST")
    expect(first).to_contain_text('"offer_title"')
    expect(first).to_contain_text("authorization: ****")
    expect(desk.main).not_to_contain_text(TOKEN)
    look(desk, "history")
    assert desk.complaints.since_last_time() == []
