"""J1, the first hour: from a fresh site to Microsoft's test lead, and on to a lead in the CRM.

The tests are chapters: each begins where the one before it ended.
"""

import json
import re

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Desk, for_everybody, post, tab
from tests.e2e.conftest import PAYLOADS, Site, StartSite
from tests.e2e.mapping import works_here

pytestmark = pytest.mark.e2e

SECONDS = 15_000  # for what the page brings by itself, in milliseconds


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites()


@pytest.fixture(scope="module")
def copied() -> list[str]:
    """The URL, once somebody has copied it."""
    return []


def look(desk: Desk, name: str) -> None:
    for_everybody(desk.page, desk.complaints, f"j1-{name}")


def comes(desk: Desk, text: str) -> None:
    """It can be read on the page by itself: nobody loads the page again."""
    expect(desk.main.get_by_text(text)).to_be_visible(timeout=SECONDS)


def test_j1_the_first_steps_say_what_is_so_and_what_comes_next(desk: Desk, site: Site) -> None:
    desk.open("First steps")
    desk.reads("Welcome: 4 steps", "1 Public address", "2 Offer", "3 CRM", "4 Test")
    desk.reads(f"Microsoft cannot reach {site.base_url}. You need a public HTTPS address.")
    desk.reads(str(site.directory / ".env"), "make run")
    expect(desk.page.get_by_label("Line for .env")).to_have_value("PUBLIC_URL=https://leads.example.com")
    look(desk, "steps")


def test_j1_an_offer_gets_its_url_which_is_copied(desk: Desk, site: Site, copied: list[str]) -> None:
    desk.press("Add an offer")
    desk.page.get_by_label("Title").fill("Contoso Backup")
    desk.page.get_by_label("Publisher ID").fill("contoso")
    desk.page.get_by_label("Offer ID").fill("backup")
    desk.press("Save")
    desk.reads("this is its URL", "press Validate, then publish the offer: leads only flow after publishing")
    desk.main.get_by_role("button", name="Copy", exact=True).first.click()
    expect(desk.main.get_by_role("button", name="Copied")).to_be_visible()
    copied.append(desk.page.evaluate("navigator.clipboard.readText()"))
    assert copied[0].startswith(f"{site.base_url}/in/")

    desk.main.get_by_text("Step by step in Partner Center").click()
    desk.reads("Offer setup, and go down to Customer leads", "HTTPS endpoint URL: paste the URL above")
    desk.main.get_by_text("By Microsoft's Product Ingestion API").click()
    body = json.loads(desk.page.get_by_label("Body of the request").input_value())
    assert body["resources"][0]["httpsEndpointLeadConfiguration"] == {"httpsEndpointUrl": copied[0]}
    look(desk, "offer")


def test_j1_the_page_waits_and_tells_what_comes_instead(desk: Desk, site: Site, copied: list[str]) -> None:
    desk.reads("Waiting for Microsoft's test lead", "No lead has ever reached this URL.")
    clock = desk.main.locator("#arrival-clock")
    before = clock.inner_text()
    assert re.fullmatch(r"\d\d:\d\d", before)
    expect(clock).not_to_have_text(before, timeout=SECONDS)

    test = (PAYLOADS / "msft_test_validate.json").read_bytes()
    assert post(copied[0][:-1], test).status_code == 404
    comes(desk, "In the last 10 minutes 1 POST hit an unknown key: was the URL pasted completely?")
    assert post(site.endpoint_url, test).status_code == 201
    comes(desk, "A test lead came to the URL of Contoso Backup (demo) in the last 10 minutes")
    assert post(copied[0], b"{").status_code == 400
    comes(desk, "could not be read (Not JSON): it is in quarantine.")
    expect(desk.main.get_by_role("link", name="Open quarantine")).to_be_visible()
    look(desk, "instead")


def test_j1_without_scripts_a_link_looks_again(site: Site, browser: Browser, desk: Desk) -> None:
    state = desk.page.context.storage_state()
    with tab(browser, storage_state=state, java_script_enabled=False) as page:
        page.goto(desk.page.url)
        expect(page.get_by_text("Waiting for Microsoft's test lead")).to_be_visible()
        page.get_by_role("link", name="Look again").click()
        expect(page.get_by_text("Waiting for Microsoft's test lead")).to_be_visible()
        page.goto(f"{desk.page.url.partition('#')[0]}?since={_six_minutes_ago()}")
        for told in (
            "What to look at",
            "from https to its last letter",
            "1 request to Contoso Backup (demo)",
        ):
            expect(page.get_by_text(told)).to_be_visible()


def _six_minutes_ago() -> int:
    import time

    return int(time.time()) - 360


def test_j1_microsofts_test_lead_turns_the_page(desk: Desk, copied: list[str]) -> None:
    answer = post(copied[0], (PAYLOADS / "msft_test_validate.json").read_bytes())
    assert answer.json()["status"] == "test"
    comes(desk, "Test lead received, 7 of 7 fields recognised.")
    desk.reads("It stays out of your CRM.", "Now publish the offer.", "MSFT_TEST_636573304831318844")
    expect(desk.main).not_to_contain_text("No lead has ever reached this URL.")
    expect(desk.main.locator("#arrival-clock")).to_have_count(0)
    look(desk, "tested")
    desk.open("First steps")
    desk.reads("Microsoft's test lead arrived. Real leads start after the offer is published.")


def test_j1_a_sample_says_where_it_goes_and_goes_there(desk: Desk, copied: list[str]) -> None:
    desk.go("Offers", "Contoso Backup", "Send a sample lead")
    desk.reads("Nowhere: it stays here, for no CRM is connected to this offer.")
    desk.page.get_by_label("Contact me (PLT)").check()
    look(desk, "sample")
    desk.press("Send the sample lead")
    expect(desk.page.get_by_text("The sample lead is stored.")).to_be_visible()
    desk.reads("Sam Sample")
    expect(desk.main.get_by_text("sample", exact=True).first).to_be_visible()


def test_j1_a_crm_is_connected_in_the_third_step(desk: Desk) -> None:
    desk.go("First steps", "Try it with the demo CRM first")
    desk.page.get_by_label("CRM connection").select_option("Demo CRM")
    desk.press("Save")
    desk.go("First steps", "Look at it and publish")
    desk.press("Publish…")
    works_here(desk)
    desk.press("Publish")
    expect(desk.page.get_by_text("Published: v1 is live.")).to_be_visible()
    desk.reads("1 lead came before and was not sent to Demo CRM")
    desk.press("From now on")


def test_j1_a_sample_walks_the_way_from_outside(desk: Desk, site: Site) -> None:
    desk.go("Offers", "Contoso Backup", "Send a sample lead")
    desk.reads("To Demo CRM, which is inside this app.", "Held before Demo CRM: do not contact.")
    desk.reads("Nowhere: test leads stay out of the CRM.")
    desk.page.get_by_label("Get it now (INS)").check()
    desk.page.get_by_label("Through the public URL").check()
    desk.press("Send the sample lead")
    said = f"The sample went from this server to {site.base_url} and came in there, like any lead."
    expect(desk.page.get_by_text(said)).to_be_visible()
    desk.reads_soon("In Demo CRM since")
    expect(desk.main.get_by_text("sample", exact=True).first).to_be_visible()
    desk.go("Offers", "Contoso Backup")
    desk.reads("Test lead received")  # a sample proves nothing


def test_j1_the_first_real_lead_reaches_the_crm(desk: Desk, copied: list[str]) -> None:
    assert post(copied[0], (PAYLOADS / "sample_pascal.json").read_bytes()).status_code == 201
    desk.go("Leads", "Some One")
    desk.reads_soon("In Demo CRM since")
    desk.go("Offers", "Contoso Backup")
    desk.reads("Live: real leads arrive.")
    expect(desk.main.get_by_text("Test lead received")).to_have_count(0)
    desk.go("Demo CRM", "Test Microsoft: Some One")
    desk.reads("someone@contoso.com")


LIST = "Publisher ID\tOffer ID\tTitle\ncontoso\tbackup\tContoso Backup\ncontoso\tmail arch\tContoso Mail\n\tdrive\tContoso Drive\n"


def test_j1_many_offers_are_added_from_a_list_with_one_table_of_urls(desk: Desk) -> None:
    desk.go("CRM connections", "Demo CRM")
    desk.page.get_by_label("New offers send to this").check()
    desk.press("Save")
    desk.go("Offers", "Add many offers")
    look(desk, "many")
    desk.page.get_by_label("Offers, one a line").fill(LIST)
    desk.press("Look what it does")
    desk.reads("2 things need mending. Nothing is added until the whole list is right.")
    desk.reads("Line 3, column 2: Letters, digits, dashes", "Line 4, column 1: The publisher ID is missing.")
    look(desk, "many-wrong")
    right = LIST.replace("mail arch", "mail-arch").replace("\n\tdrive", "\ncontoso\tdrive")
    desk.page.get_by_label("Offers, one a line").fill(right)
    desk.press("Look what it does")
    desk.reads("2 offers will be added.", "1 offer is there already, and stays as it is")
    look(desk, "many-preview")
    desk.press("Add 2 offers")
    expect(desk.page.get_by_text("2 offers are added. 1 was there already")).to_be_visible()
    desk.reads("Contoso Drive", "contoso.mail-arch", "/in/")
    desk.main.get_by_role("button", name="Copy all").click()
    table = desk.page.evaluate("navigator.clipboard.readText()")
    assert [line.split("\t")[:2] for line in table.splitlines()] == [
        ["Publisher ID", "Offer ID"],
        ["contoso", "drive"],
        ["contoso", "mail-arch"],
    ]
    look(desk, "urls")


def test_j1_their_mapping_is_published_for_all_of_them_with_one_press(desk: Desk) -> None:
    with desk.page.expect_event("load"):
        desk.page.get_by_role("link", name="Publish the rows of Demo CRM for them").click()
    desk.reads(
        "2 offers send to Demo CRM, and nobody has published a field mapping for them.", "Contoso Mail"
    )
    look(desk, "publish-for-all")
    works_here(desk)
    desk.press("Publish for these 2 offers")
    expect(desk.page.get_by_text("Published for 2 offers: their leads go to Demo CRM")).to_be_visible()
    desk.go("Offers", "Contoso Drive")
    desk.reads("v1", "Waiting for Microsoft's test lead")
    url = desk.page.get_by_label("Endpoint URL").input_value()
    assert post(url, (PAYLOADS / "sample_camel.json").read_bytes()).status_code == 201
    comes(desk, "Live: real leads arrive.")  # a real lead without a test lead before it
    assert desk.complaints.since_last_time() == []
