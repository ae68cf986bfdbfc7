"""A mail, out of texts that nobody has vouched for: nothing gets into a header, and no markup into the page.

Internet mail: RFC 5322 (format), RFC 3834 (automatic mails); read 2026-11.
"""

import html
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

import httpx2

from crm_sync.connectors.answers import plain
from leads.texts import gettext as _


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that a lead arrived. `key`: the same on every try; `lines`: label and value of what it tells.

    `domain`: this installation's. `reply_to`: an address or nothing. `link`: to the lead. `page`: it is HTML as well.
    """

    key: str
    domain: str
    sender: Address
    recipients: Sequence[str]
    subject: str
    at: datetime
    lines: Sequence[tuple[str, str]]
    link: str
    reply_to: str = ""
    page: bool = False

    @property
    def message_id(self) -> str:
        """Without its brackets. The same on every try, so that a second copy is known for one."""
        return f"{self.key}@{self.domain}"

    def __str__(self) -> str:
        """The mail in ASCII, lines ended by \\n; the same to the letter for the same values."""
        mail = EmailMessage(policy=SMTP.clone(linesep="\n"))
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.recipients)
        mail["Subject"] = for_a_header(self.subject) or _("New lead")
        mail["Date"] = self.at
        mail["Message-ID"] = f"<{self.message_id}>"
        mail["Auto-Submitted"] = "auto-generated"
        if self.reply_to:
            mail["Reply-To"] = self.reply_to
        lines = [(printable(label), printable(value)) for label, value in self.lines]
        # Quoted-printable even where base64 is shorter: the record of what was sent is to be read.
        mail.set_content(_as_text(lines, self.link), cte="quoted-printable")
        if self.page:
            mail.add_alternative(_as_page(lines, self.link), subtype="html", cte="quoted-printable")
            mail.set_boundary(f"=_{self.key}")  # which no quoted-printable text contains
        return mail.as_string()


def _as_text(lines: Sequence[tuple[str, str]], link: str) -> str:
    told = "".join(f"{label}: {_indented(value)}\n" for label, value in lines)
    gap = "\n" if told else ""
    return f"{_('A lead arrived.')}\n\n{told}{gap}{_('The lead, and all that happens with it')}:\n{link}\n"


def _indented(value: str) -> str:
    """So that no line of a value can pass for one of ours."""
    return "".join(f"\n    {line}" for line in value.split("\n")) if "\n" in value else value


def _as_page(lines: Sequence[tuple[str, str]], link: str) -> str:
    rows = "".join(
        f'<tr><th align="left" valign="top">{html.escape(label)}</th>\n<td>{_escaped(value)}</td></tr>\n'
        for label, value in lines
    )
    # Translators: the code of the language that you translate to, such as "de".
    language = html.escape(_("en"))
    title, arrived = html.escape(_("A lead arrived")), html.escape(_("A lead arrived."))
    more = html.escape(_("The lead, and all that happens with it"))
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f'<body><p>{arrived}</p>\n<table cellpadding="4">\n{rows}</table>\n'
        f'<p><a href="{html.escape(link)}">{more}</a></p></body></html>\n'
    )


def _escaped(value: str) -> str:
    return html.escape(value).replace("\n", "<br>\n")


# --- Addresses and texts --------------------------------------------------------------------------

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_LOCAL}@{_LABEL}(?:\.{_LABEL})*")
_NAMED = re.compile(r'\s*"?(?P<name>[^"<>]*?)"?\s*<(?P<address>[^<>]+)>\s*')
# Control characters, and those that turn the direction of writing.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def listed(text: str) -> list[str]:
    """What stands between commas, semicolons and blanks."""
    return [name for name in re.split(r"[\s,;]+", text) if name]


def address(text: str) -> str:
    """The address in the letters that every mail server takes; empty where it is none, or has no such spelling."""
    local, at, domain = text.strip().rpartition("@")
    if len(text) > 254 or len(local) > 64 or "=?" in local:  # which would be decoded
        return ""
    try:
        spelled = f"{local}{at}{domain.encode('idna').decode()}"
    except UnicodeError:
        return ""
    return spelled if _ADDRESS.fullmatch(spelled) else ""


def sender(text: str) -> Address | None:
    """A sender as people write it, with or without a name; None where it is none."""
    found = _NAMED.fullmatch(text)
    name, written = (found["name"], found["address"]) if found else ("", text)
    spelled = address(written)
    return Address(for_a_header(name), addr_spec=spelled) if spelled else None


def domain_of(url: str) -> str:
    """The host of a URL as mail writes it: a bare IP address in brackets."""
    host = httpx2.URL(url).raw_host.decode("ascii") or "localhost"
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host
    return f"[{ip}]" if ip.version == 4 else f"[IPv6:{ip}]"


def for_a_header(text: str) -> str:
    """On one line, and without what a header decodes: encoded words may hide a line break."""
    return plain(text).replace("=?", "= ?")


def printable(text: str) -> str:
    """Without control characters, and without those that turn the direction of writing; lines end in \\n."""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
