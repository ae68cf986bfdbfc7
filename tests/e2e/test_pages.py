"""The pages in a real browser: a story by what stands on the screen, then every page on a desk and on a phone.

The tests share one site and are chapters: each begins where the one before it ended.
"""

import json
from collections.abc import Callable, Iterable, Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import DisallowedHost, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponseBase
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver
from django.views import csrf, defaults
from playwright.sync_api import Browser, expect

from leadsite import errors
from tests.e2e.browser import Complaints, Desk, for_everybody, post, tab
from tests.e2e.conftest import PAYLOADS, Site, StartSite
from tests.e2e.mapping import works_here
from tests.e2e.pages import NEW_OFFERS, NO_PAGES, PAGES

pytestmark = [pytest.mark.e2e, pytest.mark.looks]
ERRORS: dict[str, Callable[[HttpRequest], HttpResponseBase]] = {
    "error-400": lambda request: errors.bad_request(request, SuspiciousOperation()),
    "error-400-other-name": lambda request: errors.bad_request(request, DisallowedHost()),
    "error-403": lambda request: defaults.permission_denied(request, PermissionDenied()),
    "error-403-form-too-old": lambda request: csrf.csrf_failure(request),
    "error-404": lambda request: defaults.page_not_found(request, Http404()),
    "error-500": errors.server_error,
}


def patterns(found: Iterable[URLPattern | URLResolver]) -> Iterator[str]:
    """The names of all patterns, whatever includes them."""
    for each in found:
        if isinstance(each, URLResolver):
            yield from patterns(each.url_patterns)
        elif each.name:
            yield each.name


def refused_to_everybody() -> set[str]:
    """The pages for adding and deleting what no superuser may add or delete."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)
    return {
        f"{page.opts.app_label}_{page.opts.model_name}_{deed}"
        for page in admin.site._registry.values()
        for deed, allowed in (
            ("add", page.has_add_permission(request)),
            ("delete", page.has_delete_permission(request)),
        )
        if not allowed
    }


def test_the_walk_comes_by_every_page_of_the_admin() -> None:
    named = set(patterns(admin.site.get_urls()))
    walked = {page.pattern for page in PAGES.values()}
    # The pages of a history and of a deletion are the same for all kinds: an offer's are walked.
    same = {name for name in named if name.endswith(("_history", "_delete")) and "mapping" not in name}
    assert named - walked - NO_PAGES.keys() - refused_to_everybody() - same == set()
    assert (walked | NO_PAGES.keys()) - named == set()
    assert walked & NO_PAGES.keys() == set()


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


def lead(first_name: str, **more: str) -> bytes:
    person = {"FirstName": first_name, "LastName": "Other", "Email": "other@contoso.com", "Title": "CIO"}
    return json.dumps({"UserDetails": person, "ActionCode": "PLT", **more}).encode()


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


def test_a_team_has_all_that_a_team_has(desk: Desk, url: str) -> None:
    """So that no page of the walk is empty that need not be."""
    desk.open("Assignment rules")
    for_everybody(desk.page, desk.complaints, "rules-none")
    desk.press("Add the first rule")
    desk.page.get_by_role("textbox", name="Name").fill("Contact me to admin")
    desk.page.get_by_label("Contact me", exact=True).check()
    desk.page.get_by_label("admin", exact=True).check()
    desk.press("Save")

    desk.open("Exports")
    for_everybody(desk.page, desk.complaints, "exports-none")
    desk.go("Leads", "Export these")
    with desk.page.expect_download():
        desk.main.get_by_role("button", name="Download").click()

    desk.go("Leads", "Some One", "Make it mine")
    desk.go("Leads", "Mine")
    desk.main.get_by_text("Save this view", exact=True).click()
    desk.main.get_by_label("Name", exact=True).fill("Mine and open")
    desk.press("Save")

    desk.go("Offers", "Add many offers")
    desk.page.get_by_label("Offers, one a line").fill(NEW_OFFERS)
    desk.press("Look what it does")
    desk.reads("1 offer is there already")
    for_everybody(desk.page, desk.complaints, "offers-many-new")
    desk.press("Add 2 offers")
    for_everybody(desk.page, desk.complaints, "offers-many-added")
    desk.go("Offers", "Contoso Mail", "Send to a CRM")
    desk.page.get_by_label("CRM connection").select_option("Demo CRM")
    desk.press("Save")

    switch(desk, "Refuses a field")
    assert post(url, lead("Cleo", Budget="500 USD")).status_code == 201
    desk.open("Sendings")
    desk.reads_soon("Refused by Demo CRM")
    switch(desk, "Works")
    desk.complaints.since_last_time()  # a download ends the loading of its page


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_whole_on_a_desk_and_on_a_phone(name: str, desk: Desk, url: str) -> None:
    PAGES[name].visit(desk)
    for_everybody(desk.page, desk.complaints, name)


def test_the_sign_in_page_and_the_way_out_are_whole_too(site: Site, browser: Browser) -> None:
    with tab(browser) as page:
        complaints = Complaints(page)
        page.goto(site.base_url)
        for_everybody(page, complaints, "sign-in")
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        for_everybody(page, complaints, "sign-in-refused")
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(site.password)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="You are logged out")).to_be_visible()
        for_everybody(page, complaints, "signed-out")


@pytest.mark.parametrize("name", ERRORS)
def test_a_page_for_what_went_wrong_is_one_of_ours(name: str, desk: Desk, site: Site) -> None:
    """As it is made, under an address of the site: there is no way to break a page that works."""
    response = ERRORS[name](RequestFactory().get("/"))
    address = f"{site.base_url}/admin/{name}/"
    headers = {"Content-Type": "text/html"}
    desk.page.route(
        address,
        lambda route: route.fulfill(status=response.status_code, headers=headers, body=response.content),
    )
    desk.page.goto(address)
    for_everybody(desk.page, desk.complaints, name, status=response.status_code)
    desk.page.get_by_role("link", name="Back to Home").click()
    desk.reads("Needs attention")


def test_removing_the_demo_leaves_nothing_of_it(desk: Desk, url: str) -> None:
    badge = desk.main.get_by_text("demo", exact=True)
    desk.go("Leads", "All")
    expect(badge.first).to_be_visible()

    desk.go("Demo CRM", "Remove all demo data")
    desk.reads("This goes, and cannot be brought back:", "4 leads of your own offers")
    desk.press("Remove all demo data")
    desk.reads("The demo is removed")
    for entry in ("Quarantine", "Sendings", "CRM connections", "Offers", "Home", "Leads"):
        desk.open(entry)
        assert badge.all_inner_texts() == [], entry
    desk.reads("Some One", "Waiting: no CRM connected")
    expect(desk.main).not_to_contain_text("Jane Doe")
    menu = desk.page.get_by_role("navigation", name="Menu")
    expect(menu.get_by_role("link", name="Demo CRM")).to_have_count(0)
    assert desk.complaints.since_last_time() == []
