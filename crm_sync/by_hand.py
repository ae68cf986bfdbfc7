"""What a person does to sendings that wait, were refused or are held, or that have arrived and are to go once more."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max, OuterRef, Q, QuerySet, Subquery

from crm_sync import connectors
from crm_sync.models import Attempt, Delivery

RETRYABLE = (Delivery.State.WAITING, Delivery.State.REJECTED, Delivery.State.HELD)


def retry(deliveries: Sequence[int], *, at: datetime, duplicates: bool = False) -> int:
    """Try these now, with all their tries before them again. Leaves alone what is on its way or there.

    `duplicates`: whoever asks for it was told, and wants those written of whom the CRM has the person already.
    """
    with transaction.atomic():
        if duplicates:
            _locked(deliveries).exclude(duplicate_of="").update(write_anyway=True)
        return _locked(deliveries).update(
            state=Delivery.State.WAITING, held_reason="", due_at=at, strikes=0, settled_at=None
        )


def send_without(deliveries: Sequence[int], field: str, *, at: datetime) -> int:
    """Leave this CRM field out of these leads, and of no others, and try them now. Returns how many."""
    with transaction.atomic():
        changed = list(_locked(deliveries).only("pk", "without"))
        for delivery in changed:
            delivery.without = [*dict.fromkeys([*delivery.without, field])]
        Delivery.objects.bulk_update(changed, ["without"], batch_size=500)
        return retry([delivery.pk for delivery in changed], at=at)


def can_tell() -> list[str]:
    """The kinds of CRM that know a repeated push by its key."""
    return [kind.spec.slug for kind in connectors.all() if kind.spec.idempotent_by]


def push_again(deliveries: Sequence[int], *, at: datetime) -> int:
    """Push what has arrived once more, under its key and told to be a repeat. Returns how many.

    Leaves alone what is not there, and whatever a CRM that cannot tell would then have twice.
    """
    there = Q(state=Delivery.State.DELIVERED, destination__connector__in=can_tell())
    chosen = Delivery.objects.filter(there, pk__in=deliveries).order_by("pk")
    with transaction.atomic():
        locked = list(chosen.select_for_update(of=("self",)).values_list("pk", flat=True))
        # Where it arrived, by which id, stays written down: it is there whatever becomes of this push.
        return Delivery.objects.filter(pk__in=locked).update(
            state=Delivery.State.WAITING,
            uncertain=True,
            due_at=at,
            strikes=0,
            settled_at=None,
            reason="",
            reason_group="",
        )


def cancel(deliveries: Sequence[int], *, at: datetime) -> int:
    """Never send these. Leaves alone what is on its way or there; what was to be pushed again is there as before."""
    with transaction.atomic():
        locked = _locked(deliveries)
        arrived = locked.annotate(arrived_at=_arrived_at()).exclude(arrived_at=None)
        there = Delivery.objects.filter(pk__in=list(arrived.values_list("pk", flat=True)))
        given_back = there.update(
            state=Delivery.State.DELIVERED,
            settled_at=_arrived_at(),
            **dict.fromkeys(("held_reason", "reason", "reason_group", "field", "duplicate_of"), ""),
            uncertain=False,
        )
        cancelled = locked.filter(state__in=RETRYABLE)
        return given_back + cancelled.update(state=Delivery.State.CANCELLED, held_reason="", settled_at=at)


def _arrived_at() -> Subquery:
    """When the latest try that arrived did; null for what has never arrived."""
    tries = Attempt.objects.filter(delivery=OuterRef("pk"), outcome=Attempt.Outcome.DELIVERED).order_by()
    return Subquery(tries.values("delivery").annotate(at=Max("finished_at")).values("at"))


def take_back(leads: Sequence[UUID], at: datetime) -> int:
    """Stop what is open of leads that have become tests, in the caller's transaction. Returns how many sendings.

    One that was never tried goes without a trace: should the lead turn out to be none, routing makes it anew, held or
    not. One that was tried is cancelled; its tries are evidence. What is on its way or there stays.
    """
    open_ = Delivery.objects.filter(lead__in=leads, state__in=RETRYABLE, lead__offer__send_test_leads=False)
    keys = list(open_.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
    untried = Delivery.objects.filter(pk__in=keys, attempts=None)
    gone, _ = untried.delete()
    return gone + cancel(keys, at=at)


def _locked(deliveries: Sequence[int]) -> QuerySet[Delivery]:
    """Those that may be changed, locked in the order of their ids, as workers lock them: nobody waits for ever."""
    chosen = Delivery.objects.filter(pk__in=deliveries, state__in=RETRYABLE).order_by("pk")
    locked = list(chosen.select_for_update().values_list("pk", flat=True))
    return Delivery.objects.filter(pk__in=locked)
