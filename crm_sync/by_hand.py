"""What a person does to sendings that wait, were refused or are held."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from crm_sync.models import Delivery

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


def cancel(deliveries: Sequence[int], *, at: datetime) -> int:
    """Never send these. Leaves alone what is on its way or there."""
    with transaction.atomic():
        return _locked(deliveries).update(state=Delivery.State.CANCELLED, held_reason="", settled_at=at)


def _locked(deliveries: Sequence[int]) -> QuerySet[Delivery]:
    """Those that may be changed, locked in the order of their ids, as workers lock them: nobody waits for ever."""
    chosen = Delivery.objects.filter(pk__in=deliveries, state__in=RETRYABLE).order_by("pk")
    locked = list(chosen.select_for_update().values_list("pk", flat=True))
    return Delivery.objects.filter(pk__in=locked)
