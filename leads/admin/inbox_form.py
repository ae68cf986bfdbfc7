"""The filters of the inbox together: as fields of one form, and as words that can be taken away one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ListFilter
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from leads.admin import inbox_filters as filters
from leads.admin import inbox_work_filters as work
from leads.wording import clip

# The order in which they stand in the form; what others plug in comes before the last of them.
FIRST: tuple[type[ListFilter], ...] = (
    work.ViewFilter,
    filters.OfferFilter,
    work.StateFilter,
    work.OwnerFilter,
    work.AnswerFilter,
    work.FollowUpFilter,
    filters.ActionFilter,
    filters.SourceFilter,
    filters.CountryFilter,
    filters.ReceivedFilter,
    filters.DatesFilter,
)
LAST: tuple[type[ListFilter], ...] = (
    filters.KindFilter,
    filters.ArchivedFilter,
    filters.RepeatFilter,
    filters.CampaignFilter,
)


# In words


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter in force, in words, and the query without it."""

    said: str
    without: str


def chips(changelist: Any) -> list[Chip]:
    """What narrows the list, each with a way to take it away."""
    found = []
    if changelist.query:
        said = _("Search: “%(words)s”") % {"words": clip(changelist.query, filters.LONGEST)}
        found.append(Chip(said, changelist.get_query_string({"q": None})))
    known = set()
    for spec in changelist.filter_specs:
        known.update(spec.expected_parameters())
        for name, said in _said(spec):
            found.append(Chip(said, changelist.get_query_string({name: None})))
    for name in changelist.get_filters_params():
        if name not in known:
            value = ", ".join(changelist.filter_params[name])
            said = f"{name.replace('__', ' ')}: {value}"
            found.append(Chip(clip(said, filters.LONGEST), changelist.get_query_string({name: None})))
    return found


def _said(spec: Any) -> Iterator[tuple[str, str]]:
    """The parameters of a filter that are in force, each in words."""
    if isinstance(spec, filters.DatesFilter):
        yield from spec.said
        return
    chosen = {str(value): said for value, said in getattr(spec, "lookup_choices", ())}.get(spec.value())
    if chosen is not None and not isinstance(spec, work.ViewFilter):  # which the tabs show
        yield spec.parameter_name, f"{capfirst(str(spec.title))}: {chosen}"
