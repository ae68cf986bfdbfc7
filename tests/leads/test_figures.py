"""Figures: counts by day in the zone of the screen, and what is usual of spans of time."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from leads import figures
from leads.figures import Spread, spread
from leads.models import Lead, Offer, Submission
from tests.staff import body, lead_of, make_offer, post

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        ([], None),
        ([3], Spread(1, 3, 3)),
        ([3, 1, 2], Spread(3, 2, 3)),
        (range(1, 101), Spread(100, 50, 95)),
        ([1] * 99 + [86_400], Spread(100, 1, 1)),
    ],
)
def test_a_spread_names_spans_that_happened(seconds: list[float], found: Spread | None) -> None:
    assert spread(seconds) == found


@pytest.mark.django_db
def test_days_begin_at_midnight_where_the_reader_is() -> None:
    offer = make_offer()
    # In Berlin the clock goes back on 25 October: that day has 25 hours.
    for number, moment in enumerate(
        ("2026-10-24T21:59", "2026-10-24T22:00", "2026-10-25T22:59", "2026-10-25T23:00")
    ):
        post(offer, body({"FirstName": str(number)}), at=datetime.fromisoformat(f"{moment}+00:00"))
    days = [date(2026, 10, 24), date(2026, 10, 25), date(2026, 10, 26)]
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert [figures.by_day(days[0], days[2])[day][offer.pk] for day in days] == [1, 2, 1]
    with timezone.override(UTC):
        assert [figures.by_day(days[0], days[2])[day][offer.pk] for day in days] == [2, 2, 0]


@pytest.mark.django_db
def test_tests_samples_and_the_demo_are_in_no_figure() -> None:
    offer, demo = make_offer(), make_offer("demo", is_demo=True)
    post(offer, at=NOW)
    post(demo, at=NOW)
    post(offer, body({"FirstName": "MSFT_TEST_1"}), at=NOW)
    post(offer, body({"FirstName": "Sample"}), origin=Submission.Origin.SAMPLE, at=NOW)
    assert figures.by_day(NOW.date(), NOW.date()) == {NOW.date(): Counter({offer.pk: 1})}
    found = figures.tally(NOW - timedelta(days=1), NOW + timedelta(days=1), 100)
    assert (found.leads, found.offers) == (1, Counter({offer.pk: 1}))


@pytest.mark.django_db
def test_where_counting_takes_long_only_the_last_day_is_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_remembered", {})
    offer, first = make_offer(), NOW.date() - timedelta(days=1)

    def counts() -> list[int]:
        return [day.total() for day in figures.by_day(first, NOW.date()).values()]

    def leads_come(name: str) -> None:
        for at in (NOW - timedelta(days=1), NOW):
            post(offer, body({"FirstName": name}), at=at)

    leads_come("One")
    assert counts() == [1, 1]
    monkeypatch.setattr(figures, "MANY", 4)
    leads_come("Two")
    assert counts() == [2, 2], "few are counted each time"
    leads_come("Three")
    assert counts() == [2, 3]
    monkeypatch.setattr(figures.time, "monotonic", lambda: 1e12)
    assert counts() == [3, 3]


@pytest.mark.django_db
def test_a_report_counts_each_lead_once_in_each_table() -> None:
    backup, archive = make_offer(), make_offer("archive")
    said = '{"utm_campaign": "spring24"}'
    post(backup, body(Description=said), at=NOW)
    post(backup, body(LeadSource="SPZA-PLT|x.y", Description=said, Extra="1"), at=NOW)
    post(archive, body(LeadSource="AzureMarketplace-INS|x.y", ActionCode="INS"), at=NOW)
    Lead.objects.filter(offer=archive).update(tidy_country="DE", grouped_by=Lead.GroupedBy.EMAIL)
    found = figures.tally(NOW - timedelta(days=1), NOW + timedelta(days=1), 100)
    assert (found.leads, found.repeats, found.is_cut) == (3, 1, False)
    assert found.offers == Counter({backup.pk: 2, archive.pk: 1})
    assert found.sources == Counter({"AppSource": 2, "Azure Marketplace": 1})
    assert found.actions == Counter({"PLT": 2, "INS": 1})
    assert found.countries == Counter({"": 2, "DE": 1})
    assert found.campaigns == Counter({"spring24": 2})


@pytest.mark.django_db
def test_of_too_many_leads_the_newest_are_counted_and_that_is_said() -> None:
    offer = make_offer()
    for day in range(5):
        post(offer, body({"FirstName": str(day)}), at=NOW - timedelta(days=day))
    found = figures.tally(NOW - timedelta(days=30), NOW + timedelta(days=1), 3)
    assert (found.leads, found.is_cut) == (3, True)
    assert found.since == NOW - timedelta(days=3) + timedelta.resolution
    assert not figures.tally(NOW - timedelta(days=30), NOW + timedelta(days=1), 5).is_cut


@pytest.mark.django_db
def test_first_answers_are_those_of_leads_that_are_worked_on_here() -> None:
    here, crm = make_offer(), make_offer("crm", worked_in=Offer.WorkedIn.CRM)
    for offer, origin in (
        (here, Submission.Origin.ENDPOINT),
        (crm, Submission.Origin.ENDPOINT),
        (here, Submission.Origin.IMPORT),
    ):
        lead = lead_of(post(offer, body({"FirstName": f"{offer} {origin}"}), origin=origin, at=NOW))
        lead.answered_at = NOW + timedelta(hours=3)
        lead.save()
    post(here, body({"FirstName": "Waits"}), at=NOW)
    assert figures.first_answers(NOW, NOW + timedelta(days=1)) == figures.Measured([3 * 3600], NOW)
    assert figures.first_answers(NOW - timedelta(days=1), NOW).seconds == []


def test_of_too_many_spans_it_is_told_since_when_they_were_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST_TIMES", 2)
    began = NOW - timedelta(days=1)
    rows = [(began + timedelta(hours=number), began, NOW) for number in (2, 1)]
    assert figures.measured(rows, began) == figures.Measured([86_400, 86_400], began + timedelta(hours=1))
    assert figures.measured(rows[:1], began) == figures.Measured([86_400], began)
