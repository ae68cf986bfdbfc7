"""J8, a mapping is changed in safety: what differs is said in words, tried on the last leads, and taken back in one click.

The tests are chapters: each begins where the one before it ended.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.browser import Desk, examine
from tests.e2e.conftest import Site, StartSite, wait_until
from tests.e2e.mapping import (
    add_offer,
    connect_dynamics,
    lead_comes,
    new_row,
    publish,
    row,
    send_to,
)
from tests.fakes.dynamics365 import FakeDynamics365

pytestmark = pytest.mark.e2e

LEADS, WITH_EXTENSION = 20, 2
PHONE, EXTENSION = "(425) 555-0100", ", extension 12345"


@pytest.fixture(scope="module")
def crm() -> Iterator[FakeDynamics365]:
    with FakeDynamics365() as crm:
        yield crm


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites(ALLOW_PRIVATE_DESTINATIONS="true")


@pytest.fixture(scope="module")
def url(desk: Desk, crm: FakeDynamics365) -> str:
    """The URL of an offer whose mapping is at v3, and to which twenty leads came."""
    connect_dynamics(desk, crm)
    url = add_offer(desk, "Contoso Backup", "backup")
    send_to(desk, "Contoso Backup", "Dynamics 365")
    new_row(desk, "Rating").get_by_label("How").select_option("Fixed value")
    desk.press("Preview")
    for rating in ("Cold", "Hot", "Warm"):
        row(desk, "Rating").get_by_label("Fixed value").fill(rating)
        publish(desk, f"Rating {rating}")
    for number in range(LEADS):
        phone = PHONE + (EXTENSION if number < WITH_EXTENSION else "")
        lead_comes(url, f"Ana{number}", Phone=phone, Country="US", Company="Fabrikam")
    wait_until(lambda: len(crm.leads) == LEADS, what="all leads in the CRM")
    return url


def look(desk: Desk, name: str) -> None:
    examine(desk.page, desk.complaints, f"j8-{name}")


def section(desk: Desk, heading: str) -> Locator:
    return desk.main.locator("section").filter(has=desk.page.get_by_role("heading", name=heading))


def open_mapping(desk: Desk) -> None:
    desk.go("Offers", "Contoso Backup", "Field mapping:")


@pytest.mark.usefixtures("url")
def test_j8_a_draft_is_told_in_words_and_tried_on_the_last_leads_before_it_is_live(
    desk: Desk, crm: FakeDynamics365
) -> None:
    open_mapping(desk)
    desk.press("Override Business Phone")
    phone = row(desk, "Business Phone")
    phone.get_by_text("More", exact=True).click()
    phone.get_by_label("Transform").select_option("Phone number as +14255550100")
    expect(phone).to_contain_text("+14255550100")
    new_row(desk, "Mobile Phone").get_by_label("Lead field").select_option("phone")
    desk.press("Save draft")
    desk.reads("Draft of v4 · live v3")
    assert {each["telephone1"] for each in crm.leads.values()} == {PHONE, PHONE + EXTENSION}

    desk.press("Publish…")
    desk.reads("“Business Phone” gets Phone (Phone number as +14255550100)", "“Mobile Phone” gets Phone")
    desk.reads(
        f"Tried on the last {LEADS} leads", f"{WITH_EXTENSION} would fail", "characters; the CRM allows 20"
    )
    look(desk, "two-would-fail")
    desk.press("“Mobile Phone” gets Phone")
    mobile = row(desk, "Mobile Phone")
    mobile.get_by_label("How").select_option("Text with fields")
    mobile.get_by_label("Text with fields").fill("{{ phone | truncate: 20 }}")
    desk.press("Publish…")
    desk.reads("None would fail.")
    desk.page.get_by_label("What changed, and why").fill("Sales calls mobiles")
    desk.press("Publish")
    expect(desk.page.get_by_text("Published: v4 is live.")).to_be_visible()
    desk.reads("Sales calls mobiles")


def test_j8_an_earlier_version_is_brought_back_in_one_click_and_each_try_names_its_own(
    desk: Desk, url: str, crm: FakeDynamics365
) -> None:
    lead_comes(url, "Bea", Phone=PHONE, Country="US", Company="Fabrikam")
    wait_until(lambda: len(crm.leads) > LEADS, what="the lead in the CRM")
    open_mapping(desk)
    desk.press("History")
    expect(section(desk, "v4")).to_contain_text("by admin: Sales calls mobiles")
    expect(section(desk, "v2")).to_contain_text("“Rating” now is always “Hot”")
    look(desk, "history")
    desk.press("Restore v3")
    expect(desk.page.get_by_text("Live again: v3, as v5.")).to_be_visible()
    lead_comes(url, "Cleo", Phone=PHONE, Country="US", Company="Fabrikam")
    wait_until(lambda: len(crm.leads) > LEADS + 1, what="the lead in the CRM")

    got = {each["firstname"]: (each["telephone1"], each.get("mobilephone")) for each in crm.leads.values()}
    assert (got["Bea"], got["Cleo"]) == (("+14255550100", PHONE), (PHONE, None))
    for name, version in {"Ana0": "v3", "Bea": "v4", "Cleo": "v5"}.items():
        desk.go("Sendings", f"{name} Silva")
        desk.reads_soon("Try 1: Delivered.")
        desk.reads(f"Field mapping {version}")
    assert desk.complaints.since_last_time() == []


@pytest.mark.usefixtures("url")
def test_j8_a_field_that_was_deleted_in_the_crm_is_told_before_a_lead_fails(
    desk: Desk, crm: FakeDynamics365
) -> None:
    crm.delete_column("leadqualitycode")
    open_mapping(desk)
    desk.press("Read the CRM's fields again")
    told = "The CRM no longer has the field “leadqualitycode”"
    desk.reads("It no longer fits the CRM.", told)
    look(desk, "no-longer-fits")
    for place in (("Offers", "Contoso Backup"), ("CRM connections", "Dynamics 365"), ("Home",)):
        desk.go(*place)
        desk.reads(told)
    look(desk, "home")
    assert desk.complaints.since_last_time() == []
