"""When to try again, as arithmetic."""

from itertools import pairwise

import pytest

from crm_sync import backoff

DAY = 86_400


@pytest.mark.parametrize(
    ("strikes", "seconds"), [(0, 15), (1, 15), (2, 30), (3, 60), (8, 1920), (9, 3600), (10_000, 3600)]
)
def test_the_longest_wait_doubles_from_fifteen_seconds_to_an_hour(strikes: int, seconds: float) -> None:
    assert backoff.ceiling(strikes) == seconds


def test_it_never_waits_less_after_more_failures() -> None:
    ceilings = [backoff.ceiling(strikes) for strikes in range(backoff.MAX_STRIKES)]
    assert all(before <= after for before, after in pairwise(ceilings))


@pytest.mark.parametrize("rolled", [0.0, 0.25, 0.999])
def test_jitter_is_full_so_that_leads_that_failed_together_do_not_come_back_together(rolled: float) -> None:
    assert backoff.wait(4, rng=lambda: rolled) == pytest.approx(120 * rolled)


def test_a_lead_is_given_up_after_about_three_days_of_tries() -> None:
    waits = range(1, backoff.MAX_STRIKES)  # the last strike is not waited after
    expected = sum(backoff.wait(strikes, rng=lambda: 0.5) for strikes in waits)
    assert 2.5 * DAY < expected < 3.5 * DAY


@pytest.mark.parametrize(("asked", "waits"), [(None, 7.5), (3.0, 7.5), (60.0, 60.0), (7200.0, 7200.0)])
def test_what_the_crm_asks_for_is_the_least_it_gets(asked: float | None, waits: float) -> None:
    assert backoff.wait(1, asked=asked, rng=lambda: 0.5) == waits
