"""What a customer is called on screen, how often they came and for what, and why a lead is theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Max
from django.utils.translation import gettext as _

from leads.models import Customer, Lead
from leads.wording import clip

NAME = 80  # characters


def title(customer: Customer) -> str:
    """What to call a customer on screen."""
    return clip(str(customer), NAME)


def reason(lead: Lead) -> str:
    """Why a lead is its customer's."""
    return lead.get_grouped_by_display() or _("First lead of this customer")


def reason_in_a_sentence(lead: Lead) -> str:
    said = reason(lead)
    return f"{said[0].lower()}{said[1:]}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th. A language that does not tell them apart says the same four times."""
    usual = _("%(number)sth")
    endings = {1: _("%(number)sst"), 2: _("%(number)snd"), 3: _("%(number)srd")}
    said = usual if number % 100 in (11, 12, 13) else endings.get(number % 10, usual)
    return said % {"number": f"{number:,}"}


# How often they came


@dataclass(slots=True)
class Came:
    """How often a customer came, for what, and when last."""

    leads: int = 0
    offers: list[str] = field(default_factory=list)
    last: Any = None


def came(ids: Sequence[int]) -> dict[int, Came]:
    """Of these customers, in one query: how often they came, for what, and when last."""
    rows = (
        Lead.objects.filter(customer__in=ids)
        .values_list("customer", "offer__title")
        .annotate(leads=Count("pk"), last=Max("received_at"))
        .order_by("-last")
    )
    found: dict[int, Came] = {}
    for customer_id, offer, leads, last in rows:
        known = found.setdefault(customer_id, Came(last=last))
        known.leads += leads
        known.offers.append(offer)
    return found
