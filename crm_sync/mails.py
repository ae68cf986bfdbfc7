"""Mails to the people who look after CRM connections: what they say.

Plain text, for people who may know nothing of leads: no name, address or number of a customer is in them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

from django.conf import settings
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_sync.connectors.answers import plain
from crm_sync.models import Delivery, DestinationState, Outage
from leads.mailing import Mail, address, body

REASON = 160  # characters


def began(name: str, outage: Outage, state: DestinationState, waiting: int, now: datetime) -> Mail:
    """The connection of that name takes no leads; `waiting` is how many wait for it."""
    name, since = plain(name), clock(outage.started_at, now)
    told = {"crm": name, "since": since, "because": because(outage.reason)}
    what = f"{takes_none(outage.reason) % told} {_wait(waiting)} {_('Intake is fine; nothing is lost.')}"
    lines = [
        f"{what} {_next_try(state, now)}",
        str(_WHAT_TO_DO[state.state]),
        _where(outage.destination_id),
    ]
    subject = _("%(crm)s takes no leads since %(since)s") % {"crm": name, "since": since}
    return Mail(subject, _body(lines), _key(outage, "start"))


def takes_none(reason: str, number: int = 0) -> str:
    """Since when leads were refused, or not taken, with places for crm, since, because and the number, if there is one.

    Without an answer of the CRM, one cannot say that it refused them.
    """
    refused = "HTTP " in reason
    if not number:
        return (
            _("%(crm)s has refused leads since %(since)s%(because)s.")
            if refused
            else _("%(crm)s has not taken leads since %(since)s%(because)s.")
        )
    if refused:
        return ngettext(
            "%(crm)s has refused %(number)s lead since %(since)s%(because)s.",
            "%(crm)s has refused %(number)s leads since %(since)s%(because)s.",
            number,
        )
    return ngettext(
        "%(crm)s has not taken %(number)s lead since %(since)s%(because)s.",
        "%(crm)s has not taken %(number)s leads since %(since)s%(because)s.",
        number,
    )


def _next_try(state: DestinationState, now: datetime) -> str:
    return next_try(state.until, now, clock) if state.state != state.State.PAUSED else ""


def _wait(leads: int) -> str:
    if not leads:
        return _("No lead waits yet.")
    return ngettext("%(number)s lead waits.", "%(number)s leads wait.", leads) % {"number": f"{leads:,}"}


_WHAT_TO_DO: Mapping[str, Promise] = {
    DestinationState.State.STOPPED: gettext_lazy(
        "What to do: open the connection, mend its settings and press Test connection. The leads then go out at once."
    ),
    DestinationState.State.SLOWED: gettext_lazy(
        "Nothing has to be done: one lead at a time is tried until one gets through, then the rest follows. "
        "One more mail comes when it works again."
    ),
    DestinationState.State.PAUSED: gettext_lazy(
        "A colleague has paused it meanwhile: leads go out when somebody presses Resume."
    ),
    DestinationState.State.WORKING: gettext_lazy(
        "It seems to work again. One more mail comes when the leads have arrived."
    ),
}


def _where(destination_id: int) -> str:
    url = address("crm_sync_destination_change", destination_id)
    return _("The connection: %(url)s") % {"url": url}


def ended(name: str, outage: Outage, became: Mapping[str, int], now: datetime) -> Mail:
    """The connection works again; `became` counts the leads that had to wait, by the state of their sendings."""
    name = plain(name)
    again = over(name, sum(became.values()), became.get(Delivery.State.DELIVERED, 0))
    arrived = _("%(again)s, none twice.") if became.get(Delivery.State.DELIVERED) else "%(again)s."
    none_from = _("It took no leads from %(begin)s to %(end)s%(because)s.") % {
        "begin": clock(outage.started_at, now),
        "end": clock(outage.recovered_at or now, now),
        "because": because(outage.reason),
    }
    lines = [
        arrived % {"again": again},
        none_from,
        *_not_delivered(outage.destination_id, became),
        _where(outage.destination_id),
    ]
    return Mail(again, _body(lines), _key(outage, "end"), _key(outage, "start"))


def over(name: str, affected: int, delivered: int, since: str = "") -> str:
    """That it works again, and how many of the leads that waited have arrived."""
    if affected and since:
        said = _("%(crm)s works again since %(since)s: %(delivered)s of %(affected)s delivered")
    elif affected:
        said = _("%(crm)s works again: %(delivered)s of %(affected)s delivered")
    elif since:
        said = _("%(crm)s works again since %(since)s; no lead had to wait")
    else:
        said = _("%(crm)s works again; no lead had to wait")
    return said % {"crm": name, "since": since, "delivered": f"{delivered:,}", "affected": f"{affected:,}"}


_FATES: Mapping[str, Callable[[int], str]] = {
    Delivery.State.REJECTED: lambda number: ngettext(
        "%(number)s was refused", "%(number)s were refused", number
    ),
    Delivery.State.HELD: lambda number: ngettext(
        "%(number)s is held until somebody looks at it",
        "%(number)s are held until somebody looks at them",
        number,
    ),
    Delivery.State.CANCELLED: lambda number: ngettext(
        "%(number)s was cancelled", "%(number)s were cancelled", number
    ),
    Delivery.State.WAITING: lambda number: ngettext(
        "%(number)s still waits", "%(number)s still wait", number
    ),
    Delivery.State.LEASED: lambda number: ngettext(
        "%(number)s is on its way", "%(number)s are on their way", number
    ),
}


def _not_delivered(destination_id: int, became: Mapping[str, int]) -> list[str]:
    sendings = f"{address('crm_sync_delivery_changelist')}?destination={destination_id}"
    found = [
        f"- {said(number) % {'number': f'{number:,}'}}: {sendings}&state={state}"
        for state, said in _FATES.items()
        if (number := became.get(state, 0))
    ]
    return ["\n".join([_("Not delivered:"), *found])] if found else []


def expiring(name: str, destination_id: int, ends: date, days: int) -> Mail:
    """The credentials of a connection end in so many days."""
    named = {"crm": plain(name), "day": f"{ends:%Y-%m-%d}", "when": in_days(days)}
    lines = [
        _(
            "The credentials of %(crm)s expire on %(day)s, %(when)s. From then on it takes no leads until somebody "
            "enters new ones; the leads wait, and none is lost."
        )
        % named,
        _(
            "What to do: make new credentials in the CRM, then enter them here, and the date on which they expire."
        ),
        _where(destination_id),
    ]
    subject = _("The credentials of %(crm)s expire %(when)s") % named
    return Mail(subject, _body(lines), f"expiry-{destination_id}-{ends:%Y%m%d}-{days}")


def in_days(days: int) -> str:
    if days < 2:
        return _("tomorrow") if days else _("today")
    return ngettext("in %(number)s day", "in %(number)s days", days) % {"number": days}


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
    if until and until > now:
        return _("Next try %(time)s.") % {"time": clock(until, now)}
    return _("The next try comes at once.")


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
    return body(paragraphs, _("those who are to be told when a CRM connection fails"))


def _key(outage: Outage, which: str) -> str:
    return f"outage-{outage.pk}-{outage.started_at:%Y%m%d%H%M%S}-{which}"
