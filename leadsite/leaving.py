"""A colleague leaves: an administrator shut them out and must not lose sight of what was on their desk.

The page of a user says how many open leads they own. *Give them to somebody else* moves all of them in one go; who
switches off a user that still has some is led there.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import work
from leads.admin.choosing import PersonField
from leads.people import name_of

ASSIGN, CHANGE = "leads.assign_lead", "auth.change_user"
MOST_COUNTED = 10_000


class ToForm(forms.Form):
    to = PersonField(
        label=gettext_lazy("Give them to"),
        empty_label=gettext_lazy("Nobody: everybody finds them under “Needs me”"),
    )

    def __init__(self, leaving: Any, *args: Any) -> None:
        super().__init__(*args)
        to: Any = self.fields["to"]
        to.queryset = work.colleagues().exclude(pk=leaving.pk)


def urls(page: admin.ModelAdmin) -> list[URLPattern]:
    def view(request: HttpRequest, pk: int) -> HttpResponse:
        return _hand_over(page, request, pk)

    return [path("<int:pk>/leads/", page.admin_site.admin_view(view), name="auth_user_leads")]


def url_of(user: Any) -> str:
    return reverse("admin:auth_user_leads", args=[user.pk])


def may_hand_over(request: HttpRequest) -> bool:
    return request.user.has_perms((ASSIGN, CHANGE))


def on_the_desk(request: HttpRequest, user: Any) -> dict[str, Any]:
    """What the page of a user says of their open leads, to who may hand them over."""
    if not may_hand_over(request):
        return {}
    return {"open_leads": open_leads(user), "hand_over_url": url_of(user)}


def open_leads(user: Any) -> str:
    """How many leads somebody still has to do something about, in words; "" where there is none."""
    number = work.open_leads_of(user).order_by()[: MOST_COUNTED + 1].count()
    if number > MOST_COUNTED:
        return _("more than %(most)s open leads") % {"most": f"{MOST_COUNTED:,}"}
    return (
        ngettext("%(number)s open lead", "%(number)s open leads", number) % {"number": number}
        if number
        else ""
    )


def _hand_over(page: admin.ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(get_user_model(), pk=pk)
    if not (may_hand_over(request) and page.has_change_permission(request, user)):
        raise PermissionDenied
    form = ToForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _do(page, request, user, form.cleaned_data["to"])
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": _("Leads of %(name)s") % {"name": name_of(user)},
        "leaving": user,
        "said": open_leads(user),
        "form": form,
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, "admin/auth/user/leads.html", context)


def _do(page: admin.ModelAdmin, request: HttpRequest, user: Any, to: Any) -> HttpResponse:
    moved = work.hand_over(user, to, request.user, timezone.now())
    names = {"moved": moved, "to": name_of(to, _("nobody"))}
    said = ngettext("%(moved)s lead is %(to)s's now.", "%(moved)s leads are %(to)s's now.", moved) % names
    if moved:
        page.log_change(request, user, said)
        messages.success(request, said)
    else:
        messages.info(request, _("There was no open lead left."))
    return HttpResponseRedirect(
        url_of(user) if open_leads(user) else reverse("admin:auth_user_change", args=[user.pk])
    )
