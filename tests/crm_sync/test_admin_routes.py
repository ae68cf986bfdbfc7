"""The page of a route: which leads it takes, and what waits for a decision. The rows have a page of their own."""

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from crm_sync import publishing
from crm_sync.mapping import Rule
from crm_sync.models import Delivery, DestinationState, MappingVersion, Route
from leads import counting, ports
from leads.models import Lead
from tests.crm_sync import sending
from tests.crm_sync.mapping_screen import publish, save
from tests.crm_sync.screens import Demo, html_of, may_only, press, text_of, url_of, words
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

ADD = "/admin/crm_sync/route/add/"
EVIL = "<script>alert(1)</script>"
TOPIC = Rule("topic", "constant", value="Hello")


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(ports.ports, "bell", [lambda: rung.append("ring")])
    return rung


def inputs_of(client: Any, route: Route) -> dict[str, Any]:
    """What the browser would send if nothing was touched."""
    form = client.get(url_of(route)).context["adminform"].form
    return {name: value for name in form.fields if (value := form[name].value()) not in (None, False)}


# The way to the rows


def test_the_page_leads_to_the_field_mapping_and_says_how_it_stands() -> None:
    demo = Demo(rules=[TOPIC])
    publishing.draft_of(demo.route)
    html = html_of(signed_in("bob"), url_of(demo.route))
    assert f'href="{url_of(demo.route, "mapping")}"' in html
    assert "Draft of v2 · live v1" in words(html)
    assert "Edit field mapping" in words(html)
    read = text_of(signed_in("dave"), url_of(demo.route))
    assert "Look at the field mapping" in read
    assert "Edit field mapping" not in read


def test_a_required_field_that_nothing_fills_is_named() -> None:
    route = Demo().route
    save(route, {"target": "topic", "kind": "omit"})
    text = text_of(signed_in("bob"), url_of(route))
    assert "Required by the CRM, and filled by no row: Topic ." in text


def test_the_page_of_a_route_whose_kind_of_crm_is_gone_still_opens() -> None:
    demo = Demo()
    demo.destination.connector = "gone"
    demo.destination.save()
    assert "This version has no connector “gone”" in text_of(signed_in("bob"), url_of(demo.route))
    assert "This version has no connector “gone”" in press_get(url_of(demo.route, "mapping"))


def press_get(url: str) -> str:
    return words(signed_in("bob").get(url, follow=True).content.decode())


# A broken mapping


def test_a_broken_mapping_names_the_field_and_leads_to_its_row() -> None:
    demo = Demo()
    demo.switch("refusing_field")
    held = demo.owe()
    demo.drain()
    html = html_of(signed_in("bob"), url_of(demo.route))
    assert "Broken at the field job_title" in html
    assert f'href="{url_of(demo.route, "mapping")}#field-job_title"' in html
    assert 'id="field-job_title"' in html_of(signed_in("bob"), url_of(demo.route, "mapping"))
    publish(demo.route, {"target": "job_title", "kind": "omit"})
    held.refresh_from_db()
    assert held.state == "waiting"
    demo.clock.pass_(60)
    assert demo.drain() == 1
    assert "Broken" not in text_of(signed_in("bob"), url_of(demo.route))


def test_a_crm_that_was_mended_is_tried_with_one_lead(rings: list[str]) -> None:
    demo = Demo()
    demo.switch("refusing_field")
    for _ in range(3):
        demo.owe()
    demo.drain()
    demo.switch("working")
    assert "If it gets through" in press(signed_in("bob"), url_of(demo.route, "retry_held"))
    assert rings
    assert Delivery.objects.filter(state="waiting").count() == 1
    for _ in range(2):  # the one, then what it released
        demo.clock.pass_(60)
        demo.drain()
    assert Delivery.objects.filter(state="delivered").count() == 3


# The question


def unpublished() -> tuple[Route, list[Lead]]:
    offer = sending.make_offer(title="Contoso Backup")
    route = sending.make_route(offer, sending.make_destination("demo"), None)
    return route, [sending.make_lead(offer, routed_at=sending.START, first_name="Jane") for _ in range(3)]


def test_leads_wait_until_the_mapping_is_published() -> None:
    route, _ = unpublished()
    text = text_of(signed_in("bob"), url_of(route))
    assert "3 leads wait." in text
    assert "Nothing is sent until the field mapping is published" in text
    assert signed_in("bob").post(url_of(route, "send_waiting"), {"count": "3"}).status_code == 302
    assert not Delivery.objects.exists(), "nothing is sent unpublished, whoever posts"


def test_the_first_publication_asks_and_sends_nothing_by_itself() -> None:
    route, leads = unpublished()
    response = publish(route)
    assert response.url == f"{url_of(route)}#question"
    text = text_of(signed_in("bob"), url_of(route))
    assert "3 leads came before and were not sent" in text
    assert leads[0].sentence in text
    assert "Send the 3 waiting" in text
    assert not Delivery.objects.exists()


def test_send_the_waiting(rings: list[str]) -> None:
    route, _ = unpublished()
    publish(route)
    assert "3 leads are on the way" in press(signed_in("bob"), url_of(route, "send_waiting"), count="3")
    assert Delivery.objects.count() == 3
    assert rings
    assert "came before" not in text_of(signed_in("bob"), url_of(route))


def test_more_than_was_shown_is_asked_again() -> None:
    route, _ = unpublished()
    publish(route)
    sending.make_lead(route.offer, routed_at=sending.START)
    assert "By now 4 leads wait" in press(signed_in("bob"), url_of(route, "send_waiting"), count="3")
    assert not Delivery.objects.exists()


def test_from_now_on() -> None:
    route, _ = unpublished()
    publish(route)
    assert "From now on" in press(signed_in("bob"), url_of(route, "from_now_on"))
    assert not Delivery.objects.exists()
    assert "came before" not in text_of(signed_in("bob"), url_of(route))
    route.refresh_from_db()
    assert route.send_from is not None


def test_an_offer_that_is_off_is_not_asked_about_until_it_is_on_again() -> None:
    route, _ = unpublished()
    publish(route)
    route.offer.enabled = False
    route.offer.save()
    assert "came before" not in text_of(signed_in("bob"), url_of(route))
    route.offer.enabled = True
    route.offer.save()
    assert "came before" in text_of(signed_in("bob"), url_of(route))


def test_leads_that_the_policy_archives_are_not_asked_about() -> None:
    route, _ = unpublished()
    route.offer.dnc_policy = "archive"
    route.offer.save()
    Lead.objects.update(action="DNC")
    publish(route)
    assert "came before" not in text_of(signed_in("bob"), url_of(route))


# Conditions


def test_only_some_actions() -> None:
    demo = Demo()
    client = signed_in("bob")
    data = inputs_of(client, demo.route) | {"actions": ["PLT"], "other_actions": "ins, NEW , new2"}
    assert client.post(url_of(demo.route), data).url == url_of(demo.route)
    demo.route.refresh_from_db()
    assert demo.route.only_actions == ["PLT", "INS", "NEW", "new2"]
    response = signed_in("bob").get(url_of(demo.route))
    form = response.context["adminform"].form
    assert form["actions"].value() == ["PLT", "INS"]
    assert form["other_actions"].value() == "NEW, new2"


def test_switching_off_and_asking_first() -> None:
    demo = Demo()
    client = signed_in("bob")
    data = inputs_of(client, demo.route) | {"needs_approval": "on"}
    del data["enabled"]
    client.post(url_of(demo.route), data)
    demo.route.refresh_from_db()
    assert (demo.route.enabled, demo.route.needs_approval) == (False, True)
    assert "This route is off" in text_of(client, url_of(demo.route))


def test_a_new_route_begins_at_the_offer_it_was_asked_from() -> None:
    offer, destination = sending.make_offer(), sending.make_destination("demo")
    client = signed_in("bob")
    assert client.get(ADD, {"offer": offer.pk}).context["adminform"].form["offer"].value() == str(offer.pk)
    made = {"offer": offer.pk, "destination": destination.pk, "enabled": "on"}
    response = client.post(ADD, made)
    assert response.url == url_of(Route.objects.get(), "mapping")
    again = client.post(ADD, made).content.decode()
    assert "This offer sends to that CRM connection already" in again


# Who may


def test_who_may_not_see_leads_sees_none_in_the_question() -> None:
    demo = Demo()
    demo.lead(first_name="Hidden")
    text = text_of(may_only("frank", "crm_sync.view_route"), url_of(demo.route))
    assert "1 lead came before" in text
    assert "Hidden" not in text


def test_readers_see_no_buttons() -> None:
    demo = Demo()
    demo.lead()
    html = html_of(signed_in("dave"), url_of(demo.route))
    for absent in ('name="_save"', "Send the 1 waiting", "Edit field mapping"):
        assert absent not in html


@pytest.mark.parametrize("button", ["send_waiting", "from_now_on", "retry_held"])
def test_buttons_need_their_permission_and_a_post(button: str) -> None:
    demo = Demo()
    demo.lead()
    url = url_of(demo.route, button)
    assert signed_in("dave").post(url, {"count": "1"}).status_code == 403
    assert signed_in("bob").get(url).status_code == 405
    demo.route.refresh_from_db()
    assert demo.route.send_from is None
    assert not Delivery.objects.exists()


def test_who_may_change_conditions_but_not_rows_changes_those_alone() -> None:
    route = Demo(rules=[TOPIC]).route
    client = may_only("frank", "crm_sync.view_route", "crm_sync.change_route")
    assert "“Hello”" in html_of(client, url_of(route, "mapping"))
    assert client.post(url_of(route), {"enabled": "on", "actions": "PLT"}).status_code == 302
    route.refresh_from_db()
    assert route.only_actions == ["PLT"]
    assert route.live_mapping.as_rules() == (TOPIC,)


@pytest.mark.parametrize("name", ["charlie", "dave"])
def test_who_may_not_change_a_route_cannot(name: str) -> None:
    route = Demo().route
    assert signed_in(name).post(url_of(route), {"enabled": ""}).status_code == 403
    assert signed_in(name).post(ADD, {}).status_code == 403


# Deleting


def test_a_route_that_sent_something_stays() -> None:
    demo = Demo()
    demo.owe()
    assert "cannot be deleted" in text_of(signed_in("bob"), url_of(demo.route))
    assert signed_in("bob").post(url_of(demo.route, "delete"), {"post": "yes"}).status_code == 403


def test_a_route_that_sent_nothing_goes() -> None:
    route = Demo().route
    assert "Field mapping v1" in text_of(signed_in("bob"), url_of(route, "delete"))
    assert "is gone" in press(signed_in("bob"), url_of(route, "delete"), post="yes")
    assert not Route.objects.exists()


# The offer's page


def test_the_offer_says_where_its_leads_go() -> None:
    demo = Demo()
    text = text_of(signed_in("dave"), url_of(demo.offer))
    assert "Sends to Demo CRM demo Working Field mapping: Live v1" in text
    demo.lead()
    assert "1 lead came before and was not sent" in text_of(signed_in("dave"), url_of(demo.offer))


def test_nobody_waits_for_the_exact_number_of_very_many_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PATIENCE", 2.0)
    monkeypatch.setattr(counting, "MOST", 2)
    demo, alone = Demo(), sending.make_offer()
    for _ in range(3):
        demo.lead()
        sending.make_lead(alone)
    assert "2+ leads came before and were not sent" in text_of(signed_in("dave"), url_of(demo.offer))
    assert "2+ wait now." in text_of(signed_in("dave"), url_of(alone))
    route = Route.objects.create(offer=alone, destination=demo.destination)
    Lead.objects.update(routed_at=timezone.now())
    assert "2+ leads wait for the field mapping." in text_of(signed_in("dave"), url_of(alone))
    assert "2+ leads wait." in text_of(signed_in("dave"), url_of(route))


def test_an_offer_without_a_crm_says_that_leads_wait() -> None:
    offer = sending.make_offer()
    sending.make_lead(offer)
    text = text_of(signed_in("bob"), url_of(offer))
    assert "No CRM connected yet: leads are kept here and wait. 1 waits now." in text
    assert f"{ADD}?offer={offer.pk}" in html_of(signed_in("bob"), url_of(offer))
    assert "Send to a CRM" not in text_of(signed_in("dave"), url_of(offer))
    assert "Sends to" not in text_of(signed_in("charlie"), url_of(offer))


# Hostile text


def test_hostile_text_is_harmless() -> None:
    rule = Rule(
        "topic",
        "lookup",
        source=f"campaign.{EVIL}",
        table={EVIL: EVIL},
        fallback=EVIL,
        when={f"extra.{EVIL}": (EVIL,)},
    )
    demo = Demo(rules=[rule, Rule("email", "template", template=EVIL)])
    demo.lead(first_name=EVIL, last_name=EVIL, campaign={EVIL: EVIL}, extra={EVIL: EVIL})
    MappingVersion.objects.update(broken=EVIL, broken_field=EVIL, doubt=EVIL, doubt_field=EVIL, note=EVIL)
    for who in ("alice", "dave"):
        for url in (
            url_of(demo.route),
            url_of(demo.route, "mapping"),
            url_of(demo.destination, "mapping"),
            url_of(demo.offer),
            "/admin/",
            reverse("admin:crm_sync_route_changelist"),
        ):
            assert EVIL not in html_of(signed_in(who), url)


def test_each_connection_of_an_offer_has_a_state_of_its_own() -> None:
    demo = Demo()
    other = sending.make_destination("webhook", name="Hook")
    sending.make_route(demo.offer, other, needs_approval=True)
    demo.owe(state="rejected", reason="No")
    DestinationState.objects.filter(pk=other.pk).update(state="stopped", reason="Wrong key.")
    text = text_of(signed_in("dave"), url_of(demo.offer))
    assert (
        "Demo CRM demo Working Field mapping: Live v1 Last success: None with these settings · 1 refused"
        in text
    )
    assert "Hook Stopped Field mapping: Live v1 · asks before each lead" in text
    assert "Wrong key." in text


def test_the_question_says_what_would_be_held_at_once() -> None:
    demo = Demo(needs_approval=True)
    demo.lead()
    demo.lead(action="DNC")
    text = text_of(signed_in("bob"), url_of(demo.route))
    assert "None will be sent, 1 is held: do not contact, 1 is held: needs approval." in text
    assert "Hold the 2 waiting here" in text
    assert "2 leads are held." in press(signed_in("bob"), url_of(demo.route, "send_waiting"), count="2")


@pytest.mark.parametrize(
    ("broken", "becomes", "button"),
    [
        ("", "2 will be sent, 1 is held: do not contact.", "Send the 2 waiting"),
        (
            "No such field.",
            "None will be sent, 1 is held: do not contact, 2 are held: field mapping",
            "Hold the 3",
        ),
    ],
)
def test_what_would_be_held_is_not_counted_as_sent(broken: str, becomes: str, button: str) -> None:
    demo = Demo()
    for action in ("INS", "PLT", "DNC"):
        demo.lead(action=action)
    MappingVersion.objects.filter(route=demo.route).update(broken=broken)
    text = text_of(signed_in("bob"), url_of(demo.route))
    assert becomes in text
    assert button in text
    told = press(signed_in("bob"), url_of(demo.route, "send_waiting"), count="3")
    assert ("2 leads are on the way to Demo CRM. 1 lead is held." in told) == (not broken)
    assert Delivery.objects.exclude(state="held").count() == (0 if broken else 2)


def test_a_route_that_asks_says_how_many_wait_for_a_word() -> None:
    demo = Demo(needs_approval=True)
    assert "None waits for approval now" in text_of(signed_in("bob"), url_of(demo.route))
    sent = demo.owe(state="held", held_reason="approval")
    html = html_of(signed_in("bob"), url_of(demo.route))
    assert "1 waits for approval" in words(html)
    query = f"?destination={demo.destination.pk}&amp;offer={demo.offer.pk}&amp;held_reason=approval"
    assert query in html
    url = f"/admin/crm_sync/delivery/{query}".replace("&amp;", "&")
    assert {row.pk for row in signed_in("bob").get(url).context["cl"].result_list} == {sent.pk}
