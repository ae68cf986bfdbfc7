"""The list of leads: a salesperson came to see who is new and waits for an answer, or to find one person again.

So a row says who did what, when, in which state; tests stay out of sight unless asked for. The page of one lead, which
the same person opens from here, is in lead_views.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from leads import lead_source
from leads.admin.filters import ActionFilter, KindFilter, ReceivedFilter, SourceFilter
from leads.admin.lead_views import LeadPage
from leads.countries import country_code
from leads.models import Lead
from leads.ports import LeadColumn, ports
from leads.wording import badge_row, clip, clock, when

# What a row does not show: a stranger may have filled each of them with as much as a body holds.
HEAVY = (
    "description",
    "extra",
    "campaign",
    "submission__body",
    "submission__headers",
    "submission__problems",
)


class LeadList(ChangeList):
    """The list, loading what its columns show with the page of leads and nothing else."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Model]:
        names = [name for column in ports.lead_columns for name in column.prefetch]
        return super().get_queryset(request, exclude_parameters).prefetch_related(*names).defer(*HEAVY)


@admin.register(Lead)
class LeadAdmin(LeadPage):
    change_list_template = "admin/leads/lead/change_list.html"
    list_select_related = ("offer", "submission")
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter, over all rows
    search_fields = ("first_name", "last_name", "email", "company", "phone", "description", "lead_source")
    search_help_text = "Name, company, e-mail, phone, description or LeadSource."
    ordering = ("-received_at", "-id")

    # The list

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = [_as_function(column, number, request) for number, column in enumerate(ports.lead_columns)]
        return ["received", "person", "did", "offer", "from_country", "status", *columns]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> tuple[str, ...]:
        return ("person",)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [
            ReceivedFilter,
            "status",
            ActionFilter,
            "offer",
            SourceFilter,
            KindFilter,
            *ports.lead_filters,
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LeadList]:
        return LeadList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """What others can do with several leads, for users who have an action's `permissions` ("app.codename")."""
        actions = super().get_actions(request)
        for action in ports.lead_actions:
            if request.user.has_perms(getattr(action, "permissions", ())):
                name = action.__name__
                words = getattr(action, "short_description", name.replace("_", " ").capitalize())
                actions[name] = (action, name, words)
        return actions

    @admin.display(description="received", ordering="received_at")
    def received(self, lead: Lead) -> SafeString:
        return format_html(
            '<span class="clock">{}</span> <span class="quiet">{}</span>',
            clock(lead.received_at),
            when(lead.received_at),
        )

    @admin.display(description="who", ordering="last_name")
    def person(self, lead: Lead) -> SafeString:
        company = clip(lead.company, 80) if lead.company != lead.who else ""
        return format_html(
            '<span class="who">{}</span> <span class="quiet">{}</span>', clip(lead.who, 80), company
        )

    @admin.display(description="what")
    def did(self, lead: Lead) -> SafeString:
        label = clip(lead_source.action_label(lead.action) or "No action named", 60)
        # A badge says it already, and louder.
        return format_html("{} {}", "" if lead.action == "DNC" else label, badge_row(lead))

    @admin.display(description="country")
    def from_country(self, lead: Lead) -> str:
        return country_code(lead.country) or clip(lead.country, 30)


def _as_function(column: LeadColumn, number: int, request: HttpRequest) -> Callable[[Lead], str | SafeString]:
    """The column as the admin wants it: it asks every column for a __name__, and lead columns are objects."""

    def show(lead: Lead) -> str | SafeString:
        return column(request, lead)

    show.__name__ = f"plugged_{number}"
    show.short_description = column.short_description  # type: ignore[attr-defined]
    return show
