"""What screens say about a connection: its health, its credentials, a sample that is sent; with the next step."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import assert_never

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import wording as words
from crm_sync.limits import next_day
from crm_sync.models import Destination, DestinationState
from crm_sync.outcomes import Delivered, DestinationFault, Rejected, RetryLater, Throttled
from crm_sync.pushing import OUR_ERROR, Result
from crm_sync.trial import Wait
from leads.people import name_of


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection stands, in a word or two. `look`: its state as code, or "doubtful" or "untested"."""

    look: str
    label: str


def connection_standing(state: DestinationState) -> Standing:
    """That nothing has failed yet is no proof that it works."""
    if state.is_doubtful:
        return Standing("doubtful", _("Test failed"))
    if state.is_untested:
        return Standing("untested", _("Not tested yet"))
    return Standing(state.state, state.get_state_display())


def connection_state(state: DestinationState, now: datetime) -> str:
    """The health of a connection in a sentence or two."""
    since = words.clock(state.since, now)
    reason = words.sentence(state.reason)
    if state.state == state.State.PAUSED:
        paused = _("Paused by %(who)s since %(since)s.") if state.paused_by else _("Paused since %(since)s.")
        paused %= {"who": name_of(state.paused_by), "since": since}
        return f"{paused} {reason}".strip()
    if state.state == state.State.SLOWED:
        slowed = _("Slowed down since %(since)s.") % {"since": since}
        return f"{slowed} {reason} {_next_try(state, now)}"
    if state.state == state.State.STOPPED:
        stopped = _("Stopped since %(since)s.") % {"since": since}
        return f"{stopped} {reason} {_next_check(state, now)}"
    if state.is_doubtful:
        failed = _("Test failed at %(time)s: %(why)s")
        return failed % {"time": words.clock(state.checked_at, now), "why": reason}
    if state.is_untested:
        return _("Not tested yet.")
    if state.failures:
        return ngettext(
            "Working, but the last %(number)s try failed.",
            "Working, but the last %(number)s tries failed.",
            state.failures,
        ) % {"number": f"{state.failures:,}"}
    return _("Working.")


def _next_try(state: DestinationState, now: datetime) -> str:
    if state.until and state.until > now:
        return _("Next try %(time)s.") % {"time": words.clock(state.until, now)}
    return _("The next lead is tried as soon as one is due.")


def _next_check(state: DestinationState, now: datetime) -> str:
    if state.until and state.until > now:
        return _("It is checked again by itself at %(time)s.") % {"time": words.clock(state.until, now)}
    return _("It is about to be checked again by itself.")


def last_success(state: DestinationState) -> str:
    """When a lead last arrived. What did before the settings were changed shows nothing of them."""
    return words.ago(state.last_success_at) if state.last_success_at else _("None with these settings")


def connection_advice(state: DestinationState, *, elsewhere: bool = False) -> str:
    """What a person can do about it. `elsewhere`: read on another page than that of the connection."""
    match state.state:
        case state.State.PAUSED:
            return _("Leads wait here until somebody presses Resume. None is lost.")
        case state.State.SLOWED:
            return _(
                "Nothing to do: one lead at a time is tried until one gets through, then the rest follows. "
                "Intake is fine; nothing is lost."
            )
        case state.State.STOPPED if elsewhere:
            return _(
                "Mend the settings of the connection, then press Test connection: leads go out again at once. "
                "None is lost."
            )
        case state.State.STOPPED:
            return _(
                "Mend the settings below, then press Test connection: leads go out again at once. None is lost."
            )
    if state.is_doubtful:
        return (
            _("Leads are sent all the same. Mend the settings of the connection, then press Test connection.")
            if elsewhere
            else _("Leads are sent all the same. Mend the settings below, then press Test connection.")
        )
    return ""


def expiry(day: date, today: date, *, told: bool) -> str:
    """Until when credentials are good, and how many days that is. `told`: by the CRM, not by a person."""
    left = (day - today).days
    if left < 0:
        said = _expired(-left, told=told)
    elif left == 0:
        said = (
            _("On %(day)s, today, as the CRM says.")
            if told
            else _("On %(day)s, today, as somebody typed below.")
        )
    else:
        said = _expires(left, told=told)
    renew = _("Renew them in the CRM, then enter them below.") if 0 <= left <= 30 else ""
    said %= {"day": f"{day:%Y-%m-%d}", "number": f"{abs(left):,}"}
    return f"{said} {renew}".strip()


def _expired(days: int, *, told: bool) -> str:
    if told:
        return ngettext(
            "Expired on %(day)s, %(number)s day ago, as the CRM says. Enter new ones below.",
            "Expired on %(day)s, %(number)s days ago, as the CRM says. Enter new ones below.",
            days,
        )
    return ngettext(
        "Expired on %(day)s, %(number)s day ago, as somebody typed below. Enter new ones below.",
        "Expired on %(day)s, %(number)s days ago, as somebody typed below. Enter new ones below.",
        days,
    )


def _expires(days: int, *, told: bool) -> str:
    if told:
        return ngettext(
            "On %(day)s, in %(number)s day, as the CRM says.",
            "On %(day)s, in %(number)s days, as the CRM says.",
            days,
        )
    return ngettext(
        "On %(day)s, in %(number)s day, as somebody typed below.",
        "On %(day)s, in %(number)s days, as somebody typed below.",
        days,
    )


def sample_waits(wait: Wait, destination: Destination, now: datetime) -> str:
    """Why no sample goes now, and when one can."""
    match wait:
        case Wait.PAUSED:
            said = connection_state(destination.state, now)
            return f"{said} {_('While it is paused no sample goes either. Press Resume first.')}"
        case Wait.SPENT:
            limit = destination.max_per_day or 0
            return ngettext(
                "The limit of %(number)s push a day is reached, and a sample counts as one. One can go from "
                "%(day)s on; the limit is set on the CRM connection.",
                "The limit of %(number)s pushes a day is reached, and a sample counts as one. One can go from "
                "%(day)s on; the limit is set on the CRM connection.",
                limit,
            ) % {"number": f"{limit:,}", "day": words.clock(next_day(now), now)}
        case Wait.ASKED:
            said = _("%(crm)s asked to slow down: a sample can go at %(time)s, like the leads.")
            return said % {"crm": destination, "time": words.clock(destination.state.until, now)}
    assert_never(wait)


def sample_note(state: DestinationState) -> str:
    """What to know before a sample goes to a connection that is not well."""
    match state.state:
        case state.State.SLOWED:
            return _(
                "The connection fails and is slowed down. The sample is sent all the same: it shows whether it "
                "works again."
            )
        case state.State.STOPPED:
            return _(
                "The connection is stopped. The sample is sent all the same; once it arrives, press Test connection, "
                "and the leads go too."
            )
    return ""


def sample_result(result: Result, name: str) -> str:
    """What became of a sample, and what to do."""
    crm = {"crm": name}
    match result:
        case Delivered():
            return (
                _("The record is in %(crm)s. It is called Sam Sample: delete it there when you have seen it.")
                % crm
            )
        case Rejected(field=field) if field:
            said = _(
                "%(crm)s lets us in, but refuses the field %(field)s. Mend it there, or in the field mappings."
            )
            return said % {"crm": name, "field": field}
        case Rejected():
            said = _(
                "%(crm)s lets us in, but refuses the record. Mend what it complains about, there or in the mappings."
            )
            return said % crm
        case Throttled():
            return _("%(crm)s asks to slow down. Try again in a while.") % crm
        case DestinationFault():
            return _("Mend the settings of the connection, then try again.")
        case RetryLater(uncertain=True):
            return _("Look for Sam Sample in %(crm)s: it may be there all the same.") % crm
        case RetryLater():
            return _("%(crm)s could not take it now. Try again in a while.") % crm
    return _(OUR_ERROR)
