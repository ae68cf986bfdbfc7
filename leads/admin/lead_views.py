"""The page of one lead.

A salesperson came to answer this one lead. So the page says first who it is, what they did and in whose words, and
how to reach them; then where the lead is and what may be done about it, what else the same customer did, and what
happened since; and last, for whoever doubts it, what exactly Microsoft sent.
"""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from leads.admin import answering, lead_page, work
from leads.admin.choosing import PersonField
from leads.admin.neighbours import CARRIED, query_of
from leads.admin.original import as_file
from leads.models import Lead, Note
from leads.people import name_of
from leads.work import by_hand, colleagues, log


class LeadForm(forms.ModelForm):
    """What staff decide about a lead; what Microsoft sent is no part of it."""

    owner = PersonField(label=gettext_lazy("Owner"))
    closed_reason = forms.CharField(
        max_length=200,
        required=False,
        label=gettext_lazy("Closed reason"),
        help_text=gettext_lazy("Why it is closed, e.g. bought, no budget, not reachable."),
    )

    class Meta:
        model = Lead
        fields = ("status", "owner", "closed_reason")
        labels = {"status": gettext_lazy("Status")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "owner" in self.fields:
            owner: Any = self.fields["owner"]
            owner.queryset = colleagues(Q(pk=self.instance.owner_id))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("status") != Lead.Status.CLOSED:
            data["closed_reason"] = ""
        elif not data.get("closed_reason"):
            self.add_error("closed_reason", _("Say why it is closed."))
        return data


class NoteForm(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("Add a note"),
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": gettext_lazy("The note is empty.")},
    )


class LeadPage(admin.ModelAdmin):
    """The page half of the admin of leads; the list is the other."""

    form = LeadForm
    change_form_template = "admin/leads/lead/change_form.html"

    class Media:
        css = {"all": ["leadsite/lead.css", "leadsite/work.css"]}

    # Leads come from the endpoint only, and go with retention or erasure only.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What is worked on in the CRM is changed there."""
        worked_elsewhere = isinstance(obj, Lead) and not obj.offer.works_here
        return not worked_elsewhere and super().has_change_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<uuid:lead_id>/note/", view(require_POST(self.add_note)), name="leads_lead_note"),
            path("<uuid:lead_id>/original/", view(require_GET(self.original)), name="leads_lead_original"),
        ]
        return [*own, *work.urls(self), *answering.urls(self), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lead]:
        return super().get_queryset(request).select_related("offer", "submission", "owner")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        lead = self.get_object(request, object_id)
        if lead is None:
            raise Http404(_("There is no such lead: the address is wrong, or the lead was erased."))
        may_note = lead.offer.works_here and request.user.has_perm("leads.add_note")
        context = {
            **lead_page.context(self, request, lead),
            "note_form": NoteForm() if may_note else None,
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def original(self, request: HttpRequest, lead_id: UUID) -> HttpResponse:
        """The body that the lead was read from, byte for byte."""
        if not (self.has_view_permission(request) and request.user.has_perm("leads.view_submission")):
            raise PermissionDenied
        return as_file(get_object_or_404(Lead.objects.select_related("submission"), pk=lead_id).submission)

    def add_note(self, request: HttpRequest, lead_id: UUID) -> HttpResponse:
        """Store a note under the name of who wrote it. Notes are never edited."""
        lead = get_object_or_404(Lead.objects.select_related("offer"), pk=lead_id)
        may = request.user.has_perm("leads.add_note") and self.has_view_permission(request, lead)
        if not (may and lead.offer.works_here):
            raise PermissionDenied
        form = NoteForm(request.POST)
        if form.is_valid():
            Note.objects.create(lead=lead, author_id=request.user.pk, text=form.cleaned_data["text"])
            messages.success(request, _("Note added."))
        else:
            messages.error(request, "; ".join(map(str, form.errors["text"])))
        page = reverse("admin:leads_lead_change", args=[lead.pk])
        return HttpResponseRedirect(f"{page}{query_of(request.GET.get(CARRIED, ''))}#timeline")

    def construct_change_message(  # type: ignore[override]  # a plain text is stored as it is
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> str:
        """What the timeline says: old and new, not only which field was touched."""
        return "; ".join(_change(form, name) for name in form.changed_data)

    def save_model(self, request: HttpRequest, obj: Lead, form: Any, change: bool) -> None:
        if "owner" in form.changed_data:
            obj.assigned_because = by_hand(request.user, obj.owner)
        super().save_model(request, obj, form, change)

    def log_change(self, request: HttpRequest, obj: Lead, message: Any) -> Any:
        """On the timeline, as what the buttons do."""
        if message:
            log(obj, request.user, timezone.now(), message)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """There is one timeline, and it leaves out what is not to be seen."""
        return HttpResponseRedirect(f"{reverse('admin:leads_lead_change', args=[object_id])}#timeline")

    def response_change(self, request: HttpRequest, obj: Lead) -> HttpResponse:
        messages.success(request, _("Saved."))
        return HttpResponseRedirect(f"{request.path}{query_of(request.GET.get(CARRIED, ''))}")


def _change(form: Any, name: str) -> str:
    def shown(value: Any) -> str:
        field = form.fields[name]
        if hasattr(field, "queryset"):
            known = field.queryset.model._default_manager.filter(pk=getattr(value, "pk", value)).first()
            return name_of(known, _("nobody"))
        return dict(getattr(field, "choices", ())).get(value, value) or _("none")

    label = form.fields[name].label or name.replace("_", " ").capitalize()
    return f"{label}: {shown(form.initial.get(name))} → {shown(form.cleaned_data.get(name))}"
