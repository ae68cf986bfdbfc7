"""Addresses of the list of leads, each showing exactly what a number counts."""

from datetime import date, datetime, timedelta

from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

COUNTED = {"kind": "counted"}  # real leads: no tests, no samples, no demo
CAME = {**COUNTED, "archived": "all"}  # those that came, whatever became of them


def leads_url(**query: str | int) -> str:
    """The list with these filters."""
    url = reverse("admin:leads_lead_changelist")
    return f"{url}?{urlencode(query)}" if query else url


def counted_url(first: date, last: date, **query: str | int) -> str:
    """The list of the real leads that came in these days, both included."""
    period = _period(first, last, timezone.localdate())
    days = {"received": period} if period else {"from": first.isoformat(), "to": last.isoformat()}
    return leads_url(**CAME, **days, **query)


def counted_between(since: datetime, until: datetime, **query: str | int) -> str:
    """The list of the real leads that came from one moment on and before another."""
    return leads_url(**CAME, **{"from": since.isoformat(), "to": until.isoformat()}, **query)


def _period(first: date, last: date, today: date) -> str:
    yesterday = today - timedelta(days=1)
    if (first, last) == (yesterday, yesterday):
        return "yesterday"
    if last != today:
        return ""
    named = {
        today: "today",
        today - timedelta(days=6): "week",
        today - timedelta(days=89): "quarter",
        today.replace(day=1): "month",
    }
    return named.get(first, "")
