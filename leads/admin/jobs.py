"""Long jobs, such as a replay.

The page of one: whoever started it came to see how far it is, to stop it, and in the end what came of it. So it says
that first, loads itself again while the numbers change, and lets the result be downloaded.

The list: the same person closed that page, or a colleague wonders what is going on. It is linked from where jobs are
started, and no entry of the menu: nobody comes for a job as such.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from leads import jobs, people, sheet
from leads.admin.evidence import Evidence
from leads.models import Job
from leads.ports import JobKind, JobReport, ports
from leads.wording import clip, when

SEE_ALL = "leads.view_job"
ABOUT = 200  # characters
OFTEN, SELDOM = 3, 20  # seconds until the page looks again: while it runs, and while only its numbers change


class KindFilter(admin.SimpleListFilter):
    title = gettext_lazy("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, kind.label) for name, kind in ports.job_kinds.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(kind=self.value()) if self.value() in ports.job_kinds else queryset


@admin.register(Job)
class JobAdmin(Evidence):
    """A job is started where its work belongs, and is a record of it afterwards."""

    change_list_template = "admin/leads/job/change_list.html"
    list_display = ("what", "state_now", "started", "by")
    list_display_links = ("what",)
    list_filter = (KindFilter, "state")
    list_select_related = ("created_by",)
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    actions = None

    class Media:
        css = {"all": ["leadsite/sending.css"]}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(SEE_ALL) or (obj is not None and _is_own(obj, request.user))

    def get_urls(self) -> list[URLPattern]:
        def wrapped(view: Any) -> Any:
            return self.admin_site.admin_view(view)

        return [
            path("<int:pk>/cancel/", wrapped(require_POST(self.cancel)), name="leads_job_cancel"),
            path("<int:pk>/go-on/", wrapped(require_POST(self.go_on)), name="leads_job_go_on"),
            path("<int:pk>/result.csv", wrapped(require_GET(self.download)), name="leads_job_result"),
            *super().get_urls(),
        ]

    # The list

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        # Each may remember thousands of rows.
        return super().get_queryset(request).defer("cursor", "result").order_by("-id")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Long jobs"), **(extra_context or {})})

    @admin.display(description=gettext_lazy("Job"))
    def what(self, job: Job) -> SafeString:
        return format_html('{} <span class="quiet">{}</span>', name_of(job), about(job))

    @admin.display(description=gettext_lazy("State"))
    def state_now(self, job: Job) -> str:
        return state_of(job)

    @admin.display(description=gettext_lazy("Started"))
    def started(self, job: Job) -> SafeString:
        return when(job.created_at)

    @admin.display(description=gettext_lazy("By"))
    def by(self, job: Job) -> str:
        return people.name_of(job.created_by)

    # The page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        if job is None:
            raise Http404
        if request.method != "GET" or not self.has_view_permission(request, job):
            raise PermissionDenied
        kind = jobs.kind_of(job)
        report = kind.report(request, job) if kind and job.started_at else JobReport()
        is_open = job.state in jobs.OPEN
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "job": job,
            "title": f"{name_of(job)} {job.pk}",
            "about": about(job),
            "state": state_of(job),
            "is_open": is_open,
            "report": report,
            "refresh": OFTEN if is_open else SELDOM if report.moving else 0,
            "cancel_label": self._cancel_label(request, job, report),
            "may_go_on": self._may_start(request, kind) and jobs.may_go_on(job),
            "kept_until": job.finished_at + jobs.KEPT if job.finished_at else None,
            "may_download": self._may_download(request, job, kind),
            "sees_all": request.user.has_perm(SEE_ALL),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/leads/job/page.html", context)

    def _cancel_label(self, request: HttpRequest, job: Job, report: JobReport) -> str:
        """What the button says; "" where there is none for this user."""
        if not self._may_start(request, jobs.kind_of(job)) or not jobs.may_cancel(job):
            return ""
        return _("Cancel") if job.state in jobs.OPEN else report.undo

    def _may_start(self, request: HttpRequest, kind: JobKind | None) -> bool:
        return kind is not None and request.user.has_perm(kind.permission)

    def _may_download(self, request: HttpRequest, job: Job, kind: JobKind | None) -> bool:
        ended = job.state not in jobs.OPEN and job.started_at is not None
        return ended and kind is not None and kind.rows is not None and request.user.has_perm(kind.reads)

    # The buttons

    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = self._seen(request, pk)
        if not self._may_start(request, jobs.kind_of(job)):
            raise PermissionDenied
        if jobs.cancel(job):
            self.log_change(request, job, "Cancelled.")
            text, level = _("Cancelled. What was not done yet stays undone."), messages.SUCCESS
        else:
            text, level = _("Left alone: it has ended or was cancelled already."), messages.WARNING
        messages.add_message(request, level, text)
        return HttpResponseRedirect(url_of(job))

    def go_on(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = self._seen(request, pk)
        if not self._may_start(request, jobs.kind_of(job)):
            raise PermissionDenied
        if jobs.go_on(job):
            self.log_change(request, job, "Had it go on.")
            messages.success(request, _("It goes on at %(progress)s.") % {"progress": progress_of(job)})
        else:
            messages.warning(request, _("Left alone: it has not failed, or goes on already."))
        return HttpResponseRedirect(url_of(job))

    def download(self, request: HttpRequest, pk: int) -> HttpResponse:
        job = self._seen(request, pk)
        kind = jobs.kind_of(job)
        if kind is None or kind.rows is None or not job.started_at:
            raise Http404
        if not request.user.has_perm(kind.reads):
            raise PermissionDenied
        response = HttpResponse(sheet.lines(kind.rows(request, job)), content_type="text/csv; charset=utf-8")
        name = "".join(letter if letter.isalnum() else "-" for letter in job.kind)
        response["Content-Disposition"] = f'attachment; filename="{name}-{job.pk}.csv"'
        return response

    def _seen(self, request: HttpRequest, pk: int) -> Job:
        job = get_object_or_404(Job, pk=pk)
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return job


def _is_own(job: Job, user: AbstractBaseUser | AnonymousUser) -> bool:
    return job.created_by_id is not None and job.created_by_id == user.pk


def url_of(job: Job) -> str:
    return reverse("admin:leads_job_change", args=[job.pk])


def name_of(job: Job) -> str:
    """What a job is: the label of its kind, or the bare name of one that this version does not have."""
    kind = jobs.kind_of(job)
    return kind.label if kind else _("%(kind)s (not part of this version)") % {"kind": clip(job.kind, 40)}


def about(job: Job) -> str:
    """What a job is about, in a line."""
    return clip(str(job.arguments.get("about", "")), ABOUT)


def progress_of(job: Job) -> str:
    if job.total is None:
        return _("%(number)s done") % {"number": f"{job.done:,}"}
    return _("%(number)s of %(total)s") % {"number": f"{job.done:,}", "total": f"{job.total:,}"}


def state_of(job: Job) -> str:
    """How far a job is, in a few words."""
    progress = {"progress": progress_of(job)}
    match job.state:
        case job.State.WAITING if job.started_at is None:
            return _("Waiting for a worker")
        case job.State.WAITING | job.State.LEASED if job.cancel_requested_at:
            return _("Being cancelled: %(progress)s") % progress
        case job.State.WAITING:
            return _("Waiting to go on: %(progress)s") % progress
        case job.State.LEASED if job.lease_expires_at and job.lease_expires_at <= timezone.now():
            return _("Its worker is gone, the next takes it up: %(progress)s") % progress
        case job.State.LEASED:
            return _("Running: %(progress)s") % progress
    state = job.get_state_display()
    return _("%(state)s: %(progress)s") % {"state": state, **progress} if job.started_at else state
