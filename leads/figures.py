"""How many leads came, and how long they waited: numbers for Home and the reports.

Microsoft's tests, samples and the demo are in none of them. Each question reads a stretch of time by an index, or at
most so many rows, so that it costs the same with a million older leads.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from math import ceil
from typing import Any

from django.db.models import Count, IntegerField, Q, QuerySet, TextField, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Left
from django.utils import timezone

from leads.lead_source import source_key, source_label
from leads.models import Lead, LeadQuerySet, Offer

MOST_TIMES = 1_000  # leads whose waiting is looked at: more would not move the middle
MOST_DAYS = 366
TOLD_APART = 200  # characters by which what strangers made up is told apart: it may be as long as a body


@dataclass(frozen=True, slots=True)
class Spread:
    """What is usual of a number of spans, in seconds: half are at most the median, 95 of 100 at most `slow`."""

    number: int
    median: float
    slow: float


def spread(seconds: Iterable[float]) -> Spread | None:
    """None of none. Percentiles by nearest rank: each is a span that happened."""
    found = sorted(seconds)
    if not found:
        return None
    median, slow = (found[ceil(len(found) * share) - 1] for share in (0.5, 0.95))
    return Spread(len(found), median, slow)


@dataclass(frozen=True, slots=True)
class Measured:
    """Spans in seconds, one for each of what there was since a moment: later than asked for, where there was more."""

    seconds: Sequence[float]
    since: datetime


def measured(rows: Iterable[tuple[datetime, datetime, datetime]], since: datetime) -> Measured:
    """Of at most MOST_TIMES rows, the newest first: by what they are in order, and when each span began and ended."""
    found = list(rows)
    seconds = [(ended - began).total_seconds() for _at, began, ended in found]
    return Measured(seconds, found[-1][0] if len(found) == MOST_TIMES else since)


def midnight_of(day: date) -> datetime:
    """When a day begins, in the time zone of the screen."""
    return datetime.combine(day, time_of_day.min, timezone.get_current_timezone())


def real() -> LeadQuerySet:
    """What `Lead.objects.counted()` finds, without a look at each lead's offer."""
    demo = list(Offer.objects.filter(is_demo=True).values_list("pk", flat=True))
    leads = Lead.objects.filter(is_test=False, is_sample=False).order_by()
    return leads.exclude(offer__in=demo) if demo else leads


def by_day(first: date, last: date) -> dict[date, Counter[int]]:
    """How many leads came on each of these days, by the id of their offer.

    Where there are so many that counting takes long, the days before the last may be some minutes old.
    """
    days = [first + timedelta(days=number) for number in range(min((last - first).days + 1, MOST_DAYS))]
    key = (midnight_of(days[0]), midnight_of(days[-1]))
    remembered = _remembered.get(key)
    if remembered and time.monotonic() < remembered[0]:
        return {**remembered[1], **_by_day(days[-1:])}
    counts = _by_day(days)
    if sum(count.total() for count in counts.values()) >= MANY:
        _remembered.clear()
        _remembered[key] = time.monotonic() + REMEMBERED, counts
    return counts


MANY = 20_000  # leads that take a tenth of a second to count
REMEMBERED = 300.0  # seconds
_remembered: dict[Any, tuple[float, dict[date, Counter[int]]]] = {}


def _by_day(days: Sequence[date]) -> dict[date, Counter[int]]:
    leads = real()
    # A question for each day, all asked at once: SQLite would take a second to find the days of 100,000 times.
    each: list[QuerySet[Lead, Any]] = [
        leads.filter(received_at__gte=midnight_of(day), received_at__lt=midnight_of(day + timedelta(days=1)))
        .values("offer_id")
        .annotate(number=Count("pk"), day=Value(number, output_field=IntegerField()))
        for number, day in enumerate(days)
    ]
    counts: dict[date, Counter[int]] = {day: Counter() for day in days}
    for row in each[0].union(*each[1:], all=True) if each[1:] else each[0]:
        counts[days[row["day"]]][row["offer_id"]] = row["number"]
    return counts


def first_answers(since: datetime, until: datetime) -> Measured:
    """How long customers waited for their first answer: of the last leads that were answered here."""
    answered = real().answered_here().filter(received_at__gte=since, received_at__lt=until)
    rows: Any = answered.order_by("-received_at").values_list("received_at", "received_at", "answered_at")
    return measured(rows[:MOST_TIMES], since)


# --- Of a report ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """The leads of a stretch of time, by what is known of them.

    `since`: the time from which on they were counted, later than was asked for where there were too many; `repeats`:
    those of customers who had sent a lead before.
    """

    since: datetime
    is_cut: bool
    leads: int
    repeats: int
    offers: Counter[int]
    sources: Counter[str]  # by the label of a known one, else as they begin
    actions: Counter[str]  # as they begin
    countries: Counter[str]  # "" where it is not known
    campaigns: Counter[str]  # the largest, as they begin


MOST_CAMPAIGNS = 20
CAMPAIGN = "utm_campaign"


def tally(since: datetime, until: datetime, most: int) -> Tally:
    """Count them; only the newest `most` where there are more. Two questions, each of one pass."""
    leads = real().filter(received_at__gte=since, received_at__lt=until)
    beyond = leads.order_by("-received_at").values_list("received_at", flat=True)[most : most + 1]
    if cut := next(iter(beyond), None):
        since = cut + timedelta.resolution
        leads = leads.filter(received_at__gte=since)
    again = Q(grouped_by__in=Lead.AGAIN)
    rows = list(
        leads.values_list(
            "offer_id", beginning_of("source"), beginning_of("action"), "tidy_country"
        ).annotate(number=Count("pk"), repeats=Count("pk", filter=again))
    )
    return Tally(
        since=since,
        is_cut=cut is not None,
        leads=sum(row[4] for row in rows),
        repeats=sum(row[5] for row in rows),
        offers=_sums((row[0], row[4]) for row in rows),
        sources=_sums((_source(row[1]), row[4]) for row in rows),
        actions=_sums((row[2], row[4]) for row in rows),
        countries=_sums((row[3], row[4]) for row in rows),
        campaigns=_campaigns(leads),
    )


def _source(beginning: str) -> str:
    return source_label(beginning) if source_key(beginning) else beginning


def _sums(pairs: Iterable[tuple[Any, int]]) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for name, number in pairs:
        found[name] += number
    return found


def _campaigns(leads: QuerySet[Lead]) -> Counter[str]:
    named = leads.annotate(name=campaign_name()).exclude(name="")
    rows = named.values_list("name").annotate(number=Count("pk")).order_by("-number", "name")
    return Counter(dict(rows[:MOST_CAMPAIGNS]))


# What the list of leads is narrowed by, too.


def beginning_of(column: str) -> Left:
    """What strangers made up, as far as it is told apart from others."""
    return Left(column, TOLD_APART)


def campaign_name() -> Left:
    """The campaign of a lead; "" where it names none."""
    named = Coalesce(KT(f"campaign__{CAMPAIGN}"), Value(""), output_field=TextField())
    return Left(named, TOLD_APART)
