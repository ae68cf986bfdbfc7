"""What tests of the pages on sending share: a demo CRM that is sent to, and screens to read and press."""

import re
from html import unescape
from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from crm_sync.models import Delivery, DemoSwitch, Destination, Route, Worker
from leads.models import Lead, Offer
from tests.crm_sync.sending import Clock, drain, make_destination, make_lead, make_offer, make_route
from tests.staff import person, signed_in


def url_of(obj: Any, page: str = "change") -> str:
    return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{page}", args=[obj.pk])


def html_of(client: Client, url: str, **data: Any) -> str:
    response = client.get(url, data)
    assert response.status_code == 200, f"{url}: {response.status_code}"
    return response.content.decode()


def words(html: str) -> str:
    """What a reader sees: no tags, one space between words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def text_of(client: Client, url: str, **data: Any) -> str:
    return words(html_of(client, url, **data))


def press(client: Client, url: str, **data: Any) -> str:
    """Press a button and read the page that follows."""
    response = client.post(url, data, follow=True)
    assert response.status_code == 200, f"{url}: {response.status_code}"
    return words(response.content.decode())


def may_only(name: str, *permissions: str) -> Client:
    """Somebody who may do exactly this ("app.codename")."""
    user = person(name)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return signed_in(name)


class Demo:
    """An offer that sends to the demo CRM."""

    def __init__(self, rules: Any = (), **route: Any) -> None:
        self.clock = Clock(timezone.now())
        self.offer: Offer = make_offer(title="Contoso Backup")
        self.destination: Destination = make_destination("demo", name="Demo CRM")
        self.route: Route = make_route(self.offer, self.destination, rules, **route)

    def lead(self, **values: Any) -> Lead:
        named = {"first_name": "Jane", "last_name": "Doe", "email": "jane@fabrikam.example"}
        at = self.clock.now
        return make_lead(self.offer, **named | {"received_at": at, "routed_at": at} | values)

    def owe(self, **values: Any) -> Delivery:
        """A lead that is to be sent."""
        return Delivery.objects.create(
            lead=self.lead(),
            route=self.route,
            destination=self.destination,
            **{"due_at": self.clock.now} | values,
        )

    def switch(self, mode: str, field: str = "job_title") -> None:
        DemoSwitch.objects.update_or_create(pk=1, defaults={"mode": mode, "field": field})

    def drain(self) -> int:
        return drain(self.destination, self.clock)


def a_worker_lives() -> None:
    now = timezone.now()
    Worker.objects.create(name="worker", started_at=now, seen_at=now)
