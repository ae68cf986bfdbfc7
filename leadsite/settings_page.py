"""Settings: what this installation runs with. Read only: it is changed in `.env`."""

from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from leads.vault import MASK


@dataclass(frozen=True)
class Line:
    """One setting: its name in `.env`, its value for the screen, and what it does."""

    name: str
    value: str
    help: str


def may_view(request: HttpRequest) -> bool:
    """Superusers and those who may change CRM connections."""
    return request.user.has_perm("crm_sync.change_destination")


def lines() -> list[Line]:
    """The settings of this process, secrets masked."""
    database = settings.DATABASES["default"]
    where = (
        f"SQLite, {database['NAME']}"
        if settings.ON_SQLITE
        else f"PostgreSQL, {database['HOST']}/{database['NAME']}"
    )
    yes_no = {True: "true", False: "false"}
    return [
        Line("PUBLIC_URL", settings.PUBLIC_URL, "Where Microsoft and your staff reach this server."),
        Line("HOST, PORT", f"{settings.HOST}:{settings.PORT}", "Where the server listens."),
        Line("DATABASE_URL", where, "Where leads are kept."),
        Line("DATA_DIR", str(settings.DATA_DIR), "Database file, static files, worker socket."),
        Line("DELIVERY_ENGINE", settings.DELIVERY_ENGINE, "How leads are sent."),
        Line("MAX_BODY_BYTES", f"{settings.MAX_BODY_BYTES:,}", "Largest body of a lead, bytes."),
        Line("INTAKE_RATE", str(settings.INTAKE_RATE), "Leads a second and process that one URL takes."),
        Line(
            "ALLOW_PRIVATE_DESTINATIONS",
            yes_no[settings.ALLOW_PRIVATE_DESTINATIONS],
            "Whether CRM connections may reach private and loopback addresses.",
        ),
        Line(
            "TRUSTED_PROXIES",
            ", ".join(settings.TRUSTED_PROXIES) or "none",
            "Proxies whose word on addresses counts.",
        ),
        Line("TIME_ZONE", settings.TIME_ZONE, "Times on screen."),
        Line("SECRET_KEY", MASK, "Signs sessions and forms."),
        Line(
            "FIELD_ENCRYPTION_KEYS",
            f"{len(settings.FIELD_ENCRYPTION_KEYS)} x {MASK}",
            "Encrypt keys and credentials.",
        ),
    ]


def view(request: HttpRequest) -> HttpResponse:
    """The page. Raises PermissionDenied for users who may not change CRM connections."""
    if not may_view(request):
        raise PermissionDenied
    from django.contrib.admin.sites import site

    context = {**site.each_context(request), "title": "Settings", "lines": lines()}
    return TemplateResponse(request, "admin/settings.html", context)
