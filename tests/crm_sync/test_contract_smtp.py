"""What every connector promises that speaks to a mail server: `test_contract.py`, where an answer is a line of SMTP.

The dialogue of `delivered.json` is played, and at one of its steps something else happens than was recorded.
"""

import re
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from crm_sync import connectors
from crm_sync.addresses import Policy
from crm_sync.connectors.base import Connector, MailServer, outcome_reason
from crm_sync.http import GuardedClient
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater, Throttled
from crm_sync.recorder import Recorder
from tests.crm_sync.conftest import OPEN
from tests.crm_sync.mail_stage import Act, MailStage, wire
from tests.crm_sync.test_contract import HTTP, RECORDINGS, Recording, build
from tests.crm_sync.test_dial import to_loopback

SMTP = [connector for connector in connectors.all() if connector.protocol == "SMTP"]
DIALOGUES = [path for path in RECORDINGS if path.parent.name in {each.spec.slug for each in SMTP}]
every_connector = pytest.mark.parametrize("connector", SMTP, ids=[each.spec.slug for each in SMTP])
STEPS = ("greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", ".")
MAIL = len(STEPS) - 1
every_step = pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
IMPATIENT = Policy(read_timeout=0.5, deadline=1)


def saying(reply: str) -> Act:
    """Gives this answer, and goes on as servers do."""

    def act(connection: socket.socket) -> None:
        connection.sendall(wire(reply))
        with connection.makefile("rb") as heard:
            while line := heard.readline():
                connection.sendall(wire("221 Bye" if line.startswith(b"QUIT") else "250 Ok"))

    return act


def sending(garbage: bytes) -> Act:
    return lambda connection: connection.sendall(garbage)


def hang_up(connection: socket.socket) -> None:
    """The far side goes away without an answer."""


def played(connector: type[Connector], step: int, act: Act) -> MailStage:
    """The recorded delivery, but for one step."""
    recording = Recording.read(connector.spec.slug)
    dialogue = recording.exchanges[0]["dialogue"]
    assert [re.split(r"[ :]", said or "greeting")[0] for said, _ in dialogue] == list(STEPS)
    return MailStage(recording.exchanges, (step, act))


def push(connector: type[Connector], step: int, act: Act, **options: object) -> Outcome:
    recording = Recording.read(connector.spec.slug)
    stage = played(connector, step, act)
    outcome = build(connector, recording, stage, **options).push(
        recording.record, key=recording.key, retry=False
    )
    stage.end()
    return outcome


def assert_uncertain_only_once_the_mail_was_sent(outcome: Outcome, step: int) -> None:
    assert isinstance(outcome, RetryLater), outcome
    assert outcome.reason.endswith(".")
    assert outcome.uncertain == (step == MAIL)


def test_every_connector_is_held_to_the_laws_of_what_it_speaks() -> None:
    assert {*HTTP, *SMTP} == set(connectors.all())
    assert SMTP


@pytest.mark.parametrize("path", DIALOGUES, ids=[path.stem for path in DIALOGUES])
def test_a_recorded_dialogue_is_spoken_line_by_line(path: Path) -> None:
    slug, event = path.parent.name, path.stem
    recording = Recording.read(slug, event)
    stage = MailStage(recording.exchanges)
    build(connectors.get(slug), recording, stage).push(recording.record, key=recording.key, retry=False)
    stage.end()
    assert len(stage.seen) == len(recording.exchanges)


# --- Any answer -----------------------------------------------------------------------------------


@every_connector
@pytest.mark.parametrize("words", ["", "5.0.0 No", "\xff\x00 \u202eodd"])
def test_every_answer_to_the_mail_has_an_outcome(connector: type[Connector], words: str) -> None:
    for status in range(200, 600):
        outcome = push(connector, MAIL, saying(f"{status} {words}"))
        assert isinstance(outcome, get_args(Outcome))
        assert (200 <= status < 300) == isinstance(outcome, Delivered)
        assert 200 <= status < 300 or f"SMTP {status}" in outcome_reason(outcome)


@every_connector
@pytest.mark.parametrize("status", [211, 334, 421, 450, 455, 500, 501, 503, 521, 550, 552, 554, 555, 599])
@every_step
def test_a_refusal_at_any_step_has_an_outcome_and_leaves_nothing_uncertain(
    connector: type[Connector], step: int, status: int
) -> None:
    outcome = push(connector, step, saying(f"{status} No."))
    if step == MAIL and status < 400:
        return  # that is an answer to a mail that may be taken
    assert isinstance(outcome, Rejected | RetryLater | Throttled | DestinationFault)
    assert f"SMTP {status}" in outcome_reason(outcome)
    assert not getattr(outcome, "uncertain", False)


@every_connector
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, RetryLater) for status in (400, 421, 441, 450, 451, 452, 454, 471)),
        *((status, Rejected) for status in (500, 501, 521, 541, 550, 552, 553, 554, 555)),
        *((status, DestinationFault) for status in (530, 534, 535, 538)),
        (432, Throttled),
    ],
)
def test_a_refusal_of_the_mail_is_read_by_its_status(
    connector: type[Connector], status: int, kind: type[Outcome]
) -> None:
    assert type(push(connector, MAIL, saying(f"{status} No."))) is kind


@every_connector
@pytest.mark.parametrize("status", [450, 451])
def test_whoever_greylists_is_left_alone_for_five_minutes(connector: type[Connector], status: int) -> None:
    outcome = push(connector, STEPS.index("RCPT"), saying(f"{status} 4.7.1 Greylisted"))
    assert outcome.delay >= 300  # type: ignore[union-attr]


# --- No answer ------------------------------------------------------------------------------------


@every_connector
@every_step
def test_a_server_that_hangs_up_leaves_it_uncertain_only_after_the_mail(
    connector: type[Connector], step: int
) -> None:
    assert_uncertain_only_once_the_mail_was_sent(push(connector, step, hang_up), step)


@every_connector
@every_step
@pytest.mark.parametrize(
    "garbage",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\x00\r\n", b"-1 No\r\n", b"999 No\r\n", b"2", b"x" * 9000],
    ids=["HTTP", "binary", "negative", "999", "one digit", "long line"],
)
def test_what_is_no_smtp_is_no_answer(connector: type[Connector], step: int, garbage: bytes) -> None:
    assert_uncertain_only_once_the_mail_was_sent(push(connector, step, sending(garbage)), step)


@every_connector
@every_step
def test_an_answer_without_an_end_is_given_up(connector: type[Connector], step: int) -> None:
    def flood(connection: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection.sendall(b"250-more\r\n" * 1000)

    started = time.monotonic()
    assert_uncertain_only_once_the_mail_was_sent(push(connector, step, flood), step)
    assert time.monotonic() - started < 5


def dripping(piece: bytes) -> Act:
    """Sends a byte whenever the client may have given up its patience, were patience all that it has."""

    def act(connection: socket.socket) -> None:
        gone = threading.Event()
        with suppress(OSError):
            while not gone.wait(IMPATIENT.read_timeout / 10):
                connection.sendall(piece)

    return act


@every_connector
@pytest.mark.parametrize(
    ("step", "piece"), [(0, b"2"), (1, b"250-more\r\n"), (MAIL, b"2"), (MAIL, b"250-more\r\n")]
)
def test_one_byte_a_second_ends_at_the_deadline(connector: type[Connector], step: int, piece: bytes) -> None:
    started = time.monotonic()
    outcome = push(connector, step, dripping(piece), policy=IMPATIENT)
    assert_uncertain_only_once_the_mail_was_sent(outcome, step)
    assert "within the time allowed" in outcome_reason(outcome)
    assert IMPATIENT.deadline * 0.9 < time.monotonic() - started < IMPATIENT.deadline + 1


@every_connector
@pytest.mark.parametrize("step", [0, MAIL])
def test_silence_ends_after_the_read_time_out(connector: type[Connector], step: int) -> None:
    def silence(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.recv(1)  # until the client has gone

    started = time.monotonic()
    outcome = push(connector, step, silence, policy=IMPATIENT)
    assert_uncertain_only_once_the_mail_was_sent(outcome, step)
    assert time.monotonic() - started < IMPATIENT.deadline


@every_connector
def test_a_server_that_never_answers_the_farewell_has_taken_the_mail(connector: type[Connector]) -> None:
    def taken(connection: socket.socket) -> None:
        connection.sendall(b"250 Ok: queued\r\n")

    assert isinstance(push(connector, MAIL, taken), Delivered)


@every_connector
def test_a_check_ends_in_sentences_whatever_happens(connector: type[Connector]) -> None:
    recording = Recording.read(connector.spec.slug)
    acts: list[Act] = [hang_up, saying("421 No"), saying("535 No"), saying("554 No"), sending(b"\xff\r\n")]
    for step in range(STEPS.index("DATA")):
        for act in acts:
            check = build(connector, recording, played(connector, step, act)).check()
            assert not check.ok
            assert check.outcome
            assert not getattr(check.outcome, "uncertain", False)
            assert check.findings
            assert all(finding for finding in check.findings)


@every_connector
def test_a_check_sends_no_mail(connector: type[Connector]) -> None:
    recording = Recording.read(connector.spec.slug)
    dialogue = [[said.partition(" SIZE=")[0], reply] for said, reply in recording.exchanges[0]["dialogue"]]
    up_to_the_mail = [*dialogue[: STEPS.index("DATA")], ["RSET", "250 Ok"], ["QUIT", "221 Bye"]]
    stage = MailStage([{"dialogue": up_to_the_mail}])
    check = build(connector, recording, stage).check()
    stage.end()
    assert check.ok
    assert all(finding.endswith(".") for finding in check.findings)
    assert stage.seen[0].body == ""


# --- Secrets, and the retry -----------------------------------------------------------------------


@every_connector
@every_step
def test_no_secret_reaches_the_record_or_the_reason(connector: type[Connector], step: int) -> None:
    """Though the far side, refusing it, quotes what it was sent."""
    recording = Recording.read(connector.spec.slug)
    password = recording.installation().mail.password  # type: ignore[union-attr]
    sent = recording.exchanges[0]["dialogue"][STEPS.index("AUTH")][0].split()[-1]
    recorder = Recorder()
    outcome = push(connector, step, saying(f"535 Not accepted: {password} {sent}"), recorder=recorder)

    assert not isinstance(outcome, Delivered)
    [exchange] = recorder.exchanges
    for secret in (password, sent):
        assert secret not in str(exchange.as_dict())
        assert secret not in outcome_reason(outcome)
    assert "Not accepted" in exchange.response_body
    assert exchange.status == 535


@every_connector
def test_what_was_said_before_the_encryption_counts_no_longer(
    connector: type[Connector], certificate: Path
) -> None:
    """Somebody in between may have slipped in an answer of his own (RFC 3207, section 6)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        plain.sendall(b"220 mail\r\n")
        heard.append(plain.recv(1000))
        plain.sendall(b"250 STARTTLS\r\n")
        heard.append(plain.recv(1000))
        plain.sendall(b"220 go\r\n250-slipped in\r\n250 AUTH PLAIN\r\n")
        with context.wrap_socket(plain, server_side=True) as encrypted:
            heard.append(encrypted.recv(1000))
            encrypted.sendall(b"250 mail\r\n")
            heard.append(encrypted.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        server = MailServer("crm.test", listener.getsockname()[1], "starttls", "leads", "secret")
        http = GuardedClient(OPEN, resolver=to_loopback)
        recording = Recording.read(connector.spec.slug)
        site = replace(recording.installation(), mail=server)
        check = connector(recording.settings, http, site=site).check()
        thread.join()
    assert heard[:2] == [b"EHLO leads.contoso.example\r\n", b"STARTTLS\r\n"]
    assert heard[2] == heard[0]
    assert not heard[3], "the password went to whoever slipped in the offer of a sign-in"
    assert "no sign-in that is known here" in check.findings[0]


@every_connector
def test_the_record_has_the_dialogue_without_the_sign_in(connector: type[Connector]) -> None:
    recording, recorder = Recording.read(connector.spec.slug), Recorder()
    stage = MailStage(recording.exchanges)
    build(connector, recording, stage, recorder=recorder).push(
        recording.record, key=recording.key, retry=False
    )
    [exchange] = recorder.exchanges
    assert (exchange.method, exchange.status, exchange.error) == ("SMTP", 250, "")
    assert exchange.request_body == recording.exchanges[0]["request"]["body"]
    assert "C: RCPT TO:<sales@contoso.example>\nS: 250 2.1.5 Ok\nC: DATA" in exchange.response_body
    assert "C: AUTH (not kept)\nS: 235" in exchange.response_body
    assert "AUTH PLAIN A" not in exchange.response_body


@every_connector
def test_of_a_lost_answer_the_record_keeps_what_was_said_before(connector: type[Connector]) -> None:
    recorder = Recorder()
    push(connector, MAIL, hang_up, recorder=recorder)
    [exchange] = recorder.exchanges
    assert exchange.status is None
    assert "hung up" in exchange.error
    assert "S: 354" in exchange.response_body


@every_connector
def test_a_connector_that_cannot_know_a_mail_again_says_so(connector: type[Connector]) -> None:
    """SMTP has nothing by which a second copy is told: a person decides. Both copies are the same to the letter."""
    first = played(connector, MAIL, hang_up)
    recording = Recording.read(connector.spec.slug)
    lost = build(connector, recording, first).push(recording.record, key=recording.key, retry=False)
    assert isinstance(lost, RetryLater)
    assert lost.uncertain
    assert connector.spec.idempotent_by == ""

    again = MailStage(recording.exchanges)
    outcome = build(connector, recording, again).push(recording.record, key=recording.key, retry=True)
    assert isinstance(outcome, Delivered)
    assert again.seen == first.seen
