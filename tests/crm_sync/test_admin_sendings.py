"""Sendings on screen: what became of each in plain words, what to do about it, and that it is evidence."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from crm_sync import sending_words
from crm_sync.admin import groups, retrying
from crm_sync.models import Attempt, Delivery, DemoRecord, DestinationState
from crm_sync.outcomes import Rejected, RetryLater
from leads import ports
from leads.models import Lead
from tests.crm_sync import sending
from tests.crm_sync.screens import Demo, html_of, may_only, press, text_of, url_of, words
from tests.staff import make_searchable, signed_in

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
                "Demo CRM refused this lead. Reason given: No such field.",
                "mend the field job_title",
                "Open the row of job_title",
            ),
        ),
        (
            {"state": "rejected", "reason": "Taken.", "duplicate_of": "42"},
            ("has this person already, as its record 42", "Write it all the same"),
        ),
        ({"state": "rejected", "reason": "Taken.", "duplicate_of": "?"}, ("has this person already.",)),
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
    for sentence in sentences:
        assert sentence in text


def test_every_state_and_reason_has_words() -> None:
    sent = Demo().owe()
    for state in Delivery.State.values:
        sent.state = state
        for reason in Delivery.Held.values if state == "held" else [""]:
            sent.held_reason = reason
            said = sending_words.sending(sent, timezone.now(), lambda model: True)
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
    html = html_of(signed_in("bob"), url_of(sent))
    text = text_of(signed_in("bob"), url_of(sent))
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


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": "waiting", "reason": "HTTP 503"}, "Will reach Demo CRM by itself"),
        ({"state": "delivered"}, "In Demo CRM"),
        ({"state": "rejected", "reason": "HTTP 422", "field": "x"}, "A partner manager has to look at this"),
        ({"state": "held", "held_reason": "gave_up"}, "A partner manager has to look at this"),
        ({"state": "held", "held_reason": "mapping_broken"}, "A partner manager has to look at this"),
        ({"state": "held", "held_reason": "dnc"}, "Stays here: do not contact"),
        ({"state": "cancelled"}, "Not sent to Demo CRM"),
    ],
)
def test_salespeople_read_whether_to_wait_and_who_looks_at_it(values: dict[str, Any], words: str) -> None:
    demo = Demo()
    sent = demo.owe(**values, settled_at=timezone.now() if values["state"] == "delivered" else None)
    DestinationState.objects.update(state="stopped", reason="Wrong key.")
    for url in (LIST, url_of(sent), LEADS, url_of(sent.lead)):
        text = text_of(signed_in("charlie"), url)
        assert words in text, url
        for told in ("HTTP", "Wrong key", "Refused", "broken", "Retry", "Try 1"):
            assert told not in text, f"{told} on {url}"


def test_salespeople_see_no_tries_in_the_timeline_but_that_it_arrived() -> None:
    demo = Demo()
    sent = demo.owe()
    demo.drain()
    text = text_of(signed_in("charlie"), url_of(sent.lead))
    assert "Arrived in Demo CRM." in text
    assert "try 1" not in text


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
    make_searchable()
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


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ({}, ["-id"]),
        ({"state": "on_their_way"}, ["-id"]),
        ({"state": "waiting"}, ["-created_at", "-id"]),
    ],
)
def test_each_list_has_an_order_that_an_index_gives(query: dict[str, str], order: list[str]) -> None:
    changelist = signed_in("dave").get(LIST, query).context["cl"]
    assert list(changelist.queryset.query.order_by) == order


def test_all_but_the_demo_is_offered_where_there_is_a_demo() -> None:
    real = sending.make_destination("webhook", name="HubSpot")
    client, offered = signed_in("dave"), "All but the demo CRM"
    assert offered not in text_of(client, LIST, destination=str(real.pk))
    assert offered in text_of(client, LIST, destination="real")
    sending.make_destination("demo")
    assert offered in text_of(client, LIST)


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


@pytest.mark.parametrize(
    ("reason", "tries", "said"),
    [
        ("approval", 0, "It goes to Demo CRM now."),
        ("dnc", 0, "It goes to Demo CRM now."),
        ("gave_up", 150, "It is tried again now"),
        ("uncertain", 1, "It is tried again now"),
        ("bug", 1, "It is tried again now"),
    ],
)
def test_retry_sends_what_was_held(reason: str, tries: int, said: str, rings: list[str]) -> None:
    demo = Demo()
    sent = demo.owe(state="held", held_reason=reason, strikes=99, tries=tries)
    assert said in press(signed_in("bob"), url_of(sent, "retry"))
    assert rings
    sent.refresh_from_db()
    assert (sent.state, sent.held_reason, sent.strikes) == ("waiting", "", 0)
    demo.clock.pass_(60)
    assert demo.drain() == 1


def test_retry_at_a_paused_connection_says_that_it_waits() -> None:
    demo = Demo()
    sent = demo.owe(state="rejected", tries=1)
    DestinationState.objects.update(state="paused")
    assert "tried again as soon as Demo CRM takes leads." in press(signed_in("bob"), url_of(sent, "retry"))


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
    assert [value for name, value in page.context["hidden"] if name == "_selected_action"] == ["1"]
    press(client, f"{LIST}?state=rejected", **data, confirm="yes")
    assert Delivery.objects.filter(state="waiting").count() == 60


def test_of_very_many_the_oldest_are_retried_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "MOST", 3)
    demo = Demo()
    sendings = [demo.owe(state="rejected", reason="No") for _ in range(5)]
    for _ in range(4):
        demo.owe(state="cancelled")
    data = {"action": "retry_selected", "select_across": "1", "_selected_action": str(sendings[0].pk)}
    client = signed_in("bob")
    text = press(client, f"{LIST}?state=rejected", **data)
    assert "Retry 3 sendings now?" in text
    assert "More than 3 match. The oldest 3 are done now; then do the same again for the rest." in text
    text = press(client, f"{LIST}?state=rejected", **data, confirm="yes")
    assert "3 sendings are tried again now. More match: do the same again for the next 3." in text
    waiting = Delivery.objects.filter(state="waiting")
    assert {sent.pk for sent in waiting} == {sent.pk for sent in sendings[:3]}
    waiting.update(state="cancelled")
    text = press(client, LIST, **data)
    assert "Retry 2 sendings now?" in text
    assert "3+ of the chosen are left alone" in text


@pytest.mark.parametrize("query", ["", "?state=waiting", "?state=on_their_way"])
def test_the_same_again_takes_the_next_ones(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "MOST", 2)
    demo = Demo()
    later = demo.clock.now + timedelta(hours=1)
    sendings = [demo.owe(due_at=later, strikes=3) for _ in range(3)]
    data = {"action": "retry_selected", "select_across": "1", "_selected_action": str(sendings[0].pk)}
    client = signed_in("bob")
    text = press(client, LIST + query, **data, confirm="yes")
    assert "2 sendings are tried again now. More match" in text
    assert "Retry 1 sending now?" in press(client, LIST + query, **data)
    assert "1 sending is tried again now." in press(client, LIST + query, **data, confirm="yes")
    assert not Delivery.objects.filter(due_at=later).exists()
    assert "Nothing to retry there" in press(client, LIST + query, **data)


def test_a_duplicate_that_waits_is_retried_by_who_wants_it_written() -> None:
    sent = Demo().owe(duplicate_of="7")
    data = {"action": "retry_selected", "_selected_action": str(sent.pk)}
    press(signed_in("bob"), LIST, **data, confirm="yes")
    sent.refresh_from_db()
    assert sent.write_anyway


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


def test_approvals_are_left_alone_by_a_bulk_retry_and_have_one_of_their_own(rings: list[str]) -> None:
    demo = Demo()
    unapproved, refused = demo.owe(state="held", held_reason="approval"), demo.owe(state="rejected")
    data = {"_selected_action": [str(unapproved.pk), str(refused.pk)]}
    client = signed_in("bob")
    assert "Retry 1 sending now?" in press(client, LIST, action="retry_selected", **data)
    press(client, LIST, action="retry_selected", confirm="yes", **data)
    unapproved.refresh_from_db()
    assert unapproved.state == "held"
    assert "Approve and send 1 sending?" in press(client, LIST, action="approve_selected", **data)
    press(client, LIST, action="approve_selected", confirm="yes", **data)
    unapproved.refresh_from_db()
    assert unapproved.state == "waiting"
    log = LogEntry.objects.get(object_id=str(unapproved.pk))
    assert (log.user.username, log.change_message) == ("bob", "Approved.")
    assert rings


# By reason

GROUP = "Contact … is taken."


def refuse(demo: Demo, number: int, **values: Any) -> list[Delivery]:
    return [
        demo.owe(**{"state": "rejected", "reason": f"Contact {n} is taken.", "reason_group": GROUP} | values)
        for n in range(number)
    ]


def like(sent: Delivery) -> str:
    return groups.Like.of(sent).retry_url


def test_what_stands_still_is_told_by_reason_above_the_list() -> None:
    demo = Demo()
    refuse(demo, 3)
    refuse(demo, 2, field="job_title", reason_group="No such field", reason="No such field")
    demo.owe(state="held", held_reason="dnc")
    response = signed_in("dave").get(LIST)
    found = response.context["groups"].first
    assert [(group.what, group.count, group.said) for group in found] == [
        ("Refused", 3, "Contact 2 is taken."),
        ("Refused: the field job_title", 2, "No such field"),
    ]
    assert {sent.pk for sent in signed_in("dave").get(found[1].like.url).context["cl"].result_list} == {
        sent.pk for sent in Delivery.objects.filter(field="job_title")
    }
    assert response.context["groups"].first[0].like.retry_url not in response.content.decode()


def test_rows_of_before_without_a_group_are_one_group_with_its_newest_words() -> None:
    demo = Demo()
    refuse(demo, 2, reason_group="")
    (group,) = signed_in("bob").get(LIST).context["groups"].first
    assert (group.count, group.said) == (2, "Contact 1 is taken.")
    assert listed(signed_in("bob"), state="rejected", reason_group="-") == set(
        Delivery.objects.values_list("pk", flat=True)
    )


def test_all_like_this_are_retried_after_a_page_that_names_the_number(rings: list[str]) -> None:
    demo = Demo()
    chosen, other = refuse(demo, 12), demo.owe(state="rejected", reason="Another")
    DestinationState.objects.update(state="paused")
    client = signed_in("bob")
    assert "11 others stand still for the same reason" in text_of(client, url_of(chosen[0]))
    text = text_of(client, like(chosen[0]))
    assert "Retry 12 sendings now?" in text
    assert "until somebody presses Resume" in text
    assert Delivery.objects.filter(state="rejected").count() == 13
    assert "12 sendings are tried again now" in press(client, like(chosen[0]))
    other.refresh_from_db()
    assert other.state == "rejected"
    assert rings


def test_all_that_wait_for_approval_are_approved_in_one_go() -> None:
    demo = Demo()
    held = [demo.owe(state="held", held_reason="approval") for _ in range(2)]
    assert "Approve and send 2 sendings?" in text_of(signed_in("bob"), like(held[0]))
    assert "2 sendings are approved and go out now." in press(signed_in("bob"), like(held[0]))


def test_do_not_contact_leads_are_never_retried_by_the_dozen() -> None:
    sent = Demo().owe(state="held", held_reason="dnc")
    press(signed_in("bob"), like(sent))
    sent.refresh_from_db()
    assert sent.state == "held"


@pytest.mark.parametrize("query", ["", "?destination=x&state=rejected", "?destination=1&state=delivered"])
def test_a_group_that_is_none_is_said(query: str) -> None:
    assert "not there any more" in text_of_following(signed_in("bob"), f"{LIST}like/{query}")


def text_of_following(client: Any, url: str) -> str:
    return words(client.get(url, follow=True).content.decode())


@pytest.mark.parametrize("who", ["charlie", "dave", "frank"])
def test_who_may_not_retry_may_not_retry_all(who: str) -> None:
    sent = refuse(Demo(), 1)[0]
    assert signed_in(who).get(like(sent)).status_code == 403
    assert signed_in(who).post(like(sent)).status_code == 403
    sent.refresh_from_db()
    assert sent.state == "rejected"


def test_more_groups_ask_no_more_questions() -> None:
    demo = Demo()

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            html_of(signed_in("dave"), LIST)
        return len(asked)

    refuse(demo, 1)
    queries()  # what is asked once a process
    few = queries()
    for number in range(5):
        refuse(demo, 1, field=f"field_{number}")
    assert queries() <= few + 1


# Without the refused field


def test_one_lead_is_sent_without_the_field_that_was_refused(rings: list[str]) -> None:
    demo = Demo()
    demo.switch("refusing_field")
    sent = demo.owe()
    demo.drain()
    client, url = signed_in("bob"), url_of(sent, "without")
    assert url in html_of(client, url_of(sent))
    html = html_of(client, url)
    text = words(html)
    assert "Send this lead without Job title?" in text
    assert "This lead alone" in text
    assert "jane@fabrikam.example" in text
    assert "Buyer" not in text, "the record is shown as it will be"
    assert f"{url_of(demo.route, 'mapping')}#field-job_title" in html
    sent.refresh_from_db()
    assert sent.without == []
    assert "left out, of this lead only" in press(client, url, field="job_title")
    sent.refresh_from_db()
    assert (sent.state, sent.without) == ("waiting", ["job_title"])
    assert rings
    demo.clock.pass_(60)
    demo.drain()
    sent.refresh_from_db()
    assert sent.state == "delivered"
    assert "job_title" not in DemoRecord.objects.get().record


def test_only_the_field_that_was_shown_is_left_out() -> None:
    sent = Demo().owe(state="rejected", field="job_title")
    assert "changed in the meantime" in press(signed_in("bob"), url_of(sent, "without"), field="email")
    sent.refresh_from_db()
    assert (sent.state, sent.without) == ("rejected", [])


def test_a_required_field_and_one_that_is_not_sent_are_warned_of() -> None:
    demo = Demo()
    topic, other = demo.owe(state="rejected", field="topic"), demo.owe(state="rejected", field="nonsense")
    assert "The CRM requires Topic" in text_of(signed_in("bob"), url_of(topic, "without"))
    assert "has no field nonsense" in text_of(signed_in("bob"), url_of(other, "without"))


def test_a_connection_of_an_unknown_kind_spoils_no_page() -> None:
    demo = Demo()
    sent = demo.owe(state="rejected", field="job_title", reason="No")
    type(demo.destination).objects.update(connector="gone")
    for url in (
        LIST,
        url_of(sent),
        url_of(sent, "without"),
        like(sent),
        request_url(sent),
        url_of(sent.lead),
    ):
        assert "Jane Doe" in text_of(signed_in("bob"), url)


@pytest.mark.parametrize(
    "values",
    [{"state": "rejected"}, {"state": "delivered", "field": "x"}, {"state": "waiting", "field": "x"}],
)
def test_nothing_is_left_out_where_no_field_stands_as_refused(values: dict[str, Any]) -> None:
    sent = Demo().owe(**values)
    assert "no field of it stands as refused" in text_of_following(signed_in("bob"), url_of(sent, "without"))


@pytest.mark.parametrize("who", ["charlie", "dave", "frank"])
def test_to_leave_a_field_out_is_to_retry(who: str) -> None:
    sent = Demo().owe(state="rejected", field="job_title")
    assert signed_in(who).get(url_of(sent, "without")).status_code == 403
    assert signed_in(who).post(url_of(sent, "without"), {"field": "job_title"}).status_code == 403
    assert "Send without" not in text_of(signed_in("dave"), url_of(sent))


# The exact request


def request_url(sent: Delivery) -> str:
    return reverse("admin:crm_sync_route_request", args=[sent.route_id, sent.lead_id])


def test_the_exact_request_is_shown_and_nothing_is_sent() -> None:
    demo = Demo()
    sent = demo.owe(without=["last_name"])
    assert request_url(sent) in html_of(signed_in("bob"), url_of(sent))
    text = text_of(signed_in("bob"), request_url(sent))
    assert "Nothing was sent." in text
    assert f"PUT http://demo-crm.internal/api/leads/{sent.key}" in text
    assert '"email":"jane@fabrikam.example"' in text
    assert '"last_name"' not in text
    assert not DemoRecord.objects.exists()
    sent.refresh_from_db()
    assert (sent.tries, sent.attempts.count()) == (0, 0)


def test_it_is_shown_for_a_lead_that_was_never_sent_and_before_anything_is_published() -> None:
    demo = Demo(rules=None)
    lead = demo.lead()
    url = reverse("admin:crm_sync_route_request", args=[demo.route.pk, lead.pk])
    assert url in html_of(signed_in("bob"), url_of(lead))
    text = text_of(signed_in("bob"), url)
    assert "No field mapping is published" in text
    assert "jane@fabrikam.example" in text


def test_the_exact_request_hides_secrets_and_says_what_is_in_the_way() -> None:
    demo = Demo()
    hook = sending.make_destination("webhook", name="Hook")
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    hook.store_settings({"url": "https://crm.example.com/x", "secret": secret})
    hook.save()
    route = sending.make_route(demo.offer, hook)
    lead = demo.lead()
    text = text_of(signed_in("bob"), reverse("admin:crm_sync_route_request", args=[route.pk, lead.pk]))
    assert "webhook-signature: ****" in text
    assert secret.removeprefix("whsec_") not in text
    type(hook).objects.filter(pk=hook.pk).update(connector="gone")
    gone = text_of(signed_in("bob"), reverse("admin:crm_sync_route_request", args=[route.pk, lead.pk]))
    assert "gone" in gone


def test_only_readers_of_tries_see_it_and_only_for_leads_of_the_offer() -> None:
    demo, other = Demo(), sending.make_lead(sending.make_offer())
    sent = demo.owe()
    assert signed_in("charlie").get(request_url(sent)).status_code == 403
    assert signed_in("bob").post(request_url(sent)).status_code == 405
    url = reverse("admin:crm_sync_route_request", args=[demo.route.pk, other.pk])
    assert signed_in("bob").get(url).status_code == 404


# Personal data


def test_who_may_not_see_personal_data_sees_structure_without_values() -> None:
    demo = Demo()
    sent = demo.owe()
    demo.drain()
    Delivery.objects.update(
        state="rejected", reason="jane@fabrikam.example is taken", reason_group="… is taken"
    )
    Attempt.objects.update(reason="Jane Doe is taken")
    client = signed_in("dave")
    tries = html_of(client, url_of(sent)).split("<h2>Tries</h2>")[1]
    for value in ("jane@fabrikam.example", "Jane", "Doe", "Buyer"):
        assert value not in tries
    assert "&quot;email&quot;:&quot;****&quot;" in tries
    assert "The groups Administrator and Partner manager see it." in words(tries)
    for url in (
        LIST,
        url_of(sent),
        url_of(sent, "change"),
        f"{LIST}?state=rejected&reason_group=jane@fabrikam.example",
    ):
        assert "jane@fabrikam.example is taken" not in html_of(client, url)
    request = text_of(client, request_url(sent))
    assert "jane@fabrikam.example" not in request
    assert '"email":"****"' in request
    assert "Jane Doe is taken" in text_of(signed_in("bob"), url_of(sent))


# On the pages of leads


def test_the_lead_says_where_it_was_sent_and_every_try() -> None:
    demo = Demo()
    sent = demo.owe()
    demo.drain()
    html = html_of(signed_in("bob"), url_of(sent.lead))
    assert url_of(sent) in html
    text = text_of(signed_in("bob"), url_of(sent.lead))
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
        (
            {},
            {"send_from": timezone.now() + timedelta(days=1)},
            {},
            "Stays here: only later leads are sent",
        ),
        ({}, {}, {}, "Waiting: not decided yet whether it is sent"),
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


def test_a_try_without_an_answer_says_why_and_what_was_said_before() -> None:
    demo = Demo()
    sent = demo.owe(state="held", held_reason="uncertain")
    exchange = {
        "method": "SMTP",
        "url": "smtp://mail.example:587",
        "request_headers": {},
        "request_body": "A lead.",
        "status": None,
        "response_headers": {},
        "response_body": "S: 354 Go ahead",
        "duration_ms": 1,
        "error": "It hung up.",
    }
    Attempt.objects.create(
        delivery=sent, number=1, token=sent.lead_id, started_at=timezone.now(), outcome="uncertain", exchanges=[exchange]
    )  # fmt: skip
    assert "It hung up. S: 354 Go ahead" in text_of(signed_in("bob"), url_of(sent))


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
