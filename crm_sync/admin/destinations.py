"""CRM connections: what they are, how they are, and which offers send there."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from crm_sync import connectors, delivery
from crm_sync import wording as words
from crm_sync.admin.pages import Page, tell
from crm_sync.connectors.base import Check
from crm_sync.forms import clear_input, destination_form, setting_input
from crm_sync.models import Delivery, Destination
from crm_sync.spec import Spec
from leads import ports
from leads.vault import MASK
from leads.wording import clip


@admin.register(Destination)
class DestinationAdmin(Page):
    buttons = {
        "test": "crm_sync.test_destination",
        "pause": "crm_sync.pause_destination",
        "resume": "crm_sync.pause_destination",
    }
    list_display = ("connection", "kind", "health", "waiting", "last_success")
    list_display_links = ("connection",)
    change_form_template = "admin/crm_sync/destination/change_form.html"
    change_list_template = "admin/crm_sync/destination/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Destination]:
        owed = Q(deliveries__state__in=[Delivery.State.WAITING, Delivery.State.LEASED])
        held = Q(deliveries__state=Delivery.State.HELD)
        found = super().get_queryset(request).select_related("state__paused_by")
        return found.annotate(owed=Count("deliveries", filter=owed), held=Count("deliveries", filter=held))

    # The list

    @admin.display(description="Name", ordering="name")
    def connection(self, obj: Destination) -> SafeString:
        return words.name_of(obj)

    @admin.display(description="Kind of CRM", ordering="connector")
    def kind(self, obj: Destination) -> str:
        return words.kind_of(obj)

    @admin.display(description="State", ordering="state__state")
    def health(self, obj: Destination) -> SafeString:
        return format_html(
            '<span class="health {}">{}</span>',
            obj.state.state,
            clip(words.connection_state(obj.state, timezone.now())),
        )

    @admin.display(description="Waiting", ordering="owed")
    def waiting(self, obj: Any) -> str:
        return f"{obj.owed:,}" + (f", and {obj.held:,} held" if obj.held else "")

    @admin.display(description="Last success", ordering="state__last_success_at")
    def last_success(self, obj: Destination) -> SafeString | str:
        return words.ago(obj.state.last_success_at)

    # Adding: first the kind, then what that kind needs

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        spec = _chosen(request)
        if spec or not self.has_add_permission(request):
            title = {"title": f"Add CRM connection: {spec.label}"} if spec else {}
            return super().add_view(request, form_url, {**(extra_context or {}), **title})
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Add CRM connection",
            "kinds": [connector.spec for connector in connectors.all()],
            "query": request.GET.copy(),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/crm_sync/destination/choose.html", context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        spec = _spec_of(obj) if obj else _chosen(request)
        if spec is None or (obj and not self.has_change_permission(request, obj)):
            return super().get_form(request, obj, change, **kwargs)
        return destination_form(spec)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        spec = _spec_of(obj) if obj else _chosen(request)
        if spec is None or (obj and not self.has_change_permission(request, obj)):
            return [(None, {"fields": ["name", "kind", "shown_settings", "max_in_flight"]})]
        form = destination_form(spec)
        inputs = [
            name
            for setting in spec.settings
            for name in (setting_input(setting), clear_input(setting))
            if name in form.base_fields
            and (name == setting_input(setting) or (obj and setting.name in obj.secrets))
        ]
        return [
            (None, {"fields": ["name", *inputs]}),
            ("Advanced", {"fields": ["max_in_flight"], "classes": ["collapse"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None or self.has_change_permission(request, obj) else ("kind", "shown_settings")

    @admin.display(description="Settings")
    def shown_settings(self, obj: Destination) -> str:
        lines = [f"{name}: {value}" for name, value in obj.settings.items()]
        return "\n".join([*lines, *(f"{name}: {MASK}" for name in obj.secrets)]) or "None"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # One of a kind that this version does not have can be looked at, no more.
        return super().has_change_permission(request, obj) and (obj is None or _spec_of(obj) is not None)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        tell(request, f"{obj.name} is saved. Test the connection, then choose which offers send to it.")
        return HttpResponseRedirect(_url(obj))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        tell(request, f"{obj.name} is saved.")
        return HttpResponseRedirect(_url(obj))

    # One connection

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
            now = timezone.now()
            context |= {
                "title": obj.name,
                "subtitle": None,
                "destination": obj,
                "kind": words.kind_of(obj),
                "spec": _spec_of(obj),
                "state": obj.state,
                "sentence": words.connection_state(obj.state, now),
                "advice": words.connection_advice(obj.state),
                "tested": words.ago(obj.state.checked_at),
                "last_success": words.ago(obj.state.last_success_at),
                "routes": _routes(obj) if request.user.has_perm("crm_sync.view_route") else None,
                "may": self.may(request),
                "may_add_route": request.user.has_perm("crm_sync.add_route"),
                "has_sendings": obj.deliveries.exists(),
                "may_delete_at_all": super().has_delete_permission(request, obj),
            }
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, add, change, form_url, obj)

    # Deleting

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # What was sent, and what the CRM said, is evidence; it would go with the connection.
        return super().has_delete_permission(request, obj) and (obj is None or not obj.deliveries.exists())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with a connection that has sent nothing yet, in words."""
        going = [
            [str(obj), [f"Sends to: {route}, with its field mapping" for route in obj.routes.all()]]
            for obj in objs
        ]
        routes = sum(len(children) for _, children in going)
        counts = {"CRM connections": len(going)} | ({"Sends to": routes} if routes else {})
        return going, counts, set(), []

    # The buttons

    def press_test(self, request: HttpRequest, obj: Destination) -> HttpResponse:
        result = _check(obj)
        level = messages.SUCCESS if result.ok else messages.ERROR
        tell(request, " ".join(result.findings) or "Nothing was found wrong.", level)
        ports.ring()  # one that was stopped and works again has leads to send
        return HttpResponseRedirect(_url(obj))

    def press_pause(self, request: HttpRequest, obj: Destination) -> HttpResponse:
        reason = request.POST.get("reason", "").strip()[:500]
        delivery.pause(obj, request.user, at=delivery.now(), reason=reason)
        self.log_change(request, obj, "Paused.")
        tell(request, f"{obj.name} is paused. Leads wait until somebody resumes it.")
        return HttpResponseRedirect(_url(obj))

    def press_resume(self, request: HttpRequest, obj: Destination) -> HttpResponse:
        delivery.resume(obj, at=delivery.now())
        ports.ring()
        self.log_change(request, obj, "Resumed.")
        tell(request, f"{obj.name} sends again: what waited goes out now.")
        return HttpResponseRedirect(_url(obj))


def _check(destination: Destination) -> Check:
    if _spec_of(destination) is None:
        return Check(ok=False, findings=(f"This version has no connector “{destination.connector}”.",))
    return delivery.check(destination, at=delivery.now())


def _chosen(request: HttpRequest) -> Spec | None:
    slug = request.GET.get("connector", "")
    return connectors.get(slug).spec if slug in connectors.REGISTRY else None


def _spec_of(destination: Destination) -> Spec | None:
    try:
        return destination.spec
    except connectors.UnknownConnector:
        return None


def _url(destination: Destination) -> str:
    return reverse("admin:crm_sync_destination_change", args=[destination.pk])


def _routes(destination: Destination) -> list[tuple[Any, str]]:
    routes = destination.routes.select_related("offer", "destination")
    return [(route, words.mapping_state(route)) for route in routes]
