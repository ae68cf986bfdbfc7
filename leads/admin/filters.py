"""The filters of the lead list. None reads the whole table to find out its choices."""

from datetime import timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from leads.lead_source import ACTIONS
from leads.wording import midnight


class ReceivedFilter(SimpleListFilter):
    title = "received"
    parameter_name = "received"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("today", "Today"),
            ("yesterday", "Yesterday"),
            ("week", "Last 7 days"),
            ("month", "This month"),
            ("quarter", "Last 90 days"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        today = midnight()
        if self.value() == "yesterday":
            return queryset.filter(received_at__gte=today - timedelta(days=1), received_at__lt=today)
        since = {
            "today": today,
            "week": today - timedelta(days=6),
            "month": today.replace(day=1),
            "quarter": today - timedelta(days=89),
        }.get(self.value() or "")
        return queryset.filter(received_at__gte=since) if since else queryset


class ActionFilter(SimpleListFilter):
    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            *((code, action.label) for code, action in ACTIONS.items()),
            ("other", "Unknown action"),
            ("none", "No action"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case None:
                return queryset
            case "other":
                return queryset.exclude(action__in=["", *ACTIONS])
            case "none":
                return queryset.filter(action="")
            case code:
                return queryset.filter(action=code)


class SourceFilter(SimpleListFilter):
    title = "source"
    parameter_name = "source"
    # An open set, and each is sent in several spellings.
    SPELLINGS = {
        "marketplace": ("Azure Marketplace", Q(source__iexact="AzureMarketplace")),
        "appsource": ("AppSource", Q(source__icontains="SPZA") | Q(source__iexact="AppSource")),
        "portal": ("Azure portal", Q(source__iexact="AzurePortal")),
        "testdrive": ("Test Drive", Q(source__iexact="TestDrive")),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((name, label) for name, (label, _) in self.SPELLINGS.items()), ("other", "Other")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == "other":
            for _, spelled in self.SPELLINGS.values():
                queryset = queryset.exclude(spelled)
            return queryset
        return queryset.filter(self.SPELLINGS[value][1]) if value in self.SPELLINGS else queryset


class KindFilter(SimpleListFilter):
    """Microsoft's tests stay out of sight unless somebody asks for them."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("counted", "Real leads only"),
            ("test", "Microsoft's tests"),
            ("sample", "Samples and demo"),
            ("all", "Everything"),
        ]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "All but tests"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "counted":
                return queryset.filter(is_test=False, is_sample=False, offer__is_demo=False)
            case "test":
                return queryset.filter(is_test=True)
            case "sample":
                return queryset.filter(Q(is_sample=True) | Q(offer__is_demo=True))
            case "all":
                return queryset
            case _:
                return queryset.filter(is_test=False)
