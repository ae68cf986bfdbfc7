"""Quarantine: requests that arrived and could not become leads.

A partner manager came because Home says that something is waiting here: a lead may be in it. So the list says why
each is here and how many there are of a kind, and after a mistake was mended elsewhere reads all of them again at
once. The page of one is request_page.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import quarantine, search
from leads.admin import quarantine_page as words
from leads.admin.paging import Paged, PagedList
from leads.admin.request_page import RequestPage, user_of
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
class QuarantineAdmin(RequestPage, Paged):
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
        done = quarantine.reread_many(queryset, user_of(request), timezone.now())
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
            count = quarantine.discard_many(chosen, user_of(request), timezone.now())
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
