"""Quarantine on screen: what its buttons do, what they say, and who may press them."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from leads import quarantine
from leads.admin.source import LONGEST_LINE, MOST_LINES, compared
from leads.models import Lead, Submission
from leads.repair import suggest
from tests.leads.test_admin import LEADS, QUARANTINE, page_of, text_of
from tests.staff import lead_of, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db

FAQ = (Path(__file__).parent.parent / "payloads" / "faq_sample_broken.json").read_bytes()
MENDED = FAQ.decode().replace('"Contoso Test"', '"Contoso Test",')
ANA = '{"FirstName": "Ana", "LastName": "Silva"}'
STRICT = {"required": ["ActionCode"]}
BUTTONS = ("check", "release", "reread", "discard", "restore")


def press(client: Client, submission: Submission, button: str, **data: str) -> Any:
    return client.post(f"{QUARANTINE}{submission.pk}/{button}/", data)


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def act(client: Client, action: str, *chosen: Submission, **more: str) -> Any:
    return client.post(
        QUARANTINE,
        {"action": action, "_selected_action": [str(row.pk) for row in chosen], "index": "0", **more},
    )


def verdict(submission: Submission) -> str:
    return Submission.objects.get(pk=submission.pk).verdict


def words_of(html: str) -> str:
    """What can be read, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


# The page


def test_the_page_suggests_the_comma_and_says_what_a_lead_of_it_would_be() -> None:
    broken = post(make_offer(), FAQ)
    html = text_of(signed_in("bob"), page_of(broken))
    text = words_of(html)
    assert "Line 14: a comma was missing before &quot;Description&quot;." in text
    assert "11 fields recognised. From the repaired text below." in text
    assert "This is a test lead of Microsoft's, and stays one." in text
    assert "First name MSFT_TEST_636573304831318844" in text
    # Not by colour alone: a sign, a word for those who listen, and a mark.
    assert '<span aria-hidden="true">+</span><span class="visually-hidden">Added:</span>' in html
    assert "&quot;OfferTitle&quot;: &quot;Contoso Test&quot;<ins>,</ins></code>" in html
    assert '<mark title="Here">&quot;</mark>Description' in html
    assert "Contoso Test&quot;,\n    &quot;Description&quot;" in html  # in the box


@pytest.mark.parametrize("name", ["charlie", "dave"])
def test_who_may_only_look_sees_the_suggestion_and_no_button(name: str) -> None:
    broken = post(make_offer(), FAQ)
    client = signed_in(name)
    html = text_of(client, page_of(broken))
    assert "Suggested repair" in html
    for button in ("<textarea", ">Check<", ">Release<", ">Read again<", ">Discard<"):
        assert button not in html
    assert "Read again" not in text_of(client, QUARANTINE)
    for button in BUTTONS:
        assert press(client, broken, button, text=MENDED).status_code == 403
    for action in ("read_again", "discard_selected"):
        act(client, action, broken, confirm="yes")
    assert (verdict(broken), Lead.objects.count()) == ("quarantined", 0)


@pytest.mark.parametrize("name", ["bob", "erin", "alice"])
def test_who_may_release_and_discard_sees_the_buttons(name: str) -> None:
    broken = post(make_offer(), FAQ)
    html = text_of(signed_in(name), page_of(broken))
    for button in ("<textarea", ">Check<", ">Release<", ">Read again<", ">Discard<"):
        assert button in html


def test_the_buttons_are_pressed_by_post_and_with_a_token() -> None:
    broken = post(make_offer(), FAQ)
    for button in BUTTONS:
        assert signed_in("bob").get(f"{QUARANTINE}{broken.pk}/{button}/").status_code == 405
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(person("bob"))
        assert press(strict, broken, button).status_code == 403
        assert press(Client(), broken, button).status_code == 302  # to sign in
    assert verdict(broken) == "quarantined"


def test_each_permission_opens_its_own_buttons_only() -> None:
    broken = post(make_offer(), FAQ)
    dave = person("dave")
    dave.user_permissions.add(Permission.objects.get(codename="discard_submission"))
    client = signed_in("dave")
    assert press(client, broken, "release", text=MENDED).status_code == 403
    html = text_of(client, page_of(broken))
    assert ">Discard<" in html
    assert ">Release<" not in html
    assert press(client, broken, "discard").status_code == 302
    assert verdict(broken) == "discarded"


def test_a_request_that_is_not_there_is_not_found() -> None:
    client = signed_in("bob")
    for url in (f"{QUARANTINE}{uuid4()}/change/", f"{QUARANTINE}nonsense/change/"):
        assert client.get(url).status_code == 404
    assert client.post(f"{QUARANTINE}{uuid4()}/release/").status_code == 404


# Check


def test_check_says_what_a_text_would_become_and_stores_nothing() -> None:
    broken = post(make_offer(), b"hello")
    response = press(signed_in("bob"), broken, "check", text=ANA)
    text = words_of(response.content.decode())
    assert "2 fields recognised. Text to make" in text.replace("First name Ana Last name Silva ", "")
    assert "First name Ana Last name Silva" in text
    assert (verdict(broken), Lead.objects.count()) == ("quarantined", 0)


def test_check_says_what_is_still_wrong_and_where() -> None:
    broken = post(make_offer(), b"hello")
    html = press(
        signed_in("bob"), broken, "check", text='{"FirstName": "Ana"\r\n "Email": "x"}'
    ).content.decode()
    assert "This cannot be read yet." in html
    assert "Line 2, column 2: a comma is missing before &quot;Email&quot;." in html
    assert '<li value="2" class="marked"><code> <mark title="Here">&quot;</mark>Email' in html
    assert "&quot;Ana&quot;\n &quot;Email&quot;" in html  # what was typed is still in the box
    assert "Release anyway" not in html


def test_check_names_the_leads_of_a_list_and_the_fields_that_we_do_not_know() -> None:
    broken = post(make_offer(), b"hello")
    text = json.dumps([{"FirstName": "Ana"}, {"FirstName": "Bea", "Email": "b@c.d", "Notes": "hi"}] * 8)
    seen = words_of(press(signed_in("bob"), broken, "check", text=text).content.decode())
    assert "16 leads recognised." in seen
    assert "Lead 1: 1 field recognised First name Ana" in seen
    assert "Lead 2: 2 fields recognised, 1 that we do not know" in seen
    assert "Notes (not known) hi" in seen
    assert "Lead 11" not in seen


def test_a_text_larger_than_a_body_is_neither_checked_nor_released(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100
    broken = post(make_offer(), b"hello")
    text = json.dumps({"FirstName": "ü" * 50}, ensure_ascii=False)
    for button in ("check", "release"):
        html = press(signed_in("bob"), broken, button, text=text).content.decode()
        assert "The text has 117 bytes; at most 100 can be released." in html
    assert verdict(broken) == "quarantined"


# Release


def test_release_makes_the_lead_and_goes_to_it() -> None:
    broken = post(make_offer(), FAQ, at=timezone.now() - timedelta(hours=3))
    client = signed_in("bob")
    response = press(client, broken, "release", text=MENDED.replace("\n", "\r\n"))
    lead = lead_of(broken)
    assert response.headers["Location"] == page_of(lead)
    assert said(response) == [
        "Released: MSFT_TEST_636573304831318844 MSFT_TEST_636573304831318844 is a lead now."
    ]
    assert lead.is_test
    timeline = text_of(client, page_of(lead))
    assert "bob: Released from quarantine, repaired. Line 14: a comma was missing before" in timeline
    assert "MSFT_TEST" not in text_of(client, LEADS)


def test_what_was_released_shows_its_lead_and_the_text_beside_the_original() -> None:
    broken = post(make_offer(), FAQ)
    client = signed_in("bob")
    press(client, broken, "release", text=MENDED)
    html = text_of(client, page_of(broken))
    text = words_of(html)
    assert re.search(r"bob released it, \d{4}-\d\d-\d\d \d\d:\d\d\. It became a lead: ", text)
    assert page_of(lead_of(broken)) in html
    for heading in (
        "What was changed before it was released",
        "The text as it came",
        "The text that was released",
    ):
        assert heading in html
    assert "What was wrong" in html
    assert "<textarea" not in html
    assert "Suggested repair" not in html
    assert "bob: Released from quarantine, repaired" in text
    assert "It became a lead:" in words_of(text_of(signed_in("dave"), page_of(broken)))


def test_a_text_that_cannot_be_read_is_not_released() -> None:
    broken = post(make_offer(), b"hello")
    response = press(signed_in("bob"), broken, "release", text="hello", anyway="yes")
    assert response.status_code == 200
    assert "Not released. This cannot be read yet." in response.content.decode()
    assert (verdict(broken), Lead.objects.count()) == ("quarantined", 0)


def test_what_the_schema_forbids_is_released_by_its_own_button() -> None:
    broken = post(make_offer(schema=STRICT), ANA.encode())
    client = signed_in("bob")
    html = text_of(client, page_of(broken))
    assert "The offer&#x27;s schema forbids this." in html
    assert "Release anyway" in html
    html = press(client, broken, "release", text=ANA).content.decode()
    assert "Not released. The offer&#x27;s schema forbids this." in html
    response = press(client, broken, "release", text=ANA, anyway="yes")
    assert said(response) == ["Released: Ana Silva is a lead now."]


def test_a_list_becomes_several_leads_and_names_them() -> None:
    broken = post(make_offer(), b'[{"FirstName": "Ana"}, {"FirstName": "Bea"}]')
    client = signed_in("bob")
    html = text_of(client, page_of(broken))
    assert "this is a list of 2 leads; each becomes a lead of its own." in html
    assert "The text itself stays as it is." in html
    response = press(client, broken, "release", text=quarantine.text_of(broken))
    assert response.headers["Location"] == page_of(broken)
    assert said(response) == ["Released: 2 leads were made of it."]
    seen = words_of(text_of(client, page_of(broken)))
    assert "It became these leads: Ana , Bea" in seen
    assert "The text that was released" not in seen


@pytest.mark.parametrize("button", ["release", "reread", "discard"])
def test_whoever_comes_second_is_told_who_was_first(button: str) -> None:
    broken = post(make_offer(), FAQ)
    press(signed_in("bob"), broken, "release", text=MENDED)
    response = press(signed_in("erin"), broken, button, text=MENDED)
    assert response.headers["Location"] == page_of(broken)
    [message] = said(response)
    assert re.fullmatch(r"Nothing was changed. bob released it, \d{4}-\d\d-\d\d \d\d:\d\d.", message)
    assert Lead.objects.count() == 1


def test_going_back_and_releasing_something_else_changes_nothing() -> None:
    broken = post(make_offer(), FAQ)
    client = signed_in("bob")
    press(client, broken, "release", text=MENDED)
    *_, message = said(press(client, broken, "release", text="not even JSON"))
    assert message.startswith("Nothing was changed. bob released it, ")
    assert Submission.objects.get(pk=broken.pk).repaired == MENDED


# Read again


def test_read_again_makes_the_lead_once_the_schema_lets_it() -> None:
    offer = make_offer(schema=STRICT)
    broken = post(offer, ANA.encode())
    client = signed_in("bob")
    response = press(client, broken, "reread")
    assert said(response) == [
        "Read again; it still cannot be read. 'ActionCode' is a required property",
    ]
    offer.schema = None
    offer.save()
    response = press(client, broken, "reread")
    assert said(response)[-1] == "Released: Ana Silva is a lead now."
    assert response.headers["Location"] == page_of(lead_of(broken))


def test_what_was_cut_off_is_not_offered_to_be_read_again() -> None:
    broken = post(make_offer(), b"{")
    Submission.objects.filter(pk=broken.pk).update(reason="truncated")
    client = signed_in("bob")
    assert ">Read again<" not in text_of(client, page_of(broken))
    [message] = said(press(client, broken, "reread"))
    assert message.startswith("Part of it never arrived")


def test_many_are_read_again_and_the_result_is_a_sentence() -> None:
    offer = make_offer(schema=STRICT)
    rows = [post(offer, b'{"FirstName": "Ana %d"}' % number) for number in range(7)]
    rows += [post(offer, b"{" + b" " * number) for number in range(2)]
    offer.schema = None
    offer.save()
    client = signed_in("bob")
    assert "Read again" in text_of(client, QUARANTINE)
    assert said(act(client, "read_again", *rows)) == ["7 of 9 became leads, 2 are still unreadable."]
    assert said(act(client, "read_again", rows[-1]))[-1] == "0 of 1 became leads, 1 is still unreadable."
    # The back button: what was ticked is in quarantine no more.
    response = act(client, "read_again", rows[0])
    assert Lead.objects.count() == 7
    assert verdict(rows[0]) == "released"
    assert response.status_code in (200, 302)


# Discard


def test_what_is_discarded_stays_and_can_be_put_back() -> None:
    broken = post(make_offer(), FAQ)
    client = signed_in("bob")
    assert said(press(client, broken, "discard")) == [
        "Discarded. It stays here as it came, and can be put back."
    ]
    html = text_of(client, page_of(broken))
    assert "bob discarded it, " in html
    assert "Put back into quarantine" in html
    assert "Put back into quarantine" not in text_of(signed_in("dave"), page_of(broken))
    assert page_of(broken) not in text_of(client, QUARANTINE)
    assert page_of(broken) in text_of(client, QUARANTINE, verdict="discarded")
    assert said(press(client, broken, "restore"))[-1] == "Back in quarantine."
    assert said(press(client, broken, "restore"))[-1] == "Nothing was changed. It is in quarantine."
    history = words_of(text_of(client, page_of(broken)))
    assert "bob: Put back into quarantine." in history
    assert "bob: Discarded." in history


def test_many_are_discarded_after_a_question_that_names_the_number() -> None:
    offer = make_offer()
    rows = [post(offer, FAQ + b" " * number) for number in range(12)]
    client = signed_in("bob")
    html = act(client, "discard_selected", *rows).content.decode()
    assert "Discard 12 requests?" in html
    assert "and 2 more" in html
    assert {verdict(row) for row in rows} == {"quarantined"}
    response = act(client, "discard_selected", *rows, confirm="yes")
    assert said(response) == ["12 requests were discarded. The filter Discarded shows them."]
    assert {verdict(row) for row in rows} == {"discarded"}
    for action, words in (("read_again", "read again"), ("discard_selected", "discard")):
        *_, message = said(act(client, action, *rows))
        assert message == f"Nothing to {words}: none of these is in quarantine any more."


# The list


def test_the_list_counts_what_waits_for_each_reason_and_leads_to_it() -> None:
    offer, other = make_offer(), make_offer("analytics")
    for row in (b"hello", b"{", b"[]"):
        post(offer, row)
    post(other, b"")
    quarantine.discard(post(offer, b"gone"), person("bob"), timezone.now())
    client = signed_in("dave")
    html = text_of(client, QUARANTINE)
    assert '<a href="?reason__exact=not_json">2 Not JSON</a>' in html
    assert "1 Empty body" in html
    assert "1 JSON, but not an object" in html
    html = text_of(client, QUARANTINE, offer__id__exact=str(offer.pk), reason__exact="not_json")
    assert "<strong>2 Not JSON</strong>" in html
    assert "1 Empty body" not in html
    assert f"offer__id__exact={offer.pk}" in html
    assert "2 Not JSON" not in text_of(client, QUARANTINE, verdict="discarded")
    assert client.get(QUARANTINE, {"offer__id__exact": "9" * 40}).status_code in (200, 302)


# What is compared


def test_what_strangers_wrote_stays_text_wherever_it_is_shown() -> None:
    evil = "</textarea><script>alert(1)</script>"
    broken = post(make_offer(), f"{{'FirstName': '{evil}', 'x{evil}': '{evil}',}}".encode())
    client = signed_in("bob")
    response = press(client, broken, "check", text=f'{{"FirstName": "{evil}", "{evil}": 1}}')
    for html in (text_of(client, page_of(broken)), response.content.decode()):
        assert "<script>alert" not in html
        assert "</textarea><script" not in html
    press(client, broken, "release", text=quarantine.suggestion(broken).text)
    for url in (page_of(broken), page_of(lead_of(broken)), QUARANTINE):
        assert "<script>alert" not in text_of(client, url, verdict="released" if url == QUARANTINE else "")


def test_a_large_body_is_a_page_that_can_be_loaded() -> None:
    long = "x" * 60_000
    broken = post(make_offer(), ("{\n" + "\n".join(f"'k{n}': '{long}'," for n in range(4)) + "\n}").encode())
    html = text_of(signed_in("bob"), page_of(broken))
    assert len(html) < 900_000
    many = post(make_offer("other"), ("{\n" + "'a': 1,\n" * 20_000 + "}").encode())
    html = text_of(signed_in("bob"), page_of(many))
    assert f"Only the first {MOST_LINES} lines of the changes are shown." in html


def test_a_change_is_shown_with_the_lines_round_it_and_marked_in_its_line() -> None:
    old = "\n".join(f"line {n}" for n in range(1, 30))
    changes, note = compared(old, old.replace("line 10", "line ten").replace("line 20", "line 20,"))
    assert note == ""
    shown = [(c.kind, c.number, c.before, c.mark, c.after, c.gap) for c in changes]
    assert shown == [
        ("same", 8, "line 8", "", "", False),
        ("same", 9, "line 9", "", "", False),
        ("gone", 10, "line ", "10", "", False),
        ("new", 10, "line ", "ten", "", False),
        ("same", 11, "line 11", "", "", False),
        ("same", 12, "line 12", "", "", False),
        ("same", 18, "line 18", "", "", True),
        ("same", 19, "line 19", "", "", False),
        ("gone", 20, "line 20", "", "", False),
        ("new", 20, "line 20", ",", "", False),
        ("same", 21, "line 21", "", "", False),
        ("same", 22, "line 22", "", "", False),
    ]


def test_a_long_line_is_clipped_round_its_change() -> None:
    text = "{" + "'a': 1, " * 2_000 + '"b": 2}'
    found = suggest(text)
    assert found is not None
    changes, _ = compared(text, found.text)
    assert len(changes) == 2
    assert all(len(c.before) + len(c.mark) + len(c.after) < 2 * LONGEST_LINE + 10 for c in changes)


def test_equal_texts_have_no_changes() -> None:
    assert compared("a\r\nb", "a\nb") == ([], "")
