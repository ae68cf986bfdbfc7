"""The states of a delivery, walked at random: whatever happens in whatever order, these laws hold."""

from datetime import datetime
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crm_sync import backoff, by_hand, delivery, health, publishing, pushing, routing
from crm_sync.mapping import RowProblem, Rule
from crm_sync.models import Attempt, Delivery, DestinationState
from crm_sync.outcomes import Delivered, DestinationFault, Rejected, RetryLater, Throttled
from leads.models import Lead
from tests.crm_sync.sending import (
    Clock,
    Crm,
    install,
    make_destination,
    make_lead,
    make_offer,
    make_route,
    take,
)

SLOTS = 3
SETTLED = {"delivered", "rejected", "cancelled"}
RESULTS: tuple[delivery.Result, ...] = (
    Delivered("1"),
    Delivered("1", existed=True),
    Rejected("Bad."),
    Rejected("No such field.", field="title"),
    Rejected("No such owner.", field="owner"),
    RetryLater("Down."),
    RetryLater("Silent.", uncertain=True),
    RetryLater("Busy.", delay=600),
    Throttled("Too many.", delay=60),
    Throttled("Too many."),
    DestinationFault("Wrong key."),
    pushing.Unmappable([RowProblem(0, "title", "Too long.")]),
    pushing.Crashed("Traceback"),
)
some = st.integers(0, 99)  # which of those there are


class Sendings(RuleBasedStateMachine):
    """Two routes to one destination, and everything that workers, people and time may do to them."""

    crm: Crm

    @initialize(needs_approval=st.booleans())
    def begin(self, needs_approval: bool) -> None:
        self.sandbox = transaction.atomic()
        self.sandbox.__enter__()
        self.clock = Clock()
        self.destination = make_destination(self.crm.spec.slug, max_in_flight=SLOTS)
        offer = make_offer()
        self.routes = [
            make_route(offer, self.destination),
            make_route(make_offer(), self.destination, needs_approval=needs_approval),
        ]
        for which in range(6):
            self.a_lead_arrives(which, "INS")
        routing.route_everything(self.clock())
        self.claims: list[pushing.Claim] = []
        self.arrived: set[int] = set()
        self.routed: dict[Any, datetime] = {}

    def teardown(self) -> None:
        if hasattr(self, "sandbox"):
            try:
                self.all_come_home()
            finally:
                transaction.set_rollback(True)
                self.sandbox.__exit__(None, None, None)

    @property
    def health(self) -> DestinationState:
        return DestinationState.objects.get(pk=self.destination.pk)

    # What arrives

    @rule(which=some, action=st.sampled_from(["INS", "DNC"]))
    def a_lead_arrives(self, which: int, action: str) -> None:
        # Each at a time of its own: the order of two at once would be chance, and no failure could be replayed.
        make_lead(self.routes[which % 2].offer, action=action, received_at=self.clock.pass_(0.001))

    @rule()
    def a_worker_routes(self) -> None:
        routing.route_waiting(self.clock())

    # What workers do

    @rule(slots=st.integers(1, 5))
    def a_worker_claims(self, slots: int) -> None:
        before = self.health
        shut = before.state in ("paused", "stopped") or bool(before.until and before.until > self.clock())
        claims = take(self.destination, self.clock(), slots)
        assert not (shut and claims)
        assert len(claims) <= (slots if before.state == "working" else 1)
        self.claims += claims

    @precondition(lambda self: self.claims)
    @rule(which=some, result=st.sampled_from(RESULTS))
    def a_worker_settles(self, which: int, result: delivery.Result) -> None:
        """In time, late or a second time."""
        claim = self.claims[which % len(self.claims)]
        before = Delivery.objects.filter(pk=claim.delivery.pk).values().get()
        health = DestinationState.objects.filter(pk=self.destination.pk).values().get()
        moved = delivery.settle(claim, result, at=self.clock())
        after = Delivery.objects.filter(pk=claim.delivery.pk).values().get()
        assert moved == (before["lease_token"] == claim.token or self.is_news(before, result))
        if not moved:
            assert after == before
            assert DestinationState.objects.filter(pk=self.destination.pk).values().get() == health
        if isinstance(result, Delivered):
            assert after["state"] == "delivered"
        assert after["strikes"] - before["strikes"] in (0, 1)
        if health["state"] != "working" and not isinstance(result, pushing.Interrupted):
            assert after["strikes"] == before["strikes"]

    @staticmethod
    def is_news(before: dict[str, Any], result: delivery.Result) -> bool:
        return isinstance(result, Delivered) and before["state"] != "delivered"

    @precondition(lambda self: self.claims)
    @rule(which=some)
    def a_worker_dies(self, which: int) -> None:
        self.claims.pop(which % len(self.claims))

    @rule(everything=st.booleans())
    def a_worker_takes_back_what_others_left(self, everything: bool) -> None:
        delivery.expire_leases(at=self.clock(), everything=everything)
        assert not Delivery.objects.lost(self.clock()).exists()

    @rule(healthy=st.booleans())
    def the_connection_is_tested(self, healthy: bool) -> None:
        self.crm.healthy = healthy
        before = self.health.state
        health.check(self.destination, at=self.clock())
        expected = {("stopped", True): "slowed"}.get((before, healthy), before)
        assert self.health.state == expected

    # What people do

    @precondition(lambda self: Delivery.objects.exists())
    @rule(which=some, verb=st.sampled_from([by_hand.retry, by_hand.cancel, by_hand.push_again]))
    def a_person_decides(self, which: int, verb: Any) -> None:
        keys = list(Delivery.objects.order_by("pk").values_list("pk", flat=True))
        verb([keys[which % len(keys)]], at=self.clock())

    @rule()
    def a_person_pauses(self) -> None:
        health.pause(self.destination, None, at=self.clock())

    @rule()
    def a_person_resumes(self) -> None:
        health.resume(self.destination, at=self.clock())

    @rule(which=some, field=st.sampled_from(["title", "last_name"]))
    def a_person_publishes(self, which: int, field: str) -> None:
        route = self.routes[which % 2]
        publishing.publish_rules(route, [Rule(field, "omit")], self.clock())

    @rule(seconds=st.sampled_from([1, 20, 91, 1800, 7200]))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    # What holds all the time

    @invariant()
    def no_more_are_in_flight_than_the_destination_takes(self) -> None:
        assert Delivery.objects.in_flight(self.clock()).count() <= SLOTS

    @invariant()
    def each_delivery_is_in_one_state_and_looks_it(self) -> None:
        for row in Delivery.objects.all():
            assert bool(row.held_reason) == (row.state == "held")
            assert bool(row.lease_token) == bool(row.lease_expires_at) == (row.state == "leased")
            assert bool(row.settled_at) == (row.state in SETTLED)
            assert row.strikes < backoff.MAX_STRIKES or row.held_reason == "gave_up"

    @invariant()
    def each_try_is_open_just_as_long_as_its_lease(self) -> None:
        leases = set(Delivery.objects.filter(state="leased").values_list("lease_token", flat=True))
        assert set(Attempt.objects.filter(finished_at=None).values_list("token", flat=True)) == leases
        assert not Attempt.objects.exclude(finished_at=None).filter(outcome="").exists()

    @invariant()
    def each_try_is_counted(self) -> None:
        for row in Delivery.objects.prefetch_related("attempts"):
            numbers = [attempt.number for attempt in row.attempts.all()]
            assert numbers == list(range(1, row.tries + 1))

    @invariant()
    def what_arrived_stays_there_and_goes_again_only_as_a_repeat(self) -> None:
        there = set(Delivery.objects.filter(state="delivered").values_list("pk", flat=True))
        pushed_again = Delivery.objects.filter(pk__in=self.arrived - there)
        assert set(pushed_again.values_list("uncertain", flat=True)) <= {True}
        assert not pushed_again.filter(state="cancelled").exists()
        assert self.crm.spec.idempotent_by or not pushed_again
        self.arrived |= there

    @invariant()
    def a_lead_is_routed_once(self) -> None:
        routed = dict(Lead.objects.exclude(routed_at=None).values_list("pk", "routed_at"))
        assert self.routed.items() <= routed.items()
        assert Delivery.objects.count() == len(routed)
        self.routed = routed

    # And in the end

    def all_come_home(self) -> None:
        """Nothing is ever lost: what nobody cancelled can still be sent."""
        routing.route_everything(self.clock())
        delivery.expire_leases(at=self.clock(), everything=True)
        assert not Attempt.objects.filter(finished_at=None).exists()
        health.resume(self.destination, at=self.clock())
        by_hand.retry(list(Delivery.objects.values_list("pk", flat=True)), at=self.clock())
        while claims := take(self.destination, self.clock(), SLOTS):
            for claim in claims:
                delivery.settle(claim, Delivered("1"), at=self.clock())
        assert set(Delivery.objects.values_list("state", flat=True)) <= {"delivered", "cancelled"}


@pytest.mark.django_db
@pytest.mark.parametrize("idempotent", [True, False])
def test_every_way_through_the_states_keeps_the_laws(
    idempotent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wait in (backoff.wait, backoff.probe):
        monkeypatch.setattr(wait, "__kwdefaults__", {"asked": None, "rng": lambda: 0.5})
    monkeypatch.setattr(Sendings, "crm", install(monkeypatch, idempotent=idempotent), raising=False)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Sendings,
        settings=settings(
            max_examples=10,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
