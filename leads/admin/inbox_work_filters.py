"""The filters of the inbox by what people do with leads, and the views that everybody has."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.admin.inbox_filters import Choice, offers
from leads.models import Lead

VIEW = "view"


def works_here(request: HttpRequest) -> bool:
    """Whether people work on any offer's leads here: else owners, states and answers are nowhere to be seen."""
    found = offers(request)
    return not found or any(offer.works_here for offer in found)


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


class StateFilter(Choice):
    title = gettext_lazy("state")
    parameter_name = "status__exact"
    of_work = True

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return Lead.Status.choices

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        return queryset.filter(status=value)


class OwnerFilter(Choice):
    title = gettext_lazy("owner")
    parameter_name = "owner"
    of_work = True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        people = get_user_model()._default_manager.filter(is_staff=True).order_by("username")
        named = [
            (str(user.pk), str(user) if user.is_active else _("%(person)s (has left)") % {"person": user})
            for user in people.only("pk", "username", "is_active")
        ]
        return [("me", _("Me")), ("nobody", _("Nobody")), *named]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        who = {"me": self.request.user.pk, "nobody": None}.get(value, value)
        return queryset.filter(owner=who)


class AnswerFilter(Choice):
    title = gettext_lazy("answer")
    parameter_name = "answer"
    of_work = True

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


class FollowUpFilter(Choice):
    title = gettext_lazy("follow-up")
    parameter_name = "follow_up"
    of_work = True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("due", _("Due")), ("coming", _("To come"))]

    def chosen(self, queryset: Any, value: str) -> QuerySet[Any]:
        today = timezone.localdate()
        return queryset.filter(**{f"follow_up_on__{'lte' if value == 'due' else 'gt'}": today})
