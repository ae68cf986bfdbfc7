"""What colleagues do with a lead that is worked on here: answer it, put it off, qualify it, close it.

Each is a conditional update and a line of the timeline, so that of two who press the same button at once one does it,
and the other's press changes and logs nothing.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import working_hours
from leads.models import Lead, Note, Offer, WorkingHours
from leads.people import name_of
from leads.statements import Prepared

OPEN = frozenset(Lead.Status.values) - {Lead.Status.CLOSED}
NAMED_BY = ("first_name", "last_name", "email", "company")  # what str() of a lead reads
TOGETHER = 500  # ids in a statement

# What a lead is closed with at one click; anything else is written.
REASONS = (
    gettext_lazy("Bought"),
    gettext_lazy("No budget"),
    gettext_lazy("Not reachable"),
    gettext_lazy("Not a fit"),
    gettext_lazy("Spam"),
)


def colleagues(also: Q | None = None) -> QuerySet[Any]:
    """Those who can own a lead: active, and may change leads; and `also` those who do already."""
    users: Any = get_user_model()._default_manager
    able = users.with_perm("leads.change_lead", backend="django.contrib.auth.backends.ModelBackend")
    found = Q(pk__in=able.filter(is_staff=True).values("pk"))
    return users.filter(found if also is None else found | also).order_by("username")


# --- Who is worked on ----------------------------------------------------------------------------------------


def why_not(lead: Lead) -> str:
    """Why nobody works on this lead here, in a sentence; "" where they do."""
    if lead.offer.works_here:
        return ""
    return _("This offer's leads are worked on in the CRM.")


def why_no_answer(lead: Lead) -> str:
    """Why nobody may answer this lead from here, in a sentence; "" where they may."""
    if is_dnc(lead):
        return _("Do not contact: the customer asked for another partner on your page.")
    if lead.is_test:
        return _("This is Microsoft's test: nobody waits for an answer.")
    if not is_reachable(lead):
        return _("No e-mail address and no phone number came with this lead: there is nobody to answer.")
    return why_not(lead)


def is_reachable(lead: Lead) -> bool:
    return bool(lead.email or lead.phone)


def is_dnc(lead: Lead) -> bool:
    return lead.action.casefold() == "dnc"


def is_done_here(request: HttpRequest) -> bool:
    """Whether any offer's leads are worked on here; also while there is no offer yet. Else no page speaks of it.

    Asked once a request.
    """
    known: bool | None = getattr(request, "_is_done_here", None)
    if known is None:
        known = Offer.objects.to_work_on().exists() or not Offer.objects.filter(is_demo=False).exists()
        request._is_done_here = known  # type: ignore[attr-defined]
    return known


def wants_answer(lead: Lead) -> bool:
    """Whether rules and the first-response clock are for such a lead: a real customer's, who is answered from here.

    `LeadQuerySet.to_work_on` finds them.
    """
    made_up = lead.is_test or lead.is_sample or lead.offer.is_demo
    return lead.offer.works_here and not made_up and not is_dnc(lead)


# --- The clock -----------------------------------------------------------------------------------------------


# Asked for every batch of leads.
_hours = Prepared(lambda: WorkingHours.objects.order_by("pk"))


def start_clocks(leads: Sequence[Lead], now: datetime) -> None:
    """Say by when these new leads should be answered. Whoever routes them saves it."""
    waiting = [lead for lead in leads if wants_answer(lead) and is_reachable(lead)]
    if waiting:
        hours = next(iter(_hours()), None) or WorkingHours()
        for lead in waiting:
            lead.answer_due_at = working_hours.due(lead.received_at, hours)


def answered(lead: Lead, by: Any, now: datetime, how: str) -> bool:
    """Stop the clock: the customer has an answer. Returns whether this was the first.

    A new lead is being worked on from then on. `how` is the line of the timeline.
    """
    with transaction.atomic():
        first = bool(Lead.objects.filter(pk=lead.pk, answered_at=None).update(answered_at=now))
        begun = Lead.objects.filter(pk=lead.pk, status=Lead.Status.NEW).update(status=Lead.Status.WORKING)
        log(lead, by, now, f"{how} {_status_change(Lead.Status.NEW, Lead.Status.WORKING)}" if begun else how)
    return first


def answered_by_mail(lead: Lead, by: Any, now: datetime, address: str, subject: str, body: str) -> Note:
    """Stop the clock, and keep what was written where colleagues read it.

    As a note and not in the log: it goes when the lead is erased.
    """
    with transaction.atomic():
        answered(lead, by, now, _("Answered by e-mail."))
        text = _("E-mail to %(address)s") % {"address": address}
        return Note.objects.create(
            lead=lead, author=by, created_at=now, text=f"{text}\n{subject}\n\n{body}".strip()
        )


def not_sent(lead: Lead, by: Any, now: datetime, note: Note) -> bool:
    """Take an answer back that never left: the clock goes on, unless there was an answer before it."""
    with transaction.atomic():
        taken = bool(Lead.objects.filter(pk=lead.pk, answered_at=note.created_at).update(answered_at=None))
        if taken:
            log(lead, by, now, _("The e-mail was not sent after all: not answered yet."))
    return taken


# --- State, owner, follow-up ---------------------------------------------------------------------------------


class OtherState(Exception):  # noqa: N818 - named for what is so
    """A lead is not in a state that it may leave so: a colleague was faster, or the page is an old one."""


def set_status(
    lead: Lead,
    status: str,
    by: Any,
    now: datetime,
    reason: str = "",
    *,
    leaving: Collection[str] | None = None,
) -> bool:
    """Returns whether that changed anything. A lead is closed with a reason.

    `leaving`: the states that it may be in, None for any. Raises OtherState.
    """
    if (status == Lead.Status.CLOSED) is not bool(reason):
        raise ValueError("a closed lead has a reason, no other has")
    with transaction.atomic():
        old = Lead.objects.select_for_update(no_key=True).only("status", "closed_reason").get(pk=lead.pk)
        if leaving is not None and old.status not in leaving:
            raise OtherState
        if (old.status, old.closed_reason) == (status, reason):
            return False
        Lead.objects.filter(pk=lead.pk).update(status=status, closed_reason=reason, **over(status))
        said = _status_change(old.status, status)
        log(lead, by, now, f"{said}: {reason}" if reason else said)
    return True


def over(status: str) -> dict[str, Any]:
    """What else a new state changes: a reminder of before is over with a lead that is closed."""
    return {"follow_up_on": None} if status == Lead.Status.CLOSED else {}


def _status_change(old: str, new: str) -> str:
    labels = dict(Lead.Status.choices)
    return _("Status: %(old)s → %(new)s") % {"old": labels[old], "new": labels[new]}


def give_to(lead: Lead, owner: Any, by: Any, now: datetime) -> bool:
    """Make a lead somebody's by hand. Returns whether that changed anything."""
    with transaction.atomic():
        others = Lead.objects.filter(pk=lead.pk).exclude(owner=owner)
        if not others.update(owner=owner, assigned_because=by_hand(by, owner)):
            return False
        log(lead, by, now, _("Owner: %(owner)s") % {"owner": name_of(owner)})
    return True


def by_hand(by: Any, owner: Any) -> str:
    """Why a lead is somebody's that no rule gave them; nothing where it is nobody's."""
    if owner is None:
        return ""
    said = _("Taken by %(person)s") if owner == by else _("Given by %(person)s")
    return (said % {"person": name_of(by)})[:200]


MOST_AT_ONCE = 10_000  # leads that are handed over with one press


def open_leads_of(owner: Any) -> QuerySet[Lead]:
    """The leads that somebody still has to do something about."""
    return Lead.objects.worked_here().filter(owner=owner, archived_at=None).exclude(status=Lead.Status.CLOSED)


def hand_over(owner: Any, to: Any | None, by: Any, now: datetime) -> int:
    """Give the open leads of somebody to a colleague, or to nobody. Returns how many."""
    with transaction.atomic():
        leads = list(open_leads_of(owner).select_related(None).only("pk", *NAMED_BY)[:MOST_AT_ONCE])
        ids = [lead.pk for lead in leads]
        for start in range(0, len(ids), TOGETHER):
            chosen = Lead.objects.filter(pk__in=ids[start : start + TOGETHER], owner=owner)
            chosen.update(owner=to, assigned_because=by_hand(by, to))
        names = {"old": name_of(owner), "new": name_of(to, _("nobody"))}
        said = _("Owner: %(old)s → %(new)s") % names
        log_all(leads, by, now, lambda _lead: said)
    return len(leads)


def follow_up(lead: Lead, on: date | None, by: Any, now: datetime) -> bool:
    """Show the lead among what needs its owner from that day on; None: not any more."""
    others = Lead.objects.filter(pk=lead.pk)
    others = others.exclude(follow_up_on=on) if on else others.exclude(follow_up_on=None)
    with transaction.atomic():
        if not others.update(follow_up_on=on):
            return False
        said = _("Remind on %(day)s.") % {"day": on.isoformat()} if on else _("No reminder any more.")
        log(lead, by, now, said)
    return True


# --- The timeline --------------------------------------------------------------------------------------------

# What a line of the log is about, after Django's own three flags: our work on a lead. Such lines are not shown while
# the offer's leads are worked on in the CRM, and all the others are.
WORK = 4


def log(lead: Lead, by: Any, now: datetime, message: str) -> None:
    """A line of the lead's timeline on our work on it."""
    log_all([lead], by, now, lambda _lead: message)


def log_all(
    leads: Iterable[Lead], by: Any, now: datetime, said: Callable[[Lead], str], *, flag: int = WORK
) -> None:
    """A line on the timeline of each of these leads, with what it says. `flag`: WORK, or Django's CHANGE."""
    kind = ContentType.objects.get_for_model(Lead)
    LogEntry.objects.bulk_create(
        (
            LogEntry(
                user_id=by.pk,
                content_type=kind,
                object_id=str(lead.pk),
                object_repr=str(lead)[:200],
                action_flag=flag,
                change_message=said(lead),
                action_time=now,
            )
            for lead in leads
        ),
        batch_size=TOGETHER,
    )
