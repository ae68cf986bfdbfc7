"""Offers.

The list: a partner manager came to see whether each listing is set up and alive. So a row says what has reached
its URL, and when last.

The page: the same person came to connect a listing in Partner Center. So the URL to paste stands first, with where
to paste it and what has arrived since; then where its leads go; the rest is switches that are rarely touched.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Case, Exists, OuterRef, QuerySet, Subquery, When, prefetch_related_objects
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from leads import offer_states, registering
from leads import silence as silences
from leads.admin import arrival, endpoints, many_offers, rotating, sample_lead, silence, wrong_offer
from leads.admin.offer_schema import SchemaChecks, SchemaForm
from leads.models import Endpoint, Lead, Offer, Submission
from leads.ports import OfferColumn, ports
from leads.wording import DEMO_BADGE, Badge, when

ONE_BUTTON = {"show_save_and_add_another": False, "show_save_and_continue": False}


class OfferForm(SchemaForm):
    class Meta:
        model = Offer
        fields = (
            "title",
            "publisher_id",
            "offer_id",
            "enabled",
            "send_test_leads",
            "dnc_policy",
            "worked_in",
            "always_acknowledge",
            "schema",
        )
        labels = {
            "title": gettext_lazy("Title"),
            "enabled": gettext_lazy("Enabled"),
            "send_test_leads": gettext_lazy("Send test leads"),
        }
        help_texts = {
            "title": gettext_lazy("As it stands in the marketplace."),
            "publisher_id": gettext_lazy("In Partner Center: Account settings, Identifiers."),
            "offer_id": gettext_lazy("In Partner Center, on the offer's overview."),
            "worked_in": gettext_lazy(
                "In the CRM hides owners, states, notes and answers of this offer's leads. Nothing is lost: "
                "set to Here again, they show again."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        if "worked_in" in fields:
            fields["worked_in"].choices = [("", _("Not decided yet: as if here")), *Offer.WorkedIn.choices]


def _columns(request: HttpRequest) -> list[OfferColumn]:
    """What other parts tell of each offer."""
    return [column for column in ports.offer_columns if request.user.has_perm(column.permission)]


def _as_function(column: OfferColumn, number: int) -> Callable[[Offer], str | SafeString]:
    """The column as the admin wants it: it asks every column for a __name__, and these are objects."""

    def show(offer: Offer) -> str | SafeString:
        return column(offer)

    show.__name__ = f"plugged_{number}"
    show.short_description = column.short_description  # type: ignore[attr-defined]
    return show


@admin.register(Offer)
class OfferAdmin(SchemaChecks):
    form = OfferForm
    change_form_template = "admin/leads/offer/change_form.html"
    change_list_template = "admin/leads/offer/change_list.html"
    list_display_links = ("name",)
    search_fields = ("title", "publisher_id", "offer_id")
    list_per_page = 50
    show_full_result_count = False
    actions = None
    fieldsets = (
        (gettext_lazy("Listing"), {"fields": ("title", "publisher_id", "offer_id")}),
        (
            gettext_lazy("What happens with its leads"),
            {"fields": ("worked_in", "enabled", "send_test_leads", "dnc_policy")},
        ),
        (gettext_lazy("Advanced"), {"classes": ("collapse",), "fields": ("always_acknowledge", "schema")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Where people work on its leads is asked once they begin to reach a CRM."""
        return super().get_fieldsets(request, obj) if obj else without_field(self.fieldsets, "worked_in")

    # The list

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = [_as_function(column, number) for number, column in enumerate(_columns(request))]
        return ["name", "listing", "on", "state", "last_lead", *columns]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        names = [name for column in _columns(request) for name in column.prefetch]
        prefetch_related_objects(list(changes.result_list), *names)
        silent = silences.found(timezone.now(), [offer.pk for offer in changes.result_list])
        for offer in changes.result_list:
            offer.silence = silent.get(offer.pk)
        return changes

    def get_queryset(self, request: HttpRequest) -> QuerySet[Offer]:
        """With what has reached each offer from outside, as one query."""
        outside = Submission.FROM_OUTSIDE
        arrived = Lead.objects.filter(offer=OuterRef("pk"), submission__origin__in=outside)
        offers = wrong_offer.with_offer_named(super().get_queryset(request))
        return offers.annotate(
            last_lead_at=Subquery(silences.arrivals_of_offer().values("received_at")[:1])
        ).annotate(
            # Asked only where no real lead has come: among a million of them no index finds a test.
            was_tested=Case(
                When(last_lead_at=None, then=Exists(arrived.filter(is_test=True))), default=False
            ),
            was_reached=Exists(Submission.objects.filter(offer=OuterRef("pk"), origin__in=outside)),
            has_url=Exists(Endpoint.objects.open(timezone.now()).filter(offer=OuterRef("pk"))),
        )

    @admin.display(description=gettext_lazy("offer"), ordering="title")
    def name(self, offer: Offer) -> SafeString:
        demo = DEMO_BADGE if offer.is_demo else ""
        return format_html("{} {} {}", offer.title, demo, wrong_offer.badge(offer))

    @admin.display(description=gettext_lazy("listing"), ordering="publisher_id")
    def listing(self, offer: Offer) -> str:
        return offer.slug

    @admin.display(description=gettext_lazy("offer is"))
    def on(self, offer: Offer) -> str:
        return _("On") if offer.enabled else _("Off: leads are stored, not sent")

    @admin.display(description=gettext_lazy("its URL"))
    def state(self, offer: Offer) -> SafeString:
        state = state_of(offer)
        return format_html("{} {}", Badge(state.label, "", state.kind), state.sentence)

    def url_state(self, offer: Offer) -> str:
        """For the page of an offer, where something has just arrived."""
        return str(state_of(offer).sentence)

    @admin.display(description=gettext_lazy("last lead"))
    def last_lead(self, offer: Any) -> SafeString | str:
        return when(offer.last_lead_at) if offer.last_lead_at else _("None yet")

    # The page

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("many/", view(partial(many_offers.add, self)), name="leads_offer_many"),
            path("urls/", view(partial(many_offers.urls, self)), name="leads_offer_urls"),
            # It sees to who is signed in itself: a page that asks every two seconds is not led to a sign-in form.
            path("<int:pk>/arrival/", partial(arrival.fragment, self), name="leads_offer_arrival"),
            path("<int:pk>/sample/", view(partial(sample_lead.page, self)), name="leads_offer_sample"),
            path("<int:pk>/rotate/", view(partial(rotating.rotate, self)), name="leads_offer_rotate"),
            path(
                "<int:pk>/revoke/<int:endpoint>/",
                view(partial(rotating.revoke, self)),
                name="leads_offer_revoke",
            ),
            path("<int:pk>/calm/", view(require_POST(partial(silence.calm, self))), name="leads_offer_calm"),
            *super().get_urls(),
        ]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or not _has_leads(obj))

    def save_model(self, request: HttpRequest, obj: Offer, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            Endpoint.make(obj)

    def response_add(self, request: HttpRequest, obj: Offer, post_url_continue: Any = None) -> HttpResponse:
        """To the page of the new offer: the URL there is what it was added for."""
        messages.success(request, _("The offer is added, and this is its URL. Paste it in Partner Center."))
        many_offers.tell_of(request, [obj])  # still in the transaction that adds it
        return HttpResponseRedirect(reverse("admin:leads_offer_change", args=[obj.pk]))

    def response_change(self, request: HttpRequest, obj: Offer) -> HttpResponse:
        messages.success(request, _("Saved."))
        return HttpResponseRedirect(request.path)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(
            request, form_url, {**ONE_BUTTON, "title": _("Add an offer"), **(extra_context or {})}
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        offer = self.get_object(request, object_id)
        found = dict(ONE_BUTTON)
        if offer is not None and self.has_view_permission(request, offer):
            offer.silence = silences.found(timezone.now(), [offer.pk]).get(offer.pk)
            found |= self._page(request, offer)
        return super().change_view(request, object_id, form_url, {**found, **(extra_context or {})})

    def _page(self, request: HttpRequest, offer: Any) -> dict[str, Any]:
        may_reveal, now = request.user.has_perm("leads.reveal_endpoint"), timezone.now()
        shown = endpoints.shown(offer, now, may_reveal=may_reveal)
        return {
            **shown,
            **_registering(offer, shown["endpoint"]),
            **arrival.context(request, offer, now),
            "may_sample": request.user.has_perm(sample_lead.PERMISSION) and not offer.is_demo,
            "offer": offer,
            "demo_badge": DEMO_BADGE if offer.is_demo else "",
            "may_reveal": may_reveal,
            "may_rotate": request.user.has_perm(rotating.ROTATE),
            "is_public": settings.PUBLIC_URL.startswith("https://"),
            "state": state_of(offer),
            "is_live": offer.last_lead_at is not None,
            "last_lead": when(offer.last_lead_at) if offer.last_lead_at else "",
            "panels": [panel(request, offer) for panel in ports.offer_panels],
            "kept": request.user.has_perm("leads.delete_offer") and _has_leads(offer),
        }


def _registering(offer: Offer, endpoint: endpoints.ShownEndpoint | None) -> dict[str, Any]:
    """For the template: how the URL is made known to Microsoft by its API."""
    return {
        "configuration": registering.configuration(endpoint.url) if endpoint else "",
        "find_product": registering.find_product(offer.offer_id),
        "configure": registering.CONFIGURE,
        "placeholder": registering.PRODUCT,
        "api_as_of": _(registering.AS_OF),
    }


def state_of(offer: Any) -> offer_states.OfferState:
    """Where an offer stands. Needs the annotations of OfferAdmin's queryset; `silence` where it was looked for."""
    found = getattr(offer, "silence", None)
    return offer_states.of(
        has_url=offer.has_url,
        is_live=offer.last_lead_at is not None,
        was_tested=offer.was_tested,
        was_reached=offer.was_reached,
        is_demo=offer.is_demo,
        silence=silence.said(offer, found, timezone.now()) if found else "",
    )


def without_field(fieldsets: Any, left_out: str) -> list[Any]:
    """The same fieldsets without one field."""
    return [
        (title, {**options, "fields": tuple(name for name in options["fields"] if name != left_out)})
        for title, options in fieldsets
    ]


def _has_leads(offer: Offer) -> bool:
    return offer.submissions.exists()
