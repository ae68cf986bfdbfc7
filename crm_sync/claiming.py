"""Claim: lease what is due at a destination, no more than it has room for, and open the tries."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Lower

from crm_sync import connectors, health, limits
from crm_sync.limits import Allowance
from crm_sync.models import Attempt, Delivery, Destination, DestinationState, FieldRule, MappingVersion
from crm_sync.pushing import Claim
from leads import statements
from leads.statements import Prepared
from leads.vault import VaultError, require_open

LEASE = timedelta(seconds=90)

Rows: TypeAlias = dict[int, Sequence[FieldRule]]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim got.

    `more`: there may be more once a push has ended; `room`: and at once, as this was less than may go now. `again`:
    when the limit a second lets the next call go. `check`: the destination is stopped, and to be checked now.
    """

    leases: Sequence[Claim] = ()
    more: bool = False
    room: bool = False
    again: datetime | None = None
    check: bool = False


def claim(
    destination_id: int, slots: int, *, at: datetime, worker: str = "", known: Rows | None = None
) -> Claimed:
    """Lease at most `slots` due deliveries, no more than the destination has free, and open their attempts.

    For a destination that takes batches a slot is a call, and what one claim takes goes into one. `known` remembers
    the rules of mapping versions between calls: a published one never changes. A destination whose secrets no key opens
    is stopped.
    """
    # Within the transaction of a drain, which is undone as a whole where this fails.
    with transaction.atomic(savepoint=False):
        state = _locked(destination_id)
        if state is None:
            return Claimed()  # deleted by a person
        if closed := _closed(state.destination):
            health.fault(state, closed, at)
            state.save()
            return Claimed()
        allowed = _allowance(state, at, slots)
        if allowed.spent:
            health.rest(state, at)
        if not allowed.leads:
            return Claimed(more=allowed.busy, again=allowed.again, check=allowed.check)
        due = _due(state.destination, at, allowed)
        chosen = due if not _one_per_email(state.destination) else _each_email_once(due)
        leases = [_lease(delivery, state.destination, at, known) for delivery in chosen]
        statements.update(chosen, _LEASED)
        open_attempts(leases, at=at, worker=worker)
        calls = allowed.calls(len(leases))
        limits.use(state, at, calls)
    # Where an address goes one at a time, somebody may wait for what is on its way now.
    more = len(due) == allowed.leads or _one_per_email(state.destination)
    return Claimed(leases, more=more, room=calls < allowed.most, again=allowed.again if more else None)


def claim_new(
    born: Iterable[Delivery],
    *,
    at: datetime,
    slots: Callable[[int], int],
    known: Rows | None = None,
) -> list[Claim]:
    """Lease deliveries that are about to be inserted, where their destination has slots free and nothing waits there.

    So a lead that comes alone needs no second transaction. Sets the lease on the objects; the caller inserts them,
    then opens their attempts, in the transaction of this call. `slots` says how many calls the worker can make, by
    destination; the deliveries have the ids of the live mapping versions as `_due` gives them.
    """
    waiting = defaultdict(list)
    for delivery in born:
        if delivery.state == Delivery.State.WAITING:
            waiting[delivery.destination_id].append(delivery)
    # In one order, as every worker locks them.
    return [
        lease
        for destination_id in sorted(waiting)
        for lease in _claim_new(destination_id, waiting[destination_id], at, slots(destination_id), known)
    ]


def _claim_new(
    destination_id: int, born: Sequence[Delivery], at: datetime, slots: int, known: Rows | None
) -> list[Claim]:
    state = _locked(destination_id) if slots > 0 else None
    if state is None or state.state != state.State.WORKING or _one_per_email(state.destination):
        return []
    if _closed(state.destination):
        return []  # whoever drains it stops it, and says why
    if _anything_due(destination_id, at):
        return []  # those go first
    allowed = _allowance(state, at, slots)
    leases = [_lease(delivery, state.destination, at, known) for delivery in born[: allowed.leads]]
    limits.use(state, at, allowed.calls(len(leases)))
    return leases


def open_attempts(leases: Iterable[Claim], *, at: datetime, worker: str = "") -> None:
    """Write down that these tries have begun. In the transaction that leases their deliveries."""
    statements.insert(
        [
            Attempt(
                delivery=lease.delivery,
                number=lease.delivery.tries,
                token=lease.token,
                started_at=at,
                worker=worker[:100],
                route_mapping_id=lease.delivery.mapping_id,  # type: ignore[attr-defined]
                default_mapping_id=lease.delivery.default_mapping_id,  # type: ignore[attr-defined]
            )
            for lease in leases
        ]
    )


_LEASED = ("state", "lease_token", "lease_expires_at", "tries")


def _lease(delivery: Delivery, destination: Destination, at: datetime, known: Rows | None) -> Claim:
    token = uuid.uuid4()
    delivery.state, delivery.lease_token, delivery.lease_expires_at = (
        delivery.State.LEASED,
        token,
        at + LEASE,
    )
    delivery.tries += 1
    delivery.destination = destination  # with its secrets, opened once for all of them
    versions = delivery.mapping_id, delivery.default_mapping_id  # type: ignore[attr-defined]
    return Claim(delivery, token, *(_rows(version, {} if known is None else known) for version in versions))


def _rows(version_id: int | None, known: Rows) -> Sequence[FieldRule] | None:
    if version_id is not None and version_id not in known:
        known[version_id] = list(FieldRule.objects.filter(version=version_id))
    return None if version_id is None else known[version_id]


# Marks of prepared queries: values that nothing real has.
_KEY, _TIME, _MOST = -987_654_001, datetime(1970, 1, 1, 3, 33, 33, tzinfo=UTC), 987_654_002


def _states(key: Any) -> QuerySet[DestinationState]:
    # Only its own row is locked: whoever makes deliveries needs the destination's.
    states = DestinationState.objects.select_for_update(of=("self",)).select_related("destination")
    return states.filter(pk=key)


_state = Prepared(_states, key=_KEY)


def _locked(destination_id: int) -> DestinationState | None:
    """The state of a destination, locked: the lock under which its slots are counted."""
    return next(iter(_state(key=destination_id)), None)


def _closed(destination: Destination) -> str:
    """Why the secrets of a destination cannot be read; empty where a key opens them."""
    try:
        require_open(destination.secrets)
    except VaultError as error:
        return str(error)
    return ""


_IN_FLIGHT = """
    SELECT COUNT(*), COUNT(DISTINCT lease_expires_at) FROM crm_sync_delivery
    WHERE destination_id = %s AND state = 'leased' AND lease_expires_at > %s
"""


def _allowance(state: DestinationState, at: datetime, slots: int) -> Allowance:
    with connection.cursor() as cursor:
        cursor.execute(_IN_FLIGHT, [state.pk, statements.adapted(at)])
        leads, calls = cursor.fetchone()
    # The leads of one batch were leased at one moment.
    in_flight = calls if limits.batch_size(state.destination) > 1 else leads
    return limits.allowance(state, at, slots=slots, in_flight=in_flight)


def _due_there(key: Any, at: Any, most: Any) -> QuerySet[Delivery]:
    """What a claim may take, locked, each with the ids of the mapping versions that are live."""
    live = MappingVersion.objects.published().values("pk")
    due = Delivery.objects.due(at).filter(destination_id=key)
    due = due.annotate(
        mapping_id=Subquery(live.filter(route=OuterRef("route"))[:1]),
        default_mapping_id=Subquery(live.filter(destination=OuterRef("destination"))[:1]),
    ).select_related("lead__offer")
    return due.select_for_update(skip_locked=True, of=("self",))[:most]


def _probes(key: Any, at: Any, most: Any) -> QuerySet[Delivery]:
    # The least tried first: a lead that the CRM cannot take must not be the one that tells whether it works.
    ordered = _due_there(key, at, None).order_by("tries", "due_at", "id")
    return ordered[:most]


def _due_without_company(key: Any, at: Any, most: Any) -> QuerySet[Delivery]:
    on_its_way = (
        Delivery.objects.in_flight(at)
        .filter(destination_id=key)
        .annotate(email=Lower("lead__email"))
        .filter(email=Lower(OuterRef("lead__email")))
        .exclude(lead__email="")
    )
    return _due_there(key, at, None).filter(~Exists(on_its_way))[:most]


_MARKS = {"key": _KEY, "at": _TIME, "most": _MOST}
_plain, _probe, _alone = (Prepared(make, **_MARKS) for make in (_due_there, _probes, _due_without_company))


def _due(destination: Destination, at: datetime, allowed: Allowance) -> list[Delivery]:
    query = _probe if allowed.probe else _alone if _one_per_email(destination) else _plain
    return query(key=destination.pk, at=at, most=allowed.leads)


def _one_per_email(destination: Destination) -> bool:
    try:
        return destination.spec.one_per_email
    except connectors.UnknownConnector:
        return False


def _each_email_once(due: Iterable[Delivery]) -> list[Delivery]:
    """The first of each address; the others wait until it is settled."""
    first: dict[str, Delivery] = {}
    for delivery in due:
        first.setdefault(delivery.lead.email.casefold() or str(delivery.pk), delivery)
    return list(first.values())


_ANY_DUE = (
    "SELECT 1 FROM crm_sync_delivery WHERE destination_id = %s AND state = 'waiting' AND due_at <= %s LIMIT 1"
)


def _anything_due(destination_id: int, at: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_ANY_DUE, [destination_id, statements.adapted(at)])
        return cursor.fetchone() is not None
