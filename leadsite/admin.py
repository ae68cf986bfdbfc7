"""Users and groups: an administrator came to let a colleague in, or to shut one out.

Django's own pages, with four differences: permissions are named without the names of apps, and ticked rather than moved
from one box into another; a new user may sign in here; and who is no superuser can neither become one nor take over the
account of one.
"""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model
from django.forms import CheckboxSelectMultiple, ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from leadsite import leaving

OURS = ("leads", "crm_sync", "auth")  # whose permissions are of use here
POWERS = ("is_superuser", "user_permissions")  # what only a superuser may hand out
KEPT_BY_DJANGO = ("last_login", "date_joined")


class PermissionsField(ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return in_words(obj)


def in_words(permission: Any) -> str:
    """A permission, by what it is for: "Lead: Can view lead"."""
    return f"{capfirst(permission.content_type.name)}: {_said(permission)}"


# Django's own permissions, which it names in English in the database.
EVERY_MODEL_HAS = {
    "add": _("Can add %(what)s"),
    "change": _("Can change %(what)s"),
    "delete": _("Can delete %(what)s"),
    "view": _("Can view %(what)s"),
}


def _said(permission: Any) -> str:
    """What a permission allows; ours are marked for translation where the models name them."""
    verb = permission.codename.removesuffix(f"_{permission.content_type.model}")
    if verb in EVERY_MODEL_HAS:
        return EVERY_MODEL_HAS[verb] % {"what": permission.content_type.name}
    return gettext(permission.name)


def _ticks() -> CheckboxSelectMultiple:
    """Usable by keyboard, by screen reader and on a phone, which two boxes side by side are not."""
    return CheckboxSelectMultiple(attrs={"class": "checkboxes"})


def _choosing_permissions(db_field: Any, formfield: Any) -> Any:
    if formfield is not None and db_field.related_model is Permission:
        # Only the labels differ; the rest of the field stays as Django made it.
        formfield.__class__ = PermissionsField
        formfield.queryset = formfield.queryset.filter(content_type__app_label__in=OURS)
    return formfield


class NamesPermissions(admin.ModelAdmin):
    """Permissions are named alike where they are given and where they can only be read."""

    granted = "permissions"  # the field that holds them

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if self._may_give(request, obj):
            return fieldsets
        return [
            (
                title,
                {
                    **options,
                    "fields": ["may" if name == self.granted else name for name in options["fields"]],
                },
            )
            for title, options in fieldsets
        ]

    def _may_give(self, request: HttpRequest, obj: Any) -> bool:
        may_save = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return may_save and self.granted not in self.get_readonly_fields(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "may")

    @admin.display(description=_("permissions"))
    def may(self, obj: Any) -> SafeString:
        rows = getattr(obj, self.granted).filter(content_type__app_label__in=OURS)
        said = ((in_words(permission),) for permission in rows.select_related("content_type"))
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", said))


admin.site.unregister(User)
admin.site.unregister(Group)
if apps.is_installed("procrastinate.contrib.django"):
    from procrastinate.contrib.django.models import ProcrastinateJob

    admin.site.unregister(ProcrastinateJob)  # a wake-up of the workers, of no use to a person


@admin.register(User)
class ColleagueAdmin(NamesPermissions, UserAdmin):
    granted = "user_permissions"
    filter_horizontal = ()
    empty_value_display = _("none")  # as a choice of the filter it must say something
    change_form_template = "admin/auth/user/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        return [*leaving.urls(self), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        user = self.get_object(request, unquote(object_id))
        more = leaving.on_the_desk(request, user) if user else {}
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """To the open leads of who was shut out, where there are some."""
        response = super().response_change(request, obj)
        left = not obj.is_active and leaving.may_hand_over(request) and leaving.open_leads(obj)
        return HttpResponseRedirect(leaving.url_of(obj)) if left else response

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        kwargs["widget"] = _ticks()
        return _choosing_permissions(db_field, super().formfield_for_manytomany(db_field, request, **kwargs))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        powers = () if request.user.is_superuser else POWERS
        return (*super().get_readonly_fields(request, obj), *KEPT_BY_DJANGO, *powers)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.is_staff = True  # there is nothing here but the admin
        super().save_model(request, obj, form, change)


@admin.register(Group)
class RoleAdmin(NamesPermissions, GroupAdmin):
    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        kwargs["widget"] = _ticks()
        return _choosing_permissions(db_field, super().formfield_for_manytomany(db_field, request, **kwargs))


def _may_touch(request: HttpRequest, obj: Any) -> bool:
    return obj is None or not obj.is_superuser or request.user.is_superuser
