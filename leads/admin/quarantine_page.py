"""What the page of one received request shows, put into words and clipped to what a screen can bear.

A partner manager came because a lead may be in there, and wants it out. So the page says what is wrong, then what it
was probably meant to be, then what a lead of that would say, with the buttons below; the text as it came is proof.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import quarantine, repair
from leads.admin.original import Fact, original
from leads.admin.source import compared, numbered
from leads.lead_source import action_in_words
from leads.models import Lead, Submission
from leads.payload import Fields, Unreadable
from leads.people import name_of
from leads.wording import DEMO_BADGE, FIELD_LABELS, LINE, as_text, clip, clock, recognised, when

MOST_PROBLEMS = 20
MOST_LEADS = 10  # of a list, on screen
MOST_UNKNOWN = 30  # unknown fields of a lead, on screen
MOST_LINKS = 50  # leads that one request became
MOST_DECISIONS = 20

RELEASE = "leads.release_submission"
DISCARD = "leads.discard_submission"


@dataclass(frozen=True, slots=True)
class Preview:
    """A lead that a text would become: "7 fields recognised", and which."""

    summary: str
    facts: list[Fact]
    unknown: list[Fact]
    is_test: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a text would become, or what is wrong with it and where; `asked` once a person had it checked."""

    text: str
    headline: str
    leads: list[Preview]
    problems: list[dict[str, Any]]
    lines: list[Any]
    against_schema: bool = False
    asked: bool = False

    @property
    def is_good(self) -> bool:
        return bool(self.leads)


def context(request: HttpRequest, submission: Submission, asked: Outcome | None = None) -> dict[str, Any]:
    """Everything that the page shows. `asked` is what a person wrote, and what it would become."""
    text = quarantine.text_of(submission)
    problems = submission.problems[:MOST_PROBLEMS] if isinstance(submission.problems, list) else []
    lines, note = numbered(text, problems)
    waiting = submission.in_quarantine
    suggestion = quarantine.suggestion(submission) if waiting else None
    changes, changes_note = compared(text, suggestion.text) if suggestion else ([], "")
    may_release = waiting and request.user.has_perm(RELEASE)
    outcome = asked
    if outcome is None and may_release:
        outcome = outcome_of(submission, suggestion.text if suggestion else text)
    return {
        "submission": submission,
        "when": when(submission.received_at),
        "demo_badge": DEMO_BADGE if submission.offer.is_demo else "",
        "problems": problems,
        "lines": lines,
        "note": note,
        "suggestion": suggestion,
        "changes": changes,
        "changes_note": changes_note,
        "outcome": outcome,
        "may_release": may_release,
        "may_reread": may_release and submission.reason != "truncated",
        "may_discard": waiting and request.user.has_perm(DISCARD),
        "may_restore": (
            submission.verdict == Submission.Verdict.DISCARDED and request.user.has_perm(DISCARD)
        ),
        "decided": decided(submission),
        "links": list(_links(request, submission)),
        "used": _used(submission, text),
        "received": original(submission),
        "decisions": _decisions(submission),
    }


def outcome_of(submission: Submission, text: str, *, asked: bool = False) -> Outcome:
    """What a text would become in place of the body."""
    size = len(text.encode("utf-8", "replace"))
    if size > settings.MAX_BODY_BYTES:
        words = _("The text has %(size)s bytes; at most %(most)s can be released.")
        said = words % {"size": f"{size:,}", "most": f"{settings.MAX_BODY_BYTES:,}"}
        return Outcome(text, said, [], [], [], asked=asked)
    found = quarantine.preview(submission, text)
    if isinstance(found, Unreadable):
        return _failed(found, text, asked=asked)
    leads = [_preview(fields) for fields in found[:MOST_LEADS]]
    many = _("%(number)s leads recognised") % {"number": f"{len(found):,}"}
    headline = leads[0].summary if len(found) == 1 else many
    return Outcome(text, headline, leads, [], [], asked=asked)


def _failed(verdict: Unreadable, text: str, *, asked: bool) -> Outcome:
    problems = [problem.as_dict() for problem in verdict.problems[:MOST_PROBLEMS]]
    lines, _note = numbered(verdict.text, problems)
    marked = [line.number for line in lines if line.mark]
    near = [line for line in lines if any(abs(line.number - number) <= 2 for number in marked)]
    against_schema = verdict.reason == "schema"
    headline = _("The offer's schema forbids this") if against_schema else _("This cannot be read yet")
    return Outcome(text, headline, [], problems, near, against_schema, asked)


def refused(outcome: Outcome) -> Outcome:
    """The outcome of a text that somebody wanted to release."""
    return replace(outcome, headline=_("Not released. %(why)s") % {"why": outcome.headline})


def _preview(fields: Fields) -> Preview:
    facts = [
        Fact(str(label), clip(_shown(fields, name)))
        for name, label in FIELD_LABELS.items()
        if getattr(fields, name)
    ]
    unknown = [
        Fact(clip(key, 60), clip(as_text(value))) for key, value in list(fields.extra.items())[:MOST_UNKNOWN]
    ]
    return Preview(recognised(fields), facts, unknown, fields.is_test)


def _shown(fields: Fields, name: str) -> str:
    value = str(getattr(fields, name))
    label = action_in_words(value) if name == "action" else value
    return value if label == value else f"{value} ({label})"


# What was decided


_DONE = {
    Submission.Verdict.RELEASED: gettext_lazy("%(person)s released it, %(time)s."),
    Submission.Verdict.DISCARDED: gettext_lazy("%(person)s discarded it, %(time)s."),
    Submission.Verdict.QUARANTINED: gettext_lazy("%(person)s put it back into quarantine, %(time)s."),
}


def decided(submission: Submission) -> str:
    """Who decided what, and when; "" where nobody did."""
    if submission.decided_at is None:
        return ""
    who = name_of(submission.decided_by, _("A former colleague"))
    done = str(_DONE[Submission.Verdict(submission.verdict)])
    return done % {"person": who, "time": clock(submission.decided_at)}


def _links(request: HttpRequest, submission: Submission) -> Iterator[tuple[str, str]]:
    """The leads of a request by name, with their addresses for those who may open them."""
    may = request.user.has_perm("leads.view_lead")
    names = ("first_name", "last_name", "email", "company")
    for lead in submission.leads.only("pk", *names).order_by("id")[:MOST_LINKS]:
        yield clip(lead.who, 80), lead_url(lead) if may else ""


def lead_url(lead: Lead) -> str:
    return reverse("admin:leads_lead_change", args=[lead.pk])


def _used(submission: Submission, text: str) -> dict[str, Any] | None:
    """The text that was released in place of the body, and what is different in it."""
    if not submission.repaired:
        return None
    changes, note = compared(text, submission.repaired)
    lines, lines_note = numbered(submission.repaired, [])
    return {"changes": changes, "note": note, "lines": lines, "lines_note": lines_note}


def _decisions(submission: Submission) -> list[tuple[Any, str]]:
    """The history of a request, the newest first."""
    log = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Submission), object_id=str(submission.pk)
    ).select_related("user")
    return [
        (entry.action_time, f"{name_of(entry.user)}: {clip(entry.get_change_message(), 3 * LINE)}")
        for entry in log.order_by("-action_time", "-pk")[:MOST_DECISIONS]
    ]


# After a button


def after_release(leads: list[Lead]) -> str:
    if len(leads) == 1:
        return _("Released: %(person)s is a lead now.") % {"person": clip(leads[0].who, 80)}
    return _("Released: %(number)s leads were made of it.") % {"number": f"{len(leads):,}"}


def after_reread(done: quarantine.Reread) -> str:
    """What became of several: "7 of 9 became leads, 2 are still unreadable."."""
    total = done.leads + done.unreadable
    words = ngettext(
        "%(number)s of %(total)s became a lead", "%(number)s of %(total)s became leads", done.leads
    ) % {"number": done.leads, "total": total}
    if done.unreadable:
        words += ngettext(
            ", %(number)s is still unreadable", ", %(number)s are still unreadable", done.unreadable
        ) % {"number": done.unreadable}
    if not done.left:
        return f"{words}."
    left = _("At most %(most)s are read at once: %(number)s more wait to be.")
    return f"{words}. {left % {'most': quarantine.MOST_AT_ONCE, 'number': f'{done.left:,}'}}"


def still_unreadable(submission: Submission) -> str:
    """Why reading it again did not help."""
    if submission.reason == "truncated":
        return _(
            "Part of it never arrived, and reading it again does not bring that back. "
            "If what is there will do, press Release."
        )
    found = repair.leads_in(
        quarantine.text_of(submission),
        schema=submission.offer.schema,
        content_type=submission.content_type,
    )
    why = found.problems[0].message if isinstance(found, Unreadable) else _("It is a list: press Release.")
    return _("Read again; it still cannot be read. %(why)s") % {"why": clip(why)}
