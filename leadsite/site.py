"""The admin site: its menu, its home page, and what every page shows."""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from crm_sync import demo_data
from leads import work
from leads.ports import Notice, ports
from leadsite import doctor_page, first_hour, home, reports, settings_page

DEMO = "crm_sync.demorecord"  # in the menu until the demo is removed
WORK = _("Working on leads")
# Section, and its pages in order: "app.model", or the name of a page of this site.
MENU: tuple[tuple[Promise, tuple[str, ...]], ...] = (
    (_("Inbox"), ("leads.lead", "leads.customer", "leads.submission", "page.reports", "leads.export")),
    (_("Sending"), ("crm_sync.delivery", "crm_sync.destination")),
    (WORK, ("leads.assignmentrule", "leads.answertemplate", "leads.workinghours")),
    (_("Set-up"), ("page.set-up", "leads.offer", "auth.user", "auth.group", "page.doctor", "page.settings")),
    (_("Try out"), (DEMO,)),
)
# What the menu calls a page, where it is not the plural of what the page lists.
LABELS = {"leads.submission": _("Quarantine"), DEMO: _("Demo CRM")}
PAGES = {
    "page.set-up": (_("First steps"), "admin:set-up", first_hour.may_view),
    "page.reports": (_("Reports"), "admin:reports", reports.may_view),
    "page.doctor": (_("Health"), "admin:doctor", settings_page.may_view),
    "page.settings": (_("Settings"), "admin:settings", settings_page.may_view),
}


class SignInForm(AdminAuthenticationForm):
    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": _(
            "No user has this name and password, or may not sign in any more. Capital letters count. An administrator "
            "can set a new password for you."
        ),
    }


class LeadSite(AdminSite):
    login_form = SignInForm
    site_header = _("Marketplace leads")
    site_title = _("Marketplace leads")
    index_title = _("Home")
    index_template = "admin/home.html"
    site_url = None  # there is no other site to view
    empty_value_display = ""
    enable_nav_sidebar = True

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("set-up/", self.admin_view(first_hour.view), name="set-up"),
            path("set-up/address/", self.admin_view(first_hour.address_view), name="set-up_address"),
            path("reports/", self.admin_view(reports.view), name="reports"),
            path("doctor/", self.admin_view(doctor_page.view), name="doctor"),
            path("doctor/network/", self.admin_view(doctor_page.network_view), name="doctor_network"),
            path("settings/", self.admin_view(settings_page.view), name="settings"),
            *super().get_urls(),
        ]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """The menu. Sections stand where Django has apps; what is not for this user, or has no effect, is not in it."""
        models = {
            f"{app}.{model['object_name'].lower()}": model
            for app, content in self._build_app_dict(request, app_label).items()
            for model in content["models"]
        }
        sections = (
            (title, [self._entry(request, name, models) for name in names])
            for title, names in MENU
            if title is not WORK or work.is_done_here(request)
        )
        return [
            {
                "name": title,
                "app_label": "",
                "app_url": reverse("admin:index"),
                "has_module_perms": True,
                "models": found,
            }
            for title, entries in sections
            if (found := [entry for entry in entries if entry])
        ]

    def _entry(self, request: HttpRequest, name: str, models: dict[str, Any]) -> dict[str, Any] | None:
        if name == DEMO and not _has_demo(request):
            return None
        if name not in PAGES:
            entry = models.get(name)
            return entry and {**entry, "name": LABELS.get(name, entry["name"])}
        label, url, may_view = PAGES[name]
        if not may_view(request):
            return None
        return {
            "name": label,
            "object_name": name.removeprefix("page."),  # a class of its row, in every language
            "admin_url": reverse(url),
            "add_url": None,
            "perms": {"view": True},
            "view_only": True,
        }

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        signed_in = self.has_permission(request)
        return super().each_context(request) | {
            "version": settings.VERSION,
            "public_url": settings.PUBLIC_URL,
            "alarms": [notice for notice in notices(request) if notice.everywhere] if signed_in else [],
        }

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {**home.context(request, notices(request)), **(extra_context or {})})

    def app_index(  # type: ignore[override]
        self, request: HttpRequest, app_label: str, extra_context: Any = None
    ) -> HttpResponse:
        """There are no apps on screen: what was an app's page leads home."""
        return redirect("admin:index")


def _has_demo(request: HttpRequest) -> bool:
    """Asked once a request: a page may show the menu twice."""
    known: bool | None = getattr(request, "_has_demo", None)
    if known is None:
        known = request._has_demo = demo_data.is_there()  # type: ignore[attr-defined]
    return known


def notices(request: HttpRequest) -> list[Notice]:
    """What needs attention, as every part of the site reports it; asked once a request."""
    known: list[Notice] | None = getattr(request, "_notices", None)
    if known is None:
        known = [notice for source in ports.notices for notice in source(request)]
        request._notices = known  # type: ignore[attr-defined]
    return known
