"""What the page of one lead shows, put into words and clipped to what a screen can bear."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest

from leads import lead_source, tidy
from leads.admin import customers
from leads.admin.source import shown_body
from leads.admin.unknown_keys import MapLink, map_links, mapped_values, value_name
from leads.countries import country_code, country_name
from leads.models import Lead, Submission
from leads.ports import TimelineEntry, ports
from leads.vault import mask_endpoint_keys
from leads.wording import (
    FIELD,
    as_text,
    badge_row,
    clip,
    clip_and_tell,
    clock,
    explanations,
    mail_link,
    repeats,
    when,
    written,
)

MOST_PAIRS = 100  # unknown fields, campaign parameters or headers on screen
ARCHIVED = lead_source.ACTIONS["DNC"].label  # why routing closes a lead of an offer that archives such


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the page: its label, its value, where a click on the value leads, and what is said beside it."""

    label: str
    value: str
    link: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class UnknownField:
    """A field that we do not know, and where this user can map it."""

    label: str
    value: str
    mapped: bool
    links: Sequence[MapLink]


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the timeline, ready for the screen; `note` is what a colleague wrote."""

    at: Any
    text: str
    url: str = ""
    note: bool = False


def context(request: HttpRequest, lead: Lead) -> dict[str, Any]:
    """Everything but the form of status, owner and reason, which is the admin's own."""
    may_see_request = request.user.has_perm("leads.view_submission")
    return {
        "lead": lead,
        "who": clip(lead.who, 80),
        "sentence": clip(lead.sentence, 400),
        "when": when(lead.received_at),
        "badges": badge_row(lead),
        "explanations": explanations(lead),
        "person": list(_person(lead)),
        "listing": list(_listing(lead)),
        "description": clip_and_tell(lead.description),
        "campaign": _pairs(lead.campaign),
        "extra": _unknown(request, lead),
        "callable": _callable(lead),
        "customer_place": customers.place(request, lead),
        "panels": [panel(request, lead) for panel in ports.lead_panels],
        "timeline": _timeline(request, lead),
        "received": original(lead.submission) if may_see_request else None,
    }


def _person(lead: Lead) -> Iterator[Fact]:
    yield Fact("Name", clip_and_tell(lead.full_name))
    yield Fact("Job title", clip_and_tell(lead.title))
    yield Fact("Company", clip_and_tell(lead.company))
    email = lead.tidy_email or lead.email
    yield Fact(
        "E-mail",
        clip_and_tell(email),
        mail_link(email) if _callable(lead) else "",
        _sent_as(lead.email, email),
    )
    phone = lead.phone if _only_spaced(lead.phone, lead.tidy_phone) else tidy.spaced(lead.tidy_phone)
    yield Fact("Phone", clip_and_tell(phone), note=_sent_as(lead.phone, phone))
    name = country_name(country_code(lead.country))
    sent = clip_and_tell(lead.country)
    yield Fact("Country", f"{name} ({sent})" if name and name != sent else sent)


def _sent_as(sent: str, shown: str) -> str:
    """What stands beside a value that was tidied."""
    return f"sent as {clip_and_tell(sent)}" if sent != shown else ""


def _only_spaced(sent: str, number: str) -> bool:
    """Whether a phone number was sent as it is dialled from anywhere but for spaces, or could not be read."""
    return not number or "".join(c for c in sent if c not in " -.()/") == number


def _callable(lead: Lead) -> bool:
    """Whether a click may write to the customer, or call."""
    return lead.action != "DNC"


def _listing(lead: Lead) -> Iterator[Fact]:
    action = lead_source.ACTIONS.get(lead.action)
    yield Fact("Action", f"{action.code}: {action.what}" if action else clip_and_tell(lead.action))
    yield Fact("Offer", f"{lead.offer.title} ({lead.offer.slug})")
    if lead.offer_title and lead.offer_title != lead.offer.title:
        yield Fact("Offer title sent", clip_and_tell(lead.offer_title))
    yield Fact("Source", clip_and_tell(lead_source.source_label(lead.source)))
    yield Fact("LeadSource", clip_and_tell(lead.lead_source))
    if delay := written(lead):
        yield Fact("Written", delay)


def _pairs(values: dict[str, Any]) -> list[Fact]:
    return [
        Fact(clip(str(key), 120), clip_and_tell(as_text(value)))
        for key, value in list(values.items())[:MOST_PAIRS]
    ]


def _unknown(request: HttpRequest, lead: Lead) -> list[UnknownField]:
    if not lead.extra:
        return []
    mapped = mapped_values([lead.offer])[lead.offer_id]
    return [
        UnknownField(
            clip(key, 120),
            clip_and_tell(as_text(value)),
            value_name(key) in mapped,
            map_links(request, lead.offer, key),
        )
        for key, value in list(lead.extra.items())[:MOST_PAIRS]
    ]


def _timeline(request: HttpRequest, lead: Lead) -> list[Event]:
    """What happened to the lead, the newest first: it tells where things stand now."""
    events = [Event(entry.at, clip_and_tell(entry.text), entry.url) for entry in _received(lead)]
    events += [
        Event(entry.at, clip(entry.text, FIELD), entry.url)
        for source in ports.timeline
        for entry in source(request, lead)
    ]
    events += _edits(lead)
    if request.user.has_perm("leads.view_note"):
        for note in lead.notes.select_related("author"):
            events.append(
                Event(note.created_at, f"{note.author or 'A former colleague'}: {note.text}", note=True)
            )
    return sorted(events, key=lambda event: event.at, reverse=True)


def _received(lead: Lead) -> Iterator[TimelineEntry]:
    submission = lead.submission
    yield TimelineEntry(submission.received_at, f"Received. {submission.get_origin_display()}.")
    if submission.times_received > 1:
        yield TimelineEntry(
            submission.last_received_at or submission.received_at, repeats(submission.times_received)
        )
    if not _callable(lead) and lead.routed_at and lead.closed_reason == ARCHIVED:
        yield TimelineEntry(lead.routed_at, "Archived: do not contact, as set on the offer's page.")


def _edits(lead: Lead) -> list[Event]:
    kind = ContentType.objects.get_for_model(Lead)
    log = LogEntry.objects.filter(content_type=kind, object_id=str(lead.pk)).select_related("user")
    return [
        Event(entry.action_time, f"{entry.user}: {message}")
        for entry in log
        if (message := entry.get_change_message())
    ]


def original(submission: Submission) -> dict[str, Any]:
    """A received request as it came. Header values may hold the endpoint's key: a proxy may add the path."""
    body = bytes(submission.body)
    headers = submission.headers if isinstance(submission.headers, dict) else {}
    text, note = shown_body(submission)
    facts = [
        Fact("Received", f"{clock(submission.received_at)}. {submission.get_origin_display()}"),
        Fact("Times received", str(submission.times_received)),
        Fact("Sent from", submission.remote_addr or "not known"),
        Fact("User-Agent", mask_endpoint_keys(clip(str(headers.get("User-Agent", "")))) or "none"),
        Fact("Content type", clip(submission.content_type) or "none"),
        Fact("Size", f"{len(body):,} bytes"),
    ]
    if submission.times_received > 1 and submission.last_received_at:
        facts.insert(2, Fact("Last received", clock(submission.last_received_at)))
    return {
        "facts": facts,
        "headers": [Fact(fact.label, mask_endpoint_keys(fact.value)) for fact in _pairs(headers)],
        "text": text,
        "note": note,
    }
