"""A mail for each lead, handed in at this installation's own mail server (EMAIL_URL).

Internet mail: RFC 5321 (SMTP), RFC 4954 (sign-in), RFC 3207 (STARTTLS), RFC 3834 (automatic mails); read 2026-11.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.headerregistry import Address
from urllib.parse import quote

from crm_sync.connectors import answers
from crm_sync.connectors.answers import Said, Verdict, fault, later, plain, rejected
from crm_sync.connectors.base import Connector, MailServer, Record, Request, Stopped
from crm_sync.connectors.email import mail
from crm_sync.connectors.email.declared import LONGEST, SPEC
from crm_sync.connectors.email.errors import ERRORS
from crm_sync.connectors.email.mail import Mail
from crm_sync.connectors.email.smtp import END, Refusal, Reply, Session, secrets_of
from crm_sync.connectors.values import cut
from crm_sync.http import NoAnswer
from crm_sync.outcomes import Delivered, DestinationFault, Outcome
from crm_sync.recorder import mask_literals
from crm_sync.transforms import as_text
from leads.texts import gettext as _
from leads.texts import gettext_noop

MOST_RECIPIENTS = 20
_NO_SERVER = gettext_noop(
    "No mail server: set EMAIL_URL, to smtp+tls://user:password@smtp.example.com:587 for instance."
)


class EmailConnector(Connector):
    """Mails that a lead arrived, with a link to it; what the lead says of a person only where that is wanted."""

    protocol = "SMTP"
    spec = SPEC
    errors = ERRORS

    @classmethod
    def clean(cls, settings: Mapping[str, str]) -> dict[str, str]:
        """Addresses that are none."""
        problems = {}
        named = mail.listed(settings.get("to", ""))
        wrong = [name for name in named if not mail.address(name)]
        if wrong:
            problems["to"] = _("“{name}” is no e-mail address.").format(name=plain(wrong[0]))
        elif len(named) > MOST_RECIPIENTS:
            problems["to"] = _("At most {number} addresses; a mailing list reaches more people.").format(
                number=MOST_RECIPIENTS
            )
        sender = settings.get("from", "")
        if sender and mail.sender(sender) is None:
            problems["from"] = _("“{sender}” is no sender: leads@contoso.com, for instance.").format(
                sender=plain(sender)
            )
        return problems

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """One mail, and its envelope."""
        return [self._request(str(self._mail(self.fit(record, key=key), key)))]

    def send(self, record: Record, *, key: str, retry: bool) -> Outcome:
        """Hand the mail in for every recipient whom the server takes; those whom it refuses are named."""
        (request,) = self.requests(record, key=key)
        with self._session(request, write=True) as session:
            session.open()
            refused = session.envelope(self._from().addr_spec, self._to(), str(request.body))
            session.hand_over(str(request.body))
        note = f"{_refusals(refused)} {_('The others have the mail.')}" if refused else ""
        return Delivered(remote_id=f"{key}@{mail.domain_of(self.site.url)}", note=note)

    def examine(self) -> Sequence[str]:
        """Everything up to the mail itself, which is then not sent."""
        with self._session(self._request(""), write=False) as session:
            session.open()
            refused = session.envelope(self._from().addr_spec, self._to())
            session.take_back()
        server = self._server()
        taken = ", ".join(address for address in self._to() if address not in refused)
        return (
            _("{host} takes mail from {sender} to {recipients}. No mail was sent.").format(
                host=server.host, sender=self._from().addr_spec, recipients=taken
            ),
            *([_refusals(refused)] if refused else []),
            _("The connection is encrypted.") if server.security else _("The connection is not encrypted."),
            _("The mail about a lead has what the lead says.")
            if self._with_details
            else _("The mail about a lead has a link to it, and nothing of a person."),
        )

    def default(self, status: int, said: Said, delay: float | None) -> tuple[Verdict, str]:
        """4yz passes, 5yz does not: of the mail itself it is this lead's, else the connection's (RFC 5321, 4.2.1)."""
        if 400 <= status < 500:
            return later, gettext_noop("The mail server asks to try again")
        if status < 400:
            return answers.uncertain, gettext_noop("The mail server answers out of turn")
        if said.code == END:
            return rejected, gettext_noop("The mail server refuses this mail")
        return fault, gettext_noop("The mail server refuses to go on")

    def masked(self, text: str) -> str:
        """Also without the password of EMAIL_URL."""
        return mask_literals(super().masked(text), secrets_of(self.site.mail))

    # The conversation

    @contextmanager
    def _session(self, request: Request, *, write: bool) -> Iterator[Session]:
        """A session whose dialogue is put on record, and whose refusals become outcomes."""
        server, left = self._server(), self.http.countdown()
        for secret in secrets_of(server):
            self.http.mask(secret)
        session, error, began = Session(self.http, server, mail.domain_of(self.site.url)), "", left()
        try:
            with session:
                yield session
        except Refusal as refusal:
            reply = refusal.reply
            said = Said(code=reply.stage, words=reply.words)
            at_the_end = write and reply.stage == END
            raise Stopped(self.verdict(reply.code, said, write=at_the_end)) from None
        except NoAnswer as failure:
            error = failure.reason
            raise
        finally:
            self.http.note(
                request.method,
                request.url,
                headers=request.headers,
                content=request.body if isinstance(request.body, str) else "",
                status=session.last.code if session.last and not error else None,
                answer="\n".join(session.said),
                error=error,
                duration=began - left(),
            )

    def _request(self, content: str) -> Request:
        server = self._server()
        host = f"[{server.host}]" if ":" in server.host else server.host
        url = f"{'smtps' if server.security == 'tls' else 'smtp'}://{host}:{server.port}"
        envelope = {"mail-from": self._from().addr_spec, "rcpt-to": ", ".join(self._to())}
        return Request("SMTP", url, envelope, content)

    def _server(self) -> MailServer:
        if self.site.mail is None:
            raise Stopped(DestinationFault(_(_NO_SERVER)))
        return self.site.mail

    def _from(self) -> Address:
        written = self.settings["from"] or self.site.sender
        if sender := mail.sender(written):
            return sender
        sentence = _("“{name}” is no sender: set From, or DEFAULT_FROM_EMAIL.").format(name=plain(written))
        raise Stopped(DestinationFault(sentence))

    def _to(self) -> list[str]:
        if found := [address for name in mail.listed(self.settings["to"]) if (address := mail.address(name))]:
            return found
        raise Stopped(DestinationFault(_("There is no recipient: set To.")))

    # The mail

    def _mail(self, values: Mapping[str, object], key: str) -> Mail:
        return Mail(
            key=key,
            domain=mail.domain_of(self.site.url),
            sender=self._from(),
            recipients=self._to(),
            subject=as_text(values.get("subject")),
            at=self.now(),
            lines=self._lines(values),
            link=self._link(values),
            reply_to=mail.address(as_text(values.get("email"))) if self._with_details else "",
            page=self._with_details,
        )

    @property
    def _with_details(self) -> bool:
        return self.settings["include_details"] == "true"

    def _lines(self, values: Mapping[str, object]) -> list[tuple[str, str]]:
        names = [name for name in _ALWAYS if name in values]
        if self._with_details:
            names += [name for name in values if name not in {*_ALWAYS, *_ELSEWHERE}]
        labels = {name: _(field.label) for name, field in self.fields.items()}
        shown = ((labels.get(name, name), as_text(values[name])) for name in names)
        return [(label, cut(value, LONGEST, "characters")) for label, value in shown if value.strip()]

    def _link(self, values: Mapping[str, object]) -> str:
        lead = quote(as_text(values.get("id")), safe="")
        return self.site.url + (self.site.lead_path.replace("{id}", lead) if lead else "/")


_ALWAYS = ("event", "offer", "notice")  # of these none names a person
_ELSEWHERE = ("subject", "id")


def _refusals(refused: Mapping[str, Reply]) -> str:
    said = "; ".join(f"{plain(reply.words)} ({reply.code})" for reply in refused.values())
    return _("The mail server does not take every recipient: {said}.").format(said=said)
