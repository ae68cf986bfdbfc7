"""The way of a lead's customer on its page: what the same person or company did before and after, across offers.

A salesperson is about to answer, and answers otherwise to somebody who had a test drive last week. So it is a strip in
the order of time, this lead marked on it; the whole of a long way is on the customer's page.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from leads import lead_source
from leads.admin import customer_words as words
from leads.models import Lead
from leads.wording import clip

MOST = 12  # leads on the strip
BEFORE = 8  # of them before this one, where there are as many
COUNTED = 10_000  # leads of a customer, at most, that are counted
SHOWN = ("received_at", "action", "offer__title", "customer", "grouped_by")


@dataclass(frozen=True, slots=True)
class Stop:
    """One lead on the way; without a link where it is the one that the page is about."""

    action: str
    offer: str
    at: datetime
    reason: str
    url: str


@dataclass(frozen=True, slots=True)
class Journey:
    """The strip, how many leads are left out on either side, and what there is behind the link to all of them."""

    place: str
    url: str
    stops: list[Stop]
    earlier: str
    later: str


def journey(request: HttpRequest, lead: Lead, query: str) -> Journey | None:
    """The way of the lead's customer; None without one or without permission. `query` is carried along by the links."""
    if lead.customer_id is None or not request.user.has_perm("leads.view_customer"):
        return None
    others: QuerySet[Lead] = Lead.objects.filter(customer=lead.customer_id).exclude(pk=lead.pk)
    at = lead.received_at
    before = others.filter(Q(received_at__lt=at) | Q(received_at=at, pk__lt=lead.pk))
    after = others.filter(Q(received_at__gt=at) | Q(received_at=at, pk__gt=lead.pk))
    past = _some(before.order_by("-received_at", "-pk"))[::-1]
    future = _some(after.order_by("received_at", "pk"))
    kept = past[-max(BEFORE, MOST - 1 - len(future)) :]
    coming = future[: MOST - 1 - len(kept)]
    number = len(past) if len(past) < MOST else _counted(before)
    left = len(future) if len(future) < MOST else _counted(after)
    earlier, later = number - len(kept), left - len(coming)
    return Journey(
        _words(lead, number + 1, number + 1 + left),
        reverse("admin:leads_customer_change", args=[lead.customer_id]),
        [_stop(each, lead, query) for each in (*kept, lead, *coming)] if past or future else [],
        _("%(number)s more before these") % {"number": _shown(earlier)} if earlier else "",
        _("%(number)s more after these") % {"number": _shown(later)} if later else "",
    )


def _some(leads: QuerySet[Lead]) -> list[Lead]:
    return list(leads.select_related("offer").only(*SHOWN)[:MOST])


def _counted(leads: QuerySet[Lead]) -> int:
    return leads.order_by()[: COUNTED + 1].count()


def _shown(number: int) -> str:
    return f"{number:,}" if number <= COUNTED else f"{COUNTED:,}+"


def _words(lead: Lead, number: int, total: int) -> str:
    """Which of its customer's leads this is, and why it is one of them."""
    if total > COUNTED:
        return _("One of more than %(most)s leads of this customer") % {"most": f"{COUNTED:,}"}
    if total == 1 and not lead.grouped_by:
        return _("First lead of this customer, and the only one so far")
    shown = {
        "number": words.ordinal(number),
        "total": f"{total:,}",
        "reason": words.reason_in_a_sentence(lead),
    }
    if not lead.grouped_by:
        return _("%(number)s of %(total)s leads of this customer") % shown
    return _("%(number)s lead of this customer: %(reason)s") % shown


def _stop(lead: Lead, this: Lead, query: str) -> Stop:
    url = f"{reverse('admin:leads_lead_change', args=[lead.pk])}{query}" if lead.pk != this.pk else ""
    label = clip(lead_source.action_in_words(lead.action), 40) or _("No action named")
    return Stop(label, clip(lead.offer.title, 60), lead.received_at, words.reason(lead), url)
