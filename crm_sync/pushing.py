"""One push, from a claim to what became of it. Takes time; touches the database only to read what it is given."""

import json
import logging
import traceback
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeAlias, assert_never

from django.db import DatabaseError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from crm_sync import catalogue, clock, connectors, demo
from crm_sync.connectors.base import Connector, Item, Stopped, outcome_reason
from crm_sync.connectors.memory import memory
from crm_sync.http import NoAnswer, Pool
from crm_sync.mapping import RowProblem, Rule, apply, completed, compose, suggested_rules
from crm_sync.models import Delivery, Destination, DestinationState, FieldRule
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater, Throttled
from crm_sync.policy import PUSH_DEADLINE, policy, site
from crm_sync.recorder import Exchange, Recorder, mask_literals
from leads.vault import VaultError

logger = logging.getLogger(__name__)

DESCRIBE_DEADLINE = 15.0  # seconds; with a push's own, shorter than a lease
ASK_AGAIN = 300.0  # seconds
FIELDS_LAST = timedelta(days=1)


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


OUR_ERROR = gettext_noop("An error of this software. The log has the details; please report it.")


def reason_of(result: Result) -> str:
    """What a result says, for people."""
    match result:
        case Delivered(existed=True, note=note):
            return " ".join(filter(None, (_("It was there already, from an earlier try."), note)))
        case Delivered(note=note):
            return note
        case Unmappable(problems=problems):
            return " ".join(f"{problem.target}: {problem.message}" for problem in problems)
        case Crashed():
            return _(OUR_ERROR)
        case Interrupted():
            return _("The worker was interrupted during this try; the record may have been written.")
        case Rejected() | RetryLater() | Throttled() | DestinationFault():
            return result.reason
        case _:
            assert_never(result)


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


@cache
def _pool(is_demo: bool) -> Pool:
    """One pool of connections a process, whatever the number of destinations."""
    return Pool(policy(), transport=demo.Transport() if is_demo else None)


def connect(
    destination: Destination, *, write_anyway: bool = False, deadline: float = PUSH_DEADLINE
) -> tuple[Connector, Recorder]:
    """The connector of a destination with its settings of this moment, and the recorder of what it will say.

    `write_anyway`: whatever the connection does with a person whom the CRM has already. The deadline of all that it
    does, `deadline` seconds, starts now.
    """
    recorder = Recorder(secrets=destination.secrets.values())
    http = _pool(destination.is_demo).client(recorder=recorder, deadline=deadline)
    settings = destination.all_settings()
    if write_anyway and destination.spec.setting("duplicates"):
        settings["duplicates"] = "create"
    kind = connectors.get(destination.connector)
    return kind(settings, http, fields=destination.spec.fields, site=site()), recorder


def learn_fields(destination: Destination, now: Callable[[], datetime] = clock.now) -> None:
    """Ask the CRM for its fields, where its kind can tell and nobody has asked since it last refused one.

    Without an answer the declared ones stand in, and the next push asks again, at most every five minutes.
    """
    if not destination.spec.describes or destination.fields_read_at is not None:
        return
    asked = ("asked for its fields", destination.pk)
    if memory.peek(asked):
        return
    memory.get(asked, lambda: (True, ASK_AGAIN))
    said, ok = read_fields(destination, now())
    if not ok:
        logger.info("%s: %s", destination, said)


def read_fields(destination: Destination, at: datetime) -> tuple[str, bool]:
    """Ask the CRM for its fields and keep them. Returns a sentence on what came of it, and whether they were read.

    Raises leads.vault.VaultError where no key opens the destination's secrets.
    """
    if not destination.spec.describes:
        return _("{kind} has no list of fields to read.").format(kind=_(destination.spec.label)), False
    connector = connect(destination, deadline=DESCRIBE_DEADLINE)[0]
    try:
        fields = connector.known_fields()
    except Stopped as error:
        reason = outcome_reason(error.outcome)
    except NoAnswer as error:
        reason = error.reason
    else:
        catalogue.store(destination, fields, at)
        said = ngettext(
            "{number:,} field of the CRM was read.", "{number:,} fields of the CRM were read.", len(fields)
        )
        return said.format(number=len(fields)), True
    return _("The CRM does not tell its fields: {reason}").format(reason=reason), False


def read_fields_again(at: datetime) -> None:
    """Ask each CRM that has not told its fields for a day: mappings that no longer fit are found before a lead fails.

    Where one does not tell them now, the next hour is early enough.
    """
    of = [connector.spec.slug for connector in connectors.all() if connector.spec.describes]
    stale = Destination.objects.filter(connector__in=of).exclude(fields_read_at__gt=at - FIELDS_LAST)
    working = stale.exclude(state__state__in=[DestinationState.State.STOPPED, DestinationState.State.PAUSED])
    for destination in working.order_by("pk"):
        try:
            said = read_fields(destination, at)[0]
            logger.info("%s: %s", destination, said)
        except VaultError as error:
            logger.info("%s: %s", destination, error)
        except Exception:
            logger.exception("Reading the fields of %s: the connector raised", destination)


def prepare(lease: Claim) -> Push | Unmappable | RetryLater | Crashed:
    """Map the lead of a claim. Sends nothing."""
    try:
        destination = lease.delivery.destination
        learn_fields(destination)
        applied_rules = rules(lease.rows, lease.default_rows, destination)
        applied = apply(applied_rules, lease.delivery.lead.values())
        if applied.problems:
            return Unmappable(applied.problems)
        connector, recorder = connect(destination, write_anyway=lease.delivery.write_anyway)
        left_out = lease.delivery.without
        record = {name: value for name, value in applied.record.items() if name not in left_out}
        return Push(lease, connector, recorder, record)
    except DatabaseError:
        logger.warning("Sending %s: our database was away", lease.delivery.pk, exc_info=True)
        return RetryLater(_("Our own database was away. Nothing was sent."))
    except Exception:
        return _crashed(lease)


def rules(
    rows: Iterable[FieldRule] | None, default_rows: Iterable[FieldRule] | None, destination: Destination
) -> tuple[Rule, ...]:
    """A route's rules over the destination's default rules, or over those that its connector suggests."""
    own = [row.as_rule() for row in rows or ()]
    if default_rows is None:
        return compose(own, suggested_rules(destination.spec))
    return compose(own, completed([row.as_rule() for row in default_rows], destination.spec))


def push(ready: Push) -> Result:
    """Send it. Takes time, no transaction and no database connection; any exception is our bug."""
    try:
        return ready.connector.push(ready.record, key=ready.claim.delivery.key, retry=ready.claim.retry)
    except Exception:
        return _crashed(ready.claim)


def push_many(ready: Sequence[Push]) -> list[Result]:
    """Send them in one call of the first one's connector; one result each, in their order."""
    alone = [item for item in ready if item.claim.delivery.write_anyway]
    if alone:  # their connector has other settings than the rest's
        pushed = {item.claim.token: push(item) for item in alone}
        rest = iter(push_many([item for item in ready if item.claim.token not in pushed]))
        return [pushed[item.claim.token] if item.claim.token in pushed else next(rest) for item in ready]
    if not ready:
        return []
    first = ready[0]
    items = [Item(item.record, item.claim.delivery.key, item.claim.retry) for item in ready]
    try:
        outcomes: list[Result] = list(first.connector.push_many(items))
        if len(outcomes) != len(items):
            raise RuntimeError(f"The connector gave {len(outcomes)} outcomes for {len(items)} leads")  # noqa: TRY301
    except Exception:
        outcomes = [_crashed(item.claim) for item in ready]
    said = first.recorder.exchanges
    for item, outcome in zip(ready, outcomes, strict=True):
        item.recorder.exchanges = [_share(exchange, item, outcome) for exchange in said]
    return outcomes


def _share(exchange: Exchange, item: Push, outcome: Result) -> Exchange:
    """What a try of a batch keeps of the exchange: its own record, and the answer only where something is wrong.

    A hundred tries that each kept a hundred records would be ten thousand.
    """
    own = json.dumps(item.record, ensure_ascii=False, default=str).encode("utf-8", "replace")
    answer = "" if isinstance(outcome, Delivered) else exchange.response_body
    return replace(exchange, request_body=item.recorder.masked(own), response_body=answer)


def _crashed(lease: Claim) -> Crashed:
    """The exception of this moment, without the secrets that its message may quote. Logged."""
    trace = mask_literals(traceback.format_exc(), lease.delivery.destination.secrets.values())
    logger.error("Sending %s: the connector raised\n%s", lease.delivery.pk, trace)
    return Crashed(trace)
