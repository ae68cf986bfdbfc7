"""Mails to the people who look after CRM connections: what they say.

Plain text, for people who may know nothing of leads: no name, address or number of a customer is in them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

from django.conf import settings
from django.utils import timezone

from crm_sync.connectors.answers import plain
from crm_sync.models import Delivery, DestinationState, Outage
from leads.mailing import Mail, address, body

REASON = 160  # characters


def began(name: str, outage: Outage, state: DestinationState, waiting: int, now: datetime) -> Mail:
    """The connection of that name takes no leads; `waiting` is how many wait for it."""
    name, since = plain(name), clock(outage.started_at, now)
    what = f"{name} {refuses(outage.reason)} leads since {since}{because(outage.reason)}. {_wait(waiting)}"
    lines = [
        f"{what} Intake is fine; nothing is lost. {_next_try(state, now)}",
        _WHAT_TO_DO[state.state],
        f"The connection: {address('crm_sync_destination_change', outage.destination_id)}",
    ]
    return Mail(f"{name} takes no leads since {since}", _body(lines), _key(outage, "start"))


def _next_try(state: DestinationState, now: datetime) -> str:
    return next_try(state.until, now, clock) if state.state != state.State.PAUSED else ""


def _wait(leads: int) -> str:
    if leads < 2:
        return "1 lead waits." if leads else "No lead waits yet."
    return f"{leads:,} leads wait."


_WHAT_TO_DO: Mapping[str, str] = {
    DestinationState.State.STOPPED: (
        "What to do: open the connection, mend its settings and press Test connection. The leads then go out at once."
    ),
    DestinationState.State.SLOWED: (
        "Nothing has to be done: one lead at a time is tried until one gets through, then the rest follows. "
        "One more mail comes when it works again."
    ),
    DestinationState.State.PAUSED: "A colleague has paused it meanwhile: leads go out when somebody presses Resume.",
    DestinationState.State.WORKING: "It seems to work again. One more mail comes when the leads have arrived.",
}


def ended(name: str, outage: Outage, became: Mapping[str, int], now: datetime) -> Mail:
    """The connection works again; `became` counts the leads that had to wait, by the state of their sendings."""
    name = plain(name)
    began_at, recovered_at = clock(outage.started_at, now), clock(outage.recovered_at or now, now)
    again = over(name, sum(became.values()), became.get(Delivery.State.DELIVERED, 0))
    lines = [
        f"{again}, none twice." if became.get(Delivery.State.DELIVERED) else f"{again}.",
        f"It took no leads from {began_at} to {recovered_at}{because(outage.reason)}.",
        *_not_delivered(outage.destination_id, became),
        f"The connection: {address('crm_sync_destination_change', outage.destination_id)}",
    ]
    return Mail(again, _body(lines), _key(outage, "end"), _key(outage, "start"))


def over(name: str, affected: int, delivered: int, since: str = "") -> str:
    """That it works again, and how many of the leads that waited have arrived."""
    works = f"{name} works again{since}"
    return (
        f"{works}: {delivered:,} of {affected:,} delivered" if affected else f"{works}; no lead had to wait"
    )


_FATES: Mapping[str, tuple[str, str]] = {
    Delivery.State.REJECTED: ("was refused", "were refused"),
    Delivery.State.HELD: ("is held until somebody looks at it", "are held until somebody looks at them"),
    Delivery.State.CANCELLED: ("was cancelled", "were cancelled"),
    Delivery.State.WAITING: ("still waits", "still wait"),
    Delivery.State.LEASED: ("is on its way", "are on their way"),
}


def _not_delivered(destination_id: int, became: Mapping[str, int]) -> list[str]:
    sendings = f"{address('crm_sync_delivery_changelist')}?destination={destination_id}"
    found = [
        f"- {number:,} {one if number == 1 else many}: {sendings}&state={state}"
        for state, (one, many) in _FATES.items()
        if (number := became.get(state, 0))
    ]
    return ["Not delivered:\n" + "\n".join(found)] if found else []


def expiring(name: str, destination_id: int, ends: date, days: int) -> Mail:
    """The credentials of a connection end in so many days."""
    name = plain(name)
    then = "From then on it takes no leads until somebody enters new ones; the leads wait, and none is lost."
    lines = [
        f"The credentials of {name} expire on {ends:%Y-%m-%d}, {in_days(days)}. {then}",
        "What to do: make new credentials in the CRM, then enter them here, and the date on which they expire.",
        f"The connection: {address('crm_sync_destination_change', destination_id)}",
    ]
    subject = f"The credentials of {name} expire {in_days(days)}"
    return Mail(subject, _body(lines), f"expiry-{destination_id}-{ends:%Y%m%d}-{days}")


def in_days(days: int) -> str:
    if days < 2:
        return "tomorrow" if days else "today"
    return f"in {days} days"


def refuses(reason: str) -> str:
    """What the CRM does with leads: without an answer of it, one cannot say that it refused them."""
    return "has refused" if "HTTP " in reason else "has not taken"


def because(reason: str) -> str:
    """The reason in brackets, in our words and without those of the CRM, which may quote a lead."""
    line = plain(reason)
    if status := re.match(r"HTTP \d{3}", line):
        said = status[0]
    elif heading := re.match(r"(.*?) ?\((HTTP \d{3})\)", line):
        said = f"{heading[1]}, {heading[2]}"
    else:
        said = re.sub(r"\S+@\S+", "…", line).rstrip(".")
    if len(said) > REASON:
        said = f"{said[: REASON - 1]}…"
    return f" ({said})" if said else ""


def next_try(until: datetime | None, now: datetime, clock: Callable[[datetime, datetime], str]) -> str:
    """When it is tried again by itself, with `clock` to write the time."""
    return f"Next try {clock(until, now)}." if until and until > now else "The next try comes at once."


def clock(moment: datetime, now: datetime) -> str:
    """A time of day with its zone, for readers anywhere; with the date where that is not today."""
    here = timezone.get_default_timezone()  # not that of whoever is at a screen just now
    local = timezone.localtime(moment, here)
    zone = local.tzname() or ""
    # Zones without letters of their own call themselves "-03".
    named = zone if zone.isalpha() else f"({settings.TIME_ZONE})"
    is_today = local.date() == timezone.localdate(now, here)
    return f"{local:%H:%M} {named}" if is_today else f"{local:%Y-%m-%d %H:%M} {named}"


def _body(paragraphs: Sequence[str]) -> str:
    return body(paragraphs, "those who are to be told when a CRM connection fails")


def _key(outage: Outage, which: str) -> str:
    return f"outage-{outage.pk}-{outage.started_at:%Y%m%d%H%M%S}-{which}"
