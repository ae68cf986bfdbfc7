"""A lead not yet routed becomes its deliveries, once."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from crm_sync.models import Delivery, MappingVersion, Route
from leads.models import Lead, Offer

BATCH = 200


@dataclass(frozen=True, slots=True)
class Routed:
    """How many leads a round looked at, and the ids of the destinations that got work."""

    leads: int = 0
    destinations: frozenset[int] = frozenset()


def route_waiting(now: datetime, *, batch: int = BATCH) -> Routed:
    """Route the oldest leads that nobody has looked at, in one transaction.

    Sets `routed_at` even where no route matches, so that each lead is looked at once.
    """
    if not Lead.objects.unrouted().exists():  # without taking SQLite's write lock every few seconds
        return Routed()
    with transaction.atomic():
        unrouted = Lead.objects.unrouted().select_related("offer")
        # Row locks on PostgreSQL; on SQLite an IMMEDIATE transaction is alone already.
        leads = list(unrouted.select_for_update(skip_locked=True, of=("self",))[:batch])
        routes = _live_routes({lead.offer_id for lead in leads})
        deliveries = [
            delivery
            for lead in leads
            for route, mapping in routes[lead.offer_id]
            if (delivery := first_delivery(lead, route, mapping, now)) is not None
        ]
        Delivery.objects.bulk_create(deliveries, ignore_conflicts=True)
        Lead.objects.filter(pk__in=[lead.pk for lead in leads]).update(routed_at=now)
        archived = [
            lead.pk for lead in leads if _is_dnc(lead) and lead.offer.dnc_policy == Offer.DncPolicy.ARCHIVE
        ]
        if archived:
            Lead.objects.filter(pk__in=archived).update(
                status=Lead.Status.CLOSED, closed_reason="Do not contact"
            )
    return Routed(len(leads), frozenset(delivery.destination_id for delivery in deliveries))


def route_everything(now: datetime) -> frozenset[int]:
    """Route until no lead is left that nobody has looked at. Returns the ids of the destinations that got work."""
    destinations: frozenset[int] = frozenset()
    while (routed := route_waiting(now)).leads:
        destinations |= routed.destinations
    return destinations


def first_delivery(
    lead: Lead, route: Route, mapping: MappingVersion | None, now: datetime
) -> Delivery | None:
    """The delivery that a route owes a lead, in the state it starts in; None where it owes none.

    `mapping` is the route's live one.
    """
    if lead.is_test and not lead.offer.send_test_leads:
        return None
    if not lead.offer.enabled or not route.enabled or not route.takes(lead):
        return None
    if route.send_from and lead.received_at < route.send_from:
        return None
    delivery = Delivery(
        lead=lead, route=route, destination_id=route.destination_id, due_at=now, created_at=now
    )
    if _is_dnc(lead) and lead.offer.dnc_policy != Offer.DncPolicy.PUSH:
        if lead.offer.dnc_policy == Offer.DncPolicy.ARCHIVE:
            return None
        delivery.hold(Delivery.Held.DNC, "Do not contact. Microsoft sent this for information.")
    elif route.needs_approval:
        delivery.hold(Delivery.Held.APPROVAL)
    elif mapping and mapping.broken:
        delivery.hold(Delivery.Held.MAPPING_BROKEN, mapping.broken)
    return delivery


def send_waiting(route: Route, now: datetime) -> int:
    """Make deliveries of the leads that wait for this route, at a person's word. Returns how many."""
    mapping = route.live_mapping
    if mapping is None:
        return 0  # nothing is published: they go on waiting
    with transaction.atomic():
        deliveries = [
            delivery
            for lead in route.waiting_leads().select_related("offer").iterator(chunk_size=BATCH)
            if (delivery := first_delivery(lead, route, mapping, now)) is not None
        ]
        Delivery.objects.bulk_create(deliveries, batch_size=BATCH, ignore_conflicts=True)
    return len(deliveries)


def from_now_on(route: Route, now: datetime) -> None:
    """Settle the question the other way: leads of the past stay unsent and are not offered again."""
    route.send_from = now
    route.save(update_fields=["send_from"])


def _live_routes(offers: Iterable[int]) -> dict[int, list[tuple[Route, MappingVersion]]]:
    """By offer: the routes that send, each with its live mapping."""
    routes = defaultdict(list)
    for route in Route.objects.filter(offer__in=offers, enabled=True):
        if (mapping := route.live_mapping) is not None:
            routes[route.offer_id].append((route, mapping))
    return routes


def _is_dnc(lead: Lead) -> bool:
    return lead.action.casefold() == "dnc"
