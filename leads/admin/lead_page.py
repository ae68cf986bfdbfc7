"""What the page of one lead shows, put into words and clipped to what a screen can bear."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import lead_source
from leads.admin import person
from leads.admin.journey import journey
from leads.admin.neighbours import neighbours
from leads.admin.original import MOST_PAIRS, Fact, original, pairs
from leads.admin.timeline import timeline
from leads.admin.unknown_keys import MapLink, map_links, mapped_values, value_name
from leads.admin.work import work_context
from leads.models import Lead
from leads.ports import ports
from leads.wording import as_text, badge_row, clip, clip_and_tell, explanations, when, written

OWN_WORDS = 600  # characters of what the customer wrote, above everything else


@dataclass(frozen=True, slots=True)
class UnknownField:
    """A field that we do not know, and where this user can map it."""

    label: str
    value: str
    mapped: bool
    links: Sequence[MapLink]


def context(page: ModelAdmin, request: HttpRequest, lead: Lead) -> dict[str, Any]:
    """Everything but the forms of our work on it, which are the admin's own."""
    near = neighbours(page, request, lead)
    # Campaign parameters are nobody's words.
    description = "" if lead.campaign else lead.description.strip()
    return {
        "lead": lead,
        "title": clip(lead.who, 80),
        "near": near,
        "who": clip(lead.who, 80),
        "sentence": clip(lead.sentence, 400),
        "when": when(lead.received_at),
        "badges": badge_row(lead),
        "explanations": explanations(lead),
        "own_words": clip(description, OWN_WORDS),
        "description": clip_and_tell(description) if len(description) > OWN_WORDS else "",
        "person": list(person.facts(lead, timezone.now())),
        "callable": person.may_be_contacted(lead),
        "journey": journey(request, lead, near.query),
        "panels": [panel(request, lead) for panel in ports.lead_panels],
        "listing": list(_listing(lead)),
        "campaign": pairs(lead.campaign),
        "extra": _unknown(request, lead),
        "works_here": lead.offer.works_here,
        **work_context(request, lead),
        "records": _records(request, lead),
        "timeline": timeline(request, lead),
        "received": _received(request, lead),
    }


def _listing(lead: Lead) -> Iterator[Fact]:
    action = lead_source.ACTIONS.get(lead.action)
    yield Fact(_("Action"), f"{action.code}: {_(action.what)}" if action else clip_and_tell(lead.action))
    yield Fact(_("Offer"), f"{lead.offer.title} ({lead.offer.slug})")
    if lead.offer_title and lead.offer_title != lead.offer.title:
        yield Fact(_("Offer title sent"), clip_and_tell(lead.offer_title))
    yield Fact(_("Source"), clip_and_tell(lead_source.source_label(lead.source)))
    yield Fact("LeadSource", clip_and_tell(lead.lead_source))
    if delay := written(lead):
        yield Fact(_("Written"), delay)


def _unknown(request: HttpRequest, lead: Lead) -> list[UnknownField]:
    if not lead.extra:
        return []
    mapped = mapped_values([lead.offer])[lead.offer_id]
    return [
        UnknownField(
            clip(key, 120),
            clip_and_tell(as_text(value)),
            value_name(key) in mapped,
            map_links(request, lead.offer, key),
        )
        for key, value in list(lead.extra.items())[:MOST_PAIRS]
    ]


def _records(request: HttpRequest, lead: Lead) -> list[tuple[str, str]]:
    """Where it is worked on instead of here: the name and the address of its record in each CRM."""
    if lead.offer.works_here:
        return []
    return [record for source in ports.lead_records for record in source(request, lead)]


def _received(request: HttpRequest, lead: Lead) -> dict[str, Any] | None:
    if not request.user.has_perm("leads.view_submission"):
        return None
    file = reverse("admin:leads_lead_original", args=[lead.pk])
    return {**original(lead.submission), "file": file}
