"""What is wrong with the intake: requests that were refused although a lead may have been in them."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, OuterRef, Subquery, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import spool
from leads.models import Endpoint, Refusal
from leads.ports import Notice
from leads.wording import ago, clip, clock

Reason = Refusal.Reason
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATE = timedelta(minutes=1)  # after which the worker should have taken a spooled request in
SOON = timedelta(days=7)  # before an old URL ends
AT_MOST = 5  # notices of one kind; a page of them says no more than the first few


def notices(request: HttpRequest) -> Iterator[Notice]:
    """What needs attention, for users who may look at offers. Asked on every page: one cheap question."""
    now, may = timezone.now(), request.user.has_perm
    if not may("leads.view_offer"):
        return
    yield from _spooled(now)
    for row in _refused(now - HOUR, Reason.TOO_FAST, Reason.UNAVAILABLE):
        yield _too_fast(row) if row["reason"] == Reason.TOO_FAST else _unavailable(row)
    # No lead is lost by these yet, or whoever may paste a URL is the one to be told.
    if may("leads.change_offer") and request.path == reverse("admin:index"):
        yield from map(_old_url, _refused(now - DAY, Reason.CLOSED_KEY))
        yield from _ending(now)


def _spooled(now: datetime) -> Iterator[Notice]:
    """Leads that are safe in a file and in no list yet."""
    if failed := len(spool.failed()):
        yield Notice(
            "error",
            ngettext(
                "%(number)s spooled request could not be taken in, and no list shows them. Tell whoever runs "
                "this site: they are in SPOOL_DIR, in files that end in %(ending)s, and the log says why.",
                "%(number)s spooled requests could not be taken in, and no list shows them. Tell whoever runs "
                "this site: they are in SPOOL_DIR, in files that end in %(ending)s, and the log says why.",
                failed,
            )
            % {"number": f"{failed:,}", "ending": spool.FAILED},
            everywhere=True,
        )
    late = sum(spool.received_at(path) < now - LATE for path in spool.waiting())
    if late:
        yield Notice(
            "warning",
            ngettext(
                "%(number)s request came while the database was away and wait to be taken in. If that lasts, the "
                "worker does not run.",
                "%(number)s requests came while the database was away and wait to be taken in. If that lasts, the "
                "worker does not run.",
                late,
            )
            % {"number": f"{late:,}"},
            everywhere=True,
        )


def _refused(since: datetime, *reasons: str) -> Iterable[Any]:
    """How many by reason and offer, the most first."""
    return (
        Refusal.objects.since(since)
        .filter(reason__in=reasons)
        .values("reason", "endpoint__offer", "endpoint__offer__title")
        .annotate(times=Sum("times"))
        .order_by("-times")[:AT_MOST]
    )


def _too_fast(row: dict[str, Any]) -> Notice:
    return Notice(
        "error",
        ngettext(
            "%(offer)s: %(number)s request was refused in the last hour, because they came faster than INTAKE_RATE "
            "(%(rate)s a second) allows. They are not stored. If they were real leads, raise "
            "INTAKE_RATE; if not, rotate the URL.",
            "%(offer)s: %(number)s requests were refused in the last hour, because they came faster than INTAKE_RATE "
            "(%(rate)s a second) allows. They are not stored. If they were real leads, raise "
            "INTAKE_RATE; if not, rotate the URL.",
            row["times"],
        )
        % {"offer": _title(row), "number": f"{row['times']:,}", "rate": settings.INTAKE_RATE},
        _offer_url(row),
        _("Open the offer"),
        everywhere=True,
    )


def _unavailable(row: dict[str, Any]) -> Notice:
    offer = f"{_title(row)}: " if row["endpoint__offer"] else ""
    said = ngettext(
        "%(number)s request was refused in the last hour, because the database did not answer. They are not "
        "stored, and Microsoft does not send them again: look for missing leads in Partner Center, Referrals, Leads.",
        "%(number)s requests were refused in the last hour, because the database did not answer. They are not "
        "stored, and Microsoft does not send them again: look for missing leads in Partner Center, Referrals, Leads.",
        row["times"],
    ) % {"number": f"{row['times']:,}"}
    return Notice(
        "error",
        f"{offer}{said}",
        _offer_url(row),
        _("Open the offer"),
        everywhere=True,
    )


def _old_url(row: dict[str, Any]) -> Notice:
    return Notice(
        "warning",
        ngettext(
            "Partner Center still has an old URL of %(offer)s: %(number)s request was refused in the last 24 hours. "
            "Paste the new one.",
            "Partner Center still has an old URL of %(offer)s: %(number)s requests were refused in the last 24 hours. "
            "Paste the new one.",
            row["times"],
        )
        % {"offer": _title(row), "number": f"{row['times']:,}"},
        _offer_url(row),
        _("Get the URL"),
    )


def _ending(now: datetime) -> Iterator[Notice]:
    """Old URLs that soon take no more leads, and still get some."""
    newest = Endpoint.objects.filter(offer=OuterRef("offer")).order_by("-created_at").values("created_at")[:1]
    used = (
        Endpoint.objects.open(now)
        .filter(expires_at__lt=now + SOON, last_hit_at__gt=now - DAY)
        .alias(replaced_at=Subquery(newest))
        .filter(last_hit_at__gt=F("replaced_at"))
    )
    rows = used.order_by("expires_at").values_list("offer", "offer__title", "expires_at", "last_hit_at")
    row: Any
    for row in rows[:AT_MOST]:
        offer, title, ends, last = row
        yield Notice(
            "warning",
            _(
                "Partner Center still has an old URL of %(offer)s; the last request came %(ago)s. "
                "It takes leads until %(end)s, then they are lost. Paste the new one."
            )
            % {"offer": clip(title, 80), "ago": ago(last, now), "end": clock(ends)},
            reverse("admin:leads_offer_change", args=[offer]),
            _("Get the URL"),
        )


def _title(row: dict[str, Any]) -> str:
    return clip(row["endpoint__offer__title"] or _("An offer"), 80)


def _offer_url(row: dict[str, Any]) -> str:
    return (
        reverse("admin:leads_offer_change", args=[row["endpoint__offer"]]) if row["endpoint__offer"] else ""
    )
