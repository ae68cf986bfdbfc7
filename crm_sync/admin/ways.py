"""Where a lead would end up, in sentences, before it is sent; and the way to our own address from outside."""

from collections.abc import Iterator, Mapping

from django.utils import timezone
from django.utils.translation import gettext as _

from crm_sync import policy, routing
from crm_sync.addresses import Policy
from crm_sync.http import NoAnswer, Pool
from crm_sync.models import Delivery, DestinationState, Route
from leads.models import Lead, Offer
from leads.ports import Answered
from leads.wording import clip

OWN_DEADLINE = 15.0  # seconds that a person waits for our own answer
Held = Delivery.Held


def ways(lead: Lead) -> Iterator[str]:
    """What would become of a lead that is not stored, a sentence for each CRM that its offer sends to."""
    routes = list(
        Route.objects.filter(offer=lead.offer).select_related("offer", "destination__state").order_by("pk")
    )
    if routes and (reason := _nowhere(lead)):
        yield reason
        return
    for route in routes:
        yield _way(lead, route, clip(route.destination.name, 60))


def _nowhere(lead: Lead) -> str:
    """Why it would go to no CRM at all, whichever there are; "" where nothing stands against it."""
    if not lead.offer.enabled:
        return _("Nowhere: the offer is off.")
    if lead.is_test and not lead.offer.send_test_leads:
        return _("Nowhere: test leads stay out of the CRM.")
    if lead.action == "DNC" and lead.offer.dnc_policy == Offer.DncPolicy.ARCHIVE:
        return _("Nowhere: do-not-contact leads of this offer are archived.")
    return ""


def _way(lead: Lead, route: Route, name: str) -> str:
    live = route.live_mapping
    if live is None:
        return _("Not to %(crm)s yet: no field mapping is published, so it waits.") % {"crm": name}
    if not route.enabled:
        return _("Not to %(crm)s: sending there is off.") % {"crm": name}
    if not route.takes(lead):
        return _("Not to %(crm)s, which gets other actions only.") % {"crm": name}
    owed = routing.first_delivery(lead, route, live, timezone.now())
    if owed is None:
        return _("Not to %(crm)s.") % {"crm": name}
    if owed.state == Delivery.State.HELD:
        return _HELD[Held(owed.held_reason)]() % {"crm": name}
    return _sent(route, name)


_HELD = {
    Held.DNC: lambda: _("Held before %(crm)s: do not contact."),
    Held.APPROVAL: lambda: _("Held before %(crm)s until somebody approves it."),
    Held.MAPPING_BROKEN: lambda: _("Held before %(crm)s: the field mapping is broken."),
}


def _sent(route: Route, name: str) -> str:
    state = route.destination.state.state
    if state == DestinationState.State.PAUSED:
        return _("To %(crm)s as a real record, once somebody presses Resume there.") % {"crm": name}
    if state != DestinationState.State.WORKING:
        return _("To %(crm)s as a real record, once it works again.") % {"crm": name}
    if route.destination.is_demo:
        return _("To %(crm)s, which is inside this app.") % {"crm": name}
    return _("It will be sent to %(crm)s as a real record, under the name Sam Sample.") % {"crm": name}


def post_to_ourselves(url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
    """POST to an address of PUBLIC_URL, and to no other, whatever DNS says of it."""
    own = Policy(own_hosts=policy.policy().own_hosts, deadline=OWN_DEADLINE, read_timeout=OWN_DEADLINE)
    pool = Pool(own)
    try:
        answer = pool.client().request("POST", url, headers=headers, content=body)
    except NoAnswer as error:
        return Answered(problem=error.reason)
    finally:
        pool.close()
    return Answered(answer.status, answer.content)
