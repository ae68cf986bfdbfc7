"""Answering a lead by e-mail: a colleague came to send a few good lines, and to have the clock stopped.

The text that suits the action and the offer is filled in already; it can be changed. The button keeps it with the lead
and stops the clock, then the colleague's own mail program opens with it: mails go out from where answers come back to.
"""

from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from leads import answers, work
from leads.admin.work import back_to, lead_to_work_on, query_of
from leads.models import Lead, Note
from leads.wording import clip, clip_and_tell, mail_link

WORDS = 600  # characters of what the customer wrote


class AnswerForm(forms.Form):
    subject = forms.CharField(label=gettext_lazy("Subject"), max_length=answers.LONGEST_SUBJECT, strip=True)
    body = forms.CharField(
        label=gettext_lazy("Text"),
        max_length=answers.LONGEST_BODY,
        widget=forms.Textarea(attrs={"rows": 16}),
    )


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    """The addresses of these pages, for the admin page of leads."""

    def view(function: Any) -> Any:
        return page.admin_site.admin_view(partial(function, page))

    return [
        path("<uuid:pk>/answer/", view(_answer), name="leads_lead_answer"),
        path("<uuid:pk>/answer/<int:note>/", view(_written), name="leads_lead_written"),
        path(
            "<uuid:pk>/answer/<int:note>/not-sent/",
            page.admin_site.admin_view(require_POST(partial(_not_sent, page))),
            name="leads_lead_not_sent",
        ),
    ]


# --- Writing -------------------------------------------------------------------------------------------------


def _answer(page: admin.ModelAdmin, request: HttpRequest, pk: Any) -> HttpResponse:
    lead = lead_to_work_on(page, request, pk)
    address = lead.tidy_email or lead.email
    to = mail_link(address)
    if reason := work.why_no_answer(lead) or ("" if to else _no_address(lead)):
        messages.error(request, reason)
        return back_to(request, lead)
    texts = answers.for_lead(lead)
    chosen = _chosen(request, len(texts))
    text = texts[chosen]
    draft = answers.draft(text.subject, text.body, answers.values_of(lead, request.user))
    if request.method == "POST":
        form = AnswerForm(request.POST)
        if form.is_valid():
            return _keep(request, lead, address, form)
    else:
        form = AnswerForm(initial={"subject": draft.subject, "body": draft.body})
    context = {
        "form": form,
        "to": address,
        "texts": list(enumerate(texts)),
        "chosen": chosen,
        "empty": answers.names_in_words(draft.empty),
        "customers_words": "" if lead.campaign else clip_and_tell(lead.description, WORDS),
        "may_write_texts": request.user.has_perm("leads.change_answertemplate"),
    }
    return _render(
        page, request, lead, "answer_page", _("Answer %(who)s") % {"who": clip(lead.who, 80)}, context
    )


def _no_address(lead: Lead) -> str:
    return _("This lead has no e-mail address to write to.")


def _chosen(request: HttpRequest, many: int) -> int:
    """Which of the texts somebody chose; the most special one, unless they did."""
    number = request.GET.get("text", "")
    return int(number) if number.isascii() and number.isdigit() and int(number) < many else 0


def _keep(request: HttpRequest, lead: Lead, address: str, form: AnswerForm) -> HttpResponse:
    subject, body = answers.one_line(form.cleaned_data["subject"]), form.cleaned_data["body"]
    body = "\n".join(body.splitlines())
    note = work.answered_by_mail(lead, request.user, timezone.now(), address, subject, body)
    url = reverse("admin:leads_lead_written", args=[lead.pk, note.pk])
    return HttpResponseRedirect(f"{url}{query_of(request)}")


# --- Written -------------------------------------------------------------------------------------------------


def _written(page: admin.ModelAdmin, request: HttpRequest, pk: Any, note: int) -> HttpResponse:
    """The answer is kept: the mail program opens, by itself where scripts run."""
    lead = lead_to_work_on(page, request, pk)
    if reason := work.why_not(lead):
        messages.error(request, reason)
        return back_to(request, lead)
    kept = _own(request, lead, note)
    address = lead.tidy_email or lead.email
    subject, body = _read(kept)
    context = {
        "note": kept,
        "to": address,
        "subject": subject,
        "body": body,
        "link": answers.mail_link(mail_link(address), subject, body),
        "may_take_back": lead.answered_at == kept.created_at,
    }
    return _render(
        page, request, lead, "written", _("Answer to %(who)s") % {"who": clip(lead.who, 80)}, context
    )


def _not_sent(page: admin.ModelAdmin, request: HttpRequest, pk: Any, note: int) -> HttpResponse:
    lead = lead_to_work_on(page, request, pk)
    if reason := work.why_not(lead):
        messages.error(request, reason)
    elif work.not_sent(lead, request.user, timezone.now(), _own(request, lead, note)):
        messages.success(request, _("Taken back: this lead is not answered yet, and its clock goes on."))
    else:
        messages.info(request, _("There was another answer before this one: the clock stays stopped."))
    return back_to(request, lead)


def _own(request: HttpRequest, lead: Lead, pk: int) -> Note:
    return get_object_or_404(Note, pk=pk, lead=lead, author=request.user.pk)


def _read(note: Note) -> tuple[str, str]:
    """Subject and text of an answer that was kept as a note."""
    _address, _newline, rest = note.text.partition("\n")
    subject, newline, body = rest.partition("\n\n")
    if not newline:
        raise Http404
    return subject, body


def _render(
    page: admin.ModelAdmin,
    request: HttpRequest,
    lead: Lead,
    template: str,
    title: str,
    context: dict[str, Any],
) -> TemplateResponse:
    shared = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "lead": lead,
        "who": clip(lead.who, 80),
        "sentence": clip(lead.sentence, 400),
        "title": title,
        "query": query_of(request),
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, f"admin/leads/lead/{template}.html", {**shared, **context})
