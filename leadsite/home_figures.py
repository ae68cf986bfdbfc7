"""The numbers of Home: how many leads came, on which days, how each CRM connection does, and how long leads took."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import figures
from leads.models import Offer
from leads.ports import ports
from leads.wording import clip, span
from leadsite import chart
from leadsite.lead_links import counted_url

DAYS = 30  # of the chart
LATELY = timedelta(days=7)  # over which times are taken
LABEL = 60  # characters of an offer's title in the legend


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, what it counts, and the list of what it counts."""

    number: int
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Waited:
    """How long leads waited for something: what is usual, and what is slow."""

    label: str
    median: str
    slow: str
    number: int


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
            (one, counted_url(first, today, offer__id__exact=one.key) if one.key else "")
            for one in drawn.series
        ],
        "chart_rows": [(day, counted_url(day.day, day.day)) for day in reversed(drawn.days)],
        "connections": [connection for source in ports.connections for connection in source(request)],
        "waited": waited(),
    }


def _figure(number: int, period: str, url: str) -> Figure:
    label = {
        "today": ngettext("lead today", "leads today", number),
        "month": ngettext("lead this month", "leads this month", number),
    }[period]
    return Figure(number, label, url)


def waited() -> list[Waited]:
    """Of the last week's leads; nothing of what did not happen."""
    until = timezone.now()
    since = until - LATELY
    return times(since, until)


def times(since: Any, until: Any) -> list[Waited]:
    """How long the leads of a stretch of time took to reach the CRM, and their customers waited for an answer."""
    to_crm = [seconds for source in ports.times_to_crm for seconds in source(since, until)]
    spans = {
        _("Arrival to CRM"): figures.spread(to_crm),
        _("Arrival to first answer"): figures.spread(figures.first_answers(since, until)),
    }
    return [
        Waited(label, span(found.median), span(found.slow), found.number)
        for label, found in spans.items()
        if found is not None
    ]
