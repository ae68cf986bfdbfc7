"""What the pages of this app share: buttons that are forms of their own, read-only pages, the way back."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.http import url_has_allowed_host_and_scheme

from leads.admin.evidence import Evidence


def require(request: HttpRequest, permission: str) -> None:
    """Raises PermissionDenied for a user who may not do this, whatever page the request came from."""
    if not request.user.has_perm(permission):
        raise PermissionDenied


def back(request: HttpRequest, default: str) -> HttpResponseRedirect:
    """To the page on which the button was pressed, if that is one of ours."""
    url = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(url if safe and url.startswith("/") else default)


class Page(admin.ModelAdmin):
    """A page with buttons. `buttons`: name in the address -> permission; `press_<name>` does it."""

    buttons: ClassVar[dict[str, str]] = {}
    actions: Any = None  # nothing here is deleted by the dozen

    class Media:
        css = {"all": ["leadsite/sending.css"]}

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(self._button(name, permission)),
                name=f"crm_sync_{self.opts.model_name}_{name}",
            )
            for name, permission in self.buttons.items()
        ]
        return [*own, *super().get_urls()]

    def _button(self, name: str, permission: str) -> Any:
        def view(request: HttpRequest, pk: int) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            require(request, permission)
            obj = get_object_or_404(self.get_queryset(request), pk=pk)
            return getattr(self, f"press_{name}")(request, obj)

        return view

    def may(self, request: HttpRequest) -> dict[str, bool]:
        """Which buttons to show."""
        return {name: request.user.has_perm(permission) for name, permission in self.buttons.items()}


class EvidencePage(Evidence, Page):
    """A page for reading only: nothing is added, changed or deleted here."""

    page_template: ClassVar[str]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)
        if obj is None:
            raise Http404
        if request.method != "GET" or not self.has_view_permission(request, obj):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": obj,
            "title": str(obj),
            "media": self.media,
            "may": self.may(request),
            **self.page_context(request, obj),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.page_template, context)

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the template shows."""
        return {}


def tell(request: HttpRequest, text: str, level: int = messages.SUCCESS) -> None:
    messages.add_message(request, level, text)
