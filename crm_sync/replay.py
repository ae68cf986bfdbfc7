"""Sending a range of leads again, after an outage or once what made a CRM refuse them is mended.

A replay ends when everything is put back into the queue: following it until the last lead has arrived would hold a
worker for as long as the CRM is down. Each sending names the replay that put it back, so its page counts live.

Nothing that may be there already is sent: not what was delivered, nor what may have arrived at a CRM that cannot
tell. The rest goes under the key of its first try. What a person decided on one by one (approval, do not contact,
cancelled) is left alone too.
"""

import logging
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from crm_sync import by_hand, connectors, routing
from crm_sync.connectors.base import Connector
from crm_sync.mapping import Rule, apply
from crm_sync.models import Attempt, Delivery, Destination, Route, effective_rules
from crm_sync.pushing import OUR_ERROR, connect
from crm_sync.recorder import mask_literals
from leads import ports
from leads.models import Job, Lead, Offer
from leads.ports import JobFailed, Step
from leads.vault import VaultError

logger = logging.getLogger(__name__)

REPLAY, REHEARSAL = "replay", "replay_dry_run"
MOST = 20_000  # sendings in one replay: what each was before is remembered on the job's row
SLICE = 500
MAPPED_AT_ONCE = 200
REASON = 300  # characters
MOST_REASONS = 200
OTHER_REASONS = gettext_noop("Another reason: the lead's own page says which, once it was sent.")
NEVER = "new"  # what a sending was before that the replay itself made

State, Held = Delivery.State, Delivery.Held

# Why a sending can be replayed, as the form names it, and which sendings that means.
WHYS: Mapping[str, tuple[Promise, Q]] = {
    "rejected": (gettext_lazy("Refused by the CRM"), Q(state=State.REJECTED)),
    Held.MAPPING_BROKEN: (
        gettext_lazy("Held: the field mapping was broken"),
        Q(held_reason=Held.MAPPING_BROKEN),
    ),
    Held.GAVE_UP: (gettext_lazy("Held: given up after about three days"), Q(held_reason=Held.GAVE_UP)),
    Held.BUG: (gettext_lazy("Held: an error of this software"), Q(held_reason=Held.BUG)),
}


# --- Which sendings ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """Leads by offer, connection and when they came, and why they failed there.

    `until` is not part of it. `why`: a key of WHYS, "" any; `group`: a Delivery.reason_group, "" any.
    `never_sent`: also leads that a route which sends by now never got.
    """

    offer: int | None = None
    destination: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    why: str = ""
    group: str = ""
    never_sent: bool = False

    def as_arguments(self) -> dict[str, Any]:
        return asdict(self) | {
            name: moment.isoformat() if (moment := getattr(self, name)) else None
            for name in ("since", "until")
        }

    @classmethod
    def of(cls, job: Job) -> "Range":
        """The range that a job was started with."""
        known = {field.name: job.arguments.get(field.name, field.default) for field in fields(cls)}
        for name in ("since", "until"):
            known[name] = datetime.fromisoformat(known[name]) if known[name] else None
        return cls(**known)

    def sendings(self) -> QuerySet[Delivery]:
        """Everything in the range, whatever became of it."""
        found = Delivery.objects.filter(**self._received("lead__received_at"))
        if self.offer is not None:
            found = found.filter(lead__offer=self.offer)
        return found if self.destination is None else found.filter(destination=self.destination)

    def failed(self) -> QuerySet[Delivery]:
        """What a replay puts back."""
        return self.sendings().filter(self.chosen() & ~_may_be_there())

    def chosen(self) -> Q:
        """Failures of the chosen kind and reason."""
        chosen = WHYS[self.why][1] if self.why else _any_failure()
        return chosen & Q(reason_group=self.group) if self.group else chosen

    def routes(self) -> list[Route]:
        """The routes of the range that send: enabled, and with a published mapping."""
        if not self.never_sent:
            return []
        routes = Route.objects.filter(enabled=True, offer__enabled=True).select_related(
            "offer", "destination"
        )
        if self.offer is not None:
            routes = routes.filter(offer=self.offer)
        if self.destination is not None:
            routes = routes.filter(destination=self.destination)
        return [route for route in routes.order_by("pk") if route.live_mapping is not None]

    def unsent(self, route: Route) -> QuerySet[Lead]:
        """Leads of the range that a route never got, but for those that are not to be contacted."""
        leads = self._waiting(route)
        held = route.offer.dnc_policy != Offer.DncPolicy.PUSH
        return leads.exclude(action__iexact="DNC") if held else leads

    def unsent_dnc(self, route: Route) -> int:
        held = route.offer.dnc_policy == Offer.DncPolicy.HOLD
        return self._waiting(route).filter(action__iexact="DNC").count() if held else 0

    def _waiting(self, route: Route) -> QuerySet[Lead]:
        return route.waiting_leads().filter(**self._received("received_at"))

    def _received(self, column: str) -> dict[str, datetime]:
        bounds = {f"{column}__gte": self.since, f"{column}__lt": self.until}
        return {name: moment for name, moment in bounds.items() if moment is not None}


def _any_failure() -> Q:
    found = Q()
    for _label, condition in WHYS.values():
        found |= condition
    return found


def _may_be_there() -> Q:
    """Sendings that may have arrived at a CRM that cannot tell: for a person to look at, one by one."""
    cannot_tell = [kind.spec.slug for kind in connectors.all() if not kind.spec.idempotent_by]
    return Q(held_reason=Held.UNCERTAIN) | Q(held_reason=Held.BUG, destination__connector__in=cannot_tell)


# --- Estimate ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """What a replay of a range would do. Every sending, and every lead without one, counts once."""

    again: int
    never_sent: int
    other_reason: int
    delivered: int
    waiting: int
    leased: int
    dnc: int
    approval: int
    uncertain: int
    cancelled: int

    @property
    def to_send(self) -> int:
        return self.again + self.never_sent

    @property
    def match(self) -> int:
        return sum(asdict(self).values())


def estimate(which: Range) -> Estimate:
    """Count a range by what a replay would do with it. Changes nothing."""
    unsafe = _may_be_there()
    conditions = {
        "again": which.chosen() & ~unsafe,
        "failed": _any_failure() & ~unsafe,
        "delivered": Q(state=State.DELIVERED),
        "waiting": Q(state=State.WAITING),
        "leased": Q(state=State.LEASED),
        "dnc": Q(held_reason=Held.DNC),
        "approval": Q(held_reason=Held.APPROVAL),
        "uncertain": unsafe,
        "cancelled": Q(state=State.CANCELLED),
    }
    counts = {name: Count("pk", filter=condition) for name, condition in conditions.items()}
    found = which.sendings().order_by().aggregate(**counts)
    routes = which.routes()
    found["other_reason"] = found.pop("failed") - found["again"]
    found["dnc"] += sum(which.unsent_dnc(route) for route in routes)
    return Estimate(**found, never_sent=sum(which.unsent(route).count() for route in routes))


def by_destination(which: Range) -> Counter[int]:
    """How many sendings each connection would get."""
    failed = which.failed().order_by().values_list("destination").annotate(count=Count("pk"))
    found = Counter(dict(failed))
    for route in which.routes():
        found[route.destination_id] += which.unsent(route).count()
    return found


def reason_groups(most: int) -> list[tuple[str, int]]:
    """The reasons that failures give, the most frequent first, each with how many give it."""
    failed = Delivery.objects.filter(_any_failure(), state__in=[State.REJECTED, State.HELD])
    counted = failed.exclude(reason_group="").order_by().values_list("reason_group")
    return list(counted.annotate(count=Count("pk")).order_by("-count", "reason_group")[:most])


# --- Replay --------------------------------------------------------------------------------------------------


def prepare(job: Job) -> int:
    """How many there are, counted once and outside the transaction."""
    return estimate(Range.of(job)).to_send if job.total is None else job.total


def step(job: Job, total: int, at: datetime) -> Step:
    """Put back the next sendings; after them, make those that leads never had."""
    cursor = job.cursor or {"after": 0, "before": {}}
    which = Range.of(job)
    if "route" not in cursor:
        found = _put_back(job, which, cursor, at)
        if found < SLICE:
            cursor |= {"route": 0, "lead": None}
        finished = found < SLICE and not which.never_sent
    else:
        finished = not _make_next(job, which, cursor, at)
    transaction.on_commit(ports.ring)
    done = number(cursor)
    return Step(cursor, done, max(total, done), finished=finished)


def _put_back(job: Job, which: Range, cursor: dict[str, Any], at: datetime) -> int:
    rows = which.failed().filter(pk__gt=cursor["after"]).order_by("pk").select_for_update(of=("self",))
    found = list(rows.only("pk", "state", "held_reason", "tries")[:SLICE])
    for sending in found:
        before = cursor["before"].setdefault(sending.held_reason or sending.state, [])
        before.append([sending.pk, sending.tries])
        cursor["after"] = sending.pk
    pks = [sending.pk for sending in found]
    by_hand.retry(pks, at=at)
    Delivery.objects.filter(pk__in=pks).update(job=job)
    return len(found)


def _make_next(job: Job, which: Range, cursor: dict[str, Any], at: datetime) -> bool:
    """Make sendings of leads that the cursor's route never got. Returns whether there may be more."""
    route, leads = _unsent_from(which, cursor, SLICE)
    if route is None:
        return False
    mapping = route.live_mapping
    owed = (routing.first_delivery(lead, route, mapping, at) for lead in leads)
    sendings = [sending for sending in owed if sending is not None]
    for sending in sendings:
        sending.job = job
    Delivery.objects.bulk_create(sendings, ignore_conflicts=True)
    # Only those of this job are its own: another worker may have made some meanwhile.
    made = Delivery.objects.filter(job=job, route=route, lead__in=leads).order_by("pk")
    before = cursor["before"].setdefault(NEVER, [])
    before.extend([pk, 0, str(lead)] for pk, lead in made.values_list("pk", "lead"))
    return True


def _unsent_from(which: Range, cursor: dict[str, Any], most: int) -> tuple[Route | None, list[Lead]]:
    """The next leads that some route never got, from the cursor on, which is moved behind them."""
    for route in which.routes():
        if route.pk < cursor["route"]:
            continue
        if route.pk > cursor["route"]:
            cursor |= {"route": route.pk, "lead": None}
        leads = which.unsent(route).select_related("offer").order_by("pk")
        if cursor["lead"]:
            leads = leads.filter(pk__gt=UUID(cursor["lead"]))
        if found := list(leads[:most]):
            cursor["lead"] = str(found[-1].pk)
            return route, found
    return None, []


# --- What a replay did ---------------------------------------------------------------------------------------


def number(cursor: Mapping[str, Any] | None) -> int:
    """How many sendings a replay put back or made so far."""
    return sum(map(len, (cursor or {}).get("before", {}).values()))


def put_back(job: Job) -> list[tuple[str, int, int, str]]:
    """Each sending that a replay put back or made: what it was, its id, its tries by then; of one made, its lead."""
    before = (job.cursor or {}).get("before", {})
    return [(was, row[0], row[1], row[2] if len(row) > 2 else "") for was in before for row in before[was]]


def live(job: Job) -> Counter[str]:
    """By state: what has become of them, but for those that were taken back or that a later replay took over."""
    return Counter(dict(job.deliveries.order_by().values_list("state").annotate(count=Count("pk"))))


def undo(job: Job, at: datetime) -> Step:
    """Give what has not been tried again since the state that it had; what was made is unmade."""
    cursor = {"undone": 0, "taken_back": 0, **(job.cursor or {"after": 0, "before": {}})}
    everything = put_back(job)
    chunk = everything[cursor["undone"] : cursor["undone"] + SLICE]
    open_ = Delivery.objects.filter(job=job, pk__in=[row[1] for row in chunk]).order_by("pk")
    tries = {
        sending.pk: sending.tries
        for sending in open_.filter(state__in=[State.WAITING, State.HELD])
        .select_for_update(of=("self",))
        .only("pk", "tries")
    }
    untouched = [(was, pk) for was, pk, before, _place_of in chunk if tries.get(pk) == before]
    for was in {was for was, _pk in untouched}:
        cursor["taken_back"] += _take_back(was, [pk for its, pk in untouched if its == was], at)
    cursor["undone"] += len(chunk)
    return Step(cursor, job.done, job.total, finished=cursor["undone"] >= len(everything))


def _take_back(was: str, pks: list[int], at: datetime) -> int:
    sendings = Delivery.objects.filter(pk__in=pks)
    if was == NEVER:
        return sendings.delete()[1].get("crm_sync.Delivery", 0)
    waiting = sendings.filter(state=State.WAITING)
    if was == State.REJECTED:
        tries = Attempt.objects.filter(delivery=OuterRef("pk")).order_by()
        last = Subquery(tries.values("delivery").annotate(at=Max("finished_at")).values("at"))
        return waiting.update(state=was, settled_at=Coalesce(last, Value(at)), job=None)
    return waiting.update(state=State.HELD, held_reason=was, job=None)


# --- Dry run -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rehearsed:
    """A slice of a dry run: the cursor behind it, and a verdict for each sending or lead in it; "" would go."""

    total: int
    cursor: dict[str, Any]
    sendings: list[tuple[int, str]]
    leads: list[tuple[int, str, str]]
    requests: int
    finished: bool


def rehearse(job: Job) -> Rehearsed:
    """Map the next leads and make their requests. Sends nothing, writes nothing."""
    empty = {"after": 0, "reasons": [""], "sendings": [], "leads": [], "requests": 0}
    cursor = {**(job.cursor or empty)}
    try:
        return (_rehearse_failed if "route" not in cursor else _rehearse_unsent)(job, cursor)
    except VaultError as error:  # the credentials of a connection are read with its sendings
        raise JobFailed(str(error)) from error


def _rehearse_failed(job: Job, cursor: dict[str, Any]) -> Rehearsed:
    which, rehearsal = Range.of(job), _Rehearsal()
    needed = ("lead__offer", "destination", "route__destination")
    failed = which.failed().filter(pk__gt=cursor["after"]).order_by("pk").select_related(*needed)
    found = list(failed[:MAPPED_AT_ONCE])
    verdicts = [(sending.pk, rehearsal.problem(sending)) for sending in found]
    if found:
        cursor["after"] = found[-1].pk
    last = len(found) < MAPPED_AT_ONCE
    if last:
        cursor |= {"route": 0, "lead": None}
    finished = last and not which.never_sent
    return Rehearsed(prepare(job), cursor, verdicts, [], rehearsal.requests, finished)


def _rehearse_unsent(job: Job, cursor: dict[str, Any]) -> Rehearsed:
    which, rehearsal = Range.of(job), _Rehearsal()
    route, leads = _unsent_from(which, cursor, MAPPED_AT_ONCE)
    verdicts = [
        (route.pk, str(lead.pk), rehearsal.problem(_made(lead, route))) for lead in leads if route is not None
    ]
    return Rehearsed(prepare(job), cursor, [], verdicts, rehearsal.requests, finished=route is None)


def _made(lead: Lead, route: Route) -> Delivery:
    return Delivery(lead=lead, route=route, destination=route.destination)


def note(job: Job, found: Rehearsed, at: datetime) -> Step:
    """Write down what a slice of a dry run found."""
    cursor = found.cursor
    reasons = cursor["reasons"]
    cursor["sendings"] += [[pk, _place(reasons, reason)] for pk, reason in found.sendings]
    cursor["leads"] += [[route, lead, _place(reasons, reason)] for route, lead, reason in found.leads]
    cursor["requests"] += found.requests
    done = len(cursor["sendings"]) + len(cursor["leads"])
    return Step(cursor, done, max(found.total, done), finished=found.finished)


def _place(reasons: list[str], reason: str) -> int:
    """Where a reason stands in the list; it is added, until there are too many to tell apart."""
    if reason not in reasons and len(reasons) >= MOST_REASONS:
        reason = _(OTHER_REASONS)
    if reason not in reasons:
        reasons.append(reason)
    return reasons.index(reason)


def verdicts(job: Job) -> Counter[str]:
    """How many sendings of a dry run share each verdict; "" would go."""
    cursor = job.cursor or {"reasons": [""], "sendings": [], "leads": []}
    places = Counter(row[-1] for row in (*cursor["sendings"], *cursor["leads"]))
    return Counter({cursor["reasons"][place]: count for place, count in places.items()})


class _Rehearsal:
    """Makes what a push would send, and sends nothing. Reads each route and connection once."""

    def __init__(self) -> None:
        self.requests = 0
        self._rules: dict[int, tuple[Rule, ...]] = {}
        self._connectors: dict[int, Connector | str] = {}

    def problem(self, sending: Delivery) -> str:
        """Why a sending would not leave; "" if it would."""
        destination = sending.destination
        connector = self._connector(destination)
        if isinstance(connector, str):
            return connector
        try:
            applied = apply(self._rules_of(sending.route), sending.lead.values())
            if applied.problems:
                return " ".join(f"{row.target}: {row.message}" for row in applied.problems)[:REASON]
            record = {name: value for name, value in applied.record.items() if name not in sending.without}
            self.requests += len(connector.requests(record, key=sending.key))
        except Exception:
            trace = mask_literals(traceback.format_exc(), destination.secrets.values())
            logger.error("Dry run of lead %s: making its request failed\n%s", sending.lead_id, trace)  # noqa: TRY400
            return _(OUR_ERROR)
        empty = [
            _(field.label) for field in connector.spec.fields if field.required and field.name not in record
        ]
        said = _("Required by the CRM, and empty: %(fields)s.") % {"fields": ", ".join(empty)}
        return said[:REASON] if empty else ""

    def _rules_of(self, route: Route) -> tuple[Rule, ...]:
        if route.pk not in self._rules:
            self._rules[route.pk] = effective_rules(route)
        return self._rules[route.pk]

    def _connector(self, destination: Destination) -> Connector | str:
        if destination.pk not in self._connectors:
            try:
                self._connectors[destination.pk] = connect(destination)[0]
            except connectors.UnknownConnector as error:
                self._connectors[destination.pk] = str(error)
        return self._connectors[destination.pk]


def chunks(rows: list[Any], size: int = SLICE) -> Iterator[list[Any]]:
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]
