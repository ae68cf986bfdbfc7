"""Settings: whoever runs this installation came to see what it runs with, and how to change it.

Read only: it is changed in `.env`, so each setting shows the line that stands there.
"""

import re
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from leads.vault import MASK
from leadsite import envfile


@dataclass(frozen=True)
class Line:
    """One setting: its name in `.env`, its value for the screen, what it does, and what is wrong with it."""

    name: str
    value: str
    help: str
    warning: str = ""


def may_view(request: HttpRequest) -> bool:
    """Superusers and those who may change users: administrators."""
    return request.user.has_perm("auth.change_user")


def sections() -> list[tuple[str, list[Line]]]:
    """The settings of this process by what they are about, secrets masked."""
    return [
        (_("Address"), _address()),
        (_("Data"), _data()),
        (_("Leads in, leads out"), _traffic()),
        (_("Secrets"), _secrets()),
    ]


def linked(text: str) -> SafeString:
    """The text with a link on each setting it names, to its line here, and on each page of this admin."""
    names = {line.name for _name, lines in sections() for line in lines}
    pages = re.compile(rf"{re.escape(settings.PUBLIC_URL)}(/admin/(?:[\w-]+/)*)|\b({'|'.join(names)})\b")
    pieces, end = [], 0
    for found in pages.finditer(text):
        url = found[1] or f"{reverse('admin:settings')}#{found[2]}"
        pieces.append((text[end : found.start()], format_html('<a href="{}">{}</a>', url, found[0])))
        end = found.end()
    return format_html("{}{}", format_html_join("", "{}{}", pieces), text[end:])


def _address() -> list[Line]:
    public = settings.PUBLIC_URL.startswith("https://")
    return [
        Line(
            "PUBLIC_URL",
            settings.PUBLIC_URL,
            _("Where Microsoft and your staff reach this server."),
            ""
            if public
            else _("Microsoft cannot reach %(url)s: it must be a public https address.")
            % {"url": settings.PUBLIC_URL},
        ),
        Line("HOST", settings.HOST, _("The address this server listens on, behind your TLS proxy.")),
        Line("PORT", str(settings.PORT), _("The port it listens on.")),
        Line(
            "TRUSTED_PROXIES",
            ",".join(settings.TRUSTED_PROXIES),
            _("Proxies whose word on the sender's address counts."),
        ),
        Line(
            "TIME_ZONE",
            settings.TIME_ZONE,
            _("Times in mails, and on screen where the browser does not tell its own zone."),
        ),
    ]


def _data() -> list[Line]:
    database = settings.DATABASES["default"]
    where = (
        f"sqlite:///{database['NAME']}"
        if settings.ON_SQLITE
        else f"postgres://{MASK}@{database['HOST']}/{database['NAME']}"
    )
    return [
        Line("DATABASE_URL", where, _("Where leads are kept.")),
        Line("DATA_DIR", str(settings.DATA_DIR), _("Database file, static files, worker socket.")),
        Line(
            "SPOOL_DIR",
            str(settings.SPOOL_DIR or ""),
            _(
                "Where leads are kept while the database is away, and taken in from afterwards. Empty: they are "
                "refused meanwhile."
            ),
        ),
    ]


def _traffic() -> list[Line]:
    return [
        Line("MAX_BODY_BYTES", str(settings.MAX_BODY_BYTES), _("Largest body of a lead, in bytes.")),
        Line("INTAKE_RATE", str(settings.INTAKE_RATE), _("Leads a second and process that one URL takes.")),
        Line(
            "DELIVERY_ENGINE",
            settings.DELIVERY_ENGINE,
            _(
                "What sends leads to the CRMs: one worker on this machine (embedded), "
                "or any number of workers on any number of machines (procrastinate; PostgreSQL only)."
            ),
        ),
        Line(
            "ALLOW_PRIVATE_DESTINATIONS",
            "true" if settings.ALLOW_PRIVATE_DESTINATIONS else "false",
            _("Whether CRM connections may reach private and loopback addresses."),
        ),
        Line("DEFAULT_FROM_EMAIL", settings.DEFAULT_FROM_EMAIL, _("The sender of mails from here.")),
        Line(
            "EMAIL_URL",
            settings.EMAIL_URL if "@" not in settings.EMAIL_URL else _without_password(settings.EMAIL_URL),
            _("The mail server; consolemail:// writes mails to the log."),
        ),
    ]


def _secrets() -> list[Line]:
    keys = len(settings.FIELD_ENCRYPTION_KEYS)
    return [
        Line("SECRET_KEY", MASK, _("Signs sessions and forms.")),
        Line(
            "FIELD_ENCRYPTION_KEYS",
            ",".join([MASK] * keys),
            _("Encrypt endpoint keys and CRM credentials. The first encrypts, all decrypt."),
        ),
        Line(
            "DEBUG",
            "true" if settings.DEBUG else "false",
            _("Error pages with the insides of this server."),
            _("Only for a developer's machine: error pages show secrets.") if settings.DEBUG else "",
        ),
    ]


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{MASK}@{rest.rpartition('@')[2]}"


def view(request: HttpRequest) -> HttpResponse:
    """The page. Raises PermissionDenied for users who may not see it."""
    if not may_view(request):
        raise PermissionDenied
    from django.contrib.admin.sites import site  # it is this package that the site is made from

    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("Settings"),
        "sections": sections(),
        "env_file": envfile.path(),
    }
    return TemplateResponse(request, "admin/settings.html", context)
