"""What Home and the reports tell of sending: how each connection does, whether all has arrived, and how soon."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import wording as words
from crm_sync.models import Delivery, Destination, DestinationState, MappingVersion
from leads.models import Lead, Offer, Submission
from leads.ports import Connection

CAP = 10_000  # sendings counted
MOST = 50  # connections shown
MOST_TIMES = 1_000  # sendings whose way is measured: more would not move the middle
_State = Delivery.State


def connections(request: HttpRequest) -> Iterator[Connection]:
    """Every connection, for users who may see them."""
    if not request.user.has_perm("crm_sync.view_destination"):
        return
    # Without secrets: that they do not open may be what is wrong.
    states = DestinationState.objects.select_related("destination").defer("destination__secrets")
    for state in states.order_by("destination__name")[:MOST]:
        waiting = _owed().filter(destination=state.pk)[: CAP + 1].count()
        yield Connection(
            words.name_of(state.destination),
            reverse("admin:crm_sync_destination_change", args=[state.pk]),
            state.state,
            state.get_state_display(),
            f"{words.capped(min(waiting, CAP), CAP)}" if waiting else "",
            words.ago(state.last_success_at),
        )


def _owed() -> QuerySet[Delivery]:
    # Each state has an index of its own.
    return Delivery.objects.filter(state__in=[_State.WAITING, _State.LEASED]).order_by()


def all_sent() -> str:
    """Whether every lead is where it belongs; "" where some belong nowhere yet."""
    published = MappingVersion.objects.filter(
        route__offer=OuterRef("pk"), route__enabled=True, state=MappingVersion.State.PUBLISHED
    )
    some = Lead.objects.filter(offer=OuterRef("pk"), is_test=False)
    nowhere = Offer.objects.filter(~Exists(published), Exists(some), enabled=True, is_demo=False)
    if nowhere.exists() or not Destination.objects.exclude(connector="demo").exists():
        return ""
    owed = _owed().exclude(destination__connector="demo")[: CAP + 1].count()
    if not owed:
        return _("everything sent")
    return ngettext("%(number)s on its way", "%(number)s on their way", owed) % {
        "number": words.capped(min(owed, CAP), CAP)
    }


def times_to_crm(since: datetime, until: datetime) -> list[float]:
    """Seconds from a lead's arrival here to its arrival in a CRM, of the last that arrived."""
    arrived = Delivery.objects.filter(
        state=_State.DELIVERED,
        created_at__gte=since,
        created_at__lt=until,
        lead__is_test=False,
        lead__is_sample=False,
        lead__offer__is_demo=False,
    ).exclude(lead__submission__origin=Submission.Origin.IMPORT)
    rows = arrived.order_by("-created_at").values_list("lead__received_at", "settled_at")[:MOST_TIMES]
    return [(settled - received).total_seconds() for received, settled in rows if settled]
