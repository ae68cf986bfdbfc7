"""What the page of replays says of an estimate: who would be sent, who is skipped and why, what stands in the way."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from math import ceil
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_sync import clock, connection_words, connectors
from crm_sync import wording as words
from crm_sync.admin import tries
from crm_sync.models import Attempt, Destination, Route
from crm_sync.replay import Estimate, Range
from leads.wording import clip, span

SHOWN = 10
LATEST = 500  # tries from which is learned how long one takes
A_TRY = 1.0  # seconds, where no try tells
A_DAY = 86_400


@dataclass(frozen=True)
class Line:
    """How many of a range share a fate: what it is, whether they are sent, why, and the list of them."""

    count: int
    what: str
    why: str
    url: str = ""
    skipped: bool = True


# By the estimate's names: so many of which, why they are skipped, and their list. In the order of the page.
_SKIPPED: dict[str, tuple[Callable[[int], str], Promise, dict[str, str]]] = {
    "delivered": (
        lambda number: ngettext("already there", "already there", number),
        gettext_lazy("Not sent a second time."),
        {"state": "delivered"},
    ),
    "waiting": (
        lambda number: ngettext("going out by itself", "going out by themselves", number),
        gettext_lazy("Still being tried."),
        {"state": "waiting"},
    ),
    "leased": (
        lambda number: ngettext("on its way", "on their way", number),
        gettext_lazy("Being sent at this moment."),
        {"state": "leased"},
    ),
    "uncertain": (
        lambda number: ngettext("may have arrived", "may have arrived", number),
        gettext_lazy("This CRM cannot tell. Look for each of them there; if it is missing, retry it."),
        {"held_reason": "uncertain"},
    ),
    "approval": (
        lambda number: ngettext("waiting for approval", "waiting for approval", number),
        gettext_lazy("Somebody must approve each of them."),
        {"held_reason": "approval"},
    ),
    "dnc": (
        lambda number: ngettext("not to be contacted", "not to be contacted", number),
        gettext_lazy("Kept here."),
        {"held_reason": "dnc"},
    ),
    "cancelled": (
        lambda number: ngettext("cancelled", "cancelled", number),
        gettext_lazy("A colleague decided so."),
        {"state": "cancelled"},
    ),
    "other_reason": (
        lambda number: ngettext("failed otherwise", "failed otherwise", number),
        gettext_lazy("Not what you chose above."),
        {},
    ),
}


def lines(counted: Estimate, which: Range) -> list[Line]:
    """What becomes of each part of a range; what is sent first. Parts without a lead are left out."""
    if not counted.match:
        return []
    found = [Line(counted.again, _("failed"), _("Sent again."), skipped=False)]
    if which.never_sent:
        never = Line(counted.never_sent, _("never sent there"), _("Sent for the first time."), skipped=False)
        found.append(never)
    for name, (what, why, query) in _SKIPPED.items():
        number = getattr(counted, name)
        link = _list_url(which, query) if query else ""
        found.append(Line(number, what(number), str(why), link))
    return [line for line in found if line.count or not line.skipped]


def _list_url(which: Range, query: dict[str, str]) -> str:
    narrowed = {name: getattr(which, name) for name in ("offer", "destination") if getattr(which, name)}
    return f"{reverse('admin:crm_sync_delivery_changelist')}?{urlencode(query | narrowed)}"


def sentence(counted: Estimate) -> str:
    """The estimate in a line: "38 match: 31 failed, 7 already there (skipped)"."""
    parts = lines(counted, Range(never_sent=bool(counted.never_sent)))
    told = ", ".join(_part(part) for part in parts)
    match = ngettext("%(number)s matches", "%(number)s match", counted.match)
    return f"{match % {'number': f'{counted.match:,}'}}{': ' if told else ''}{told}"


def _part(line: Line) -> str:
    said = _("%(number)s %(what)s (skipped)") if line.skipped else _("%(number)s %(what)s")
    return said % {"number": f"{line.count:,}", "what": line.what}


def first(request: HttpRequest, which: Range) -> Iterator[tuple[str, str, str]]:
    """The first that would be sent: lead, connection, and what became of it."""
    # Not the connections themselves, each of which would have its secrets opened.
    found = which.failed().select_related("lead__offer").order_by("pk")
    names = dict(Destination.objects.values_list("pk", "name"))
    left = SHOWN
    for sending in found[:SHOWN]:
        said = sending.get_held_reason_display() if sending.held_reason else sending.get_state_display()
        reason = tries.reason(request, sending)
        reason = f"{said}: {clip(reason, 120)}" if reason else said
        yield clip(sending.lead.who, 80), names.get(sending.destination_id, ""), reason
        left -= 1
    for route in which.routes() if left else ():
        for lead in which.unsent(route).order_by("pk")[:left]:
            yield clip(lead.who, 80), names.get(route.destination_id, ""), _("Never sent there")
            left -= 1


def warnings(
    request: HttpRequest, which: Range, destinations: Sequence[Destination]
) -> Iterator[tuple[str, str]]:
    """What stands in the way of a replay, each with the page that mends it, if this user may see it."""
    now = timezone.now()
    may_open = request.user.has_perm("crm_sync.view_destination")
    for destination in destinations:
        state = destination.state
        if state.state == state.State.WORKING:
            continue
        link = reverse("admin:crm_sync_destination_change", args=[destination.pk]) if may_open else ""
        said = connection_words.connection_state(tries.connection(request, state), now)
        yield f"{destination}: {said} {_('Replayed leads wait until it works again.')}", link
    sees_routes = request.user.has_perm("crm_sync.view_route")
    routes = Route.objects.filter(pk__in=which.failed().order_by().values("route")).select_related("offer")
    for route in routes.select_related("offer", "destination").defer("destination__secrets"):
        live = route.live_mapping
        if live and live.broken:
            link = words.mapping_url(route, live.broken_field) if sees_routes else ""
            said = _("The field mapping %(mapping)s is broken: mend it first, or the leads fail again.")
            yield said % {"mapping": route}, link


def duration(counts: Counter[int], destinations: dict[int, Destination]) -> str:
    """About how long a replay takes at the limits of its connections, which work side by side."""
    took = _seconds_a_try()
    longest = max(
        (_seconds(destination, counts[pk], took.get(pk, A_TRY)) for pk, destination in destinations.items()),
        default=0.0,
    )
    if longest < 1:
        return _("less than a second")
    if longest > 2 * A_DAY:
        days = ceil(longest / A_DAY)
        return ngettext("about %(number)s day", "about %(number)s days", days) % {"number": days}
    return _("about %(span)s") % {"span": span(longest)}


def _seconds(destination: Destination, number: int, a_try: float) -> float:
    try:
        at_once = destination.max_in_flight * destination.spec.batch_size
    except connectors.UnknownConnector:
        return 0.0
    found = [ceil(number / at_once) * a_try]
    if destination.max_per_second:
        found.append(number / destination.max_per_second)
    if destination.max_per_day:
        today = (
            destination.state.pushed_today
            if destination.state.day == clock.now().astimezone(UTC).date()
            else 0
        )
        days = ceil((number - max(destination.max_per_day - today, 0)) / destination.max_per_day)
        found.append(max(days, 0) * A_DAY)
    return max(found)


def _seconds_a_try() -> dict[int, float]:
    """By connection: how long its latest tries took, where there were any."""
    latest = Attempt.objects.order_by("-pk").values_list("delivery__destination", "started_at", "finished_at")
    took: dict[int, list[float]] = {}
    for destination, began, ended in latest[:LATEST]:
        if ended:
            took.setdefault(destination, []).append((ended - began).total_seconds())
    return {destination: sum(times) / len(times) for destination, times in took.items()}
