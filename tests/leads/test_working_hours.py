"""The first-response clock: it runs while colleagues are at work, wherever that is and whatever the clocks do."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.working_hours import due, elapsed, next_day, next_week


@dataclass(frozen=True)
class At:
    """Hours of work, by default 9 to 17 from Monday to Friday in Berlin, and a clock of 8 hours."""

    days: str = "01234"
    opens: time = time(9)
    closes: time = time(17)
    time_zone: str = "Europe/Berlin"
    answer_within: int | None = 8


def at(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("received", "hours", "expected"),
    [
        pytest.param("2026-11-25 09:00", At(), "2026-11-25 17:00", id="a whole day ends when work does"),
        pytest.param(
            "2026-11-25 11:30", At(), "2026-11-26 11:30", id="what is left goes over to the next day"
        ),
        pytest.param("2026-11-25 06:00", At(), "2026-11-25 17:00", id="before work: from its beginning"),
        pytest.param("2026-11-25 22:00", At(), "2026-11-26 17:00", id="after work: from the next morning"),
        pytest.param("2026-11-27 16:00", At(), "2026-11-30 16:00", id="over a weekend"),
        pytest.param("2026-11-28 12:00", At(answer_within=1), "2026-11-30 10:00", id="on a Saturday"),
        pytest.param(
            "2026-11-28 12:00", At(days="5", answer_within=6), "2026-12-05 10:00", id="Saturdays only"
        ),
        pytest.param("2026-11-25 09:00", At(answer_within=40), "2026-12-01 17:00", id="a working week"),
        # Clocks change on Sundays: who works through the night to one has an hour less, or more.
        pytest.param(
            "2026-03-29 00:00", At("6", time(0), time(6), answer_within=5), "2026-03-29 06:00", id="spring"
        ),
        pytest.param(
            "2026-10-25 00:00", At("6", time(0), time(6), answer_within=5), "2026-10-25 04:00", id="autumn"
        ),
        pytest.param("2026-03-27 16:00", At(answer_within=2), "2026-03-30 10:00", id="the weekend of spring"),
    ],
)
def test_a_lead_is_due_when_the_hours_of_work_are_used_up(received: str, hours: At, expected: str) -> None:
    assert due(at(received), hours) == at(expected)


def test_the_hours_are_those_of_the_zone_they_are_worked_in() -> None:
    received = datetime(2026, 11, 25, 20, tzinfo=UTC)  # noon in Seattle, after work in Berlin
    assert due(received, At(answer_within=2, time_zone="America/Los_Angeles")) == datetime(
        2026, 11, 25, 22, tzinfo=UTC
    )
    assert due(received, At(answer_within=2)) == datetime(2026, 11, 26, 10, tzinfo=UTC)


@pytest.mark.parametrize("hours", [At(answer_within=None), At(days="")])
def test_without_a_clock_or_a_day_of_work_nothing_is_ever_due(hours: At) -> None:
    assert due(at("2026-11-25 09:00"), hours) is None


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-25 09:00", "2026-11-25 09:30", timedelta(minutes=30)),
        ("2026-11-25 08:00", "2026-11-25 18:00", timedelta(hours=8)),
        ("2026-11-27 16:00", "2026-11-30 10:00", timedelta(hours=2)),
        ("2026-11-28 00:00", "2026-11-29 23:00", timedelta()),
        ("2026-11-25 12:00", "2026-11-25 11:00", timedelta()),
    ],
)
def test_time_goes_by_only_while_somebody_works(start: str, end: str, expected: timedelta) -> None:
    assert elapsed(at(start), at(end), At()) == expected


@pytest.mark.parametrize(
    ("today", "days", "tomorrow", "week"),
    [
        ("2026-11-25", "01234", "2026-11-26", "2026-11-30"),
        ("2026-11-27", "01234", "2026-11-30", "2026-11-30"),
        ("2026-11-29", "01234", "2026-11-30", "2026-11-30"),
        ("2026-11-30", "124", "2026-12-01", "2026-12-08"),
        ("2026-11-28", "6", "2026-11-29", "2026-12-06"),
        ("2026-11-28", "", "2026-11-29", "2026-11-30"),
    ],
)
def test_reminders_fall_on_working_days(today: str, days: str, tomorrow: str, week: str) -> None:
    hours, day = At(days=days), datetime.fromisoformat(today).date()
    assert str(next_day(day, hours)) == tomorrow
    assert str(next_week(day, hours)) == week


# For any hours, zone and moment

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "UTC",
)
moments = st.integers(1_262_304_000, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@st.composite
def any_hours(draw: st.DrawFn) -> At:
    minutes = st.integers(0, 24 * 60 - 1)
    opens, closes = sorted(
        draw(st.tuples(minutes, minutes).filter(lambda pair: abs(pair[0] - pair[1]) >= 30))
    )
    return At(
        days="".join(sorted(draw(st.sets(st.sampled_from("0123456"), min_size=1)))),
        opens=time(*divmod(opens, 60)),
        closes=time(*divmod(closes, 60)),
        time_zone=draw(st.sampled_from(ZONES)),
        answer_within=draw(st.integers(1, 24)),
    )


@given(any_hours(), moments)
def test_what_is_due_lies_exactly_its_working_hours_away(hours: At, received: datetime) -> None:
    moment = due(received, hours)
    assert moment is not None
    assert elapsed(received, moment, hours) == timedelta(hours=hours.answer_within or 0)
    local = moment.astimezone(ZoneInfo(hours.time_zone))
    assert str(local.weekday()) in hours.days


@given(any_hours(), moments, st.timedeltas(timedelta(), timedelta(days=20)))
def test_who_came_later_is_due_no_sooner(hours: At, received: datetime, later: timedelta) -> None:
    first, second = due(received, hours), due(received + later, hours)
    assert first is not None
    assert second is not None
    assert first <= second


@given(any_hours(), moments, st.lists(st.timedeltas(timedelta(), timedelta(days=20)), min_size=2, max_size=2))
def test_working_time_adds_up(hours: At, start: datetime, ahead: list[timedelta]) -> None:
    middle = start + ahead[0]
    end = middle + ahead[1]
    whole = elapsed(start, end, hours)
    assert elapsed(start, middle, hours) + elapsed(middle, end, hours) == whole
    assert timedelta() <= whole <= end - start
