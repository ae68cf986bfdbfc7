"""Exports.

The page: a partner manager came to take the leads of a list away in a file. So it says how many those are, of which
filter, and that it will be known who took them.

The list: an auditor came to see who took which leads away, and when.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import export, sheet
from leads.admin import saved_views
from leads.admin.evidence import Evidence
from leads.models import Export
from leads.people import name_of
from leads.wording import clip, clock, in_one_language

EXPORT = "leads.export_lead"
MOST_IN_EXCEL = 500_000  # leads: a sheet has a million rows, and has to stay below 2 GiB
EXCEL_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SAID = 2_000  # characters
LONGEST_SHEET_NAME = 31  # characters, to Excel


class FormatForm(forms.Form):
    format = forms.ChoiceField(
        label=gettext_lazy("Format"),
        choices=[
            (Export.Format.XLSX, gettext_lazy("Excel (.xlsx)")),
            (Export.Format.CSV, gettext_lazy("CSV, for any other program")),
        ],
        initial=Export.Format.XLSX,
        widget=forms.RadioSelect,
    )


def page(inbox: Any, request: HttpRequest) -> HttpResponse:
    """Ask in which format; then hand over the file."""
    if not request.user.has_perm(EXPORT):
        raise PermissionDenied
    found = inbox.get_changelist_instance(request)
    leads = found.queryset
    query = saved_views.normal(request.GET.urlencode())
    back = f"{reverse('admin:leads_lead_changelist')}?{query}"
    count = leads.order_by().count()
    if not count:
        messages.warning(request, _("Nothing to export: no lead is in that list."))
        return HttpResponseRedirect(back)
    form = FormatForm(request.POST or None)
    if form.is_valid():
        chosen = form.cleaned_data["format"]
        if chosen != Export.Format.XLSX or count <= MOST_IN_EXCEL:
            return _file(request, leads, chosen, query, said(found))
        form.add_error("format", _("These are too many for an Excel file: take CSV, or narrow the filter."))
    title = ngettext("Export this %(n)s lead", "Export these %(n)s leads", count) % {"n": f"{count:,}"}
    context = {
        **inbox.admin_site.each_context(request),
        "opts": inbox.opts,
        "media": inbox.media,
        "title": title,
        "said": said(found),
        "form": form,
        "most_in_excel": f"{MOST_IN_EXCEL:,}" if count > MOST_IN_EXCEL else "",
        "back": back,
        "may_see_exports": request.user.has_perm("leads.view_export"),
    }
    request.current_app = inbox.admin_site.name
    return TemplateResponse(request, "admin/leads/lead/export.html", context)


def said(found: Any) -> str:
    """What is in the list, in words."""
    current = [tab.name for tab in found.tabs if tab.current][:1]
    return "; ".join(dict.fromkeys([*current, *(chip.said for chip in found.chips)])) or _("All")


def _file(request: HttpRequest, leads: QuerySet[Any], kind: str, query: str, words: str) -> HttpResponse:
    """The file. That it was taken is written down before its first byte leaves."""
    now, zone = timezone.now(), timezone.get_current_timezone()
    leads = leads.filter(received_at__lte=now)  # so that the number that is written down stays true
    Export.objects.create(
        created_by_id=request.user.pk,
        created_at=now,
        format=kind,
        query=query,
        said=clip(words, SAID),
        leads=leads.order_by().count(),
    )
    name = f"leads-{timezone.localtime(now):%Y-%m-%d-%H%M}.{kind}"
    rows = export.rows(leads, request, zone)
    # Both go out as they are made, so that no proxy waits for the end, and nothing of them is kept here.
    content, content_type = (
        (sheet.workbook(rows, clip(_("Leads"), LONGEST_SHEET_NAME)), EXCEL_TYPE)
        if kind == Export.Format.XLSX
        else (sheet.lines(rows), "text/csv; charset=utf-8")
    )
    response = StreamingHttpResponse(in_one_language(content), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response  # type: ignore[return-value]


@admin.register(Export)
class ExportAdmin(Evidence):
    change_list_template = "admin/leads/export/change_list.html"
    list_display = ("at", "by", "how_many", "which", "file_format")
    list_display_links = None
    list_select_related = ("created_by",)
    list_per_page = 50
    show_full_result_count = False
    ordering = ("-created_at", "-id")
    sortable_by = ()
    actions = None

    class Media:
        css = {"all": ["leadsite/inbox.css"]}

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A row says all there is."""
        return HttpResponseRedirect(reverse("admin:leads_export_changelist"))

    @admin.display(description=gettext_lazy("when"))
    def at(self, obj: Export) -> str:
        return clock(obj.created_at)

    @admin.display(description=gettext_lazy("who"))
    def by(self, obj: Export) -> str:
        return name_of(obj.created_by, _("A former colleague"))

    @admin.display(description=gettext_lazy("leads"))
    def how_many(self, obj: Export) -> str:
        return f"{obj.leads:,}"

    @admin.display(description=gettext_lazy("which"))
    def which(self, obj: Export) -> SafeString:
        url = f"{reverse('admin:leads_lead_changelist')}?{obj.query}"
        return format_html('<a href="{}">{}</a>', url, clip(obj.said))

    @admin.display(description=gettext_lazy("format"))
    def file_format(self, obj: Export) -> str:
        return obj.get_format_display()
