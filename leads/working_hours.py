"""Pure: the first-response clock. By when a lead should be answered, how much working time has gone by, and which days
are working days.

Only the hours in which colleagues are at work count, by the clock on their wall: over a weekend it stands still, and a
day on which the clocks change is an hour shorter or longer where that hour is one of work.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

LOOKED_AHEAD = 20_000  # days; the longest clock there can be, at an hour a week, is ten years


class Hours(Protocol):
    """When colleagues are at work. `days`: "01234" is Monday to Friday; `answer_within`: hours, None for no clock."""

    @property
    def days(self) -> str: ...
    @property
    def opens(self) -> time: ...
    @property
    def closes(self) -> time: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def answer_within(self) -> int | None: ...


def due(received: datetime, hours: Hours) -> datetime | None:
    """By when a lead that came at that moment should be answered, in UTC; None where there is no clock."""
    if hours.answer_within is None:
        return None
    left = timedelta(hours=hours.answer_within)
    for opens, closes in _shifts(received, hours):
        start = max(opens, received)
        if start + left <= closes:
            return (start + left).astimezone(UTC)
        left -= max(closes - start, timedelta())
    return None  # nobody ever works


def elapsed(start: datetime, end: datetime, hours: Hours) -> timedelta:
    """How much working time lies between two moments; none where the second is the earlier one."""
    gone = timedelta()
    for opens, closes in _shifts(start, hours):
        if opens >= end:
            break
        gone += max(min(closes, end) - max(opens, start), timedelta())
    return gone


def next_day(after: date, hours: Hours) -> date:
    """The next day on which somebody works; where nobody ever does, simply the next."""
    days = [after + timedelta(days=ahead) for ahead in range(1, 8)]
    return next((day for day in days if str(day.weekday()) in hours.days), days[0])


def next_week(after: date, hours: Hours) -> date:
    """The first day of the coming week on which somebody works."""
    return next_day(after + timedelta(days=6 - after.weekday()), hours)


def _shifts(moment: datetime, hours: Hours) -> Iterator[tuple[datetime, datetime]]:
    """From the day of that moment on: when work begins and ends."""
    zone = ZoneInfo(hours.time_zone)
    today = moment.astimezone(zone).date()
    for ahead in range(LOOKED_AHEAD):
        try:
            day = today + timedelta(days=ahead)
        except OverflowError:
            return  # the calendar ends
        if str(day.weekday()) in hours.days:
            opens = _moment(day, hours.opens, zone)
            # Work that begins in the hour that is left out in spring may end before it began.
            yield opens, max(_moment(day, hours.closes, zone), opens)


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """In UTC: differences of two times in one zone would be those of the clock on the wall."""
    return datetime.combine(day, at, zone).astimezone(UTC)
