"""Endpoint URLs on screen: rotated and revoked without losing a lead by surprise, and what comes where is told."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads.models import AlreadyRotatedError, Endpoint, Offer, Refusal, Submission
from leads.vault import MASK
from leads.wording import clock
from tests.staff import body, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db

HOME = "/admin/"
OFFERS = "/admin/leads/offer/"
Reason = Refusal.Reason
MONTH = timedelta(days=30)


def page(offer: Offer) -> str:
    return reverse("admin:leads_offer_change", args=[offer.pk])


def rotating(offer: Offer) -> str:
    return reverse("admin:leads_offer_rotate", args=[offer.pk])


def revoking(endpoint: Endpoint) -> str:
    return reverse("admin:leads_offer_revoke", args=[endpoint.offer_id, endpoint.pk])


def words(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, f"{url}: {response.status_code}"
    return plain(response)


def plain(response: Any) -> str:
    return " ".join(unescape(response.content.decode()).split())


def rotate(offer: Offer, days: int = 30) -> Endpoint:
    current = offer.endpoints.open(timezone.now()).current_first().first()
    return Endpoint.rotate(
        offer, timedelta(days=days), timezone.now(), replacing=current.pk if current else None
    )


def refuse(reason: str, times: int = 1, endpoint: Endpoint | None = None, **ago: float) -> None:
    minute = (timezone.now() - timedelta(**ago)).replace(second=0, microsecond=0)
    Refusal.objects.create(minute=minute, reason=reason, endpoint=endpoint, times=times)


def came(endpoint: Endpoint, times: int, **ago: float) -> None:
    """What tally writes."""
    Endpoint.objects.filter(pk=endpoint.pk).update(hits=times, last_hit_at=timezone.now() - timedelta(**ago))


# The transitions


def test_rotating_makes_a_new_url_and_lets_the_old_one_end_later() -> None:
    offer, now = make_offer(), timezone.now()
    old = offer.endpoints.get()
    new = Endpoint.rotate(offer, MONTH, now, replacing=old.pk)
    old.refresh_from_db()
    assert (old.expires_at, new.expires_at) == (now + MONTH, None)
    assert old.is_open(now)
    assert not old.is_open(now + MONTH)
    assert offer.endpoints.open(now).current_first().first() == new
    assert new.url != old.url


def test_with_no_days_the_old_url_ends_at_once() -> None:
    offer, now = make_offer(), timezone.now()
    old = offer.endpoints.get()
    new = Endpoint.rotate(offer, timedelta(0), now, replacing=old.pk)
    assert list(offer.endpoints.open(now)) == [new]


def test_an_older_url_that_ends_sooner_keeps_its_end_and_no_url_gets_a_later_one() -> None:
    offer, now = make_offer(), timezone.now()
    first = offer.endpoints.get()
    second = Endpoint.rotate(offer, timedelta(days=3), now, replacing=first.pk)
    third = Endpoint.rotate(offer, MONTH, now, replacing=second.pk)
    Endpoint.rotate(offer, timedelta(days=1), now, replacing=third.pk)
    ends = offer.endpoints.order_by("pk").values_list("expires_at", flat=True)
    day = now + timedelta(days=1)
    assert list(ends) == [day, day, day, None]
    first.refresh_from_db()
    again = Endpoint.rotate(offer, MONTH, now, replacing=offer.endpoints.get(expires_at=None).pk)
    first.refresh_from_db()
    assert first.expires_at == day
    assert again.expires_at is None


def test_rotating_opens_no_closed_url() -> None:
    offer, now = make_offer(), timezone.now()
    revoked = offer.endpoints.get()
    revoked.revoke(now)
    new = Endpoint.rotate(offer, MONTH, now, replacing=None)
    assert list(offer.endpoints.open(now)) == [new]
    revoked.refresh_from_db()
    assert revoked.expires_at is None


def test_rotating_one_offer_leaves_the_others_alone() -> None:
    one, other = make_offer("one"), make_offer("other")
    rotate(one)
    assert other.endpoints.get().expires_at is None


def test_of_two_who_rotate_the_same_url_one_makes_a_new_one() -> None:
    offer, now = make_offer(), timezone.now()
    old = offer.endpoints.get()
    Endpoint.rotate(offer, MONTH, now, replacing=old.pk)
    with pytest.raises(AlreadyRotatedError):
        Endpoint.rotate(offer, timedelta(0), now, replacing=old.pk)
    assert offer.endpoints.open(now).count() == 2


@pytest.mark.usefixtures("own_database")
def test_two_who_press_at_once_make_one_new_url() -> None:
    offer, now = make_offer(), timezone.now()
    old, together = offer.endpoints.get().pk, threading.Barrier(4)

    def press(_: int) -> bool:
        try:
            together.wait(10)
            Endpoint.rotate(offer, MONTH, now, replacing=old)
        except AlreadyRotatedError:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(press, range(4)))
    assert sorted(made) == [False, False, False, True]
    assert offer.endpoints.count() == 2


def test_a_url_is_revoked_once_and_its_time_stays() -> None:
    endpoint, now = make_offer().endpoints.get(), timezone.now()
    assert endpoint.revoke(now)
    assert not endpoint.revoke(now + MONTH)
    endpoint.refresh_from_db()
    assert endpoint.revoked_at == now
    assert not endpoint.is_open(now)


# Rotating on screen


def test_a_partner_manager_rotates_and_the_page_shows_the_new_url_and_what_to_do() -> None:
    offer, client = make_offer(), signed_in("bob")
    old = offer.endpoints.get()
    assert f'href="{rotating(offer)}"' in words(client, page(offer))
    asked = words(client, rotating(offer))
    for promise in ('value="30"', "Publish the offer", "goes on taking leads", f'value="{old.pk}"'):
        assert promise in asked
    response = client.post(rotating(offer), {"days": "7", "replacing": str(old.pk)}, follow=True)
    new = offer.endpoints.current_first()[0]
    ends = clock(timezone.now() + timedelta(days=7))
    text = plain(response)
    assert response.redirect_chain == [(page(offer), 302)]
    assert f'value="{new.url}"' in text
    assert old.url not in text
    assert f"The offer has a new URL; the old one takes leads until {ends}" in text
    assert "This URL is new. Microsoft goes on using the old one until you do this" in text
    assert f"Valid until {ends}" in text
    assert "No request since it was replaced." in text


def test_looking_at_the_page_rotates_nothing() -> None:
    offer = make_offer()
    signed_in("bob").get(rotating(offer), {"days": "0"})
    assert offer.endpoints.count() == 1


@pytest.mark.parametrize("days", ["-1", "366", "", "soon"])
def test_a_nonsense_number_of_days_is_refused(days: str) -> None:
    offer = make_offer()
    response = signed_in("bob").post(
        rotating(offer), {"days": days, "replacing": str(offer.endpoints.get().pk)}
    )
    assert 'class="errorlist"' in response.content.decode()
    assert offer.endpoints.count() == 1


def test_who_rotates_what_a_colleague_has_just_rotated_is_told_and_changes_nothing() -> None:
    offer = make_offer()
    old = offer.endpoints.get()
    rotate(offer)
    response = signed_in("bob").post(rotating(offer), {"days": "0", "replacing": str(old.pk)}, follow=True)
    assert "Nothing was done: the URL of this offer has changed" in plain(response)
    assert offer.endpoints.count() == 2
    assert not LogEntry.objects.exists()


def test_an_offer_without_a_url_gets_one() -> None:
    offer, client = make_offer(), signed_in("bob")
    offer.endpoints.get().revoke(timezone.now())
    assert "Make a new URL" in words(client, page(offer))
    assert "No URL of this offer takes leads." in words(client, rotating(offer))
    response = client.post(rotating(offer), {"replacing": ""}, follow=True)
    assert "The offer has a new URL." in plain(response)
    assert offer.endpoints.open(timezone.now()).get().url in plain(response)


def test_a_forged_form_rotates_and_revokes_nothing() -> None:
    offer = make_offer()
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("bob"))
    endpoint = offer.endpoints.get()
    assert client.post(rotating(offer), {"days": "0", "replacing": endpoint.pk}).status_code == 403
    assert client.post(revoking(endpoint), {"last": "yes"}).status_code == 403
    assert offer.endpoints.open(timezone.now()).count() == 1


# Revoking on screen


def test_an_old_url_is_revoked_after_a_page_that_says_what_came_there() -> None:
    offer, client = make_offer(), signed_in("bob")
    old = offer.endpoints.get()
    post(offer, at=timezone.now() - timedelta(days=8))
    post(offer, body({"FirstName": "Ann"}), at=timezone.now() - timedelta(hours=2))
    rotate(offer)
    asked = words(client, revoking(old))
    assert "1 request, the last <time" in asked
    assert "Something still sends to this URL." in asked
    assert "only URL" not in asked
    response = client.post(revoking(old), follow=True)
    assert "is revoked: it takes no leads any more." in plain(response)
    old.refresh_from_db()
    assert old.revoked_at
    assert f"Revoked {clock(old.revoked_at)}" in plain(response)


def test_revoking_the_only_url_says_plainly_that_leads_will_be_lost() -> None:
    offer, client = make_offer(), signed_in("bob")
    endpoint = offer.endpoints.get()
    asked = words(client, revoking(endpoint))
    assert "This is the only URL of Contoso Backup that takes leads." in asked
    assert "refused and lost" in asked
    assert f'href="{rotating(offer)}"' in asked
    client.post(revoking(endpoint), {"last": "yes"})
    assert not offer.endpoints.open(timezone.now()).exists()
    assert "No URL: nothing can reach this offer." in words(client, page(offer))


def test_who_was_not_told_that_it_is_the_only_url_is_asked_again() -> None:
    offer = make_offer()
    endpoint = offer.endpoints.get()
    assert "This is the only URL" in plain(signed_in("bob").post(revoking(endpoint)))
    endpoint.refresh_from_db()
    assert endpoint.revoked_at is None


def test_a_closed_url_is_not_revoked_again() -> None:
    offer, now = make_offer(), timezone.now()
    endpoint = offer.endpoints.get()
    endpoint.revoke(now)
    response = signed_in("bob").post(revoking(endpoint), {"last": "yes"}, follow=True)
    assert "That URL takes no leads any more." in plain(response)
    endpoint.refresh_from_db()
    assert endpoint.revoked_at == now


def test_the_url_of_another_offer_is_not_found() -> None:
    one, other = make_offer("one"), make_offer("other")
    url = reverse("admin:leads_offer_revoke", args=[one.pk, other.endpoints.get().pk])
    assert signed_in("bob").post(url, {"last": "yes"}).status_code == 404
    assert signed_in("bob").get(reverse("admin:leads_offer_rotate", args=[0])).status_code == 404
    assert other.endpoints.open(timezone.now()).exists()


# Who may


@pytest.mark.parametrize("name", ["charlie", "dave"])
def test_who_may_not_rotate_sees_no_buttons_and_presses_nothing(name: str) -> None:
    offer, client = make_offer(), signed_in(name)
    endpoint = offer.endpoints.get()
    text = words(client, page(offer))
    assert "/rotate/" not in text
    assert "/revoke/" not in text
    for url in (rotating(offer), revoking(endpoint)):
        assert client.get(url).status_code == 403
        assert client.post(url, {"days": "0", "replacing": endpoint.pk, "last": "yes"}).status_code == 403
    assert offer.endpoints.get().is_open(timezone.now())


def test_who_may_rotate_but_see_no_offers_cannot() -> None:
    offer = make_offer()
    person("frank").user_permissions.add(Permission.objects.get(codename="rotate_endpoint"))
    assert signed_in("frank").get(rotating(offer)).status_code == 403
    assert signed_in("frank").post(rotating(offer), {"days": "0"}).status_code == 403
    assert offer.endpoints.count() == 1


def test_an_administrator_rotates_too() -> None:
    offer = make_offer()
    signed_in("erin").post(rotating(offer), {"days": "30", "replacing": offer.endpoints.get().pk})
    assert offer.endpoints.count() == 2


def test_without_the_permission_no_url_old_or_new_gives_anything_of_its_key_away() -> None:
    offer = make_offer()
    first = offer.endpoints.get()
    first.revoke(timezone.now())
    rotate(offer)
    rotate(offer)
    keys = [str(endpoint.key) for endpoint in offer.endpoints.all()]
    client = signed_in("charlie")
    text = words(client, page(offer))
    assert MASK in text
    for key in keys:
        assert key[-6:] not in text
    text = words(signed_in("bob"), page(offer))
    for key in keys:
        assert key[-6:] in text, "a person recognises a URL by its end"
    history = words(signed_in("bob"), reverse("admin:leads_offer_history", args=[offer.pk]))
    assert not any(key[-6:] in history for key in keys)


def test_a_key_that_does_not_open_can_still_be_rotated() -> None:
    offer, client = make_offer(), signed_in("bob")
    old = offer.endpoints.get()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE leads_endpoint SET key = 'gAAAAABnot-ours'")
    text = words(client, page(offer))
    assert "FIELD_ENCRYPTION_KEYS" in text
    assert MASK in text
    assert "data-copy" not in text
    client.get(rotating(offer))
    client.post(rotating(offer), {"days": "30", "replacing": str(old.pk)})
    client.get(revoking(old))
    client.post(revoking(old))
    assert offer.endpoints.open(timezone.now()).count() == 1


# The history


def test_the_history_of_the_offer_says_who_rotated_and_revoked_and_when() -> None:
    offer = make_offer()
    old = offer.endpoints.get()
    signed_in("bob").post(rotating(offer), {"days": "7", "replacing": old.pk})
    signed_in("erin").post(revoking(old))
    client = signed_in("dave")
    assert reverse("admin:leads_offer_history", args=[offer.pk]) in words(client, page(offer))
    text = words(client, reverse("admin:leads_offer_history", args=[offer.pk]))
    ends = clock(timezone.now() + timedelta(days=7))
    assert f"Rotated the endpoint URL; the old one takes leads until {ends}" in text
    assert f"Revoked the endpoint URL made {clock(old.created_at)}" in text
    assert [entry.user.username for entry in LogEntry.objects.order_by("pk")] == ["bob", "erin"]


# What came where


def test_the_page_says_how_much_came_to_the_current_url() -> None:
    offer, client = make_offer(), signed_in("dave")
    assert "Nothing has reached this URL yet." in words(client, page(offer))
    came(offer.endpoints.get(), 1, minutes=3)
    assert "1 request, the last <time" in words(client, page(offer))
    came(offer.endpoints.get(), 1_420, minutes=3)
    text = words(client, page(offer))
    assert "1,420 requests, the last <time" in text
    assert "3 min ago" in text


def test_until_the_counts_are_written_a_url_with_leads_is_not_called_unreached() -> None:
    offer = make_offer()
    post(offer)
    assert "Nothing has reached this URL" not in words(signed_in("dave"), page(offer))


def test_the_page_says_whether_the_old_url_is_still_used() -> None:
    offer, client = make_offer(), signed_in("bob")
    old, now = offer.endpoints.get(), timezone.now()
    post(offer, at=now - timedelta(days=2))
    rotate(offer)
    text = words(client, page(offer))
    assert "No request since it was replaced." in text
    assert "Something still uses it" not in text
    Submission.objects.update(received_at=timezone.now())
    text = words(client, page(offer))
    assert "1 request since it was replaced, the last <time" in text
    assert "Something still uses it: paste the new URL there." in text
    assert f'href="{revoking(old)}"' in text


def test_what_a_closed_url_refused_is_told() -> None:
    offer, client = make_offer(), signed_in("bob")
    old = offer.endpoints.get()
    rotate(offer, days=0)
    assert "No request since." in words(client, page(offer))
    refuse(Reason.CLOSED_KEY, 2, old, minutes=5)
    refuse(Reason.CLOSED_KEY, 1, old, hours=3)
    text = words(client, page(offer))
    assert "URLs that take no leads any more (1)" in text
    assert "3 requests refused since, the last <time" in text


def test_a_current_url_that_will_end_says_so() -> None:
    offer, client = make_offer(), signed_in("bob")
    rotate(offer).revoke(timezone.now())
    assert "only. Rotate it to get one that stays." in words(client, page(offer))


def test_a_dozen_closed_urls_do_not_fill_the_page() -> None:
    offer = make_offer()
    for _ in range(12):
        rotate(offer, days=0)
    text = words(signed_in("bob"), page(offer))
    assert "any more (12)" in text
    assert "and 2 older" in text


def test_the_page_costs_the_same_however_often_it_was_rotated() -> None:
    offer, client = make_offer(), signed_in("bob")
    rotate(offer, days=0)
    client.get(page(offer))

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(page(offer))
        return len(queries)

    few = cost()
    for _ in range(8):
        rotate(offer, days=0)
    assert cost() == few


def test_an_offer_that_is_off_says_that_its_url_still_stores() -> None:
    offer = make_offer(enabled=False)
    client = signed_in("bob")
    assert "Leads that reach its URL are stored here, and sent to no CRM." in words(client, page(offer))
    assert "Off: leads are stored, not sent" in words(client, OFFERS)


# Set-up help


HELP = {
    Reason.UNKNOWN_KEY: "In the last 10 minutes 1 POST hit an unknown key: was the URL pasted completely?",
    Reason.STRANGER_TOO_FAST: "1 POST with unknown keys came too fast from one address",
    Reason.TOO_LARGE: "1 POST had a body over MAX_BODY_BYTES",
    Reason.NOT_POST: "1 request did not post anything: somebody opened the URL in a browser",
    Reason.BAD_LENGTH: "1 POST announced no length, or never came to an end",
    Reason.UNAVAILABLE: "1 POST came while the database did not answer",
    Reason.CLOSED_KEY: "1 POST hit an old URL of this offer",
    Reason.TOO_FAST: "1 POST to this offer came faster than INTAKE_RATE allows",
}


@pytest.mark.parametrize("reason", Reason)
def test_an_unproven_url_says_what_was_refused_a_moment_ago(reason: str) -> None:
    offer = make_offer()
    refuse(reason, 1, offer.endpoints.get() if reason in {Reason.CLOSED_KEY, Reason.TOO_FAST} else None)
    assert HELP[Reason(reason)] in words(signed_in("bob"), page(offer))


def test_what_is_older_is_told_for_the_last_hour_and_then_only_in_the_list() -> None:
    offer, client = make_offer(), signed_in("bob")
    refuse(Reason.UNKNOWN_KEY, 3, hours=5)
    text = words(client, page(offer))
    assert "In the last" not in text
    assert "Refused in the last 24 hours" in text
    assert "3 POSTs hit an unknown key" in text
    refuse(Reason.UNKNOWN_KEY, 2, minutes=40)
    assert "In the last hour 2 POSTs hit an unknown key" in words(client, page(offer))
    refuse(Reason.UNKNOWN_KEY, 1, minutes=2)
    assert "In the last 10 minutes 1 POST hit an unknown key" in words(client, page(offer))


def test_a_url_that_works_needs_no_help() -> None:
    offer = make_offer()
    post(offer)
    came(offer.endpoints.get(), 5)
    refuse(Reason.UNKNOWN_KEY)
    assert "In the last 10 minutes" not in words(signed_in("bob"), page(offer))


def test_what_hit_an_old_url_of_another_offer_is_told_there() -> None:
    one, other = make_offer("one"), make_offer("other")
    refuse(Reason.CLOSED_KEY, 1, other.endpoints.get())
    assert "Refused in the last 24 hours" not in words(signed_in("bob"), page(one))
    assert "Refused in the last 24 hours" in words(signed_in("bob"), page(other))


def test_nothing_refused_is_not_mentioned() -> None:
    assert "Refused in the last" not in words(signed_in("bob"), page(make_offer()))


# Alarms


def test_a_known_url_that_was_slowed_is_told_on_every_page() -> None:
    offer = make_offer()
    refuse(Reason.TOO_FAST, 70, offer.endpoints.get(), minutes=5)
    refuse(Reason.TOO_FAST, 50, offer.endpoints.get(), minutes=6)
    for url in (HOME, OFFERS, "/admin/leads/lead/"):
        text = words(signed_in("dave"), url)
        assert "Contoso Backup: 120 requests were refused in the last hour" in text
        assert f'href="{page(offer)}"' in text


def test_requests_that_an_outage_refused_are_told_on_every_page() -> None:
    refuse(Reason.UNAVAILABLE, 1, minutes=5)
    text = words(signed_in("charlie"), "/admin/leads/lead/")
    assert "1 request was refused in the last hour, because the database did not answer." in text
    assert "Partner Center, Referrals, Leads" in text


def test_after_an_hour_the_alarm_ends() -> None:
    offer = make_offer()
    refuse(Reason.TOO_FAST, 1, offer.endpoints.get(), minutes=62)
    refuse(Reason.UNAVAILABLE, 1, minutes=62)
    assert "refused in the last hour" not in words(signed_in("bob"), HOME)


def test_strangers_and_wrong_methods_are_no_alarm() -> None:
    for reason in (Reason.UNKNOWN_KEY, Reason.STRANGER_TOO_FAST, Reason.NOT_POST, Reason.TOO_LARGE):
        refuse(reason, 1_000)
    assert "refused" not in words(signed_in("bob"), HOME)


def test_an_old_url_that_is_still_called_is_told_to_those_who_can_paste_the_new_one() -> None:
    offer = make_offer()
    old = offer.endpoints.get()
    rotate(offer, days=0)
    refuse(Reason.CLOSED_KEY, 3, old, hours=20)
    refuse(Reason.CLOSED_KEY, 9, old, hours=25)
    said = (
        "Partner Center still has an old URL of Contoso Backup: 3 requests were refused in the last 24 hours."
    )
    assert said in words(signed_in("bob"), HOME)
    assert f'href="{page(offer)}"' in words(signed_in("bob"), HOME)
    assert said not in words(signed_in("bob"), OFFERS)
    for name in ("charlie", "dave", "frank"):
        assert said not in words(signed_in(name), HOME)


def test_an_old_url_that_ends_soon_and_is_still_used_is_told_before_a_lead_is_lost() -> None:
    offer = make_offer()
    old, said = (
        offer.endpoints.get(),
        "Partner Center still has an old URL of Contoso Backup; the last request",
    )
    came(old, 5, hours=1)
    rotate(offer, days=3)
    assert said not in words(signed_in("bob"), HOME), "what came before the rotation says nothing"
    came(old, 6)
    assert said in words(signed_in("bob"), HOME)
    Endpoint.objects.filter(pk=old.pk).update(expires_at=timezone.now() + MONTH)
    assert said not in words(signed_in("bob"), HOME), "there is time"


def test_who_may_see_no_offers_hears_no_alarm() -> None:
    offer = make_offer()
    refuse(Reason.TOO_FAST, 1, offer.endpoints.get())
    assert "INTAKE_RATE" not in words(signed_in("frank"), HOME)


def test_a_title_is_text_whatever_stands_in_it() -> None:
    title = "<script>alert(1)</script>" + "x" * 170
    offer = make_offer()
    Offer.objects.update(title=title)
    old = offer.endpoints.get()
    rotate(offer, days=1)
    refuse(Reason.TOO_FAST, 1, old)
    refuse(Reason.CLOSED_KEY, 1, old)
    for url in (HOME, page(offer), rotating(offer), revoking(old)):
        assert "<script>alert" not in signed_in("bob").get(url).content.decode()
