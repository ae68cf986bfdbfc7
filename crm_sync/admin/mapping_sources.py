"""Rows of a field mapping that come from elsewhere: another offer, a file, a flow of Power Automate.

Whoever opens one of these pages has a mapping already, somewhere else, and wants it here without typing. Each page
shows what it read, row by row, and puts it into the draft; nothing that is live changes.
"""

import json
from collections.abc import Iterator, Sequence

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Exists, OuterRef
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import from_flow, mapping, publishing, pushing, row_forms, rule_words
from crm_sync.admin.mapping_editor import lock, view_of
from crm_sync.admin.mapping_page import may_change, render
from crm_sync.admin.pages import tell
from crm_sync.mapping import Rule, RuleError
from crm_sync.mapping_owner import Owner
from crm_sync.models import MappingVersion, Route
from leads.vault import VaultError

SHOWN_OFFERS = 500
MOST = 1_000_000  # characters of a file


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The addresses of these pages, for the admin page of routes or of connections."""
    prefix = f"crm_sync_{page.opts.model_name}"
    pages = {"copy": _copy, "import": _import, "flow": _flow, "export": _export, "refresh": _refresh}
    return [
        path(f"<int:pk>/mapping/{name}/", view_of(page, show), name=f"{prefix}_mapping_{name}")
        for name, show in pages.items()
    ]


def _require_change(request: HttpRequest, owner: Owner) -> None:
    if not may_change(request, owner):
        raise PermissionDenied


def _into_draft(
    page: admin.ModelAdmin, request: HttpRequest, owner: Owner, rules: Sequence[Rule], what: str, told: str
) -> None:
    """Make these the rows of the draft. `what` was done, for the log; `told`: the same for whoever did it."""
    with transaction.atomic():
        lock(owner)
        draft = publishing.draft_of(owner.obj, request.user)
        draft.replace_rules(row_forms.in_order(rules, owner.spec))
    page.log_change(request, owner.obj, f"{what} into a draft of the field mapping, {draft}.")
    said = ngettext(
        "%(what)s: %(number)s row in the draft. What is live has not changed; look at them, then publish.",
        "%(what)s: %(number)s rows in the draft. What is live has not changed; look at them, then publish.",
        len(rules),
    )
    tell(request, said % {"what": told, "number": f"{len(rules):,}"})


def _joined(owner: Owner, rules: Sequence[Rule]) -> list[Rule]:
    """The rows that are there, with these in place of those for the same fields."""
    brought = {rule.target for rule in rules}
    return [*(rule for rule in owner.rules if rule.target not in brought), *rules]


# --- From another offer --------------------------------------------------------------------------------------


def _copy(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    _require_change(request, owner)
    sources = _sources(owner)
    if request.method == "POST":
        chosen = next((route for route in sources if str(route.pk) == request.POST.get("from")), None)
        if chosen is None:
            tell(request, _("Choose where to copy from."), messages.WARNING)
            return HttpResponseRedirect(owner.url("mapping_copy"))
        live = chosen.live_mapping
        told = _("Copied from %(mapping)s") % {"mapping": chosen}
        rules = live.as_rules() if live else ()
        _into_draft(page, request, owner, rules, f"Copied from {chosen}", told)
        return HttpResponseRedirect(owner.url())
    context = {
        "title": _("Copy rows to %(mapping)s") % {"mapping": owner.title},
        "sources": [*_counted(sources)],
    }
    return render(page, request, owner, "copy", context)


def _sources(owner: Owner) -> list[Route]:
    """Routes to the same kind of CRM with something published."""
    published = MappingVersion.objects.filter(route=OuterRef("pk"), state=MappingVersion.State.PUBLISHED)
    routes = Route.objects.filter(Exists(published), destination__connector=owner.destination.connector)
    if owner.route:
        routes = routes.exclude(pk=owner.route.pk)
    return list(routes.select_related("offer", "destination").order_by("offer__title", "pk")[:SHOWN_OFFERS])


def _counted(sources: Sequence[Route]) -> Iterator[tuple[Route, MappingVersion, str]]:
    """Each with its live version, and how many rows of its own it has."""
    versions = MappingVersion.objects.published().filter(route__in=sources)
    counted = versions.annotate(rows=Count("rules")).order_by("number")
    live = {version.route_id: version for version in counted}
    for route in sources:
        version = live[route.pk]
        rows = ngettext("%(number)s row", "%(number)s rows", version.rows)
        yield route, version, rows % {"number": f"{version.rows:,}"}


# --- As a file -----------------------------------------------------------------------------------------------


def _export(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    """The rows as a configuration file has them: the draft's where there is one."""
    text = json.dumps({"mapping": [rule.as_config() for rule in owner.rules]}, indent=2, ensure_ascii=False)
    response = HttpResponse(f"{text}\n", content_type="application/json; charset=utf-8")
    name = slugify(str(owner.obj)) or "mapping"
    response["Content-Disposition"] = f'attachment; filename="mapping-{name}.json"'
    return response


def _import(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    _require_change(request, owner)
    text, problems = request.POST.get("text", ""), list[str]()
    if request.method == "POST":
        if upload := request.FILES.get("file"):
            text = upload.read(MOST + 1).decode("utf-8", "replace")
        rules, problems = _read(text, owner)
        if not problems:
            _into_draft(page, request, owner, rules, "Imported", _("Imported"))
            return HttpResponseRedirect(owner.url())
    title = _("Import rows to %(mapping)s") % {"mapping": owner.title}
    context = {"title": title, "text": text, "problems": problems}
    return render(page, request, owner, "import", context)


def _read(text: str, owner: Owner) -> tuple[list[Rule], list[str]]:
    """The rules of a file, or what is wrong with it: sentences that name the place."""
    if len(text) > MOST:
        return [], [_("This is longer than %(number)s characters.") % {"number": f"{MOST:,}"}]
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        return [], [_("This is not JSON: %(why)s.") % {"why": error}]
    rows = document.get("mapping") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        return [], [_('Give a list of rules, or {"mapping": [...]} as an export has it.')]
    rules, problems = list[Rule](), list[str]()
    for number, row in enumerate(rows):
        place = f"mapping[{number}]"
        try:
            rule = Rule.from_config(row, place)
        except RuleError as error:
            problems.append(str(error))
            continue
        rules.append(rule)
        found = mapping.problems(rule, owner.spec.fields, owner.spec.any_field)
        problems += [f"{place}.{problem.path}: {problem.message}" for problem in found]
    return rules, problems


# --- From a flow ---------------------------------------------------------------------------------------------


def _flow(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    _require_change(request, owner)
    text, error, reading, rows = request.POST.get("text", ""), "", None, []
    if request.method == "POST":
        try:
            reading = from_flow.read(text)
        except from_flow.FlowError as refused:
            error = str(refused)
        else:
            rows = [(rule_words.row(rule, owner.spec), _problem(rule, owner)) for rule in reading.rules]
            usable = [rule for rule in reading.rules if not _problem(rule, owner)]
            if "_take" in request.POST and usable:
                told = _("Taken from the flow")
                _into_draft(page, request, owner, _joined(owner, usable), "Taken from the flow", told)
                return HttpResponseRedirect(owner.url())
    context = {
        "title": _("Rows from a flow to %(mapping)s") % {"mapping": owner.title},
        "text": text,
        "error": error,
        "reading": reading,
        "rows": rows,
        "usable": sum(1 for _row, problem in rows if not problem),
    }
    return render(page, request, owner, "flow", context)


def _problem(rule: Rule, owner: Owner) -> str:
    """Why a rule cannot be a row here; empty where it can."""
    found = mapping.problems(rule, owner.spec.fields, owner.spec.any_field)
    return " ".join(problem.message for problem in found)


# --- The CRM's own fields ------------------------------------------------------------------------------------


def _refresh(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    _require_change(request, owner)
    try:
        said, ok = pushing.read_fields(owner.destination, timezone.now())
    except VaultError as error:
        said, ok = str(error), False
    tell(request, said, messages.SUCCESS if ok else messages.WARNING)
    return HttpResponseRedirect(owner.url())
