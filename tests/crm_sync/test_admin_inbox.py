"""What sending has to do with the inbox: leads that are said to be tests, or none, and where leads are in an export."""

import csv
from io import StringIO
from uuid import uuid4

import pytest

from crm_sync.models import Attempt, Delivery
from crm_sync.routing import route_everything
from tests.crm_sync.screens import Demo, press
from tests.staff import signed_in

pytestmark = pytest.mark.django_db
LEADS = "/admin/leads/lead/"


def mark(action: str, *sendings: Delivery, query: str = "view=all") -> str:
    chosen = [str(sending.lead_id) for sending in sendings]
    return press(signed_in("charlie"), f"{LEADS}bulk/{action}/?{query}&chosen={','.join(chosen)}")


@pytest.mark.parametrize(
    "values", [{}, {"state": "held", "held_reason": "approval"}, {"state": "held", "held_reason": "dnc"}]
)
def test_of_a_lead_that_is_marked_as_a_test_nothing_is_sent_any_more(values: dict[str, str]) -> None:
    demo = Demo()
    waiting = demo.owe(**values)
    assert "1 lead is a test now. 1 sending was taken back." in mark("mark_as_test", waiting)
    assert demo.drain() == 0
    route_everything(demo.clock.now)
    assert not Delivery.objects.exists()


def test_what_has_arrived_or_is_on_its_way_stays() -> None:
    demo = Demo()
    there = demo.owe(state="delivered", remote_id="7")
    assert "1 lead is a test now." in mark("mark_as_test", there)
    there.refresh_from_db()
    assert there.state == "delivered"


def test_what_was_tried_is_cancelled_and_its_tries_stay() -> None:
    demo = Demo()
    refused = demo.owe(state="rejected", tries=1)
    Attempt.objects.create(delivery=refused, number=1, token=uuid4(), started_at=demo.clock.now)
    mark("mark_as_test", refused)
    refused.refresh_from_db()
    assert (refused.state, refused.attempts.count()) == ("cancelled", 1)


def test_where_the_offer_sends_its_tests_nothing_is_taken_back() -> None:
    demo = Demo()
    demo.offer.send_test_leads = True
    demo.offer.save()
    waiting = demo.owe()
    assert "taken back" not in mark("mark_as_test", waiting)
    waiting.refresh_from_db()
    assert waiting.state == "waiting"


def test_a_test_that_is_none_after_all_goes_to_the_crm() -> None:
    demo = Demo()
    waiting = demo.owe()
    lead = waiting.lead
    mark("mark_as_test", waiting)
    assert "1 lead is no test any more." in mark("mark_as_real", waiting, query="kind=test")
    route_everything(demo.clock.now)
    assert demo.drain() == 1
    assert lead.deliveries.get().state == "delivered"


def test_a_lead_not_to_be_contacted_is_held_again_when_it_is_no_test_any_more() -> None:
    demo = Demo()
    lead = demo.lead(action="DNC", routed_at=None)
    route_everything(demo.clock.now)
    held = lead.deliveries.get()
    assert held.held_reason == "dnc"
    mark("mark_as_test", held)
    mark("mark_as_real", held, query="kind=test")
    route_everything(demo.clock.now)
    assert lead.deliveries.get().held_reason == "dnc"


def test_an_export_says_where_a_lead_is_and_as_which_record() -> None:
    demo = Demo()
    demo.owe(state="delivered", remote_id="CRM-7")
    response = signed_in("bob").post(f"{LEADS}export/?view=all", {"format": "csv"})
    text = b"".join(response).decode("utf-8-sig")
    (row,) = csv.DictReader(StringIO(text, newline=""))
    assert row["CRM"] == "Demo CRM: Delivered CRM-7"
