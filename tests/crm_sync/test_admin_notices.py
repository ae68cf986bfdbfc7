"""What Home says about sending: what is wrong, since when, and the one link that leads to mending it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm_sync import connection_notices, lead_notices, wording
from crm_sync.models import Destination, DestinationState, MappingVersion, Outage, Worker, mappings
from leads import counting, ports
from leads.models import Endpoint
from tests.crm_sync import sending
from tests.crm_sync.screens import Demo, a_worker_lives, html_of, may_only, text_of, url_of
from tests.staff import person, signed_in

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


DOWN = "The CRM failed (HTTP 503): Jane Doe is upside down"


def sick(demo: Demo, state: str = "slowed", reason: str = DOWN, *, outage: bool = True) -> None:
    """Since two hours ago, with the next try in twenty minutes."""
    now = timezone.now()
    since, until = now - timedelta(hours=2), now + timedelta(minutes=20)
    DestinationState.objects.update(state=state, reason=reason, since=since, until=until, failures=5)
    if outage:
        Outage.objects.create(destination=demo.destination, started_at=since, reason=reason)


def time(**ago: float) -> str:
    return wording.clock(timezone.now() - timedelta(**ago), timezone.now())


def test_an_outage_is_told_on_every_page_with_what_waits_and_the_next_try() -> None:
    demo = Demo()
    for _ in range(14):
        demo.owe()
    sick(demo)
    for url in (HOME, SENDINGS):
        assert (
            f"Demo CRM (demo) has refused 14 leads since {time(hours=2)} (The CRM failed, HTTP 503). "
            f"Intake is fine; nothing is lost. Next try {time(minutes=-20)}."
        ) in text_of(signed_in("bob"), url)
    assert "Jane Doe is upside down" not in home()
    assert f'href="{url_of(demo.destination)}"' in html_of(signed_in("bob"), HOME)


def test_an_outage_that_changes_its_kind_keeps_its_beginning() -> None:
    demo = Demo()
    sick(demo, "stopped")
    DestinationState.objects.update(since=timezone.now())
    assert f"has refused leads since {time(hours=2)} (The CRM failed, HTTP 503)." in home()
    assert "nothing is lost. Mend its settings. Next try" in home()


def test_what_did_not_answer_has_not_refused() -> None:
    demo = Demo()
    demo.owe()
    sick(demo, reason="No answer from crm.example within 10 s.")
    assert "Demo CRM (demo) has not taken 1 lead since" in home()
    assert "(No answer from crm.example within 10 s)." in home()


@pytest.mark.parametrize(("state", "words"), [("slowed", "Slowed down since"), ("paused", "Paused since")])
def test_a_connection_that_rests_is_told_on_home_with_what_waits(state: str, words: str) -> None:
    demo = Demo()
    demo.owe()
    demo.owe()
    sick(demo, state, "Asked for fewer leads", outage=False)
    assert f"Demo CRM (demo): {words}" in home()
    assert "2 leads wait; none is lost." in home()
    assert "2 leads wait" not in text_of(signed_in("bob"), SENDINGS)


def test_an_outage_that_somebody_paused_is_told_as_paused() -> None:
    demo = Demo()
    sick(demo, "paused", "Moving house")
    assert "Demo CRM (demo): Paused since" in home()
    assert "has refused" not in home()


def test_of_many_sick_connections_those_are_told_that_need_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_notices, "AT_MOST", 4)
    now = timezone.now()
    kinds = (
        ("paused", "Moving house", 9),
        ("working", "The test failed", 1),
        ("slowed", DOWN, 1),
        ("stopped", DOWN, 1),
        ("stopped", DOWN, 2),
    )
    for state, reason, hours in kinds:
        destination = sending.make_destination("webhook", name=f"CRM {state} {hours}")
        DestinationState.objects.filter(pk=destination.pk).update(
            state=state, reason=reason, since=now - timedelta(hours=hours), until=now
        )
    text = home()
    told = ["CRM stopped 2", "CRM stopped 1", "CRM slowed 1", "CRM working 1"]
    assert all(name in text for name in told)
    assert "CRM paused 9" not in text.split("Needs attention")[1].split("Leads")[0]
    ordered = [state.destination.name for state in connection_notices._sick()]
    assert ordered == [*told, "CRM paused 9"]


def test_salespeople_read_that_their_leads_will_arrive_and_no_errors() -> None:
    demo = Demo()
    demo.owe()
    demo.owe()
    sick(demo)
    text = home("charlie")
    assert "2 leads will reach Demo CRM (demo) by themselves." in text
    assert "503" not in text
    DestinationState.objects.update(state="paused")
    assert "by themselves" not in home("charlie")


def test_who_looks_in_after_an_outage_reads_that_it_is_over() -> None:
    demo = Demo()
    sick(demo)
    DestinationState.objects.update(state="working", failures=0)
    now = timezone.now()
    Outage.objects.update(recovered_at=now - timedelta(hours=1), closed_at=now, affected=1400, delivered=1398)
    a_worker_lives()
    html = html_of(signed_in("bob"), HOME)
    assert f"Demo CRM (demo) works again since {time(hours=1)}: 1,398 of 1,400 delivered." in html
    assert "Nothing needs your attention" not in html  # this site has no public address
    assert "works again" not in home("charlie")
    Outage.objects.update(closed_at=now - timedelta(hours=7))
    assert "works again" not in home()


def test_what_failed_again_does_not_work_again() -> None:
    demo = Demo()
    sick(demo)
    now = timezone.now()
    Outage.objects.update(recovered_at=now, closed_at=now, affected=14, delivered=14)
    assert "works again" not in home()


def test_good_news_needs_no_attention(settings: Any) -> None:
    settings.PUBLIC_URL = "https://leads.contoso.example"
    demo = Demo()
    Endpoint.make(demo.offer)
    a_worker_lives()
    demo.owe()
    sick(demo)
    assert "All well: last lead just now. 1 lead will reach Demo CRM (demo) by itself." in home("charlie")


def test_secrets_that_do_not_open_do_not_take_the_page_away(settings: Any) -> None:
    demo = Demo()
    demo.destination.secrets = {"token": "hunter2"}
    demo.destination.save()
    sick(demo, "stopped", "A stored secret cannot be decrypted.")
    settings.FIELD_ENCRYPTION_KEYS = ["8Vn3JYF3b8b8vLqYy1XlNcM3cZJz0d7sUzhjmG0yq1E="]
    client = may_only("frank", "crm_sync.view_destination")
    assert "has not taken leads since" in text_of(client, HOME)


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
    assert f"{url_of(demo.route, 'mapping')}#field-job_title" in html_of(signed_in("bob"), HOME)


def test_what_a_broken_mapping_holds_is_counted_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = Demo()
    MappingVersion.objects.update(broken="No such field")
    for _ in range(3):
        demo.owe(state="held", held_reason="mapping_broken")
    for cap, said in ((3, "3"), (2, "2+")):
        monkeypatch.setattr(lead_notices, "CAP", cap)
        assert f"It holds {said} leads." in home()


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


def test_refused_and_held_leads_are_counted_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = Demo()
    for _ in range(3):
        demo.owe(state="rejected")
    demo.owe(state="held", held_reason="gave_up")
    for cap, said in ((3, "3"), (2, "2+")):
        monkeypatch.setattr(lead_notices, "CAP", cap)
        text = home()
        assert f"Demo CRM (demo) refused {said} leads." in text
        assert "1 lead for Demo CRM (demo) is held" in text


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


def test_leads_without_a_crm_are_counted_without_the_tests_among_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer = sending.make_offer(title="Contoso Vault")
    for is_test in (True, True, False, False, False):
        sending.make_lead(offer, is_test=is_test)
    for cap, said in ((10, "3"), (2, "2+")):
        monkeypatch.setattr(lead_notices, "CAP", cap)
        assert f"{said} leads of Contoso Vault wait: no CRM connected yet." in home()


def test_leads_before_the_first_publication_are_told() -> None:
    route = sending.make_route(
        sending.make_offer(title="Contoso Vault"), sending.make_destination("demo"), None
    )
    sending.make_lead(route.offer)
    assert "1 lead of Contoso Vault waits: the field mapping is not published." in home()
    assert url_of(route, "mapping") in html_of(signed_in("bob"), HOME)


def test_the_open_question_is_told_until_it_is_answered() -> None:
    demo = Demo()
    demo.lead()
    assert "1 lead came before and was not sent: Contoso Backup → Demo CRM (demo)." in home()
    assert f"{url_of(demo.route)}#question" in html_of(signed_in("bob"), HOME)
    signed_in("bob").post(url_of(demo.route, "from_now_on"))
    assert "came before" not in home()


def test_the_open_question_stays_when_newer_leads_were_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mappings, "LOOKED_AT", 2)
    demo = Demo()
    for _ in range(3):
        demo.lead()
    demo.clock.pass_(60)
    for _ in range(2):
        demo.owe(state="delivered", settled_at=timezone.now())
    monkeypatch.setattr(counting, "PATIENCE", 5.0)  # however busy the machine
    assert "3 leads came before and were not sent" in home()
    monkeypatch.setattr(lead_notices, "IMPATIENT", 0)
    assert "2+ leads came before and were not sent" in home()


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


# Nobody would hear of it


NOBODY = "Nobody will be told by e-mail when a CRM connection fails"
SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture
def real(settings: Any) -> Destination:
    """A connection that somebody relies on, a mail server, and nobody with an address."""
    settings.EMAIL_BACKEND = SMTP
    return sending.make_destination("webhook", name="HubSpot")


def test_that_nobody_would_be_told_is_told(real: Destination) -> None:
    text = home("erin")
    assert f"{NOBODY}: no user who is to be told has an e-mail address." in text
    assert "Enter one for a user of the group Administrator or Partner manager." in text
    assert 'href="/admin/auth/user/">Open the users' in html_of(signed_in("erin"), HOME)
    User.objects.filter(username="erin").update(email="erin@contoso.example")
    assert NOBODY not in home("erin")


def test_without_a_mail_server_nobody_is_told_either(real: Destination, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    User.objects.filter(pk=person("erin").pk).update(email="erin@contoso.example")
    text = home("erin")
    assert f"{NOBODY}: EMAIL_URL names no mail server, and mails are only written to the log." in text
    assert "no user who is to be told" not in text


def test_a_mail_that_could_not_be_sent_is_told(real: Destination) -> None:
    then = timezone.now() - timedelta(minutes=4)
    Outage.objects.create(destination=real, started_at=then, start_claimed_at=then)
    assert "1 mail about CRM connections could not be sent." in home("erin")
    Outage.objects.update(start_told_at=then)
    assert "could not be sent" not in home("erin")


def test_only_who_can_mend_it_is_told_that_nobody_is_told(real: Destination) -> None:
    for name in ("bob", "charlie", "dave"):
        assert NOBODY not in home(name)
    assert NOBODY in text_of(may_only("frank", "auth.change_user"), HOME)
    assert "Open the users" in text_of(signed_in("frank"), HOME)


def test_a_demo_alone_is_nothing_to_be_told_of(settings: Any) -> None:
    settings.EMAIL_BACKEND = SMTP
    Demo()
    assert NOBODY not in home("erin")


# Credentials that end


@pytest.mark.parametrize(
    ("days", "said", "level"),
    [
        (31, None, ""),
        (30, "expire in 30 days, on", "warning"),
        (7, "expire in 7 days, on", "warning"),
        (1, "expire tomorrow, on", "error"),
        (0, "expire today, on", "error"),
        (-3, "expired on", "error"),
    ],
)
def test_credentials_that_end_are_told_with_the_days_left(days: int, said: str | None, level: str) -> None:
    ends = timezone.localdate() + timedelta(days=days)
    destination = sending.make_destination("webhook", name="HubSpot", credentials_expire_on=ends)
    text = home()
    if said is None:
        assert "credentials" not in text
        return
    assert f"The credentials of HubSpot {said} {ends:%Y-%m-%d}" in text
    html = html_of(signed_in("bob"), HOME)
    notice = html[: html.index("The credentials of HubSpot")].rsplit("<div ", 1)[1]
    assert f'class="notice {level}"' in notice
    assert url_of(destination) in html
    assert "The credentials of" not in home("charlie")


# Who sees what


def test_who_may_see_nothing_of_sending_is_told_nothing() -> None:
    demo = Demo()
    demo.owe(state="rejected")
    DestinationState.objects.update(state="stopped")
    text = text_of(may_only("frank", "leads.view_lead"), HOME)
    assert "Demo CRM" not in text
