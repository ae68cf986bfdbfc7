"""What is wrong with connections, and who would be told of it: notices for Home and for every page."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Case, IntegerField, QuerySet, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import connection_words, mails, outages
from crm_sync import wording as words
from crm_sync.admin import tries
from crm_sync.models import Destination, DestinationState, Outage
from leads import mailing
from leads.ports import Notice

RECENTLY = timedelta(hours=6)  # that it is said after an outage that all is well again
AT_MOST = 5  # notices of one kind; a page of them says no more than the first few


def states(request: HttpRequest, now: datetime) -> Iterator[Notice]:
    """Connections that are not well or failed their test, and how many leads wait for each. Asked on every page."""
    sick = list(_sick().select_related("paused_by")[:AT_MOST])
    waiting, since = _waiting(sick), _outages(sick)
    for state in sick:
        name = f"{state.destination}{words.demo_mark(state.destination.is_demo)}"
        fails = state.state == state.State.STOPPED or state.pk in since
        if fails and state.state != state.State.PAUSED:
            text = _outage(name, state, waiting[state.pk], since.get(state.pk, state.since), now)
        else:
            said = connection_words.connection_state(tries.connection(request, state), now)
            more = connection_words.connection_advice(state, elsewhere=True) if state.is_doubtful else ""
            text = f"{name}: {said} {more or _none_is_lost(waiting[state.pk])}".rstrip()
        yield Notice(
            "error" if state.state == state.State.STOPPED else "warning",
            text,
            reverse("admin:crm_sync_destination_change", args=[state.pk]),
            _("Open the CRM connection"),
            everywhere=fails,
            leads=waiting[state.pk],
        )


def _none_is_lost(waiting: int) -> str:
    if not waiting:
        return ""
    return ngettext(
        "%(number)s lead waits; none is lost.", "%(number)s leads wait; none is lost.", waiting
    ) % {"number": f"{waiting:,}"}


# Only the first few are told: those first that need somebody, one that was paused on purpose last.
_URGENCY = Case(
    When(state=DestinationState.State.STOPPED, then=0),
    When(state=DestinationState.State.SLOWED, then=1),
    When(state=DestinationState.State.WORKING, then=2),
    default=3,
    output_field=IntegerField(),
)


def _sick() -> QuerySet[DestinationState]:
    """The most urgent first, of these the longest sick."""
    states = DestinationState.objects.exclude(state=DestinationState.State.WORKING, reason="")
    states = states.order_by(_URGENCY, "since", "pk")
    # Without secrets: that they do not open may be what is wrong.
    return states.select_related("destination").defer("destination__secrets")


def _waiting(states: Sequence[DestinationState]) -> Counter[int]:
    return outages.waiting([state.pk for state in states]) if states else Counter()


def _outages(states: Sequence[DestinationState]) -> dict[int, datetime]:
    """When the outages began that people were told of, by destination."""
    if not states:
        return {}
    going_on = Outage.objects.filter(destination__in=[state.pk for state in states], recovered_at=None)
    return dict(going_on.values_list("destination_id", "started_at"))


def _outage(name: str, state: DestinationState, waiting: int, since: datetime, now: datetime) -> str:
    named = {
        "crm": name,
        "number": f"{waiting:,}",
        "since": words.clock(since, now),
        "because": mails.because(state.reason),
    }
    said = f"{mails.takes_none(state.reason, waiting) % named} {_('Intake is fine; nothing is lost.')}"
    mend = [_("Mend its settings.")] if state.state == state.State.STOPPED else []
    return " ".join([said, *mend, mails.next_try(state.until, now, words.clock)])


_BY_ITSELF = (DestinationState.State.SLOWED, DestinationState.State.STOPPED)


def by_themselves() -> Iterator[Notice]:
    """For those who work on leads and cannot mend a connection: that they need not worry."""
    sick = list(_sick().filter(state__in=_BY_ITSELF)[:AT_MOST])
    waiting = _waiting(sick)
    for state in sick:
        if number := waiting[state.pk]:
            said = ngettext(
                "%(number)s lead will reach %(crm)s by itself.",
                "%(number)s leads will reach %(crm)s by themselves.",
                number,
            )
            name = f"{state.destination}{words.demo_mark(state.destination.is_demo)}"
            yield Notice("well", said % {"number": f"{number:,}", "crm": name})


def recovered(now: datetime) -> Iterator[Notice]:
    """What was an outage today, for those who look in after it."""
    over = Outage.objects.filter(closed_at__gt=now - RECENTLY, recovered_at__isnull=False)
    for outage in (
        over.filter(destination__state__state=DestinationState.State.WORKING)
        .select_related("destination")
        .defer("destination__secrets")[:AT_MOST]
    ):
        name = f"{outage.destination}{words.demo_mark(outage.destination.is_demo)}"
        since = words.clock(outage.recovered_at, now)
        yield Notice(
            "well",
            f"{mails.over(name, outage.affected, outage.delivered, since)}.",
            reverse("admin:crm_sync_destination_change", args=[outage.destination_id]),
            _("Open the CRM connection"),
        )


def expiring(now: datetime) -> Iterator[Notice]:
    """Credentials that end within 30 days, or have ended."""
    for ending in outages.expiring(now)[:AT_MOST]:
        yield Notice(
            "error" if ending.days < 2 else "warning",
            f"{_expiry(ending)} {_('Make new ones in the CRM, and enter them and their date.')}",
            reverse("admin:crm_sync_destination_change", args=[ending.destination_id]),
            _("Open the CRM connection"),
        )


def _expiry(ending: outages.Expiring) -> str:
    """When credentials end, or that they have."""
    if ending.days < 0:
        said = _("The credentials of %(crm)s expired on %(day)s, as far as is known here.")
    elif ending.days == 0:
        said = _("The credentials of %(crm)s expire today, on %(day)s.")
    elif ending.days == 1:
        said = _("The credentials of %(crm)s expire tomorrow, on %(day)s.")
    else:
        said = ngettext(
            "The credentials of %(crm)s expire in %(number)s day, on %(day)s.",
            "The credentials of %(crm)s expire in %(number)s days, on %(day)s.",
            ending.days,
        )
    return said % {"crm": ending.name, "day": f"{ending.ends:%Y-%m-%d}", "number": ending.days}


def untold(now: datetime) -> Iterator[Notice]:
    """Why nobody hears of a connection that fails, and what to do about it."""
    if not Destination.objects.exclude(connector="demo").exists():
        return
    health_url = reverse("admin:doctor")
    if not mailing.are_sent():
        yield Notice(
            "warning",
            _(
                "Nobody will be told by e-mail when a CRM connection fails: EMAIL_URL names no mail server, and mails "
                "are only written to the log. Set it in .env and start again."
            ),
            health_url,
            _("Health"),
        )
    elif failing := outages.failing_mails(now):
        yield Notice(
            "error",
            ngettext(
                "%(number)s mail about CRM connections could not be sent. They are tried again every 5 minutes, and "
                "the worker's log says what the mail server answered. EMAIL_URL in .env names that server.",
                "%(number)s mails about CRM connections could not be sent. They are tried again every 5 minutes, and "
                "the worker's log says what the mail server answered. EMAIL_URL in .env names that server.",
                failing,
            )
            % {"number": f"{failing:,}"},
            health_url,
            _("Health"),
        )
    if not outages.recipients():
        yield Notice(
            "warning",
            _(
                "Nobody will be told by e-mail when a CRM connection fails: no user who is to be told has an e-mail "
                "address. Enter one for a user of the group Administrator or Partner manager."
            ),
            reverse("admin:auth_user_changelist"),
            _("Open the users"),
        )
