"""Leads that came before a route could send them: whoever published is asked whether they go, or stay."""

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync.models import Route
from leads.models import Lead, Offer

SHOWN = 8


@dataclass(frozen=True)
class Question:
    """Leads wait for a route that could send them: they are sent, or stay, at a person's word.

    `held`: what becomes of those that are not sent at once, in a sentence.
    """

    count: int
    first: list[Lead]
    more: int
    held: str = ""


def question(route: Route) -> Question | None:
    """The question that stands open for a route; None while there is nothing to ask."""
    if not route.enabled or not route.offer.enabled or route.live_mapping is None:
        return None
    waiting = route.waiting_leads()
    count = waiting.count()
    if not count:
        return None
    first = list(waiting.select_related("offer", "submission").order_by("-received_at")[:SHOWN])
    return Question(count, first, count - len(first), _held_at_first(route, waiting, count))


def _held_at_first(route: Route, waiting: QuerySet[Lead], count: int) -> str:
    dnc = (
        waiting.filter(action__iexact="DNC").count() if route.offer.dnc_policy == Offer.DncPolicy.HOLD else 0
    )
    said = ""
    if dnc:
        said = ngettext(
            "%(number)s of them is held: do not contact.", "%(number)s of them are held: do not contact.", dnc
        ) % {"number": f"{dnc:,}"}
    if route.needs_approval and count > dnc:
        return f"{said} {_('Each is held until somebody approves it.')}".strip()
    return said
