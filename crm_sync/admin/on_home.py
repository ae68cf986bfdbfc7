"""What Home and the reports tell of sending: how each connection does, whether all has arrived, and how soon."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import connection_words
from crm_sync import wording as words
from crm_sync.admin.sending_filters import ON_THEIR_WAY, REAL, TIMED
from crm_sync.models import Delivery, Destination, DestinationState, MappingVersion
from leads import figures
from leads.models import Lead, Offer
from leads.ports import Connection, Times

CAP = 10_000  # sendings counted
MOST = 50  # connections shown


def connections(request: HttpRequest) -> Iterator[Connection]:
    """Every connection, for users who may see them."""
    if not request.user.has_perm("crm_sync.view_destination"):
        return
    # Without secrets: that they do not open may be what is wrong.
    states = DestinationState.objects.select_related("destination").defer("destination__secrets")
    for state in states.order_by("destination__name")[:MOST]:
        waiting = _count_on_their_way(state.pk)
        standing = connection_words.connection_standing(state)
        yield Connection(
            words.name_of(state.destination),
            reverse("admin:crm_sync_destination_change", args=[state.pk]),
            standing.look,
            standing.label,
            words.capped(waiting, CAP) if waiting else "",
            connection_words.last_success(state),
            _list(request, **ON_THEIR_WAY, destination=state.pk),
        )


def _count_on_their_way(destination_id: int) -> int:
    """How many are on their way there; above CAP it only says that there are more."""
    # One after the other: a partial index of one state serves no question for two.
    states = (Delivery.State.WAITING, Delivery.State.LEASED)
    there = Delivery.objects.filter(destination=destination_id).order_by()
    return sum(there.filter(state=state)[: CAP + 1].count() for state in states)


def _on_their_way() -> QuerySet[Delivery]:
    return Delivery.objects.on_their_way().order_by()


def _list(request: HttpRequest, **query: str | int) -> str:
    """The address of the list of sendings with these filters; "" for who may not see it."""
    if not request.user.has_perm("crm_sync.view_delivery"):
        return ""
    return f"{reverse('admin:crm_sync_delivery_changelist')}?{urlencode(query)}"


def all_sent(request: HttpRequest) -> str | SafeString:
    """Whether every lead is where it belongs; "" where some belong nowhere yet."""
    published = MappingVersion.objects.filter(
        route__offer=OuterRef("pk"), route__enabled=True, state=MappingVersion.State.PUBLISHED
    )
    some = Lead.objects.filter(offer=OuterRef("pk"), is_test=False)
    nowhere = Offer.objects.filter(~Exists(published), Exists(some), enabled=True, is_demo=False)
    if nowhere.exists() or not Destination.objects.exclude(connector="demo").exists():
        return ""
    owed = _on_their_way().exclude(destination__connector="demo")[: CAP + 1].count()
    if not owed:
        return _("everything sent")
    said = ngettext("%(number)s on its way", "%(number)s on their way", owed) % {
        "number": words.capped(owed, CAP)
    }
    url = _list(request, **ON_THEIR_WAY, **REAL)
    return format_html('<a href="{}">{}</a>', url, said) if url else said


def times_to_crm(request: HttpRequest, since: datetime, until: datetime) -> Times:
    """From a lead's arrival here to its arrival in a CRM, of the last that arrived."""
    arrived = Delivery.objects.timed().filter(created_at__gte=since, created_at__lt=until)
    rows: Any = arrived.order_by("-created_at").values_list("created_at", "lead__received_at", "settled_at")
    found = figures.measured(rows[: figures.MOST_TIMES], since)
    moments = {"from": found.since.isoformat(), "to": until.isoformat()}
    return Times(found.seconds, _list(request, **TIMED, **moments))
