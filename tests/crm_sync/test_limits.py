"""What a destination may be given at one moment, whoever asks: slots, probes, limits a second and a day, batches, and
one lead at a time for each e-mail address."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_sync import claiming, delivery, draining, limits, routing
from crm_sync.connectors.base import Item
from crm_sync.limits import Allowance, allowance
from crm_sync.models import Attempt, Delivery, Destination, DestinationState
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater
from crm_sync.pushing import Crashed
from leads.models import Lead
from tests.crm_sync.sending import (
    START,
    Clock,
    Crm,
    Inline,
    drain,
    install,
    make_destination,
    make_lead,
    make_offer,
    make_route,
    state_of,
    take,
)

SECOND = timedelta(seconds=1)


# --- A second, a day -----------------------------------------------------------------------------------------


def some_state(monkeypatch: pytest.MonkeyPatch, **limited: Any) -> DestinationState:
    """The state of a destination that is in no database."""
    destination = Destination(name="x", connector="scripted", **{"max_in_flight": 1000} | limited)
    monkeypatch.setattr(limits.statements, "update", lambda rows, names: None)
    return DestinationState(destination=destination, since=START)


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return install(monkeypatch)


def at_moments(state: DestinationState, moments: list[tuple[float, int]]) -> list[datetime]:
    """When each call went, if so many slots were asked for after so many seconds each."""
    gone, at = [], START
    for seconds, slots in moments:
        at += timedelta(seconds=seconds)
        allowed = allowance(state, at, slots=slots, in_flight=0)
        limits.use(state, at, allowed.leads)
        gone += [at] * allowed.leads
    return gone


@given(
    per_second=st.integers(1, 200),
    moments=st.lists(st.tuples(st.floats(0, 1.5), st.integers(1, 60)), max_size=60),
)
def test_no_second_ever_sees_more_calls_than_the_limit(
    per_second: int, moments: list[tuple[float, int]]
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        install(monkeypatch)
        gone = at_moments(some_state(monkeypatch, max_per_second=per_second), moments)
    for start in gone:
        assert sum(start <= moment < start + SECOND for moment in gone) <= per_second


@pytest.mark.parametrize("per_second", [1, 3, 10, 50, 200])
def test_who_asks_when_told_to_gets_nearly_all_that_the_limit_allows(
    per_second: int, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, at, gone = some_state(monkeypatch, max_per_second=per_second), START, 0
    while at < START + 10 * SECOND:
        allowed = allowance(state, at, slots=50, in_flight=0)
        limits.use(state, at, allowed.leads)
        gone += allowed.leads
        assert allowed.again is not None
        assert allowed.again > at
        at = allowed.again
    assert gone >= 0.85 * 10 * per_second


def test_a_clock_that_was_set_back_keeps_nobody_waiting(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    state = some_state(monkeypatch, max_per_second=1)
    limits.use(state, START + timedelta(days=1), 1)
    assert allowance(state, START, slots=1, in_flight=0).leads == 1


def test_the_limit_a_day_is_shared_and_starts_anew_at_midnight_utc(
    crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = some_state(monkeypatch, max_per_day=5)
    first = allowance(state, START, slots=3, in_flight=0)
    limits.use(state, START, first.leads)
    second = allowance(state, START, slots=3, in_flight=0)
    limits.use(state, START, second.leads)
    assert (first.leads, second.leads) == (3, 2)
    assert allowance(state, START, slots=3, in_flight=0) == Allowance(spent=True)
    tomorrow = limits.next_day(START)
    assert tomorrow.isoformat() == "2026-11-23T00:00:00+00:00"
    assert allowance(state, tomorrow - timedelta(microseconds=1), slots=3, in_flight=0).spent
    assert allowance(state, tomorrow, slots=3, in_flight=0).leads == 3


def test_without_a_limit_nothing_is_counted(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    state = some_state(monkeypatch)
    limits.use(state, START, 7)
    assert (state.pushed_today, state.day, state.paced_until) == (0, None, None)


# --- Against the database ------------------------------------------------------------------------------------


def owe(destination: Destination, count: int, **lead: Any) -> list[Delivery]:
    route = destination.routes.first() or make_route(make_offer(), destination)
    return [
        Delivery.objects.create(
            lead=make_lead(route.offer, **lead), route=route, destination=destination, due_at=START
        )
        for _ in range(count)
    ]


def states() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("state", flat=True))


@pytest.mark.django_db
def test_a_day_that_is_spent_shows_on_the_connection_and_the_rest_goes_the_next_day(crm: Crm) -> None:
    destination, clock = make_destination(max_per_day=2), Clock()
    owe(destination, 3)
    assert drain(destination, clock) == 2
    state = state_of(destination)
    assert (state.state, state.until) == ("slowed", limits.next_day(START))
    assert "The limit of 2 pushes a day is reached" in state.reason
    assert draining.destinations_due(clock()) == set()
    clock.now = limits.next_day(START)
    assert drain(destination, clock) == 1
    assert state_of(destination).state == "working"
    assert set(states()) == {"delivered"}


@pytest.mark.django_db
def test_a_drain_keeps_the_rhythm_of_the_limit_a_second(crm: Crm) -> None:
    destination = make_destination(max_per_second=9)
    owe(destination, 4)
    moments: list[float] = []
    began = time.monotonic()

    def clock() -> datetime:
        return START + timedelta(seconds=time.monotonic() - began)

    def answer(record: dict[str, Any]) -> Outcome:
        moments.append(time.monotonic())
        return Delivered("1")

    crm.always = answer
    assert draining.Drain(destination.pk, Inline(), slots=50, clock=clock).run() == 4
    # The first claim may come late, but then the next ones keep their distance from when it was made.
    assert moments[-1] - began >= 3 / 9


@pytest.mark.django_db
def test_a_full_destination_is_asked_again_when_a_push_has_ended_and_not_before(
    crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination, claimed = make_destination(max_in_flight=2), []
    owe(destination, 6)
    real = claiming.claim

    def claim(*given: Any, **named: Any) -> claiming.Claimed:
        claimed.append(real(*given, **named))
        return claimed[-1]

    monkeypatch.setattr(claiming, "claim", claim)
    assert drain(destination, Clock()) == 6
    assert [len(each.leases) for each in claimed] == [2, 2, 2, 0]


@pytest.mark.django_db
def test_leads_that_have_nothing_to_send_give_their_slots_back_at_once(
    crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = make_destination(max_in_flight=1)
    owe(destination, 3)
    monkeypatch.setattr(draining, "prepare", lambda lease: Crashed("It cannot be prepared."))
    drain(destination, Clock())
    assert states() == ["held", "held", "held"]


@pytest.mark.django_db
def test_leads_of_one_address_go_one_after_the_other_where_the_crm_has_races(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, one_per_email=True)
    destination = make_destination()
    owe(destination, 2, email="Jane@Contoso.example")
    owe(destination, 1, email="joe@contoso.example")
    owe(destination, 2)  # without an address they are nobody's
    [jane, joe, *nobody] = take(destination, START, slots=10)
    assert [lease.delivery.lead.email for lease in (jane, joe)] == [
        "Jane@Contoso.example",
        "joe@contoso.example",
    ]
    assert len(nobody) == 2
    assert take(destination, START, slots=10) == []
    owe(destination, 1, email="jane@contoso.EXAMPLE")
    assert take(destination, START, slots=10) == [], "however it is spelt"
    delivery.settle(jane, Delivered("1"), at=START)
    assert len(take(destination, START, slots=10)) == 1


@pytest.mark.django_db
def test_a_drain_sends_every_lead_of_one_address_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, one_per_email=True)
    destination = make_destination()
    owe(destination, 5, email="jane@contoso.example")
    assert drain(destination, Clock()) == 5


# --- Batches -------------------------------------------------------------------------------------------------


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[Item]]:
    """The calls that a CRM for batches of three gets; it refuses leads called Bad."""
    calls: list[list[Item]] = []
    crm = install(monkeypatch, batch_size=3)
    kind = crm.connector()

    def push_many(self: Any, items: list[Item]) -> list[Outcome]:
        calls.append(list(items))
        self.http  # noqa: B018  one connector for the call
        return [
            Rejected("No.") if item.record["last_name"] == "Bad" else Delivered(item.key) for item in items
        ]

    kind.push_many = push_many  # type: ignore[method-assign, assignment]
    monkeypatch.setattr("crm_sync.connectors.REGISTRY", {"scripted": kind})
    return calls


@pytest.mark.django_db
def test_a_batch_goes_in_one_call_and_each_lead_gets_its_own_outcome(batches: list[list[Item]]) -> None:
    destination = make_destination()
    good, bad = owe(destination, 3), owe(destination, 2, last_name="Bad")
    assert drain(destination, Clock()) == 5
    assert [len(call) for call in batches] == [3, 2]
    assert [item.key for item in batches[0]] == [sending.key for sending in good]
    assert states() == ["delivered"] * 3 + ["rejected"] * 2
    assert [sending.remote_id for sending in Delivery.objects.filter(state="delivered").order_by("id")] == [
        sending.key for sending in good
    ]
    assert Delivery.objects.get(pk=bad[0].pk).reason == "No."


@pytest.mark.django_db
def test_a_batch_counts_as_one_call(batches: list[list[Item]]) -> None:
    destination = make_destination(max_in_flight=2, max_per_day=3)
    owe(destination, 20)
    moments = [START + timedelta(milliseconds=number) for number in range(3)]
    assert [len(take(destination, at, slots=9)) for at in moments] == [3, 3, 0], "two calls at once"
    assert state_of(destination).pushed_today == 2


@pytest.mark.django_db
def test_the_try_of_a_batch_keeps_its_own_record_alone(batches: list[list[Item]]) -> None:
    destination = make_destination()
    owe(destination, 2)
    drain(destination, Clock())
    assert Attempt.objects.count() == 2
    assert all(
        attempt.exchanges == [] for attempt in Attempt.objects.all()
    )  # this one says nothing over HTTP


@pytest.mark.django_db
@pytest.mark.parametrize("fault", [ZeroDivisionError("a bug"), "too few"])
def test_a_batch_whose_connector_fails_is_held_as_a_bug(
    fault: Any, batches: list[list[Item]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def push_many(self: Any, items: list[Item]) -> list[Outcome]:
        if isinstance(fault, Exception):
            raise fault
        return []

    from crm_sync import connectors

    monkeypatch.setattr(connectors.REGISTRY["scripted"], "push_many", push_many)
    destination = make_destination()
    owe(destination, 2)
    drain(destination, Clock())
    assert set(Delivery.objects.values_list("held_reason", flat=True)) == {"bug"}


# --- Probes --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_sick_crm_is_probed_with_the_lead_that_was_tried_least(crm: Crm) -> None:
    destination, clock = make_destination(), Clock()
    poison, fresh = owe(destination, 1), owe(destination, 1)
    Delivery.objects.filter(pk=poison[0].pk).update(tries=6)
    DestinationState.objects.update(state="slowed", failures=6, until=START)
    [probe] = take(destination, clock(), slots=10)
    assert probe.delivery.pk == fresh[0].pk
    delivery.settle(probe, Delivered("1"), at=clock())
    assert state_of(destination).state == "working"


@pytest.mark.django_db
def test_one_lead_that_makes_the_crm_fail_never_blocks_the_others(crm: Crm) -> None:
    destination, clock = make_destination(max_in_flight=3), Clock()

    def answer(record: dict[str, Any]) -> Outcome:
        return RetryLater("The CRM failed.") if record["last_name"] == "Poison" else Delivered("1")

    crm.always = answer
    poison = owe(destination, 1, last_name="Poison")
    for _ in range(20):
        others = owe(destination, 3)
        drain(destination, clock)
        clock.pass_(minutes=5)
        drain(destination, clock)  # the next probe, at the latest
        assert {Delivery.objects.get(pk=other.pk).state for other in others} == {"delivered"}
    assert Delivery.objects.get(pk=poison[0].pk).state == "waiting"


# --- Leased at birth -----------------------------------------------------------------------------------------


def route_with(slots: int, at: datetime = START) -> routing.Routed:
    return routing.route_waiting(at, slots=lambda destination_id: slots, worker="host:1")


@pytest.fixture
def lead_for(crm: Crm) -> Callable[..., Destination]:
    """Leads that nobody has routed yet, and the destination that is to get them."""

    def make(count: int = 1, **limited: Any) -> Destination:
        destination = make_destination(**limited)
        offer = make_offer()
        make_route(offer, destination)
        for _ in range(count):
            make_lead(offer)
        return destination

    return make


@pytest.mark.django_db
def test_a_lead_that_comes_to_free_slots_is_leased_with_its_routing(
    lead_for: Callable[..., Destination],
) -> None:
    destination = lead_for(3, max_in_flight=2)
    routed = route_with(slots=50)
    assert (routed.leads, len(routed.claims), routed.destinations) == (3, 2, {destination.pk})
    assert sorted(states()) == ["leased", "leased", "waiting"]
    assert Attempt.objects.filter(finished_at=None, worker="host:1", number=1).count() == 2
    for lease in routed.claims:
        assert delivery.settle(lease, Delivered("1"), at=START)
    assert sorted(states()) == ["delivered", "delivered", "waiting"]


@pytest.mark.django_db
@pytest.mark.parametrize("why", ["no slots", "older ones", "paused", "slowed", "stopped", "day spent"])
def test_it_waits_for_its_turn_where_there_is_none_to_be_had(
    why: str, lead_for: Callable[..., Destination]
) -> None:
    destination = lead_for(1, max_per_day=1)
    if why == "older ones":
        owe(destination, 1)
    elif why == "day spent":
        DestinationState.objects.update(day=START.date(), pushed_today=1)
    elif why != "no slots":
        DestinationState.objects.update(state=why, until=START + SECOND)
    routed = route_with(slots=0 if why == "no slots" else 9)
    assert (routed.leads, routed.claims, routed.destinations) == (Lead.objects.count(), (), {destination.pk})
    assert set(states()) == {"waiting"}
    assert not Attempt.objects.exists()


@pytest.mark.django_db
def test_a_sending_that_was_there_already_is_not_leased_again(lead_for: Callable[..., Destination]) -> None:
    lead_for(2)
    [first, second] = route_with(slots=9).claims
    delivery.settle(first, DestinationFault("Wrong key."), at=START)
    delivery.settle(second, Delivered("1"), at=START)
    DestinationState.objects.update(state="working", until=None)
    Lead.objects.update(routed_at=None)  # as if its worker had died before it could say so
    Delivery.objects.filter(state="waiting").update(due_at=START + timedelta(hours=1))
    assert route_with(slots=9).claims == ()
    assert sorted(states()) == ["delivered", "waiting"]
    assert Attempt.objects.count() == 2


# --- Drains that are given work ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_leases_that_are_given_are_pushed_within_the_slots_kept_for_them(crm: Crm) -> None:
    destination = make_destination()
    owe(destination, 3)
    work = draining.Drain(destination.pk, Inline(), slots=5, clock=Clock())
    assert work.reserve() == 5
    assert work.reserve() == 0
    work.give(take(destination, START, slots=2), 5)
    assert work.run(look=False) == 2
    assert work.reserve() == 5
    work.give([], 5)
    assert work.run(look=True) == 1
    work.stop()
    assert work.reserve() == 0


@pytest.mark.django_db
def test_a_field_that_is_left_out_of_one_lead_is_not_sent(crm: Crm) -> None:
    destination = make_destination()
    first, _ = owe(destination, 2)
    Delivery.objects.filter(pk=first.pk).update(without=["title"])
    drain(destination, Clock())
    assert ["title" in record for record in crm.records] == [False, True]
