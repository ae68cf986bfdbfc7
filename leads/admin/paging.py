"""Pages of lists that grow with the leads: the next one takes no longer at a million than at a hundred.

A list has the order of its admin's `ordering`, which ends with the key of the row, and no other; a page is named by
the row it begins behind (`after=`) or ends before (`before=`), not by its number. In two lines for any ModelAdmin:

    class OfferAdmin(Paged, admin.ModelAdmin):
        ordering = ("-received_at", "-id")

Where the admin has a list of its own, that is a PagedList, and `get_changelist` gives it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from leads import counting

AFTER, BEFORE = "after", "before"
END = "end"  # before it is the last page
_BETWEEN = "~"


@dataclass(frozen=True, slots=True)
class Pages:
    """The addresses of the pages around this one; "" where there is none."""

    newest: str = ""
    newer: str = ""
    older: str = ""
    oldest: str = ""

    def __bool__(self) -> bool:
        return bool(self.newest or self.older)


class PagedList(ChangeList):
    """A list that knows its pages by their first and last rows, and its length as far as that is told at once."""

    pages = Pages()

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Model]:
        for name in (AFTER, BEFORE):  # no filters, and no part of the address of another filter
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_filters_params(self, params: Any = None) -> Any:
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (AFTER, BEFORE)}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return list(self._order(request))

    def _order(self, request: HttpRequest) -> Sequence[str]:
        return [
            str(name) for name in self.model_admin.get_ordering(request) or self.lookup_opts.ordering or ()
        ]

    def get_results(self, request: HttpRequest) -> None:
        order = self._order(request)
        rows, newer, older = self._page(request, order)
        self.result_list = rows
        if newer or older:
            self.result_count = counting.count(self.queryset, at_least=max(len(rows), self.list_per_page))
            self.pages = self._links(order, rows, newer=newer, older=older)
        else:
            self.result_count = counting.Count(len(rows))
        self.full_result_count = None
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = True
        self.sortable_by = ()
        self.paginator = self.model_admin.get_paginator(request, self.queryset.none(), self.list_per_page)

    def _page(self, request: HttpRequest, order: Sequence[str]) -> tuple[list[Any], bool, bool]:
        """The rows, and whether there are newer and older ones. What names no page leads to the first."""
        before, after = request.GET.get(BEFORE, ""), request.GET.get(AFTER, "")
        if before == END:
            rows, newer = self._some(self.queryset.reverse())
            if newer:  # else it is the first as well
                return rows[::-1], True, False
        elif (place := self._place(before, order)) is not None:
            rows, newer = self._some(self.queryset.filter(_beyond(order, place, back=True)).reverse())
            if newer:  # else it is the first, which is shown in full
                return rows[::-1], True, True
        elif (place := self._place(after, order)) is not None:
            rows, older = self._some(self.queryset.filter(_beyond(order, place)))
            if rows:
                return rows, True, older
        rows, older = self._some(self.queryset)
        return rows, False, older

    def _some(self, found: Any) -> tuple[list[Any], bool]:
        """The first rows of these, and whether there are more.

        Their keys first, without all that a row shows: which rows they are is a matter of one or two tables, and with
        ten more beside them PostgreSQL joins those before it filters.
        """
        keys = found.select_related(None).prefetch_related(None).values_list("pk", flat=True)
        keys = list(keys[: self.list_per_page + 1])
        shown, more = keys[: self.list_per_page], len(keys) > self.list_per_page
        rows = self.queryset.order_by()
        rows.query.clear_where()
        by_key = {row.pk: row for row in rows.filter(pk__in=shown)}
        return [by_key[key] for key in shown if key in by_key], more

    def _place(self, named: str, order: Sequence[str]) -> list[Any] | None:
        """The values of a row as an address names them; None where it names none."""
        parts = named.split(_BETWEEN)
        if len(parts) != len(order):
            return None
        try:
            values = [self._field(name).to_python(part) for name, part in zip(order, parts, strict=True)]
            for name, value in zip(order, values, strict=True):
                self._field(name).run_validators(value)  # a number too large for the column, for one
        except (ValidationError, ValueError, OverflowError):
            return None
        return values if all(map(_is_place, values)) else None

    def _name(self, row: Any, order: Sequence[str]) -> str:
        return _BETWEEN.join(self._field(name).value_to_string(row) for name in order)

    def _field(self, name: str) -> Any:
        name = name.lstrip("-")
        return self.lookup_opts.pk if name == "pk" else self.lookup_opts.get_field(name)

    def _links(self, order: Sequence[str], rows: Sequence[Any], *, newer: bool, older: bool) -> Pages:
        link = self.get_query_string
        return Pages(
            newest=link() if newer else "",
            newer=link({BEFORE: self._name(rows[0], order)}) if newer else "",
            older=link({AFTER: self._name(rows[-1], order)}) if older else "",
            oldest=link({BEFORE: END}) if older else "",
        )


def _is_place(value: Any) -> bool:
    """Whether a row can have that value in a column, as far as its field does not tell."""
    if not isinstance(value, datetime):
        return value is not None
    try:
        return value.tzinfo is not None and bool(value.astimezone(UTC))
    except OverflowError:  # the first day of time, somewhere east of here
        return False


def _beyond(order: Sequence[str], place: Sequence[Any], *, back: bool = False) -> Q:
    """Which rows come after that place in an order, or before it.

    The first condition says again what the others do, in the form that every database begins its walk with.
    """
    condition, same = Q(), Q()
    for name, value in zip(order, place, strict=True):
        field, down = name.lstrip("-"), name.startswith("-") != back
        condition |= same & Q(**{f"{field}__{'lt' if down else 'gt'}": value})
        same &= Q(**{field: value})
    first, down = order[0].lstrip("-"), order[0].startswith("-") != back
    return Q(**{f"{first}__{'lte' if down else 'gte'}": place[0]}) & condition


class Paged(admin.ModelAdmin):
    """An admin whose list has such pages."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter, over all rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PagedList
