"""*Send a sample lead*: whoever set up an offer came to see one lead go the whole way before a customer's does.

So the page says of each kind of lead where it would end up, by name, before anything is sent. The sample takes the way
of every lead from the endpoint on or, if wanted, from outside: by a POST of this server to its own public address.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import payload, samples
from leads.intake import Received, accept, lead_of
from leads.lead_source import ACTIONS, action_in_words
from leads.models import Lead, Offer, Submission
from leads.ports import Answered, ports
from leads.vault import VaultError, mask_endpoint_keys
from leads.wording import clip

PERMISSION = "leads.change_offer"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of sample: what it stands for, and where it would go, a sentence for each place."""

    code: str
    label: str
    what: str
    ways: Sequence[str]


def page(pages: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Shows where each kind of sample goes, and sends the one that is chosen."""
    if request.method not in {"GET", "POST"}:
        return HttpResponseNotAllowed(["GET", "POST"])
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    offer = get_object_or_404(Offer, pk=pk)
    kind = request.POST.get("kind", "INS")
    if request.method == "POST" and kind in samples.KINDS:
        return _send(pages, request, offer, kind)
    context = {
        **pages.admin_site.each_context(request),
        "opts": pages.opts,
        "media": pages.media,
        "title": _("Send a sample lead: %(offer)s") % {"offer": clip(offer.title, 80)},
        "offer": offer,
        "back": _url(offer),
        "kinds": [_kind(offer, code) for code in samples.KINDS],
        "chosen": kind,
        "way": request.GET.get("way", ""),
        "can_walk": bool(ports.post_to_ourselves) and offer.endpoints.open(timezone.now()).exists(),
    }
    request.current_app = pages.admin_site.name
    return TemplateResponse(request, "admin/leads/offer/sample.html", context)


def _kind(offer: Offer, code: str) -> Kind:
    action = ACTIONS.get(code)
    if action:
        return Kind(code, f"{action_in_words(code)} ({code})", _(action.what), ways(offer, code))
    return Kind(
        code, _("Microsoft's test lead"), _("What Validate in Partner Center sends."), ways(offer, code)
    )


def ways(offer: Offer, code: str) -> Sequence[str]:
    """What would become of a sample, in sentences."""
    body = samples.as_posted(code, offer)
    read = payload.read(body, content_type="application/json", expected_length=len(body), schema=offer.schema)
    if isinstance(read, payload.Unreadable):
        return [_("To quarantine: the schema of this offer forbids it.")]
    lead = lead_of(Submission(offer=offer, origin=Submission.Origin.SAMPLE), read)
    lead.offer = offer
    said = [sentence for way in ports.ways for sentence in way(lead)]
    return said or [_("Nowhere: it stays here, for no CRM is connected to this offer.")]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a sample: its lead, where there is one, and what is to be said. `again`: it was there already."""

    lead_id: Any
    said: str
    again: bool = False


def _send(pages: ModelAdmin, request: HttpRequest, offer: Offer, kind: str) -> HttpResponse:
    going = " ".join(ways(offer, kind))
    outside = request.POST.get("way") == "outside"
    sent = _from_outside(offer, kind) if outside else _from_here(offer, kind)
    log = (
        _("Sent a sample lead through the public URL: %(kind)s.")
        if outside
        else _("Sent a sample lead: %(kind)s.")
    )
    pages.log_change(request, offer, log % {"kind": kind})
    if sent.lead_id is None:
        messages.error(request, sent.said)
        return HttpResponseRedirect(reverse("admin:leads_offer_sample", args=[offer.pk]))
    messages.success(request, sent.said if sent.again else f"{sent.said} {going}")
    if request.user.has_perm("leads.view_lead"):
        return HttpResponseRedirect(reverse("admin:leads_lead_change", args=[sent.lead_id]))
    return HttpResponseRedirect(_url(offer))


def _from_here(offer: Offer, kind: str) -> Sent:
    body = samples.as_posted(kind, offer)
    received = Received(body=body, content_type="application/json", announced=len(body))
    lead_id = accept(offer, received, origin=Submission.Origin.SAMPLE).lead_id
    if lead_id is None:
        return Sent(None, _("The sample is in quarantine: the schema of this offer forbids it."))
    return Sent(lead_id, _("The sample lead is stored."))


def _from_outside(offer: Offer, kind: str) -> Sent:
    """By a POST to our own public address."""
    try:
        endpoint = offer.endpoints.open(timezone.now()).current_first().first()
    except VaultError as error:
        return Sent(None, str(error))
    if endpoint is None or not ports.post_to_ourselves:
        return Sent(None, _("Nothing was sent: this offer has no URL."))
    headers = {"Content-Type": "application/json", samples.MARK: samples.mark(endpoint.pk)}
    return _understood(ports.post_to_ourselves[0](endpoint.url, samples.as_posted(kind, offer), headers))


def _understood(came: Answered) -> Sent:
    at = {"url": settings.PUBLIC_URL, "status": came.status}
    if came.problem:
        said = _("The sample did not get from this server to %(url)s. %(why)s")
        return Sent(None, said % {**at, "why": mask_endpoint_keys(clip(came.problem, 300))})
    lead_id = _own(came.body)
    if came.status == 400:
        return Sent(None, _("The sample came in and is in quarantine: the schema of this offer forbids it."))
    if came.status not in {200, 201}:
        said = _("The address %(url)s answered %(status)s instead of 201. Does it lead to this server?")
        return Sent(None, said % at)
    if lead_id is None:
        said = _("The address %(url)s answered, but not as this server does. Does it lead somewhere else?")
        return Sent(None, said % at)
    if came.status == 200:
        said = _("The same sample came within the last 10 minutes: it is counted here, and not sent again.")
        return Sent(lead_id, said, again=True)
    return Sent(
        lead_id, _("The sample went from this server to %(url)s and came in there, like any lead.") % at
    )


def _own(answer: bytes) -> str | None:
    """The id of the lead that an answer names, if it is one of ours."""
    try:
        named = json.loads(answer).get("id")
        return str(Lead.objects.values_list("pk", flat=True).get(pk=named, is_sample=True))
    except (ValueError, AttributeError, TypeError, ValidationError, Lead.DoesNotExist):
        return None


def _url(offer: Any) -> str:
    return reverse("admin:leads_offer_change", args=[offer.pk])
