"""The health of a destination: what each answer does to it, what a person does, and how it is tested."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override

from crm_sync import backoff, catalogue, limits
from crm_sync.connectors.base import Check, Connector, Stopped
from crm_sync.http import NoAnswer
from crm_sync.models import Attempt, Destination, DestinationState
from crm_sync.pushing import OUR_ERROR, connect
from crm_sync.spec import TargetField
from leads.vault import VaultError

logger = logging.getLogger(__name__)

SUCCESS_EVERY = timedelta(seconds=1)  # more exactly nobody needs to know when the last lead arrived
LATEST = 500  # tries, of all destinations


def _is_waiting(state: DestinationState, at: datetime) -> bool:
    """Whether no push is to leave yet: an answer that comes now is to one that left before, and says nothing new."""
    return state.until is not None and state.until > at


def _count(state: DestinationState, at: datetime) -> None:
    # Fifty pushes that fail together are one failure more, not fifty: the next wait doubles once.
    if not _is_waiting(state, at):
        state.failures += 1


def failed(state: DestinationState, reason: str, delay: float | None, at: datetime) -> None:
    """Count a failure; enough of them in a row open the breaker, and a failed probe keeps it open."""
    _count(state, at)
    if _is_waiting(state, at):
        _slow(state, reason, delay or 0.0, at)
    elif state.failures >= backoff.BREAKER_AFTER or state.state == state.State.SLOWED:
        _slow(state, reason, backoff.probe(state.failures, asked=delay), at)


def throttled(state: DestinationState, reason: str, delay: float | None, at: datetime) -> None:
    """The CRM asked to slow down: wait as long as it said, then go on with a single lead."""
    _count(state, at)
    _slow(state, reason, delay if delay is not None else backoff.probe(state.failures), at)


def rest(state: DestinationState, at: datetime) -> None:
    """The limit a day is reached: wait for the next one. Saves."""
    most = state.destination.max_per_day
    wait = (limits.next_day(at) - at).total_seconds()
    reason = _("The limit of {most:,} pushes a day is reached; it is set on the CRM connection.")
    _slow(state, reason.format(most=most), wait, at)
    state.save(update_fields=["state", "reason", "since", "until"])


def succeeded(state: DestinationState, at: datetime) -> None:
    """A lead arrived."""
    answered(state, at)
    last = state.last_success_at
    if last is None or abs(at - last) > SUCCESS_EVERY:
        state.last_success_at = at


def answered(state: DestinationState, at: datetime) -> None:
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


def fault(state: DestinationState, reason: str, at: datetime) -> None:
    waits = state.state == state.State.STOPPED and _is_waiting(state, at)
    if state.state != state.State.PAUSED and not waits:
        state.failures += 1
        until = at + timedelta(seconds=backoff.ceiling(state.failures))
        state.become(state.State.STOPPED, reason, at, until=until)


def fails(destination_id: int) -> bool:
    """Whether a slowed destination fails; else it only asked for fewer leads at a time.

    The try that slowed it was a moment ago. Looking no further back keeps this cheap whatever was sent before.
    """
    latest = Attempt.objects.order_by("-pk").values_list("delivery__destination_id", "outcome")[:LATEST]
    told = (outcome for where, outcome in latest if where == destination_id)
    tellers = (Attempt.Outcome.RETRY_LATER, Attempt.Outcome.THROTTLED)
    return next((outcome for outcome in told if outcome in tellers), "") == Attempt.Outcome.RETRY_LATER


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


def _described(connector: Connector) -> Sequence[TargetField] | None:
    """The CRM's fields; None where it does not tell them, which a push can do without."""
    try:
        return connector.known_fields()
    except (Stopped, NoAnswer):
        return None


def check(destination: Destination, *, at: datetime) -> Check:
    """Test a connection; creates nothing there. A stopped destination that passes is probed with the next lead."""
    with override(settings.LANGUAGE_CODE):  # what is found is stored, for readers of every language
        return _check(destination, at)


def _check(destination: Destination, at: datetime) -> Check:
    fields: Sequence[TargetField] | None = None
    try:
        connector = connect(destination)[0]
        result = connector.check()
        fields = _described(connector) if result.ok and connector.spec.describes else None
    except VaultError as error:
        result = Check(ok=False, findings=(str(error),), outcome=None)
    except Exception:
        logger.exception("Testing %s: the connector raised", destination)
        result = Check(ok=False, findings=(_(OUR_ERROR),), outcome=None)
    with transaction.atomic():
        state = DestinationState.objects.select_for_update().get(pk=destination.pk)
        if fields is not None:
            catalogue.store(destination, fields, at)
            told = ngettext(
                "{number:,} field of the CRM was read; the field mapping offers it.",
                "{number:,} fields of the CRM were read; the field mapping offers them.",
                len(fields),
            )
            result = replace(result, findings=(*result.findings, told.format(number=len(fields))))
        state.checked_at, state.findings = at, list(result.findings)
        state.credentials_expire_on = result.expires_on
        failure = "" if result.ok else " ".join(result.findings)
        if state.state == state.State.WORKING:
            state.reason = failure
        elif state.state == state.State.STOPPED:
            if result.ok:
                state.become(state.State.SLOWED, state.reason, at)
            else:
                fault(state, failure or state.reason, at)
        state.save()
    return result


def forget_test(destination: Destination) -> None:
    """Other settings were entered: what the last test found, or the last push, says nothing of them."""
    with transaction.atomic():
        state = DestinationState.objects.select_for_update().get(pk=destination.pk)
        state.checked_at, state.findings = None, []
        state.last_success_at = None
        if state.state == state.State.WORKING:
            # Of one that is slowed or stopped they say how long it waits.
            state.reason, state.failures = "", 0
        state.save(update_fields=["checked_at", "findings", "last_success_at", "reason", "failures"])
