"""Mails to colleagues: how their text is put together, to whom they go, and their sending.

Plain text; what they say is written where the news is. No name, address or number of a customer is in them.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import connection
from django.urls import reverse
from django.utils.translation import gettext as _

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mail:
    """`key` is the same whenever the same news is sent, so that a second copy is known for one; `answers` is the key
    of the mail that it follows."""

    subject: str
    body: str
    key: str
    answers: str = ""


def address(page: str, *ids: int) -> str:
    """The whole address of a page of the admin."""
    return settings.PUBLIC_URL + reverse(f"admin:{page}", args=ids)


def body(paragraphs: Sequence[str], recipients: str) -> str:
    """The text of a mail; `recipients` are "those who ...", for the line that says why one gets it."""
    why = _("Sent by %(site)s to %(recipients)s. An administrator of that site decides who they are.") % {
        "site": settings.PUBLIC_URL,
        "recipients": recipients,
    }
    return "\n\n".join([*(text.strip() for text in paragraphs), f"-- \n{why}"]) + "\n"


def recipients(permission: str) -> list[str]:
    """The addresses of those who are to be told: active staff who have the permission, and an e-mail address."""
    users = get_user_model().objects.with_perm(
        permission, backend="django.contrib.auth.backends.ModelBackend"
    )
    staff = users.filter(is_staff=True).exclude(email="").order_by("pk").values_list("email", flat=True)
    return list({address.casefold(): address for address in staff if _is_address(address)}.values())


def _is_address(text: str) -> bool:
    # One that is none would keep the mail from everybody else.
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def are_sent() -> bool:
    """Whether mail leaves this machine, or is only written to the log."""
    return "console" not in settings.EMAIL_BACKEND and "dummy" not in settings.EMAIL_BACKEND


def sent(mail: Mail, addresses: Sequence[str]) -> bool:
    """Send it, if there is anybody to send it to. Returns whether nothing of it is left to do; logs what went wrong."""
    try:
        if addresses:
            send(mail, addresses)
    except Exception:
        logger.exception("The mail “%s” could not be sent; it is tried again", mail.subject)
        return False
    return True


def send(mail: Mail, recipients: Sequence[str]) -> None:
    """Send it to all of them at once. Takes up to some EMAIL_TIMEOUTs; raises whatever the mail server says."""
    headers = {"Message-ID": _message_id(mail.key), "Auto-Submitted": "auto-generated"}
    if mail.answers:
        headers |= {"In-Reply-To": _message_id(mail.answers), "References": _message_id(mail.answers)}
    EmailMessage(mail.subject, mail.body, to=list(recipients), headers=headers).send()


def _message_id(key: str) -> str:
    # The same again after a crash: of two copies mailboxes then show one.
    return f"<{key}@{urlsplit(settings.PUBLIC_URL).hostname or 'localhost'}>"


UNDER_WAY_WITHIN = 60.0  # seconds that a process waits for its last mails before it ends

_busy = threading.Lock()


def in_background(work: Callable[[], object], patience: float = 0) -> None:
    """Do it in a thread of its own, one at a time: a mail server that hangs must not hold up the leads.

    Does nothing while the last work goes on for more than `patience` seconds; whoever asked comes again. A thread
    that dies with its process leaves a claim behind, which another worker takes up.
    """
    if _busy.acquire(timeout=patience):
        threading.Thread(target=_survive, args=[work], name="mails", daemon=True).start()


def finish() -> None:
    """Wait for the mails that are under way: for a process that is about to end."""
    if _busy.acquire(timeout=UNDER_WAY_WITHIN):
        _busy.release()


def _survive(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception:
        logger.exception("Mails could not be written; they are tried again")
    finally:
        connection.close()
        _busy.release()
