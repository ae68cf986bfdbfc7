"""The numbers of Home: how many leads came, on which days, how each CRM connection does, and how long leads took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import figures
from leads.models import Offer
from leads.ports import Times, ports
from leads.wording import clip, span
from leadsite import chart
from leadsite.lead_links import counted_between, counted_url

DAYS = 30  # of the chart
LATELY = timedelta(days=7)  # over which times are taken
LABEL = 60  # characters of an offer's title in the legend


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, what it counts, and the list of what it counts."""

    number: int
    label: str
    url: str

    @property
    def said(self) -> str:
        return f"{self.number:,}"


@dataclass(frozen=True, slots=True)
class Waited:
    """How long leads waited for something: what is usual, what is slow, of how many, and the list of these.

    `median` and `slow` are in seconds.
    """

    label: str
    median: float
    slow: float
    number: int
    url: str

    @property
    def shown(self) -> tuple[str, str, str]:
        return span(self.median), span(self.slow), f"{self.number:,}"


def context(request: HttpRequest) -> dict[str, Any]:
    """For users who may see leads."""
    today = timezone.localdate()
    month, first = today.replace(day=1), today - timedelta(days=DAYS - 1)
    counts = figures.by_day(min(month, first), today)
    titles = dict(Offer.objects.filter(is_demo=False).values_list("pk", "title"))
    drawn = chart.stacked(
        {day: counts[day] for day in counts if day >= first},
        {pk: clip(title, LABEL) for pk, title in titles.items()},
        _("Other offers"),
    )
    this_month = sum(count.total() for day, count in counts.items() if day >= month)
    return {
        "figures": [
            _figure(counts[today].total(), "today", counted_url(today, today)),
            _figure(this_month, "month", counted_url(month, today)),
        ],
        "chart": drawn if drawn.total else None,
        "legend": [
            (one.number, Figure(one.total, one.label, counted_url(first, today, **_of(one, drawn.series))))
            for one in drawn.series
        ],
        "highest": _day(max(drawn.days, key=lambda day: day.total)),
        "chart_rows": [_row(day, drawn.series) for day in reversed(drawn.days)],
        "connections": [connection for source in ports.connections for connection in source(request)],
        "waited": waited(request),
    }


def _day(day: chart.Day) -> Figure:
    return Figure(day.total, day.day.isoformat(), counted_url(day.day, day.day))


def _row(day: chart.Day, series: Sequence[chart.Series]) -> tuple[str, list[Figure]]:
    """A row of the table under the chart: the leads of a day by colour, and all of them."""
    total = _day(day)
    each = [
        Figure(number, one.label, f"{total.url}&{urlencode(_of(one, series))}")
        for number, one in zip(day.counts, series, strict=True)
    ]
    return total.label, [*each, total]


def _of(one: chart.Series, series: Sequence[chart.Series]) -> dict[str, str]:
    """The offers of a colour. The others by those that they are not: there may be more than an address holds."""
    if len(one.keys) == 1:
        return {"offer__id__exact": str(one.keys[0])}
    named = [str(key) for each in series if each is not one for key in each.keys]
    return {"offer__id__exact": f"not:{','.join(named)}"}


def _figure(number: int, period: str, url: str) -> Figure:
    label = {
        "today": ngettext("lead today", "leads today", number),
        "month": ngettext("lead this month", "leads this month", number),
    }[period]
    return Figure(number, label, url)


def waited(request: HttpRequest) -> list[Waited]:
    """Of the last week's leads; nothing of what did not happen."""
    until = timezone.now()
    return times(request, until - LATELY, until)


def times(request: HttpRequest, since: datetime, until: datetime) -> list[Waited]:
    """How long the leads of a stretch of time took to reach the CRM, and their customers waited for an answer."""
    answers = figures.first_answers(since, until)
    answered = Times(answers.seconds, counted_between(answers.since, until, answer="timed"))
    found = [
        *((_("Arrival to CRM"), source(request, since, until)) for source in ports.times_to_crm),
        (_("Arrival to first answer"), answered),
    ]
    return [
        Waited(label, usual.median, usual.slow, usual.number, each.url)
        for label, each in found
        if (usual := figures.spread(each.seconds))
    ]
