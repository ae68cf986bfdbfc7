"""Leads that name one offer and come to the URL of another, while it goes on.

A partner manager pasted the URLs of two offers the wrong way round. Each lead arrives, but is counted for the wrong
offer and sent by its rules; so Home, the list of offers and the page of the offer say so until it stops.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import connection
from django.db.models import QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from leads.models import Offer
from leads.ports import Notice
from leads.wording import Badge, wrong_offer

SPAN = timedelta(days=7)
NEWEST = 200  # leads of an offer that are looked at: the index finds them, however many there are
AT_MOST = 5  # notices


# The limit stands inside: given it as a condition, PostgreSQL reads the whole table of leads instead.
_NAMED_INSTEAD = """(
    SELECT recent.sent
    FROM (
        SELECT sent_publisher_id || '.' || sent_offer_id AS sent, sent_offer_id, is_test, is_sample, received_at
        FROM leads_lead
        WHERE leads_lead.offer_id = leads_offer.id AND received_at > %s
        ORDER BY received_at DESC
        LIMIT %s
    ) AS recent
    WHERE NOT recent.is_test AND NOT recent.is_sample AND recent.sent_offer_id <> ''
        AND lower(recent.sent) <> lower(leads_offer.publisher_id || '.' || leads_offer.offer_id)
    ORDER BY recent.received_at DESC
    LIMIT 1
)"""


def with_offer_named(offers: QuerySet[Offer]) -> QuerySet[Any]:
    """With `named_instead`: the other offer that the newest such lead of each offer names; None where there is none."""
    since = connection.ops.adapt_datetimefield_value(timezone.now() - SPAN)
    named = RawSQL(_NAMED_INSTEAD, (since, NEWEST), output_field=TextField())  # noqa: S611  nobody's input
    return offers.annotate(named_instead=named)


def badge(offer: Any) -> Badge | str:
    """For the list of offers; needs `with_offer_named`."""
    if not offer.named_instead:
        return ""
    return Badge(_("other offer"), wrong_offer(offer.named_instead, offer.slug), "alarm")


def panel(request: HttpRequest, offer: Offer) -> SafeString:
    """For the page of an offer."""
    named = with_offer_named(Offer.objects.filter(pk=offer.pk)).get().named_instead
    if not named:
        return SafeString("")
    return format_html('<div class="notice warning"><p>{}</p></div>', wrong_offer(named, offer.slug))


def notices(request: HttpRequest) -> Iterator[Notice]:
    """For Home, to those who can do something about it."""
    if request.path != reverse("admin:index") or not request.user.has_perm("leads.change_offer"):
        return
    offers = with_offer_named(Offer.objects.only("title", "publisher_id", "offer_id"))
    for offer in islice((offer for offer in offers if offer.named_instead), AT_MOST):
        yield Notice(
            "warning",
            wrong_offer(offer.named_instead, offer.slug),
            reverse("admin:leads_offer_change", args=[offer.pk]),
            _("Open the offer"),
        )
