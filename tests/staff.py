"""The people of the admin's tests, what they can reach, and leads for them to look at.

Alice is a superuser, Bob a partner manager, Charlie in sales, Dave an auditor, Erin an administrator; Frank may sign
in and nothing else.
"""

import json
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from leads import searchable
from leads.intake import Received, accept
from leads.models import Endpoint, Lead, Offer, Submission

GROUPS = {"bob": "Partner manager", "charlie": "Sales", "dave": "Auditor", "erin": "Administrator"}


def person(name: str) -> User:
    user, new = User.objects.get_or_create(
        username=name, defaults={"is_staff": True, "is_superuser": name == "alice"}
    )
    if new and name in GROUPS:
        user.groups.add(Group.objects.get(name=GROUPS[name]))
    return user


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def make_offer(name: str = "backup", **more: Any) -> Offer:
    offer = Offer.objects.create(
        publisher_id="contoso", offer_id=name, title=f"Contoso {name.title()}", **more
    )
    Endpoint.make(offer)
    return offer


def body(user: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    details = {
        "FirstName": "Jane",
        "LastName": "Doe",
        "Email": "jane@fabrikam.example",
        "Phone": "+1 425 555 0134",
        "Country": "US",
        "Company": "Fabrikam",
    }
    said = {"LeadSource": "SPZA-PLT|contoso.backup", "ActionCode": "PLT", "Description": "Call me."}
    return {"UserDetails": details | (user or {})} | said | more


def post(
    offer: Offer,
    content: dict[str, Any] | bytes | None = None,
    *,
    origin: str = Submission.Origin.ENDPOINT,
    at: datetime | None = None,
    **headers: str,
) -> Submission:
    """What the endpoint does with a POST of that body."""
    raw = content if isinstance(content, bytes) else json.dumps(content or body()).encode()
    received = Received(
        body=raw,
        content_type="application/json",
        announced=len(raw),
        headers=headers,
        remote_addr="192.0.2.7",
    )
    endpoint = offer.endpoints.first() if origin == Submission.Origin.ENDPOINT else None
    return accept(offer, received, endpoint=endpoint, origin=origin, now=at).submission


def make_searchable() -> None:
    """What the worker does a moment after leads came."""
    searchable.owe(Lead.objects.all(), timezone.now())
    searchable.fill_some()


def lead_of(submission: Submission) -> Lead:
    return submission.leads.get()
