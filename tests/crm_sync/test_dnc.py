"""Do not contact: the three policies of an offer do what its page says, and nothing offers to call."""

import json
from typing import Any

import pytest

from crm_sync import connectors, mapping, routing
from crm_sync.mapping import suggested_rules
from crm_sync.models import Delivery
from leads import ports
from leads.models import Lead, Offer
from tests.crm_sync.screens import Demo, html_of, press, text_of, url_of
from tests.staff import signed_in

pytestmark = pytest.mark.django_db
FLAGS = {"DNC", "Do not contact"}


@pytest.fixture(autouse=True)
def _no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.ports, "bell", [])


def arrived(demo: Demo, policy: str, **values: Any) -> Lead:
    demo.offer.dnc_policy = policy
    demo.offer.save()
    lead = demo.lead(action="DNC", routed_at=None, phone="+1 425 555 0134", **values)
    routing.route_waiting(demo.clock.now)
    lead.refresh_from_db()
    return lead


def test_hold_keeps_it_here_until_a_person_sends_it_on_purpose() -> None:
    demo = Demo()
    lead = arrived(demo, Offer.DncPolicy.HOLD)
    held = lead.deliveries.get()
    assert (held.state, held.held_reason, lead.status) == ("held", "dnc", "new")
    demo.drain()
    assert "Held: do not contact. Microsoft sent this for information" in text_of(
        signed_in("bob"), url_of(lead)
    )
    press(signed_in("bob"), f"/admin/crm_sync/delivery/{held.pk}/retry/")
    demo.clock.pass_(minutes=1)
    demo.drain()
    held.refresh_from_db()
    assert held.state == Delivery.State.DELIVERED


def test_who_may_not_send_it_reads_who_may() -> None:
    demo = Demo()
    lead = arrived(demo, Offer.DncPolicy.HOLD)
    assert "Stays here: do not contact" in text_of(signed_in("charlie"), url_of(lead))
    text = text_of(signed_in("dave"), url_of(lead))
    assert "Whoever may retry can send it anyway." in text
    held = lead.deliveries.get()
    for who in ("charlie", "dave"):
        assert "Send anyway" not in text_of(signed_in(who), url_of(lead))
        assert signed_in(who).post(f"/admin/crm_sync/delivery/{held.pk}/retry/").status_code == 403


def test_retrying_many_leaves_it_alone() -> None:
    demo = Demo()
    lead = arrived(demo, Offer.DncPolicy.HOLD)
    press(
        signed_in("bob"),
        "/admin/leads/lead/",
        action="retry_leads",
        _selected_action=[str(lead.pk)],
        confirm="yes",
    )
    assert lead.deliveries.get().state == Delivery.State.HELD


def test_push_sends_it_flagged() -> None:
    demo = Demo()
    lead = arrived(demo, Offer.DncPolicy.PUSH)
    demo.drain()
    sent = lead.deliveries.get()
    assert sent.state == Delivery.State.DELIVERED
    assert '"DNC"' in json.dumps(mapping.apply(demo.destination.default_rules(), lead.values()).record)


@pytest.mark.parametrize("slug", connectors.REGISTRY)
def test_every_suggested_mapping_shows_the_flag_to_the_crm(slug: str) -> None:
    lead = Demo().lead(action="DNC", phone="1")
    record = mapping.apply(suggested_rules(connectors.get(slug).spec), lead.values()).record
    assert any(flag in str(value) for value in record.values() for flag in FLAGS), record


def test_archive_closes_it_with_the_reason_and_sends_nothing() -> None:
    demo = Demo()
    lead = arrived(demo, Offer.DncPolicy.ARCHIVE)
    assert (lead.status, lead.closed_reason) == ("closed", "Do not contact")
    assert not lead.deliveries.exists()
    for name in ("charlie", "dave"):
        text = text_of(signed_in(name), url_of(lead))
        assert "Archived: do not contact, as set on the offer's page." in text
        assert "Stays here: do not contact" in text
    assert 'value="Do not contact"' in html_of(signed_in("charlie"), url_of(lead))


def test_an_archived_one_waits_for_no_crm() -> None:
    demo = Demo()
    demo.route.delete()
    lead = arrived(demo, Offer.DncPolicy.ARCHIVE)
    text = text_of(signed_in("bob"), url_of(lead))
    assert "Stays here: do not contact" in text
    assert "no CRM connected" not in text


@pytest.mark.parametrize("policy", Offer.DncPolicy.values)
def test_no_page_offers_to_write_or_to_call(policy: str) -> None:
    demo = Demo()
    lead = arrived(demo, policy)
    demo.drain()
    pages = ["/admin/", "/admin/leads/lead/", "/admin/leads/lead/?kind=all", "/admin/crm_sync/delivery/"]
    assert lead.customer is not None
    pages += [url_of(lead.customer), "/admin/leads/customer/"]
    pages += [url_of(demo.offer), url_of(lead), *(url_of(sending) for sending in lead.deliveries.all())]
    for page in pages:
        html = html_of(signed_in("alice"), page)
        assert "jane@fabrikam.example" in html or page != url_of(lead)
        assert "mailto:" not in html, page
        assert "tel:" not in html, page
    assert '<meta name="format-detection" content="telephone=no, email=no">' in html_of(
        signed_in("alice"), url_of(lead)
    ), "a telephone makes links of what looks like a number"
