"""What screens say about a sending and its tries: what is the case, what to do next, and where."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm_sync import connection_words
from crm_sync import wording as words
from crm_sync.connectors.answers import UNNAMED
from crm_sync.models import Attempt, Delivery

State, Held = Delivery.State, Delivery.Held


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
        return _("next try %(time)s") % {"time": words.clock(delivery.due_at, now)}
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
    return Said(what, said.todo, url, link, words.sentence(said.reason))


def _pushed_again(delivery: Delivery) -> bool:
    """Whether it has arrived and is on its way once more."""
    return bool(delivery.remote_id) and delivery.state != State.DELIVERED


def _waiting(delivery: Delivery, now: datetime) -> Said:
    state, name = delivery.destination.state, delivery.destination.name
    if state.state != state.State.WORKING:
        todo = connection_words.connection_advice(state, elsewhere=True)
        waits = _("Waits for %(crm)s.") % {"crm": name}
        what = f"{waits} {connection_words.connection_state(state, now)}"
        # The connection's reason is mostly this lead's too: said once.
        reason = "" if delivery.reason == state.reason else delivery.reason
        return Said(what, todo, *_connection(delivery), reason)
    if delivery.due_at > now:
        return Said(
            _("Waits for the next try at %(time)s.") % {"time": words.clock(delivery.due_at, now)},
            _("Nothing to do: it is tried again by itself for about three days."),
            reason=delivery.reason,
        )
    if delivery.tries:
        return Said(_("About to be tried again."), reason=delivery.reason)
    return Said(_("About to be sent to %(crm)s.") % {"crm": name})


def _delivered(delivery: Delivery, now: datetime) -> Said:
    since = {"crm": delivery.destination.name, "time": words.clock(delivery.settled_at, now)}
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
    return words.row_url(delivery.route_id, field), _("Open the row of %(field)s") % {"field": field}


def sending_line(delivery: Delivery, now: datetime, *, trouble: bool = True) -> SafeString | str:
    """The state of a sending in a few words, leading to the record where there is one.

    `trouble`: for a reader who is told what is wrong.
    """
    summary, url = sending_summary(delivery, now) if trouble else for_sales(delivery), record_url(delivery)
    return format_html('<a href="{}">{}</a>', url, summary) if url else summary


def outcome(attempt: Attempt) -> str:
    return attempt.get_outcome_display() if attempt.outcome else _("Under way")


def record_url(delivery: Delivery) -> str:
    """The CRM's own page of the record; nothing where there is none, or none that is safe to follow."""
    return words.safe_url(
        delivery.remote_url
    )  # it stands there from the first arrival on, whatever became of a push since


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
