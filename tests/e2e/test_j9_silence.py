"""J9, silence and a wrong set-up: an offer that has gone quiet is told of by mail with what to do; a URL that was pasted
into the wrong offer is noticed.

Three weeks pass by the site's own door for leads that came earlier: the directory into which it writes them while its
database is away. No clock is turned, and the test writes no rows.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from leads.silence import PARTNER_CENTER
from tests.e2e.browser import Desk, for_everybody, post
from tests.e2e.conftest import Site, StartSite, wait_until
from tests.e2e.earlier import came_earlier
from tests.e2e.mailbox import Mailbox, receiving
from tests.e2e.mapping import add_offer

pytestmark = pytest.mark.e2e
DAYS_AGO = (36, 33, 30, 27, 24, 21)
SAID = "Contoso Backup has had no lead for 21 days; usual gap 3 days."
LIKELY = "Likely: the offer was republished without the lead destination, or the URL was changed."


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with receiving() as mailbox:
        yield mailbox


@pytest.fixture(scope="module")
def waiting_room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


@pytest.fixture(scope="module")
def site(start_sites: StartSite, mailbox: Mailbox, waiting_room: Path) -> Site:
    return start_sites(EMAIL_URL=mailbox.url, SPOOL_DIR=waiting_room)


def lead(name: str, offer: str) -> bytes:
    person = {"FirstName": name, "LastName": "Silva", "Email": f"{name}@fabrikam.example"}
    return json.dumps(
        {"UserDetails": person, "ActionCode": "INS", "LeadSource": f"SPZA-INS|contoso.{offer}"}
    ).encode()


def test_j9_a_silent_offer_is_told_once_with_what_to_do(
    desk: Desk, site: Site, mailbox: Mailbox, waiting_room: Path, start_sites: StartSite, settings: Any
) -> None:
    desk.go("Users", "admin")
    desk.page.get_by_label("Email address").fill("admin@contoso.example")
    desk.press("Save")
    backup = add_offer(desk, "Contoso Backup", "backup")
    analytics = add_offer(desk, "Contoso Analytics", "analytics")
    settings.SPOOL_DIR = waiting_room
    now = datetime.now(UTC)
    for number, days in enumerate(DAYS_AGO):
        came_earlier(backup, lead(f"Ana{number}", "backup"), now - timedelta(days=days))
    desk.open("Leads")
    desk.reads_soon("Ana5 Silva")
    assert post(analytics, lead("Rui", "analytics")).status_code == 201
    wait_until(lambda: not any(waiting_room.glob("*.lead")), what="the last spooled lead")

    site.stop()  # a worker looks every hour, and when it starts
    again = start_sites(again=site)
    wait_until(lambda: mailbox.mails, what="the mail")
    assert mailbox.subjects == ["Contoso Backup has had no lead for 21 days"]
    assert mailbox.mails[0]["To"] == "admin@contoso.example"
    told = mailbox.mails[0].get_content().replace("\r\n", "\n")
    assert told.startswith(
        f"{SAID} Last Microsoft POST on any offer: just now, so the server is reachable. {LIKELY}\n"
    )
    assert f": {PARTNER_CENTER}\n" in told
    assert "fabrikam" not in told

    desk.open("Home")
    desk.reads(SAID, LIKELY)
    desk.go("Offers")
    expect(desk.main.get_by_role("row", name="Contoso Backup contoso.backup")).to_contain_text("silent")
    link = re.search(r"remind me in 30 days: (\S+)", told)
    assert link
    desk.page.goto(link[1])
    desk.reads(SAID, LIKELY)
    expect(desk.main.get_by_role("link", name="Check Partner Center")).to_have_attribute(
        "href", PARTNER_CENTER
    )
    for_everybody(desk.page, desk.complaints, "j9-silent")

    desk.press("Send a test through the URL")
    desk.reads("Send a sample lead: Contoso Backup")
    desk.page.goto(link[1])
    desk.press("This is normal, remind me in 30 days")
    day = f"{now + timedelta(days=30):%Y-%m-%d}"
    desk.reads(f"Said to be normal; you are reminded on {day}.")
    for_everybody(desk.page, desk.complaints, "j9-normal")
    desk.open("Home")
    expect(desk.main).not_to_contain_text("has had no lead")

    again.stop()
    start_sites(again=site)
    desk.open("Home")  # it answers again: the worker has had its first look, or has it now
    assert len(mailbox.mails) == 1
    assert desk.complaints.since_last_time() == []


def test_j9_a_url_in_the_wrong_offer_is_noticed(desk: Desk, site: Site) -> None:
    desk.go("Offers", "Contoso Backup")
    backup = desk.page.get_by_label("Endpoint URL").input_value()
    assert post(backup, lead("Eva", "analytics")).status_code == 201
    warning = (
        "LeadSource says offer contoso.analytics, but it came to the URL of contoso.backup. "
        "Was the URL pasted in the wrong offer?"
    )
    desk.open("Home")
    desk.reads(warning)
    desk.reads("Contoso Backup has leads again: the first came just now.")
    for_everybody(desk.page, desk.complaints, "j9-home")
    desk.go("Leads", "Eva Silva")
    desk.reads(warning)
    desk.open("Reports")
    desk.reads("Contoso Backup", "Contoso Analytics", "Get it now")
    for_everybody(desk.page, desk.complaints, "j9-reports")
