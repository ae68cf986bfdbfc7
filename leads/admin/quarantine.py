"""Quarantine: requests that arrived and could not become leads.

A partner manager came because Home says that something is waiting here: a lead may be in it. So the list says why
each is here, and the page shows the text as it came with the place marked where it goes wrong.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from leads.admin.lead_page import original
from leads.admin.source import body_text, numbered
from leads.models import Submission
from leads.wording import DEMO_BADGE, clip, clock, when

MOST_PROBLEMS = 20


class VerdictFilter(SimpleListFilter):
    """What is in quarantine, unless the rest of what arrived is asked for."""

    title = "what became of it"
    parameter_name = "verdict"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            *(choice for choice in Submission.Verdict.choices if choice[0] != Submission.Verdict.QUARANTINED),
            ("all", "Everything that arrived"),
        ]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "In quarantine"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or Submission.Verdict.QUARANTINED
        return queryset if value == "all" else queryset.filter(verdict=value)


@admin.register(Submission)
class QuarantineAdmin(admin.ModelAdmin):
    change_form_template = "admin/leads/submission/change_form.html"
    change_list_template = "admin/leads/submission/change_list.html"
    list_display = ("why", "problem", "offer", "received")
    list_display_links = ("why",)
    list_select_related = ("offer",)
    list_filter = (VerdictFilter, "reason", "offer")
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter, over all rows
    actions = None

    # Evidence: nobody adds, edits or removes it here.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Submission]:
        return super().get_queryset(request).select_related("offer")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Quarantine", **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type["QuarantineList"]:
        return QuarantineList

    @admin.display(description="reason", ordering="reason")
    def why(self, submission: Submission) -> SafeString:
        words = submission.get_reason_display() or submission.get_verdict_display()
        return format_html("{} {}", words, DEMO_BADGE if submission.offer.is_demo else "")

    @admin.display(description="first problem")
    def problem(self, submission: Submission) -> str:
        return clip(submission.problems[0]["message"]) if submission.problems else ""

    @admin.display(description="received", ordering="received_at")
    def received(self, submission: Submission) -> SafeString:
        times = f", {submission.times_received} times" if submission.times_received > 1 else ""
        return format_html(
            '<span class="clock">{}</span> <span class="quiet">{}{}</span>',
            clock(submission.received_at),
            when(submission.received_at),
            times,
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        submission = self.get_object(request, object_id)
        found = (
            _context(submission)
            if submission is not None and self.has_view_permission(request, submission)
            else {}
        )
        return super().change_view(request, object_id, form_url, {**found, **(extra_context or {})})


class QuarantineList(ChangeList):
    """The list without the bodies, which may be a megabyte each."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Model]:
        return super().get_queryset(request, exclude_parameters).defer("body", "headers")


def _context(submission: Submission) -> dict[str, Any]:
    problems = submission.problems[:MOST_PROBLEMS] if isinstance(submission.problems, list) else []
    lines, note = numbered(body_text(submission), problems)
    return {
        "submission": submission,
        "when": when(submission.received_at),
        "demo_badge": DEMO_BADGE if submission.offer.is_demo else "",
        "problems": problems,
        "lines": lines,
        "note": note,
        "received": original(submission),
        "lead": submission.leads.only("pk").first(),
    }
