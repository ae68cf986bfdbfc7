"""Home: whoever signs in came to know whether anything needs them, and which leads are new.

So it says first what needs attention, the worst on top, or in one sentence that all is well; to those who work on
leads, what waits for them. Then how many leads came and when, each number leading to the leads it counts, how each CRM
does, and the last leads, a sentence each. On an empty installation it says what to do next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString

from leads.models import Lead, Offer
from leads.ports import Notice
from leads.wording import badge_row, clip, when
from leadsite import home_figures, home_mine, home_problems

LAST_LEADS = 10
SENTENCE = 240  # characters


@dataclass(frozen=True, slots=True)
class LastLead:
    """One of the last leads, as a sentence."""

    sentence: str
    url: str
    when: SafeString
    badges: SafeString


def context(request: HttpRequest, reported: Sequence[Notice]) -> dict[str, Any]:
    """What the home page shows a user, who sees only what they may; `reported` is what other parts report."""
    may_see_leads = request.user.has_perm("leads.view_lead")
    steps = home_problems.steps(request)
    problems, good_news = home_problems.sorted_problems(request, reported, steps)
    shown: dict[str, Any] = {
        "problems": problems[: home_problems.SHOWN],
        "more_problems": problems[home_problems.SHOWN :],
        "all_well": "" if problems else home_problems.all_well(request),
        "good_news": good_news,
        "may_see_leads": may_see_leads,
        "steps": steps,
        "next_step": home_problems.next_step(request),
        "has_demo": Offer.objects.filter(is_demo=True).exists(),
        "remove_demo_url": _remove_demo_url(request),
    }
    if may_see_leads:
        shown |= home_figures.context(request)
        shown |= {"mine": home_mine.mine(request), "last_leads": _last_leads()}
    return shown


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


def _remove_demo_url(request: HttpRequest) -> str:
    """Where the demo is removed, for those who may; "" for the others."""
    if not request.user.has_perm("crm_sync.remove_demo"):
        return ""
    try:
        return reverse("admin:crm_sync_remove_demo")
    except NoReverseMatch:
        return ""
