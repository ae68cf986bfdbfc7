"""*Send without the refused field*: a CRM refuses one field of one lead, and the lead is worth more than the field.

So the page names the field and shows the record as it would be, says that this is for one lead only, and leads to the
row of the mapping for whoever wants it left out of all.
"""

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from crm_sync import by_hand, clock, trial
from crm_sync import wording as words
from crm_sync.admin import dry_runs, tries
from crm_sync.admin.pages import require, tell
from crm_sync.admin.retrying import NEEDED, RETRY, after_retry
from crm_sync.models import Delivery
from leads import ports
from leads.wording import clip


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The page's address, below the sending's."""
    view = page.admin_site.admin_view(partial(without, page))
    return [path("<int:pk>/without/", view, name="crm_sync_delivery_without")]


def url_of(sending: Delivery) -> str:
    return reverse("admin:crm_sync_delivery_without", args=[sending.pk])


def may_go_without(sending: Delivery) -> bool:
    """Whether a field of it stands as refused."""
    stuck = sending.state == sending.State.REJECTED or sending.held_reason == sending.Held.MAPPING_BROKEN
    return stuck and bool(sending.field) and sending.field not in sending.without


def without(page: admin.ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Asks first, with the record as it would be; then sends this one lead without the field that was refused."""
    if request.method not in {"GET", "POST"}:
        return HttpResponseNotAllowed(["GET", "POST"])
    require(request, RETRY)
    sending = get_object_or_404(Delivery.objects.select_related(*NEEDED), pk=pk)
    if may_go_without(sending) and request.method == "GET":
        return _ask(page, request, sending)
    if may_go_without(sending):
        _send(page, request, sending)
    else:
        tell(request, _("Left alone: no field of it stands as refused."), messages.WARNING)
    return HttpResponseRedirect(reverse("admin:crm_sync_delivery_change", args=[pk]))


def _send(page: admin.ModelAdmin, request: HttpRequest, sending: Delivery) -> None:
    # The field that was on the page: another one may stand as refused by now.
    field = request.POST.get("field", "")
    if field == sending.field and by_hand.send_without([sending.pk], field, at=clock.now()):
        ports.ring()
        page.log_change(request, sending, f"Sent without {field}.")
        left_out = _("%(field)s is left out, of this lead only.") % {"field": clip(field, 80)}
        tell(request, f"{after_retry(sending)} {left_out}")
    else:
        tell(request, _("Left alone: it changed in the meantime. Look again."), messages.WARNING)


def _ask(page: admin.ModelAdmin, request: HttpRequest, sending: Delivery) -> HttpResponse:
    spec = words.spec_of(sending.destination)
    targets = spec.fields if spec else ()
    labels = {target.name: target.label for target in targets}
    label = clip(labels.get(sending.field, sending.field), 80)
    whole = trial.dry_run(sending.route, sending.lead, without=sending.without).record if spec else {}
    record = {name: value for name, value in whole.items() if name != sending.field}
    sees_route = request.user.has_perm("crm_sync.view_route")
    context: dict[str, Any] = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "media": page.media,
        "title": _("Send this lead without %(field)s?") % {"field": label},
        "sending": tries.discreetly(request, sending),
        "label": label,
        "url": reverse("admin:crm_sync_delivery_change", args=[sending.pk]),
        "rows": dry_runs.record_rows(record, labels, tries.discretion(request, sending.lead)),
        "is_in": sending.field in whole,
        "required": any(target.name == sending.field and target.required for target in targets),
        "row_url": words.mapping_url(sending.route, sending.field) if sees_route else "",
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/crm_sync/delivery/without.html", context)
