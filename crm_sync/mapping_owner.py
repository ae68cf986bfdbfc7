"""Whose field mapping is edited: a route's rows, or the default rows that every route of a connection inherits."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import QuerySet, prefetch_related_objects
from django.urls import reverse
from django.utils.translation import gettext as _

from crm_sync.mapping import Rule, completed, compose, suggested_rules
from crm_sync.models import Destination, MappingVersion, Route
from crm_sync.spec import Spec
from leads.models import Lead, UnknownKey

RECENT = 100  # leads that are looked at for examples and warnings


@dataclass(frozen=True)
class Owner:
    """A route or a connection, with what its mapping builds on."""

    obj: Route | Destination

    @property
    def route(self) -> Route | None:
        return self.obj if isinstance(self.obj, Route) else None

    @property
    def destination(self) -> Destination:
        return self.obj.destination if isinstance(self.obj, Route) else self.obj

    @property
    def title(self) -> str:
        return (
            str(self.obj)
            if self.route
            else _("Rows that every offer inherits, for %(crm)s") % {"crm": self.obj}
        )

    @cached_property
    def spec(self) -> Spec:
        """What the connector declares, for reading, with the CRM's own fields. Raises connectors.UnknownConnector."""
        return self.destination.spec_in_words

    @cached_property
    def labels(self) -> Mapping[str, str]:
        return {field.name: field.label for field in self.spec.fields}

    @cached_property
    def choices(self) -> Mapping[str, Mapping[str, str]]:
        """The choices of each field that has some, label by value."""
        return {field.name: dict(field.choices) for field in self.spec.fields if field.choices}

    # Versions

    @cached_property
    def live(self) -> MappingVersion | None:
        return self.obj.live_mapping

    @cached_property
    def draft(self) -> MappingVersion | None:
        return self.obj.mappings.filter(state=MappingVersion.State.DRAFT).select_related("created_by").first()

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rows that editing starts from: the draft's, else those that are live; for a connection that has neither,
        those that its kind suggests."""
        version = self.draft or self.live
        if version:
            return version.as_rules()
        return () if self.route else suggested_rules(self.spec)

    @cached_property
    def live_rules(self) -> tuple[Rule, ...]:
        """The rows by which leads go now."""
        if self.live:
            return self.live.as_rules()
        return () if self.route else suggested_rules(self.spec)

    @cached_property
    def inherited(self) -> tuple[Rule, ...]:
        """What holds where no row of its own does."""
        return self.destination.default_rules() if self.route else ()

    @cached_property
    def inherited_from(self) -> str:
        """Where the inherited rows come from, in words."""
        live = self.destination.live_mapping
        return (
            f"{self.destination} {live}" if live else _("suggested for %(kind)s") % {"kind": self.spec.label}
        )

    def whole(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """These rows over what they inherit, as a push would use them."""
        return compose(rules, self.inherited) if self.route else completed(rules, self.spec)

    def for_lead(self, rules: Sequence[Rule], lead: Lead) -> tuple[Rule, ...]:
        """These rows as a push of that lead would use them: those of a connection under its route's own."""
        return self.whole(rules) if self.route else compose(self._above[lead.offer_id], self.whole(rules))

    @cached_property
    def _above(self) -> Mapping[int, tuple[Rule, ...]]:
        """By offer, the live rows of the routes that inherit these."""
        live = MappingVersion.objects.published().filter(route__in=self.routes()).order_by("number")
        newest = {version.route_id: version for version in live.select_related("route")}
        prefetch_related_objects([*newest.values()], "rules")
        found = {version.route.offer_id: version.as_rules() for version in newest.values() if version.route}
        return defaultdict(tuple, found)

    # Leads

    def leads(self, most: int) -> list[Lead]:
        """The newest leads that go this way; Microsoft's tests last, where there are not enough others."""
        real = self.real_leads(most)
        # Two queries: sorted by being a test, all leads would have to be.
        return [*real, *self._newest(most - len(real), is_test=True)]

    def real_leads(self, most: int) -> list[Lead]:
        """The newest leads that go this way, without Microsoft's tests."""
        return self._newest(most, is_test=False)

    def _newest(self, most: int, *, is_test: bool) -> list[Lead]:
        leads = Lead.objects.select_related("offer").filter(is_test=is_test).order_by("-received_at", "-id")
        if self.route:
            return list(leads.filter(offer=self.route.offer_id)[:most])
        offers = Route.objects.filter(destination=self.destination).values("offer")
        return list(leads.filter(offer__in=offers)[:most])

    @cached_property
    def recent(self) -> list[dict[str, Any]]:
        """The values of the last leads."""
        return [lead.values() for lead in self.real_leads(RECENT)]

    def unknown_names(self) -> list[str]:
        """Keys that Microsoft sent and nobody knew, as lead values."""
        keys = UnknownKey.objects.filter(ignored_at=None)
        keys = keys.filter(offer=self.route.offer_id) if self.route else keys
        return [f"extra.{name}" for name in keys.values_list("name", flat=True)[:RECENT]]

    # Who else

    def routes(self) -> QuerySet[Route]:
        """The routes that inherit these rows."""
        return Route.objects.filter(destination=self.destination).select_related("offer").order_by("pk")

    def url(self, page: str = "mapping") -> str:
        return reverse(
            f"admin:crm_sync_{'route' if self.route else 'destination'}_{page}", args=[self.obj.pk]
        )
