"""A silent offer on screen: on Home, on the list of offers and on the offer's own page.

A partner manager came because of a mail, or sees a badge: an offer that had leads has none any more. So the page says
how long, what is usual and what is most likely behind it, with a button for each thing that can be done.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from leads import silence
from leads.admin import sample_lead
from leads.models import Offer
from leads.ports import Notice
from leads.wording import ago, clip

CALM = "leads.change_offer"
RECENTLY = timedelta(days=1)  # that Home says that leads come again
MOST = 20  # notices: Home folds what is more than a few


def said(offer: Offer, found: silence.Silence, now: Any) -> str:
    """For the list of offers: how long, and when somebody wants to be reminded."""
    told = f"{silence.in_words(found, now)}."
    if not silence.is_quiet(offer, now):
        return told
    return f"{told} {_reminded(offer)}"


def _reminded(offer: Offer) -> str:
    return _("Said to be normal; you are reminded on %(day)s.") % {
        "day": f"{timezone.localtime(offer.quiet_until):%Y-%m-%d}"
    }


def notices(request: HttpRequest) -> Iterator[Notice]:
    """For Home, to those who can do something about it."""
    if request.path != reverse("admin:index") or not request.user.has_perm(CALM):
        return
    now = timezone.now()
    found = silence.found(now)
    offers = [offer for offer in Offer.objects.filter(pk__in=found) if not silence.is_quiet(offer, now)]
    for offer in sorted(offers, key=lambda offer: found[offer.pk].last)[:MOST]:
        yield Notice(
            "warning",
            f"{silence.sentence(offer, found[offer.pk], now)} {silence.likely(silence.last_post(), now)}",
            f"{reverse('admin:leads_offer_change', args=[offer.pk])}#silence",
            _("See what to do"),
        )
    for offer, again_at in silence.over(now, RECENTLY):
        yield Notice(
            "well",
            _("%(offer)s has leads again: the first came %(ago)s.")
            % {"offer": clip(offer.title, 80), "ago": ago(again_at, now)},
        )


def panel(request: HttpRequest, offer: Offer) -> SafeString:
    """For the page of an offer; nothing where it is not silent."""
    now = timezone.now()
    found = silence.found(now, [offer.pk]).get(offer.pk)
    if found is None:
        return SafeString("")
    context = {
        "offer": offer,
        "sentence": silence.sentence(offer, found, now),
        "likely": silence.likely(silence.last_post(), now),
        "partner_center": silence.PARTNER_CENTER,
        "test_url": _test_url(request, offer),
        "may_calm": request.user.has_perm(CALM),
        "reminded": _reminded(offer) if silence.is_quiet(offer, now) else "",
        "days": silence.REMINDER.days,
    }
    return render_to_string("admin/leads/offer/silence.html", context, request)


def _test_url(request: HttpRequest, offer: Offer) -> str:
    """Where a test is sent through the URL, for those who may."""
    may = request.user.has_perm(sample_lead.PERMISSION)
    return f"{reverse('admin:leads_offer_sample', args=[offer.pk])}?way=outside" if may else ""


def calm(admin: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """ "This is normal": say nothing more of it for a month."""
    if not request.user.has_perm(CALM):
        raise PermissionDenied
    offer = get_object_or_404(Offer, pk=pk)
    offer.quiet_until = timezone.now() + silence.REMINDER
    offer.save(update_fields=["quiet_until"])
    admin.log_change(request, offer, "Said that it is normal that no lead comes.")
    messages.success(request, _reminded(offer))
    return HttpResponseRedirect(reverse("admin:leads_offer_change", args=[offer.pk]))
