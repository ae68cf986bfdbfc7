"""Sendings: each lead on its way along a route, what became of every try, and what to do about it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from crm_sync import delivery
from crm_sync import wording as words
from crm_sync.admin.pages import EvidencePage, back, require, tell
from crm_sync.models import Attempt, Delivery, Destination
from leads import ports
from leads.models import Lead, Offer
from leads.ports import TimelineEntry
from leads.wording import clip

RETRY = "crm_sync.retry_delivery"
SHOWN = 10
CHUNK = 500
NEEDED = ("lead__offer", "route__offer", "destination__state__paused_by")


# --- The list's filters --------------------------------------------------------------------------------------


class _Filter(admin.SimpleListFilter):
    """One that asks a column; `column` is its name."""

    column: str

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = {str(value) for value, _ in self.lookup_choices}
        return queryset.filter(**{self.column: self.value()}) if self.value() in known else queryset


class StateFilter(_Filter):
    title = "state"
    parameter_name = column = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return Delivery.State.choices


class HeldFilter(_Filter):
    title = "why held"
    parameter_name = column = "held_reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return Delivery.Held.choices


class DestinationFilter(_Filter):
    title = "CRM connection"
    parameter_name = "destination"
    column = "destination_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(str(pk), name) for pk, name in Destination.objects.values_list("pk", "name")]


class OfferFilter(_Filter):
    title = "offer"
    parameter_name = "offer"
    column = "lead__offer_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(str(pk), title) for pk, title in Offer.objects.values_list("pk", "title")]


# --- The pages -----------------------------------------------------------------------------------------------


@admin.register(Delivery)
class DeliveryAdmin(EvidencePage):
    buttons = {"retry": RETRY, "cancel": "crm_sync.cancel_delivery"}
    actions = ["retry_selected"]
    list_display = ("lead_name", "offer", "crm", "condition", "tries", "next_or_settled")
    list_display_links = ("lead_name",)
    list_filter = (StateFilter, HeldFilter, DestinationFilter, OfferFilter)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("lead__first_name", "lead__last_name", "lead__email")
    search_help_text = "Name or e-mail of the lead."
    change_list_template = "admin/crm_sync/delivery/change_list.html"
    page_template = "admin/crm_sync/delivery/page.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).select_related(*NEEDED)

    # The list

    @admin.display(description="Lead", ordering="lead__last_name")
    def lead_name(self, obj: Delivery) -> str:
        return clip(obj.lead.who, 80)

    @admin.display(description="Offer", ordering="lead__offer")
    def offer(self, obj: Delivery) -> str:
        return obj.lead.offer.title

    @admin.display(description="CRM", ordering="destination")
    def crm(self, obj: Delivery) -> SafeString:
        return words.name_of(obj.destination)

    @admin.display(description="State", ordering="state")
    def condition(self, obj: Delivery) -> SafeString:
        told = obj.state in {obj.State.DELIVERED, obj.State.CANCELLED} or obj.held_reason == obj.Held.DNC
        reason = "" if told else obj.reason
        summary = words.sending_line(obj, timezone.now())
        return format_html(
            '<span class="sending {}">{}</span> <span class="quiet">{}</span>',
            obj.state,
            summary,
            clip(reason, 120),
        )

    @admin.display(description="Next try or settled", ordering="due_at")
    def next_or_settled(self, obj: Delivery) -> SafeString | str:
        if obj.settled_at:
            return words.ago(obj.settled_at)
        now = timezone.now()
        if obj.state != obj.State.WAITING:
            return ""
        due = max(filter(None, (obj.due_at, obj.destination.state.until)))
        return f"Next try {words.clock(due, now)}" if due > now else "Next try now"

    # One sending

    def page_context(self, request: HttpRequest, obj: Delivery) -> dict[str, Any]:
        sees_tries = request.user.has_perm("crm_sync.view_attempt")
        return {
            **_shown(request, obj, self.may(request)),
            "title": f"{clip(obj.lead.who, 80)} → {obj.destination}",
            "tries": [_try(attempt) for attempt in _attempts(obj)] if sees_tries else None,
        }

    def press_retry(self, request: HttpRequest, obj: Delivery) -> HttpResponse:
        changed = delivery.retry([obj.pk], at=delivery.now())
        if changed:
            ports.ring()
            self.log_change(request, obj, "Approved." if obj.held_reason == obj.Held.APPROVAL else "Retried.")
            tell(request, _after_retry(obj))
        else:
            tell(request, f"Left alone: it is {obj.get_state_display().lower()}.", messages.WARNING)
        return back(request, _url(obj))

    def press_cancel(self, request: HttpRequest, obj: Delivery) -> HttpResponse:
        if delivery.cancel([obj.pk], at=delivery.now()):
            self.log_change(request, obj, "Cancelled.")
            tell(request, f"Cancelled: this lead is not sent to {obj.destination}.")
        else:
            tell(request, f"Left alone: it is {obj.get_state_display().lower()}.", messages.WARNING)
        return back(request, _url(obj))

    # Several sendings

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RETRY)

    @admin.action(description="Retry now", permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        return retry_many(self, request, queryset, "retry_selected")


def retry_many(
    page: admin.ModelAdmin, request: HttpRequest, deliveries: QuerySet[Delivery], action: str
) -> HttpResponse | None:
    """Ask first, naming the number; then retry those that may be. Leads not to be contacted are left out."""
    chosen = deliveries.filter(state__in=delivery.RETRYABLE).exclude(held_reason=Delivery.Held.DNC)
    if "confirm" in request.POST:
        pks = list(chosen.values_list("pk", flat=True))
        done = sum(
            delivery.retry(pks[start : start + CHUNK], at=delivery.now())
            for start in range(0, len(pks), CHUNK)
        )
        ports.ring()
        tell(request, f"{words.count(done, 'sending is', 'sendings are')} tried again now.")
        return None
    count = chosen.count()
    if not count:
        tell(
            request,
            "Nothing to retry there: delivered, cancelled or held as do not contact.",
            messages.WARNING,
        )
        return None
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": f"Retry {words.count(count, 'sending')} now?",
        "count": count,
        "left": deliveries.count() - count,
        "first": list(chosen.select_related(*NEEDED)[:SHOWN]),
        "more": max(count - SHOWN, 0),
        "action": action,
        "selected": _selected(request),
        "across": request.POST.get("select_across", "0"),
        "media": page.media,
    }
    return TemplateResponse(request, "admin/crm_sync/delivery/retry.html", context)


def _selected(request: HttpRequest) -> list[str]:
    # All that match a filter may be thousands; then one stands for them.
    chosen = request.POST.getlist("_selected_action")
    return chosen[:1] if request.POST.get("select_across") == "1" else chosen


def _url(obj: Delivery) -> str:
    return reverse("admin:crm_sync_delivery_change", args=[obj.pk])


def _after_retry(obj: Delivery) -> str:
    state = obj.destination.state
    if state.state in {state.State.PAUSED, state.State.STOPPED}:
        return f"It is tried again as soon as {obj.destination} is. {words.connection_advice(state)}"
    return "It is tried again now, with all its tries before it."


# --- One sending in words ------------------------------------------------------------------------------------


def _shown(request: HttpRequest, obj: Delivery, may: dict[str, bool]) -> dict[str, Any]:
    """A sending for a template: in words, with what may be done."""
    open_ = obj.state in delivery.RETRYABLE
    return {
        "sending": obj,
        "url": _url(obj),
        "crm": words.name_of(obj.destination),
        "said": words.sending(
            obj, timezone.now(), lambda model: request.user.has_perm(f"crm_sync.view_{model}")
        ),
        "record_url": words.record_url(obj),
        "may_retry": may["retry"] and open_,
        "may_cancel": may["cancel"] and open_,
        # What waits goes by itself, and what must not be contacted had better stay.
        "urgent": open_ and obj.state != obj.State.WAITING and obj.held_reason != obj.Held.DNC,
        "retry_label": _RETRY_LABELS.get(obj.held_reason, "Retry now"),
    }


_RETRY_LABELS: dict[str, str] = {Delivery.Held.APPROVAL: "Approve and send", Delivery.Held.DNC: "Send anyway"}


def _attempts(obj: Delivery) -> QuerySet[Attempt]:
    versions = ("route_mapping", "default_mapping")
    return obj.attempts.select_related(*versions).order_by("-number")


def _try(attempt: Attempt) -> dict[str, Any]:
    bug = attempt.outcome == Attempt.Outcome.BUG
    return {
        "attempt": attempt,
        "outcome": words.outcome(attempt),
        "reason": "" if bug else attempt.reason,
        "trace": attempt.reason if bug else "",
        "duration": attempt.duration_ms,
        "versions": words.versions(attempt),
    }


# --- On the pages of leads -----------------------------------------------------------------------------------


def lead_panel(request: HttpRequest, lead: Lead) -> SafeString:
    """Where a lead was sent, on its page."""
    if not request.user.has_perm("crm_sync.view_delivery"):
        return SafeString("")
    may = {name: request.user.has_perm(permission) for name, permission in DeliveryAdmin.buttons.items()}
    sees_tries = request.user.has_perm("crm_sync.view_attempt")
    sendings = [
        {
            **_shown(request, obj, may),
            "tries": [_try(attempt) for attempt in _attempts(obj)] if sees_tries else None,
        }
        for obj in lead.deliveries.select_related(*NEEDED)
    ]
    context = {
        "lead": lead,
        "sendings": sendings,
        "nothing": "" if sendings else _why_nowhere(lead),
        "offer_url": reverse("admin:leads_offer_change", args=[lead.offer_id])
        if request.user.has_perm("leads.view_offer")
        else "",
    }
    return render_to_string("admin/crm_sync/lead_panel.html", context, request)


def _why_nowhere(lead: Lead) -> str:
    """Why no sending was made of a lead. Reads the offer's routes, prefetched in lists."""
    offer = lead.offer
    if lead.is_test and not offer.send_test_leads:
        return "Stays here: a test"
    if lead.routed_at is None:
        return "About to be sent"
    if not offer.enabled:
        return "Waiting: the offer is off"
    routes = [route for route in offer.routes.all() if route.enabled]
    live = [route for route in routes if any(v.state == v.State.PUBLISHED for v in route.mappings.all())]
    if not routes:
        return "Waiting: no CRM connected"
    if not live:
        return "Waiting: field mapping not published"
    if lead.action.casefold() == "dnc" and offer.dnc_policy == Offer.DncPolicy.ARCHIVE:
        return "Stays here: do not contact"
    taking = [route for route in live if route.takes(lead)]
    if not taking:
        return "Stays here: no route takes this action"
    if all(route.send_from and lead.received_at < route.send_from for route in taking):
        return "Stays here: sent from now on only"
    return "Waiting: send it, or from now on?"


class SendingColumn:
    """Where a lead is, in the list of leads."""

    short_description = "CRM"
    prefetch: Sequence[str] = ("deliveries__destination__state", "offer__routes__mappings")

    def __call__(self, lead: Lead) -> str | SafeString:
        sendings: Iterable[Delivery] = lead.deliveries.all()
        now = timezone.now()
        lines = ((words.sending_line(obj, now),) for obj in sendings)
        found = format_html_join(SafeString("<br>"), "{}", lines)
        return found or _why_nowhere(lead)


class SendingFilter(admin.SimpleListFilter):
    """Leads by what became of their sendings."""

    title = "CRM"
    parameter_name = "sending"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*Delivery.State.choices, ("none", "Not sent anywhere")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Lead]) -> QuerySet[Lead]:
        sendings = Delivery.objects.filter(lead=OuterRef("pk")).order_by()
        if self.value() == "none":
            return queryset.filter(~Exists(sendings))
        if self.value() in Delivery.State.values:
            return queryset.filter(Exists(sendings.filter(state=self.value())))
        return queryset


def retry_leads(
    page: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[Lead]
) -> HttpResponse | None:
    """Retry what is open of the chosen leads."""
    require(request, RETRY)
    # The list's own order and prefetches are no business of a subquery.
    chosen = Delivery.objects.filter(lead__in=queryset.order_by().values("pk"))
    return retry_many(page, request, chosen, "retry_leads")


retry_leads.short_description = "Send to the CRM again now"  # type: ignore[attr-defined]
retry_leads.permissions = (RETRY,)  # type: ignore[attr-defined]


def timeline(lead: Lead) -> Iterator[TimelineEntry]:
    """What happened to a lead on its way, try by try."""
    for obj in lead.deliveries.select_related("destination").prefetch_related("attempts"):
        url = _url(obj)
        for attempt in obj.attempts.all():
            at = attempt.finished_at or attempt.started_at
            reason = "" if attempt.outcome == Attempt.Outcome.BUG else clip(attempt.reason)
            text = (
                f"{obj.destination}, try {attempt.number}: {words.outcome(attempt)}. {words.sentence(reason)}"
            )
            yield TimelineEntry(at, text.strip(), url)
        if obj.state == obj.State.CANCELLED and obj.settled_at:
            yield TimelineEntry(obj.settled_at, f"{obj.destination}: cancelled, not sent.", url)
