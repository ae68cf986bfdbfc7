"""Quarantine: requests that arrived and could not become leads.

A partner manager came because Home says that something is waiting here: a lead may be in it. So the list says why
each is here and how many there are of a kind, and after a mistake was mended elsewhere reads all of them again at
once. What the page of one is for stands in quarantine_page.
"""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from leads import quarantine, search
from leads.admin import quarantine_page as words
from leads.admin.paging import Paged, PagedList
from leads.admin.quarantine_page import DISCARD, RELEASE, Outcome, lead_url, outcome_of
from leads.models import Submission
from leads.wording import DEMO_BADGE, clip, clock, when

SHOWN = 10  # requests that the question before discarding names


class VerdictFilter(SimpleListFilter):
    """What is in quarantine, unless the rest of what arrived is asked for."""

    title = gettext_lazy("what became of it")
    parameter_name = "verdict"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            *(
                (str(value), str(label))
                for value, label in Submission.Verdict.choices
                if value != Submission.Verdict.QUARANTINED
            ),
            ("all", _("Everything that arrived")),
        ]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": _("In quarantine")}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or Submission.Verdict.QUARANTINED
        return queryset if value == "all" else queryset.filter(verdict=value)


class QuarantineList(PagedList):
    """The list without the bodies, which may be a megabyte each."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Model]:
        return super().get_queryset(request, exclude_parameters).defer("body", "headers", "repaired")

    def reasons(self) -> list[dict[str, Any]]:
        """How many wait here for each reason, of the offer that is chosen; each leads to them."""
        if VerdictFilter.parameter_name in self.params:
            return []
        waiting = Submission.objects.filter(verdict=Submission.Verdict.QUARANTINED)
        offer = self.params.get("offer__id__exact", "")
        if offer.isdecimal() and len(offer) < 19:  # as many digits as a key has room for
            waiting = waiting.filter(offer_id=int(offer))
        counts = waiting.order_by("reason").values_list("reason").annotate(Count("pk"))
        chosen = self.params.get("reason__exact", "")
        return [
            {
                "count": count,
                "label": _(Submission.REASONS.get(reason, reason)),
                "url": self.get_query_string({"reason__exact": reason}),
                "chosen": reason == chosen,
            }
            for reason, count in counts
        ]


@admin.register(Submission)
class QuarantineAdmin(Paged):
    change_list_template = "admin/leads/submission/change_list.html"
    list_display = ("why", "problem", "offer", "received")
    list_display_links = ("why",)
    list_select_related = ("offer",)
    list_filter = (VerdictFilter, "reason", "offer")
    list_per_page = 50
    search_fields = ("body",)  # `get_search_results` looks there
    search_help_text = gettext_lazy(
        "Anything in the newest 500 that could not be read, or in a lead; every word must occur."
    )
    actions = ("read_again", "discard_selected")

    class Media:
        css = {"all": ["leadsite/quarantine.css"]}

    # Evidence: nobody adds, edits or removes it here. What people decide goes through the buttons.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(RELEASE)

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(DISCARD)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Submission]:
        return super().get_queryset(request).select_related("offer")

    # The list

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Quarantine"), **(extra_context or {})})

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        # By time there is an index of what is in quarantine only; ids are given out in the same order, all but.
        return ("-id",) if request.GET.get(VerdictFilter.parameter_name) else ("-received_at", "-id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.requests_matching(queryset, search_term), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[QuarantineList]:
        return QuarantineList

    @admin.display(description=gettext_lazy("reason"), ordering="reason")
    def why(self, submission: Submission) -> SafeString:
        label = submission.get_reason_display() or submission.get_verdict_display()
        return format_html("{} {}", label, DEMO_BADGE if submission.offer.is_demo else "")

    @admin.display(description=gettext_lazy("first problem"))
    def problem(self, submission: Submission) -> str:
        return clip(submission.problems[0]["message"]) if submission.problems else ""

    @admin.display(description=gettext_lazy("received"), ordering="received_at")
    def received(self, submission: Submission) -> SafeString:
        times = _(", %(number)s times") % {"number": submission.times_received}
        return format_html(
            '<span class="clock">{}</span> <span class="quiet">{}{}</span>',
            clock(submission.received_at),
            when(submission.received_at),
            times if submission.times_received > 1 else "",
        )

    @admin.action(description=gettext_lazy("Read again"), permissions=["release"])
    def read_again(self, request: HttpRequest, queryset: QuerySet[Submission]) -> None:
        done = quarantine.reread_many(queryset, _user(request), timezone.now())
        if done.leads + done.unreadable:
            level = messages.SUCCESS if done.leads else messages.WARNING
            messages.add_message(request, level, words.after_reread(done))
        else:
            messages.warning(request, _("Nothing to read again: none of these is in quarantine any more."))

    @admin.action(description=gettext_lazy("Discard"), permissions=["discard"])
    def discard_selected(self, request: HttpRequest, queryset: QuerySet[Submission]) -> HttpResponse | None:
        """Ask first, naming the number."""
        chosen = queryset.filter(verdict=Submission.Verdict.QUARANTINED)
        if "confirm" in request.POST:
            count = quarantine.discard_many(chosen, _user(request), timezone.now())
            said = ngettext(
                "%(number)s request was discarded. The filter Discarded shows them.",
                "%(number)s requests were discarded. The filter Discarded shows them.",
                count,
            )
            messages.success(request, said % {"number": f"{count:,}"})
            return None
        count = min(chosen.count(), quarantine.MOST_AT_ONCE)
        if not count:
            messages.warning(request, _("Nothing to discard: none of these is in quarantine any more."))
            return None
        first = list(chosen.defer("body", "headers")[:SHOWN])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": ngettext("Discard %(number)s request?", "Discard %(number)s requests?", count)
            % {"number": f"{count:,}"},
            "count": count,
            "first": [
                {"request": str(row), "reason": row.get_reason_display(), "problem": self.problem(row)}
                for row in first
            ],
            "more": count - len(first),
            "selected": request.POST.getlist("_selected_action")[: quarantine.MOST_AT_ONCE],
            "across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "admin/leads/submission/discard.html", context)

    # The page

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
        leads = quarantine.release(submission, text, _user(request), timezone.now(), without_schema=anyway)
        messages.success(request, words.after_release(leads))
        return _to_lead(request, submission, leads)

    def press_reread(self, request: HttpRequest, submission: Submission) -> HttpResponse:
        lead = quarantine.reread(submission, _user(request), timezone.now())
        if lead is None:
            messages.warning(request, words.still_unreadable(submission))
            return HttpResponseRedirect(_url(submission))
        messages.success(request, words.after_release([lead]))
        return _to_lead(request, submission, [lead])

    def press_discard(self, request: HttpRequest, submission: Submission) -> HttpResponse:
        quarantine.discard(submission, _user(request), timezone.now())
        messages.success(request, _("Discarded. It stays here as it came, and can be put back."))
        return HttpResponseRedirect(_url(submission))

    def press_restore(self, request: HttpRequest, submission: Submission) -> HttpResponse:
        quarantine.restore(submission, _user(request))
        messages.success(request, _("Back in quarantine."))
        return HttpResponseRedirect(_url(submission))


def _user(request: HttpRequest) -> Any:
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
