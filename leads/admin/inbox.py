"""The inbox: the list of leads.

A salesperson came to see who is new and waits for an answer, or to find one person again. So a row says in a sentence
who did what and when, then the customer's own words, what is special about it, and how far we are with it. It opens on
what needs whoever opens it; tests and what was archived stay out of sight unless asked for.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.forms import CheckboxInput, Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from leads import search
from leads.admin import exports, inbox_actions, inbox_form, inbox_rows, saved_views
from leads.admin.inbox_work_filters import VIEW, WorkFilter
from leads.admin.paging import PagedList
from leads.models import Lead
from leads.ports import LeadColumn, ports
from leads.wording import clip
from leads.work import is_done_here


class LeadList(PagedList):
    """The list, loading what its rows show with the page of leads and nothing else."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(request, *args, **kwargs)

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Model]:
        names = [name for column in ports.lead_columns for name in column.prefetch]
        found = super().get_queryset(request, exclude_parameters)
        return inbox_rows.lean(found.prefetch_related(*names))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        inbox_rows.number_them(self.result_list)

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """An empty query would be somebody's own work; without any filter, all leads are meant."""
        query = super().get_query_string(new_params, remove)
        return query if query != "?" else f"?{saved_views.ALL}"

    # What the template asks for

    @property
    def tabs(self) -> list[saved_views.Tab]:
        return saved_views.tabs(self.request)

    @property
    def chips(self) -> list[inbox_form.Chip]:
        return inbox_form.chips(self)

    @property
    def form_fields(self) -> list[Any]:
        """The filters that stand in the form; about work only where there is work here."""
        works = is_done_here(self.request)
        shown = (spec for spec in self.filter_specs if getattr(spec, "in_form", True))
        return [spec for spec in shown if works or not isinstance(spec, WorkFilter)]

    @property
    def wrong_filter(self) -> bool:
        """Whether a field of the form says something that nothing can match."""
        return any(getattr(spec, "wrong", "") for spec in self.form_fields)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What of the query the form of the filters carries along, as no field of it says it."""
        in_form = {name for spec in self.form_fields for name in spec.expected_parameters()}
        return [
            (name, value)
            for name, values in self.filter_params.items()
            if name not in in_form
            for value in values
        ]

    @property
    def searched(self) -> list[tuple[str, str]]:
        """What of the query a search carries along: all but the view, as who is looked for may be anywhere."""
        left = {VIEW, "q"}
        return [
            (name, value)
            for name, values in self.filter_params.items()
            if name not in left
            for value in values
        ]

    @property
    def everywhere(self) -> str:
        """The same search and filters, among tests and archived leads too; "" where that is so already."""
        if self.params.get("kind") == "all" and self.params.get("archived") == "all":
            return ""
        return self.get_query_string({"kind": "all", "archived": "all", VIEW: None})

    @property
    def needs_me(self) -> bool:
        return self.params.get(VIEW) == "needs_me"

    @property
    def has_leads(self) -> bool:
        """Whether there is any lead at all."""
        return Lead.objects.exists()

    @property
    def may_share(self) -> bool:
        return self.request.user.has_perm(saved_views.SHARE)

    @property
    def may_export(self) -> bool:
        return self.request.user.has_perm(exports.EXPORT)


class Inbox(admin.ModelAdmin):
    """The half of the leads' admin that lists them."""

    change_list_template = "admin/leads/lead/change_list.html"
    list_select_related = ("offer", "submission", "owner")
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter, over all rows
    search_fields = ("searched__text",)  # `get_search_results` looks there
    search_help_text = gettext_lazy(
        "Anything that was sent; every word must occur. A phone number in digits only."
    )
    ordering = ("-received_at", "-id")
    sortable_by = ()  # by when they came: any other order would read them all

    @property
    def media(self) -> Media:
        return super().media + Media(css={"all": ["leadsite/inbox.css"]})

    def get_urls(self) -> list[URLPattern]:
        def wrapped(view: Callable[..., HttpResponse]) -> Any:
            return self.admin_site.admin_view(view)

        return [
            path("export/", wrapped(self.export), name="leads_lead_export"),
            path("bulk/<slug:name>/", wrapped(self.bulk), name="leads_lead_bulk"),
            path("views/save/", wrapped(require_POST(self.save_view)), name="leads_lead_save_view"),
            path("views/<int:pk>/", wrapped(self.edit_view), name="leads_lead_view"),
            *super().get_urls(),
        ]

    # The list

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.matching(queryset, search_term), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LeadList]:
        return LeadList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method == "GET" and any("" in values for _name, values in request.GET.lists()):
            return HttpResponseRedirect(f"{request.path}?{saved_views.asked_for(request.GET)}")
        if not request.GET:
            request.GET = QueryDict(saved_views.default(request))
        elif saved_views.asks_for_work(request.GET) and not is_done_here(request):  # an old bookmark
            return HttpResponseRedirect(f"{request.path}?{saved_views.without_work(request.GET)}")
        return super().changelist_view(request, extra_context)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*inbox_form.FIRST, *ports.lead_filters, *inbox_form.LAST]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        plugged = [_plugged(column, number, request) for number, column in enumerate(ports.lead_columns)]
        return [self._story(request), *([_work()] if is_done_here(request) else []), *plugged]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return None  # the sentence is the link, and a badge in it would be read with it

    def action_checkbox(self, lead: Lead) -> SafeString:
        """With a label of bounded length."""
        label = _("Choose %(who)s") % {"who": clip(lead.who, 80)}
        box = CheckboxInput({"class": "action-select", "aria-label": label}, lambda value: False)
        return box.render("_selected_action", str(lead.pk))

    def _story(self, request: HttpRequest) -> Callable[[Lead], SafeString]:
        kept: Any = {"preserved_filters": self.get_preserved_filters(request), "opts": self.opts}

        def story(lead: Lead) -> SafeString:
            url = reverse("admin:leads_lead_change", args=[lead.pk])
            return inbox_rows.story(lead, add_preserved_filters(kept, url))

        story.short_description = _("lead")  # type: ignore[attr-defined]
        return story

    # Actions

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Ours, and what others can do with several leads, each for users who have its `permissions`."""
        actions = {**super().get_actions(request), **inbox_actions.offered(request)}
        for action in ports.lead_actions:
            if request.user.has_perms(getattr(action, "permissions", ())):
                name = action.__name__
                words = getattr(action, "short_description", name.replace("_", " ").capitalize())
                actions[name] = (action, name, words)
        return actions

    def response_action(  # type: ignore[override]  # the stubs are of a later Django
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        try:
            return super().response_action(request, queryset)
        except ValidationError:  # what was chosen is no id of a lead
            messages.warning(request, _("Nothing to do: these leads are not in the list."))
            return None

    # The pages beside it

    def bulk(self, request: HttpRequest, name: str) -> HttpResponse:
        self._require_view(request)
        return inbox_actions.take(self, request, name)

    def save_view(self, request: HttpRequest) -> HttpResponse:
        self._require_view(request)
        return saved_views.save(request)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        self._require_view(request)
        return saved_views.edit(self, request, pk)

    def export(self, request: HttpRequest) -> HttpResponse:
        self._require_view(request)
        if not request.GET:
            request.GET = QueryDict(saved_views.default(request))
        return exports.page(self, request)

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _work() -> Callable[[Lead], SafeString | str]:
    now, today = timezone.now(), timezone.localdate()

    def work(lead: Lead) -> SafeString | str:
        return inbox_rows.work(lead, now, today)

    work.short_description = _("our work")  # type: ignore[attr-defined]
    return work


def _plugged(column: LeadColumn, number: int, request: HttpRequest) -> Callable[[Lead], str | SafeString]:
    """The column as the admin wants it: it asks every column for a __name__, and lead columns are objects."""

    def show(lead: Lead) -> str | SafeString:
        return column(request, lead)

    show.__name__ = f"plugged_{number}"
    show.short_description = column.short_description  # type: ignore[attr-defined]
    return show
