"""What is wrong with sending, since when, and the one link that leads to mending it. Shown on Home."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db.models import Count, Exists, F, OuterRef, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from crm_sync import wording as words
from crm_sync.models import Delivery, DestinationState, MappingVersion, Route, Worker
from leads.models import Lead, Offer
from leads.ports import Notice

WORKER_SILENCE = timedelta(seconds=30)
AT_MOST = 5  # notices of one kind; a page of them says no more than the first few


def notices(request: HttpRequest) -> Iterator[Notice]:
    """What needs attention, for users who may look at it. Asked on every page, so each question is a cheap one."""
    now = timezone.now()
    yield from _no_worker(now)
    may = request.user.has_perm
    if may("crm_sync.view_destination"):
        yield from _connections(now)
    if may("crm_sync.view_route"):
        yield from _broken_mappings()
    if may("crm_sync.view_delivery"):
        yield from _stuck_sendings()
    # These read leads by the thousand, and are shown on Home alone.
    if may("crm_sync.view_route") and request.path == reverse("admin:index"):
        yield from _unconnected(may)
        yield from _questions()


def _no_worker(now: datetime) -> Iterator[Notice]:
    last = Worker.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
    if last is None or now - last > WORKER_SILENCE:
        since = f" since {words.clock(last, now)}" if last else ""
        yield Notice(
            "error",
            f"No worker is running{since}: leads are stored, and none is sent. Start the server with "
            "“manage.py serve”, or a worker with “manage.py deliver”.",
            everywhere=True,
        )


def _connections(now: datetime) -> Iterator[Notice]:
    owed = Q(destination__deliveries__state__in=[Delivery.State.WAITING, Delivery.State.LEASED])
    sick = DestinationState.objects.exclude(state=DestinationState.State.WORKING)
    for state in sick.select_related("destination", "paused_by").annotate(
        waiting=Count("destination__deliveries", filter=owed)
    )[:AT_MOST]:
        waiting = f" {words.count(state.waiting, 'lead waits', 'leads wait')}; none is lost."
        name = f"{state.destination}{_demo(state.destination.is_demo)}"
        yield Notice(
            "error" if state.state == state.State.STOPPED else "warning",
            f"{name}: {words.connection_state(state, now)}{waiting if state.waiting else ''}",
            reverse("admin:crm_sync_destination_change", args=[state.pk]),
            "Open the CRM connection",
        )


def _broken_mappings() -> Iterator[Notice]:
    # Only the live version counts; older ones keep what was said of them.
    newer = MappingVersion.objects.published().filter(route=OuterRef("route"), number__gt=OuterRef("number"))
    broken = MappingVersion.objects.published().exclude(route=None).exclude(broken="").filter(~Exists(newer))
    held = Q(route__deliveries__held_reason=Delivery.Held.MAPPING_BROKEN)
    for version in broken.select_related("route__offer", "route__destination").annotate(
        held=Count("route__deliveries", filter=held)
    )[:AT_MOST]:
        route: Route = version.route  # type: ignore[assignment]
        at = f" at the field {version.broken_field}" if version.broken_field else ""
        holds = f" It holds {words.count(version.held, 'lead')}." if version.held else ""
        yield Notice(
            "error",
            f"The field mapping {route}{_demo(route.destination.is_demo)} is broken{at}. "
            f"{words.sentence(version.broken)}{holds}",
            words.route_url(route.pk, version.broken_field),
            "Mend the field mapping",
        )


def _stuck_sendings() -> Iterator[Notice]:
    """Refused and held leads, by connection and reason. What a broken mapping holds was told already."""
    stuck = Delivery.objects.filter(state__in=[Delivery.State.REJECTED, Delivery.State.HELD])
    # Do-not-contact leads are held on purpose.
    stuck = stuck.exclude(held_reason__in=[Delivery.Held.MAPPING_BROKEN, Delivery.Held.DNC])
    groups = (
        stuck.order_by()
        .values("state", "held_reason", "destination_id", name=F("destination__name"))
        .annotate(number=Count("pk"), demo=Count("pk", filter=Q(destination__connector="demo")))
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
            "Open the sendings",
        )


def _stuck(state: str, held_reason: str, number: int, where: str) -> str:
    leads = words.count(number, "lead")
    are = "is" if number == 1 else "are"
    if state == Delivery.State.REJECTED:
        return f"{where} refused {leads}."
    if held_reason == Delivery.Held.APPROVAL:
        return f"{leads} for {where} {'waits' if number == 1 else 'wait'} for approval."
    return f"{leads} for {where} {are} held: {words.HELD_SHORT[Delivery.Held(held_reason)]}."


def _unconnected(may: Callable[[str], bool]) -> Iterator[Notice]:
    """Offers whose leads go nowhere: no CRM connected, or no field mapping published."""
    published = MappingVersion.objects.filter(
        route__offer=OuterRef("pk"), route__enabled=True, state=MappingVersion.State.PUBLISHED
    )
    for offer in Offer.objects.filter(~Exists(published), enabled=True)[:AT_MOST]:
        waiting = Lead.objects.filter(offer=offer, is_test=False).count()
        if not waiting:
            continue
        leads = words.count(waiting, "lead of", "leads of")
        wait = "waits" if waiting == 1 else "wait"
        route = Route.objects.filter(offer=offer, enabled=True).first()
        if route is not None:
            why, url, link = (
                "the field mapping is not published",
                words.route_url(route.pk),
                "Look at it and publish",
            )
        else:
            why, link = "no CRM connected yet", "Send to a CRM"
            url = (
                f"{reverse('admin:crm_sync_route_add')}?offer={offer.pk}" if may("crm_sync.add_route") else ""
            )
        yield Notice("warning", f"{leads} {offer}{_demo(offer.is_demo)} {wait}: {why}.", url, link)


def _questions() -> Iterator[Notice]:
    published = MappingVersion.objects.filter(route=OuterRef("pk"), state=MappingVersion.State.PUBLISHED)
    live = Route.objects.filter(Exists(published), enabled=True, offer__enabled=True)
    for route in live.select_related("offer", "destination")[:50]:
        waiting = route.waiting_leads().count()
        if waiting:
            were = "lead came before and was" if waiting == 1 else "leads came before and were"
            yield Notice(
                "warning",
                f"{waiting:,} {were} not sent: {route}{_demo(route.destination.is_demo)}. Send them, or from now on?",
                f"{words.route_url(route.pk)}#question",
                "Decide",
            )


def _demo(is_demo: bool) -> str:
    return " (demo)" if is_demo else ""
