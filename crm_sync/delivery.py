"""Settle: a delivery goes out at least once, and counts once."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

from django.db import connection, transaction
from django.utils.translation import gettext as _

from crm_sync import backoff, blame, catalogue, health
from crm_sync.claiming import LEASE
from crm_sync.models import Attempt, Delivery, DestinationState
from crm_sync.outcomes import Delivered, DestinationFault, Rejected, RetryLater, Throttled
from crm_sync.pushing import Claim, Crashed, Interrupted, Result, Unmappable, reason_of
from leads import statements
from leads.statements import Prepared

TOGETHER = 50  # results at most that one transaction writes down: on SQLite, leads that come in wait for it


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one lease. `exchanges`: what was said to the CRM and back. `call`: which call it was sent in.

    `delivery`: the object of the claim, which saves reading it again.
    """

    token: uuid.UUID
    result: Result
    exchanges: Sequence[Any] = ()
    call: int | None = None
    delivery: Delivery | None = None


def settle(lease: Claim, result: Result, *, at: datetime, exchanges: Sequence[Any] = ()) -> bool:
    """Complete the attempt and move the delivery on. Needs the lease, but a late `Delivered` always counts.

    Returns whether the delivery was moved.
    """
    settlement = Settlement(lease.token, result, exchanges)
    return settle_all(lease.delivery.destination_id, [settlement], at=at) == 1


def settle_all(destination_id: int, settlements: Sequence[Settlement], *, at: datetime) -> int:
    """Settle what has ended at one destination, best in the order of the deliveries' ids, in which people lock them.

    Returns how many were moved.
    """
    return sum(
        _settle_together(destination_id, settlements[start : start + TOGETHER], at)
        for start in range(0, len(settlements), TOGETHER)
    )


def _settle_together(destination_id: int, settlements: Sequence[Settlement], at: datetime) -> int:
    moved = 0
    # Within the transaction of a drain, which is undone as a whole where this fails.
    with transaction.atomic(savepoint=False):
        # The state row first, as in claim(): one order of locks, no deadlock.
        state = _locked_plain(destination_id)
        if state is None:
            return 0  # a person deleted the destination while they were on their way
        before, changes = _health(state), _Changes()
        arrived = _arrived(settlements)
        if arrived:
            moved += _settle_arrived(arrived, state, at)
        done = {settlement.token for settlement in arrived}
        for settlement in settlements:
            if settlement.token in done:
                continue
            if not isinstance(settlement.result, Delivered):
                changes.write()  # what a broken mapping holds is asked of the database
            moved += _apply(settlement, state, changes, at)
        changes.write()
        if _health(state) != before:
            state.save(update_fields=_HEALTH)
    return moved


def _arrived(settlements: Sequence[Settlement]) -> list[Settlement]:
    """Those that need no second look: delivered under a lease that is theirs still, by a mapping in good order."""
    found = {
        settlement.delivery.pk: settlement
        for settlement in settlements
        if settlement.delivery is not None and isinstance(settlement.result, Delivered)
    }
    if not found:
        return []
    places = ", ".join(["%s"] * len(found))
    lock = " FOR UPDATE OF d" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(_THEIRS.format(places) + lock, list(found))
        theirs = dict(cursor.fetchall())
    return [item for key, item in found.items() if theirs.get(key) == statements.adapted(item.token)]


_THEIRS = """
    SELECT d.id, d.lease_token FROM crm_sync_delivery d
    WHERE d.id IN ({}) AND d.state = 'leased' AND NOT EXISTS (
        SELECT 1 FROM crm_sync_mappingversion m WHERE m.route_id = d.route_id AND m.broken <> ''
    ) ORDER BY d.id
"""


def _settle_arrived(settlements: Sequence[Settlement], state: DestinationState, at: datetime) -> int:
    attempts, deliveries = [], []
    for settlement in settlements:
        attempt = Attempt(token=settlement.token)
        _complete(attempt, settlement.result, settlement.exchanges, at)
        attempts.append(attempt)
        result, delivery = settlement.result, settlement.delivery
        assert isinstance(result, Delivered) and delivery is not None  # noqa: S101, PT018  as `_arrived` chose them
        delivery.deliver(at, result.remote_id, result.remote_url, existed=result.existed, note=result.note)
        deliveries.append(delivery)
    statements.update(attempts, _Changes.ATTEMPT, key_name="token")
    statements.update(deliveries, _Changes.DELIVERED)
    health.succeeded(state, at)
    return len(settlements)


_HEALTH = ("state", "reason", "since", "until", "failures", "last_success_at")


def _health(state: DestinationState) -> tuple[Any, ...]:
    return tuple(getattr(state, name) for name in _HEALTH)


_plain_state = Prepared(
    lambda key: DestinationState.objects.select_for_update().filter(pk=key), key=-987_654_201
)
_attempt = Prepared(
    lambda token: (
        Attempt.objects.select_for_update(of=("self", "delivery"))
        .select_related("delivery__route", "route_mapping")
        .filter(token=token)
    ),
    token=uuid.UUID(int=987_654_003),
)


def _locked_plain(destination_id: int) -> DestinationState | None:
    """The state alone: what arrived is written down even where no key opens the destination's secrets."""
    return next(iter(_plain_state(key=destination_id)), None)


class _Changes:
    """Attempts and deliveries to be written together."""

    ATTEMPT = ("outcome", "reason", "field", "uncertain", "finished_at", "exchanges")
    DELIVERY = (
        *("state", "held_reason", "due_at", "strikes", "uncertain", "reason", "reason_group", "field"),
        *(
            "duplicate_of",
            "remote_id",
            "remote_url",
            "existed",
            "lease_token",
            "lease_expires_at",
            "settled_at",
        ),
    )

    # What a success changes.
    DELIVERED = tuple(name for name in DELIVERY if name not in {"due_at", "strikes"})

    def __init__(self) -> None:
        self.failed: set[int] = set()  # calls whose failure is counted
        self.attempts: list[Attempt] = []
        self.deliveries: list[Delivery] = []

    def write(self) -> None:
        statements.update(self.attempts, self.ATTEMPT)
        statements.update(self.deliveries, self.DELIVERY)
        self.attempts, self.deliveries = [], []


def _apply(settlement: Settlement, state: DestinationState, changes: _Changes, at: datetime) -> bool:
    """Apply one result. Returns whether its delivery was moved."""
    attempt = next(iter(_attempt(token=settlement.token)), None)
    if attempt is None:
        return False  # a person deleted the lead while it was on its way
    delivery, result = attempt.delivery, settlement.result
    if attempt.outcome in _OPEN or isinstance(result, Delivered):
        _complete(attempt, result, settlement.exchanges, at)
        changes.attempts.append(attempt)
    late = delivery.lease_token != settlement.token
    if late and (not isinstance(result, Delivered) or delivery.state == Delivery.State.DELIVERED):
        return False
    if late:
        _close_tries(delivery, at)
    # A batch that fails is one failure, however many leads were in it.
    counts = settlement.call not in changes.failed
    _move(attempt, delivery, state if counts else copy(state), result, at)
    if settlement.call is not None and isinstance(result, RetryLater | Throttled):
        changes.failed.add(settlement.call)
    changes.deliveries.append(delivery)
    return True


# An attempt that was taken for lost is completed by what its worker says in the end; others only once.
_OPEN = ("", Attempt.Outcome.LOST)


def _close_tries(delivery: Delivery, at: datetime) -> None:
    """Close the try whose lease a late success ends: nobody would take it back if its worker were dead."""
    Attempt.objects.filter(delivery=delivery, finished_at=None).update(
        outcome=Attempt.Outcome.LOST,
        reason=_("An earlier try turned out to have arrived while this one was under way."),
        uncertain=True,
        finished_at=at,
    )


def _complete(attempt: Attempt, result: Result, exchanges: Sequence[Any], at: datetime) -> None:
    attempt.outcome = _OUTCOMES[type(result)]
    attempt.reason = result.trace if isinstance(result, Crashed) else reason_of(result)
    attempt.field = getattr(result, "field", "")[:200]
    attempt.uncertain = isinstance(result, Interrupted) or getattr(result, "uncertain", False)
    attempt.finished_at = at
    attempt.exchanges = [exchange.as_dict() for exchange in exchanges]


_OUTCOMES: dict[type, str] = {
    Delivered: Attempt.Outcome.DELIVERED,
    Rejected: Attempt.Outcome.REJECTED,
    RetryLater: Attempt.Outcome.RETRY_LATER,
    Throttled: Attempt.Outcome.THROTTLED,
    DestinationFault: Attempt.Outcome.DESTINATION_FAULT,
    Unmappable: Attempt.Outcome.MAPPING_BROKEN,
    Crashed: Attempt.Outcome.BUG,
    Interrupted: Attempt.Outcome.LOST,
}


def _move(
    attempt: Attempt, delivery: Delivery, state: DestinationState, result: Result, at: datetime
) -> None:
    """Apply a result to the delivery and to the health of its destination. The caller saves both."""
    match result:
        case Delivered(remote_id=remote_id, remote_url=remote_url, existed=existed, note=note):
            delivery.deliver(at, remote_id, remote_url, existed=existed, note=note)
            health.succeeded(state, at)
            blame.mapping_works(attempt, at)
        case Rejected(reason=reason, field=field, duplicate_of=duplicate_of):
            delivery.reject(at, reason, field, duplicate_of)
            health.answered(state, at)
            if field:
                catalogue.doubt(delivery.destination_id)
                blame.blame_mapping(attempt, delivery, reason, field, at)
        case RetryLater(reason=reason, uncertain=uncertain, delay=delay):
            # At a destination that is sick already, a failed probe says nothing about this lead.
            strike = state.state == state.State.WORKING
            wait = timedelta(seconds=backoff.wait(delivery.strikes + strike, asked=delay))
            _try_again(delivery, reason, at + wait, uncertain=uncertain, strike=strike)
            health.failed(state, reason, delay, at)
        case Throttled(reason=reason, delay=delay):
            delivery.wait(at, reason)
            health.throttled(state, reason, delay, at)
        case DestinationFault(reason=reason):
            delivery.wait(at, reason)
            health.fault(state, reason, at)
        case Unmappable():
            blame.hold_unmapped(attempt, delivery, reason_of(result), at)
        case Crashed():
            delivery.hold(Delivery.Held.BUG, reason_of(result))
        case Interrupted():
            # Says nothing about the destination. At once, but counted: a lead that kills workers must end.
            _try_again(delivery, reason_of(result), at, uncertain=True, strike=True)
        case _:
            assert_never(result)


def _try_again(delivery: Delivery, reason: str, due_at: datetime, *, uncertain: bool, strike: bool) -> None:
    delivery.strikes += strike
    delivery.uncertain = delivery.uncertain or uncertain
    if uncertain and not delivery.destination.spec.idempotent_by:
        delivery.hold(Delivery.Held.UNCERTAIN, reason)
    elif delivery.strikes >= backoff.MAX_STRIKES:
        delivery.hold(Delivery.Held.GAVE_UP, reason)
    else:
        delivery.wait(due_at, reason)


# --- What was leased ---------------------------------------------------------------------------------------


def expire_leases(*, at: datetime, everything: bool = False) -> int:
    """Take back the leases of workers that are gone; each was an uncertain try.

    `everything`: also those that have not run out yet, for the one worker that knows itself to be alone.
    """
    lost = Delivery.objects.filter(state=Delivery.State.LEASED) if everything else Delivery.objects.lost(at)
    by_destination = defaultdict(list)
    for token, destination_id in lost.order_by("id").values_list("lease_token", "destination_id"):
        if token is not None:
            by_destination[destination_id].append(Settlement(token, Interrupted()))
    return sum(settle_all(where, settled, at=at) for where, settled in by_destination.items())


def clock_was_set_back(at: datetime) -> None:
    """Let nothing wait for times that a clock wrote down while it was ahead: waits end now, leases in a lease's time.

    What waited by the right clock goes sooner than it would have, which a breaker bounds to a single lead.
    """
    Delivery.objects.filter(state=Delivery.State.WAITING, due_at__gt=at).update(due_at=at)
    Delivery.objects.in_flight(at + LEASE).update(lease_expires_at=at + LEASE)
    DestinationState.objects.filter(until__gt=at).update(until=at)
