"""*Push again*: a lead has arrived, and somebody misses it in the CRM or is not sure.

So the page says first what a second push does there, which depends on how that kind of CRM knows its own again; then
shows the record as the field mapping of now makes it; and pushes once more, under the same key, when told to. A kind
that cannot tell a repeat would have the lead twice: there it says so instead.
"""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from crm_sync import by_hand, clock, connection_words, sending_words, trial
from crm_sync.admin import dry_runs, tries
from crm_sync.admin.pages import back, require, tell
from crm_sync.admin.retrying import NEEDED, RETRY, after_retry
from crm_sync.models import Delivery
from leads import ports
from leads.models import Offer
from leads.wording import clip


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The page's address, below the sending's."""
    view = page.admin_site.admin_view(partial(again, page))
    return [path("<int:pk>/again/", view, name="crm_sync_delivery_again")]


def url_of(sending: Delivery) -> str:
    return reverse("admin:crm_sync_delivery_again", args=[sending.pk])


def refusal(sending: Delivery) -> str:
    """Why what has arrived is not pushed again; "" where it can be."""
    name, offer = sending.destination.name, sending.lead.offer
    if sending.destination.connector not in by_hand.can_tell():
        return _(
            "It is not pushed again: %(name)s cannot tell a repeated push from a new lead, and would have it twice."
        ) % {"name": name}
    if sending.lead.action.casefold() == "dnc" and offer.dnc_policy != Offer.DncPolicy.PUSH:
        return _("It is not pushed again: the customer is not to be contacted.")
    return ""


def offered(request: HttpRequest, sending: Delivery) -> dict[str, str]:
    """For a template: where a click pushes it again, or why none does. Empty for who may not, and before it arrived."""
    if sending.state != sending.State.DELIVERED or not request.user.has_perm(RETRY):
        return {}
    why_not = refusal(sending)
    return {"again_refused": why_not} if why_not else {"again_url": url_of(sending)}


def again(page: admin.ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Asks first; then pushes what has arrived once more, under its key."""
    if request.method not in {"GET", "POST"}:
        return HttpResponseNotAllowed(["GET", "POST"])
    require(request, RETRY)
    sending = get_object_or_404(Delivery.objects.select_related(*NEEDED), pk=pk)
    there = reverse("admin:crm_sync_delivery_change", args=[pk])
    if why_not := _why_not(sending):
        tell(request, why_not, messages.WARNING)
        return back(request, there)
    if request.method == "GET":
        return _ask(page, request, sending)
    if by_hand.push_again([sending.pk], at=clock.now()):
        ports.ring()
        page.log_change(request, sending, "Pushed again.")
        tell(request, _after(sending))
    return back(request, there)


def _after(sending: Delivery) -> str:
    state = sending.destination.state
    if state.state in {state.State.PAUSED, state.State.STOPPED}:
        return after_retry(sending)
    return _("It goes to %(name)s once more now.") % {"name": sending.destination.name}


def _why_not(sending: Delivery) -> str:
    if sending.state == sending.State.DELIVERED:
        return refusal(sending)
    state = sending.get_state_display().lower()
    return _("Left alone: it has not arrived yet, it is %(state)s.") % {"state": state}


def _ask(page: admin.ModelAdmin, request: HttpRequest, sending: Delivery) -> HttpResponse:
    spec = sending.destination.spec_in_words
    labels = {target.name: target.label for target in spec.fields}
    run = trial.dry_run(sending.route, sending.lead, without=sending.without)
    context: dict[str, Any] = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "media": page.media,
        "title": _("Push %(who)s to %(name)s again?")
        % {"who": clip(sending.lead.who, 60), "name": clip(sending.destination.name, 60)},
        "sending": tries.discreetly(request, sending),
        "since": sending.settled_at,
        "record_url": sending_words.record_url(sending),
        "known_by": spec.idempotent_by,
        "advice": connection_words.connection_advice(sending.destination.state),
        "problems": [labels.get(problem.target, problem.target) for problem in run.problems],
        "rows": dry_runs.record_rows(run.record, labels, tries.discretion(request, sending.lead)),
        "url": reverse("admin:crm_sync_delivery_change", args=[sending.pk]),
        "lead_url": reverse("admin:leads_lead_change", args=[sending.lead_id])
        if request.user.has_perm("leads.view_lead")
        else "",
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/crm_sync/delivery/again.html", context)
