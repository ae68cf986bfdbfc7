"""What a field mapping is to blame for: it is marked as broken, and only its own route is held."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Max

from crm_sync.models import Attempt, Delivery, FieldRule, MappingVersion, Route
from crm_sync.pushing import rules
from crm_sync.reason_groups import group_of


def hold_unmapped(attempt: Attempt, delivery: Delivery, reason: str, at: datetime) -> None:
    if _outdated(attempt, delivery.route):
        delivery.wait(at, reason)
    else:
        delivery.hold(Delivery.Held.MAPPING_BROKEN, reason)


def blame_mapping(attempt: Attempt, delivery: Delivery, reason: str, field: str, at: datetime) -> None:
    """Mark the route's mapping broken where a refused field is the mapping's fault, and hold that route only.

    A version that delivered just before is not to blame: the refusal is this lead's own, until a second lead in a
    row is refused that field. So one bad value does not hold up the others, and a renamed field does.
    """
    mapping = attempt.route_mapping
    applied = rules(_rule_rows(mapping), _rule_rows(attempt.default_mapping), delivery.destination)
    mapped = {rule.target for rule in applied if rule.kind != "omit"}
    if mapping is None or not mapped & {field, "*"}:
        return
    if _outdated(attempt, delivery.route):
        delivery.wait(at, reason)
        return
    same = Delivery.objects.filter(route=delivery.route).exclude(pk=delivery.pk)
    arrived, refused = _since_it_worked(mapping, delivery, field)
    known = mapping.broken and mapping.broken_field == field[:200]  # this one was on its way meanwhile
    if arrived and not refused and not known:
        return
    mapping.broken, mapping.broken_field = reason, field[:200]
    mapping.save(update_fields=["broken", "broken_field"])
    for other in same.filter(pk__in=refused):
        other.hold(Delivery.Held.MAPPING_BROKEN, other.reason)
        other.save()
    same.filter(state=Delivery.State.WAITING).update(
        state=Delivery.State.HELD,
        held_reason=Delivery.Held.MAPPING_BROKEN,
        reason=reason,
        reason_group=group_of(reason),
        field=field[:200],
    )
    delivery.hold(Delivery.Held.MAPPING_BROKEN, reason)


def _rule_rows(version: MappingVersion | None) -> Sequence[FieldRule] | None:
    return None if version is None else list(version.rules.all())


def _outdated(attempt: Attempt, route: Route) -> bool:
    """Whether another field mapping was published since this try was mapped: it may well be the remedy."""
    live = route.live_mapping, route.destination.live_mapping
    return (attempt.route_mapping, attempt.default_mapping) != live


def _since_it_worked(
    mapping: MappingVersion, delivery: Delivery, field: str
) -> tuple[datetime | None, list[int]]:
    """When this version last delivered a lead, and the other leads that were refused that field since."""
    tries = Attempt.objects.filter(route_mapping=mapping, delivery__without=[]).exclude(delivery=delivery)
    arrived = tries.filter(outcome=Attempt.Outcome.DELIVERED).aggregate(last=Max("finished_at"))["last"]
    refused = tries.filter(
        outcome=Attempt.Outcome.REJECTED, field=field[:200], delivery__state=Delivery.State.REJECTED
    )
    if arrived:
        refused = refused.filter(finished_at__gte=arrived)
    return arrived, list(refused.values_list("delivery", flat=True))


def mapping_works(attempt: Attempt, at: datetime) -> None:
    """A lead got through: if its mapping stood as broken, it no longer is, and what it held goes out.

    Not so one that went without some field: it says nothing about the mapping.
    """
    mapping = attempt.route_mapping
    if mapping is not None and mapping.broken and not attempt.delivery.without:
        mapping.broken = mapping.broken_field = ""
        mapping.save(update_fields=["broken", "broken_field"])
        release_broken(attempt.delivery.route, at)


def release_broken(route: Route, at: datetime) -> int:
    """Send what a broken mapping held, now that it is mended. Returns how many."""
    held = Delivery.objects.filter(
        route=route, state=Delivery.State.HELD, held_reason=Delivery.Held.MAPPING_BROKEN
    )
    return held.update(state=Delivery.State.WAITING, held_reason="", due_at=at)
