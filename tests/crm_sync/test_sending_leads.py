"""*Send to the CRM (never sent)* on the list of leads."""

from datetime import timedelta
from typing import Any

import pytest

from crm_sync import routing
from crm_sync.admin import sending_leads
from crm_sync.models import Delivery, Route
from leads import ports
from leads.models import Lead
from tests.crm_sync.screens import Demo, html_of, press
from tests.crm_sync.sending import make_destination, make_route
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

LEADS = "/admin/leads/lead/?view=all"


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(ports.ports, "bell", [lambda: rung.append("ring")])
    return rung


def ask(who: str, *leads: Lead, **more: str) -> str:
    data: dict[str, Any] = {"action": "send_leads", "_selected_action": [str(lead.pk) for lead in leads]}
    return press(signed_in(who), LEADS, **data, **more)


def test_leads_that_never_went_to_the_crm_are_sent_once_that_is_confirmed(rings: list[str]) -> None:
    demo = Demo()
    leads = [demo.lead() for _ in range(3)]
    sent = demo.owe(state="delivered")
    asked = ask("bob", *leads, sent.lead)
    assert "Send 3 leads to their CRM?" in asked
    assert "Jane Doe → Demo CRM Waiting" in asked
    assert "1 of the chosen is left alone: sent already or on their way" in asked
    assert Delivery.objects.count() == 1
    assert "3 leads go to their CRM now." in ask("bob", *leads, sent.lead, confirm="yes")
    assert set(Delivery.objects.filter(lead__in=leads).values_list("state", flat=True)) == {"waiting"}
    assert rings
    assert "Nothing to send there: sent already" in ask("bob", *leads, sent.lead)
    assert Delivery.objects.count() == 4


def test_so_are_those_that_came_before_the_offer_sent_to_it() -> None:
    demo = Demo()
    lead = demo.lead()
    routing.from_now_on(demo.route, demo.clock.now + timedelta(minutes=1))
    ask("bob", lead, confirm="yes")
    assert Delivery.objects.get().lead == lead


def test_a_lead_goes_to_each_crm_that_never_got_it() -> None:
    demo = Demo()
    sent = demo.owe(state="delivered")
    other = make_route(demo.offer, make_destination("webhook", name="Hook"))
    assert "Send 1 lead to its CRM?" in ask("bob", sent.lead)
    ask("bob", sent.lead, confirm="yes")
    assert Delivery.objects.get(state="waiting").route == other


def test_what_must_be_approved_is_held_until_it_is() -> None:
    demo = Demo()
    Route.objects.update(needs_approval=True)
    assert "1 is held: see Sendings." in ask("bob", demo.lead(), confirm="yes")
    assert Delivery.objects.get().held_reason == "approval"


@pytest.mark.parametrize("values", [{"is_test": True}, {"action": "DNC"}, {"routed_at": None}])
def test_left_alone_are_tests_who_is_not_to_be_contacted_and_what_goes_by_itself(
    values: dict[str, Any],
) -> None:
    asked = ask("bob", Demo().lead(**values))
    assert "Nothing to send there" in asked or "No leads" in asked
    ask("bob", Lead.objects.get(), confirm="yes")
    assert not Delivery.objects.exists()


def test_without_a_published_mapping_nothing_is_sent() -> None:
    demo = Demo()
    lead = demo.lead()
    demo.route.mappings.all().delete()
    assert "no field mapping that takes them is published" in ask("bob", lead)


def test_of_very_many_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending_leads, "MOST", 2)
    demo = Demo()
    leads = [demo.lead(received_at=demo.clock.now - timedelta(hours=age)) for age in (1, 3, 2)]
    assert "More than 2 match. The oldest 2 are done now" in ask("bob", *leads)
    assert "2 leads go to their CRM now. More match" in ask("bob", *leads, confirm="yes")
    assert set(Delivery.objects.values_list("lead", flat=True)) == {leads[1].pk, leads[2].pk}


@pytest.mark.parametrize("who", ["charlie", "dave"])
def test_who_may_not_send_what_waits_has_no_such_action(who: str) -> None:
    lead = Demo().lead()
    assert "send_leads" not in html_of(signed_in(who), LEADS)
    signed_in(who).post(LEADS, {"action": "send_leads", "_selected_action": str(lead.pk), "confirm": "yes"})
    assert not Delivery.objects.exists()
