"""Waiting for Microsoft's test lead, on the page of an offer that has not had a lead yet.

A partner manager pressed Validate in Partner Center and looks here. So it says that it waits, and how long already;
that the test lead is there, and what comes next; or what came instead, and after a while what to look at. While it
waits the page asks again every two seconds; without scripts there is a link that does.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import lead_source
from leads.admin import endpoints, refused
from leads.models import Lead, Offer, Submission
from leads.wording import FIELD_LABELS, ago, clip, customer_recognised

PATIENCE = timedelta(minutes=5)  # then it says what to look at
ENOUGH = timedelta(minutes=30)  # then the page asks no more
JUST_NOW = timedelta(minutes=10)
MOST = 100  # requests of the last minutes that are looked at
STOP_ASKING = 286  # what htmx takes for it


@dataclass(frozen=True, slots=True)
class TestLead:
    """Microsoft's test lead, as it arrived."""

    mark: str
    came: datetime
    recognised: str
    sent_on: bool
    url: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What has come of the test lead. `instead`: what came that is not it; `elsewhere`: to the URLs of other offers."""

    test: TestLead | None
    instead: Sequence[str] = ()
    quarantine: str = ""  # where that is, for those who may look
    elsewhere: Sequence[str] = ()
    late: bool = False  # time to look for what is wrong
    over: bool = False  # nobody waits any more

    @property
    def seen(self) -> str:
        """What the page shows, in short: it is only drawn anew once that changes."""
        return sha256(repr(astuple(self)).encode()).hexdigest()[:12]


def of(offer: Offer, user: Any, now: datetime, since: datetime) -> Arrival | None:
    """What the page of an offer says of its first lead; None where there is nothing to wait for."""
    if (
        offer.is_demo
        or not offer.endpoints.open(now).exists()
        or _leads(offer).filter(is_test=False).exists()
    ):
        return None
    if test := _leads(offer).filter(is_test=True).order_by("-received_at").first():
        return Arrival(_told(test, offer, user))
    broken = Submission.objects.filter(offer=offer, verdict=Submission.Verdict.QUARANTINED)
    unread = (
        broken.filter(origin__in=Submission.FROM_OUTSIDE)
        .order_by("-received_at")[:1]
        .values_list("received_at", "reason")
    )
    may_read = bool(unread) and user.has_perm("leads.view_submission")
    late = now - since >= PATIENCE
    return Arrival(
        None,
        [*_unread(unread, now), *refused.hints(refused.of_the_last_day(offer, now)), *_strays(offer, now)],
        f"{reverse('admin:leads_submission_changelist')}?offer__id__exact={offer.pk}" if may_read else "",
        list(_elsewhere(offer, now)) if late else (),
        late=late,
        over=now - since >= ENOUGH,
    )


def _leads(offer: Offer) -> Any:
    return Lead.objects.filter(offer=offer, submission__origin__in=Submission.FROM_OUTSIDE)


def _told(lead: Lead, offer: Offer, user: Any) -> TestLead:
    marks = (text for name in FIELD_LABELS if lead_source.has_test_mark(text := getattr(lead, name)))
    return TestLead(
        clip(next(marks, "MSFT_TEST"), 40),
        lead.received_at,
        customer_recognised(lead),
        offer.send_test_leads,
        reverse("admin:leads_lead_change", args=[lead.pk]) if user.has_perm("leads.view_lead") else "",
    )


def _unread(found: Iterable[tuple[datetime, str]], now: datetime) -> Iterable[str]:
    for received_at, reason in found:
        yield _("A request came %(ago)s and could not be read (%(reason)s): it is in quarantine.") % {
            "ago": ago(received_at, now),
            "reason": _(Submission.REASONS.get(reason, reason)),
        }


def _strays(offer: Offer, now: datetime) -> Iterable[str]:
    """Test leads that came to the URLs of other offers in the last minutes."""
    newest = Lead.objects.filter(received_at__gte=now - JUST_NOW).order_by("-received_at")
    tests = [
        lead
        for lead in newest.select_related("offer").only(*_FEW)[:MOST]
        if lead.is_test and not lead.is_sample
    ]
    for title in dict.fromkeys(lead.offer.title for lead in tests if lead.offer_id != offer.pk):
        yield _(
            "A test lead came to the URL of %(other)s in the last 10 minutes: was that URL pasted into this offer?"
        ) % {"other": clip(title, 80)}


_FEW = ("received_at", "is_test", "is_sample", "offer__title")


def _elsewhere(offer: Offer, now: datetime) -> Iterable[str]:
    """How many requests came to the other offers in the last minutes, by offer."""
    lately = {"received_at__gte": now - JUST_NOW}
    leads = Lead.objects.filter(**lately, is_sample=False).exclude(offer=offer).order_by("-received_at")
    broken = Submission.objects.filter(**lately, verdict=Submission.Verdict.QUARANTINED).exclude(offer=offer)
    titles = Counter(leads.values_list("offer__title", flat=True)[:MOST])
    titles.update(broken.order_by("-received_at").values_list("offer__title", flat=True)[:MOST])
    for title, number in titles.most_common(5):
        said = ngettext("%(number)s request to %(offer)s", "%(number)s requests to %(offer)s", number)
        yield said % {"number": f"{number}+" if number >= MOST else number, "offer": clip(title, 80)}


# On the page


def since(request: HttpRequest, offer: Offer, now: datetime) -> datetime:
    """Since when it is waited for: as the page asks, else since the URL was made just now, or from this moment on."""
    asked = request.GET.get("since", "")
    if asked == "now":
        return now
    if asked.isascii() and asked.isdecimal() and len(asked) < 12:
        moment = datetime.fromtimestamp(int(asked), now.tzinfo)
        return min(now, max(moment, now - ENOUGH))
    made = offer.endpoints.open(now).current_first().values_list("created_at", flat=True).first()
    return made if made and now - made < ENOUGH else now


def context(request: HttpRequest, offer: Offer, now: datetime) -> dict[str, Any]:
    """For the template of the panel; empty where there is nothing to wait for."""
    start = since(request, offer, now)
    arrival = of(offer, request.user, now, start)
    if arrival is None:
        return {}
    seconds = int((now - start).total_seconds())
    return {
        "arrival": arrival,
        "since": int(start.timestamp()),
        "elapsed": f"{seconds // 60:02}:{seconds % 60:02}",
        "offer": offer,
        "public_url": settings.PUBLIC_URL,
        "page_url": reverse("admin:leads_offer_change", args=[offer.pk]),
    }


def fragment(pages: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """What the waiting page asks for: the clock alone or, where there is news, the whole panel anew.

    So that a screen reader is told of news and not of every second, and a link does not vanish under a finger.
    """
    if not pages.admin_site.has_permission(request):  # signed out meanwhile: to the page that asks to sign in
        return HttpResponse(status=STOP_ASKING, headers={"HX-Refresh": "true"})
    offer = get_object_or_404(Offer, pk=pk)
    if not pages.has_view_permission(request, offer):
        raise PermissionDenied
    if request.headers.get("HX-Request") != "true":
        return HttpResponseRedirect(reverse("admin:leads_offer_change", args=[pk]))
    shown = context(request, offer, timezone.now())
    if not shown:  # a real lead came: the page has more to say than this panel
        return HttpResponse(status=STOP_ASKING, headers={"HX-Refresh": "true"})
    if shown["arrival"].seen == request.GET.get("seen"):
        return TemplateResponse(request, "admin/leads/offer/arrival_clock.html", shown)
    headers = {"HX-Retarget": "#arrival", "HX-Reswap": "innerHTML"}
    shown |= _above(pages, request, offer)
    return TemplateResponse(request, "admin/leads/offer/arrival_news.html", shown, headers=headers)


def _above(pages: Any, request: HttpRequest, offer: Offer) -> dict[str, Any]:
    """What the page says of the URL above the panel, which is out of date with the same news."""
    current = endpoints.shown(offer, timezone.now(), may_reveal=False)["endpoint"]
    return {
        "came": current.came if current else "",
        "url_state": pages.url_state(pages.get_queryset(request).get(pk=offer.pk)),
    }
