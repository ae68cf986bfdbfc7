"""One timeline of a lead: what came, what the worker made of it, where it was sent, what colleagues did and wrote.

The newest stands first: it says where things stand now. Of a long one the beginning and the end are open, and what
lies between waits behind a click. Of an offer whose leads are worked on in the CRM our own work is left out; it is
kept, and shows again where that changes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest
from django.utils.translation import gettext as _

from leads import assignment, lead_source, work
from leads.admin.customer_words import reason_in_a_sentence
from leads.models import Lead, Submission
from leads.people import name_of
from leads.ports import TimelineEntry, ports
from leads.wording import FIELD, clip, recognised, repeats

NEWEST, FIRST = 20, 3  # events that are open, where there are more
MOST = 200  # of one kind: whoever repeats something by a script is not worth a longer page
ARCHIVED = lead_source.ACTIONS["DNC"].label  # why routing closes a lead of an offer that archives such


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the timeline, ready for the screen; `note` is what a colleague wrote."""

    at: datetime
    text: str
    url: str = ""
    note: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """The events, the newest first: those that are open, those between, and how it began."""

    newest: Sequence[Event]
    between: Sequence[Event]
    first: Sequence[Event]


def timeline(request: HttpRequest, lead: Lead) -> Timeline:
    """What happened to a lead, as far as this user may know."""
    events = [Event(entry.at, clip(entry.text, FIELD), entry.url) for entry in _own(request, lead)]
    for source in ports.timeline:
        events += (Event(entry.at, clip(entry.text, FIELD), entry.url) for entry in source(request, lead))
    events += _edits(lead)
    if lead.offer.works_here and request.user.has_perm("leads.view_note"):
        events += _notes(lead)
    return folded(sorted(events, key=lambda event: event.at)[::-1])


def folded(events: Sequence[Event]) -> Timeline:
    """Nothing is folded for the sake of one or two."""
    if len(events) <= NEWEST + FIRST + 2:
        return Timeline(events, (), ())
    return Timeline(events[:NEWEST], events[NEWEST:-FIRST], events[-FIRST:])


# What we did ourselves


def _own(request: HttpRequest, lead: Lead) -> Iterator[TimelineEntry]:
    yield from _received(lead)
    if lead.routed_at:
        said = [*_tidied(lead), *(_grouped(lead) if request.user.has_perm("leads.view_customer") else ())]
        if said:
            yield TimelineEntry(lead.routed_at, " ".join(said))
        if lead.offer.works_here and assignment.is_a_rules(lead.assigned_because):
            words = _("Assigned. %(because)s") % {"because": lead.assigned_because}
            yield TimelineEntry(lead.routed_at, words)
        if lead.action == "DNC" and lead.closed_reason == ARCHIVED:
            yield TimelineEntry(lead.routed_at, _("Archived: do not contact, as set on the offer's page."))
    if lead.offer.works_here and lead.answered_at:
        yield TimelineEntry(lead.answered_at, _("First answer to the customer."))


def _received(lead: Lead) -> Iterator[TimelineEntry]:
    submission = lead.submission
    came = _("Received. %(origin)s.") % {"origin": submission.get_origin_display()}
    read = f"{_('Read.')} {recognised(lead)}."
    if submission.verdict == Submission.Verdict.RELEASED and submission.decided_at:
        yield TimelineEntry(submission.received_at, f"{came} {_('It could not be read.')}")
        yield TimelineEntry(submission.decided_at, read)
    else:
        yield TimelineEntry(submission.received_at, f"{came} {read}")
    if submission.times_received > 1:
        last = submission.last_received_at or submission.received_at
        yield TimelineEntry(last, repeats(submission.times_received))


def _tidied(lead: Lead) -> Iterator[str]:
    """What the worker made of the fields."""
    names = [
        name
        for name, sent, tidy in (
            (_("e-mail"), lead.email, lead.tidy_email),
            (_("phone"), lead.phone, lead.tidy_phone),
            (_("country"), lead.country, lead.tidy_country),
        )
        if tidy and tidy != sent
    ]
    if names:
        yield _("Tidied: %(fields)s.") % {"fields": ", ".join(names)}


def _grouped(lead: Lead) -> Iterator[str]:
    """Where the lead belongs."""
    if lead.customer_id and lead.grouped_by:
        yield _("Joined its customer: %(reason)s.") % {"reason": reason_in_a_sentence(lead)}
    elif lead.customer_id:
        yield _("First lead of a new customer.")


# What colleagues did


def _edits(lead: Lead) -> Iterator[Event]:
    kind = ContentType.objects.get_for_model(Lead)
    log = LogEntry.objects.filter(content_type=kind, object_id=str(lead.pk)).select_related("user")
    if not lead.offer.works_here:
        log = log.exclude(action_flag=work.WORK)
    for entry in log.order_by("-action_time", "-pk")[:MOST]:
        if message := entry.get_change_message():
            yield Event(entry.action_time, f"{name_of(entry.user)}: {clip(message, FIELD)}")


def _notes(lead: Lead) -> Iterator[Event]:
    for note in lead.notes.select_related("author").order_by("-created_at", "-pk")[:MOST]:
        author = name_of(note.author, _("A former colleague"))
        yield Event(note.created_at, f"{author}: {note.text}", note=True)
