"""J4, an outage of the CRM: people are told once when it starts and once when it is over; no lead is lost or doubled."""

import csv
import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.browser import Desk, examine, post
from tests.e2e.conftest import Site, StartSite, wait_until
from tests.e2e.mailbox import Mailbox, receiving

pytestmark = pytest.mark.e2e

LEADS, REFUSED = 14, 3


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with receiving() as mailbox:
        yield mailbox


@pytest.fixture(scope="module")
def site(start_sites: StartSite, mailbox: Mailbox) -> Site:
    """On SQLite its engine is the embedded one; where the tests run on PostgreSQL, Procrastinate, and it is at work."""
    site = start_sites(EMAIL_URL=mailbox.url)
    if "DATABASE_URL" in site.settings:
        wait_until(lambda: site.rows("SELECT id FROM procrastinate_workers"), what="Procrastinate's worker")
    return site


@pytest.fixture(scope="module")
def hubspot(desk: Desk) -> None:
    """The demo CRM stands for it, and whoever sits at the desk has an address to be told at."""
    desk.go("Users", "admin")
    desk.page.get_by_label("Email address").fill("admin@contoso.example")
    desk.press("Save")
    desk.go("CRM connections", "Demo CRM")
    desk.page.get_by_label("Name").fill("HubSpot")
    desk.press("Save")
    expect(desk.page.get_by_text("HubSpot is saved.")).to_be_visible()


def switch(desk: Desk, behaviour: str) -> None:
    desk.open("Demo CRM")
    desk.page.get_by_role("radio", name=behaviour).check()
    desk.press("Switch")
    desk.reads(f"Now: {behaviour}")


def leads_come(site: Site, name: str, number: int) -> None:
    for each in range(number):
        person = {"FirstName": f"Ana {each}", "LastName": name, "Title": "CIO"}
        person["Email"] = f"{name}{each}@fabrikam.example"
        body = json.dumps({"UserDetails": person, "ActionCode": "INS"}).encode()
        assert post(site.endpoint_url, body).status_code == 201


def comes_up(desk: Desk, found: Locator) -> None:
    wait_until(lambda: desk.page.reload() and found.count(), what=f"{found} on the page")


def times_received(desk: Desk, name: str) -> list[str]:
    """As the CRM tells it, of each of these leads."""
    desk.open("Demo CRM")
    return desk.main.get_by_role("row", name=name).locator(".field-received").all_inner_texts()


def look(desk: Desk, name: str) -> None:
    examine(desk.page, desk.complaints, f"j4-{name}")


@pytest.mark.usefixtures("hubspot")
def test_j4_an_outage_is_told_once_when_it_starts_and_once_when_it_is_over(
    desk: Desk, site: Site, mailbox: Mailbox
) -> None:
    switch(desk, "Down: 503")
    leads_come(site, "Silva", LEADS)
    desk.open("Home")
    banner = re.compile(
        rf"HubSpot \(demo\) has refused {LEADS} leads since \d\d:\d\d \(The CRM failed, HTTP 503\)\. "
        r"Intake is fine; nothing is lost\. (Next try \d\d:\d\d|The next try comes at once)"
    )
    comes_up(desk, desk.page.get_by_role("alert").filter(has_text=banner))
    look(desk, "banner")

    wait_until(lambda: mailbox.mails, what="the first mail")
    assert re.fullmatch(r"HubSpot takes no leads since \d\d:\d\d UTC", mailbox.subjects[0])
    assert mailbox.mails[0]["To"] == "admin@contoso.example"
    told = mailbox.mails[0].get_content()
    assert re.search(
        r"HubSpot has refused leads since \d\d:\d\d UTC \(The CRM failed, HTTP 503\)\. \d+ leads wait\. "
        r"Intake is fine; nothing is lost\. (Next try \d\d:\d\d|The next try comes at once)",
        told,
    )
    assert "fabrikam" not in told

    # Left alone all of them would follow the breaker's probe, in minutes; somebody who cannot wait does this.
    desk.open("Sendings")
    desk.page.get_by_label("Select all objects on this page").check()
    desk.page.get_by_label("Action:").select_option("Retry now")
    desk.press("Go")
    desk.press(f"Retry {LEADS} now")
    switch(desk, "Works")
    desk.page.goto(told.split("The connection: ")[1].split()[0])  # the link in the mail
    if desk.main.get_by_role("button", name="Send again now").count():  # the probe was not quicker
        desk.press("Send again now")
        expect(desk.page.get_by_text("HubSpot sends again: what waited goes out now.")).to_be_visible()
    look(desk, "connection")

    wait_until(lambda: len(mailbox.mails) > 1, within=30, what="the last mail")
    assert mailbox.subjects[1] == f"HubSpot works again: {LEADS} of {LEADS} delivered"
    told = mailbox.mails[1].get_content()
    assert told.startswith(f"HubSpot works again: {LEADS} of {LEADS} delivered, none twice.")
    assert "Not delivered" not in told
    desk.open("Home")
    desk.reads("HubSpot (demo) works again since", f"{LEADS} of {LEADS} delivered.")
    expect(desk.page.get_by_role("alert")).to_have_count(0)
    look(desk, "over")
    assert times_received(desk, "Silva") == ["1"] * LEADS
    assert len(mailbox.mails) == 2
    assert desk.complaints.since_last_time() == []


@pytest.mark.usefixtures("hubspot")
def test_j4_what_was_refused_for_good_is_replayed(desk: Desk, site: Site, mailbox: Mailbox) -> None:
    told_before = len(mailbox.mails)
    switch(desk, "Refuses a field")
    leads_come(site, "Sousa", REFUSED)
    desk.open("Home")
    comes_up(desk, desk.main.get_by_text("is broken at the field job_title"))
    switch(desk, "Works")

    desk.open("Sendings")
    desk.press("Replay a range")
    desk.page.get_by_label("CRM connection").select_option("HubSpot")
    desk.press("Estimate")
    estimate = re.compile(rf"\d+ match: {REFUSED} failed, \d+ already there \(skipped\)")
    expect(desk.main.get_by_role("heading", name=estimate)).to_be_visible()
    look(desk, "estimate")
    desk.press("Dry run")
    rehearsed = f"{REFUSED} would be sent, with {REFUSED} requests; 0 would not. Nothing was sent."
    comes_up(desk, desk.main.get_by_text(rehearsed))
    look(desk, "dry-run")
    assert times_received(desk, "Sousa") == []

    desk.page.go_back()
    desk.press("Replay this range")
    desk.press(f"Replay {REFUSED}")
    comes_up(desk, desk.main.get_by_text(f"{REFUSED} sent again: {REFUSED} delivered."))
    look(desk, "replayed")
    with desk.page.expect_download() as download:
        desk.main.get_by_role("link", name="Download the result").click()
    rows = list(csv.DictReader(download.value.path().read_text(encoding="utf-8-sig").splitlines()))
    assert [row["Now"] for row in rows] == ["Delivered"] * REFUSED
    assert times_received(desk, "Sousa") == ["1"] * REFUSED
    assert len(mailbox.mails) == told_before  # leads that are refused one by one are no outage
    assert desk.complaints.since_last_time() == []
