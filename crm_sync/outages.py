"""Outages: when a connection takes no leads people are told once, and once more when it is over.

Any number of workers may watch at once, and die at any moment. What is to be told stands in the Outage row. A mail
is claimed by a conditional update, sent outside any transaction, then marked as told; a claim that led to nothing
is taken up again after AGAIN. Only a worker that dies between the mail server's yes and the mark makes a second
copy, under the same Message-ID, of which mailboxes show one.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from crm_sync import health, mails
from crm_sync.models import Attempt, Delivery, Destination, DestinationState, Outage
from leads import mailing

logger = logging.getLogger(__name__)

SLOW_FOR = timedelta(minutes=30)  # that a CRM may ask to slow down before people are told
FLAPPING = timedelta(minutes=10)  # within which one that fails again has not been well in between
SETTLING = timedelta(minutes=15)  # after recovery: then the numbers are told, whatever is still on its way
AGAIN = timedelta(minutes=5)  # between two tries to send the same mail
OLD_NEWS = timedelta(days=1)  # after which nobody needs to be told that it works again
REMIND_DAYS = (30, 7, 1)  # before credentials end
FIRST_REMINDER = timedelta(days=max(REMIND_DAYS))

State, Fate = DestinationState.State, Delivery.State
# One that is slowed without a failure rests: it has had its leads for today.
SICK = Q(state=State.STOPPED) | Q(state=State.SLOWED, failures__gt=0)


def is_sick(state: DestinationState) -> bool:
    return state.state == State.STOPPED or (state.state == State.SLOWED and state.failures > 0)


# --- Watching ------------------------------------------------------------------------------------------------


def watch(now: datetime) -> None:
    """See which outages begin, recover and are over, and have people told in the background. Call it every sweep.

    Two short questions where nothing is wrong, of tables that hold a row for each destination and each outage.
    """
    for destination_id in _newly_sick(now):
        _begin(destination_id)
    outages = list(_unfinished(now))
    states = DestinationState.objects.in_bulk([outage.destination_id for outage in outages])
    for outage in outages:
        if outage.closed_at is None and outage.destination_id in states:
            _follow(outage, states[outage.destination_id], now)
    if any(_untold(outage, now) for outage in outages):
        mailing.in_background(lambda: tell(now))


def _newly_sick(now: datetime) -> list[int]:
    known = Outage.objects.filter(destination=OuterRef("pk"), recovered_at=None)
    rows = DestinationState.objects.filter(SICK, ~Exists(known)).values_list("pk", "state", "since")
    return [
        pk
        for pk, state, since in rows
        if state == State.STOPPED or since <= now - SLOW_FOR or health.fails(pk)
    ]


def _begin(destination_id: int) -> None:
    with transaction.atomic():
        # Its state row is the lock: of two workers that see it one makes the outage.
        state = DestinationState.objects.select_for_update().filter(SICK, pk=destination_id).first()
        last = Outage.objects.filter(destination_id=destination_id).first()
        if state is None or (last and last.recovered_at is None):
            return
        if last and (last.closed_at is None or state.since < (last.recovered_at or state.since) + FLAPPING):
            last.recovered_at = last.closed_at = None
            last.save(update_fields=["recovered_at", "closed_at"])
        else:
            _open(state)


def _open(state: DestinationState) -> None:
    Outage.objects.create(destination_id=state.pk, started_at=state.since, reason=state.reason)


def _unfinished(now: datetime) -> QuerySet[Outage]:
    """Outages that go on, or whose end nobody was told of yet."""
    return Outage.objects.filter(Q(closed_at=None) | Q(end_told_at=None, closed_at__gt=now - OLD_NEWS))


def _follow(outage: Outage, state: DestinationState, now: datetime) -> None:
    """Move it on, in the database and in this object."""
    if outage.recovered_at is None and is_sick(state):
        _tell_anew(outage, state, now)
    elif outage.recovered_at is None and state.state != State.PAUSED:
        _recover(outage, state)
    if outage.closed_at is None and _is_over(outage, state, now):
        _close(outage, now)


def _recover(outage: Outage, state: DestinationState) -> None:
    outage.recovered_at = max(state.since, outage.started_at)
    Outage.objects.filter(pk=outage.pk, recovered_at=None).update(recovered_at=outage.recovered_at)


def _tell_anew(outage: Outage, state: DestinationState, now: datetime) -> None:
    """People were told that it works. Where it fails again for long that is an outage of its own, not a flap."""
    if outage.end_told_at is None or state.since > now - FLAPPING:
        return
    worked = min(outage.end_told_at, state.since)
    with transaction.atomic():
        ongoing = Outage.objects.filter(pk=outage.pk, recovered_at=None)
        if ongoing.update(recovered_at=worked, closed_at=worked):
            _open(state)
    outage.closed_at = worked


def _is_over(outage: Outage, state: DestinationState, now: datetime) -> bool:
    if outage.recovered_at is None or is_sick(state):
        return False
    if not _is_owed(outage):
        return True
    # A person may have it send again before it works: then its failures go on.
    return outage.recovered_at <= now - SETTLING and not state.failures


def _is_owed(outage: Outage) -> bool:
    """Whether a lead that had to wait is still to be sent."""
    waited = Delivery.objects.filter(destination=outage.destination_id, created_at__lt=outage.recovered_at)
    # Each state has an index of its own.
    return any(waited.filter(state=state).exists() for state in (Fate.WAITING, Fate.LEASED))


def _close(outage: Outage, now: datetime) -> None:
    became = what_became(outage)
    open_still = Outage.objects.filter(pk=outage.pk, recovered_at=outage.recovered_at, closed_at=None)
    if open_still.update(
        closed_at=now, affected=sum(became.values()), delivered=became.get(Fate.DELIVERED, 0)
    ):
        outage.closed_at = now


def what_became(outage: Outage) -> dict[str, int]:
    """How many leads had to wait for it, by the state their sendings are in now."""
    # What is held says not since when: it waited if it was tried since.
    tried = Attempt.objects.filter(delivery=OuterRef("pk"), finished_at__gte=outage.started_at)
    waited = Delivery.objects.filter(
        Q(settled_at__gte=outage.started_at)
        | Q(state__in=[Fate.WAITING, Fate.LEASED])
        | Q(Exists(tried), state=Fate.HELD),
        destination=outage.destination_id,
        created_at__lt=outage.recovered_at,
    )
    return dict(waited.order_by().values_list("state").annotate(Count("pk")))


def waiting(destination_ids: Iterable[int]) -> Counter[int]:
    """How many leads wait for each of these destinations, or are on their way there."""
    found: Counter[int] = Counter()
    for state in (Fate.WAITING, Fate.LEASED):
        owed = Delivery.objects.filter(destination__in=list(destination_ids), state=state).order_by()
        found.update(dict(owed.values_list("destination").annotate(Count("pk"))))
    return found


# --- Telling -------------------------------------------------------------------------------------------------


def recipients() -> list[str]:
    """The addresses of those who are to be told."""
    return mailing.recipients("crm_sync.be_told_destination")


def _untold(outage: Outage, now: datetime) -> str:
    """Which mail is to be sent now, "start" or "end"; "" for none.

    One that has recovered before its first mail could leave is told of once, with its beginning and its end.
    """
    claimed = {"start": outage.start_claimed_at, "end": outage.end_claimed_at}
    which = ""
    if outage.recovered_at is None and outage.start_told_at is None:
        which = "start"
    elif outage.closed_at and outage.end_told_at is None:
        which = "end"
    before = claimed.get(which)
    return which if before is None or before <= now - AGAIN else ""


def tell(now: datetime) -> None:
    """Send the mails that are due, each from one worker. Takes as long as the mail server does."""
    for outage in _unfinished(now):
        which = _untold(outage, now)
        if which and _claim(outage, which, now):
            _tell(outage, which, now)


def _claim(outage: Outage, which: str, now: datetime) -> bool:
    claimed, told = f"{which}_claimed_at", f"{which}_told_at"
    free = Q(**{claimed: None}) | Q(**{f"{claimed}__lte": now - AGAIN})
    return bool(Outage.objects.filter(free, pk=outage.pk, **{told: None}).update(**{claimed: now}))


def _tell(outage: Outage, which: str, now: datetime) -> None:
    mail = _mail(outage, which, now)
    # Nobody there to be told: Home says so, and the news is not kept for whoever comes later.
    if mailing.sent(mail, recipients()):
        Outage.objects.filter(pk=outage.pk).update(**{f"{which}_told_at": now})


def _mail(outage: Outage, which: str, now: datetime) -> mailing.Mail:
    # Without its secrets: they may be what is broken.
    name = Destination.objects.values_list("name", flat=True).get(pk=outage.destination_id)
    if which == "end":
        return mails.ended(name, outage, what_became(outage), now)
    state = DestinationState.objects.get(pk=outage.destination_id)
    return mails.began(name, outage, state, waiting([state.pk])[state.pk], now)


def failing_mails(now: datetime) -> int:
    """How many mails a worker has taken on that have not been sent."""
    late = now - timedelta(minutes=1)
    start = Q(recovered_at=None, start_told_at=None, start_claimed_at__isnull=False, started_at__lt=late)
    end = Q(closed_at__range=(now - OLD_NEWS, late), end_told_at=None, end_claimed_at__isnull=False)
    return Outage.objects.filter(start | end).count()


# --- Credentials ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expiring:
    """Credentials of a destination that end soon or have ended: on which day, and how many days are left.

    `reminded`: days before their end that the last reminder was for.
    """

    destination_id: int
    name: str
    ends: date
    days: int
    reminded: int | None

    @property
    def reminder(self) -> int | None:
        """Which reminder is due, in days before; None where it was sent already, or it is too late for any."""
        if self.days < 0:
            return None
        step = min(step for step in REMIND_DAYS if self.days <= step)
        return None if self.reminded == step else step


def expiring(now: datetime) -> list[Expiring]:
    """Credentials that end within 30 days or have ended, the first to end first."""
    today = timezone.localdate(now)
    rows = _dated().filter(ends__lte=today + FIRST_REMINDER).order_by("ends", "pk")
    # Not whole destinations: their secrets may be what is broken.
    return [
        Expiring(pk, name, ends, (ends - today).days, reminded)
        for pk, name, ends, reminded in rows.values_list("pk", "destination__name", "ends", "reminded_days")
    ]


def _dated() -> QuerySet[Any]:
    """States with the day on which their credentials end: as the CRM told it, else as it was typed."""
    return DestinationState.objects.annotate(
        ends=Coalesce("credentials_expire_on", "destination__credentials_expire_on")
    )


def remind(now: datetime) -> None:
    """Remind people of credentials that end soon, in the background. Call it every hour.

    A mail that fails follows with the next call. Two short questions where nothing ends.
    """
    far = Q(ends=None) | Q(ends__gt=timezone.localdate(now) + FIRST_REMINDER)
    for pk in _dated().filter(far, reminded_days__isnull=False).values_list("pk", flat=True):
        DestinationState.objects.filter(pk=pk).update(reminded_days=None)  # a day that was moved starts anew
    if any(ending.reminder for ending in expiring(now)):
        mailing.in_background(lambda: send_reminders(now))


def send_reminders(now: datetime) -> None:
    """Send the reminders that are due, each from one worker. Takes as long as the mail server does.

    A worker that dies here loses one reminder; the next one follows, and Home counts the days.
    """
    for ending in expiring(now):
        states = DestinationState.objects.filter(pk=ending.destination_id)
        mine = states.filter(reminded_days=ending.reminded)
        if ending.reminder and mine.update(reminded_days=ending.reminder):
            mail = mails.expiring(ending.name, ending.destination_id, ending.ends, ending.days)
            if not mailing.sent(mail, recipients()):
                states.filter(reminded_days=ending.reminder).update(reminded_days=ending.reminded)
