"""A lead becomes its deliveries, once."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.translation import override, trans_real

from crm_sync import routing
from crm_sync.models import Delivery, Destination, Route
from leads.models import Lead, Offer
from tests.crm_sync.sending import START, install, make_destination, make_lead, make_offer, make_route

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _crm(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture
def offer() -> Offer:
    return make_offer()


@pytest.fixture
def destination() -> Destination:
    return make_destination()


def only(lead: Lead) -> Delivery:
    """The one delivery of a lead."""
    return Delivery.objects.get(lead=lead)


def route_all() -> None:
    routing.route_everything(START)


def test_a_lead_waits_at_once_for_every_route_of_its_offer(offer: Offer) -> None:
    routes = [make_route(offer, make_destination()) for _ in range(2)]
    make_route(make_offer(), make_destination())
    lead = make_lead(offer)
    routed = routing.route_waiting(START)
    assert routed == routing.Routed(1, destinations=frozenset(route.destination_id for route in routes))
    assert list(lead.deliveries.order_by("route").values_list("route", "state", "due_at")) == [
        (route.pk, "waiting", START) for route in routes
    ]


def test_a_lead_is_routed_once(offer: Offer, destination: Destination) -> None:
    make_route(offer, destination)
    lead = make_lead(offer)
    route_all()
    assert routing.route_waiting(START) == routing.Routed()
    Lead.objects.update(routed_at=None)  # as if its worker had died before it could say so
    route_all()
    assert only(lead).state == "waiting"


def test_a_lead_that_no_route_wants_is_looked_at_once_and_then_left_alone(offer: Offer) -> None:
    lead = make_lead(offer)
    assert routing.route_waiting(START) == routing.Routed(1)
    lead.refresh_from_db()
    assert lead.routed_at == START
    assert not lead.deliveries.exists()
    assert routing.route_waiting(START) == routing.Routed()


def test_the_oldest_leads_go_first_and_no_batch_is_the_last(offer: Offer, destination: Destination) -> None:
    make_route(offer, destination)
    leads = [make_lead(offer, received_at=START - timedelta(minutes=age)) for age in (1, 3, 2)]
    routing.route_waiting(START, batch=1)
    assert Delivery.objects.get().lead == leads[1]
    route_all()
    assert Delivery.objects.count() == 3


def test_a_route_without_a_published_mapping_sends_nothing(offer: Offer, destination: Destination) -> None:
    route = make_route(offer, destination, rules=None)
    lead = make_lead(offer)
    route_all()
    assert not lead.deliveries.exists()
    assert list(route.waiting_leads()) == [lead]


@pytest.mark.parametrize("off", ["offer", "route"])
def test_what_is_switched_off_sends_nothing_and_its_leads_wait(
    off: str, offer: Offer, destination: Destination
) -> None:
    route = make_route(offer, destination)
    switch = {"offer": offer, "route": route}[off]
    switch.enabled = False
    switch.save()
    lead = make_lead(offer)
    route_all()
    assert not lead.deliveries.exists()
    assert list(route.waiting_leads()) == [lead]


@pytest.mark.parametrize(("action", "taken"), [("INS", True), ("ins", True), ("PLT", False), ("", False)])
def test_a_route_takes_only_the_actions_it_names(
    action: str, taken: bool, offer: Offer, destination: Destination
) -> None:
    make_route(offer, destination, only_actions=["INS"])
    lead = make_lead(offer, action=action)
    route_all()
    assert lead.deliveries.exists() is taken


# --- Leads that stay here ------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["DNC", "dnc"])
@pytest.mark.parametrize(
    ("policy", "deliveries", "status"),
    [
        ("hold", [("held", "dnc")], "new"),
        ("push", [("waiting", "")], "new"),
        ("archive", [], "closed"),
    ],
)
def test_do_not_contact_is_held_sent_or_archived_as_the_offer_says(
    policy: str, deliveries: list[tuple[str, str]], status: str, action: str, destination: Destination
) -> None:
    offer = make_offer(dnc_policy=policy)
    make_route(offer, destination)
    lead = make_lead(offer, action=action)
    other = make_lead(offer)
    route_all()
    lead.refresh_from_db()
    assert list(lead.deliveries.values_list("state", "held_reason")) == deliveries
    assert lead.status == status
    assert only(other).state == "waiting"


def test_microsofts_test_leads_stay_out_of_the_crm_unless_the_offer_wants_them(
    destination: Destination,
) -> None:
    leads = []
    for wanted in (False, True):
        offer = make_offer(send_test_leads=wanted)
        make_route(offer, destination)
        leads.append(make_lead(offer, is_test=True))
    route_all()
    assert [lead.deliveries.exists() for lead in leads] == [False, True]


def test_a_route_that_needs_approval_holds_each_lead(offer: Offer, destination: Destination) -> None:
    make_route(offer, destination, needs_approval=True)
    lead = make_lead(offer)
    route_all()
    assert (only(lead).state, only(lead).held_reason) == ("held", "approval")


def test_a_lead_that_comes_while_the_mapping_is_broken_is_held_with_the_others(
    offer: Offer, destination: Destination
) -> None:
    make_route(offer, destination).mappings.update(broken="No field title.", broken_field="title")
    lead = make_lead(offer)
    route_all()
    assert (only(lead).held_reason, only(lead).reason) == ("mapping_broken", "No field title.")
    assert only(lead).field == "title"


# --- Leads that wait for a route -----------------------------------------------------------------------------


@pytest.fixture
def late_route(offer: Offer, destination: Destination) -> Route:
    """A route that was made after its offer's leads had come."""
    for _ in range(3):
        make_lead(offer)
    route_all()
    return make_route(offer, destination)


def test_a_new_route_sends_nothing_of_the_past_by_itself(late_route: Route, offer: Offer) -> None:
    make_lead(offer)
    route_all()
    assert Delivery.objects.count() == 1


def test_a_person_may_send_what_waited(late_route: Route, offer: Offer) -> None:
    assert routing.send_waiting(late_route, START) == (3, 0)
    assert set(Delivery.objects.values_list("state", "due_at")) == {("waiting", START)}
    assert routing.send_waiting(late_route, START) == (0, 0)
    assert Delivery.objects.count() == 3


def test_very_many_are_sent_a_slice_at_a_time(late_route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "BATCH", 2)
    assert routing.send_waiting(late_route, START) == (3, 0)
    assert Delivery.objects.count() == 3


def test_why_one_is_held_is_stored_in_the_language_of_the_installation(
    offer: Offer, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lead(offer, action="DNC")
    route_all()
    route = make_route(offer, destination)
    monkeypatch.setattr(trans_real.translation("de"), "gettext", lambda message: f"«{message}»")
    with override("de"):
        assert routing.send_waiting(route, START) == (0, 1)
    assert Delivery.objects.get().reason == "Do not contact. Microsoft sent this for information."


def test_a_person_may_leave_the_past_alone(late_route: Route, offer: Offer) -> None:
    routing.from_now_on(late_route, START + timedelta(seconds=1))
    late_route.refresh_from_db()
    assert not late_route.waiting_leads().exists()
    assert routing.send_waiting(late_route, START) == (0, 0)
    lead = make_lead(offer, received_at=START + timedelta(minutes=1))
    route_all()
    assert only(lead).state == "waiting"


def test_from_now_on_also_leaves_alone_what_no_worker_had_looked_at_yet(
    late_route: Route, offer: Offer
) -> None:
    backlog = make_lead(offer)
    routing.from_now_on(late_route, START + timedelta(seconds=1))
    route_all()
    assert not backlog.deliveries.exists()


def test_what_waited_is_sent_under_the_same_conditions_as_anything_else(
    offer: Offer, destination: Destination
) -> None:
    make_lead(offer, action="PLT")
    make_lead(offer, is_test=True)
    wanted = make_lead(offer)
    held = make_lead(offer, action="DNC")
    route_all()
    route = make_route(offer, destination, only_actions=["INS", "DNC"])
    assert routing.send_waiting(route, START) == (1, 1)
    assert (only(wanted).state, only(held).held_reason) == ("waiting", "dnc")


def test_routing_costs_the_same_for_one_lead_as_for_many(offer: Offer, destination: Destination) -> None:
    make_route(offer, destination)
    counts = []
    for leads in (1, 40):  # SQLite takes 999 values in a statement
        for _ in range(leads):
            make_lead(offer)
        with CaptureQueriesContext(connection) as queries:
            routing.route_waiting(START)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12
