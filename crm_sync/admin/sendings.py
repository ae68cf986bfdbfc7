"""Sendings.

The list: a partner manager came because leads do not arrive, and wants to know why, how many, and to be rid of it. So
what stands still comes first, by reason, each with the one button that mends it; then the sendings themselves.

The page: the same person asks what became of this one lead, what to do about it, and what exactly was said. It is
evidence: buttons, no inputs. Salespeople read whether to wait or who looks at it, not what went wrong.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_sync import by_hand, clock, sending_words
from crm_sync import wording as words
from crm_sync.admin import dry_runs, groups, leaving_out, pushing_again, replay, tries
from crm_sync.admin.pages import EvidencePage, back, tell
from crm_sync.admin.retrying import APPROVING, NEEDED, RETRY, after_retry, all_like_this, bulk_action
from crm_sync.admin.sending_filters import (
    DestinationFilter,
    FieldFilter,
    HeldFilter,
    MadeFilter,
    OfferFilter,
    ReasonFilter,
    StateFilter,
    TimedFilter,
)
from crm_sync.models import Delivery
from leads import ports, search
from leads.admin.paging import Paged
from leads.wording import clip

SOME = 1_000  # of one group, counted on a page


@admin.register(Delivery)
class DeliveryAdmin(Paged, EvidencePage):
    buttons = {"retry": RETRY, "cancel": "crm_sync.cancel_delivery"}
    actions = ["retry_selected", "approve_selected"]
    list_display_links = ("lead_name",)
    list_per_page = 50
    search_fields = ("lead__searched__text",)  # `get_search_results` looks there
    search_help_text = gettext_lazy("Anything that the lead says; every word must occur.")
    change_list_template = "admin/crm_sync/delivery/change_list.html"
    page_template = "admin/crm_sync/delivery/page.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("like/", view(self.like), name="crm_sync_delivery_like"),
            *leaving_out.urls(self),
            *pushing_again.urls(self),
            *replay.urls(self.admin_site),
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).select_related(*NEEDED).defer("destination__secrets")

    # The list

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        # By time there is an index of each state only; ids are given out in the same order, all but.
        one_state = request.GET.get("state") in Delivery.State.values
        return ("-created_at", "-id") if one_state else ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.matching(queryset, search_term, lead="lead"), False

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        trouble = ("tries", "next_or_settled") if tries.sees_trouble(request) else ("settled",)
        return ("lead_name", "offer", "crm", _condition(request), *trouble)

    def get_list_filter(self, request: HttpRequest) -> tuple[Any, ...]:
        reasons = (HeldFilter, ReasonFilter, FieldFilter) if tries.sees_trouble(request) else ()
        linked = (TimedFilter, MadeFilter)  # on top: who came by a link shall see what narrows the list
        return (*linked, StateFilter, *reasons, DestinationFilter, OfferFilter)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # What is asked for by a filter or a search is the list; nobody wants the overview again above it.
        overview = request.method == "GET" and not request.GET and tries.sees_trouble(request)
        found = groups.standing_still(request) if overview else None
        return super().changelist_view(request, {"groups": found, **(extra_context or {})})

    @admin.display(description=gettext_lazy("Lead"), ordering="lead__last_name")
    def lead_name(self, obj: Delivery) -> str:
        return clip(obj.lead.who, 80)

    @admin.display(description=gettext_lazy("Offer"), ordering="lead__offer")
    def offer(self, obj: Delivery) -> str:
        return obj.lead.offer.title

    @admin.display(description=gettext_lazy("CRM"), ordering="destination")
    def crm(self, obj: Delivery) -> SafeString:
        return words.name_of(obj.destination)

    @admin.display(description=gettext_lazy("Next try or settled"), ordering="due_at")
    def next_or_settled(self, obj: Delivery) -> SafeString | str:
        if obj.settled_at:
            return words.ago(obj.settled_at)
        now = timezone.now()
        if obj.state != obj.State.WAITING:
            return ""
        state = obj.destination.state
        if state.state == state.State.PAUSED:
            return _("Once it is resumed")
        due = max(filter(None, (obj.due_at, state.until)))
        return _("Next try %(time)s") % {"time": words.clock(due, now)} if due > now else _("Next try now")

    @admin.display(description=gettext_lazy("When"), ordering="settled_at")
    def settled(self, obj: Delivery) -> SafeString | str:
        return words.ago(obj.settled_at) if obj.state == obj.State.DELIVERED else ""

    # One sending

    def page_context(self, request: HttpRequest, obj: Delivery) -> dict[str, Any]:
        found = shown(request, obj)
        return {
            **found,
            **tries.context(request, obj),
            "title": f"{clip(obj.lead.who, 80)} → {obj.destination}",
            "heading": obj.get_state_display() if found["trouble"] else sending_words.for_sales(obj),
            "alike": _alike(request, obj) if found["trouble"] else None,
        }

    def press_retry(self, request: HttpRequest, obj: Delivery) -> HttpResponse:
        changed = by_hand.retry([obj.pk], at=clock.now(), duplicates=True)
        if changed:
            ports.ring()
            self.log_change(request, obj, _RETRIED.get(_kind_of_retry(obj), "Retried."))
            tell(request, after_retry(obj))
        else:
            tell(request, _left_alone(obj), messages.WARNING)
        return back(request, url_of(obj))

    def press_cancel(self, request: HttpRequest, obj: Delivery) -> HttpResponse:
        if by_hand.cancel([obj.pk], at=clock.now()):
            self.log_change(request, obj, "Cancelled.")
            obj.refresh_from_db(fields=["state"])
            tell(request, _after_cancel(obj))
        else:
            tell(request, _left_alone(obj), messages.WARNING)
        return back(request, url_of(obj))

    # Several sendings

    def like(self, request: HttpRequest) -> HttpResponse:
        return all_like_this(self, request)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RETRY)

    @admin.action(description=gettext_lazy("Retry now"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        return bulk_action(self, request, queryset, "retry_selected")

    @admin.action(description=gettext_lazy("Approve and send"), permissions=["retry"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        return bulk_action(self, request, queryset, "approve_selected", APPROVING)


def url_of(obj: Delivery) -> str:
    return reverse("admin:crm_sync_delivery_change", args=[obj.pk])


def _condition(request: HttpRequest) -> Callable[[Delivery], str | SafeString]:
    """The column that says how each is, in the words for this user."""
    trouble = tries.sees_trouble(request)

    @admin.display(description=gettext_lazy("State"), ordering="state")
    def condition(obj: Delivery) -> str | SafeString:
        told = obj.state in {obj.State.DELIVERED, obj.State.CANCELLED} or obj.held_reason == obj.Held.DNC
        reason = "" if told or not trouble else tries.discreetly(request, obj).reason
        return format_html(
            '<span class="sending {}">{}</span> <span class="quiet">{}</span>',
            obj.state,
            sending_words.sending_line(obj, timezone.now(), trouble=trouble),
            clip(reason, 120),
        )

    return condition


def _alike(request: HttpRequest, obj: Delivery) -> dict[str, Any] | None:
    """The other sendings that stand still for the same reason; None where it is the only one."""
    if obj.state not in {obj.State.REJECTED, obj.State.HELD} or obj.held_reason == obj.Held.DNC:
        return None
    like = groups.Like.of(obj)
    count = like.sendings().order_by()[:SOME].count()
    if count < 2:
        return None
    return {
        "like": like,
        "count": (_("%(number)s or more") if count == SOME else "%(number)s") % {"number": f"{count - 1:,}"},
        "one": count == 2,
        "may_retry": request.user.has_perm(RETRY),
        "approves": like.held_reason == obj.Held.APPROVAL,
    }


# --- One sending in words ------------------------------------------------------------------------------------


def shown(request: HttpRequest, obj: Delivery) -> dict[str, Any]:
    """A sending for a template: in words, with what may be done."""
    open_, may = obj.state in by_hand.RETRYABLE, request.user.has_perm
    trouble = tries.sees_trouble(request)
    return {
        "sending": tries.discreetly(request, obj),
        "url": url_of(obj),
        "crm": words.name_of(obj.destination),
        "trouble": trouble,
        "said": sending_words.sending(obj, timezone.now(), tries.may_view(request))
        if trouble
        else sending_words.Said(f"{sending_words.for_sales(obj)}."),
        "record_url": sending_words.record_url(obj),
        "may_retry": may(RETRY) and open_,
        "may_cancel": may("crm_sync.cancel_delivery") and open_,
        "without_url": leaving_out.url_of(obj) if may(RETRY) and leaving_out.may_go_without(obj) else "",
        **pushing_again.offered(request, obj),
        "request_url": dry_runs.url_of(obj.route_id, obj.lead_id) if dry_runs.may(request) else "",
        # What waits goes by itself, and what must not be contacted had better stay.
        "urgent": open_ and obj.state != obj.State.WAITING and obj.held_reason != obj.Held.DNC,
        "retry_label": str(_RETRY_LABELS.get(_kind_of_retry(obj), _("Retry now"))),
    }


def _after_cancel(obj: Delivery) -> str:
    said = (
        _("Cancelled: it is not pushed again. Its record stays in %(crm)s.")
        if obj.state == obj.State.DELIVERED
        else _("Cancelled: this lead is not sent to %(crm)s.")
    )
    return said % {"crm": obj.destination}


def _left_alone(obj: Delivery) -> str:
    return _("Left alone: it is %(state)s.") % {"state": obj.get_state_display().lower()}


_DUPLICATE = "duplicate"
_RETRY_LABELS: dict[str, Promise] = {
    Delivery.Held.APPROVAL: gettext_lazy("Approve and send"),
    Delivery.Held.DNC: gettext_lazy("Send anyway"),
    _DUPLICATE: gettext_lazy("Write it all the same"),
}
_RETRIED: dict[str, str] = {
    Delivery.Held.APPROVAL: "Approved.",
    _DUPLICATE: "Written though the CRM has this person already.",
}


def _kind_of_retry(obj: Delivery) -> str:
    return obj.held_reason or (_DUPLICATE if obj.duplicate_of else "")
