"""The tabs above the inbox: the views that everybody has, then filters that somebody saved under a name.

A view is the query of an address and no more, so every list that can be opened can be kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.admin.inbox_work_filters import VIEW
from leads.models import Offer, SavedView
from leads.work import is_done_here

# Of views that are everybody's. One's own are one's own business.
SEE, SHARE = "leads.view_savedview", "leads.add_savedview"
RENAME, DELETE = "leads.change_savedview", "leads.delete_savedview"
MOST = 20  # views that one person keeps, or all share: more tabs are none
LONGEST_QUERY = 2_000  # characters
NEEDS_ME, ALL = f"{VIEW}=needs_me", f"{VIEW}=all"
MINE, UNANSWERED = "owner=me", "answer=open"
# What the first view says itself: whoever asks for closed or archived leads has left it.
OF_WORK = frozenset(("status__exact", "owner", "answer", "follow_up"))
DECIDED = OF_WORK | {"kind", "archived"}
# Where in the list somebody is, which is no part of what the list shows.
PLACE = frozenset(("p", "o", "e", "all", "before", "after", "oldest"))


@dataclass(frozen=True, slots=True)
class Tab:
    """A view to choose; `edit` is where it is renamed or deleted, for those who may."""

    name: str
    query: str
    current: bool
    shared: bool = False
    edit: str = ""


class SaveForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=60,
        error_messages={"required": gettext_lazy("Give the view a name.")},
    )
    shared = forms.BooleanField(label=gettext_lazy("For everybody"), required=False)


def default(request: HttpRequest) -> str:
    """What the inbox shows to whoever opens it without saying what. While there is only the demo, that."""
    works = request.user.has_perm("leads.change_lead") and Offer.objects.to_work_on().exists()
    return NEEDS_ME if works else ALL


def normal(query: str) -> str:
    """A query without where in the list one is, its parts in order: two that show the same are the same."""
    parts = QueryDict(query[:LONGEST_QUERY])
    kept = QueryDict(mutable=True)
    for name in sorted(set(parts) - PLACE):
        kept.setlist(name, [value for value in parts.getlist(name) if value])
    return kept.urlencode() or ALL


def asks_for_work(query: QueryDict) -> bool:
    """Whether a list is narrowed by what people do with leads, which no lead has that is worked on in the CRM."""
    return bool(OF_WORK & set(query)) or query.get(VIEW) == "needs_me"


def without_work(query: QueryDict) -> str:
    """The query of the same list, whatever people do with its leads."""
    kept = query.copy()
    for name in (*OF_WORK, VIEW):
        kept.pop(name, None)
    return normal(kept.urlencode())


def asked_for(query: QueryDict) -> str:
    """The query that a form of filters means: without empty fields, and out of the view that decides them otherwise.

    A field may stand beside what it replaces, once it is filled.
    """
    kept = query.copy()
    for name, values in query.lists():
        kept.setlist(name, [value for value in values if value][-1:])
    if DECIDED & {name for name, value in query.items() if value}:
        kept.pop(VIEW, None)
    return normal(kept.urlencode())


def tabs(request: HttpRequest) -> list[Tab]:
    """The views of this user, with the one that is shown marked."""
    now = normal(request.GET.urlencode())
    found: list[Tab] = []
    for view in _seen(request):
        if asks_for_work(QueryDict(view.query)) and not is_done_here(request):
            continue  # it comes back with the work
        may = _may(request, view, RENAME) or _may(request, view, DELETE)
        edit = reverse("admin:leads_lead_view", args=[view.pk]) if may else ""
        found.append(Tab(view.name, view.query, normal(view.query) == now, view.owner_id is None, edit))
    own_is_shown = any(tab.current for tab in found)
    return [*_of_everybody(request, now, own_is_shown=own_is_shown), *found]


def _of_everybody(request: HttpRequest, now: str, *, own_is_shown: bool) -> Iterator[Tab]:
    if is_done_here(request):
        # It stays the view in which somebody narrows it further, until that has a name.
        yield Tab(_("Needs me"), NEEDS_ME, request.GET.get(VIEW) == "needs_me" and not own_is_shown)
        yield Tab(_("Mine"), MINE, now == MINE)
        yield Tab(_("Unanswered"), UNANSWERED, now == UNANSWERED)
    yield Tab(_("All"), ALL, now == ALL)


def _seen(request: HttpRequest) -> QuerySet[SavedView]:
    own = Q(owner=request.user.pk)
    return SavedView.objects.filter(own | Q(owner=None) if request.user.has_perm(SEE) else own)


def _may(request: HttpRequest, view: SavedView, permission: str) -> bool:
    return view.owner_id == request.user.pk or (view.owner_id is None and request.user.has_perm(permission))


# Pages


def save(request: HttpRequest) -> HttpResponse:
    """Keep the list that is on the screen under a name."""
    query = normal(request.POST.get("query", ""))
    form = SaveForm(request.POST)
    back = f"{reverse('admin:leads_lead_changelist')}?{query}"
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return HttpResponseRedirect(back)
    shared = form.cleaned_data["shared"]
    if shared and not request.user.has_perm(SHARE):
        raise PermissionDenied
    owner = None if shared else request.user.pk
    if wrong := _hindrance(owner, form.cleaned_data["name"]):
        messages.error(request, wrong)
        return HttpResponseRedirect(back)
    view = SavedView.objects.create(name=form.cleaned_data["name"], query=query, owner_id=owner)
    said = (
        _("“%(name)s” is a view of everybody's now.") if shared else _("“%(name)s” is a view of yours now.")
    )
    messages.success(request, said % {"name": view.name})
    return HttpResponseRedirect(back)


def _hindrance(owner: int | None, name: str, but: int | None = None) -> str:
    """Why there cannot be a view of that name; "" where there can."""
    others = SavedView.objects.filter(owner=owner)
    if but is not None:
        others = others.exclude(pk=but)
    if others.filter(name__iexact=name).exists():
        return _("There is a view “%(name)s” already: choose another name.") % {"name": name}
    if but is None and others.count() >= MOST:
        return _("There are %(most)s views already: delete one first.") % {"most": MOST}
    return ""


def edit(page: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Rename a view, or delete it."""
    view = get_object_or_404(_seen(request), pk=pk)
    may_rename, may_delete = (_may(request, view, permission) for permission in (RENAME, DELETE))
    deletes = "delete" in request.POST
    if not (may_rename or may_delete) or (
        request.method == "POST" and not (may_delete if deletes else may_rename)
    ):
        raise PermissionDenied
    inbox = f"{reverse('admin:leads_lead_changelist')}?{view.query}"
    if deletes:
        view.delete()
        messages.success(request, _("The view “%(name)s” is deleted. No lead is.") % {"name": view.name})
        return HttpResponseRedirect(inbox)
    form = SaveForm(request.POST if request.method == "POST" else None, initial={"name": view.name})
    if form.is_valid() and _renamed(view, form):
        messages.success(request, _("The view is called “%(name)s” now.") % {"name": view.name})
        return HttpResponseRedirect(inbox)
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "media": page.media,
        "title": _("View “%(name)s”") % {"name": view.name},
        "view": view,
        "form": form,
        "may_rename": may_rename,
        "may_delete": may_delete,
        "back": inbox,
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/leads/lead/view.html", context)


def _renamed(view: SavedView, form: SaveForm) -> bool:
    name = form.cleaned_data["name"]
    if wrong := _hindrance(view.owner_id, name, but=view.pk):
        form.add_error("name", wrong)
        return False
    view.name = name
    view.save(update_fields=["name"])
    return True
