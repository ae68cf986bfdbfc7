"""What time it is at a customer's: by phone number, by country, in one zone or in several."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from leads import local_time
from leads.admin.person import clocks
from leads.countries import _names

WINTER, SUMMER = datetime(2026, 11, 27, 12, 0, tzinfo=UTC), datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
BERLIN, KOLKATA, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")


def said(phone: str, country: str, now: datetime, mine: ZoneInfo) -> str:
    found = local_time.there(phone, country, now)
    return clocks(found, now.astimezone(mine)).replace("\u00a0", " ") if found else ""


@pytest.mark.parametrize(
    ("phone", "country", "now", "mine", "words"),
    [
        ("", "GB", WINTER, BERLIN, "12:00 there, Friday; you are 1 h ahead"),
        ("", "GB", SUMMER, BERLIN, "13:00 there, Wednesday; you are 1 h ahead"),
        ("", "DE", WINTER, BERLIN, "13:00 there, Friday; the same time as yours"),
        ("", "JP", WINTER, BERLIN, "21:00 there, Friday; you are 8 h behind"),
        ("", "IN", WINTER, BERLIN, "17:30 there, Friday; you are 4 h 30 min behind"),
        ("", "FR", WINTER, KOLKATA, "13:00 there, Friday; you are 4 h 30 min ahead"),
        ("+81312345678", "", WINTER, BERLIN, "21:00 there, Friday; you are 8 h behind"),
        # The phone rings where it is, whatever the form said.
        ("+442079460000", "JP", WINTER, BERLIN, "12:00 there, Friday; you are 1 h ahead"),
        # Several zones: a range, and the days where midnight lies between.
        (
            "+14255550134",
            "US",
            WINTER,
            BERLIN,
            "02:00 to 07:00 there, Friday: no office hours now; you are 6 h to 11 h ahead",
        ),
        (
            "",
            "US",
            WINTER,
            NEW_YORK,
            "02:00 to 07:00 there, Friday: no office hours now; you are up to 5 h ahead",
        ),
        (
            "",
            "US",
            WINTER.replace(hour=7),
            BERLIN,
            "21:00 on Thursday to 02:00 on Friday there: no office hours now; you are 6 h to 11 h ahead",
        ),
        (
            "",
            "AU",
            WINTER,
            BERLIN,
            "20:00 to 23:00 there, Friday: no office hours now; you are 7 h to 10 h behind",
        ),
        (
            "",
            "BR",
            WINTER,
            BERLIN,
            "07:00 to 10:00 there, Friday: office hours in part of it; you are 3 h to 6 h ahead",
        ),
        (
            "",
            "BR",
            WINTER.replace(hour=15),
            BERLIN,
            "10:00 to 13:00 there, Friday: office hours; you are 3 h to 6 h ahead",
        ),
        (
            "",
            "BR",
            WINTER.replace(day=28, hour=15),
            BERLIN,
            "10:00 to 13:00 there, Saturday: no office hours now; you are 3 h to 6 h ahead",
        ),
        (
            "",
            "RU",
            WINTER,
            ZoneInfo("Asia/Dubai"),
            "14:00 on Friday to 00:00 on Saturday there: office hours in part of it; you are between 8 h behind and 2 h ahead",
        ),
        # Nowhere.
        ("", "", WINTER, BERLIN, ""),
        ("", "ZZ", WINTER, BERLIN, ""),
        ("rubbish", "", WINTER, BERLIN, ""),
        ("+80012345678", "", WINTER, BERLIN, ""),
    ],
)
def test_what_their_clock_shows(phone: str, country: str, now: datetime, mine: ZoneInfo, words: str) -> None:
    assert said(phone, country, now, mine) == words


def test_every_country_has_a_time_or_says_nothing() -> None:
    for code in _names():
        found = local_time.there("", code, WINTER)
        assert found is None or found.earliest == found.latest == WINTER, "one moment, on different clocks"


def test_a_clock_is_ahead_of_the_western_end_by_more_than_of_the_eastern() -> None:
    found = local_time.there("", "US", WINTER)
    assert found
    assert local_time.ahead(found, WINTER) == (timedelta(hours=5), timedelta(hours=10))
