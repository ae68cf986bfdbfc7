"""What the pages of leads show of their sendings: a panel and a timeline on the page, a column, a filter and an
action on the list. Salespeople read whether to wait or who looks at it, not what went wrong."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_sync import sending_words
from crm_sync import wording as words
from crm_sync.admin import dry_runs, sendings, tries
from crm_sync.admin.pages import require
from crm_sync.admin.retrying import NEEDED, RETRY, bulk_action
from crm_sync.models import Attempt, Delivery, Route
from leads.models import Lead
from leads.people import name_of
from leads.ports import TimelineEntry
from leads.wording import clip

MOST = 200  # tries or decisions on a timeline


def lead_panel(request: HttpRequest, lead: Lead) -> SafeString:
    """Where a lead was sent, on its page."""
    if not request.user.has_perm("crm_sync.view_delivery"):
        return SafeString("")
    found = [
        {**sendings.shown(request, obj), **tries.context(request, obj), "ago": _how_long(obj)}
        for obj in lead.deliveries.select_related(*NEEDED).order_by("pk")
    ]
    context = {
        "lead": lead,
        "sendings": found,
        "nothing": "" if found else why_nowhere(lead),
        "unsent": dry_runs.links(request, lead, {entry["sending"].route_id for entry in found}),
        "offer_url": reverse("admin:leads_offer_change", args=[lead.offer_id])
        if request.user.has_perm("leads.view_offer")
        else "",
    }
    return render_to_string("admin/crm_sync/lead_panel.html", context, request)


def _how_long(obj: Delivery) -> SafeString | str:
    """For how long it has been there."""
    return words.ago(obj.settled_at) if obj.state == obj.State.DELIVERED else ""


def why_nowhere(lead: Lead) -> str:
    """Why no sending was made of a lead. Reads the offer's routes, prefetched in lists."""
    offer = lead.offer
    if lead.is_test and not offer.send_test_leads:
        return _("Stays here: a test")
    if lead.routed_at is None:
        return _("About to be sent")
    if lead.action.casefold() == "dnc" and offer.dnc_policy == offer.DncPolicy.ARCHIVE:
        return _("Stays here: do not contact")
    if not offer.enabled:
        return _("Waiting: the offer is off")
    return _why_no_route(lead, [route for route in offer.routes.all() if route.enabled])


def _why_no_route(lead: Lead, routes: Sequence[Route]) -> str:
    if not routes:
        return _("Waiting: no CRM connected")
    live = [route for route in routes if any(v.state == v.State.PUBLISHED for v in route.mappings.all())]
    if not live:
        return _("Waiting: field mapping not published")
    taking = [route for route in live if route.takes(lead)]
    if not taking:
        return _("Stays here: no route takes this action")
    if all(route.send_from and lead.received_at < route.send_from for route in taking):
        return _("Stays here: only later leads are sent")
    return _("Waiting: not decided yet whether it is sent")


class SendingColumn:
    """Where a lead is, in the list of leads."""

    short_description: Any = gettext_lazy("CRM")
    prefetch: Sequence[str] = ("deliveries__destination__state", "offer__routes__mappings")

    def __call__(self, request: HttpRequest, lead: Lead) -> str | SafeString:
        found: Iterable[Delivery] = lead.deliveries.all()
        now, trouble = timezone.now(), tries.sees_trouble(request)
        lines = ((sending_words.sending_line(obj, now, trouble=trouble),) for obj in found)
        return format_html_join(SafeString("<br>"), "{}", lines) or why_nowhere(lead)


class SendingExport:
    """Where a lead is, and as which record, in an export of leads."""

    heading = "CRM"
    prefetch: Sequence[str] = ("deliveries__destination",)

    def __call__(self, request: HttpRequest, lead: Lead) -> str:
        if not request.user.has_perm("crm_sync.view_delivery"):
            return ""
        return "; ".join(
            f"{obj.destination}: {obj.get_state_display()}{f' {obj.remote_id}' if obj.remote_id else ''}"
            for obj in lead.deliveries.all()
        )


class SendingFilter(admin.SimpleListFilter):
    """Leads by what became of their sendings."""

    title = gettext_lazy("CRM")
    parameter_name = "sending"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*Delivery.State.choices, ("none", _("Not sent anywhere"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Lead]) -> QuerySet[Lead]:
        if self.value() == "none":
            return queryset.filter(~Exists(Delivery.objects.filter(lead=OuterRef("pk")).order_by()))
        if self.value() == Delivery.State.DELIVERED:
            # Nearly all are: lead by lead, with a condition that tempts nobody to begin with all that were delivered.
            others = [state for state in Delivery.State.values if state != Delivery.State.DELIVERED]
            return queryset.filter(
                Exists(Delivery.objects.filter(lead=OuterRef("pk")).exclude(state__in=others))
            )
        if self.value() in Delivery.State.values:
            return queryset.filter(
                pk__in=Delivery.objects.filter(state=self.value()).order_by().values("lead")
            )
        return queryset


def retry_leads(
    page: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[Lead]
) -> HttpResponse | None:
    """Retry what is open of the chosen leads."""
    require(request, RETRY)
    # The list's own order and prefetches are no business of a subquery.
    chosen = Delivery.objects.filter(lead__in=queryset.order_by().values("pk"))
    return bulk_action(page, request, chosen, "retry_leads")


retry_leads.short_description = gettext_lazy("Send to the CRM again now")  # type: ignore[attr-defined]
retry_leads.permissions = (RETRY,)  # type: ignore[attr-defined]


def records(request: HttpRequest, lead: Lead) -> Iterator[tuple[str, str]]:
    """The record of a lead in each CRM that has it and a page for it."""
    if request.user.has_perm("crm_sync.view_delivery"):
        for obj in lead.deliveries.select_related("destination").defer("destination__secrets").order_by("pk"):
            if url := sending_words.record_url(obj):
                yield obj.destination.name, url


def timeline(request: HttpRequest, lead: Lead) -> Iterator[TimelineEntry]:
    """What happened to a lead on its way: try by try for those who may read tries, else where it arrived."""
    if not request.user.has_perm("crm_sync.view_delivery"):
        return
    found = lead.deliveries.select_related("destination").defer("destination__secrets").order_by("pk")
    deliveries = {str(obj.pk): obj for obj in found}
    sees_tries = request.user.has_perm(tries.SEES_TRIES)
    for obj in deliveries.values():
        name = {"crm": obj.destination}
        held = obj.state == obj.State.HELD and obj.held_reason == obj.Held.DNC
        made = _("Held before %(crm)s: do not contact.") if held else _("To be sent to %(crm)s.")
        yield TimelineEntry(obj.created_at, made % name, sendings.url_of(obj))
        if obj.settled_at and obj.state == obj.State.DELIVERED and not sees_tries:
            yield TimelineEntry(obj.settled_at, _("Arrived in %(crm)s.") % name, sendings.url_of(obj))
    if sees_tries:
        yield from _tries(request, lead, deliveries)
    yield from _decisions(deliveries)


def _tries(request: HttpRequest, lead: Lead, deliveries: Mapping[str, Delivery]) -> Iterator[TimelineEntry]:
    discreet = tries.discretion(request, lead)
    attempts = (
        Attempt.objects.filter(delivery__in=list(deliveries.values())).defer("exchanges").order_by("-pk")
    )
    for attempt in attempts[:MOST]:
        obj = deliveries[str(attempt.delivery_id)]
        reason = "" if attempt.outcome == Attempt.Outcome.BUG else attempt.reason
        reason = clip(discreet.text(reason) if discreet else reason)
        tried = {"crm": obj.destination, "number": attempt.number, "outcome": sending_words.outcome(attempt)}
        text = f"{_('%(crm)s, try %(number)s: %(outcome)s.') % tried} {words.sentence(reason)}"
        yield TimelineEntry(attempt.finished_at or attempt.started_at, text.strip(), sendings.url_of(obj))


def _decisions(deliveries: Mapping[str, Delivery]) -> Iterator[TimelineEntry]:
    """What colleagues pressed, and that a sending was cancelled even where nobody wrote down by whom."""
    kind = ContentType.objects.get_for_model(Delivery)
    log = LogEntry.objects.filter(content_type=kind, object_id__in=deliveries).select_related("user")
    told = set()
    for entry in log.order_by("-action_time", "-pk")[:MOST]:
        obj, message = deliveries[entry.object_id or ""], entry.get_change_message()
        told |= {obj.pk} if message == "Cancelled." else set()
        yield TimelineEntry(
            entry.action_time, f"{obj.destination}, {name_of(entry.user)}: {message}", sendings.url_of(obj)
        )
    for obj in deliveries.values():
        if obj.settled_at and obj.state == obj.State.CANCELLED and obj.pk not in told:
            said = _("%(crm)s: cancelled, not sent.") % {"crm": obj.destination}
            yield TimelineEntry(obj.settled_at, said, sendings.url_of(obj))
