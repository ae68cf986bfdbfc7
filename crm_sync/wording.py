"""What screens say about connections, routes and sendings: plain, exact, and with the next step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import assert_never

from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_sync import connectors
from crm_sync.connectors.answers import UNNAMED
from crm_sync.limits import next_day
from crm_sync.mapping_owner import Owner
from crm_sync.models import Attempt, Delivery, Destination, DestinationState, MappingVersion, Route
from crm_sync.outcomes import Delivered, DestinationFault, Rejected, RetryLater, Throttled
from crm_sync.pushing import Result
from crm_sync.rule_words import anchor
from crm_sync.spec import Spec
from crm_sync.trial import Wait
from leads import wording as leads_wording

State, Held = Delivery.State, Delivery.Held


def clock(moment: datetime | None, now: datetime) -> str:
    """A time of day; with the date where that is not today."""
    if moment is None:
        return ""
    local, today = timezone.localtime(moment), timezone.localtime(now).date()
    if 0 < (moment - now).total_seconds() < 120:
        return f"{local:%H:%M:%S}"  # to the minute, "next try 17:10" reads like the past
    return f"{local:%H:%M}" if local.date() == today else leads_wording.clock(moment)


def ago(moment: datetime | None) -> SafeString | str:
    """How long ago, with the exact time behind it."""
    return leads_wording.when(moment) if moment else _("Never")


def sentence(text: str) -> str:
    """The text with a full stop at its end; nothing for nothing."""
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else f"{text}."


def capped(number: int, cap: int) -> str:
    """A number that was counted up to a cap: "10,000+"."""
    return f"{number:,}{'+' if number == cap else ''}"


def kind_of(destination: Destination) -> str:
    """The kind of CRM in words; the bare name of one that this version does not have."""
    try:
        return _(destination.spec.label)
    except connectors.UnknownConnector:
        return _("%(connector)s (not part of this version)") % {"connector": destination.connector}


def spec_of(destination: Destination) -> Spec | None:
    """What the connector declares, for reading; None where this version does not have it."""
    try:
        return destination.spec_in_words
    except connectors.UnknownConnector:
        return None


def name_of(destination: Destination) -> SafeString:
    return format_html("{} {}", destination.name, leads_wording.DEMO_BADGE if destination.is_demo else "")


# --- Connections ---------------------------------------------------------------------------------------------


def connection_state(state: DestinationState, now: datetime) -> str:
    """The health of a connection in a sentence or two."""
    since = clock(state.since, now)
    reason = sentence(state.reason)
    if state.state == state.State.PAUSED:
        paused = _("Paused by %(who)s since %(since)s.") if state.paused_by else _("Paused since %(since)s.")
        paused %= {"who": state.paused_by, "since": since}
        return f"{paused} {reason}".strip()
    if state.state == state.State.SLOWED:
        slowed = _("Slowed down since %(since)s.") % {"since": since}
        return f"{slowed} {reason} {_next_try(state, now)}"
    if state.state == state.State.STOPPED:
        stopped = _("Stopped since %(since)s.") % {"since": since}
        return f"{stopped} {reason} {_next_check(state, now)}"
    if state.failures:
        return ngettext(
            "Working, but the last %(number)s try failed.",
            "Working, but the last %(number)s tries failed.",
            state.failures,
        ) % {"number": f"{state.failures:,}"}
    return _("Working.")


def _next_try(state: DestinationState, now: datetime) -> str:
    if state.until and state.until > now:
        return _("Next try %(time)s.") % {"time": clock(state.until, now)}
    return _("The next lead is tried as soon as one is due.")


def _next_check(state: DestinationState, now: datetime) -> str:
    if state.until and state.until > now:
        return _("It is checked again by itself at %(time)s.") % {"time": clock(state.until, now)}
    return _("It is about to be checked again by itself.")


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


# --- Sendings ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """A sending in words: what is the case, what to do next, and where; `reason` is what the last try was told."""

    what: str
    todo: str = ""
    url: str = ""
    link: str = ""
    reason: str = ""


def sending_summary(delivery: Delivery, now: datetime) -> str:
    """The state of a sending in a few words, for lists."""
    name = {"crm": delivery.destination.name}
    match delivery.state:
        case State.DELIVERED:
            return _("In %(crm)s") % name
        case State.LEASED:
            return _("On its way to %(crm)s") % name
        case State.REJECTED:
            return _("Refused by %(crm)s") % name
        case State.HELD:
            return _("Held: %(why)s") % {"why": HELD_SHORT[delivery.held_reason]}
        case State.CANCELLED:
            return _("Cancelled, not sent to %(crm)s") % name
    return _("Waiting: %(why)s") % {"why": _wait_short(delivery, now)}


def for_sales(delivery: Delivery) -> str:
    """The state of a sending for those who cannot mend anything: whether to wait, and who looks at it."""
    name = {"crm": delivery.destination.name}
    match delivery.state:
        case State.DELIVERED:
            return _("In %(crm)s") % name
        case State.WAITING | State.LEASED if _pushed_again(delivery):
            return _("In %(crm)s, and pushed there again") % name
        case State.WAITING | State.LEASED:
            return _("Will reach %(crm)s by itself") % name
        case State.CANCELLED:
            return _("Not sent to %(crm)s") % name
    if delivery.held_reason == Held.DNC:
        return _("Stays here: do not contact")
    return _("A partner manager has to look at this")


def group_title(delivery: Delivery) -> str:
    """What sendings that stand still for one reason have in common, in a few words."""
    field = delivery.field
    match delivery.state:
        case State.REJECTED if field:
            return _("Refused: the field %(field)s") % {"field": field}
        case State.REJECTED:
            return _("Refused: the CRM has this person already") if delivery.duplicate_of else _("Refused")
        case State.HELD:
            said = _("Held: %(why)s: the field %(field)s") if field else _("Held: %(why)s")
            return said % {"why": HELD_SHORT[delivery.held_reason], "field": field}
    return _("Waiting for another try")


HELD_SHORT: Mapping[str, Promise] = {
    Held.DNC: gettext_lazy("do not contact"),
    Held.APPROVAL: gettext_lazy("needs approval"),
    Held.MAPPING_BROKEN: gettext_lazy("field mapping is broken"),
    Held.UNCERTAIN: gettext_lazy("may have arrived already"),
    Held.GAVE_UP: gettext_lazy("given up after about three days"),
    Held.BUG: gettext_lazy("an error of this software"),
}


def _wait_short(delivery: Delivery, now: datetime) -> str:
    name, state = {"crm": delivery.destination.name}, delivery.destination.state
    match state.state:
        case state.State.PAUSED:
            return _("%(crm)s is paused") % name
        case state.State.STOPPED:
            return _("%(crm)s is stopped") % name
        case state.State.SLOWED:
            return _("%(crm)s is slowed down") % name
    if delivery.due_at > now:
        return _("next try %(time)s") % {"time": clock(delivery.due_at, now)}
    return _("about to go to %(crm)s") % name


def sending(delivery: Delivery, now: datetime, may_view: Callable[[str], bool]) -> Said:
    """The state of a sending in full. Links only to what the reader may see, which `may_view` says of a model."""
    make = _IN_FULL.get(delivery.state)
    said = make(delivery, now) if make else Said(sending_summary(delivery, now) + ".")
    needed = "destination" if said.url == _connection(delivery)[0] else "route"
    url, link = (said.url, said.link) if may_view(needed) else ("", "")
    what = said.what.strip()
    if _pushed_again(delivery):
        before = _(
            "This is a push of what has arrived before: its first record is there, whatever becomes of it."
        )
        what = f"{what} {before}"
    return Said(what, said.todo, url, link, sentence(said.reason))


def _pushed_again(delivery: Delivery) -> bool:
    """Whether it has arrived and is on its way once more."""
    return bool(delivery.remote_id) and delivery.state != State.DELIVERED


def _waiting(delivery: Delivery, now: datetime) -> Said:
    state, name = delivery.destination.state, delivery.destination.name
    if state.state != state.State.WORKING:
        todo = connection_advice(state, elsewhere=True)
        waits = _("Waits for %(crm)s.") % {"crm": name}
        what = f"{waits} {connection_state(state, now)}"
        # The connection's reason is mostly this lead's too: said once.
        reason = "" if delivery.reason == state.reason else delivery.reason
        return Said(what, todo, *_connection(delivery), reason)
    if delivery.due_at > now:
        return Said(
            _("Waits for the next try at %(time)s.") % {"time": clock(delivery.due_at, now)},
            _("Nothing to do: it is tried again by itself for about three days."),
            reason=delivery.reason,
        )
    if delivery.tries:
        return Said(_("About to be tried again."), reason=delivery.reason)
    return Said(_("About to be sent to %(crm)s.") % {"crm": name})


def _delivered(delivery: Delivery, now: datetime) -> Said:
    since = {"crm": delivery.destination.name, "time": clock(delivery.settled_at, now)}
    what = _("In %(crm)s since %(time)s.") % since
    if delivery.existed:
        what = f"{what} {_('It was there already, from an earlier try; no second record was made.')}"
    return Said(what, reason=delivery.reason)


def _rejected(delivery: Delivery, now: datetime) -> Said:
    reason = delivery.reason
    if delivery.duplicate_of:
        what = (
            _("%(crm)s has this person already. Nothing was written.")
            if delivery.duplicate_of == UNNAMED
            else _("%(crm)s has this person already, as its record %(record)s. Nothing was written.")
        ) % {"crm": delivery.destination.name, "record": delivery.duplicate_of}
        todo = _(
            "Write it all the same, or cancel. What happens to the next ones is set on the CRM connection."
        )
        return Said(what, todo, *_connection(delivery), reason)
    what = _("%(crm)s refused this lead.") % {"crm": delivery.destination.name}
    if delivery.field:
        return Said(what, _about_field(delivery.field), *_mapping(delivery, delivery.field), reason)
    return Said(
        what,
        _("Mend what the CRM complains about, there or in the field mapping, then retry."),
        *_mapping(delivery),
        reason,
    )


def _about_field(field: str) -> str:
    return _(
        "Either mend the field %(field)s in the CRM, or change its row of the field mapping. Then retry. "
        "Or send this lead without the field."
    ) % {"field": field}


def _held(delivery: Delivery, now: datetime) -> Said:
    name, reason = {"crm": delivery.destination.name}, delivery.reason
    match delivery.held_reason:
        case Held.DNC:
            return Said(
                _(
                    "Held: do not contact. Microsoft sent this for information: the customer asked for another "
                    "partner on your page."
                ),
                _(
                    "Leave it here, or cancel it. Whoever may retry can send it anyway. Whether the next ones are held "
                    "is decided on the offer's page."
                ),
            )
        case Held.APPROVAL:
            return Said(
                _("Held: somebody must let it go to %(crm)s.") % name,
                _("Approve it to send it, or cancel it."),
                *_mapping(delivery),
            )
        case Held.MAPPING_BROKEN:
            return _held_by_mapping(delivery)
        case Held.UNCERTAIN:
            return Said(
                _("Held: it may have arrived in %(crm)s already.") % name,
                _("Look for this lead in %(crm)s. If it is there, cancel; if it is not, retry.") % name,
                reason=reason,
            )
        case Held.GAVE_UP:
            return Said(
                _("Held: given up after about three days of tries."),
                _("Once the CRM works again, retry: all the tries start anew."),
                *_connection(delivery),
                reason,
            )
    return Said(
        _("Held: an error of this software, not of the lead or the CRM."),
        _("The server's log has the details; please report it. A retry does no harm."),
    )


def _held_by_mapping(delivery: Delivery) -> Said:
    live = delivery.route.live_mapping
    field = delivery.field or (live.broken_field if live else "")
    todo = _("Mend the field mapping and publish it: every lead that it holds then goes out.")
    if field:
        todo = _(
            "Either mend the field %(field)s in the CRM and retry, or change its row of the field mapping and "
            "publish it: every lead that it holds then goes out. Or send this lead without the field."
        ) % {"field": field}
    return Said(_("Held: the field mapping is broken."), todo, *_mapping(delivery, field), delivery.reason)


_IN_FULL: Mapping[str, Callable[[Delivery, datetime], Said]] = {
    State.WAITING: _waiting,
    State.DELIVERED: _delivered,
    State.REJECTED: _rejected,
    State.HELD: _held,
}


def _connection(delivery: Delivery) -> tuple[str, str]:
    return reverse("admin:crm_sync_destination_change", args=[delivery.destination_id]), _(
        "Open the CRM connection"
    )


def _mapping(delivery: Delivery, field: str = "") -> tuple[str, str]:
    if not field:
        return reverse("admin:crm_sync_route_mapping", args=[delivery.route_id]), _("Open the field mapping")
    return row_url(delivery.route_id, field), _("Open the row of %(field)s") % {"field": field}


def row_url(route_id: int, field: str) -> str:
    """To the row of a CRM field, for lists: whose row it is, is found out when somebody follows the link."""
    return f"{reverse('admin:crm_sync_route_row', args=[route_id])}?{urlencode({'field': field})}"


def route_url(route_id: int) -> str:
    """The page of a route: which leads it takes, and what waits for a decision."""
    return reverse("admin:crm_sync_route_change", args=[route_id])


def mapping_url(owner: Route | Destination, field: str = "") -> str:
    """The field mapping of a route or a connection, at the row of a CRM field where one is named.

    A route inherits rows that its connection published: the row of such a field stands on the connection's page.
    """
    if not field:
        return Owner(owner).url()
    if isinstance(owner, Route) and not _has_row(owner.live_mapping, field):
        theirs = owner.destination
        owner = theirs if _has_row(theirs.live_mapping, field) else owner
    return f"{Owner(owner).url()}#{anchor(field)}"


def _has_row(version: MappingVersion | None, field: str) -> bool:
    return version is not None and version.rules.filter(target=field).exists()


def outcome(attempt: Attempt) -> str:
    return attempt.get_outcome_display() if attempt.outcome else _("Under way")


def record_url(delivery: Delivery) -> str:
    """The CRM's own page of the record; nothing where there is none, or none that is safe to follow."""
    return safe_url(
        delivery.remote_url
    )  # it stands there from the first arrival on, whatever became of a push since


def safe_url(url: str) -> str:
    """The address of a record; nothing where it is none: it is the CRM's answer, so a stranger's."""
    return url if url.startswith(("https://", "http://", "/admin/")) else ""


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
            ) % {"number": f"{limit:,}", "day": clock(next_day(now), now)}
        case Wait.ASKED:
            said = _("%(crm)s asked to slow down: a sample can go at %(time)s, like the leads.")
            return said % {"crm": destination, "time": clock(destination.state.until, now)}
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
    return _("An error of this software. The log has the details; please report it.")


def sending_line(delivery: Delivery, now: datetime, *, trouble: bool = True) -> SafeString | str:
    """The state of a sending in a few words, leading to the record where there is one.

    `trouble`: for a reader who is told what is wrong.
    """
    summary, url = sending_summary(delivery, now) if trouble else for_sales(delivery), record_url(delivery)
    return format_html('<a href="{}">{}</a>', url, summary) if url else summary


def versions(attempt: Attempt) -> str:
    """Which mapping made the record of a try."""
    if attempt.route_mapping is None:
        return ""
    said = (
        _("Field mapping %(version)s over the connection's %(inherited)s")
        if attempt.default_mapping
        else _("Field mapping %(version)s")
    )
    return said % {"version": attempt.route_mapping, "inherited": attempt.default_mapping}


# --- Mappings ------------------------------------------------------------------------------------------------


def mapping_state(owner: Route | Destination) -> str:
    """What is live and what is being edited: "Draft of v3 · live v2"."""
    live, draft = owner.live_mapping, owner.draft
    if live and draft:
        return _("Draft of %(draft)s · live %(live)s") % {"draft": draft, "live": live}
    if live:
        return _("Live %(live)s") % {"live": live}
    if draft:
        return _("Draft of %(draft)s · nothing published yet") % {"draft": draft}
    return _("Nothing published yet")
