"""The filters of the inbox by what arrived. None reads the whole table to find out its choices."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin import ListFilter, SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.countries import countries
from leads.lead_source import ACTIONS
from leads.models import Offer
from leads.wording import clip, midnight

LONGEST = 60  # characters of what somebody typed into an address


class Choice(SimpleListFilter):
    """One choice of several. `nothing` is what stands in the form where none is chosen."""

    nothing = gettext_lazy("Any")
    of_work = False  # about what people do with leads: nothing to ask where that is done in the CRM
    in_form = True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = {str(value) for value, _said in self.lookup_choices}
        value = self.value()
        return self.chosen(queryset, value) if value in known and value is not None else queryset

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        raise NotImplementedError


class OfferFilter(Choice):
    title = gettext_lazy("offer")
    parameter_name = "offer__id__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(offer.pk), clip(offer.title, LONGEST)) for offer in offers(request)]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        return queryset.filter(offer=value)


class ActionFilter(Choice):
    title = gettext_lazy("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            *((code, action.label) for code, action in ACTIONS.items()),
            ("other", _("Unknown action")),
            ("none", _("No action")),
        ]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        if value == "other":
            return queryset.exclude(action__in=["", *ACTIONS])
        return queryset.filter(action="" if value == "none" else value)


class SourceFilter(Choice):
    title = gettext_lazy("source")
    parameter_name = "source"
    # An open set, and each is sent in several spellings.
    SPELLINGS = {
        "marketplace": ("Azure Marketplace", Q(source__iexact="AzureMarketplace")),
        "appsource": ("AppSource", Q(source__icontains="SPZA") | Q(source__iexact="AppSource")),
        "portal": ("Azure portal", Q(source__iexact="AzurePortal")),
        "testdrive": ("Test Drive", Q(source__iexact="TestDrive")),
    }
    USUAL = ("AzureMarketplace", "SPZA", "AppSource", "AzurePortal", "TestDrive")
    FREQUENT = ("marketplace", "appsource")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((name, label) for name, (label, _spelt) in self.SPELLINGS.items()), ("other", _("Other"))]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        """Of the rarer ones said once more in the words of an index: among a million leads it finds them at once."""
        if value != "other":
            found = queryset.filter(self.SPELLINGS[value][1])
            return found if value in self.FREQUENT else found.exclude(source__in=self.USUAL[:2])
        for _label, spelled in self.SPELLINGS.values():
            queryset = queryset.exclude(spelled)
        return queryset.exclude(source__in=self.USUAL)


class CountryFilter(Choice):
    title = gettext_lazy("country")
    parameter_name = "country"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*countries(), ("none", _("Not known"))]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        return queryset.filter(tidy_country="" if value == "none" else value)


class ReceivedFilter(Choice):
    title = gettext_lazy("received")
    parameter_name = "received"
    nothing = gettext_lazy("Any time")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("today", _("Today")),
            ("yesterday", _("Yesterday")),
            ("week", _("Last 7 days")),
            ("month", _("This month")),
            ("quarter", _("Last 90 days")),
        ]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        today = midnight()
        if value == "yesterday":
            return queryset.filter(received_at__gte=today - timedelta(days=1), received_at__lt=today)
        since = {
            "today": today,
            "week": today - timedelta(days=6),
            "month": today.replace(day=1),
            "quarter": today - timedelta(days=89),
        }
        return queryset.filter(received_at__gte=since[value])


class DatesFilter(ListFilter):
    """From one day to another, both of them included, as days are where the reader is."""

    title = gettext_lazy("dates")
    LABELS = {"from": gettext_lazy("From"), "to": gettext_lazy("To")}

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.days: dict[str, date] = {}
        for name, label in self.LABELS.items():
            for value in params.pop(name, [])[-1:]:
                try:
                    self.days[name] = date.fromisoformat(value)
                except ValueError:
                    said = _("“%(value)s” after %(label)s is no date; write it as 2026-11-27.")
                    messages.warning(request, said % {"value": clip(value, LONGEST), "label": label})

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.LABELS)

    def choices(self, changelist: Any) -> Iterator[Any]:
        return iter(())

    @property
    def inputs(self) -> Iterator[tuple[str, Any, str]]:
        for name, label in self.LABELS.items():
            day = self.days.get(name)
            yield name, label, day.isoformat() if day else ""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self.days.get("from"), self.days.get("to")
        if first:
            queryset = queryset.filter(received_at__gte=_beginning(first))
        if last and last < date.max:
            queryset = queryset.filter(received_at__lt=_beginning(last + timedelta(days=1)))
        return queryset


def _beginning(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


class KindFilter(Choice):
    """Microsoft's tests stay out of sight unless somebody asks for them."""

    title = gettext_lazy("kind")
    parameter_name = "kind"
    nothing = gettext_lazy("All but tests")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("counted", _("Real leads only")),
            ("test", _("Tests")),
            ("sample", _("Samples and demo")),
            ("all", _("Tests too")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "counted":
                return queryset.filter(is_test=False, is_sample=False, offer__is_demo=False)
            case "test":
                return queryset.filter(is_test=True)
            case "sample":
                # By their ids: a condition on two tables is asked of every lead there is.
                demo = list(Offer.objects.filter(is_demo=True).values_list("pk", flat=True))
                return queryset.filter(Q(is_sample=True) | Q(offer__in=demo))
            case "all":
                return queryset
            case _:
                return queryset.filter(is_test=False)


class ArchivedFilter(Choice):
    """What was put away stays out of sight too."""

    title = gettext_lazy("archive")
    parameter_name = "archived"
    nothing = gettext_lazy("All but archived")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("only", _("Archived only")), ("all", _("Archived too"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "only":
                return queryset.filter(archived_at__isnull=False)
            case "all":
                return queryset
            case _:
                return queryset.filter(archived_at=None)


class RepeatFilter(Choice):
    title = gettext_lazy("came again")
    parameter_name = "repeat"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("customer", _("A customer we know")), ("request", _("The same request"))]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        if value == "customer":
            return queryset.exclude(grouped_by="")
        return queryset.filter(submission__times_received__gt=1)


def offers(request: HttpRequest) -> list[Offer]:
    """All offers, asked for once a request: there are few."""
    known: list[Offer] | None = getattr(request, "_offers", None)
    if known is None:
        known = list(Offer.objects.only("title", "worked_in"))
        request._offers = known  # type: ignore[attr-defined]
    return known
