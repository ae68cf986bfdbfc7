"""*Send one sample to this CRM*: whoever sets a connection up came to see one record arrive before any customer's does.

So they see the very record first, and then what became of it, with the link to it and all that was said.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from crm_sync import clock, connection_words, limits, trial
from crm_sync import wording as words
from crm_sync.admin.dry_runs import record_rows
from crm_sync.admin.pages import require, tell
from crm_sync.models import Destination
from crm_sync.outcomes import Delivered, RetryLater
from crm_sync.pushing import Result, reason_of
from crm_sync.recorder import Exchange
from leads.wording import Badge

PERMISSION = "crm_sync.send_sample_destination"


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The page's address, below the connection's."""
    view = page.admin_site.admin_view(partial(sample, page))
    return [path("<int:pk>/sample/", view, name="crm_sync_destination_sample")]


def sample(page: admin.ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Shows the record and asks; then sends it, once, and tells what became of it. Nothing is stored as a lead."""
    if request.method not in {"GET", "POST"}:
        return HttpResponseNotAllowed(["GET", "POST"])
    require(request, PERMISSION)
    destination = get_object_or_404(Destination.objects.select_related("state"), pk=pk)
    url = reverse("admin:crm_sync_destination_change", args=[pk])
    if words.spec_of(destination) is None:
        tell(request, _("This version has no connector of that kind: nothing can be sent."), messages.ERROR)
        return HttpResponseRedirect(url)
    made = trial.sample_of(destination)
    labels = {target.name: target.label for target in destination.spec_in_words.fields}
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "media": page.media,
        "destination": destination,
        "url": url,
        "badge": Badge(_("sample"), _("Made here for trying out. It does not count.")),
        "rows": record_rows(made.record, labels),
        "problems": [(labels.get(each.target, each.target), each.message) for each in made.problems],
    }
    if request.method == "POST" and not made.problems:
        sent = trial.push_sample(destination, made.record, _key(request), at=clock.now())
        if isinstance(sent, trial.Wait):
            tell(request, _("Nothing was sent: %(why)s.") % {"why": sent.value}, messages.WARNING)
            return HttpResponseRedirect(request.path)
        context |= _sent(page, request, destination, *sent)
    else:
        context |= _asked(destination)
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/crm_sync/destination/sample.html", context)


def _asked(destination: Destination) -> dict[str, Any]:
    now = clock.now()
    wait = trial.must_wait(destination.state, now)
    title = _("No sample can go to %(crm)s now") if wait else _("Send one sample to %(crm)s?")
    return {
        "title": title % {"crm": destination},
        "key": uuid4(),
        "waits": wait is not None,
        "note": connection_words.sample_waits(wait, destination, now)
        if wait
        else connection_words.sample_note(destination.state),
        "today": limits.pushed_today(destination.state, now),
    }


def _sent(
    page: admin.ModelAdmin,
    request: HttpRequest,
    destination: Destination,
    result: Result,
    exchanges: Sequence[Exchange],
) -> dict[str, Any]:
    arrived = isinstance(result, Delivered)
    title, log = _became(result)
    page.log_change(request, destination, log)
    return {
        "title": title % {"crm": destination},
        "sent": True,
        "arrived": arrived,
        "said": connection_words.sample_result(result, destination.name),
        "reason": words.sentence(reason_of(result)),
        "remote_id": result.remote_id if isinstance(result, Delivered) else "",
        "record_url": words.safe_url(result.remote_url) if isinstance(result, Delivered) else "",
        "exchanges": [exchange.as_dict() for exchange in exchanges],
    }


def _became(result: Result) -> tuple[str, str]:
    """What became of it: for the page, with a place for the name of the CRM, and for the log."""
    if isinstance(result, Delivered):
        return _("The sample arrived in %(crm)s"), "Sent one sample: it arrived."
    if isinstance(result, RetryLater) and result.uncertain:
        return _("The sample may have arrived in %(crm)s"), "Sent one sample: it may have arrived."
    return _("The sample did not arrive in %(crm)s"), "Sent one sample: it did not arrive."


def _key(request: HttpRequest) -> UUID:
    """Made with the page that asked: the same one again, by a second click or a reload, makes no second record."""
    try:
        return UUID(request.POST.get("key", ""))
    except ValueError:
        raise Http404 from None
