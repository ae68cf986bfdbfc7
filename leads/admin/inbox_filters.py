"""The filters of the inbox by what arrived. None reads the whole table to find out its choices."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin import ListFilter, SimpleListFilter
from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.functions import Replace, Upper
from django.db.models.lookups import Exact, In
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.countries import countries
from leads.figures import beginning_of, campaign_name
from leads.lead_source import ACTIONS, SOURCES, action_in_words
from leads.models import Lead, Offer
from leads.wording import clip, clock, midnight

LONGEST = 60  # characters of what somebody typed into an address
NOT = "not:"  # in an address, before the offers that are left out
IS = "is:"  # in an address, before an action or a source that is none of the known ones


class Choice(SimpleListFilter):
    """One choice of several. `nothing` is what stands in the form where none is chosen."""

    nothing = gettext_lazy("Any")
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
        titles = {str(offer.pk): clip(offer.title, LONGEST) for offer in offers(request)}
        return [*titles.items(), *self._several(titles)]

    def _several(self, titles: dict[str, str]) -> Iterator[tuple[str, str]]:
        """Of a link: all but those that have a colour of their own in the chart of Home; of an older one, several."""
        value = self.value() or ""
        named = ", ".join(titles[key] for key in _named(value) if key in titles)
        if named and value.startswith(NOT):
            yield value, clip(_("All but %(offers)s") % {"offers": named}, LONGEST)
        elif named and "," in value:
            yield value, clip(named, LONGEST)

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        known = {str(offer.pk) for offer in offers(self.request)}
        named = known.intersection(_named(value))
        return queryset.filter(offer__in=known - named if value.startswith(NOT) else named)


def _named(value: str) -> list[str]:
    """The offers in the value of a link, by id."""
    return value.removeprefix(NOT).split(",")


class OpenChoice(Choice):
    """One of what is known or, by a link, of what a stranger made up: `column` begins with it."""

    column: str

    def made_up(self) -> Iterator[tuple[str, str]]:
        value = self.value() or ""
        if value.startswith(IS):
            yield value, clip(value.removeprefix(IS), LONGEST)

    def begins(self, queryset: Any, value: str) -> QuerySet[Any]:
        return queryset.filter(Exact(beginning_of(self.column), _storable(value.removeprefix(IS))))


def _storable(text: str) -> str:
    """As intake stores it: PostgreSQL takes no NUL, not even in a question."""
    return text.replace("\x00", "\ufffd")


class ActionFilter(OpenChoice):
    title = gettext_lazy("action")
    parameter_name = column = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            *((code, action_in_words(code)) for code in ACTIONS),
            ("other", _("Unknown action")),
            ("none", _("No action")),
            *self.made_up(),
        ]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        unknown = queryset.exclude(action__in=["", *ACTIONS])
        if value == "other":
            return unknown
        if value.startswith(IS):
            return self.begins(unknown, value)
        return queryset.filter(action="" if value == "none" else value)


class SourceFilter(OpenChoice):
    title = gettext_lazy("source")
    parameter_name = column = "source"
    # As the indexes of rare sources name them.
    USUAL = ("AzureMarketplace", "SPZA", "AppSource", "AzurePortal", "TestDrive")
    FREQUENT = ("marketplace", "appsource")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            *((key, source.label) for key, source in SOURCES.items()),
            ("other", _("Other")),
            ("none", _("No source")),
            *self.made_up(),
        ]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        """Of the rarer ones said once more in the words of an index: among a million leads it finds them at once."""
        if value in SOURCES:
            found = queryset.filter(_spelled(SOURCES[value].spellings))
            return found if value in self.FREQUENT else found.exclude(source__in=self.USUAL[:2])
        odd = queryset.exclude(source__in=self.USUAL)
        if value == "none":
            return odd.filter(source="")
        known = [spelling for source in SOURCES.values() for spelling in source.spellings]
        others = odd.exclude(source="").exclude(_spelled(known))
        return others if value == "other" else self.begins(others, value)


def _spelled(spellings: Sequence[str]) -> In:
    """As `leads.lead_source.source_key` reads them."""
    space, nothing = (Value(text, output_field=TextField()) for text in (" ", ""))
    return In(Upper(Replace("source", space, nothing)), spellings)


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
    """From one day to another, both of them included, as days are where the reader is.

    A link may name moments instead, with their zone: from the first on, and before the second.
    """

    title = gettext_lazy("dates")
    LABELS = {"from": gettext_lazy("From"), "to": gettext_lazy("To")}
    column = "received_at"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.bounds: dict[str, date] = {}
        for name, label in self.LABELS.items():
            for value in params.pop(name, [])[-1:]:
                try:
                    self.bounds[name] = _day_or_moment(value)
                except ValueError:
                    said = _("“%(value)s” after %(label)s is no date; write it as 2026-11-27.")
                    messages.warning(request, said % {"value": clip(value, LONGEST), "label": label})

    @property
    def wrong(self) -> str:
        """Why no lead can match; "" where some may."""
        begin, end = self._range()
        return _("From is after To: nothing lies between them.") if begin and end and begin >= end else ""

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.LABELS)

    def choices(self, changelist: Any) -> Iterator[Any]:
        return iter(())

    @property
    def inputs(self) -> Iterator[tuple[str, Any, str, str]]:
        """Each field: its parameter, label, and day; and the moment of a link that holds until a day is chosen."""
        for name, label in self.LABELS.items():
            bound = self.bounds.get(name)
            said = bound.isoformat() if bound else ""
            yield name, label, *(("", said) if isinstance(bound, datetime) else (said, ""))

    @property
    def said(self) -> Iterator[tuple[str, str]]:
        """The parameters that are in force, each in words."""
        for name, label in self.LABELS.items():
            if bound := self.bounds.get(name):
                yield (
                    name,
                    f"{label} {clock(bound) if isinstance(bound, datetime) else bound.isoformat()}",
                )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        begin, end = self._range()
        if begin:
            queryset = queryset.filter(**{f"{self.column}__gte": begin})
        if end:
            queryset = queryset.filter(**{f"{self.column}__lt": end})
        return queryset

    def _range(self) -> tuple[datetime | None, datetime | None]:
        """From when on, and before when; None where that is open."""
        first, last = self.bounds.get("from"), self.bounds.get("to")
        if last and not isinstance(last, datetime):
            last += timedelta(days=1)
        return _beginning(first) if first else None, _beginning(last) if last else None


def _day_or_moment(text: str) -> date:
    """Raises ValueError for what is neither, and for what another time zone would put beyond the calendar."""
    try:
        bound = date.fromisoformat(text)
    except ValueError:
        bound = datetime.fromisoformat(text)
        if bound.tzinfo is None:
            raise
    if not date.min.year < bound.year < date.max.year:
        raise ValueError(text)
    return bound.astimezone(UTC) if isinstance(bound, datetime) else bound


def _beginning(of: date) -> datetime:
    return of if isinstance(of, datetime) else timezone.make_aware(datetime.combine(of, time.min))


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
            return queryset.filter(grouped_by__in=Lead.AGAIN)
        return queryset.filter(submission__times_received__gt=1)


class CampaignFilter(Choice):
    """Chosen by a link, never from a list: there are as many as somebody made up."""

    title = gettext_lazy("campaign")
    parameter_name = "campaign"
    in_form = False

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value()
        return [(value, clip(value, LONGEST))] if value else []

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        return queryset.filter(Exact(campaign_name(), _storable(value)))


def offers(request: HttpRequest) -> list[Offer]:
    """All offers, asked for once a request: there are few."""
    known: list[Offer] | None = getattr(request, "_offers", None)
    if known is None:
        known = list(Offer.objects.only("title"))
        request._offers = known  # type: ignore[attr-defined]
    return known
