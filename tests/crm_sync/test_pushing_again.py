"""Pushing again what has arrived: under the same key, never doubled, refused where the CRM could not tell."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from crm_sync import by_hand, connectors
from crm_sync.models import Delivery, DemoRecord, Destination
from leads.models import Lead, Offer
from tests.crm_sync.screens import Demo, html_of, may_only, press, text_of, url_of
from tests.crm_sync.sending import (
    START,
    Clock,
    drain,
    install,
    make_destination,
    make_lead,
    make_offer,
    make_route,
)
from tests.staff import signed_in

pytestmark = pytest.mark.django_db
RETRY = ("crm_sync.view_delivery", "crm_sync.retry_delivery", "crm_sync.view_destination")


def again_url(sent: Delivery) -> str:
    return url_of(sent, "again")


@pytest.fixture
def demo() -> Demo:
    return Demo()


@pytest.fixture
def sent(demo: Demo) -> Delivery:
    """A lead that has arrived in the demo CRM."""
    sending = demo.owe()
    demo.drain()
    sending.refresh_from_db()
    assert sending.state == "delivered"
    return sending


# The rule


def test_what_has_arrived_goes_again_under_its_key_and_is_not_doubled(demo: Demo, sent: Delivery) -> None:
    assert by_hand.push_again([sent.pk], at=demo.clock.now) == 1
    sent.refresh_from_db()
    assert (sent.state, sent.uncertain, sent.settled_at) == ("waiting", True, None)
    demo.drain()
    sent.refresh_from_db()
    assert (sent.state, sent.existed, sent.tries) == ("delivered", True, 2)
    assert DemoRecord.objects.get().times_received == 2


def test_a_record_that_is_gone_in_the_crm_is_written_anew(demo: Demo, sent: Delivery) -> None:
    DemoRecord.objects.all().delete()
    by_hand.push_again([sent.pk], at=demo.clock.now)
    demo.drain()
    assert DemoRecord.objects.get().key == sent.key


def test_the_connector_is_told_that_it_is_a_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    crm, clock = install(monkeypatch), Clock()
    destination = make_destination()
    offer = make_offer()
    sending = Delivery.objects.create(
        lead=make_lead(offer), route=make_route(offer, destination), destination=destination, due_at=START
    )
    drain(destination, clock)
    by_hand.push_again([sending.pk], at=clock())
    drain(destination, clock)
    assert crm.retries == [False, True]
    assert crm.keys[0] == crm.keys[1]


@pytest.mark.parametrize(
    "values",
    [
        {"state": "waiting"},
        {"state": "rejected"},
        {"state": "cancelled"},
        {"state": "held", "held_reason": "gave_up"},
    ],
)
def test_what_has_not_arrived_is_left_alone(demo: Demo, values: dict[str, str]) -> None:
    sending = demo.owe(**values)
    assert by_hand.push_again([sending.pk], at=START) == 0
    sending.refresh_from_db()
    assert sending.state == values["state"]


@pytest.mark.parametrize("kind", [kind.spec.slug for kind in connectors.all()])
def test_a_kind_that_cannot_tell_a_repeat_gets_none(demo: Demo, sent: Delivery, kind: str) -> None:
    Destination.objects.update(connector=kind)
    can_tell = bool(connectors.get(kind).spec.idempotent_by)
    assert by_hand.push_again([sent.pk], at=START) == can_tell


def test_a_cancelled_second_push_leaves_the_first_where_it_arrived(demo: Demo, sent: Delivery) -> None:
    arrived = sent.settled_at
    by_hand.push_again([sent.pk], at=demo.clock.pass_(60))
    assert by_hand.cancel([sent.pk], at=demo.clock.now) == 1
    sent.refresh_from_db()
    assert (sent.state, sent.uncertain, sent.settled_at) == ("delivered", False, arrived)


def test_a_second_push_that_is_refused_keeps_the_way_to_the_first_record(demo: Demo, sent: Delivery) -> None:
    demo.switch("refusing_field", "first_name")
    by_hand.push_again([sent.pk], at=demo.clock.now)
    demo.drain()
    sent.refresh_from_db()
    assert sent.state in {"rejected", "held"}
    html = html_of(signed_in("bob"), url_of(sent))
    assert sent.remote_url in html
    assert "its first record is there, whatever becomes of it" in html


# The pages


def test_bob_pushes_again_from_the_page_of_the_lead_once_he_was_told_what_happens(
    demo: Demo, sent: Delivery
) -> None:
    bob, page = signed_in("bob"), url_of(sent.lead)
    assert f'href="{again_url(sent)}"' in html_of(bob, page)
    asked = text_of(bob, again_url(sent))
    for said in (
        "Push Jane Doe to Demo CRM again?",
        "under the same key as before. This is how the CRM knows its record again",
        "The record's own id is the delivery's key",
        "A record that the CRM does not find any more is written anew.",
        "jane@fabrikam.example",
    ):
        assert said in asked
    sent.refresh_from_db()
    assert sent.state == "delivered", "nothing happens before it is confirmed"
    assert "It goes to Demo CRM once more now." in press(bob, again_url(sent), next=page)
    demo.clock.now = timezone.now()
    demo.drain()
    assert "no second record was made" in text_of(bob, page)
    assert "Demo CRM, bob: Pushed again." in text_of(bob, page), "on the timeline too"
    assert LogEntry.objects.get().change_message == "Pushed again."


def test_a_second_press_does_nothing(sent: Delivery) -> None:
    bob = signed_in("bob")
    press(bob, again_url(sent))
    assert "Left alone: it has not arrived yet, it is waiting." in press(bob, again_url(sent))
    assert bob.get(again_url(sent)).status_code == 302
    assert LogEntry.objects.count() == 1


def test_where_the_crm_cannot_tell_there_is_the_reason_and_no_button(sent: Delivery) -> None:
    Destination.objects.update(connector="email")
    bob = signed_in("bob")
    text = html_of(bob, url_of(sent.lead))
    assert "cannot tell a repeated push from a new lead, and would have it twice" in text
    assert again_url(sent) not in text
    assert "would have it twice" in press(bob, again_url(sent))
    sent.refresh_from_db()
    assert sent.state == "delivered"


def test_who_is_not_to_be_contacted_is_not_pushed_again_unless_the_offer_sends_such_leads(
    sent: Delivery,
) -> None:
    Lead.objects.update(action="DNC")
    bob = signed_in("bob")
    assert "the customer is not to be contacted" in html_of(bob, url_of(sent.lead))
    assert "not to be contacted" in press(bob, again_url(sent))
    Offer.objects.update(dnc_policy="push")
    assert again_url(sent) in html_of(bob, url_of(sent.lead))


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_who_may_not_retry_sees_no_button_and_pushes_nothing(sent: Delivery, name: str) -> None:
    client = signed_in(name)
    if name != "frank":
        assert again_url(sent) not in html_of(client, url_of(sent.lead))
    for method in ("get", "post"):
        assert getattr(client, method)(again_url(sent)).status_code == 403
    sent.refresh_from_db()
    assert sent.state == "delivered"


def test_the_permission_to_retry_is_enough_and_the_record_stays_masked(sent: Delivery) -> None:
    frank = may_only("frank", *RETRY)
    text = text_of(frank, again_url(sent))
    assert "Push again" in text
    assert "jane@fabrikam.example" not in text
    assert frank.put(again_url(sent)).status_code == 405
    assert press(frank, again_url(sent))


def test_a_stopped_connection_says_that_it_goes_later(demo: Demo, sent: Delivery) -> None:
    state: Any = demo.destination.state
    state.state = "stopped"
    state.save()
    assert "Mend the settings" in text_of(signed_in("bob"), again_url(sent))
    assert "as soon as Demo CRM takes leads" in press(signed_in("bob"), again_url(sent))


def test_salespeople_read_that_it_is_there_while_it_goes_again(sent: Delivery) -> None:
    press(signed_in("bob"), again_url(sent))
    assert "In Demo CRM, and pushed there again" in text_of(signed_in("charlie"), url_of(sent.lead))


# Where a lead is worked on in the CRM


def test_a_lead_that_is_worked_on_in_the_crm_leads_to_its_record(sent: Delivery) -> None:
    Offer.objects.update(worked_in="crm")
    html = html_of(signed_in("charlie"), url_of(sent.lead))
    assert "Open it in Demo CRM" in html
    assert html.count(f'href="{sent.remote_url}"') == 2, (
        "in the panel of its sending, and where the work would be"
    )
    assert sent.remote_url not in html_of(may_only("frank", "leads.view_lead"), url_of(sent.lead))


def test_a_record_whose_address_is_not_safe_to_follow_is_no_link(sent: Delivery) -> None:
    Offer.objects.update(worked_in="crm")
    Delivery.objects.update(remote_url="javascript:alert(1)")
    html = html_of(signed_in("charlie"), url_of(sent.lead))
    assert "javascript:alert" not in html
    assert "No record of this one is known there yet." in html
