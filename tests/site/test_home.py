"""Home: what needs attention, what came, and what to do next."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leads.models import Endpoint, Submission
from leads.ports import ports
from leads.wording import midnight
from leadsite import home
from tests.staff import body, make_offer, post, signed_in

pytestmark = pytest.mark.django_db

WELL = "All is well. Nothing needs your attention."


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Home by itself, on a site that Microsoft can reach."""
    monkeypatch.setattr(ports, "notices", [])
    settings.PUBLIC_URL = "https://leads.contoso.example"


def shown(name: str = "bob") -> str:
    response = signed_in(name).get("/admin/")
    assert response.status_code == 200
    return response.content.decode()


def test_a_site_that_works_says_so() -> None:
    post(make_offer())
    text = shown()
    assert WELL in text
    assert "Next step" not in text


def test_the_last_leads_are_sentences_with_their_age() -> None:
    offer = make_offer()
    post(offer, at=timezone.now() - timedelta(minutes=12))
    text = shown("charlie")
    assert "Jane Doe, Fabrikam (US) pressed Contact me for Contoso Backup on AppSource" in text
    assert "12 min ago" in text


def test_numbers_leave_out_demo_samples_and_tests_and_link_to_what_they_count() -> None:
    real, demo = make_offer(), make_offer("demo", is_demo=True)
    today = midnight()
    post(real, body({"FirstName": "Now"}), at=today)
    post(real, body({"FirstName": "Earlier"}), at=today.replace(day=1))
    post(real, body({"FirstName": "Last month"}), at=today.replace(day=1) - timedelta(seconds=1))
    post(real, body({"FirstName": "MSFT_TEST_1"}), at=today)
    post(real, body({"FirstName": "Sample"}), origin=Submission.Origin.SAMPLE, at=today)
    post(demo, body({"FirstName": "Demo"}), at=today)
    client = signed_in("charlie")
    for figure in home._figures():
        response = client.get(figure.url)
        assert response.context["cl"].result_count == figure.number
    day, month = home._figures()
    assert (day.number, month.number) == ((2, 2) if today.day == 1 else (1, 2))


def test_what_does_not_count_has_a_badge_and_tests_are_left_out() -> None:
    real, demo = make_offer(), make_offer("demo", is_demo=True)
    post(real, origin=Submission.Origin.SAMPLE)
    post(real, body({"Email": "MSFT_TEST_1@test.com", "FirstName": "Microsoft's"}))
    post(demo)
    post(real, body(ActionCode="DNC"))
    text = shown("charlie")
    for badge in (">sample<", ">demo<", ">do not contact<"):
        assert badge in text
    assert "Microsoft&#x27;s" not in text


def test_an_address_that_microsoft_cannot_reach_is_told(settings: Any) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    assert "Microsoft cannot reach http://127.0.0.1:8000" in shown("bob")
    assert "Microsoft cannot reach" not in shown("charlie"), "who can change nothing is not worried"


def test_an_enabled_offer_without_a_url_is_told() -> None:
    offer = make_offer()
    post(offer)
    Endpoint.objects.update(revoked_at=timezone.now())
    assert "Contoso Backup has no URL" in shown()
    offer.enabled = False
    offer.save()
    assert WELL in shown()


def test_quarantine_is_told_with_its_number_but_not_the_demos() -> None:
    post(make_offer("demo", is_demo=True), b"{")
    offer = make_offer()
    post(offer)
    assert "could not be read" not in shown()
    post(offer, b"{")
    assert "1 request arrived and could not be read" in shown()
    post(offer, b"[")
    assert "2 requests arrived and could not be read" in shown()


def test_an_empty_site_says_what_to_do_next() -> None:
    assert 'href="/admin/leads/offer/add/"' in shown("bob")
    text = shown("charlie")
    assert "A partner manager adds the first one." in text
    assert "/add/" not in text
    assert "No leads yet." in text


def test_an_offer_that_nothing_has_reached_is_the_next_step() -> None:
    make_offer()
    assert "Paste its URL in Partner Center and press Validate." in shown("bob")
    assert "Next step" not in shown("charlie")


def test_who_may_see_no_leads_sees_none() -> None:
    post(make_offer())
    text = shown("frank")
    assert "Jane Doe" not in text
    assert "leads today" not in text


def test_demo_data_is_announced_and_removed_by_those_who_may(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "demo data" not in shown("erin")
    make_offer("demo", is_demo=True)
    monkeypatch.setattr(home, "reverse", lambda name, **more: f"/there/{name}")
    assert "/there/admin:crm_sync_remove_demo" in shown("erin")
    for name in ("bob", "charlie", "dave"):
        text = shown(name)
        assert "You see demo data" in text
        assert "Remove demo data" not in text


def test_home_costs_the_same_for_many_leads_as_for_few() -> None:
    offer, client = make_offer(), signed_in("bob")
    post(offer)
    client.get("/admin/")
    with CaptureQueriesContext(connection) as few:
        client.get("/admin/")
    for number in range(15):
        post(offer, body({"FirstName": f"Number {number}"}))
    with CaptureQueriesContext(connection) as many:
        client.get("/admin/")
    assert len(few) == len(many) <= 18


def test_only_who_may_open_the_settings_is_sent_there() -> None:
    assert 'href="/admin/settings/"' in html_of_home("alice")
    assert 'href="/admin/settings/"' not in html_of_home("bob")


def html_of_home(name: str) -> str:
    return signed_in(name).get("/admin/").content.decode()
