"""Claim, push, settle: a delivery goes out at least once, and counts once."""

import logging
import queue
import traceback
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeAlias, assert_never

from django.db import DatabaseError, close_old_connections, connection, transaction
from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from crm_sync import backoff, connectors, demo
from crm_sync.connectors.base import Check, Connector
from crm_sync.http import Pool
from crm_sync.mapping import RowProblem, Rule, apply, compose, suggested_rules
from crm_sync.models import (
    Attempt,
    Delivery,
    Destination,
    DestinationState,
    FieldRule,
    MappingVersion,
    Route,
)
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater, Throttled
from crm_sync.policy import PUSH_DEADLINE, policy
from crm_sync.recorder import Recorder, mask_literals
from leads.vault import VaultError

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Unmappable:
    """The mapping gave no record for this lead: nothing was sent."""

    problems: Sequence[RowProblem]


@dataclass(frozen=True, slots=True)
class Crashed:
    """The connector raised: our bug, whatever the CRM did."""

    trace: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker was gone before it could say what became of the push: the record may exist."""


Result: TypeAlias = Outcome | Unmappable | Crashed | Interrupted


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to push one delivery until the lease ends, by the field mapping that was live when it was given.

    `rows` are the route's published rules, `default_rows` the destination's; None: nothing is published there.
    """

    delivery: Delivery
    token: uuid.UUID
    rows: Sequence[FieldRule] | None
    default_rows: Sequence[FieldRule] | None

    @property
    def retry(self) -> bool:
        """Whether an earlier try may have written the record."""
        return self.delivery.uncertain


@dataclass(frozen=True, slots=True)
class Push:
    """A claim made ready: what the connector needs, and nothing that touches the database."""

    claim: Claim
    connector: Connector
    recorder: Recorder
    record: dict[str, Any]


def now() -> datetime:
    """The one clock that leases are measured by: the database's where several machines share it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            return cursor.fetchone()[0]
    return timezone.now()


# --- Claim ---------------------------------------------------------------------------------------------------


Rows: TypeAlias = dict[int, Sequence[FieldRule]]


def claim(
    destination_id: int, slots: int, *, at: datetime, worker: str = "", known: Rows | None = None
) -> list[Claim]:
    """Lease at most `slots` due deliveries, no more than the destination has free, and open their attempts.

    `known` remembers the rules of mapping versions between calls: a published one never changes.
    """
    known = {} if known is None else known
    with transaction.atomic():
        # Only its own row is locked: whoever makes deliveries needs the destination's.
        states = DestinationState.objects.select_for_update(of=("self",)).select_related("destination")
        state = states.filter(pk=destination_id).first()
        if state is None:
            return []  # deleted by a person
        free = min(slots, _free_slots(state, at))
        if free <= 0:
            return []
        claims = [
            lease
            for delivery in _due(destination_id, at)[:free]
            if (lease := _lease(delivery, state.destination, at, known))
        ]
        Attempt.objects.bulk_create(
            Attempt(
                delivery=lease.delivery,
                number=lease.delivery.tries,
                token=lease.token,
                started_at=at,
                worker=worker[:100],
                route_mapping_id=lease.delivery.mapping_id,  # type: ignore[attr-defined]
                default_mapping_id=lease.delivery.default_mapping_id,  # type: ignore[attr-defined]
            )
            for lease in claims
        )
    return claims


def _due(destination_id: int, at: datetime) -> QuerySet[Delivery]:
    """What a claim may take, locked, each with the ids of the mapping versions that are live."""
    live = MappingVersion.objects.published().values("pk")
    return (
        Delivery.objects.due(at)
        .filter(destination_id=destination_id)
        .annotate(
            mapping_id=Subquery(live.filter(route=OuterRef("route"))[:1]),
            default_mapping_id=Subquery(live.filter(destination=OuterRef("destination"))[:1]),
        )
        .select_related("lead__offer")
        .select_for_update(skip_locked=True, of=("self",))
    )


def _free_slots(state: DestinationState, at: datetime) -> int:
    if state.state in {state.State.PAUSED, state.State.STOPPED} or (state.until and state.until > at):
        return 0
    # A destination that failed is probed with a single lead until one gets through.
    limit = state.destination.max_in_flight if state.state == state.State.WORKING else 1
    return limit - Delivery.objects.in_flight(at).filter(destination_id=state.pk).count()


def _lease(delivery: Delivery, destination: Destination, at: datetime, known: Rows) -> Claim | None:
    token = uuid.uuid4()
    taken = Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING).update(
        state=Delivery.State.LEASED, lease_token=token, lease_expires_at=at + LEASE, tries=delivery.tries + 1
    )
    if not taken:
        return None
    delivery.tries += 1
    delivery.destination = destination  # with its secrets, opened once for all of them
    versions = delivery.mapping_id, delivery.default_mapping_id  # type: ignore[attr-defined]
    return Claim(delivery, token, *(_rows(version, known) for version in versions))


def _rows(version_id: int | None, known: Rows) -> Sequence[FieldRule] | None:
    if version_id is not None and version_id not in known:
        known[version_id] = list(FieldRule.objects.filter(version=version_id))
    return None if version_id is None else known[version_id]


def expire_leases(*, at: datetime, everything: bool = False) -> int:
    """Take back the leases of workers that are gone; each was an uncertain try.

    `everything`: also those that have not run out yet, for the one worker that knows itself to be alone.
    """
    lost = Delivery.objects.filter(state=Delivery.State.LEASED) if everything else Delivery.objects.lost(at)
    leases = list(lost.values_list("lease_token", "destination_id"))
    return sum(_settle(token, where, Interrupted(), [], at) for token, where in leases if token)


# --- Push ----------------------------------------------------------------------------------------------------


@cache
def _pool(is_demo: bool) -> Pool:
    """One pool of connections a process, whatever the number of destinations."""
    return Pool(policy(), transport=demo.Transport() if is_demo else None)


def connect(destination: Destination) -> tuple[Connector, Recorder]:
    """The connector of a destination with its settings of this moment, and the recorder of what it will say.

    The deadline of all that it does starts now.
    """
    recorder = Recorder(secrets=destination.secrets.values())
    http = _pool(destination.is_demo).client(recorder=recorder, deadline=PUSH_DEADLINE)
    return connectors.get(destination.connector)(destination.all_settings(), http), recorder


def prepare(lease: Claim) -> Push | Unmappable | Crashed:
    """Map the lead of a claim. Sends nothing."""
    try:
        destination = lease.delivery.destination
        rules = _rules(lease.rows, lease.default_rows, destination)
        applied = apply(rules, lease.delivery.lead.values())
        if applied.problems:
            return Unmappable(applied.problems)
        connector, recorder = connect(destination)
        return Push(lease, connector, recorder, applied.record)
    except Exception:
        return _crashed(lease)


def _rules(
    rows: Iterable[FieldRule] | None, default_rows: Iterable[FieldRule] | None, destination: Destination
) -> tuple[Rule, ...]:
    """A route's rules over the destination's default rules, or over those that its connector suggests."""
    own = [row.as_rule() for row in rows or ()]
    if default_rows is None:
        return compose(own, suggested_rules(destination.spec))
    return compose(own, [row.as_rule() for row in default_rows])


def push(ready: Push) -> Result:
    """Send it. Takes time, no transaction and no database connection; any exception is our bug."""
    try:
        return ready.connector.push(ready.record, key=ready.claim.delivery.key, retry=ready.claim.retry)
    except Exception:
        return _crashed(ready.claim)


def _crashed(lease: Claim) -> Crashed:
    """The exception of this moment, without the secrets that its message may quote."""
    return Crashed(mask_literals(traceback.format_exc(), lease.delivery.destination.secrets.values()))


# --- Settle --------------------------------------------------------------------------------------------------


def settle(lease: Claim, result: Result, *, at: datetime, exchanges: Sequence[Any] = ()) -> bool:
    """Complete the attempt and move the delivery on. Needs the lease, but a late `Delivered` always counts.

    Returns whether the delivery was moved.
    """
    if isinstance(result, Crashed):
        logger.error("Sending %s: the connector raised\n%s", lease.delivery.pk, result.trace)
    return _settle(lease.token, lease.delivery.destination_id, result, exchanges, at)


def _settle(
    token: uuid.UUID, destination_id: int, result: Result, exchanges: Sequence[Any], at: datetime
) -> bool:
    with transaction.atomic():
        # The state row first, as in claim(): one order of locks, no deadlock.
        state = DestinationState.objects.select_for_update().filter(pk=destination_id).first()
        attempt = (
            Attempt.objects.select_for_update(of=("self", "delivery"))
            .select_related("delivery__route", "route_mapping")
            .filter(token=token)
            .first()
        )
        if state is None or attempt is None:
            return False  # a person deleted the lead or the destination while it was on its way
        delivery = attempt.delivery
        if attempt.outcome in _OPEN or isinstance(result, Delivered):
            _complete(attempt, result, exchanges, at)
        late = delivery.lease_token != token
        if late and (not isinstance(result, Delivered) or delivery.state == Delivery.State.DELIVERED):
            return False
        if late:
            _close_tries(delivery, at)
        _move(attempt, delivery, state, result, at)
        delivery.save()
        state.save()
    return True


# An attempt that was taken for lost is completed by what its worker says in the end; others only once.
_OPEN = ("", Attempt.Outcome.LOST)


def _close_tries(delivery: Delivery, at: datetime) -> None:
    """Close the try whose lease a late success ends: nobody would take it back if its worker were dead."""
    Attempt.objects.filter(delivery=delivery, finished_at=None).update(
        outcome=Attempt.Outcome.LOST,
        reason="An earlier try turned out to have arrived while this one was under way.",
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
    attempt.save(update_fields=["outcome", "reason", "field", "uncertain", "finished_at", "exchanges"])


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


def reason_of(result: Result) -> str:
    """What a result says, for people."""
    match result:
        case Delivered(existed=True):
            return "It was there already, from an earlier try."
        case Delivered():
            return ""
        case Unmappable(problems=problems):
            return " ".join(f"{problem.target}: {problem.message}" for problem in problems)
        case Crashed():
            return "An error of this software. The log has the details; please report it."
        case Interrupted():
            return "The worker was interrupted during this try; the record may have been written."
        case Rejected() | RetryLater() | Throttled() | DestinationFault():
            return result.reason
        case _:
            assert_never(result)


def _move(
    attempt: Attempt, delivery: Delivery, state: DestinationState, result: Result, at: datetime
) -> None:
    """Apply a result to the delivery and to the health of its destination. The caller saves both."""
    match result:
        case Delivered(remote_id=remote_id, remote_url=remote_url, existed=existed):
            delivery.deliver(at, remote_id, remote_url, existed=existed)
            _answered(state, at)
            state.last_success_at = at
            _mapping_works(attempt, at)
        case Rejected(reason=reason, field=field, duplicate_of=duplicate_of):
            delivery.reject(at, reason, field, duplicate_of)
            _answered(state, at)
            if field:
                _blame_mapping(attempt, delivery, reason, field, at)
        case RetryLater(reason=reason, uncertain=uncertain, delay=delay):
            # At a destination that is sick already, a failed probe says nothing about this lead.
            strike = state.state == state.State.WORKING
            wait = timedelta(seconds=backoff.wait(delivery.strikes + strike, asked=delay))
            _try_again(delivery, reason, at + wait, uncertain=uncertain, strike=strike)
            _failed(state, reason, delay, at)
        case Throttled(reason=reason, delay=delay):
            delivery.wait(at, reason)
            _count(state, at)
            _slow(state, reason, delay if delay is not None else backoff.wait(state.failures), at)
        case DestinationFault(reason=reason):
            delivery.wait(at, reason)
            _stop(state, reason, at)
        case Unmappable():
            _hold_unmapped(attempt, delivery, reason_of(result), at)
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


def _is_waiting(state: DestinationState, at: datetime) -> bool:
    """Whether no push is to leave yet: an answer that comes now is to one that left before, and says nothing new."""
    return state.until is not None and state.until > at


def _count(state: DestinationState, at: datetime) -> None:
    # Fifty pushes that fail together are one failure more, not fifty: the next wait doubles once.
    if not _is_waiting(state, at):
        state.failures += 1


def _failed(state: DestinationState, reason: str, delay: float | None, at: datetime) -> None:
    """Count a failure; enough of them in a row open the breaker, and a failed probe keeps it open."""
    _count(state, at)
    if _is_waiting(state, at):
        _slow(state, reason, delay or 0.0, at)
    elif state.failures >= backoff.BREAKER_AFTER or state.state == state.State.SLOWED:
        _slow(state, reason, backoff.wait(state.failures, asked=delay), at)


def _answered(state: DestinationState, at: datetime) -> None:
    """The CRM took a decision on a lead: it is up, and lets us in."""
    if _is_waiting(state, at):
        return
    state.failures = 0
    if state.state != state.State.PAUSED:
        state.become(state.State.WORKING, "", at)


def _slow(state: DestinationState, reason: str, seconds: float, at: datetime) -> None:
    """Wait that long, or longer where it waits longer already; then probe with a single lead."""
    if state.state in {state.State.WORKING, state.State.SLOWED}:
        until = at + timedelta(seconds=seconds)
        state.become(state.State.SLOWED, reason, at, until=max(until, state.until or until))


def _stop(state: DestinationState, reason: str, at: datetime) -> None:
    waits = state.state == state.State.STOPPED and _is_waiting(state, at)
    if state.state != state.State.PAUSED and not waits:
        state.failures += 1
        until = at + timedelta(seconds=backoff.ceiling(state.failures))
        state.become(state.State.STOPPED, reason, at, until=until)


# --- What a field mapping is to blame for --------------------------------------------------------------------


def _hold_unmapped(attempt: Attempt, delivery: Delivery, reason: str, at: datetime) -> None:
    if _outdated(attempt, delivery.route):
        delivery.wait(at, reason)
    else:
        delivery.hold(Delivery.Held.MAPPING_BROKEN, reason)


def _blame_mapping(attempt: Attempt, delivery: Delivery, reason: str, field: str, at: datetime) -> None:
    """Mark the route's mapping broken where a refused field is the mapping's fault, and hold that route only.

    A version that delivered just before is not to blame: the refusal is this lead's own, until a second lead in a
    row is refused that field. So one bad value does not hold up the others, and a renamed field does.
    """
    mapping = attempt.route_mapping
    rules = _rules(_rule_rows(mapping), _rule_rows(attempt.default_mapping), delivery.destination)
    mapped = {rule.target for rule in rules if rule.kind != "omit"}
    if mapping is None or not mapped & {field, "*"}:
        return
    if _outdated(attempt, delivery.route):
        delivery.wait(at, reason)
        return
    same = Delivery.objects.filter(route=delivery.route).exclude(pk=delivery.pk)
    arrived, refused = _since_it_worked(mapping, delivery, field)
    if arrived and not refused:
        return
    mapping.broken, mapping.broken_field = reason, field[:200]
    mapping.save(update_fields=["broken", "broken_field"])
    for other in same.filter(pk__in=refused):
        other.hold(Delivery.Held.MAPPING_BROKEN, other.reason)
        other.save()
    same.filter(state=Delivery.State.WAITING).update(
        state=Delivery.State.HELD, held_reason=Delivery.Held.MAPPING_BROKEN, reason=reason
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
    tries = Attempt.objects.filter(route_mapping=mapping).exclude(delivery=delivery)
    arrived = tries.filter(outcome=Attempt.Outcome.DELIVERED).aggregate(last=Max("finished_at"))["last"]
    refused = tries.filter(
        outcome=Attempt.Outcome.REJECTED, field=field[:200], delivery__state=Delivery.State.REJECTED
    )
    if arrived:
        refused = refused.filter(finished_at__gte=arrived)
    return arrived, list(refused.values_list("delivery", flat=True))


def _mapping_works(attempt: Attempt, at: datetime) -> None:
    """A lead got through: if its mapping stood as broken, it no longer is, and what it held goes out."""
    mapping = attempt.route_mapping
    if mapping is not None and mapping.broken:
        mapping.broken = mapping.broken_field = ""
        mapping.save(update_fields=["broken", "broken_field"])
        release_broken(attempt.delivery.route, at)


def release_broken(route: Route, at: datetime) -> int:
    """Send what a broken mapping held, now that it is mended. Returns how many."""
    held = Delivery.objects.filter(
        route=route, state=Delivery.State.HELD, held_reason=Delivery.Held.MAPPING_BROKEN
    )
    return held.update(state=Delivery.State.WAITING, held_reason="", due_at=at)


# --- At a person's word --------------------------------------------------------------------------------------

RETRYABLE = (Delivery.State.WAITING, Delivery.State.REJECTED, Delivery.State.HELD)


def retry(deliveries: Sequence[int], *, at: datetime) -> int:
    """Try these now, with all their tries before them again. Leaves alone what is on its way or there."""
    return Delivery.objects.filter(pk__in=deliveries, state__in=RETRYABLE).update(
        state=Delivery.State.WAITING, held_reason="", due_at=at, strikes=0, settled_at=None
    )


def cancel(deliveries: Sequence[int], *, at: datetime) -> int:
    """Never send these. Leaves alone what is on its way or there."""
    return Delivery.objects.filter(pk__in=deliveries, state__in=RETRYABLE).update(
        state=Delivery.State.CANCELLED, held_reason="", settled_at=at
    )


def pause(destination: Destination, user: Any, *, at: datetime, reason: str = "") -> None:
    """Send nothing to this destination until a person resumes it."""
    with transaction.atomic():
        state = DestinationState.objects.select_for_update().get(pk=destination.pk)
        state.become(state.State.PAUSED, reason, at)
        state.paused_by = user
        state.save()


def resume(destination: Destination, *, at: datetime) -> None:
    """Send again, at full speed."""
    with transaction.atomic():
        state = DestinationState.objects.select_for_update().get(pk=destination.pk)
        state.become(state.State.WORKING, "", at)
        state.paused_by, state.failures = None, 0
        state.save()


def stop(destination_id: int, reason: str, *, at: datetime) -> None:
    """Send nothing to this destination until a check passes; it is checked again by itself."""
    with transaction.atomic():
        state = DestinationState.objects.select_for_update().get(pk=destination_id)
        _stop(state, reason, at)
        state.save()


def check(destination: Destination, *, at: datetime) -> Check:
    """Test a connection; creates nothing there. A stopped destination that passes is probed with the next lead."""
    try:
        connector, _ = connect(destination)
        result = connector.check()
    except Exception as error:
        logger.exception("Testing %s: the connector raised", destination)
        result = Check(ok=False, findings=(f"An error of this software: {error}",), outcome=None)
    with transaction.atomic():
        state = DestinationState.objects.select_for_update().get(pk=destination.pk)
        state.checked_at, state.findings = at, list(result.findings)
        if state.state == state.State.STOPPED:
            if result.ok:
                state.become(state.State.SLOWED, state.reason, at)
            else:
                _stop(state, " ".join(result.findings) or state.reason, at)
        state.save()
    return result


# --- Drain ---------------------------------------------------------------------------------------------------


def destinations_due(at: datetime) -> set[int]:
    """Ids of destinations that have something due and may be sent to, or are stopped and due for a check."""
    ready = DestinationState.objects.exclude(state=DestinationState.State.PAUSED).exclude(until__gt=at)
    with_work = Exists(Delivery.objects.due(at).filter(destination_id=OuterRef("pk")).order_by())
    return set(ready.filter(Q(state=DestinationState.State.STOPPED) | with_work).values_list("pk", flat=True))


class Drain:
    """Works on one destination while anything is due: claims, pushes concurrently, settles.

    One thread talks to the database; the executor's threads only push. `wake()` from any thread makes it look
    again while pushes are under way; `stop()` makes it claim nothing more and settle what is on its way.
    """

    def __init__(
        self,
        destination_id: int,
        executor: Executor,
        *,
        slots: int,
        worker: str = "",
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.destination_id, self.executor, self.slots = destination_id, executor, slots
        self.worker, self.clock = worker, clock
        self.under_way = 0
        self._inbox: queue.SimpleQueue[tuple[Push, Result] | None] = queue.SimpleQueue()
        self._known: Rows = {}
        self._stopping = False

    def wake(self) -> None:
        self._inbox.put(None)

    def stop(self) -> None:
        self._stopping = True
        self.wake()

    def run(self) -> int:
        """Returns how many pushes were settled."""
        settled = 0
        while True:
            try:
                self._check_if_stopped()
                self._start()
            except VaultError as error:
                stop(self.destination_id, str(error), at=self.clock())
            if not self.under_way:
                return settled
            settled += sum(self._settle(ready, result) for ready, result in self._finished())

    def _check_if_stopped(self) -> None:
        stopped = Destination.objects.filter(
            pk=self.destination_id,
            state__state=DestinationState.State.STOPPED,
            state__until__lte=self.clock(),
        ).first()
        if stopped is not None and not self._stopping:
            check(stopped, at=self.clock())

    def _start(self) -> None:
        """Claim and hand out as many pushes as there are slots."""
        while not self._stopping and (free := self.slots - self.under_way) > 0:
            claims = claim(self.destination_id, free, at=self.clock(), worker=self.worker, known=self._known)
            if not claims:
                return
            handed_out = sum(self._hand_out(lease) for lease in claims)
            if handed_out == len(claims) < free:
                return

    def _hand_out(self, lease: Claim) -> bool:
        ready = prepare(lease)
        if isinstance(ready, Push):
            self.executor.submit(self._push, ready)
            self.under_way += 1
            return True
        settle(lease, ready, at=self.clock())
        return False

    def _push(self, ready: Push) -> None:
        self._inbox.put((ready, push(ready)))

    def _settle(self, ready: Push, result: Result) -> bool:
        self.under_way -= 1
        try:
            return self._write_down(ready, result)
        except DatabaseError:
            close_old_connections()
        try:
            return self._write_down(ready, result)
        except DatabaseError:
            # The lease runs out, and the idempotent path finds the record.
            logger.exception("What became of sending %s could not be written down", ready.claim.delivery.pk)
            return False

    def _write_down(self, ready: Push, result: Result) -> bool:
        settle(ready.claim, result, at=self.clock(), exchanges=ready.recorder.exchanges)
        return True

    def _finished(self) -> list[tuple[Push, Result]]:
        """Wait for a push to end or a wake-up; returns every push that has ended by then."""
        items = [self._inbox.get()]
        while not self._inbox.empty():
            items.append(self._inbox.get())
        return [item for item in items if item is not None]
