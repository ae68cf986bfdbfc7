"""What the pages of offers show of where their leads go: a panel on the page, a column on the list."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_sync import connection_words
from crm_sync import wording as words
from crm_sync.admin import tries
from crm_sync.admin.mapping_page import troubles
from crm_sync.mapping_owner import Owner
from crm_sync.models import Delivery, Route
from leads import counting
from leads.models import Lead, Offer
from leads.wording import clip

CAP = 10_000  # sendings counted for a page
_State = Delivery.State


class SendsToColumn:
    """Where the leads of an offer go, and which field mapping is to be mended before they fail."""

    short_description: Any = gettext_lazy("sends to")
    prefetch: Sequence[str] = ("routes__destination", "routes__mappings")
    permission = "crm_sync.view_route"

    def __call__(self, offer: Offer) -> str | SafeString:
        lines = ((clip(str(route.destination), 60), self._trouble(route)) for route in offer.routes.all())
        return format_html_join(SafeString("<br>"), "{} {}", lines) or _("No CRM yet")

    def _trouble(self, route: Route) -> SafeString | str:
        live = next((v for v in route.mappings.all() if v.state == v.State.PUBLISHED), None)
        if live is None:
            return _("(not published)")
        if live.broken:
            return format_html(
                '<a href="{}">{}</a>', words.row_url(route.pk, live.broken_field), _("field mapping broken")
            )
        if live.doubt:
            return format_html(
                '<a href="{}">{}</a>',
                words.row_url(route.pk, live.doubt_field),
                _("field mapping no longer fits"),
            )
        return ""


def _entry(request: HttpRequest, route: Route) -> dict[str, Any]:
    """One connection of an offer, with a state of its own: that another one works says nothing of it."""
    owner, state = Owner(route), tries.connection(request, route.destination.state)
    return {
        "route": route,
        "url": words.route_url(route.pk),
        "name": words.name_of(route.destination),
        "mapping": words.mapping_state(route),
        "mapping_url": words.mapping_url(route),
        "troubles": troubles(request, owner),
        "standing": connection_words.connection_standing(state),
        "health": connection_words.connection_state(state, timezone.now()),
        "last_success": connection_words.last_success(state),
        "connection_url": reverse("admin:crm_sync_destination_change", args=[route.destination_id])
        if request.user.has_perm("crm_sync.view_destination")
        else "",
        "counts": _counts(request, route),
        # Where counting takes too long, what the newest tell.
        "unsent": counting.count(route.waiting_leads(), at_least=route.newest_waiting_leads().count()),
        "question": owner.live is not None and route.offer.enabled and route.enabled,
    }


def _counts(request: HttpRequest, route: Route) -> list[tuple[str, str]]:
    """What has not arrived along a route: in words, and where it is listed."""
    url = (
        reverse("admin:crm_sync_delivery_changelist")
        if request.user.has_perm("crm_sync.view_delivery")
        else ""
    )
    found = []
    parts = (
        (_State.WAITING, _("%(number)s waiting")),
        (_State.REJECTED, _("%(number)s refused")),
        (_State.HELD, _("%(number)s held")),
    )
    for state, said in parts:
        count = route.deliveries.filter(state=state).order_by()[: CAP + 1].count()
        query: dict[str, Any] = {"destination": route.destination_id, "offer": route.offer_id, "state": state}
        if count:
            found.append((said % {"number": words.capped(count, CAP)}, url and f"{url}?{urlencode(query)}"))
    return found


def offer_panel(request: HttpRequest, offer: Offer) -> SafeString:
    """Where the leads of an offer go."""
    if not request.user.has_perm("crm_sync.view_route"):
        return SafeString("")
    routes = Route.objects.filter(offer=offer).select_related("offer", "destination__state__paused_by")
    context = {
        "offer": offer,
        "routes": [_entry(request, route) for route in routes.defer("destination__secrets")],
        "may_add": request.user.has_perm("crm_sync.add_route"),
        "waiting": counting.up_to_most(Lead.objects.filter(offer=offer, is_test=False)) if not routes else 0,
    }
    return render_to_string("admin/crm_sync/offer_panel.html", context, request)
