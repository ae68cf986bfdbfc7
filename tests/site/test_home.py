"""Home: what needs attention, what came, and what to do next."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leads.models import Endpoint, Lead, Offer, Submission
from leads.ports import Connection, Notice, Times, ports
from leads.wording import midnight
from leadsite import bootstrap, first_hour, home, home_mine
from tests.staff import body, lead_of, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db

WELL = "All well: last lead just now."


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Home by itself, on a site that Microsoft can reach."""
    for plug in ("notices", "connections", "all_sent", "times_to_crm"):
        monkeypatch.setattr(ports, plug, [])
    settings.PUBLIC_URL = "https://leads.contoso.example"


def shown(name: str = "bob") -> str:
    response = signed_in(name).get("/admin/")
    assert response.status_code == 200
    return response.content.decode()


def test_a_site_that_works_says_so() -> None:
    post(make_offer())
    text = shown()
    assert WELL in text


def test_the_last_leads_are_sentences_with_their_age() -> None:
    offer = make_offer()
    post(offer, at=timezone.now() - timedelta(minutes=12))
    text = shown("charlie")
    assert "Jane Doe, Fabrikam (US), pressed Contact me for Contoso Backup on AppSource" in text
    assert "12 min ago" in text


def test_numbers_leave_out_demo_samples_and_tests_and_link_to_what_they_count() -> None:
    real, demo = make_offer(), make_offer("demo", is_demo=True)
    today = midnight()
    put_away = post(real, body({"FirstName": "Now"}), at=today)
    put_away.leads.update(archived_at=timezone.now())
    post(real, body({"FirstName": "Earlier"}), at=today.replace(day=1))
    post(real, body({"FirstName": "Last month"}), at=today.replace(day=1) - timedelta(seconds=1))
    post(real, body({"FirstName": "MSFT_TEST_1"}), at=today)
    post(real, body({"FirstName": "Sample"}), origin=Submission.Origin.SAMPLE, at=today)
    post(demo, body({"FirstName": "Demo"}), at=today)
    client = signed_in("charlie")
    figures = client.get("/admin/").context["figures"]
    for figure in figures:
        response = client.get(figure.url)
        assert response.context["cl"].result_count == figure.number
    day, month = figures
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


def test_an_offer_that_nothing_has_reached_is_a_step_to_take() -> None:
    make_offer()
    assert "Paste the URL of the offer in Partner Center and press Validate" in shown("bob")
    assert "Welcome" not in shown("charlie")


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
    assert len(few) == len(many) <= 24


def test_only_who_may_open_the_settings_is_sent_there() -> None:
    assert 'href="/admin/settings/"' in html_of_home("alice")
    assert 'href="/admin/settings/"' not in html_of_home("bob")


def html_of_home(name: str) -> str:
    return signed_in(name).get("/admin/").content.decode()


# Problems


def told(*notices: Notice) -> None:
    ports.notices.append(lambda request: notices)


def test_errors_come_first_then_what_costs_most_leads_and_more_than_five_unfold() -> None:
    post(make_offer())
    told(
        Notice("warning", "Holds two.", leads=2),
        Notice("warning", "Costs nothing."),
        Notice("error", "Broken.", leads=1),
        Notice("warning", "Holds many.", leads=900),
        Notice("error", "Worse.", leads=7),
        Notice("warning", "Also nothing."),
        Notice("warning", "Nothing either."),
        Notice("well", "Works again."),
        Notice("error", "Said above.", everywhere=True),
    )
    context = signed_in("bob").get("/admin/").context
    assert [notice.text for notice in context["problems"]] == [
        "Worse.",
        "Broken.",
        "Holds many.",
        "Holds two.",
        "Costs nothing.",
    ]
    text = shown()
    assert "and 2 more" in text.split("Nothing either.")[0].split("Costs nothing.")[1]
    assert text.count("Said above.") == 1, "once, above"
    assert "Works again." in text
    assert "All well" not in text


def test_a_problem_says_since_when() -> None:
    told(Notice("warning", "Something.", since=midnight()))
    assert f'Something. <span class="since">Since {midnight():%Y-%m-%d} 00:00.</span>' in shown()


def test_all_well_names_the_last_lead_and_whether_everything_was_sent() -> None:
    offer = make_offer()
    assert "All well. No lead has come yet." in shown()
    post(offer, at=timezone.now() - timedelta(minutes=12))
    post(offer, body({"FirstName": "MSFT_TEST_1"}))
    ports.all_sent.append(lambda request: "everything sent")
    assert "All well: last lead 12 min ago, everything sent." in shown()
    assert "All well." in shown("frank"), "nothing of leads to those who may not see them"


# Figures


def test_the_chart_counts_by_day_and_offer_and_has_a_table() -> None:
    backup, archive = make_offer(), make_offer("archive")
    today = midnight()
    for offer, at in ((backup, today), (backup, today), (archive, today - timedelta(days=29))):
        post(offer, body({"FirstName": f"{offer} {Lead.objects.count()}"}), at=at)
    post(archive, body({"FirstName": "Long ago"}), at=today - timedelta(days=30))
    context = signed_in("charlie").get("/admin/").context
    assert [(one.label, one.total) for one in context["chart"].series] == [
        ("Contoso Backup", 2),
        ("Contoso Archive", 1),
    ]
    assert len(context["chart"].days) == 30
    text = shown("charlie")
    assert f"<title>{today:%Y-%m-%d}, Contoso Backup: 2</title>" in text
    assert 'href="/admin/leads/lead/?kind=counted&amp;archived=all&amp;received=today">2</a>' in text


def test_without_leads_there_is_no_chart() -> None:
    make_offer()
    assert "<figure" not in shown("charlie")


def test_connections_and_times_stand_on_home_for_who_may_see_them() -> None:
    post(make_offer())
    ports.connections.append(
        lambda request: [Connection("HubSpot", "/there/", "stopped", "Stopped", "12", "Never")]
    )
    ports.times_to_crm.append(lambda request, since, until: Times([2.0, 3.0, 90.0]))
    text = shown("bob")
    assert '<a href="/there/">HubSpot</a>' in text
    assert '<span class="dot stopped">Stopped</span>' in text
    assert "Arrival to CRM" in text
    assert ">3 s</td>" in text
    assert ">90 s</td>" in text
    assert "HubSpot" not in shown("frank")


# Who works on leads


def test_sales_read_first_what_waits_for_them() -> None:
    offer, crm = make_offer(), make_offer("crm", worked_in=Offer.WorkedIn.CRM)
    now = timezone.now()
    mine, others, nobodys, done, elsewhere = (
        post(where, body({"FirstName": name})).leads.get()
        for where, name in (
            (offer, "Mine"),
            (offer, "Others"),
            (offer, "Nobodys"),
            (offer, "Done"),
            (crm, "Elsewhere"),
        )
    )
    Lead.objects.filter(pk=mine.pk).update(
        owner=person("charlie"), answer_due_at=now - timedelta(hours=1), follow_up_on=timezone.localdate()
    )
    Lead.objects.filter(pk=others.pk).update(owner=person("bob"), follow_up_on=timezone.localdate())
    Lead.objects.filter(pk=nobodys.pk).update(answer_due_at=now + timedelta(hours=1))
    Lead.objects.filter(pk=done.pk).update(status=Lead.Status.CLOSED, answer_due_at=now - timedelta(hours=1))
    Lead.objects.filter(pk=elsewhere.pk).update(answer_due_at=now - timedelta(hours=1))
    found = signed_in("charlie").get("/admin/").context["mine"]
    assert [(one.number, one.label) for one in found] == [
        ("2", "new for you or nobody"),
        ("1", "late"),
        ("1", "follow-up today"),
    ]
    for name in ("bob", "dave"):
        assert signed_in(name).get("/admin/").context["mine"] == [], "they look after other things"


def test_what_waits_is_counted_as_its_list_shows_it() -> None:
    """None of the demo, no samples, and nobody who asked not to be contacted."""
    offer, demo, now = make_offer(), make_offer("demo", is_demo=True), timezone.now()
    charlie, today = person("charlie"), timezone.localdate()
    mine = {"owner": charlie, "follow_up_on": today, "answer_due_at": now - timedelta(hours=1)}
    cases: list[tuple[Offer, dict[str, Any]]] = [
        (offer, {}),
        (offer, {"action": "DNC"}),
        (offer, {"is_sample": True}),
        (offer, {"is_test": True}),
        (offer, {"archived_at": now}),
        (demo, {}),
    ]
    for number, (where, values) in enumerate(cases):
        lead = lead_of(post(where, body({"FirstName": f"Number {number}"})))
        Lead.objects.filter(pk=lead.pk).update(**mine, **values)
    client = signed_in("charlie")
    for count in client.get("/admin/").context["mine"]:
        listed = client.get(count.url).context["cl"].result_list
        assert (count.number, len(listed)) == ("1", 1), count.label


def test_where_all_leads_are_worked_on_in_the_crm_nobody_is_counted_to() -> None:
    post(make_offer(worked_in=Offer.WorkedIn.CRM))
    assert "Your leads" not in shown("charlie")


def test_a_count_stops_where_nobody_counts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_mine, "CAP", 2)
    offer = make_offer()
    for number in range(4):
        post(offer, body({"FirstName": str(number)}))
    assert signed_in("charlie").get("/admin/").context["mine"][0].number == "2+"


# The first hour


def test_who_has_the_password_that_was_printed_is_asked_to_choose_another_until_then(
    settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    password = bootstrap.reset_password()
    told = "You still have the password that was printed for you"
    client = Client()
    assert client.login(username="admin", password=password)
    text = client.get("/admin/").content.decode()
    assert told in text
    assert 'href="/admin/password_change/"' in text
    assert told not in shown("erin")
    chosen = {"new_password1": "Correct-horse-7", "new_password2": "Correct-horse-7"}
    assert client.post("/admin/password_change/", {"old_password": password} | chosen).status_code == 302
    assert told not in client.get("/admin/").content.decode()


def test_the_steps_of_the_set_up_stand_first_until_all_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(done: bool) -> list[first_hour.Step]:
        return [
            first_hour.Step(1, "Address", "It answers.", "/step/1/", "Check", done=True),
            first_hour.Step(2, "Offer", "Add one.", "/step/2/", "Add", done=done),
        ]

    monkeypatch.setattr(first_hour, "steps", lambda request: steps(done=False))
    text = shown("bob")
    assert "Welcome: 2 steps" in text
    assert 'href="/step/2/">Add</a>' in text
    assert "/step/1/" not in text, "done"
    assert "Welcome" not in shown("charlie")
    monkeypatch.setattr(first_hour, "steps", lambda request: steps(done=True))
    assert "Welcome" not in shown("bob")
