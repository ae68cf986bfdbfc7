"""Forgets what was said to a CRM once nobody needs it: who, when and with what outcome stay."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from crm_sync.models import Attempt, Delivery, Destination
from crm_sync.reason_groups import group_of

SLICE = 200  # deliveries that one transaction writes
AT_MOST = 20_000  # deliveries in one call
EVER = 36_500  # days: a hundred years

# Up to when this process has forgotten everything there was: it need not look there again. By destination and its
# birth, so that an id that is given anew starts from the beginning.
_done: dict[tuple[int, datetime], datetime] = {}


def forget_old_tries(now: datetime, limit: int = AT_MOST) -> int:
    """Delete requests and answers of deliveries that were settled longer ago than their destination keeps them.

    Of reasons, which may quote a person, what they have in common with others is left. At most `limit` deliveries, in
    short transactions. Returns of how many tries something was deleted.
    """
    forgotten = 0
    for destination in Destination.objects.only("keep_tries_days", "created_at").exclude(keep_tries_days=0):
        if limit > 0 and destination.keep_tries_days < EVER:
            tries, deliveries = _forget(destination, now, limit)
            forgotten, limit = forgotten + tries, limit - deliveries
    return forgotten


def _forget(destination: Destination, now: datetime, limit: int) -> tuple[int, int]:
    """Returns how many tries and deliveries it was."""
    until = now - timedelta(days=destination.keep_tries_days)
    known = (destination.pk, destination.created_at)
    old = Delivery.objects.filter(destination=destination, settled_at__lte=until)
    if known in _done:
        old = old.filter(settled_at__gt=_done[known])
    told = Attempt.objects.filter(delivery=OuterRef("pk")).exclude(exchanges=[])
    tries = deliveries = 0
    for ids in _slices(old.filter(Exists(told)), limit):
        deliveries += len(ids)
        tries += _forget_together(ids, until)
    if deliveries < limit:
        _done[known] = until
    return tries, deliveries


def _slices(deliveries: "QuerySet[Delivery]", limit: int) -> Iterator[list[int]]:
    """Their ids, a slice at a time: no cursor stays open while others are written."""
    last = 0
    while limit > 0:
        found = deliveries.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)
        ids = list(found[: min(SLICE, limit)])
        if not ids:
            return
        yield ids
        last, limit = ids[-1], limit - len(ids)


def _forget_together(ids: Iterable[int], until: datetime) -> int:
    # Looked at again, because a person may have sent one of them again meanwhile.
    settled = Delivery.objects.filter(pk__in=ids, settled_at__lte=until)
    tries = Attempt.objects.filter(delivery__in=settled.values("pk"))
    with transaction.atomic():
        count = tries.exclude(exchanges=[]).update(exchanges=[])
        _generalise(tries)
        _generalise(settled)
    return count


def _generalise(rows: "QuerySet[Any]") -> None:
    for pk, reason in rows.exclude(reason="").values_list("pk", "reason"):
        if (group := group_of(reason)) != reason:
            rows.filter(pk=pk, reason=reason).update(reason=group)
