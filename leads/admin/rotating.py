"""The pages that rotate and revoke the endpoint URLs of an offer.

Rotating: a partner manager came because somebody who should not have it has the URL, or because a rule says so. No
lead may be lost by it. So the page says what happens and what to do at Microsoft before the button is pressed; and
afterwards the offer's page says of every old URL whether anything still comes there.

Revoking: the same person came to end an old URL for good. So the page says how much came there lately, and in plain
words what happens to leads if it is the only URL.
"""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.admin import endpoints
from leads.models import AlreadyRotatedError, Endpoint, Offer
from leads.wording import clip, clock

ROTATE = "leads.rotate_endpoint"
LATELY = timedelta(days=7)


class RotateForm(forms.Form):
    days = forms.IntegerField(
        label=gettext_lazy("Days that the old URL still takes leads"),
        min_value=0,
        max_value=365,
        initial=30,
        help_text=gettext_lazy(
            "0 ends it at once: leads are refused, and lost, until the new URL stands in Partner Center. "
            "Choose that only if a stranger has the old one."
        ),
    )
    # Which URL this page was about: somebody else may have rotated it meanwhile.
    replacing = forms.IntegerField(required=False, widget=forms.HiddenInput)


def rotate(pages: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Give an offer a new URL, after a page that says what that does."""
    offer = _offer(pages, request, pk)
    now = timezone.now()
    current = offer.endpoints.open(now).current_first().defer("key").first()
    form = RotateForm(request.POST or None, initial={"replacing": current and current.pk})
    if current is None:
        # There is nothing that could be kept.
        form.fields["days"].required = False
        form.fields["days"].widget = forms.HiddenInput()
    if request.method == "POST" and form.is_valid():
        return _do_rotate(pages, request, offer, form.cleaned_data, now)
    title = _("Rotate the URL") if current else _("Make a new URL")
    return _page(pages, request, "rotate", title, offer, form=form, current=current)


def _do_rotate(
    pages: ModelAdmin, request: HttpRequest, offer: Offer, chosen: dict[str, Any], now: datetime
) -> HttpResponse:
    days = chosen["days"] or 0
    try:
        with transaction.atomic():
            Endpoint.rotate(offer, timedelta(days=days), now, replacing=chosen["replacing"])
            until = clock(now + timedelta(days=days))
            was_one = chosen["replacing"] is not None
            pages.log_change(request, offer, _logged(until if days else "", was_one=was_one))
    except AlreadyRotatedError:
        messages.warning(
            request,
            _(
                "Nothing was done: the URL of this offer has changed since you opened that page. "
                "Below is the one that counts now."
            ),
        )
    else:
        messages.success(request, _rotated(until if days else "", was_one=was_one))
    return _to(offer)


def _logged(until: str, *, was_one: bool) -> str:
    """The same for the history of the offer."""
    if not was_one:
        return _("Rotated the endpoint URL.")
    if not until:
        return _("Rotated the endpoint URL; the old one ended at once.")
    return _("Rotated the endpoint URL; the old one takes leads until %(time)s.") % {"time": until}


def _rotated(until: str, *, was_one: bool) -> str:
    """That there is a new URL, and what becomes of the old one; `until` is "" where it has ended."""
    if not was_one:
        return _("The offer has a new URL.")
    if not until:
        return _("The offer has a new URL; the old one ended at once.")
    return _("The offer has a new URL; the old one takes leads until %(time)s.") % {"time": until}


def revoke(pages: ModelAdmin, request: HttpRequest, pk: int, endpoint: int) -> HttpResponse:
    """End a URL for good, after a page that says what came there lately."""
    offer = _offer(pages, request, pk)
    now = timezone.now()
    row = get_object_or_404(offer.endpoints.defer("key"), pk=endpoint)
    if not row.is_open(now):
        messages.info(request, _("That URL takes no leads any more."))
        return _to(offer)
    is_last = not offer.endpoints.open(now).filter(~Q(pk=row.pk)).exists()
    # Who was told that there is another URL, and there is none by now, is asked again.
    was_told = "last" in request.POST or not is_last
    if request.method == "POST" and was_told:
        return _do_revoke(pages, request, offer, row, now)
    came = endpoints.came_since(row, now - LATELY)
    count = endpoints.requests(came["times"], came["last"]) if came["times"] else ""
    return _page(
        pages,
        request,
        "revoke",
        _("Revoke a URL"),
        offer,
        made=clock(row.created_at),
        until=clock(row.expires_at) if row.expires_at else "",
        came=count,
        is_last=is_last,
    )


def _do_revoke(
    pages: ModelAdmin, request: HttpRequest, offer: Offer, row: Endpoint, now: datetime
) -> HttpResponse:
    with transaction.atomic():
        if row.revoke(now):
            logged = _("Revoked the endpoint URL made %(time)s.") % {"time": clock(row.created_at)}
            pages.log_change(request, offer, logged)
    said = _("The URL made %(time)s is revoked: it takes no leads any more.")
    messages.success(request, said % {"time": clock(row.created_at)})
    return _to(offer)


def _offer(pages: ModelAdmin, request: HttpRequest, pk: int) -> Offer:
    """Raises PermissionDenied for users who may not do this, Http404 where there is no such offer."""
    if not request.user.has_perm(ROTATE):
        raise PermissionDenied
    offer = get_object_or_404(Offer, pk=pk)
    if not pages.has_view_permission(request, offer):
        raise PermissionDenied
    return offer


def _page(
    pages: ModelAdmin, request: HttpRequest, name: str, title: str, offer: Offer, **more: Any
) -> HttpResponse:
    context = {
        **pages.admin_site.each_context(request),
        "opts": pages.opts,
        "media": pages.media,
        "title": _("%(title)s: %(offer)s") % {"title": title, "offer": clip(offer.title, 80)},
        "offer": offer,
        "back": _url(offer),
        **more,
    }
    request.current_app = pages.admin_site.name
    return TemplateResponse(request, f"admin/leads/offer/{name}.html", context)


def _url(offer: Offer) -> str:
    return reverse("admin:leads_offer_change", args=[offer.pk])


def _to(offer: Offer) -> HttpResponseRedirect:
    return HttpResponseRedirect(_url(offer))
