"""The page of one received request, and its buttons: check, release, read again, discard, put back.

What the page shows stands in quarantine_page.
"""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leads import quarantine
from leads.admin import quarantine_page as words
from leads.admin.evidence import Evidence
from leads.admin.quarantine_page import DISCARD, RELEASE, Outcome, lead_url, outcome_of
from leads.models import Submission
from leads.wording import clip


class RequestPage(Evidence):
    """The page half of the admin of received requests; the list is the other."""

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RELEASE)

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(DISCARD)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Submission]:
        return super().get_queryset(request).select_related("offer")

    def get_urls(self) -> list[URLPattern]:
        buttons = {
            "check": (self.press_check, RELEASE),
            "release": (self.press_release, RELEASE),
            "reread": (self.press_reread, RELEASE),
            "discard": (self.press_discard, DISCARD),
            "restore": (self.press_restore, DISCARD),
        }
        own = [
            path(
                f"<uuid:pk>/{name}/",
                self.admin_site.admin_view(require_POST(self._button(press, permission))),
                name=f"leads_submission_{name}",
            )
            for name, (press, permission) in buttons.items()
        ]
        return [*own, *super().get_urls()]

    def _button(self, press: Any, permission: str) -> Any:
        def view(request: HttpRequest, pk: UUID) -> HttpResponse:
            submission = get_object_or_404(self._whole(request), pk=pk)
            if not (request.user.has_perm(permission) and self.has_view_permission(request, submission)):
                raise PermissionDenied
            try:
                return press(request, submission)
            except quarantine.AlreadyDecidedError as error:
                done = words.decided(error.submission) or _("It is in quarantine.")
                messages.warning(request, _("Nothing was changed. %(why)s") % {"why": done})
            except quarantine.StillUnreadableError as error:  # the schema was changed meanwhile
                why = clip(error.verdict.problems[0].message)
                messages.warning(request, _("Nothing was changed. %(why)s") % {"why": why})
            return HttpResponseRedirect(_url(submission))

        return view

    def _whole(self, request: HttpRequest) -> QuerySet[Submission]:
        return self.get_queryset(request).select_related("decided_by")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        submission = self.get_object(request, object_id)
        if not self.has_view_permission(request, submission):
            raise PermissionDenied
        if submission is None:
            raise Http404
        return self._page(request, submission)

    def _page(
        self, request: HttpRequest, submission: Submission, asked: Outcome | None = None
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            **words.context(request, submission, asked),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/leads/submission/change_form.html", context)

    def press_check(self, request: HttpRequest, submission: Submission) -> HttpResponse:
        return self._page(request, submission, outcome_of(submission, _text(request, submission), asked=True))

    def press_release(self, request: HttpRequest, submission: Submission) -> HttpResponse:
        text = _text(request, submission)
        anyway = "anyway" in request.POST
        outcome = outcome_of(submission, text, asked=True)
        if not (outcome.is_good or (anyway and outcome.against_schema)) and submission.in_quarantine:
            return self._page(request, submission, words.refused(outcome))
        leads = quarantine.release(submission, text, user_of(request), timezone.now(), without_schema=anyway)
        messages.success(request, words.after_release(leads))
        return _to_lead(request, submission, leads)

    def press_reread(self, request: HttpRequest, submission: Submission) -> HttpResponse:
        lead = quarantine.reread(submission, user_of(request), timezone.now())
        if lead is None:
            messages.warning(request, words.still_unreadable(submission))
            return HttpResponseRedirect(_url(submission))
        messages.success(request, words.after_release([lead]))
        return _to_lead(request, submission, [lead])

    def press_discard(self, request: HttpRequest, submission: Submission) -> HttpResponse:
        quarantine.discard(submission, user_of(request), timezone.now())
        messages.success(request, _("Discarded. It stays here as it came, and can be put back."))
        return HttpResponseRedirect(_url(submission))

    def press_restore(self, request: HttpRequest, submission: Submission) -> HttpResponse:
        quarantine.restore(submission, user_of(request))
        messages.success(request, _("Back in quarantine."))
        return HttpResponseRedirect(_url(submission))


def user_of(request: HttpRequest) -> Any:
    """Who pressed; behind admin_view it is nobody anonymous."""
    return request.user


def _url(submission: Submission) -> str:
    return reverse("admin:leads_submission_change", args=[submission.pk])


def _to_lead(request: HttpRequest, submission: Submission, leads: list[Any]) -> HttpResponseRedirect:
    """To the lead if there is one that this user may open, else to the request, which names them all."""
    if len(leads) == 1 and request.user.has_perm("leads.view_lead"):
        return HttpResponseRedirect(lead_url(leads[0]))
    return HttpResponseRedirect(_url(submission))


def _text(request: HttpRequest, submission: Submission) -> str:
    """What stands in the box; browsers send every line break as two characters."""
    text = request.POST.get("text")
    return quarantine.text_of(submission) if text is None else text.replace("\r\n", "\n")
