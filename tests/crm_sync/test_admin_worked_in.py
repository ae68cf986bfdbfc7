"""Where people work on an offer's leads: asked once, of whoever publishes its first mapping, and kept on the offer."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission

from crm_sync.mapping_owner import Owner
from crm_sync.models import Route
from leads.models import Offer
from tests.crm_sync.mapping_screen import confirm
from tests.crm_sync.screens import Demo, press, text_of, url_of
from tests.crm_sync.sending import make_offer, make_route
from tests.staff import person, signed_in

pytestmark = pytest.mark.django_db

QUESTION = "Where do people work on the leads of"


@pytest.fixture
def route() -> Route:
    """One that was never published."""
    made = Demo().route
    made.mappings.all().delete()
    return made


def publish(route: Route, who: str = "bob", **given: str) -> Any:
    client, url = signed_in(who), Owner(route).url("mapping_publish")
    seen = client.get(url).context["seen"]
    return client.post(url, {"seen": seen, "note": "First", **given})


def asks(route: Route, who: str = "bob") -> bool:
    return QUESTION in text_of(signed_in(who), Owner(route).url("mapping_publish"))


@pytest.mark.parametrize("where", ["crm", "here"])
def test_the_first_publication_asks_and_keeps_the_answer_on_the_offer(route: Route, where: str) -> None:
    assert asks(route)
    assert publish(route, worked_in=where).status_code == 302
    offer = Offer.objects.get()
    assert offer.worked_in == where
    assert offer.works_here is (where == "here")
    assert route.live_mapping is not None
    history = text_of(signed_in("bob"), f"/admin/leads/offer/{offer.pk}/history/")
    assert f"Leads are worked on: {'In the CRM' if where == 'crm' else 'Here'}" in history


@pytest.mark.parametrize("given", [{}, {"worked_in": ""}, {"worked_in": "elsewhere"}])
def test_without_an_answer_it_is_published_and_they_work_here_until_somebody_decides(
    route: Route, given: dict[str, str]
) -> None:
    assert publish(route, **given).status_code == 302
    assert route.live_mapping is not None
    offer = Offer.objects.get()
    assert offer.worked_in == ""
    assert offer.works_here


def test_it_is_asked_once(route: Route) -> None:
    publish(route, worked_in="here")
    route.mappings.all().delete()
    route.refresh_from_db()
    assert not asks(route)
    assert publish(route).status_code == 302
    assert Offer.objects.get().worked_in == "here"


def test_later_versions_and_the_rows_of_a_connection_ask_nothing() -> None:
    demo = Demo()
    demo.destination.mappings.all().delete()
    assert confirm(demo.destination, signed_in("erin")).status_code == 302
    assert Offer.objects.get().worked_in == ""


def test_who_may_not_change_offers_is_not_asked_and_may_publish(route: Route) -> None:
    bob = person("bob")
    bob.groups.first().permissions.remove(Permission.objects.get(codename="change_offer"))
    assert not asks(route)
    assert publish(route, worked_in="crm").status_code == 302
    assert Offer.objects.get().worked_in == ""


def test_the_offers_page_changes_it_at_any_time(route: Route) -> None:
    offer = route.offer
    text = text_of(signed_in("bob"), url_of(offer))
    assert "Leads are worked on" in text
    assert "Not decided yet: as if here" in text
    data = {
        "title": offer.title,
        "publisher_id": offer.publisher_id,
        "offer_id": offer.offer_id,
        "enabled": "on",
        "dnc_policy": "hold",
        "worked_in": "crm",
        "schema": "",
    }
    signed_in("bob").post(url_of(offer), data)
    offer.refresh_from_db()
    assert offer.worked_in == "crm"


def test_an_offer_that_is_added_is_not_asked_yet() -> None:
    assert "Leads are worked on" not in text_of(signed_in("bob"), "/admin/leads/offer/add/")


# Several offers at once


def test_publishing_for_all_asks_for_all_of_those_that_are_undecided() -> None:
    demo = Demo()
    demo.route.mappings.all().delete()
    decided = make_route(make_offer(title="Contoso Mail", worked_in="here"), demo.destination)
    decided.mappings.all().delete()
    client, url = signed_in("bob"), url_of(demo.destination, "publish_for_all")
    assert f"{QUESTION} Contoso Backup?" in text_of(client, url)
    chosen = f"{demo.route.pk},{decided.pk}"
    press(client, url, chosen=chosen, worked_in="crm")
    assert demo.route.live_mapping is not None
    assert dict(Offer.objects.values_list("title", "worked_in")) == {
        "Contoso Backup": "crm",
        "Contoso Mail": "here",
    }
