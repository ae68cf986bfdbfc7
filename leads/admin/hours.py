"""Working hours: a partner manager came to say when colleagues are at work, and how soon a lead should be answered.

There is one answer for everybody, so there is no list: the menu opens the form.
"""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from leads import work, working_hours
from leads.models import WorkingHours

CHANGE = "leads.change_workinghours"
# Areas of the world; the rest are old names, and zones that only machines live in.
AREAS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


def zones() -> list[str]:
    """The time zones that people live in, by name."""
    return ["UTC", *sorted(zone for zone in available_timezones() if zone.partition("/")[0] in AREAS)]


class HoursForm(forms.ModelForm):
    days = forms.MultipleChoiceField(
        label=gettext_lazy("Working days"),
        choices=[(str(number), name) for number, name in WEEKDAYS.items()],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Tick at least one day.")},
    )
    opens = forms.TimeField(label=gettext_lazy("From"), widget=forms.TimeInput({"type": "time"}, "%H:%M"))
    closes = forms.TimeField(label=gettext_lazy("Until"), widget=forms.TimeInput({"type": "time"}, "%H:%M"))
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"))

    class Meta:
        model = WorkingHours
        fields = ("days", "opens", "closes", "time_zone", "answer_within")
        labels = {"answer_within": gettext_lazy("Answer within, in working hours")}
        help_texts = {
            "answer_within": gettext_lazy(
                "From a lead's arrival to the first answer. Empty: no clock, and no lead is ever late."
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        kept = self.instance.time_zone
        fields["time_zone"].choices = [(zone, zone) for zone in dict.fromkeys([*zones(), kept])]
        self.initial["days"] = list(self.instance.days)

    def clean_days(self) -> str:
        return "".join(sorted(self.cleaned_data["days"]))


@admin.register(WorkingHours)
class WorkingHoursAdmin(admin.ModelAdmin):
    # One row, which the form makes when it is first saved.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:leads_workinghours_changelist"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        hours = WorkingHours.current()
        form = HoursForm(request.POST or None, instance=hours)
        if request.method == "POST":
            if not request.user.has_perm(CHANGE):
                raise PermissionDenied
            if form.is_valid():
                return self._save(request, form)
            hours = WorkingHours.current()  # the form has written into the other
        return self._render(request, hours, form)

    def _save(self, request: HttpRequest, form: HoursForm) -> HttpResponse:
        hours = form.save()
        with override("en"):  # the history is kept in one language
            self.log_change(request, hours, in_words(hours))
        messages.success(request, _("Saved. It holds for leads that come from now on."))
        return HttpResponseRedirect(request.path)

    def _render(self, request: HttpRequest, hours: WorkingHours, form: HoursForm) -> TemplateResponse:
        may_change = request.user.has_perm(CHANGE)
        due = working_hours.due(timezone.now(), hours)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Working hours"),
            "form": form if may_change else None,
            "said": in_words(hours),
            "due": _on_their_wall(due.astimezone(ZoneInfo(hours.time_zone))) if due else "",
            "zone": hours.time_zone,
            "worked_here": work.is_done_here(request),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/leads/workinghours/page.html", context)


def _on_their_wall(moment: datetime) -> str:
    return f"{WEEKDAYS[moment.weekday()]}, {moment:%Y-%m-%d %H:%M}"


def in_words(hours: WorkingHours) -> str:
    """Working hours and clock, in a line."""
    days = ", ".join(str(WEEKDAYS[int(day)]) for day in hours.days)
    said = _("%(days)s, %(opens)s to %(closes)s, %(zone)s") % {
        "days": days,
        "opens": f"{hours.opens:%H:%M}",
        "closes": f"{hours.closes:%H:%M}",
        "zone": hours.time_zone,
    }
    clock = (
        _("no clock")
        if hours.answer_within is None
        else _("answer within %(hours)s working hours") % {"hours": hours.answer_within}
    )
    return f"{said}; {clock}"
