"""*Send to the CRM (never sent)* on the list of leads: asked first, with their number."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_sync import clock, routing
from crm_sync.admin.pages import require, tell
from crm_sync.admin.retrying import CHUNK, MOST, SHOWN, chosen_again, held_up
from crm_sync.models import Delivery
from leads import ports
from leads.models import Lead

SEND = "crm_sync.send_waiting_delivery"


def send_leads(page: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet[Lead]) -> HttpResponse | None:
    """Send what was never sent of the chosen leads, the oldest first."""
    require(request, SEND)
    leads = list(queryset.order_by("received_at", "pk").values_list("pk", flat=True)[: MOST + 1])
    if "confirm" in request.POST:
        _do(request, leads)
        return None
    return _ask(page, request, leads)


send_leads.short_description = gettext_lazy("Send to the CRM (never sent)")  # type: ignore[attr-defined]
send_leads.permissions = (SEND,)  # type: ignore[attr-defined]


def _do(request: HttpRequest, leads: Sequence[UUID]) -> None:
    sent = held = 0
    for start in range(0, min(len(leads), MOST), CHUNK):
        made = routing.send_chosen(leads[start : min(start + CHUNK, MOST)], clock.now())
        sent, held = sent + made.sent, held + made.held
    ports.ring()
    said = [_sent(sent)] if sent or not held else []
    if held:
        waits = ngettext("%(number)s is held: see Sendings.", "%(number)s are held: see Sendings.", held)
        said.append(waits % {"number": f"{held:,}"})
    if len(leads) > MOST:
        said.append(_("More match: do the same again for the next %(most)s.") % {"most": f"{MOST:,}"})
    tell(request, " ".join(said))


def _sent(number: int) -> str:
    said = ngettext("%(number)s lead goes to its CRM now.", "%(number)s leads go to their CRM now.", number)
    return said % {"number": f"{number:,}"}


def _ask(page: admin.ModelAdmin, request: HttpRequest, leads: Sequence[UUID]) -> HttpResponse | None:
    now = clock.now()
    new: list[Delivery] = []
    for start in range(0, min(len(leads), MOST), CHUNK):
        new += routing.never_sent(leads[start : min(start + CHUNK, MOST)], now)
    if not new:
        tell(
            request,
            _(
                "Nothing to send there: sent already or on their way, tests, not to be contacted, or no field mapping "
                "that takes them is published."
            ),
            messages.WARNING,
        )
        return None
    first, count = new[:SHOWN], len({sending.lead_id for sending in new})
    for sending in first:
        sending.destination = sending.route.destination  # read once for all of a route
    title = ngettext("Send %(number)s lead to its CRM?", "Send %(number)s leads to their CRM?", count)
    context: dict[str, Any] = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": title % {"number": f"{count:,}"},
        "button": _("Send %(number)s now") % {"number": f"{count:,}"},
        "effect": _(
            "Each goes to every CRM that its offer sends to and that never got it, even if it came before that was set "
            "up. What was sent cannot be called back from here."
        ),
        "most": f"{MOST:,}" if len(leads) > MOST else "",
        "left": 0 if len(leads) > MOST else len(leads) - count,
        "left_because": _(
            "sent already or on their way, tests, not to be contacted, or no field mapping that takes them is published"
        ),
        "first": first,
        "held_up": held_up(first),
        "more": max(len(new) - SHOWN, 0),
        "hidden": chosen_again(request, "send_leads"),
        "back": request.get_full_path(),
        "media": page.media,
    }
    return TemplateResponse(request, "admin/crm_sync/delivery/retry.html", context)
