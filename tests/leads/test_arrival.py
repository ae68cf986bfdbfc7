"""Waiting for Microsoft's test lead: what the page of an offer says until it is there, and what came instead."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads import payload, tally
from leads.admin import arrival
from leads.models import Endpoint, Lead, Offer, Refusal, Submission
from leads.samples import as_posted
from leads.wording import recognised
from tests.staff import body, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
MARK = "MSFT_TEST_636573304831318844"
TEST = dict.fromkeys(("FirstName", "LastName", "Company", "Title"), MARK) | {"Email": f"{MARK}@test.com"}
MINUTE = timedelta(minutes=1)


def waits(offer: Offer, *, name: str = "bob", for_: timedelta = timedelta()) -> Any:
    return arrival.of(offer, person(name), NOW, NOW - for_)


def at(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def fragment(client: Client, offer: Offer, **query: Any) -> Any:
    url = reverse("admin:leads_offer_arrival", args=[offer.pk])
    return client.get(url, query, headers={"HX-Request": "true"})


def text_of(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


# What has come


def test_an_offer_that_nothing_has_reached_waits_with_nothing_to_say() -> None:
    found = waits(make_offer())
    assert (found.test, found.instead, found.late, found.over) == (None, [], False, False)


def test_the_test_lead_is_told_with_its_mark_and_how_many_fields_were_understood() -> None:
    offer = make_offer()
    post(offer, body(TEST), at=at(1))
    test = waits(offer).test
    assert (test.mark, test.recognised, test.sent_on) == (MARK, "7 of 7 fields recognised", False)
    assert test.came == at(1)


def test_a_field_that_is_missing_in_the_test_lead_is_not_counted() -> None:
    offer = make_offer(send_test_leads=True)
    post(offer, body(TEST | {"Phone": None, "Country": ""}), at=at(1))
    test = waits(offer).test
    assert (test.recognised, test.sent_on) == ("5 of 7 fields recognised", True)


def test_the_test_lead_is_linked_for_those_who_may_see_leads() -> None:
    offer = make_offer()
    post(offer, body(TEST), at=at(1))
    assert waits(offer, name="bob").test.url
    assert not waits(offer, name="frank").test.url


@pytest.mark.parametrize("kind", ["test", "INS"])
def test_a_sample_proves_nothing(kind: str) -> None:
    offer = make_offer()
    post(offer, as_posted(kind, offer), origin=Submission.Origin.SAMPLE, at=at(1))
    assert waits(offer).test is None


def test_nobody_waits_where_real_leads_arrive_nor_for_the_demo_nor_without_a_url() -> None:
    live, demo, closed = make_offer("live"), make_offer("demo", is_demo=True), make_offer("closed")
    post(live, body(TEST), at=at(2))
    post(live, at=at(1))
    Endpoint.objects.filter(offer=closed).update(revoked_at=at(1))
    assert [waits(offer) for offer in (live, demo, closed)] == [None, None, None]


# What came instead


def test_what_could_not_be_read_is_told_and_linked_for_those_who_may_look() -> None:
    offer = make_offer()
    post(offer, b"{", at=at(3))
    found = waits(offer)
    assert found.instead == [
        "A request came 3 min ago and could not be read (Not JSON): it is in quarantine."
    ]
    assert found.quarantine.endswith(f"?offer__id__exact={offer.pk}")
    assert waits(offer, name="frank").quarantine == ""


def test_a_post_to_an_unknown_key_is_told() -> None:
    offer = make_offer()
    Refusal.objects.create(minute=at(2), reason=Refusal.Reason.UNKNOWN_KEY, times=1)
    (said,) = waits(offer).instead
    assert said == "In the last 10 minutes 1 POST hit an unknown key: was the URL pasted completely?"


def test_a_test_lead_at_the_url_of_another_offer_is_told_while_it_is_news() -> None:
    offer, other = make_offer(), make_offer("mail")
    post(other, body(TEST), at=at(11))
    assert waits(offer).instead == []
    post(other, body(TEST, OfferTitle="x"), at=at(9))
    (said,) = waits(offer).instead
    assert "came to the URL of Contoso Mail in the last 10 minutes" in said


def test_after_five_minutes_it_says_what_to_look_at_and_what_came_elsewhere() -> None:
    offer, other, third = make_offer(), make_offer("mail"), make_offer("drive")
    post(other, at=at(4))
    post(other, b"{", at=at(4))
    post(third, at=at(3))
    post(third, body({"FirstName": "Old"}), at=at(12))
    assert not waits(offer, for_=4.9 * MINUTE).late
    found = waits(offer, for_=5 * MINUTE)
    assert found.late
    assert found.elsewhere == ["2 requests to Contoso Mail", "1 request to Contoso Drive"]


def test_after_half_an_hour_nobody_waits_any_more() -> None:
    assert not waits(make_offer("a"), for_=29 * MINUTE).over
    assert waits(make_offer("b"), for_=30 * MINUTE).over


# On the page


def test_the_page_shows_the_clock_and_asks_by_itself_until_it_is_over() -> None:
    offer, client = make_offer(), signed_in("bob")
    page = reverse("admin:leads_offer_change", args=[offer.pk])
    since = int((timezone.now() - 42 * MINUTE / 60).timestamp())
    html = client.get(page, {"since": since}).content.decode()
    assert re.search(r'hx-trigger="every 2s"[^>]*>00:4[2-9]</span>', html)
    assert "htmx-2.min" in html
    html = client.get(page, {"since": 1}).content.decode()
    assert "has stopped looking" in html
    assert "hx-trigger" not in html
    assert "?since=now" in html


def test_waiting_counts_from_the_making_of_a_url_that_is_new_else_from_the_first_look() -> None:
    offer, now = make_offer(), timezone.now()
    request: Any = Client().get("/").wsgi_request
    Endpoint.objects.update(created_at=now - 3 * MINUTE)
    assert arrival.since(request, offer, now) == now - 3 * MINUTE
    Endpoint.objects.update(created_at=now - 300 * MINUTE)
    assert arrival.since(request, offer, now) == now


@pytest.mark.parametrize("asked", ["", "x", "-1", "9" * 30, "٣", "now", "99999999999"])
def test_no_beginning_that_somebody_types_makes_it_fail(asked: str) -> None:
    offer, now = make_offer(), timezone.now()
    Endpoint.objects.update(created_at=now - 300 * MINUTE)
    request: Any = Client().get("/", {"since": asked}).wsgi_request
    assert now - arrival.ENOUGH <= arrival.since(request, offer, now) <= now


def test_only_news_draws_the_panel_anew_and_what_stands_above_with_it() -> None:
    offer, client = make_offer(), signed_in("bob")
    first = fragment(client, offer)
    seen = re.search(r"seen=(\w+)", first.content.decode())
    assert first.headers["HX-Retarget"] == "#arrival"
    assert seen
    quiet = fragment(client, offer, seen=seen[1])
    assert "HX-Retarget" not in quiet.headers
    assert "Waiting" not in text_of(quiet)
    post(offer, body(TEST))
    tally.flush()
    news = fragment(client, offer, seen=seen[1])
    assert news.headers["HX-Retarget"] == "#arrival"
    said = text_of(news)
    assert (
        "Test lead received, 7 of 7 fields recognised. It stays out of your CRM. Now publish the offer."
        in said
    )
    assert "Real leads start after the offer is published." in said
    assert "hx-trigger" not in news.content.decode()


def test_once_a_real_lead_comes_the_page_is_loaded_anew() -> None:
    offer, client = make_offer(), signed_in("bob")
    post(offer)
    response = fragment(client, offer)
    assert (response.status_code, response.headers["HX-Refresh"]) == (arrival.STOP_ASKING, "true")


def test_who_was_signed_out_is_led_to_sign_in_by_the_whole_page() -> None:
    response = fragment(Client(), make_offer())
    assert (response.status_code, response.headers["HX-Refresh"]) == (arrival.STOP_ASKING, "true")


def test_it_is_for_those_who_may_see_offers_and_not_a_page_of_its_own() -> None:
    offer = make_offer()
    assert fragment(signed_in("frank"), offer).status_code == 403
    url = reverse("admin:leads_offer_arrival", args=[offer.pk])
    assert signed_in("dave").get(url).headers["Location"] == reverse(
        "admin:leads_offer_change", args=[offer.pk]
    )
    assert fragment(signed_in("bob"), Offer(pk=999)).status_code == 404


def test_hostile_titles_of_other_offers_are_harmless() -> None:
    offer, other = make_offer(), make_offer("mail")
    Offer.objects.filter(pk=other.pk).update(title="<script>alert(1)</script>" + "x" * 170)
    post(other, body(TEST))
    html = fragment(signed_in("bob"), offer).content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


def test_a_page_that_waits_asks_little_however_much_came() -> None:
    offer, other, client = make_offer(), make_offer("mail"), signed_in("bob")
    seen = re.search(r"seen=(\w+)", fragment(client, offer, since=1).content.decode())
    since = int((timezone.now() - 6 * MINUTE).timestamp())
    assert seen is None, "nobody waits half an hour"
    with CaptureQueriesContext(connection) as few:
        fragment(client, offer, since=since)
    for number in range(15):
        post(other, body({"FirstName": f"Number {number}"}))
        post(other, b"{" + b" " * number)
    with CaptureQueriesContext(connection) as many:
        fragment(client, offer, since=since)
    assert len(few) == len(many) < 25


def test_the_timeline_and_the_quarantine_count_the_fields_of_a_body_alike() -> None:
    offer, sent = make_offer(), body(TEST, Unheard="of")
    post(offer, sent, at=at(1))
    read = payload.read(json.dumps(sent).encode())
    assert isinstance(read, payload.Fields)
    counted = {recognised(read), recognised(Lead.objects.get())}
    assert counted == {"10 fields recognised, 1 that we do not know"}
