"""Customers.

The list: a salesperson came to find one customer again, and to see who came more than once. So a row says who it is,
how often and for what they came, and when last.

The page: the same person is about to answer, and wants to know what this customer did before: each lead, across
offers, the latest first. Whoever sees that a lead is somebody else's ticks it and splits it off; so each says why it
is here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Max, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import customers, search, tidy
from leads.admin.paging import Paged, PagedList
from leads.models import Customer, Lead
from leads.people import name_of
from leads.wording import badge_row, clip, clock, when

SPLIT = "leads.split_customer"
MOST_LEADS = 200  # of a customer, on its page
MOST_OFFERS = 3  # named in a row of the list
NAME = 80  # characters
# What the page does not show: each may be as long as a body.
HEAVY = (
    "extra",
    "campaign",
    "description",
    "submission__body",
    "submission__headers",
    "submission__problems",
)


@dataclass(slots=True)
class Came:
    """How often a customer came, for what, and when last."""

    leads: int = 0
    offers: list[str] = field(default_factory=list)
    last: Any = None


class CustomerList(PagedList):
    """The list, with what it says about the leads of the customers on this page, and of no others."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        came = _came([customer.pk for customer in self.result_list])
        for customer in self.result_list:
            customer.came = came.get(customer.pk, Came())


@admin.register(Customer)
class CustomerAdmin(Paged):
    change_list_template = "admin/leads/customer/change_list.html"
    list_display = ("person", "in_company", "at", "how_often", "offers", "last_lead")
    list_display_links = ("person",)
    list_per_page = 50
    search_fields = ("leads__searched__text",)  # `get_search_results` looks there
    search_help_text = gettext_lazy(
        "Anything that one of their leads says; every word must occur. A phone number in digits only."
    )
    ordering = ("-id",)
    actions = None

    class Media:
        css = {"all": ["leadsite/sending.css"]}

    # The worker makes customers; a colleague splits them and changes nothing else.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        split = path(
            "<int:customer_id>/split/", self.admin_site.admin_view(self.split), name="leads_customer_split"
        )
        return [split, *super().get_urls()]

    # The list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[CustomerList]:
        return CustomerList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.customers_matching(queryset, search_term), False

    @admin.display(description=gettext_lazy("customer"), ordering="name")
    def person(self, customer: Customer) -> SafeString:
        return format_html('<span class="who">{}</span>', title(customer))

    @admin.display(description=gettext_lazy("company"), ordering="company")
    def in_company(self, customer: Customer) -> str:
        return clip(customer.company, NAME)

    @admin.display(description=gettext_lazy("e-mail"), ordering="email")
    def at(self, customer: Customer) -> str:
        return clip(customer.email, NAME)

    @admin.display(description=gettext_lazy("leads"))
    def how_often(self, customer: Any) -> str:
        return f"{customer.came.leads:,}"

    @admin.display(description=gettext_lazy("offers"))
    def offers(self, customer: Any) -> str:
        named, more = customer.came.offers[:MOST_OFFERS], len(customer.came.offers) - MOST_OFFERS
        offers = ", ".join(named)
        return (
            _("%(offers)s and %(number)s more") % {"offers": offers, "number": more} if more > 0 else offers
        )

    @admin.display(description=gettext_lazy("last lead"))
    def last_lead(self, customer: Any) -> SafeString | str:
        return when(customer.came.last) if customer.came.last else ""

    # The page

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


def title(customer: Customer) -> str:
    """What to call a customer on screen."""
    return clip(str(customer), NAME)


def reason(lead: Lead) -> str:
    """Why a lead is its customer's."""
    return lead.get_grouped_by_display() or _("First lead of this customer")


def reason_in_a_sentence(lead: Lead) -> str:
    said = reason(lead)
    return f"{said[0].lower()}{said[1:]}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th. A language that does not tell them apart says the same four times."""
    usual = _("%(number)sth")
    endings = {1: _("%(number)sst"), 2: _("%(number)snd"), 3: _("%(number)srd")}
    said = usual if number % 100 in (11, 12, 13) else endings.get(number % 10, usual)
    return said % {"number": f"{number:,}"}


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
    came = _came([customer.pk]).get(customer.pk, Came())
    if not came.leads:
        return _("No leads any more")
    leads = ngettext("%(number)s lead", "%(number)s leads", came.leads) % {"number": f"{came.leads:,}"}
    count = len(came.offers)
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


def _came(ids: Sequence[int]) -> dict[int, Came]:
    """Of these customers, in one query: how often they came, for what, and when last."""
    rows = (
        Lead.objects.filter(customer__in=ids)
        .values_list("customer", "offer__title")
        .annotate(leads=Count("pk"), last=Max("received_at"))
        .order_by("-last")
    )
    found: dict[int, Came] = {}
    for customer_id, offer, leads, last in rows:
        came = found.setdefault(customer_id, Came(last=last))
        came.leads += leads
        came.offers.append(offer)
    return found


def _page(customer: Customer) -> str:
    return reverse("admin:leads_customer_change", args=[customer.pk])
