"""The filters of the inbox by what people do with leads, and the views that everybody has."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.admin.inbox_filters import Choice
from leads.models import Lead
from leads.people import name_of

VIEW = "view"


class WorkFilter(Choice):
    """A choice by what people do with leads: there is none to make of those that are worked on in the CRM."""

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        found: Any = super().queryset(request, queryset)
        return found if found is queryset else found.worked_here()


class ViewFilter(Choice):
    """The views that everybody has. They are chosen by the tabs, and are no field of the form."""

    title = gettext_lazy("view")
    parameter_name = VIEW
    in_form = False

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("needs_me", _("Needs me")), ("all", _("All"))]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        if value == "all":
            return queryset
        return queryset.needing(self.request.user, timezone.localdate())


class StateFilter(WorkFilter):
    title = gettext_lazy("state")
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return Lead.Status.choices

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        return queryset.filter(status=value)


class OwnerFilter(WorkFilter):
    title = gettext_lazy("owner")
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        people = get_user_model()._default_manager.filter(is_staff=True).order_by("username")
        named = [
            (
                str(user.pk),
                name_of(user) if user.is_active else _("%(person)s (has left)") % {"person": name_of(user)},
            )
            for user in people.only("pk", "username", "first_name", "last_name", "is_active")
        ]
        return [("me", _("Me")), ("nobody", _("Nobody")), *named]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        who = {"me": self.request.user.pk, "nobody": None}.get(value, value)
        return queryset.filter(owner=who)


class AnswerFilter(WorkFilter):
    title = gettext_lazy("answer")
    parameter_name = "answer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("open", _("Not answered")),
            ("late", _("Late")),
            ("given", _("Answered")),
            ("timed", _("Answered here, none imported")),
        ]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        if value == "given":
            return queryset.filter(answered_at__isnull=False)
        if value == "timed":
            return queryset.answered_here()
        waiting = queryset.unanswered()
        return waiting.filter(answer_due_at__lt=timezone.now()) if value == "late" else waiting


class FollowUpFilter(WorkFilter):
    title = gettext_lazy("follow-up")
    parameter_name = "follow_up"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("due", _("Due")), ("coming", _("To come"))]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        today = timezone.localdate()
        return queryset.filter(**{f"follow_up_on__{'lte' if value == 'due' else 'gt'}": today})
