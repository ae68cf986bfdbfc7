"""What screens say about connections, routes and sendings: plain, exact, and with the next step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import assert_never

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

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
    return leads_wording.when(moment) if moment else "Never"


def sentence(text: str) -> str:
    """The text with a full stop at its end; nothing for nothing."""
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else f"{text}."


def count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def capped(number: int, cap: int) -> str:
    """A number that was counted up to a cap: "10,000+"."""
    return f"{number:,}{'+' if number == cap else ''}"


def kind_of(destination: Destination) -> str:
    """The kind of CRM in words; the bare name of one that this version does not have."""
    try:
        return destination.spec.label
    except connectors.UnknownConnector:
        return f"{destination.connector} (not part of this version)"


def spec_of(destination: Destination) -> Spec | None:
    """What the connector declares; None where this version does not have it."""
    try:
        return destination.spec
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
        who = f" by {state.paused_by}" if state.paused_by else ""
        return f"Paused{who} since {since}. {reason}".strip()
    if state.state == state.State.SLOWED:
        return f"Slowed down since {since}. {reason} {_next_try(state, now)}"
    if state.state == state.State.STOPPED:
        return f"Stopped since {since}. {reason} {_next_check(state, now)}"
    if state.failures:
        return f"Working, but the last {count(state.failures, 'try', 'tries')} failed."
    return "Working."


def _next_try(state: DestinationState, now: datetime) -> str:
    if state.until and state.until > now:
        return f"Next try {clock(state.until, now)}."
    return "The next lead is tried as soon as one is due."


def _next_check(state: DestinationState, now: datetime) -> str:
    if state.until and state.until > now:
        return f"It is checked again by itself at {clock(state.until, now)}."
    return "It is about to be checked again by itself."


def connection_advice(state: DestinationState) -> str:
    """What a person can do about it."""
    match state.state:
        case state.State.PAUSED:
            return "Leads wait here until somebody presses Resume. None is lost."
        case state.State.SLOWED:
            return (
                "Nothing to do: one lead at a time is tried until one gets through, then the rest follows. "
                "Intake is fine; nothing is lost."
            )
        case state.State.STOPPED:
            return "Mend the settings below, then press Test connection: leads go out again at once. None is lost."
    return ""


def expiry(day: date, today: date, *, told: bool) -> str:
    """Until when credentials are good, and how many days that is. `told`: by the CRM, not by a person."""
    left = (day - today).days
    whose = "as the CRM says" if told else "as somebody typed below"
    if left < 0:
        return f"Expired on {day:%Y-%m-%d}, {count(-left, 'day')} ago, {whose}. Enter new ones below."
    when = "today" if left == 0 else f"in {count(left, 'day')}"
    renew = " Renew them in the CRM, then enter them below." if left <= 30 else ""
    return f"On {day:%Y-%m-%d}, {when}, {whose}.{renew}"


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
    name = delivery.destination.name
    match delivery.state:
        case State.DELIVERED:
            return f"In {name}"
        case State.LEASED:
            return f"On its way to {name}"
        case State.REJECTED:
            return f"Refused by {name}"
        case State.HELD:
            return f"Held: {HELD_SHORT[delivery.held_reason]}"
        case State.CANCELLED:
            return f"Cancelled, not sent to {name}"
    return f"Waiting: {_wait_short(delivery, now)}"


def for_sales(delivery: Delivery) -> str:
    """The state of a sending for those who cannot mend anything: whether to wait, and who looks at it."""
    name = delivery.destination.name
    match delivery.state:
        case State.DELIVERED:
            return f"In {name}"
        case State.WAITING | State.LEASED if _pushed_again(delivery):
            return f"In {name}, and pushed there again"
        case State.WAITING | State.LEASED:
            return f"Will reach {name} by itself"
        case State.CANCELLED:
            return f"Not sent to {name}"
    if delivery.held_reason == Held.DNC:
        return "Stays here: do not contact"
    return "A partner manager has to look at this"


def group_title(delivery: Delivery) -> str:
    """What sendings that stand still for one reason have in common, in a few words."""
    field = f": the field {delivery.field}" if delivery.field else ""
    match delivery.state:
        case State.REJECTED:
            duplicate = ": the CRM has this person already" if delivery.duplicate_of else ""
            return f"Refused{field or duplicate}"
        case State.HELD:
            return f"Held: {HELD_SHORT[delivery.held_reason]}{field}"
    return "Waiting for another try"


HELD_SHORT: Mapping[str, str] = {
    Held.DNC: "do not contact",
    Held.APPROVAL: "needs approval",
    Held.MAPPING_BROKEN: "field mapping is broken",
    Held.UNCERTAIN: "may have arrived already",
    Held.GAVE_UP: "given up after about three days",
    Held.BUG: "an error of this software",
}


def _wait_short(delivery: Delivery, now: datetime) -> str:
    name, state = delivery.destination.name, delivery.destination.state
    match state.state:
        case state.State.PAUSED:
            return f"{name} is paused"
        case state.State.STOPPED:
            return f"{name} is stopped"
        case state.State.SLOWED:
            return f"{name} is slowed down"
    if delivery.due_at > now:
        return f"next try {clock(delivery.due_at, now)}"
    return f"about to go to {name}"


def sending(delivery: Delivery, now: datetime, may_view: Callable[[str], bool]) -> Said:
    """The state of a sending in full. Links only to what the reader may see, which `may_view` says of a model."""
    make = _IN_FULL.get(delivery.state)
    said = make(delivery, now) if make else Said(sending_summary(delivery, now) + ".")
    needed = "destination" if said.link == _TO_CONNECTION else "route"
    url, link = (said.url, said.link) if may_view(needed) else ("", "")
    what = f"{said.what.strip()} {_ARRIVED_BEFORE}" if _pushed_again(delivery) else said.what.strip()
    return Said(what, said.todo, url, link, sentence(said.reason))


_ARRIVED_BEFORE = (
    "This is a push of what has arrived before: its first record is there, whatever becomes of it."
)


def _pushed_again(delivery: Delivery) -> bool:
    """Whether it has arrived and is on its way once more."""
    return bool(delivery.remote_id) and delivery.state != State.DELIVERED


_TO_CONNECTION = "Open the CRM connection"
_TO_MAPPING = "Open the field mapping"


def _waiting(delivery: Delivery, now: datetime) -> Said:
    state, name = delivery.destination.state, delivery.destination.name
    if state.state != state.State.WORKING:
        todo = connection_advice(state).replace("below", "of the connection")
        what = f"Waits for {name}. {connection_state(state, now)}"
        # The connection's reason is mostly this lead's too: said once.
        reason = "" if delivery.reason == state.reason else delivery.reason
        return Said(what, todo, *_connection(delivery), reason)
    if delivery.due_at > now:
        return Said(
            f"Waits for the next try at {clock(delivery.due_at, now)}.",
            "Nothing to do: it is tried again by itself for about three days.",
            reason=delivery.reason,
        )
    if delivery.tries:
        return Said("About to be tried again.", reason=delivery.reason)
    return Said(f"About to be sent to {name}.")


def _delivered(delivery: Delivery, now: datetime) -> Said:
    name = delivery.destination.name
    existed = (
        " It was there already, from an earlier try; no second record was made." if delivery.existed else ""
    )
    return Said(f"In {name} since {clock(delivery.settled_at, now)}.{existed}", reason=delivery.reason)


def _rejected(delivery: Delivery, now: datetime) -> Said:
    what, reason = f"{delivery.destination.name} refused this lead.", delivery.reason
    if delivery.duplicate_of:
        which = f", as its record {delivery.duplicate_of}" if delivery.duplicate_of != UNNAMED else ""
        what = f"{delivery.destination.name} has this person already{which}. Nothing was written."
        todo = "Write it all the same, or cancel. What happens to the next ones is set on the CRM connection."
        return Said(what, todo, *_connection(delivery), reason)
    if delivery.field:
        return Said(what, _about_field(delivery.field), *_mapping(delivery, delivery.field), reason)
    return Said(
        what,
        "Mend what the CRM complains about, there or in the field mapping, then retry.",
        *_mapping(delivery),
        reason,
    )


def _about_field(field: str) -> str:
    return (
        f"Either mend the field {field} in the CRM, or change its row of the field mapping. Then retry. "
        "Or send this lead without the field."
    )


def _held(delivery: Delivery, now: datetime) -> Said:
    name, reason = delivery.destination.name, delivery.reason
    match delivery.held_reason:
        case Held.DNC:
            return Said(
                "Held: do not contact. Microsoft sent this for information: the customer asked for another "
                "partner on your page.",
                "Leave it here, or cancel it. Whoever may retry can send it anyway. Whether the next ones are held "
                "is decided on the offer's page.",
            )
        case Held.APPROVAL:
            return Said(
                f"Held: somebody must let it go to {name}.",
                "Approve it to send it, or cancel it.",
                *_mapping(delivery),
            )
        case Held.MAPPING_BROKEN:
            return _held_by_mapping(delivery)
        case Held.UNCERTAIN:
            return Said(
                f"Held: it may have arrived in {name} already.",
                f"Look for this lead in {name}. If it is there, cancel; if it is not, retry.",
                reason=reason,
            )
        case Held.GAVE_UP:
            return Said(
                "Held: given up after about three days of tries.",
                "Once the CRM works again, retry: all the tries start anew.",
                *_connection(delivery),
                reason,
            )
    return Said(
        "Held: an error of this software, not of the lead or the CRM.",
        "The server's log has the details; please report it. A retry does no harm.",
    )


def _held_by_mapping(delivery: Delivery) -> Said:
    live = delivery.route.live_mapping
    field = delivery.field or (live.broken_field if live else "")
    todo = "Mend the field mapping and publish it: every lead that it holds then goes out."
    if field:
        todo = (
            f"Either mend the field {field} in the CRM and retry, or change its row of the field mapping and "
            "publish it: every lead that it holds then goes out. Or send this lead without the field."
        )
    return Said("Held: the field mapping is broken.", todo, *_mapping(delivery, field), delivery.reason)


_IN_FULL: Mapping[str, Callable[[Delivery, datetime], Said]] = {
    State.WAITING: _waiting,
    State.DELIVERED: _delivered,
    State.REJECTED: _rejected,
    State.HELD: _held,
}


def _connection(delivery: Delivery) -> tuple[str, str]:
    return reverse("admin:crm_sync_destination_change", args=[delivery.destination_id]), _TO_CONNECTION


def _mapping(delivery: Delivery, field: str = "") -> tuple[str, str]:
    if not field:
        return reverse("admin:crm_sync_route_mapping", args=[delivery.route_id]), _TO_MAPPING
    return row_url(delivery.route_id, field), f"Open the row of {field}"


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
    return attempt.get_outcome_display() if attempt.outcome else "Under way"


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
            return f"{said} While it is paused no sample goes either. Press Resume first."
        case Wait.SPENT:
            day = clock(next_day(now), now)
            return (
                f"The limit of {count(destination.max_per_day or 0, 'push', 'pushes')} a day is reached, and a sample "
                f"counts as one. One can go from {day} on; the limit is set on the CRM connection."
            )
        case Wait.ASKED:
            time = clock(destination.state.until, now)
            return f"{destination} asked to slow down: a sample can go at {time}, like the leads."
    assert_never(wait)


def sample_note(state: DestinationState) -> str:
    """What to know before a sample goes to a connection that is not well."""
    match state.state:
        case state.State.SLOWED:
            return (
                "The connection fails and is slowed down. The sample is sent all the same: it shows whether it "
                "works again."
            )
        case state.State.STOPPED:
            return (
                "The connection is stopped. The sample is sent all the same; once it arrives, press Test connection, "
                "and the leads go too."
            )
    return ""


def sample_result(result: Result, name: str) -> str:
    """What became of a sample, and what to do."""
    match result:
        case Delivered():
            return f"The record is in {name}. It is called Sam Sample: delete it there when you have seen it."
        case Rejected(field=field) if field:
            return (
                f"{name} lets us in, but refuses the field {field}. Mend it there, or in the field mappings."
            )
        case Rejected():
            return f"{name} lets us in, but refuses the record. Mend what it complains about, there or in the mappings."
        case Throttled():
            return f"{name} asks to slow down. Try again in a while."
        case DestinationFault():
            return "Mend the settings of the connection, then try again."
        case RetryLater(uncertain=True):
            return f"Look for Sam Sample in {name}: it may be there all the same."
        case RetryLater():
            return f"{name} could not take it now. Try again in a while."
    return "An error of this software. The log has the details; please report it."


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
    default = f" over the connection's {attempt.default_mapping}" if attempt.default_mapping else ""
    return f"Field mapping {attempt.route_mapping}{default}"


# --- Mappings ------------------------------------------------------------------------------------------------


def mapping_state(owner: Route | Destination) -> str:
    """What is live and what is being edited: "Draft of v3 · live v2"."""
    live, draft = owner.live_mapping, owner.draft
    if live and draft:
        return f"Draft of {draft} · live {live}"
    if live:
        return f"Live {live}"
    return f"Draft of {draft} · nothing published yet" if draft else "Nothing published yet"
