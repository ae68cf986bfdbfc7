"""The short form of `make drill-delivery`: whatever is killed or misbehaves, each lead is in the CRM exactly once."""

import pytest

from tests.drills import delivery

pytestmark = pytest.mark.e2e
ROUNDS, SEED = 3, 20261122
QUICK = {mood: rules for mood, rules in delivery.MOODS.items() if mood not in delivery.SLOW_MOODS}
# Three moods for three rounds, all of which a longer one has too.
MOODS = {
    "embedded": ("redirects", "writes and hangs up", "answers garbage"),
    "procrastinate": ("answers 10 MB", "writes and hangs up", "fails after it has written"),
}


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("embedded", marks=pytest.mark.sqlite),
        pytest.param("procrastinate", marks=pytest.mark.postgresql),
    ],
)
def test_whatever_is_killed_or_misbehaves_each_lead_is_in_the_crm_exactly_once(engine: str) -> None:
    moods = {mood: QUICK[mood] for mood in MOODS[engine]}
    report = delivery.run(engine, ROUNDS, seed=SEED, moods=moods)
    assert not report.problems, report
    assert report.rounds == ROUNDS
    assert report.outcomes["lost"]  # something was on its way when its worker was killed
    assert report.outcomes["retry_later"]
