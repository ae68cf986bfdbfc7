"""The connection that new offers send to: connected when they are added, and sent to once somebody publishes."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from crm_sync import publishing, routing
from crm_sync.models import Delivery, Destination, Route
from leads.models import Offer
from tests.crm_sync.screens import html_of, may_only, press, text_of, url_of
from tests.crm_sync.sending import START, make_destination, make_lead, make_offer
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

MANY = "/admin/leads/offer/many/"
LIST = "contoso,backup,Contoso Backup\ncontoso,mail,Contoso Mail"


def default(name: str = "Demo CRM") -> Destination:
    destination = make_destination("demo", name=name)
    Destination.objects.filter(pk=destination.pk).update(for_new_offers=True)
    return destination


def page(destination: Destination) -> str:
    return url_of(destination, "publish_for_all")


def connected(destination: Destination, *names: str) -> list[Route]:
    return [
        Route.objects.create(offer=make_offer(offer_id=name, title=name.title()), destination=destination)
        for name in names
    ]


def publish(client: Any, destination: Destination) -> str:
    html = html_of(client, page(destination))
    chosen = html.split('name="chosen" value="')[1].split('"')[0]
    return press(client, page(destination), chosen=chosen, worked_in="here")


# Adding offers


def test_offers_that_are_added_send_to_it_and_wait_for_a_mapping() -> None:
    destination = default()
    text = press(signed_in("bob"), MANY, listed=LIST, add="1")
    assert "They send to Demo CRM. Their leads wait until a field mapping is published." in text
    assert "Publish the rows of Demo CRM for them" in text
    assert {route.offer.slug for route in destination.routes.all()} == {"contoso.backup", "contoso.mail"}
    assert not any(route.live_mapping for route in destination.routes.all())


def test_one_that_is_added_by_hand_does_so_too() -> None:
    destination = default()
    data = {"title": "T", "publisher_id": "contoso", "offer_id": "one", "dnc_policy": "hold", "schema": ""}
    text = press(signed_in("bob"), "/admin/leads/offer/add/", **data)
    assert "It sends to Demo CRM." in text
    assert destination.routes.get().offer == Offer.objects.get()


def test_without_such_a_connection_nothing_is_connected() -> None:
    make_destination("demo", name="Demo CRM")
    text = press(signed_in("bob"), MANY, listed=LIST, add="1")
    assert "send to" not in text.split("Each URL goes")[0]
    assert not Route.objects.exists()


def test_who_may_not_publish_gets_no_link_to_it() -> None:
    default()
    client = may_only("frank", "leads.add_offer", "leads.view_offer", "leads.reveal_endpoint")
    text = press(client, MANY, listed=LIST, add="1")
    assert "They send to Demo CRM." in text
    assert "Publish the rows" not in text


# Saying which


def test_the_page_of_a_connection_says_whether_new_offers_send_there_and_the_last_word_counts() -> None:
    first = default("First")
    second = make_destination("demo", name="Second")
    client = signed_in("erin")
    form = {"name": "Second", "max_in_flight": "10", "keep_tries_days": "90", "for_new_offers": "on"}
    text = press(client, url_of(second), **form)
    assert "New offers send to Second from now on, and no longer to First." in text
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.for_new_offers, second.for_new_offers) == (False, True)
    del form["for_new_offers"]
    press(client, url_of(second), **form)
    second.refresh_from_db()
    assert not second.for_new_offers


def test_who_may_not_change_connections_may_read_it() -> None:
    destination = default()
    assert "New offers send to this" in text_of(signed_in("dave"), url_of(destination))
    response = signed_in("dave").post(url_of(destination), {"name": "x"})
    assert response.status_code == 403


# Publishing for all


def test_one_press_publishes_the_inherited_rows_for_each() -> None:
    destination = default()
    routes = connected(destination, "backup", "mail")
    client = signed_in("bob")
    text = text_of(client, page(destination))
    assert "2 offers send to Demo CRM, and nobody has published a field mapping for them." in text
    assert "suggests" in text
    assert "Published for 2 offers: their leads go to Demo CRM from now on." in publish(client, destination)
    for route in routes:
        assert route.live_mapping
        assert route.live_mapping.as_rules() == ()
        assert route.live_mapping.published_by.username == "bob"
    assert LogEntry.objects.filter(change_message__startswith="Published the inherited rows for").count() == 2
    assert "Nothing is to be published here." in text_of(client, page(destination))


def test_what_somebody_has_begun_to_map_stays_with_them() -> None:
    destination = default()
    begun, fresh = connected(destination, "backup", "mail")
    publishing.draft_of(begun)
    text = text_of(signed_in("bob"), page(destination))
    assert "Mail" in text
    assert "Backup" not in text
    publish(signed_in("bob"), destination)
    assert fresh.live_mapping
    assert begun.live_mapping is None


def test_an_offer_that_came_after_the_page_was_opened_is_not_published_unseen() -> None:
    destination = default()
    (seen,) = connected(destination, "backup")
    later = connected(destination, "mail")
    text = press(signed_in("bob"), page(destination), chosen=f"{seen.pk},x,", worked_in="here")
    assert "Published for 1 offer" in text
    assert later[0].live_mapping is None


def test_leads_that_came_before_are_not_sent_unasked() -> None:
    destination = default()
    (route,) = connected(destination, "backup")
    make_lead(route.offer, received_at=START, routed_at=START)
    text = publish(signed_in("bob"), destination)
    assert "Leads came before: the page of each offer asks whether they shall go too." in text
    assert not Delivery.objects.exists()
    make_lead(route.offer)
    routing.route_everything(START)
    assert Delivery.objects.count() == 1


def test_the_connections_page_says_how_many_wait_for_a_mapping() -> None:
    destination = default()
    connected(destination, "backup", "mail")
    text = text_of(signed_in("bob"), url_of(destination))
    assert (
        "2 of them have no field mapping yet, so their leads wait. Publish these rows for all of them" in text
    )
    assert "Publish these rows" not in text_of(signed_in("dave"), url_of(destination))


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_publishing_for_all_is_for_those_who_may_publish(name: str) -> None:
    destination = default()
    (route,) = connected(destination, "backup")
    client = signed_in(name)
    assert client.get(page(destination)).status_code == 403
    assert client.post(page(destination), {"chosen": str(route.pk)}).status_code == 403
    assert route.live_mapping is None


def test_a_kind_that_this_version_does_not_have_publishes_nothing() -> None:
    destination = default()
    connected(destination, "backup")
    Destination.objects.filter(pk=destination.pk).update(connector="gone")
    assert "no connector of that kind" in press(signed_in("bob"), page(destination))
