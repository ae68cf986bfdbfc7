"""The way to a field mapping and the steps on its page, by what a person sees there."""

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser import Desk, post
from tests.fakes.dynamics365 import CLIENT, SECRET, TENANT, FakeDynamics365


def connect(desk: Desk, kind: str, settings: dict[str, str]) -> None:
    """Add a CRM connection, its settings by their labels."""
    desk.go("CRM connections", "Add CRM connection", kind)
    for label, value in settings.items():
        desk.page.get_by_label(label).fill(value)
    desk.press("Save")


def connect_dynamics(desk: Desk, crm: FakeDynamics365) -> None:
    """Add a connection to Dynamics 365, and test it."""
    labels = {
        "Name": "Dynamics 365",
        "Environment address": crm.url,
        "Directory (tenant) ID": TENANT,
        "Application (client) ID": CLIENT,
        "Client secret": SECRET,
        "Sign-in address": crm.url,
    }
    connect(desk, "Dynamics 365 Sales", labels)
    desk.press("Test connection")
    desk.reads("fields of the CRM were read")


def show_with(page: Page, who: str) -> None:
    """Look at the rows with the lead of this person."""
    leads = page.get_by_label("Shown with")
    leads.select_option(leads.locator("option", has_text=who).first.get_attribute("value"))


def add_offer(desk: Desk, title: str, offer_id: str) -> str:
    """Add an offer of Contoso's; the URL that its page shows."""
    desk.go("Offers", "Add offer")
    desk.page.get_by_label("Title").fill(title)
    desk.page.get_by_label("Publisher ID").fill("contoso")
    desk.page.get_by_label("Offer ID").fill(offer_id)
    desk.press("Save")
    return desk.page.get_by_label("Endpoint URL").input_value()


def send_to(desk: Desk, offer: str, connection: str) -> None:
    """Let an offer send to a connection; the page of its field mapping opens."""
    desk.go("Offers", offer, "Send to a CRM")
    desk.page.get_by_label("CRM connection").select_option(connection)
    desk.press("Save")
    desk.reads(f"{offer} → {connection}", "Nothing published yet")


def lead_comes(url: str, name: str, **person: Any) -> None:
    """What Microsoft posts when somebody presses Contact me."""
    details = {"FirstName": name, "LastName": "Silva", "Email": f"{name}@fabrikam.example".lower(), **person}
    body = {"UserDetails": details, "LeadSource": "SPZA-PLT|contoso.backup", "ActionCode": "PLT"}
    body["OfferTitle"] = "Contoso Backup"
    assert post(url, json.dumps(body).encode()).status_code == 201


def row(desk: Desk, field: str) -> Locator:
    """The row of a CRM field: this mapping's own, or one that it inherits."""
    name = re.escape(field).replace("/", r"\/")  # which the browser's side takes for the end
    return desk.main.get_by_role("group", name=re.compile(rf"^(Inherited row|Row \d+): {name}$"))


def new_row(desk: Desk, field: str) -> Locator:
    """A row that is added, for a field that its box finds by the label."""
    desk.press("Add field")
    added = desk.main.get_by_role("group", name=re.compile(r"^Row \d+$"))
    added.get_by_label("CRM field").fill(field)
    return added


def publish(desk: Desk, note: str = "") -> None:
    """From the rows to the live version, by the page between the two."""
    desk.press("Publish…")
    desk.page.get_by_label("What changed, and why").fill(note)
    works_here(desk)
    desk.press("Publish")
    expect(desk.page.get_by_text(re.compile(r"Published: v\d+ is live\."))).to_be_visible()


def works_here(desk: Desk) -> None:
    """Say that people work on the leads here, where the first publication asks for it."""
    if (here := desk.main.get_by_role("radio", name="Here", exact=True)).count():
        here.check()
