"""What screens say about connections, routes and sendings: plain, exact, and with the next step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from crm_sync import connectors
from crm_sync.forms import anchor
from crm_sync.mapping import LEAD_VALUES, TRANSFORMS, Rule
from crm_sync.models import Attempt, Delivery, Destination, DestinationState, FieldRule, Route
from crm_sync.spec import Spec
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


def kind_of(destination: Destination) -> str:
    """The kind of CRM in words; the bare name of one that this version does not have."""
    try:
        return destination.spec.label
    except connectors.UnknownConnector:
        return f"{destination.connector} (not part of this version)"


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


# --- Sendings ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """A sending in words: what is the case, what to do next, and where."""

    what: str
    todo: str = ""
    url: str = ""
    link: str = ""


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
    return Said(said.what.strip(), said.todo, url, link)


_TO_CONNECTION = "Open the CRM connection"
_TO_MAPPING = "Open the field mapping"


def _waiting(delivery: Delivery, now: datetime) -> Said:
    state, name = delivery.destination.state, delivery.destination.name
    if state.state != state.State.WORKING:
        todo = connection_advice(state).replace("below", "of the connection")
        return Said(f"Waits for {name}. {connection_state(state, now)}", todo, *_connection(delivery))
    if delivery.due_at > now:
        return Said(
            f"Waits for the next try at {clock(delivery.due_at, now)}. {sentence(delivery.reason)}",
            "Nothing to do: it is tried again by itself for about three days.",
        )
    if delivery.tries:
        return Said(f"About to be tried again. {sentence(delivery.reason)}")
    return Said(f"About to be sent to {name}.")


def _delivered(delivery: Delivery, now: datetime) -> Said:
    name = delivery.destination.name
    existed = (
        " It was there already, from an earlier try; no second record was made." if delivery.existed else ""
    )
    return Said(f"In {name} since {clock(delivery.settled_at, now)}.{existed}")


def _rejected(delivery: Delivery, now: datetime) -> Said:
    what = f"{delivery.destination.name} refused this lead. {sentence(delivery.reason)}"
    if delivery.duplicate_of:
        todo = (
            f"The CRM takes it for a duplicate of its record {delivery.duplicate_of}. If that is so, cancel."
        )
        return Said(what, todo)
    if delivery.field:
        return Said(what, _about_field(delivery.field), *_mapping(delivery, delivery.field))
    return Said(
        what,
        "Mend what the CRM complains about, there or in the field mapping, then retry.",
        *_mapping(delivery),
    )


def _about_field(field: str) -> str:
    return f"Either mend the field {field} in the CRM, or change its row of the field mapping. Then retry."


def _held(delivery: Delivery, now: datetime) -> Said:
    name, reason = delivery.destination.name, sentence(delivery.reason)
    match delivery.held_reason:
        case Held.DNC:
            return Said(
                "Held: do not contact. Microsoft sent this for information: the customer asked for another "
                "partner on your page.",
                "Leave it here, or cancel it. Whether such leads are held is decided on the offer's page.",
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
                f"Held: it may have arrived in {name} already. {reason}",
                f"Look for this lead in {name}. If it is there, cancel; if it is not, retry.",
            )
        case Held.GAVE_UP:
            return Said(
                f"Held: given up after about three days of tries. {reason}",
                "Once the CRM works again, retry: all the tries start anew.",
                *_connection(delivery),
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
            "publish it: every lead that it holds then goes out."
        )
    what = f"Held: the field mapping is broken. {sentence(delivery.reason)}"
    return Said(what, todo, *_mapping(delivery, field))


_IN_FULL: Mapping[str, Callable[[Delivery, datetime], Said]] = {
    State.WAITING: _waiting,
    State.DELIVERED: _delivered,
    State.REJECTED: _rejected,
    State.HELD: _held,
}


def _connection(delivery: Delivery) -> tuple[str, str]:
    return reverse("admin:crm_sync_destination_change", args=[delivery.destination_id]), _TO_CONNECTION


def _mapping(delivery: Delivery, field: str = "") -> tuple[str, str]:
    return route_url(delivery.route_id, field), f"Open the row of {field}" if field else _TO_MAPPING


def route_url(route_id: int, field: str = "") -> str:
    """The page of a route, at the row of a CRM field."""
    url = reverse("admin:crm_sync_route_change", args=[route_id])
    return f"{url}#{anchor(field)}" if field else url


def outcome(attempt: Attempt) -> str:
    return attempt.get_outcome_display() if attempt.outcome else "Under way"


def record_url(delivery: Delivery) -> str:
    """The CRM's own page of the record; nothing where there is none, or none that is safe to follow."""
    # The address is the CRM's answer, so it is a stranger's.
    safe = delivery.remote_url.startswith(("https://", "http://", "/admin/"))
    return delivery.remote_url if safe and delivery.state == State.DELIVERED else ""


def sending_line(delivery: Delivery, now: datetime) -> SafeString | str:
    """The state of a sending in a few words, leading to the record where there is one."""
    summary, url = sending_summary(delivery, now), record_url(delivery)
    return format_html('<a href="{}">{}</a>', url, summary) if url else summary


def versions(attempt: Attempt) -> str:
    """Which mapping made the record of a try."""
    if attempt.route_mapping is None:
        return ""
    default = f" over the connection's {attempt.default_mapping}" if attempt.default_mapping else ""
    return f"Field mapping {attempt.route_mapping}{default}"


# --- Mappings ------------------------------------------------------------------------------------------------


def mapping_state(route: Route) -> str:
    """What is live and what is being edited: "Draft of v3 · live v2"."""
    live, draft = route.live_mapping, route.draft
    if live and draft:
        return f"Draft of {draft} · live {live}"
    if live:
        return f"Live {live}"
    return f"Draft of {draft} · nothing published yet" if draft else "Nothing published yet"


@dataclass(frozen=True)
class Row:
    """One rule for reading."""

    rule: Rule
    target: str
    how: str
    value: str
    extras: str
    anchor: str
    overridden: bool = False


def row(rule: Rule, spec: Spec, own: Sequence[Rule] = ()) -> Row:
    """A rule in words; beside the route's `own` rules, an inherited one may never get its turn."""
    labels = {target.name: target.label for target in spec.fields}
    target = "Every field" if rule.target == "*" else labels.get(rule.target, rule.target)
    return Row(
        rule=rule,
        target=target,
        how=_HOW.get(rule.kind, rule.kind),
        value=_VALUE.get(rule.kind, lambda rule: "")(rule),
        extras=" ".join(_extras(rule)),
        anchor=anchor(rule.target)
        + ("-inherited" if any(rule.target == mine.target for mine in own) else ""),
        overridden=any(rule.target == mine.target and not mine.when for mine in own),
    )


_HOW = dict(FieldRule._meta.get_field("kind").flatchoices)


def source_label(name: str) -> str:
    return "Every lead value, under its own name" if name == "*" else LEAD_VALUES.get(name, name)


def _table_words(rule: Rule) -> str:
    pairs = [f"{key} = {text}" for key, text in list(rule.table.items())[:3]]
    more = f" and {len(rule.table) - 3} more" if len(rule.table) > 3 else ""
    return f"{source_label(rule.source)}: {', '.join(pairs)}{more}"


_VALUE: Mapping[str, Callable[[Rule], str]] = {
    "field": lambda rule: source_label(rule.source),
    "constant": lambda rule: f"“{rule.value}”",
    "template": lambda rule: rule.template,
    "lookup": _table_words,
}


def _extras(rule: Rule) -> list[str]:
    found = []
    if rule.transform:
        transform: Any = TRANSFORMS.get(rule.transform)
        found.append(sentence(transform.label if transform else rule.transform))
    if rule.fallback:
        found.append(f"If empty: “{rule.fallback}”.")
    if rule.keep_empty:
        found.append("Sent even when empty.")
    found += [f"Only when {source_label(name)} is {' or '.join(texts)}." for name, texts in rule.when.items()]
    return found
