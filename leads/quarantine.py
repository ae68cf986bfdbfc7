"""What people decide about requests that could not be read: read again, release, discard, take back.

A request is evidence: its body, headers, reason and problems stay as they were. A decision is a conditional update of
the verdict, in one transaction with the leads that come of it, so that two people who press at once make no two leads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import models, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from leads import payload, repair
from leads.intake import lead_of
from leads.models import Lead, Submission
from leads.payload import Fields, Unreadable
from leads.ports import ring
from leads.repair import Repair

MOST_AT_ONCE = 500
"""Requests that one press of a button decides on: whoever pressed it waits for the answer."""

_CHUNK = 100  # rows of one transaction
_LONGEST_MESSAGE = 1_000  # characters of the history
_ANY_SCHEMA: dict[str, object] = {}


class AlreadyDecidedError(Exception):
    """Somebody decided before, maybe the same person in another window. `submission` is as they left it."""

    def __init__(self, submission: Submission) -> None:
        super().__init__(submission.verdict)
        self.submission = submission


class StillUnreadableError(Exception):
    """The text cannot become a lead. `verdict` says where and why."""

    def __init__(self, verdict: Unreadable) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Reread:
    """What became of several requests. `left` are in quarantine too, but more than MOST_AT_ONCE."""

    leads: int
    unreadable: int
    left: int


# What stands on the page before anything is decided


def text_of(submission: Submission) -> str:
    """The body as text, decoded as the reader of leads decodes it, so that lines and columns agree."""
    return payload.decode(bytes(submission.body))


def suggestion(submission: Submission) -> Repair | None:
    """What the request was probably meant to be."""
    return repair.suggest(
        text_of(submission), schema=submission.offer.schema, content_type=submission.content_type
    )


def preview(submission: Submission, text: str, *, without_schema: bool = False) -> list[Fields] | Unreadable:
    """What a text would become in place of the body: one lead, or those of a list. Stores nothing."""
    return repair.leads_in(
        _storable(text),
        schema=_ANY_SCHEMA if without_schema else submission.offer.schema,
        content_type=submission.content_type,
    )


# The decisions


def reread(submission: Submission, by: User, now: datetime) -> Lead | None:
    """Read the body as it came once more, by the offer's schema and the software of today.

    None where it still cannot be read; then nothing changes. What was cut off on the way stays so: that it can be
    read does not bring back what is missing, and a person must say that this will do. Raises AlreadyDecidedError.
    """
    if not submission.in_quarantine:
        raise AlreadyDecidedError(submission)
    if submission.reason == "truncated":
        return None
    verdict = payload.read(
        bytes(submission.body), content_type=submission.content_type, schema=submission.offer.schema
    )
    if isinstance(verdict, Unreadable):
        return None
    said = _("Released from quarantine, read again as it came.")
    return _release(submission, [verdict], "", said, by, now)[0]


def release(
    submission: Submission, text: str, by: User, now: datetime, *, without_schema: bool = False
) -> list[Lead]:
    """Make the leads of a text in place of the body, and send them the way of any lead.

    `without_schema` lets pass what the offer's schema forbids. Raises StillUnreadableError or AlreadyDecidedError,
    and then stores nothing.
    """
    if not submission.in_quarantine:
        raise AlreadyDecidedError(submission)
    found = preview(submission, text)
    against = False
    if without_schema and isinstance(found, Unreadable) and found.reason == "schema":
        found = preview(submission, text, without_schema=True)
        against = True
    if isinstance(found, Unreadable):
        raise StillUnreadableError(found)
    repaired = "" if is_original(submission, text) else _storable(text)
    how, notes = _how(submission, repaired)
    released = (
        _("Released from quarantine, %(how)s, against the offer's schema.")
        if against
        else _("Released from quarantine, %(how)s.")
    )
    said = " ".join([released % {"how": how}, *notes])
    return _release(submission, found, repaired, said, by, now)


def discard(submission: Submission, by: User, now: datetime) -> None:
    """Take a request out of quarantine without making a lead of it. Raises AlreadyDecidedError."""
    with transaction.atomic():
        _decide(submission, Submission.Verdict.DISCARDED, by, now)
        _log([submission], by, _("Discarded."))


def restore(submission: Submission, by: User) -> None:
    """Put a discarded request back into quarantine. Raises AlreadyDecidedError if it is not discarded."""
    with transaction.atomic():
        _move(
            submission,
            Submission.Verdict.DISCARDED,
            verdict=Submission.Verdict.QUARANTINED,
            decided_at=None,
            decided_by=None,
        )
        _log([submission], by, _("Put back into quarantine."))


def reread_many(submissions: QuerySet[Submission], by: User, now: datetime) -> Reread:
    """Read several again, each in a transaction of its own."""
    chosen = submissions.filter(verdict=Submission.Verdict.QUARANTINED)
    pks = list(chosen.values_list("pk", flat=True)[:MOST_AT_ONCE])
    leads = unreadable = 0
    for pk in pks:
        try:
            lead = reread(Submission.objects.select_related("offer").get(pk=pk), by, now)
        except (AlreadyDecidedError, Submission.DoesNotExist):
            continue
        leads += lead is not None
        unreadable += lead is None
    return Reread(leads, unreadable, chosen.count() - unreadable)


def discard_many(submissions: QuerySet[Submission], by: User, now: datetime) -> int:
    """Discard what is still in quarantine of several. Returns how many."""
    chosen = submissions.filter(verdict=Submission.Verdict.QUARANTINED)
    pks = list(chosen.values_list("pk", flat=True)[:MOST_AT_ONCE])
    return sum(_discard(pks[start : start + _CHUNK], by, now) for start in range(0, len(pks), _CHUNK))


def _discard(pks: Sequence[UUID], by: User, now: datetime) -> int:
    waiting = Submission.objects.filter(pk__in=pks, verdict=Submission.Verdict.QUARANTINED)
    with transaction.atomic():
        rows = list(
            waiting.select_related("offer")
            .defer("body", "headers", "problems")
            .select_for_update(of=("self",))
        )
        waiting.filter(pk__in=[row.pk for row in rows]).update(
            verdict=Submission.Verdict.DISCARDED, decided_at=now, decided_by=by
        )
        _log(rows, by, _("Discarded."))
    return len(rows)


# How they are stored


def _release(
    submission: Submission, found: Sequence[Fields], repaired: str, said: str, by: User, now: datetime
) -> list[Lead]:
    with transaction.atomic():
        _decide(submission, Submission.Verdict.RELEASED, by, now, repaired=repaired)
        leads = Lead.objects.bulk_create(_in_order([lead_of(submission, fields) for fields in found]))
        _log([submission], by, said)
        _log(leads, by, said)
        transaction.on_commit(ring)
    return leads


def _in_order(leads: list[Lead]) -> list[Lead]:
    """The leads of a list with their ids in its order, which ids of one millisecond are not by themselves."""
    for lead, pk in zip(leads, sorted(lead.pk for lead in leads), strict=True):
        lead.pk = pk
    return leads


def _decide(submission: Submission, verdict: str, by: User, now: datetime, **more: str) -> None:
    _move(
        submission,
        Submission.Verdict.QUARANTINED,
        verdict=verdict,
        decided_at=now,
        decided_by=by,
        **more,
    )


def _move(submission: Submission, expected: str, **changes: object) -> None:
    """Change the row if it is still as expected; the update waits for whoever else is changing it."""
    if not Submission.objects.filter(pk=submission.pk, verdict=expected).update(**changes):
        raise AlreadyDecidedError(Submission.objects.select_related("decided_by").get(pk=submission.pk))
    for name, value in changes.items():
        setattr(submission, name, value)


def _log(rows: Sequence[models.Model], by: User, message: str) -> None:
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[: _LONGEST_MESSAGE - 1]}…"
    LogEntry.objects.log_actions(by.pk, rows, CHANGE, message)


# The text that a person sends


def is_original(submission: Submission, text: str) -> bool:
    """Whether a text is the body as it came; browsers send every line break as two characters."""
    return _lines(_storable(text)) == _lines(text_of(submission))


def _how(submission: Submission, repaired: str) -> tuple[str, tuple[str, ...]]:
    """In a word how the text came about, and what was changed in it if that is known."""
    if not repaired:
        return _("as it came"), ()
    suggested = suggestion(submission)
    if suggested is None or _lines(suggested.text) != _lines(repaired):
        return _("edited by hand"), ()
    return _("repaired"), suggested.notes


def _storable(text: str) -> str:
    """The text as bodies are decoded, without what no database stores."""
    return payload.decode(text.encode("utf-8", "replace").replace(b"\0", "\ufffd".encode())).replace(
        "\r\n", "\n"
    )


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
