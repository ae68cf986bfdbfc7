"""Offers that leads used to come to and come no more.

What is usual is each offer's own: its last leads tell how long it waits for one. An offer that waits far longer has
gone silent, and those who are to be told get one mail for it; Home, the list of offers and the offer's page say it
for as long as it lasts. Whoever knows why says "This is normal", and is reminded after a month.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from statistics import median

from django.conf import settings
from django.db.models import Max, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import mailing
from leads.models import Endpoint, Lead, Offer, Submission
from leads.wording import ago, clip

logger = logging.getLogger(__name__)

TOLD = "leads.be_told_offer"
HISTORY = 50  # leads of an offer that tell what is usual
FEWEST = 5  # leads without which nothing is usual yet
USUAL = 0.9  # of its gaps are no longer than the one that counts
BEYOND = 4  # times that gap is silence
FLOOR = timedelta(days=3)  # a long weekend is none
REMINDER = timedelta(days=30)  # after "This is normal"
TOGETHER = 100  # offers asked for in one question
PARTNER_CENTER = "https://partner.microsoft.com/dashboard/commercial-marketplace/overview"


# --- The decision --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Silence:
    """An offer's last lead, and how long it usually waits for the next."""

    last: datetime
    usual: timedelta


def judge(arrivals: Sequence[datetime], now: datetime) -> Silence | None:
    """Whether an offer is silent whose real leads came at these times, the newest first; None where it is not."""
    if len(arrivals) < FEWEST:
        return None
    gaps = sorted(later - earlier for later, earlier in pairwise(arrivals))
    longest_usual = gaps[ceil(len(gaps) * USUAL) - 1]
    if now - arrivals[0] <= max(FLOOR, BEYOND * longest_usual):
        return None
    return Silence(arrivals[0], median(gaps))  # type: ignore[type-var]  # spans can be halved


def is_news(silence: Silence, told_at: datetime | None, quiet_until: datetime | None, now: datetime) -> bool:
    """Whether people are to be told of it now: once, and once more when "This is normal" has run out."""
    if quiet_until is not None and now < quiet_until:
        return False
    if told_at is None or told_at < silence.last:
        return True
    return quiet_until is not None and told_at < quiet_until


def is_quiet(offer: Offer, now: datetime) -> bool:
    """Whether somebody said that it is normal, and it is not yet time to ask again."""
    return offer.quiet_until is not None and now < offer.quiet_until


# --- Looking -------------------------------------------------------------------------------------------------


def found(now: datetime, offers: Iterable[int] | None = None) -> dict[int, Silence]:
    """By offer id, what is silent among these offers, or among all. A few short questions, however many leads came."""
    watched = Offer.objects.filter(enabled=True, is_demo=False).order_by()
    if offers is not None:
        watched = watched.filter(pk__in=list(offers))
    rows = watched.values_list("pk", Subquery(arrivals_of_offer().values("received_at")[:1]))
    waiting = [pk for pk, last in rows if last is not None and now - last > FLOOR]
    history: dict[int, list[datetime]] = {}
    for start in range(0, len(waiting), TOGETHER):
        history |= _history(waiting[start : start + TOGETHER])
    judged = ((pk, judge(history.get(pk, []), now)) for pk in waiting)
    return {pk: silence for pk, silence in judged if silence is not None}


def _arrivals() -> QuerySet[Lead]:
    """The real leads that came from outside."""
    # A sample made here, or a file that was imported, proves nothing.
    outside = Submission.FROM_OUTSIDE
    return Lead.objects.filter(is_test=False, is_sample=False, submission__origin__in=outside).order_by()


def arrivals_of_offer() -> QuerySet[Lead]:
    """In a query of offers: the real leads that came for each from outside, the newest first."""
    # A range in place of "=", so that the order is that of the index by offer and of no other: PostgreSQL would go
    # through the leads of all offers, the newest first, and a silent offer's are far back.
    of_it = _arrivals().filter(offer_id__gte=OuterRef("pk"), offer_id__lte=OuterRef("pk"))
    return of_it.order_by("offer_id", "-received_at")


def _history(offers: Sequence[int]) -> Mapping[int, list[datetime]]:
    """By offer id, when its last leads came, the newest first."""
    # First from when on each offer is to be read: a window over all its leads would read them all.
    beyond = arrivals_of_offer().values("received_at")[HISTORY : HISTORY + 1]
    spans = Q()
    for pk, since in Offer.objects.filter(pk__in=offers).order_by().values_list("pk", Subquery(beyond)):
        spans |= Q(offer=pk) if since is None else Q(offer=pk, received_at__gte=since)
    arrivals: dict[int, list[datetime]] = defaultdict(list)
    newest_first = _arrivals().filter(spans).order_by("-received_at")
    for offer_id, received_at in newest_first.values_list("offer_id", "received_at"):
        if len(arrivals[offer_id]) <= HISTORY:
            arrivals[offer_id].append(received_at)
    return arrivals


def last_post() -> datetime | None:
    """When anything last came to the URL of any offer but the demo's."""
    return Endpoint.objects.filter(offer__is_demo=False).aggregate(last=Max("last_hit_at"))["last"]


# --- What is said --------------------------------------------------------------------------------------------


def in_words(silence: Silence, now: datetime) -> str:
    """ "no lead for 21 days; usual gap 3 days"."""
    return _("no lead for %(long)s; usual gap %(usual)s") % {
        "long": spelled(now - silence.last),
        "usual": spelled(silence.usual),
    }


def sentence(offer: Offer, silence: Silence, now: datetime) -> str:
    return _("%(offer)s has had %(silence)s.") % {
        "offer": clip(offer.title, 80),
        "silence": in_words(silence, now),
    }


def likely(last: datetime | None, now: datetime) -> str:
    """What is behind it, most likely: that depends on whether anything reaches this server at all."""
    if last is not None and now - last <= FLOOR:
        return _(
            "Last Microsoft POST on any offer: %(ago)s, so the server is reachable. Likely: the offer was republished "
            "without the lead destination, or the URL was changed."
        ) % {"ago": ago(last, now)}
    return _(
        "Last Microsoft POST on any offer: %(ago)s. Nothing else comes either, so look first whether Microsoft can "
        "reach %(address)s. If it can: the offer was republished without the lead destination, or the URL was changed."
    ) % {"ago": ago(last, now) if last else _("never"), "address": settings.PUBLIC_URL}


def spelled(span: timedelta) -> str:
    """A span to the unit that matters: hours below two days."""
    hours = round(span.total_seconds() / 3600)
    if hours < 1:
        return _("less than an hour")
    if hours < 48:
        return ngettext("%(number)s hour", "%(number)s hours", hours) % {"number": hours}
    days = round(span.total_seconds() / 86_400)
    return ngettext("%(number)s day", "%(number)s days", days) % {"number": f"{days:,}"}


# --- Telling -------------------------------------------------------------------------------------------------


def watch(now: datetime) -> None:
    """Have people told, in the background, of offers that have gone silent. Call it every hour.

    A mail that fails follows with the next call.
    """
    if _news(now):
        mailing.in_background(lambda: tell(now), patience=mailing.UNDER_WAY_WITHIN)


def _news(now: datetime) -> list[tuple[Offer, Silence]]:
    silences = found(now)
    offers = Offer.objects.filter(pk__in=silences).only("title", "silence_told_at", "quiet_until")
    return [
        (offer, silences[offer.pk])
        for offer in offers
        if is_news(silences[offer.pk], offer.silence_told_at, offer.quiet_until, now)
    ]


def tell(now: datetime) -> None:
    """Send the mails that are due, each from one worker. Takes as long as the mail server does.

    A worker that dies here loses one mail; Home, the list of offers and the offer's page say the same. Where nobody
    is there to be told, the news is kept for whoever comes.
    """
    addresses = mailing.recipients(TOLD)
    for offer, silence in _news(now) if addresses else ():
        mine = Offer.objects.filter(pk=offer.pk, silence_told_at=offer.silence_told_at)
        if mine.update(silence_told_at=now) and not mailing.sent(_mail(offer, silence, now), addresses):
            told = Offer.objects.filter(pk=offer.pk, silence_told_at=now)
            told.update(silence_told_at=offer.silence_told_at)


def _mail(offer: Offer, silence: Silence, now: datetime) -> mailing.Mail:
    page = mailing.address("leads_offer_change", offer.pk)
    said = sentence(offer, silence, now)
    paragraphs = [
        f"{said} {likely(last_post(), now)}",
        _("Check Partner Center (Offer setup, Customer leads; then publish): %(url)s")
        % {"url": PARTNER_CENTER},
        _("Send a test through the URL: %(url)s") % {"url": f"{page}#silence"},
        _("This is normal, remind me in 30 days: %(url)s") % {"url": f"{page}#silence"},
    ]
    title = " ".join(clip(offer.title, 80).split())  # no line breaks: it is a heading of a mail
    subject = _("%(offer)s has had no lead for %(long)s") % {
        "offer": title,
        "long": spelled(now - silence.last),
    }
    key = f"silence-{offer.pk}-{silence.last:%Y%m%d%H%M%S}-{now:%Y%m%d}"
    return mailing.Mail(
        subject, mailing.body(paragraphs, _("those who are to be told of silent offers")), key
    )


# --- Over ----------------------------------------------------------------------------------------------------


def over(now: datetime, within: timedelta) -> list[tuple[Offer, datetime]]:
    """Offers of whose silence people were told and that have a lead again, with the first one's time."""
    first = arrivals_of_offer().filter(received_at__gt=OuterRef("silence_told_at"))
    again = Offer.objects.filter(silence_told_at__isnull=False, enabled=True).annotate(
        again_at=Subquery(first.order_by("-offer_id", "received_at").values("received_at")[:1])
    )
    return [(offer, offer.again_at) for offer in again if offer.again_at and offer.again_at > now - within]
