"""Leads that stand still until somebody acts: notices for Home, each with the one link that leads to mending it."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import sending_words
from crm_sync import wording as words
from crm_sync.admin import tries
from crm_sync.connection_notices import AT_MOST
from crm_sync.models import Delivery, Destination, MappingVersion, Route
from leads import counting
from leads.counting import Count
from leads.models import Lead, Offer
from leads.ports import Notice

MOST_READ = 200  # of what is told together
CAP = 10_000  # leads counted
MOST_ROUTES = 20
IMPATIENT = 3  # routes whose leads take too long to count: of the others only some are looked at


def broken_mappings(request: HttpRequest) -> Iterator[Notice]:
    """Field mappings that a CRM refused, and how many leads each holds."""
    broken = _live().exclude(route=None).exclude(broken="")
    held_by_any = Delivery.objects.filter(state=Delivery.State.HELD, held_reason=Delivery.Held.MAPPING_BROKEN)
    for version in broken.order_by("pk")[:AT_MOST]:
        route: Route = version.route  # type: ignore[assignment]
        held = held_by_any.filter(route=route)
        number = held.order_by()[: CAP + 1].count()
        said = (
            _("The field mapping %(mapping)s is broken at the field %(field)s.")
            if version.broken_field
            else _("The field mapping %(mapping)s is broken.")
        ) % {"mapping": f"{route}{words.demo_mark(route.destination.is_demo)}", "field": version.broken_field}
        why = words.sentence(tries.of_some_lead(request, version.broken))
        yield Notice(
            "error",
            f"{said} {why} {_holds(number)}".rstrip(),
            words.mapping_url(route, version.broken_field),
            _("Mend the field mapping"),
            since=_oldest(held),
            leads=number,
        )


def _holds(number: int) -> str:
    if not number:
        return ""
    said = ngettext("It holds %(number)s lead.", "It holds %(number)s leads.", number)
    return said % {"number": words.capped(number, CAP)}


def _oldest(sendings: QuerySet[Delivery]) -> datetime | None:
    """When the first of these began: one row, of an index."""
    return sendings.order_by("created_at").values_list("created_at", flat=True).first()


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
    groups = [*_stuck_groups(Delivery.State.REJECTED), *_stuck_groups(Delivery.State.HELD)]
    largest = sorted(groups, key=lambda group: -group[1])[: AT_MOST * 2]
    destinations = Destination.objects.defer("secrets").in_bulk(
        {like["destination_id"] for like, _n in largest}
    )
    for like, number in largest:
        destination = destinations.get(like["destination_id"])
        if destination is None:
            continue  # deleted just now
        where = f"{destination}{words.demo_mark(destination.is_demo)}"
        named = {"destination": destination.pk, "state": like["state"], "held_reason": like["held_reason"]}
        query = urlencode({name: value for name, value in named.items() if value})
        yield Notice(
            "warning",
            _stuck(like["state"], like["held_reason"], number, where),
            f"{reverse('admin:crm_sync_delivery_changelist')}?{query}",
            _("Open the sendings"),
            since=_oldest(Delivery.objects.filter(**like)),
            leads=number,
        )


def _stuck_groups(state: str) -> Iterator[tuple[dict[str, Any], Count]]:
    """What the newest CAP of a state share, and how many of them do."""
    stuck = Delivery.objects.filter(state=state)
    if state == Delivery.State.HELD:
        # Do-not-contact leads are held on purpose.
        stuck = stuck.exclude(held_reason__in=[Delivery.Held.MAPPING_BROKEN, Delivery.Held.DNC])
    # Counted here: asked to group the newest of a state, PostgreSQL reads the whole table to find them again.
    found = list(stuck.order_by("-created_at").values_list("destination_id", "held_reason")[: CAP + 1])
    for (destination_id, held_reason), number in Counter(found[:CAP]).items():
        like = {"destination_id": destination_id, "state": state, "held_reason": held_reason}
        yield like, Count.at_least(number) if len(found) > CAP else Count(number)


def _stuck(state: str, held_reason: str, number: Count, where: str) -> str:
    named = {"number": str(number), "crm": where}
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
        number = words.capped(waiting, CAP)
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
    took_too_long = 0
    for route in live.select_related("offer", "destination").defer("destination__secrets")[:MOST_ROUTES]:
        waiting = _unsent(route, patiently=took_too_long < IMPATIENT)
        took_too_long += waiting.and_more
        if waiting:
            said = ngettext(
                "%(number)s lead came before and was not sent: %(route)s. Decide whether it is.",
                "%(number)s leads came before and were not sent: %(route)s. Decide whether they are.",
                waiting + waiting.and_more,
            )
            name = f"{route}{words.demo_mark(route.destination.is_demo)}"
            yield Notice(
                "warning",
                said % {"number": str(waiting), "route": name},
                f"{words.route_url(route.pk)}#question",
                _("Decide"),
                leads=waiting,
            )


def _unsent(route: Route, *, patiently: bool) -> Count:
    """How many wait for a word; where counting takes too long, what the newest and the oldest tell."""
    if patiently:
        waiting = counting.count(route.waiting_leads())
        if waiting or not waiting.and_more:
            return waiting
    return Count.at_least(max(route.newest_waiting_leads().count(), route.oldest_waiting_leads().count()))
