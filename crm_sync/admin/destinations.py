"""CRM connections.

Whoever opens one asks first: is it well? So its page says that in a sentence, then what waits and since when, then
what stands still and why, each with what mends it; the settings come last. The list answers the same for all of them.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_sync import clock, connection_words, connectors, health
from crm_sync import wording as words
from crm_sync.admin import (
    destination_page,
    destination_sample,
    mapping_editor,
    mapping_sources,
    mapping_versions,
    new_offers,
    tries,
)
from crm_sync.admin.mapping_page import troubles
from crm_sync.admin.pages import Page, tell
from crm_sync.connectors.base import Check
from crm_sync.forms import LIMITS, clear_input, destination_form, setting_input, stored_secrets
from crm_sync.mapping_owner import Owner
from crm_sync.models import Delivery, Destination
from crm_sync.spec import Spec
from leads import ports
from leads.vault import MASK
from leads.wording import clip

State = Delivery.State


@admin.register(Destination)
class DestinationAdmin(Page):
    buttons = {
        "test": "crm_sync.test_destination",
        "pause": "crm_sync.pause_destination",
        "resume": "crm_sync.pause_destination",
    }
    list_display_links = ("connection",)
    change_form_template = "admin/crm_sync/destination/change_form.html"
    change_list_template = "admin/crm_sync/destination/change_list.html"

    def get_urls(self) -> list[URLPattern]:
        return [
            *destination_sample.urls(self),
            *new_offers.urls(self),
            *mapping_editor.urls(self),
            *mapping_versions.urls(self),
            *mapping_sources.urls(self),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Destination]:
        return super().get_queryset(request).select_related("state__paused_by")

    # The list

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        return ("connection", "kind", _health(request), _waiting(), "last_success")

    @admin.display(description=gettext_lazy("Name"), ordering="name")
    def connection(self, obj: Destination) -> SafeString:
        return words.name_of(obj)

    @admin.display(description=gettext_lazy("Kind of CRM"), ordering="connector")
    def kind(self, obj: Destination) -> str:
        return words.kind_of(obj)

    @admin.display(description=gettext_lazy("Last success"), ordering="state__last_success_at")
    def last_success(self, obj: Destination) -> SafeString | str:
        return connection_words.last_success(obj.state)

    # Adding: first the kind, then what that kind needs

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        spec = _chosen(request)
        if spec or not self.has_add_permission(request):
            title = {"title": _("Add CRM connection: %(kind)s") % {"kind": spec.label}} if spec else {}
            return super().add_view(request, form_url, {**(extra_context or {}), **title})
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Add CRM connection"),
            "kinds": [connector.spec.in_words() for connector in connectors.all()],
            "query": request.GET.copy(),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/crm_sync/destination/choose.html", context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        spec = words.spec_of(obj) if obj else _chosen(request)
        if spec is None or (obj and not self.has_change_permission(request, obj)):
            return super().get_form(request, obj, change, **kwargs)
        return destination_form(spec)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        spec = words.spec_of(obj) if obj else _chosen(request)
        if spec is None or (obj and not self.has_change_permission(request, obj)):
            shown = ["name", "kind", "shown_settings", "for_new_offers", *LIMITS]
            return [(None, {"fields": shown})]
        form = destination_form(spec)
        # Under the credentials, where there are any that the CRM does not tell the end of.
        expiry = ["credentials_expire_on"] if spec.secret_names and not _told_expiry(obj) else []
        inputs = [
            name
            for setting in spec.settings
            for name in (setting_input(setting), clear_input(setting))
            if name in form.base_fields
            and (name == setting_input(setting) or (obj and setting.name in stored_secrets(obj)))
        ]
        return [
            (None, {"fields": ["name", *inputs, *expiry, "for_new_offers"]}),
            (_("Advanced"), {"fields": [*LIMITS], "classes": ["collapse"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None or self.has_change_permission(request, obj) else ("kind", "shown_settings")

    @admin.display(description=gettext_lazy("Settings"))
    def shown_settings(self, obj: Destination) -> str:
        lines = [f"{name}: {value}" for name, value in obj.settings.items()]
        return "\n".join([*lines, *(f"{name}: {MASK}" for name in stored_secrets(obj))]) or _("None")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # One of a kind that this version does not have can be looked at, no more.
        return super().has_change_permission(request, obj) and (obj is None or words.spec_of(obj) is not None)

    def save_model(self, request: HttpRequest, obj: Destination, form: Any, change: bool) -> None:
        new_offers.take_over(request, obj)
        super().save_model(request, obj, form, change)
        if change and form.settings_changed:
            health.forget_test(obj)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        said = _("%(crm)s is saved. Test the connection, then choose which offers send to it.")
        tell(request, said % {"crm": obj.name})
        return HttpResponseRedirect(_url(obj))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        tell(request, _("%(crm)s is saved.") % {"crm": obj.name})
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
            context |= destination_page.context(request, obj) | new_offers.context(request, obj)
            context |= {
                "title": obj.name,
                "subtitle": None,
                "destination": obj,
                "kind": words.kind_of(obj),
                "spec": words.spec_of(obj),
                "routes": _routes(request, obj) if request.user.has_perm("crm_sync.view_route") else None,
                "mapping": _default_mapping(request, obj),
                "may": self.may(request),
                "may_sample": request.user.has_perm(destination_sample.PERMISSION),
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
        along = _("Sends to: %(route)s, with its field mapping")
        going = [[str(obj), [along % {"route": route} for route in obj.routes.all()]] for obj in objs]
        routes = sum(len(children) for _obj, children in going)
        counts = {_("CRM connections"): len(going)} | ({_("Sends to"): routes} if routes else {})
        return going, counts, set(), []

    # The buttons

    def press_test(self, request: HttpRequest, obj: Destination) -> HttpResponse:
        result = _check(obj)
        level = messages.SUCCESS if result.ok else messages.ERROR
        tell(request, " ".join(result.findings) or _("Nothing was found wrong."), level)
        ports.ring()  # one that was stopped and works again has leads to send
        return HttpResponseRedirect(_url(obj))

    def press_pause(self, request: HttpRequest, obj: Destination) -> HttpResponse:
        reason = request.POST.get("reason", "").strip()[:500]
        health.pause(obj, request.user, at=clock.now(), reason=reason)
        self.log_change(request, obj, f"Paused. {reason}".strip())
        said = _("%(crm)s is paused. Leads wait until somebody presses Resume.")
        tell(request, said % {"crm": obj.name})
        return HttpResponseRedirect(_url(obj))

    def press_resume(self, request: HttpRequest, obj: Destination) -> HttpResponse:
        health.resume(obj, at=clock.now())
        ports.ring()
        self.log_change(request, obj, "Resumed.")
        tell(request, _("%(crm)s sends again: what waited goes out now.") % {"crm": obj.name})
        return HttpResponseRedirect(_url(obj))


def _check(destination: Destination) -> Check:
    if words.spec_of(destination) is None:
        missing = _("This version has no connector “%(connector)s”.") % {"connector": destination.connector}
        return Check(ok=False, findings=(missing,))
    return health.check(destination, at=clock.now())


def _chosen(request: HttpRequest) -> Spec | None:
    slug = request.GET.get("connector", "")
    return connectors.get(slug).spec.in_words() if slug in connectors.REGISTRY else None


def _told_expiry(destination: Destination | None) -> bool:
    """Whether the CRM itself tells when the credentials expire."""
    return destination is not None and destination_page.told_expiry(destination) is not None


def _health(request: HttpRequest) -> Callable[[Destination], SafeString]:
    """The column that says how each is, for this user's eyes."""

    @admin.display(description=gettext_lazy("State"), ordering="state__state")
    def health(obj: Destination) -> SafeString:
        said = connection_words.connection_state(tries.connection(request, obj.state), timezone.now())
        look = connection_words.connection_standing(obj.state).look
        return format_html('<span class="health {}">{}</span>', look, clip(said))

    return health


def _waiting() -> Callable[[Destination], str]:
    """The column of what is owed, counted once for the whole list."""
    told: list[destination_page.Counts] = []

    @admin.display(description=gettext_lazy("Waiting"))
    def waiting(obj: Destination) -> str:
        if not told:
            told.append(destination_page.counts((State.WAITING, State.LEASED, State.HELD, State.REJECTED)))
        parts = (
            (_("%(number)s waiting"), State.WAITING),
            (_("%(number)s on the way"), State.LEASED),
            (_("%(number)s held"), State.HELD),
            (_("%(number)s refused"), State.REJECTED),
        )
        named = [
            said % {"number": told[0].of(obj.pk, state)}
            for said, state in parts
            if told[0].some(obj.pk, state)
        ]
        return ", ".join(named) or _("None")

    return waiting


def _url(destination: Destination) -> str:
    return reverse("admin:crm_sync_destination_change", args=[destination.pk])


def _routes(request: HttpRequest, destination: Destination) -> list[dict[str, Any]]:
    """The offers that send here, each with the state of its field mapping and what is wrong with it."""
    routes = destination.routes.select_related("offer", "destination")
    return [
        {
            "route": route,
            "mapping": words.mapping_state(route),
            "troubles": troubles(request, Owner(route)),
        }
        for route in routes
    ]


def _default_mapping(request: HttpRequest, destination: Destination) -> dict[str, Any] | None:
    """The rows that every offer inherits: where, and in what state. None for a kind that this version does not have."""
    spec, live = words.spec_of(destination), destination.live_mapping
    if spec is None:
        return None
    suggested = _("Nothing published yet: what %(kind)s suggests") % {"kind": spec.label}
    return {
        "url": words.mapping_url(destination),
        "state": words.mapping_state(destination) if live or destination.draft else suggested,
        "troubles": troubles(request, Owner(destination)),
    }
