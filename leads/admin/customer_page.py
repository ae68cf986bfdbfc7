"""The page of one customer.

A salesperson is about to answer, and wants to know what this customer did before: each lead, across offers, the latest
first. Whoever sees that a lead is somebody else's ticks it and splits it off; so each says why it is here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import customers, tidy
from leads.admin.customer_words import Came, came, reason, title
from leads.admin.evidence import Evidence
from leads.models import Customer, Lead
from leads.people import name_of
from leads.wording import badge_row, clip, clock, when

SPLIT = "leads.split_customer"
MOST_LEADS = 200  # of a customer, on its page
# What the page does not show: each may be as long as a body.
HEAVY = (
    "extra",
    "campaign",
    "description",
    "submission__body",
    "submission__headers",
    "submission__problems",
)


class CustomerPage(Evidence):
    """The page half of the admin of customers; the list is the other. A worker makes them, colleagues split them."""

    def get_urls(self) -> list[URLPattern]:
        split = path(
            "<int:customer_id>/split/", self.admin_site.admin_view(self.split), name="leads_customer_split"
        )
        return [split, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        customer = self.get_object(request, object_id)
        if customer is None:
            raise Http404
        if not self.has_view_permission(request, customer):
            raise PermissionDenied
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        leads = list(_leads(customer)[: MOST_LEADS + 1])
        shown = leads[:MOST_LEADS]
        context = {
            "facts": [
                (_("Company"), customer.company),
                (_("E-mail"), customer.email),
                (_("Phone"), tidy.spaced(customer.phone)),
            ],
            "summary": _summary(customer),
            "leads": [_step(lead) for lead in shown],
            "only_newest": MOST_LEADS if len(leads) > MOST_LEADS else 0,
            "may_split": request.user.has_perm(SPLIT) and len(leads) > 1,
            "may_see_leads": request.user.has_perm("leads.view_lead"),
            "history": _history(customer),
        }
        return self._render(request, "page", customer, title(customer), context)

    def split(self, request: HttpRequest, customer_id: int) -> HttpResponse:
        """Split off the ticked leads, after a page that names them."""
        customer = get_object_or_404(Customer, pk=customer_id)
        if not (request.user.has_perm(SPLIT) and self.has_view_permission(request, customer)):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        chosen = _chosen(customer, request.POST.getlist("lead"))
        if not chosen or not customer.leads.exclude(pk__in=[lead.pk for lead in chosen]).exists():
            messages.error(
                request,
                _("Nothing was split off. Tick the leads that are somebody else's, and leave at least one."),
            )
            return HttpResponseRedirect(_page(customer))
        if request.POST.get("confirm") != "yes":
            context = {"leads": [_step(lead) for lead in chosen], "who": title(customer)}
            heading = ngettext("Split off this lead?", "Split off these %(number)s leads?", len(chosen))
            return self._render(request, "split", customer, heading % {"number": len(chosen)}, context)
        return self._split(request, customer, chosen)

    def _split(self, request: HttpRequest, customer: Customer, chosen: Sequence[Lead]) -> HttpResponse:
        try:
            other = customers.split(customer, chosen, request.user, timezone.now())
        except customers.NothingToSplitError:  # a colleague was faster
            messages.error(request, _("Nothing was split off: these leads have moved in the meantime."))
            return HttpResponseRedirect(_page(customer))
        said = ngettext(
            "%(number)s lead is split off. This is its customer now.",
            "%(number)s leads are split off. This is their customer now.",
            len(chosen),
        )
        messages.success(request, said % {"number": len(chosen)})
        return HttpResponseRedirect(_page(other))

    def _render(
        self, request: HttpRequest, template: str, customer: Customer, heading: str, context: dict[str, Any]
    ) -> TemplateResponse:
        shared = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "customer": customer,
            "title": heading,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, f"admin/leads/customer/{template}.html", {**shared, **context})


# Words


@dataclass(frozen=True, slots=True)
class Step:
    """One lead on the customer's way, ready for the screen."""

    pk: Any
    sentence: str
    at: SafeString
    clock: str
    badges: SafeString
    status: str
    reason: str


def _step(lead: Lead) -> Step:
    return Step(
        lead.pk,
        clip(lead.sentence, 240),
        when(lead.received_at),
        clock(lead.received_at),
        badge_row(lead),
        lead.get_status_display() if lead.offer.works_here else "",
        reason(lead),
    )


def _summary(customer: Customer) -> str:
    found = came([customer.pk]).get(customer.pk, Came())
    if not found.leads:
        return _("No leads any more")
    leads = ngettext("%(number)s lead", "%(number)s leads", found.leads) % {"number": f"{found.leads:,}"}
    count = len(found.offers)
    offers = ngettext("%(number)s offer", "%(number)s offers", count) % {"number": f"{count:,}"}
    return _("%(leads)s for %(offers)s") % {"leads": leads, "offers": offers}


def _history(customer: Customer) -> list[tuple[str, str]]:
    log = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Customer), object_id=str(customer.pk)
    ).select_related("user")
    return [
        (clock(entry.action_time), f"{name_of(entry.user)}: {entry.get_change_message()}")
        for entry in log[:50]
    ]


# Rows


def _leads(customer: Customer) -> Any:
    found = customer.leads.select_related("offer", "submission").defer(*HEAVY)
    return found.order_by("-received_at", "-id")


def _chosen(customer: Customer, ids: Iterable[str]) -> list[Lead]:
    """The customer's leads among these; ids come from a form that anybody can fill in."""
    try:
        return list(_leads(customer).filter(pk__in=list(ids)[:MOST_LEADS]))
    except ValidationError:
        return []


def _page(customer: Customer) -> str:
    return reverse("admin:leads_customer_change", args=[customer.pk])
