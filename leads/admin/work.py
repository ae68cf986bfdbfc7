"""The work on one lead, on its page: the clock, who owns it and why, and the buttons that a day is made of.

A salesperson came to get this lead off the desk: answered, put off to a day, qualified or closed with a reason. Each is
one click, and each says on the timeline who did it. Of an offer whose leads are worked on in the CRM nothing of this
shows, and a button that somebody still has on an old page does nothing and says why.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leads import work, working_hours
from leads.models import Lead, WorkingHours
from leads.people import name_of
from leads.wording import ago, clip, clock, span

CHANGE, ASSIGN = "leads.change_lead", "leads.assign_lead"
Press = Callable[[HttpRequest, Lead, datetime], str]


# --- What the page shows -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clock:
    """Whether the customer has an answer, in a sentence. `kind`: of the notice: plain, warning, error or well."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Work:
    """The panel on the work on a lead, ready for the screen."""

    clock: Clock | None
    owner: str
    is_mine: bool
    why: str
    why_url: str
    may_change: bool
    may_take: bool
    no_answer: str  # why nobody may answer; "" where the buttons are
    may_mail: bool
    may_call: bool
    is_answered: bool
    is_new: bool
    is_qualified: bool
    is_closed: bool
    reasons: Sequence[str]
    follow_up: date | None
    is_due: bool
    tomorrow: date
    next_week: date
    query: str  # what the address of the page has beyond its path


def work_context(request: HttpRequest, lead: Lead) -> dict[str, Any]:
    """`work` for the panel; None where the lead is worked on in the CRM."""
    if not lead.offer.works_here:
        return {"work": None}
    now, today, hours = timezone.now(), timezone.localdate(), WorkingHours.current()
    may_change = request.user.has_perm(CHANGE)
    return {
        "work": Work(
            clock=clock_of(lead, now, hours),
            owner=clip(name_of(lead.owner), 80),
            is_mine=lead.owner_id == request.user.pk,
            why=lead.assigned_because if lead.owner else "",
            why_url=_rules_url(request, lead),
            may_change=may_change,
            may_take=may_change and request.user.has_perm(ASSIGN) and lead.owner_id != request.user.pk,
            no_answer=work.why_no_answer(lead),
            may_mail=bool(lead.email),
            may_call=bool(lead.phone),
            is_answered=lead.answered_at is not None,
            is_new=lead.status == Lead.Status.NEW,
            is_qualified=lead.status == Lead.Status.QUALIFIED,
            is_closed=lead.status == Lead.Status.CLOSED,
            reasons=[str(reason) for reason in work.REASONS],
            follow_up=lead.follow_up_on,
            is_due=lead.follow_up_on is not None and lead.follow_up_on <= today,
            tomorrow=working_hours.next_day(today, hours),
            next_week=working_hours.next_week(today, hours),
            query=query_of(request),
        ),
    }


def clock_of(lead: Lead, now: datetime, hours: WorkingHours) -> Clock | None:
    """What the first-response clock says of a lead; None where nobody is to answer it."""
    if lead.answered_at:
        took = working_hours.elapsed(lead.received_at, lead.answered_at, hours)
        words = {"ago": ago(lead.answered_at, now), "span": span(took.total_seconds())}
        if not took:
            return Clock(_("Answered %(ago)s, before the clock began to run.") % words, "well")
        return Clock(_("Answered %(ago)s, after %(span)s of working time.") % words, "well")
    if work.why_no_answer(lead):
        return None
    if lead.status == Lead.Status.CLOSED:
        return Clock(_("Closed without an answer."))
    if lead.answer_due_at is None:
        return Clock(_("Not answered yet."))
    due = {"due": clock(lead.answer_due_at)}
    if lead.answer_due_at < now:
        late = working_hours.elapsed(lead.answer_due_at, now, hours)
        said = _("Not answered, and late: it was due %(due)s, %(span)s of working time ago.")
        return Clock(said % {**due, "span": span(late.total_seconds())}, "error")
    left = working_hours.elapsed(now, lead.answer_due_at, hours)
    said = _("Not answered. Due %(due)s, in %(span)s of working time.")
    return Clock(said % {**due, "span": span(left.total_seconds())}, "warning")


def _rules_url(request: HttpRequest, lead: Lead) -> str:
    if not lead.assigned_because or not request.user.has_perm("leads.view_assignmentrule"):
        return ""
    return f"{reverse('admin:leads_assignmentrule_try')}?lead={lead.pk}"


# --- The buttons ---------------------------------------------------------------------------------------------


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The addresses of the buttons, for the admin page of leads."""
    buttons: dict[str, Press] = {
        "answered": _answered,
        "take": _take,
        "qualify": _qualify,
        "reopen": _reopen,
        "close": _close,
        "follow-up": _follow_up,
    }
    return [
        path(
            f"<uuid:pk>/{name}/",
            page.admin_site.admin_view(require_POST(partial(_pressed, page, press))),
            name=f"leads_lead_{name.replace('-', '_')}",
        )
        for name, press in buttons.items()
    ]


class Refused(Exception):  # noqa: N818 - named for what happened
    """A button did nothing; the message is what its page says."""


def _pressed(page: admin.ModelAdmin, press: Press, request: HttpRequest, pk: Any) -> HttpResponse:
    lead = lead_to_work_on(page, request, pk)
    reason = work.why_not(lead)
    try:
        said = "" if reason else press(request, lead, timezone.now())
    except Refused as error:
        reason = str(error)
    if reason:
        messages.error(request, reason)
    else:
        messages.success(request, said)
    return back_to(request, lead)


def lead_to_work_on(page: admin.ModelAdmin, request: HttpRequest, pk: Any) -> Lead:
    """The lead, for users who may change it."""
    lead = get_object_or_404(Lead.objects.select_related("offer", "submission", "owner"), pk=pk)
    if not (request.user.has_perm(CHANGE) and page.has_view_permission(request, lead)):
        raise PermissionDenied
    return lead


def back_to(request: HttpRequest, lead: Lead) -> HttpResponse:
    url = reverse("admin:leads_lead_change", args=[lead.pk])
    return HttpResponseRedirect(f"{url}{query_of(request)}#work")


def query_of(request: HttpRequest) -> str:
    """What of the page's address leads back to the list that it was opened from."""
    query = request.GET.copy()
    query.pop("text", None)  # a choice of the page where answers are written
    return f"?{query.urlencode()}" if query else ""


def _answered(request: HttpRequest, lead: Lead, now: datetime) -> str:
    if reason := work.why_no_answer(lead):
        raise Refused(reason)
    if work.answered(lead, request.user, now, _("Answered by phone.")):
        return _("Noted: answered by phone. The clock has stopped.")
    return _("Noted: answered by phone, once more.")


def _take(request: HttpRequest, lead: Lead, now: datetime) -> str:
    if not request.user.has_perm(ASSIGN):
        raise PermissionDenied
    work.give_to(lead, request.user, request.user, now)
    return _("This lead is yours now.")


def _qualify(request: HttpRequest, lead: Lead, now: datetime) -> str:
    try:
        work.set_status(lead, Lead.Status.QUALIFIED, request.user, now, leaving=work.OPEN)
    except work.OtherState:
        raise Refused(_("This lead is closed. Open it again first.")) from None
    return _("Qualified.")


def _reopen(request: HttpRequest, lead: Lead, now: datetime) -> str:
    try:
        work.set_status(lead, Lead.Status.WORKING, request.user, now, leaving=[Lead.Status.CLOSED])
    except work.OtherState:
        raise Refused(_("This lead is open already.")) from None
    return _("Open again: it is being worked on.")


class ReasonForm(forms.Form):
    """Why a lead is closed: the button that was pressed, or what somebody wrote beside it."""

    reason = forms.CharField(max_length=200, required=False)
    other = forms.CharField(max_length=200, required=False)


def _close(request: HttpRequest, lead: Lead, now: datetime) -> str:
    form = ReasonForm(request.POST)
    form.is_valid()
    reason = form.cleaned_data.get("reason") or form.cleaned_data.get("other")
    if not reason:
        raise Refused(_("Not closed: choose a reason, or write one of at most 200 characters."))
    work.set_status(lead, Lead.Status.CLOSED, request.user, now, reason)
    return _("Closed: %(reason)s.") % {"reason": clip(reason)}


class DayForm(forms.Form):
    on = forms.DateField()


def _follow_up(request: HttpRequest, lead: Lead, now: datetime) -> str:
    if request.POST.get("on") == "":
        raise Refused(_("Choose a day first."))
    if "forget" in request.POST:
        work.follow_up(lead, None, request.user, now)
        return _("The reminder is gone.")
    form = DayForm(request.POST)
    if not form.is_valid() or form.cleaned_data["on"] < timezone.localdate():
        raise Refused(_("Choose a day from today on, written like 2026-12-24."))
    day = form.cleaned_data["on"]
    work.follow_up(lead, day, request.user, now)
    return _("This lead comes up again on %(day)s.") % {"day": day.isoformat()}
