"""The dry run of one lead: somebody doubts what a CRM would get, and came to see the exact request before it goes.

So the page says first that nothing was sent, then what stands in the way if no request can be made, then the request
to the letter, secrets masked.
"""

from collections.abc import Collection
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from crm_sync import connectors, trial
from crm_sync import wording as words
from crm_sync.admin import tries
from crm_sync.admin.pages import require
from crm_sync.models import Delivery, Route
from crm_sync.personal_data import Discretion
from crm_sync.recorder import MASK
from leads.models import Lead
from leads.wording import as_text, clip


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The page's address, below the route's."""
    view = page.admin_site.admin_view(partial(show, page))
    return [path("<int:pk>/request/<uuid:lead>/", view, name="crm_sync_route_request")]


def url_of(route_id: int, lead_id: UUID) -> str:
    return reverse("admin:crm_sync_route_request", args=[route_id, lead_id])


def may(request: HttpRequest) -> bool:
    return request.user.has_perms([tries.SEES_TRIES, "leads.view_lead"])


def links(request: HttpRequest, lead: Lead, known: Collection[int]) -> list[tuple[str, str]]:
    """The routes of a lead's offer along which it was never sent: name and address of the dry run."""
    if not may(request):
        return []
    routes = Route.objects.filter(offer=lead.offer_id).exclude(pk__in=known).select_related("destination")
    return [
        (route.destination.name, url_of(route.pk, lead.pk)) for route in routes.defer("destination__secrets")
    ]


def show(page: admin.ModelAdmin, request: HttpRequest, pk: int, lead: UUID) -> HttpResponse:
    """The exact request of a lead along a route. Sends nothing and changes nothing."""
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    require(request, tries.SEES_TRIES)
    require(request, "leads.view_lead")
    route = get_object_or_404(Route.objects.select_related("offer", "destination__state"), pk=pk)
    found = get_object_or_404(Lead.objects.select_related("offer"), pk=lead, offer=route.offer_id)
    sending = Delivery.objects.filter(route=route, lead=found).first()
    discreet = tries.discretion(request, found)
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": _("What %(crm)s would get for %(who)s")
        % {"crm": route.destination, "who": clip(found.who, 80)},
        "media": page.media,
        "route": route,
        "lead": found,
        "sending": sending,
        "sending_url": reverse("admin:crm_sync_delivery_change", args=[sending.pk])
        if sending and request.user.has_perm("crm_sync.view_delivery")
        else "",
        "published": route.live_mapping is not None,
        **_run(route, found, sending, discreet),
        **tries.who_sees(masked=discreet is not None),
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/crm_sync/route/request.html", context)


def _run(route: Route, lead: Lead, sending: Delivery | None, discreet: Discretion | None) -> dict[str, Any]:
    try:
        labels = {target.name: target.label for target in route.destination.spec_in_words.fields}
    except connectors.UnknownConnector as error:
        return {"error": str(error)}
    without = sending.without if sending else []
    run = trial.dry_run(route, lead, without=without)
    exchanges = [exchange.as_dict() for exchange in run.requests]
    return {
        "problems": [
            (labels.get(problem.target, problem.target), _hidden(problem.message, discreet), problem.target)
            for problem in run.problems
        ],
        "mapping_url": words.mapping_url(route),
        "exchanges": [discreet.exchange(each) for each in exchanges] if discreet else exchanges,
        "rows": record_rows(run.record, labels, discreet),
        "without": without,
        "error": run.error,
    }


def _hidden(text: str, discreet: Discretion | None) -> str:
    return discreet.text(text) if discreet else text


def record_rows(
    record: dict[str, Any], labels: dict[str, str], discreet: Discretion | None = None
) -> list[tuple[str, str]]:
    """A record for reading: the CRM's label of each field, and its value."""
    return [
        (labels.get(name, name), MASK if discreet else clip(as_text(value), 400))
        for name, value in record.items()
    ]
