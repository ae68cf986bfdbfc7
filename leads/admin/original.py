"""A received request as it came, for the screen and as a file: whoever doubts what a lead says looks here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import pretty
from leads.admin.source import shown_body
from leads.models import Submission
from leads.vault import mask_endpoint_keys
from leads.wording import as_text, clip, clip_and_tell, clock

MOST_PAIRS = 100  # unknown fields, campaign parameters or headers on screen
MOST_INDENTED = 20_000  # characters: every line that is added is one more to show


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a page: its label, its value, where a click on the value leads, and what is said beside it."""

    label: str
    value: str
    link: str = ""
    note: str = ""


def pairs(values: Mapping[str, Any]) -> list[Fact]:
    """What a stranger named and filled in himself."""
    return [
        Fact(clip(str(key), 120), clip_and_tell(as_text(value)))
        for key, value in list(values.items())[:MOST_PAIRS]
    ]


def original(submission: Submission) -> dict[str, Any]:
    """The request for a template. Header values may hold the endpoint's key: a proxy may add the path."""
    body = bytes(submission.body)
    headers = submission.headers if isinstance(submission.headers, dict) else {}
    text, note = shown_body(submission)
    size = ngettext("%(number)s byte", "%(number)s bytes", len(body)) % {"number": f"{len(body):,}"}
    facts = [
        Fact(_("Received"), f"{clock(submission.received_at)}. {submission.get_origin_display()}"),
        Fact(_("Times received"), str(submission.times_received)),
        Fact(_("Sent from"), submission.remote_addr or _("not known")),
        Fact("User-Agent", mask_endpoint_keys(clip(str(headers.get("User-Agent", "")))) or _("none")),
        Fact(_("Content type"), clip(submission.content_type) or _("none")),
        Fact(_("Size"), size),
    ]
    if submission.times_received > 1 and submission.last_received_at:
        facts.insert(2, Fact(_("Last received"), clock(submission.last_received_at)))
    indented = pretty.indented(text) if len(text) <= MOST_INDENTED else ""
    return {
        "facts": facts,
        "headers": [Fact(fact.label, mask_endpoint_keys(fact.value)) for fact in pairs(headers)],
        "text": text,
        "indented": indented if indented != text.strip() else "",
        "note": note,
    }


def as_file(submission: Submission) -> HttpResponse:
    """The body byte for byte, as a file that no browser opens: whatever a stranger wrote into it stays text."""
    response = HttpResponse(bytes(submission.body), content_type="text/plain")
    response["Content-Disposition"] = f'attachment; filename="request-{submission.pk}.txt"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
