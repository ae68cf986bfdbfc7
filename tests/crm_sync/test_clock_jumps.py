"""The clock of the machine is set a day forward or back, and right again: nothing is lost, doubled or late.

The embedded engine measures leases, waits, breakers and throttles by the machine's wall clock, which people and NTP
set. While it is wrong things may come early or late; once it is right, each wait is at most what it was.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from crm_sync import backoff, claiming, delivery, draining, routing
from crm_sync.engine import crew
from crm_sync.models import Delivery, Destination, Route, Worker
from crm_sync.outcomes import Delivered, DestinationFault, RetryLater, Throttled
from tests.crm_sync.sending import (
    Clock,
    Crm,
    drain,
    install,
    make_destination,
    make_lead,
    make_offer,
    make_route,
    state_of,
    take,
)

pytestmark = pytest.mark.django_db

FORWARD, BACK = timedelta(days=1), -timedelta(days=1)
THROTTLE = 60.0
either_way = pytest.mark.parametrize("jump", [FORWARD, BACK], ids=["forward", "back"])


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return install(monkeypatch)


@pytest.fixture
def route(crm: Crm) -> Route:
    return make_route(make_offer(), make_destination())


@pytest.fixture
def clock() -> Clock:
    return Clock()


def report(clock: Clock) -> None:
    """What a worker says every few seconds."""
    crew.notice_clock(clock())
    Worker.objects.update_or_create(name="host:1", defaults={"seen_at": clock(), "started_at": clock()})


def sweep(clock: Clock) -> None:
    """What a worker does when it looks by itself."""
    report(clock)
    routing.route_everything(clock())
    delivery.expire_leases(at=clock())
    for destination_id in draining.destinations_due(clock()):
        drain(Destination.objects.get(pk=destination_id), clock)


def states() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("state", flat=True))


def arrives_within(seconds: float, clock: Clock, crm: Crm) -> bool:
    """Whether everything is there once the wait is over: exactly once, with nobody's help."""
    for _ in range(2):  # a probe first, then the others
        clock.pass_(seconds + 1)
        sweep(clock)
    return set(states()) == {"delivered"}


# --- A lease -------------------------------------------------------------------------------------------------


@either_way
def test_a_push_whose_lease_a_jump_ended_counts_once_and_goes_again_under_the_same_key_only(
    jump: timedelta, route: Route, crm: Crm, clock: Clock
) -> None:
    make_lead(route.offer)
    routing.route_everything(clock())
    [lease] = take(route.destination, clock())
    clock.now += jump
    sweep(clock)
    assert delivery.settle(lease, Delivered("1"), at=clock()) == (
        jump == BACK
    )  # else the second try was first
    clock.now -= jump
    sweep(clock)
    assert states() == ["delivered"]
    assert set(crm.keys) <= {lease.delivery.key}
    assert len(crm.keys) == (jump == FORWARD)
    assert crm.retries == [True] * len(crm.keys)  # through the idempotent path


def test_a_lease_of_a_dead_worker_that_was_given_by_a_clock_that_was_ahead_runs_out_as_any_other(
    route: Route, crm: Crm, clock: Clock
) -> None:
    make_lead(route.offer)
    clock.now += FORWARD
    routing.route_everything(clock())
    assert take(route.destination, clock())
    report(clock)  # and the worker is gone
    clock.now -= FORWARD
    assert arrives_within(claiming.LEASE.total_seconds(), clock, crm)


# --- Waits ---------------------------------------------------------------------------------------------------


Trouble = Callable[[Crm], float]


def fails_once(crm: Crm) -> float:
    """One failure; returns how long the wait may be."""
    crm.answers = [RetryLater("Down.")]
    return backoff.ceiling(1)


def is_throttled(crm: Crm) -> float:
    crm.answers = [Throttled("Too many.", delay=THROTTLE)]
    return THROTTLE


def breaks(crm: Crm) -> float:
    """Failures enough to open the breaker."""
    crm.answers = [RetryLater("Down.") for _ in range(backoff.BREAKER_AFTER)]
    return backoff.ceiling(backoff.BREAKER_AFTER)


def refuses_our_key(crm: Crm) -> float:
    crm.answers = [DestinationFault("Wrong key.")]
    return backoff.ceiling(1)


def answers(crm: Crm) -> float:
    return 0.0


every_trouble = pytest.mark.parametrize("trouble", [answers, fails_once, is_throttled, breaks])
every_wait = pytest.mark.parametrize("trouble", [fails_once, is_throttled, breaks])


def have_trouble(trouble: Trouble, crm: Crm, route: Route, clock: Clock) -> float:
    longest = trouble(crm)
    for _ in range(max(1, len(crm.answers))):
        make_lead(route.offer, received_at=clock())
        sweep(clock)
    return longest


@every_trouble
@either_way
def test_a_wait_that_began_before_a_jump_is_over_when_it_would_have_been(
    trouble: Trouble, jump: timedelta, route: Route, crm: Crm, clock: Clock
) -> None:
    longest = have_trouble(trouble, crm, route, clock)
    clock.now += jump
    sweep(clock)
    clock.now -= jump
    assert arrives_within(longest, clock, crm)
    assert len(set(crm.keys)) == Delivery.objects.count()


@every_wait
@either_way
def test_a_wait_that_began_while_the_clock_was_wrong_is_no_longer_once_it_is_right(
    trouble: Trouble, jump: timedelta, route: Route, crm: Crm, clock: Clock
) -> None:
    clock.now += jump
    longest = have_trouble(trouble, crm, route, clock)
    clock.now -= jump
    assert arrives_within(longest, clock, crm)
    assert len(set(crm.keys)) == Delivery.objects.count()


@either_way
def test_a_lead_that_was_routed_while_the_clock_was_wrong_is_sent_once_it_is_right(
    jump: timedelta, route: Route, crm: Crm, clock: Clock
) -> None:
    make_lead(route.offer)
    clock.now += jump
    routing.route_everything(clock())
    report(clock)
    clock.now -= jump
    assert arrives_within(0, clock, crm)
    assert len(crm.keys) == 1


@either_way
def test_a_stopped_destination_is_checked_within_its_wait_once_the_clock_is_right(
    jump: timedelta, route: Route, crm: Crm, clock: Clock
) -> None:
    clock.now += jump
    have_trouble(refuses_our_key, crm, route, clock)
    assert state_of(route.destination).state == "stopped"
    clock.now -= jump
    assert arrives_within(backoff.ceiling(1), clock, crm)
