"""A lead not yet routed becomes its deliveries, once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm_sync import claiming
from crm_sync.models import Delivery, MappingVersion, Route
from crm_sync.pushing import Claim
from leads import aftercare, statements
from leads.models import Lead, Offer
from leads.statements import Prepared

BATCH = 200


@dataclass(frozen=True, slots=True)
class Routed:
    """How many leads a round looked at, the leases that were taken at once, and the ids of the destinations that got
    more work than that."""

    leads: int = 0
    claims: Sequence[Claim] = ()
    destinations: frozenset[int] = frozenset()


def route_waiting(
    now: datetime,
    *,
    batch: int = BATCH,
    slots: Callable[[int], int] = lambda destination_id: 0,
    worker: str = "",
    known: claiming.Rows | None = None,
) -> Routed:
    """Tidy, group and route the oldest leads that nobody has looked at, in one transaction.

    Sets `routed_at` even where no route matches, so that each lead is looked at once. `slots` says how many calls the
    worker can make at once, by destination: so many of the new deliveries are leased in the same transaction.
    """
    # Without SQLite's write lock, which would otherwise be taken every few seconds, and held while this is done.
    leads = _unrouted(most=batch)
    if not leads:
        return Routed()
    ahead = aftercare.tidied_ahead((lead.pk, lead.email, lead.phone, lead.country) for lead in leads)
    with transaction.atomic():
        leads = _still_unrouted(leads)
        aftercare.care(leads, now, ahead)
        routes = {offer_id: _live_routes(offer_id=offer_id) for offer_id in {lead.offer_id for lead in leads}}
        born = [
            new
            for lead in leads
            for route in routes[lead.offer_id]
            if (new := _first_delivery(lead, route, now)) is not None
        ]
        claims = claiming.claim_new(born, at=now, slots=slots, known=known)
        statements.insert_new(born, ("lead_id", "route_id"))
        claims = [lease for lease in claims if lease.delivery.pk is not None]
        claiming.open_attempts(claims, at=now, worker=worker)
        aftercare.save(leads, now)
        _archive(leads)
    return Routed(
        len(leads),
        tuple(claims),
        frozenset(new.destination_id for new in born if new.state == Delivery.State.WAITING),
    )


_unrouted = Prepared(
    lambda most: Lead.objects.unrouted().select_related("offer")[:most],
    most=987_654_101,
)
_LOCK = "SELECT id FROM leads_lead WHERE id = ANY(%s) AND routed_at IS NULL FOR UPDATE SKIP LOCKED"


def _still_unrouted(leads: Sequence[Lead]) -> list[Lead]:
    """Those of these leads that no other worker has routed since they were read, locked."""
    keys = [statements.adapted(lead.pk) for lead in leads]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_LOCK, [keys])
        else:  # an IMMEDIATE transaction is alone already
            places = ", ".join(["%s"] * len(keys))
            cursor.execute(f"SELECT id FROM leads_lead WHERE id IN ({places}) AND routed_at IS NULL", keys)  # noqa: S608
        left = {key for (key,) in cursor.fetchall()}
    return [lead for lead, key in zip(leads, keys, strict=True) if key in left]


def _archive(leads: Iterable[Lead]) -> None:
    archived = [
        lead.pk for lead in leads if _is_dnc(lead) and lead.offer.dnc_policy == Offer.DncPolicy.ARCHIVE
    ]
    if archived:
        Lead.objects.filter(pk__in=archived).update(status=Lead.Status.CLOSED, closed_reason="Do not contact")


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
    broken = (mapping.broken, mapping.broken_field) if mapping else ("", "")
    return _owed(lead, route, broken, now)


def _owed(
    lead: Lead, route: Route, broken: tuple[str, str], now: datetime, *, of_any_day: bool = False
) -> Delivery | None:
    """`broken`: why the route's mapping is, and at which field; empty where it is in good order.

    `of_any_day`: also where the route sends later leads only.
    """
    if lead.is_test and not lead.offer.send_test_leads:
        return None
    if not lead.offer.enabled or not route.enabled or not route.takes(lead):
        return None
    if route.send_from and lead.received_at < route.send_from and not of_any_day:
        return None
    new = Delivery(lead=lead, route=route, destination_id=route.destination_id, due_at=now, created_at=now)
    if _is_dnc(lead) and lead.offer.dnc_policy != Offer.DncPolicy.PUSH:
        if lead.offer.dnc_policy == Offer.DncPolicy.ARCHIVE:
            return None
        new.hold(Delivery.Held.DNC, _("Do not contact. Microsoft sent this for information."))
    elif route.needs_approval:
        new.hold(Delivery.Held.APPROVAL)
    elif broken[0]:
        reason, new.field = broken
        new.hold(Delivery.Held.MAPPING_BROKEN, reason)
    return new


class Made(NamedTuple):
    """How many deliveries were made to go out, and how many to be held."""

    sent: int
    held: int


def send_waiting(route: Route, now: datetime) -> Made:
    """Make deliveries of the leads that wait for this route, at a person's word. Returns how many.

    A slice at a time, each in one transaction: there may be very many, and intake writes meanwhile.
    """
    mapping = route.live_mapping
    if mapping is None:
        return Made(0, 0)  # nothing is published: they go on waiting
    waiting = list(route.waiting_leads().order_by("received_at", "pk").values_list("pk", flat=True))
    sent = held = 0
    for start in range(0, len(waiting), BATCH):
        leads = Lead.objects.filter(pk__in=waiting[start : start + BATCH]).select_related("offer")
        with override(settings.LANGUAGE_CODE):  # in which reasons are stored
            owed = [first_delivery(lead, route, mapping, now) for lead in leads]
        made = _made([new for new in owed if new is not None])
        sent, held = sent + made.sent, held + made.held
    return Made(sent, held)


def _made(new: Sequence[Delivery]) -> Made:
    with transaction.atomic():
        Delivery.objects.bulk_create(new, batch_size=BATCH, ignore_conflicts=True)
    held = sum(delivery.state == Delivery.State.HELD for delivery in new)
    return Made(len(new) - held, held)


def never_sent(leads: Sequence[UUID], now: datetime) -> list[Delivery]:
    """The deliveries, not saved, that these leads never had and a person may want, from before "from now on" too.

    None of leads that nobody has looked at yet, which go by themselves, nor of those that are not to be contacted.
    """
    found = Lead.objects.filter(pk__in=leads).exclude(routed_at=None).select_related("offer")
    had = set(Delivery.objects.filter(lead__in=leads).values_list("lead_id", "route_id"))
    routes: dict[int, list[Any]] = {}
    return [
        new
        for lead in found.order_by("received_at", "pk")
        if not _is_dnc(lead) or lead.offer.dnc_policy == Offer.DncPolicy.PUSH
        for route in routes.setdefault(lead.offer_id, list(_routes_of(lead.offer_id)))
        if (lead.pk, route.pk) not in had
        if (new := _owed(lead, route, (route.broken, route.broken_field), now, of_any_day=True)) is not None
    ]


def send_chosen(leads: Sequence[UUID], now: datetime) -> Made:
    """Make the deliveries that these leads never had, at a person's word. Returns how many."""
    return _made(never_sent(leads, now))


def from_now_on(route: Route, now: datetime) -> None:
    """Settle the question the other way: leads of the past stay unsent and are not offered again."""
    route.send_from = now
    route.save(update_fields=["send_from"])


def _routes_of(offer_id: Any) -> QuerySet[Route]:
    """The routes of an offer that send, each with what is known of its live mapping."""
    live = MappingVersion.objects.published()
    own = live.filter(route=OuterRef("pk"))
    return (
        Route.objects.filter(offer=offer_id, enabled=True)
        .annotate(
            mapping_id=Subquery(own.values("pk")[:1]),
            broken=Subquery(own.values("broken")[:1]),
            broken_field=Subquery(own.values("broken_field")[:1]),
            default_mapping_id=Subquery(live.filter(destination=OuterRef("destination")).values("pk")[:1]),
        )
        .exclude(mapping_id=None)
    )


_live_routes = Prepared(_routes_of, offer_id=-987_654_102)


def _first_delivery(lead: Lead, route: Any, now: datetime) -> Delivery | None:
    """The delivery that one of the live routes owes a lead, with the mapping versions that a claim needs."""
    new = _owed(lead, route, (route.broken, route.broken_field), now)
    if new is not None:
        new.mapping_id, new.default_mapping_id = route.mapping_id, route.default_mapping_id  # type: ignore[attr-defined]
    return new


def _is_dnc(lead: Lead) -> bool:
    return lead.action.casefold() == "dnc"
