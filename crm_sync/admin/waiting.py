"""Leads that came before a route could send them: whoever published is asked whether they go, or stay."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync.models import Delivery, MappingVersion, Route
from crm_sync.sending_words import HELD_SHORT
from leads.models import Lead, Offer

SHOWN = 8


@dataclass(frozen=True)
class Question:
    """Leads wait for a route that could send them: they are sent, or stay, at a person's word.

    `goes`: how many of them would leave at once; `becomes`: what becomes of them, where some would be held.
    """

    count: int
    first: list[Lead]
    more: int
    goes: int
    becomes: str = ""


def question(route: Route) -> Question | None:
    """The question that stands open for a route; None while there is nothing to ask."""
    live = route.live_mapping
    if not route.enabled or not route.offer.enabled or live is None:
        return None
    waiting = route.waiting_leads()
    count = waiting.count()
    if not count:
        return None
    first = list(waiting.select_related("offer", "submission").order_by("-received_at")[:SHOWN])
    held = _held(route, live, waiting, count)
    goes = count - sum(held.values())
    return Question(count, first, count - len(first), goes, _becomes(goes, held) if held else "")


def _held(
    route: Route, live: MappingVersion, waiting: QuerySet[Lead], count: int
) -> dict[Delivery.Held, int]:
    """How many would be held at once, by why: as crm_sync.routing starts them."""
    asks_first = route.offer.dnc_policy == Offer.DncPolicy.HOLD
    dnc = waiting.filter(action__iexact="DNC").count() if asks_first else 0
    held = {Delivery.Held.DNC: dnc}
    if route.needs_approval:
        held[Delivery.Held.APPROVAL] = count - dnc
    elif live.broken:
        held[Delivery.Held.MAPPING_BROKEN] = count - dnc
    return {why: number for why, number in held.items() if number}


def _becomes(goes: int, held: Mapping[Delivery.Held, int]) -> str:
    sent = ngettext("%(number)s will be sent", "%(number)s will be sent", goes) % {"number": f"{goes:,}"}
    parts = [sent if goes else _("None will be sent")]
    for why, number in held.items():
        said = ngettext("%(number)s is held: %(why)s", "%(number)s are held: %(why)s", number)
        parts.append(said % {"number": f"{number:,}", "why": HELD_SHORT[why]})
    return f"{', '.join(parts)}."
