"""Leads.

The list: a salesperson came to see who is new and waits for an answer, or to find one person again. So a row
says who did what, when, in which state; tests stay out of sight unless asked for.

The page: the same person came to answer this one lead. So it says first who and what and what is unusual, then
where the lead was sent and what happened since; and last, for whoever doubts it, what exactly Microsoft sent.
"""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from leads import lead_source
from leads.admin import lead_page
from leads.admin.filters import ActionFilter, KindFilter, ReceivedFilter, SourceFilter
from leads.countries import country_code
from leads.models import Lead, Note
from leads.ports import LeadColumn, ports
from leads.wording import badge_row, clip, clock, when

# What a row does not show: a stranger may have filled each of them with as much as a body holds.
HEAVY = (
    "description",
    "extra",
    "campaign",
    "submission__body",
    "submission__headers",
    "submission__problems",
)


class LeadForm(forms.ModelForm):
    """What staff decide about a lead; what Microsoft sent is no part of it."""

    owner = forms.ModelChoiceField(
        get_user_model()._default_manager.filter(is_active=True, is_staff=True).order_by("username"),
        required=False,
        empty_label="Nobody",
    )
    closed_reason = forms.CharField(
        max_length=200, required=False, help_text="Why it is closed, e.g. bought, no budget, not reachable."
    )

    class Meta:
        model = Lead
        fields = ("status", "owner", "closed_reason")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("status") != Lead.Status.CLOSED:
            data["closed_reason"] = ""
        elif not data.get("closed_reason"):
            self.add_error("closed_reason", "Say why it is closed.")
        return data


class NoteForm(forms.Form):
    text = forms.CharField(
        label="Add a note",
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "The note is empty."},
    )


class LeadList(ChangeList):
    """The list, loading what its columns show with the page of leads and nothing else."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Model]:
        names = [name for column in ports.lead_columns for name in column.prefetch]
        return super().get_queryset(request, exclude_parameters).prefetch_related(*names).defer(*HEAVY)


@admin.register(Lead)
class LeadAdmin(admin.ModelAdmin):
    form = LeadForm
    change_form_template = "admin/leads/lead/change_form.html"
    change_list_template = "admin/leads/lead/change_list.html"
    list_select_related = ("offer", "submission")
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter, over all rows
    search_fields = ("first_name", "last_name", "email", "company", "phone", "description", "lead_source")
    search_help_text = "Name, company, e-mail, phone, description or LeadSource."
    ordering = ("-received_at", "-id")

    # Leads come from the endpoint only, and go with retention or erasure only.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    # The list

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = [_as_function(column, number, request) for number, column in enumerate(ports.lead_columns)]
        return ["received", "person", "did", "offer", "from_country", "status", *columns]

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> tuple[str, ...]:
        return ("person",)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [
            ReceivedFilter,
            "status",
            ActionFilter,
            "offer",
            SourceFilter,
            KindFilter,
            *ports.lead_filters,
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LeadList]:
        return LeadList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """What others can do with several leads, for users who have an action's `permissions` ("app.codename")."""
        actions = super().get_actions(request)
        for action in ports.lead_actions:
            if request.user.has_perms(getattr(action, "permissions", ())):
                name = action.__name__
                words = getattr(action, "short_description", name.replace("_", " ").capitalize())
                actions[name] = (action, name, words)
        return actions

    @admin.display(description="received", ordering="received_at")
    def received(self, lead: Lead) -> SafeString:
        return format_html(
            '<span class="clock">{}</span> <span class="quiet">{}</span>',
            clock(lead.received_at),
            when(lead.received_at),
        )

    @admin.display(description="who", ordering="last_name")
    def person(self, lead: Lead) -> SafeString:
        company = clip(lead.company, 80) if lead.company != lead.who else ""
        return format_html(
            '<span class="who">{}</span> <span class="quiet">{}</span>', clip(lead.who, 80), company
        )

    @admin.display(description="what")
    def did(self, lead: Lead) -> SafeString:
        label = clip(lead_source.action_label(lead.action) or "No action named", 60)
        # A badge says it already, and louder.
        return format_html("{} {}", "" if lead.action == "DNC" else label, badge_row(lead))

    @admin.display(description="country")
    def from_country(self, lead: Lead) -> str:
        return country_code(lead.country) or clip(lead.country, 30)

    # The page

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<uuid:lead_id>/note/",
            self.admin_site.admin_view(require_POST(self.add_note)),
            name="leads_lead_note",
        )
        return [own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        return super().get_queryset(request).select_related("offer", "submission", "owner")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        lead = self.get_object(request, object_id)
        found = (
            lead_page.context(request, lead)
            if lead is not None and self.has_view_permission(request, lead)
            else {}
        )
        may_note = request.user.has_perm("leads.add_note")
        context = {**found, "note_form": NoteForm() if may_note else None, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def add_note(self, request: HttpRequest, lead_id: Any) -> HttpResponse:
        """Store a note under the name of who wrote it. Notes are never edited."""
        lead = get_object_or_404(Lead, pk=lead_id)
        if not (request.user.has_perm("leads.add_note") and self.has_view_permission(request, lead)):
            raise PermissionDenied
        form = NoteForm(request.POST)
        if form.is_valid():
            Note.objects.create(lead=lead, author_id=request.user.pk, text=form.cleaned_data["text"])
            messages.success(request, "Note added.")
        else:
            messages.error(request, "; ".join(map(str, form.errors["text"])))
        return HttpResponseRedirect(reverse("admin:leads_lead_change", args=[lead.pk]) + "#timeline")

    def construct_change_message(  # type: ignore[override]  # a plain text is stored as it is
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> str:
        """What the timeline says: old and new, not only which field was touched."""
        return "; ".join(_change(form, name) for name in form.changed_data)

    def response_change(self, request: HttpRequest, obj: Lead) -> HttpResponse:
        messages.success(request, "Saved.")
        return HttpResponseRedirect(request.path)


def _change(form: Any, name: str) -> str:
    def shown(value: Any) -> str:
        field = form.fields[name]
        if hasattr(field, "queryset"):
            known = field.queryset.model._default_manager.filter(pk=getattr(value, "pk", value)).first()
            return str(known) if known else "nobody"
        return dict(getattr(field, "choices", ())).get(value, value) or "none"

    label = form.fields[name].label or name.replace("_", " ").capitalize()
    return f"{label}: {shown(form.initial.get(name))} → {shown(form.cleaned_data.get(name))}"


def _as_function(column: LeadColumn, number: int, request: HttpRequest) -> Callable[[Lead], str | SafeString]:
    """The column as the admin wants it: it asks every column for a __name__, and lead columns are objects."""

    def show(lead: Lead) -> str | SafeString:
        return column(request, lead)

    show.__name__ = f"plugged_{number}"
    show.short_description = column.short_description  # type: ignore[attr-defined]
    return show
