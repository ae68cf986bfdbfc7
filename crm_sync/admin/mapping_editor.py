"""The field mapping of a route, or the rows that all routes of a connection inherit.

Whoever opens it came to say what each field of the CRM gets, and to see on real leads that it is right. So a row shows
beside it what the chosen lead would send; what the CRM would refuse is said before it is saved; and nothing that is
live changes before *Publish*. The page is one form that works without scripts: every button submits it, and those that
only change what is on the page save nothing.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from crm_sync import publishing, row_forms
from crm_sync import wording as words
from crm_sync.admin import map_it, mapping_page
from crm_sync.admin.mapping_page import PUBLISH, may_change
from crm_sync.admin.pages import require, tell
from crm_sync.mapping_owner import Owner
from crm_sync.models import Destination, Route
from crm_sync.row_editing import SAVING, Editing
from crm_sync.rule_words import anchor

View = Callable[[admin.ModelAdmin, HttpRequest, Owner], HttpResponse]


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The address of the editor, for the admin page of routes or of connections."""
    prefix = f"crm_sync_{page.opts.model_name}"
    return [
        path("<int:pk>/mapping/", view_of(page, _edit), name=f"{prefix}_mapping"),
        path("<int:pk>/mapping/row/", view_of(page, _find_row), name=f"{prefix}_row"),
    ]


def view_of(page: admin.ModelAdmin, show: View) -> Any:
    """A view of whose mapping the address names, for who may see it."""

    def view(request: HttpRequest, pk: int) -> HttpResponse:
        obj: Route | Destination = get_object_or_404(page.get_queryset(request), pk=pk)
        if not page.has_view_permission(request, obj):
            raise PermissionDenied
        owner = Owner(obj)
        if words.spec_of(owner.destination) is None:
            missing = _("This version has no connector “%(connector)s”: its fields are not known.")
            tell(request, missing % {"connector": owner.destination.connector}, messages.ERROR)
            return HttpResponseRedirect(reverse(f"admin:crm_sync_{page.opts.model_name}_change", args=[pk]))
        request.current_app = page.admin_site.name
        return show(page, request, owner)

    return page.admin_site.admin_view(view)


def _find_row(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    """To the row of a CRM field, `?field=`: on the page of the connection where its row is inherited from there."""
    field = request.GET.get("field", "")
    if request.user.has_perm("crm_sync.view_destination"):
        return HttpResponseRedirect(words.mapping_url(owner.obj, field))
    return HttpResponseRedirect(f"{owner.url()}#{anchor(field)}")


def _edit(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    if request.method != "POST":
        editing = Editing(
            owner,
            None,
            recent=mapping_page.recent(request, owner),
            prefilled=map_it.prefilled(request) if may_change(request, owner) else None,
        )
        return mapping_page.render(page, request, owner, "editor", mapping_page.shown(request, editing))
    if not may_change(request, owner):
        raise PermissionDenied
    if request.headers.get("HX-Request") == "true":
        return _while_typing(request, owner)
    if "_discard" in request.POST:
        return _discard(page, request, owner)
    if "_publish" in request.POST:
        require(request, PUBLISH)
    return _posted(page, request, owner)


def _while_typing(request: HttpRequest, owner: Owner) -> HttpResponse:
    """What changes as somebody types, asked for by a script.

    It also sends the button that was pressed last, which the browser itself sends in the same moment: no command here.
    """
    editing = Editing(owner, request.POST, presses=False, recent=mapping_page.recent(request, owner))
    return TemplateResponse(
        request, "admin/crm_sync/mapping/fragments.html", mapping_page.shown_live(request, editing)
    )


def lock(owner: Owner) -> None:
    """Let nobody else save or publish this mapping until the transaction ends."""
    type(owner.obj)._default_manager.select_for_update().get(pk=owner.obj.pk)


@transaction.atomic
def _posted(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    """What a button does, under a lock: whoever saves at the same moment is compared with what the first one saved."""
    if request.POST.keys() & SAVING:
        lock(owner)
    editing = Editing(owner, request.POST, recent=mapping_page.recent(request, owner))
    if editing.saves and editing.is_valid and not editing.conflict:
        return _save(page, request, editing)
    return mapping_page.render(page, request, owner, "editor", mapping_page.shown(request, editing))


def _save(page: admin.ModelAdmin, request: HttpRequest, editing: Editing) -> HttpResponse:
    owner = editing.owner
    rules = row_forms.in_order(editing.rules, owner.spec)
    if rules != mapping_page.rules_of(owner) or (owner.draft is None and owner.live is None):
        draft = publishing.draft_of(owner.obj, request.user)
        draft.replace_rules(rules)
        page.log_change(request, owner.obj, f"Saved a draft of the field mapping, {draft}.")
    if "_publish" in request.POST:
        return HttpResponseRedirect(owner.url("mapping_publish"))
    tell(request, _("Saved as a draft: what is live has not changed."))
    return HttpResponseRedirect(owner.url())


def _discard(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> HttpResponse:
    if owner.draft:
        page.log_change(request, owner.obj, f"Threw away the draft of the field mapping, {owner.draft}.")
        owner.draft.delete()
    tell(request, _("The draft is thrown away."))
    return HttpResponseRedirect(owner.url())
