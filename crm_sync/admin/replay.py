"""Replay: a partner manager came after an outage, or once what made a CRM refuse leads is mended, to send them again.

They fear two things: sending leads twice, and sending the wrong ones. So the page says first how many match, which of
them would be sent and why the others are skipped, names the first, and how long it would take; a dry run maps all of
them without sending; and the button repeats the number. What started is followed on the page of its job.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_sync import replay
from crm_sync.admin import groups
from crm_sync.admin import replay_estimate as estimates
from crm_sync.admin.pages import require, tell
from crm_sync.admin.sending_filters import REAL
from crm_sync.models import Delivery, Destination
from crm_sync.replay import Estimate, Range
from leads import jobs
from leads.admin import jobs as job_pages
from leads.models import Job, Offer
from leads.people import name_of
from leads.wording import clip, when

PERMISSION = "crm_sync.replay_delivery"
MOST_GROUPS = 50
EARLIER = 5  # replays named on the page
BEFORE_US, AFTER_US = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def urls(site: admin.AdminSite) -> list[URLPattern]:
    """The page's address, below the list of sendings."""
    return [path("replay/", site.admin_view(partial(page, site)), name="crm_sync_delivery_replay")]


def url(**query: Any) -> str:
    """The page with a range filled in."""
    page = reverse("admin:crm_sync_delivery_replay")
    return f"{page}?{urlencode(query)}" if query else page


# --- The form ------------------------------------------------------------------------------------------------


def _moment(label: Any) -> forms.DateTimeField:
    picker = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(label=label, required=False, widget=picker, validators=[_within_reason])


def _within_reason(moment: datetime) -> None:
    # Beyond, databases and time zones have opinions of their own.
    if not BEFORE_US <= moment < AFTER_US:
        raise ValidationError(_("No lead came in that year."))


class RangeForm(forms.Form):
    """Which sendings. Its names are also those of the filters of the list that leads here."""

    offer = forms.ModelChoiceField(
        Offer.objects.all(),
        label=gettext_lazy("Offer"),
        required=False,
        empty_label=gettext_lazy("Every offer"),
    )
    destination = forms.ModelChoiceField(
        Destination.objects.defer("secrets"),
        label=gettext_lazy("CRM connection"),
        required=False,
        empty_label=gettext_lazy("Every connection"),
    )
    since = _moment(gettext_lazy("Lead received from"))
    until = _moment(gettext_lazy("Lead received before"))
    why = forms.ChoiceField(
        label=gettext_lazy("What became of it"),
        required=False,
        choices=[
            ("", gettext_lazy("Failed, whatever the cause")),
            *((name, label) for name, (label, _which) in replay.WHYS.items()),
        ],
    )
    group = forms.CharField(
        label=gettext_lazy("Reason"), required=False, max_length=200, strip=False, widget=forms.Select
    )
    never_sent = forms.BooleanField(
        label=gettext_lazy("Leads that were never sent there, too"), required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        reasons = replay.reason_groups(MOST_GROUPS)
        choices = [(group, f"{clip(group, 100)} ({count:,})") for group, count in reasons]
        chosen = str(self.data.get("group") or "")
        if chosen and chosen not in dict(reasons):
            choices.append((chosen, clip(chosen, 100)))
        self.fields["group"].widget.choices = [("", _("Any reason")), *choices]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since >= until:
            self.add_error("until", _("This must be later than the other."))
        return cleaned

    def range(self) -> Range:
        """The range of a form that is valid."""
        chosen = self.cleaned_data
        offer, destination = chosen["offer"], chosen["destination"]
        return Range(
            offer=offer and offer.pk,
            destination=destination and destination.pk,
            since=chosen["since"],
            until=chosen["until"],
            why=chosen["why"],
            group=chosen["group"],
            never_sent=chosen["never_sent"],
        )

    def about(self) -> str:
        """The range in a line, kept with what it starts: in English, whoever starts it."""
        chosen = self.cleaned_data
        offer, destination = chosen["offer"] or "Every offer", chosen["destination"] or "every connection"
        since, until = (
            f"{label} {timezone.localtime(chosen[name]):%Y-%m-%d %H:%M}" if chosen[name] else ""
            for name, label in (("since", "from"), ("until", "before"))
        )
        received = " ".join(filter(None, ("received", since, until))) if since or until else ""
        why = str(replay.WHYS[chosen["why"]][0]) if chosen["why"] else ""
        why = why[:1].lower() + why[1:]
        reason = f"“{clip(chosen['group'], 80)}”" if chosen["group"] else ""
        never = "with leads never sent there" if chosen["never_sent"] else ""
        return ", ".join(filter(None, (f"{offer} → {destination}", received, why, reason, never)))


def _asked(query: QueryDict) -> dict[str, Any] | None:
    """What an address fills in, the filters of the list of sendings included; None: nothing."""
    data: dict[str, Any] = {name: query[name] for name in RangeForm.base_fields if query.get(name)}
    if data.get("destination") == REAL["destination"]:  # there it is a choice, here it is every connection
        del data["destination"]
    filtered = query.get("held_reason") or query.get("state")
    if filtered in replay.WHYS:
        data.setdefault("why", filtered)
    if query.get("reason_group", groups.NONE_GIVEN) != groups.NONE_GIVEN:
        data.setdefault("group", query["reason_group"])
    return data if data or "estimate" in query else None


# --- The page ------------------------------------------------------------------------------------------------


def page(site: admin.AdminSite, request: HttpRequest) -> HttpResponse:
    """The form; with a range also its estimate. A button pressed starts the job."""
    require(request, PERMISSION)
    asked = request.POST.dict() if request.method == "POST" else _asked(request.GET)
    form = RangeForm(asked) if asked is not None else RangeForm(initial=_lately())
    counted = None
    if form.is_bound and form.is_valid():
        counted = replay.estimate(form.range())
        if request.method == "POST" and (started := _press(site, request, form, counted)):
            return HttpResponseRedirect(job_pages.url_of(started))
    context = {
        **site.each_context(request),
        "title": _("Replay"),
        "opts": Delivery._meta,
        "media": CSS,
        "form": form,
        "estimate": _shown(request, form, counted) if counted else None,
        "earlier": _earlier(request),
        "may_list": request.user.has_perm("crm_sync.view_delivery"),
        "sees_jobs": request.user.has_perm("leads.view_job"),
    }
    request.current_app = site.name
    return TemplateResponse(request, "admin/crm_sync/replay/page.html", context)


CSS = forms.Media(css={"all": ["leadsite/sending.css"]})


def _lately() -> dict[str, datetime]:
    return {"since": timezone.localtime(timezone.now() - timedelta(days=7))}


def _press(site: admin.AdminSite, request: HttpRequest, form: RangeForm, counted: Estimate) -> Job | None:
    """Start what the button says; None, with a word on it, where that cannot be."""
    dry = "dry_run" in request.POST
    if not counted.to_send:
        tell(request, _("Nothing to send again there."), messages.WARNING)
    elif counted.to_send > replay.MOST:
        said = _("At most %(number)s at once: choose a shorter time.")
        tell(request, said % {"number": f"{replay.MOST:,}"}, messages.WARNING)
    elif not dry and request.POST.get("count") != str(counted.to_send):
        said = ngettext(
            "By now it would be %(number)s lead. Look again, then press once more.",
            "By now it would be %(number)s leads. Look again, then press once more.",
            counted.to_send,
        )
        tell(request, said % {"number": f"{counted.to_send:,}"}, messages.WARNING)
    else:
        return _start(site, request, form, counted, dry=dry)
    return None


def _start(
    site: admin.AdminSite, request: HttpRequest, form: RangeForm, counted: Estimate, *, dry: bool
) -> Job:
    with translation.override("en"):  # what is stored is for readers of every language
        about, estimate = form.about(), estimates.sentence(counted)
    arguments = form.range().as_arguments() | {"about": about, "estimate": estimate}
    job = jobs.start(replay.REHEARSAL if dry else replay.REPLAY, arguments, request.user)
    did = "Started a dry run of" if dry else "Started a replay of"
    said = f"{did} {counted.to_send:,} {'lead' if counted.to_send == 1 else 'leads'}: {about}."
    site.get_model_admin(Job).log_addition(request, job, said)
    return job


def _earlier(request: HttpRequest) -> list[dict[str, Any]]:
    """The last replays and dry runs that this user may look at."""
    found = Job.objects.filter(kind__in=[replay.REPLAY, replay.REHEARSAL]).defer("cursor", "result")
    if not request.user.has_perm("leads.view_job"):
        found = found.filter(created_by=request.user.pk)
    return [
        {
            "url": job_pages.url_of(job),
            "name": f"{job_pages.name_of(job)} {job.pk}",
            "about": job_pages.about(job),
            "state": job_pages.state_of(job),
            "when": when(job.created_at),
            "by": name_of(job.created_by),
        }
        for job in found.select_related("created_by").order_by("-id")[:EARLIER]
    ]


def _shown(request: HttpRequest, form: RangeForm, counted: Estimate) -> dict[str, Any]:
    """The estimate for the template."""
    which = form.range()
    per_destination = replay.by_destination(which)
    destinations = (
        Destination.objects.defer("secrets").select_related("state__paused_by").in_bulk(per_destination)
    )
    first = list(estimates.first(request, which)) if request.user.has_perm("crm_sync.view_delivery") else []
    return {
        "counted": counted,
        "sentence": estimates.sentence(counted),
        "lines": estimates.lines(counted, which),
        "first": first,
        "more": max(counted.to_send - len(first), 0) if first else 0,
        "warnings": list(estimates.warnings(request, which, list(destinations.values()))),
        "duration": estimates.duration(per_destination, destinations) if counted.to_send else "",
        "too_many": replay.MOST if counted.to_send > replay.MOST else 0,
        "hidden": [(name, form[name].value()) for name in form.fields if form[name].value()],
    }
