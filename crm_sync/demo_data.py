"""The demo: an offer, its leads and the demo CRM, made on an empty database and removed by one button."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from crm_sync import publishing
from crm_sync.models import DemoRecord, Destination, Route
from leads.intake import Received, accept
from leads.models import Endpoint, Offer, Submission

DEMO_CRM = "Demo CRM"

# First name, last name, e-mail, phone, company, job title, country, LeadSource, action, description, hours ago.
LEADS: tuple[tuple[str, ...], ...] = (
    ("Jane", "Doe", "jane.doe@fabrikam.example", "+1 425 555 0134", "Fabrikam", "IT director", "US",
     "SPZA", "PLT", "We have 400 mailboxes. Can you show us a restore?", "2"),
    ("Li", "Wei", "li.wei@litware.example", "16175550175", "Litware", "Architect", "USA",
     "AzureMarketplace", "INS", '{"utm_source":"newsletter","utm_campaign":"spring"}', "7"),
    ("Amélie", "Dubois", "amelie@proseware.example", "+33 1 70 18 99 00", "Proseware", "Directrice", "FR",
     "TestDrive", "StartTestDrive", "Campaigns: ", "26"),
    ("Noah", "Smith", "noah.smith@tailspin.example", "", "Tailspin Toys", "", "GB",
     "AzurePortal", "Create", "", "30"),
    ("Mia", "Lind", "mia.lind@wingtip.example", "+46 8 502 00 00", "Wingtip", "Buyer", "SE",
     "SPZA", "DNC", "", "51"),
)  # fmt: skip

# Microsoft's own sample, with the comma missing, so that quarantine has something to show.
BROKEN = b"""{
  "UserDetails": {
    "FirstName": "Some",
    "LastName": "One",
    "Email": "someone@contoso.example"
  },
  "LeadSource": "AzureMarketplace",
  "OfferTitle": "Contoso Backup"
  "Description": "Test run through Power Automate"
}
"""


def seed(now: datetime) -> Offer:
    """Make the demo. The worker does the rest, as with any lead."""
    with transaction.atomic():
        offer = Offer.objects.create(
            publisher_id="contoso", offer_id="backup-demo", title="Contoso Backup (demo)", is_demo=True
        )
        endpoint = Endpoint.make(offer)
        destination, _ = Destination.objects.get_or_create(name=DEMO_CRM, connector="demo")
        route = Route.objects.create(offer=offer, destination=destination)
        publishing.publish_rules(route, [], now)
    for *person, hours in LEADS:
        _store(offer, json.dumps(_body(offer, *person)).encode(), now - timedelta(hours=int(hours)))
    _store(offer, BROKEN, now - timedelta(hours=3))
    return endpoint.offer


def is_there() -> bool:
    """Whether there is a demo CRM: it goes with the demo."""
    return Destination.objects.filter(connector="demo").exists()


@transaction.atomic
def remove() -> dict[str, int]:
    """Remove the demo: its offers with their leads, the demo CRM with its records. Returns what went, by kind.

    Leads of real offers stay; what they had sent to the demo CRM goes with it.
    """
    offers = Offer.objects.filter(is_demo=True)
    gone = {
        "leads": Submission.objects.filter(offer__in=offers).count(),
        "records": DemoRecord.objects.count(),
    }
    offers.delete()
    Destination.objects.filter(connector="demo").delete()
    DemoRecord.objects.all().delete()
    return gone


def _store(offer: Offer, body: bytes, at: datetime) -> None:
    received = Received(body=body, content_type="application/json", announced=len(body))
    accept(offer, received, origin=Submission.Origin.SAMPLE, now=at)


def _body(offer: Offer, *person: str) -> dict[str, Any]:
    first, last, email, phone, company, title, country, source, action, description = person
    return {
        "UserDetails": {
            "FirstName": first,
            "LastName": last,
            "Email": email,
            "Phone": phone or None,
            "Country": country,
            "Company": company,
            "Title": title or None,
        },
        "LeadSource": f"{source}-{action}|{offer.slug}",
        "ActionCode": action,
        "OfferTitle": offer.title,
        "Description": description,
    }
