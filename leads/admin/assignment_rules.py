"""Assignment rules.

The list: a partner manager came to see who gets which lead, and in which order the rules are asked. The page of one: to
change that, in boxes to tick. *Try them*, in trying_rules, answers the question behind both: who would get these leads?
"""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import countries, work
from leads.admin import trying_rules
from leads.admin.choosing import ONE_BUTTON, action_choices, country_choices, in_words, offers_to_work_on
from leads.models import AssignmentRule, Offer
from leads.people import name_of
from leads.wording import clip

NAMED = 5  # of a long list, on screen


class PeopleField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        name = name_of(obj)
        return name if obj.is_active and obj.is_staff else _("%(name)s (has left)") % {"name": name}


class RuleForm(forms.ModelForm):
    offers = forms.ModelMultipleChoiceField(
        Offer.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Offers"),
    )
    actions = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("What the customer did"),
    )
    countries = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Countries"),
        help_text=gettext_lazy("With none ticked, also leads that name no country."),
    )
    people = PeopleField(
        get_user_model()._default_manager.none(),
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("People"),
        help_text=gettext_lazy("They take turns, one lead each. Who has left is skipped."),
        error_messages={"required": gettext_lazy("Tick at least one person.")},
    )

    class Meta:
        model = AssignmentRule
        fields = ("name", "enabled", "position", "offers", "actions", "countries", "people")
        labels = {
            "name": gettext_lazy("Name"),
            "enabled": gettext_lazy("Enabled"),
            "position": gettext_lazy("Position"),
        }
        help_texts = {
            "position": gettext_lazy("The rule with the lowest number is asked first."),
            "name": gettext_lazy("Stands on the page of each lead that it gives away: “EMEA contact me”."),
            "enabled": gettext_lazy("A rule that is off is passed over."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rule: Any = self.instance
        fields: dict[str, Any] = self.fields
        if "people" not in fields:  # for who may only look
            return
        fields["offers"].queryset = offers_to_work_on(
            Q(pk__in=rule.offers.values("pk")) if rule.pk else Q(pk=None)
        )
        fields["people"].queryset = _people(rule)
        fields["actions"].choices = action_choices(rule.actions)
        fields["countries"].choices = country_choices(rule.countries)


class RowForm(forms.ModelForm):
    """What the list lets one change of each rule, named for who does not see the headings above."""

    class Meta:
        model = AssignmentRule
        fields = ("position", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        labels = {"position": _("Position of %(rule)s"), "enabled": _("%(rule)s is enabled")}
        for name, label in labels.items():
            field: Any = self.fields[name]
            field.help_text = ""
            field.widget.attrs["aria-label"] = label % {"rule": self.instance.name}


def _people(rule: AssignmentRule) -> Any:
    """Who can work on a lead, and whoever is in the rule already."""
    return work.colleagues(Q(pk__in=rule.people.values("pk")) if rule.pk else None)


@admin.register(AssignmentRule)
class AssignmentRuleAdmin(admin.ModelAdmin):
    form = RuleForm
    change_list_template = "admin/leads/assignmentrule/change_list.html"
    change_form_template = "admin/leads/assignmentrule/change_form.html"
    list_display = ("name", "takes", "gives_to", "position", "enabled")
    list_display_links = ("name",)
    list_editable = ("position", "enabled")
    list_per_page = 100
    show_full_result_count = False
    sortable_by = ()
    actions = None
    fieldsets = (
        (None, {"fields": ("name", "enabled", "position")}),
        (
            gettext_lazy("Which leads it takes"),
            {
                "fields": ("offers", "actions", "countries"),
                "description": gettext_lazy(
                    "It takes a lead that fits all three: an offer, an action and a country that are ticked. "
                    "Where nothing is ticked, any will do."
                ),
            },
        ),
        (gettext_lazy("Who gets them"), {"fields": ("people",)}),
    )

    class Media:
        css = {"all": ["leadsite/sending.css", "leadsite/work.css"]}

    def get_fieldsets(self, request: HttpRequest, obj: AssignmentRule | None = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        return (
            (None, {"fields": ("name", "enabled", "takes", "gives_to")}),
        )  # in words, for who may only look

    def get_urls(self) -> list[URLPattern]:
        attempt = path(
            "try/",
            self.admin_site.admin_view(partial(trying_rules.attempt, self)),
            name="leads_assignmentrule_try",
        )
        return [attempt, *super().get_urls()]

    # The list

    def get_queryset(self, request: HttpRequest) -> QuerySet[AssignmentRule]:
        return super().get_queryset(request).prefetch_related("offers", "people")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        more = {"worked_here": work.is_done_here(request), "may_try": trying_rules.may_try(request)}
        return super().changelist_view(request, {**more, **(extra_context or {})})

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, form=RowForm, **kwargs)

    @admin.display(description=gettext_lazy("takes"))
    def takes(self, rule: AssignmentRule) -> str:
        return conditions_in_words(rule)

    @admin.display(description=gettext_lazy("gives to, in turns"))
    def gives_to(self, rule: AssignmentRule) -> SafeString:
        there = [name_of(person) for person in in_turn(rule) if person.is_active and person.is_staff]
        trouble = warning(rule)
        return format_html(
            '{}{}<span class="wrong">{}</span>', clip(", ".join(there), 120), " " if trouble else "", trouble
        )

    # The page

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, {**ONE_BUTTON, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        rule = self.get_object(request, object_id)
        more = {
            **ONE_BUTTON,
            "warning": warning(rule) if rule else "",
            "may_try": trying_rules.may_try(request),
        }
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A new rule is asked last."""
        last = AssignmentRule.objects.aggregate(last=Max("position"))["last"] or 0
        return {"position": last + 1, **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: AssignmentRule, form: Any, change: bool) -> None:
        if not change:
            return super().save_model(request, obj, form, change)
        # Not whose turn it is: a worker may give a lead away at this moment.
        names = [name for name in form.changed_data if name not in {"offers", "people"}]
        return obj.save(update_fields=names)


# --- Words ---------------------------------------------------------------------------------------------------


def conditions_in_words(rule: AssignmentRule) -> str:
    """What a rule takes, in a line."""
    said = [
        in_words([offer.title for offer in rule.offers.all()], NAMED),
        in_words([label for _code, label in action_choices(rule.actions) if _code in rule.actions], NAMED),
        in_words([countries.country_in_words(code) or code for code in rule.countries], NAMED),
    ]
    return "; ".join(part for part in said if part) or _("Any lead")


def in_turn(rule: AssignmentRule) -> list[Any]:
    """The people of a rule in the order in which they have their turns."""
    return sorted(rule.people.all(), key=lambda person: person.pk)


def warning(rule: AssignmentRule) -> str:
    """What is wrong with a rule's people; "" where all of them are there."""
    people = in_turn(rule)
    gone = [name_of(person) for person in people if not (person.is_active and person.is_staff)]
    if len(gone) == len(people):
        return _("Nobody of this rule is left: it is passed over. Tick somebody, or switch it off.")
    if gone:
        said = ngettext(
            "%(names)s has left and is skipped.", "%(names)s have left and are skipped.", len(gone)
        )
        return said % {"names": in_words(gone, NAMED)}
    return ""
