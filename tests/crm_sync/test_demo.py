"""The CRM inside this app, and the demo that is made with it."""

from collections.abc import Callable
from typing import Any

import pytest

from crm_sync import claiming, connectors, delivery, demo, demo_data, routing
from crm_sync.addresses import Policy
from crm_sync.connectors.base import Connector
from crm_sync.http import Pool
from crm_sync.models import Attempt, Delivery, DemoRecord, DemoSwitch, Destination, Route
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater, Throttled
from leads.models import Lead, Offer, Submission
from tests.crm_sync.sending import (
    START,
    Clock,
    drain,
    install,
    make_destination,
    make_lead,
    make_offer,
    make_route,
    state_of,
)

pytestmark = pytest.mark.django_db

KEY = "3f2b8c1e-5d47-4a90-9e61-7c0f4d2ab815"
RECORD = {"topic": "Backup: Jane Doe", "job_title": "Buyer"}

Push = Callable[..., Outcome]


def switch(mode: str, **values: Any) -> None:
    DemoSwitch.objects.update_or_create(pk=1, defaults={"mode": mode, **values})


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def connector(slept: list[float]) -> Connector:
    pool = Pool(Policy(), transport=demo.Transport(sleep=slept.append))
    return connectors.get("demo")({}, pool.client())


@pytest.fixture
def push(connector: Connector) -> Push:
    return lambda record=RECORD, retry=False: connector.push(record, key=KEY, retry=retry)


# --- Each switch ---------------------------------------------------------------------------------------------


def test_it_works_unless_it_is_switched_otherwise(push: Push) -> None:
    outcome = push()
    assert outcome == Delivered(KEY, f"/admin/crm_sync/demorecord/?q={KEY}")
    record = DemoRecord.objects.get()
    assert (record.key, record.record, record.times_received) == (KEY, RECORD, 1)


def test_the_same_key_twice_is_one_record_as_it_was_first_sent(push: Push) -> None:
    push()
    outcome = push({"topic": "Changed"}, retry=True)
    assert isinstance(outcome, Delivered)
    assert outcome.existed
    record = DemoRecord.objects.get()
    assert (record.record, record.times_received) == (RECORD, 2)


@pytest.mark.parametrize(
    ("mode", "kind", "said"),
    [
        ("throttled", Throttled, "Too many requests."),
        ("down", RetryLater, "switched to down"),
        ("refusing_field", Rejected, "no field job_title"),
        ("wrong_credentials", DestinationFault, "refuses these credentials"),
    ],
)
def test_a_switch_that_refuses_gives_the_outcome_it_names_and_writes_nothing(
    mode: str, kind: type[Any], said: str, push: Push
) -> None:
    switch(mode)
    outcome = push()
    assert isinstance(outcome, kind)
    assert said in outcome.reason
    assert not DemoRecord.objects.exists()


def test_throttled_names_its_time(push: Push) -> None:
    switch("throttled")
    outcome = push()
    assert isinstance(outcome, Throttled)
    assert outcome.delay == demo.THROTTLE


def test_the_refused_field_is_the_one_that_was_chosen(push: Push) -> None:
    switch("refusing_field", field="topic")
    outcome = push()
    assert isinstance(outcome, Rejected)
    assert outcome.field == "topic"
    assert isinstance(push({"job_title": "Buyer"}), Delivered)


def test_slow_answers_in_the_end(push: Push, slept: list[float]) -> None:
    switch("slow")
    assert isinstance(push(), Delivered)
    assert slept == [demo.SLOW]


def test_a_lost_answer_leaves_the_record_and_the_next_try_finds_it(push: Push) -> None:
    switch("answer_lost")
    outcome = push()
    assert isinstance(outcome, RetryLater)
    assert outcome.uncertain
    assert DemoRecord.objects.count() == 1
    switch("working")
    outcome = push(retry=True)
    assert isinstance(outcome, Delivered)
    assert outcome.existed


@pytest.mark.parametrize(
    ("mode", "well"), [("working", True), ("slow", True), ("down", False), ("wrong_credentials", False)]
)
def test_a_connection_test_tells_what_is_switched_and_writes_nothing(
    mode: str, well: bool, connector: Connector
) -> None:
    switch(mode)
    assert connector.check().ok is well
    assert not DemoRecord.objects.exists()


def test_a_lead_goes_all_the_way_into_it() -> None:
    destination = make_destination("demo")
    route = make_route(make_offer(title="Backup"), destination)
    lead = make_lead(route.offer, first_name="Jane", last_name="Doe", country="US")
    routing.route_everything(START)
    assert drain(destination, Clock()) == 1
    record = DemoRecord.objects.get()
    sending = Delivery.objects.get(lead=lead)
    assert (record.key, record.record["topic"]) == (sending.key, "Backup: Jane Doe")
    assert sending.remote_url.endswith(record.key)
    (exchange,) = Attempt.objects.get().exchanges
    assert (exchange["method"], exchange["status"]) == ("PUT", 201)


def test_wrong_credentials_stop_it_and_switching_back_needs_nobody_else() -> None:
    destination = make_destination("demo")
    route = make_route(make_offer(), destination)
    make_lead(route.offer)
    routing.route_everything(START)
    clock = Clock()
    switch("wrong_credentials")
    drain(destination, clock)
    assert state_of(destination).state == "stopped"
    switch("working")
    clock.pass_(15)
    assert drain(destination, clock) == 1
    assert state_of(destination).state == "working"


# --- The demo ------------------------------------------------------------------------------------------------


def test_the_demo_has_leads_on_their_way_one_held_and_one_unreadable() -> None:
    offer = demo_data.seed(START)
    assert offer.is_demo
    assert Lead.objects.filter(offer=offer, is_sample=True).count() == len(demo_data.LEADS)
    assert Lead.objects.counted().count() == 0
    (broken,) = Submission.objects.filter(verdict="quarantined")
    assert broken.reason == "not_json"
    routing.route_everything(START)
    states = sorted(Delivery.objects.values_list("state", "held_reason"))
    assert states == [("held", "dnc"), *[("waiting", "")] * 4]
    drain(Destination.objects.get(), Clock())
    assert DemoRecord.objects.count() == 4


def test_one_button_removes_it_all_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = install(monkeypatch)
    real, mine = make_offer(), make_destination()
    make_route(real, mine)
    kept = make_lead(real)
    demo_data.seed(START)
    demo_crm = Destination.objects.get(connector="demo")
    make_route(real, demo_crm)  # somebody tries their real offer out on it
    routing.route_everything(START)
    for destination in (mine, demo_crm):
        drain(destination, Clock())

    gone = demo_data.remove()
    assert gone["records"] == 5
    assert list(Offer.objects.all()) == [real]
    assert list(Lead.objects.all()) == [kept]
    assert list(Destination.objects.all()) == [mine]
    assert list(Route.objects.values_list("destination", flat=True)) == [mine.pk]
    assert Delivery.objects.get().state == "delivered"
    assert len(crm.records) == 1
    assert not DemoRecord.objects.exists()


def test_it_may_be_removed_while_its_leads_are_on_their_way() -> None:
    demo_data.seed(START)
    routing.route_everything(START)
    destination = Destination.objects.get()
    leases = claiming.claim(destination.pk, 5, at=START).leases
    assert leases
    demo_data.remove()
    for lease in leases:
        assert not delivery.settle(lease, Delivered("1"), at=START)
    assert drain(destination, Clock()) == 0


def test_it_may_be_made_again_after_it_was_removed() -> None:
    demo_data.seed(START)
    demo_data.remove()
    demo_data.seed(START)
    assert Offer.objects.filter(is_demo=True).count() == 1
