"""Mails handed in at aiosmtpd, a mail server that this project did not write, and read by the standard library."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from crm_sync.addresses import Policy
from crm_sync.connectors.email import EmailConnector
from crm_sync.http import Pool
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater
from crm_sync.recorder import Recorder
from tests.connectors.laws import LOOPBACK, key
from tests.fakes.email import HANG_UP, Postbox

# aiosmtpd's own: it is told to take passwords without TLS, or has TLS already.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

TO = "sales@contoso.example"
RECORD = {
    "subject": "Új érdeklődő: Contoso Backup – 株式会社",
    "id": "9b1d3c52-0a6e-4f0b-8a55-1f6f0a1c7d10",
    "event": "Contact me",
    "name": "Zoë Nagy",
    "email": "zoe.nagy@fabrikam.example",
    "description": "Call me.\n.\n..dots\nat line ends",
}


class MakePostbox(Protocol):
    def __call__(self, **options: Any) -> Postbox: ...


@pytest.fixture
def postbox() -> Iterator[MakePostbox]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Postbox(**options))


def connector(postbox: Postbox, policy: Policy = LOOPBACK, **settings: str) -> EmailConnector:
    server = {
        name: settings.pop(name) for name in ("host", "security", "username", "password") if name in settings
    }
    http = Pool(policy).client(recorder=Recorder(), deadline=10)
    return EmailConnector({"to": TO, **settings}, http, site=postbox.site(**server))


def push(postbox: Postbox, **settings: str) -> Outcome:
    return connector(postbox, **settings).push(RECORD, key=key(1), retry=False)


def test_a_mail_arrives_as_it_was_meant(postbox: MakePostbox) -> None:
    server = postbox()
    outcome = push(server, include_details="true", to=f"{TO}, boss@contoso.example")
    assert outcome == Delivered(remote_id=f"{key(1)}@leads.contoso.example")
    [mail] = server.mails
    assert (mail.sender, mail.recipients) == ("leads@contoso.example", [TO, "boss@contoso.example"])
    assert mail.ehlo == "leads.contoso.example"
    message = mail.message
    assert message["subject"] == RECORD["subject"]
    assert message["reply-to"] == RECORD["email"]
    assert message["message-id"] == f"<{key(1)}@leads.contoso.example>"
    assert message["auto-submitted"] == "auto-generated"
    text = message.get_body(("plain",))
    page = message.get_body(("html",))
    assert text
    assert page
    assert "Name: Zoë Nagy" in text.get_content()
    assert "    Call me.\r\n    .\r\n    ..dots\r\n" in text.get_content()
    assert "<td>Zoë Nagy</td>" in page.get_content()


@pytest.mark.parametrize("security", ["", "starttls", "tls"])
@pytest.mark.usefixtures("trusting_fakes")
def test_it_signs_in_over_each_kind_of_connection(postbox: MakePostbox, security: str) -> None:
    server = postbox(security=security, password="pä ss\\word")
    assert isinstance(push(server), Delivered)
    assert server.sign_ins == 1
    assert server.mails[0].signed_in
    assert server.mails[0].encrypted == bool(security)


def test_it_signs_in_where_only_login_is_offered(postbox: MakePostbox) -> None:
    server = postbox(password="secret", without=("PLAIN",))
    assert isinstance(push(server), Delivered)
    assert server.mails[0].signed_in
    assert "(SMTP 535)" in push(server, password="wrong").reason  # type: ignore[union-attr]


@pytest.mark.usefixtures("trusting_fakes")
def test_a_connection_test_says_what_it_found_and_sends_nothing(postbox: MakePostbox) -> None:
    server = postbox(security="starttls", password="secret")
    server.answers["gone@contoso.example"] = "550 5.1.1 No such user"
    check = connector(server, to=f"{TO}, gone@contoso.example").check()
    assert check.ok
    assert check.findings == (
        "127.0.0.1 takes mail from leads@contoso.example to sales@contoso.example. No mail was sent.",
        "The mail server does not take every recipient: gone@contoso.example: 5.1.1 No such user (550).",
        "The connection is encrypted.",
        "The mail about a lead has a link to it, and nothing of a person.",
    )
    assert server.mails == []


@pytest.mark.parametrize(
    ("command", "answer", "kind"),
    [
        ("RCPT", "550 5.1.1 No such user", DestinationFault),
        ("RCPT", "450 4.2.0 Greylisted", RetryLater),
        ("RCPT", "451 4.3.0 Trouble", RetryLater),
        ("RCPT", "452 4.2.2 Mailbox full", RetryLater),
        ("RCPT", "421 4.3.2 Closing", RetryLater),
        ("MAIL", "421 4.3.2 Closing", RetryLater),
        ("MAIL", "550 5.7.60 Not allowed to send as this sender", DestinationFault),
        ("MAIL", "552 5.3.4 Too large", Rejected),
        ("DATA", "421 4.3.2 Closing", RetryLater),
        ("DATA", "451 4.7.1 Try again later", RetryLater),
        ("DATA", "452 4.3.1 Disk full", RetryLater),
        ("DATA", "550 5.7.1 Content refused", Rejected),
        ("DATA", "552 5.3.4 Too large", Rejected),
        ("DATA", "554 5.7.1 Spam", Rejected),
    ],
)
def test_what_the_server_answers_decides(
    postbox: MakePostbox, command: str, answer: str, kind: type[Outcome]
) -> None:
    server = postbox()
    server.answers[command] = answer
    outcome = push(server)
    assert type(outcome) is kind
    assert not getattr(outcome, "uncertain", False)
    assert answer[4:] in outcome.reason  # type: ignore[union-attr]
    assert server.mails == []


def test_those_whom_the_server_takes_get_the_mail_and_the_others_are_named(postbox: MakePostbox) -> None:
    server = postbox()
    server.answers["gone@contoso.example"] = "550 5.1.1 No such user"
    outcome = push(server, to=f"gone@contoso.example; {TO}")
    assert isinstance(outcome, Delivered)
    assert "gone@contoso.example: 5.1.1 No such user (550)" in outcome.note
    assert server.mails[0].recipients == [TO]


def test_where_no_recipient_is_taken_one_that_may_be_later_decides(postbox: MakePostbox) -> None:
    server = postbox()
    server.answers |= {TO: "550 5.1.1 No such user", "full@contoso.example": "452 4.2.2 Mailbox full"}
    assert isinstance(push(server, to=f"{TO}, full@contoso.example"), RetryLater)
    assert server.mails == []


def test_a_connection_that_is_lost_after_the_dot_leaves_it_uncertain(postbox: MakePostbox) -> None:
    server = postbox()
    server.answers["DATA"] = HANG_UP
    outcome = push(server)
    assert isinstance(outcome, RetryLater)
    assert outcome.uncertain
    assert len(server.mails) == 1


def test_a_mail_that_is_larger_than_the_server_says_is_refused_before_it_is_sent(
    postbox: MakePostbox,
) -> None:
    outcome = push(postbox(most=500), include_details="true")
    assert isinstance(outcome, Rejected)
    assert "larger than the server takes (SMTP 552): MAIL FROM" in outcome.reason


# --- What the connection test says where something is wrong ---------------------------------------


def said(connector: EmailConnector) -> str:
    check = connector.check()
    assert not check.ok
    [finding] = check.findings
    return finding


def test_a_wrong_password_is_told_in_words(postbox: MakePostbox) -> None:
    server = postbox(password="secret")
    wrong = connector(server, password="wr0ng")
    assert "does not accept user and password of EMAIL_URL (SMTP 535)" in said(wrong)
    assert "wr0ng" not in said(wrong)
    assert server.sign_ins == 2


def test_a_missing_sign_in_is_told_in_words(postbox: MakePostbox) -> None:
    server = postbox(password="secret")
    assert "EMAIL_URL must name user and password" in said(connector(server, username="", password=""))


def test_a_sign_in_that_is_only_offered_over_tls_is_told_in_words(postbox: MakePostbox) -> None:
    server = postbox(security="starttls", password="secret")
    sentence = said(connector(server, security=""))
    assert "no sign-in that is known here" in sentence
    assert "smtp+tls://" in sentence


def test_a_certificate_that_nobody_vouches_for_stops_the_connection(postbox: MakePostbox) -> None:
    for security in ("starttls", "tls"):
        server = postbox(security=security, password="secret")
        check = connector(server).check()
        assert isinstance(check.outcome, DestinationFault)
        assert check.findings[0].startswith("The certificate of 127.0.0.1 was not accepted: ")
        assert server.sign_ins == 0


def test_a_server_without_tls_gets_no_password(postbox: MakePostbox) -> None:
    server = postbox(password="secret")
    assert "STARTTLS" in said(connector(server, security="starttls"))
    assert "No encryption could be agreed on" in said(connector(server, security="tls"))
    assert server.sign_ins == 0


def test_a_server_that_is_down_is_told_in_words(postbox: MakePostbox) -> None:
    server = Postbox()
    server._socket.close()
    server._loop.close()
    check = connector(server).check()
    assert isinstance(check.outcome, RetryLater)
    assert "No connection could be made" in check.findings[0]


def test_a_private_address_that_is_not_the_operators_own_is_refused(postbox: MakePostbox) -> None:
    server = postbox()
    assert "ALLOW_PRIVATE_DESTINATIONS" in said(connector(server, Policy()))
    own = Policy(own_hosts=frozenset({f"127.0.0.1:{server.port}"}))
    assert connector(server, own).check().ok
