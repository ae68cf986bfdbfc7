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

from crm_sync import clock, limits, trial
from crm_sync import wording as words
from crm_sync.admin.dry_runs import record_rows
from crm_sync.admin.pages import require, tell
from crm_sync.models import Destination
from crm_sync.outcomes import Delivered, RetryLater
from crm_sync.pushing import Result, reason_of
from crm_sync.recorder import Exchange
from leads.wording import Badge

PERMISSION = "crm_sync.send_sample_destination"
BADGE = Badge("sample", "Made here for trying out. It does not count.")


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
        tell(request, "This version has no connector of that kind: nothing can be sent.", messages.ERROR)
        return HttpResponseRedirect(url)
    made = trial.sample_of(destination)
    labels = {target.name: target.label for target in destination.spec.fields}
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "media": page.media,
        "destination": destination,
        "url": url,
        "badge": BADGE,
        "rows": record_rows(made.record, labels),
        "problems": [(labels.get(each.target, each.target), each.message) for each in made.problems],
    }
    if request.method == "POST" and not made.problems:
        sent = trial.push_sample(destination, made.record, _key(request), at=clock.now())
        if isinstance(sent, trial.Wait):
            tell(request, f"Nothing was sent: {sent.value}.", messages.WARNING)
            return HttpResponseRedirect(request.path)
        context |= _sent(page, request, destination, *sent)
    else:
        context |= _asked(destination)
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/crm_sync/destination/sample.html", context)


def _asked(destination: Destination) -> dict[str, Any]:
    now = clock.now()
    wait = trial.must_wait(destination.state, now)
    return {
        "title": f"No sample can go to {destination} now" if wait else f"Send one sample to {destination}?",
        "key": uuid4(),
        "waits": wait is not None,
        "note": words.sample_waits(wait, destination, now) if wait else words.sample_note(destination.state),
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
    page.log_change(request, destination, f"Sent one sample: it {_became(result).removesuffix(' in')}.")
    return {
        "title": f"The sample {_became(result)} {destination}",
        "sent": True,
        "arrived": arrived,
        "said": words.sample_result(result, destination.name),
        "reason": words.sentence(reason_of(result)),
        "remote_id": result.remote_id if isinstance(result, Delivered) else "",
        "record_url": words.safe_url(result.remote_url) if isinstance(result, Delivered) else "",
        "exchanges": [exchange.as_dict() for exchange in exchanges],
    }


def _became(result: Result) -> str:
    if isinstance(result, Delivered):
        return "arrived in"
    return (
        "may have arrived in" if isinstance(result, RetryLater) and result.uncertain else "did not arrive in"
    )


def _key(request: HttpRequest) -> UUID:
    """Made with the page that asked: the same one again, by a second click or a reload, makes no second record."""
    try:
        return UUID(request.POST.get("key", ""))
    except ValueError:
        raise Http404 from None
