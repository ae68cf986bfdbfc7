"""The endpoint URLs of an offer: what its page says of each, and of what came there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Sum
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.admin import refused
from leads.models import Endpoint, Offer, Refusal, Submission
from leads.vault import MASK, VaultError
from leads.wording import clock, when

MOST_CLOSED = 10  # URLs that take no leads any more, on the page
TAIL = 6  # characters of a key, by which a person recognises its URL


@dataclass(frozen=True, slots=True)
class ShownEndpoint:
    """An endpoint URL as this user may see it, and what came there, in words."""

    id: int
    url: str
    tail: str  # how the URL ends; "" for those who may not see it
    made: str
    until: str  # when it ends or ended by itself; "" where it has no end
    revoked: str  # when somebody ended it; "" where nobody has
    came: SafeString | str
    is_used: bool = False


def shown(offer: Offer, now: datetime, *, may_reveal: bool) -> dict[str, Any]:
    """What the page of an offer shows of its URLs: the current one, older ones that still take leads, closed ones."""
    rows, problem = _rows(offer, may_reveal=may_reveal)
    usable = [row for row in rows if row.is_open(now)]
    closed = [row for row in rows if not row.is_open(now)]
    may_reveal = may_reveal and not problem
    current = _current(usable[0], may_reveal) if usable else None
    what_was_refused = refused.of_the_last_day(offer, now)
    return {
        "endpoint": current,
        "old_endpoints": [_old(row, rows, may_reveal) for row in usable[1:]],
        "closed_endpoints": list(_closed(closed[:MOST_CLOSED], may_reveal)),
        "more_closed": max(0, len(closed) - MOST_CLOSED),
        "endpoint_problem": problem,
        "can_copy": may_reveal,
        "hints": list(refused.hints(what_was_refused)) if current and not current.is_used else [],
        "refused": what_was_refused,
    }


def _rows(offer: Offer, *, may_reveal: bool) -> tuple[list[Endpoint], str]:
    """The offer's URLs, the current one first, and what is wrong with their keys.

    For those who may not see a key it is not even decrypted.
    """
    found = offer.endpoints.current_first()
    if may_reveal:
        try:
            return list(found), ""
        except VaultError as error:
            return list(found.defer("key")), str(error)
    return list(found.defer("key")), ""


def _current(row: Endpoint, may_reveal: bool) -> ShownEndpoint:
    if row.hits:
        return _shown(row, may_reveal, requests(row.hits, row.last_hit_at), is_used=True)
    if row.submissions.exists():
        return _shown(row, may_reveal, "", is_used=True)  # the counts follow in a moment
    return _shown(row, may_reveal, _("Nothing has reached this URL yet."))


def _old(row: Endpoint, rows: Iterable[Endpoint], may_reveal: bool) -> ShownEndpoint:
    """A URL that a newer one replaced, with what came since: that tells whether Microsoft still uses it."""
    newer = (other.created_at for other in rows if other.created_at >= row.created_at and other != row)
    replaced_at = min(newer, default=row.created_at)
    since = came_since(row, replaced_at)
    if since["times"]:
        count = ngettext(
            "%(number)s request since it was replaced",
            "%(number)s requests since it was replaced",
            since["times"],
        )
        return _shown(row, may_reveal, _last(count, since["times"], since["last"]), is_used=True)
    return _shown(row, may_reveal, _("No request since it was replaced."))


def came_since(row: Endpoint, moment: datetime) -> dict[str, Any]:
    """How many requests came to a URL since then, as `times`, and when the `last` of them did."""
    return Submission.objects.filter(endpoint=row, received_at__gte=moment).aggregate(
        times=Count("pk"), last=Max("received_at")
    )


def _closed(rows: list[Endpoint], may_reveal: bool) -> Iterable[ShownEndpoint]:
    if not rows:
        return
    counts = {
        row["endpoint"]: row
        for row in Refusal.objects.filter(endpoint__in=rows, reason=Refusal.Reason.CLOSED_KEY)
        .order_by()
        .values("endpoint")
        .annotate(times=Sum("times"), last=Max("minute"))
    }
    for row in rows:
        count = counts.get(row.pk)
        came: SafeString | str = _("No request since.")
        if count:
            refusals = ngettext(
                "%(number)s request refused since", "%(number)s requests refused since", count["times"]
            )
            came = _last(refusals, count["times"], count["last"])
        yield _shown(row, may_reveal, came, is_used=bool(count))


def _shown(
    row: Endpoint, may_reveal: bool, came: SafeString | str, *, is_used: bool = False
) -> ShownEndpoint:
    return ShownEndpoint(
        row.pk,
        row.url if may_reveal else f"{settings.PUBLIC_URL}/in/{MASK}",
        f"…{row.key[-TAIL:]}" if may_reveal else "",
        clock(row.created_at),
        clock(row.expires_at) if row.expires_at else "",
        clock(row.revoked_at) if row.revoked_at else "",
        came,
        is_used,
    )


def requests(times: int, last: datetime | None) -> SafeString:
    """How many came, and when the last of them did, in words."""
    return _last(ngettext("%(number)s request", "%(number)s requests", times), times, last)


def _last(words: str, times: int, last: datetime | None) -> SafeString:
    """How many came, in words that have the number as %(number)s, and when the last of them did."""
    count = words % {"number": f"{times:,}"}
    if last is None:
        return format_html("{}.", count)
    return format_html(_("{count}, the last {ago}."), count=count, ago=when(last))
