"""The connection that new offers send to, and one press that publishes its mapping for all of them.

A partner manager added forty offers, or an administrator said where new ones shall send. Nothing is sent before
somebody has published a field mapping; so this page asks, in plain words, whether each of them shall use the rows of
the connection as they are. Offers that somebody has begun to map stay with whoever began.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import publishing
from crm_sync import wording as words
from crm_sync.admin import worked_in
from crm_sync.admin.mapping_page import PUBLISH
from crm_sync.admin.pages import tell
from crm_sync.mapping import unmapped_required
from crm_sync.models import Destination, MappingVersion, Route
from leads.models import Offer
from leads.ports import Notice
from leads.wording import clip

SHOWN = 50


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The page's address, below the connection's."""
    view = page.admin_site.admin_view(partial(publish_for_all, page))
    return [path("<int:pk>/publish-for-all/", view, name="crm_sync_destination_publish_for_all")]


def take_over(request: HttpRequest, destination: Destination) -> None:
    """Before a connection is saved that new offers send to: there is one at most, and the last that was said counts."""
    if not destination.for_new_offers:
        return
    for other in destination.take_new_offers():
        said = _("New offers send to %(crm)s from now on, and no longer to %(other)s.")
        tell(request, said % {"crm": destination.name, "other": other})


def connect(request: HttpRequest, offers: Sequence[Offer]) -> Iterator[Notice]:
    """Let new offers send to the connection that is meant for them, if there is one; tells so."""
    destination = Destination.objects.filter(for_new_offers=True).defer("secrets").first()
    if destination is None or not offers:
        return
    Route.objects.bulk_create(Route(offer=offer, destination=destination) for offer in offers)
    said = ngettext(
        "It sends to %(crm)s. Its leads wait until a field mapping is published.",
        "They send to %(crm)s. Their leads wait until a field mapping is published.",
        len(offers),
    )
    url = reverse("admin:crm_sync_destination_publish_for_all", args=[destination.pk])
    link = (
        _("Publish the rows of %(crm)s for them")
        if len(offers) > 1
        else _("Publish the rows of %(crm)s for it")
    )
    name = {"crm": clip(destination.name, 60)}
    yield Notice("step", said % name, url if may_publish(request) else "", link % name)


def may_publish(request: HttpRequest) -> bool:
    """Whether this user may publish the mapping of an offer."""
    return request.user.has_perms((PUBLISH, "crm_sync.change_route"))


def unpublished(destination: Destination) -> QuerySet[Route]:
    """The routes to a connection that nobody has mapped, or begun to."""
    versions = MappingVersion.objects.filter(route=OuterRef("pk"))
    routes = Route.objects.filter(~Exists(versions), destination=destination)
    return routes.select_related("offer", "destination").order_by("offer__title", "pk")


def publish_for_all(page: admin.ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Which offers, which rows, and the button."""
    if request.method not in {"GET", "POST"}:
        return HttpResponseNotAllowed(["GET", "POST"])
    if not may_publish(request):
        raise PermissionDenied
    destination = get_object_or_404(Destination.objects.defer("secrets"), pk=pk)
    spec = words.spec_of(destination)
    if spec is None:
        tell(
            request,
            _("This version has no connector of that kind: nothing can be published."),
            messages.ERROR,
        )
        return HttpResponseRedirect(_url(request, destination))
    if request.method == "POST":
        return _publish(page, request, destination)
    return _show(page, request, destination)


def _show(page: admin.ModelAdmin, request: HttpRequest, destination: Destination) -> HttpResponse:
    spec = destination.spec_in_words
    routes = list(unpublished(destination))
    live = destination.live_mapping
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "media": page.media,
        "title": _("Publish for every new offer: %(crm)s") % {"crm": clip(destination.name, 80)},
        "destination": destination,
        "back": _url(request, destination),
        "mapping_url": words.mapping_url(destination) if request.user.has_perm(SEES) else "",
        "rows": f"{destination.name} {live}" if live else _("what %(kind)s suggests") % {"kind": spec.label},
        "missing": unmapped_required(destination.default_rules(), spec.fields),
        "routes": routes[:SHOWN],
        "more": max(0, len(routes) - SHOWN),
        "count": len(routes),
        "chosen": ",".join(str(route.pk) for route in routes),
        **worked_in.question(request, [route.offer for route in routes]),
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/crm_sync/destination/publish_for_all.html", context)


SEES = "crm_sync.view_destination"


@transaction.atomic
def _publish(page: admin.ModelAdmin, request: HttpRequest, destination: Destination) -> HttpResponse:
    asked = {int(number) for number in request.POST.get("chosen", "").split(",") if number.isdecimal()}
    # Locked: whoever begins to map one of them at this moment comes before or after, not in between.
    routes = [
        route for route in unpublished(destination).select_for_update(of=("self",)) if route.pk in asked
    ]
    worked_in.decide(page, request, [route.offer for route in routes])
    for route in routes:
        publishing.publish_rules(route, (), timezone.now(), request.user)
        log = f"Published the inherited rows for {clip(route.offer.title, 80)}."
        page.log_change(request, destination, log)
    said = ngettext(
        "Published for %(number)s offer: its leads go to %(crm)s from now on.",
        "Published for %(number)s offers: their leads go to %(crm)s from now on.",
        len(routes),
    )
    tell(request, said % {"number": len(routes), "crm": destination.name})
    if any(route.waiting_leads().exists() for route in routes):
        tell(
            request,
            _("Leads came before: the page of each offer asks whether they shall go too."),
            messages.WARNING,
        )
    return HttpResponseRedirect(_url(request, destination))


def _url(request: HttpRequest, destination: Destination) -> str:
    if request.user.has_perm(SEES):
        return reverse("admin:crm_sync_destination_change", args=[destination.pk])
    return reverse("admin:leads_offer_changelist")


def context(request: HttpRequest, destination: Any) -> dict[str, Any]:
    """For the page of a connection: how many offers wait for a mapping."""
    if not may_publish(request):
        return {}
    return {
        "unpublished": unpublished(destination).order_by()[: SHOWN + 1].count(),
        "most_unpublished": SHOWN,
    }
