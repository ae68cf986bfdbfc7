"""A conversation with a mail server: to a checked address, over at the deadline, with each line kept for the record."""

import base64
import io
import re
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from crm_sync.connectors.base import MailServer
from crm_sync.http import Broken, GuardedClient, NoAnswer, Refused, TooSlow
from crm_sync.network_errors import because
from leads.texts import gettext as _

END = "end of data"  # after the final dot: what is answered now is about the mail itself
_PIECE = 16_384  # bytes
_MOST = 256 * 1024  # bytes that a whole conversation may answer
_FAREWELL = 2.0  # seconds that the answer to QUIT is waited for


@dataclass(frozen=True, slots=True)
class Reply:
    """What a mail server says. `stage`: the command it answers."""

    stage: str
    code: int
    words: str


class Refusal(Exception):  # noqa: N818 - named for what happened
    """The server answers a command with something else than leave to go on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


class Session(smtplib.SMTP):
    """One conversation. `name`: what this machine calls itself.

    Whatever ends it early is a NoAnswer whose `sent` says whether the server may have taken the mail: it may from the
    final dot on, and never before. `said` is the dialogue; of a sign-in it has only the answer.
    """

    ehlo_msg = "EHLO"

    def __init__(self, http: GuardedClient, server: MailServer, name: str) -> None:
        # Without a name, smtplib asks DNS for one, and knows no time-out.
        super().__init__(local_hostname=name)
        self.said: list[str] = []
        self.last: Reply | None = None
        self._http, self._server = http, server
        self._left = http.countdown()
        self._silence = 0.0
        self._stage = "greeting"
        self._off_record = self._handed_over = False
        self._taken = 0

    # What a connector does with it

    def open(self) -> None:
        """Connect, encrypt and sign in as EMAIL_URL says. Raises Refusal or NoAnswer."""
        self.sock = self._http.dial(self._server.host, self._server.port)
        self._silence = self.sock.gettimeout() or _FAREWELL
        if self._server.security == "tls":
            self._encrypt()
        self._expect(self.getreply(), 220)
        self._greet()
        if self._server.security == "starttls":
            self._expect(self._ask("STARTTLS"), 220)
            self._encrypt()
            self._greet()
        if self._server.username:
            self._sign_in()

    def envelope(self, sender: str, recipients: Sequence[str], mail: str = "") -> dict[str, Reply]:
        """Say from whom and to whom. Returns the refusals by address, where the server takes some of them.

        `mail`: what follows, whose size is told to a server that asks for it. Raises Refusal or NoAnswer.
        """
        self._stage = "MAIL FROM"
        size = f" SIZE={len(_on_the_wire(mail))}" if mail and self.has_extn("size") else ""
        self._expect(self.docmd("MAIL", f"FROM:<{sender}>{size}"), 250)
        refused = {}
        for address in recipients:
            self._stage = "RCPT TO"
            code, words = self.docmd("RCPT", f"TO:<{address}>")
            reply = Reply(self._stage, code, f"{address}: {_text(words)}")
            if code == 421:
                raise Refusal(reply)
            if not 250 <= code <= 252:
                refused[address] = reply
        if len(refused) == len(recipients):
            # Where one of them is to be tried again, all are.
            raise Refusal(min(refused.values(), key=lambda reply: reply.code // 100))
        return refused

    def hand_over(self, mail: str) -> Reply:
        """Send the mail, lines ended by \\n, and return the answer that takes it. Raises Refusal or NoAnswer."""
        self._expect(self._ask("DATA"), 354)
        content = _on_the_wire(mail)
        self._stage = END
        self.said.append(f"C: (the mail, {len(content):,} bytes)")
        self.send(content)
        return self._expect(self.getreply(), *range(200, 300))

    def take_back(self) -> None:
        """Forget the envelope. Raises NoAnswer."""
        self._ask("RSET")

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say goodbye, where somebody is there to hear it. Whatever is answered changes nothing."""
        try:
            if self.sock is not None and not isinstance(error, NoAnswer):
                self._silence = min(self._silence, _FAREWELL)
                self._off_record = True  # nobody needs to read it
                self._ask("QUIT")
        except NoAnswer:
            pass
        finally:
            self.close()

    # The steps

    def _ask(self, command: str) -> tuple[int, bytes]:
        self._stage = command
        return self.docmd(command)

    def _expect(self, answer: tuple[int, bytes], *codes: int) -> Reply:
        reply = Reply(self._stage, answer[0], _text(answer[1]))
        if reply.code not in codes:
            raise Refusal(reply)
        return reply

    def _greet(self) -> None:
        self._stage = "EHLO"
        self._expect(self.ehlo(), 250)

    def _encrypt(self) -> None:
        assert self.sock is not None  # noqa: S101  it has just been dialled
        self.sock.settimeout(self._wait())
        # What was said in the clear up to here counts no longer (RFC 3207): a new reader, and a new EHLO.
        self.file = None
        self.sock = self._http.secure(self.sock, self._server.host)

    def _sign_in(self) -> None:
        offered = self.esmtp_features.get("auth", "").upper().split()
        user, password = self._server.username, self._server.password
        self._stage, self._off_record = "AUTH", True
        self.said.append("C: AUTH (not kept)")
        if "PLAIN" in offered:
            answer = self.docmd("AUTH", f"PLAIN {_encoded(_credentials(self._server))}")
        elif "LOGIN" in offered:
            answer = self.docmd("AUTH", "LOGIN")
            for secret in (user, password):
                answer = self.docmd(_encoded(secret)) if answer[0] == 334 else answer
        else:
            raise Refused(
                _(
                    "The mail server offers no sign-in that is known here (PLAIN or LOGIN). Most offer it only over "
                    "an encrypted connection: EMAIL_URL starts with smtp+tls:// for that, or with smtp+ssl://."
                )
            )
        self._off_record = False
        self._keep(*answer)
        self._expect(answer, 235)

    # What smtplib builds on: every byte goes through these

    def send(self, s: Any) -> None:
        """Send a command or the mail."""
        data: bytes = s.encode("ascii") if isinstance(s, str) else s
        if not self._off_record and self._stage != END:
            self.said.append(f"C: {_text(data).rstrip()}")
        for start in range(0, len(data), _PIECE):
            if self._stage == END and start + _PIECE >= len(data):
                self._handed_over = True
            self._send_piece(data[start : start + _PIECE])

    def _send_piece(self, piece: bytes) -> None:
        if self.sock is None:
            raise self._broken(_("it had closed the connection"))
        self.sock.settimeout(self._wait())
        try:
            self.sock.sendall(piece)
        except TimeoutError:
            raise self._too_slow() from None
        except OSError as error:
            raise self._broken(because(error)) from error

    def getreply(self) -> tuple[int, bytes]:
        """The next answer, whatever it says. Raises NoAnswer."""
        if self.file is None:
            self.file = io.BufferedReader(_Incoming(self))
        try:
            code, words = super().getreply()
        except smtplib.SMTPResponseException:
            raise self._broken(_("its answer does not end")) from None
        except smtplib.SMTPServerDisconnected:
            raise self._broken(_("it hung up")) from None
        if not 200 <= code < 600:
            raise self._broken(_("what answers there does not speak SMTP"))
        if not self._off_record:
            self._keep(code, words)
        return code, words

    def receive(self, buffer: Any) -> int:
        """Read what is there into a buffer, and wait for it no longer than to the deadline. Raises NoAnswer."""
        assert self.sock is not None  # noqa: S101  who has no connection has no reader
        self.sock.settimeout(self._wait())
        try:
            count = self.sock.recv_into(buffer)
        except TimeoutError:
            raise self._too_slow() from None
        except OSError as error:
            raise self._broken(because(error)) from error
        self._taken += count
        if self._taken > _MOST:
            raise self._broken(_("its answer does not end"))
        return count

    def _keep(self, code: int, words: bytes) -> None:
        self.last = Reply(self._stage, code, _text(words))
        self.said += [f"S: {code} {line}" for line in self.last.words.split("\n")]

    def _wait(self) -> float:
        left = self._left()
        if left <= 0:
            raise self._too_slow()
        return min(self._silence, left)

    def _too_slow(self) -> TooSlow:
        return TooSlow(
            _("The mail server did not answer within the time allowed ({stage}).").format(stage=self._stage),
            sent=self._handed_over,
        )

    def _broken(self, why: str) -> Broken:
        what = _("The mail server gave no whole answer")
        return Broken(f"{what} ({self._stage}): {why}.", sent=self._handed_over)


class _Incoming(io.RawIOBase):
    """What the server says, read through the session's own bounds."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._session.receive(buffer)


def _credentials(server: MailServer) -> str:
    """User and password as one text, as AUTH PLAIN has them (RFC 4616)."""
    return f"\0{server.username}\0{server.password}"


def secrets_of(server: MailServer | None) -> list[str]:
    """What of EMAIL_URL nobody may read, alone and as it is sent."""
    return [server.password, _credentials(server)] if server and server.password else []


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _text(words: bytes) -> str:
    return words.decode("utf-8", "replace")


def _on_the_wire(mail: str) -> bytes:
    """The mail as it follows DATA: CRLF, no line that is a dot alone (RFC 5321, 4.5.2), and then one that is."""
    content = re.sub(rb"^\.", b"..", mail.encode("ascii"), flags=re.MULTILINE)
    return content.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n.\r\n"
