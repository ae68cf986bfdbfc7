"""How pages look and are used: whatever a stranger wrote, with the keyboard alone, in the reader's time zone, on paper."""

import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import PHONE, Desk, examine, for_everybody, post, tab
from tests.e2e.conftest import Site, StartSite
from tests.e2e.pages import Page as Goal
from tests.e2e.pages import by, choose, tick, unfold

pytestmark = [pytest.mark.e2e, pytest.mark.looks]

WORD = "W" * 10_000
ZALGO = "Z" + "".join(chr(0x300 + number % 0x70) for number in range(400)) + "algo"
TURNED = "\u202edrawkcab\u202c \u2067أهلا وسهلا\u2069 \u200f"
MARKUP = "\"'></textarea></title><h1>Big</h1><script>evil()</script><img src=x onerror=evil()>"
FORMULA = '=HYPERLINK("http://evil.example","Press me")'
LONG = WORD[:2_000]
# The name by which it can be found in each list comes first: it is what is left of a text that is cut.
PERSON = {
    "FirstName": f"Hostile {WORD[:3_000]}",
    "LastName": f"{TURNED}{ZALGO}{LONG}",
    "Email": f"{'e' * 60}@{'d' * 60}.example",
    "Phone": f"{FORMULA}{LONG}",
    "Company": f"{MARKUP}{WORD}",
    "Title": ZALGO * 3 + LONG,
    "Country": f"{TURNED}{LONG}",
}
LEAD = {
    "UserDetails": PERSON,
    "ActionCode": f"A{WORD}",
    "LeadSource": f"{WORD}|{MARKUP}",
    "OfferTitle": MARKUP + ZALGO,
    "Description": f"{FORMULA}\n{TURNED}\n{MARKUP}\n{WORD}\n{ZALGO}",
    f"Unknown{WORD[:150]}": WORD,
    MARKUP: {ZALGO: FORMULA},
}
SET_UP = {
    "offers": [{"publisher_id": "contoso", "offer_id": "hostile", "title": "Hostile offer"}],
    "destinations": [{"name": "Demo CRM", "connector": "demo"}],
    "routes": [{"offer": "contoso.hostile", "destination": "Demo CRM"}],
}
WHO = "Hostile WWW"  # and not the offer
BROKEN = ("Quarantine", "Against the offer's schema", "Against the offer's schema")
PAGES: dict[str, Goal] = {
    "home": by("index", "Home"),
    "leads": by("leads_lead_changelist", "Leads"),
    "lead": by("leads_lead_change", "Leads", WHO, unfold("Original request")),
    "lead-of-nobody": by("leads_lead_change", "Leads", "Endless"),
    "answer": by("leads_lead_answer", "Leads", WHO, "Answer by e-mail"),
    "bulk": by("leads_lead_bulk", "Leads", tick(f"Choose {WHO}"), choose("Action:", "Archive"), "Go"),
    "customers": by("leads_customer_changelist", "Customers"),
    "customer": by("leads_customer_change", "Customers", WHO),
    "sendings": by("crm_sync_delivery_changelist", "Sendings"),
    "sending": by("crm_sync_delivery_change", "Sendings", WHO),
    "again": by("crm_sync_delivery_again", "Sendings", WHO, "Push again"),
    "request": by("crm_sync_route_request", "Sendings", WHO, "Show the exact request"),
    "records": by("crm_sync_demorecord_changelist", "Demo CRM"),
    "record": by("crm_sync_demorecord_change", "Demo CRM", "textarea"),
    "quarantine": by("leads_submission_changelist", "Quarantine"),
    "broken": by("leads_submission_change", *BROKEN),
    "offers": by("leads_offer_changelist", "Offers"),
    "offer": by("leads_offer_change", "Offers", "Hostile offer"),
    "schema": by(
        "leads_offer_change", "Offers", "Hostile offer", unfold("Advanced"), "Check against the last leads"
    ),
    "mapping": by("crm_sync_route_mapping", "Offers", "Hostile offer", "Demo CRM", "Edit field mapping"),
    "rules-tried": by("leads_assignmentrule_try", "Assignment rules", "Who would get the last leads?"),
    "reports": by("reports", "Reports"),
}


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites()


@pytest.fixture(scope="module")
def hostile(site: Site, desk: Desk) -> Desk:
    """Somebody at a screen, once such a lead has come, and one like it that could not be read."""
    applied = site.manage("config", "apply", "-", input=json.dumps(SET_UP))
    assert applied.returncode == 0, applied.stderr
    url = json.loads(applied.stdout)["offers"][0]["endpoint_url"]
    assert post(url, json.dumps(LEAD).encode()).status_code == 201
    nowhere = {**PERSON, "FirstName": f"Endless {WORD}", "Email": f"{LONG}@{LONG}.example"}
    assert post(url, json.dumps({**LEAD, "UserDetails": nowhere}).encode()).status_code == 201
    broken = {**LEAD, "LeadSource": [WORD, TURNED, MARKUP]}
    assert post(url, json.dumps(broken).encode()).status_code == 400
    desk.open("Customers")
    desk.reads_soon("Hostile")
    desk.open("Demo CRM")
    desk.reads_soon("</textarea>")
    return desk


@pytest.mark.parametrize("name", PAGES)
def test_whatever_a_stranger_wrote_a_page_keeps_its_shape(name: str, hostile: Desk) -> None:
    PAGES[name].visit(hostile)
    examine(hostile.page, hostile.complaints, f"hostile-{name}")
    # Nothing of it became an element of ours.
    expect(hostile.page.locator("img[src='x'], script:not([src])")).to_have_count(0)
    expect(hostile.page.get_by_role("heading", name="Big", exact=True)).to_have_count(0)


def test_times_are_in_the_zone_of_the_browser(site: Site, browser: Browser) -> None:
    for zone in ("Asia/Tokyo", "America/New_York"):
        with tab(browser, timezone_id=zone) as page:
            sign_in(page, site)
            expect(page.get_by_text(f"Times are in {zone}.")).to_be_visible()


def sign_in(page: Page, site: Site) -> None:
    page.goto(site.base_url)
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("navigation", name="Menu")).to_be_visible()


def test_the_keyboard_skips_the_menu_and_shows_where_it_is(desk: Desk) -> None:
    desk.open("Home")
    page = desk.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    unseen = []
    for _ in range(25):
        page.keyboard.press("Tab")
        said, outline = page.evaluate(
            "() => [document.activeElement.innerText, getComputedStyle(document.activeElement).outlineStyle]"
        )
        if outline == "none":
            unseen.append(said)
    assert unseen == []
    desk.open("Home")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.querySelector('main').contains(document.activeElement)")


def test_on_paper_a_lead_is_what_it_says_and_no_button(desk: Desk) -> None:
    desk.go("Leads", "All", "Jane Doe")
    desk.page.emulate_media(media="print")
    try:
        expect(desk.page.get_by_role("heading", level=1)).to_be_visible()
        expect(desk.page.get_by_role("navigation", name="Menu")).to_be_hidden()
        expect(desk.page.get_by_role("button", name="Log out")).to_be_hidden()
        keep(desk.page, "printed-lead")
    finally:
        desk.page.emulate_media(media="screen")


def keep(page: Page, name: str) -> None:
    if directory := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(directory) / f"{name}.png", full_page=True, caret="initial")


@pytest.mark.parametrize(
    ("path", "says"),
    [("/admin/nothing/", "There is nothing here"), ("/nothing", "There is nothing here")],
)
def test_a_page_that_is_not_there_is_one_of_ours(path: str, says: str, desk: Desk, site: Site) -> None:
    desk.page.goto(f"{site.base_url}{path}")
    expect(desk.page.get_by_role("heading", name=says)).to_be_visible()
    expect(desk.page.get_by_text("Marketplace leads 0.")).to_be_visible()
    for_everybody(desk.page, desk.complaints, "not-found", status=404)
    desk.page.get_by_role("link", name="Back to Home").click()
    desk.reads("Needs attention")


def test_health_asks_the_network_by_itself_and_at_the_press_of_a_button(desk: Desk) -> None:
    desk.open("Health")
    desk.reads("On this server", "Microsoft cannot reach http://127.0.0.1", "Asked at")
    desk.press("Ask again")
    desk.reads("Microsoft cannot reach http://127.0.0.1", "Asked at")
    assert desk.complaints.since_last_time() == []


def test_health_needs_no_script(site: Site, browser: Browser) -> None:
    with tab(browser, java_script_enabled=False) as page:
        sign_in(page, site)
        page.get_by_role("link", name="Health").click()
        expect(page.get_by_text("takes some seconds")).to_be_visible()
        page.get_by_role("button", name="Ask now").click()
        expect(page.get_by_role("main")).to_contain_text("Microsoft cannot reach http://127.0.0.1")


def test_on_a_phone_the_menu_is_behind_a_button_without_any_script(site: Site, browser: Browser) -> None:
    with tab(browser, java_script_enabled=False, viewport={"width": PHONE[0], "height": PHONE[1]}) as page:
        page.goto(site.base_url)
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(site.password)
        page.get_by_role("button", name="Log in").click()
        menu = page.get_by_role("navigation", name="Menu")
        expect(menu).to_be_hidden()
        page.get_by_role("button", name="Menu").click()
        keep(page, "menu-phone")
        menu.get_by_role("link", name="Quarantine").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Quarantine")
        expect(menu).to_be_hidden()
