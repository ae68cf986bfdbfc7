"""What tests of grouping share: leads made in one line, and the worker's care for them."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction

from leads import aftercare
from leads.models import Customer, Lead, Offer, Submission

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
_numbers = itertools.count(1)

JANE = {"first_name": "Jane", "last_name": "Doe", "email": "jane@contoso.com"}
FABRIKAM = {"company": "Fabrikam", "phone": "+1 425 555 0134"}


def make_offer(title: str = "Contoso Backup") -> Offer:
    return Offer.objects.create(publisher_id="contoso", offer_id=f"offer-{next(_numbers)}", title=title)


def make_lead(offer: Offer, **values: Any) -> Lead:
    """A lead that intake stored; each is a minute younger than the one before."""
    at = values.pop("received_at", START + timedelta(minutes=next(_numbers)))
    submission = Submission.objects.create(
        offer=offer, received_at=at, origin=Submission.Origin.ENDPOINT, body=b"{}", body_digest="0" * 64
    )
    return Lead.objects.create(submission=submission, offer=offer, received_at=at, **values)


def care(*leads: Lead, now: datetime | None = None) -> None:
    """What the worker does with them, all at once."""
    now = now or max(lead.received_at for lead in leads)
    with transaction.atomic():
        aftercare.care(leads, now)
        aftercare.save(leads, now)


def cared(offer: Offer, **values: Any) -> Lead:
    """A lead that came and was cared for."""
    lead = make_lead(offer, **values)
    care(lead)
    return lead


def keys_of(customer: Customer | None) -> set[str]:
    assert customer is not None
    return set(customer.keys.values_list("value", flat=True))
