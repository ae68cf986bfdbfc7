"""Leads that stand still until somebody acts: notices for Home, each with the one link that leads to mending it."""

from collections.abc import Callable, Iterator

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import sending_words
from crm_sync import wording as words
from crm_sync.admin import tries
from crm_sync.connection_notices import AT_MOST
from crm_sync.models import LOOKED_AT, Delivery, MappingVersion, Route
from leads.models import Lead, Offer
from leads.ports import Notice

MOST_READ = 200  # of what is told together
CAP = 10_000  # leads counted
MOST_ROUTES = 20


def broken_mappings(request: HttpRequest) -> Iterator[Notice]:
    """Field mappings that a CRM refused, and how many leads each holds."""
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
        ) % {"mapping": f"{route}{words.demo_mark(route.destination.is_demo)}", "field": version.broken_field}
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


def doubted_mappings() -> Iterator[Notice]:
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
            "demo": words.demo_mark(destination.is_demo),
        }
        yield Notice(
            "warning",
            f"{said} {words.sentence(versions[0].doubt)} {_('Mend it before a lead is refused.')}",
            words.mapping_url(owner, versions[0].doubt_field),
            _("Open the row"),
        )


def _live() -> QuerySet[MappingVersion]:
    """The versions that are live; older ones keep what was said of them."""
    newer = MappingVersion.objects.published().filter(number__gt=OuterRef("number"))
    same = Q(route=OuterRef("route")) | Q(route=None, destination=OuterRef("destination"))
    published = MappingVersion.objects.published().filter(~Exists(newer.filter(same)))
    return published.select_related("route__offer", "route__destination", "destination")


def stuck_sendings() -> Iterator[Notice]:
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
        where = f"{group['name']}{words.demo_mark(bool(group['demo']))}"
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
    return said % {**named, "why": sending_words.HELD_SHORT[Delivery.Held(held_reason)]}


def unconnected(may: Callable[[str], bool]) -> Iterator[Notice]:
    """Offers whose leads go nowhere: no CRM connected, or no field mapping published."""
    published = MappingVersion.objects.filter(
        route__offer=OuterRef("pk"), route__enabled=True, state=MappingVersion.State.PUBLISHED
    )
    for offer in Offer.objects.filter(~Exists(published), enabled=True)[:AT_MOST]:
        waiting = _real_leads(offer)
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
        text = said % {"number": number, "offer": f"{offer}{words.demo_mark(offer.is_demo)}"}
        oldest = Lead.objects.filter(offer=offer, is_test=False).order_by("received_at")
        since = oldest.values_list("received_at", flat=True).first()
        yield Notice("warning", text, url, link, since=since, leads=waiting)


def _real_leads(offer: Offer) -> int:
    """How many leads of an offer are no tests, up to a little over CAP.

    All of them less the tests, each of which an index alone can tell: which of ten thousand are none, it cannot.
    """
    leads = Lead.objects.filter(offer=offer).order_by().values("offer")
    tests = leads.filter(is_test=True)[:CAP].count()
    return leads[: CAP + 1 + tests].count() - tests


def questions() -> Iterator[Notice]:
    """Leads that came before their route was published: whether they shall go too, nobody has said."""
    published = MappingVersion.objects.filter(route=OuterRef("pk"), state=MappingVersion.State.PUBLISHED)
    live = Route.objects.filter(Exists(published), enabled=True, offer__enabled=True)
    for route in live.select_related("offer", "destination")[:MOST_ROUTES]:
        waiting = route.newest_waiting_leads().count()
        if waiting:
            said = ngettext(
                "%(number)s lead came before and was not sent: %(route)s. Decide whether it is.",
                "%(number)s leads came before and were not sent: %(route)s. Decide whether they are.",
                waiting,
            )
            number, name = (
                words.capped(waiting, LOOKED_AT),
                f"{route}{words.demo_mark(route.destination.is_demo)}",
            )
            yield Notice(
                "warning",
                said % {"number": number, "route": name},
                f"{words.route_url(route.pk)}#question",
                _("Decide"),
                leads=waiting,
            )
