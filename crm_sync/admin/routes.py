"""One route: which leads of an offer go to a CRM connection, and what waits for a person's decision.

What becomes of their fields is the field mapping's page.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_sync import by_hand, clock, connection_words, routing
from crm_sync import wording as words
from crm_sync.admin import dry_runs, mapping_editor, mapping_sources, mapping_versions
from crm_sync.admin.mapping_page import held, may_change, troubles
from crm_sync.admin.pages import Page, back, tell
from crm_sync.admin.waiting import question
from crm_sync.forms import NewRouteForm, RouteForm
from crm_sync.mapping import unmapped_required
from crm_sync.mapping_owner import Owner
from crm_sync.models import Delivery, Route
from leads import counting, ports

CAP = 10_000  # sendings counted for a page
SEND_WAITING = "crm_sync.send_waiting_delivery"


@admin.register(Route)
class RouteAdmin(Page):
    buttons = {
        "send_waiting": SEND_WAITING,
        "from_now_on": SEND_WAITING,
        "retry_held": "crm_sync.retry_delivery",
    }
    list_display = ("from_to", "on", "mapping")
    list_display_links = ("from_to",)
    list_select_related = ("offer", "destination")
    change_form_template = "admin/crm_sync/route/change_form.html"
    change_list_template = "admin/crm_sync/route/change_list.html"

    def get_urls(self) -> list[URLPattern]:
        return [
            *dry_runs.urls(self),
            *mapping_editor.urls(self),
            *mapping_versions.urls(self),
            *mapping_sources.urls(self),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Route]:
        return super().get_queryset(request).select_related("offer", "destination")

    # The list, which nothing but a deleted route leads to

    @admin.display(description=gettext_lazy("Sends"))
    def from_to(self, obj: Route) -> str:
        return str(obj)

    @admin.display(description=gettext_lazy("On"), boolean=True)
    def on(self, obj: Route) -> bool:
        return obj.enabled

    @admin.display(description=gettext_lazy("Field mapping"))
    def mapping(self, obj: Route) -> str:
        return words.mapping_state(obj)

    # The form

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj and not self.has_change_permission(request, obj):
            return super().get_form(request, obj, change, **kwargs)
        return RouteForm if obj else NewRouteForm

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj and not self.has_change_permission(request, obj):
            return [(None, {"fields": ["enabled", "only_actions", "needs_approval"]})]
        conditions = ["enabled", "actions"]
        first = conditions if obj else ["offer", "destination", *conditions]
        advanced = {"fields": ["other_actions", "needs_approval"], "classes": ["collapse"]}
        return [(_("Which leads"), {"fields": first}), (_("Advanced"), advanced)]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(
            request, form_url, {"title": _("Send an offer's leads to a CRM"), **(extra_context or {})}
        )

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        tell(
            request,
            _("Leads wait until the field mapping is published. Look at what will be sent, then publish."),
        )
        return HttpResponseRedirect(words.mapping_url(obj))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        tell(request, _("Saved."))
        return HttpResponseRedirect(words.route_url(obj.pk))

    # The page

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None and obj.pk:
            context |= _page(request, obj, self.may(request))
            context["may_delete_at_all"] = super().has_delete_permission(request, obj)
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, add, change, form_url, obj)

    # Deleting

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # What was sent hangs on the route, and is evidence.
        return super().has_delete_permission(request, obj) and (obj is None or not obj.deliveries.exists())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        along = _("Field mapping %(version)s")
        going = [[str(obj), [along % {"version": each} for each in obj.mappings.all()]] for obj in objs]
        return going, {_("Sends to"): len(going)}, set(), []

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        said = _("%(route)s is gone: leads of the offer are no longer sent there.")
        tell(request, said % {"route": obj_display})
        return HttpResponseRedirect(reverse("admin:crm_sync_route_changelist"))

    # The buttons

    def press_send_waiting(self, request: HttpRequest, route: Route) -> HttpResponse:
        asked = question(route)
        here = f"{words.route_url(route.pk)}#question"
        if asked is None:
            tell(request, _("No lead waits for this route."), messages.INFO)
            return back(request, here)
        if str(asked.count) != request.POST.get("count"):
            said = ngettext(
                "By now %(number)s lead waits. Look again, then press once more.",
                "By now %(number)s leads wait. Look again, then press once more.",
                asked.count,
            )
            tell(request, said % {"number": f"{asked.count:,}"}, messages.WARNING)
            return HttpResponseRedirect(here)
        made = routing.send_waiting(route, timezone.now())
        ports.ring()
        leads = "lead" if made.sent == 1 else "leads"
        self.log_change(request, route, f"Sent {made.sent:,} waiting {leads}, {made.held:,} held.")
        tell(request, " ".join(_became(made, route)))
        return back(request, words.route_url(route.pk))

    def press_from_now_on(self, request: HttpRequest, route: Route) -> HttpResponse:
        routing.from_now_on(route, timezone.now())
        self.log_change(request, route, "From now on: earlier leads are not sent.")
        tell(request, _("From now on: the leads of before are kept here and not sent."))
        return back(request, words.route_url(route.pk))

    def press_retry_held(self, request: HttpRequest, route: Route) -> HttpResponse:
        oldest = held(route).order_by("created_at", "pk").values_list("pk", flat=True)[:1]
        if by_hand.retry(list(oldest), at=clock.now()):
            ports.ring()
            tell(
                request,
                _("One lead is tried again now. If it gets through, the others follow by themselves."),
            )
        else:
            tell(request, _("The field mapping holds no lead."), messages.INFO)
        return HttpResponseRedirect(words.route_url(route.pk))


def _became(made: routing.Made, route: Route) -> Iterator[str]:
    """What the waiting leads became, in a sentence or two."""
    if made.sent or not made.held:
        said = ngettext(
            "%(number)s lead is on the way to %(crm)s.",
            "%(number)s leads are on the way to %(crm)s.",
            made.sent,
        )
        yield said % {"number": f"{made.sent:,}", "crm": route.destination}
    if made.held:
        said = ngettext("%(number)s lead is held.", "%(number)s leads are held.", made.held)
        yield said % {"number": f"{made.held:,}"}


# --- What the page shows -------------------------------------------------------------------------------------


def _approvals(request: HttpRequest, route: Route) -> dict[str, Any] | None:
    """What waits for a person's word along this route."""
    if not request.user.has_perm("crm_sync.view_delivery"):
        return None
    held = Delivery.objects.filter(route=route, held_reason=Delivery.Held.APPROVAL)
    count = held.order_by()[: CAP + 1].count()
    if not count and not route.needs_approval:
        return None
    query: dict[str, Any] = {
        "destination": route.destination_id,
        "offer": route.offer_id,
        "held_reason": Delivery.Held.APPROVAL,
    }
    url = f"{reverse('admin:crm_sync_delivery_changelist')}?{urlencode(query)}"
    return {"count": words.capped(count, CAP), "some": bool(count), "url": url}


def _page(request: HttpRequest, route: Route, may: dict[str, bool]) -> dict[str, Any]:
    owner, live = Owner(route), route.live_mapping
    spec = words.spec_of(route.destination)
    return {
        "title": str(route),
        "subtitle": None,
        "route": route,
        "spec": spec,
        "live": live,
        "mapping_state": words.mapping_state(route),
        "mapping_url": words.mapping_url(route) if spec else "",
        "troubles": troubles(request, owner),
        "missing": unmapped_required(owner.whole(owner.rules), spec.fields) if spec else [],
        "held": held(route).count(),
        "approvals": _approvals(request, route),
        "question": question(route),
        "waiting_unpublished": counting.up_to_most(route.waiting_leads()) if live is None else 0,
        "sees_leads": request.user.has_perm("leads.view_lead"),
        "may": may,
        "may_edit_rows": may_change(request, owner),
        "standing": connection_words.connection_standing(route.destination.state),
        "sees_connection": request.user.has_perm("crm_sync.view_destination"),
        "has_sendings": route.deliveries.exists(),
        "demo": route.destination.is_demo,
    }
