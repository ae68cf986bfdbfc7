"""What is wrong with sending, since when, and the one link that leads to mending it. Shown on Home."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import clock, mails, outages
from crm_sync import wording as words
from crm_sync.admin import tries
from crm_sync.models import Delivery, Destination, DestinationState, MappingVersion, Outage, Route, Worker
from leads import mailing
from leads.models import Lead, Offer
from leads.ports import Notice

WORKER_SILENCE = timedelta(seconds=30)
RECENTLY = timedelta(hours=6)  # that it is said after an outage that all is well again
MOST_READ = 200  # of what is told together
AT_MOST = 5  # notices of one kind; a page of them says no more than the first few
CAP = 10_000  # leads counted
# An offer's newest leads, among which those are counted that a route has not sent: to find none among a million that
# were sent each would be read. The route's own page counts them all.
LOOKED_AT = 200
MOST_ROUTES = 20


def notices(request: HttpRequest) -> Iterator[Notice]:
    """What needs attention, for users who may look at it. Asked on every page, so each question is a cheap one."""
    now = clock.now()  # as the workers say it
    yield from _no_worker(now)
    may = request.user.has_perm
    if may("crm_sync.view_destination"):
        yield from _connections(request, now)
    if request.path == reverse("admin:index"):
        yield from _on_home(request, now)


def _on_home(request: HttpRequest, now: datetime) -> Iterator[Notice]:
    """What is said on Home alone, and may take more to find out."""
    may = request.user.has_perm
    if may("crm_sync.view_route"):
        yield from _broken_mappings(request)
        yield from _doubted_mappings()
    if may("crm_sync.view_delivery"):
        yield from _stuck_sendings()
    if may("crm_sync.view_destination"):
        yield from _recovered(now)
        yield from _expiring(now)
    elif may("crm_sync.view_delivery"):
        yield from _by_themselves()
    if may("crm_sync.change_destination") or may("auth.change_user"):
        yield from _untold(now, may)
    if may("crm_sync.view_route"):  # these read leads by the thousand
        yield from _unconnected(may)
        yield from _questions()


def _no_worker(now: datetime) -> Iterator[Notice]:
    last = Worker.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
    if last is None or now - last > WORKER_SILENCE:
        said = (
            _(
                "No worker is running since %(since)s: leads are stored, and none is sent. Start the server with "
                "“manage.py serve”, or a worker with “manage.py deliver”."
            )
            % {"since": words.clock(last, now)}
            if last
            else _(
                "No worker is running: leads are stored, and none is sent. Start the server with "
                "“manage.py serve”, or a worker with “manage.py deliver”."
            )
        )
        yield Notice("error", said, everywhere=True)


def _connections(request: HttpRequest, now: datetime) -> Iterator[Notice]:
    sick = list(_sick().select_related("paused_by")[:AT_MOST])
    waiting, since = _waiting(sick), _outages(sick)
    for state in sick:
        name = f"{state.destination}{_demo(state.destination.is_demo)}"
        fails = state.state == state.State.STOPPED or state.pk in since
        if fails and state.state != state.State.PAUSED:
            text = _outage(name, state, waiting[state.pk], since.get(state.pk, state.since), now)
        else:
            said = words.connection_state(tries.connection(request, state), now)
            text = f"{name}: {said} {_none_is_lost(waiting[state.pk])}".rstrip()
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


def _sick() -> QuerySet[DestinationState]:
    states = DestinationState.objects.exclude(state=DestinationState.State.WORKING)
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


def _by_themselves() -> Iterator[Notice]:
    """For those who work on leads and cannot mend a connection: that they need not worry."""
    sick = list(_sick().exclude(state=DestinationState.State.PAUSED)[:AT_MOST])
    waiting = _waiting(sick)
    for state in sick:
        if number := waiting[state.pk]:
            said = ngettext(
                "%(number)s lead will reach %(crm)s by itself.",
                "%(number)s leads will reach %(crm)s by themselves.",
                number,
            )
            name = f"{state.destination}{_demo(state.destination.is_demo)}"
            yield Notice("well", said % {"number": f"{number:,}", "crm": name})


def _recovered(now: datetime) -> Iterator[Notice]:
    """What was an outage today, for those who look in after it."""
    over = Outage.objects.filter(closed_at__gt=now - RECENTLY, recovered_at__isnull=False)
    for outage in (
        over.filter(destination__state__state=DestinationState.State.WORKING)
        .select_related("destination")
        .defer("destination__secrets")[:AT_MOST]
    ):
        name = f"{outage.destination}{_demo(outage.destination.is_demo)}"
        since = words.clock(outage.recovered_at, now)
        yield Notice(
            "well",
            f"{mails.over(name, outage.affected, outage.delivered, since)}.",
            reverse("admin:crm_sync_destination_change", args=[outage.destination_id]),
            _("Open the CRM connection"),
        )


def _expiring(now: datetime) -> Iterator[Notice]:
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


def _untold(now: datetime, may: Callable[[str], bool]) -> Iterator[Notice]:
    """Why nobody hears of a connection that fails, and what to do about it."""
    if not Destination.objects.exclude(connector="demo").exists():
        return
    health_url = reverse("admin:doctor") if may("crm_sync.change_destination") else ""
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
            reverse("admin:auth_user_changelist") if may("auth.view_user") else "",
            _("Open the users"),
        )


def _live() -> QuerySet[MappingVersion]:
    """The versions that are live; older ones keep what was said of them."""
    newer = MappingVersion.objects.published().filter(number__gt=OuterRef("number"))
    same = Q(route=OuterRef("route")) | Q(route=None, destination=OuterRef("destination"))
    published = MappingVersion.objects.published().filter(~Exists(newer.filter(same)))
    return published.select_related("route__offer", "route__destination", "destination")


def _broken_mappings(request: HttpRequest) -> Iterator[Notice]:
    broken = _live().exclude(route=None).exclude(broken="")
    held = Q(route__deliveries__held_reason=Delivery.Held.MAPPING_BROKEN)
    counted = broken.annotate(
        held=Count("route__deliveries", filter=held), since=Min("route__deliveries__created_at", filter=held)
    )
    for version in counted[:AT_MOST]:
        route: Route = version.route  # type: ignore[assignment]
        said = (
            _("The field mapping %(mapping)s is broken at the field %(field)s.")
            if version.broken_field
            else _("The field mapping %(mapping)s is broken.")
        ) % {"mapping": f"{route}{_demo(route.destination.is_demo)}", "field": version.broken_field}
        why = words.sentence(tries.of_some_lead(request, version.broken))
        yield Notice(
            "error",
            f"{said} {why} {_holds(version.held)}".rstrip(),
            words.mapping_url(route, version.broken_field),
            _("Mend the field mapping"),
            since=version.since,
            leads=version.held,
        )


def _holds(number: int) -> str:
    if not number:
        return ""
    said = ngettext("It holds %(number)s lead.", "It holds %(number)s leads.", number)
    return said % {"number": f"{number:,}"}


def _doubted_mappings() -> Iterator[Notice]:
    """Mappings that no longer fit their CRM's fields: told once, however many offers share the reason."""
    doubted = _live().exclude(doubt="").filter(Q(route=None) | Q(route__enabled=True))
    shared: dict[tuple[int, str], list[MappingVersion]] = {}
    for version in doubted.order_by("route", "pk")[:MOST_READ]:
        owner = version.owner
        destination = owner.destination if isinstance(owner, Route) else owner
        shared.setdefault((destination.pk, version.doubt), []).append(version)
    for versions in [*shared.values()][:AT_MOST]:
        owner = versions[0].owner
        destination = owner.destination if isinstance(owner, Route) else owner
        if any(version.route_id is None for version in versions):
            said = _("The field mapping that every offer inherits to %(crm)s%(demo)s no longer fits the CRM.")
        elif len(versions) == 1:
            said = _("The field mapping %(mapping)s%(demo)s no longer fits the CRM.")
        else:
            said = ngettext(
                "The field mapping of %(number)s offer to %(crm)s%(demo)s no longer fits the CRM.",
                "The field mapping of %(number)s offers to %(crm)s%(demo)s no longer fits the CRM.",
                len(versions),
            )
        said %= {
            "crm": destination,
            "mapping": owner,
            "number": len(versions),
            "demo": _demo(destination.is_demo),
        }
        yield Notice(
            "warning",
            f"{said} {words.sentence(versions[0].doubt)} {_('Mend it before a lead is refused.')}",
            words.mapping_url(owner, versions[0].doubt_field),
            _("Open the row"),
        )


def _stuck_sendings() -> Iterator[Notice]:
    """Refused and held leads, by connection and reason. What a broken mapping holds was told already."""
    stuck = Delivery.objects.filter(state__in=[Delivery.State.REJECTED, Delivery.State.HELD])
    # Do-not-contact leads are held on purpose.
    stuck = stuck.exclude(held_reason__in=[Delivery.Held.MAPPING_BROKEN, Delivery.Held.DNC])
    groups = (
        stuck.order_by()
        .values("state", "held_reason", "destination_id", name=F("destination__name"))
        .annotate(
            number=Count("pk"),
            demo=Count("pk", filter=Q(destination__connector="demo")),
            since=Min("created_at"),
        )
    )
    for group in groups[: AT_MOST * 2]:
        where = f"{group['name']}{_demo(bool(group['demo']))}"
        query = f"?destination={group['destination_id']}&state={group['state']}"
        if group["held_reason"]:
            query += f"&held_reason={group['held_reason']}"
        yield Notice(
            "warning",
            _stuck(group["state"], group["held_reason"], group["number"], where),
            reverse("admin:crm_sync_delivery_changelist") + query,
            _("Open the sendings"),
            since=group["since"],
            leads=group["number"],
        )


def _stuck(state: str, held_reason: str, number: int, where: str) -> str:
    named = {"number": f"{number:,}", "crm": where}
    if state == Delivery.State.REJECTED:
        return (
            ngettext("%(crm)s refused %(number)s lead.", "%(crm)s refused %(number)s leads.", number) % named
        )
    if held_reason == Delivery.Held.APPROVAL:
        said = ngettext(
            "%(number)s lead for %(crm)s waits for approval.",
            "%(number)s leads for %(crm)s wait for approval.",
            number,
        )
        return said % named
    said = ngettext(
        "%(number)s lead for %(crm)s is held: %(why)s.",
        "%(number)s leads for %(crm)s are held: %(why)s.",
        number,
    )
    return said % {**named, "why": words.HELD_SHORT[Delivery.Held(held_reason)]}


def _unconnected(may: Callable[[str], bool]) -> Iterator[Notice]:
    """Offers whose leads go nowhere: no CRM connected, or no field mapping published."""
    published = MappingVersion.objects.filter(
        route__offer=OuterRef("pk"), route__enabled=True, state=MappingVersion.State.PUBLISHED
    )
    for offer in Offer.objects.filter(~Exists(published), enabled=True)[:AT_MOST]:
        leads_of_it = Lead.objects.filter(offer=offer, is_test=False).order_by()
        waiting = leads_of_it[: CAP + 1].count()
        if not waiting:
            continue
        route = Route.objects.filter(offer=offer, enabled=True).first()
        if route is not None:
            said = ngettext(
                "%(number)s lead of %(offer)s waits: the field mapping is not published.",
                "%(number)s leads of %(offer)s wait: the field mapping is not published.",
                waiting,
            )
            url, link = words.mapping_url(route), _("Look at it and publish")
        else:
            said = ngettext(
                "%(number)s lead of %(offer)s waits: no CRM connected yet.",
                "%(number)s leads of %(offer)s wait: no CRM connected yet.",
                waiting,
            )
            link = _("Send to a CRM")
            url = (
                f"{reverse('admin:crm_sync_route_add')}?offer={offer.pk}" if may("crm_sync.add_route") else ""
            )
        number = words.capped(min(waiting, CAP), CAP)
        text = said % {"number": number, "offer": f"{offer}{_demo(offer.is_demo)}"}
        first = leads_of_it.order_by("received_at").values_list("received_at", flat=True).first()
        yield Notice("warning", text, url, link, since=first, leads=waiting)


def _questions() -> Iterator[Notice]:
    published = MappingVersion.objects.filter(route=OuterRef("pk"), state=MappingVersion.State.PUBLISHED)
    live = Route.objects.filter(Exists(published), enabled=True, offer__enabled=True)
    for route in live.select_related("offer", "destination")[:MOST_ROUTES]:
        newest = Lead.objects.filter(offer=route.offer_id).order_by("-received_at").values("pk")[:LOOKED_AT]
        waiting = route.waiting_leads().filter(pk__in=newest).count()
        if waiting:
            said = ngettext(
                "%(number)s lead came before and was not sent: %(route)s. Send them, or from now on?",
                "%(number)s leads came before and were not sent: %(route)s. Send them, or from now on?",
                waiting,
            )
            number, name = words.capped(waiting, LOOKED_AT), f"{route}{_demo(route.destination.is_demo)}"
            yield Notice(
                "warning",
                said % {"number": number, "route": name},
                f"{words.route_url(route.pk)}#question",
                _("Decide"),
                leads=waiting,
            )


def _demo(is_demo: bool) -> str:
    return f" {_('(demo)')}" if is_demo else ""
