"""The first line of Home for those who work on leads: how many wait for them, each number leading to its list."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import ngettext

from leads.figures import midnight_of
from leads.models import Lead, Offer
from leadsite.lead_links import leads_url

CAP = 10_000  # leads counted
LATELY = 30  # days in which a lead came that is counted as late: no index finds the few among a million


@dataclass(frozen=True, slots=True)
class Mine:
    """A number of leads, what they wait for, and their list."""

    number: str
    label: str
    url: str
    is_late: bool = False


def mine(request: HttpRequest) -> list[Mine]:
    """What waits for this user; nothing for those who look after offers, or where no offer is worked on here."""
    user: Any = request.user
    if user.has_perm("leads.change_offer") or not user.has_perm("leads.change_lead"):
        return []
    if not Offer.objects.to_work_on().exists():
        return []
    work = Lead.objects.to_work_on().order_by()
    since = timezone.localdate() - timedelta(days=LATELY)
    new = _count(work.filter(Q(owner=user.pk) | Q(owner=None), status=Lead.Status.NEW))
    unanswered = Lead.objects.unanswered().order_by()
    late = _count(unanswered.filter(received_at__gte=midnight_of(since), answer_due_at__lt=timezone.now()))
    follow_ups = _count(work.filter(owner=user.pk, follow_up_on__lte=timezone.localdate()))
    return [
        Mine(
            _capped(new),
            ngettext("new for you or nobody", "new for you or nobody", new),
            leads_url(view="needs_me", status__exact="new"),
        ),
        Mine(
            _capped(late),
            ngettext("late", "late", late),
            leads_url(answer="late", **{"from": since.isoformat()}),
            late > 0,
        ),
        Mine(
            _capped(follow_ups),
            ngettext("follow-up today", "follow-ups today", follow_ups),
            leads_url(view="needs_me", owner="me", follow_up="due"),
        ),
    ]


def _count(leads: Any) -> int:
    return leads[: CAP + 1].count()


def _capped(number: int) -> str:
    return f"{number:,}" if number <= CAP else f"{CAP:,}+"
