"""Whether PUBLIC_URL leads here: each thing that can be wrong on the way has words and a remedy of its own."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from django.test import Client

from leadsite import health, reach
from leadsite.reach import Reach

URL = "https://leads.contoso.example"
NAME = "leads.contoso.example"
NOW = datetime.now(UTC)


@cache
def authority() -> trustme.CA:
    return trustme.CA()


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


def certificate(
    name: str = NAME, *, ends: datetime | None = None, begins: datetime | None = None
) -> trustme.LeafCert:
    return authority().issue_cert(
        name, not_after=ends or NOW + timedelta(days=71, hours=1), not_before=begins
    )


Answer = Callable[[str], Iterable[bytes]]


def ours(request: str, proxy: str = health.BELIEVED) -> list[bytes]:
    """What /livez of this installation answers."""
    nonce = parse_qs(urlsplit(request.split()[1]).query)["nonce"][0]
    body = f'{{"status": "alive", "signature": "{health.sign(nonce, proxy)}"}}'
    return [f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()]


def saying(status: str, *headers: str, body: str = "") -> Answer:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return lambda request: [f"{head}\r\n\r\n{body}".encode()]


@contextmanager
def proxy(
    leaf: trustme.LeafCert | None, answer: Answer = ours, seen: list[str] | None = None
) -> Iterator[reach.Dial]:
    """A server for one connection, and how to dial it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as plain:
                plain.settimeout(5)
                connection = plain
                if leaf is not None:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    leaf.configure_cert(context)
                    connection = context.wrap_socket(plain, server_side=True)
                with connection:
                    request = connection.recv(4096).decode("latin-1")
                    if seen is not None:
                        seen.append(request)
                    for piece in answer(request):
                        connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield lambda address, port: socket.create_connection(listener.getsockname(), 5)
    thread.join(5)


def public(host: str, port: int) -> list[str]:
    return ["20.50.2.1"]


def check(dial: reach.Dial, url: str = URL, resolve: reach.Resolve = public) -> Reach:
    return reach.check(url, NOW, dial, resolve=resolve, context=trusting())


def nobody(address: str, port: int) -> Any:
    raise AssertionError("dialled")


def test_an_address_that_leads_here_is_well_and_says_for_how_long() -> None:
    seen: list[str] = []
    with proxy(certificate(), seen=seen) as dial:
        found = check(dial)
    assert found == Reach(
        True,
        f"{URL} leads here over TLS; its certificate is valid for 71 days.",
        tls_days=71,
        proxy="believed",
    )
    assert "Host: leads.contoso.example\r\n" in seen[0]


@pytest.mark.parametrize(
    ("days", "sentence"), [(20, "ends in 20 days."), (1, "ends in 1 day."), (0, "in 0 days.")]
)
def test_a_certificate_that_ends_soon_is_a_warning(days: int, sentence: str) -> None:
    with proxy(certificate(ends=NOW + timedelta(days=days, hours=1))) as dial:
        found = check(dial)
    assert (found.ok, found.tls_days) == (True, days)
    assert found.sentence.endswith(sentence)
    assert found.fix.startswith("Renew it now")


def test_a_name_that_is_private_from_here_is_a_warning() -> None:
    with proxy(certificate()) as dial:
        found = check(dial, resolve=lambda host, port: ["10.0.0.5"])
    assert found.ok
    assert "from this server its name means 10.0.0.5, which is no public address" in found.sentence
    assert "public DNS" in found.fix


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://leads.contoso.example"])
def test_without_https_nothing_is_asked(url: str) -> None:
    found = check(nobody, url)
    assert (found.ok, found.sentence) == (
        False,
        f"Microsoft cannot reach {url}: leads only come to a public https address.",
    )
    assert "PUBLIC_URL=https://" in found.fix


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.4.20", "[::1]"])
def test_a_private_address_is_wrong(host: str) -> None:
    found = check(nobody, f"https://{host}", resolve=lambda host, port: [host])
    assert (found.ok, "is a private address" in found.sentence) == (False, True)


def test_a_name_that_dns_does_not_know_is_wrong() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    found = check(nobody, resolve=unknown)
    assert (found.ok, found.sentence) == (False, "DNS does not know leads.contoso.example.")
    assert "A or AAAA record" in found.fix


def test_dns_that_keeps_silent_is_waited_for_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SECONDS", 0.05)
    silence = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **more: silence.wait(5))
    try:
        found = check(nobody, resolve=reach.resolve)
    finally:
        silence.set()
    assert (found.ok, found.sentence.startswith("DNS gave no answer for leads.contoso.example")) == (
        False,
        True,
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "nothing answers at leads.contoso.example (20.50.2.1), port 443"),
        (ConnectionRefusedError(), "no connection to leads.contoso.example (20.50.2.1), port 443"),
    ],
)
def test_without_a_connection_it_may_still_be_reached_from_outside(error: OSError, words: str) -> None:
    def fails(address: str, port: int) -> Any:
        raise error

    found = check(fails)
    assert (found.ok, found.uncertain) == (False, True)
    assert words in found.sentence
    assert "own public address" in found.fix


def test_of_several_addresses_one_is_enough() -> None:
    with proxy(certificate()) as dial:

        def first_fails(address: str, port: int) -> socket.socket:
            if address == "2603:1020::1":
                raise OSError("no route")
            return dial(address, port)

        assert check(first_fails, resolve=lambda host, port: ["2603:1020::1", "20.50.2.1"]).ok


# The certificate


def self_signed() -> Any:
    """A leaf that nobody but itself vouches for."""
    leaf = trustme.CA()

    class Alone:
        def configure_cert(self, context: ssl.SSLContext) -> None:
            with leaf.private_key_pem.tempfile() as key, leaf.cert_pem.tempfile() as cert:
                context.load_cert_chain(cert, key)

    return Alone()


def without_intermediate() -> Any:
    between = authority().create_child_ca()
    whole = between.issue_cert(NAME)

    class Alone:
        def configure_cert(self, context: ssl.SSLContext) -> None:
            with whole.private_key_pem.tempfile() as key, whole.cert_chain_pems[0].tempfile() as cert:
                context.load_cert_chain(cert, key)

    return Alone()


def with_its_root() -> Any:
    own = trustme.CA()
    leaf = own.issue_cert(NAME)

    class Whole:
        def configure_cert(self, context: ssl.SSLContext) -> None:
            chain = trustme.Blob(leaf.cert_chain_pems[0].bytes() + own.cert_pem.bytes())
            with leaf.private_key_pem.tempfile() as key, chain.tempfile() as cert:
                context.load_cert_chain(cert, key)

    return Whole()


@pytest.mark.parametrize(
    ("leaf", "sentence", "fix"),
    [
        (
            lambda: certificate(ends=NOW - timedelta(days=3), begins=NOW - timedelta(days=90)),
            "has expired",
            "Renew it",
        ),
        (
            lambda: certificate(begins=NOW + timedelta(days=2), ends=NOW + timedelta(days=90)),
            "is not valid yet",
            "clock",
        ),
        (
            lambda: certificate("www.contoso.example"),
            "is for another name",
            "Get one for leads.contoso.example",
        ),
        (self_signed, "is self-signed", "Let's Encrypt"),
        (with_its_root, "an authority that is not publicly known", "Let's Encrypt"),
        (without_intermediate, "chain of leads.contoso.example is incomplete", "fullchain.pem"),
    ],
)
def test_each_fault_of_a_certificate_has_its_own_words(leaf: Any, sentence: str, fix: str) -> None:
    with proxy(leaf()) as dial:
        found = check(dial)
    assert not found.ok
    assert sentence in found.sentence
    assert fix in found.fix


def test_a_port_without_tls_is_told_from_a_bad_certificate() -> None:
    with proxy(None, lambda request: [b"HTTP/1.1 400 Bad Request\r\n\r\n"]) as dial:
        found = check(dial)
    assert (found.ok, found.sentence) == (False, f"{NAME} takes the connection and speaks no TLS on it.")


# The answer


@pytest.mark.parametrize(
    ("answer", "sentence", "fix"),
    [
        (
            saying("301 Moved", "Location: https://www.contoso.example/"),
            f"{URL} redirects to https://www.contoso.example/: Microsoft's leads do not follow.",
            "instead of redirecting",
        ),
        (saying("401 Unauthorized"), "lets nobody in (HTTP 401)", "without a sign-in"),
        (saying("502 Bad Gateway"), "answers with HTTP 502 instead", "http://127.0.0.1:8000"),
        (saying("200 OK", body='{"status": "alive"}'), "Somebody else answers", "pass every path on"),
        (saying("200 OK", body="<html>"), "Somebody else answers", "pass every path on"),
        (saying("200 OK", body="[" * 4096), "Somebody else answers", "pass every path on"),
        (saying("200 OK", body='{"signature": "é"}'), "Somebody else answers", "pass every path on"),
        (lambda request: [], "gives no whole answer", "pass every path on"),
        (lambda request: [b"SSH-2.0-OpenSSH\r\n"], "gives no whole answer", "pass every path on"),
    ],
)
def test_whoever_answers_in_our_place_is_found_out(answer: Answer, sentence: str, fix: str) -> None:
    with proxy(certificate(), answer) as dial:
        found = check(dial)
    assert (found.ok, found.tls_days) == (False, 71)
    assert sentence in found.sentence
    assert fix in found.fix


def test_another_installation_is_not_this_one(settings: Any) -> None:
    def another(request: str) -> list[bytes]:
        settings.SECRET_KEY = "another-secret-key-that-is-long-enough-for-anybody"
        try:
            return ours(request)
        finally:
            settings.SECRET_KEY = mine

    mine = settings.SECRET_KEY
    with proxy(certificate(), another) as dial:
        assert "Somebody else answers" in check(dial).sentence


def drip(request: str) -> Iterator[bytes]:
    """A byte now and then, for ever."""
    while True:
        time.sleep(0.02)
        yield b"H"


def test_a_byte_now_and_then_does_not_hold_the_check_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SECONDS", 0.4)
    with proxy(certificate(), drip) as dial:
        found = check(dial)
    assert "gives no whole answer" in found.sentence


# What /livez says of itself


@pytest.mark.parametrize(
    ("address", "headers", "told"),
    [
        ("192.0.2.1", {}, "silent"),
        ("192.0.2.1", {"X-Forwarded-For": "198.51.100.1"}, "ignored"),
        ("10.0.0.1", {"X-Forwarded-For": "198.51.100.1"}, "believed"),
    ],
)
def test_who_answers_signs_and_tells_whether_its_proxy_is_believed(
    address: str, headers: dict[str, str], told: str, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    nonce = "0123456789abcdef" * 2
    answer = Client().get(f"/livez?nonce={nonce}", headers=headers, REMOTE_ADDR=address)
    assert answer.json() == {"status": "alive", "signature": health.sign(nonce, told)}


@pytest.mark.parametrize("nonce", ["", "short", "x" * 32, "0" * 33])
def test_nothing_else_is_ever_signed(nonce: str) -> None:
    assert Client().get("/livez", {"nonce": nonce}).json() == {"status": "alive"}
