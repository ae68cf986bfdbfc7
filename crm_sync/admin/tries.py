"""What was said to a CRM and back, try by try, for whoever may read it; and whether with what it says of a person."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from crm_sync import sending_words
from crm_sync.models import Attempt, Delivery, DestinationState
from crm_sync.personal_data import Discretion, without_crms_words
from leads.lead_source import ACTIONS
from leads.models import Lead

SEES_TRIES = "crm_sync.view_attempt"
SEES_PERSONS = "crm_sync.view_personal_attempt"
SEES_TROUBLE = "crm_sync.view_destination"
SHOWN = 25  # tries; each may hold a hundred kilobytes
_OUR_WORDS = frozenset({*ACTIONS, *(action.label for action in ACTIONS.values())})


def may_view(request: HttpRequest) -> Callable[[str], bool]:
    """Whether this user may see the pages of a model."""
    return lambda model: request.user.has_perm(f"crm_sync.view_{model}")


def sees_trouble(request: HttpRequest) -> bool:
    """Whether this user is told what is wrong; salespeople are told who looks at it."""
    return request.user.has_perm(SEES_TROUBLE)


def discretion(request: HttpRequest, lead: Lead) -> Discretion | None:
    """What masks a lead's personal data for this user; None for one who may see it."""
    if request.user.has_perm(SEES_PERSONS):
        return None
    offer = lead.offer
    return Discretion(
        lead.values(), {*_OUR_WORDS, offer.publisher_id, offer.offer_id, offer.title, offer.slug}
    )


def discreetly(request: HttpRequest, sending: Delivery) -> Delivery:
    """The sending for this user's eyes: what the CRM said of it may name the person. Not to be saved."""
    told, state = reason(request, sending), sending.destination.state
    if sending.reason == state.reason:
        state.reason = told  # this is the lead that it speaks of
    else:
        connection(request, state)
    sending.reason = told
    return sending


def reason(request: HttpRequest, sending: Delivery) -> str:
    """What the CRM said of a sending, for this user's eyes."""
    discreet = discretion(request, sending.lead) if sending.reason else None
    if discreet is None:
        return sending.reason
    told = discreet.text(sending.reason)
    # What a broken mapping holds, or held a moment ago, has the reason of the lead at which it broke.
    untried = sending.state == sending.State.WAITING and not sending.tries
    of_another = untried or sending.held_reason == sending.Held.MAPPING_BROKEN
    return without_crms_words(told) if of_another else told


def connection(request: HttpRequest, state: DestinationState) -> DestinationState:
    """The state of a connection for this user's eyes: its reason may quote whichever lead failed. Not to be saved."""
    if state.state not in {
        state.State.PAUSED,
        state.State.WORKING,
    }:  # what a colleague typed, what a test found
        state.reason = of_some_lead(request, state.reason)
    return state


def of_some_lead(request: HttpRequest, reason: str) -> str:
    """What the CRM said of a lead, nobody knows which, for this user's eyes."""
    return reason if request.user.has_perm(SEES_PERSONS) else without_crms_words(reason)


def context(request: HttpRequest, sending: Delivery) -> dict[str, Any]:
    """The tries of a sending for a template; nothing for users who may not read them."""
    if not request.user.has_perm(SEES_TRIES):
        return {"tries": None}
    discreet = discretion(request, sending.lead)
    newest = list(_attempts(sending)[: SHOWN + 1])
    return {
        "tries": [_try(attempt, discreet) for attempt in newest[:SHOWN]],
        "older": max(sending.tries - SHOWN, 0) if len(newest) > SHOWN else 0,
        **who_sees(masked=discreet is not None),
    }


def who_sees(*, masked: bool) -> dict[str, Any]:
    """The groups that are shown what this user is not."""
    if not masked:
        return {"masked": False}
    groups = Group.objects.filter(permissions__codename="view_personal_attempt").order_by("name")
    return {"masked": True, "see_all": list(groups.values_list("name", flat=True))}


def _attempts(sending: Delivery) -> QuerySet[Attempt]:
    return sending.attempts.select_related("route_mapping", "default_mapping").order_by("-number")


def _try(attempt: Attempt, discreet: Discretion | None) -> dict[str, Any]:
    bug = attempt.outcome == Attempt.Outcome.BUG
    reason = discreet.text(attempt.reason) if discreet else attempt.reason
    return {
        "attempt": attempt,
        "outcome": sending_words.outcome(attempt),
        "reason": "" if bug else reason,
        "trace": reason if bug else "",
        "duration": attempt.duration_ms,
        "versions": sending_words.versions(attempt),
        "exchanges": [discreet.exchange(each) for each in attempt.exchanges]
        if discreet
        else attempt.exchanges,
    }
