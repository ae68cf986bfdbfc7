"""One record without a sending: what a lead would be sent as, and a sample that is sent once."""

import json
import logging
import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import httpx2
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm_sync import connectors, health, limits
from crm_sync.connectors.base import Record, Stopped, outcome_reason
from crm_sync.http import Pool
from crm_sync.mapping import RowProblem, Rule, apply, compose
from crm_sync.models import Delivery, Destination, DestinationState, Route, effective_rules
from crm_sync.outcomes import DestinationFault
from crm_sync.policy import policy, site
from crm_sync.pushing import OUR_ERROR, Crashed, Result, connect
from crm_sync.recorder import Exchange, Recorder, mask_literals
from leads import payload, samples
from leads.intake import lead_of
from leads.models import Lead, Offer, Submission
from leads.vault import VaultError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would be sent, secrets masked; or why nothing can be: the rows that fail, or a sentence in `error`."""

    record: dict[str, Any]
    problems: Sequence[RowProblem] = ()
    requests: Sequence[Exchange] = ()
    error: str = ""


def dry_run(route: Route, lead: Lead, *, without: Collection[str] = ()) -> DryRun:
    """The exact requests of one lead along one route, as a push of this moment would make them. Sends nothing."""
    applied = apply(rules_of(route), lead.values())
    record = {name: value for name, value in applied.record.items() if name not in without}
    if applied.problems:
        return DryRun(record, applied.problems)
    destination = route.destination
    key = Delivery(lead=lead, destination=destination).key
    return _requests(destination, record, key)


def rules_of(route: Route) -> Sequence[Rule]:
    """The rules of a push; before anything is published, those that stand ready to be."""
    if route.live_mapping is None and (draft := route.draft):
        return compose(draft.as_rules(), route.destination.default_rules())
    return effective_rules(route)


def _requests(destination: Destination, record: Record, key: str) -> DryRun:
    recorder = Recorder(secrets=destination.secrets.values())
    http = Pool(policy(), transport=_Unsent()).client(recorder=recorder)
    try:
        kind = connectors.get(destination.connector)
        connector = kind(destination.all_settings(), http, fields=destination.spec.fields, site=site())
        with override(settings.LANGUAGE_CODE):  # as a worker would make them
            for request in connector.requests(record, key=key):
                connector.show(request)
    except Stopped as refused:
        return DryRun(dict(record), error=outcome_reason(refused.outcome))
    except VaultError as error:
        return DryRun(dict(record), error=str(error))
    except Exception:
        _trace(destination, "Showing what would be sent")
        return DryRun(dict(record), error=_(OUR_ERROR))
    return DryRun(dict(record), requests=recorder.exchanges)


class _Unsent(httpx2.BaseTransport):
    """Nothing leaves through here."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises AssertionError: a dry run sends nothing."""
        raise AssertionError("A dry run tried to send something")


# --- The sample ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """The record that a sample lead gives by a connection's default rules."""

    record: dict[str, Any]
    problems: Sequence[RowProblem]


def sample_of(destination: Destination) -> Sample:
    """Sam Sample, who pressed Contact me, as this connection gets leads that no route changes."""
    applied = apply(destination.default_rules(), _sample_lead().values())
    return Sample(applied.record, applied.problems)


def _sample_lead() -> Lead:
    offer = Offer(publisher_id="sample", offer_id="sample", title="Sample offer")
    lead, problem = lead_of_body(json.dumps(samples.sample_body("PLT", offer)), offer)
    if lead is None:
        raise TypeError(f"The sample cannot be read: {problem}")
    return lead


def lead_of_body(body: str, offer: Offer | None = None) -> tuple[Lead | None, str]:
    """The lead that a request body would be, stored nowhere; or None and why it cannot be read, in a sentence."""
    read = payload.read(body.encode("utf-8", "replace"))
    if not isinstance(read, payload.Fields):
        first = read.problems[0]
        if first.line:
            said = {"what": first.message, "line": first.line, "column": first.column}
            return None, _("%(what)s (line %(line)d, column %(column)d)") % said
        return None, first.message
    lead = lead_of(Submission(origin=Submission.Origin.SAMPLE, received_at=timezone.now()), read)
    lead.offer = offer or Offer(publisher_id="sample", offer_id="sample", title="Sample offer")
    return lead, ""


class Wait(Enum):
    """Why no sample may go now."""

    PAUSED = "somebody paused the connection"
    ASKED = "the CRM asked to slow down"
    SPENT = "the limit a day is reached"


def must_wait(state: DestinationState, at: datetime) -> Wait | None:
    """What keeps a sample from going now, as it keeps leads; None where it may go.

    That a connection fails or is stopped does not: whether it works by now is what a sample shows.
    """
    if state.state == state.State.PAUSED:
        return Wait.PAUSED
    if limits.left_today(state, at) <= 0:
        return Wait.SPENT
    asked = state.state == state.State.SLOWED and state.until and state.until > at
    return Wait.ASKED if asked and not health.fails(state.pk) else None


def push_sample(
    destination: Destination, record: Record, key: UUID, *, at: datetime
) -> tuple[Result, Sequence[Exchange]] | Wait:
    """Send it once, past every queue; it counts towards the limits of the connection.

    The same key again finds the first record, where the CRM can. Where it must wait nothing is sent: returns why.
    """
    with transaction.atomic():
        state = DestinationState.objects.select_for_update().get(pk=destination.pk)
        state.destination = destination
        if wait := must_wait(state, at):
            return wait
        limits.use(state, at, 1)
    try:
        connector, recorder = connect(destination)
    except VaultError as error:
        return DestinationFault(str(error)), []
    except Exception:
        return Crashed(_trace(destination, "Sending a sample")), []
    try:
        with override(settings.LANGUAGE_CODE):  # as a worker would make it
            result: Result = connector.push(record, key=str(key), retry=False)
    except Exception:
        result = Crashed(_trace(destination, "Sending a sample"))
    return result, recorder.exchanges


def _trace(destination: Destination, what: str) -> str:
    """The exception of this moment, without secrets, in the log and for the screen."""
    trace = mask_literals(traceback.format_exc(), destination.secrets.values())
    logger.error("%s to %s failed\n%s", what, destination, trace)
    return trace
