"""Sendings on screen: what became of each in plain words, what to do about it, and that it is evidence."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm_sync import wording
from crm_sync.models import Attempt, Delivery, DestinationState
from crm_sync.outcomes import Rejected, RetryLater
from leads import ports
from leads.models import Lead
from tests.crm_sync import sending
from tests.crm_sync.screens import Demo, html_of, may_only, press, text_of, url_of
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

LIST = "/admin/crm_sync/delivery/"
LEADS = "/admin/leads/lead/"
EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(ports.ports, "bell", [lambda: rung.append("ring")])
    return rung


def listed(client: Any, **query: Any) -> set[int]:
    return {sent.pk for sent in client.get(LIST, query).context["cl"].result_list}


# In words


@pytest.mark.parametrize(
    ("values", "sentences"),
    [
        ({"state": "waiting"}, ("About to be sent to Demo CRM",)),
        ({"state": "delivered", "existed": True}, ("In Demo CRM since", "no second record was made")),
        (
            {"state": "rejected", "reason": "No such field", "field": "job_title"},
            (
                "Demo CRM refused this lead. No such field.",
                "mend the field job_title",
                "Open the row of job_title",
            ),
        ),
        ({"state": "rejected", "reason": "Taken.", "duplicate_of": "42"}, ("duplicate of its record 42",)),
        ({"state": "rejected", "reason": "Bad lead"}, ("Bad lead.", "then retry")),
        ({"state": "cancelled"}, ("Cancelled, not sent to Demo CRM",)),
        ({"state": "held", "held_reason": "dnc"}, ("do not contact", "another partner", "Send anyway")),
        ({"state": "held", "held_reason": "approval"}, ("somebody must let it go", "Approve and send")),
        ({"state": "held", "held_reason": "mapping_broken"}, ("field mapping is broken", "publish it")),
        (
            {"state": "held", "held_reason": "uncertain"},
            ("may have arrived in Demo CRM", "Look for this lead"),
        ),
        ({"state": "held", "held_reason": "gave_up"}, ("after about three days", "retry")),
        ({"state": "held", "held_reason": "bug"}, ("an error of this software", "please report it")),
    ],
)
def test_every_state_says_what_is_the_case_and_what_to_do(
    values: dict[str, Any], sentences: tuple[str, ...]
) -> None:
    if values["state"] == "delivered":
        values = values | {"settled_at": timezone.now()}
    sent = Demo().owe(**values)
    text = text_of(signed_in("bob"), url_of(sent))
    for words in sentences:
        assert words in text


def test_every_state_and_reason_has_words() -> None:
    sent = Demo().owe()
    for state in Delivery.State.values:
        sent.state = state
        for reason in Delivery.Held.values if state == "held" else [""]:
            sent.held_reason = reason
            said = wording.sending(sent, timezone.now(), lambda model: True)
            assert said.what.endswith(".")
            assert "None" not in said.what


@pytest.mark.parametrize(
    ("state", "words"),
    [("paused", "is paused"), ("stopped", "is stopped"), ("slowed", "is slowed down")],
)
def test_what_waits_for_a_sick_connection_says_so(state: str, words: str) -> None:
    demo = Demo()
    sent = demo.owe()
    DestinationState.objects.update(state=state, reason="Wrong key.")
    assert words in text_of(signed_in("bob"), LIST)
    text = text_of(signed_in("bob"), url_of(sent))
    assert "Wrong key." in text
    assert "Open the CRM connection" in text


def test_what_waits_for_its_next_try_says_when() -> None:
    demo = Demo()
    sent = demo.owe(reason="The CRM failed")
    Delivery.objects.update(due_at=timezone.now() + timedelta(hours=2))
    assert "Next try" in text_of(signed_in("bob"), LIST)
    assert "Nothing to do" in text_of(signed_in("bob"), url_of(sent))


# The evidence


def test_every_try_is_shown_with_what_was_said() -> None:
    demo = Demo()
    demo.switch("down")
    sent = demo.owe()
    demo.drain()
    demo.switch("working")
    demo.clock.pass_(hours=1)
    demo.drain()
    html = html_of(signed_in("dave"), url_of(sent))
    text = text_of(signed_in("dave"), url_of(sent))
    assert "Try 2: Delivered." in text
    assert "Try 1: To be tried again." in text
    assert "PUT http://demo-crm.internal" in text
    assert "503" in text
    assert "Field mapping v1" in text
    assert "ms" in text
    assert "jane@fabrikam.example" in html


def test_a_bug_keeps_its_traceback_and_says_so(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    crm = sending.install(monkeypatch)
    crm.always = RuntimeError("oops")
    offer, destination = sending.make_offer(), sending.make_destination()
    route = sending.make_route(offer, destination)
    lead = sending.make_lead(offer)
    sent = Delivery.objects.create(lead=lead, route=route, destination=destination, due_at=sending.START)
    sending.drain(destination, sending.Clock())
    text = text_of(signed_in("dave"), url_of(sent))
    assert "Held: an error of this software" in text
    assert "RuntimeError: oops" in text
    assert "oops" not in text_of(signed_in("dave"), LIST)


def test_secrets_of_a_try_are_masked() -> None:
    destination = sending.make_destination("webhook")
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    destination.store_settings({"url": "https://127.0.0.1:1/", "secret": secret})
    destination.save()
    offer = sending.make_offer()
    route = sending.make_route(offer, destination)
    lead = sending.make_lead(offer)
    sent = Delivery.objects.create(lead=lead, route=route, destination=destination, due_at=sending.START)
    sending.drain(destination, sending.Clock())
    html = html_of(signed_in("dave"), url_of(sent))
    assert secret not in html
    assert "ALLOW_PRIVATE_DESTINATIONS" in html


def test_evidence_is_not_added_changed_or_deleted() -> None:
    sent = Demo().owe()
    client = signed_in("alice")
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(url_of(sent), {"state": "delivered"}).status_code == 403
    assert client.post(url_of(sent, "delete"), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in html_of(client, LIST)


def test_who_sees_sendings_but_no_tries_and_no_routes() -> None:
    demo = Demo()
    sent = demo.owe(state="rejected", reason="No", field="job_title")
    client = may_only("frank", "crm_sync.view_delivery")
    html = html_of(client, url_of(sent))
    assert "Tries" not in html
    assert "/admin/crm_sync/route/" not in html
    assert "/admin/crm_sync/destination/" not in html


def test_sales_see_what_to_do_without_links_they_may_not_follow() -> None:
    demo = Demo()
    sent = demo.owe(state="rejected", reason="No", field="job_title")
    html = html_of(signed_in("charlie"), url_of(sent))
    assert "mend the field job_title" in html
    assert "/admin/crm_sync/route/" not in html
    assert "Retry now" not in html


def test_a_sending_that_is_not_there_is_not_found() -> None:
    assert signed_in("bob").get(f"{LIST}999/change/").status_code == 404


# The list


def test_the_list_is_filtered_and_searched() -> None:
    demo, other = Demo(), sending.make_route(sending.make_offer(), sending.make_destination("webhook"))
    held = demo.owe(state="held", held_reason="approval")
    refused = demo.owe(state="rejected", reason="No")
    lead = sending.make_lead(other.offer, first_name="Zoe", email="zoe@x.example")
    waiting = Delivery.objects.create(lead=lead, route=other, destination=other.destination)
    client = signed_in("dave")
    assert listed(client) == {held.pk, refused.pk, waiting.pk}
    assert listed(client, state="held") == {held.pk}
    assert listed(client, held_reason="approval") == {held.pk}
    assert listed(client, destination=other.destination_id) == {waiting.pk}
    assert listed(client, offer=demo.offer.pk) == {held.pk, refused.pk}
    assert listed(client, q="zoe") == {waiting.pk}
    assert listed(client, q="zoe@x") == {waiting.pk}
    assert listed(client, state="nonsense") == {held.pk, refused.pk, waiting.pk}


def test_the_list_leads_to_the_record_in_the_crm() -> None:
    demo = Demo()
    sent = demo.owe()
    demo.drain()
    sent.refresh_from_db()
    assert f'<a href="{sent.remote_url}">In Demo CRM</a>' in html_of(signed_in("dave"), LIST)


def test_a_record_address_that_is_no_web_address_is_no_link() -> None:
    Demo().owe(state="delivered", remote_url="javascript:alert(1)", settled_at=timezone.now())
    assert "javascript:" not in html_of(signed_in("dave"), LIST)


def test_a_longer_list_asks_no_more_questions() -> None:
    demo = Demo()

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            html_of(signed_in("dave"), LIST)
        return len(asked)

    demo.owe()
    queries()  # what is asked once a process
    few = queries()
    for _ in range(10):
        demo.owe()
    assert queries() == few


# Retry, approve, cancel


@pytest.mark.parametrize("reason", ["approval", "gave_up", "uncertain", "dnc", "bug"])
def test_retry_sends_what_was_held(reason: str, rings: list[str]) -> None:
    demo = Demo()
    sent = demo.owe(state="held", held_reason=reason, strikes=99)
    assert "It is tried again now" in press(signed_in("bob"), url_of(sent, "retry"))
    assert rings
    sent.refresh_from_db()
    assert (sent.state, sent.held_reason, sent.strikes) == ("waiting", "", 0)
    demo.clock.pass_(60)
    assert demo.drain() == 1


def test_retry_at_a_paused_connection_says_that_it_waits() -> None:
    demo = Demo()
    sent = demo.owe(state="rejected")
    DestinationState.objects.update(state="paused")
    assert "as soon as Demo CRM is" in press(signed_in("bob"), url_of(sent, "retry"))


def test_cancel() -> None:
    sent = Demo().owe(state="rejected")
    assert "is not sent to Demo CRM" in press(signed_in("bob"), url_of(sent, "cancel"))
    sent.refresh_from_db()
    assert sent.state == "cancelled"


@pytest.mark.parametrize("button", ["retry", "cancel"])
def test_what_has_arrived_is_left_alone(button: str) -> None:
    sent = Demo().owe(state="delivered", settled_at=timezone.now())
    assert "Left alone" in press(signed_in("bob"), url_of(sent, button))
    sent.refresh_from_db()
    assert sent.state == "delivered"


@pytest.mark.parametrize("button", ["retry", "cancel"])
@pytest.mark.parametrize("who", ["charlie", "dave", "frank"])
def test_buttons_need_their_permission_and_a_post(button: str, who: str) -> None:
    sent = Demo().owe(state="rejected")
    assert signed_in(who).post(url_of(sent, button)).status_code == 403
    assert signed_in("bob").get(url_of(sent, button)).status_code == 405
    sent.refresh_from_db()
    assert sent.state == "rejected"


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_a_button_leads_back_to_our_pages_only(url: str) -> None:
    sent = Demo().owe(state="rejected")
    response = signed_in("bob").post(url_of(sent, "retry"), {"next": url})
    assert response.url == url_of(sent)
    there = signed_in("bob").post(url_of(sent, "retry"), {"next": url_of(sent.lead)})
    assert there.url == url_of(sent.lead)


# Several at once


def test_a_bulk_retry_asks_first_and_names_the_number(rings: list[str]) -> None:
    demo = Demo()
    chosen = [demo.owe(state="rejected", reason="No") for _ in range(12)]
    arrived = demo.owe(state="delivered", settled_at=timezone.now())
    never = demo.owe(state="held", held_reason="dnc")
    client = signed_in("bob")
    data = {
        "action": "retry_selected",
        "_selected_action": [str(sent.pk) for sent in (*chosen, arrived, never)],
    }
    text = press(client, LIST, **data)
    assert "Retry 12 sendings now?" in text
    assert "and 2 more" in text
    assert "2 of the chosen are left alone" in text
    assert Delivery.objects.filter(state="rejected").count() == 12
    assert "12 sendings are tried again now" in press(client, LIST, **data, confirm="yes")
    assert Delivery.objects.filter(state="waiting").count() == 12
    assert rings
    never.refresh_from_db()
    assert never.held_reason == "dnc"


def test_all_that_match_are_one_choice() -> None:
    demo = Demo()
    for _ in range(60):
        demo.owe(state="rejected")
    client = signed_in("bob")
    data = {"action": "retry_selected", "select_across": "1", "_selected_action": "1"}
    page = client.post(f"{LIST}?state=rejected", data)
    assert page.context["selected"] == ["1"]
    press(client, f"{LIST}?state=rejected", **data, confirm="yes")
    assert Delivery.objects.filter(state="waiting").count() == 60


def test_nothing_to_retry_is_said() -> None:
    sent = Demo().owe(state="cancelled")
    text = press(signed_in("bob"), LIST, action="retry_selected", _selected_action=str(sent.pk))
    assert "Nothing to retry there" in text


@pytest.mark.parametrize("page", [LIST, LEADS])
def test_readers_have_no_bulk_retry(page: str) -> None:
    demo = Demo()
    sent = demo.owe(state="rejected")
    action = "retry_selected" if page == LIST else "retry_leads"
    key = str(sent.pk if page == LIST else sent.lead_id)
    assert action not in html_of(signed_in("charlie"), page)
    signed_in("charlie").post(page, {"action": action, "_selected_action": key, "confirm": "yes"})
    sent.refresh_from_db()
    assert sent.state == "rejected"


# On the pages of leads


def test_the_lead_says_where_it_was_sent_and_every_try() -> None:
    demo = Demo()
    sent = demo.owe()
    demo.drain()
    html = html_of(signed_in("charlie"), url_of(sent.lead))
    assert url_of(sent) in html
    text = text_of(signed_in("charlie"), url_of(sent.lead))
    assert "In Demo CRM since" in text
    assert "Try 1: Delivered." in text
    assert "Demo CRM, try 1: Delivered." in text, "in the timeline too"


def test_a_lead_is_retried_from_its_own_page() -> None:
    sent = Demo().owe(state="rejected")
    client = signed_in("bob")
    assert "Retry now" in text_of(client, url_of(sent.lead))
    assert "Retry now" not in text_of(signed_in("charlie"), url_of(sent.lead))
    client.post(url_of(sent, "retry"), {"next": url_of(sent.lead)})
    sent.refresh_from_db()
    assert sent.state == "waiting"


def test_who_may_not_see_sendings_sees_none_on_a_lead() -> None:
    sent = Demo().owe()
    assert "Sent to" not in text_of(may_only("frank", "leads.view_lead"), url_of(sent.lead))


@pytest.mark.parametrize(
    ("values", "route", "offer", "words"),
    [
        ({"routed_at": None}, {}, {}, "About to be sent"),
        ({"is_test": True}, {}, {}, "Stays here: a test"),
        ({}, {}, {"enabled": False}, "Waiting: the offer is off"),
        ({}, {"enabled": False}, {}, "Waiting: no CRM connected"),
        ({}, {"rules": None}, {}, "Waiting: field mapping not published"),
        ({"action": "DNC"}, {}, {"dnc_policy": "archive"}, "Stays here: do not contact"),
        ({"action": "INS"}, {"only_actions": ["PLT"]}, {}, "Stays here: no route takes this action"),
        ({}, {"send_from": timezone.now() + timedelta(days=1)}, {}, "Stays here: sent from now on only"),
        ({}, {}, {}, "Waiting: send it, or from now on?"),
    ],
)
def test_a_lead_that_was_not_sent_says_why(
    values: dict[str, Any], route: dict[str, Any], offer: dict[str, Any], words: str
) -> None:
    demo = Demo(**route)
    type(demo.offer).objects.update(**offer)
    lead = demo.lead(**values)
    assert words in text_of(signed_in("charlie"), LEADS, kind="all")
    assert words in text_of(signed_in("charlie"), url_of(lead))


def test_the_list_of_leads_is_filtered_by_what_became_of_them() -> None:
    demo = Demo()
    held, nowhere = demo.owe(state="held", held_reason="approval"), demo.lead()
    client = signed_in("charlie")

    def found(value: str) -> set[Any]:
        return {lead.pk for lead in client.get(LEADS, {"sending": value}).context["cl"].result_list}

    assert found("held") == {held.lead_id}
    assert found("none") == {nowhere.pk}
    assert found("delivered") == set()


def test_leads_are_sent_again_by_the_dozen(rings: list[str]) -> None:
    demo = Demo()
    chosen = [demo.owe(state="rejected") for _ in range(3)]
    client = signed_in("bob")
    data = {"action": "retry_leads", "_selected_action": [str(sent.lead_id) for sent in chosen]}
    assert "Retry 3 sendings now?" in press(client, LEADS, **data)
    assert "3 sendings are tried again now" in press(client, LEADS, **data, confirm="yes")
    assert Delivery.objects.filter(state="waiting").count() == 3
    assert rings


def test_a_longer_list_of_leads_asks_no_more_questions() -> None:
    demo = Demo()

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            html_of(signed_in("charlie"), LEADS)
        return len(asked)

    demo.owe()
    queries()  # what is asked once a process
    few = queries()
    for _ in range(10):
        demo.owe(state="rejected")
        demo.lead()
    assert queries() == few


# Hostile text


def test_hostile_text_is_harmless() -> None:
    demo = Demo()
    sent = demo.owe(
        state="rejected", reason=EVIL, field=EVIL, duplicate_of=EVIL, remote_id=EVIL, remote_url=EVIL
    )
    Lead.objects.update(first_name=EVIL, last_name=EVIL)
    exchange = dict.fromkeys(("method", "url", "request_body", "response_body", "error"), EVIL)
    exchange |= {
        "status": 200,
        "duration_ms": 1,
        "request_headers": {EVIL: EVIL},
        "response_headers": {EVIL: EVIL},
    }  # type: ignore[dict-item]
    Attempt.objects.create(
        delivery=sent, number=1, token=sent.lead_id, started_at=timezone.now(), reason=EVIL, field=EVIL,
        outcome="rejected", exchanges=[exchange], worker=EVIL,
    )  # fmt: skip
    for url in (LIST, url_of(sent), url_of(sent.lead), LEADS, "/admin/"):
        assert EVIL not in html_of(signed_in("bob"), url)
    page = press(signed_in("bob"), LIST, action="retry_selected", _selected_action=str(sent.pk))
    assert "Retry 1 sending now?" in page


def test_outcomes_that_name_no_field_lead_to_the_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = sending.install(monkeypatch)
    crm.answers = [Rejected("No good"), RetryLater("Later")]
    offer, destination = sending.make_offer(), sending.make_destination()
    route = sending.make_route(offer, destination)
    first, second = (
        Delivery.objects.create(
            lead=sending.make_lead(offer), route=route, destination=destination, due_at=sending.START
        )
        for _ in range(2)
    )
    sending.drain(destination, sending.Clock())
    assert "Open the field mapping" in text_of(signed_in("bob"), url_of(first))
    assert "Later." in text_of(signed_in("bob"), url_of(second))
