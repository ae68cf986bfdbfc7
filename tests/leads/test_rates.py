"""The rate guards: what they let through, what they refuse, and that they stay small."""

from leads.rates import Buckets


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_at_once_and_the_next_is_told_how_long_to_wait() -> None:
    buckets = Buckets(2, 3, clock=Clock())
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_waiting_as_long_as_told_is_enough() -> None:
    clock = Clock()
    buckets = Buckets(0.5, 1, clock=clock)
    assert buckets.take("a") == 0.0
    clock.now += buckets.take("a")
    assert buckets.take("a") == 0.0


def test_being_refused_costs_nothing() -> None:
    clock = Clock()
    buckets = Buckets(1, 1, clock=clock)
    buckets.take("a")
    for _ in range(100):
        assert buckets.take("a") == 1.0
    clock.now += 1
    assert buckets.take("a") == 0.0


def test_a_long_silence_saves_up_no_more_than_one_burst() -> None:
    clock = Clock()
    buckets = Buckets(10, 3, clock=clock)
    buckets.take("a")
    clock.now += 3600
    assert [buckets.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_one_key_does_not_use_up_anothers_burst() -> None:
    buckets = Buckets(1, 1, clock=Clock())
    assert (buckets.take("a"), buckets.take("b"), buckets.take("a")) == (0.0, 0.0, 1.0)


def test_a_flood_of_keys_costs_bounded_memory_and_keeps_the_busiest() -> None:
    buckets = Buckets(1, 1, size=10, clock=Clock())
    buckets.take("busy")
    for number in range(1000):
        buckets.take(number)
        assert buckets.take("busy") > 0
    assert len(buckets._levels) == 10


def test_five_hundred_leads_at_once_are_within_the_usual_rate() -> None:
    from leads.views import BURST_SECONDS

    buckets = Buckets(50, 50 * BURST_SECONDS, clock=Clock())
    assert not any(buckets.take("endpoint") for _ in range(500))
