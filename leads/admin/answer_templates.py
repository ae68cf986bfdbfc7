"""Answer templates.

The list: a partner manager came to see which text a salesperson starts from, for which action and offer. The page of
one: to write it, with the values of a lead in it, and to see what comes out for a real lead.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from leads import answers, work
from leads.admin.choosing import ONE_BUTTON, action_choices, in_words, offers_to_work_on
from leads.lead_source import action_in_words
from leads.models import AnswerTemplate, Lead, Offer
from leads.wording import clip

ADD = "leads.add_answertemplate"


class TemplateForm(forms.ModelForm):
    action = forms.ChoiceField(
        required=False,
        label=gettext_lazy("What the customer did"),
        help_text=gettext_lazy("Of several that suit, the one for the lead's action and offer comes first."),
    )
    offer = forms.ModelChoiceField(
        Offer.objects.none(),
        required=False,
        label=gettext_lazy("Offer"),
        empty_label=gettext_lazy("Any offer"),
    )
    body = forms.CharField(
        label=gettext_lazy("Text"),
        max_length=answers.LONGEST_BODY,
        widget=forms.Textarea(attrs={"rows": 14, "class": "vLargeTextField"}),
    )

    class Meta:
        model = AnswerTemplate
        fields = ("name", "action", "offer", "subject", "body")
        labels = {"name": gettext_lazy("Name"), "subject": gettext_lazy("Subject")}
        help_texts = {"name": gettext_lazy("Only colleagues read it.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        if "action" in fields:
            kept = [self.instance.action] if self.instance.action else []
            fields["action"].choices = [("", _("Any action")), *action_choices(kept)]
            fields["offer"].queryset = offers_to_work_on(Q(pk=self.instance.offer_id))

    def clean_subject(self) -> str:
        return answers.one_line(_checked(self.cleaned_data["subject"]))

    def clean_body(self) -> str:
        return _checked(self.cleaned_data["body"])


def _checked(text: str) -> str:
    if wrong := answers.wrong_names(text):
        raise ValidationError(
            _("%(wrong)s is no value of a lead. There are: %(names)s."),
            params={
                "wrong": ", ".join(f"“{clip(name, 40)}”" for name in wrong),
                "names": ", ".join(answers.NAMES),
            },
        )
    return text


@admin.register(AnswerTemplate)
class AnswerTemplateAdmin(admin.ModelAdmin):
    form = TemplateForm
    change_list_template = "admin/leads/answertemplate/change_list.html"
    change_form_template = "admin/leads/answertemplate/change_form.html"
    list_display = ("name", "for_action", "for_offer", "subject_line")
    list_display_links = ("name",)
    list_select_related = ("offer",)
    list_per_page = 100
    show_full_result_count = False
    sortable_by = ("name",)
    actions = None

    class Media:
        css = {"all": ["leadsite/sending.css", "leadsite/work.css"]}

    def get_urls(self) -> list[URLPattern]:
        suggest = path(
            "suggest/",
            self.admin_site.admin_view(require_POST(self.suggest)),
            name="leads_answertemplate_suggest",
        )
        return [suggest, *super().get_urls()]

    # The list

    def get_queryset(self, request: HttpRequest) -> QuerySet[AnswerTemplate]:
        return super().get_queryset(request).order_by("name", "pk")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        missing = answers.missing_suggestions() if request.user.has_perm(ADD) else []
        more = {
            "worked_here": work.is_done_here(request),
            "suggested": in_words([text.name for text in missing], len(missing)),
        }
        return super().changelist_view(request, {**more, **(extra_context or {})})

    @admin.display(description=gettext_lazy("for"))
    def for_action(self, text: AnswerTemplate) -> str:
        return clip(action_in_words(text.action), 60) if text.action else _("Any action")

    @admin.display(description=gettext_lazy("offer"))
    def for_offer(self, text: AnswerTemplate) -> str:
        return str(text.offer) if text.offer else _("Any offer")

    @admin.display(description=gettext_lazy("subject"))
    def subject_line(self, text: AnswerTemplate) -> str:
        return clip(text.subject, 100)

    def suggest(self, request: HttpRequest) -> HttpResponse:
        """Make templates of the suggested texts, for actions that have none."""
        if not request.user.has_perm(ADD):
            raise PermissionDenied
        made = AnswerTemplate.objects.bulk_create(answers.missing_suggestions())
        for text in made:
            self.log_addition(request, text, _("Made from the suggested text."))
        said = ngettext("%(count)s template added.", "%(count)s templates added.", len(made))
        messages.success(request, said % {"count": len(made)})
        return HttpResponseRedirect(reverse("admin:leads_answertemplate_changelist"))

    # The page

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        text = context.get("original")
        context |= ONE_BUTTON
        context["explained"] = answers.explained()
        context["preview"] = _preview(request, text) if text else None
        return super().render_change_form(request, context, *args, **kwargs)


def _preview(request: HttpRequest, text: AnswerTemplate) -> dict[str, Any] | None:
    """What comes out for the newest lead that it suits; None for who may not see leads, or where there is none."""
    if not request.user.has_perm("leads.view_lead"):
        return None
    suiting = Lead.objects.worked_here().filter(is_test=False).exclude(action="DNC").select_related("offer")
    suiting = suiting.filter(action=text.action) if text.action else suiting
    suiting = suiting.filter(offer=text.offer_id) if text.offer_id else suiting
    lead = suiting.first()
    if lead is None:
        return None
    draft = answers.draft(text.subject, text.body, answers.values_of(lead, request.user))
    return {"lead": lead, "who": clip(lead.who, 80), "draft": draft}
