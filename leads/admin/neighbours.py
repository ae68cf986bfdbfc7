"""The list that somebody came from to the page of a lead: the way back to it, and the leads before and after this one.

The list's filter comes along in the address, as the admin's own pages carry it. Whoever reads lead after lead then
stays in what they filtered, whatever they change on the way: neighbours are found by time, not by place in a list.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import SuspiciousOperation, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.http import urlencode

from leads.models import Lead

CARRIED = "_changelist_filters"
# A place in the list, and the order of clicks on its headings: neighbours are the next in time.
PLACE = ("p", "o", "all", "before", "after", "e")


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Addresses: of the list, and of the leads that stand above and below this one in it; "" at its ends.

    `query` is what links to other leads end in, so that the filter comes along.
    """

    back: str
    previous: str
    next: str
    query: str


def neighbours(page: ModelAdmin, request: HttpRequest, lead: Lead) -> Neighbours:
    """Where to go from the page of a lead. A filter that the list would refuse counts as none."""
    carried = request.GET.get(CARRIED, "")
    leads = _filtered(page, request, carried) if carried else None
    if leads is None:
        carried, leads = "", _filtered(page, request, "")
    query = query_of(carried)
    at, back = lead.received_at, reverse("admin:leads_lead_changelist")
    # The bound on the time alone says the same once more, as an index can use it.
    newer = Q(received_at__gte=at) & (Q(received_at__gt=at) | Q(pk__gt=lead.pk))
    older = Q(received_at__lte=at) & (Q(received_at__lt=at) | Q(pk__lt=lead.pk))
    return Neighbours(
        f"{back}?{carried}" if carried else back,
        _first(leads, newer, ("received_at", "pk"), query),
        _first(leads, older, ("-received_at", "-pk"), query),
        query,
    )


def query_of(carried: str) -> str:
    """What the address of a lead's page ends in, so that it knows the list's filter."""
    return f"?{urlencode({CARRIED: carried})}" if carried else ""


def _first(leads: QuerySet[Any] | None, side: Q, order: tuple[str, str], query: str) -> str:
    if leads is None:
        return ""
    key = leads.filter(side).order_by(*order).values_list("pk", flat=True).first()
    return f"{reverse('admin:leads_lead_change', args=[key])}{query}" if key else ""


def _filtered(page: ModelAdmin, request: HttpRequest, carried: str) -> QuerySet[Any] | None:
    """The leads of the list under this filter, not read yet; None where the list would refuse it."""
    asked = copy(request)
    try:
        values = QueryDict(carried, mutable=True)
        for name in PLACE:
            values.pop(name, None)
        asked.GET = values  # type: ignore[assignment]
        listing: ChangeList = _unread(page.get_changelist(asked))(
            asked,
            page.model,
            ("__str__",),
            (),
            page.get_list_filter(asked),
            page.date_hierarchy,
            page.get_search_fields(asked),
            page.get_list_select_related(asked),
            page.list_per_page,
            page.list_max_show_all,
            (),
            page,
            (),
            None,
        )
    except (IncorrectLookupParameters, SuspiciousOperation, ValidationError, ValueError):
        return None
    return listing.queryset


def _unread(kind: type[ChangeList]) -> type[ChangeList]:
    """The list of a page, without the page of leads that it would read."""

    def get_results(self: ChangeList, request: HttpRequest) -> None:
        self.result_list = []

    return type("Unread", (kind,), {"get_results": get_results})
