"""From a field that Microsoft sent and nobody knows to the mapping that sends it: one click.

The click leads to the field mapping of a route, with a new row that takes the field; the person picks the CRM field
and publishes.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from crm_sync import templates
from crm_sync import wording as words
from crm_sync.mapping import NAME_LIMIT, Rule, is_lead_value
from crm_sync.models import FieldRule, MappingVersion, Route
from crm_sync.templates import TemplateError
from leads.models import Offer

CHANGE = ("crm_sync.change_route", "crm_sync.change_fieldrule")


def prefilled(request: HttpRequest) -> Rule | None:
    """The new row that the page of a route was asked for, `?map=extra.Notes`; its CRM field is the person's choice."""
    source = request.GET.get("map", "")
    return Rule("", "field", source=source) if _can_be_named(source) else None


def map_links(request: HttpRequest, offer: Offer, value: str) -> Iterator[tuple[str, str]]:
    """Where this user can map a lead value of an offer: each of its routes that does not yet."""
    if not request.user.has_perms(CHANGE) or not _can_be_named(value):
        return
    places = _places(request, offer)
    for place in places:
        if value not in place.used:
            label = _("Map it") if len(places) == 1 else _("Map it to %(crm)s")
            yield (
                label % {"crm": place.route.destination},
                f"{words.mapping_url(place.route)}?{urlencode({'map': value})}",
            )
    if not places and request.user.has_perm("crm_sync.add_route"):
        yield _("Connect a CRM to map it"), f"{reverse('admin:crm_sync_route_add')}?offer={offer.pk}"


def mapped_values(offers: Sequence[Offer]) -> dict[int, set[str]]:
    """By offer id: the lead values that a mapping of its routes names, be it live or a draft."""
    found: dict[int, set[str]] = defaultdict(set)
    for place in _find(offers):
        found[place.route.offer_id] |= place.used
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """A route, and the lead values that it names or inherits."""

    route: Route
    used: AbstractSet[str]


def _can_be_named(value: str) -> bool:
    # A form trims what it is sent, and a column holds so much: another name would not be the field's.
    return is_lead_value(value) and len(value) <= NAME_LIMIT and value == value.strip()


def _places(request: HttpRequest, offer: Offer) -> list[_Place]:
    """Found once a request: a page asks for each of its fields."""
    known: dict[int, list[_Place]] = getattr(request, "_map_places", {})
    if offer.pk not in known:
        known[offer.pk] = _find([offer])
        request._map_places = known  # type: ignore[attr-defined]
    return known[offer.pk]


def _find(offers: Sequence[Offer]) -> list[_Place]:
    routes = list(Route.objects.filter(offer__in=offers).select_related("destination"))
    versions = MappingVersion.objects.filter(
        Q(route__in=routes) | Q(destination__in={route.destination_id for route in routes})
    )
    current = _current(versions.order_by("number"))
    used: dict[tuple[int | None, int | None], set[str]] = defaultdict(set)
    for row in FieldRule.objects.filter(version__in=current).select_related("version"):
        used[row.version.route_id, row.version.destination_id] |= set(_values_of(row.as_rule()))
    return [_Place(route, used[route.pk, None] | used[None, route.destination_id]) for route in routes]


def _current(versions: Iterable[MappingVersion]) -> list[MappingVersion]:
    """Of each route and destination the draft and the version that is live; the others are history."""
    newest = {(version.route_id, version.destination_id, version.state): version for version in versions}
    return list(newest.values())


def _values_of(rule: Rule) -> Iterator[str]:
    """The lead values that a rule names."""
    if rule.source:
        yield rule.source
    yield from rule.when
    if rule.template:
        try:
            yield from templates.names(rule.template)
        except TemplateError:
            return  # a rule of an earlier version that this one refuses: it sends nothing
