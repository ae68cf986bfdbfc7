"""Silence: an offer that leads used to come to and come no more is noticed, told of once, and said to be normal."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leads import mailing, offer_states, silence
from leads.models import Endpoint, Lead, Offer, Submission
from leads.silence import Silence, is_news, judge
from tests.staff import body, make_offer, person, post, signed_in

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def days_ago(*days: float) -> list[datetime]:
    return [NOW - day * DAY for day in days]


# The decision


@pytest.mark.parametrize(
    ("arrivals", "usual"),
    [
        (days_ago(21, 24, 27, 30, 33), 3 * DAY),
        (days_ago(12, 15, 18, 21, 24), None),  # four times the usual gap is not beyond it
        (days_ago(12.1, 15, 18, 21, 24), 3 * DAY),
        (days_ago(21, 24, 27, 30), None),  # four leads tell of no habit
        (days_ago(), None),
        (days_ago(3, 3.01, 3.02, 3.03, 3.04), None),  # a long weekend
        (days_ago(3.1, 3.11, 3.12, 3.13, 3.14), 0.01 * DAY),
        (days_ago(21, 24, 27, 30, 40), None),  # it has been as slow before
        (days_ago(41, 44, 47, 50, 60), 3 * DAY),
    ],
)
def test_silence_is_what_is_far_beyond_the_offers_own_habit(
    arrivals: list[datetime], usual: timedelta | None
) -> None:
    found = judge(arrivals, NOW)
    if usual is None:
        assert found is None
    else:
        assert found is not None
        assert found.last == arrivals[0]
        assert abs(found.usual - usual) < timedelta(minutes=1)


def test_one_long_gap_among_many_does_not_make_all_silence_usual() -> None:
    gaps = [1, 1, 1, 1, 30, 1, 1, 1, 1, 1, 1, 1]
    arrivals = [NOW - 10 * DAY]
    for gap in gaps:
        arrivals.append(arrivals[-1] - gap * DAY)
    assert judge(arrivals, NOW) == Silence(NOW - 10 * DAY, DAY)


@pytest.mark.parametrize(
    ("told", "quiet", "news"),
    [
        (None, None, True),
        (NOW - DAY, None, False),  # once
        (NOW - 30 * DAY, None, True),  # of another silence, before the last lead
        (None, NOW + DAY, False),
        (NOW - 10 * DAY, NOW + DAY, False),
        (NOW - 10 * DAY, NOW - DAY, True),  # the reminder
        (NOW - HOUR, NOW - DAY, False),  # reminded once
    ],
)
def test_a_silence_is_news_once_and_again_after_a_reminder(
    told: datetime | None, quiet: datetime | None, news: bool
) -> None:
    assert is_news(Silence(NOW - 21 * DAY, 3 * DAY), told, quiet, NOW) is news


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(minutes=5), "less than an hour"),
        (HOUR, "1 hour"),
        (30 * HOUR, "30 hours"),
        (3 * DAY, "3 days"),
        (21.4 * DAY, "21 days"),
        (1200 * DAY, "1,200 days"),
    ],
)
def test_spans_are_spelled_to_the_unit_that_matters(span: timedelta, words: str) -> None:
    assert silence.spelled(span) == words


# States


@pytest.mark.parametrize(
    ("facts", "slug"),
    [
        ({}, "not_proven"),
        ({"has_url": False, "is_live": True}, "no_url"),
        ({"was_reached": True}, "unreadable"),
        ({"was_reached": True, "was_tested": True}, "tested"),
        ({"was_reached": True, "was_tested": True, "is_live": True}, "live"),
        ({"was_reached": True, "is_live": True, "silence": "no lead for 21 days."}, "silent"),
        ({"is_demo": True}, "demo"),
    ],
)
def test_an_offer_is_in_one_state(facts: dict[str, Any], slug: str) -> None:
    nothing = {"has_url": True, "is_live": False, "was_tested": False, "was_reached": False, "is_demo": False}
    state = offer_states.of(**{**nothing, **facts})
    assert state.slug == slug
    assert str(state.sentence).endswith(".")


# Looking


pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailing, "in_background", lambda work, patience=0: work())


def leads_come(offer: Offer, *days: float, now: datetime = NOW, **more: Any) -> None:
    for number, day in enumerate(days):
        post(offer, body({"FirstName": f"Jane {number} {day}"}), at=now - day * DAY, **more)


def silent_offer(name: str = "backup", now: datetime = NOW) -> Offer:
    offer = make_offer(name)
    leads_come(offer, 21, 24, 27, 30, 33, now=now)
    return offer


def test_each_offer_is_judged_by_its_own_leads() -> None:
    silent, lively = silent_offer(), make_offer("lively")
    leads_come(lively, 0.1, 1, 2, 3, 4)
    slow = make_offer("slow")
    leads_come(slow, 21, 42, 63, 84, 105)
    assert silence.found(NOW) == {silent.pk: Silence(NOW - 21 * DAY, 3 * DAY)}
    assert silence.found(NOW, [lively.pk, slow.pk]) == {}


@pytest.mark.parametrize("what", ["test", "sample", "import"])
def test_what_is_no_lead_from_microsoft_breaks_no_silence(what: str) -> None:
    offer = silent_offer()
    origin = {"sample": Submission.Origin.SAMPLE, "import": Submission.Origin.IMPORT}.get(what)
    content = body({"FirstName": "MSFT_TEST_1"} if what == "test" else {})
    post(offer, content, at=NOW, origin=origin or Submission.Origin.ENDPOINT)
    assert offer.pk in silence.found(NOW)


@pytest.mark.parametrize("change", [{"enabled": False}, {"is_demo": True}])
def test_an_offer_that_is_off_and_the_demo_are_not_watched(change: dict[str, Any]) -> None:
    offer = silent_offer()
    Offer.objects.filter(pk=offer.pk).update(**change)
    assert silence.found(NOW) == {}


def test_only_the_last_leads_tell_what_is_usual() -> None:
    offer = make_offer()
    leads_come(offer, *(300 + 20 * number for number in range(20)))  # it was slow once
    leads_come(offer, *(21 + number for number in range(51)))
    assert silence.found(NOW) == {offer.pk: Silence(NOW - 21 * DAY, DAY)}


def test_looking_costs_the_same_for_many_offers_as_for_few() -> None:
    silent_offer()
    with CaptureQueriesContext(connection) as few:
        silence.found(NOW)
    for number in range(5):
        silent_offer(f"more{number}")
    with CaptureQueriesContext(connection) as many:
        assert len(silence.found(NOW)) == 6
    assert len(few) == len(many) == 3


# Telling


def told(name: str = "bob") -> User:
    user = person(name)
    user.email = f"{name}@contoso.example"
    user.save()
    return user


def test_the_mail_says_how_long_what_is_likely_and_what_to_do() -> None:
    told()
    offer = silent_offer()
    Endpoint.objects.filter(offer=make_offer("other")).update(last_hit_at=NOW - 2 * HOUR)
    silence.watch(NOW)
    (message,) = mail.outbox
    assert message.to == ["bob@contoso.example"]
    assert message.subject == "Contoso Backup has had no lead for 21 days"
    page = f"http://127.0.0.1:8000/admin/leads/offer/{offer.pk}/change/#silence"
    assert message.body.startswith(
        "Contoso Backup has had no lead for 21 days; usual gap 3 days. Last Microsoft POST on any offer: 2 h ago, so "
        "the server is reachable. Likely: the offer was republished without the lead destination, or the URL was "
        "changed.\n"
    )
    for line in (
        f"publish): {silence.PARTNER_CENTER}",
        f"Send a test through the URL: {page}",
        f"This is normal, remind me in 30 days: {page}",
    ):
        assert f"{line}\n" in message.body
    assert "Jane" not in message.body


def test_where_nothing_comes_at_all_the_server_is_doubted_first() -> None:
    said = silence.likely(NOW - 20 * DAY, NOW)
    assert "so the server is reachable" not in said
    assert "look first whether Microsoft can reach http://127.0.0.1:8000." in said
    assert "any offer: never." in silence.likely(None, NOW)


def test_a_silence_is_told_once_however_often_workers_look() -> None:
    told()
    silent_offer()
    for hour in range(30):
        silence.watch(NOW + hour * HOUR)
    assert len(mail.outbox) == 1


def test_of_two_workers_one_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    told()
    silent_offer()
    stale = silence._news(NOW)
    monkeypatch.setattr(silence, "_news", lambda now: stale)
    silence.tell(NOW)
    silence.tell(NOW)
    assert len(mail.outbox) == 1


def test_a_mail_that_fails_follows_with_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    told()
    silent_offer()
    with monkeypatch.context() as broken:
        broken.setattr(mailing, "send", lambda *args: 1 / 0)
        silence.watch(NOW)
    assert mail.outbox == []
    silence.watch(NOW + HOUR)
    silence.watch(NOW + 2 * HOUR)
    assert len(mail.outbox) == 1


def test_where_nobody_is_to_be_told_the_news_is_kept() -> None:
    silent_offer()
    told("charlie")  # sales
    silence.watch(NOW)
    assert mail.outbox == []
    told("erin")
    silence.watch(NOW + HOUR)
    assert [message.to for message in mail.outbox] == [["erin@contoso.example"]]


def test_a_second_silence_is_told_like_the_first() -> None:
    told()
    offer = silent_offer()
    silence.watch(NOW)
    later = NOW + 60 * DAY
    leads_come(offer, 55, 21, now=later)
    silence.watch(later)
    silence.watch(later + HOUR)
    assert len(mail.outbox) == 1, "it was silent for 26 days before"
    silence.watch(later + 120 * DAY)
    assert len(mail.outbox) == 2


def test_what_is_normal_is_told_again_after_a_month() -> None:
    told()
    offer = silent_offer()
    silence.watch(NOW)
    Offer.objects.filter(pk=offer.pk).update(quiet_until=NOW + 30 * DAY)
    for day in range(1, 60):
        silence.watch(NOW + day * DAY)
    assert [message.subject for message in mail.outbox] == [
        "Contoso Backup has had no lead for 21 days",
        "Contoso Backup has had no lead for 51 days",
    ]


# On screen


def page(offer: Offer, name: str = "bob") -> str:
    response = signed_in(name).get(f"/admin/leads/offer/{offer.pk}/change/")
    assert response.status_code == 200
    return response.content.decode()


def test_the_offers_page_the_list_and_home_say_it() -> None:
    offer = silent_offer(now=timezone.now())
    said = "no lead for 21 days; usual gap 3 days."
    for text in (page(offer), *(signed_in("bob").get(url).content.decode() for url in ("/admin/", LIST))):
        assert said in text
    assert "Check Partner Center" in page(offer)
    assert "Live: real leads arrive." not in page(offer)


LIST = "/admin/leads/offer/"


def test_saying_that_it_is_normal_quiets_home_for_a_month() -> None:
    offer, client = silent_offer(now=timezone.now()), signed_in("bob")
    answer = client.post(f"/admin/leads/offer/{offer.pk}/calm/", follow=True)
    day = f"{timezone.localtime() + 30 * DAY:%Y-%m-%d}"
    assert f"Said to be normal; you are reminded on {day}." in answer.content.decode()
    assert "This is normal" not in page(offer)
    assert "usual gap" not in client.get("/admin/").content.decode()
    assert f"you are reminded on {day}" in client.get(LIST).content.decode()
    history = client.get(f"/admin/leads/offer/{offer.pk}/history/").content.decode()
    assert "Said that it is normal that no lead comes." in history


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_who_may_not_change_offers_can_neither_see_the_button_nor_press_it(name: str) -> None:
    offer, client = silent_offer(now=timezone.now()), signed_in(name)
    assert client.post(f"/admin/leads/offer/{offer.pk}/calm/").status_code == 403
    answer = client.get(f"/admin/leads/offer/{offer.pk}/change/")
    assert "This is normal" not in answer.content.decode()
    offer.refresh_from_db()
    assert offer.quiet_until is None


def test_the_button_is_no_link() -> None:
    offer = silent_offer(now=timezone.now())
    assert signed_in("bob").get(f"/admin/leads/offer/{offer.pk}/calm/").status_code == 405
    assert signed_in("bob").post("/admin/leads/offer/999999/calm/").status_code == 404


def test_home_says_that_leads_come_again() -> None:
    offer, client = silent_offer(now=timezone.now()), signed_in("bob")
    Offer.objects.update(silence_told_at=timezone.now() - DAY)
    assert "has leads again" not in client.get("/admin/").content.decode()
    post(offer, at=timezone.now() - timedelta(minutes=12))
    text = client.get("/admin/").content.decode()
    assert "Contoso Backup has leads again: the first came 12 min ago." in text
    assert "usual gap" not in text
    Lead.objects.filter(received_at__gt=timezone.now() - DAY).update(received_at=timezone.now() - 25 * HOUR)
    Offer.objects.update(silence_told_at=timezone.now() - 3 * DAY)
    assert "has leads again" not in client.get("/admin/").content.decode(), "old news"
