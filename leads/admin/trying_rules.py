"""Trying the assignment rules: who would get the last leads, or why did this one go to whom it went?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from leads import assignment, countries, work
from leads.models import AssignmentRule, Lead
from leads.people import name_of
from leads.wording import clip, when

TRIED = 20  # leads


def may_try(request: HttpRequest) -> bool:
    return request.user.has_perms(("leads.view_assignmentrule", "leads.view_lead"))


def attempt(page: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Who would get the last leads, or the one that is asked for. Nothing changes."""
    if not may_try(request):
        raise PermissionDenied
    leads = _asked_for(request.GET.get("lead", "")) or list(_last_leads()[:TRIED])
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "media": page.media,
        "title": _("Who would get these leads?"),
        "tried": _tried(leads),
        "is_one": bool(request.GET.get("lead")) and len(leads) == 1,
        "has_rules": AssignmentRule.objects.filter(enabled=True).exists(),
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/leads/assignmentrule/try.html", context)


@dataclass(frozen=True, slots=True)
class Tried:
    """What the rules say of one lead."""

    lead: Lead
    sentence: str
    at: SafeString
    owner: str
    rule: AssignmentRule | None
    said: str


def _last_leads() -> QuerySet[Lead]:
    shown = Lead.objects.filter(is_test=False).select_related("offer", "owner")
    return shown.defer("description", "extra", "campaign")  # a stranger's, and as long as a body


def _asked_for(lead_id: str) -> Sequence[Lead]:
    try:
        return list(_last_leads().filter(pk=lead_id)) if lead_id else ()
    except ValidationError:
        return ()


def _tried(leads: Iterable[Lead]) -> list[Tried]:
    rules = assignment.current()
    found = []
    for lead in leads:
        lead.tidy_country = lead.tidy_country or countries.country_code(lead.country)
        rule = assignment.first_that_takes(rules, lead)
        said = _why_none(lead) or (
            rule.because(lead, tried=True) if rule else _("No rule takes it: nobody gets it.")
        )
        found.append(
            Tried(
                lead,
                clip(lead.sentence, 240),
                when(lead.received_at),
                clip(name_of(lead.owner), 60) if lead.offer.works_here else "",
                rule.row if rule and not _why_none(lead) else None,
                said,
            )
        )
    return found


def _why_none(lead: Lead) -> str:
    """Why no rule is asked about a lead; "" where they are."""
    if work.wants_answer(lead):
        return ""
    if reason := work.why_not(lead):
        return reason
    if work.is_dnc(lead):
        return _("Do not contact: nobody gets it.")
    return _("A sample or a part of the demo: nobody gets it.")
