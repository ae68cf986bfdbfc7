"""What Home says about sending: what is wrong, since when, and the one link that leads to mending it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm_sync.models import DestinationState, MappingVersion, Worker
from leads import ports
from tests.crm_sync import sending
from tests.crm_sync.screens import Demo, a_worker_lives, html_of, may_only, text_of, url_of
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

HOME = "/admin/"
SENDINGS = "/admin/crm_sync/delivery/"


@pytest.fixture(autouse=True)
def _no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.ports, "bell", [])


def home(name: str = "bob") -> str:
    return text_of(signed_in(name), HOME)


# No worker


def test_without_a_worker_every_page_says_so() -> None:
    for url in (HOME, SENDINGS, "/admin/leads/lead/", url_of(Demo().route)):
        assert "No worker is running" in text_of(signed_in("dave"), url)


def test_a_silent_worker_is_none() -> None:
    a_worker_lives()
    assert "No worker" not in home()
    Worker.objects.update(seen_at=timezone.now() - timedelta(seconds=31))
    assert "No worker is running since" in home()


# Connections


@pytest.mark.parametrize(
    ("state", "words"),
    [("slowed", "Slowed down since"), ("stopped", "Stopped since"), ("paused", "Paused since")],
)
def test_a_sick_connection_is_told_with_what_waits(state: str, words: str) -> None:
    demo = Demo()
    demo.owe()
    demo.owe()
    DestinationState.objects.update(state=state, reason="The CRM failed (HTTP 503)")
    text = home()
    assert f"Demo CRM (demo): {words}" in text
    assert "The CRM failed (HTTP 503). " in text
    assert "2 leads wait; none is lost." in text
    assert f'href="{url_of(demo.destination)}"' in html_of(signed_in("bob"), HOME)


def test_a_working_connection_is_no_news() -> None:
    Demo()
    a_worker_lives()
    assert "Demo CRM" not in home().split("Needs attention")[1].split("Leads")[0]


# Mappings


def test_a_broken_mapping_is_told_with_what_it_holds() -> None:
    demo = Demo()
    demo.switch("refusing_field")
    demo.owe()
    demo.owe()
    demo.drain()
    text = home()
    assert "The field mapping Contoso Backup → Demo CRM (demo) is broken at the field job_title." in text
    assert "It holds 2 leads." in text
    assert f"{url_of(demo.route)}#field-job_title" in html_of(signed_in("bob"), HOME)


def test_an_older_broken_version_is_no_news() -> None:
    demo = Demo()
    MappingVersion.objects.update(broken="No such field", broken_field="x")
    MappingVersion.objects.create(route=demo.route, number=2, state="published")
    assert "is broken" not in home()


# Sendings


def test_refused_and_held_leads_are_counted_by_reason() -> None:
    demo = Demo()
    demo.owe(state="rejected")
    demo.owe(state="rejected")
    demo.owe(state="held", held_reason="gave_up")
    demo.owe(state="held", held_reason="approval")
    text = home("charlie")
    assert "Demo CRM (demo) refused 2 leads." in text
    assert "1 lead for Demo CRM (demo) is held: given up after about three days." in text
    assert "1 lead for Demo CRM (demo) waits for approval." in text
    html = html_of(signed_in("charlie"), HOME)
    assert f"{SENDINGS}?destination={demo.destination.pk}&amp;state=rejected" in html
    assert "state=held&amp;held_reason=gave_up" in html


def test_leads_held_on_purpose_are_no_news() -> None:
    Demo().owe(state="held", held_reason="dnc")
    assert "is held" not in home()


# Leads that go nowhere


def test_leads_without_a_crm_are_told() -> None:
    offer = sending.make_offer(title="Contoso Vault")
    for _ in range(2):
        sending.make_lead(offer)
    assert "2 leads of Contoso Vault wait: no CRM connected yet." in home()
    assert f"/admin/crm_sync/route/add/?offer={offer.pk}" in html_of(signed_in("bob"), HOME)
    assert "/admin/crm_sync/route/add/" not in html_of(signed_in("dave"), HOME)


def test_leads_before_the_first_publication_are_told() -> None:
    route = sending.make_route(
        sending.make_offer(title="Contoso Vault"), sending.make_destination("demo"), None
    )
    sending.make_lead(route.offer)
    assert "1 lead of Contoso Vault waits: the field mapping is not published." in home()
    assert url_of(route) in html_of(signed_in("bob"), HOME)


def test_the_open_question_is_told_until_it_is_answered() -> None:
    demo = Demo()
    demo.lead()
    assert "1 lead came before and was not sent: Contoso Backup → Demo CRM (demo)." in home()
    assert f"{url_of(demo.route)}#question" in html_of(signed_in("bob"), HOME)
    signed_in("bob").post(url_of(demo.route, "from_now_on"))
    assert "came before" not in home()


def test_other_pages_do_not_count_leads() -> None:
    demo = Demo()
    client = signed_in("bob")

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            html_of(client, SENDINGS)
        return len(queries)

    few = asked()
    for _ in range(3):
        route = sending.make_route(sending.make_offer(), demo.destination)
        sending.make_lead(route.offer, routed_at=sending.START)
    assert asked() == few


# Who sees what


def test_who_may_see_nothing_of_sending_is_told_nothing() -> None:
    demo = Demo()
    demo.owe(state="rejected")
    DestinationState.objects.update(state="stopped")
    text = text_of(may_only("frank", "leads.view_lead"), HOME)
    assert "Demo CRM" not in text
