"""The filters of the list of sendings."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_sync.admin.groups import NONE_GIVEN
from crm_sync.admin.tries import SEES_PERSONS
from crm_sync.models import Delivery, Destination
from leads.admin.inbox_filters import DatesFilter
from leads.models import Offer
from leads.wording import clip

# What links of other pages ask for.
ON_THEIR_WAY = {"state": "on_their_way"}
REAL = {"destination": "real"}
TIMED = {"state": Delivery.State.DELIVERED.value, "leads": "timed"}


class _Filter(admin.SimpleListFilter):
    """One that asks a column; `column` is its name."""

    column: str

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = {str(value) for value, _label in self.lookup_choices}
        return queryset.filter(**{self.column: self.value()}) if self.value() in known else queryset


class StateFilter(_Filter):
    title = gettext_lazy("state")
    parameter_name = column = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [*Delivery.State.choices, (ON_THEIR_WAY["state"], _("Waiting or being sent"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        if self.value() == ON_THEIR_WAY["state"]:
            return queryset.on_their_way()
        return super().queryset(request, queryset)


class HeldFilter(_Filter):
    title = gettext_lazy("why held")
    parameter_name = column = "held_reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return Delivery.Held.choices


class DestinationFilter(_Filter):
    title = gettext_lazy("CRM connection")
    parameter_name = "destination"
    column = "destination_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        found = list(Destination.objects.values_list("pk", "name", "connector"))
        demo = any(connector == "demo" for _pk, _name, connector in found)
        chosen = self.value() == REAL["destination"]
        real = [(REAL["destination"], _("All but the demo CRM"))] if demo or chosen else []
        return [*((str(pk), name) for pk, name, _connector in found), *real]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == REAL["destination"]:
            return queryset.exclude(destination__connector="demo")
        return super().queryset(request, queryset)


class OfferFilter(_Filter):
    title = gettext_lazy("offer")
    parameter_name = "offer"
    column = "lead__offer_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(str(pk), title) for pk, title in Offer.objects.values_list("pk", "title")]


class TimedFilter(admin.SimpleListFilter):
    """Those that Home and the reports measure, chosen by a link."""

    title = gettext_lazy("leads")
    parameter_name = "leads"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(TIMED["leads"], _("Real leads, none imported"))] if self.value() else []

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        return queryset.timed() if self.value() == TIMED["leads"] else queryset


class MadeFilter(DatesFilter):
    """By when a sending was made, chosen by a link. Each state has an index of that."""

    title = gettext_lazy("when it began")
    column = "created_at"

    def has_output(self) -> bool:
        return bool(self.bounds)

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield {
            "selected": False,
            "query_string": changelist.get_query_string(remove=list(self.LABELS)),
            "display": _("All"),
        }
        yield {
            "selected": True,
            "query_string": changelist.get_query_string(),
            "display": " ".join(words for _name, words in self.said),
        }


class FieldFilter(_Filter):
    """Chosen by a link, never from a list: there are as many as a CRM has fields."""

    title = gettext_lazy("refused field")
    parameter_name = column = "field"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        value = self.value()
        return [(value, clip(value, 60))] if value else []


class ReasonFilter(admin.SimpleListFilter):
    """One group of reasons, chosen by a link."""

    title = gettext_lazy("reason")
    parameter_name = "reason_group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        value = self.value()
        if not value:
            return []
        if value == NONE_GIVEN:
            return [(value, _("No reason given"))]
        # What a CRM said may name a person.
        shown = clip(value, 120) if request.user.has_perm(SEES_PERSONS) else _("The chosen one")
        return [(value, shown)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(reason_group="" if value == NONE_GIVEN else value) if value else queryset
