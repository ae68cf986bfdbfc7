"""Home: whoever signs in came to know whether anything needs them, and which leads are new.

So it says first what needs attention, or that nothing does; then how many leads came, each number leading to the
leads it counts; then the last leads, a sentence each. On an empty installation it says what to do next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from leads.models import Endpoint, Lead, Offer, Submission
from leads.ports import Notice
from leads.wording import badge_row, clip, midnight, when
from leadsite import settings_page

LAST_LEADS = 10
SENTENCE = 240  # characters


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, what it counts, and the list of what it counts."""

    number: int
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class LastLead:
    """One of the last leads, as a sentence."""

    sentence: str
    url: str
    when: SafeString
    badges: SafeString


def context(request: HttpRequest, reported: Sequence[Notice]) -> dict[str, Any]:
    """What the home page shows a user, who sees only what they may; `reported` is what other parts report.

    What stands on every page anyway is not said twice.
    """
    may_see_leads = request.user.has_perm("leads.view_lead")
    told = [*(notice for notice in reported if not notice.everywhere), *_attention(request)]
    attention = [notice for notice in told if notice.level != "well"]
    return {
        "attention": sorted(attention, key=lambda notice: notice.level != "error"),
        "good_news": [notice for notice in told if notice.level == "well"],
        "may_see_leads": may_see_leads,
        "figures": _figures() if may_see_leads else [],
        "last_leads": _last_leads() if may_see_leads else [],
        "next_step": _next_step(request),
        "has_demo": Offer.objects.filter(is_demo=True).exists(),
        "remove_demo_url": _remove_demo_url(request),
    }


def _figures() -> list[Figure]:
    today = midnight()
    counted = Lead.objects.counted()
    leads = reverse("admin:leads_lead_changelist")
    return [
        Figure(
            number := counted.filter(received_at__gte=since).count(),
            f"{'lead' if number == 1 else 'leads'} {span}",
            f"{leads}?kind=counted&received={period}",
        )
        for since, span, period in (
            (today, "today", "today"),
            (today.replace(day=1), "this month", "month"),
        )
    ]


def _last_leads() -> list[LastLead]:
    leads = (
        Lead.objects.filter(is_test=False)
        .select_related("offer", "submission")
        .defer("description", "extra", "campaign", "submission__body", "submission__headers")
    )
    return [
        LastLead(
            clip(lead.sentence, SENTENCE),
            reverse("admin:leads_lead_change", args=[lead.pk]),
            when(lead.received_at),
            badge_row(lead),
        )
        for lead in leads[:LAST_LEADS]
    ]


def _attention(request: HttpRequest) -> Iterator[Notice]:
    """What the site itself and the intake report, each to those who can do something about it."""
    if request.user.has_perm("leads.change_offer"):
        yield from _unreachable(request)
        yield from _offers_without_url()
    if request.user.has_perm("leads.view_submission"):
        yield from _quarantine()


def _unreachable(request: HttpRequest) -> Iterator[Notice]:
    if not settings.PUBLIC_URL.startswith("https://"):
        yield Notice(
            "warning",
            f"Microsoft cannot reach {settings.PUBLIC_URL}. You need a public HTTPS address: put a TLS proxy in "
            "front, set PUBLIC_URL in .env and start again.",
            reverse("admin:settings") if settings_page.may_view(request) else "",
            "Settings",
        )


def _offers_without_url() -> Iterator[Notice]:
    urls = Endpoint.objects.open(timezone.now()).filter(offer=OuterRef("pk"))
    for offer in Offer.objects.filter(~Exists(urls), enabled=True)[:5]:
        yield Notice(
            "error",
            f"{offer.title} has no URL: none of its leads can arrive.",
            reverse("admin:leads_offer_change", args=[offer.pk]),
            "Open the offer",
        )


def _quarantine() -> Iterator[Notice]:
    # The demo's broken request is there to be seen, not to be worried about.
    count = Submission.objects.filter(verdict=Submission.Verdict.QUARANTINED, offer__is_demo=False).count()
    if count:
        text = "1 request" if count == 1 else f"{count} requests"
        yield Notice(
            "warning",
            f"{text} arrived and could not be read: a lead may be in there.",
            reverse("admin:leads_submission_changelist"),
            "Open quarantine",
        )


def _next_step(request: HttpRequest) -> Notice | None:
    """What to do next on an installation that is not set up yet; None where real leads arrive."""
    offer = Offer.objects.filter(is_demo=False).first()
    if offer is None:
        may_add = request.user.has_perm("leads.add_offer")
        return Notice(
            "step",
            "Add your offer as it is listed in Partner Center, and get the URL that Microsoft sends its leads to."
            if may_add
            else "There is no offer yet. A partner manager adds the first one.",
            reverse("admin:leads_offer_add") if may_add else "",
            "Add an offer",
        )
    if request.user.has_perm("leads.change_offer") and not Lead.objects.filter(offer__is_demo=False).exists():
        return Notice(
            "step",
            f"No lead has ever reached {offer.title}. Paste its URL in Partner Center and press Validate.",
            reverse("admin:leads_offer_change", args=[offer.pk]),
            "Get the URL",
        )
    return None


def _remove_demo_url(request: HttpRequest) -> str:
    """Where the demo is removed, for those who may; "" for the others."""
    if not request.user.has_perm("crm_sync.remove_demo"):
        return ""
    try:
        return reverse("admin:crm_sync_remove_demo")
    except NoReverseMatch:
        return ""
