"""An offer's own schema in the admin: tried on what has arrived, then saved; refused where it is none."""

import json
from html import unescape

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from leads.admin import offer_schema
from leads.models import Submission
from leads.quarantine import release
from tests.staff import body, lead_of, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db
PLUS = {"properties": {"UserDetails": {"properties": {"Phone": {"pattern": r"^\+"}}}}}


def page(offer):
    return reverse("admin:leads_offer_change", args=[offer.pk])


def form(offer, schema, **more):
    return {
        "title": offer.title,
        "publisher_id": offer.publisher_id,
        "offer_id": offer.offer_id,
        "enabled": "on",
        "dnc_policy": offer.dnc_policy,
        "schema": schema if isinstance(schema, str) else json.dumps(schema),
        **more,
    }


def check(offer, schema, name="bob", **more):
    """Press "Check against the last leads" with that text in the form."""
    return signed_in(name).post(page(offer), form(offer, schema, _check_schema="yes", **more))


def text(response):
    return " ".join(unescape(response.content.decode()).split())


def lead_with_phone(offer, phone, number=0):
    return post(offer, body({"Phone": phone, "FirstName": f"No {number}"}))


def test_a_check_says_how_many_of_the_last_requests_would_fail_and_which_and_why():
    offer = make_offer()
    failing = lead_of(lead_with_phone(offer, "425 555"))
    lead_with_phone(offer, "+1 425 555")
    said = text(check(offer, PLUS))
    assert "1 of the last 2 requests would fail this schema." in said
    assert f'<a href="{reverse("admin:leads_lead_change", args=[failing.pk])}">No 0 Doe</a>' in said
    assert r"Phone: '425 555' does not match the pattern ^\+" in said


def test_a_check_saves_nothing_and_keeps_the_text():
    offer = make_offer()
    lead_with_phone(offer, "425 555")
    said = text(check(offer, PLUS, title="Another title"))
    assert 'value="Another title"' in said
    assert " ".join(json.dumps(PLUS, indent=2).split()) in said
    assert "Nothing is saved yet." in said
    offer.refresh_from_db()
    assert (offer.schema, offer.title) == (None, "Contoso Backup")


def test_a_check_without_a_text_is_held_to_microsofts_schema():
    offer = make_offer()
    lead_with_phone(offer, "425 555")
    lead_with_phone(offer, "426 555")
    assert "None of the last 2 requests would fail this schema." in text(check(offer, ""))


def test_a_check_counts_what_waits_in_quarantine_and_would_pass():
    offer = make_offer(schema=PLUS)
    lead_with_phone(offer, "425 555")
    lead_with_phone(offer, "+1 425 555")
    assert "1 request in quarantine would pass this schema." in text(check(offer, ""))
    assert "in quarantine would" not in text(check(offer, PLUS))


def test_what_was_cut_off_on_the_way_does_not_count_as_passing():
    offer = make_offer()
    lead_with_phone(offer, "425 555")
    whole = post(offer, body())
    Submission.objects.filter(pk=whole.pk).update(verdict="quarantined", reason="truncated")
    assert "in quarantine would" not in text(check(offer, ""))


def test_what_a_person_repaired_is_checked_as_repaired():
    offer = make_offer()
    broken = post(offer, b'{"UserDetails": {"Phone": "425 555"}')
    release(broken, '[{"UserDetails": {"Phone": "425 555"}}]', person("bob"), timezone.now())
    assert "1 of the 1 request that could be checked would fail this schema." in text(check(offer, PLUS))


def test_an_offer_without_leads_has_nothing_to_check():
    assert "there is nothing to check the schema against" in text(check(make_offer(), PLUS))


def test_a_sample_made_here_and_another_offers_leads_do_not_count():
    offer = make_offer()
    post(offer, origin=Submission.Origin.SAMPLE)
    lead_with_phone(make_offer("other"), "425 555")
    assert "there is nothing to check the schema against" in text(check(offer, PLUS))


def test_a_check_looks_at_the_newest_two_hundred(monkeypatch):
    monkeypatch.setattr(offer_schema, "MOST_REQUESTS", 3)
    monkeypatch.setattr(offer_schema, "MOST_SHOWN", 2)
    offer = make_offer()
    for number in range(5):
        lead_with_phone(offer, "+1" if number == 0 else "425", number)
    said = text(check(offer, PLUS))
    assert "3 of the last 3 requests would fail this schema." in said
    assert "No 4 Doe" in said
    assert "No 2 Doe" not in said
    assert "and 1 more" in said


def test_a_check_that_takes_too_long_says_how_many_it_came_to(monkeypatch):
    moments = iter(range(0, 1000, 2))
    monkeypatch.setattr(offer_schema, "monotonic", lambda: next(moments))
    offer = make_offer()
    for number in range(4):
        lead_with_phone(offer, "425", number)
    said = text(check(offer, PLUS))
    assert "2 of the last 2 requests would fail this schema." in said
    assert "Time was up after 2 of 4 requests" in said


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ('{"type": "texxt"}', "At /type"),
        ('{"$ref": "http://example.com/lead.json"}', "lies outside the schema"),
        ('{"properties": {"a": {"pattern": "^(a|a)*$"}}}', "takes too long on a text of 100 characters"),
        ("{", "Enter a valid JSON"),
        ('{"maximum": ' + "9" * 5000 + "}", "A number in the schema is too long"),
        ("[" * 100_000, "nested too deeply"),
        ('{"enum": ["\\u0000"]}', "cannot be stored"),
        ('{"maximum": Infinity}', "no JSON number"),
        ("[]", "A schema is a JSON object"),
    ],
)
def test_a_text_that_is_no_schema_is_neither_checked_nor_saved(schema, message):
    offer = make_offer()
    lead_with_phone(offer, "425 555")
    said = text(check(offer, schema))
    assert message in said
    assert "would fail this schema" not in said
    answer = signed_in("bob").post(page(offer), form(offer, schema))
    assert answer.status_code == 200
    assert message in text(answer)
    offer.refresh_from_db()
    assert offer.schema is None


def test_saving_a_schema_says_what_it_would_have_refused():
    offer = make_offer()
    lead_with_phone(offer, "425 555")
    lead_with_phone(offer, "+1 425 555")
    answer = signed_in("bob").post(page(offer), form(offer, PLUS))
    assert answer.status_code == 302
    assert [str(message) for message in get_messages(answer.wsgi_request)] == [
        "Saved.",
        "1 of the last 2 requests would fail this schema. What comes in like them goes to quarantine from now on.",
    ]
    offer.refresh_from_db()
    assert offer.schema == PLUS


def test_saving_a_milder_schema_says_what_can_be_read_again():
    offer = make_offer(schema=PLUS)
    lead_with_phone(offer, "425 555")
    answer = signed_in("bob").post(page(offer), form(offer, ""), follow=True)
    assert (
        "1 request in quarantine would pass this schema. Choose them there and press “Read again”."
        in text(answer)
    )


def test_saving_something_else_checks_nothing(django_assert_num_queries):
    offer = make_offer(schema=PLUS)
    lead_with_phone(offer, "425 555")
    answer = signed_in("bob").post(page(offer), form(offer, PLUS, title="New title"))
    assert [str(message) for message in get_messages(answer.wsgi_request)] == ["Saved."]


def test_leads_are_checked_outside_the_transaction_that_saves(monkeypatch):
    """On SQLite no lead could be stored meanwhile."""
    offer = make_offer()
    lead_with_phone(offer, "425 555")
    depths = []
    outside = len(connection.savepoint_ids)
    read = offer_schema.check
    monkeypatch.setattr(
        offer_schema, "check", lambda *rest: depths.append(len(connection.savepoint_ids)) or read(*rest)
    )
    signed_in("bob").post(page(offer), form(offer, PLUS))
    check(offer, PLUS)
    assert depths == [outside, outside]


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_who_may_not_change_offers_cannot_check_a_schema(name):
    offer = make_offer()
    lead_with_phone(offer, "425 555")
    assert check(offer, PLUS, name).status_code == 403
    assert "Check against" not in text(signed_in(name).get(page(offer)))


def test_a_check_needs_the_forms_token():
    client = signed_in("bob")
    client.handler.enforce_csrf_checks = True
    assert client.post(page(make_offer()), {"_check_schema": "yes"}).status_code == 403


def test_the_button_stands_beside_the_schema_of_an_offer_that_is_there():
    offer = make_offer()
    assert "Check against the last leads" in text(signed_in("bob").get(page(offer)))
    assert "Check against" not in text(signed_in("bob").get(reverse("admin:leads_offer_add")))


def test_what_a_stranger_wrote_is_text_in_a_check():
    offer = make_offer()
    post(offer, body({"FirstName": "<script>alert(1)</script>", "Phone": "<b>"}))
    said = check(offer, PLUS).content.decode()
    assert "<script>alert" not in said
    assert "<b>" not in said
