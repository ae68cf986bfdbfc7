"""Where this installation lets connectors go, from its settings."""

from urllib.parse import urlsplit

from django.conf import settings

from crm_sync.addresses import Policy
from crm_sync.connectors.base import MailServer, Site

PUSH_DEADLINE = (
    45.0  # seconds in total; shorter than a lease, so that a live push is never taken for a dead one
)


def policy() -> Policy:
    """Public addresses, our own hosts, and private ones where ALLOW_PRIVATE_DESTINATIONS says so.

    Ours are PUBLIC_URL's and the mail server of EMAIL_URL: the operator names both.
    """
    mail = _mail_server()
    ours = {urlsplit(settings.PUBLIC_URL).netloc, *([f"{mail.host}:{mail.port}"] if mail else [])}
    return Policy(
        allow_private=settings.ALLOW_PRIVATE_DESTINATIONS,
        own_hosts=frozenset(ours),
        deadline=PUSH_DEADLINE,
    )


def site() -> Site:
    """What connectors may know of this installation."""
    return Site(
        url=settings.PUBLIC_URL.rstrip("/"),
        lead_path="/admin/leads/lead/{id}/change/",
        mail=_mail_server(),
        sender=settings.DEFAULT_FROM_EMAIL,
    )


def _mail_server() -> MailServer | None:
    """The server of EMAIL_URL; None where mail goes nowhere."""
    if settings.EMAIL_BACKEND != "django.core.mail.backends.smtp.EmailBackend":
        return None
    security = "tls" if settings.EMAIL_USE_SSL else "starttls" if settings.EMAIL_USE_TLS else ""
    return MailServer(
        settings.EMAIL_HOST,
        int(settings.EMAIL_PORT),
        security,
        settings.EMAIL_HOST_USER or "",
        settings.EMAIL_HOST_PASSWORD or "",
    )
