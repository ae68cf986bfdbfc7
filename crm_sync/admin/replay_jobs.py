"""What the page of a replay, and of a dry run, says: the numbers as they are now, and the result as rows.

A replay has put everything back long before the last lead has arrived, so its numbers are read from its sendings.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_sync import connection_words, replay, sending_words
from crm_sync.admin import tries
from crm_sync.admin.replay import PERMISSION, url
from crm_sync.models import Delivery, Destination, DestinationState
from crm_sync.replay import NEVER, WHYS, Range
from leads.models import Job, Lead
from leads.ports import Figure, JobKind, JobReport
from leads.wording import clip

READS = "crm_sync.view_delivery"
REASONS = 20  # of a dry run, on its page
CELL = 500  # characters of a stranger's text
State = Delivery.State

# By state: in the sentence, on the page, and which needs nothing from anybody.
_LIVE: dict[str, tuple[Promise, Promise]] = {
    State.DELIVERED: (gettext_lazy("%(number)s delivered"), gettext_lazy("Delivered")),
    State.REJECTED: (gettext_lazy("%(number)s refused"), gettext_lazy("Refused again")),
    State.HELD: (gettext_lazy("%(number)s held"), gettext_lazy("Held")),
    State.LEASED: (gettext_lazy("%(number)s on the way"), gettext_lazy("On the way")),
    State.WAITING: (gettext_lazy("%(number)s waiting"), gettext_lazy("Waiting")),
    State.CANCELLED: (gettext_lazy("%(number)s cancelled"), gettext_lazy("Cancelled")),
}


# --- A replay ------------------------------------------------------------------------------------------------


def report(request: HttpRequest, job: Job) -> JobReport:
    """How many were put back, and what has become of them by now."""
    live = replay.live(job)
    cursor = job.cursor or {}
    put_back, taken_back = replay.number(cursor), cursor.get("taken_back", 0)
    moving = bool(live[State.WAITING] or live[State.LEASED])
    ended = job.finished_at is not None
    return JobReport(
        sentence=_sentence(put_back, live),
        figures=[*_figures(job, live), *_taken_back(taken_back)],
        notes=list(_notes(request, job, put_back - taken_back - sum(live.values()))),
        links=_all_replays(request),
        moving=moving,
        undo=_("Take back what has not left yet") if ended and live[State.WAITING] else "",
    )


def _sentence(put_back: int, live: Counter[str]) -> str:
    parts = [
        str(said) % {"number": f"{live[state]:,}"} for state, (said, _label) in _LIVE.items() if live[state]
    ]
    said = _("%(number)s sent again: %(parts)s.") if parts else _("%(number)s sent again.")
    return said % {"number": f"{put_back:,}", "parts": ", ".join(parts)}


def _figures(job: Job, live: Counter[str]) -> Iterator[Figure]:
    for state, (_said, label) in _LIVE.items():
        if live[state]:
            query = urlencode({"job__exact": job.pk, "state": state})
            yield Figure(str(label), live[state], f"{reverse('admin:crm_sync_delivery_changelist')}?{query}")


def _taken_back(number: int) -> list[Figure]:
    if not number:
        return []
    return [Figure(_("Taken back"), number, note=_("As they were before: not tried again."))]


def _notes(request: HttpRequest, job: Job, missing: int) -> Iterator[str]:
    if job.arguments.get("estimate"):
        yield _estimated(job)
    left = (job.total or 0) - job.done
    if left > 0 and job.state == job.State.FINISHED:
        said = _("%(number)s of the %(total)s had moved on before their turn came, and were left alone.")
        yield said % {"number": f"{left:,}", "total": f"{job.total:,}"}
    if missing > 0:
        said = _("%(number)s went on with a later replay, or their lead was deleted.")
        yield said % {"number": f"{missing:,}"}
    yield from _hindrances(request, job)


def _estimated(job: Job) -> str:
    return _("The estimate was: %(estimate)s.") % {"estimate": job.arguments["estimate"]}


def _hindrances(request: HttpRequest, job: Job) -> Iterator[str]:
    """Why what waits does not go."""
    waiting = job.deliveries.filter(state=State.WAITING).order_by().values("destination")
    states = DestinationState.objects.exclude(state=DestinationState.State.WORKING)
    names = dict(Destination.objects.values_list("pk", "name"))
    for state in states.filter(pk__in=waiting).select_related("paused_by"):
        said = connection_words.connection_state(tries.connection(request, state), timezone.now())
        waiting_for = _("Waiting for %(crm)s.") % {"crm": names.get(state.pk, "")}
        yield f"{waiting_for} {said}"


HEADINGS = (
    gettext_lazy("Lead"),
    gettext_lazy("Name"),
    gettext_lazy("Offer"),
    gettext_lazy("CRM connection"),
    gettext_lazy("Before"),
    gettext_lazy("Now"),
    gettext_lazy("Reason"),
    gettext_lazy("Record in the CRM"),
    gettext_lazy("Address of the record"),
)


def rows(request: HttpRequest, job: Job) -> Iterator[list[Any]]:
    """What was put back, one by one: what it was, and what it is by now."""
    yield [str(heading) for heading in HEADINGS]
    for chunk in replay.chunks(replay.put_back(job)):
        found = _in_bulk(pk for _was, pk, _tries, _lead in chunk)
        for was, pk, _tries, lead in chunk:
            before = _("Never sent there") if was == NEVER else str(WHYS[was][0])
            sending = found.get(pk)
            if sending is None:
                gone = _("Taken back") if was == NEVER else _("Its lead was deleted")
                yield [lead, "", "", "", before, gone, "", "", ""]
            else:
                yield [*_who(sending), before, *_now(request, job, sending)]


def _in_bulk(pks: Iterable[int]) -> dict[int, Delivery]:
    # One connection's secrets that do not open must not withhold the rows of the others.
    needed = Delivery.objects.select_related("lead__offer", "destination").defer("destination__secrets")
    return needed.in_bulk(list(pks))


def _who(sending: Delivery) -> list[str]:
    lead = sending.lead
    return [str(lead.pk), clip(lead.who, CELL), lead.offer.title, sending.destination.name]


def _now(request: HttpRequest, job: Job, sending: Delivery) -> list[str]:
    state = sending.get_state_display()
    held = f": {sending.get_held_reason_display().lower()}" if sending.held_reason else ""
    taken = {None: _("Taken back."), job.pk: ""}.get(sending.job_id, _("In a later replay."))
    reason = "" if sending.state == State.DELIVERED else clip(tries.reason(request, sending), CELL)
    address = sending_words.record_url(sending)
    if address.startswith("/"):
        address = f"{settings.PUBLIC_URL}{address}"
    return [f"{taken} {state}{held}".lstrip(), reason, sending.remote_id, address]


# --- A dry run -----------------------------------------------------------------------------------------------


def rehearsal_report(request: HttpRequest, job: Job) -> JobReport:
    """How many would go, and why the others would not."""
    found = replay.verdicts(job)
    would = found.pop("", 0)
    requests = (job.cursor or {}).get("requests", 0)
    would_not = sum(found.values())
    reasons = [Figure(_("Would fail"), number, note=reason) for reason, number in found.most_common(REASONS)]
    more = sum(found.values()) - sum(figure.number for figure in reasons)
    return JobReport(
        sentence=ngettext(
            "%(would)s would be sent, with %(number)s request; %(would_not)s would not. Nothing was sent.",
            "%(would)s would be sent, with %(number)s requests; %(would_not)s would not. Nothing was sent.",
            requests,
        )
        % {"would": f"{would:,}", "number": f"{requests:,}", "would_not": f"{would_not:,}"},
        figures=[Figure(_("Would be sent"), would), *reasons],
        notes=[
            *(
                [_("%(number)s more for other reasons: the result names each.") % {"number": f"{more:,}"}]
                if more
                else []
            ),
            *([_estimated(job)] if job.arguments.get("estimate") else []),
            _("Whether the CRM takes them, only the CRM can tell."),
        ],
        links=_to_range(request, job) if job.finished_at else _all_replays(request),
    )


def _all_replays(request: HttpRequest) -> list[tuple[str, str]]:
    return [(_("All replays"), url())] if request.user.has_perm(PERMISSION) else []


def _to_range(request: HttpRequest, job: Job) -> list[tuple[str, str]]:
    """The page of replays with the range of this job."""
    chosen = {name: value for name, value in Range.of(job).as_arguments().items() if value}
    return [(_("Replay this range"), url(**chosen))] if request.user.has_perm(PERMISSION) else []


REHEARSED = (
    gettext_lazy("Lead"),
    gettext_lazy("Name"),
    gettext_lazy("Offer"),
    gettext_lazy("CRM connection"),
    gettext_lazy("Would be sent"),
    gettext_lazy("Why not"),
)


def rehearsal_rows(request: HttpRequest, job: Job) -> Iterator[list[Any]]:
    """Each lead of a dry run with its verdict."""
    cursor = job.cursor or {"reasons": [""], "sendings": [], "leads": []}
    reasons = cursor["reasons"]
    yield [str(heading) for heading in REHEARSED]
    for chunk in replay.chunks(cursor["sendings"]):
        found = _in_bulk(pk for pk, _place in chunk)
        for pk, place in chunk:
            if pk in found:
                yield [*_who(found[pk]), *_verdict(reasons[place])]
    yield from _never_sent_rows(cursor["leads"], reasons)


def _never_sent_rows(leads: list[Any], reasons: list[str]) -> Iterator[list[Any]]:
    names = dict(Destination.objects.values_list("routes", "name"))
    for chunk in replay.chunks(leads):
        found = Lead.objects.select_related("offer").in_bulk([lead for _route, lead, _place in chunk])
        by_text = {str(pk): lead for pk, lead in found.items()}
        for route, pk, place in chunk:
            if lead := by_text.get(pk):
                who = [pk, clip(lead.who, CELL), lead.offer.title, names.get(route, "")]
                yield [*who, *_verdict(reasons[place])]


def _verdict(reason: str) -> list[str]:
    return [_("No") if reason else _("Yes"), reason]


KINDS: dict[str, JobKind] = {
    replay.REPLAY: JobKind(
        label=cast("str", gettext_lazy("Replay")),
        permission=PERMISSION,
        reads=READS,
        prepare=replay.prepare,
        step=replay.step,
        undo=replay.undo,
        report=report,
        rows=rows,
    ),
    replay.REHEARSAL: JobKind(
        label=cast("str", gettext_lazy("Dry run of a replay")),
        permission=PERMISSION,
        reads=READS,
        prepare=replay.rehearse,
        step=replay.note,
        report=rehearsal_report,
        rows=rehearsal_rows,
    ),
}
