"""Pure: what time it is where a customer sits, so that nobody is called in the middle of the night.

Where that is, the phone number says, else the country. A country of several time zones gives the earliest and the
latest of its times, and in how much of it people are at work: which of them is the customer's, nobody said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from zoneinfo import ZoneInfo

import phonenumbers
from babel.core import get_global

OPENS, CLOSES = 9, 17  # office hours, where nobody has said other ones; Monday to Friday


class AtWork(Enum):
    """In how many of a country's time zones it is office hours."""

    EVERYWHERE = "everywhere"
    SOMEWHERE = "somewhere"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class There:
    """The time in a country, by its ISO 3166 code: one moment, as its westernmost and its easternmost clock show it."""

    country: str
    earliest: datetime
    latest: datetime
    at_work: AtWork

    @property
    def is_one_time(self) -> bool:
        return self.earliest.utcoffset() == self.latest.utcoffset()


def there(phone: str, country: str, now: datetime) -> There | None:
    """The time for a phone number in E.164 and a country's alpha-2 code, each "" where unknown; None for nowhere."""
    for code in (region(phone), country):
        times = sorted((now.astimezone(zone) for zone in _zones(code)), key=_offset)
        if times:
            return There(code, times[0], times[-1], _at_work(times))
    return None


def _at_work(times: Sequence[datetime]) -> AtWork:
    found = {time.weekday() < 5 and OPENS <= time.hour < CLOSES for time in times}
    if len(found) > 1:
        return AtWork.SOMEWHERE
    return AtWork.EVERYWHERE if found == {True} else AtWork.NOWHERE


def region(phone: str) -> str:
    """The country that an E.164 number belongs to; "" for one of no country, such as a satellite's."""
    try:
        code = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return ""
    return code or ""


def ahead(found: There, mine: datetime) -> tuple[timedelta, timedelta]:
    """By how much a clock that shows `mine` is ahead of theirs, at least and at most; negative where it is behind."""
    return _offset(mine) - _offset(found.latest), _offset(mine) - _offset(found.earliest)


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


@cache
def _zones(code: str) -> tuple[ZoneInfo, ...]:
    """The time zones of a country. CLDR has some for 001 and ZZ too, the world and nowhere."""
    if len(code) != 2 or code == "ZZ":
        return ()
    return tuple(map(ZoneInfo, get_global("territory_zones").get(code, ())))
