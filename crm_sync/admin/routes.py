"""One route: which leads of an offer go to a CRM connection, and what becomes of their fields."""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from crm_sync import delivery, publishing, routing
from crm_sync import wording as words
from crm_sync.admin.pages import Page, back, require, tell
from crm_sync.forms import EXTRA_ROWS, NewRouteForm, RouteForm, editable_rules, rule_formset
from crm_sync.mapping import Applied, Rule, apply, compose, unmapped_required
from crm_sync.models import Delivery, FieldRule, MappingVersion, Route
from leads import ports
from leads.models import Lead, Offer
from leads.wording import clip

SHOWN_WAITING = 8
SHOWN_LEADS = 6
CHANGE_ROWS = "crm_sync.change_fieldrule"
PUBLISH = "crm_sync.publish_mappingversion"
SEND_WAITING = "crm_sync.send_waiting_delivery"


class RuleInline(admin.options.InlineModelAdmin):
    """The rows of the mapping on the page of the route.

    They belong to a version, not to the route, so there is no foreign key to make a formset from: `RuleFormSet`
    stands in for one, and Django's checks of the foreign key do not apply.
    """

    model = FieldRule
    template = "admin/crm_sync/route/rows.html"
    checks_class = admin.checks.BaseModelAdminChecks

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        return rule_formset(_prefilled(request, obj))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [(None, {"fields": []})]

    # Who may change rows may add and remove them: they are one draft.

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(CHANGE_ROWS)

    has_change_permission = has_delete_permission = has_view_permission = has_add_permission


def _prefilled(request: HttpRequest, route: Route | None) -> Rule | None:
    """The inherited rule that somebody wants to change for this route: a new row begins as its copy."""
    target = request.GET.get("change")
    rules = route.destination.default_rules() if route and target else ()
    return next((rule for rule in rules if rule.target == target), None)


@admin.register(Route)
class RouteAdmin(Page):
    buttons = {
        "send_waiting": SEND_WAITING,
        "from_now_on": SEND_WAITING,
        "discard": CHANGE_ROWS,
        "retry_held": "crm_sync.retry_delivery",
    }
    inlines = [RuleInline]
    list_display = ("from_to", "on", "mapping")
    list_display_links = ("from_to",)
    list_select_related = ("offer", "destination")
    change_form_template = "admin/crm_sync/route/change_form.html"
    change_list_template = "admin/crm_sync/route/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Route]:
        return super().get_queryset(request).select_related("offer", "destination")

    # The list, which nothing but a deleted route leads to

    @admin.display(description="Sends")
    def from_to(self, obj: Route) -> str:
        return str(obj)

    @admin.display(description="On", boolean=True)
    def on(self, obj: Route) -> bool:
        return obj.enabled

    @admin.display(description="Field mapping")
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
        return [("Which leads", {"fields": first}), ("Advanced", advanced)]

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        # A new route has no rows yet: which fields there are depends on the connection.
        editable = obj and self.has_change_permission(request, obj) and request.user.has_perm(CHANGE_ROWS)
        return super().get_inline_instances(request, obj) if editable else []

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(user=request.user)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(
            request, form_url, {"title": "Send an offer's leads to a CRM", **(extra_context or {})}
        )

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        tell(
            request,
            "Leads wait until the field mapping is published. Look at what will be sent, then publish.",
        )
        return HttpResponseRedirect(words.route_url(obj.pk))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        url = words.route_url(obj.pk)
        if "_publish" in request.POST:
            return self._publish(request, obj)
        if "_preview" in request.POST:
            return HttpResponseRedirect(f"{url}?preview=newest#preview")
        if target := request.POST.get("_change_inherited"):
            return HttpResponseRedirect(f"{url}?{urlencode({'change': target})}#new-row")
        tell(request, "Saved as a draft: what is live has not changed." if obj.draft else "Saved.")
        return HttpResponseRedirect(url)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        # Before anything is saved: who may not publish must not find a draft saved by the attempt.
        if request.method == "POST" and "_publish" in request.POST:
            require(request, PUBLISH)
        return super().change_view(request, object_id, form_url, extra_context)

    def _publish(self, request: HttpRequest, route: Route) -> HttpResponse:
        url = words.route_url(route.pk)
        live = route.live_mapping
        if live and not live.broken and route.draft is None:
            tell(request, f"Nothing to publish: {live} is live and the draft does not differ.", messages.INFO)
            return HttpResponseRedirect(url)
        draft = publishing.draft_of(route, request.user)
        note = request.POST.get("note", "").strip()[:200]
        released = publishing.publish(draft, timezone.now(), request.user, note)
        self.log_change(request, route, f"Published the field mapping {draft}. {note}".strip())
        held = f" {words.count(released, 'lead')} that it held {'goes' if released == 1 else 'go'} out now."
        tell(
            request, f"Published: {draft} is live.{held if released else ' It applies to leads from now on.'}"
        )
        transaction.on_commit(ports.ring)  # the admin saves a page in one transaction
        return HttpResponseRedirect(f"{url}#question" if question(route) else url)

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
        going = [[str(obj), [f"Field mapping {version}" for version in obj.mappings.all()]] for obj in objs]
        return going, {"Sends to": len(going)}, set(), []

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        tell(request, f"{obj_display} is gone: leads of the offer are no longer sent there.")
        return HttpResponseRedirect(reverse("admin:crm_sync_route_changelist"))

    # The buttons

    def press_send_waiting(self, request: HttpRequest, route: Route) -> HttpResponse:
        asked = question(route)
        here = f"{words.route_url(route.pk)}#question"
        if asked is None:
            tell(request, "No lead waits for this route.", messages.INFO)
            return back(request, here)
        if str(asked.count) != request.POST.get("count"):
            waiting = words.count(asked.count, "lead waits", "leads wait")
            tell(request, f"By now {waiting}. Look again, then press once more.", messages.WARNING)
            return HttpResponseRedirect(here)
        sent = routing.send_waiting(route, timezone.now())
        ports.ring()
        self.log_change(request, route, f"Sent {words.count(sent, 'waiting lead')}.")
        tell(request, f"{words.count(sent, 'lead is', 'leads are')} on the way to {route.destination}.")
        return back(request, words.route_url(route.pk))

    def press_from_now_on(self, request: HttpRequest, route: Route) -> HttpResponse:
        routing.from_now_on(route, timezone.now())
        self.log_change(request, route, "From now on: earlier leads are not sent.")
        tell(request, "From now on: the leads of before are kept here and not sent.")
        return back(request, words.route_url(route.pk))

    def press_retry_held(self, request: HttpRequest, route: Route) -> HttpResponse:
        oldest = _held(route).order_by("created_at", "pk").values_list("pk", flat=True)[:1]
        if delivery.retry(list(oldest), at=delivery.now()):
            ports.ring()
            tell(request, "One lead is tried again now. If it gets through, the others follow by themselves.")
        else:
            tell(request, "The field mapping holds no lead.", messages.INFO)
        return HttpResponseRedirect(words.route_url(route.pk))

    def press_discard(self, request: HttpRequest, route: Route) -> HttpResponse:
        if not self.has_change_permission(request, route):
            raise PermissionDenied
        MappingVersion.objects.filter(route=route, state=MappingVersion.State.DRAFT).delete()
        tell(request, "The draft is thrown away.")
        return HttpResponseRedirect(words.route_url(route.pk))


# --- What the page shows -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """Leads wait for a route that could send them: they are sent, or stay, at a person's word."""

    count: int
    first: list[Lead]
    more: int


def question(route: Route) -> Question | None:
    """The question that stands open for a route; None while there is nothing to ask."""
    if not route.enabled or not route.offer.enabled or route.live_mapping is None:
        return None
    waiting = route.waiting_leads()
    count = waiting.count()
    if not count:
        return None
    first = list(waiting.select_related("offer", "submission").order_by("-received_at")[:SHOWN_WAITING])
    return Question(count, first, count - len(first))


def _held(route: Route) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        route=route, state=Delivery.State.HELD, held_reason=Delivery.Held.MAPPING_BROKEN
    )


def _page(request: HttpRequest, route: Route, may: dict[str, bool]) -> dict[str, Any]:
    spec, live, draft = route.destination.spec, route.live_mapping, route.draft
    own, inherited = editable_rules(route), route.destination.default_rules()
    sees_leads = request.user.has_perm("leads.view_lead")
    return {
        "title": str(route),
        "subtitle": None,
        "route": route,
        "spec": spec,
        "live": live,
        "draft": draft,
        "mapping_state": words.mapping_state(route),
        "own_rows": [words.row(rule, spec) for rule in own],
        "inherited_rows": [words.row(rule, spec, own) for rule in inherited],
        "missing": unmapped_required(compose(own, inherited), spec.fields),
        "broken_url": words.route_url(route.pk, live.broken_field) if live and live.broken else "",
        "held": _held(route).count(),
        "question": question(route),
        "waiting_unpublished": route.waiting_leads().count() if live is None else 0,
        "preview": _preview(route, request.GET["preview"])
        if sees_leads and "preview" in request.GET
        else None,
        "sees_leads": sees_leads,
        "may": may,
        "may_publish": request.user.has_perm(PUBLISH) and request.user.has_perm("crm_sync.change_route"),
        "sees_connection": request.user.has_perm("crm_sync.view_destination"),
        "has_sendings": route.deliveries.exists(),
        "extra_rows": EXTRA_ROWS,
        "demo": route.destination.is_demo,
    }


@dataclass(frozen=True)
class Preview:
    """What the mapping makes of one lead. Nothing is sent."""

    lead: Lead
    rows: list[tuple[str, str, str]]
    problems: list[tuple[str, str]]
    left_out: list[str]
    others: list[Lead]


def _preview(route: Route, wanted: str) -> Preview | None:
    """The record that a lead would give with the rows as they are saved, draft or live."""
    leads = Lead.objects.filter(offer=route.offer).select_related("offer").order_by("is_test", "-received_at")
    recent = list(leads[:SHOWN_LEADS])
    lead = next((lead for lead in recent if str(lead.pk) == wanted), recent[0] if recent else None)
    if lead is None:
        return None
    own = editable_rules(route)
    applied = apply(compose(own, route.destination.default_rules()), lead.values())
    labels = {target.name: target.label for target in route.destination.spec.fields}
    return Preview(
        lead=lead,
        rows=[
            (labels.get(target, target), clip(_shown(value), 400), _origin(applied, target, len(own)))
            for target, value in applied.record.items()
        ],
        problems=[
            (labels.get(problem.target, problem.target), problem.message) for problem in applied.problems
        ],
        left_out=[labels.get(target, target) for target in applied.used if target not in applied.record],
        others=[other for other in recent if other.pk != lead.pk],
    )


def _origin(applied: Applied, target: str, own: int) -> str:
    index = applied.used[target]
    return f"Row {index + 1}" if index < own else "Inherited"


def _shown(value: object) -> str:
    return "yes" if value is True else "no" if value is False else str(value)


# --- On the offer's page -------------------------------------------------------------------------------------


def offer_panel(request: HttpRequest, offer: Offer) -> SafeString:
    """Where the leads of an offer go."""
    if not request.user.has_perm("crm_sync.view_route"):
        return SafeString("")
    routes = Route.objects.filter(offer=offer).select_related("offer", "destination__state")
    now = timezone.now()
    context = {
        "offer": offer,
        "routes": [
            {
                "route": route,
                "url": words.route_url(route.pk),
                "name": words.name_of(route.destination),
                "mapping": words.mapping_state(route),
                "broken": bool((live := route.live_mapping) and live.broken),
                "state": route.destination.state,
                "health": words.connection_state(route.destination.state, now),
                "owed": route.deliveries.owed().count(),
                "unsent": route.waiting_leads().count(),
                "question": live is not None and offer.enabled and route.enabled,
            }
            for route in routes
        ],
        "may_add": request.user.has_perm("crm_sync.add_route"),
        "waiting": Lead.objects.filter(offer=offer, is_test=False).count() if not routes else 0,
    }
    return render_to_string("admin/crm_sync/offer_panel.html", context, request)
