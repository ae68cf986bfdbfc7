"""Users and groups: an administrator came to let a colleague in, or to shut one out.

Django's own pages, with these differences: a user is made on one page, with name, address and groups, and may sign in
here at once, by a password, as there is no other way; groups say in words what they are for; permissions are named
without the names of apps, and ticked rather than moved from one box into another; and who is no
superuser can neither become one nor take over the account of one.
"""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model, QuerySet
from django.forms import CheckboxSelectMultiple, ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from leads.admin.choosing import ONE_BUTTON
from leadsite import leaving

OURS = ("leads", "crm_sync", "auth")  # whose permissions are of use here
POWERS = ("is_superuser", "user_permissions")  # what only a superuser may hand out
KEPT_BY_DJANGO = ("last_login", "date_joined")
# What the groups of leadsite/migrations are for.
GROUPS = {
    "Sales": _("work on leads: answer, set states, owners and reminders, add notes"),
    "Partner manager": _(
        "do that, and see to offers, CRM connections, field mappings, sendings and quarantine, and export leads"
    ),
    "Administrator": _("do that, pause and delete connections, and see to users, health and settings"),
    "Auditor": _("look at leads, sendings and set-up, and change nothing"),
}


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


class GroupsField(ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name}: {GROUPS[obj.name]}" if obj.name in GROUPS else obj.name


WORDS = {
    "username": _("To sign in with. Letters, digits and @ . + - _"),
    "email": _("For mail from here: assigned leads, what needs attention."),
    "groups": _("What this user may do. In no group, they may sign in and see nothing."),
}


class ColleagueForm(UserChangeForm):
    class Meta(UserChangeForm.Meta):
        labels = {
            "is_active": _("May sign in"),
            "is_superuser": _("May do everything"),
            "user_permissions": _("Single permissions"),
        }
        help_texts = {
            **WORDS,
            "is_active": _("Untick this to shut somebody out, rather than deleting what they did."),
            "is_superuser": _("Whatever their groups say."),
            "user_permissions": _("Besides those of the groups."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # One tick for both of Django's: either of them, taken away, shuts somebody out.
        self.initial["is_active"] = self.instance.is_active and self.instance.is_staff


class NewColleagueForm(UserCreationForm):
    class Meta(UserCreationForm.Meta):
        help_texts = WORDS


class PasswordForm(AdminPasswordChangeForm):
    """A new password. None at all, as Django offers, would be for another way of signing in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)
        for field in self.fields.values():
            field.required = True


def _ticks() -> CheckboxSelectMultiple:
    """Usable by keyboard, by screen reader and on a phone, which two boxes side by side are not."""
    return CheckboxSelectMultiple(attrs={"class": "checkboxes"})


def _worded(db_field: Any, formfield: Any) -> Any:
    """Only the labels differ; the rest of the field stays as Django made it."""
    if formfield is not None and db_field.related_model is Permission:
        formfield.__class__ = PermissionsField
        formfield.queryset = formfield.queryset.filter(content_type__app_label__in=OURS)
    elif formfield is not None:
        formfield.__class__ = GroupsField
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
    form, add_form, change_password_form = ColleagueForm, NewColleagueForm, PasswordForm
    fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email")}),
        (_("What this user may do"), {"fields": ("is_active", "groups")}),
        (
            _("Details"),
            {
                "classes": ("collapse",),
                "fields": ("is_superuser", "user_permissions", "last_login", "date_joined"),
            },
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email")}),
        (_("What this user may do"), {"fields": ("groups",)}),
        (_("Password"), {"fields": ("password1", "password2")}),
    )
    filter_horizontal = ()
    list_display = ("username", "full_name", "email", "in_groups", "may_sign_in")
    list_filter = ("is_active", "groups")
    empty_value_display = _("none")  # as a choice of the filter it must say something
    change_form_template = "admin/auth/user/change_form.html"
    add_form_template = "admin/change_form.html"

    @admin.display(description=_("Name"), ordering="last_name", empty_value="")
    def full_name(self, user: User) -> str:
        return user.get_full_name()

    @admin.display(description=_("Groups"), empty_value="")
    def in_groups(self, user: User) -> str:
        names = [group.name for group in user.groups.all()]
        return ", ".join([gettext("may do everything"), *names] if user.is_superuser else names)

    @admin.display(description=_("May sign in"), ordering="is_active")
    def may_sign_in(self, user: User) -> str:
        return gettext("Yes") if user.is_active and user.is_staff else gettext("No")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_urls(self) -> list[URLPattern]:
        return [*leaving.urls(self), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        user = self.get_object(request, unquote(object_id))
        more = leaving.on_the_desk(request, user) if user else {}
        return super().change_view(
            request, object_id, form_url, {**ONE_BUTTON, **more, **(extra_context or {})}
        )

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, {**ONE_BUTTON, **(extra_context or {})})

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Without Django's links to make a group on the way."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(field, ModelMultipleChoiceField):
            field.widget.can_add_related = False
        return field

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """To the open leads of who was shut out, where there are some."""
        response = super().response_change(request, obj)
        left = not obj.is_active and leaving.may_hand_over(request) and leaving.open_leads(obj)
        return HttpResponseRedirect(leaving.url_of(obj)) if left else response

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        kwargs["widget"] = _ticks()
        return _worded(db_field, super().formfield_for_manytomany(db_field, request, **kwargs))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        powers = () if request.user.is_superuser else POWERS
        return (*super().get_readonly_fields(request, obj), *KEPT_BY_DJANGO, *powers)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change or "is_active" in form.changed_data:
            obj.is_staff = True  # there is nothing here but the admin
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        """To the list: unlike Django's, the form asks for everything."""
        return super(UserAdmin, self).response_add(request, obj, post_url_continue)


@admin.register(Group)
class RoleAdmin(NamesPermissions, GroupAdmin):
    fieldsets = ((None, {"fields": ("name", "permissions")}),)
    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        kwargs["widget"] = _ticks()
        return _worded(db_field, super().formfield_for_manytomany(db_field, request, **kwargs))


def _may_touch(request: HttpRequest, obj: Any) -> bool:
    return obj is None or not obj.is_superuser or request.user.is_superuser
