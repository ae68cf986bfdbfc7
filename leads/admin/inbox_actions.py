"""What is done to several leads of the inbox at once: asked first, with their number, what happens and who is left out.

Whoever chose all that match gets those that had come when the question was asked, and at most MOST of them at once.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import bulk
from leads.admin import saved_views
from leads.admin.inbox_deeds import ACTIONS, Action, counted
from leads.admin.inbox_rows import HEAVY
from leads.counting import Count
from leads.models import Lead
from leads.wording import clip
from leads.work import is_done_here

MOST = 10_000  # at once: what one request can do in seconds
SHOWN = 10  # named in the question
SENTENCE = 200  # characters
ALL = "all"
CHOSEN, UNTIL = "chosen", "until"  # in the address of a question: which leads, and when it was asked
MOST_CHOSEN = 100  # leads, by their ids: a page of the list has fewer
NEWEST_FIRST = ("-received_at", "-id")


def offered(request: HttpRequest) -> dict[str, tuple[Callable[..., HttpResponse], str, Any]]:
    """The actions that this user may take, as the admin wants them."""
    return {
        action.name: (_function(action), action.name, action.label)
        for action in ACTIONS
        if request.user.has_perm(action.permission) and (is_done_here(request) or not action.of_work)
    }


def _function(action: Action) -> Callable[..., HttpResponse]:
    def ask(page: Any, request: HttpRequest, leads: QuerySet[Any]) -> HttpResponse:
        """Lead to the question: a page with an address of its own, so that one can go back to it."""
        across = request.POST.get("select_across") == "1"
        chosen = ALL if across else ",".join(request.POST.getlist("_selected_action")[:MOST_CHOSEN])
        about = urlencode({CHOSEN: chosen, UNTIL: timezone.now().isoformat()})
        query = saved_views.normal(request.GET.urlencode())
        return HttpResponseRedirect(f"{reverse('admin:leads_lead_bulk', args=[action.name])}?{query}&{about}")

    return ask


def take(page: Any, request: HttpRequest, name: str) -> HttpResponse:
    """The question; once that is answered, do it and lead back to the list."""
    action = next((action for action in ACTIONS if action.name == name), None)
    if action is None:
        raise Http404
    if not request.user.has_perm(action.permission):
        raise PermissionDenied
    leads = _leads(page, request)
    back = f"{reverse('admin:leads_lead_changelist')}?{request.GET.urlencode()}"
    answered = request.method == "POST"
    form = action.form(request.POST if answered else None) if action.form else None
    if answered and (form is None or form.is_valid()):
        now = timezone.now()
        _do(request, leads, action, action.change(request, form.cleaned_data if form else {}, now), now)
        return HttpResponseRedirect(back)
    return _ask(page, request, leads, action, form, back) or HttpResponseRedirect(back)


def _leads(page: Any, request: HttpRequest) -> QuerySet[Any]:
    """The leads that the address names, of the list that it names; what is left of the address is that of the list."""
    query = request.GET.copy()
    chosen, until = (query.pop(name, [""])[-1] for name in (CHOSEN, UNTIL))
    request.GET = query  # type: ignore[assignment]
    found: QuerySet[Any] = page.get_changelist_instance(request).queryset
    if chosen == ALL:
        return found.filter(received_at__lte=_moment(until))
    return found.filter(pk__in=[key for text in chosen.split(",") if (key := _key(text))])


def _key(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime:
    """When the question was asked: what came later was not in it."""
    try:
        asked = parse_datetime(text)
    except ValueError:
        asked = None
    return asked if asked is not None and timezone.is_aware(asked) else timezone.now()


def _do(
    request: HttpRequest, leads: QuerySet[Any], action: Action, change: bulk.Change, now: datetime
) -> None:
    chosen, matched = _keys(leads.filter(change.takes)), _count(leads)
    done = bulk.carry_out(change, chosen[:MOST], request.user, now)
    if not done.leads:
        why = _("that is done already, or these leads are not in the list any more")
        messages.warning(request, _("Nothing to do: %(why)s.") % {"why": why})
        return
    said = [counted(action.done, done.leads)]
    if done.further:
        taken = ngettext("%(n)s sending was taken back.", "%(n)s sendings were taken back.", done.further)
        said.append(taken % {"n": f"{done.further:,}"})
    if len(chosen) > MOST:
        said.append(_("More match: do the same again for the next %(most)s.") % {"most": f"{MOST:,}"})
    elif left := matched - done.leads:
        alone = ngettext("%(n)s was left alone.", "%(n)s were left alone.", left)
        said.append(alone % {"n": f"{left:,}"})
    messages.success(request, " ".join(said))


def _ask(
    page: Any, request: HttpRequest, leads: QuerySet[Any], action: Action, form: forms.Form | None, back: str
) -> HttpResponse | None:
    chosen = _keys(leads.filter(action.takes))
    left = _count(leads.filter(~action.takes))
    if not chosen:
        why = action.left_out if left else _("not in the list any more")
        messages.warning(request, _("Nothing to do: %(why)s.") % {"why": why})
        return None
    count = min(len(chosen), MOST)
    deed = counted(action.deed, count)
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "media": page.media,
        "title": _("%(deed)s?") % {"deed": deed},
        "button": deed,
        "effect": action.effect,
        "left": str(Count.at_least(MOST) if left > MOST else Count(left)) if left else "",
        "left_out": action.left_out,
        "most": f"{MOST:,}" if len(chosen) > MOST else "",
        "first": _sentences(chosen[:SHOWN]),
        "more": f"{count - SHOWN:,}" if count > SHOWN else "",
        "form": form,
        "back": back,
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/leads/lead/confirm.html", context)


def _keys(leads: QuerySet[Any]) -> list[UUID]:
    """The newest of these, and one more than can be done at once."""
    return list(leads.order_by(*NEWEST_FIRST).values_list("pk", flat=True)[: MOST + 1])


def _count(leads: QuerySet[Any]) -> int:
    """How many there are; of very many only that they are more than MOST."""
    return leads.order_by().values("pk")[: MOST + 1].count()


def _sentences(keys: Sequence[UUID]) -> list[str]:
    leads = Lead.objects.filter(pk__in=keys).select_related("offer").order_by(*NEWEST_FIRST)
    return [
        clip(lead.sentence, SENTENCE) for lead in leads.defer(*(name for name in HEAVY if "__" not in name))
    ]
