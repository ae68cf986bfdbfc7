"""A mail server on loopback that nobody here wrote: aiosmtpd, with its answers to be set, and the mails that it took.

with Postbox(security="starttls", password="secret") as postbox:
    postbox.site                        # an installation whose EMAIL_URL is this server
    postbox.answers["RCPT"] = "550 ..." # or "MAIL", "DATA", an address; otherwise it takes what comes
    postbox.mails                       # what it has taken
"""

import asyncio
import socket
import ssl
import threading
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from crm_sync.connectors.base import MailServer, Site
from tests.fakes.server import _authority

HANG_UP = "hang up"


@dataclass(frozen=True)
class Taken:
    """A mail as it was taken, and its envelope."""

    sender: str
    recipients: list[str]
    content: bytes
    ehlo: str
    signed_in: bool
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        """What it says, read by the standard library's parser."""
        message = message_from_bytes(self.content, policy=SMTP_POLICY)
        assert isinstance(message, EmailMessage)
        return message


class Postbox:
    """One mail server. `security` as in MailServer; with a `password` nobody may send who is not signed in as leads.

    `without`: kinds of sign-in that it does not offer. `most`: bytes of a mail.
    """

    def __init__(
        self,
        *,
        security: str = "",
        password: str = "",
        without: tuple[str, ...] = (),
        most: int = 33_554_432,
    ) -> None:
        self.mails: list[Taken] = []
        self.answers: dict[str, str] = {}
        self.sign_ins = 0
        self._password, self._without, self._most = password, without, most
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if security else None
        if self._context:
            _authority().issue_cert("127.0.0.1", "localhost").configure_cert(self._context)
        self._security = security
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def server(self, **other: Any) -> MailServer:
        """How to reach it, and sign in."""
        user = {"username": "leads", "password": self._password} if self._password else {}
        return MailServer(
            **{"host": "127.0.0.1", "port": self.port, "security": self._security, **user, **other}
        )

    def site(self, **other: Any) -> Site:
        """An installation whose mail server this is."""
        return Site(
            url="https://leads.contoso.example",
            lead_path="/admin/leads/lead/{id}/change/",
            mail=self.server(**other),
            sender="Contoso leads <leads@contoso.example>",
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        implicit = self._context if self._security == "tls" else None
        listening = self._loop.run_until_complete(
            self._loop.create_server(self._protocol, sock=self._socket, ssl=implicit)
        )
        self._loop.run_forever()
        listening.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="postbox.example",
            data_size_limit=self._most,
            tls_context=self._context if self._security == "starttls" else None,
            auth_required=bool(self._password),
            auth_require_tls=self._security == "starttls",
            auth_exclude_mechanism=self._without,
            authenticator=self._authenticate,
            loop=self._loop,
        )

    # What aiosmtpd asks

    def _authenticate(
        self, _server: SMTP, _session: Session, _: Envelope, _name: str, data: Any
    ) -> AuthResult:
        self.sign_ins += 1
        assert isinstance(data, LoginPassword)
        right = (data.login, data.password) == (b"leads", self._password.encode())
        # handled=False: otherwise it waits for somebody else to answer a wrong password.
        return AuthResult(success=right, handled=False)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refusal := self.answers.get("MAIL"):
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refusal := self.answers.get(address) or self.answers.get("RCPT"):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        said = self.answers.get("DATA", "250 2.0.0 Ok: queued")
        if said.startswith("2") or said == HANG_UP:
            assert isinstance(envelope.content, bytes)
            self.mails.append(
                Taken(
                    str(envelope.mail_from),
                    list(envelope.rcpt_tos),
                    envelope.content,
                    str(session.host_name),
                    bool(session.authenticated),
                    session.ssl is not None or self._security == "tls",
                )
            )
        if said == HANG_UP:
            server.transport.abort()
        return said
