"""From a draft of a field mapping to the live one: what would change, on which leads it would fail; and the way back.

Whoever presses *Publish* asks one thing: does this break anything? So the page says in words what changes, tries it on
the last leads, and says who else it is about. *History* answers who changed what and when, and brings a version back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import publishing, row_forms
from crm_sync import wording as words
from crm_sync.admin import waiting, worked_in
from crm_sync.admin.mapping_editor import lock, view_of
from crm_sync.admin.mapping_page import SEES_LEADS, may_publish, render, rules_of
from crm_sync.admin.pages import tell
from crm_sync.inspection import look
from crm_sync.mapping import Rule, unmapped_required
from crm_sync.mapping_owner import Owner
from crm_sync.models import FieldRule, MappingVersion
from crm_sync.row_editing import differing
from crm_sync.rule_diff import Difference
from crm_sync.rule_words import anchor
from leads import ports
from leads.models import Lead

TRIED = 20  # leads
SHOWN_VERSIONS = 50


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The addresses of these pages, for the admin page of routes or of connections."""
    prefix = f"crm_sync_{page.opts.model_name}"
    return [
        path("<int:pk>/mapping/publish/", view_of(page, _publish), name=f"{prefix}_mapping_publish"),
        path("<int:pk>/mapping/history/", view_of(page, _history), name=f"{prefix}_mapping_history"),
    ]


# --- Publishing ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """A lead that would fail, and why: a sentence for each field."""

    lead: Lead
    problems: Sequence[tuple[str, str]]


def _publish(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    _require(request, owner)
    if request.method == "POST":
        return _go_live(page, request, owner)
    return _show_publish(page, request, owner)


def _show_publish(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    changed = _changed(owner)
    if _is_live(owner, changed):
        tell(request, _nothing(owner), messages.INFO)
        return HttpResponseRedirect(owner.url())
    rules = rules_of(owner)
    leads, failures = _try(request, owner, rules)
    missing = unmapped_required(owner.whole(rules), owner.spec.fields)
    context = {
        "title": _("Publish: %(mapping)s") % {"mapping": owner.title},
        "differences": [(difference, f"{owner.url()}#{anchor(difference.target)}") for difference in changed],
        "seen": row_forms.digest(owner.rules),
        "tried": leads,
        "failures": failures,
        "sees_leads": request.user.has_perm(SEES_LEADS),
        "missing": missing,
        "missing_fields": format_html_join(
            ", ", "<strong>{}</strong>", ((target.label,) for target in missing)
        ),
        "others": _others(owner, changed),
        "first": owner.live is None,
        **worked_in.question(request, worked_in.first_of(owner)),
    }
    return render(page, request, owner, "publish", context)


def _require(request: HttpRequest, owner: Owner) -> None:
    if not may_publish(request, owner):
        raise PermissionDenied


def _changed(owner: Owner) -> list[Difference]:
    """How what would be published differs from what is live."""
    return differing(owner, owner.live_rules, owner.rules)


def _is_live(owner: Owner, changed: Sequence[Difference]) -> bool:
    return owner.live is not None and not owner.live.broken and not changed


def _nothing(owner: Owner) -> str:
    said = _("Nothing to publish: %(version)s is live and the draft does not differ.")
    return said % {"version": owner.live}


def _try(request: HttpRequest, owner: Owner, rules: Sequence[Rule]) -> tuple[int, list[Failure]]:
    """How many of the last leads were tried, and those that would fail."""
    if not request.user.has_perm(SEES_LEADS):
        return 0, []
    found = []
    leads = owner.real_leads(TRIED)
    for lead in leads:
        sight = look(owner.for_lead(rules, lead), lead.values(), owner.spec)
        problems = [
            (owner.labels.get(name, name), cell.problem) for name, cell in sight.cells.items() if cell.fatal
        ]
        if problems:
            found.append(Failure(lead, problems))
    return len(leads), found


@dataclass(frozen=True)
class Others:
    """Who else the rows of a connection are about: how many offers use them, and how many override each changed one."""

    offers: int
    overridden: Sequence[tuple[Difference, int]]


def _others(owner: Owner, changed: Sequence[Difference]) -> Others | None:
    if owner.route:
        return None
    live = {
        version.route_id: version.pk
        for version in MappingVersion.objects.published().filter(route__in=owner.routes()).order_by("number")
    }
    own: dict[str, set[int]] = {}
    rows = FieldRule.objects.filter(version__in=live.values(), target__in={each.target for each in changed})
    for target, version in rows.values_list("target", "version"):
        own.setdefault(target, set()).add(version)
    overridden = [(each, len(own[each.target])) for each in changed if each.target in own]
    return Others(owner.routes().count(), overridden)


@transaction.atomic
def _go_live(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    lock(owner)
    if _is_live(owner, _changed(owner)):
        tell(request, _nothing(owner), messages.INFO)
        return HttpResponseRedirect(owner.url())
    if request.POST.get("seen") != row_forms.digest(owner.rules):
        tell(request, _("The draft changed in the meantime. Look again, then publish."), messages.WARNING)
        return HttpResponseRedirect(owner.url("mapping_publish"))
    worked_in.decide(page, request, worked_in.first_of(owner))
    draft = publishing.draft_of(owner.obj, request.user)
    if not owner.draft and not owner.live:
        draft.replace_rules(rules_of(owner))
    note = request.POST.get("note", "").strip()[:200]
    released = publishing.publish(draft, timezone.now(), request.user, note)
    page.log_change(request, owner.obj, f"Published the field mapping {draft}. {note}".strip())
    published = _("Published: %(version)s is live.") % {"version": draft}
    tell(request, f"{published} {_follows(released)}")
    transaction.on_commit(ports.ring)
    return HttpResponseRedirect(_next(owner))


def _next(owner: Owner) -> str:
    """Where a person has to decide what becomes of the leads of before; else back to the rows."""
    if owner.route and waiting.question(owner.route):
        return f"{words.route_url(owner.route.pk)}#question"
    return owner.url()


def _follows(released: int) -> str:
    if not released:
        return _("It applies to leads from now on.")
    said = ngettext(
        "%(number)s lead that it held goes out now.", "%(number)s leads that it held go out now.", released
    )
    return said % {"number": f"{released:,}"}


# --- History -------------------------------------------------------------------------------------------------


def _history(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    if request.method == "POST":
        return _restore(page, request, owner)
    versions = list(
        owner.obj.mappings.published()
        .select_related("published_by")
        .prefetch_related("rules")[: SHOWN_VERSIONS + 1]
    )
    context = {
        "title": _("History: %(mapping)s") % {"mapping": owner.title},
        "versions": [
            (version, _changed_since(owner, version, versions[number + 1 : number + 2]))
            for number, version in enumerate(versions[:SHOWN_VERSIONS])
        ],
    }
    return render(page, request, owner, "history", context)


def _changed_since(
    owner: Owner, version: MappingVersion, earlier: Sequence[MappingVersion]
) -> list[Difference]:
    return differing(owner, earlier[0].as_rules() if earlier else (), version.as_rules())


@transaction.atomic
def _restore(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    _require(request, owner)
    lock(owner)
    number = row_forms.number_in(request.POST.get("number", ""))
    chosen = get_object_or_404(owner.obj.mappings.published(), number=number)
    if owner.live and owner.live.pk == chosen.pk:
        said = _("Nothing to restore: %(version)s is live already.") % {"version": chosen}
        tell(request, said, messages.INFO)
        return HttpResponseRedirect(owner.url("mapping_history"))
    restored, released = publishing.restore(chosen, timezone.now(), request.user)
    page.log_change(request, owner.obj, f"Restored the field mapping {chosen} as {restored}.")
    again = _("Live again: %(chosen)s, as %(version)s.") % {"chosen": chosen, "version": restored}
    tell(request, f"{again} {_follows(released)}")
    transaction.on_commit(ports.ring)
    return HttpResponseRedirect(owner.url("mapping_history"))
