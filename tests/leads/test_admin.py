"""Leads, quarantine and offers on screen: who may do what, what a stranger's text can do, and what it costs."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads import wording
from leads.admin.source import LONGEST_LINE, MOST_LINES, MOST_TEXT, numbered
from leads.models import Endpoint, Lead, Note, Offer, Submission
from leads.ports import TimelineEntry, ports
from tests.staff import body, lead_of, make_offer, make_searchable, person, post, signed_in

pytestmark = pytest.mark.django_db

LEADS = "/admin/leads/lead/"
QUARANTINE = "/admin/leads/submission/"
OFFERS = "/admin/leads/offer/"
BROKEN = b'{\n  "OfferTitle": "Contoso Backup"\n  "Description": "Test"\n}\n'


def page_of(obj: Any) -> str:
    return reverse(f"admin:leads_{obj._meta.model_name}_change", args=[obj.pk])


def text_of(client: Any, url: str, **data: str) -> str:
    response = client.get(url, data)
    assert response.status_code == 200, f"{url}: {response.status_code}"
    return response.content.decode()


# The list of leads


def test_a_row_says_who_did_what_for_which_offer() -> None:
    post(make_offer())
    text = text_of(signed_in("charlie"), LEADS)
    for words in ("Jane Doe", "Fabrikam", "Contact me", "Contoso Backup", "US", "New", "just now"):
        assert words in text


def test_microsofts_tests_stay_out_of_the_list_unless_asked_for() -> None:
    offer = make_offer()
    post(offer, body({"FirstName": "MSFT_TEST_636573304831318844"}))
    client = signed_in("charlie")
    assert "MSFT_TEST" not in text_of(client, LEADS)
    assert "MSFT_TEST" in text_of(client, LEADS, kind="test")
    assert "MSFT_TEST" in text_of(client, LEADS, kind="all")
    assert "MSFT_TEST" not in text_of(client, LEADS, kind="counted")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "jane doe"}, True),
        ({"q": "fabrikam.example"}, True),
        ({"q": "555 0134"}, True),
        ({"q": "Call me"}, True),
        ({"q": "SPZA-PLT"}, True),
        ({"q": "nobody"}, False),
        ({"action": "PLT"}, True),
        ({"action": "INS"}, False),
        ({"action": "other"}, False),
        ({"action": "none"}, False),
        ({"source": "appsource"}, True),
        ({"source": "portal"}, False),
        ({"source": "other"}, False),
        ({"source": "no such source"}, True),
        ({"received": "today"}, True),
        ({"received": "week"}, True),
        ({"received": "month"}, True),
        ({"received": "yesterday"}, False),
        ({"kind": "counted"}, True),
        ({"kind": "sample"}, False),
        ({"status__exact": "new"}, True),
        ({"status__exact": "closed"}, False),
    ],
)
def test_search_and_filters_find_a_lead_or_say_that_nothing_matches(
    query: dict[str, str], found: bool
) -> None:
    post(make_offer())
    make_searchable()
    text = text_of(signed_in("charlie"), LEADS, **query)
    assert ("Jane Doe" in text) is found
    assert ("Nothing matches" in text) is not found


def test_the_list_of_leads_costs_the_same_for_many_as_for_few() -> None:
    offer, client = make_offer(), signed_in("charlie")

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(LEADS)
        return len(queries)

    post(offer, body({"FirstName": "First"}))
    client.get(LEADS)
    few = cost()
    for number in range(20):
        post(offer, body({"FirstName": f"Number {number}"}))
    assert cost() == few
    assert few <= 18


def test_the_list_of_leads_reads_neither_bodies_nor_descriptions() -> None:
    post(make_offer())
    client = signed_in("charlie")
    with CaptureQueriesContext(connection) as queries:
        client.get(LEADS)
    rows = next(query["sql"] for query in queries if "leads_submission" in query["sql"])
    for column in ("body", "headers", "problems"):
        assert f'"leads_submission"."{column}"' not in rows
    for begun in ('LEFT("leads_lead"."description"', 'SUBSTR("leads_lead"."description"'):
        rows = rows.replace(begun, "")
    assert '"leads_lead"."description"' not in rows, "the beginning of it is enough"


def test_an_empty_list_of_leads_says_where_leads_come_from() -> None:
    assert "No leads yet" in text_of(signed_in("charlie"), LEADS)


def test_leads_are_neither_added_nor_deleted_by_hand() -> None:
    lead = lead_of(post(make_offer()))
    client = signed_in("alice")
    assert client.get(f"{LEADS}add/").status_code == 403
    assert client.get(f"{LEADS}{lead.pk}/delete/").status_code == 403
    client.post(LEADS, {"action": "delete_selected", "_selected_action": [str(lead.pk)], "post": "yes"})
    assert Lead.objects.count() == 1


# What others plug in


class PluggedColumn:
    short_description = "in the CRM"
    prefetch = ("notes",)

    def __call__(self, request: HttpRequest, lead: Lead) -> str:
        return f"{len(lead.notes.all())} plugged notes"


def test_plugged_columns_panels_and_timeline_entries_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    lead = lead_of(post(make_offer()))
    monkeypatch.setattr(ports, "lead_columns", [PluggedColumn()])
    monkeypatch.setattr(ports, "lead_panels", [lambda request, lead: f"<p>Panel for {lead.who}</p>"])
    monkeypatch.setattr(
        ports, "timeline", [lambda request, lead: [TimelineEntry(lead.received_at, "Pushed.", "/there/")]]
    )
    client = signed_in("charlie")
    text = text_of(client, LEADS)
    assert "In the CRM" in text
    assert "0 plugged notes" in text
    page = text_of(client, page_of(lead))
    assert "&lt;p&gt;Panel for Jane Doe" in page, "a panel that is no SafeString is a stranger's text"
    assert "Pushed." in page
    assert 'href="/there/"' in page


def test_a_plugged_action_is_offered_to_those_who_have_its_permissions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pressed = []

    def resend(model_admin: Any, request: Any, leads: Any) -> None:
        pressed.extend(leads)

    resend.short_description = "Send again"  # type: ignore[attr-defined]
    resend.permissions = ("crm_sync.retry_delivery",)  # type: ignore[attr-defined]
    monkeypatch.setattr(ports, "lead_actions", [resend])
    lead = lead_of(post(make_offer()))
    data = {"action": "resend", "_selected_action": [str(lead.pk)]}
    assert "Send again" in text_of(signed_in("bob"), LEADS)
    for name in ("charlie", "dave"):
        assert "Send again" not in text_of(signed_in(name), LEADS)
        signed_in(name).post(LEADS, data)
        assert pressed == []
    signed_in("bob").post(LEADS, data)
    assert pressed == [lead]


# The page of a lead


def test_the_page_of_a_lead_says_who_what_and_shows_the_request() -> None:
    lead = lead_of(post(make_offer(), body(Notes="after five"), **{"User-Agent": "Microsoft"}))
    text = text_of(signed_in("charlie"), page_of(lead))
    for words in (
        "Jane Doe, Fabrikam (US), pressed Contact me for Contoso Backup on AppSource",
        'href="mailto:jane@fabrikam.example"',
        "United States",
        "after five",
        "192.0.2.7",
        "User-Agent",
        "&quot;ActionCode&quot;: &quot;PLT&quot;",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (body({"Email": "kim@contoso.edu"}), wording.EDU),
        (body(dict.fromkeys(("FirstName", "LastName", "Email", "Phone", "Company"))), wording.EDU),
        (body({"Email": None}), wording.NO_EMAIL),
        (body(ActionCode="DNC", LeadSource="SPZA-DNC|contoso.backup"), wording.FOR_INFORMATION),
        (body(ActionCode="XYZ", LeadSource="SPZA"), "is not among Microsoft"),
        (body(ActionCode="INS"), "ActionCode says INS (Get it now), LeadSource says PLT (Contact me)"),
        (body(LeadSource="SPZA-PLT|fabrikam.other"), "Was the URL pasted in the wrong offer?"),
    ],
)
def test_what_is_unusual_about_a_lead_is_explained(content: dict[str, Any], words: str) -> None:
    lead = lead_of(post(make_offer(), content))
    assert any(str(words) in str(badge.title) for badge in wording.explanations(lead))
    assert words.split(" (")[0].split("'")[0] in text_of(signed_in("charlie"), page_of(lead))


def test_a_usual_lead_is_not_explained() -> None:
    assert wording.explanations(lead_of(post(make_offer()))) == []


def test_who_must_not_be_contacted_has_no_mail_link() -> None:
    lead = lead_of(post(make_offer(), body(ActionCode="DNC")))
    assert "mailto:" not in text_of(signed_in("charlie"), page_of(lead))


def test_an_address_cannot_smuggle_copies_into_a_mail_link() -> None:
    assert wording.mail_link("a?bcc=b@evil.example") == "mailto:a%3Fbcc%3Db@evil.example"
    assert wording.mail_link("javascript:alert(1)") == ""


def test_a_repeat_is_shown_once_and_says_so() -> None:
    offer, now = make_offer(), timezone.now()
    lead = lead_of(post(offer, at=now))
    post(offer, at=now + timedelta(minutes=1))
    client = signed_in("charlie")
    assert text_of(client, LEADS).count("Jane Doe, Fabrikam") == 1
    assert str(wording.REPEATED_TWICE) in text_of(client, LEADS)
    assert str(wording.REPEATED_TWICE) in text_of(client, page_of(lead))


def test_sales_change_status_and_owner_and_the_timeline_tells() -> None:
    lead = lead_of(post(make_offer()))
    client, charlie = signed_in("charlie"), person("charlie")
    client.post(page_of(lead), {"status": "working", "owner": charlie.pk, "closed_reason": ""})
    lead.refresh_from_db()
    assert (lead.status, lead.owner) == ("working", charlie)
    text = text_of(client, page_of(lead))
    assert "charlie: Status: New → Working; Owner: nobody → charlie" in text


def test_a_closed_lead_has_a_reason() -> None:
    lead = lead_of(post(make_offer()))
    client = signed_in("charlie")
    response = client.post(page_of(lead), {"status": "closed", "closed_reason": ""})
    assert "Say why it is closed." in response.content.decode()
    client.post(page_of(lead), {"status": "closed", "closed_reason": "bought"})
    lead.refresh_from_db()
    assert (lead.status, lead.closed_reason) == ("closed", "bought")
    client.post(page_of(lead), {"status": "working", "closed_reason": "bought"})
    lead.refresh_from_db()
    assert lead.closed_reason == ""


def test_nobody_changes_what_microsoft_sent() -> None:
    lead = lead_of(post(make_offer()))
    data = {"status": "new", "first_name": "Mallory", "email": "m@evil.example", "is_test": "on"}
    signed_in("alice").post(page_of(lead), data)
    lead.refresh_from_db()
    assert (lead.first_name, lead.email, lead.is_test) == ("Jane", "jane@fabrikam.example", False)


def test_a_note_has_its_author_and_stays_as_written() -> None:
    lead = lead_of(post(make_offer()))
    client = signed_in("charlie")
    url = reverse("admin:leads_lead_note", args=[lead.pk])
    response = client.post(url, {"text": "Called back <b>today</b>", "author": person("dave").pk})
    assert response.status_code == 302
    assert Note.objects.get().author == person("charlie")
    text = text_of(client, page_of(lead))
    assert "charlie: Called back &lt;b&gt;today&lt;/b&gt;" in text
    assert client.get(url).status_code == 405
    assert "The note is empty." in client.post(url, {"text": " "}, follow=True).content.decode()


def test_an_auditor_reads_a_lead_and_presses_nothing() -> None:
    lead = lead_of(post(make_offer()))
    client = signed_in("dave")
    text = text_of(client, page_of(lead))
    assert "Jane Doe" in text
    for button in ('value="Save"', 'value="Add note"', "<select", "<textarea"):
        assert button not in text
    assert client.post(page_of(lead), {"status": "closed"}).status_code == 403
    note = reverse("admin:leads_lead_note", args=[lead.pk])
    assert client.post(note, {"text": "x"}).status_code == 403
    lead.refresh_from_db()
    assert lead.status == "new"


def test_without_the_permission_there_is_no_lead_and_no_original_request() -> None:
    lead = lead_of(post(make_offer()))
    client = signed_in("frank")
    assert client.get(LEADS).status_code == 403
    assert client.get(page_of(lead)).status_code == 403
    person("frank").user_permissions.add(Permission.objects.get(codename="view_lead"))
    text = text_of(signed_in("frank"), page_of(lead))
    assert "Jane Doe" in text
    assert "Original request" not in text
    assert "192.0.2.7" not in text


def test_a_lead_that_is_not_there_leads_back_with_a_sentence() -> None:
    for wrong in ("7", "019a0000-0000-7000-8000-000000000000", "x"):
        assert signed_in("charlie").get(f"{LEADS}{wrong}/change/").status_code in (302, 404)


# A stranger's text

HOSTILE = [
    "<script>alert(1)</script>",
    '=HYPERLINK("http://evil.example")',
    '"><img src=x onerror=alert(1)>',
    "{{ settings.SECRET_KEY }}{% load x %}",
    "</pre></textarea><h1>hello</h1>",
    "\u202egpj.exe",
    "A" * 200_000,
    "a b " * 50_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12])
def test_hostile_text_does_nothing_on_any_page(text: str, settings: Any) -> None:
    offer = make_offer()
    names = ("FirstName", "LastName", "Email", "Phone", "Country", "Company", "Title")
    content = {
        "UserDetails": {**dict.fromkeys(names, text), text[:80]: text},
        **dict.fromkeys(("LeadSource", "ActionCode", "OfferTitle", "Description", text[:90]), text),
    }
    lead = lead_of(post(offer, content, **{"X-Header": text, text[:60]: "x"}))
    broken = post(offer, b"{" + text.encode() + b"\n oops")
    client = signed_in("alice")
    for url in ("/admin/", LEADS, page_of(lead), QUARANTINE, page_of(broken), OFFERS, page_of(offer)):
        shown = text_of(client, url)
        for live in ("<script>alert", "<img src=x", "</textarea><h1>", "<h1>hello"):
            assert live not in shown
        assert settings.SECRET_KEY not in shown
        assert len(shown) < 600_000
    assert "more characters" in text_of(client, page_of(lead)) or len(text) < 200


# Quarantine


def test_quarantine_lists_what_could_not_be_read_with_its_first_problem() -> None:
    offer = make_offer()
    post(offer)
    post(offer, BROKEN)
    text = text_of(signed_in("dave"), QUARANTINE)
    assert "Not JSON" in text
    assert "Line 3, column 3: a comma is missing before" in text
    assert "1 received request" in text
    assert "Became a lead" in text_of(signed_in("dave"), QUARANTINE, verdict="all")


def test_the_page_marks_the_place_in_the_text() -> None:
    broken = post(make_offer(), BROKEN)
    text = text_of(signed_in("dave"), page_of(broken))
    assert '<li value="3" class="marked" id="line-3">' in text
    assert '<mark title="Here">&quot;</mark>Description&quot;' in text
    assert 'href="#line-3"' in text


def test_a_received_request_itself_can_be_edited_by_nobody() -> None:
    broken = post(make_offer(), BROKEN)
    for name in ("alice", "bob", "charlie", "dave"):
        client = signed_in(name)
        text = text_of(client, page_of(broken))
        assert 'name="_save"' not in text
        assert client.post(page_of(broken), {"verdict": "released"}).status_code == 403
        assert client.get(f"{QUARANTINE}add/").status_code == 403
        assert client.get(f"{QUARANTINE}{broken.pk}/delete/").status_code == 403
    broken.refresh_from_db()
    assert broken.verdict == "quarantined"


def test_empty_quarantine_says_that_all_is_well() -> None:
    assert "everything that arrived could be read" in text_of(signed_in("dave"), QUARANTINE)


def test_quarantine_is_closed_to_those_who_may_not_see_requests() -> None:
    broken = post(make_offer(), BROKEN)
    assert signed_in("frank").get(QUARANTINE).status_code == 403
    assert signed_in("frank").get(page_of(broken)).status_code == 403


def test_quarantine_costs_the_same_for_many_as_for_few() -> None:
    offer, client = make_offer(), signed_in("dave")
    post(offer, BROKEN)
    client.get(QUARANTINE)
    with CaptureQueriesContext(connection) as few:
        client.get(QUARANTINE)
    for number in range(10):
        post(offer, BROKEN + b" " * number + b"x")
    with CaptureQueriesContext(connection) as many:
        client.get(QUARANTINE)
    assert len(few) == len(many) <= 14
    assert not any('"leads_submission"."body"' in query["sql"] for query in many)


def test_a_request_that_became_a_lead_leads_to_it() -> None:
    submission = post(make_offer())
    text = text_of(signed_in("charlie"), page_of(submission))
    assert page_of(lead_of(submission)) in text


def problem(line: int, column: int) -> dict[str, Any]:
    return {"line": line, "column": column, "message": "", "pointer": ""}


def test_a_short_text_is_shown_whole_with_every_place_marked() -> None:
    lines, note = numbered("ab\ncd\n", [problem(1, 2), problem(2, 9)])
    assert [(line.number, line.before, line.mark, line.after) for line in lines] == [
        (1, "a", "b", ""),
        (2, "cd", " ", ""),
    ]
    assert note == ""


def test_of_a_long_text_the_part_round_the_place_is_shown() -> None:
    lines, note = numbered("x\n" * 5_000, [problem(4_000, 1)])
    assert 4_000 in [line.number for line in lines if line.mark]
    assert len(lines) <= MOST_LINES
    assert note


def test_of_a_long_line_the_part_round_the_place_is_shown() -> None:
    (line,), note = numbered("a" * 100_000 + "!" + "b" * 100_000, [problem(1, 100_001)])
    assert line.mark == "!"
    assert len(line.before) + len(line.after) <= LONGEST_LINE + 2
    assert note


def test_no_text_is_shown_beyond_the_budget() -> None:
    lines, note = numbered(("y" * 900 + "\n") * 5_000, [])
    assert sum(len(line.before) for line in lines) <= MOST_TEXT + LONGEST_LINE
    assert note


# Offers


def test_adding_an_offer_makes_its_url_and_shows_it() -> None:
    client = signed_in("bob")
    data = {"title": "Contoso Backup", "publisher_id": "contoso", "offer_id": "backup", "dnc_policy": "hold"}
    response = client.post(f"{OFFERS}add/", data | {"enabled": "on", "schema": ""}, follow=True)
    offer = Offer.objects.get()
    assert response.redirect_chain == [(page_of(offer), 302)]
    text = response.content.decode()
    assert offer.endpoints.get().url in text
    assert "press <strong>Validate</strong>" in text
    assert "No lead has ever reached this URL. Press Validate in Partner Center." in text
    assert offer.schema is None


def test_editing_an_offer_makes_no_second_url() -> None:
    offer = make_offer()
    data = {"title": "New", "publisher_id": "contoso", "offer_id": "backup", "dnc_policy": "push"}
    signed_in("bob").post(page_of(offer), data | {"schema": json.dumps({"type": "object"})})
    offer.refresh_from_db()
    assert (offer.title, offer.enabled, offer.dnc_policy) == ("New", False, "push")
    assert offer.schema == {"type": "object"}
    assert offer.endpoints.count() == 1


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("schema", "{", "Enter a valid JSON"),
        ("schema", '{"type": "nonsense"}', "nonsense"),
        ("publisher_id", "con toso", "Letters, digits, dashes"),
        ("title", "", "This field is required"),
    ],
)
def test_a_wrong_offer_is_refused_with_the_field_marked(field: str, value: str, words: str) -> None:
    data = {"title": "T", "publisher_id": "contoso", "offer_id": "backup", "dnc_policy": "hold", "schema": ""}
    response = signed_in("bob").post(f"{OFFERS}add/", data | {field: value})
    assert words in response.content.decode()
    assert not Offer.objects.exists()
    assert not Endpoint.objects.exists()


def test_what_has_reached_an_offers_url_is_told() -> None:
    offer, client = make_offer(), signed_in("bob")

    def state() -> str:
        text = text_of(client, page_of(offer))
        listed = text_of(client, OFFERS)
        return next(words for words in STATES if words in text and words.split(".")[0] in listed)

    assert state() == STATES[0]
    post(offer, origin=Submission.Origin.SAMPLE)
    assert state() == STATES[0], "a sample made here proves nothing"
    post(offer, BROKEN)
    assert state() == STATES[1]
    post(offer, body({"Email": "MSFT_TEST_1@test.com"}))
    assert state() == STATES[2]
    post(offer, body({"FirstName": "Real"}))
    assert state() == STATES[3]
    Endpoint.objects.update(revoked_at=timezone.now())
    assert state() == STATES[4]


STATES = (
    "No lead has ever reached this URL.",
    "Something has reached this URL",
    "test lead arrived. Real leads start after the offer is published.",
    "Live: real leads arrive.",
    "No URL: nothing can reach this offer.",
)


def test_the_url_is_only_for_those_who_may_reveal_it() -> None:
    offer = make_offer()
    key = str(offer.endpoints.get().key)
    lead = lead_of(post(offer, body(), **{"X-Original-Uri": f"/in/{key}", "Referer": f"https://x/in/{key}"}))
    broken = post(offer, BROKEN, **{"X-Original-Uri": f"/in/{key}"})
    assert key in text_of(signed_in("bob"), page_of(offer))
    for name in ("charlie", "dave"):
        client = signed_in(name)
        for url in ("/admin/", OFFERS, page_of(offer), LEADS, page_of(lead), QUARANTINE, page_of(broken)):
            assert key not in text_of(client, url)
        assert "Your account may not see it" in text_of(client, page_of(offer))


def test_a_key_that_does_not_open_is_told_and_breaks_nothing() -> None:
    offer = make_offer()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE leads_endpoint SET key = 'gAAAAABnot-ours'")
    assert "FIELD_ENCRYPTION_KEYS" in text_of(signed_in("bob"), page_of(offer))
    text_of(signed_in("dave"), page_of(offer))


def test_an_offer_with_leads_stays_and_says_why() -> None:
    offer = make_offer()
    client = signed_in("erin")
    assert "Delete" in text_of(client, page_of(offer))
    post(offer)
    text = text_of(client, page_of(offer))
    assert "cannot be deleted" in text
    assert "deletelink" not in text
    assert client.post(f"{OFFERS}{offer.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Offer.objects.exists()


def test_an_offer_without_leads_can_be_deleted_by_an_administrator_only() -> None:
    offer = make_offer()
    for name in ("bob", "charlie", "dave"):
        assert signed_in(name).post(f"{OFFERS}{offer.pk}/delete/", {"post": "yes"}).status_code == 403
    signed_in("erin").post(f"{OFFERS}{offer.pk}/delete/", {"post": "yes"})
    assert not Offer.objects.exists()


@pytest.mark.parametrize("name", ["charlie", "dave"])
def test_who_may_not_change_offers_sees_no_buttons(name: str) -> None:
    offer = make_offer()
    client = signed_in(name)
    text = text_of(client, page_of(offer))
    for button in ('name="_save"', "deletelink", "data-copy"):
        assert button not in text
    assert "addlink" not in text_of(client, OFFERS)
    assert client.get(f"{OFFERS}add/").status_code == 403
    assert client.post(page_of(offer), {"title": "Mine"}).status_code == 403


def test_the_list_of_offers_costs_the_same_for_many_as_for_few() -> None:
    client = signed_in("bob")
    make_offer()
    client.get(OFFERS)
    with CaptureQueriesContext(connection) as few:
        client.get(OFFERS)
    for number in range(10):
        make_offer(f"more{number}")
    with CaptureQueriesContext(connection) as many:
        client.get(OFFERS)
    assert len(few) == len(many) <= 14


def test_no_offer_yet_says_what_one_is_for() -> None:
    assert "Add an offer" in text_of(signed_in("bob"), OFFERS)
    text = text_of(signed_in("dave"), OFFERS)
    assert "No offer yet" in text
    assert "Add an offer" not in text


def test_a_plugged_panel_stands_on_the_offers_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "offer_panels", [lambda request, offer: f"Sends {offer.slug} to"])
    assert "Sends contoso.backup to" in text_of(signed_in("bob"), page_of(make_offer()))


# Words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_400, "1 day ago"),
        (6 * 86_400, "6 days ago"),
    ],
)
def test_how_long_ago(seconds: int, words: str) -> None:
    now = timezone.now()
    assert wording.ago(now - timedelta(seconds=seconds), now) == words


def test_long_ago_is_a_date() -> None:
    now = timezone.now()
    assert (
        wording.ago(now - timedelta(days=8), now) == f"{timezone.localtime(now - timedelta(days=8)):%Y-%m-%d}"
    )
