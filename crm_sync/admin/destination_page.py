"""What the page of a CRM connection says before anything is to be changed: is it well, what waits, and why."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Min
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from crm_sync import connection_words, limits
from crm_sync import wording as words
from crm_sync.admin import groups, tries
from crm_sync.models import Delivery, Destination, DestinationState
from crm_sync.recorder import MASK
from leads.wording import clock

COUNTED = 100_000  # of an index that holds nothing else

State = Delivery.State


@dataclass(frozen=True, slots=True)
class Counts:
    """What is still owed to each destination, counted up to a limit."""

    by_destination: dict[int, dict[str, int]]
    capped: frozenset[str]

    def of(self, destination_id: int, state: str) -> str:
        """The number for the screen."""
        number = self.by_destination.get(destination_id, {}).get(state, 0)
        return f"{number:,}{'+' if number and state in self.capped else ''}"

    def some(self, destination_id: int, state: str) -> bool:
        return bool(self.by_destination.get(destination_id, {}).get(state))


def counts(states: tuple[str, ...], destination_id: int | None = None) -> Counts:
    """A query a state, each on an index, whatever the number of destinations."""
    found: dict[int, dict[str, int]] = {}
    capped = set()
    for state in states:
        here = Delivery.objects.filter(state=state)
        if destination_id is not None:
            here = here.filter(destination_id=destination_id)
        limit = COUNTED if state in {State.WAITING, State.LEASED} else groups.COUNTED
        newest = here.order_by().values("pk")[:limit]
        rows = Delivery.objects.filter(pk__in=newest).order_by().values_list("destination_id")
        total = 0
        for key, number in rows.annotate(number=Count("pk")):
            found.setdefault(key, {})[state] = number
            total += number
        if total >= limit:
            capped.add(state)
    return Counts(found, frozenset(capped))


# --- One connection ------------------------------------------------------------------------------------------


def context(request: HttpRequest, destination: Destination) -> dict[str, Any]:
    """For the template, beside its form and its buttons."""
    now = timezone.now()
    state = tries.connection(request, destination.state)
    return {
        "state": state,
        "standing": connection_words.connection_standing(state),
        "sentence": connection_words.connection_state(state, now),
        "advice": connection_words.connection_advice(state),
        "pause_reason": state.reason if state.state == state.State.PAUSED else "",
        "queue": _queue(destination, now),
        "tested": words.ago(state.checked_at) if state.checked_at else "",
        "last_success": connection_words.last_success(state),
        "today": _today(destination, now),
        "credentials": _credentials(destination, now),
        "groups": groups.standing_still(request, destination.pk)
        if request.user.has_perm("crm_sync.view_delivery")
        else None,
        **tries.who_sees(masked=MASK in state.reason),
    }


def _queue(destination: Destination, now: datetime) -> dict[str, Any]:
    """What is on its way or has yet to go. The oldest and the next are read from the index of what waits."""
    told = counts((State.WAITING, State.LEASED, State.REJECTED, State.HELD), destination.pk)
    numbers = {state: told.of(destination.pk, state) for state in (State.WAITING, State.REJECTED, State.HELD)}
    waiting = Delivery.objects.filter(destination=destination, state=State.WAITING)
    edges = waiting.aggregate(oldest=Min("pk"), due=Min("due_at"))
    oldest = Delivery.objects.filter(pk=edges["oldest"]).values_list("created_at", flat=True).first()
    return {
        "waiting_number": told.by_destination.get(destination.pk, {}).get(State.WAITING, 0),
        "waiting": numbers[State.WAITING] if told.some(destination.pk, State.WAITING) else "",
        "rejected": numbers[State.REJECTED] if told.some(destination.pk, State.REJECTED) else "",
        "held": numbers[State.HELD] if told.some(destination.pk, State.HELD) else "",
        "on_its_way": Delivery.objects.in_flight(now).filter(destination=destination).count(),
        "oldest": words.ago(oldest) if oldest else "",
        "next_try": _next_try(destination.state, edges["due"], now),
    }


def _next_try(state: DestinationState, due: datetime | None, now: datetime) -> str:
    if due is None:
        return ""
    if state.state == state.State.PAUSED:
        return _("Once somebody presses Resume")
    first = max(filter(None, (due, state.until)))
    if state.state == state.State.STOPPED:
        if state.until and state.until > now:
            said = _("Once a check passes; the next is at %(time)s")
            return said % {"time": words.clock(state.until, now)}
        return _("Once a check passes; the next is now")
    return _("At %(time)s") % {"time": words.clock(first, now)} if first > now else _("Now")


def _today(destination: Destination, now: datetime) -> str:
    """Pushes of this day against the limit; they are counted only where there is one."""
    if not destination.max_per_day:
        return ""
    gone = limits.pushed_today(destination.state, now)
    said = (
        _("%(gone)s of %(limit)s a day. The rest goes from %(time)s on")
        if gone >= destination.max_per_day
        else _("%(gone)s of %(limit)s a day")
    )
    return said % {
        "gone": f"{gone:,}",
        "limit": f"{destination.max_per_day:,}",
        "time": clock(limits.next_day(now)),
    }


@dataclass(frozen=True, slots=True)
class Credentials:
    """How old they are, and until when they are good. `near`: so soon that somebody should act."""

    changed: SafeString | str
    expiry: str = ""
    near: bool = False
    told: bool = False


def _credentials(destination: Destination, now: datetime) -> Credentials | None:
    """None for a connection that has none."""
    known = told_expiry(destination) or destination.credentials_expire_on
    if destination.credentials_changed_at is None and known is None:
        return None
    changed: SafeString | str = _("Before this was recorded")
    if destination.credentials_changed_at:
        changed = words.ago(destination.credentials_changed_at)
    if known is None:
        return Credentials(changed)
    today, told = timezone.localdate(now), told_expiry(destination) is not None
    return Credentials(
        changed, connection_words.expiry(known, today, told=told), (known - today).days <= 30, told
    )


def told_expiry(destination: Destination) -> date | None:
    """When the CRM itself says that the credentials expire."""
    return destination.state.credentials_expire_on
